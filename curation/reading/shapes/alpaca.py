"""Alpaca: {instruction, input, output}, the input empty where the instruction says all."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from curation.reading.rows import Amiss
from curation.reading.shapes._turns import all_have, none_has, rest

NAME = "alpaca"
DESCRIPTION = gettext_lazy("Alpaca: an instruction, its input if it has one, and the output.")
COLUMNS = ("instruction", "input", "output")


def recognise(sample: Sequence[dict[str, Any]], file_name: str) -> bool:
    texts = all(isinstance(row.get(name, ""), str | None) for row in sample for name in COLUMNS)
    return texts and all_have(sample, "instruction", "output") and none_has(sample, "instances", "chosen", "Definition")


def rows(values: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    for name in ("instruction", "output"):
        if not isinstance(values.get(name), str):
            raise Amiss(name, _("It is missing, or no text. Each row needs one."))
    yield {name: values.get(name) or "" for name in COLUMNS} | rest(values, *COLUMNS)
