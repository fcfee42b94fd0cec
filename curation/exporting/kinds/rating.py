"""Answers to questions of rating and choice, by attribute: a row is the answer to one question about one output, or about
the task (then `completion` is empty).

`value` is the number of a rating, `label` the option of a choice; of a multi-choice the chosen options as a JSON list. One of
the two is null. Unit judgement: a row is one person's answer. Unit consensus: what the answers come to, or what a reviewer
decided, with the votes as JSON.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa

from curation.exporting.deriving import (
    SETTLED,
    TURNS,
    annotators_of,
    column,
    consensus_of,
    is_consensus,
    output_id,
    schema_of,
    shared,
    shared_of,
    turns_of,
)
from curation.exporting.records import Answered, Item, Options, Prompt, SettledAnswer, Turn

NAME = "rating"
UNITS: tuple[str, ...] = ("judgement", "consensus")
KINDS_OF_QUESTION = ("rating", "choice", "multi_choice")


def schema(options: Options) -> pa.Schema:
    columns = [
        column("prompt", TURNS),
        column("completion", TURNS),
        column("attribute", pa.string()),
        column("question_version", pa.int32()),
        pa.field("value", pa.float64()),
        pa.field("label", pa.string()),
    ]
    if is_consensus(options):
        columns += [column("votes", pa.string()), *SETTLED]
    return schema_of(*columns)


def rows(prompt: Prompt, options: Options, counted: Counter[str]) -> Iterator[dict[str, Any]]:
    counted["judgements"] += len(prompt.judgements)
    return _of_tasks(prompt, counted) if is_consensus(options) else _of_people(prompt, counted)


def _of_people(prompt: Prompt, counted: Counter[str]) -> Iterator[dict[str, Any]]:
    turns = turns_of(judgement.item for judgement in prompt.judgements)
    for judgement in prompt.judgements:
        columns = shared_of(judgement)
        for answer in judgement.answers:
            if row := _row(judgement.item, judgement.annotation, answer, turns, counted):
                yield row | columns


def _of_tasks(prompt: Prompt, counted: Counter[str]) -> Iterator[dict[str, Any]]:
    annotators, turns = annotators_of(prompt), turns_of(answer.item for answer in prompt.answers)
    for answer in prompt.answers:
        if row := _row(answer.item, answer.item.name, answer, turns, counted):
            yield row | consensus_of(answer) | shared(answer.item, answer.annotations, annotators)


def _row(
    item: Item,
    whose: int | str,
    answer: Answered | SettledAnswer,
    turns: dict[str, list[Turn]],
    counted: Counter[str],
) -> dict[str, Any] | None:
    """The row without the columns of consensus and the shared ones; None, and counted, where there is none."""
    if answer.kind not in KINDS_OF_QUESTION:
        counted["other_answers"] += 1
    elif answer.value is None:
        counted["undecided"] += 1
    elif answer.output is not None and answer.output not in turns:
        counted["empty_outputs"] += 1
    else:
        numeric, several = answer.kind == "rating", answer.kind == "multi_choice"
        label = orjson.dumps(answer.value).decode() if several else answer.value
        return {
            "row_id": f"{output_id(item.prompt_id, answer.output)}/{answer.question}/{whose}",
            "prompt": item.conversation,
            "completion": turns[answer.output] if answer.output is not None else [],
            "attribute": answer.question,
            "question_version": answer.version,
            "value": float(answer.value) if numeric else None,
            "label": None if numeric else label,
        }
    return None
