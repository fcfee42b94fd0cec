"""Agreement of two people, of each two of many, and of each person with the others."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from django.utils.translation import gettext_noop
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.special import ndtri

from annotate.measures.counts import fleiss_kappa
from annotate.measures.labels import Labels
from annotate.measures.resampling import NO_UNIT, ONE_GROUP, Floats, Ints, Measure, Resampling, measured, ratio
from annotate.measures.tally import agreement_weights, tallied

NOBODY_ELSE = gettext_noop("nobody else judged the same units")

KappaWeights = Literal["none", "linear", "quadratic"]


def cohen_kappa(
    first: Sequence[Any],
    second: Sequence[Any],
    categories: Sequence[Hashable],
    groups: ArrayLike | None = None,
    *,
    weights: KappaWeights = "none",
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Measure:
    """Cohen's kappa (Cohen 1960), weighted (Cohen 1968, "Weighted kappa"), of what two people said of each unit.

    `categories` are all that were offered, in their order: linear and quadratic weights run on their places, so a
    category that nobody used counts. Units where either value is None are dropped and counted. Undefined where both
    gave one and the same category throughout. Raises ValueError for a value that is no category.
    """
    resampling = Resampling(replicates, seed, confidence)
    if weights not in ("none", "linear", "quadratic"):
        raise ValueError(f"unknown weights: {weights!r}")
    size = len(categories)
    one, other = _both(first, second, categories)
    both = (one >= 0) & (other >= 0)
    # A cell of the table of the two is a category of its own, given once: its counts are resampled like any other.
    cells = csr_array(
        (np.ones(int(both.sum()), dtype=np.int64), (np.flatnonzero(both), (one * size + other)[both])),
        shape=(len(one), max(size * size, 1)),
    )
    tally = tallied(cells, groups, least=1, pairable=1)
    tally = replace(tally, n_values=2 * tally.n_units)
    name = "cohen_kappa" if weights == "none" else f"cohen_kappa_{weights}"
    if not tally.n_units:
        return tally.measure(name, NO_UNIT)
    agree = agreement_weights("identity" if weights == "none" else weights, size)
    cells_of = tally.marginals()

    def kappa(drawn: Floats) -> Floats:
        table = cells_of(drawn).reshape(-1, size, size)
        total = table.sum(axis=(1, 2))
        observed = (table * agree).sum(axis=(1, 2)) / total
        chance = ((table.sum(axis=2) @ agree) * table.sum(axis=1)).sum(axis=1) / total**2
        differ = table.diagonal(axis1=1, axis2=2).max(axis=1) < total
        return ratio(observed - chance, 1 - chance, differ)

    return measured(tally.measure(name), tally.prompts, kappa, resampling, row=2 * size * size)


def scott_pi(
    first: Sequence[Any],
    second: Sequence[Any],
    categories: Sequence[Hashable],
    groups: ArrayLike | None = None,
    *,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Measure:
    """Scott's pi (Scott 1955, "Reliability of content analysis"): kappa with one distribution for both people."""
    one, other = _both(first, second, categories)
    both = np.flatnonzero((one >= 0) & (other >= 0))
    given = np.concatenate([one[both], other[both]])
    shape = (len(one), max(len(categories), 1))
    counts = csr_array((np.ones(len(given), dtype=np.int64), (np.tile(both, 2), given)), shape=shape)
    counts.sum_duplicates()
    found = fleiss_kappa(counts, groups, replicates=replicates, seed=seed, confidence=confidence)
    return replace(found, name="scott_pi")


def _both(first: Sequence[Any], second: Sequence[Any], categories: Sequence[Hashable]) -> tuple[Ints, Ints]:
    """Both people's values as places of the categories, -1 where missing."""
    place = {category: at for at, category in enumerate(categories)}
    if len(place) < len(categories):
        raise ValueError("categories must be different")
    if len(first) != len(second):
        raise ValueError(f"two people must judge the same units, not {len(first)} and {len(second)}")
    for value in (*first, *second):
        if value is not None and value not in place:
            raise ValueError(f"{value!r} is not one of the categories")
    one, other = (
        np.array([-1 if value is None else place[value] for value in values], dtype=np.int64)
        for values in (first, second)
    )
    return one, other


@dataclass(frozen=True, eq=False)
class RaterPairs:
    """Each two people who judged the same units."""

    one: Ints  # (pairs,) into the labels' raters
    other: Ints  # (pairs,); one < other
    shared: Ints  # (pairs,): units that both judged
    agreed: Ints  # (pairs,): of these, units to which both gave the same value


def rater_pairs(labels: Labels, tie: int | None = None, least: int = 20) -> RaterPairs:
    """Each two people with `least` or more units in common: how many, and on how many they agree.

    With `tie`, values of that category are left out, so only units where both had a preference count.
    """
    labels = labels if tie is None else labels.only(labels.value != tie)
    ones = np.ones(len(labels.unit), dtype=np.int64)
    size = len(labels.raters)
    judged = csr_array((ones, (labels.rater, labels.unit)), shape=(size, len(labels.units)))
    cells, cell = np.unique(labels.unit * labels.categories + labels.value, return_inverse=True)
    said = csr_array((ones, (labels.rater, cell)), shape=(size, len(cells)))
    shared, agreed = judged @ judged.T, said @ said.T
    pairs = shared.tocoo()
    chosen = (pairs.row < pairs.col) & (pairs.data >= least)
    one, other = pairs.row[chosen].astype(np.int64), pairs.col[chosen].astype(np.int64)
    together = np.asarray(agreed[one, other]).ravel() if len(one) else np.empty(0)
    order = np.lexsort((other, one))
    return RaterPairs(one[order], other[order], pairs.data[chosen][order], together.astype(np.int64)[order])


