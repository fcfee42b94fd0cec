"""Exports of instructions: rows as trainers read them, splits that do not leak, the same bytes each time."""

import hashlib
import io
import zipfile
from collections import Counter
from contextlib import suppress
from decimal import Decimal

import orjson
import pyarrow.parquet as pq
import pytest
from django.core.exceptions import ValidationError

from curation.exporting.splits import is_held_out
from curation.models import Export
from curation.services import blobs, sft_export
from curation.services import instances as instance_verbs
from curation.services.exports import request_sft_export
from curation.tasks import build_export
from jobs.models import Job
from jobs.services import sweep
from tests import library
from trainers.export import Refused, check_held_out, open_export

pytestmark = pytest.mark.django_db


def made(count: int = 40, jinja: str = library.JINJA, template: dict | None = None, **fields):
    """An instance set over a dataset of its own."""
    over = library.dataset(library.rows(count), **fields)
    return library.instances(over, library.template(over, jinja, **(template or {})))


def rows_of(export: Export) -> dict[str, list[dict]]:
    """The rows of each split there is."""
    return {
        split: pq.read_table(io.BytesIO(library.file_of(export, f"sft/{split}-00000-of-00001.parquet"))).to_pylist()
        for split, figures in export.manifest["splits"].items()
        if figures["rows"]
    }


def all_rows(export: Export) -> list[dict]:
    return [row for rows in rows_of(export).values() for row in rows]


def unpacked(export: Export, folder):
    """The folder as one has it after downloading."""
    for file in export.files.select_related("blob"):
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blobs.file_of(file.blob).read_bytes())
    return folder


# --- Rows -------------------------------------------------------------------------------------------------------------


def test_a_row_is_a_prompt_and_a_completion_with_where_they_come_from(world):
    instances = made(1, id_column="id", template={"language": "de"})
    export = library.sft_export(instances, test_share=Decimal(0))
    one = library.rendered(instances)[0]
    assert rows_of(export) == {
        "train": [
            {
                "row_id": "texts@1/shorter@1#1",
                "prompt": [{"role": "user", "content": "Say it shorter: A long text, number 1."}],
                "completion": [{"role": "assistant", "content": "Text 1."}],
                "instance": "texts@1/shorter@1#1",
                "dataset": "texts@1",
                "row": 1,
                "template": "texts/shorter@1",
                "language": "de",
                "prompt_id": one["prompt_id"],
                "split_group": one["split_group"],
            }
        ]
    }
    assert [file.path for file in export.files.all()] == [
        "README.md", "charts/lengths-characters.svg", "jsonl/train.jsonl", "manifest.json",
        "sft/train-00000-of-00001.parquet", "verify.py",
    ]  # fmt: skip


def test_the_readable_twin_says_the_same_and_both_splits_are_in_order(world):
    export = library.sft_export(made())
    rows = rows_of(export)
    assert set(rows) == {"train", "test"}
    for split, found in rows.items():
        lines = library.file_of(export, f"jsonl/{split}.jsonl").splitlines()
        assert [orjson.loads(line) for line in lines] == found
        assert [row["row"] for row in found] == sorted(row["row"] for row in found)
    assert sorted(row["row"] for row in all_rows(export)) == list(range(1, 41))


def test_instances_of_two_seeds_are_told_apart(world):
    instances = made(3, "{{ ['Shorten', 'Condense'] | choice }} {{ text }} ||| {{ short }}")
    other = library.instances(instances.dataset, instances.template, seed="other")
    export = library.sft_export(instances, other, test_share=Decimal(0))
    names = [row["instance"] for row in all_rows(export)]
    assert len(names) == len(set(names)) == 6


# --- Splits -----------------------------------------------------------------------------------------------------------


def sides(export: Export, key) -> dict[str, set]:
    return {split: {key(row) for row in rows} for split, rows in rows_of(export).items()}


