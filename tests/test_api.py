"""The REST API: judgements in, exports out, training runs reported, and nonsense refused with a reason."""

import io
import json
import zipfile
from base64 import b64encode
from hashlib import sha256
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotate.models import Annotation, Annotator, Task
from annotate.services.agreement import measure_and_keep
from annotate.services.consensus import settle
from annotate.services.enrolments import enrol
from curation.models import Blob, Dataset, Export, TrainingMetric, TrainingRun
from curation.services.exports import request_export
from curation.tasks import build_export
from jobs.models import Job
from tests import library
from tests.world import World

pytestmark = pytest.mark.django_db

ROW = {
    "id": "q1",
    "prompt": "Which?",
    "completions": [{"id": "a", "text": "This"}, {"id": "b", "text": "That"}],
    "judgements": [{"annotator": "x", "ranking": ["a", "b"]}, {"annotator": "y", "ranking": [["a", "b"]]}],
}


class Api:
    """The API as somebody's token sees it."""

    def __init__(self, world: World, name: str, *scopes: str) -> None:
        self.client = Client(raise_request_exception=False, headers=world.token(name, *scopes))

    def get(self, path: str, **fields):
        return self.client.get(f"/api/{path}", fields)

    def post(self, path: str, body, kind: str = "application/json"):
        raw = body if isinstance(body, (bytes, str)) else json.dumps(body)
        return self.client.post(f"/api/{path}", raw, content_type=kind)

    def upload(self, *rows, source: str = "?source=study", slug: str = "kitchen"):
        raw = b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows)
        return self.post(f"projects/{slug}/judgements/{source}", raw, "application/x-ndjson")


@pytest.fixture
def export(world) -> Export:
    """An export of mina's with one judgement in it."""
    world.tasks()
    world.answer(world.claim("ana"), 1, 2, 2)
    export = request_export(project=world.project, actor=world.users["mina"], send=False)
    build_export(str(export.job_id))
    export.refresh_from_db()
    return export


# --- Judgements -------------------------------------------------------------------------------------------------------


def test_judgements_are_imported_once(world):
    api = Api(world, "mina", "judgements:write")
    done = {"tasks": 1, "tasks_known": 0, "judgements": 2, "judgements_known": 0}
    assert (api.upload(ROW).status_code, api.upload(ROW, ROW | {"id": 2}).json()) == (
        200,
        done | {"tasks_known": 1, "judgements_known": 2},
    )
    assert Task.objects.count() == 2
    assert set(Annotator.objects.exclude(source="").values_list("source", "source_name", "kind")) == {
        ("study", "x", "imported"),
        ("study", "y", "imported"),
    }


def test_an_upload_with_errors_lists_each_and_imports_nothing(world):
    bad = ROW | {"id": "q3", "judgements": [{"annotator": "x", "ranking": ["a", "nobody"]}]}
    twice = ROW | {"id": "q4", "judgements": [{"annotator": "x", "ranking": ["a", "a", "b"]}]}
    response = Api(world, "mina", "judgements:write").upload(ROW, b"{broken", bad, twice, "é".encode("latin-1"))
    assert response.status_code == 400
    found = response.json()
    assert found["count"] == len(found["errors"]) == 4
    assert [(error["line"], error["field"]) for error in found["errors"]] == [
        (2, ""),
        (3, "judgements[0].ranking[1]"),
        (4, "judgements[0].ranking[1]"),
        (5, ""),
    ]
    assert "nobody" in found["errors"][1]["message"]
    assert not Task.objects.exists() and not Annotation.objects.exists()


def test_an_empty_upload_and_one_without_a_source_are_refused_in_words(world):
    api = Api(world, "mina", "judgements:write")
    for response in (api.upload(), api.upload(b"\n \n")):
        assert (response.status_code, response.json()["errors"][0]["line"]) == (400, 0)
    for source in ("", "?source=", "?source=%20", "?source=" + "x" * 201, "?source=%00"):
        response = api.upload(ROW, source=source)
        assert (response.status_code, list(response.json())) == (400, ["source"])
    assert not Task.objects.exists()


