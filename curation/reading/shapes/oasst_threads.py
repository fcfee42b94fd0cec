"""OASST threads: the messages from a prompt to one answer, as a list. Each thread is a row."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from curation.reading.rows import Amiss
from curation.reading.shapes._oasst import checked, dialogue
from curation.reading.shapes._turns import is_text

NAME = "oasst_threads"
DESCRIPTION = gettext_lazy("OASST threads: a list of messages from a prompt to an answer, a row for each.")


def recognise(sample: Sequence[dict[str, Any]], file_name: str) -> bool:
    return all(is_text(row.get("thread_id")) and isinstance(row.get("thread"), list) for row in sample)


def rows(values: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    thread = values.get("thread")
    if not isinstance(thread, list) or not thread:
        raise Amiss("thread", _("It has no turn. A list of them is needed, or leave the row out."))
    yield {"thread_id": values.get("thread_id")} | dialogue([checked(message, "thread") for message in thread])