def test_rows_of_a_group_share_a_split(world):
    export = library.sft_export(made(group_column="group", id_column="id"), test_share=Decimal("0.5"))
    found = sides(export, lambda row: f"g{row['row'] // 2}")
    assert len(found["train"]) > 3 and len(found["test"]) > 3
    assert not found["train"] & found["test"]
    splits = export.manifest["splits"]
    assert {split: figures["split_groups"] for split, figures in splits.items()} == {
        split: len(groups) for split, groups in found.items()
    }


def test_all_that_is_made_of_a_row_is_in_one_split_whatever_the_template(world):
    first = made(id_column="id")
    more = library.template(first.dataset, "What is in short {{ text }} ||| {{ short }}", name="other")
    export = library.sft_export(first, library.instances(first.dataset, more), test_share=Decimal("0.5"))
    found = sides(export, lambda row: row["row"])
    assert not found["train"] & found["test"]
    assert found["train"] | found["test"] == set(range(1, 41))
    assert len(all_rows(export)) == 80


def test_without_a_group_or_an_id_equal_rows_share_a_split(world):
    plain = [{"text": f"Text {at % 20}", "short": "t", "n": 1} for at in range(40)]
    over = library.dataset(plain)
    jinja = "{{ text }} {{ range(1000) | random }} ||| {{ short }}"  # so that no prompt stands twice
    export = library.sft_export(library.instances(over, library.template(over, jinja)), test_share=Decimal("0.5"))
    found = sides(export, lambda row: row["row"] % 20)
    assert not found["train"] & found["test"]
    assert found["train"] and found["test"]


def test_a_held_out_instance_whose_prompt_is_trained_on_too_is_left_out_and_counted(world):
    over = library.dataset([row | {"text": f"Text {row['row'] // 2}"} for row in numbered(40)], id_column="id")
    instances = library.instances(over, library.template(over))
    export = library.sft_export(instances, test_share=Decimal("0.5"))
    counts, splits = export.manifest["counts"], export.manifest["splits"]
    found = sides(export, lambda row: row["prompt_id"])
    assert not found["train"] & found["test"]
    held_out = {row["row"]: is_held_out(row["split_group"], "plumbline", 0.5) for row in library.rendered(instances)}
    trained_on = {row["prompt_id"] for row in library.rendered(instances) if not held_out[row["row"]]}
    leaking = {
        row["row"] for row in library.rendered(instances) if held_out[row["row"]] and row["prompt_id"] in trained_on
    }
    assert counts["held_out_but_trained_on"] == len(leaking) > 0
    assert {row["row"] for row in all_rows(export)} == set(range(1, 41)) - leaking
    assert (counts["instances"], counts["rows"] + counts["held_out_but_trained_on"]) == (40, 40)
    assert counts["rows"] == len(all_rows(export)) == splits["train"]["rows"] + splits["test"]["rows"]
    assert {split: figures["prompts"] for split, figures in splits.items()} == {
        split: len(prompts) for split, prompts in found.items()
    }
    assert {split: figures["split_groups"] for split, figures in splits.items()} == {
        split: len(groups) for split, groups in sides(export, lambda row: row["split_group"]).items()
    }


def numbered(count: int) -> list[dict]:
    return [row | {"row": at} for at, row in enumerate(library.rows(count))]


def test_a_new_version_of_a_dataset_keeps_what_is_held_out(world):
    first = library.sft_export(made(30, id_column="id"))
    over = library.dataset([row | {"short": "Shorter."} for row in library.rows(60)], id_column="id")
    assert over.version == 2
    second = library.sft_export(library.instances(over, library.template(over)))
    before, after = sides(first, lambda row: row["row"]), sides(second, lambda row: row["row"])
    assert before["test"] and after["test"] > before["test"]
    assert after["test"] & set(range(1, 31)) == before["test"]
    # Both at once: the prompts are the same in each version, and so are their sides.
    both = library.sft_export(*(made.instance_sets.get() for made in (first, second)))
    assert both.manifest["counts"]["held_out_but_trained_on"] == 0
    assert [one["version"] for one in both.manifest["datasets"]] == [1, 2]


