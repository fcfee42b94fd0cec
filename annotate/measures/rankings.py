"""Agreement of orders: Kendall's W of any number of rankings, tau and Spearman's rho of two.

Numbers are read as places in an order, equal ones as ties. In a resample a prompt that was drawn twice is tied with
itself, so the corrections for ties see to it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from django.utils.translation import gettext_noop
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.special import chdtrc

from annotate.measures.matrices import Complete, complete
from annotate.measures.resampling import Floats, Ints, Measure, Resampling, measured, ratio

ALL_TIED = gettext_noop("everybody puts all units in the same place, so there is no order")
CONSTANT = gettext_noop("one of the two puts all units in the same place, so there is no order")
TOO_MANY = gettext_noop("there are too many different values to resample")
MAX_CELLS = 250_000  # different values of one, times those of the other, that are resampled


@dataclass(frozen=True)
class Concordance(Measure):
    """Kendall's W with its test against no agreement at all."""

    chi2: float | None = None
    df: int | None = None
    p: float | None = None


def kendall_w(
    matrix: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    correct_ties: bool = True,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Concordance:
    """Kendall's coefficient of concordance W (Kendall and Babington Smith 1939; ties: Kendall 1948, chapter 6).

    `matrix` has a row a unit and a column a rater; each rater's numbers order all units. Units with a gap are dropped
    and counted. chi2 = m(n - 1)·W with n - 1 degrees of freedom. Raises ValueError for malformed input.
    """
    resampling = Resampling(replicates, seed, confidence)
    read = complete(matrix, groups)
    why_not = read.why_not()
    measure = Concordance(**_fields(read.measure("kendall_w", why_not)))
    if why_not:
        return measure
    columns = [_Column.of(column) for column in read.matrix.T]
    raters, group = read.n_raters, read.prompts.group

    def w(weights: Floats) -> Floats:
        drawn = weights[:, group]
        total = drawn.sum(axis=1)
        summed, tied = np.zeros(drawn.shape), np.zeros(len(drawn))
        for column in columns:
            times = column.times(drawn)
            summed += column.midranks(times)
            tied += (times**3 - times).sum(axis=1)
        spread = 12 * (drawn * (summed - (raters * (total + 1) / 2)[:, None]) ** 2).sum(axis=1)
        most = raters**2 * (total**3 - total)
        all_tied = tied >= raters * (total**3 - total)
        found: Floats = np.minimum(ratio(spread, most - raters * tied if correct_ties else most, ~all_tied), 1.0)
        return found

    row = 3 * len(read.matrix)
    measure = measured(measure, read.prompts, w, resampling, undefined=ALL_TIED, row=row)
    if measure.value is None:
        return measure
    df = read.n_units - 1
    chi2 = raters * df * measure.value
    return replace(measure, chi2=chi2, df=df, p=float(chdtrc(df, chi2)))


def spearman(
    matrix: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Measure:
    """Spearman's rho (Spearman 1904): the correlation of the two raters' mid-ranks. `matrix` has two columns."""
    resampling = Resampling(replicates, seed, confidence)
    read = complete(matrix, groups, raters=2)
    why_not = read.why_not()
    if why_not:
        return read.measure("spearman", why_not)
    one, other = (_Column.of(column) for column in read.matrix.T)
    group = read.prompts.group

    def rho(weights: Floats) -> Floats:
        drawn = weights[:, group]
        total = drawn.sum(axis=1)
        times, other_times = one.times(drawn), other.times(drawn)
        middle = ((total + 1) / 2)[:, None]
        x, y = one.midranks(times) - middle, other.midranks(other_times) - middle
        spread = np.sqrt((drawn * x**2).sum(axis=1) * (drawn * y**2).sum(axis=1))
        ordered = (times.max(axis=1) < total) & (other_times.max(axis=1) < total)
        return np.clip(ratio((drawn * x * y).sum(axis=1), spread, ordered), -1.0, 1.0)

    row = 5 * len(read.matrix)
    return measured(read.measure("spearman"), read.prompts, rho, resampling, undefined=CONSTANT, row=row)


def tau_b(
    matrix: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Measure:
    """Kendall's tau-b (Kendall 1945, "The treatment of ties in ranking problems"): (C - D) / sqrt((n0 - n1)(n0 - n2)).

    `matrix` has two columns. Of all pairs of units, C stand in the same order for both and D in opposite ones; n1 and
    n2 are tied for the one and for the other.
    """
    return _tau("tau_b", matrix, groups, Resampling(replicates, seed, confidence))


def tau_c(
    matrix: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Measure:
    """Stuart's tau-c (Stuart 1953): 2m(C - D) / (n²(m - 1)), m the fewer of both raters' different values."""
    return _tau("tau_c", matrix, groups, Resampling(replicates, seed, confidence))


def _tau(name: str, matrix: ArrayLike, groups: ArrayLike | None, resampling: Resampling) -> Measure:
    read = complete(matrix, groups, raters=2)
    why_not = read.why_not()
    if why_not:
        return read.measure(name, why_not)
    (rows, row), (columns, column) = (np.unique(values, return_inverse=True) for values in read.matrix.T)
    shape = (len(rows), len(columns))
    if shape[0] * shape[1] > MAX_CELLS:
        return _tau_of_many(name, read)
    cell = row * shape[1] + column
    of_prompt = csr_array(
        (np.ones(len(cell)), cell, np.append(read.prompts.starts, len(cell))),
        shape=(len(read.prompts.repeats), shape[0] * shape[1]),
    ).T.tocsr()

    def tau(weights: Floats) -> Floats:
        table = (of_prompt @ weights.T).T.reshape(-1, *shape)
        of_rows, of_columns = table.sum(axis=2), table.sum(axis=1)
        return _from_parts(name, _balance(table), table.sum(axis=(1, 2)), of_rows, of_columns)

    return measured(read.measure(name), read.prompts, tau, resampling, undefined=CONSTANT, row=4 * shape[0] * shape[1])


def _balance(table: Floats) -> Floats:
    """Concordant less discordant pairs of a table of two orders."""
    below = table[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]  # of each cell: the rows after it, column by column
    until = below.cumsum(axis=2)
    after_less_before = until[:, :, -1:] - 2 * until + below
    found: Floats = (table[:, :-1] * after_less_before).sum(axis=(1, 2))
    return found


def _from_parts(name: str, balance: Floats, total: Floats, of_rows: Floats, of_columns: Floats) -> Floats:
    ordered = (of_rows.max(axis=1) < total) & (of_columns.max(axis=1) < total)
    if name == "tau_c":
        fewer = np.minimum((of_rows > 0).sum(axis=1), (of_columns > 0).sum(axis=1)).astype(np.float64)
        return ratio(2 * fewer * balance, total**2 * (fewer - 1), ordered)
    untied = [(total**2 - (times**2).sum(axis=1)) / 2 for times in (of_rows, of_columns)]
    return np.clip(ratio(balance, np.sqrt(untied[0] * untied[1]), ordered), -1.0, 1.0)


def _tau_of_many(name: str, read: Complete) -> Measure:
    """Of so many different values that a table of them is not held: without an interval."""
    from scipy.stats import kendalltau  # half a second to import, and hardly ever needed

    matrix = np.repeat(read.matrix, read.prompts.repeats[read.prompts.group], axis=0)
    value = float(kendalltau(*matrix.T, variant=name[-1]).statistic)
    return replace(read.measure(name), value=value, no_interval_because=TOO_MANY)


@dataclass(frozen=True)
class _Column:
    """One rater's numbers, so that the mid-ranks of a resample can be had from how often each unit was drawn."""

    order: Ints  # (units,): the units from the lowest to the highest number
    starts: Ints  # (different numbers,): where in `order` each begins
    place: Ints  # (units,): which of the different numbers a unit has

    @classmethod
    def of(cls, numbers: Floats) -> _Column:
        order = np.argsort(numbers, kind="stable")
        _, starts, place = np.unique(numbers[order], return_index=True, return_inverse=True)
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return cls(order, starts, place[back])

    def times(self, drawn: Floats) -> Floats:
        """How often each number was drawn, (resamples, different numbers)."""
        found: Floats = np.add.reduceat(drawn[:, self.order], self.starts, axis=1)
        return found

    def midranks(self, times: Floats) -> Floats:
        """Each unit's place, tied ones sharing theirs, (resamples, units)."""
        found: Floats = (times.cumsum(axis=1) - times / 2 + 0.5)[:, self.place]
        return found


def _fields(measure: Measure) -> dict:
    return {field.name: getattr(measure, field.name) for field in fields(Measure)}
