"""An export folder, read only after it was checked against its manifest."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

FORMAT, FORMAT_VERSIONS = "plumbline-export", (1, 2)
SHAPE = "trl"  # of the shapes of version 2 the one that is read here; version 1 had no other

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
PREFERENCE_SCHEMA = pa.schema(
    [
        ("prompt", MESSAGES),
        ("chosen", MESSAGES),
        ("rejected", MESSAGES),
        ("weight", pa.float64()),
        ("prompt_id", pa.string()),
        ("pair_id", pa.string()),
        ("split_group", pa.string()),
    ]
)
ANNOTATOR = pa.field("annotator", pa.string())  # of a judgement; a consensus is nobody's
OPTIONAL = {  # columns that are read when they are asked for, and the option of an export that makes them
    "margin": "a margin",
    "soft_label": "ties as soft labels, or of unit consensus",
}
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
UNITS = {"preference": ("judgement", "consensus"), "sft": ("instance",)}  # what a row may be, by kind
DOWNLOAD_AGAIN = "Download or export the folder again; do not edit an export by hand."


class Refused(Exception):
    """What was asked cannot be done as it stands. The message says what is wrong and what to do. Exit status 2."""


@dataclass(frozen=True)
class Export:
    """A folder whose every listed file had the bytes and the sha256 that its manifest states when it was opened."""

    path: Path
    manifest: dict[str, Any]
    manifest_sha256: str

    @property
    def is_consensus(self) -> bool:
        return self.manifest["unit"] == "consensus"

    def preference_rows(self, split: str, *optional: str) -> pa.Table:
        """The pairs of a split, in file order, in the columns of PREFERENCE_SCHEMA; no rows if it has none.

        With `annotator` too where a row is one person's judgement. `optional`: columns of OPTIONAL. Raises Refused for one
        that the export does not have.
        """
        for name in optional:
            if name not in self.manifest.get("row_schema", {}):
                raise Refused(f"the export has no column {name}. Make one with {OPTIONAL[name]}, or do without.")
        schema = PREFERENCE_SCHEMA if self.is_consensus else PREFERENCE_SCHEMA.append(ANNOTATOR)
        for name in optional:
            schema = schema.append(pa.field(name, pa.float64()))
        return self._rows("preference", split, schema)

    def sft_rows(self, split: str) -> pa.Table:
        """The instances of a split, in file order, in the columns of SFT_SCHEMA; no rows if it has none."""
        rows = self._rows("sft", split, SFT_SCHEMA)
        wrong = sum([message["role"] for message in turns] != ["assistant"] for turns in rows["completion"].to_pylist())
        if wrong:
            raise Refused(f"split {split}, column completion: {wrong} values are not one message of the assistant.")
        return rows

    def _rows(self, kind: str, split: str, schema: pa.Schema) -> pa.Table:
        """The rows of a split. Only files that the manifest lists are read.

        Raises Refused for rows that are not as the manifest says.
        """
        names = sorted(f["path"] for f in self.manifest["files"] if f["path"].startswith(f"{kind}/{split}-"))
        try:
            parts = [pq.ParquetFile(self.path / name).read().select(schema.names) for name in names]
            rows = pa.concat_tables([schema.empty_table(), *(part.cast(schema) for part in parts)])
        except (pa.ArrowException, ValueError, KeyError) as error:
            raise Refused(f"{', '.join(names)}: not rows of kind {kind} ({error}). {DOWNLOAD_AGAIN}") from error
        stated = self.manifest["splits"].get(split, {}).get("rows", 0)
        if rows.num_rows != stated:
            raise Refused(
                f"split {split}: the manifest states {stated} rows, its Parquet files hold {rows.num_rows}. "
                f"{DOWNLOAD_AGAIN}"
            )
        _check_rows(rows, split)
        return rows


def open_export(path: Path, *kinds: str) -> Export:
    """Check a folder of one of these kinds against its manifest and open it.

    Raises Refused, naming the file, what was expected, what was found and the remedy, unless the format, version,
    kind and unit are the expected ones and every listed file lies inside the folder with the stated bytes and sha256.
    """
    manifest_path = path / "manifest.json"
    if not manifest_path.is_file():
        raise Refused(f"{manifest_path}: no such file. EXPORT_DIR is the unpacked folder that holds manifest.json.")
    raw = manifest_path.read_bytes()
    try:
        manifest = json.loads(raw)
        found = {key: manifest.get(key) for key in ("format", "format_version", "kind", "unit")}
        found["shape"] = manifest.get("shape", SHAPE)
    except (ValueError, AttributeError) as error:
        raise Refused(f"manifest.json: not a JSON object ({error}). {DOWNLOAD_AGAIN}") from error
    units = UNITS[found["kind"] if found["kind"] in kinds else kinds[0]]
    expected = {"format": (FORMAT,), "format_version": FORMAT_VERSIONS, "kind": kinds, "unit": units, "shape": (SHAPE,)}
    for key, values in expected.items():
        if found[key] not in values:
            versions = " or ".join(map(str, FORMAT_VERSIONS))
            raise Refused(
                f"manifest.json: {key}: expected {' or '.join(map(repr, values))}, found {found[key]!r}. Make an export "
                f"that this command reads (kind {' or '.join(kinds)}, shape {SHAPE}, {FORMAT} version {versions}), or use "
                "the Plumbline release that made this one."
            )
    files, splits = manifest.get("files"), manifest.get("splits")
    if not isinstance(files, list) or not files or not isinstance(splits, dict):
        raise Refused(f"manifest.json: expected a list `files` and an object `splits`. {DOWNLOAD_AGAIN}")
    for entry in files:
        _check_file(path, entry)
    return Export(path, manifest, hashlib.sha256(raw).hexdigest())


def _check_file(root: Path, entry: Any) -> None:
    """Raise Refused unless the file of a manifest entry lies in `root` with the stated bytes and sha256."""
    fields = entry if isinstance(entry, dict) else {}
    name, size, sha256 = fields.get("path"), fields.get("bytes"), fields.get("sha256")
    if not (isinstance(name, str) and isinstance(size, int) and re.fullmatch("[0-9a-f]{64}", str(sha256))):
        raise Refused(f"manifest.json: expected path, bytes and sha256 in `files`, found {entry!r}. {DOWNLOAD_AGAIN}")
    file = root / name
    # The manifest came with the folder, perhaps from a stranger: no path in it may lead out, nor may a link.
    inside = file.resolve().is_relative_to(root.resolve()) and ".." not in PurePosixPath(name).parts
    if not inside or "\\" in name or PurePosixPath(name).is_absolute():
        raise Refused(f"{name}: expected a path inside the export, found one that leads out of it. Do not use it.")
    if not file.is_file():
        raise Refused(f"{name}: expected {size} bytes, found no such file. {DOWNLOAD_AGAIN}")
    found = file.stat().st_size
    if found != size:
        raise Refused(f"{name}: expected {size} bytes, found {found}. {DOWNLOAD_AGAIN}")
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != sha256:
        raise Refused(f"{name}: expected sha256 {sha256}, found {digest}. {DOWNLOAD_AGAIN}")


def _check_rows(rows: pa.Table, split: str) -> None:
    """Raise Refused for a null, no messages or a number that cannot be one of its column: all train in silence."""
    for name in rows.column_names:
        column, faults = rows[name], rows[name].null_count
        if rows.schema.field(name).type == MESSAGES:
            messages = pc.list_flatten(column)
            faults += pc.sum(pc.equal(pc.list_value_length(column), 0)).as_py() or 0
            faults += sum(pc.struct_field(messages, part).null_count for part in ("role", "content"))
        elif name in ("weight", "margin"):
            faults += pc.sum(pc.invert(pc.and_(pc.is_finite(column), pc.greater(column, 0)))).as_py() or 0
        elif name == "soft_label":
            within = pc.and_(pc.greater_equal(column, 0), pc.less_equal(column, 1))
            faults += pc.sum(pc.invert(within)).as_py() or 0
        if faults:
            raise Refused(
                f"split {split}, column {name}: {faults} values are null, empty or no number that may be there."
            )


def check_held_out(train: pa.Table, test: pa.Table) -> None:
    """Raise Refused if a split group or a prompt is in both splits: the test rows would not be held out."""
    for column in ("split_group", "prompt_id"):
        both = set(train[column].to_pylist()) & set(test[column].to_pylist())
        if both:
            raise Refused(
                f"{column}: expected none in both train and test, found {len(both)} (such as {min(both)}). "
                "Export again: splits follow split_group."
            )