def test_another_salt_holds_out_others_and_share_0_none(world):
    instances = made(60)
    found = {
        salt: sides(library.sft_export(instances, salt=salt), lambda row: row["row"])["test"] for salt in ("a", "b")
    }
    assert found["a"] != found["b"]
    assert set(rows_of(library.sft_export(instances, test_share=Decimal(0)))) == {"train"}


def test_of_a_task_type_no_more_than_the_cap_go_in_whatever_the_template(world):
    over = library.dataset(library.rows(10), id_column="id")
    sets = [
        library.instances(
            over, library.template(over, f"{words} {{{{ text }}}} ||| {{{{ short }}}}", name=name, task_type=of)
        )
        for name, words, of in (
            ("one", "Say:", "summarisation"),
            ("two", "Tell:", "summarisation"),
            ("three", "Give:", "translation"),
        )
    ]
    export = library.sft_export(*sets, cap=4, test_share=Decimal("0.3"))
    found = Counter("translation" if "/three@" in row["template"] else "summarisation" for row in all_rows(export))
    assert found == {"summarisation": 4, "translation": 4}
    counts = export.manifest["counts"]
    assert (counts["rows"], counts["over_the_cap"], counts["instances"]) == (8, 22, 30)
    assert sum(split["prompts"] for split in export.manifest["splits"].values()) == 8
    whole = {row["row_id"] for row in all_rows(library.sft_export(*sets, cap=30, test_share=Decimal("0.3")))}
    assert len(whole) == 30 and {row["row_id"] for row in all_rows(export)} < whole


# --- The manifest -----------------------------------------------------------------------------------------------------