def test_an_upload_over_the_limit_is_413_and_one_of_another_type_415(world, settings):
    api = Api(world, "mina", "judgements:write")
    settings.JUDGEMENTS_UPLOAD_MAX_BYTES = len(json.dumps(ROW))
    assert api.upload(ROW).status_code == 200
    response = api.upload(ROW, {})
    assert response.status_code == 413 and "import_judgements" in response.json()["detail"]
    for kind in ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x"):
        assert api.post("projects/kitchen/judgements/?source=s", ROW, kind).status_code == 415


@pytest.mark.parametrize(("name", "status"), [("otto", 404), ("ana", 403), ("rita", 403), ("ada", 200)])
def test_only_those_who_manage_a_project_bring_judgements_in(world, name, status):
    api = Api(world, name, "judgements:write")
    assert api.upload(ROW).status_code == status
    assert api.upload(ROW, slug="no-such").status_code == 404
    assert Task.objects.exists() is (status == 200)


def test_agreement_is_the_latest_snapshot(world):
    api = Api(world, "rita", "projects:read")
    assert api.get("projects/kitchen/agreement/").json() == []
    world.tasks()
    for name in ("ana", "ben"):
        world.answer(world.claim(name), 1, 2, 3)
    measure_and_keep(project=world.project)
    figures = api.get("projects/kitchen/agreement/").json()
    assert len({figure["metric"] for figure in figures}) == len(figures) == 7
    first = figures[0]
    assert (first["question"], first["value"], first["n_units"], first["n_groups"]) == ("overall", 1.0, 3, 1)
    assert [project["slug"] for project in api.get("projects/").json()["results"]] == ["kitchen"]


def test_what_the_figures_rest_on_and_the_consensus(world):
    api = Api(world, "rita", "projects:read")
    assert "Nothing was measured" in api.get("projects/kitchen/agreement/overall/").json()["detail"]
    [task] = world.tasks()
    for name in ("ana", "ben"):
        world.answer(world.claim(name), 1, 2, 3)
    measure_and_keep(project=world.project)
    detail = api.get("projects/kitchen/agreement/overall/").json()
    assert (detail["question"], detail["n_judgements"], len(detail["annotators"])) == ("overall", 2, 2)
    assert api.get("projects/kitchen/consensus/").json()["results"] == []
    settle(project=world.project)
    [row] = api.get("projects/kitchen/consensus/?question=overall").json()["results"]
    assert (row["task"], row["n_votes"], row["label_source"], row["completion"]) == (task.name, 2, "votes", None)
    assert api.get("projects/kitchen/consensus/?question=other").json()["results"] == []


def test_who_is_enrolled_and_where_each_stands(world, django_assert_num_queries):
    address = "/api/projects/kitchen/annotators/"
    headers = world.token("mina", "projects:read")
    Client().get(address, headers=headers)  # which notes that the token was used
    with CaptureQueriesContext(connection) as of_two:
        found = Client().get(address, headers=headers).json()["results"]
    assert [(one["state"], one["answered"], one["gold_n"], one["open_appeal"]) for one in found] == [
        ("approved", 0, 0, False)
    ] * 2
    assert {one["pseudonym"] for one in found} == {world.annotator(name).pseudonym for name in ("ana", "ben")}
    for name in ("otto", "rita"):
        enrol(project=world.project, user=world.users[name])
    with django_assert_num_queries(len(of_two)):
        assert len(Client().get(address + "?state=approved", headers=headers).json()["results"]) == 4
    refused = Client().get(address + "?state=asleep", headers=headers)
    assert refused.status_code == 400 and "applied, training" in refused.json()["state"][0]


