"""Conversations in their several spellings, as one: a list of {role, content}, role being one of four."""

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from curation.reading.rows import Amiss

USER, ASSISTANT, SYSTEM, TOOL = "user", "assistant", "system", "tool"
ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), USER),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bot", "bing", "bard", "model", "function_call"), ASSISTANT),
    **dict.fromkeys(("system", "developer"), SYSTEM),
    **dict.fromkeys(("tool", "function", "observation"), TOOL),
}
SPELLINGS = (("role", "content"), ("from", "value"))


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def all_have(sample: Iterable[dict[str, Any]], *columns: str) -> bool:
    """Whether each row has a value in each of these columns."""
    return all(row.get(column) is not None for row in sample for column in columns)


def none_has(sample: Iterable[dict[str, Any]], *columns: str) -> bool:
    return not any(column in row for row in sample for column in columns)


def is_turn(value: Any) -> bool:
    return isinstance(value, dict) and any(role in value and content in value for role, content in SPELLINGS)


def are_turns(value: Any, *spelling: str) -> bool:
    """Whether it is a list of turns, in this spelling where one is given; an empty list is one too."""
    return isinstance(value, list) and all(
        is_turn(turn) and (not spelling or set(spelling) <= set(turn)) for turn in value
    )


def rest(values: dict[str, Any], *taken: str) -> dict[str, Any]:
    """The columns that a shape does not know: they are kept as they are."""
    return {name: value for name, value in values.items() if name not in taken}


def turn_of(value: Any, column: str) -> dict[str, Any]:
    spelling = next(
        (keys for keys in SPELLINGS if isinstance(value, dict) and keys[0] in value and keys[1] in value), None
    )
    if spelling is None:
        raise Amiss(column, _("A turn in it has no role or no content. Each turn needs both."))
    said, content = value[spelling[0]], value[spelling[1]]
    role = ROLES.get(said.strip().lower()) if isinstance(said, str) else None
    if role is None:
        message = _("A turn in it is by “%(role)s”. Known are: %(known)s. Rename it.")
        raise Amiss(column, message % {"role": str(said)[:40], "known": ", ".join(ROLES)})
    if not isinstance(content, str) and not (content is None and value.get("tool_calls")):
        raise Amiss(
            column, _("A turn in it says nothing, or something other than text. Give it a text, or leave it out.")
        )
    return {"role": role, "content": content} | rest(value, *spelling)


def turns_of(value: Any, column: str) -> list[dict[str, Any]]:
    """The turns of a list; a text is one turn of the user. Raises Amiss where there is none, or one cannot be read."""
    if isinstance(value, str):
        return [{"role": USER, "content": value}]
    if not isinstance(value, list) or not value:
        raise Amiss(column, _("It has no turn. A list of them is needed, or leave the row out."))
    return [turn_of(turn, column) for turn in value]


def answer_of(value: Any, column: str) -> str:
    """The text of an answer: a text, a turn of the assistant, or a list of that one turn."""
    turn = value[0] if isinstance(value, list) and len(value) == 1 else value
    if isinstance(turn, str):
        return turn
    found = turn_of(turn, column)
    if found["role"] != ASSISTANT or not isinstance(found["content"], str):
        raise Amiss(column, _("It is no turn of the assistant. The answer alone belongs here."))
    return str(found["content"])
