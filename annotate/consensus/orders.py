"""One order of the outputs of one task: ranked pairs from votes, and the order that pairs' posteriors make.

An order is a list of tiers, the best first; outputs of one tier are level. Both methods take the pairs from the
surest to the least sure and keep what each says unless those before have settled it otherwise. So no cycle is left.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from typing import Any

import numpy as np
from django.utils.translation import gettext_noop
from numpy.typing import ArrayLike, NDArray

from annotate.consensus.labels import EVEN
from annotate.measures import TIE, Floats, Ints

Bools = NDArray[np.bool_]

NO_PAIR = gettext_noop("no two outputs were compared")


@dataclass(frozen=True)
class RankedPairs:
    """The order that votes make. Pairs are (the better, the worse) of what the majority says."""

    tiers: list[list[Any]]
    votes: float
    margins: dict[tuple[Any, Any], float]  # of each compared pair, first sorted first: above 0 where it leads
    locked: list[tuple[Any, Any]]  # majorities that hold
    overruled: list[tuple[Any, Any]]  # majorities that larger ones make a cycle with
    even: list[tuple[Any, Any]]  # majorities that make a cycle with equal ones: none of them holds
    unsupported: list[tuple[Any, Any]]  # pairs of different tiers of which nothing that holds says which is better
    undefined_because: str | None = None


@dataclass(frozen=True)
class Order:
    """The consensus order of one task."""

    tiers: list[list[Any]]  # the best first
    confidence: float
    complete: bool  # every two outputs were compared, or their order follows from others
    undefined_because: str | None = None


def ranked_pairs(votes: Iterable[Mapping[Any, int | None]], weights: Iterable[float] | None = None) -> RankedPairs:
    """Ranked pairs by majority margins (Tideman 1987, "Independence of clones as a criterion for voting rules").

    A vote is {output: tier}, the lower tier the better; equal tiers are no vote between the two, an output left out
    is not compared, and None is below all others and not compared with another None. Tideman leaves equal margins to
    chance. Here they are locked together: of those that make a cycle among each other none is, so neither the order of
    votes nor the names of outputs matter. Tiers follow the longest chain of locked pairs above an output.
    """
    counted: dict[tuple[Any, Any], float] = {}
    names: set[Any] = set()
    total = 0.0
    for vote, weight in _weighted(votes, weights):
        total += weight
        names |= vote.keys()
        for one, other in combinations(sorted(vote), 2):
            first, second = vote[one], vote[other]
            if first is None and second is None:
                continue
            ahead = second is None or (first is not None and first < second)
            margin = 0.0 if first == second else weight if ahead else -weight
            counted[one, other] = counted.get((one, other), 0.0) + margin
    outputs = sorted(names)
    at = {output: number for number, output in enumerate(outputs)}
    majorities = [
        (abs(margin), at[one], at[other]) if margin > 0 else (abs(margin), at[other], at[one])
        for (one, other), margin in counted.items()
        if margin
    ]
    above = np.zeros((len(outputs), len(outputs)), dtype=bool)
    locked: list[tuple[int, int]] = []
    overruled: list[tuple[int, int]] = []
    even: list[tuple[int, int]] = []
    for _, equals in groupby(sorted(majorities, key=lambda pair: (-pair[0], *pair[1:])), key=lambda pair: pair[0]):
        pairs = [(better, worse) for _, better, worse in equals]
        overruled += [pair for pair in pairs if above[pair[::-1]]]
        pairs = [pair for pair in pairs if not above[pair[::-1]]]
        together = above
        for better, worse in pairs:
            together = _with(together, better, worse)
        even += [pair for pair in pairs if together[pair[::-1]]]
        for better, worse in (pair for pair in pairs if not together[pair[::-1]]):
            above = _with(above, better, worse)
            locked.append((better, worse))
    tier = _chains(above[None])[0]
    apart = [
        (one, other) if tier[one] < tier[other] else (other, one)
        for one, other in combinations(range(len(outputs)), 2)
        if tier[one] != tier[other] and not (above[one, other] or above[other, one])
    ]

    def named(pairs: list[tuple[int, int]]) -> list[tuple[Any, Any]]:
        return [(outputs[better], outputs[worse]) for better, worse in sorted(pairs)]

    return RankedPairs(
        tiers=_tiers(outputs, tier),
        votes=total,
        margins=counted,
        locked=named(locked),
        overruled=named(overruled),
        even=named(even),
        unsupported=named(apart),
        undefined_because=None if counted else NO_PAIR,
    )


def order_of(posteriors: Mapping[tuple[Any, Any], Sequence[float]], outputs: Iterable[Any] = ()) -> Order:
    """The consensus order of one task, from {(first, second): (first better, tie, second better)}; see `orders_of`.

    `outputs` may name more of them, that no pair has; an order with these is not complete.
    """
    keys = [("", first, second) for first, second in posteriors]
    table = np.array(list(posteriors.values()), dtype=np.float64).reshape(-1, 3)
    return orders_of(keys, table, {"": list(outputs)}).get("", Order([], 0.0, False, NO_PAIR))


def orders_of(
    keys: Sequence[tuple[Hashable, Any, Any]],
    posterior: ArrayLike,
    outputs: Mapping[Any, Iterable[Any]] | None = None,
) -> dict[Any, Order]:
    """The consensus order of each task, from the posterior of each of its pairs: (task, first, second) names a row.

    A pair's most probable relation is kept, from the most probable pair down, unless those before imply another; of
    even ones the pair that comes first by its outputs' names goes first. "First better" and "second better" alike
    probable are a tie. `confidence` is the smallest posterior that a relation of the order has: of outputs in one tier
    or in adjacent ones, and of every pair that was overruled, since a cycle makes all of them doubtful. Of two
    outputs it is the posterior of what is said of them.
    """
    table = np.asarray(posterior, dtype=np.float64)
    if table.shape != (len(keys), 3) or not np.isfinite(table).all() or (table < 0).any():
        raise ValueError("posterior must have a row of three probabilities for each pair")
    places: dict[Any, dict[Any, int]] = {task: dict.fromkeys(more, 0) for task, more in (outputs or {}).items()}
    for task, first, second in keys:
        of_task = places.setdefault(task, {})
        of_task[first] = of_task[second] = 0
    by_size: dict[int, list[Any]] = {}
    row_of: dict[Any, int] = {}
    for task, of_task in places.items():
        for number, output in enumerate(sorted(of_task)):
            of_task[output] = number
        alike = by_size.setdefault(len(of_task), [])
        row_of[task] = len(alike)
        alike.append(task)

    where = np.array(
        [(len(places[task]), row_of[task], places[task][first], places[task][second]) for task, first, second in keys],
        dtype=np.int64,
    ).reshape(-1, 4)
    flipped = where[:, 2] > where[:, 3]
    table = np.where(flipped[:, None], table[:, ::-1], table)
    low, high = where[:, 2:].min(axis=1), where[:, 2:].max(axis=1)
    if (low == high).any():
        raise ValueError("an output was compared with itself")
    orders: dict[Any, Order] = {}
    for size, tasks in by_size.items():
        rows = where[:, 0] == size
        orders |= _orders(size, tasks, places, where[rows, 1], low[rows], high[rows], table[rows])
    return {task: orders[task] for task in places}


def _orders(
    size: int,
    tasks: list[Any],
    places: dict[Any, dict[Any, int]],
    task: Ints,
    low: Ints,
    high: Ints,
    table: Floats,
) -> dict[Any, Order]:
    """The orders of tasks that have `size` outputs each."""
    firsts, seconds = np.triu_indices(size, 1)
    number = np.zeros((size, size), dtype=np.int64)
    number[firsts, seconds] = np.arange(len(firsts))
    pair = number[low, high]
    if len(np.unique(task * max(len(firsts), 1) + pair)) < len(pair):
        raise ValueError("two outputs of a task have two posteriors")
    posterior = np.zeros((len(tasks), len(firsts), 3))
    compared = np.zeros((len(tasks), len(firsts)), dtype=bool)
    posterior[task, pair], compared[task, pair] = table, True

    said = _most_probable(posterior)
    strength = np.take_along_axis(posterior, said[:, :, None], axis=2)[:, :, 0]
    strength[~compared] = -1  # last, and passed over
    above, level = _locked(size, said, np.round(strength, 9), compared)
    tier = _chains(above)
    confidence, any_pair = _confidence(posterior, compared, said, tier, firsts, seconds)
    joined = above | above.transpose(0, 2, 1) | level
    complete = joined[:, firsts, seconds].min(axis=1, initial=True)
    return {
        name: Order(
            _tiers(list(places[name]) if size < 2 else sorted(places[name]), row),
            trust,
            whole and size > 1,
            None if some else NO_PAIR,
        )
        for name, row, trust, whole, some in zip(
            tasks, tier.tolist(), confidence.tolist(), complete.tolist(), any_pair.tolist(), strict=True
        )
    }


def _most_probable(posterior: Floats) -> Ints:
    """The category of each pair; a tie where it is as probable as the others, or they are as probable as each other."""
    first, tie, second = posterior[..., 0], posterior[..., TIE], posterior[..., 2]
    said = np.full(first.shape, TIE, dtype=np.int64)
    said[(first > tie + EVEN) & (first > second + EVEN)] = 0
    said[(second > tie + EVEN) & (second > first + EVEN)] = 2
    return said


def _locked(size: int, said: Ints, strength: Floats, compared: Bools) -> tuple[Bools, Bools]:
    """Who is above whom, and who is level with whom, (tasks, size, size): pairs locked from the strongest down.

    `least[t, a, b]` is that a is at least as good as b by what is locked so far, and all that follows from it.
    """
    tasks = np.arange(len(said))
    firsts, seconds = np.triu_indices(size, 1)
    least = np.broadcast_to(np.eye(size, dtype=bool), (len(said), size, size)).copy()
    above = np.zeros_like(least)
    order = np.argsort(-strength, axis=1, kind="stable")
    for step in range(order.shape[1]):
        pair = order[:, step]
        what, known = said[tasks, pair], compared[tasks, pair]
        swap = what == 2
        one, other = np.where(swap, seconds[pair], firsts[pair]), np.where(swap, firsts[pair], seconds[pair])
        tie = known & (what == TIE) & ~above[tasks, one, other] & ~above[tasks, other, one]
        win = known & (what != TIE) & ~least[tasks, other, one]
        _imply(least, above, one, other, win | tie, win)
        _imply(least, above, other, one, tie, np.zeros_like(win))
    return above, least & least.transpose(0, 2, 1)


def _imply(least: Bools, above: Bools, one: Ints, other: Ints, use: Bools, strict: Bools) -> None:
    """Add that `one` is at least as good as `other` (above it where `strict`), in the tasks to `use`, in place."""
    tasks = np.flatnonzero(use)
    if not len(tasks):
        return
    # All that are at least as good as `one` are so over all that are no better than `other`.
    up, down = least[tasks, :, one[tasks]], least[tasks, other[tasks], :]
    over, under = above[tasks, :, one[tasks]], above[tasks, other[tasks], :]
    certain = strict[tasks][:, None]
    least[tasks] |= up[:, :, None] & down[:, None, :]
    above[tasks] |= ((over | (up & certain))[:, :, None] & down[:, None, :]) | (up[:, :, None] & under[:, None, :])


def _chains(above: Bools) -> Ints:
    """How long the longest chain above each output is, (tasks, size)."""
    tier = np.zeros(above.shape[:2], dtype=np.int64)
    for _ in range(above.shape[1] - 1):
        longer = np.where(above, tier[:, :, None] + 1, 0).max(axis=1)
        if np.array_equal(longer, tier):
            break
        tier = longer
    return tier


def _confidence(
    posterior: Floats, compared: Bools, said: Ints, tier: Ints, firsts: Ints, seconds: Ints
) -> tuple[Floats, Bools]:
    """The least posterior of the relations of each order, 0 where there is none; and whether there is one."""
    gap = tier[:, seconds] - tier[:, firsts]
    holds = TIE - np.sign(gap)
    asserted = compared & ((np.abs(gap) <= 1) | (holds != said))
    trust = np.take_along_axis(posterior, holds[:, :, None], axis=2)[:, :, 0]
    least = np.where(asserted, trust, np.inf).min(axis=1, initial=np.inf)
    return np.where(np.isfinite(least), least, 0.0), compared.max(axis=1, initial=False)


def _with(above: Bools, better: int, worse: int) -> Bools:
    """`above` and all that follows when one more output is above another."""
    up, down = above[:, better].copy(), above[worse].copy()
    up[better] = down[worse] = True
    return above | np.outer(up, down)


def _tiers(outputs: Sequence[Any], tier: Iterable[int]) -> list[list[Any]]:
    tiers: dict[int, list[Any]] = {}
    for output, number in zip(outputs, tier, strict=True):
        tiers.setdefault(int(number), []).append(output)
    return [tiers[number] for number in sorted(tiers)]


def _weighted(
    votes: Iterable[Mapping[Any, int | None]], weights: Iterable[float] | None
) -> Iterable[tuple[Mapping[Any, int | None], float]]:
    return zip(votes, weights, strict=True) if weights is not None else ((vote, 1.0) for vote in votes)
