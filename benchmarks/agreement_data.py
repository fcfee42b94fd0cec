"""Judgements made by a seeded generator, and one job timed in a process of its own: for Plumbline's and for the peers'.

Only numpy is needed here, so that the same rows are made in both environments; `mark` shows that they are the same.
"""

import json
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

ITEMS, RATERS, EACH, CATEGORIES = 100_000, 200, 5, 5
SLIDER = 101
COMPARISONS, MODELS = 1_000_000, 50
ENOUGH = 10.0  # seconds, after which a job is not repeated

Ints = NDArray[np.int64]
# Makes what a job reads, and gives what is timed; that gives the values by which two jobs are compared.
Job = Callable[[], Callable[[], NDArray[np.float64]]]


@cache
def votes(items: int) -> tuple[Ints, Ints]:
    """(item, rater) of each label: five different raters of two hundred on each item."""
    luck = np.random.default_rng(1)
    raters = luck.integers(RATERS, size=(items, EACH))
    while True:
        again = (np.diff(np.sort(raters, axis=1), axis=1) == 0).any(axis=1)
        if not again.any():
            return np.repeat(np.arange(items), EACH), raters.ravel()
        raters[again] = luck.integers(RATERS, size=(int(again.sum()), EACH))


def labels(items: int = ITEMS) -> tuple[Ints, Ints, Ints]:
    """(item, rater, category 0..4): raters of different skill, who slip to a category near by, or to any."""
    item, rater = votes(items)
    luck = np.random.default_rng(2)
    truth, skill = luck.integers(CATEGORIES, size=items), luck.uniform(0.45, 0.95, RATERS)
    near = np.clip(truth[item] + luck.choice([-1, 1], len(item)), 0, CATEGORIES - 1)
    anywhere = luck.integers(CATEGORIES, size=len(item))
    slip = np.where(luck.random(len(item)) < 0.7, near, anywhere)
    return item, rater, np.where(luck.random(len(item)) < skill[rater], truth[item], slip)


def slider(items: int = ITEMS) -> tuple[Ints, Ints, Ints]:
    """(item, rater, 0..100): each rater is a little strict or mild."""
    item, rater = votes(items)
    luck = np.random.default_rng(3)
    truth, strict = luck.uniform(10, 90, items), luck.normal(0, 6, RATERS)
    value = truth[item] + strict[rater] + luck.normal(0, 12, len(item))
    return item, rater, np.clip(np.rint(value), 0, SLIDER - 1).astype(np.int64)


def comparisons() -> tuple[Ints, Ints]:
    """(winner, loser) of a million comparisons of fifty models."""
    luck = np.random.default_rng(4)
    worth = luck.normal(0, 1, MODELS)
    first = luck.integers(MODELS, size=COMPARISONS)
    second = (first + luck.integers(1, MODELS, size=COMPARISONS)) % MODELS
    wins = luck.random(COMPARISONS) < 1 / (1 + np.exp(worth[second] - worth[first]))
    return np.where(wins, first, second), np.where(wins, second, first)


def mark(*columns: Ints) -> int:
    """A number by which two environments see that they made the same rows."""
    found = 0
    for column in columns:
        found = zlib.crc32(np.ascontiguousarray(column, dtype=np.int64), found)
    return found


def main(jobs: Mapping[str, tuple[Job, Callable[[], tuple[Ints, ...]]]]) -> None:
    """Run the job that the command line names, and print its time, peak memory and values as JSON."""
    job, rows = jobs[sys.argv[1]]
    timed = job()
    times: list[float] = []
    while not times or (len(times) < 5 and sum(times) < ENOUGH):
        began = time.perf_counter()
        values = timed()
        times.append(time.perf_counter() - began)
    said = {"seconds": median(times), "slowest": max(times), "mb": peak(), "mark": mark(*rows())}
    print(json.dumps(said | {"values": np.asarray(values, dtype=np.float64).ravel().tolist()}))


def peak() -> float:
    """The largest resident size of this program in MB. Of this program: getrusage counts what started it, too."""
    for row in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if row.startswith("VmHWM:"):
            return int(row.split()[1]) * 1024 / 1e6
    raise OSError("this system does not tell the peak of a process (VmHWM in /proc/self/status)")
