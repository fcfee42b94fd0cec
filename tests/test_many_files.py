"""Several files as one dataset, folders, packed files, and what a person sees before the import."""

import gzip
import io
import json
import tarfile
from html import unescape
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from curation.models import Blob, Dataset
from curation.reading import Reading, Unreadable, bundle, survey
from curation.services import uploads
from curation.services.datasets import Known, rows_of
from curation.tasks import import_dataset
from tests import library
from tests.badfiles import jsonl, parquet

pytestmark = pytest.mark.django_db
ABOUT = {"name": "texts", "licence": "CC0-1.0", "language": "en"}


def tar(files: dict[str, bytes]) -> bytes:
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return into.getvalue()


def zstd(content: bytes) -> bytes:
    into = pa.BufferOutputStream()
    with pa.CompressedOutputStream(into, "zstd") as packed:
        packed.write(content)
    return bytes(into.getvalue())


def arrow(columns: dict[str, Any], stream: bool = True) -> bytes:
    into, table = io.BytesIO(), pa.table(columns)
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(into, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return into.getvalue()


def values_of(dataset: Dataset) -> list[dict[str, Any]]:
    assert dataset.whole, dataset.job.error
    return [row["values"] for row in rows_of(dataset, 0, dataset.rows or 0)]


def imported(files: dict[str, bytes], **fields: Any) -> Dataset:
    return library.dataset(tar(files), file_name="files.tar", **fields)


# --- Several files ----------------------------------------------------------------------------------------------------


def test_each_row_has_the_split_that_its_files_name_says(world):
    made = imported(
        {"a_train.csv": b"text,n\nx,1\ny,2\n", "a_dev.csv": b"text,n\nz,3\n", "sub/test.csv": b"text,n\nw,4\n"}
    )
    assert values_of(made) == [
        {"text": "x", "n": 1, "split": "train"},
        {"text": "y", "n": 2, "split": "train"},
        {"text": "z", "n": 3, "split": "validation"},
        {"text": "w", "n": 4, "split": "test"},
    ]
    assert [row["number"] for row in rows_of(made, 0, 9)] == [1, 2, 3, 4]
    assert (made.format, made.files[1]) == ("csv", {"name": "a_dev.csv", "split": "validation"})


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.csv", "train"), ("SST2_train.tsv", "train"), ("train-00000-of-00002.parquet", "train"),
        ("dev_few_all.json", "validation"), ("val/part1.jsonl", "validation"), ("test/train.csv", "train"),
        ("constraint.csv", ""), ("latest.csv", ""), ("data/validation.jsonl.gz", "validation"),
    ],
)  # fmt: skip
def test_a_split_is_a_word_of_a_name(name, split):
    assert bundle.split_of(name) == split


def test_splits_may_be_given_and_shards_may_have_none(world):
    files = {"one.jsonl": jsonl({"a": 1}), "two.jsonl.gz": gzip.compress(jsonl({"a": 2}))}
    assert values_of(imported(files)) == [{"a": 1}, {"a": 2}]
    assert [row["split"] for row in values_of(imported(files, splits=["easy", "hard"]))] == ["easy", "hard"]


@pytest.mark.parametrize(
    ("files", "fields", "about", "says"),
    [
        ({"train.csv": b"a\n1\n", "more.csv": b"a\n2\n"}, {}, "splits", "“more.csv” does not say its split"),
        ({"a.csv": b"a\n1\n", "b.csv": b"a\n2\n"}, {"splits": ["train"]}, "splits", "2 files and 1 splits"),
        ({"a.csv": b"a\n1\n", "b.jsonl": b"{}"}, {}, "file_name", "several formats: csv, jsonl"),
        ({"README.md": b"#"}, {}, "file_name", "holds 0 files"),
        ({"a.xyz": b"#"}, {}, "file_name", "does not say what it is"),
    ],
)
def test_files_that_do_not_go_together_are_refused_before_anything_is_kept(world, files, fields, about, says):
    with pytest.raises(ValidationError) as caught:
        imported(files, **fields)
    assert list(caught.value.message_dict) == [about] and says in str(caught.value)
    assert not Blob.objects.exists()


