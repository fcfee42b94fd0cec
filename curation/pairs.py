"""Preference pairs from rankings. Pure: rows in, rows out, no database.

Of every two outputs that a person ranked, the one in the better tier is `chosen`. Two in the same tier are a tie and
give no pair: a tie is not a preference, and a margin of 0 would teach the model that it is one.

The weight of a pair is 1 / (comparable pairs of its prompt), shared equally by the people who compared it, as
Ouyang et al. 2022 (InstructGPT, section 3.5) weigh the pairs of one ranking by 1 / (K choose 2). So the weights of a
prompt sum to at most 1, exactly 1 when nobody tied. Ties keep their share: they are comparisons too.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from annotate.drawing import is_drawn


@dataclass(frozen=True)
class Judgement:
    """One person's ranking of a task's outputs.

    `tiers` is by the sha256 of the output's text, in the task's own order of outputs; 1 is best, None is below all and
    not compared with another such.
    """

    annotation: int
    task: int
    human: bool
    tiers: Mapping[str, int | None]


@dataclass(frozen=True)
class Pair:
    judgement: Judgement
    pair_id: str
    chosen: str
    rejected: str
    weight: float
    rank_gap: int


@dataclass
class PromptPairs:
    """What the judgements of one prompt give: its pairs, and what agreement is measured on."""

    pairs: list[Pair]
    compared: int  # pairs of outputs compared, each person's counted
    ties: int  # of these, the ties
    counts: list[tuple[int, int, int]]  # per task and pair of outputs: people for the first, for a tie, for the second


def prompt_pairs(prompt_id: str, judgements: Sequence[Judgement]) -> PromptPairs:
    """All pairs of one prompt, in the order of the judgements and of each task's outputs."""
    judges = Counter(key for judgement in judgements for key, *_ in _comparisons(judgement))
    units: dict[tuple[int, tuple[str, str]], list[int]] = {}
    pairs: list[Pair] = []
    compared = ties = 0
    for judgement in judgements:
        for key, first, second, gap in _comparisons(judgement):
            compared += 1
            ties += gap == 0
            if judgement.human:
                outcome = 1 if gap == 0 else 0 if gap > 0 else 2
                units.setdefault((judgement.task, key), [0, 0, 0])[outcome] += 1
            if gap:
                chosen, rejected = (first, second) if gap > 0 else (second, first)
                weight = 1 / (len(judges) * judges[key])
                pairs.append(Pair(judgement, pair_id(prompt_id, key), chosen, rejected, weight, abs(gap)))
    return PromptPairs(pairs, compared, ties, [(a, b, c) for a, b, c in units.values()])


def _comparisons(judgement: Judgement) -> Iterator[tuple[tuple[str, str], str, str, int]]:
    """Each pair of outputs: what it is in every task (hashes sorted), first, second, tiers the first is better by."""
    last = 1 + max((tier for tier in judgement.tiers.values() if tier is not None), default=0)
    for first, second in combinations(judgement.tiers, 2):
        better, worse = judgement.tiers[first], judgement.tiers[second]
        if better is None and worse is None:
            continue
        key = (first, second) if first < second else (second, first)
        yield key, first, second, (last if worse is None else worse) - (last if better is None else better)


def pair_id(prompt_id: str, pair: tuple[str, str]) -> str:
    """The same for A>B and B>A, and in every task of the prompt."""
    return hashlib.sha256(":".join((prompt_id, *pair)).encode()).hexdigest()[:32]


def is_held_out(split_group: str, salt: str, share: float) -> bool:
    """Whether a split group is in the test split: by hash, so it stays there as data grows."""
    return is_drawn(f"{salt}:{split_group}", share)
