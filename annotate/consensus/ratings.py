"""One number for each unit from ratings, each rater's severity taken off.

The model is additive with random effects: a rating is the level of its part of the data, plus what the unit is
above it, plus the rater's severity (above 0: gives more than others), plus noise; all normal. The variances are
estimated by restricted maximum likelihood (Patterson and Thompson 1971, "Recovery of inter-block information when
block sizes are unequal"), units and raters by the mixed model equations (Henderson 1975, "Best linear unbiased
estimation and prediction under a selection model"). So units and raters with few ratings are drawn towards the
middle, by as much as the data say.

Units and raters that are joined by ratings form a part. Nothing in the ratings tells whether a part has better units
or milder raters, so each part keeps the level of its own ratings, and severities sum to 0 within each part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from django.utils.translation import gettext_noop
from scipy import linalg, optimize, sparse, special
from scipy.sparse.csgraph import connected_components

from annotate.measures import Floats, Ints, Labels

NO_RATINGS = gettext_noop("nobody has given a rating")
NONE_TWICE = gettext_noop("no unit was rated by two people, so severity, noise and units cannot be told apart")

LOG_RATIO = 14.0  # variances are at most e^14 times the noise: ratings without any noise have no maximum
LEAN = 1e-3  # how much the logarithm of a variance ratio leans to 0, where the ratings say nothing about it
CHUNK = 20_000  # units whose errors are worked out at once


@dataclass(frozen=True)
class RatingConsensus:
    """The adjusted mean of each unit, how sure it is, and how severe each rater is."""

    method: str
    mean: Floats  # (units,); where nobody rated the unit, the mean of all ratings
    se: Floats  # (units,); where nothing is known of it, the width of the scale
    confidence: Floats  # (units,): P(|true - mean| <= within); 0 where nothing is known of it
    within: float
    n: Ints  # (units,): how many ratings
    plain_mean: Floats  # (units,): of the ratings as they are
    severity: Floats  # (raters,): sums to 0 within each part
    severity_se: Floats  # (raters,)
    n_by_rater: Ints  # (raters,)
    residual_sd: float
    unit_sd: float
    rater_sd: float
    part: Ints  # (units,): which part each unit belongs to; -1 where nobody rated it
    parts: int
    undefined_because: str | None = None  # there is no rating at all
    no_interval_because: str | None = None  # nothing was taken off: mean is the plain mean, se is not known


class _Design(NamedTuple):
    """The ratings of the units and raters that have any, both numbered anew; each less the level of its part."""

    labels: int
    squares: float  # of all ratings
    part_of_rater: Ints
    part_of_unit: Ints
    levels: Floats  # (parts,)
    given: sparse.csc_array  # (units, raters): how often
    n: Ints  # (units,)
    sums: Floats  # (units,)
    n_by_rater: Ints
    sums_by_rater: Floats
    grams: list[tuple[int, sparse.csr_array]]  # for each n, given' given of the units with n ratings


class _Solution(NamedTuple):
    effects: Floats  # (raters + parts,): severities, then what is missing from the levels
    factor: tuple[Floats, bool]  # Cholesky's, of the equations
    residual: float  # the noise variance times the degrees of freedom
    log_determinant: float


def adjusted(labels: Labels, *, within: float | None = None) -> RatingConsensus:
    """The mean of each unit with each rater's severity taken off, with its standard error.

    `within` is how far off the mean may be to count as right; by default half the smallest step of the scale.
    Standard errors take the variances as known. The noise is never taken as less than the rounding to the scale,
    step / sqrt(12): where everybody always agrees, the unit may still lie anywhere within its step. Memory grows
    with the square of the number of raters.
    """
    if labels.numbers is None:
        raise ValueError("ratings need to know what each category is worth (numbers)")
    numbers = np.unique(np.asarray(labels.numbers, dtype=np.float64))
    step = float(np.diff(numbers).min()) if len(numbers) > 1 else 1.0
    plain = _plain(labels, step / 2 if within is None else within)
    if plain.undefined_because or plain.no_interval_because:
        return plain

    rated, rating, design = _design(labels)
    raters, parts = len(rating), len(design.levels)
    unit_ratio, rater_ratio = _variance_ratios(design, step)
    solution = _solve(design, unit_ratio, rater_ratio)
    noise = solution.residual / (design.labels - parts)
    floored = max(noise, step**2 / 12)
    inverse = linalg.cho_solve(solution.factor, np.eye(raters + parts))

    severity, level = solution.effects[:raters], solution.effects[raters:][design.part_of_unit]
    weight: Floats = (design.n + 1 / unit_ratio).astype(np.float64)
    above = (design.sums - design.given @ severity - design.n * level) / weight
    mean, se, part = plain.mean.copy(), plain.se.copy(), plain.part.copy()
    mean[rated] = design.levels[design.part_of_unit] + level + above
    se[rated] = np.sqrt(floored * _unit_errors(design, inverse, weight))
    part[rated] = design.part_of_unit
    severities, errors = plain.severity.copy(), plain.severity_se.copy()
    severities[rating] = severity
    errors[rating] = np.sqrt(floored * np.diag(inverse)[:raters])
    return RatingConsensus(
        method="adjusted",
        mean=mean,
        se=se,
        confidence=np.where(plain.n > 0, special.erf(plain.within / np.sqrt(2) / se), 0.0),
        within=plain.within,
        n=plain.n,
        plain_mean=plain.mean,
        severity=severities,
        severity_se=errors,
        n_by_rater=plain.n_by_rater,
        residual_sd=float(np.sqrt(noise)),
        unit_sd=float(np.sqrt(noise * unit_ratio)),
        rater_sd=float(np.sqrt(noise * rater_ratio)),
        part=part,
        parts=parts,
    )


def _plain(labels: Labels, within: float) -> RatingConsensus:
    """The means of the ratings as they are: what is left where there is too little to adjust."""
    units, raters, unit = len(labels.units), len(labels.raters), labels.unit
    numbers = np.asarray(labels.numbers, dtype=np.float64)
    y, width = numbers[labels.value], float(np.ptp(numbers))
    n = np.bincount(unit, minlength=units)
    mean = np.full(units, y.mean() if len(y) else numbers.mean())
    np.divide(np.bincount(unit, weights=y, minlength=units), n, out=mean, where=n > 0)
    return RatingConsensus(
        method="adjusted",
        mean=mean,
        se=np.full(units, width),
        confidence=np.zeros(units),
        within=within,
        n=n,
        plain_mean=mean,
        severity=np.zeros(raters),
        severity_se=np.full(raters, width),
        n_by_rater=np.bincount(labels.rater, minlength=raters),
        residual_sd=0.0,
        unit_sd=0.0,
        rater_sd=0.0,
        part=np.full(units, -1, dtype=np.int64),
        parts=0,
        undefined_because=None if len(y) else NO_RATINGS,
        no_interval_because=NONE_TWICE if len(y) and n.max() < 2 else None,
    )


def _design(labels: Labels) -> tuple[Ints, Ints, _Design]:
    y = np.asarray(labels.numbers, dtype=np.float64)[labels.value]
    rated, unit = np.unique(labels.unit, return_inverse=True)
    rating, rater = np.unique(labels.rater, return_inverse=True)
    units, raters = len(rated), len(rating)
    joined = sparse.coo_array((np.ones(len(y)), (unit, units + rater)), shape=(units + raters, units + raters))
    part = connected_components(joined, directed=False)[1].astype(np.int64)
    part_of_unit, part_of_rating = part[:units], part[units + rater]
    levels = np.bincount(part_of_rating, weights=y) / np.bincount(part_of_rating)
    y = y - levels[part_of_rating]
    given = sparse.csr_array((np.ones(len(y)), (unit, rater)), shape=(units, raters))
    n = np.bincount(unit, minlength=units)
    grams = []
    for size in np.unique(n).tolist():
        rows = given[np.flatnonzero(n == size)]
        grams.append((size, (rows.T @ rows).tocsr()))
    design = _Design(
        labels=len(y),
        squares=float(y @ y),
        part_of_rater=part[units:],
        part_of_unit=part_of_unit,
        levels=levels,
        given=given.tocsc(),
        n=n,
        sums=np.bincount(unit, y, units).astype(np.float64, copy=False),
        n_by_rater=np.bincount(rater, minlength=raters),
        sums_by_rater=np.bincount(rater, y, raters).astype(np.float64, copy=False),
        grams=grams,
    )
    return rated, rating, design


def _solve(design: _Design, unit_ratio: float, rater_ratio: float) -> _Solution:
    """Henderson's equations with the units eliminated, all in units of the noise variance."""
    raters, parts = len(design.part_of_rater), len(design.levels)
    share = 1 / (design.n + 1 / unit_ratio)
    left = share / unit_ratio  # 1 - n share, without loss of digits
    by_rater = design.given.T @ np.column_stack([left, share * design.sums])
    equations = np.zeros((raters + parts, raters + parts))
    for size, gram in design.grams:
        equations[:raters, :raters] -= (gram / (size + 1 / unit_ratio)).toarray()
    at, of = np.arange(raters), raters + design.part_of_rater
    equations[at, at] += design.n_by_rater + 1 / rater_ratio
    equations[at, of] = equations[of, at] = by_rater[:, 0]
    own = raters + np.arange(parts)
    equations[own, own] = np.bincount(design.part_of_unit, weights=design.n * left, minlength=parts)
    right = np.concatenate(
        [
            design.sums_by_rater - by_rater[:, 1],
            np.bincount(design.part_of_unit, weights=left * design.sums, minlength=parts),
        ]
    )
    factor = linalg.cho_factor(equations, lower=True)
    effects = linalg.cho_solve(factor, right)
    residual = float(design.squares - design.sums @ (share * design.sums) - right @ effects)
    log_determinant = float(
        len(design.n) * np.log(unit_ratio)
        - np.log(share).sum()
        + raters * np.log(rater_ratio)
        + 2 * np.log(np.diag(factor[0])).sum()
    )
    return _Solution(effects, factor, max(residual, 0.0), log_determinant)