def test_a_tar_that_is_packed_is_refused_with_a_remedy(world):
    with pytest.raises(ValidationError, match="Pack the files in it, not the whole"):
        library.dataset(gzip.compress(tar({"a.csv": b"a\n1\n"})), file_name="files.tar")


def test_problems_name_the_file_and_its_row_and_all_is_taken_or_nothing(world):
    files = {"train.jsonl": jsonl({"a": 1}, {"a": 2}), "test.jsonl": jsonl({"a": 3}) + b"{broken\n" + jsonl({"a": "x"})}
    made = imported(files)
    assert not made.whole
    assert [(one["row"], one["column"], one["message"][:22]) for one in made.refusals] == [
        (4, "", "(row 2 of test.jsonl) "),
        (5, "a", "It is text here and a "),
    ]
    left = imported(files, leave_out_refused=True)
    assert [row["number"] for row in rows_of(left, 0, 9)] == [1, 2, 3]


def test_a_file_that_cannot_be_read_at_all_is_named(world):
    made = imported({"train.csv": b"a,b\nx,1\n", "test.csv": b"a,b\n"})
    assert made.whole  # one of them holds rows
    made = imported({"train.jsonl": jsonl({"a": 1}), "test.jsonl": b""})
    assert "test.jsonl: The file is empty" in made.job.error


def test_a_column_called_split_and_a_split_are_not_mixed(world):
    made = imported({"train.jsonl": jsonl({"split": "mine"})})
    assert "It has a “split” of its own" in made.job.error


def test_shapes_and_several_files_go_together(world):
    seeds = [{"instruction": "Add.", "instances": [{"input": str(n), "output": "x"}] * n} for n in (2, 1)]
    made = imported({"train.jsonl": jsonl(*seeds), "test.jsonl": jsonl(seeds[1])})
    assert made.shape == "self_instruct"
    assert [(row["number"], row["values"]["split"]) for row in rows_of(made, 0, 9)] == [
        (1, "train"), (2, "train"), (3, "train"), (4, "test"),
    ]  # fmt: skip


def test_columns_of_csv_may_differ_between_files(world):
    made = imported({"train.csv": b"a,b\n1,x\n", "test.csv": b"a,c\n2,y\n"})
    assert values_of(made) == [
        {"a": 1, "b": "x", "split": "train", "c": None},
        {"a": 2, "b": None, "split": "test", "c": "y"},
    ]


def test_the_same_files_are_the_same_dataset_whatever_the_tar_is_called(tmp_path, world):
    for name in ("one", "two"):
        bundle.write(tmp_path / f"{name}.tar", [("a.csv", io.BytesIO(b"a\n1\n"), 4)])
    library.dataset((tmp_path / "one.tar").read_bytes(), file_name="one.tar")
    with pytest.raises(Known):
        library.dataset((tmp_path / "two.tar").read_bytes(), file_name="two.tar", name="other")


# --- Texts and labels -------------------------------------------------------------------------------------------------


def test_a_file_of_labels_goes_with_one_of_texts_line_by_line(world):
    made = imported(
        {"train.txt": b"A text.\n\nThird.\n", "train.labels": b"1\n0\n1\n", "test_labels.txt": b"0", "test.txt": b"x"}
    )
    assert values_of(made) == [
        {"text": "A text.", "label": "1", "split": "train"},
        {"text": "", "label": "0", "split": "train"},
        {"text": "Third.", "label": "1", "split": "train"},
        {"text": "x", "label": "0", "split": "test"},
    ]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a.txt": b"x\ny\n", "a.labels": b"1\n"}, "“a.txt” and “a.labels” have not the same number of lines: one ends after 1"),
        ({"a.txt": b"x\n", "a.labels": b"1\n2\n"}, "one ends after 1"),
        ({"a.txt": b"x\n", "b.txt": b"x\n", "a.labels": b"1\n"}, "one file of texts is needed and one of labels"),
    ],
)  # fmt: skip
def test_texts_and_labels_that_do_not_match_are_refused(world, files, says):
    assert says in imported(files).job.error


