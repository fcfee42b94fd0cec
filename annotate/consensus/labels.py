"""One value for each unit from what several people said: majority, Dawid–Skene and one-coin.

The two models are fitted by expectation and maximisation (EM) from a fixed start, the shares of the votes, so the
same labels always give the same answer. What is maximised never falls; `trace` holds it. A unit on which two
categories lead alike has no value: -1 and `tied`, never the first of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from django.utils.translation import gettext_noop
from numpy.typing import NDArray
from scipy import sparse

from annotate.measures import Floats, Ints, Labels

Bools = NDArray[np.bool_]

NO_LABELS = gettext_noop("nobody has given a label")

EVEN = 1e-9  # two posteriors this close are even: sums in another order differ by less
TOLERANCE = 1e-9  # EM stops when a round gains less than this share of the objective
MAX_ROUNDS = 500  # the full model can creep for hundreds of rounds; `converged` says whether it arrived
# On 2, 3, 5 and all labels a unit of Snow's RTE and TEMP and of BarzanMozafari, from .001 to .03 are equally often right
# (within .001); more gives better probabilities and fewer right values (.1: -.002, 1: -.02).
SMOOTHING = 0.01
STRENGTH = 10.0  # on the same data from 4 to 16 are equally often right (within .01), more gives better probabilities


@dataclass(frozen=True)
class LabelConsensus:
    """What the labels of each unit say together, and how far to trust it and whom."""

    method: str
    value: Ints  # (units,): the leading category; -1 where two lead alike or nobody voted
    tied: Bools  # (units,)
    posterior: Floats  # (units, K); of a majority the shares of the votes; without votes what is known beforehand
    confidence: Floats  # (units,): the largest posterior; 0 where nobody voted
    votes: Ints  # (units, K)
    prior: Floats  # (K,): how common each category is; estimated by Dawid–Skene only
    labels: Ints  # (raters,): how many labels each rater gave
    reliability: Floats | None = None  # (raters,): probability of a right label; None for a majority
    confusion: Floats | None = None  # (raters, K, K): row true, column reported; only Dawid–Skene
    log_likelihood: float | None = None
    iterations: int = 0
    converged: bool = True
    trace: Floats | None = None  # the objective after each round
    undefined_because: str | None = None


class _Data(NamedTuple):
    labels: Labels
    votes: Ints  # (units, K)
    known: Bools  # (units,): somebody voted, or it is gold
    gold_units: Ints
    gold_values: Ints

    @property
    def start(self) -> Floats:
        """The shares of the votes, gold certain, even where nothing is known."""
        total = self.votes.sum(axis=1, keepdims=True)
        shares = np.full(self.votes.shape, 1 / self.votes.shape[1])
        np.divide(self.votes, total, out=shares, where=total > 0)
        shares[self.gold_units] = 0
        shares[self.gold_units, self.gold_values] = 1
        return shares


class _Fit(NamedTuple):
    posterior: Floats
    log_likelihood: float
    trace: list[float]
    converged: bool


def majority(labels: Labels) -> LabelConsensus:
    """The category with most votes, each vote worth the same.

    `posterior` is the shares of the votes and `confidence` the largest share. That is a description of the votes and
    no probability: two of two votes have 1, and are less sure than nine of ten.
    """
    data = _data(labels, None)
    return _consensus("majority", data, data.start, np.full(labels.categories, 1 / labels.categories))


def dawid_skene(
    labels: Labels,
    gold: Mapping[int, int] | None = None,
    *,
    smoothing: float = SMOOTHING,
    mirrored: bool = False,
    tolerance: float = TOLERANCE,
    iterations: int = MAX_ROUNDS,
) -> LabelConsensus:
    """A confusion matrix for each rater, by EM (Dawid and Skene 1979, "Maximum likelihood estimation of observer
    error-rates using the EM algorithm").

    `gold` holds the units (by index) whose category is known; it stays. `smoothing` is added to each cell of the
    confusion matrices and of the prior, so what is maximised is the log-likelihood plus smoothing times the logs of all
    cells; 0 is the paper's estimate. With 0 a rater who never confused two categories is believed never to do so.
    The start is fixed and may lead to a local maximum, as it does on the paper's own table.
    It wants many labels of each rater: with a handful it may take the only vote on a unit for an error.
    `mirrored`: category k is the last less k seen from the other side, as "first better" and "second better" of a
    pair; both sides then share their errors and their prior.
    """
    data = _data(labels, gold)
    raters, size = len(labels.raters), labels.categories
    cells = labels.rater * size + labels.value
    order = np.argsort(labels.unit, kind="stable")
    starts = np.concatenate([[0], np.cumsum(data.votes.sum(axis=1))])
    by_unit = sparse.csr_array((np.ones(len(cells)), cells[order], starts), shape=(len(labels.units), raters * size))
    by_cell = by_unit.T.tocsr()

    def maximise(posterior: Floats) -> tuple[Floats, Floats]:
        confusion = (by_cell @ posterior).reshape(raters, size, size) + smoothing  # rater, reported, true
        prior = posterior[data.known].sum(axis=0) + smoothing
        if mirrored:
            confusion, prior = confusion + confusion[:, ::-1, ::-1], prior + prior[::-1]
        total = confusion.sum(axis=1, keepdims=True)
        even = np.full(confusion.shape, 1 / size)  # a rater of whom nothing is known for this category
        confusion = np.divide(confusion, total, out=even, where=total > 0)
        return confusion, prior / prior.sum() if prior.sum() > 0 else np.full(size, 1 / size)

    def expect(confusion: Floats, prior: Floats) -> tuple[Floats, float, float]:
        with np.errstate(divide="ignore"):
            log_confusion, log_prior = np.log(confusion), np.log(prior)
        scores = by_unit @ log_confusion.reshape(raters * size, size) + log_prior
        posterior, likelihood = _posterior(scores, data)
        penalty = smoothing * (log_confusion.sum() + log_prior.sum()) if smoothing else 0.0
        return posterior, likelihood, likelihood + penalty

    fit = _em(data, lambda posterior: expect(*maximise(posterior)), data.start, tolerance, iterations)
    confusion, prior = maximise(fit.posterior)
    confusion = np.ascontiguousarray(confusion.transpose(0, 2, 1))
    reliability = np.einsum("rkk,k->r", confusion, prior)
    return _consensus("dawid_skene", data, fit.posterior, prior, fit, reliability, confusion)


def one_coin(
    labels: Labels,
    gold: Mapping[int, int] | None = None,
    *,
    strength: float = STRENGTH,
    prior: Literal["even", "votes"] = "even",
    mirrored: bool = False,
    tolerance: float = TOLERANCE,
    iterations: int = MAX_ROUNDS,
) -> LabelConsensus:
    """One accuracy for each rater, errors spread evenly over the other categories, by EM.

    This is Dawid and Skene's model with one number for each rater (the one-coin model of Zhang, Chen, Zhou and Jordan
    2016, "Spectral methods meet EM", section 2), for raters with few labels. It is fitted twice: first with one
    accuracy for everybody, then with one for each, drawn towards the common one as by `strength` labels more (a Beta
    prior whose mean comes from the data). So a rater with one label is believed about as much as the others, never 1.

    The prior of the categories is not fitted: with two or three labels a unit that would often find the answer
    "everything is of one category". It is "even", or the shares of all "votes", for rare categories; on Snow's RTE
    and TEMP and on BarzanMozafari even is better. `mirrored` makes the votes' shares even between category k and the
    last less k, as first and second better of a pair; a pair's tie may then be rare. `gold` is as in `dawid_skene`.
    """
    if strength <= 0:
        raise ValueError("strength must be above 0: it keeps a rater with one label from being believed entirely")
    if prior not in ("even", "votes"):
        raise ValueError(f"unknown prior: {prior!r}")
    data = _data(labels, gold)
    unit, rater, value = labels.unit, labels.rater, labels.value
    raters, units, size = len(labels.raters), len(labels.units), labels.categories
    cell, given = unit * size + value, np.bincount(rater, minlength=raters)
    shares = np.ones(size) if prior == "even" else data.votes.sum(axis=0) + 1.0
    shares = shares + shares[::-1] if mirrored else shares
    shares = shares / shares.sum()

    def right(posterior: Floats) -> Floats:
        return np.bincount(rater, weights=posterior.ravel()[cell], minlength=raters).astype(np.float64, copy=False)

    def expect(accuracy: Floats) -> tuple[Floats, float]:
        wrong = np.log((1 - accuracy) / (size - 1))
        weight = (np.log(accuracy) - wrong)[rater]
        scores = np.bincount(cell, weights=weight, minlength=units * size).reshape(units, size) + np.log(shares)
        posterior, likelihood = _posterior(scores, data)
        return posterior, likelihood + float(given @ wrong)

    def common_of(posterior: Floats) -> float:
        return float((right(posterior).sum() + 1) / (given.sum() + 2))

    def together(posterior: Floats) -> tuple[Floats, float, float]:
        accuracy = common_of(posterior)
        posterior, likelihood = expect(np.full(raters, accuracy))
        return posterior, likelihood, likelihood + float(np.log(accuracy) + np.log1p(-accuracy))

    def accuracy_of(posterior: Floats) -> Floats:
        return (right(posterior) + strength * common) / (given + strength)

    def each(posterior: Floats) -> tuple[Floats, float, float]:
        accuracy = accuracy_of(posterior)
        posterior, likelihood = expect(accuracy)
        pull = strength * (common * np.log(accuracy) + (1 - common) * np.log1p(-accuracy)).sum()
        return posterior, likelihood, likelihood + float(pull)

    first = _em(data, together, data.start, tolerance, iterations)
    common = common_of(first.posterior)
    fit = _em(data, each, first.posterior, tolerance, iterations)
    return _consensus("one_coin", data, fit.posterior, shares, fit, reliability=accuracy_of(fit.posterior))


def _data(labels: Labels, gold: Mapping[int, int] | None) -> _Data:
    units, size = len(labels.units), labels.categories
    if size < 2:
        raise ValueError("a consensus needs at least two categories to choose from")
    for unit, value in (gold or {}).items():
        if not 0 <= unit < units or not 0 <= value < size:
            raise ValueError(f"gold names unit {unit} and category {value}; there are {units} units, {size} categories")
    gold_units = np.array(sorted(gold or {}), dtype=np.int64)
    gold_values = np.array([(gold or {})[unit] for unit in gold_units.tolist()], dtype=np.int64)
    known: Bools = (labels.counts > 0).max(axis=1, initial=False)
    known[gold_units] = True
    return _Data(labels, labels.counts, known, gold_units, gold_values)


def _posterior(scores: Floats, data: _Data) -> tuple[Floats, float]:
    """Normalised over the categories, gold clamped; and the log-likelihood. `scores` is overwritten."""
    kept = scores[data.gold_units, data.gold_values]
    scores[data.gold_units] = -np.inf
    scores[data.gold_units, data.gold_values] = kept
    top = scores.max(axis=1, keepdims=True)
    np.exp(np.subtract(scores, top, out=scores), out=scores)
    total = scores.sum(axis=1, keepdims=True)
    likelihood = float(top.sum() + np.log(total).sum())
    # Rounded, so that an even start stays even: else the order of a sum's terms could decide for a category.
    return np.round(np.divide(scores, total, out=scores), 12, out=scores), likelihood


def _em(
    data: _Data,
    step: Callable[[Floats], tuple[Floats, float, float]],
    posterior: Floats,
    tolerance: float,
    iterations: int,
) -> _Fit:
    """Rounds of `step`, from posteriors to posteriors, log-likelihood and objective, until nothing is gained."""
    trace: list[float] = []
    likelihood = 0.0
    if not data.known.any():
        return _Fit(posterior, likelihood, trace, True)
    for _ in range(iterations):
        posterior, likelihood, objective = step(posterior)
        trace.append(objective)
        if len(trace) > 1 and trace[-1] - trace[-2] <= tolerance * abs(objective):
            return _Fit(posterior, likelihood, trace, True)
    return _Fit(posterior, likelihood, trace, False)


def _consensus(
    method: str,
    data: _Data,
    posterior: Floats,
    prior: Floats,
    fit: _Fit | None = None,
    reliability: Floats | None = None,
    confusion: Floats | None = None,
) -> LabelConsensus:
    largest = np.partition(posterior, -2, axis=1)[:, -2:]
    tied = data.known & (largest[:, 1] - largest[:, 0] <= EVEN)
    return LabelConsensus(
        method=method,
        value=np.where(tied | ~data.known, -1, posterior.argmax(axis=1)),
        tied=tied,
        posterior=posterior,
        confidence=np.where(data.known, largest[:, 1], 0.0),
        votes=data.votes,
        prior=prior,
        labels=np.bincount(data.labels.rater, minlength=len(data.labels.raters)),
        reliability=reliability,
        confusion=confusion,
        log_likelihood=fit.log_likelihood if fit and data.known.any() else None,
        iterations=len(fit.trace) if fit else 0,
        converged=fit.converged if fit else True,
        trace=np.array(fit.trace) if fit else None,
        undefined_because=None if data.known.any() else NO_LABELS,
    )
