"""Bradley–Terry where some annotators are careless, or answer the wrong way round.

Each annotator has a reliability r: with that probability the answer is drawn as Bradley–Terry says, else the wrong way
round (Chen, Bennett, Collins-Thompson and Horvitz 2013, "Pairwise ranking aggregation in a crowdsourced setting"):

    P(rater says i beats j) = r s(i, j) + (1 - r) s(j, i),    s(i, j) = 1 / (1 + exp(worth(j) - worth(i)))

So r is 1 for somebody reliable, 1/2 for somebody who guesses, 0 for an adversary. Fitting one r for each annotator
beside the worths stretches the worths, without limit as annotators grow in number and not in answers. So the
reliabilities are not fitted but averaged over: their distribution among the annotators is estimated on a grid
(Kiefer and Wolfowitz 1956; Laird 1978, "Nonparametric maximum likelihood estimation of a mixing distribution"), and each
annotator's own follows from it and from the answers. All could be turned round without a change of the likelihood; the
start, the worths of plain Bradley–Terry, takes the side of the majority.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from django.utils.translation import gettext_noop
from numpy.typing import NDArray
from scipy import linalg, sparse, special

from annotate.consensus.comparisons import Comparisons
from annotate.consensus.preferences import NO_COMPARISONS
from annotate.measures import Floats

Bools = NDArray[np.bool_]

NOT_SETTLED = gettext_noop("the estimate is not at a maximum, so its errors are not known")

GRID = np.linspace(0, 1, 41)  # reliabilities
FINE = np.linspace(0, 1, 401)  # for each annotator's own, in the end
LENT = 1.0  # annotators that are lent, spread over the grid: no reliability is impossible
LENT_EACH = 5.0  # the same, for what is said of each annotator in the end
RIDGE = 0.1  # the precision of the normal prior of worths: a standard deviation of about 3 either way
TOLERANCE = 1e-5  # EM stops when a round gains less; what is left then says nothing
ROUNDING = 1e-10  # of the objective, below which a gain cannot be told from rounding
MAX_ROUNDS = 1000
LEAST = 1e-300  # a probability of 0 has no logarithm
CELLS = 5_000_000  # numbers held at once for the errors


@dataclass(frozen=True)
class CrowdStrengths:
    """Log-worths against the average item, and annotators' reliabilities. What is said of an annotator takes
    the worths and the distribution as known, so it is surer than it should be where there is little to learn them
    from: of sixty annotators with sixty answers each, 86% of the intervals hold the truth, of five about two thirds.
    """

    method: str
    log_worth: Floats | None  # (items,)
    covariance: Floats | None  # (items, items), with the distribution of reliabilities estimated too
    reliability: Floats | None  # (raters,): the mean of what is known of each
    reliability_low: Floats | None  # (raters,): it is below with 2.5%
    reliability_high: Floats | None  # (raters,): it is above with 2.5%
    answers: Floats  # (raters,): comparisons, ties included
    adversarial: Bools  # (raters,): below 1/2 with 97.5% or more
    log_likelihood: float | None = None
    iterations: int = 0
    converged: bool = True
    trace: Floats | None = None  # the log-likelihood with its priors after each round
    undefined_because: str | None = None
    no_interval_because: str | None = None

    @property
    def se(self) -> Floats | None:
        """(items,): of each item against the average one."""
        return None if self.covariance is None else np.sqrt(np.diag(self.covariance).clip(0))


class _Answers(NamedTuple):
    """How often each annotator said that one item beats another; a pair is winner * items + loser."""

    said: sparse.csr_array  # (raters, items**2), halves for ties
    by_pair: sparse.csr_array  # the same, turned
    items: int


class _State(NamedTuple):
    worth: Floats
    shares: Floats  # (grid,): of annotators


class _Round(NamedTuple):
    objective: float
    log_likelihood: float
    of_raters: Floats  # (raters, grid): probabilities of each annotator's reliability


def crowd_bradley_terry(
    comparisons: Comparisons,
    *,
    ridge: float = RIDGE,
    tolerance: float = TOLERANCE,
    iterations: int = MAX_ROUNDS,
) -> CrowdStrengths:
    """Strengths and the distribution of reliabilities by EM. A tie is half an answer each way, as in `bradley_terry`,
    so many ties look like less reliable annotators.

    `ridge` / 2 times the sum of squares of the worths is taken off the log-likelihood, so there always is a maximum.
    """
    if ridge <= 0:
        raise ValueError("ridge must be above 0: without it an unbeaten item is infinitely strong")
    answers = _answers(comparisons)
    given = np.asarray(answers.said.sum(axis=1)).ravel()
    if not given.any():
        nobody = np.zeros(len(given), dtype=bool)
        return CrowdStrengths(
            "crowd_bradley_terry", None, None, None, None, None, given, nobody, undefined_because=NO_COMPARISONS
        )
    wins = np.asarray(answers.said.sum(axis=0)).reshape(answers.items, answers.items)
    state = _State(_stronger(wins, np.zeros(answers.items), ridge), np.full(len(GRID), 1 / len(GRID)))
    now = _expect(answers, state, ridge)
    trace, converged = [now.objective], False
    while len(trace) < iterations and not converged:
        state = _maximise(answers, state, now, ridge)
        now = _expect(answers, state, ridge)
        trace.append(now.objective)
        converged = trace[-1] - trace[-2] <= tolerance + ROUNDING * abs(trace[-1])
    mean, low, high, adversarial = _reliabilities(answers, state)
    covariance = _covariance(answers, state, now, ridge)
    return CrowdStrengths(
        "crowd_bradley_terry",
        state.worth - state.worth.mean(),
        covariance,
        mean,
        low,
        high,
        given,
        adversarial,
        now.log_likelihood,
        len(trace),
        converged,
        np.array(trace),
        no_interval_because=None if covariance is not None else NOT_SETTLED,
    )


def _answers(comparisons: Comparisons) -> _Answers:
    items, raters = len(comparisons.items), len(comparisons.raters)
    there = comparisons.first * items + comparisons.second
    back = comparisons.second * items + comparisons.first
    share, rater = comparisons.share, comparisons.rater
    said = sparse.coo_array(
        (np.concatenate([share, 1 - share]), (np.concatenate([rater, rater]), np.concatenate([there, back]))),
        shape=(raters, items**2),
    ).tocsr()
    said.sum_duplicates()
    said.eliminate_zeros()
    return _Answers(said, said.T.tocsr(), items)


def _chances(worth: Floats, grid: Floats) -> tuple[Floats, Floats]:
    """Of each pair the chance that the winner is better, and by reliability that it is said, (pairs, grid)."""
    chance = special.expit(worth[:, None] - worth).reshape(-1, 1)
    return chance, np.maximum(grid * chance + (1 - grid) * (1 - chance), LEAST)


def _expect(answers: _Answers, state: _State, ridge: float) -> _Round:
    scores = answers.said @ np.log(_chances(state.worth, GRID)[1]) + np.log(state.shares)
    top = scores.max(axis=1, keepdims=True)
    of_raters = np.exp(scores - top)
    total = of_raters.sum(axis=1, keepdims=True)
    likelihood = float(top.sum() + np.log(total).sum())
    priors = LENT * float(np.log(state.shares).mean()) - ridge / 2 * float(state.worth @ state.worth)
    return _Round(likelihood + priors, likelihood, of_raters / total)


def _maximise(answers: _Answers, state: _State, now: _Round, ridge: float) -> _State:
    shares = now.of_raters.sum(axis=0) + LENT / len(GRID)
    chance, said = _chances(state.worth, GRID)
    weight = answers.by_pair @ now.of_raters
    straight = (weight * (GRID * chance / said)).sum(axis=1)  # answers that were meant as they stand
    turned = weight.sum(axis=1) - straight
    size = answers.items
    wins = straight.reshape(size, size) + turned.reshape(size, size).T
    return _State(_stronger(wins, state.worth, ridge), shares / shares.sum())


def _stronger(wins: Floats, worth: Floats, ridge: float) -> Floats:
    """A step of Newton's towards the worths that fit `wins` best.

    One step is enough: EM only asks that the expected log-likelihood rises, and the step is halved until it does.
    """
    games = wins + wins.T

    def expected(at: Floats) -> float:
        return float((wins * special.log_expit(at[:, None] - at)).sum()) - ridge / 2 * float(at @ at)

    chance = special.expit(worth[:, None] - worth)
    information = games * chance * (1 - chance)
    curvature = np.diag(information.sum(axis=1) + ridge) - information
    step = linalg.solve(curvature, (wins - games * chance).sum(axis=1) - ridge * worth, assume_a="pos")
    before, length = expected(worth), 1.0
    while expected(worth + length * step) < before:
        length /= 2
        if length < 1e-8:
            return worth
    return worth + length * step


def _reliabilities(answers: _Answers, state: _State) -> tuple[Floats, Floats, Floats, Bools]:
    """Each annotator's mean, 2.5% and 97.5% points, and whether that lies below 1/2, on the fine grid."""
    # Few annotators give a distribution of few spikes; more is lent here, so that nobody is told to stand on one.
    raters = answers.said.shape[0]
    density = np.interp(FINE, GRID, state.shares * raters + LENT_EACH / len(GRID))
    scores = answers.said @ np.log(_chances(state.worth, FINE)[1]) + np.log(density)
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    up_to = scores.cumsum(axis=1)
    low, high = FINE[(up_to < 0.025).sum(axis=1)], FINE[(up_to < 0.975).sum(axis=1).clip(max=len(FINE) - 1)]
    return scores @ FINE, low, high, high < 0.5


