"""KTO rows: a prompt, one answer, and whether it was good."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from curation.reading.rows import Amiss
from curation.reading.shapes._turns import ASSISTANT, answer_of, are_turns, none_has, rest, turns_of

NAME = "kto"
DESCRIPTION = gettext_lazy("KTO: a prompt, one answer to it, and whether it is a good one.")
LABELS = ("label", "kto_tag")
DIALOGUES = ("messages", "conversations")


def recognise(sample: Sequence[dict[str, Any]], file_name: str) -> bool:
    return none_has(sample, "chosen") and all(
        any(isinstance(row.get(name), bool) for name in LABELS)
        and (
            any(row.get(name) and are_turns(row[name]) for name in DIALOGUES)
            or ("prompt" in row and "completion" in row)
        )
        for row in sample
    )


def rows(values: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    label = next((values[name] for name in LABELS if isinstance(values.get(name), bool)), None)
    if label is None:
        raise Amiss("label", _("It needs true or false: whether the answer is a good one."))
    given = next((name for name in DIALOGUES if values.get(name)), "")
    if given:
        *prompt, last = turns_of(values[given], given)
        if last["role"] != ASSISTANT or not prompt:
            raise Amiss(given, _("It must end with a turn of the assistant that answers something."))
        completion = answer_of(last, given)
    else:
        prompt = turns_of(values.get("prompt"), "prompt")
        completion = answer_of(values.get("completion"), "completion")
    others = rest(values, *DIALOGUES, *LABELS, "prompt", "completion")
    yield {"prompt": prompt, "completion": completion, "label": label} | others
