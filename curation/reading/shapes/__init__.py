"""The shapes that training data come in, each a small module here: what its rows look like, and what becomes of them.

A module has `NAME`, `DESCRIPTION`, `recognise(sample, file_name)`, which sees the first rows of a file, and
`rows(values, number)`, which makes rows of one row and raises `Amiss` where it cannot. At most one may recognise a file.
One that needs the rows around a row has `through(rows, options)` instead, and `OPTIONS`, what it can be told with words
for each. `LIST` names the list that holds the rows where a JSON object holds several. A module that is added is found.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from django.utils.translation import gettext_lazy

from curation.reading.files import MAX_ROW_BYTES, PLAIN
from curation.reading.rows import Amiss, Problem, Row, too_large

SAMPLE = 20  # rows that are looked at to recognise a shape
AS_IT_IS = gettext_lazy("A plain table: the rows as they are.")


@dataclass(frozen=True)
class Shape:
    name: str
    description: str
    recognise: Callable[[Sequence[dict[str, Any]], str], bool]
    rows: Callable[[dict[str, Any], int], Iterator[dict[str, Any]]] | None
    through: Callable[[Iterator[Row | Problem], Mapping[str, str]], Iterator[Row | Problem]] | None
    options: Mapping[str, Any]

    def made_of(self, rows: Iterator[Row | Problem], options: Mapping[str, str]) -> Iterator[Row | Problem]:
        """The rows that it makes of a file's rows, numbered anew."""
        number = 0
        for one in self.through(rows, options) if self.through else self._each(rows):
            if isinstance(one, Row):
                if one.size > MAX_ROW_BYTES:
                    one = too_large(one.told)
                else:
                    number += 1
                    one = one._replace(number=number, source=one.told)
            yield one

    def _each(self, rows: Iterator[Row | Problem]) -> Iterator[Row | Problem]:
        assert self.rows is not None
        for row in rows:
            if isinstance(row, Problem):
                yield row
                continue
            try:
                made = list(self.rows(row.values, row.number))  # all of them or none
            except Amiss as amiss:
                yield Problem(row.number, amiss.column, str(amiss))
                continue
            for values in made:
                yield Row(row.number, values, row.size)


@cache
def known() -> dict[str, Shape]:
    """All shapes by name."""
    found = {}
    for one in iter_modules(__path__):
        if one.name.startswith("_"):
            continue
        module: Any = import_module(f"curation.reading.shapes.{one.name}")
        found[module.NAME] = Shape(
            module.NAME,
            module.DESCRIPTION,
            module.recognise,
            getattr(module, "rows", None),
            getattr(module, "through", None),
            getattr(module, "OPTIONS", {}),
        )
    return found


@cache
def lists() -> frozenset[str]:
    """The names of lists that hold the rows of a JSON object, whatever other lists it holds."""
    modules = (import_module(f"curation.reading.shapes.{one.name}") for one in iter_modules(__path__))
    return frozenset(module.LIST for module in modules if hasattr(module, "LIST"))


def named(name: str) -> Shape | None:
    """The shape of this name; None for rows as they are."""
    return None if name == PLAIN else known()[name]


def recognised(sample: Sequence[dict[str, Any]], file_name: str) -> list[Shape]:
    """The shapes that say a file is theirs: one or none, if the shapes keep apart."""
    return [shape for shape in known().values() if sample and shape.recognise(sample, file_name)]
