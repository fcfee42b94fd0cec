"""Preference pairs: a row says that one output of a prompt is better than another.

Pairs come from weak orders: the output in the better tier is `chosen`, and one above the line is chosen over one below
it also where the tiers do not separate them. Nothing comes from what an order does not know. Two outputs in the same tier
are a tie: no row, or one with soft label .5, never one with a margin of 0, which would teach a model that there is a
preference. `weight` is as `Shares` has it, so a prompt sums to at most 1 in either unit.

Unit judgement: a row is one person's, so A over B and B over A may both be there. Unit consensus: a row is what a task came
to. Its soft label is the chance that the chosen one is better, a tie counted half, by what people voted; a reviewer's
decision sets which one is chosen, and leaves votes and soft label alone. Where he separates two outputs that nobody
compared, the soft label is .5. What votes on other pairs imply of two that nobody compared gives no row.

`margin` is an explicit strength or a difference of ratings, above 0 in every row; the reward model's loss takes it off the
difference of rewards (Touvron et al. 2023, Llama 2, section 3.2.2). Margin and soft label are two ways of saying how sure
a pair is, so rows have one or the other.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curation.exporting.deriving import (
    SETTLED,
    TURNS,
    Compared,
    Key,
    Shares,
    annotators_of,
    column,
    comparisons,
    is_consensus,
    label_source,
    pair_id,
    schema_of,
    shared,
    shared_of,
    turns_of,
)
from curation.exporting.records import Item, Options, Prompt, Settled, Votes

NAME = "preference"
UNITS: tuple[str, ...] = ("judgement", "consensus")
STRENGTH = "strength"
NO_VOTES = Votes((0.0, 0.0, 0.0), (0.0, 1.0, 0.0))  # as likely the one as the other


def schema(options: Options) -> pa.Schema:
    _check(options)
    columns = [column(name, TURNS) for name in ("prompt", "chosen", "rejected")]
    columns += [column("weight", pa.float64()), pa.field("rank_gap", pa.int32())]
    columns += [column(name, pa.string()) for name in ("pair_id", "question")]
    if options.margin:
        columns.append(column("margin", pa.float64()))
    elif is_consensus(options) or options.ties == "soft":
        columns.append(column("soft_label", pa.float64()))
    if is_consensus(options):
        columns += [column(name, pa.float64()) for name in ("votes_chosen", "votes_tie", "votes_rejected")]
        columns += SETTLED
    else:
        columns += [column("annotation", pa.int64()), column("annotator", pa.string())]
    return schema_of(*columns)


def rows(prompt: Prompt, options: Options, counted: Counter[str]) -> Iterator[dict[str, Any]]:
    _check(options)
    counted["judgements"] += len(prompt.judgements)
    said = _of_tasks(prompt, options, counted) if is_consensus(options) else _of_people(prompt, options, counted)
    return _rows(prompt, options, counted, list(said))


def _check(options: Options) -> None:
    if options.margin and options.ties == "soft":
        raise ValueError("A tie has no margin, and no row has both a margin and a soft label: ask for one of the two.")


# --- What is said of pairs --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Said:
    """What one person says of a task's pairs, or what the task came to."""

    item: Item
    whose: int | str  # the annotation, or the task's name
    compared: list[Compared]
    columns: dict[str, Any]  # that all its rows have alike
    reliability: float = 1.0
    strength: float | None = None  # of the first of two
    ratings: Mapping[str, float] | None = None
    votes: Mapping[Key, Votes] | None = None
    undecided: Sequence[Key] = ()  # pairs that keep their share

    def margin(self, pair: Compared) -> float | None:
        """By how much the better one is better. None where nothing says so, or the contrary."""
        margin = 0.0
        if self.strength is not None:
            margin = -self.strength if pair.swapped else self.strength
        elif self.ratings and pair.better in self.ratings and pair.worse in self.ratings:
            margin = round(self.ratings[pair.better] - self.ratings[pair.worse], 6)
        return margin if margin > 0 else None


def _of_people(prompt: Prompt, options: Options, counted: Counter[str]) -> Iterator[_Said]:
    for judgement in prompt.judgements:
        order = judgement.order
        if order is None:
            counted["without_order"] += 1
            continue
        compared = comparisons(order)
        known = _pairs(len(order.tiers))
        counted["comparisons"] += len(compared)
        counted["unordered"] += known - len(compared)
        counted["unknown"] += _pairs(len(judgement.item.outputs)) - known
        columns = {"annotation": judgement.annotation, "annotator": judgement.annotator, **shared_of(judgement)}
        said = _Said(judgement.item, judgement.annotation, compared, columns, judgement.reliability)
        if options.margin == STRENGTH:
            if order.strength is not None and compared:
                said.strength = float(-order.strength if compared[0].swapped else order.strength)
        elif options.margin:
            said.ratings = {
                one.output: one.value
                for one in judgement.answers
                if one.question == options.margin and one.kind == "rating" and one.output
            }
        yield said


