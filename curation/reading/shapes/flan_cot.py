"""FLAN's chains of thought: question, answer and chain, between tabs, without a header; line ends are written \\n."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from curation.reading.rows import Amiss
from curation.reading.shapes._turns import is_text

NAME = "flan_cot"
DESCRIPTION = gettext_lazy("FLAN chain of thought: question, answer, and the thoughts between them.")
COLUMNS = ("question", "answer", "chain_of_thought")
WITHOUT_NAMES = ("column_1", "column_2", "column_3")


def recognise(sample: Sequence[dict[str, Any]], file_name: str) -> bool:
    names = tuple(sample[0])
    if names not in (COLUMNS, WITHOUT_NAMES) or not all(is_text(row.get(name)) for row in sample for name in names):
        return False
    question, answer, chain = (median(len(row[name]) for row in sample) for name in names)
    return answer < question and answer < chain and question > 20


def rows(values: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    texts = list(values.values())
    if len(texts) != 3 or not all(is_text(text) and text for text in texts):
        raise Amiss("", _("Three texts are needed: question, answer, chain of thought."))
    yield dict(zip(COLUMNS, (text.replace("\\n", "\n") for text in texts), strict=True))
