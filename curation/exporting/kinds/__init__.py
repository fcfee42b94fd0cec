"""What a row is: each kind makes rows of all that is in of one prompt. docs/exports.md has the columns.

A kind counts what it saw and what did not become a row, in `counted`; the counts are whole once its rows were taken.

judgements      answers that are in, whatever they say
comparisons     pairs of outputs that somebody compared, each person's (consensus: each task's) by itself
ties            of these, the ties; ties_dropped: those that became no row
unknown         pairs of outputs of a task that an order does not compare because it does not know one of them
unordered       pairs of outputs of which an order says no more than that both are below the rest
undecided       what people or a reviewer left tied or ambiguous, so that there is no value to write
without_order   judgements that say nothing of what is better
without_margin  pairs that have no margin, where one was asked for
without_weight  judgements of somebody without any reliability beside others who have some
empty_outputs   what would have been a row but for an empty output
other_answers   answers to questions of other kinds
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Protocol

import pyarrow as pa

from curation.exporting.kinds import judgement, preference, prompt, ranking, rating, unpaired, violation
from curation.exporting.records import Options, Prompt


class Kind(Protocol):
    NAME: str
    UNITS: tuple[str, ...]

    def schema(self, options: Options) -> pa.Schema: ...

    def rows(self, prompt: Prompt, options: Options, counted: Counter[str]) -> Iterator[dict[str, Any]]: ...


_KINDS: tuple[Kind, ...] = (preference, ranking, unpaired, rating, violation, prompt, judgement)
KINDS: dict[str, Kind] = {kind.NAME: kind for kind in _KINDS}
