"""What a request for an export would hold now: counts, and the first rows as they would be written."""

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db.models import Count
from django.utils.translation import gettext as _

from curation.exporting.checking import Unfit, fault
from curation.exporting.filters import GOLD, filters_of
from curation.exporting.kinds import KINDS
from curation.exporting.shapes import SHAPES
from curation.models import Export
from curation.services.loading import Loader
from curation.services.project_export import options_of
from curation.services.selecting import by_prompt, judged_slots, known, selected, settled_by

LOOKED_AT = 50  # judgements
SHOWN = 5  # rows


@dataclass(frozen=True)
class Preview:
    judgements: int
    tasks: int
    prompts: int
    people: int
    rows: list[dict[str, Any]]  # the first, in the shape
    left_out: list[tuple[str, int]]  # of those looked at: why, and how many


def preview(export: Export) -> Preview:
    """Of an export that was `exports.prepared` and not saved. Nothing is written."""
    counts = judged_slots(export).aggregate(
        judgements=Count("pk"),
        tasks=Count("task", distinct=True),
        prompts=Count("task__prompt_sha256", distinct=True),
        people=Count("holder", distinct=True),
    )
    rows, left_out = _first_rows(export)
    return Preview(**counts, rows=rows, left_out=left_out)


def _first_rows(export: Export) -> tuple[list[dict[str, Any]], list[tuple[str, int]]]:
    gold = filters_of(export.filters).purpose == GOLD
    judged = [] if gold else list(islice(selected(export), LOOKED_AT))
    settled: list[dict[str, Any]] = []
    if export.unit == Export.Unit.CONSENSUS:
        settled = list(islice(known(export) if gold else settled_by(export), LOOKED_AT))
        prompts = {row["prompt_id"] for row in settled}
        judged = [row for row in judged if row["prompt_id"] in prompts]
    said, of = dict(by_prompt(judged)), dict(by_prompt(settled))
    found = [(prompt, said.get(prompt, []), of.get(prompt, [])) for prompt in sorted({*said, *of})]
    rows, left_out, counted = [], Counter[str](), Counter[str]()
    for prompt in Loader(export).load(found) if found else ():
        for row in KINDS[export.kind].rows(prompt, options_of(export), counted):
            try:
                if unfit := fault(export.kind, row):
                    raise unfit
                rows.append(SHAPES[export.shape].row(export.kind, row))
            except Unfit as unfit:
                left_out[_(unfit.says) % unfit.about] += 1
            if len(rows) == SHOWN:
                return rows, list(left_out.items())
    return rows, list(left_out.items())