def test_judges_that_are_models_come_in_as_such(world):
    api = Api(world, "mina", "judgements:write")
    row = ROW | {"judgements": [{"annotator": "gpt", "ranking": ["a", "b"]}]}
    assert "no kind of judge" in api.upload(row, source="?source=judges&kind=person").json()["kind"][0]
    assert api.upload(row, source="?source=judges&kind=model").json()["judgements"] == 1
    assert Annotator.objects.get(source="judges").kind == "model"


# --- Exports ----------------------------------------------------------------------------------------------------------


def test_an_export_is_started_built_listed_and_downloaded(world):
    world.tasks()
    world.answer(world.claim("ana"), 1, 2, 2)
    api = Api(world, "mina", "exports:read", "exports:write")
    made = api.post("exports/", {"project": "kitchen", "test_share": "0.5", "salt": "s"})
    assert (made.status_code, made.json()["state"], made.json()["manifest"]) == (201, "queued", None)
    path = f"exports/{made.json()['id']}/"
    assert [api.get(path + rest).status_code for rest in ("", "archive/", "files/manifest.json")] == [200, 404, 404]
    build_export(str(Job.objects.get().pk))
    found = api.get(path).json()
    assert (found["state"], found["test_share"], found["salt"], found["error"]) == ("succeeded", "0.50", "s", "")
    raw = b"".join(api.get(path + "files/manifest.json"))
    assert (sha256(raw).hexdigest(), json.loads(raw)) == (found["manifest_sha256"], found["manifest"])
    assert [one["id"] for one in api.get("exports/").json()["results"]] == [found["id"]]

    archive = api.get(path + "archive/")
    packed = zipfile.ZipFile(io.BytesIO(b"".join(archive)))
    assert int(archive["Content-Length"]) == sum(1 for _ in packed.fp.getbuffer())
    folder = packed.namelist()[0].split("/")[0]
    for file in found["manifest"]["files"]:
        content = packed.read(f"{folder}/{file['path']}")
        assert (len(content), sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
        assert b"".join(api.get(f"{path}files/{file['path']}")) == content


def test_an_export_of_nothing_says_why_it_failed(world):
    api = Api(world, "mina", "exports:read", "exports:write")
    export = api.post("exports/", {"project": "kitchen"}).json()
    build_export(str(Job.objects.get().pk))
    found = api.get(f"exports/{export['id']}/").json()
    assert found["state"] == "failed" and "nothing to export" in found["error"]


@pytest.mark.parametrize(
    "path",
    ["../../manifest.json", "..%2f..%2fmanifest.json", "%2e%2e/manifest.json", "/etc/passwd", "%2fetc%2fpasswd",
     "preference", "preference/", "manifest.json/", "Manifest.json", "manifest.json%00", "%00", "ü"],
)  # fmt: skip
def test_only_the_export_s_own_files_are_given(world, export, path):
    assert Api(world, "mina", "exports:read").get(f"exports/{export.pk}/files/{path}").status_code == 404
    page = world.client("mina")
    page.raise_request_exception = False
    assert page.get(f"/exports/{export.pk}/files/{path}").status_code == 404


def test_files_are_given_whatever_the_client_accepts(world, export):
    api = Api(world, "mina", "exports:read")
    for accept in ("application/zip", "application/vnd.apache.parquet", "text/html"):
        response = api.client.get(f"/api/exports/{export.pk}/files/manifest.json", headers={"Accept": accept})
        assert (response.status_code, b"".join(response)[:1]) == (200, b"{"), accept
        assert response["Content-Disposition"] == 'attachment; filename="manifest.json"'


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "non_field_errors"),
        ({"project": "kitchen", "instance_sets": [str(uuid4())]}, "non_field_errors"),
        ({"instance_sets": []}, "instance_sets"),
        ({"instance_sets": ["x"]}, "instance_sets"),
        ({"instance_sets": "x"}, "instance_sets"),
        ({"project": "kitchen", "test_share": "0.91"}, "test_share"),
        ({"project": "kitchen", "test_share": -0.1}, "test_share"),
        ({"project": "kitchen", "test_share": "NaN"}, "test_share"),
        ({"project": "kitchen", "test_share": [1]}, "test_share"),
        ({"project": "kitchen", "salt": ""}, "salt"),
        ({"project": "kitchen", "salt": "x" * 61}, "salt"),
        ({"project": ["kitchen"]}, "project"),
        ({"project": "no/slug"}, "project"),
    ],
)
def test_an_export_that_cannot_be_is_refused_by_field(world, body, field):
    response = Api(world, "mina", "exports:write").post("exports/", body)
    assert (response.status_code, list(response.json())) == (400, [field])
    assert not Export.objects.exists() and not Job.objects.exists()


