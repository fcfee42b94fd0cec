"""Datasets: imported whole or not at all, by page, API, admin and command alike; the same file is one dataset."""

import csv
import gzip
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from celery import current_app
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from curation.models import Blob, Dataset
from curation.services import blobs, datasets
from curation.services.datasets import Known, batches_of, remove_failed, rows_numbered, rows_of
from curation.services.reading import format_of
from curation.tasks import import_dataset
from jobs.models import Job
from tests import library
from tests.badfiles import REFUSED, BadFile, good_rows, jsonl, nested, parquet
from tests.stack import PROJECT, celery_beat, celery_worker, database_url

pytestmark = pytest.mark.django_db
ABOUT = {"name": "texts", "licence": "CC0-1.0", "language": "en"}


def imported(content: bytes, file_name: str = "texts.jsonl", **fields: Any) -> Dataset:
    return library.dataset(content, file_name=file_name, **fields)


def values_of(dataset: Dataset) -> list[dict[str, Any]]:
    return [row["values"] for row in rows_of(dataset, 0, dataset.rows or 0)]


def assert_nothing_is_there(dataset: Dataset) -> None:
    dataset.refresh_from_db()
    assert (dataset.table_id, dataset.version, dataset.rows, dataset.job.state) == (None, None, None, Job.State.FAILED)
    assert not Dataset.objects.whole().exists()


# --- What is taken ----------------------------------------------------------------------------------------------------


def test_a_file_becomes_a_table_with_its_columns_and_counts(world):
    rows = [*good_rows(3), {"id": "r4", "text": "", "extra": [1]}]
    dataset = imported(jsonl(*rows), actor=world.users["mina"], source="a study")
    assert (dataset.job.state, dataset.title, dataset.rows, dataset.refused) == ("succeeded", "texts@1", 4, 0)
    assert dataset.columns == [
        {"name": "id", "kind": "text", "empty": 0},
        {"name": "text", "kind": "text", "empty": 1},
        {"name": "label", "kind": "integer", "empty": 1},
        {"name": "extra", "kind": "list", "empty": 3},
    ]
    assert rows_of(dataset, 2, 5) == [
        {"number": 3, "values": rows[2] | {"extra": None}},
        {"number": 4, "values": rows[3] | {"label": None}},
    ]
    assert rows_of(dataset, 4, 5) == []
    assert [row for batch in batches_of(dataset, 3) for row in batch] == [
        (row["number"], row["values"]) for row in rows_of(dataset, 0, 4)
    ]
    assert {number: row["text"] for number, row in rows_numbered(dataset, [1, 3]).items()} == {1: "Text 1", 3: "Text 3"}


def test_an_object_of_ten_levels_comes_back_as_it_was(world):
    assert values_of(imported(jsonl(nested(10)))) == [nested(10)]


def test_rows_that_are_refused_are_left_out_when_that_is_wanted_and_the_rest_keep_their_numbers(world):
    content = jsonl(*good_rows(3)) + b"{broken\n" + jsonl({"id": "r2", "text": "twin"}, {"text": "no id"}, {"id": "r9"})
    dataset = imported(content, id_column="id", leave_out_refused=True)
    assert (dataset.rows, dataset.refused) == (4, 3)
    assert [row["number"] for row in rows_of(dataset, 0, 9)] == [1, 2, 3, 7]
    assert [(one["row"], one["column"]) for one in dataset.refusals] == [(4, ""), (5, "id"), (6, "id")]
    assert {one["name"]: one["empty"] for one in dataset.columns} == {"id": 0, "text": 1, "label": 1}


def test_when_all_rows_are_refused_there_is_nothing_to_leave_out_and_the_import_fails(world):
    dataset = imported(b"{broken\nbroken too\n", leave_out_refused=True)
    assert_nothing_is_there(dataset)
    assert "2 of 2 rows cannot be taken" in dataset.job.error