def test_a_text_file_alone_is_a_row_a_line(world):
    assert values_of(library.dataset(b"\xef\xbb\xbfOne.\n\nTwo.\r\n", file_name="a.txt")) == [
        {"text": "One."},
        {"text": "Two."},
    ]
    assert "byte 0xE9" in library.dataset(b"caf\xe9\n", file_name="b.txt").job.error


# --- Packed, and Arrow ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "content"), [("a.csv", b"a,b\nx,1\n"), ("a.json", b'[{"a": "x", "b": 1}]')])
def test_zstd_is_known_by_its_bytes_alone_and_among_others(world, name, content):
    assert values_of(library.dataset(zstd(content), file_name=f"{name}.zst")) == [{"a": "x", "b": 1}]
    assert values_of(imported({f"train.{name}": zstd(content)})) == [{"a": "x", "b": 1, "split": "train"}]


@pytest.mark.parametrize("spoilt", [lambda packed: packed[:-3], lambda packed: packed[:20] + b"\xff" * 9 + packed[29:]])
def test_zstd_that_is_cut_or_damaged_is_refused(tmp_path, spoilt):
    path = tmp_path / "file"
    path.write_bytes(spoilt(zstd(jsonl(*library.rows(500)))))
    with pytest.raises(Unreadable, match="zstd file was cut off or is damaged"):
        survey(path, Reading("jsonl"))


@pytest.mark.parametrize("stream", [True, False])
def test_an_arrow_file_comes_back(world, stream):
    columns = {"text": ["a", "b", None], "n": [1, 2, 3], "tags": [["x"], [], None]}
    rows = [
        {"text": "a", "n": 1, "tags": ["x"]},
        {"text": "b", "n": 2, "tags": []},
        {"text": None, "n": 3, "tags": None},
    ]
    content = arrow(columns, stream)
    assert values_of(library.dataset(content, file_name="a.arrow")) == rows
    assert values_of(imported({"test.arrow": content})) == [row | {"split": "test"} for row in rows]


@pytest.mark.parametrize("content", [b"", b"text", arrow({"n": [1, 2, 3]})[:-60]])
def test_what_is_no_arrow_file_is_refused(world, content):
    error = library.dataset(content, file_name="a.arrow").job.error
    assert "is empty" in error or "no Arrow file, or was cut off or is damaged" in error


def test_parquet_files_are_read_inside_a_tar(world):
    made = imported(
        {"train-0.parquet": parquet({"n": [1, 2]}), "train-1.parquet": parquet({"n": [3]}), "README.md": b"#"}
    )
    assert [row["n"] for row in values_of(made)] == [1, 2, 3]


# --- The command ------------------------------------------------------------------------------------------------------


def by_command(*paths: Any, **options: Any) -> str:
    said = io.StringIO()
    call_command("import_dataset", *map(str, paths), **ABOUT | options, stdout=said, stderr=io.StringIO())
    return said.getvalue()


def test_the_command_takes_several_files_with_splits_found_or_given(world, tmp_path):
    for name in ("train.csv", "test.csv", "other.csv"):
        (tmp_path / name).write_bytes(b"text,n\nx,1\n")
    said = by_command(tmp_path / "train.csv", tmp_path / "test.csv")
    assert "2 rows" in said and "train.csv (train), test.csv (test)" in said and "header: yes, shape: plain" in said
    by_command(f"hard={tmp_path / 'other.csv'}", name="other")
    assert values_of(Dataset.objects.get(name="other")) == [{"text": "x", "n": 1, "split": "hard"}]