@pytest.mark.parametrize(("name", "status"), [("otto", 404), ("ana", 403), ("rita", 403), ("ada", 201)])
def test_only_managers_and_researchers_start_exports(world, name, status):
    assert Api(world, name, "exports:write").post("exports/", {"project": "kitchen"}).status_code == status
    assert Export.objects.count() == (status == 201)


def test_a_list_goes_on_where_its_cursor_says_and_a_made_up_cursor_is_404(world):
    for _ in range(51):
        request_export(project=world.project, actor=world.users["mina"], send=False)
    api = Api(world, "mina", "exports:read")
    first = api.get("exports/").json()
    second = api.client.get(first["next"]).json()
    assert (len(first["results"]), len(second["results"]), second["next"]) == (50, 1, None)
    for cursor in (
        "x",
        "%00",
        "ü",
        *(b64encode(text).decode() for text in (b"p=soon", b"p=%00", b"o=-1", b"o=x", b"p=")),
    ):
        for path in ("exports/", "projects/"):
            assert api.get(path, cursor=cursor).status_code in (200, 403, 404), cursor


# --- Datasets ---------------------------------------------------------------------------------------------------------

ABOUT = {"name": "texts", "file_name": "texts.jsonl", "licence": "MIT", "language": "en"}


def bring(api: Api, content: bytes = b'{"a": "b"}\n', kind: str = "application/octet-stream", **query):
    return api.client.post("/api/datasets/", content, content_type=kind, query_params=ABOUT | query)


def test_a_file_is_brought_with_all_that_says_how_it_is_read(world):
    api = Api(world, "mina", "datasets:write")
    more = {
        "format": "csv",
        "encoding": "latin-1",
        "column_names": "a, b",
        "id_column": "a",
        "leave_out_refused": "true",
    }
    made = bring(api, "1;2,é\n".encode("latin-1"), file_name="texts", source="x", group_column="b", **more)
    assert made.status_code == 201, made.content
    found = {name: made.json()[name] for name in (*more, "source", "group_column", "file_name", "state")}
    assert found == more | {
        "column_names": ["a", "b"], "leave_out_refused": True, "source": "x", "group_column": "b", "file_name": "texts",
        "state": "queued",
    }  # fmt: skip
    assert bring(api, kind="text/csv; header=present").status_code == 201  # whatever it is called


def test_a_file_that_is_there_or_on_its_way_is_that_dataset(world):
    api = Api(world, "mina", "datasets:write")
    first, second = bring(api), bring(api, name="other", file_name="other.jsonl")
    assert (first.status_code, second.status_code, second.json()["id"]) == (201, 200, first.json()["id"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "no slug!"}, "name"),
        ({"licence": "mine"}, "licence"),
        ({"language": "english, mostly"}, "language"),
        ({"file_name": "texts.doc"}, "file_name"),
        ({"file_name": "x" * 256}, "file_name"),
        ({"format": "xlsx"}, "format"),
        ({"encoding": "utf-7"}, "encoding"),
        ({"column_names": "a"}, "column_names"),
        ({"column_names": "a,a", "format": "csv"}, "column_names"),
        ({"leave_out_refused": "perhaps"}, "leave_out_refused"),
        ({"source": "a\x00"}, "source"),
        ({"id_column": "x" * 201}, "id_column"),
    ],
)
def test_an_import_that_cannot_be_is_refused_by_field_and_keeps_nothing(world, query, field):
    response = bring(Api(world, "mina", "datasets:write"), **query)
    assert (response.status_code, list(response.json())) == (400, [field])
    assert not Dataset.objects.exists() and not Blob.objects.exists() and not Job.objects.exists()


