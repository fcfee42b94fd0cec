"""Krippendorff's alpha at its four levels of measurement."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from annotate.measures.resampling import NO_UNIT, Floats, Measure, Resampling, Statistic, measured, ratio
from annotate.measures.tally import Tally, read_numbers, squares, tallied, used

Level = Literal["nominal", "ordinal", "interval", "ratio"]
COINCIDENCES = 8_000_000  # numbers held for the coincidences of each prompt: 64 MB


def krippendorff_alpha(
    counts: ArrayLike | csr_array,
    groups: ArrayLike | None = None,
    *,
    level: Level = "nominal",
    numbers: ArrayLike | None = None,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Measure:
    """Krippendorff's alpha (Krippendorff 2011, "Computing Krippendorff's alpha-reliability").

    Any number of people, some missing: units with fewer than two values are dropped and counted. `numbers` says what
    each category is worth; interval without them takes equal steps, ratio needs them, none below 0. Ordinal
    distances depend on how often each category is used, so do not compare ordinal alphas across cohorts.
    Undefined without a pairable unit, and when all values are equal. Raises ValueError for malformed input.

    Alpha is 1 - (n - 1)·D / E: of all ordered pairs of different values the distances within units, each unit's
    weighing 1/(m - 1), and the distances of any two values of all. The weights of prompts give both for a resample.
    """
    if level not in ("nominal", "ordinal", "interval", "ratio"):
        raise ValueError(f"unknown level: {level!r}")
    if level == "ratio" and numbers is None:
        raise ValueError("level 'ratio' needs numbers, what each category is worth")
    resampling = Resampling(replicates, seed, confidence)
    tally = tallied(counts, groups)
    worth = read_numbers(numbers, tally.table.shape[1])
    if level == "ratio" and (worth < 0).any():
        raise ValueError("numbers must not be below 0 at level 'ratio'")
    name = f"krippendorff_alpha_{level}"
    if not tally.n_units:
        return tally.measure(name, NO_UNIT)
    table, seen = used(tally.table)
    tally, worth, size = _with_table(tally, table), worth[seen], len(seen)
    row = size
    if level == "nominal":
        statistic = _by_distances(tally, None)
    elif level == "ratio":
        sums = worth[:, None] + worth
        statistic = _by_distances(tally, ((worth[:, None] - worth) / np.where(sums == 0, 1, sums)) ** 2)
    elif level == "interval":
        statistic, row = _by_moments(tally, worth, seen.astype(np.float64)), 6
    elif len(tally.prompts.repeats) * size * (size + 1) // 2 <= COINCIDENCES:
        statistic, row = _by_coincidences(tally), size * size
    else:
        statistic, row = _by_midranks(tally), 4 * len(tally.values)
    return measured(tally.measure(name), tally.prompts, statistic, resampling, row=row)


def _with_table(tally: Tally, table: csr_array) -> Tally:
    return Tally(table, tally.values, tally.prompts, tally.n_units, tally.n_groups, tally.n_values, tally.n_dropped)


def _by_distances(tally: Tally, distances: Floats | None) -> Statistic:
    """Where the distances of categories are fixed; without any, each two are 1 apart."""
    values = tally.values
    within = values**2 - squares(tally.table) if distances is None else tally.quadratic(distances)
    sums = tally.prompts.sums((within / (values - 1))[:, None])
    marginals_of = tally.marginals()

    def alpha(weights: Floats) -> Floats:
        marginals, observed = marginals_of(weights), (weights @ sums)[:, 0]
        total = marginals.sum(axis=1)
        if distances is None:
            expected = total**2 - (marginals**2).sum(axis=1)
        else:
            expected = ((marginals @ distances) * marginals).sum(axis=1)
        return 1 - ratio((total - 1) * observed, expected, marginals.max(axis=1) < total)

    return alpha


def _by_moments(tally: Tally, worth: Floats, codes: Floats) -> Statistic:
    """Squared distances of numbers need no pairs: only how many there are, their sum and their sum of squares.

    The squares of whole numbers, centred, tell exactly whether all values are equal.
    """
    table, values = tally.table, tally.values
    worth, codes = worth - (table @ worth).sum() / values.sum(), codes - codes[len(codes) // 2]
    inner = worth[table.indices] - np.repeat((table @ worth) / values, np.diff(table.indptr))
    within = np.add.reduceat(table.data * inner**2, table.indptr[:-1])
    sums = tally.prompts.sums(
        np.column_stack(
            [
                2 * values * within / (values - 1),
                values,
                table @ worth,
                table @ worth**2,
                table @ codes,
                table @ codes**2,
            ]
        )
    )

    def alpha(weights: Floats) -> Floats:
        observed, total, first, second, whole, whole_squares = (weights @ sums).T
        expected = 2 * (total * second - first**2)
        # Where two values differ this is total - 1 or more; where none do, 0 but for rounding.
        differ = total * whole_squares - whole**2 > total / 4
        return 1 - ratio((total - 1) * observed, expected, differ)

    return alpha


def _by_coincidences(tally: Tally) -> Statistic:
    """Ordinal, from the coincidences of each two categories."""
    counts, values = tally.table.toarray(), tally.values
    size = counts.shape[1]
    low, high = np.triu_indices(size, 1)
    sums = np.empty((len(tally.prompts.repeats), size + len(low)))
    sums[:, :size] = tally.prompts.sums(counts)
    for at, (v, w) in enumerate(zip(low, high, strict=True), start=size):
        sums[:, at] = tally.prompts.sums(2 * counts[:, v] * counts[:, w] / (values - 1))

    def alpha(weights: Floats) -> Floats:
        totals = weights @ sums
        marginals, coincidences = totals[:, :size], totals[:, size:]
        total = marginals.sum(axis=1)
        # Sum of n(g) for g = v..w, less (n(v) + n(w)) / 2, is the difference of the two mid-ranks. As a share of the
        # total, so that its square times the products stays small.
        midranks = (marginals.cumsum(axis=1) - marginals / 2) / total[:, None]
        distances = (midranks[:, high] - midranks[:, low]) ** 2
        observed = (coincidences * distances).sum(axis=1)
        expected = (2 * marginals[:, low] * marginals[:, high] * distances).sum(axis=1)
        return 1 - ratio((total - 1) * observed, expected, marginals.max(axis=1) < total)

    return alpha


def _by_midranks(tally: Tally) -> Statistic:
    """Ordinal, for many categories: the same, without a number for each two of them.

    The distances within a unit are 2·m times the squares of its mid-ranks about their mean.
    """
    table, values, group = tally.table, tally.values, tally.prompts.group
    marginals_of = tally.marginals()
    squares_of = tally.marginals(csr_array(table.multiply((2 * values / (values - 1))[:, None])))
    scale = 2 / (values - 1)

    def alpha(weights: Floats) -> Floats:
        marginals = marginals_of(weights)
        total = marginals.sum(axis=1)
        # Measured from the middle one, so that they add up to 0.
        midranks = (marginals.cumsum(axis=1) - marginals / 2) / total[:, None] - 0.5
        whole = (squares_of(weights) * midranks**2).sum(axis=1)
        between = (table @ midranks.T) ** 2
        observed = whole - np.einsum("ru,u,ur->r", weights[:, group], scale, between, optimize=False)
        observed = np.where(observed < 1e-12 * whole, 0.0, observed)  # what rounding leaves of nothing
        expected = 2 * total * (marginals * midranks**2).sum(axis=1)
        return 1 - ratio((total - 1) * observed, expected, marginals.max(axis=1) < total)

    return alpha
