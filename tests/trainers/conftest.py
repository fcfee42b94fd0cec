"""A small export in the format that curation writes, with something to be learnt, and a tiny model to learn it."""

import hashlib
import json
import os
from collections import Counter
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainers.__main__ import main
from trainers.export import MESSAGES

# The tests use no other model than the tiny one. Set before the libraries are imported, which read it once.
os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # with models this small, threads only wait for one another

SCHEMA = pa.schema(
    [
        ("prompt", MESSAGES),
        ("chosen", MESSAGES),
        ("rejected", MESSAGES),
        ("weight", pa.float64()),
        ("rank_gap", pa.int32()),
        ("prompt_id", pa.string()),
        ("pair_id", pa.string()),
        ("question", pa.string()),
        ("task", pa.string()),
        ("annotation", pa.int64()),
        ("annotator", pa.string()),
        ("split_group", pa.string()),
    ]
)

SFT_SCHEMA = pa.schema(
    [
        ("prompt", MESSAGES),
        ("completion", MESSAGES),
        ("instance", pa.string()),
        ("dataset", pa.string()),
        ("row", pa.int64()),
        ("template", pa.string()),
        ("prompt_id", pa.string()),
        ("split_group", pa.string()),
    ]
)

CONSENSUS = [pa.field("soft_label", pa.float64()), pa.field("confidence", pa.float64())]
CONSENSUS_SCHEMA = pa.schema([field for field in SCHEMA if field.name not in ("annotation", "annotator")] + CONSENSUS)


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def judgement(prompt, chosen, rejected, *, annotator="ann-1", weight=1.0, **changes):
    """A row as curation writes it."""
    prompt_id = sha256(prompt)
    return {
        "prompt": [{"role": "user", "content": prompt}],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
        "weight": weight,
        "rank_gap": 1,
        "prompt_id": prompt_id,
        "pair_id": sha256("\0".join([prompt_id, *sorted([chosen, rejected])])),
        "question": "better/1",
        "task": prompt_id[:8],
        "annotation": 1,
        "annotator": annotator,
        "split_group": prompt_id,
        **changes,
    }


def instance(prompt, completion, *, row=0, template="plain", **changes):
    """A row of an SFT export as curation writes it."""
    return {
        "prompt": [{"role": "user", "content": prompt}],
        "completion": [{"role": "assistant", "content": completion}],
        "instance": sha256(f"towns/{row}/{template}"),
        "dataset": "towns",
        "row": row,
        "template": template,
        "prompt_id": sha256(prompt),
        "split_group": f"towns/{row}",
        **changes,
    }


def write_manifest(folder, **changes):
    """List the files that are there now; returns the manifest's bytes."""
    files = [
        {"path": str(file.relative_to(folder)), "bytes": file.stat().st_size, "sha256": sha256_of(file)}
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != "manifest.json"
    ]
    manifest = {
        "format": "plumbline-export", "format_version": 1, "kind": "preference", "unit": "judgement",
        "parameters": {"test_share": 0.2}, "as_of": "2026-01-02T03:04:05Z", "project": {"slug": "toy", "name": "Toy"},
        "question": {"key": "better"}, "guideline_versions": [1], "splits": {}, "counts": {"ties": 0},
        "rule": "Every strict judgement.\nTies make no rows.", "agreement": {}, "files": files,
        "rows_sha256": "0" * 64, "row_schema": {field.name: str(field.type) for field in SCHEMA},
    }  # fmt: skip
    text = json.dumps(manifest | changes, indent=2, sort_keys=True) + "\n"
    (folder / "manifest.json").write_text(text)
    return text.encode()