def saved_to_disk(folder: Path) -> None:
    """What `datasets` writes for a DatasetDict of two splits, one of two shards, beside a copy in its cache."""
    (folder / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    for split, shards in (("train", 2), ("test", 1)):
        (folder / split).mkdir()
        names = [f"data-{at:05}-of-{shards:05}.arrow" for at in range(shards)]
        for at, name in enumerate(names):
            (folder / split / name).write_bytes(arrow({"text": [f"{split} {at}"], "label": [at]}))
        state = {"_data_files": [{"filename": name} for name in names], "_split": split, "_indices_data_files": None}
        (folder / split / "state.json").write_text(json.dumps(state))
        (folder / split / "dataset_info.json").write_text('{"features": {}}')
        (folder / split / "cache-1.arrow").write_bytes(arrow({"text": ["copy"], "label": [9]}))


def test_the_command_takes_a_folder_that_datasets_saved(world, tmp_path):
    saved_to_disk(tmp_path)
    assert "3 rows" in by_command(tmp_path)
    assert values_of(Dataset.objects.get()) == [
        {"text": "test 0", "label": 0, "split": "test"},
        {"text": "train 0", "label": 0, "split": "train"},
        {"text": "train 1", "label": 1, "split": "train"},
    ]


def test_a_folder_whose_rows_are_picked_by_a_second_table_is_refused(world, tmp_path):
    saved_to_disk(tmp_path)
    state = tmp_path / "test" / "state.json"
    state.write_text(
        json.dumps(json.loads(state.read_text()) | {"_indices_data_files": [{"filename": "indices.arrow"}]})
    )
    with pytest.raises(CommandError, match="flatten_indices"):
        by_command(tmp_path)


def test_the_command_takes_a_folder_of_parquet_and_names_a_folder_of_nothing(world, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "README.md").write_text("#")
    for name in ("train-00000-of-00001", "validation-00000-of-00001"):
        (tmp_path / "data" / f"{name}.parquet").write_bytes(parquet({"n": [1]}))
    by_command(tmp_path)
    assert [row["split"] for row in values_of(Dataset.objects.get())] == ["train", "validation"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError, match="There is no file in"):
        by_command(tmp_path / "empty")
    with pytest.raises(CommandError, match="There is no file"):
        by_command(tmp_path / "nothing.csv")


def test_the_command_takes_a_shape_and_its_options(world, tmp_path):
    path = tmp_path / "talk.jsonl"
    path.write_bytes(
        jsonl({"id": 1, "parent": None, "who": "a", "text": "x"}, {"id": 2, "parent": 1, "who": "b", "text": "y"})
    )
    assert "1 rows" in by_command(path, shape="threads", shape_options="speaker=who, role=b")
    assert Dataset.objects.get().shape_options == {"speaker": "who", "role": "b"}
    with pytest.raises(CommandError, match="no option “nonsense”"):
        by_command(path, shape="threads", shape_options="nonsense=1")
    assert "2 rows" in by_command(path, shape="plain")


# --- The API ----------------------------------------------------------------------------------------------------------


def test_the_api_takes_several_files_and_how_they_are_read(world):
    client = Client(headers=world.token("mina", "datasets:write", "datasets:read"))
    content = tar({"a.csv": b"x;y\n1;2\n", "b.csv": b"x;y\n3;4\n"})
    query = ABOUT | {"file_name": "files.tar", "splits": "train, test", "quote": "none"}
    made = client.post("/api/datasets/", content, content_type="application/octet-stream", query_params=query)
    assert made.status_code == 201, made.content
    said = made.json()
    assert (said["delimiter"], said["quote"], said["header"], said["shape"]) == ("semicolon", "none", "yes", "plain")
    assert said["files"] == [{"name": "a.csv", "split": "train"}, {"name": "b.csv", "split": "test"}]
    for wrong, about in (
        ({"shape": "cube"}, "shape"),
        ({"shape_options": "x"}, "shape_options"),
        ({"splits": "a"}, "splits"),
    ):
        refused = client.post(
            "/api/datasets/", content, content_type="application/octet-stream", query_params=query | wrong
        )
        assert (refused.status_code, list(refused.json())) == (400, [about])


# --- What is found is shown before the import -------------------------------------------------------------------------


def post(client: Client, *files: tuple[str, bytes], **fields: Any):
    uploads = [SimpleUploadedFile(name, content) for name, content in files]
    given = {"encoding": "utf-8"} | ({"upload": uploads} if uploads else {}) | fields
    return client.post("/datasets/import/", given)


def test_the_page_shows_how_a_file_would_be_read_and_imports_it_without_another_upload(world):
    client = world.client("mina")
    page = post(client, ("a.csv", b'"<b>x</b>";1\n"two; three";2\n'), look="yes")
    said = unescape(page.text)
    assert page.status_code == 200 and not Dataset.objects.exists()
    assert "a semicolon" in said and "“1” in the first line is a number, and no name" in said
    assert "<th>column_1</th>" in page.text and "two; three" in said and "&lt;b&gt;x&lt;/b&gt;" in page.text
    page = post(client, look="yes", kept=page.context["kept"], column_names="text, label")
    assert "<th>text</th>" in page.text
    made = post(client, kept=page.context["kept"], column_names="text, label", **ABOUT)
    dataset = Dataset.objects.get()
    assert (made.status_code, dataset.file_name, dataset.actor) == (302, "a.csv", world.users["mina"])
    import_dataset(str(dataset.job_id))
    dataset.refresh_from_db()
    assert values_of(dataset) == [{"text": "<b>x</b>", "label": 1}, {"text": "two; three", "label": 2}]


def test_the_page_names_the_shape_and_takes_it_as_it_is_when_told(world):
    client = world.client("mina")
    rows = jsonl({"instruction": "Add.", "instances": [{"input": "", "output": "x"}]})
    page = post(client, ("a.jsonl", rows), look="yes")
    assert "Self-Instruct seeds: a row for each instance" in page.text and "<th>output</th>" in page.text
    page = post(client, look="yes", kept=page.context["kept"], shape="plain")
    assert "<th>instances</th>" in page.text
    post(client, kept=page.context["kept"], shape="plain", **ABOUT)
    assert Dataset.objects.get().shape == "plain"


def test_the_page_takes_several_files(world):
    client = world.client("mina")
    page = post(client, ("train.csv", b"a\nx\n"), ("test.csv", b"a\ny\n"), look="yes")
    assert "split train" in page.text and "<th>split</th>" in page.text
    post(client, kept=page.context["kept"], **ABOUT)
    assert [one["split"] for one in Dataset.objects.get().files] == ["train", "test"]
    twice = post(client, ("train.csv", b"a\nx\n"), ("train.csv", b"a\ny\n"), look="yes")
    assert twice.status_code == 422 and "Two files are called “train.csv”" in unescape(twice.text)


def test_what_is_wrong_with_a_file_is_shown_in_the_preview(world):
    client = world.client("mina")
    page = unescape(post(client, ("a.jsonl", b'{"a": 1}\n{broken\n'), look="yes").text)
    assert "row 2: It is not JSON" in page
    assert "It is a zip or an Excel file" in unescape(post(client, ("a.csv", b"PK\x03\x04xx"), look="yes").text)
    nothing = post(client, look="yes")
    assert nothing.status_code == 422 and "upload" in nothing.context["form"].errors


def test_a_kept_file_is_for_whoever_uploaded_it_alone(world):
    token = post(world.client("mina"), ("a.csv", b"a\nx\n"), look="yes").context["kept"]
    for other in (token[:-1] + ("A" if token[-1] != "A" else "B"), "rubbish", ""):
        assert post(world.client("mina"), kept=other, **ABOUT).status_code == 422
    assert post(world.client("ada"), kept=token, **ABOUT).status_code == 422
    assert uploads.kept_for(user=world.users["mina"], token=token) is not None
    assert not Dataset.objects.exists()


# --- Datasets from before ---------------------------------------------------------------------------------------------


def test_a_dataset_from_before_says_after_the_migration_how_it_was_read_and_is_recognised(world):
    contents = {"a.csv": b"a,b\n1,x\n", "b.tsv": b"a\tb\n1\tx\n", "c.jsonl": jsonl({"a": 1}), "d.csv": b"1,x\n2,y\n"}
    names = {"d.csv": {"column_names": ["a", "键"]}}
    made = [library.dataset(content, file_name=name, **names.get(name, {})) for name, content in contents.items()]
    Dataset.objects.update(delimiter="", quote="", header="")
    for dataset in made:
        Dataset.objects.filter(pk=dataset.pk).update(reading_sha256=str(dataset.pk))
    import_module("curation.migrations.0003_reading").say_how_files_were_read(apps, None)
    for dataset, (name, content) in zip(made, contents.items(), strict=True):
        with pytest.raises(Known) as caught:
            library.dataset(content, file_name=name, name="other", **names.get(name, {}))
        assert caught.value.dataset == dataset