def test_a_file_over_the_limit_is_413_and_names_the_command(world, settings):
    settings.DATASET_UPLOAD_MAX_BYTES = 10
    response = bring(Api(world, "mina", "datasets:write"))
    assert response.status_code == 413 and "import_dataset" in response.json()["detail"]
    assert not Blob.objects.exists()


@pytest.mark.parametrize("path", ["datasets/DATASET/rows/", "instance-sets/SET/instances/"])
def test_rows_and_instances_are_given_in_stretches(world, path):
    over = library.dataset(library.rows(5))
    made = library.instances(over, library.template(over))
    api = Api(world, "rita", "datasets:read")
    path = path.replace("DATASET", str(over.pk)).replace("SET", str(made.pk))

    def numbers(**query) -> list[int]:
        return [row.get("number", row.get("row")) for row in api.get(path, **query).json()]

    assert numbers() == [1, 2, 3, 4, 5]
    assert (numbers(start=1, count=2), numbers(start=4, count=9), numbers(start=5)) == ([2, 3], [5], [])
    assert numbers(start=2**62) == []
    for query in ({"start": -1}, {"start": "x"}, {"count": 0}, {"count": 1001}, {"start": 2**62 + 1}):
        assert api.get(path, **query).status_code == 400, query


# --- Training runs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def trainer(world) -> Api:
    return Api(world, "mina", "training:write")


def start(trainer: Api, export: Export, **fields) -> str:
    body = {
        "manifest_sha256": export.manifest_sha256,
        "trainer": "reward",
        "name": "first",
        "configuration": {"lr": 1e-5},
    }
    response = trainer.post("training-runs/", body | fields)
    assert response.status_code == 201, response.content
    return response.json()["id"]


def points(*values: float, name: str = "train/loss") -> dict:
    return {"points": [{"step": step, "name": name, "value": value} for step, value in enumerate(values)]}


def test_a_training_run_is_reported_from_start_to_end(world, export, trainer):
    response = trainer.post(
        "training-runs/",
        {
            "manifest_sha256": export.manifest_sha256,
            "trainer": "reward",
            "name": "first",
            "configuration": {"a": {"b": [1]}},
        },
    )
    assert response.status_code == 201
    run = TrainingRun.objects.get(pk=response.json()["id"])
    assert response.json()["url"] == f"http://testserver/training-runs/{run.pk}/"
    assert (run.export, run.actor, run.status, run.configuration) == (
        export,
        world.users["mina"],
        "running",
        {"a": {"b": [1]}},
    )
    path = f"training-runs/{run.pk}/"
    assert trainer.post(path + "metrics/", points(0.7, 0.6)).status_code == 204
    assert (
        trainer.post(path + "metrics/", points(9.9, 9.9, 0.5)).status_code == 204
    )  # the same points again, and one more
    assert list(TrainingMetric.objects.values_list("step", "value")) == [(0, 0.7), (1, 0.6), (2, 0.5)]
    end = {"status": "succeeded", "results": {"accuracy": {"test": 0.75}}, "error": "", "model_card": "# Card\n"}
    assert [trainer.post(path + "finish/", end).status_code for _ in range(2)] == [204, 204]
    run.refresh_from_db()
    assert (run.status, run.results, run.model_card) == ("succeeded", end["results"], "# Card\n")
    for rest, body in (
        ("finish/", end | {"status": "failed"}),
        ("finish/", end | {"results": {}}),
        ("metrics/", points(1.0)),
    ):
        refused = trainer.post(path + rest, body)
        assert (refused.status_code, list(refused.json())) == (400, ["detail"])
    assert TrainingMetric.objects.count() == 3
    assert "first" in world.client("rita").get(f"/exports/{export.pk}/").text
    page = world.client("rita").get(f"/training-runs/{run.pk}/").text
    assert "train/loss" in page and "Card</h1>" in page
    assert "train/loss" in world.client("ada").get(f"/admin/curation/trainingrun/{run.pk}/change/").text


