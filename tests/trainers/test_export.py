"""What a folder must be before anything is learnt from it."""

import json
import shutil

import pytest
from conftest import judgement, toy_rows, write_export, write_manifest

from trainers.__main__ import main
from trainers.export import Refused, open_export

PARQUET = "preference/train-00000-of-00001.parquet"


@pytest.fixture
def folder(tmp_path, toy):
    return shutil.copytree(toy, tmp_path / "export")


def change_manifest(folder, **changes):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))


def refusal(folder):
    with pytest.raises(Refused) as refused:
        export = open_export(folder, "preference")
        export.preference_rows("train")
    return str(refused.value)


def test_an_export_opens_with_the_rows_of_each_split(folder):
    export = open_export(folder, "preference")
    assert export.preference_rows("train").num_rows == 48 * 6
    test = export.preference_rows("test").to_pylist()
    assert len(test) == 12 * 6
    assert test[0]["prompt"] == [{"role": "user", "content": "What of the lamp in town 48?"}]
    assert export.preference_rows("validation").num_rows == 0


@pytest.mark.parametrize("name", ["README.md", "selection.parquet", "jsonl/test.jsonl", PARQUET])
def test_a_changed_byte_is_refused_wherever_it_is(folder, name):
    raw = bytearray((folder / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / name).write_bytes(raw)
    message = refusal(folder)
    expected = next(f for f in json.loads((folder / "manifest.json").read_text())["files"] if f["path"] == name)
    assert f"{name}: expected sha256 {expected['sha256']}, found " in message
    assert "Download or export the folder again" in message


def test_a_longer_file_is_refused_with_both_sizes(folder):
    size = (folder / "README.md").stat().st_size
    with (folder / "README.md").open("a") as readme:
        readme.write("x")
    assert f"README.md: expected {size} bytes, found {size + 1}." in refusal(folder)


def test_a_missing_file_is_refused(folder):
    (folder / "jsonl/train.jsonl").unlink()
    assert "jsonl/train.jsonl: expected" in refusal(folder)
    assert "found no such file" in refusal(folder)


@pytest.mark.parametrize(
    ("key", "value"), [("format", "other"), ("format_version", 2), ("kind", "sft"), ("unit", "consensus")]
)
def test_another_format_version_kind_or_unit_is_refused(folder, key, value):
    change_manifest(folder, **{key: value})
    assert f"{key}: expected " in refusal(folder)
    assert f"found {value!r}" in refusal(folder)


@pytest.mark.parametrize(
    "name", ["../secret", "preference/../../secret", "{root}/secret", "preference\\..\\secret", "link"]
)
def test_a_path_that_leads_out_of_the_folder_is_refused_although_the_file_is_as_stated(folder, name):
    secret = folder.parent / "secret"
    secret.write_bytes(b"")
    (folder / "link").symlink_to(secret)
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    change_manifest(folder, files=[{"path": name.format(root=folder.parent), "bytes": 0, "sha256": empty}])
    assert "found one that leads out of it" in refusal(folder)


@pytest.mark.parametrize(
    "entry",
    [None, {}, {"path": 1, "bytes": 0, "sha256": "0" * 64}, {"path": "a", "bytes": "0", "sha256": "0" * 64},
     {"path": "a", "bytes": 0, "sha256": "0"}],
)  # fmt: skip
def test_an_entry_that_states_too_little_is_refused(folder, entry):
    change_manifest(folder, files=[entry])
    assert "expected path, bytes and sha256" in refusal(folder)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '"x"', "\udc80"])
def test_a_manifest_that_is_no_object_is_refused(folder, text):
    (folder / "manifest.json").write_text(text, errors="surrogateescape")
    assert "manifest.json: not a JSON object" in refusal(folder)


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    assert "manifest.json: no such file" in refusal(tmp_path)


def test_a_file_that_the_manifest_does_not_list_is_not_read(folder):
    shutil.copy(folder / PARQUET, folder / "preference/train-00001-of-00002.parquet")
    assert open_export(folder, "preference").preference_rows("train").num_rows == 48 * 6


def test_fewer_rows_than_stated_are_refused(folder):
    splits = json.loads((folder / "manifest.json").read_text())["splits"]
    change_manifest(folder, splits=splits | {"train": {"rows": 289}})
    assert "the manifest states 289 rows, its Parquet files hold 288" in refusal(folder)


def test_a_parquet_file_that_is_none_or_lacks_a_column_is_refused(folder):
    import pyarrow.parquet as pq

    splits = json.loads((folder / "manifest.json").read_text())["splits"]
    rows = pq.read_table(folder / PARQUET)
    pq.write_table(rows.drop_columns(["weight"]), folder / PARQUET)
    write_manifest(folder, splits=splits)
    assert "weight" in refusal(folder)
    (folder / PARQUET).write_bytes(b"not parquet")
    write_manifest(folder, splits=splits)
    assert "not rows of kind preference" in refusal(folder)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("weight", 0.0), ("weight", -1.0), ("weight", float("nan")), ("weight", None), ("annotator", None),
        ("prompt", []), ("chosen", None), ("rejected", [{"role": "assistant", "content": None}]),
    ],
)  # fmt: skip
def test_rows_that_would_train_in_silence_are_refused(tmp_path, column, value):
    good = toy_rows([1])
    folder = write_export(tmp_path / "export", [*good, judgement("p", "a", "b") | {column: value}], [])
    assert f"split train, column {column}: 1 values" in refusal(folder)


def test_a_refusal_is_exit_status_2_and_one_line_on_stderr(folder, tmp_path, capsys):
    (folder / "README.md").unlink()
    assert main(["reward", str(folder), "--model", "any/model", "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("refused: README.md: expected") and said.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
