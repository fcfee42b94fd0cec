"""Self-Instruct seeds: a task with instances, of which each becomes a row."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from curation.reading.rows import Amiss
from curation.reading.shapes._turns import is_text, rest

NAME = "self_instruct"
DESCRIPTION = gettext_lazy("Self-Instruct seeds: a row for each instance of a task.")


def recognise(sample: Sequence[dict[str, Any]], file_name: str) -> bool:
    return all(
        is_text(row.get("instruction"))
        and isinstance(row.get("instances"), list)
        and all(isinstance(one, dict) and "output" in one for one in row["instances"])
        for row in sample
    )


def rows(values: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    instances = values.get("instances")
    if not isinstance(instances, list) or not instances:
        raise Amiss("instances", _("The task has no instance. Give it one, or leave it out."))
    for one in instances:
        if not isinstance(one, dict) or not is_text(one.get("output")) or not is_text(one.get("input") or ""):
            raise Amiss(
                "instances", _("An instance needs an output, and an input, which may be empty; both are texts.")
            )
        yield rest(values, "instances") | {"input": one.get("input") or "", "output": one["output"]}
