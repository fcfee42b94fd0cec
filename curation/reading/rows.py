"""What a row is, what is wrong with one that cannot be taken, and what every format asks of values and names."""

from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from curation.reading.files import MAX_ROW_BYTES, Unreadable, undecodable

MAX_COLUMNS = 1000
MAX_NAME = 200
DEEPEST = 50
OURS = "_row"  # the column of the table that Plumbline adds
INT64 = range(-(2**63), 2**63)


class Row(NamedTuple):
    """A row: its number (1 is the first after a header), its values by column, and about how many bytes it has.

    Where a shape makes rows of the file's rows, they are numbered anew; `source` is then the file's row.
    """

    number: int
    values: dict[str, Any]
    size: int
    source: int = 0

    @property
    def told(self) -> int:
        """The number by which a person finds it in the file."""
        return self.source or self.number


@dataclass(frozen=True)
class Problem:
    """Why a row cannot be taken. `column` is empty where it is about the whole row."""

    row: int
    column: str
    message: str

    def __str__(self) -> str:
        where = _("row %(row)d") % {"row": self.row}
        if self.column:
            where += ", " + _("column %(column)s") % {"column": self.column}
        return f"{where}: {self.message}"

    def as_dict(self) -> dict[str, Any]:
        return {"row": self.row, "column": self.column, "message": self.message}


class Amiss(Exception):
    """Why a shape can make nothing of a row: the column it is about, empty for the whole, and a message."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


def too_large(number: int) -> Problem:
    message = _("It is over %(most)d MB. A row may not be larger; cut it, or split it into several.")
    return Problem(number, "", message % {"most": MAX_ROW_BYTES // 1024**2})


def wrong_byte(byte: str, encoding: str) -> str:
    message = _("The byte %(byte)s is not %(encoding)s. Choose the file's own encoding, or save it as UTF-8.")
    return message % {"byte": byte, "encoding": encoding.upper()}


# --- Values -----------------------------------------------------------------------------------------------------------


class Inexact(Exception):
    """A number that may be a whole one in the file, which orjson rounded: it is over 64 bits."""


def checked(number: int, values: dict[str, Any], size: int, exact: bool = False) -> Row | Problem:
    """The row, unless one of its values cannot be kept."""
    for column, value in values.items():
        kind = type(value)
        if kind is str:
            if "\x00" not in value:
                continue
        elif value is None or kind is bool:
            continue
        elif kind is int:
            if -(2**63) <= value < 2**63:
                continue
        elif kind is float:
            if abs(value) < 2**63:
                continue
            if isnan(value):  # only Parquet has them
                values[column] = None
                continue
        if why := _unkeepable(value, exact):
            return Problem(number, column, why)
    return Row(number, values, size)


def _unkeepable(value: Any, exact: bool) -> str | None:
    """Why a value, or one inside it, cannot be kept; None when it can."""
    level = [value]
    for _depth in range(DEEPEST + 1):
        inside: list[Any] = []
        for item in level:
            if isinstance(item, str):
                if "\x00" in item:
                    return _("It holds a NUL character. Remove it.")
            elif isinstance(item, dict):
                inside += [*item, *item.values()]
            elif isinstance(item, list):
                inside += item
            elif isinstance(item, float):
                if not exact and abs(item) >= 2**63:
                    raise Inexact
                if not isfinite(item):
                    return _("It is infinite, or no number. Write a finite one, or nothing.")
            elif isinstance(item, int) and item not in INT64:
                return _("The number %(number)s is over 64 bits. Write it as text.") % {"number": str(item)[:40]}
        if not inside:
            return None
        level = inside
    return _("It is nested over %(most)d levels deep. Flatten it.") % {"most": DEEPEST}


# --- The names of columns ---------------------------------------------------------------------------------------------


def check_columns(names: list[str], encoding: str = "utf-8") -> None:
    """Raises Unreadable for names that cannot be those of all columns."""
    check_number(len(names))
    for position, name in enumerate(names, 1):
        if why := unnameable(name, encoding):
            raise Unreadable(_("Column %(position)d: %(why)s") % {"position": position, "why": why})
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Unreadable(_("Two columns are called “%(name)s”. Rename one.") % {"name": twice})


def check_number(columns: int) -> None:
    if columns > MAX_COLUMNS:
        message = _("It has over %(most)d columns. Are the keys data, perhaps? Give each row the same few keys.")
        raise Unreadable(message % {"most": MAX_COLUMNS})


def unnameable(name: str, encoding: str = "utf-8") -> str | None:
    """Why a column cannot have this name; None when it can."""
    if not name.strip():
        return _("It has no name. Give it one.")
    if byte := undecodable(name):
        return wrong_byte(byte, encoding)
    if "\x00" in name:
        return _("Its name holds a NUL character. Remove it.")
    if len(name) > MAX_NAME:
        message = _("Its name, “%(name)s…”, is over %(most)d characters long. Shorten it.")
        return message % {"name": name[:40], "most": MAX_NAME}
    if name == OURS:
        return _("It is called “%(name)s”, as one that Plumbline adds. Rename it.") % {"name": OURS}
    return None
