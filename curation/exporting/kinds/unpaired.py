"""Single outputs with a label, for losses that need no pairs (KTO, Ethayarajh et al. 2024): a row says that an output is
acceptable, or that it is not.

Only where a line was drawn: a rank is no label, since the best of bad outputs is bad. `weight` is as `Shares` has it,
1 / (outputs of the prompt that got a label) shared by those who gave it, so a prompt sums to at most 1.

Unit judgement: a row is one person's label. Unit consensus: what most people said of the output of a task (without a strict
majority no row), or what a reviewer decided; votes stay what people said.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curation.exporting.deriving import (
    TURNS,
    Shares,
    annotators_of,
    column,
    is_consensus,
    label_source,
    output_id,
    schema_of,
    shared,
    shared_of,
    turns_of,
)
from curation.exporting.records import Item, Options, Prompt, Settled

NAME = "unpaired"
UNITS: tuple[str, ...] = ("judgement", "consensus")


def schema(options: Options) -> pa.Schema:
    columns = [column("prompt", TURNS), column("completion", TURNS)]
    columns += [column("label", pa.bool_()), column("weight", pa.float64())]
    if is_consensus(options):
        columns += [column(name, pa.int32()) for name in ("votes_true", "votes_false")]
        columns.append(column("label_source", pa.string()))
    return schema_of(*columns)


def rows(prompt: Prompt, options: Options, counted: Counter[str]) -> Iterator[dict[str, Any]]:
    counted["judgements"] += len(prompt.judgements)
    found = list(_of_tasks(prompt) if is_consensus(options) else _of_people(prompt))
    return _rows(prompt, counted, found)


@dataclass(slots=True)
class _Label:
    """What somebody said of an output, or what the people of a task did."""

    item: Item
    output: str
    whose: int | str
    label: bool | None  # None: as many said the one as the other
    columns: dict[str, Any]  # beside those of every label
    reliability: float = 1.0


def _of_people(prompt: Prompt) -> Iterator[_Label]:
    for judgement in prompt.judgements:
        if judgement.order and judgement.order.acceptable:
            line, columns = judgement.order.acceptable, shared_of(judgement)
            for output in judgement.item.outputs:
                label = line.get(output.sha256)
                if label is not None:
                    yield _Label(
                        judgement.item, output.sha256, judgement.annotation, label, columns, judgement.reliability
                    )


def _of_tasks(prompt: Prompt) -> Iterator[_Label]:
    annotators = annotators_of(prompt)
    decided = {one.item.task: one for one in prompt.settled if one.adjudicated}
    said: dict[tuple[int, str], dict[bool, list[int]]] = {}  # annotations by task and output, then by label
    for judgement in prompt.judgements:
        if judgement.human and judgement.order:
            for sha256, label in judgement.order.acceptable.items():
                of = said.setdefault((judgement.item.task, sha256), {True: [], False: []})
                of[label].append(judgement.annotation)
    items = {one.item.task: one.item for one in prompt.judgements} | {task: one.item for task, one in decided.items()}
    for task, item in items.items():
        for output in item.outputs:
            of = said.get((task, output.sha256), {True: [], False: []})
            accepting, rejecting = len(of[True]), len(of[False])
            reviewed, verdict = _reviewed(decided.get(task), output.sha256)
            if reviewed or accepting or rejecting:
                majority = None if accepting == rejecting else accepting > rejecting
                annotations = [*of[True], *of[False]] or decided[task].annotations
                votes = {
                    "votes_true": accepting,
                    "votes_false": rejecting,
                    "label_source": label_source(reviewed),
                }
                columns = votes | shared(item, annotations, annotators)
                yield _Label(item, output.sha256, item.name, verdict if reviewed else majority, columns)


def _reviewed(settled: Settled | None, output: str) -> tuple[bool, bool | None]:
    """Whether a reviewer decided about the output, and what: None where he found the task ambiguous."""
    if settled is None:
        return False, None
    if settled.order is None:
        return True, None
    return output in settled.order.acceptable, settled.order.acceptable.get(output)


def _rows(prompt: Prompt, counted: Counter[str], labels: list[_Label]) -> Iterator[dict[str, Any]]:
    shares, turns = Shares(), turns_of(one.item for one in labels)
    for one in labels:
        shares.add(one.output, one.reliability)
    for one in labels:
        weight = shares.weight(one.output, one.reliability)
        if one.output not in turns:
            counted["empty_outputs"] += 1
        elif one.label is None:
            counted["undecided"] += 1
        elif not weight:
            counted["without_weight"] += 1
        else:
            row = {
                "row_id": f"{output_id(prompt.prompt_id, one.output)}/{one.whose}",
                "prompt": one.item.conversation,
                "completion": turns[one.output],
                "label": one.label,
                "weight": weight,
            }
            yield row | one.columns
