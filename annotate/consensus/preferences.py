"""How strong items are, from who beat whom: Bradley–Terry, Davidson (with ties) and Plackett–Luce (rankings).

A log-worth is a strength on the logistic scale: two items that differ by d are told apart as by a coin of
1 / (1 + exp(-d)). Only differences mean anything; they are given against the average item, and `against` gives them
against one of them. All fits are by Newton's method, whose curvature gives the covariance. Comparisons of one prompt
depend on each other: `clustered` widens the intervals by that.

Where the items do not all beat and lose to each other, directly or through others, some strength has no finite
estimate. Then each item gets half a win and half a loss against a phantom of strength 0 and `regularised_because`
says so (as in Turner, van Etten, Firth and Kosmidis 2020, "Modelling rankings in R: the PlackettLuce package").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from django.utils.translation import gettext_noop
from numpy.typing import ArrayLike
from scipy import linalg, sparse, special
from scipy.sparse.csgraph import connected_components

from annotate.consensus.comparisons import Comparisons
from annotate.measures import Floats, Ints

# Takes the parameters; gives the log-likelihood, its gradient and its negative second derivatives.
Likelihood = Callable[[Floats], tuple[float, Floats, Floats]]

NO_COMPARISONS = gettext_noop("nothing was compared")
ONLY_TIES = gettext_noop("every comparison is a tie, so strengths cannot be told from ties")
APART = gettext_noop(
    "some items were never compared with the others, even through a third: each was lent half a win and half a loss"
)
UNBEATEN = gettext_noop(
    "some items always won or always lost against the others: each was lent half a win and half a loss"
)
FEW_PROMPTS = gettext_noop("the comparisons come from too few prompts to say how much these differ")

PHANTOM = 0.5  # wins, and losses, that are lent
ROUNDS = 100
LEAST_PROMPTS = 20  # a covariance from fewer clusters is too small too often


@dataclass(frozen=True)
class Strengths:
    """Log-worths against the average item, with their covariance and Wald intervals. `items` are by index."""

    method: str
    log_worth: Floats | None  # (items,), sums to 0; None where undefined
    covariance: Floats | None  # (items, items)
    n: float  # comparisons (of Plackett–Luce: rankings)
    log_likelihood: float | None = None  # without what was lent
    tie: float | None = None  # Davidson's nu: ties of two equal items for each time one of them beats the other
    tie_se: float | None = None  # of its logarithm
    ridge: float = 0.0
    iterations: int = 0
    converged: bool = True
    regularised_because: str | None = None
    undefined_because: str | None = None
    no_interval_because: str | None = None  # why `clustered` left the covariance as it was

    @property
    def se(self) -> Floats | None:
        """(items,): of each item against the average one."""
        return None if self.covariance is None else np.sqrt(np.diag(self.covariance).clip(0))

    def interval(self, confidence: float = 0.95) -> tuple[Floats, Floats] | None:
        """The lower and the upper ends of the Wald intervals against the average item."""
        if self.log_worth is None or self.se is None:
            return None
        reach = float(special.ndtri((1 + confidence) / 2)) * self.se
        return self.log_worth - reach, self.log_worth + reach

    def against(self, item: int) -> tuple[Floats, Floats] | None:
        """The differences from one item and their standard errors; its own are 0."""
        if self.log_worth is None or self.covariance is None:
            return None
        own = np.diag(self.covariance)
        variance = own + own[item] - 2 * self.covariance[item]
        return self.log_worth - self.log_worth[item], np.sqrt(variance.clip(0))


class _Newton(NamedTuple):
    at: Floats
    curvature: Floats
    iterations: int
    converged: bool


def bradley_terry(wins: ArrayLike, ridge: float = 0.0) -> Strengths:
    """Strengths from `wins`, how often the row beat the column (Bradley and Terry 1952, "Rank analysis of incomplete
    block designs"). Ties count half a win to each: then log-worths are quasi-likelihood estimates.

    `ridge` takes ridge / 2 times the sum of squares off the log-likelihood, which always has a finite maximum.
    """
    matrix = _square(wins)
    size, total = len(matrix), float(matrix.sum())
    if total == 0:
        return Strengths("bradley_terry", None, None, 0.0, ridge=ridge, undefined_because=NO_COMPARISONS)
    games = matrix + matrix.T
    reason = None if ridge > 0 else _not_strong(matrix)
    lent = PHANTOM if reason else 0.0

    def likelihood(worth: Floats) -> tuple[float, Floats, Floats]:
        value, chance = _paired(matrix, worth)
        information = games * chance * (1 - chance)
        gradient = (matrix - games * chance).sum(axis=1)
        curvature = np.diag(information.sum(axis=1)) - information
        return _drawn(value, gradient, curvature, worth, lent, ridge)

    fit = _newton(likelihood, np.zeros(size), free=not (lent or ridge))
    return Strengths(
        "bradley_terry",
        _centred(fit.at),
        _covariance(fit.curvature, size, free=not (lent or ridge)),
        total,
        _paired(matrix, fit.at)[0],
        ridge=ridge,
        iterations=fit.iterations,
        converged=fit.converged,
        regularised_because=reason,
    )


def davidson(wins: ArrayLike, ties: ArrayLike) -> Strengths:
    """Strengths from strict wins and ties (Davidson 1970, "On extending the Bradley-Terry model to accommodate ties
    in paired comparison experiments"). `ties` is symmetric: how often row and column were level.

    P(i beats j) = w(i) / (w(i) + w(j) + nu sqrt(w(i) w(j))), the tie has the last term. Without ties it is
    Bradley–Terry's with nu = 0; with nothing but ties it is undefined.
    """
    matrix, level = _square(wins), _square(ties)
    if level.shape != matrix.shape or not np.array_equal(level, level.T):
        raise ValueError("ties must be a symmetric matrix of the shape of wins")
    size, total = len(matrix), float(matrix.sum() + level.sum() / 2)
    if matrix.sum() == 0 or level.sum() == 0:
        if total == 0 or matrix.sum() == 0:
            because = NO_COMPARISONS if total == 0 else ONLY_TIES
            return Strengths("davidson", None, None, total, undefined_because=because)
        return replace(bradley_terry(matrix), method="davidson", tie=0.0)
    reason = _not_strong(matrix + level)
    lent = PHANTOM if reason else 0.0
    low, high = np.triu_indices(size, 1)
    won, lost, even = matrix[low, high], matrix[high, low], level[low, high]
    games = won + lost + even

    def plain(at: Floats) -> tuple[float, Floats, Floats, Floats]:
        half = (at[low] - at[high]) / 2
        scores = np.column_stack([half, -half, np.full(len(half), at[size])])
        norm = special.logsumexp(scores, axis=1)
        value = float((won - lost) @ half + even.sum() * at[size] - games @ norm)
        first, second, tied = np.exp(scores - norm[:, None]).T
        return value, first, second, tied

    def likelihood(at: Floats) -> tuple[float, Floats, Floats]:
        value, first, second, tied = plain(at)
        gradient, curvature = np.zeros(size + 1), np.zeros((size + 1, size + 1))
        slope = (won - lost - games * (first - second)) / 2
        gradient[:size] = np.bincount(low, slope, size) - np.bincount(high, slope, size)
        gradient[size] = even.sum() - games @ tied
        bend = games * (first + second - (first - second) ** 2) / 4
        curvature[low, high] = curvature[high, low] = -bend
        curvature[np.arange(size), np.arange(size)] = np.bincount(low, bend, size) + np.bincount(high, bend, size)
        cross = -games * (first - second) * tied / 2
        curvature[:size, size] = curvature[size, :size] = np.bincount(low, cross, size) - np.bincount(high, cross, size)
        curvature[size, size] = games @ (tied * (1 - tied))
        value, gradient[:size], curvature[:size, :size] = _drawn(
            value, gradient[:size], curvature[:size, :size], at[:size], lent, 0.0
        )
        return value, gradient, curvature

    start = np.zeros(size + 1)
    start[size] = np.log(level.sum() / matrix.sum())
    fit = _newton(likelihood, start, free=not lent, items=size)
    inverse = _inverse(fit.curvature, size, free=not lent)
    return Strengths(
        "davidson",
        _centred(fit.at[:size]),
        _centre_both(inverse[:size, :size]),
        total,
        plain(fit.at)[0],
        tie=float(np.exp(fit.at[size])),
        tie_se=float(np.sqrt(max(inverse[size, size], 0.0))),
        iterations=fit.iterations,
        converged=fit.converged,
        regularised_because=reason,
    )


def plackett_luce(
    rankings: Sequence[Sequence[int]], items: int, weights: Sequence[float] | None = None, ridge: float = 0.0
) -> Strengths:
    """Strengths from rankings, each a list of item numbers, the best first (Plackett 1975, "The analysis of
    permutations"; Luce 1959). A ranking of some of the items tells nothing of the others.

    Ties have no place in this model: a list within a ranking is refused; use `davidson` on the pairs. `weights` says
    how often each ranking was given.
    """
    tables = _tables(rankings, items, weights)
    total = sum(float(weight.sum()) for _, weight in tables)
    if total == 0:
        return Strengths("plackett_luce", None, None, 0.0, ridge=ridge, undefined_because=NO_COMPARISONS)
    beats = np.zeros((items, items))
    for order, _ in tables:
        for better in range(order.shape[1] - 1):  # to the next is enough: who is ahead of whom follows
            beats[order[:, better], order[:, better + 1]] = 1
    reason = None if ridge > 0 else _not_strong(beats)
    lent = PHANTOM if reason else 0.0

    def likelihood(worth: Floats) -> tuple[float, Floats, Floats]:
        parts = [_ranked(order, weight, worth) for order, weight in tables]
        value, gradient, curvature = (sum(part[at] for part in parts) for at in range(3))
        return _drawn(float(value), np.asarray(gradient), np.asarray(curvature), worth, lent, ridge)

    fit = _newton(likelihood, np.zeros(items), free=not (lent or ridge))
    return Strengths(
        "plackett_luce",
        _centred(fit.at),
        _covariance(fit.curvature, items, free=not (lent or ridge)),
        total,
        sum(_ranked(order, weight, fit.at)[0] for order, weight in tables),
        ridge=ridge,
        iterations=fit.iterations,
        converged=fit.converged,
        regularised_because=reason,
    )


def clustered(strengths: Strengths, comparisons: Comparisons) -> Strengths:
    """The same strengths with a covariance that lets the comparisons of one prompt depend on each other (Liang and
    Zeger 1986, "Longitudinal data analysis using generalized linear models"). For `bradley_terry` of their wins.
    """
    if strengths.log_worth is None or strengths.covariance is None:
        return strengths
    group = np.unique(comparisons.group, return_inverse=True)[1]
    groups = int(group.max()) + 1
    if groups < LEAST_PROMPTS:
        return replace(strengths, no_interval_because=FEW_PROMPTS)
    worth, size = strengths.log_worth, len(strengths.log_worth)
    surprise = comparisons.share - special.expit(worth[comparisons.first] - worth[comparisons.second])
    rows = np.concatenate([group, group])
    columns = np.concatenate([comparisons.first, comparisons.second])
    scores = sparse.coo_array((np.concatenate([surprise, -surprise]), (rows, columns)), shape=(groups, size)).tocsr()
    middle = (scores.T @ scores).toarray() * groups / (groups - 1)
    return replace(strengths, covariance=strengths.covariance @ middle @ strengths.covariance)


def _square(counts: ArrayLike) -> Floats:
    matrix = np.array(counts, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise ValueError("wins and ties must be square matrices of two or more items")
    if not np.isfinite(matrix).all() or (matrix < 0).any() or np.diag(matrix).any():
        raise ValueError("wins and ties must be finite, none below 0, and 0 of an item with itself")
    return matrix


def _not_strong(beats: Floats) -> str | None:
    """Why there is no finite estimate (Ford 1957); None where everybody has beaten everybody, at least through others."""
    graph = sparse.csr_array(beats > 0)
    if connected_components(graph, directed=True, connection="strong")[0] == 1:
        return None
    return APART if connected_components(graph, directed=False)[0] > 1 else UNBEATEN


def _paired(wins: Floats, worth: Floats) -> tuple[float, Floats]:
    """The log-likelihood of Bradley–Terry and the chance of each row against each column."""
    difference = worth[:, None] - worth
    return float((wins * special.log_expit(difference)).sum()), special.expit(difference)


def _drawn(
    value: float, gradient: Floats, curvature: Floats, worth: Floats, lent: float, ridge: float
) -> tuple[float, Floats, Floats]:
    """With the games against the phantom and the ridge."""
    chance = special.expit(worth)
    value += lent * float((special.log_expit(worth) + special.log_expit(-worth)).sum()) - ridge / 2 * float(
        worth @ worth
    )
    gradient = gradient + lent * (1 - 2 * chance) - ridge * worth
    return value, gradient, curvature + np.diag(2 * lent * chance * (1 - chance) + ridge)


def _ranked(order: Ints, weight: Floats, worth: Floats) -> tuple[float, Floats, Floats]:
    """The log-likelihood of rankings of one length and its derivatives."""
    size, places = len(worth), order.shape[1]
    chosen = worth[order]
    top = chosen.max(axis=1, keepdims=True)
    power = np.exp(chosen - top)
    left = power[:, ::-1].cumsum(axis=1)[:, ::-1]  # the worth of all who are left at each place
    last = np.arange(places) == places - 1  # who is left alone is no choice
    value = float(weight @ np.where(last, 0.0, chosen - top - np.log(left)).sum(axis=1))
    once = np.where(last, 0.0, 1 / left).cumsum(axis=1)
    twice = np.where(last, 0.0, 1 / left**2).cumsum(axis=1)
    slope = weight[:, None] * (~last - power * once)
    gradient = np.bincount(order.ravel(), slope.ravel(), size)
    curvature = np.diag(np.bincount(order.ravel(), (weight[:, None] * power * once).ravel(), size))
    for place in range(places):
        # Two items were both to be had up to the place of the better one.
        both = weight[:, None] * power[:, place : place + 1] * power[:, place:] * twice[:, place : place + 1]
        cells = order[:, place : place + 1] * size + order[:, place:]
        block = np.bincount(cells.ravel(), both.ravel(), size**2).reshape(size, size)
        own = np.bincount(order[:, place], both[:, 0], size)
        curvature -= block + block.T - np.diag(own)
    return value, gradient.astype(np.float64, copy=False), curvature.astype(np.float64, copy=False)


def _tables(
    rankings: Sequence[Sequence[int]], items: int, weights: Sequence[float] | None
) -> list[tuple[Ints, Floats]]:
    """The rankings of each length as a table, with their weights; those of one item say nothing."""
    if weights is not None and (len(weights) != len(rankings) or any(weight < 0 for weight in weights)):
        raise ValueError("weights must be one for each ranking, none below 0")
    if items < 2:
        raise ValueError("a ranking needs two or more items")
    by_size: dict[int, tuple[list[Sequence[int]], list[float]]] = {}
    for number, ranking in enumerate(rankings):
        if any(not isinstance(item, int | np.integer) for item in ranking):
            raise ValueError(
                f"ranking {number} has a tie, which Plackett–Luce has no place for; use davidson on its pairs"
            )
        if len(set(ranking)) < len(ranking) or any(not 0 <= item < items for item in ranking):
            raise ValueError(f"ranking {number} must name items from 0 to {items - 1}, none of them twice")
        orders, counts = by_size.setdefault(len(ranking), ([], []))
        orders.append(ranking)
        counts.append(1.0 if weights is None else weights[number])
    return [
        (np.array(orders, dtype=np.int64), np.array(counts))
        for size, (orders, counts) in sorted(by_size.items())
        if size > 1
    ]


def _newton(likelihood: Likelihood, at: Floats, *, free: bool, items: int | None = None) -> _Newton:
    """The maximum of a concave function, steps halved until it rises. `free`: only differences of items matter."""
    value, gradient, curvature = likelihood(at)
    for iteration in range(1, ROUNDS + 1):
        step = linalg.solve(_pinned(curvature, items, free), gradient, assume_a="sym")
        gain = float(gradient @ step)
        if gain <= 1e-12 * (1 + abs(value)):  # so the last step doubles the digits
            return _Newton(at + step, curvature, iteration, True)
        size = 1.0
        while size > 1e-8:
            following = likelihood(at + size * step)
            if following[0] >= value + 1e-4 * size * gain:
                break
            size /= 2
        else:
            return _Newton(at, curvature, iteration, gain <= 1e-8 * (1 + abs(value)))
        at = at + size * step
        value, gradient, curvature = following
    return _Newton(at, curvature, ROUNDS, False)


def _pinned(curvature: Floats, items: int | None, free: bool) -> Floats:
    """With the direction in which nothing changes (all items stronger alike) made stiff."""
    if not free:
        return curvature
    size = len(curvature) if items is None else items
    stiff = curvature.copy()
    stiff[:size, :size] += np.trace(curvature[:size, :size]) / size**2
    return stiff


def _inverse(curvature: Floats, items: int, free: bool) -> Floats:
    inverse: Floats = linalg.inv(_pinned(curvature, items, free))
    return inverse


def _covariance(curvature: Floats, items: int, free: bool) -> Floats:
    return _centre_both(_inverse(curvature, items, free))


def _centred(worth: Floats) -> Floats:
    return worth - worth.mean()


def _centre_both(matrix: Floats) -> Floats:
    """The covariance of differences from the average item."""
    return matrix - matrix.mean(axis=0) - matrix.mean(axis=1)[:, None] + matrix.mean()