@pytest.mark.parametrize("names", [("first", "nr", "id"), ("ID", "id", "Id"), ('a"b', "c0", "'; --"), ("_ROW", "file")])
def test_ids_that_stand_twice_are_found_whatever_the_columns_are_called(world, names):
    rows = [{name: f"{name}{n}" for name in names} | {names[-1]: f"v{n % 4}"} for n in range(6)]
    dataset = imported(jsonl(*rows), id_column=names[-1])
    assert_nothing_is_there(dataset)
    assert [one["row"] for one in dataset.refusals] == [5, 6]
    assert "“v0” is the id of row 1 too" in dataset.refusals[0]["message"]
    assert imported(jsonl(*rows), id_column=names[0]).rows == 6


def test_ids_of_any_kind_are_compared_as_they_are(world):
    assert imported(b"id,x\n7,a\n07,b\n", "a.csv", id_column="id").rows == 2
    assert imported(b"id,x\n7,a\n8,b\n7,c\n", "b.csv", id_column="id").refused == 1
    assert imported(jsonl({"id": "a"}, {"id": "A"}, {"id": "a "}), id_column="id").rows == 3
    assert imported(jsonl({"id": [1, "a"]}, {"id": [1, "b"]}, {"id": [1, "a"]}), id_column="id").refused == 1


@pytest.mark.parametrize(
    ("file_name", "says"),
    [
        ("a.csv", "csv"),
        ("a.csv.gz", "csv"),
        ("A.TSV", "tsv"),
        ("a.b.ndjson", "jsonl"),
        ("a.parquet", "parquet"),
        ("a", ""),
    ],
)
def test_the_name_says_the_format(file_name, says):
    assert format_of(file_name) == says


@pytest.mark.parametrize(
    ("fields", "about"),
    [
        ({"licence": "free for all"}, "licence"),
        ({"licence": ""}, "licence"),
        ({"language": "english language"}, "language"),
        ({"language": ""}, "language"),
        ({"name": "two words"}, "name"),
        ({"file_name": "texts"}, "file_name"),
        ({"format": "xlsx"}, "format"),
        ({"encoding": "ebcdic"}, "encoding"),
        ({"column_names": ["a", "a"]}, "column_names"),
        ({"column_names": ["a"]}, "column_names"),
    ],
)
def test_fields_that_make_no_sense_are_refused_before_anything_is_kept(world, fields, about):
    with pytest.raises(ValidationError) as caught:
        imported(jsonl(*good_rows()), **fields)
    assert list(caught.value.message_dict) == [about]
    assert not Job.objects.exists() and not Blob.objects.exists() and not Dataset.objects.exists()


# --- The same file, the same name -------------------------------------------------------------------------------------


def test_the_same_file_read_in_the_same_way_is_the_same_dataset_whatever_it_is_called(world):
    first = imported(jsonl(*good_rows()))
    with pytest.raises(Known) as caught:
        imported(jsonl(*good_rows()), "other.jsonl", name="other", licence="MIT")
    assert caught.value.dataset == first
    assert "texts · 1" in str(caught.value)
    assert (Dataset.objects.count(), Job.objects.count()) == (1, 1)
    assert imported(jsonl(*good_rows()), id_column="id").title == "texts@2"  # read otherwise


def test_a_file_that_is_being_imported_is_known_and_one_that_failed_may_come_again(world):
    request = {"stream": io.BytesIO(b"{broken"), "file_name": "a.jsonl", "actor": None, "send": False}
    first = datasets.request_import(**request, **ABOUT)
    with pytest.raises(Known, match="is being imported"):
        datasets.request_import(**request | {"stream": io.BytesIO(b"{broken")}, **ABOUT)
    import_dataset(str(first.job_id))
    assert imported(b"{broken").pk != first.pk