def test_the_manifest_says_what_is_in_it(world):
    over = library.dataset(library.rows(10), group_column="group", source="A paper")
    jinja = "{% if id == 'r1' %}{% else %}{{ text }} ||| {% if id != 'r2' %}{{ short }}{% endif %}{% endif %}"
    by = library.template(over, jinja, answer_choices="yes ||| no")
    instances = library.instances(over, by, seed="s")
    export = library.sft_export(instances, test_share=Decimal("0.3"), salt="x")
    manifest = export.manifest
    assert {name: manifest[name] for name in ("format", "format_version", "kind", "unit", "parameters")} == {
        "format": "plumbline-export",
        "format_version": 2,
        "kind": "sft",
        "unit": "instance",
        "parameters": {"test_share": 0.3, "salt": "x", "cap": None},
    }
    assert manifest["datasets"] == [
        {
            "name": "texts", "version": 1, "licence": "CC0-1.0", "language": "en", "source": "A paper", "rows": 10,
            "sha256": hashlib.sha256(library.jsonl(library.rows(10))).hexdigest(), "group_column": "group",
        }
    ]  # fmt: skip
    assert manifest["templates"] == [
        {
            "dataset": "texts", "name": "shorter", "version": 1, "task_type": "summarisation", "language": "en",
            "sha256": by.sha256, "jinja": jinja, "answer_choices": "yes ||| no",
            "kind": "direct",
            "origin": "ours",
        }
    ]  # fmt: skip
    assert manifest["instance_sets"] == [
        {
            "dataset": "texts@1", "template": "texts/shorter@1", "seed": "s", "instances": 8,
            "dropped": {"blank": 1, "empty_target": 1}, "sha256": instances.table_id,
        }
    ]  # fmt: skip
    assert manifest["counts"] == {
        "instances": 8, "held_out_but_trained_on": 0, "rows": 8, "dropped_blank": 1, "dropped_empty_target": 1,
    }  # fmt: skip
    assert set(manifest["row_schema"]) == set(all_rows(export)[0])
    assert sum(figures["rows"] for figures in manifest["splits"].values()) == 8
    for entry in manifest["files"]:
        content = library.file_of(export, entry["path"])
        assert (entry["bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    written = library.file_of(export, "manifest.json")
    assert (orjson.loads(written), hashlib.sha256(written).hexdigest()) == (manifest, export.manifest_sha256)
    rows = b"".join(library.file_of(export, f"jsonl/{split}.jsonl") for split in ("train", "test"))
    assert manifest["rows_sha256"] == hashlib.sha256(rows).hexdigest()


def test_the_card_stays_a_card_whatever_people_wrote(world):
    over = library.dataset(library.rows(3), source="a | b\n# <script>alert(1)</script>")
    by = library.template(over, name="x | y <b>`")
    export = library.sft_export(library.instances(over, by), test_share=Decimal(0))
    card = library.file_of(export, "README.md").decode()
    _, front, body = card.split("---\n", 2)
    assert orjson.loads(front)["license"] == ["cc0-1.0"]
    assert orjson.loads(front)["configs"][0]["data_files"] == [
        {"split": "train", "path": "sft/train-00000-of-00001.parquet"}
    ]
    row = next(line for line in body.splitlines() if "alert" in line)
    assert row == r"| texts 1 | CC0-1.0 | en | 3 | a \| b \# \<script\>alert(1)\</script\> |"
    assert r"x \| y \<b\>\`@1 |" in body
    assert "\n# <" not in body


# --- The same bytes ---------------------------------------------------------------------------------------------------


def test_the_same_request_gives_the_same_bytes_in_whatever_order_the_sets_are_named(world):
    first = made(id_column="id")
    second = library.instances(first.dataset, library.template(first.dataset, "a {{ text }} ||| b", name="b"))
    exports = [library.sft_export(*sets) for sets in ((first, second), (first, second), (second, first))]
    assert len({one.manifest_sha256 for one in exports}) == 1
    files = [dict(one.files.values_list("path", "blob")) for one in exports]
    assert files[0] == files[1] == files[2]


def test_batches_leave_no_trace_in_the_bytes(world, monkeypatch):
    instances = made()
    first = library.sft_export(instances)
    monkeypatch.setattr(
        sft_export, "instances_of", lambda one, columns=None: instance_verbs.instances_of(one, 7, columns=columns)
    )
    assert library.sft_export(instances).manifest_sha256 == first.manifest_sha256


class Killed(BaseException):
    """As a signal would end the process: no `except Exception` sees it."""


def test_a_build_that_is_killed_is_made_again_with_the_same_bytes(world, monkeypatch):
    instances = made()
    undisturbed = library.sft_export(instances)
    again = request_sft_export(instance_sets=[instances], actor=None, send=False)
    written = []

    def dies(self, one, row, leaking):
        written.append(row)
        if len(written) == 20:
            raise Killed

    with monkeypatch.context() as patched, suppress(Killed):
        patched.setattr(sft_export._Builder, "_write", dies)
        build_export(str(again.job_id))
    again.refresh_from_db()
    assert (len(written), again.built, again.files.count()) == (20, False, 0)
    Job.objects.filter(pk=again.job_id).update(heartbeat_at="2020-01-01T00:00Z")
    assert sweep()["requeued"] == 1
    build_export(str(again.job_id))
    again.refresh_from_db()
    assert again.manifest_sha256 == undisturbed.manifest_sha256
    assert dict(again.files.values_list("path", "blob")) == dict(undisturbed.files.values_list("path", "blob"))


# --- What cannot be ---------------------------------------------------------------------------------------------------


def test_nothing_to_export_is_a_failed_job_that_says_so(world):
    nothing = library.sft_export(made(4, "{% if id == 'x' %}a ||| b{% endif %}"))
    assert (nothing.built, nothing.job.state) == (False, Job.State.FAILED)
    assert "No instance is left" in nothing.job.error
    assert not nothing.files.exists()


def test_a_prompt_that_all_rows_share_is_trained_on_and_not_held_out(world):
    export = library.sft_export(made(30, "Tell me something. ||| {{ short }}"), test_share=Decimal("0.5"))
    assert set(rows_of(export)) == {"train"}
    counts = export.manifest["counts"]
    assert counts["rows"] + counts["held_out_but_trained_on"] == 30 and counts["held_out_but_trained_on"] > 5


def test_sets_that_are_none_or_not_whole_are_refused_and_leave_no_job(world):
    whole = made(3)
    waiting = instance_verbs.request_instances(
        dataset=whole.dataset, template=whole.template, seed="s", actor=None, send=False
    )
    jobs = Job.objects.count()
    for sets, said in (([], "at least one"), ([waiting], "not rendered yet: texts")):
        with pytest.raises(ValidationError) as caught:
            request_sft_export(instance_sets=sets, actor=None, send=False)
        assert said in caught.value.message_dict["instance_sets"][0]
    for options in ({"test_share": "0.95"}, {"test_share": "-0.1"}, {"salt": ""}):
        with pytest.raises(ValidationError) as caught:
            library.sft_export(whole, **options)
        assert list(caught.value.message_dict) == list(options)
    assert (Export.objects.count(), Job.objects.count()) == (0, jobs)


# --- The way out ------------------------------------------------------------------------------------------------------


def test_the_trainers_open_it_and_find_nothing_of_train_in_test(world, tmp_path):
    export = library.sft_export(made(group_column="group"), test_share=Decimal("0.4"))
    opened = open_export(unpacked(export, tmp_path), "sft")
    assert opened.manifest_sha256 == export.manifest_sha256
    train, test = opened.sft_rows("train"), opened.sft_rows("test")
    check_held_out(train, test)
    rows = rows_of(export)
    assert (train.num_rows, test.num_rows) == (len(rows["train"]), len(rows["test"]))
    assert train.to_pylist() == [{name: row[name] for name in train.column_names} for row in rows["train"]]
    (tmp_path / "jsonl" / "train.jsonl").write_bytes(b"{}\n")
    with pytest.raises(Refused, match="jsonl/train"):
        open_export(tmp_path, "sft")


def test_through_the_api_from_a_file_to_the_archive(world):
    client = world.client("mina")
    header = {"headers": world.token("mina", "datasets:read", "datasets:write", "exports:read", "exports:write")}
    query = "?name=texts&file_name=texts.jsonl&licence=MIT&language=en&id_column=id"
    data = client.generic("POST", f"/api/datasets/{query}", library.jsonl(library.rows(12)), **header)
    assert (data.status_code, data.json()["state"]) == (201, "queued")

    def run(kind: str) -> None:
        for job in Job.objects.filter(kind=kind, state=Job.State.QUEUED):
            TASKS[kind](str(job.pk))

    run("curation.import_dataset")
    path = f"/api/datasets/{data.json()['id']}/"
    found = client.get(path, **header).json()
    assert (found["state"], found["rows"], found["version"]) == ("succeeded", 12, 1)
    assert client.get(f"{path}rows/?start=11", **header).json()[0]["values"]["id"] == "r12"

    def post(address: str, body: dict) -> dict:
        response = client.post(f"/api/{address}/", body, content_type="application/json", **header)
        assert response.status_code == 201, response.content
        return response.json()

    body = {"dataset": found["id"], "name": "n", "task_type": "other", "language": "en", "jinja": library.JINJA}
    template = post("templates", body)
    instances = post("instance-sets", {"dataset": found["id"], "template": template["id"]})
    refused = client.post(
        "/api/exports/", {"instance_sets": [instances["id"]]}, content_type="application/json", **header
    )
    assert (refused.status_code, list(refused.json())) == (400, ["instance_sets"])  # not rendered yet
    run(instance_verbs.JOB)
    assert client.get(f"/api/instance-sets/{instances['id']}/", **header).json()["instances"] == 12
    first = client.get(f"/api/instance-sets/{instances['id']}/instances/?count=1", **header).json()
    assert [one["target"] for one in first] == ["Text 1."]
    export = post("exports", {"instance_sets": [instances["id"], instances["id"]], "test_share": "0"})
    run("curation.build_export")
    archive = client.get(f"/api/exports/{export['id']}/archive/", **header)
    with zipfile.ZipFile(io.BytesIO(b"".join(archive))) as packed:
        name = next(one for one in packed.namelist() if one.endswith(".parquet"))
        assert pq.read_table(io.BytesIO(packed.read(name))).num_rows == 12


TASKS = {
    "curation.import_dataset": library.import_dataset,
    instance_verbs.JOB: library.build_instances,
    "curation.build_export": library.build_export,
}
