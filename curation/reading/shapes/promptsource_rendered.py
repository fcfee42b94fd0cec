"""What promptsource rendered: {inputs, targets} as in P3 and xP3, or {prompt, completion} as T0's rows came."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from curation.reading.rows import Amiss
from curation.reading.shapes._turns import is_text, rest

NAME = "promptsource_rendered"
DESCRIPTION = gettext_lazy("Rendered by promptsource, as in T0 and P3: inputs and targets.")
END = "<|endoftext|>"
SPELLINGS = (("inputs_pretokenized", "targets_pretokenized"), ("inputs", "targets"), ("prompt", "completion"))


def recognise(sample: Sequence[dict[str, Any]], file_name: str) -> bool:
    found = _spelling(sample[0])
    if found is None or not all(is_text(row.get(name)) for row in sample for name in found):
        return False
    return found[0] != "prompt" or all(row["completion"].endswith(END) for row in sample)


def _spelling(values: dict[str, Any]) -> tuple[str, str] | None:
    return next((names for names in SPELLINGS if all(is_text(values.get(name)) for name in names)), None)


def rows(values: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    """The texts as the template gave them: T0's rows end their input with a line, and their target with a mark."""
    found = _spelling(values)
    if found is None:
        raise Amiss("", _("It needs two texts, “inputs” and “targets”."))
    inputs, targets = values[found[0]], values[found[1]]
    if found[0] == "prompt":
        inputs, targets = inputs.removesuffix("\n"), targets.removesuffix(END)
    yield {"inputs": inputs, "targets": targets} | rest(values, *found, "inputs", "targets")
