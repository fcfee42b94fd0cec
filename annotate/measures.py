"""How far people agree: raw agreement, Fleiss' kappa and Krippendorff's alpha, each with an interval.

Every measure reads a counts matrix of integers, shape (units, categories): how many people gave a unit each
category. For ordinal measures the categories stand in their order. `groups`, shape (units,), names the prompt
of each unit. Answers about one prompt depend on each other, so intervals resample prompts, never units.

A measure that is 0/0 has no value and says why: it is never reported as NaN, 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from django.utils.translation import gettext_noop
from numpy.typing import ArrayLike, NDArray

CODE_VERSION = "measures-1"  # change it whenever a figure could change: stored snapshots name it

NO_UNIT = gettext_noop("no unit has two or more usable values")
ALL_EQUAL = gettext_noop("every value is the same, so agreement cannot be told from chance (0/0)")
UNEQUAL = gettext_noop("units have different numbers of values; Fleiss' kappa needs the same number on each")
ONE_GROUP = gettext_noop("one prompt cannot be resampled")
OFTEN_UNDEFINED = gettext_noop("undefined in more than a fifth of the resamples: the variety rests on too few prompts")

# Where one prompt holds all the variety, 25% (of two prompts) to 37% (of many) of the resamples lack it and are
# 0/0; where two prompts do, at most 14%. This refuses an interval in the first case and not in the second.
MAX_UNDEFINED = 0.2
CELLS = 2_000_000  # resampling weights held at once: 16 MB as float64

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# Takes sums of the columns, shape (resamples, columns), and gives one value each, NaN where it is undefined.
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

    def as_dict(self) -> dict[str, str | float | int | None]:
        """The fields under their names, ready for JSON."""
        return asdict(self)


class _Usable(NamedTuple):
    """The units a measure rests on: those with two or more usable values."""

    counts: Ints  # (units, categories)
    values: Ints  # (units,): how many values each unit has
    groups: NDArray[Any]  # (units,)
    n_dropped: int


class _Resampling(NamedTuple):
    replicates: int
    seed: int
    confidence: float


def pairwise_agreement(
    counts: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    ties: Literal["count", "both_strict", "any_tie_dropped"] = "count",
    tie_category: int | None = None,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Measure:
    """Share of pairs of people who gave the same value: averaged within a unit, then over units.

    This is the observed agreement of Fleiss (1971), and p_a of Gwet (2014) where people are missing.
    `ties` says what becomes of the category at column `tie_category`: "count" keeps it as a category like any
    other, "both_strict" keeps only pairs of people who both gave another value, "any_tie_dropped" drops a unit
    where anybody gave it. Raises ValueError for malformed input or a missing `tie_category`.
    """
    matrix = _matrix(counts)
    kept = np.ones(len(matrix), dtype=bool)
    if ties not in ("count", "both_strict", "any_tie_dropped"):
        raise ValueError(f"unknown rule for ties: {ties!r}")
    if ties != "count":
        if tie_category is None or not 0 <= tie_category < matrix.shape[1]:
            raise ValueError(f"ties={ties!r} needs tie_category, the column of the tie")
        if ties == "any_tie_dropped":
            kept = matrix[:, tie_category] == 0
        matrix = np.delete(matrix, tie_category, axis=1)
    usable = _usable(matrix, groups, kept)

    def columns() -> Iterable[Floats]:
        yield _agreement_within(usable)
        yield np.ones(len(usable.counts))

    def mean(sums: Floats) -> Floats:
        return sums[:, 0] / sums[:, 1]

    resampling = _Resampling(replicates, seed, confidence)
    return _measured(f"pairwise_agreement_{ties}", usable, columns(), mean, resampling)


def fleiss_kappa(
    counts: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Measure:
    """Fleiss' kappa (Fleiss 1971, "Measuring nominal scale agreement among many raters").

    Units with fewer than two values are dropped; the others must all have the same number, or the measure is
    undefined. It is undefined too when only one category is used. For two people it is Scott's pi (Scott 1955).
    Raises ValueError for malformed input.
    """
    usable = _usable(_matrix(counts), groups)

    def columns() -> Iterable[Floats]:
        yield _agreement_within(usable)
        yield np.ones(len(usable.counts))
        yield from usable.counts.T.astype(np.float64)

    def kappa(sums: Floats) -> Floats:
        observed = sums[:, 0] / sums[:, 1]
        marginals = sums[:, 2:]
        total = marginals.sum(axis=1)
        chance = ((marginals / total[:, None]) ** 2).sum(axis=1)
        return _ratio(observed - chance, 1 - chance, marginals.max(axis=1) < total)

    if len(np.unique(usable.values)) > 1:
        return replace(_without_value("fleiss_kappa", usable), undefined_because=UNEQUAL)
    return _measured("fleiss_kappa", usable, columns(), kappa, _Resampling(replicates, seed, confidence))


def krippendorff_alpha(
    counts: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    level: Literal["nominal", "ordinal"] = "nominal",
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Measure:
    """Krippendorff's alpha (Krippendorff 2011, "Computing Krippendorff's alpha-reliability").

    Any number of people, some missing: units with fewer than two values are dropped and counted. Ordinal
    distances depend on how often each category is used, so do not compare ordinal alphas across cohorts.
    Undefined without a pairable unit, and when all values are equal. Memory is the number of prompts times the
    categories in use (nominal) or half their square (ordinal). Raises ValueError for malformed input.
    """
    if level not in ("nominal", "ordinal"):
        raise ValueError(f"unknown level: {level!r}")
    usable = _usable(_matrix(counts), groups)
    used = usable.counts[:, usable.counts.any(axis=0)]  # a category nobody used changes nothing and costs columns
    values, size = usable.values, used.shape[1]
    low, high = np.triu_indices(size, 1)

    # The coincidence matrix is a sum over units, of c(v)·c(w) / (m - 1) off the diagonal, each pair twice.
    def columns() -> Iterable[Floats]:
        yield from used.T.astype(np.float64)
        if level == "nominal":
            yield (used * (values[:, None] - used)).sum(axis=1) / (values - 1)
        else:
            for v, w in zip(low, high, strict=True):
                yield 2 * used[:, v] * used[:, w] / (values - 1)

    def alpha(sums: Floats) -> Floats:
        marginals, coincidences = sums[:, :size], sums[:, size:]
        total = marginals.sum(axis=1)
        products = 2 * marginals[:, low] * marginals[:, high]
        if level == "nominal":
            observed, expected = coincidences[:, 0], products.sum(axis=1)
        else:
            # Sum of n(g) for g = v..w, less (n(v) + n(w)) / 2, is the difference of the two mid-ranks. As a
            # share of the total, so that its square times the products stays small.
            midranks = (marginals.cumsum(axis=1) - marginals / 2) / total[:, None]
            distances = (midranks[:, high] - midranks[:, low]) ** 2
            observed, expected = (coincidences * distances).sum(axis=1), (products * distances).sum(axis=1)
        return 1 - _ratio((total - 1) * observed, expected, marginals.max(axis=1) < total)

    resampling = _Resampling(replicates, seed, confidence)
    return _measured(f"krippendorff_alpha_{level}", usable, columns(), alpha, resampling)


def unanimous(counts: ArrayLike) -> tuple[int, int]:
    """(units on which everybody agrees, units), of the units with two or more values."""
    usable = _usable(_matrix(counts), None)
    return int((usable.counts == usable.values[:, None]).any(axis=1).sum()), len(usable.counts)


@dataclass(frozen=True)
class PairUnits:
    """Rankings as comparisons of two completions. `counts` has the columns first better, tie, second better."""

    counts: Ints  # (units, 3)
    groups: Ints  # (units,): the prompts, numbered
    keys: list[tuple[Any, Any, Any]]  # (task, first completion, second completion); first < second

    TIE_CATEGORY = 1


def pair_units(rankings: Iterable[tuple[Hashable, Hashable, Hashable, Mapping[Any, int | None]]]) -> PairUnits:
    """One unit per task and unordered pair of its completions, from (prompt, task, annotator, {completion: tier}).

    The lower tier is the better, as in "first place". Two completions make a unit only where somebody ranked
    both, so leave out those of which nothing is known. Tier None is below all others: two of them are no unit. Completion ids of a task must sort among themselves. Raises ValueError
    when somebody ranked a task twice or a task has two prompts.
    """
    places: dict[tuple[Hashable, Any], int] = {}  # each completion of each task, numbered
    prompts: dict[Hashable, int] = {}
    prompt_of: dict[Hashable, Hashable] = {}
    seen: set[tuple[Hashable, Hashable]] = set()
    by_size: dict[int, tuple[list[int], list[float]]] = {}  # rankings of one length make a table: places, tiers
    for prompt, task, annotator, tiers in rankings:
        if (task, annotator) in seen:
            raise ValueError(f"annotator {annotator!r} ranked task {task!r} twice")
        seen.add((task, annotator))
        if prompt_of.setdefault(task, prompt) != prompt:
            raise ValueError(f"task {task!r} has two prompts")
        row_places, row_tiers = by_size.setdefault(len(tiers), ([], []))
        for completion in sorted(tiers):
            row_places.append(places.setdefault((task, completion), len(places)))
            at = tiers[completion]
            row_tiers.append(np.inf if at is None else at)

    codes = [np.empty(0, dtype=np.int64)]
    for size, (row_places, row_tiers) in by_size.items():
        first, second = np.triu_indices(size, 1)
        place, tier = np.array(row_places, dtype=np.int64), np.array(row_tiers, dtype=np.float64)
        place, tier = place.reshape(-1, max(size, 1)), tier.reshape(-1, max(size, 1))
        pair = place[:, first] * len(places) + place[:, second]
        left, right = tier[:, first], tier[:, second]
        outcome = (left > right).astype(np.int64) - (left < right)
        known = ~(np.isinf(left) & np.isinf(right))
        codes.append((pair * 3 + 1 + outcome)[known])
    pair, outcome = np.divmod(np.concatenate(codes), 3)
    units, unit = np.unique(pair, return_inverse=True)
    counts = np.bincount(unit * 3 + outcome, minlength=3 * len(units)).reshape(-1, 3)

    names = list(places)
    group_of = [prompts.setdefault(prompt_of[task], len(prompts)) for task, _ in names]
    firsts, seconds = np.divmod(units, max(len(places), 1))
    keys = [(*names[a], names[b][1]) for a, b in zip(firsts.tolist(), seconds.tolist(), strict=True)]
    return PairUnits(counts.astype(np.int64), np.array(group_of, dtype=np.int64)[firsts], keys)


def _matrix(counts: ArrayLike) -> Ints:
    """The counts as an array; ValueError where they cannot be counts."""
    matrix = np.asarray(counts)
    if matrix.ndim != 2 or not np.issubdtype(matrix.dtype, np.integer) or (matrix < 0).any():
        raise ValueError("counts must be a matrix (units, categories) of integers, none below 0")
    return matrix.astype(np.int64)


def _usable(matrix: Ints, groups: ArrayLike | None, kept: NDArray[np.bool_] | None = None) -> _Usable:
    """The units with two or more values, of those `kept`; without groups each unit is its own."""
    labels = np.arange(len(matrix)) if groups is None else np.asarray(groups)
    if labels.shape != (len(matrix),):
        raise ValueError(f"groups must have one entry for each of the {len(matrix)} units, not shape {labels.shape}")
    values = matrix.sum(axis=1)
    use = values >= 2 if kept is None else kept & (values >= 2)
    return _Usable(matrix[use], values[use], labels[use], int((~use).sum()))


def _agreement_within(usable: _Usable) -> Floats:
    """The share of each unit's pairs of values that are equal (P_i of Fleiss 1971), shape (units,)."""
    counts, values = usable.counts, usable.values
    share: Floats = (counts * (counts - 1)).sum(axis=1) / (values * (values - 1))
    return share