def _variance_ratios(design: _Design, step: float) -> tuple[float, float]:
    """The variances of units and raters over that of the noise, by restricted maximum likelihood."""
    freedom, spread = design.labels - len(design.levels), design.squares
    if spread <= 1e-12 * step**2:
        return 1.0, 1.0  # nothing varies within any part but by rounding, so nothing is drawn anywhere

    def loss(log_ratios: Floats) -> float:
        solution = _solve(design, *np.exp(log_ratios))
        residual = max(solution.residual, 1e-12 * spread)  # a model that explains everything leaves 0
        return solution.log_determinant + freedom * float(np.log(residual)) + LEAN * float(log_ratios @ log_ratios)

    # A first triangle of some width, since the default one is tiny around 0; its size alone says when to stop.
    triangle = np.array([[0.0, -1.0], [2.0, -1.0], [0.0, 1.0]])
    best = optimize.minimize(
        loss,
        triangle[0],
        method="Nelder-Mead",
        bounds=[(-LOG_RATIO, LOG_RATIO)] * 2,
        options={"initial_simplex": triangle, "xatol": 1e-4, "fatol": np.inf, "maxfev": 400},
    )
    unit_ratio, rater_ratio = np.exp(best.x).tolist()
    return unit_ratio, rater_ratio


def _unit_errors(design: _Design, inverse: Floats, weight: Floats) -> Floats:
    """The prediction error variance of each unit's level and what it is above it, in units of the noise variance.

    With severities and levels known it is 1 / weight; their own errors reach the unit by the rows of `reach`.
    """
    units, parts = len(design.n), len(design.levels)
    of_raters = sparse.diags_array(-1 / weight) @ design.given
    of_level = sparse.csr_array(
        (1 - design.n / weight, (np.arange(units), design.part_of_unit)),
        shape=(units, parts),
    )
    reach = sparse.hstack([of_raters, of_level], format="csr")
    errors: Floats = 1 / weight
    for start in range(0, units, CHUNK):
        rows = reach[start : start + CHUNK]
        errors[start : start + CHUNK] += np.asarray(rows.multiply(rows @ inverse).sum(axis=1)).ravel()
    return errors
