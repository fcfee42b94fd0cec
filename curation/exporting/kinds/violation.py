"""Violations of rules (Glaese et al. 2022, Sparrow): a row says how far an output breaks a rule, and by which words.

`degree` is 0 where it does not, up to 4; the rule's text is in the manifest. `spans` count code points of the completion's
text, the end excluded. Unit judgement: a row is one person's answer. Unit consensus: what the answers come to, or what a
reviewer decided, with the votes as JSON; its spans are all that people marked.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

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
from curation.exporting.records import Answered, Item, Marked, Options, Prompt, SettledAnswer, Turn

NAME = "violation"
UNITS: tuple[str, ...] = ("judgement", "consensus")
SPANS = pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32()), ("label", pa.string())]))


def schema(options: Options) -> pa.Schema:
    columns = [
        column("prompt", TURNS),
        column("completion", TURNS),
        column("rule", pa.string()),
        column("degree", pa.float64()),
        column("spans", SPANS),
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
            if row := _row(judgement.item, judgement.annotation, answer, answer.spans, turns, counted):
                yield row | columns


def _of_tasks(prompt: Prompt, counted: Counter[str]) -> Iterator[dict[str, Any]]:
    annotators, turns = annotators_of(prompt), turns_of(answer.item for answer in prompt.answers)
    marked: dict[tuple[Any, ...], set[Marked]] = {}
    for judgement in prompt.judgements:
        for said in judgement.answers if judgement.human else ():
            if said.spans:
                marked.setdefault(_unit(judgement.item, said), set()).update(said.spans)
    for answer in prompt.answers:
        spans = sorted(marked.get(_unit(answer.item, answer), ()), key=lambda one: (one.start, one.end, one.label))
        if row := _row(answer.item, answer.item.name, answer, spans, turns, counted):
            yield row | consensus_of(answer) | shared(answer.item, answer.annotations, annotators)


def _unit(item: Item, answer: Answered | SettledAnswer) -> tuple[Any, ...]:
    return item.task, answer.question, answer.output, answer.rule


def _row(
    item: Item,
    whose: int | str,
    answer: Answered | SettledAnswer,
    spans: Iterable[Marked],
    turns: dict[str, list[Turn]],
    counted: Counter[str],
) -> dict[str, Any] | None:
    """The row without the columns of consensus and the shared ones; None, and counted, where there is none."""
    if answer.kind != "rule" or answer.output is None:
        counted["other_answers"] += 1
    elif answer.value is None:
        counted["undecided"] += 1
    elif answer.output not in turns:
        counted["empty_outputs"] += 1
    else:
        of = output_id(item.prompt_id, answer.output)
        return {
            "row_id": f"{of}/{answer.question}/{answer.rule}/{whose}",
            "prompt": item.conversation,
            "completion": turns[answer.output],
            "rule": answer.rule,
            "degree": float(answer.value),
            "spans": [{"start": one.start, "end": one.end, "label": one.label} for one in spans],
        }
    return None
