"""Agreement of any number of people, from how many of them gave a unit each category.

Counts have the shape (units, categories), all categories that were offered, ordinal ones in their order; dense or
sparse. `groups`, shape (units,), names the prompt of each unit.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from django.utils.translation import gettext_noop
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from annotate.measures.resampling import NO_UNIT, Bools, Floats, Measure, Resampling, measured, ratio
from annotate.measures.tally import Tally, Weights, agreement_weights, read_counts, squares, tallied

UNEQUAL = gettext_noop("units have different numbers of values; Fleiss' kappa needs the same number on each")
ONE_CATEGORY = gettext_noop("only one category is offered, so everybody agrees (0/0)")

Ties = Literal["count", "both_strict", "any_tie_dropped"]


def pairwise_agreement(
    counts: ArrayLike | csr_array,
    groups: ArrayLike | None = None,
    *,
    ties: Ties = "count",
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
    resampling = Resampling(replicates, seed, confidence)
    table, kept = _without_ties(read_counts(counts), ties, tie_category)
    tally = tallied(table, groups, kept=kept)
    name = f"pairwise_agreement_{ties}"
    if not tally.n_units:
        return tally.measure(name, NO_UNIT)
    sums = tally.prompts.sums(np.column_stack([tally.agreement_within(), np.ones(len(tally.values))]))

    def mean(weights: Floats) -> Floats:
        totals = weights @ sums
        found: Floats = totals[:, 0] / totals[:, 1]
        return found

    return measured(tally.measure(name), tally.prompts, mean, resampling)


def _without_ties(table: csr_array, ties: Ties, tie: int | None) -> tuple[csr_array, Bools | None]:
    """The counts that the rule leaves, and which units it keeps."""
    if ties not in ("count", "both_strict", "any_tie_dropped"):
        raise ValueError(f"unknown rule for ties: {ties!r}")
    if ties == "count":
        return table, None
    if tie is None or not 0 <= tie < table.shape[1]:
        raise ValueError(f"ties={ties!r} needs tie_category, the column of the tie")
    kept = table[:, [tie]].toarray().ravel() == 0 if ties == "any_tie_dropped" else None
    return table[:, np.delete(np.arange(table.shape[1]), tie)], kept


def fleiss_kappa(
    counts: ArrayLike | csr_array,
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
    resampling = Resampling(replicates, seed, confidence)
    tally = tallied(counts, groups)
    if not tally.n_units:
        return tally.measure("fleiss_kappa", NO_UNIT)
    if len(np.unique(tally.values)) > 1:
        return tally.measure("fleiss_kappa", UNEQUAL)
    return measured(tally.measure("fleiss_kappa"), tally.prompts, _kappa(tally), resampling, row=tally.table.shape[1])


def _kappa(tally: Tally):
    """The observed agreement corrected by the chance that two values drawn from all of them are equal."""
    sums = tally.prompts.sums(np.column_stack([tally.agreement_within(), np.ones(len(tally.values))]))
    marginals_of = tally.marginals()

    def kappa(weights: Floats) -> Floats:
        within = weights @ sums
        observed = within[:, 0] / within[:, 1]
        marginals = marginals_of(weights)
        total = marginals.sum(axis=1)
        chance = ((marginals / total[:, None]) ** 2).sum(axis=1)
        return ratio(observed - chance, 1 - chance, marginals.max(axis=1) < total)

    return kappa


def gwet_ac(
    counts: ArrayLike | csr_array,
    groups: ArrayLike | None = None,
    *,
    weights: Weights = "identity",
    numbers: ArrayLike | None = None,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Measure:
    """Gwet's AC1 (identity weights) and AC2 (Gwet 2008; Gwet 2014, "Handbook of inter-rater reliability", chapter 5).

    For skewed labels, where kappa and alpha sink although people agree. Depends on how many categories are offered.
    A unit with one value counts for how often the categories are used, not for the agreement, as Gwet has it. Where
    all values are equal it is 1, not 0/0. Raises ValueError for malformed input.
    """
    resampling = Resampling(replicates, seed, confidence)
    tally = tallied(counts, groups, least=1)
    size = tally.table.shape[1]
    name = "gwet_ac1" if weights == "identity" else f"gwet_ac2_{weights}"
    agree = agreement_weights(weights, size, numbers)
    if not tally.n_units:
        return tally.measure(name, NO_UNIT)
    if size < 2:
        return tally.measure(name, ONE_CATEGORY)
    sums = tally.prompts.sums(_weighted_agreement(tally, agree))
    shares = csr_array(tally.table.multiply(1 / tally.values[:, None]))
    shares_of = tally.marginals(shares)
    spread = agree.sum() / (size * (size - 1))

    def coefficient(drawn: Floats) -> Floats:
        within = drawn @ sums
        share = shares_of(drawn) / within[:, 2:]
        chance = spread * (share * (1 - share)).sum(axis=1)
        observed = ratio(within[:, 0], within[:, 1], within[:, 1] > 0)
        found: Floats = (observed - chance) / (1 - chance)
        return found

    return measured(tally.measure(name), tally.prompts, coefficient, resampling, row=size)


def brennan_prediger(
    counts: ArrayLike | csr_array,
    groups: ArrayLike | None = None,
    *,
    weights: Weights = "identity",
    numbers: ArrayLike | None = None,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Measure:
    """Agreement corrected by that of people who choose among the offered categories at random.

    Brennan and Prediger 1981; weighted, Gwet 2014, chapter 5. For two people it is PABAK (Byrt et al. 1993), for more
    the free-marginal kappa of Randolph (2005). Every column of `counts` is an offered category. Where all values are
    equal it is 1, not 0/0. Raises ValueError for malformed input.
    """
    resampling = Resampling(replicates, seed, confidence)
    tally = tallied(counts, groups)
    size = tally.table.shape[1]
    name = "brennan_prediger" if weights == "identity" else f"brennan_prediger_{weights}"
    agree = agreement_weights(weights, size, numbers)
    if not tally.n_units:
        return tally.measure(name, NO_UNIT)
    if size < 2:
        return tally.measure(name, ONE_CATEGORY)
    sums = tally.prompts.sums(_weighted_agreement(tally, agree))
    chance = agree.sum() / size**2

    def coefficient(drawn: Floats) -> Floats:
        within = drawn @ sums
        found: Floats = (within[:, 0] / within[:, 1] - chance) / (1 - chance)
        return found

    return measured(tally.measure(name), tally.prompts, coefficient, resampling)


pabak = brennan_prediger


def _weighted_agreement(tally: Tally, agree: Floats) -> Floats:
    """Of each unit: its weighted agreement, whether two or more values make one, and that it has values at all."""
    values = tally.values
    pairs = values * (values - 1)
    equal = squares(tally.table) if (agree == np.eye(len(agree))).all() else tally.quadratic(agree)
    within = np.divide(equal - values, pairs, out=np.zeros(len(values)), where=pairs > 0)
    return np.column_stack([within, pairs > 0, np.ones(len(values))])


def unanimous(counts: ArrayLike | csr_array) -> tuple[int, int]:
    """(units on which everybody agrees, units), of the units with two or more values."""
    table = read_counts(counts)
    values = np.asarray(table.sum(axis=1)).ravel()
    most = np.asarray(table.max(axis=1).todense()).ravel() if table.nnz else np.zeros(len(values))
    return int(((values >= 2) & (most == values)).sum()), int((values >= 2).sum())
