"""Agreement of numbers on a scale: the intraclass correlations."""

from __future__ import annotations

from typing import Literal

import numpy as np
from django.utils.translation import gettext_noop
from numpy.typing import ArrayLike

from annotate.measures.matrices import complete
from annotate.measures.resampling import ALL_EQUAL, Floats, Measure, Resampling, measured, ratio

NO_SPREAD = gettext_noop("the units do not differ, or by less than chance: the coefficient has nothing to divide by")

Kind = Literal["1", "2", "3", "1k", "2k", "3k"]
KINDS: tuple[Kind, ...] = ("1", "2", "3", "1k", "2k", "3k")


def icc(
    matrix: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    kind: Kind = "2",
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Measure:
    """Intraclass correlation (Shrout and Fleiss 1979, "Intraclass correlations: uses in assessing rater reliability").

    "1": each unit has raters of its own; "2": the raters are a sample, and their severity counts as disagreement
    (absolute agreement, ICC(2,1)); "3": these raters only, severity set aside (consistency). With "k" of the mean of
    all raters. Needs a complete matrix: units with a gap are dropped and counted. Raises ValueError for malformed input.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of ICC: {kind!r}")
    resampling = Resampling(replicates, seed, confidence)
    read = complete(matrix, groups)
    name, why_not = f"icc_{kind}", read.why_not()
    if why_not:
        return read.measure(name, why_not)
    raters = read.n_raters
    centred = read.matrix - read.matrix.mean()
    scale = float((centred**2).max())
    of_unit = centred.sum(axis=1)
    sums = read.prompts.sums(
        np.column_stack([np.ones(len(centred)), centred, (centred**2).sum(axis=1), of_unit**2 / raters])
    )
    least = 1e-12 * scale  # rounding leaves less of nothing

    def correlation(weights: Floats) -> Floats:
        columns = weights @ sums
        n, of_rater = columns[:, 0], columns[:, 1:-2]
        mean_square = mean_squares(n, of_rater, columns[:, -2], columns[:, -1], least)
        top, bottom = _fraction(kind, mean_square, n, raters)
        return ratio(top, bottom, (n > 1) & (bottom > least))

    measure = read.measure(name)
    reason = ALL_EQUAL if scale == 0 else NO_SPREAD
    return measured(measure, read.prompts, correlation, resampling, undefined=reason, row=raters)


def mean_squares(
    n: Floats, of_rater: Floats, squares: Floats, of_units: Floats, least: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """BMS, WMS, JMS and EMS (between units, within them, between raters, error) of Shrout and Fleiss's table 3.

    From sums over units of centred numbers: how many, each rater's, the squares, and each unit's squared sum / raters.
    """
    raters = of_rater.shape[1]
    at_mean = of_rater.sum(axis=1) ** 2 / (n * raters)
    units, judges, whole = of_units - at_mean, (of_rater**2).sum(axis=1) / n - at_mean, squares - at_mean
    within, error = whole - units, whole - units - judges
    free = np.maximum(n - 1, 1)
    found = (units / free, within / (n * (raters - 1)), judges / (raters - 1), error / (free * (raters - 1)))
    between, inside, of_judges, of_error = (np.where(square < least, 0.0, square) for square in found)
    return between, inside, of_judges, of_error


def _fraction(kind: Kind, squares: tuple[Floats, Floats, Floats, Floats], n: Floats, k: int) -> tuple[Floats, Floats]:
    bms, wms, jms, ems = squares
    if kind == "1":
        return bms - wms, bms + (k - 1) * wms
    if kind == "1k":
        return bms - wms, bms
    if kind == "2":
        return bms - ems, bms + (k - 1) * ems + k * (jms - ems) / n
    if kind == "2k":
        return bms - ems, bms + (jms - ems) / n
    if kind == "3":
        return bms - ems, bms + (k - 1) * ems
    return bms - ems, bms
