"""OpenAI's messages, which most trainers take: {messages: [{role, content}]}."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.translation import gettext_lazy

from curation.reading.shapes._turns import are_turns, none_has, rest, turns_of

NAME = "openai_messages"
DESCRIPTION = gettext_lazy("Messages of {role, content}, as OpenAI and most trainers take them.")


def recognise(sample: Sequence[dict[str, Any]], file_name: str) -> bool:
    return none_has(sample, "chosen", "label", "kto_tag") and all(
        are_turns(row.get("messages"), "role", "content") for row in sample
    )


def rows(values: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    yield {"messages": turns_of(values.get("messages"), "messages")} | rest(values, "messages")
