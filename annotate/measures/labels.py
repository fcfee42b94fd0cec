"""Labels: who gave which unit which category. Everything that looks at people, not only at counts, starts here."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from annotate.measures.resampling import Bools, Floats, Ints

TIE = 1  # of the categories of a pair: first better, tie, second better


@dataclass(frozen=True, eq=False)
class Labels:
    """Label i: rater[i] gave unit[i] the category value[i]."""

    unit: Ints  # (labels,) into units
    rater: Ints  # (labels,) into raters
    value: Ints  # (labels,) category codes 0..categories-1
    groups: Ints  # (units,) the prompt of each unit, numbered
    categories: int
    units: list[Any]  # key of each unit, as given by the caller
    raters: list[Any]  # key of each rater
    numbers: Floats | None = None  # (categories,) what each category is worth; None: nominal

    @cached_property
    def counts(self) -> Ints:
        """How many gave each unit each category, (units, categories). Of a slider take `table`."""
        cells = np.bincount(self.unit * self.categories + self.value, minlength=len(self.units) * self.categories)
        return cells.reshape(len(self.units), self.categories).astype(np.int64, copy=False)

    @cached_property
    def table(self) -> csr_array:
        """The same, sparse; every measure of counts takes it."""
        shape = (len(self.units), self.categories)
        table = csr_array((np.ones(len(self.unit), dtype=np.int64), (self.unit, self.value)), shape=shape)
        table.sum_duplicates()
        return table

    def only(self, kept: Bools) -> Labels:
        """The labels where `kept` is true. Units and raters keep their numbers."""
        return replace(self, unit=self.unit[kept], rater=self.rater[kept], value=self.value[kept])


def labels_of(
    rows: Iterable[tuple[Hashable, Hashable, Hashable, int]], categories: int, numbers: ArrayLike | None = None
) -> Labels:
    """Labels from (prompt, unit key, rater key, category code).

    Raises ValueError where one rater gives one unit two values, a unit has two prompts, or a code is no category.
    """
    prompts: dict[Hashable, int] = {}
    units: dict[Hashable, int] = {}
    raters: dict[Hashable, int] = {}
    groups: list[int] = []
    unit_at, rater_at, codes = [], [], []
    for prompt, unit, rater, code in rows:
        group = prompts.setdefault(prompt, len(prompts))
        at = units.setdefault(unit, len(units))
        if at == len(groups):
            groups.append(group)
        elif groups[at] != group:
            raise ValueError(f"unit {unit!r} has two prompts")
        unit_at.append(at)
        rater_at.append(raters.setdefault(rater, len(raters)))
        codes.append(code)
    value = _ints(codes)
    if ((value < 0) | (value >= categories)).any():
        wrong = value[(value < 0) | (value >= categories)][0]
        raise ValueError(f"{wrong} is not one of the {categories} categories")
    worth = None if numbers is None else np.asarray(numbers, dtype=np.float64)
    if worth is not None and worth.shape != (categories,):
        raise ValueError(f"numbers must have one entry for each of the {categories} categories")
    labels = Labels(_ints(unit_at), _ints(rater_at), value, _ints(groups), categories, list(units), list(raters), worth)
    twice = _twice(labels.rater, labels.unit)
    if twice is not None:
        rater, unit = labels.raters[labels.rater[twice]], labels.units[labels.unit[twice]]
        raise ValueError(f"rater {rater!r} gave unit {unit!r} two values")
    return labels


def pair_labels(rankings: Iterable[tuple[Hashable, Hashable, Hashable, Mapping[Any, int | None]]]) -> Labels:
    """One unit per task and unordered pair of its completions, from (prompt, task, annotator, {completion: tier}).

    The lower tier is the better, as in "first place". Categories are first better, tie, second better; a unit's key is
    (task, first, second), first < second. Two completions make a unit only where somebody ranked both, so leave out
    those of which nothing is known. Tier None is below all others: two of them say nothing. Completion ids of a task
    must sort among themselves. Raises ValueError when somebody ranked a task twice or a task has two prompts.
    """
    prompts: dict[Hashable, int] = {}
    tasks: dict[Hashable, _Task] = {}
    raters: dict[Hashable, int] = {}
    names: list[tuple[int, Hashable, Any]] = []  # (task's number, task, completion) of each place
    by_size: dict[int, list[list[Any]]] = {}  # rankings of one length make a table: task, rater, places, tiers
    for prompt, task, annotator, tiers in rankings:
        known = tasks.get(task)
        if known is None:
            known = tasks[task] = _Task(len(tasks), prompt, {})
        elif known.prompt != prompt:
            raise ValueError(f"task {task!r} has two prompts")
        places = known.places
        for completion in tiers:
            if completion not in places:
                places[completion] = len(names)
                names.append((known.number, task, completion))
        table = by_size.setdefault(len(tiers), [[], [], [], []])
        table[0].append(known.number)
        table[1].append(raters.setdefault(annotator, len(raters)))
        table[2].extend([places[completion] for completion in tiers])
        table[3].extend(tiers.values())
    _refuse_twice(by_size.values(), list(tasks), list(raters))

    rank = _ints([0] * len(names))  # places sorted by completion inside a task, so that first < second
    rank[[place for known in tasks.values() for place in _sorted(known.places)]] = np.arange(len(names))
    nothing = (_ints([]), _ints([]), _ints([]))
    found = [nothing, *(_outcomes(size, table, rank) for size, table in by_size.items() if size > 1)]
    pair, rater, value = (np.concatenate(column) for column in zip(*found, strict=True))
    units, unit = np.unique(pair, return_inverse=True)
    firsts, seconds = np.divmod(units, max(len(names), 1))
    place_at = np.argsort(rank)
    ends = zip(place_at[firsts].tolist(), place_at[seconds].tolist(), strict=True)
    keys = [(names[first][1], names[first][2], names[second][2]) for first, second in ends]
    prompt_of = _ints([prompts.setdefault(known.prompt, len(prompts)) for known in tasks.values()])
    groups = prompt_of[_ints([number for number, _, _ in names])[place_at[firsts]]]
    return Labels(unit.astype(np.int64), rater, value, groups, 3, keys, list(raters))


@dataclass(frozen=True)
class _Task:
    number: int
    prompt: Hashable
    places: dict[Any, int]  # of its completions, numbered through all tasks


def _sorted(places: dict[Any, int]) -> list[int]:
    return [places[completion] for completion in sorted(places)]


def _ints(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def _twice(rater: Ints, unit: Ints) -> int | None:
    """Where somebody has said something a second time."""
    pairs = rater * (int(unit.max(initial=0)) + 1) + unit
    _, first = np.unique(pairs, return_index=True)
    again = np.ones(len(pairs), dtype=bool)
    again[first] = False
    return int(np.flatnonzero(again)[0]) if again.any() else None


def _refuse_twice(tables: Iterable[list[list[Any]]], tasks: list[Any], raters: list[Any]) -> None:
    task, rater = (_ints([number for table in tables for number in table[column]]) for column in (0, 1))
    twice = _twice(rater, task)
    if twice is not None:
        raise ValueError(f"annotator {raters[rater[twice]]!r} ranked task {tasks[task[twice]]!r} twice")


def _outcomes(size: int, table: list[list[Any]], rank: Ints) -> tuple[Ints, Ints, Ints]:
    """Of rankings of one length: the pairs (first·places + second), who ranked them and what was said."""
    left, right = np.triu_indices(size, 1)
    place = rank[_ints(table[2])].reshape(-1, size)
    tier = np.array(table[3], dtype=np.float64).reshape(-1, size)  # None becomes NaN
    tier[np.isnan(tier)] = np.inf
    a, b = place[:, left], place[:, right]
    worse = (tier[:, left] > tier[:, right]).astype(np.int64) - (tier[:, left] < tier[:, right])
    value = TIE + np.where(a < b, worse, -worse)
    known = ~(np.isinf(tier[:, left]) & np.isinf(tier[:, right]))
    pair = np.minimum(a, b) * len(rank) + np.maximum(a, b)
    rater = np.repeat(_ints(table[1])[:, None], len(left), axis=1)
    return pair[known], rater[known], value[known]
