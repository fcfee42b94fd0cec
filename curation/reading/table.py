"""From rows to a table: which columns there are, of which kind, and the rows as Arrow tables."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from curation.reading import delimited, json_list, jsonl, lines, parquet, shapes
from curation.reading.bundle import parts_of
from curation.reading.files import PLAIN, Part, Reading, Unreadable, unpacked
from curation.reading.rows import MAX_NAME, OURS, Problem, Row, check_number, unnameable

TEXT, INTEGER, NUMBER, BOOLEAN, LIST, OBJECT = "text", "integer", "number", "boolean", "list", "object"
UNKNOWN = ""  # of a column that has had no value so far
KIND_OF = {str: TEXT, int: INTEGER, float: NUMBER, bool: BOOLEAN, list: LIST, dict: OBJECT}
ARROW = {
    TEXT: pa.string(),
    INTEGER: pa.int64(),
    NUMBER: pa.float64(),
    BOOLEAN: pa.bool_(),
    LIST: pa.string(),
    OBJECT: pa.string(),
}
IN_WORDS = {
    TEXT: gettext_lazy("text"),
    INTEGER: gettext_lazy("a whole number"),
    NUMBER: gettext_lazy("a number"),
    BOOLEAN: gettext_lazy("true or false"),
    LIST: gettext_lazy("a list"),
    OBJECT: gettext_lazy("an object"),
}
WHOLE_NUMBER = re.compile(r"-?[1-9][0-9]{0,17}|0")
EXACT = 2**53  # up to here a float64 holds every whole number
BATCH_ROWS, BATCH_BYTES = 10_000, 32 * 1024 * 1024
MAX_PROBLEMS = 1000


@dataclass
class Column:
    name: str
    kind: str
    first: int  # the row that decided its kind
    large: int = 0  # a row whose whole number a float64 does not hold, if there is one
    filled: int = 0  # how many of the rows that were written have a value here


@dataclass
class Survey:
    """What a first reading found. `problems` are the first thousand of `refused` rows."""

    columns: dict[str, Column] = field(default_factory=dict)
    rows: int = 0
    refused: int = 0
    problems: list[Problem] = field(default_factory=list)
    _refused: bytearray = field(default_factory=bytearray)  # a bit for each row: a set of ten million would not fit

    @property
    def taken(self) -> int:
        return self.rows - self.refused

    def schema(self) -> pa.Schema:
        """The columns, and `_row`: the number of the row in the file."""
        columns = [
            pa.field(column.name, ARROW[column.kind], metadata={"kind": column.kind})
            for column in self.columns.values()
        ]
        return pa.schema([pa.field(OURS, pa.int64(), nullable=False), *columns])

    def refuse(self, problem: Problem, number: int = 0) -> None:
        """Count a problem; `number` is that of a row that was read well and is to be left out all the same.

        The finished table may show more of them, in any order: `settle` ends that.
        """
        if number:
            byte, bit = divmod(number, 8)
            if byte >= len(self._refused):
                self._refused.extend(bytes(byte + 1 - len(self._refused)))
            self._refused[byte] |= 1 << bit
        self.refused += 1
        column = problem.column[:MAX_NAME].replace("\x00", "\ufffd")  # a key of JSON may be anything
        self.problems.append(Problem(problem.row, column, problem.message))
        if len(self.problems) >= 2 * MAX_PROBLEMS:
            self.settle()

    def settle(self) -> None:
        self.problems.sort(key=lambda problem: problem.row)
        del self.problems[MAX_PROBLEMS:]

    def refuses(self, row: int) -> bool:
        byte, bit = divmod(row, 8)
        return byte < len(self._refused) and bool(self._refused[byte] & 1 << bit)

    def admit(self, row: Row) -> Problem | None:
        """Let the columns be such that the row fits; say why where they cannot be."""
        columns = self.columns
        changes: list[Column] = []
        for name, value in row.values.items():
            column = columns.get(name)
            kind = UNKNOWN if value is None else KIND_OF[type(value)]
            large = row.told if kind == INTEGER and not -EXACT <= value <= EXACT else 0
            if column is not None and not large and (kind == column.kind or kind == UNKNOWN):
                continue
            if column is None and (why := unnameable(name)):
                return Problem(row.told, name, why)
            known = column or Column(name, UNKNOWN, row.told)
            changed = _with(known, kind, row.told, large)
            if isinstance(changed, Problem):
                return changed
            changes.append(changed)
        for column in changes:  # only now: a row that is refused decides nothing
            columns[column.name] = column
        check_number(len(columns))
        return None


def _with(column: Column, kind: str, row: int, large: int) -> Column | Problem:
    """The column once it holds a value of this kind too. A whole number may become a number, if that keeps it."""
    if kind == UNKNOWN:
        return column
    if column.kind == UNKNOWN:
        return Column(column.name, kind, row, large)
    if column.kind == kind:
        return Column(column.name, kind, column.first, column.large or large)
    if {column.kind, kind} != {INTEGER, NUMBER}:
        message = _(
            "It is %(found)s here and %(wanted)s in row %(first)d. A column has one kind of value: make all alike."
        )
        words = {"found": IN_WORDS[kind], "wanted": IN_WORDS[column.kind], "first": column.first}
        return Problem(row, column.name, message % words)
    if large or column.large:
        message = _(
            "The column has numbers with a fraction and, in row %(large)d, a whole one that is too large to stand "
            "beside them exactly. Write them as text."
        )
        return Problem(row, column.name, message % {"large": large or column.large})
    return Column(column.name, NUMBER, column.first)


def read(path: Path, reading: Reading) -> Iterator[Row | Problem]:
    """All rows of the file in order. Raises Unreadable, also in the middle, for what stops the reading itself."""
    parts = parts_of(path, reading)
    if reading.files or reading.shape != PLAIN:
        return _numbered(parts, reading)
    return _as_they_are(parts[0], reading)


def _as_they_are(part: Part, reading: Reading) -> Iterator[Row | Problem]:
    if reading.format == "parquet":
        yield from parquet.rows(part)
    elif reading.format == "arrow":
        yield from parquet.arrow_rows(part)
    elif reading.format == "json":
        yield from json_list.rows(part, reading.encoding, shapes.lists())
    elif reading.format == "text":
        yield from lines.rows(part, reading.encoding)
    else:
        with unpacked(part, reading.encoding) as stream:
            yield from (
                jsonl.rows(stream, reading.encoding) if reading.format == "jsonl" else delimited.rows(stream, reading)
            )


SPLIT = "split"


def _numbered(parts: list[Part], reading: Reading) -> Iterator[Row | Problem]:
    """The rows of several files, or such as a shape makes, numbered through, with the split of their file."""
    shape = shapes.named(reading.shape)
    made = before = 0  # rows of a shape, and rows of the files that came before
    for part in parts:
        last = 0
        try:
            rows = _as_they_are(part, reading)
            for one in shape.made_of(rows, reading.options) if shape else rows:
                last = max(last, one.row if isinstance(one, Problem) else one.told)
                if isinstance(one, Row) and SPLIT in one.values and part.split:
                    message = _("It has a “split” of its own, and its file has one too. Rename the column.")
                    one = Problem(one.told, SPLIT, message)
                if isinstance(one, Problem):
                    yield Problem(before + one.row, one.column, _in_file(part, one))
                    continue
                made = made + 1 if shape else before + one.number
                values = one.values | {SPLIT: part.split} if part.split else one.values
                yield Row(made, values, one.size, before + one.told)
        except Unreadable as error:
            raise Unreadable(f"{part.name}: {error}" if part.name else str(error)) from None
        before += last


def _in_file(part: Part, problem: Problem) -> str:
    if not part.name:
        return problem.message
    words = {"row": problem.row, "file": part.name, "message": problem.message}
    return _("(row %(row)d of %(file)s) %(message)s") % words


def survey(path: Path, reading: Reading, progress: Callable[[int], None] = lambda rows: None) -> Survey:
    """Read the whole file once. Raises Unreadable where it cannot be read, or holds no row."""
    found = Survey()
    plain = reading.shape == PLAIN
    whole_numbers = _WholeNumbers() if plain and reading.format in ("csv", "tsv") else None
    alike = whole_numbers and not reading.files  # all is text, and every row has every column
    names: list[str] = []
    for row in read(path, reading):
        found.rows += 1
        if found.rows % BATCH_ROWS == 0:
            progress(found.rows)
        if isinstance(row, Problem):
            found.refuse(row)
            continue
        names = names or list(row.values)
        if reading.id_column and row.values.get(reading.id_column) in (None, ""):
            message = _("The id is missing. Each row needs its own.")
            found.refuse(Problem(row.told, reading.id_column, message), row.number)
        elif whole_numbers and alike and found.columns:
            whole_numbers.look_at(row)
        elif problem := found.admit(row):
            found.refuse(problem, row.number)
        elif whole_numbers:
            whole_numbers.look_at(row)
    for name in whole_numbers.names() if whole_numbers else ():
        found.columns[name].kind = INTEGER
    for column in found.columns.values():
        column.kind = column.kind or TEXT
    found.settle()
    _check_whole(found, reading, list(found.columns) or names)
    return found


class _WholeNumbers:
    """Which columns of a CSV file hold nothing but plain whole numbers."""

    def __init__(self) -> None:
        self._possible: dict[str, bool] = {}  # and whether one was seen
        self._began = False

    def look_at(self, row: Row) -> None:
        if not self._began:
            self._began, self._possible = True, dict.fromkeys(row.values, False)
        for name in list(self._possible):
            if value := row.values.get(name):
                if WHOLE_NUMBER.fullmatch(value):
                    self._possible[name] = True
                else:
                    del self._possible[name]

    def names(self) -> list[str]:
        return [name for name, seen in self._possible.items() if seen]


def _check_whole(found: Survey, reading: Reading, names: list[str]) -> None:
    if not found.rows:
        raise Unreadable(_("The file holds no rows: there is nothing after its header, or only blank lines."))
    for what in (reading.id_column, reading.group_column):
        if what and names and what not in names:
            message = _("There is no column “%(name)s”. The file has: %(names)s.")
            raise Unreadable(message % {"name": what, "names": ", ".join(name[:MAX_NAME] for name in names[:50])})


def batches(path: Path, reading: Reading, found: Survey) -> Iterator[pa.Table]:
    """The rows that are not refused, in order, as tables of `found.schema()`. Counts the values of each column."""
    columns = list(found.columns.values())
    for column in columns:
        column.filled = 0
    numbers: list[int] = []
    values: list[list[Any]] = [[] for _ in columns]
    size = 0
    for row in read(path, reading):
        if isinstance(row, Problem) or found.refuses(row.number):
            continue
        numbers.append(row.number)
        for column, into in zip(columns, values, strict=True):
            value = row.values.get(column.name)
            if value is not None and column.kind in (LIST, OBJECT):  # at once: as text they take less memory
                value = orjson.dumps(value).decode()
            into.append(value)
        size += row.size
        if len(numbers) == BATCH_ROWS or size >= BATCH_BYTES:
            yield _table(found, numbers, values)
            numbers, values, size = [], [[] for _ in columns], 0
    if numbers:
        yield _table(found, numbers, values)


def _table(found: Survey, numbers: list[int], values: list[list[Any]]) -> pa.Table:
    arrays = [pa.array(numbers, pa.int64())]
    for column, inside in zip(found.columns.values(), values, strict=True):
        array = _array(inside, column.kind)
        column.filled += len(array) - array.null_count
        if column.kind == TEXT:
            column.filled -= pc.sum(pc.equal(array, "")).as_py() or 0
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=found.schema())


def _array(values: list[Any], kind: str) -> pa.Array:
    if kind == INTEGER:  # of CSV they are text, and empty where there is none
        values = [int(value) if value or value == 0 else None for value in values]
    return pa.array(values, ARROW[kind])