def _of_tasks(prompt: Prompt, options: Options, counted: Counter[str]) -> Iterator[_Said]:
    annotators = annotators_of(prompt)
    ratings: dict[int, dict[str, float]] = defaultdict(dict)
    for one in prompt.answers:
        if one.question == options.margin != STRENGTH and one.kind == "rating" and one.output and one.value is not None:
            ratings[one.item.task][one.output] = one.value
    for settled in prompt.settled:
        assert _is_in_order(settled), f"{settled.item.name}: tiers or votes are not in the order of the outputs"
        compared = comparisons(settled.order) if settled.order else []
        if not settled.adjudicated:
            compared = [pair for pair in compared if _sides(pair) in settled.votes]
        decided = {_sides(pair) for pair in compared}
        undecided = [pair for pair in settled.votes if pair not in decided]
        counted["comparisons"] += len(compared) + len(undecided)
        counted["undecided"] += len(undecided)
        counted["unknown"] += _pairs(len(settled.item.outputs)) - len(compared) - len(undecided)
        yield _Said(
            settled.item,
            settled.item.name,
            compared,
            {
                "confidence": settled.confidence,
                "label_source": label_source(settled.adjudicated),
                **shared(settled.item, settled.annotations, annotators),
            },
            strength=settled.strength if options.margin == STRENGTH else None,
            ratings=ratings.get(settled.item.task),
            votes=settled.votes,
            undecided=[_sorted(pair) for pair in undecided],
        )


def _is_in_order(settled: Settled) -> bool:
    """Else a pair and its votes would not find each other, and be lost in silence."""
    at = {output.sha256: number for number, output in enumerate(settled.item.outputs)}
    tiers = [at[output] for output in settled.order.tiers] if settled.order else []
    return tiers == sorted(tiers) and all(at[first] < at[second] for first, second in settled.votes)


def _pairs(outputs: int) -> int:
    return outputs * (outputs - 1) // 2


def _sides(pair: Compared) -> Key:
    """The two in the item's order."""
    return (pair.worse, pair.better) if pair.swapped else (pair.better, pair.worse)


def _sorted(pair: Key) -> Key:
    return pair if pair[0] < pair[1] else (pair[1], pair[0])


# --- What becomes of it -----------------------------------------------------------------------------------------------


def _rows(prompt: Prompt, options: Options, counted: Counter[str], said: list[_Said]) -> Iterator[dict[str, Any]]:
    shares, turns, ids = Shares(), turns_of(one.item for one in said), dict[Key, str]()
    for one in said:
        for key in (*(pair.key for pair in one.compared), *one.undecided):
            shares.add(key, one.reliability)
    for one in said:
        for pair in one.compared:
            better, worse = turns.get(pair.better), turns.get(pair.worse)
            weight = shares.weight(pair.key, one.reliability)
            margin = one.margin(pair) if options.margin else None
            tie = pair.gap == 0
            if tie:
                counted["ties"] += 1
            if tie and options.ties != "soft":
                counted["ties_dropped"] += 1
            elif not (better and worse):
                counted["empty_outputs"] += 1
            elif options.margin and margin is None:
                counted["without_margin"] += 1
            elif not weight:
                counted["without_weight"] += 1
            else:
                of = ids.get(pair.key) or ids.setdefault(pair.key, pair_id(prompt.prompt_id, pair.key))
                row: dict[str, Any] = {
                    "row_id": f"{of}/{one.whose}",
                    "prompt": one.item.conversation,
                    "chosen": better,
                    "rejected": worse,
                    "weight": weight,
                    "rank_gap": pair.gap,
                    "pair_id": of,
                    "question": options.question,
                }
                if margin is not None:
                    row["margin"] = margin
                elif one.votes is not None:
                    row["soft_label"] = 0.5 if tie else _chance(pair, one.votes)
                elif options.ties == "soft":
                    row["soft_label"] = 0.5 if tie else 1.0
                if one.votes is not None:
                    row |= _votes(pair, one.votes)
                row |= one.columns
                yield row


def _chance(pair: Compared, votes: Mapping[Key, Votes]) -> float:
    """That the better one is better, a tie counted half, by what people voted."""
    first, tie, second = votes.get(_sides(pair), NO_VOTES).soft
    return round((second if pair.swapped else first) + tie / 2, 6)


def _votes(pair: Compared, votes: Mapping[Key, Votes]) -> dict[str, float]:
    first, tie, second = votes.get(_sides(pair), NO_VOTES).counts
    if pair.swapped:
        first, second = second, first
    return {"votes_chosen": first, "votes_tie": tie, "votes_rejected": second}
