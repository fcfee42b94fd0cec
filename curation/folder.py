"""The files of an export: writers whose bytes depend on the rows alone, and the manifest over them.

The layout and the traps it avoids are in docs/formats.md. Of the shape `trl` Parquet is the file that loads and JSONL its
readable twin; the other shapes are JSONL. A row that no trainer would load is quarantined with its reason.
"""

import gc
import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson
import pyarrow as pa
from django.utils.translation import gettext as _

from curation.exporting import card as cards
from curation.exporting import verify
from curation.exporting.checking import REASONS, DateWatch, Lengths, Unfit, fault
from curation.exporting.shapes import SHAPES, lost
from curation.tables import RowWriter

FORMAT, FORMAT_VERSION = "plumbline-export", 2
QUARANTINE, TOMBSTONES = "quarantine.jsonl", "tombstones.jsonl"
SPLITS = ("train", "test")
CHUNK = 1024 * 1024


class What(Protocol):
    """Of an export: what decides how its rows are written."""

    kind: str
    shape: str


class Kept(Protocol):
    """Whether a row goes into the files: all do, but for those that stood in an earlier export."""

    def keeps(self, split: str, line: bytes) -> bool: ...


@dataclass
class SplitWriter:
    """Writes one split's rows as the shape has them."""

    folder: Path
    kind: str
    split: str
    shape: Any
    schema: pa.Schema
    rows: int = 0
    seen: int = 0  # with those that an earlier export has already
    prompts: int = 0
    groups: int = 0  # split groups

    def __post_init__(self) -> None:
        self.jsonl_path = self.folder / self.shape.file(self.kind, self.split)
        self.jsonl_path.parent.mkdir(parents=True, exist_ok=True)
        self._jsonl, self._waiting = self.jsonl_path.open("wb", buffering=0), bytearray()
        self.digest = hashlib.sha256()  # of the JSONL
        self._parquet: RowWriter | None = None
        written = self.shape.schema(self.kind, self.schema)
        if written is not None:
            self.parquet_path = self.folder / self.kind / f"{self.split}-00000-of-00001.parquet"
            self.parquet_path.parent.mkdir(parents=True, exist_ok=True)
            self._parquet = RowWriter(self.parquet_path, written)

    def write(self, row: dict[str, Any], line: bytes) -> None:
        self._waiting += line
        if len(self._waiting) >= CHUNK:
            self._flush()
        if self._parquet:
            self._parquet.write(row)
        self.rows += 1

    def _flush(self) -> None:
        self.digest.update(self._waiting)
        self._jsonl.write(self._waiting)
        self._waiting.clear()

    def close(self) -> None:
        """Finish the files. A split without rows leaves none: `datasets` refuses an empty one."""
        self._flush()
        if self._parquet:
            self._parquet.close()
        self._jsonl.close()
        for path in [] if self.rows else [self.jsonl_path, *([self.parquet_path] if self._parquet else [])]:
            path.unlink()

    def summary(self) -> dict[str, int]:
        return {"rows": self.rows, "prompts": self.prompts, "split_groups": self.groups}

    @property
    def paths(self) -> list[Path]:
        if not self.rows:
            return []
        return [self.parquet_path, self.jsonl_path] if self._parquet else [self.jsonl_path]


class Writers:
    """Train, then test: the index is whether a row is held out. What fails a check goes into quarantine."""

    def __init__(self, folder: Path, what: What, schema: pa.Schema, kept: Kept | None = None) -> None:
        self.folder, self.kind, self.shape, self.schema, self.kept = folder, what.kind, SHAPES[what.shape], schema, kept
        self.splits = [SplitWriter(folder, self.kind, split, self.shape, schema) for split in SPLITS]
        self.quarantined: Counter[str] = Counter()
        self.examples: dict[str, dict[str, Any]] = {}  # of each reason, what the first such row says of it
        self.lengths, self.dates = Lengths(), [DateWatch(), DateWatch()]
        self._quarantine = (folder / QUARANTINE).open("wb")

    def write(self, side: bool, row: dict[str, Any]) -> bool:
        """Whether the row is in the files, or stood in the earlier export."""
        writer = self.splits[side]
        try:
            written = _written(row)
            if unfit := fault(self.kind, row, written):
                raise unfit
            shaped = self.shape.row(self.kind, row)
        except Unfit as unfit:
            self._set_aside(row, writer.split, unfit)
            return False
        line = written if written and shaped == row else orjson.dumps(shaped, option=orjson.OPT_APPEND_NEWLINE)
        writer.seen += 1
        if self.kept is None or self.kept.keeps(writer.split, line):
            writer.write(shaped, line)
            self.lengths.add(self.kind, row)
            self.dates[side].see(shaped, len(line))
        return True

    def _set_aside(self, row: dict[str, Any], split: str, unfit: Unfit) -> None:
        self.quarantined[unfit.reason] += 1
        self.examples.setdefault(unfit.reason, unfit.about)
        found = {
            "row_id": row["row_id"],
            "split": split,
            "reason": unfit.reason,
            "says": str(unfit),
            "row": _readable(row),
        }
        self._quarantine.write(orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE))

    def most_frequent_reason(self) -> str:
        reason = self.quarantined.most_common(1)[0][0]
        return _(REASONS[reason]) % self.examples[reason]

    def close(self) -> None:
        for writer in self.splits:
            writer.close()
        self._quarantine.close()
        if not self.quarantined:
            (self.folder / QUARANTINE).unlink()