def _ratio(top: Floats, bottom: Floats, defined: NDArray[np.bool_]) -> Floats:
    """top / bottom where it is defined, NaN elsewhere. `defined` rests on whole counts, so it is exact."""
    ratio = np.full(len(top), np.nan)
    np.divide(top, bottom, out=ratio, where=defined)
    return ratio


def _without_value(name: str, usable: _Usable) -> Measure:
    n_units, n_groups, n_values = len(usable.counts), len(np.unique(usable.groups)), int(usable.values.sum())
    return Measure(name, None, None, None, n_units, n_groups, n_values, usable.n_dropped)


def _measured(
    name: str, usable: _Usable, columns: Iterable[Floats], statistic: Statistic, resampling: _Resampling
) -> Measure:
    """The statistic of the column sums over all units, its interval from the column sums of each group."""
    if resampling.replicates < 1 or not 0 < resampling.confidence < 1:
        raise ValueError("replicates must be at least 1 and confidence between 0 and 1")
    measure = _without_value(name, usable)
    if measure.n_units == 0:
        return replace(measure, undefined_because=NO_UNIT)
    _, group = np.unique(usable.groups, return_inverse=True)
    sums: Floats = np.column_stack([np.bincount(group, weights=column) for column in columns]).astype(np.float64)
    value = float(statistic(sums.sum(axis=0, keepdims=True))[0])
    if np.isnan(value):
        return replace(measure, undefined_because=ALL_EQUAL)
    measure = replace(measure, value=value)
    if measure.n_groups == 1:
        return replace(measure, no_interval_because=ONE_GROUP)
    values = _resampled(sums, statistic, resampling)
    values = values[~np.isnan(values)]
    if len(values) < (1 - MAX_UNDEFINED) * resampling.replicates:
        return replace(measure, no_interval_because=OFTEN_UNDEFINED)
    tail = (1 - resampling.confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return replace(measure, low=float(low), high=float(high))


def _resampled(sums: Floats, statistic: Statistic, resampling: _Resampling) -> Floats:
    """The statistic of each bootstrap resample of the groups (Efron 1979), shape (replicates,).

    `sums` has shape (groups, columns) and is overwritten. A resample is a weight per group: how often it was drawn.
    """
    n_groups = len(sums)
    rng = np.random.default_rng(resampling.seed)
    # Sorted, so that the order of units and the names of groups do not change the interval; rounded, so that
    # the order in which a group was summed does not either.
    sums, repeats = np.unique(np.round(sums, 9, out=sums), axis=0, return_counts=True)
    merged = 8 * len(sums) <= n_groups  # groups with the same sums are drawn together: the same law, far faster
    if not merged:
        sums = np.repeat(sums, repeats, axis=0)
    values = np.empty(resampling.replicates)
    chunk = max(1, CELLS // (len(sums) + sums.shape[1]))
    for start in range(0, len(values), chunk):
        size = min(chunk, len(values) - start)
        if merged:
            weights = rng.multinomial(n_groups, repeats / n_groups, size=size).astype(np.float64)
        else:
            weights = np.empty((size, n_groups))
            for row in weights:
                row[:] = np.bincount(rng.integers(0, n_groups, n_groups), minlength=n_groups)
        values[start : start + size] = statistic(weights @ sums)
    return values