def test_a_failed_import_can_be_removed_and_a_whole_one_cannot(world):
    whole, failed = imported(jsonl(*good_rows())), imported(b"{broken")
    remove_failed(dataset=failed)
    with pytest.raises(ValidationError, match="Only an import that failed"):
        remove_failed(dataset=whole)
    waiting = datasets.request_import(stream=io.BytesIO(b"x"), file_name="a.csv", actor=None, send=False, **ABOUT)
    with pytest.raises(ValidationError, match="Only an import that failed"):
        remove_failed(dataset=waiting)
    assert set(Dataset.objects.all()) == {whole, waiting}


def in_threads(work: Callable[[int], Any], count: int) -> list[Any]:
    """What `work` gives or raises in so many threads that begin at once, each with a connection of its own."""
    together = threading.Barrier(count)

    def one(number: int) -> Any:
        try:
            together.wait(30)
            return work(number)
        except Known as known:
            return known
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@pytest.mark.django_db(transaction=True)
def test_of_imports_of_one_file_at_once_one_is_made_and_the_others_are_told_of_it():
    content = jsonl(*good_rows(2000))
    done = in_threads(lambda _n: library.dataset(content), 4)
    made = [one for one in done if isinstance(one, Dataset)]
    known = [one for one in done if isinstance(one, Known)]
    assert (len(made), len(known), Dataset.objects.count(), Job.objects.count()) == (1, 3, 1, 1)
    assert {one.dataset.pk for one in known} == {made[0].pk}
    assert (made[0].title, made[0].rows) == ("texts@1", 2000)


@pytest.mark.django_db(transaction=True)
def test_imports_of_one_name_at_once_get_versions_of_their_own():
    done = in_threads(lambda number: library.dataset(jsonl(*good_rows(500 + number))), 4)
    assert sorted(one.version for one in done) == [1, 2, 3, 4]
    assert sorted(one.rows for one in done) == [500, 501, 502, 503]


@pytest.mark.django_db(transaction=True)
def test_one_job_that_two_workers_get_at_once_is_done_once():
    made = datasets.request_import(
        stream=io.BytesIO(jsonl(*good_rows(3000))), file_name="a.jsonl", actor=None, send=False, **ABOUT
    )
    in_threads(lambda _n: import_dataset(str(made.job_id)), 2)
    made.refresh_from_db()
    assert (made.rows, made.version, made.job.attempt) == (3000, 1, 1)


def test_an_attempt_that_was_taken_for_dead_changes_nothing_that_another_has_done(world):
    made = datasets.request_import(
        stream=io.BytesIO(jsonl(*good_rows())), file_name="a.jsonl", actor=None, send=False, **ABOUT
    )
    import_dataset(str(made.job_id))
    done = Dataset.objects.get(pk=made.pk)
    late = datasets._Import(Dataset.objects.get(pk=made.pk), Path("/nowhere"), made.job)
    late._publish(None, None)
    assert Dataset.objects.filter(pk=made.pk).values().get() == Dataset.objects.filter(pk=done.pk).values().get()
    assert (Dataset.objects.count(), done.version) == (1, 1)


# --- What is refused, in all four ways --------------------------------------------------------------------------------


def by_service(world, bad: BadFile, tmp_path) -> tuple[Dataset, str]:
    dataset = imported(bad.build(), bad.file_name, **bad.options)
    return dataset, dataset.job.error


def by_command(world, bad: BadFile, tmp_path) -> tuple[Dataset, str]:
    path = tmp_path / bad.file_name
    path.write_bytes(bad.build())
    with pytest.raises(CommandError) as caught:
        call_command("import_dataset", path, **ABOUT, **bad.options, stderr=io.StringIO(), stdout=io.StringIO())
    return Dataset.objects.get(), str(caught.value)


def by_api(world, bad: BadFile, tmp_path) -> tuple[Dataset, str]:
    client = Client(headers=world.token("mina", "datasets:write", "datasets:read"))
    response = upload_by_api(client, bad.build(), file_name=bad.file_name, **bad.options)
    assert (response.status_code, response.json()["state"]) == (201, "queued"), response.content
    dataset = Dataset.objects.get()
    import_dataset(str(dataset.job_id))
    found = client.get(f"/api/datasets/{dataset.pk}/").json()
    assert (found["state"], found["rows"], found["version"]) == ("failed", None, None)
    assert client.get(f"/api/datasets/{dataset.pk}/rows/").json() == []
    return dataset, found["error"]