def _written(row: dict[str, Any]) -> bytes | None:
    """The row as a line of JSON. None where it cannot be one: `fault` says why."""
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return None


def _readable(value: Any) -> Any:
    """The value with what cannot be written in UTF-8 (lone surrogates) as escapes, so that it can be looked at."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {key: _readable(one) for key, one in value.items()}
    return [_readable(one) for one in value] if isinstance(value, list | tuple) else value


@contextmanager
def export_writers(folder: Path, what: What, schema: pa.Schema, kept: Kept | None = None) -> Iterator[Writers]:
    """They are closed at the end, however it comes."""
    writers = Writers(folder, what, schema, kept)
    gc.freeze()  # what is there already is not looked through for garbage again and again: a sixth of all the time
    try:
        yield writers
    finally:
        gc.unfreeze()
        writers.close()


def finished(folder: Path, said: dict[str, Any], writers: Writers, name: str, *more: Path) -> dict[str, Any]:
    """Write the shape's further files, the card and the verifier, and return the whole manifest. `more`: files to list."""
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **said,
        "splits": {writer.split: writer.summary() for writer in writers.splits},
        "counts": {**said["counts"], "rows": sum(writer.rows for writer in writers.splits)},
        "quarantined": dict(sorted(writers.quarantined.items())),
        "quarantine_examples": dict(sorted(writers.examples.items())),
        "lengths": writers.lengths.as_dict(),
        "dates_in_jsonl": sorted({path for watch in writers.dates for path in watch.finding()}),
        "loses": lost(writers.shape.NAME, writers.schema.names),
        "rows_sha256": rows_sha256(writers.splits),
    }
    further = writers.shape.more(manifest)
    for path, content in further.items():
        (folder / path).write_bytes(content)
    shutil.copyfile(verify.__file__, folder / "verify.py")
    charts = cards.charts(manifest)
    for path, chart in charts.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(chart, encoding="utf-8")
    (folder / "README.md").write_text(cards.card(manifest, name, charts=charts), encoding="utf-8")
    rows = {path: writer.rows for writer in writers.splits for path in writer.paths}
    digests = {writer.jsonl_path: writer.digest.hexdigest() for writer in writers.splits}
    quarantine = [folder / QUARANTINE] if writers.quarantined else []
    others = [folder / path for path in ("README.md", "verify.py", *further, *charts)]
    entries = [
        file_entry(folder, path, rows.get(path), digests.get(path)) for path in [*rows, *others, *quarantine, *more]
    ]
    manifest["files"] = sorted(entries, key=lambda entry: entry["path"])
    return manifest


def manifest_bytes(manifest: dict[str, Any]) -> bytes:
    """The manifest as it is written: sorted and without a clock, so the same release gives the same bytes."""
    return orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def file_entry(folder: Path, path: Path, rows: int | None = None, sha256: str | None = None) -> dict[str, Any]:
    """What the manifest says of a file. `sha256`: its hash, where it was taken while it was written."""
    if sha256 is None:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    entry: dict[str, Any] = {
        "path": path.relative_to(folder).as_posix(),
        "bytes": path.stat().st_size,
        "sha256": sha256,
    }
    return entry if rows is None else entry | {"rows": rows}


def rows_sha256(writers: list[SplitWriter]) -> str:
    """The hash of all rows in their readable form, split after split: it outlives changes of the file formats."""
    first, *others = writers
    digest = first.digest.copy()  # of the largest file, which is not read again
    for writer in others:
        if writer.rows:
            with writer.jsonl_path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
    return digest.hexdigest()
