"""Finding out how a file is to be read: what it says of its format, of what is around its fields, and of its shape."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from django.utils.translation import gettext as _

from curation.reading import shapes
from curation.reading.bundle import parts_of
from curation.reading.dialect import SAMPLE_BYTES, Answer, found_in
from curation.reading.files import MAX_ROW_BYTES, PLAIN, Part, Reading, Unreadable, lines_of, unpacked
from curation.reading.rows import Problem, Row
from curation.reading.table import read


@dataclass(frozen=True)
class Found:
    """How a file is read, and why: `reasons` has a sentence for each thing that was found."""

    reading: Reading
    reasons: dict[str, str] = field(default_factory=dict)


def find(path: Path, file_name: str, reading: Reading, *, format_is_certain: bool = True) -> Found:
    """The reading with what was left empty in it, `shape` too. Raises Unreadable where the file says nothing.

    A name that ends in .json may mean a list or an object a line: `format_is_certain` is False then.
    """
    first = parts_of(path, reading)[0]
    reasons: dict[str, str] = {}
    if reading.format == "json" and not format_is_certain:
        kind, reasons["format"] = _kind_of_json(first, reading.encoding)
        reading = replace(reading, format=kind)
    if reading.format in ("csv", "tsv"):
        answers = _dialect(first, reading)
        reasons |= {name: answer.reason for name, answer in answers.items()}
        delimiter, quote, header = (answers[name].value for name in ("delimiter", "quote", "header"))
        reading = replace(reading, delimiter=delimiter, quote=quote, header=header)
    if not reading.shape:
        shape = _shape(path, file_name, reading)
        reading = replace(reading, shape=shape.value)
        reasons["shape"] = shape.reason
    return Found(reading, reasons)


def preview(path: Path, reading: Reading, count: int) -> list[Row | Problem]:
    """The first rows as they would be read."""
    return list(islice(read(path, reading), count))


def _dialect(part: Part, reading: Reading) -> dict[str, Answer]:
    given = {name: getattr(reading, name) for name in ("delimiter", "quote", "header")}
    if reading.columns and not reading.header:
        given["header"] = "no"  # whoever names columns says that the file does not
    with unpacked(part, reading.encoding) as stream:
        start = stream.read(SAMPLE_BYTES + 1)
    text = start[:SAMPLE_BYTES].decode(reading.encoding, "replace")
    return found_in(text, len(start) <= SAMPLE_BYTES, reading.format, given)


def _kind_of_json(part: Part, encoding: str) -> tuple[str, str]:
    with unpacked(part, encoding) as stream:
        lines = (line for line in lines_of(stream) if line.strip())
        first, second = next(lines, b""), next(lines, b"")
    first = first.removeprefix(b"\xef\xbb\xbf").strip()
    if first.startswith(b"["):
        return "json", _("it begins with a list")
    try:
        value: Any = orjson.loads(first.decode(encoding).encode()) if len(first) <= MAX_ROW_BYTES else None
    except (orjson.JSONDecodeError, UnicodeDecodeError):
        value = None
    if second.strip().startswith(b"{"):
        return "jsonl", _("its lines are objects")
    if isinstance(value, dict) and not second and not any(_is_list_of_objects(one) for one in value.values()):
        return "jsonl", _("it is one object without a list of others")
    return "json", _("it is one object over all its lines")


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _shape(path: Path, file_name: str, reading: Reading) -> Answer:
    plain = replace(reading, shape=PLAIN, files=reading.files[:1] if reading.format != "text" else reading.files)
    rows: list[Row | Problem] = []
    with suppress(Unreadable):  # the import will say so
        rows = preview(path, plain, shapes.SAMPLE)
    sample = [row.values for row in rows if isinstance(row, Row)]
    found = shapes.recognised(sample, file_name)
    if len(found) == 1:
        return Answer(found[0].name, _("the first rows look like it"))
    return Answer(PLAIN, _("the first rows look like no other"))
