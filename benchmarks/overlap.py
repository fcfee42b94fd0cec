"""What happens when items are judged until the consensus is sure enough: replayed on votes that were really given.

Every item of these data has the same number of votes. An order of them is drawn for each item, a project takes the
first few, and asks for the next one where the consensus of what has been taken is not sure enough.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotate.consensus import dawid_skene, majority, one_coin
from annotate.measures import Labels
from tests.real.pandalm import DATA

CROWD = DATA / "crowd"
METHODS: dict[str, Callable] = {"majority": majority, "one coin": one_coin, "Dawid–Skene": dawid_skene}
# How sure the consensus has to be. A vote share has few values, so it needs few of these.
SURE = (0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)
SHARES = (0.51, 0.67, 0.76, 0.81, 0.9, 1.0)

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Crowd:
    """Votes of a crowd on items whose right answer is known from elsewhere."""

    name: str
    rater: Ints  # (items, votes)
    value: Ints  # (items, votes)
    gold: Ints  # (items,)
    raters: list[str]
    categories: list[str]

    @property
    def size(self) -> tuple[int, int]:
        """Items, and votes on each."""
        return self.value.shape

    def shuffled(self, luck: np.random.Generator) -> "Crowd":
        """The same votes, each item's in another order."""
        order = luck.permuted(np.tile(np.arange(self.size[1]), (self.size[0], 1)), axis=1)
        rater, value = (np.take_along_axis(one, order, axis=1) for one in (self.rater, self.value))
        return Crowd(self.name, rater, value, self.gold, self.raters, self.categories)


@dataclass(frozen=True)
class Replay:
    """One order of the votes. Rows are fixed overlaps from `base` up, or thresholds; columns are items."""

    train: NDArray[np.bool_]  # (items,): the half on which the threshold is set
    fixed: Floats  # (overlaps, items): 1 where the consensus is right, 1/2 where two categories are tied
    right: Floats  # (thresholds, items)
    confidence: Floats  # (thresholds, items): as stated when the last vote had been taken
    confidence_of_all: Floats  # (items,): with every vote taken
    taken: NDArray[np.int8]  # (thresholds, items): votes


def replay(crowd: Crowd, method: str, base: int, blind: bool, seed: int) -> Replay:
    """All overlaps and all thresholds on one order of the votes and one division into halves, both from the seed.

    `blind`: confidences are shuffled among the items, so that they know nothing. What is measured has to show it.
    """
    luck = np.random.default_rng(seed)
    shuffled = crowd.shuffled(luck)
    items, votes = crowd.size
    train = np.zeros(items, dtype=bool)
    train[luck.permutation(items)[: items // 2]] = True

    def fit(taken: Ints) -> tuple[NDArray, NDArray]:
        right, confidence = _fit(shuffled, method, taken)
        return right, luck.permutation(confidence) if blind else confidence

    fits = [fit(np.full(items, overlap)) for overlap in range(base, votes + 1)]
    found = [_adaptive(fit, threshold, np.full(items, base), votes, fits[0]) for threshold in thresholds(method)]
    return Replay(
        train,
        np.array([right for right, _ in fits], dtype=np.float32),
        np.array([right for _, right, _ in found], dtype=np.float32),
        np.array([confidence for *_, confidence in found], dtype=np.float32),
        np.array(fits[-1][1], dtype=np.float32),
        np.array([taken for taken, *_ in found], dtype=np.int8),
    )


def thresholds(method: str) -> tuple[float, ...]:
    return SHARES if method == "majority" else SURE


def _adaptive(fit: Callable, threshold: float, taken: Ints, votes: int, first: tuple) -> tuple:
    """Rounds, as in a project: all votes taken so far are fitted, then each item not sure enough gets one more."""
    right, confidence = first
    while (ask := (confidence < threshold) & (taken < votes)).any():
        taken = taken + ask
        right, confidence = fit(taken)
    return taken, right, confidence


def _fit(crowd: Crowd, method: str, taken: Ints) -> tuple[NDArray, NDArray]:
    """The consensus of the first `taken` votes of each item: where it is right, and how sure it says it is."""
    items, votes = crowd.size
    mask = np.arange(votes) < taken[:, None]
    labels = Labels(
        unit=np.repeat(np.arange(items), taken),
        rater=crowd.rater[mask],
        value=crowd.value[mask],
        groups=np.arange(items),
        categories=len(crowd.categories),
        units=list(range(items)),
        raters=crowd.raters,
    )
    found = METHODS[method](labels)
    top = found.posterior >= found.posterior.max(axis=1, keepdims=True) - 1e-9
    shared = top[np.arange(items), crowd.gold] / top.sum(axis=1)
    return np.where(found.tied, shared, found.value == crowd.gold), found.confidence


def crowds() -> list[Crowd]:
    """The three sets."""
    snow, mozafari = CROWD / "snow2008", CROWD / "BarzanMozafari"
    rows = {name: _rows(snow / f"{name}.standardized.tsv")[1:] for name in ("rte", "temp")}
    tweets = dict(_rows(mozafari / "evaluation.txt"))
    votes = [(worker, item, said, tweets[item]) for worker, item, said in _rows(mozafari / "labels.txt")]
    return [
        _crowd("RTE", [(row[1], row[2], row[3], row[4]) for row in rows["rte"]]),
        _crowd("TEMP", [(row[1], row[2], row[3], row[4]) for row in rows["temp"]]),
        _crowd("BarzanMozafari", votes),
    ]


def _rows(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _crowd(name: str, votes: list[tuple[str, str, str, str]]) -> Crowd:
    """From (rater, item, value, gold), the same number of votes on each item."""
    items, raters = sorted({item for _, item, _, _ in votes}), sorted({rater for rater, *_ in votes})
    categories = sorted({one for _, _, value, gold in votes for one in (value, gold)})
    rows: dict[str, list[tuple[int, int]]] = {item: [] for item in items}
    gold = {item: categories.index(one) for _, item, _, one in votes}
    number = {rater: index for index, rater in enumerate(raters)}
    for rater, item, value, _ in votes:
        rows[item].append((number[rater], categories.index(value)))
    both = np.array([rows[item] for item in items], dtype=np.int64)  # ValueError where their numbers differ
    return Crowd(name, both[:, :, 0], both[:, :, 1], np.array([gold[item] for item in items]), raters, categories)
