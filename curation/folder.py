"""The files of an export: writers whose bytes depend on the rows alone, and the manifest over them.

The layout and the traps it avoids are in docs/formats.md. Parquet is the file that loads; JSONL is its readable twin.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from curation.tables import RowWriter

TURNS = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


@dataclass
class SplitWriter:
    """Writes one split's rows to Parquet and JSONL."""

    folder: Path
    kind: str
    split: str
    schema: pa.Schema
    rows: int = 0
    prompts: int = 0
    split_groups: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.parquet_path = self.folder / self.kind / f"{self.split}-00000-of-00001.parquet"
        self.jsonl_path = self.folder / "jsonl" / f"{self.split}.jsonl"
        for path in (self.parquet_path, self.jsonl_path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._parquet = RowWriter(self.parquet_path, self.schema)
        self._jsonl = self.jsonl_path.open("wb")

    def write(self, row: dict[str, Any]) -> None:
        self._jsonl.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        self._parquet.write(row)
        self.rows += 1

    def close(self) -> None:
        """Finish both files. A split without rows leaves none: `datasets` refuses an empty one."""
        self._parquet.close()
        self._jsonl.close()
        if not self.rows:
            self.parquet_path.unlink()
            self.jsonl_path.unlink()

    def summary(self) -> dict[str, int]:
        return {"rows": self.rows, "prompts": self.prompts, "split_groups": len(self.split_groups)}


@contextmanager
def split_writers(folder: Path, kind: str, schema: pa.Schema) -> Iterator[list[SplitWriter]]:
    """Train, then test: the index is whether a row is held out. They are closed at the end, however it comes."""
    writers = [SplitWriter(folder, kind, split, schema) for split in ("train", "test")]
    try:
        yield writers
    finally:
        for writer in writers:
            writer.close()


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


def written(folder: Path, card: str, writers: list[SplitWriter], *more: Path) -> list[dict[str, Any]]:
    """Write the card, and list all files for the manifest."""
    readme = folder / "README.md"
    readme.write_text(card, encoding="utf-8")
    entries = [file_entry(folder, path) for path in (readme, *more)]
    for writer in writers:
        if writer.rows:
            entries += [file_entry(folder, path, writer.rows) for path in (writer.parquet_path, writer.jsonl_path)]
    return sorted(entries, key=lambda entry: entry["path"])