class Between(NamedTuple):
    """Symmetric matrices (raters, raters), 0 on the diagonal."""

    shared: Ints  # units that both judged
    agreed: Ints  # of these, units to which both gave the same value


def between_raters(labels: Labels, tie: int | None = None, least: int = 20) -> Between:
    """`rater_pairs` as matrices, 0 where fewer than `least` units are shared. Of thousands of raters take the pairs."""
    pairs = rater_pairs(labels, tie, least)
    shared = np.zeros((len(labels.raters), len(labels.raters)), dtype=np.int64)
    agreed = shared.copy()
    for matrix, values in ((shared, pairs.shared), (agreed, pairs.agreed)):
        matrix[pairs.one, pairs.other] = matrix[pairs.other, pairs.one] = values
    return Between(shared, agreed)


def agreement_with_others(labels: Labels, tie: int | None = None, *, confidence: float = 0.95) -> list[Measure]:
    """Of each rater: the share of the others' values of the same units that are the same as the rater's own.

    A unit counts once for each other person who judged it; the rater is never compared with itself. `n_values` are
    the others' values, `n_dropped` the rater's units that nobody else judged. With `tie`, values of that category are
    left out. The interval is Wilson's (1927) at the effective sample size (Korn and Graubard 1998): that of a
    ratio whose variance is taken between prompts (Cochran 1977, chapter 6), at most the rater's units. Unlike a
    resample it stays wide where a rater agreed, or disagreed, every time.
    """
    Resampling(confidence=confidence)
    labels = labels if tie is None else labels.only(labels.value != tie)
    others = np.bincount(labels.unit, minlength=len(labels.units))[labels.unit] - 1
    _, cell, times = np.unique(labels.unit * labels.categories + labels.value, return_inverse=True, return_counts=True)
    same = times[cell] - 1
    size, with_others = len(labels.raters), others > 0
    rater, group = labels.rater[with_others], labels.groups[labels.unit[with_others]]
    share, residual, total, n_groups = ratios_by_prompt(same[with_others], others[with_others], rater, group, size)
    units = np.bincount(rater, minlength=size)
    alone = np.bincount(labels.rater[~with_others], minlength=size)
    low, high = _wilson(share, _effective(share, residual, total, n_groups, units), confidence)

    found = []
    for at in range(size):
        measure = Measure(
            "agreement_with_others", None, None, None, int(units[at]), int(n_groups[at]), int(total[at]), int(alone[at])
        )
        if not units[at]:
            measure = replace(measure, undefined_because=NOBODY_ELSE)
        elif n_groups[at] == 1:
            measure = replace(measure, value=float(share[at]), no_interval_because=ONE_GROUP)
        else:
            measure = replace(measure, value=float(share[at]), low=float(low[at]), high=float(high[at]))
        found.append(measure)
    return found


class Ratios(NamedTuple):
    """Of each of some people a ratio of sums, and what its variance between prompts is made of."""

    value: Floats  # NaN where nothing was summed
    residual: Floats  # the squares, summed over prompts, of a prompt's top less the value times its bottom
    bottom: Floats
    n_groups: Ints  # prompts


def ratios_by_prompt(top: ArrayLike, bottom: ArrayLike, of: Ints, groups: Ints, count: int) -> Ratios:
    """The sum of `top` by the sum of `bottom`, above 0, of each of `count` people (Cochran 1977, chapter 6).

    All have shape (rows,); `of` says whose a row is, `groups` of which prompt.
    """
    prompts = int(groups.max(initial=-1)) + 1
    clusters, cluster = np.unique(of * prompts + groups, return_inverse=True)
    owner = clusters // max(prompts, 1)
    tops, bottoms = (_sums(cluster, one, len(clusters)) for one in (top, bottom))
    whole = _sums(owner, bottoms, count)
    value = ratio(_sums(owner, tops, count), whole, whole > 0)
    residual = _sums(owner, (tops - value[owner] * bottoms) ** 2, count)
    return Ratios(value, residual, whole, np.bincount(owner, minlength=count))


def _sums(of: Ints, what: ArrayLike, count: int) -> Floats:
    return np.bincount(of, weights=what, minlength=count).astype(np.float64, copy=False)


def _effective(share: Floats, residual: Floats, total: Floats, n_groups: Ints, units: Ints) -> Floats:
    """How many independent units would leave as much doubt about the share; without any spread, the prompts."""
    sound = n_groups > 1
    variance = ratio(residual * n_groups, total**2 * np.maximum(n_groups - 1, 1), sound)
    spread = sound & (variance > 1e-15)
    sizes = ratio(share * (1 - share), variance, spread)
    return np.where(spread, np.minimum(sizes, units), n_groups)


def _wilson(share: Floats, n: Floats, confidence: float) -> tuple[Floats, Floats]:
    z = float(ndtri(0.5 + confidence / 2))
    n = np.maximum(n, 1)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(np.maximum(share * (1 - share), 0) / n + z * z / (4 * n * n))
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
