"""A table of values in a file: a row an item and a column a rater, or a row a value. For `manage.py measure`."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from annotate.measures.labels import Labels

MISSING = ("", "*")
ITEM = ("", "item", "id", "unit", "subject", "task")  # the first column names the items where it is called one of these
PROMPT = "prompt"
LONG = {"item", "rater", "value"}
DELIMITERS = "\t,;"
LEVELS = ("nominal", "ordinal", "interval", "ratio")

T = TypeVar("T")
Level = Literal["nominal", "ordinal", "interval", "ratio"]


class TableError(ValueError):
    """Why a file is no table that can be measured. Says where."""


class Cell(NamedTuple):
    item: int
    rater: int
    text: str
    row: int  # the line of the file
    column: str

    def error(self, reason: str) -> TableError:
        return TableError(f"row {self.row}, column “{self.column}”: {reason}")


@dataclass(frozen=True)
class Table:
    """The values of a file, each with its place."""

    items: list[str]
    raters: list[str]
    prompts: list[str]  # of each item
    cells: list[Cell]

    def only(self, raters: Sequence[str]) -> Table:
        """The values of these raters, in this order. All items stay."""
        unknown = [name for name in raters if name not in self.raters]
        if unknown:
            raise TableError(f"There is no rater “{unknown[0]}”; there are {', '.join(self.raters)}.")
        twice = [name for at, name in enumerate(raters) if name in raters[:at]]
        if twice:
            raise TableError(f"Rater “{twice[0]}” was named twice.")
        place = {self.raters.index(name): at for at, name in enumerate(raters)}
        cells = [cell._replace(rater=place[cell.rater]) for cell in self.cells if cell.rater in place]
        return Table(self.items, list(raters), self.prompts, cells)


def read_table(lines: Iterable[str], *, header: bool = True) -> Table:
    """The table of a CSV or TSV file. Raises TableError, which names the row and the column.

    The first line names the raters; where its first name is empty or "item" (or id, unit, subject, task), the first
    column names the items. A column "prompt" names the prompt of each item. Columns item, rater and value, in any
    order, make the long form. Without a header every column is a rater. Empty cells and * are missing values.
    """
    rows = _rows(lines)
    first = next(rows, None)
    if first is None:
        raise TableError("The file is empty.")
    line, names = first
    if not header:
        return _wide([str(at + 1) for at in range(len(names))], line, _with(first, rows))
    lower = [name.lower() for name in names]
    if set(lower) >= LONG and set(lower) <= {*LONG, PROMPT} and len(lower) == len(set(lower)):
        return _long(names, rows)
    if lower[0] in ITEM:
        names = ["item", *names[1:]]
    return _wide(names, line, rows)


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of each row that is not blank. The first line says what stands between the cells."""
    held = iter(lines)
    blank, first = 0, ""
    for first in held:
        if first.strip("\r\n"):
            break
        blank += 1
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(_with(first, held), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if row not in ([], [""]):
                yield blank + reader.line_num, row
    except csv.Error as error:
        raise TableError(f"row {blank + reader.line_num}: {error}") from None


def _with(first: T, rest: Iterator[T]) -> Iterator[T]:
    yield first
    yield from rest


def _wide(names: list[str], head: int, rows: Iterator[tuple[int, list[str]]]) -> Table:
    item_at = 0 if names[0] == "item" else None
    prompt_at = next((at for at, name in enumerate(names) if name.lower() == PROMPT), None)
    columns = [at for at in range(len(names)) if at not in (item_at, prompt_at)]
    raters = [names[at] for at in columns]
    for at in columns:
        if not names[at]:
            raise TableError(f"row {head}: column {at + 1} has no name")
        if names.index(names[at]) != at:
            raise TableError(f"row {head}: two columns are called “{names[at]}”")
    if not columns:
        raise TableError(f"row {head} names no rater")
    items: dict[str, int] = {}
    prompts: list[str] = []
    cells: list[Cell] = []
    for line, row in rows:
        if len(row) != len(names):
            raise TableError(f"row {line} has {len(row)} cells, the first has {len(names)}")
        item = str(len(items) + 1) if item_at is None else row[item_at]
        if items.setdefault(item, line) != line:
            raise TableError(f"row {line}, column “item”: “{item}” stands in row {items[item]} already")
        prompts.append(item if prompt_at is None else row[prompt_at])
        at = len(items) - 1
        for rater, column in enumerate(columns):
            if row[column] not in MISSING:
                cells.append(Cell(at, rater, row[column], line, names[column]))
    return Table(list(items), raters, prompts, cells)


def _long(names: list[str], rows: Iterator[tuple[int, list[str]]]) -> Table:
    at = {name.lower(): place for place, name in enumerate(names)}
    items: dict[str, int] = {}
    raters: dict[str, int] = {}
    prompts: list[str] = []
    given: dict[tuple[int, int], int] = {}
    cells: list[Cell] = []
    for line, row in rows:
        if len(row) != len(names):
            raise TableError(f"row {line} has {len(row)} cells, the first has {len(names)}")
        item, rater, value = (row[at[name]] for name in ("item", "rater", "value"))
        prompt = row[at[PROMPT]] if PROMPT in at else item
        for name, text in (("item", item), ("rater", rater)):
            if not text:
                raise TableError(f"row {line}, column “{name}”: empty")
        place = items.setdefault(item, len(items))
        if place == len(prompts):
            prompts.append(prompt)
        elif prompts[place] != prompt:
            raise TableError(f"row {line}, column “prompt”: item “{item}” had the prompt “{prompts[place]}” before")
        who = raters.setdefault(rater, len(raters))
        if given.setdefault((place, who), line) != line:
            before = given[place, who]
            raise TableError(f"row {line}: rater “{rater}” gave item “{item}” a value in row {before} already")
        if value not in MISSING:
            cells.append(Cell(place, who, value, line, "value"))
    return Table(list(items), list(raters), prompts, cells)


@dataclass(frozen=True)
class Scale:
    """What the values of a table are worth, and how much of it may be used."""

    level: Level
    categories: list[str] | list[float]  # in their order; numbers from ordinal on where the values are numbers
    offered: bool  # whether the categories were given, or are those that occur
    labels: Labels


def scaled(table: Table, *, level: Level | None = None, categories: Sequence[str] | None = None) -> Scale:
    """The table's values as labels. Raises TableError, which names the row and the column.

    Without `level` it is the highest the values allow: ratio for numbers, interval where one is below 0, nominal for
    words, ordinal where `categories` put them in order.
    """
    texts = categories if categories is not None else [cell.text for cell in table.cells]
    numeric = bool(texts) and all(_number(text) is not None for text in texts)
    if level in ("interval", "ratio") and not numeric:
        for cell in table.cells:
            if _number(cell.text) is None:
                raise cell.error(f"“{cell.text}” is not a number, and level {level} needs numbers")
        raise TableError(f"level {level} needs numbers as categories")
    if level == "ordinal" and not numeric and categories is None:
        raise TableError("Words have no order of their own: give --categories, from the lowest to the highest.")

    names: list = [_number(text) for text in texts] if numeric else list(texts)
    found: list = list(names) if categories is not None else sorted(set(names))
    if len(set(found)) < len(found):
        raise TableError("The categories must be different.")
    lowest = min(found) if numeric else 0
    if level == "ratio" and lowest < 0:
        raise TableError("level ratio needs numbers that are not below 0")
    if level is None:
        words: Level = "ordinal" if categories is not None else "nominal"
        level = ("ratio" if lowest >= 0 else "interval") if numeric else words
    return Scale(level, found, categories is not None, _labels(table, found, numeric))


def _labels(table: Table, categories: list, numeric: bool) -> Labels:
    code = {category: at for at, category in enumerate(categories)}
    values = [_number(cell.text) if numeric else cell.text for cell in table.cells]
    for cell, value in zip(table.cells, values, strict=True):
        if value not in code:
            raise cell.error(f"“{cell.text}” is not one of the categories")
    prompts: dict[str, int] = {}
    groups = [prompts.setdefault(prompt, len(prompts)) for prompt in table.prompts]
    return Labels(
        np.array([cell.item for cell in table.cells], dtype=np.int64),
        np.array([cell.rater for cell in table.cells], dtype=np.int64),
        np.array([code[value] for value in values], dtype=np.int64),
        np.array(groups, dtype=np.int64),
        len(categories),
        table.items,
        table.raters,
        np.array(categories, dtype=np.float64) if numeric else None,
    )


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
