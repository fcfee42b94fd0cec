"""What a folder must be before anything is learnt from it."""

import json
import math
import shutil

import pyarrow as pa
import pytest
import torch
from conftest import CONSENSUS_SCHEMA, SCHEMA, judgement, toy_rows, write_export, write_manifest, write_second
from datasets import Features, load_dataset

from curation.exporting.card import card
from trainers.__main__ import main
from trainers.export import MESSAGES, Refused, open_export
from trainers.weighted import pair_loss

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
    ("key", "value"),
    [("format", "other"), ("format_version", 3), ("kind", "sft"), ("unit", "instance"), ("shape", "openai")],
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


# --- Format version 2 -------------------------------------------------------------------------------------------------

SOFT = pa.schema([*SCHEMA, ("soft_label", pa.float64())])
MARGIN = pa.schema([*SCHEMA, ("margin", pa.float64())])
QUICK = ("--epochs", "0.2", "--learning-rate", "1e-3")


def agreed(numbers, **columns):
    """The toy's rows as a consensus: the pairs that ann-1 gave, and nobody's name."""
    for row in toy_rows(numbers):
        if row["annotator"] == "ann-1":
            yield {key: value for key, value in row.items() if not key.startswith("annot")} | columns


def metrics_of(out):
    return json.loads((out / "metrics.json").read_text())


def test_a_consensus_trains_without_annotators_and_says_that_there_is_no_human_reference(tmp_path, train):
    rows, held_out = (list(agreed(numbers, soft_label=0.8)) for numbers in (range(8), range(8, 12)))
    export = write_second(tmp_path / "export", rows, held_out, schema=CONSENSUS_SCHEMA, unit="consensus")
    assert "annotator" not in open_export(export, "preference").preference_rows("train").column_names
    status, said, _, out = train(export, *QUICK)
    assert status == 0
    none = {"undefined": "a row is a consensus, not a person's judgement"}
    assert metrics_of(out)["held_out"]["human_reference"] == none
    assert metrics_of(out)["held_out"]["accuracy"]["rows"] == 12
    assert "human reference: undefined: a row is a consensus, not a person's judgement" in said
    assert (
        "- a row is what the judgements of a task come to, so there is no human reference"
        in (out / "README.md").read_text()
    )


def test_soft_labels_decide_what_is_learnt_and_ties_are_in_no_figure(tmp_path, train):
    def rows(numbers, soft_label):
        for number in numbers:
            texts = f"Town {number} is lovely and kind.", f"Town {number} is awful."
            yield judgement(f"Town {number}?", *texts, soft_label=soft_label)

    learn = ("--learning-rate", "3e-3", "--epochs", "4")
    values = []
    for name, soft_label in (("for", 1.0), ("against", 0.0)):
        held_out = [*rows(range(48, 60), soft_label), *rows(range(60, 65), 0.5)]
        export = write_second(
            tmp_path / name, list(rows(range(48), soft_label)), held_out, schema=SOFT, parameters={"ties": "soft"}
        )
        status, said, _, out = train(export, *learn, "--soft-labels", output=f"out-{name}")
        assert status == 0 and "Note: the loss is that of soft labels" in said
        accuracy = metrics_of(out)["held_out"]["accuracy"]
        assert accuracy["rows"] == 12
        values.append(accuracy["value"])
    assert values[0] > 0.9 and values[1] < 0.1  # a soft label of 0 says that the rejected one is better
    only_ties = write_second(tmp_path / "ties", list(rows(range(8), 0.5)), list(rows(range(8, 9), 0.5)), schema=SOFT)
    _, _, _, out = train(only_ties, *QUICK, "--soft-labels", output="out-ties")
    assert metrics_of(out)["held_out"]["accuracy"] == {"undefined": "all test rows are ties"}


def test_a_margin_is_used_only_when_it_is_asked_for(tmp_path, train):
    rows, held_out = ([row | {"margin": 3.0} for row in toy_rows(numbers)] for numbers in (range(8), range(8, 10)))
    export = write_second(tmp_path / "export", rows, held_out, schema=MARGIN)
    losses = []
    for options in ([], ["--margin"]):
        status, _, _, out = train(export, *QUICK, *options, output=f"out{len(losses)}")
        assert status == 0
        points = map(json.loads, (out / "curve.jsonl").read_text().splitlines())
        losses.append(next(point["value"] for point in points if point["name"] == "train/loss"))
    # Before the first update all scores are near each other: ln 2 without the margin, ln(1 + e^3) with it.
    assert losses == [pytest.approx(math.log(2), abs=0.1), pytest.approx(math.log(1 + math.e**3), abs=0.1)]
    assert "takes the margin of a row off the difference" in (out / "README.md").read_text()


