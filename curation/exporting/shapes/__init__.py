"""How rows are written: each shape is what some trainer's own reader expects. Rows come here without a fault.

schema   of the Parquet file in which the rows stand too; None: in JSONL alone
row      a canonical row in this shape. Raises `checking.Unfit` for one that the shape cannot say
file     the path of a split's JSONL file in the folder
more     further files, by path, from the manifest's kind and splits
LOSES    canonical columns that the shape has no place for
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import pyarrow as pa

from curation.exporting.shapes import alpaca, hh, llamafactory, oasst, openai, sharegpt, trl


class Shape(Protocol):
    NAME: str
    KINDS: tuple[str, ...]
    LOSES: tuple[str, ...]

    def schema(self, kind: str, canonical: pa.Schema) -> pa.Schema | None: ...

    def row(self, kind: str, canonical: Mapping[str, Any]) -> dict[str, Any]: ...

    def file(self, kind: str, split: str) -> str: ...

    def more(self, manifest: Mapping[str, Any]) -> dict[str, bytes]: ...


_SHAPES: tuple[Shape, ...] = (trl, openai, llamafactory, alpaca, sharegpt, hh, oasst)
SHAPES: dict[str, Shape] = {shape.NAME: shape for shape in _SHAPES}


def shapes_of(kind: str) -> list[str]:
    return [name for name, shape in SHAPES.items() if kind in shape.KINDS]


def lost(shape: str, columns: Iterable[str]) -> list[str]:
    """Which of a kind's columns a file of this shape does not have, a part of one as `column.part`: for the manifest."""
    names = set(columns)
    return [name for name in SHAPES[shape].LOSES if name.split(".")[0] in names]
