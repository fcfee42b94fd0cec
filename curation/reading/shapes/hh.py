"""HH-RLHF: two transcripts, chosen and rejected, that differ in what the assistant says last."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from curation.reading.rows import Amiss
from curation.reading.shapes._turns import ASSISTANT, USER, is_text, rest

NAME = "hh"
DESCRIPTION = gettext_lazy("HH-RLHF: two transcripts, which become the prompt, the chosen answer and the rejected one.")
BEGIN = re.compile(r"\n\n(Human|Assistant):")


def recognise(sample: Sequence[dict[str, Any]], file_name: str) -> bool:
    return all(
        is_text(row.get(name)) and row[name].startswith("\n\nHuman:")
        for row in sample
        for name in ("chosen", "rejected")
    )


def rows(values: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    chosen, rejected = (_turns(values.get(name), name) for name in ("chosen", "rejected"))
    if chosen[:-1] != rejected[:-1]:
        message = _(
            "It differs from the chosen one before the last turn, so they answer different prompts. Leave it out."
        )
        raise Amiss("rejected", message)
    answers = {"chosen": chosen[-1]["content"], "rejected": rejected[-1]["content"]}
    yield {"prompt": chosen[:-1]} | answers | rest(values, "chosen", "rejected")


def _turns(text: Any, column: str) -> list[dict[str, str]]:
    """The turns of a transcript. Raises Amiss where it is no conversation that ends with an answer."""
    if not is_text(text) or not text.startswith("\n\nHuman:"):
        raise Amiss(column, _("A transcript is needed that begins with two line ends and “Human:”."))
    _nothing, *pieces = BEGIN.split(text)
    turns = [
        {"role": USER if who == "Human" else ASSISTANT, "content": said.strip()}
        for who, said in zip(pieces[::2], pieces[1::2], strict=True)
    ]
    if turns[-1]["role"] != ASSISTANT:
        raise Amiss(column, _("The last turn is not the assistant's, so there is no answer to prefer. Leave it out."))
    if not turns[-1]["content"]:
        raise Amiss(column, _("The last turn is empty, so there is no answer to prefer. Leave it out."))
    if any(one["role"] == other["role"] for one, other in pairwise(turns)):
        raise Amiss(column, _("Two turns of one role follow each other. Join them, or leave it out."))
    return turns
