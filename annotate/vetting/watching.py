"""Somebody who was let in, over time: errors that become more, streaks of one answer, haste, and second thoughts.

Each figure is a reason to look, never a verdict. `annotate.vetting.rules` decides on results.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from math import ceil, log
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array
from scipy.sparse.linalg import spsolve

# --- Errors -----------------------------------------------------------------------------------------------------------


class Cusum(NamedTuple):
    path: list[float]  # after each result; where it gives an alarm, before it starts again from 0
    alarms: list[int]  # places in the path


def cusum(errors: Sequence[bool], good: float = 0.15, bad: float = 0.30, threshold: float = 4.0) -> Cusum:
    """A running sum that rises when errors come at the rate `bad` rather than `good` (Page 1954), and its alarms.

    Each result adds the logarithm of how much likelier it is at `bad`; the sum never falls below 0, and starts again there
    after an alarm.
    """
    error, right = _steps(good, bad)
    path, alarms, total = [], [], 0.0
    for at, wrong in enumerate(errors):
        total = max(total + (error if wrong else right), 0.0)
        path.append(total)
        if total >= threshold:
            alarms.append(at)
            total = 0.0
    return Cusum(path, alarms)


def _steps(good: float, bad: float) -> tuple[float, float]:
    """What an error and a right answer add."""
    if not 0 < good < bad < 1:
        raise ValueError("the rates must be between 0 and 1, and good below bad")
    return log(bad / good), log((1 - bad) / (1 - good))


FINENESS = 100  # parts of the smaller of the two steps


def run_length(p: float, good: float = 0.15, bad: float = 0.30, threshold: float = 4.0) -> float:
    """After how many results, on average, `cusum` gives its first alarm when errors come at the rate `p`.

    A Markov chain over values of the sum (Brook and Evans 1972), with both steps rounded to a hundredth of the smaller one.
    """
    error, right = _steps(good, bad)
    if not 0 < p <= 1:
        raise ValueError("without errors there is never an alarm")
    part = min(error, -right) / FINENESS
    up, down, states = round(error / part), round(-right / part), ceil(threshold / part)
    state = np.arange(states)
    higher, lower = state + up, np.maximum(state - down, 0)
    stays = higher < states
    moves = csr_array(
        (
            np.concatenate([np.full(int(stays.sum()), p), np.full(states, 1 - p)]),
            (np.concatenate([state[stays], state]), np.concatenate([higher[stays], lower])),
        ),
        shape=(states, states),
    )
    return float(spsolve((eye_array(states) - moves).tocsc(), np.ones(states))[0])


def ewma(errors: Sequence[bool], weight: float = 0.1) -> list[float]:
    """The rate of errors of late: a mean in which each result weighs 1 - `weight` times as much as the next one."""
    path, total, weights = [], 0.0, 0.0
    for wrong in errors:
        total, weights = total * (1 - weight) + wrong, weights * (1 - weight) + 1
        path.append(total / weights)
    return path


# --- Answers ----------------------------------------------------------------------------------------------------------

STREAK_WINDOW = 1000
NEGLIGIBLE = 1e-9


class Streak(NamedTuple):
    """The longest run of one answer; how long it would be on average, and the chance of one at least as long."""

    length: int
    value: Any
    expected: float
    p: float


def longest_streak(values: Sequence[Any]) -> Streak:
    """The longest run of one answer among the latest thousand, the first of equals.

    Expected length and chance are exact for answers that come independently at the rates at which this person gives them.
    So whoever gives one answer throughout has a chance of 1: a rate, not a streak, shows that.
    """
    values = values[-STREAK_WINDOW:]
    if not values:
        return Streak(0, None, 0.0, 1.0)
    keys = [json.dumps(value, sort_keys=True) for value in values]
    runs, start = [], 0
    for _key, run in groupby(keys):
        length = len(list(run))
        runs.append((length, values[start]))
        start += length
    length, value = max(runs, key=lambda run: run[0])
    reaches = _chances_of_run(keys, length)
    return Streak(length, value, float(reaches.sum()), float(reaches[length - 1]))


def _chances_of_run(keys: Sequence[str], length: int) -> NDArray[np.float64]:
    """The chances that as many independent answers hold a run of at least 1, 2, … of one kind, no shorter than `length`.

    Followed from answer to answer, for all lengths at once: how likely there was no such run yet and the last answer is
    of a kind. That kind's runs which have just come to the length, by when they began, are taken away. Kinds that
    are equally frequent behave alike and are counted together.
    """
    n = len(keys)
    times = Counter(Counter(keys).values())
    rate, kinds = np.array(list(times)) / n, np.array(list(times.values()))
    most = length
    while most < n and kinds @ rate**most * n > NEGLIGIBLE:  # at least the chance of a run of `most`
        most += 1
    lengths = np.arange(2, most + 1)
    going_on = rate ** (lengths[:, None] - 1)
    row = np.arange(len(lengths))
    began = np.zeros((n + 1, len(lengths), len(rate)))  # at 0: never
    none, last = np.ones(len(lengths)), np.zeros((len(lengths), len(rate)))
    for at in range(1, n + 1):
        began[at] = rate * (none[:, None] - last)
        complete = began[np.maximum(at - lengths + 1, 0), row] * going_on
        last = rate * last + began[at] - complete
        none = last @ kinds
    return np.concatenate([[1.0], np.clip(1 - none, 0, 1)])


# --- Time, and the same again -----------------------------------------------------------------------------------------


class Speed(NamedTuple):
    ratio: float | None  # below 1 is faster than the others
    n: int  # items


def speed(seconds: Sequence[float], others: Sequence[float]) -> Speed:
    """The median time of a person, as a multiple of that of the others on the same items."""
    cohort = median(others) if others else 0
    return Speed(median(seconds) / cohort if seconds and cohort else None, len(seconds))


def retest(first: Sequence[Any], second: Sequence[Any], same: Callable[[Any, Any], bool]) -> tuple[int, int]:
    """How often, of how many items that were answered twice, the second answer is that of the first time."""
    return sum(same(one, other) for one, other in zip(first, second, strict=True)), len(first)