def test_what_cannot_be_in_one_loss_or_is_not_there_is_refused(tmp_path, toy, train):
    ties = write_second(
        tmp_path / "ties",
        [row | {"soft_label": 1.0} for row in toy_rows([1])],
        [],
        schema=SOFT,
        parameters={"ties": "soft"},
    )

    def refusal(export, *options):
        status, _, said, _ = train(export, *options)
        assert status == 2
        return said

    assert "never in one loss. Give one of the two" in refusal(toy, "--margin", "--soft-labels")
    assert "the export has no column margin. Make one with a margin, or do without." in refusal(toy, "--margin")
    assert "the export has no column soft_label. Make one with ties as soft labels" in refusal(toy, "--soft-labels")
    assert "ties as rows with soft label 0.5: without it they would be learnt as preferences" in refusal(ties)


@pytest.mark.parametrize(
    ("column", "schema", "value"),
    [
        ("margin", MARGIN, 0.0), ("margin", MARGIN, None), ("margin", MARGIN, float("inf")),
        ("soft_label", SOFT, -0.1), ("soft_label", SOFT, 1.1), ("soft_label", SOFT, None), ("soft_label", SOFT, float("nan")),
    ],
)  # fmt: skip
def test_margins_and_soft_labels_that_cannot_be_are_refused(tmp_path, column, schema, value):
    rows = [row | {column: 1.0} for row in toy_rows([1])]
    folder = write_second(tmp_path / "export", [*rows, judgement("p", "a", "b") | {column: value}], [], schema=schema)
    with pytest.raises(Refused, match=f"split train, column {column}: 1 values"):
        open_export(folder, "preference").preference_rows("train", column)


def test_another_shape_is_refused_with_the_remedy(folder):
    change_manifest(folder, shape="hh", format_version=2)
    assert (
        "shape: expected 'trl', found 'hh'. Make an export that this command reads (kind preference, shape trl"
        in refusal(folder)
    )


def test_the_loss_of_a_row_is_that_by_hand():
    chosen, rejected = torch.tensor([2.0, 0.0, 1.0]), torch.tensor([0.0, 1.0, 1.0])
    # -ln σ(2), -ln σ(-1), -ln σ(0)
    assert pair_loss(chosen, rejected, None, None).tolist() == pytest.approx([0.126928, 1.313262, 0.693147], abs=1e-6)
    # With margins of 1, 1 and 3: -ln σ(1), -ln σ(-2), -ln σ(-3)
    margin = torch.tensor([1.0, 1.0, 3.0])
    assert pair_loss(chosen, rejected, margin, None).tolist() == pytest.approx([0.313262, 2.126928, 3.048587], abs=1e-6)
    # With 0.75, 0.5 and 0: 0.75 · 0.126928 + 0.25 · 2.126928; the mean of 1.313262 and 0.313262; -ln σ(-0)
    soft_label = torch.tensor([0.75, 0.5, 0.0])
    assert pair_loss(chosen, rejected, None, soft_label).tolist() == pytest.approx(
        [0.626928, 0.813262, 0.693147], abs=1e-6
    )


# --- As `datasets` reads it -------------------------------------------------------------------------------------------


OF_OUTPUTS = pa.struct(
    [("text", pa.string()), ("models", pa.list_(pa.string())), ("tier", pa.int32()), ("acceptable", pa.bool_())]
)
SPANS = pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32()), ("label", pa.string())]))


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("preference", list(CONSENSUS_SCHEMA)),
        ("ranking", [("prompt", MESSAGES), ("completions", pa.list_(OF_OUTPUTS)), ("annotations", pa.list_(pa.int64()))]),
        ("violation", [("prompt", MESSAGES), ("degree", pa.float64()), ("spans", SPANS), ("annotators", pa.list_(pa.string()))]),
        ("unpaired", [pa.field("prompt", MESSAGES, nullable=False), pa.field("label", pa.bool_(), nullable=False)]),
    ],
)  # fmt: skip
def test_the_card_gives_each_column_its_type_so_that_datasets_loads_it(tmp_path, kind, columns):
    schema = pa.schema(columns)
    row = {field.name: filled(field.type) for field in schema}
    folder = write_second(tmp_path / "export", [row] * 3, [row], schema=schema, kind=kind)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "README.md").write_text(card(manifest, "Toy: \U0001f600 \x85 \x7f"))
    found = load_dataset(str(folder), kind, cache_dir=str(tmp_path / "cache"))
    assert {split: rows.num_rows for split, rows in found.items()} == {"train": 3, "test": 1}
    assert found["train"].features == Features.from_arrow_schema(schema)
    assert found["train"][0] == row


def filled(of):
    """A value of the type; a text that is a date, which must stay a text."""
    if pa.types.is_list(of):
        return [filled(of.value_type)]
    if pa.types.is_struct(of):
        return {field.name: filled(field.type) for field in of}
    return {"string": "2026-01-31", "bool": True}.get(str(of), 1)
