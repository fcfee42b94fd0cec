"""Rows of preferences: a prompt, what was chosen and what was rejected, in the spellings of TRL and LLaMA-Factory."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from curation.reading.rows import Amiss
from curation.reading.shapes._turns import (
    SYSTEM,
    USER,
    all_have,
    answer_of,
    are_turns,
    is_text,
    is_turn,
    rest,
    turns_of,
)

NAME = "preference"
DESCRIPTION = gettext_lazy("Preferences: a prompt, the chosen answer and the rejected one.")
PROMPTS = ("prompt", "conversations", "messages")


def recognise(sample: Sequence[dict[str, Any]], file_name: str) -> bool:
    return all_have(sample, "chosen", "rejected") and all(
        _is_prompted(row) and _is_answer(row["chosen"]) and _is_answer(row["rejected"]) for row in sample
    )


def _is_prompted(row: dict[str, Any]) -> bool:
    in_turns = any(is_text(row.get(name)) or (row.get(name) and are_turns(row[name])) for name in PROMPTS)
    return (
        in_turns or is_text(row.get("instruction")) or all(_is_dialogue(row[name]) for name in ("chosen", "rejected"))
    )


def _is_answer(value: Any) -> bool:
    return is_text(value) or is_turn(value) or (bool(value) and are_turns(value))


def _is_dialogue(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1 and are_turns(value)


def rows(values: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    given = next((name for name in PROMPTS if values.get(name)), "")
    if given:
        prompt = turns_of(values[given], given)
    elif is_text(values.get("instruction")):
        parts = (values["instruction"], values.get("input"))
        prompt = [{"role": USER, "content": "\n".join(part for part in parts if part)}]
    elif _is_dialogue(values.get("chosen")):
        prompt = turns_of(values["chosen"], "chosen")[:-1]
    else:
        raise Amiss("", _("It has no prompt. Name it “prompt”, “messages”, “conversations” or “instruction”."))
    if is_text(values.get("system")) and values["system"] and prompt[0]["role"] != SYSTEM:
        prompt = [{"role": SYSTEM, "content": values["system"]}, *prompt]
    answers = {name: _answer(values.get(name), name, prompt) for name in ("chosen", "rejected")}
    others = rest(values, *PROMPTS, "instruction", "input", "system", "chosen", "rejected")
    yield {"prompt": prompt} | answers | others


def _answer(value: Any, column: str, prompt: list[dict[str, Any]]) -> str:
    """The answer alone. A whole conversation must begin with the prompt."""
    if _is_dialogue(value):
        *before, last = turns_of(value, column)
        if before != prompt:
            raise Amiss(column, _("It does not begin with the prompt, so it answers another one. Leave it out."))
        return answer_of(last, column)
    return answer_of(value, column)