def test_points_of_one_request_may_repeat_and_are_bounded_in_number(export, trainer):
    path = f"training-runs/{start(trainer, export)}/metrics/"
    twice = points(0.5)["points"] * 2
    assert trainer.post(path, {"points": twice}).status_code == 204
    assert TrainingMetric.objects.count() == 1
    assert trainer.post(path, points(*range(1000), name="most")).status_code == 204
    assert trainer.post(path, points(*range(1001), name="more")).status_code == 400
    assert TrainingMetric.objects.count() == 1001


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-Infinity", "1e400", '"NaN"', '"inf"', "null", "[]", '"x"', "{}"]
)
def test_a_point_that_is_no_finite_number_is_refused(export, trainer, value):
    path = f"training-runs/{start(trainer, export)}/metrics/"
    body = '{"points": [{"step": 1, "name": "loss", "value": %s}]}' % value  # noqa: UP031 - braces
    assert trainer.post(path, body).status_code == 400
    assert not TrainingMetric.objects.exists()


def test_a_run_of_an_unknown_or_foreign_export_does_not_begin(world, export):
    body = {"manifest_sha256": export.manifest_sha256, "trainer": "reward", "name": "x"}
    for name, status in {"otto": 404, "ana": 404, "rita": 403, "mina": 201, "ada": 201}.items():
        api = Api(world, name, "training:write")
        assert api.post("training-runs/", body).status_code == status, name
        assert api.post("training-runs/", body | {"manifest_sha256": "0" * 64}).status_code == 404
    for wrong in ("", "x", export.manifest_sha256.upper(), export.manifest_sha256 + "\n0", None):
        assert api.post("training-runs/", body | {"manifest_sha256": wrong}).status_code == 400


def test_another_person_s_run_does_not_exist(world, export, trainer):
    run = start(trainer, export)
    for name in ("ada", "rita", "ana", "otto"):
        api = Api(world, name, "training:write")
        for rest, body in (("metrics/", points(1.0)), ("finish/", {"status": "failed"})):
            assert api.post(f"training-runs/{run}/{rest}", body).status_code == 404
    assert trainer.post(f"training-runs/{uuid4()}/metrics/", points(1.0)).status_code == 404
    assert TrainingRun.objects.get().status == "running"


# --- Nonsense ---------------------------------------------------------------------------------------------------------

NASTY = [
    b"", b"{", b"null", b"[]", b"1", b'"x"', b"\x00", b"\xff\xfe", b"[1, 2", b"{}{}", b"NaN", b"true", b"{1: 2}",
    b"[" * 5000 + b"]" * 5000, b'{"a":' * 900 + b"1" + b"}" * 900, b'{"a": 1' + b"0" * 5000 + b"}", b'{"a": "\\ud800"}',
]  # fmt: skip
VALUES = [
    None, True, "", " ", "x" * 10_000, "\x00", "a\x00b", [], {}, [[]], [{}], {"a": None}, {"\x00": 1}, {"a": "\x00"}, -1, 2**31, 2**63,
    10**25, 10**400, 1e308, "1e999", "NaN", -0.5, [None], ["x"], [1] * 2000, {"": ""}, {"points": []}, "\ud800", "٣", "\u202e",
]  # fmt: skip
FIELDS = {
    "exports/": {"project": "kitchen", "test_share": "0.2", "salt": "s"},
    "training-runs/": {"manifest_sha256": "EXPORT", "trainer": "reward", "name": "x", "configuration": {}},
    "training-runs/RUN/metrics/": points(0.5),
    "training-runs/RUN/metrics/ point": points(0.5)["points"][0],
    "training-runs/RUN/finish/": {"status": "failed", "results": {}, "error": "", "model_card": ""},
    "exports/ instructions": {"instance_sets": ["SET"], "test_share": "0.2", "salt": "s"},
    "templates/": {
        "dataset": "DATASET", "name": "n", "task_type": "other", "language": "en", "jinja": "a ||| b", "answer_choices": "",
    },
    "instance-sets/": {"dataset": "DATASET", "template": "TEMPLATE", "seed": "other"},
    "instance-sets/SET/tasks/": {
        "project": "kitchen", "rows": [1], "sample": 0, "answer_choices": True, "output_columns": ["text"],
    },
}  # fmt: skip