def upload_by_api(client: Client, content: bytes, **fields: Any):
    query = ABOUT | fields
    return client.post("/api/datasets/", content, content_type="application/octet-stream", query_params=query)


def by_page(world, bad: BadFile, tmp_path) -> tuple[Dataset | None, str]:
    client = world.client("mina")
    response = upload_by_page(client, bad.build(), bad.file_name, **bad.options)
    if response.status_code == 422:  # a form refuses a file without a byte by itself
        return None, response.content.decode()
    dataset = Dataset.objects.get()
    assert response.url == f"/datasets/{dataset.pk}/"
    import_dataset(str(dataset.job_id))
    page = client.get(response.url)
    assert page.status_code == 200
    assert page.context["job"].error in unescaped(page)
    return dataset, unescaped(page)


def upload_by_page(client: Client, content: bytes, file_name: str, **fields: Any):
    return client.post(
        "/datasets/import/", ABOUT | {"encoding": "utf-8", "upload": SimpleUploadedFile(file_name, content)} | fields
    )


def unescaped(page) -> str:
    return unescape(page.content.decode())


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_file_is_refused_with_a_message_and_nothing_is_half_done(world, name, tmp_path):
    bad = REFUSED[name]
    dataset, said = by_service(world, bad, tmp_path)
    assert [words for words in bad.says if words not in said] == [], said
    assert "went wrong" not in said
    assert_nothing_is_there(dataset)
    assert list((Path(settings.MEDIA_ROOT) / "tmp").glob("dataset-*")) == []
    assert len(dataset.refusals) == min(dataset.refused, 1000)


@pytest.mark.parametrize("way", [by_command, by_api, by_page])
@pytest.mark.parametrize("name", list(REFUSED)[:9])
def test_the_worst_files_are_refused_by_command_api_and_page_alike(world, name, way, tmp_path):
    bad = REFUSED[name]
    dataset, said = way(world, bad, tmp_path)
    if dataset is None:
        assert name == "empty" and "The submitted file is empty" in said
        assert not Dataset.objects.exists()
        return
    assert [words for words in bad.says if words not in said] == [], said
    assert_nothing_is_there(dataset)


# --- The page ---------------------------------------------------------------------------------------------------------


def test_the_page_takes_a_file_and_shows_its_rows(world):
    client = world.client("mina")
    content = b'id,<b>text</b>\n1,"<script>alert(1)</script>"\n2,caf\xe9\n'
    response = upload_by_page(client, content, "a.csv", encoding="latin-1", id_column="id")
    dataset = Dataset.objects.get()
    assert (dataset.actor, dataset.encoding, dataset.id_column) == (world.users["mina"], "latin-1", "id")
    assert client.get(response.url).status_code == 200  # not there yet
    import_dataset(str(dataset.job_id))
    page = client.get(response.url).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "<script>alert" not in page
    assert "&lt;b&gt;text&lt;/b&gt;" in page and "<b>text" not in page
    assert "café" in page


def test_the_page_leads_to_the_dataset_that_a_known_file_is(world):
    client = world.client("mina")
    first = imported(jsonl(*good_rows()))
    response = client.post(
        "/datasets/import/",
        ABOUT | {"encoding": "utf-8", "upload": SimpleUploadedFile("b.jsonl", jsonl(*good_rows()))},
        follow=True,
    )
    assert response.redirect_chain == [(f"/datasets/{first.pk}/", 302)]
    assert "This file is there already, as texts · 1." in unescaped(response)
    assert Dataset.objects.count() == 1