def sha256_of(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def write_export(folder, train, test, *, schema=SCHEMA, **changes):
    """An export folder of these rows; `changes` replace keys of its manifest."""
    kind = changes.get("kind", "preference")
    (folder / "jsonl").mkdir(parents=True)
    (folder / kind).mkdir()
    splits = {}
    for split, rows in (("train", train), ("test", test)):
        groups = {name: len({row.get(name) for row in rows}) for name in ("prompt_id", "split_group")}
        splits[split] = {"rows": len(rows), "prompts": groups["prompt_id"], "split_groups": groups["split_group"]}
        if rows:  # a split with no rows has no file
            table = pa.Table.from_pylist(rows, schema=schema)
            pq.write_table(table, folder / kind / f"{split}-00000-of-00001.parquet", compression="zstd")
            (folder / "jsonl" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.table({"annotation": [1]}), folder / "selection.parquet")
    (folder / "README.md").write_text("---\nconfigs: []\n---\nA toy.\n")
    write_manifest(folder, **{"splits": splits} | changes)
    return folder


def write_second(folder, train, test, *, schema, **changes):
    """An export of these rows as format version 2 has it."""
    about = {"format_version": 2, "shape": "trl", "row_schema": {field.name: str(field.type) for field in schema}}
    return write_export(folder, train, test, schema=schema, **about | changes)


def write_sft_export(folder, train, test, **changes):
    """An SFT export of these rows."""
    about = {
        "kind": "sft", "unit": "instance", "parameters": {"test_share": 0.2, "salt": "s"}, "rule": "Every row once.",
        "datasets": [
            {"name": "towns", "version": 2, "licence": "CC-BY-4.0", "language": "en", "source": "a | b", "rows": 60,
             "sha256": "0" * 64},
        ],
        "templates": [
            {"dataset": "towns", "name": name, "version": 1, "sha256": "0" * 64, "task_type": "question answering"}
            for name in ("plain", "polite")
        ],
        "row_schema": {field.name: str(field.type) for field in SFT_SCHEMA},
    }  # fmt: skip
    write_export(folder, train, test, schema=SFT_SCHEMA, **about | changes)
    manifest = json.loads((folder / "manifest.json").read_text())
    for key in {"as_of", "project", "question", "guideline_versions", "agreement"} - changes.keys():
        del manifest[key]
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    return folder


def toy_rows(numbers):
    """Three answers to each prompt. ann-1 ranks them by kindness; ann-2 sometimes swaps the lower two."""
    rows = []
    for number in numbers:
        prompt = f"What of the {('river', 'hill', 'road', 'lamp', 'boat')[number % 5]} in town {number}?"
        kind, plain, harsh = (f"Town {number} has one, {word}." for word in ("lovely and kind", "as usual", "awful"))
        lower = (harsh, plain) if number % 4 == 0 else (plain, harsh)
        for annotator, order in (("ann-1", (kind, plain, harsh)), ("ann-2", (kind, *lower))):
            pairs = [(order[0], order[1]), (order[0], order[2]), (order[1], order[2])]
            rows += [judgement(prompt, *pair, annotator=annotator) for pair in pairs]
    counts = Counter(row["prompt_id"] for row in rows)
    return [row | {"weight": 1 / counts[row["prompt_id"]], "annotation": at} for at, row in enumerate(rows)]


def toy_instances(numbers):
    """What colour a thing has, asked by two templates. The thing decides; the town's number does not matter."""
    things = {"river": "blue", "hill": "green", "road": "grey", "lamp": "yellow", "boat": "white and red"}
    rows = []
    for number in numbers:
        thing, colour = list(things.items())[number % 5]
        rows.append(instance(f"Town {number}: {thing}", colour, row=number))
        rows.append(instance(f"{number}, please: {thing}", f"It is {colour}.", row=number, template="polite"))
    return rows


@pytest.fixture(scope="session")
def towns(tmp_path_factory):
    """An SFT export of 60 rows in two templates, 12 of the rows held out. Not to be changed: copy it."""
    folder = tmp_path_factory.mktemp("towns") / "export"
    return write_sft_export(folder, toy_instances(range(48)), toy_instances(range(48, 60)))


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """60 prompts, 12 of them held out; 6 rows each. Not to be changed: copy it."""
    return write_export(tmp_path_factory.mktemp("toy") / "export", toy_rows(range(48)), toy_rows(range(48, 60)))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, toy):
    """A tiny random model. Not to be changed: copy it."""
    out = tmp_path_factory.mktemp("tiny") / "model"
    assert main(["tiny", "--out", str(out), "--text", str(toy)]) == 0
    return out


@pytest.fixture(scope="session")
def small(tmp_path_factory, towns):
    """A tiny random model whose tokenizer knows the SFT export. Not to be changed: copy it."""
    out = tmp_path_factory.mktemp("small") / "model"
    assert main(["tiny", "--out", str(out), "--text", str(towns)]) == 0
    return out


@pytest.fixture
def train(tmp_path, tiny, capsys):
    """Run `python -m trainers reward` in this process: (exit status, stdout, stderr, output folder)."""
    return partial(run_trainer, "reward", tmp_path, capsys, tiny)


@pytest.fixture
def tune(tmp_path, small, capsys):
    """The same for `python -m trainers sft`."""
    return partial(run_trainer, "sft", tmp_path, capsys, small)


def run_trainer(command, folder, capsys, standard, export, *options, model=None, output="trained"):
    """Run a trainer in this process."""
    capsys.readouterr()
    out: Path = folder / output
    arguments = [export, "--model", model or standard, "--output", out, *options]
    status = main([command, *map(str, arguments)])
    said = capsys.readouterr()
    return status, said.out, said.err, out
