"""A small export in the format that curation writes, with something to be learnt, and a tiny model to learn it."""

import hashlib
import json
import os
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainers.__main__ import main
from trainers.export import MESSAGES

# The tests use no other model than the tiny one. Set before the libraries are imported, which read it once.
os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

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


def write_export(folder, train, test, **changes):
    """An export folder of these rows; `changes` replace keys of its manifest."""
    (folder / "jsonl").mkdir(parents=True)
    (folder / "preference").mkdir()
    splits = {}
    for split, rows in (("train", train), ("test", test)):
        groups = {name: len({row[name] for row in rows}) for name in ("prompt_id", "split_group")}
        splits[split] = {"rows": len(rows), "prompts": groups["prompt_id"], "split_groups": groups["split_group"]}
        if rows:  # a split with no rows has no file
            table = pa.Table.from_pylist(rows, schema=SCHEMA)
            pq.write_table(table, folder / "preference" / f"{split}-00000-of-00001.parquet", compression="zstd")
            (folder / "jsonl" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.table({"annotation": [1]}), folder / "selection.parquet")
    (folder / "README.md").write_text("---\nconfigs: []\n---\nA toy.\n")
    write_manifest(folder, **{"splits": splits} | changes)
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


@pytest.fixture
def train(tmp_path, tiny, capsys):
    """Run `python -m trainers reward` in this process: (exit status, stdout, stderr, output folder)."""

    def run(export, *options, model=tiny, output="trained"):
        capsys.readouterr()
        out: Path = tmp_path / output
        status = main(["reward", str(export), "--model", str(model), "--output", str(out), *map(str, options)])
        said = capsys.readouterr()
        return status, said.out, said.err, out

    return run
