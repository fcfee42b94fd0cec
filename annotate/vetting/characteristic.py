"""How often a rule is right about people of a known ability, and after how many items: its operating characteristic.

Worked out over all ways the results can come (`exact`), and once more by drawing results (`simulated`). Items are taken to
be equally hard and their results independent.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from annotate.vetting.rules import APPROVE, GOING_ON, REJECT, UNDECIDED, Counting

STOPS = (APPROVE, REJECT, UNDECIDED)
OUTCOMES = (GOING_ON, *STOPS)  # a lattice holds places of these


class Characteristic(NamedTuple):
    """What becomes of people who get a share `p` of items right: shares that sum to 1, and items on average."""

    p: float
    approve: float
    reject: float
    undecided: float
    items: float


@lru_cache(maxsize=64)
def _lattice(rule: Counting) -> NDArray[np.int8]:
    """What the rule says of k right of n, at [n, k]. What cannot be reached, since it stopped before, is not asked."""
    lattice = np.zeros((rule.cap + 1, rule.cap + 2), dtype=np.int8)
    going = {0}
    for n in range(1, rule.cap + 1):
        reached = going | {k + 1 for k in going}
        for k in reached:
            lattice[n, k] = OUTCOMES.index(rule.outcome(k, n))
        going = {k for k in reached if not lattice[n, k]}
    return lattice


def exact(rule: Counting, p: float) -> Characteristic:
    """By dynamic programming over how many of how many are right."""
    lattice = _lattice(rule)
    chance = np.zeros(rule.cap + 2)  # of k right so far, and going on
    chance[0] = 1
    ends, items = np.zeros(len(OUTCOMES)), 0.0
    for n in range(1, rule.cap + 1):
        items += chance.sum()  # who is still there does one more
        right = chance * p
        chance *= 1 - p
        chance[1:] += right[:-1]
        stopped = lattice[n] > 0
        ends += np.bincount(lattice[n], weights=np.where(stopped, chance, 0), minlength=len(OUTCOMES))
        chance[stopped] = 0
    approve, reject, undecided = ends[1:].tolist()
    return Characteristic(p, approve, reject, undecided, float(items))


def simulated(rule: Counting, p: float, times: int = 20_000, seed: int = 0) -> Characteristic:
    """By drawing the results of as many people."""
    rng, lattice = np.random.default_rng(seed), _lattice(rule)
    right = np.zeros(times, dtype=np.int64)
    ends, items = np.zeros(len(OUTCOMES)), 0
    for n in range(1, rule.cap + 1):
        if not len(right):
            break
        items += len(right)
        right += rng.random(len(right)) < p
        outcome = lattice[n, right]
        ends += np.bincount(outcome[outcome > 0], minlength=len(OUTCOMES))
        right = right[outcome == 0]
    approve, reject, undecided = (ends[1:] / times).tolist()
    return Characteristic(p, approve, reject, undecided, items / times)


def of_whole(rules: Sequence[Counting], p: float) -> Characteristic:
    """Of several parts, all of which have to be passed: one rejection rejects, and each part is done to its end.

    The parts are taken to be independent and equally hard. A part that is rated (`Mean`) has no such characteristic: leave
    it out; the whole then approves fewer than this says.
    """
    parts = [exact(rule, p) for rule in rules]
    approve = prod(part.approve for part in parts)
    reject = 1 - prod(1 - part.reject for part in parts)
    undecided = max(1 - approve - reject, 0.0)  # of parts that leave nobody undecided a hair below 0
    return Characteristic(p, approve, reject, undecided, sum(part.items for part in parts))


# --- What no rule can do ----------------------------------------------------------------------------------------------

BLOCK = 256


def items_to_separate(low: float, high: float, error: float = 0.10) -> int:
    """How many items it takes to tell two abilities apart, wrong about either at most as often as `error`.

    The fewest with which a most powerful test, a number of right answers to reach (Neyman and Pearson 1933), does so. A
    rule that stops early needs fewer on average, but not at its cap. Drawing lots where the number is just missed would
    save a few items (123 instead of 127 for .70 and .80).
    """
    if not 0 < low < high < 1 or not 0 < error < 0.5:
        raise ValueError("abilities must be different and between 0 and 1, and the error between 0 and 0.5")
    start = 1
    while True:
        n = np.arange(start, start + BLOCK)
        most = binom.isf(error, n, low)  # right answers that are too few: more come by chance at most that often
        found = np.flatnonzero(binom.cdf(most, n, high) <= error)
        if len(found):
            return int(n[found[0]])
        start += BLOCK


def too_close(cap: int, around: float, error: float = 0.10, step: float = 0.05) -> list[tuple[float, float, int]]:
    """Abilities around one, a step or two apart, that no rule tells apart within `cap` items: low, high, items it takes."""
    grid = [round(around + at * step, 6) for at in range(-3, 4)]
    pairs = [(low, high) for at, low in enumerate(grid) for high in grid[at + 1 : at + 3] if low > 0 and high < 1]
    taken = [(low, high, items_to_separate(low, high, error)) for low, high in pairs]
    return [(low, high, items) for low, high, items in taken if items > cap]
