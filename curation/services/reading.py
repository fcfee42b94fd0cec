"""How a file that comes in will be read: what somebody said, and for the rest what its name and first rows say.

A dataset here need not be saved, so a preview and an import ask the same.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from curation.models import Dataset
from curation.reading import PLAIN, Problem, Reading, Row, Unreadable, bundle, find, preview

READING = (
    "format", "encoding", "column_names", "id_column", "group_column", "leave_out_refused", "delimiter", "quote",
    "header", "shape", "shape_options", "files",
)  # fmt: skip
SUFFIXES = {
    ".jsonl": Dataset.Format.JSONL,
    ".ndjson": Dataset.Format.JSONL,
    ".json": Dataset.Format.JSON,  # or an object a line, as it begins
    ".csv": Dataset.Format.CSV,
    ".tsv": Dataset.Format.TSV,
    ".tab": Dataset.Format.TSV,
    ".parquet": Dataset.Format.PARQUET,
    ".arrow": Dataset.Format.ARROW,
    ".txt": Dataset.Format.TEXT,
    ".text": Dataset.Format.TEXT,
    ".label": Dataset.Format.TEXT,
    ".labels": Dataset.Format.TEXT,
}


def format_of(file_name: str) -> str:
    """The format that a file's name says; empty when it says none. Of `x.csv.gz` it is CSV."""
    suffixes = [suffix.lower() for suffix in Path(file_name).suffixes]
    return next((SUFFIXES[suffix] for suffix in reversed(suffixes) if suffix in SUFFIXES), "")


def is_bundle(file_name: str) -> bool:
    return file_name.lower().endswith(bundle.SUFFIX)


def prepared(
    *,
    path: Path,
    file_name: str,
    splits: Sequence[str] = (),
    check: Callable[[Dataset], None] = lambda dataset: None,
    **fields: Any,
) -> tuple[Dataset, dict[str, str]]:
    """A dataset, not saved, that says how the file is read, and a reason for each thing that was found.

    `fields` are those of the model; what is empty of the reading is found. Raises ValidationError for what makes no
    sense. A file that cannot be read at all gets what is usual: its import says what is wrong with it.
    """
    given = {name: value for name, value in fields.items() if value != ""}
    shape = given.pop("shape", "")
    given["files"] = _files(path, splits) if is_bundle(file_name) else []
    kinds = {format_of(one["name"]) for one in given["files"]} or {format_of(file_name)}
    certain = "format" in given
    if not certain:
        if len(kinds) > 1:
            message = _("The files have several formats: %(formats)s. Import them apart, or choose the one they share.")
            raise ValidationError({"file_name": message % {"formats": ", ".join(sorted(kinds))}})
        given["format"] = kinds.pop()
    if not given["format"]:
        message = _(
            "The name does not say what it is: .jsonl, .json, .csv, .tsv, .parquet, .arrow or .txt, with .gz or .zst "
            "behind it or not; .tar of several."
        )
        raise ValidationError({"file_name": message})
    dataset = Dataset(file_name=Path(file_name).name[-255:], shape=shape or PLAIN, **given)
    check(dataset)
    reasons: dict[str, str] = {}
    with suppress(Unreadable):
        found = find(path, file_name, replace(reading_of(dataset), shape=shape), format_is_certain=certain)
        reasons = found.reasons
        for name in ("format", "delimiter", "quote", "header", "shape"):
            setattr(dataset, name, getattr(found.reading, name))
    return dataset, reasons


def _files(path: Path, splits: Sequence[str]) -> list[dict[str, str]]:
    """The files of a tar with the split of each."""
    try:
        names = [part.name for part in bundle.members(path)]
    except Unreadable as error:
        raise ValidationError({"file_name": str(error)}) from None
    found = list(splits) or [bundle.split_of(name) for name in names]
    if len(found) != len(names):
        message = _("There are %(files)d files and %(splits)d splits. Give each file one: %(names)s.")
        words = {"files": len(names), "splits": len(found), "names": ", ".join(names[:20])}
        raise ValidationError({"splits": message % words})
    if any(found) and not all(found):
        message = _(
            "The name of “%(name)s” does not say its split, as those of others do. Give the splits of all files."
        )
        raise ValidationError({"splits": message % {"name": names[found.index("")]}})
    return [{"name": name, "split": split} for name, split in zip(names, found, strict=True)]


def first_rows(dataset: Dataset, path: Path, count: int) -> list[Row | Problem]:
    """The first rows as the import would take them. Raises Unreadable."""
    return preview(path, reading_of(dataset), count)


def reading_of(dataset: Dataset) -> Reading:
    return Reading(
        format=dataset.format,
        encoding=dataset.encoding,
        columns=tuple(dataset.column_names),
        id_column=dataset.id_column,
        group_column=dataset.group_column,
        delimiter=dataset.delimiter,
        quote=dataset.quote,
        header=dataset.header,
        shape=dataset.shape,
        options=dataset.shape_options,
        files=tuple((one["name"], one["split"]) for one in dataset.files),
    )


def reading_sha256(dataset: Dataset) -> str:
    """The same for two imports that read a file in the same way."""
    return hashlib.sha256(orjson.dumps([getattr(dataset, name) for name in READING])).hexdigest()
