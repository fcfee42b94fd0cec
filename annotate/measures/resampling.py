"""What every measure is made of: the figure itself, and its interval by resampling prompts.

Answers about one prompt depend on each other, so a resample draws prompts with replacement, never units (Efron 1979;
Field and Welsh 2007 on the cluster bootstrap). A measure is a function of how often each prompt was drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import numpy as np
from django.utils.translation import gettext_noop
from numpy.typing import ArrayLike, NDArray

NO_UNIT = gettext_noop("no unit has two or more usable values")
ALL_EQUAL = gettext_noop("every value is the same, so agreement cannot be told from chance (0/0)")
ONE_GROUP = gettext_noop("one prompt cannot be resampled")
OFTEN_UNDEFINED = gettext_noop("undefined in more than a fifth of the resamples: the variety rests on too few prompts")

# Where one prompt holds all the variety, 25% (of two prompts) to 37% (of many) of the resamples lack it and are
# 0/0; where two prompts do, at most 14%. This refuses an interval in the first case and not in the second.
MAX_UNDEFINED = 0.2
CELLS = 2_000_000  # resampling weights held at once: 16 MB as float64

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bits = NDArray[np.uint64]
Bools = NDArray[np.bool_]
# Takes how often each distinct prompt was drawn, shape (resamples, distinct prompts), and gives one value for each
# resample, NaN where it is undefined.
Statistic = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Measure:
    """A figure with its percentile bootstrap interval and what it rests on."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    n_units: int  # units used
    n_groups: int  # prompts those units belong to
    n_values: int  # values used
    n_dropped: int  # units left out: fewer than two usable values, or excluded by the rule
    undefined_because: str | None = None  # set where value is None
    no_interval_because: str | None = None  # set where there is a value but no interval

    def as_dict(self) -> dict[str, Any]:
        """The fields under their names, ready for JSON."""
        return asdict(self)


M = TypeVar("M", bound=Measure)


@dataclass(frozen=True)
class Resampling:
    """How an interval is made."""

    replicates: int = 1000
    seed: int = 0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.replicates < 1 or not 0 < self.confidence < 1:
            raise ValueError("replicates must be at least 1 and confidence between 0 and 1")


@dataclass(frozen=True)
class Prompts:
    """The units, gathered by prompt. Prompts that hold the same are computed once and counted."""

    rows: Ints  # (rows,): the units to compute from, those of one prompt together
    starts: Ints  # (distinct,): where in `rows` each distinct prompt begins
    group: Ints  # (rows,): the distinct prompt of each row
    repeats: Ints  # (distinct,): how many prompts are like it

    def sums(self, columns: Floats) -> Floats:
        """The sums over each prompt of columns given for `rows`, shape (distinct, columns)."""
        found: Floats = np.add.reduceat(columns, self.starts, axis=0)
        return found


def gathered(keys: Bits, groups: ArrayLike | None) -> Prompts:
    """The units by prompt. `keys` says what a unit holds: equal keys, equal content. Without groups each is its own.

    Everything is sorted by content, so that neither the order of the units nor the names of the prompts change a
    digit of the interval. Two prompts are taken to be alike where 64 bits are: by chance once in 2^64 pairs.
    """
    if groups is None:
        content, which = keys, np.arange(len(keys))
    else:
        _, which = np.unique(np.asarray(groups), return_inverse=True)
        content = np.zeros(int(which.max(initial=-1)) + 1, dtype=np.uint64)
        np.add.at(content, which, mixed(keys))
    order = np.argsort(content, kind="stable")
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    _, first, repeats = np.unique(content, return_index=True, return_counts=True)
    rows = np.lexsort((keys, position[which]))
    group = position[which][rows]
    if 8 * len(first) <= len(content):  # drawn together: the same law, far faster
        chosen = np.zeros(len(content), dtype=bool)
        chosen[position[first]] = True
        kept = chosen[group]
        rows, group = rows[kept], (np.cumsum(chosen) - 1)[group[kept]]
    else:
        repeats = np.ones(len(content), dtype=np.int64)
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    return Prompts(rows, starts, group, repeats.astype(np.int64))


def mixed(bits: Bits) -> Bits:
    """Whole numbers spread over 64 bits (the finaliser of splitmix64, Steele et al. 2014)."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def row_keys(matrix: Floats) -> Bits:
    """What each row of numbers holds, as 64 bits: equal rows have equal keys."""
    keys = np.zeros(len(matrix), dtype=np.uint64)
    for column in matrix.T:
        keys = mixed(keys ^ (np.ascontiguousarray(column) + 0.0).view(np.uint64))  # + 0.0: -0.0 is 0.0
    return keys


def checked_groups(groups: ArrayLike | None, n_units: int) -> NDArray[Any]:
    """One name of a prompt for each unit; without groups each unit is its own."""
    named = np.arange(n_units) if groups is None else np.asarray(groups)
    if named.shape != (n_units,):
        raise ValueError(f"groups must have one entry for each of the {n_units} units, not shape {named.shape}")
    return named


def ratio(top: Floats, bottom: Floats, defined: Bools) -> Floats:
    """top / bottom where it is defined, NaN elsewhere."""
    found = np.full(np.shape(top), np.nan)
    np.divide(top, bottom, out=found, where=defined)
    return found


def measured(
    measure: M,
    prompts: Prompts,
    statistic: Statistic,
    resampling: Resampling,
    *,
    undefined: str = ALL_EQUAL,
    row: int = 0,
) -> M:
    """`measure` with the statistic's value over all prompts, and its interval.

    `undefined` is the reason where the statistic has no value. `row` is how many numbers a resample takes besides
    its weights; it bounds the memory.
    """
    value = float(statistic(prompts.repeats[None, :].astype(np.float64))[0])
    if np.isnan(value):
        return replace(measure, undefined_because=undefined)
    measure = replace(measure, value=value)
    if measure.n_groups == 1:
        return replace(measure, no_interval_because=ONE_GROUP)
    values = resampled(prompts, statistic, resampling, row)
    values = values[~np.isnan(values)]
    if len(values) < (1 - MAX_UNDEFINED) * resampling.replicates:
        return replace(measure, no_interval_because=OFTEN_UNDEFINED)
    tail = (1 - resampling.confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return replace(measure, low=float(low), high=float(high))


def resampled(prompts: Prompts, statistic: Statistic, resampling: Resampling, row: int = 0) -> Floats:
    """The statistic of each bootstrap resample of the prompts, shape (replicates,)."""
    repeats = prompts.repeats
    n_groups = int(repeats.sum())
    rng = np.random.default_rng(resampling.seed)
    values = np.empty(resampling.replicates)
    chunk = max(1, CELLS // (len(repeats) + row))
    for start in range(0, len(values), chunk):
        size = min(chunk, len(values) - start)
        if len(repeats) < n_groups:
            weights = rng.multinomial(n_groups, repeats / n_groups, size=size).astype(np.float64)
        else:
            weights = np.empty((size, n_groups))
            for drawn in weights:
                drawn[:] = np.bincount(rng.integers(0, n_groups, n_groups), minlength=n_groups)
        values[start : start + size] = statistic(weights)
    return values