def test_the_page_shows_at_most_a_hundred_refused_rows_and_removes_a_failed_import(world):
    client = world.client("mina")
    dataset = imported(b"{broken\n" * 1500, actor=world.users["mina"])
    assert (dataset.refused, len(dataset.refusals)) == (1500, 1000)
    page = client.get(f"/datasets/{dataset.pk}/")
    assert page.content.decode().count("It is not JSON") == 101  # the first is in the job's message too
    assert client.post(f"/datasets/{dataset.pk}/remove/").status_code == 302
    assert not Dataset.objects.exists()


def test_the_page_names_the_field_that_is_wrong(world):
    client = world.client("mina")
    response = upload_by_page(client, jsonl(*good_rows()), "texts", licence="mine")
    assert response.status_code == 422
    assert set(response.context["form"].errors) == {"licence", "format"}
    assert not Blob.objects.exists()


def test_an_upload_over_the_limit_is_refused_by_page_and_api(world, settings):
    settings.DATASET_UPLOAD_MAX_BYTES = 100
    content = jsonl(*good_rows())
    response = upload_by_api(Client(headers=world.token("mina", "datasets:write")), content, file_name="a.jsonl")
    assert response.status_code == 413
    assert "100 bytes" in response.json()["detail"] and "manage.py import_dataset" in response.json()["detail"]
    page = upload_by_page(world.client("mina"), content, "a.jsonl")
    assert page.status_code == 422
    assert "100 bytes" in unescaped(page)
    assert not Blob.objects.exists() and not Dataset.objects.exists()


# --- The API ----------------------------------------------------------------------------------------------------------


def test_the_api_takes_a_file_tells_of_its_import_and_gives_its_rows(world):
    client = Client(headers=world.token("mina", "datasets:write", "datasets:read"))
    content = gzip.compress("键\t1\n值\t2\n".encode())
    made = upload_by_api(client, content, file_name="a.tsv.gz", column_names="text, label", source="study")
    assert (made.status_code, made.json()["state"], made.json()["format"]) == (201, "queued", "tsv")
    import_dataset(str(Dataset.objects.get().job_id))
    found = client.get(f"/api/datasets/{made.json()['id']}/").json()
    assert (found["state"], found["rows"], found["version"], found["source"]) == ("succeeded", 2, 1, "study")
    assert client.get(f"/api/datasets/{found['id']}/rows/?start=1&count=5").json() == [
        {"number": 2, "values": {"text": "值", "label": 2}}
    ]
    again = upload_by_api(client, content, file_name="b.tsv.gz", column_names="text,label", name="other")
    assert (again.status_code, again.json()["id"]) == (200, found["id"])


def test_the_api_names_what_is_wrong_with_the_query(world):
    client = Client(headers=world.token("mina", "datasets:write"))
    for fields, about in [
        ({"licence": "mine"}, "licence"),
        ({"file_name": "a"}, "file_name"),
        ({"file_name": "a\x00.csv"}, "file_name"),
        ({"name": "a b"}, "name"),
        ({"encoding": "x"}, "encoding"),
        ({"column_names": "a,a", "file_name": "a.csv"}, "column_names"),
    ]:
        response = upload_by_api(client, jsonl(*good_rows()), **{"file_name": "a.jsonl"} | fields)
        assert (response.status_code, list(response.json())) == (400, [about]), response.content
    assert not Blob.objects.exists()


# --- The admin --------------------------------------------------------------------------------------------------------


def upload_by_admin(client: Client, content: bytes, file_name: str, **fields: Any):
    upload = SimpleUploadedFile(file_name, content)
    return client.post("/admin/curation/dataset/add/", ABOUT | {"encoding": "utf-8", "upload": upload} | fields)


def test_the_admin_imports_a_file_and_says_when_it_is_known(world):
    client = world.client("ada")
    response = upload_by_admin(client, jsonl(*good_rows()), "a.jsonl")
    assert response.status_code == 302, unescaped(response)
    dataset = Dataset.objects.get()
    import_dataset(str(dataset.job_id))
    dataset.refresh_from_db()
    assert (dataset.rows, dataset.actor) == (50, world.users["ada"])
    again = upload_by_admin(client, jsonl(*good_rows()), "b.jsonl", name="other")
    assert again.status_code == 200
    assert "This file is there already, as texts · 1." in unescaped(again)
    assert Dataset.objects.count() == 1