def _covariance(answers: _Answers, state: _State, now: _Round, ridge: float) -> Floats | None:
    """From the second derivatives of the objective in the worths and the shares of the grid, by Louis (1982)."""
    size, raters = answers.items, len(now.of_raters)
    chance, said = _chances(state.worth, GRID)
    slope = (2 * GRID - 1) * chance * (1 - chance) / said  # of the logarithm, by the difference of the worths
    bend = slope**2 - slope * (1 - 2 * chance)
    pairs = ((answers.by_pair @ now.of_raters) * bend).sum(axis=1).reshape(size, size)
    pairs = pairs + pairs.T
    of_worths = np.diag(pairs.sum(axis=1) + ridge) - pairs

    pair = np.arange(size**2)
    rows, columns = np.concatenate([pair, pair]), np.concatenate([pair // size, pair % size])
    ends = sparse.csr_array((np.repeat([1.0, -1.0], size**2), (rows, columns)), shape=(size**2, size))
    surprise = now.of_raters / state.shares  # of each annotator, by the shares
    both = np.zeros((size, len(GRID)))
    chunk = max(1, CELLS // (size * len(GRID)))
    for start in range(0, raters, chunk):
        of_chunk, by_share = now.of_raters[start : start + chunk], surprise[start : start + chunk]
        part = answers.said[start : start + chunk]
        pushes = np.stack([(part @ (sparse.diags_array(at) @ ends)).toarray() for at in slope.T], axis=1)
        pushes = pushes - np.einsum("kg,kgi->ki", of_chunk, pushes)[:, None, :]
        of_worths -= np.einsum("kg,kgi,kgj->ij", of_chunk, pushes, pushes, optimize=True)
        both -= np.einsum("kg,kgi->ig", by_share, pushes)
    of_shares = surprise.T @ surprise + np.diag(LENT / len(GRID) / state.shares**2)
    whole = np.block([[of_worths, both], [both.T, of_shares]])
    # The shares sum to 1: only directions within that plane count.
    plane = linalg.null_space(np.concatenate([np.zeros(size), np.ones(len(GRID))])[None])
    try:
        factor = linalg.cho_factor(plane.T @ whole @ plane)
    except linalg.LinAlgError:
        return None
    covariance = (plane @ linalg.cho_solve(factor, plane.T))[:size, :size]
    return covariance - covariance.mean(axis=0) - covariance.mean(axis=1)[:, None] + covariance.mean()
