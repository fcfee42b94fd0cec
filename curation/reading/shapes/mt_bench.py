"""MT-bench and Vicuna questions: a question and what is asked after its answer."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from curation.reading.rows import Amiss
from curation.reading.shapes._turns import is_text, rest

NAME = "mt_bench"
DESCRIPTION = gettext_lazy("MT-bench questions: the first turn, and the one that follows on its answer.")


def recognise(sample: Sequence[dict[str, Any]], file_name: str) -> bool:
    return all("question_id" in row and _are_texts(row.get("turns")) for row in sample)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(is_text(turn) for turn in value)


def rows(values: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    turns = values.get("turns")
    if not isinstance(turns, list) or not _are_texts(turns):
        raise Amiss("turns", _("A list of texts is needed here, one at least."))
    first = {"question_id": values.get("question_id"), "category": values.get("category"), "question": turns[0]}
    follow_up = turns[1] if len(turns) > 1 else None
    yield first | {"follow_up": follow_up, "turns": turns} | rest(values, "question_id", "category", "turns")
