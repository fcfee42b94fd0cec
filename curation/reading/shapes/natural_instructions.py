"""Natural Instructions: a file is a task with a definition, examples and instances; each instance becomes a row.

The reader of JSON gives each instance with what stands beside the list of them. Older files have the definition as a
text, newer ones as a list; the newer have ids.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from curation.reading.rows import Amiss
from curation.reading.shapes._turns import is_text, rest

NAME = "natural_instructions"
DESCRIPTION = gettext_lazy("Natural Instructions: a row for each instance, with the task's definition and examples.")
LIST = "Instances"
POSITIVE, NEGATIVE = "Positive Examples", "Negative Examples"


def recognise(sample: Sequence[dict[str, Any]], file_name: str) -> bool:
    return all("Definition" in row and POSITIVE in row and "input" in row and "output" in row for row in sample)


def rows(values: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    definition = _texts(values.get("Definition"), "Definition")
    outputs = _texts(values.get("output"), "output")
    if not is_text(values.get("input")):
        raise Amiss("input", _("It is missing, or no text. Each row needs one."))
    task = {"definition": definition[0], "input": values["input"], "output": outputs[0], "outputs": outputs}
    yield (
        task
        | {"positive_examples": values.get(POSITIVE) or [], "negative_examples": values.get(NEGATIVE) or []}
        | {
            name.lower().replace(" ", "_"): value
            for name, value in rest(values, "Definition", "output", "input", POSITIVE, NEGATIVE).items()
        }
    )


def _texts(value: Any, column: str) -> list[str]:
    texts = [value] if is_text(value) else value
    if not isinstance(texts, list) or not texts or not all(is_text(text) for text in texts):
        raise Amiss(column, _("A text is needed here, or a list of texts that is not empty."))
    return texts
