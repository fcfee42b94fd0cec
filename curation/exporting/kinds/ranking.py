"""Ranking groups: a row has all outputs of a task, and how they were ranked. For losses over whole lists, and for best-of-K.

`tier`: 1 is best, equal tiers are ties. Without a tier an output that is `known` is below all that have one, and not compared
with another such; of one that is not known the order says nothing. `acceptable`: above the line or not; null where nobody
said. Empty outputs are left out of the list, and counted, so a row may lack a tier. A row compares at least two outputs.

Unit judgement: a row is one person's ranking. Unit consensus: what a task came to, or what a reviewer decided.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from curation.exporting.deriving import (
    SETTLED,
    TURNS,
    annotators_of,
    column,
    comparisons,
    is_consensus,
    label_source,
    schema_of,
    shared,
    shared_of,
)
from curation.exporting.records import Item, Options, Order, Prompt

NAME = "ranking"
UNITS: tuple[str, ...] = ("judgement", "consensus")
COMPLETIONS = pa.list_(
    pa.struct(
        [
            ("text", pa.string()),
            ("model", pa.string()),
            ("tier", pa.int32()),
            ("known", pa.bool_()),
            ("acceptable", pa.bool_()),
        ]
    )
)


def schema(options: Options) -> pa.Schema:
    columns = [column("prompt", TURNS), column("completions", COMPLETIONS), column("question", pa.string())]
    return schema_of(*columns, *(SETTLED if is_consensus(options) else ()))


def rows(prompt: Prompt, options: Options, counted: Counter[str]) -> Iterator[dict[str, Any]]:
    counted["judgements"] += len(prompt.judgements)
    return _of_tasks(prompt, options, counted) if is_consensus(options) else _of_people(prompt, options, counted)


def _of_people(prompt: Prompt, options: Options, counted: Counter[str]) -> Iterator[dict[str, Any]]:
    for judgement in prompt.judgements:
        row = _row(judgement.item, judgement.annotation, judgement.order, options, counted)
        if row is None:
            counted["without_order"] += 1
        else:
            yield row | shared_of(judgement)


def _of_tasks(prompt: Prompt, options: Options, counted: Counter[str]) -> Iterator[dict[str, Any]]:
    annotators = annotators_of(prompt)
    for settled in prompt.settled:
        row = _row(settled.item, settled.item.name, settled.order, options, counted)
        if row is None:
            counted["undecided"] += 1
            continue
        row["confidence"] = settled.confidence
        row["label_source"] = label_source(settled.adjudicated)
        yield row | shared(settled.item, settled.annotations, annotators)


def _row(
    item: Item, whose: int | str, order: Order | None, options: Options, counted: Counter[str]
) -> dict[str, Any] | None:
    """The row without the shared columns; None where the order compares no two outputs that hold something."""
    if order is None:
        return None
    held = {output.sha256: output for output in item.outputs if output.text.strip()}
    if not any(pair.better in held and pair.worse in held for pair in comparisons(order)):
        return None
    counted["empty_outputs"] += len(item.outputs) - len(held)
    completions = [
        {
            "text": output.text,
            "model": ", ".join(output.models) or None,
            "tier": order.tiers.get(sha256),
            "known": sha256 in order.tiers,
            "acceptable": order.acceptable.get(sha256),
        }
        for sha256, output in held.items()
    ]
    return {
        "row_id": f"{item.prompt_id}/{whose}",
        "prompt": item.conversation,
        "completions": completions,
        "question": options.question,
    }