@pytest.fixture
def send(world, export, trainer):
    """Posts a body and forgets what it changed; gives the status."""
    over = library.dataset(library.rows(3))
    made = library.instances(over, library.template(over))
    names = {"EXPORT": export.manifest_sha256, "RUN": start(trainer, export)}
    names |= {"DATASET": str(over.pk), "TEMPLATE": str(made.template_id), "SET": str(made.pk)}
    api = Api(world, "mina", "exports:write", "training:write", "judgements:write", "datasets:write")

    def named(text: str) -> str:
        for name, value in names.items():
            text = text.replace(name, value)
        return text

    def send(path: str, body, kind: str = "application/json") -> int:
        if path.endswith(" point"):
            body = {"points": [body]}
        raw = body if isinstance(body, bytes) else named(json.dumps(body))
        with transaction.atomic():
            response = api.post(named(path.split()[0]), raw, kind)
            transaction.set_rollback(True)
        return response.status_code

    return send


@pytest.mark.parametrize("path", FIELDS)
def test_bodies_that_make_no_sense_are_refused(send, path):
    assert send(path, FIELDS[path]) in (200, 201, 204)
    whole = path.split()[0]
    assert {raw[:20]: status for raw in NASTY if (status := send(whole, raw)) != 400} == {}
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/x-ndjson",
    ):
        assert send(whole, b"a=b", kind) == 415
    assert send(whole, b" " * (10 * 1024 * 1024 + 1)) == 413
    for field in FIELDS[path]:
        for value in VALUES:
            status = send(path, FIELDS[path] | {field: value})
            assert status in (200, 201, 204, 400, 404), (field, repr(value)[:40], status)


@pytest.mark.parametrize(
    ("field", "value"), [("configuration", {"a": "\x00"}), ("configuration", {"a": "\ud800"}), ("name", "a\x00")]
)
def test_what_the_database_cannot_hold_is_refused_before_it(send, field, value):
    assert send("training-runs/", FIELDS["training-runs/"] | {field: value}) == 400


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["\x00", "\ud800", 10**400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(data=st.data())
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_json_at_all_ends_in_an_error_of_the_server(send, data):
    path = data.draw(st.sampled_from(sorted(FIELDS)))
    body = data.draw(anything | st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS[path], anything)))
    if isinstance(body, dict) and data.draw(st.booleans()):
        body = FIELDS[path] | body
    assert send(path, body) < 500


def test_no_line_of_judgements_ends_in_an_error_of_the_server(send):
    lines = [*NASTY, *(json.dumps(ROW | {field: value}).encode() for field in ROW for value in VALUES)]
    answers = {raw: send("projects/kitchen/judgements/?source=s", raw, "application/x-ndjson") for raw in lines}
    assert {raw[:60]: status for raw, status in answers.items() if status not in (200, 400)} == {}
    assert {answers[raw] for raw in NASTY} == {400} and 200 in answers.values()


def test_the_schema_generates_without_a_warning_and_names_every_endpoint(tmp_path):
    call_command(
        "spectacular", "--fail-on-warn", "--validate", "--format", "openapi-json", "--file", str(tmp_path / "s")
    )
    schema = json.loads((tmp_path / "s").read_text())
    assert len(schema["paths"]) == 31
    assert schema["components"]["securitySchemes"]["token"] == {"type": "http", "scheme": "bearer"}