@pytest.mark.parametrize("name", list(REFUSED)[:9])
def test_a_bad_file_from_the_admin_is_a_failed_import_with_its_message(world, name):
    bad = REFUSED[name]
    client = world.client("ada")
    response = upload_by_admin(client, bad.build(), bad.file_name, **bad.options)
    if name == "empty":
        assert response.status_code == 200 and "The submitted file is empty" in unescaped(response)
        return
    assert response.status_code == 302, unescaped(response)
    dataset = Dataset.objects.get()
    import_dataset(str(dataset.job_id))
    assert_nothing_is_there(dataset)
    assert [words for words in bad.says if words not in dataset.job.error] == []
    assert client.get("/admin/curation/dataset/").status_code == 200


# --- The command ------------------------------------------------------------------------------------------------------


def test_the_command_imports_a_file_and_says_what_is_in_it(world, tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_bytes(b'3,"a, b"\n4,c\n')
    call_command("import_dataset", path, **ABOUT, columns="label,text")
    said = capsys.readouterr().out
    dataset = Dataset.objects.get()
    assert f"{dataset.pk} texts@1: 2 rows, 0 refused" in said
    assert "label (integer), text (text)" in said
    call_command("import_dataset", path, **ABOUT | {"name": "other"}, columns="label,text")
    assert "This file is there already, as texts · 1." in capsys.readouterr().out
    assert Dataset.objects.count() == 1


def test_the_command_names_the_rows_that_are_refused_and_what_is_wrong_with_its_options(world, tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n1,2\n3\n4,5\n6,7,8\n")
    with pytest.raises(CommandError, match="2 of 4 rows cannot be taken"):
        call_command("import_dataset", path, **ABOUT)
    said = capsys.readouterr().err
    assert "row 2, column b: It has 1 fields" in said and "row 4, column –: It has 3 fields" in said
    call_command("import_dataset", path, **ABOUT, leave_out_refused=True)
    assert "texts@1: 2 rows, 2 refused" in capsys.readouterr().out
    with pytest.raises(CommandError, match="is no SPDX licence"):
        call_command("import_dataset", path, **ABOUT | {"licence": "mine"})
    with pytest.raises(CommandError, match="There is no file"):
        call_command("import_dataset", tmp_path / "b.csv", **ABOUT)


# --- Workers that die -------------------------------------------------------------------------------------------------


@pytest.fixture
def storage(settings, tmp_path) -> Iterator[Path]:
    """Storage of this test's own, so that all in it is known."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    yield tmp_path / "media"


def many_rows(count: int) -> bytes:
    return b"".join(b'{"id": "r%d", "text": "%s", "n": %d}\n' % (n, b"a word or two " * 8, n) for n in range(count))


def wait_for(true: Callable[[], Any], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("message", ["checking the rows", "writing the rows"])
def test_an_import_whose_worker_is_killed_is_done_again_by_itself_and_leaves_no_file(storage, message, record_property):
    rows = 200_000
    content = many_rows(rows)
    quick = {"JOB_STALE_SECONDS": "2", "MEDIA_ROOT": str(storage)}
    with celery_worker(**quick) as doomed:
        killed = datasets.request_import(
            stream=io.BytesIO(content), file_name="a.jsonl", actor=None, send=False, id_column="id", **ABOUT
        )
        current_app.send_task(datasets.JOB, args=[str(killed.job_id)])
        wait_for(Job.objects.filter(pk=killed.job_id, message=message, done__gt=0).exists)
        doomed.kill()
        doomed.wait()
    killed.refresh_from_db()
    assert not killed.whole
    assert len(list((storage / "tmp").glob("dataset-*"))) == 1  # what it left
    with celery_worker(**quick), celery_beat(**quick):  # nothing else: the sweep has to find it
        wait_for(lambda: Dataset.objects.get(pk=killed.pk).whole)
        wait_for(lambda: Job.objects.get(pk=killed.job_id).ended)
    killed.refresh_from_db()
    attempts = Job.objects.get(pk=killed.job_id).attempt
    assert (killed.rows, killed.refused, killed.version, attempts) == (rows, 0, 1, 2)
    ends = [rows_of(killed, start, 1)[0]["values"]["n"] for start in (0, rows // 2, rows - 1)]
    assert ends == [0, rows // 2, rows - 1]
    undisturbed = library.dataset(content, id_column="id", leave_out_refused=True)  # the same table, read otherwise
    assert undisturbed.table_id == killed.table_id
    assert list((storage / "tmp").glob("*")) == []
    blobs.collect_garbage(unused_for=timedelta(0))
    assert {path.name for path in (storage / "blobs").glob("*/*")} == {killed.file_id, killed.table_id}
    record_property("figure", f"killed while {message}; attempt {attempts} made the table of {rows:,} rows")


@pytest.mark.django_db(transaction=True)
def test_the_command_goes_on_where_one_of_it_was_killed(storage, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(many_rows(200_000))
    command = [sys.executable, "manage.py", "import_dataset", str(path)]
    options = ["--name", "texts", "--licence", "CC0-1.0", "--language", "en"]
    environment = os.environ | {
        "DATABASE_URL": database_url(), "MEDIA_ROOT": str(storage), "JOB_STALE_SECONDS": "2",
    }  # fmt: skip
    first = subprocess.Popen(command + options, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL)
    wait_for(Job.objects.filter(message="writing the rows", done__gt=0).exists)
    first.kill()
    assert first.wait() == -9
    again = subprocess.run(command + options, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    assert "being imported" in again.stdout and "texts@1: 200000 rows, 0 refused" in again.stdout
    dataset = Dataset.objects.get()
    assert dataset.job.attempt == 2
    call_command("collect_garbage", hours=0, stdout=io.StringIO())
    assert {file.name for file in (storage / "blobs").glob("*/*")} == {dataset.file_id, dataset.table_id}
    assert list((storage / "tmp").glob("*")) == []


@pytest.mark.django_db(transaction=True)
def test_garbage_that_is_collected_during_an_import_does_it_no_harm(storage):
    stop = threading.Event()

    def collect() -> int:
        try:
            rounds = 0
            while not stop.is_set():
                blobs.collect_garbage(unused_for=timedelta(0))
                rounds += 1
            return rounds
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        rounds = pool.submit(collect)
        try:
            made = [library.dataset(many_rows(30_000 + number), id_column="id") for number in range(3)]
        finally:
            stop.set()
        assert rounds.result() > 3
    assert [one.rows for one in made] == [30_000, 30_001, 30_002]
    assert {path.name for path in (storage / "blobs").glob("*/*")} == {
        blob for one in made for blob in (one.file_id, one.table_id)
    }


# --- Any rows at all --------------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
NAMES = st.text(
    st.characters(categories=["L", "N", "S"], include_characters=" '\"<&.-_"), min_size=1, max_size=20
).filter(lambda name: name.strip() and name != "_row")
WHOLE = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
ANY = st.recursive(
    st.one_of(st.none(), st.booleans(), WHOLE, FLOATS, TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)
KINDS: dict[str, st.SearchStrategy] = {
    "text": TEXTS,
    "integer": WHOLE,
    "number": FLOATS,
    "mixed": FLOATS | st.integers(-(2**53), 2**53),
    "boolean": st.booleans(),
    "list": st.lists(ANY, max_size=4),
    "object": st.dictionaries(TEXTS, ANY, max_size=4),
}
PARQUET = {
    "text": (pa.string(), TEXTS),
    "integer": (pa.int64(), WHOLE),
    "number": (pa.float64(), FLOATS),
    "boolean": (pa.bool_(), st.booleans()),
    "list": (pa.list_(pa.string()), st.lists(st.none() | TEXTS, max_size=3)),
    "object": (pa.struct([("a", pa.int64()), ("b", pa.list_(pa.float64()))]),
               st.fixed_dictionaries({"a": st.none() | WHOLE, "b": st.lists(FLOATS, max_size=3)})),
}  # fmt: skip
many = examples(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@st.composite
def tables(draw, kinds: dict[str, Any]) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Columns with their kinds, and rows; a row may lack a value."""
    columns = draw(st.dictionaries(NAMES, st.sampled_from(sorted(kinds)), min_size=1, max_size=5))
    strategies = {name: kinds[kind] if kinds is KINDS else kinds[kind][1] for name, kind in columns.items()}
    row = st.fixed_dictionaries({}, optional={name: st.none() | one for name, one in strategies.items()})
    return columns, draw(st.lists(row, min_size=1, max_size=8))


def back(content: bytes, file_name: str, **fields: Any) -> list[dict[str, Any]]:
    Dataset.objects.all().delete()  # else a file that comes again would be known
    dataset = imported(content, file_name, **fields)
    assert dataset.whole, dataset.job.error
    return values_of(dataset)


@many
@given(tables(KINDS), st.booleans())
def test_any_rows_of_jsonl_come_back(db, table, ascii_only):
    columns, rows = table
    content = b"".join(json.dumps(row, ensure_ascii=ascii_only).encode() + b"\n" for row in rows)
    seen = [name for name in columns if any(name in row for row in rows)]
    found = back(content, "a.jsonl")
    assert found == [{name: row.get(name) for name in seen} for row in rows]
    for row, original in zip(found, rows, strict=True):
        for name, value in original.items():
            assert isinstance(value, int) or type(row[name]) is type(value)


@many
@given(tables(PARQUET), st.integers(1, 9))
def test_any_rows_of_parquet_come_back(db, table, group):
    columns, rows = table
    arrays = {name: pa.array([row.get(name) for row in rows], PARQUET[kind][0]) for name, kind in columns.items()}
    found = back(parquet(arrays, row_group_size=group), "a.parquet")
    assert found == [{name: row.get(name) for name in columns} for row in rows]


def as_csv_says(column: list[str]) -> list[Any]:
    """The values of a CSV column: whole numbers where all that is there is one as Python would write it."""
    given = [value for value in column if value]
    whole = [
        value for value in given if value.lstrip("-").isdecimal() and value.isascii() and len(value.lstrip("-")) < 19
    ]
    if given and len(whole) == len(given) and all(str(int(value)) == value for value in given):
        return [int(value) if value else None for value in column]
    return column


CELLS = st.one_of(TEXTS, st.just(""), st.integers(-20, 10**19).map(str), st.from_regex(r"0?[0-9]{1,3}", fullmatch=True))


@many
@given(st.data())
def test_any_rows_of_csv_and_tsv_come_back(db, data):
    names = data.draw(st.lists(NAMES, min_size=2, max_size=5, unique=True))
    columns = [data.draw(st.sampled_from([CELLS, st.integers(-99, 99).map(str) | st.just("")])) for _ in names]
    rows = data.draw(st.lists(st.tuples(*columns), min_size=1, max_size=8))
    expected = [as_csv_says([row[at] for row in rows]) for at in range(len(names))]
    wanted = [dict(zip(names, values, strict=True)) for values in zip(*expected, strict=True)]
    into = io.StringIO()
    csv.writer(into, lineterminator=data.draw(st.sampled_from(["\n", "\r\n"]))).writerows([names, *rows])
    if all("\r" not in cell for row in rows for cell in row):  # Python's writer leaves a lone one without quotes
        assert back(into.getvalue().encode(), "a.csv", delimiter="comma", quote="double", header="yes") == wanted
    if all(character not in cell for row in rows for cell in row for character in "\t\r\n"):
        lines = ["\t".join(row) + "\n" for row in [names, *rows]]
        assert back("".join(lines).encode(), "a.tsv", delimiter="tab", quote="none", header="yes") == wanted
