"""ShareGPT, as Vicuna and LLaMA-Factory write it: conversations of {from, value}."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.translation import gettext_lazy

from curation.reading.shapes._turns import SYSTEM, are_turns, none_has, rest, turns_of

NAME = "sharegpt"
DESCRIPTION = gettext_lazy("ShareGPT: conversations of human and gpt, which become user and assistant.")


def recognise(sample: Sequence[dict[str, Any]], file_name: str) -> bool:
    return none_has(sample, "chosen", "label", "kto_tag") and all(
        are_turns(row.get("conversations"), "from", "value") for row in sample
    )


def rows(values: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    turns = turns_of(values.get("conversations"), "conversations")
    first = [{"role": SYSTEM, "content": values["system"]}] if isinstance(values.get("system"), str) else []
    first = [] if not first or not first[0]["content"] or turns[0]["role"] == SYSTEM else first
    yield {"messages": first + turns} | rest(values, "conversations", *(["system"] if first else []))
