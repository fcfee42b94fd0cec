"""Dolly: {instruction, context, response, category}."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from curation.reading.rows import Amiss
from curation.reading.shapes._turns import is_text, rest

NAME = "dolly"
DESCRIPTION = gettext_lazy("Dolly: an instruction, its context if it has one, the response and a category.")
COLUMNS = ("instruction", "context", "response", "category")


def recognise(sample: Sequence[dict[str, Any]], file_name: str) -> bool:
    return all("context" in row and is_text(row.get("instruction")) and is_text(row.get("response")) for row in sample)


def rows(values: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    for name in ("instruction", "response"):
        if not is_text(values.get(name)):
            raise Amiss(name, _("It is missing, or no text. Each row needs one."))
    yield {name: values.get(name) or "" for name in COLUMNS} | rest(values, *COLUMNS)
