"""The files of a preference export: writers whose bytes depend on the rows alone, and the texts beside them.

The layout and the traps it avoids are in docs/formats.md. Parquet is the file that loads; JSONL is its readable twin.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 10_000

TURNS = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
SCHEMA = pa.schema(
    [
        ("prompt", TURNS),
        ("chosen", TURNS),
        ("rejected", TURNS),
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


@dataclass
class SplitWriter:
    """Writes one split's rows to Parquet and JSONL. Row groups have a fixed size, so batches leave no trace."""

    folder: Path
    split: str
    rows: int = 0
    prompts: int = 0
    split_groups: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.parquet_path = self.folder / "preference" / f"{self.split}-00000-of-00001.parquet"
        self.jsonl_path = self.folder / "jsonl" / f"{self.split}.jsonl"
        for path in (self.parquet_path, self.jsonl_path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._parquet = pq.ParquetWriter(self.parquet_path, SCHEMA, compression="zstd")
        self._jsonl = self.jsonl_path.open("wb")
        self._waiting: list[dict[str, Any]] = []

    def write(self, row: dict[str, Any]) -> None:
        self._jsonl.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        self._waiting.append(row)
        self.rows += 1
        if len(self._waiting) == ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        self._parquet.write_table(pa.Table.from_pylist(self._waiting, schema=SCHEMA), row_group_size=ROW_GROUP)
        self._waiting = []

    def close(self) -> None:
        """Finish both files. A split without rows leaves none: `datasets` refuses an empty one."""
        if self._waiting:
            self._flush()
        self._parquet.close()
        self._jsonl.close()
        if not self.rows:
            self.parquet_path.unlink()
            self.jsonl_path.unlink()

    def summary(self) -> dict[str, int]:
        return {"rows": self.rows, "prompts": self.prompts, "split_groups": len(self.split_groups)}


def write_selection(path: Path, batches: Iterable[list[int]]) -> None:
    """The ids of the judgements that are in, in order. `batches` gives lists of ids."""
    schema = pa.schema([("annotation", pa.int64())])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_table(pa.table({"annotation": batch}, schema=schema))


def selected(path: Path) -> int:
    return int(pq.ParquetFile(path).metadata.num_rows)


def read_selection(path: Path, size: int) -> Iterator[list[int]]:
    """The ids of a selection, in lists of at most `size`."""
    for batch in pq.ParquetFile(path).iter_batches(batch_size=size):
        yield batch.column("annotation").to_pylist()


def manifest_bytes(manifest: dict[str, Any]) -> bytes:
    """The manifest as it is written: sorted and without a clock, so the same release gives the same bytes."""
    return orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def file_entry(folder: Path, path: Path, rows: int | None = None) -> dict[str, Any]:
    """What the manifest says of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    entry: dict[str, Any] = {
        "path": path.relative_to(folder).as_posix(),
        "bytes": path.stat().st_size,
        "sha256": digest,
    }
    return entry if rows is None else entry | {"rows": rows}


def rows_sha256(writers: list[SplitWriter]) -> str:
    """The hash of all rows in their readable form, split after split: it outlives changes of the file formats."""
    digest = hashlib.sha256()
    for writer in writers:
        if writer.rows:
            with writer.jsonl_path.open("rb") as file:
                while chunk := file.read(1024 * 1024):
                    digest.update(chunk)
    return digest.hexdigest()


def card(manifest: dict[str, Any], name: str) -> str:
    """README.md: the front matter that `datasets` reads, and what a person should know."""
    splits = {split: figures for split, figures in manifest["splits"].items() if figures["rows"]}
    front = {
        "pretty_name": name,
        "task_categories": ["reinforcement-learning"],
        "tags": ["preference", "plumbline"],
        "configs": [
            {
                "config_name": "preference",
                "default": True,
                "data_files": [
                    {"split": split, "path": f"preference/{split}-00000-of-00001.parquet"} for split in splits
                ],
            }
        ],
    }
    agreement = "\n".join(
        f"| {figure['name']} | {_figure(figure)} | {figure['n_units']} | {figure['n_groups']} |"
        for figure in manifest["agreement"]
    )
    counts = "\n".join(f"| {key.replace('_', ' ')} | {value} |" for key, value in sorted(manifest["counts"].items()))
    tables = "\n".join(f"| {s} | {f['rows']} | {f['prompts']} | {f['split_groups']} |" for s, f in splits.items())
    # JSON is YAML too, so the front matter needs no second writer.
    return f"""---
{orjson.dumps(front, option=orjson.OPT_INDENT_2).decode()}
---

# {name}

Preference pairs from people's rankings. {manifest["rule"]}

| split | rows | prompts | split groups |
|---|---|---|---|
{tables}

| counted | |
|---|---|
{counts}

## Agreement

| measure | value (95% interval by prompt) | pairs of outputs | prompts |
|---|---|---|---|
{agreement}

## Columns

`prompt`, `chosen` and `rejected` are lists of messages; `prompt` is not repeated in the other two. `weight` is
1 / (comparable pairs of the prompt), shared by the people who compared the pair. `rank_gap` is how many tiers lie
between the two; it is no measure of strength. `pair_id` is the same for A over B and B over A. `annotator` is a
pseudonym. `manifest.json` has the checksums; `selection.parquet` names the judgements that are in.
"""


def _figure(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return f"undefined: {figure['undefined_because']}"
    if figure["low"] is None:
        return f"{figure['value']:.3f} (no interval: {figure['no_interval_because']})"
    return f"{figure['value']:.3f} ({figure['low']:.3f} – {figure['high']:.3f})"
