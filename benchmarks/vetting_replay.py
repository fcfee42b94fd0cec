"""`python -m benchmarks.vetting_replay`: what pausing by gold does to the labels of a real crowd. Writes into docs/vetting.md.

Snow and others 2008, textual entailment: 800 items, ten labels each, 164 people. A draw makes 100 of the items gold, in an
order. Each person is asked those that he labelled; after each answer the rule of `annotate.services.vetting` is looked at,
and whoever it pauses has his labels on the other 700 items held. Accuracy is that of the majority of what is left; a tie, and
an item that nobody is left on, counts as half right. tests/real/test_vetting.py runs some of the draws through the services.

Exits with 1 where a bound is missed. With --quick nothing is written.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from annotate.vetting.rules import p_at_least
from benchmarks.overlap import Crowd, crowds
from benchmarks.written import table, write_part
from tests.accept import common
from tests.accept.common import line

PAGE = Path(__file__).resolve().parents[1] / "docs" / "vetting.md"
DRAWS, GOLD = 100, 100
TARGET, SURE = 0.75, 0.9
MINIMA = (20, 10, 5, 1)
"""Gold answers before which nobody is paused: the first is Plumbline's."""
BEFORE = 0.8969  # of all 800 items; the mean over draws of 700 of them is as much
AFTER = (0.915, 0.935)  # the mean over draws, with the minimum and without


@dataclass(frozen=True)
class Draw:
    """One choice of gold, and what followed from it."""

    asked: dict[int, int]  # by person, gold answers until he was paused, or all of his
    paused: frozenset[int]
    held: frozenset[tuple[int, int]]  # (item, person) of the other items
    labels: int  # on the other items
    before: float
    after: float


def rte() -> Crowd:
    return next(crowd for crowd in crowds() if crowd.name == "RTE")


def gold_of(crowd: Crowd, seed: int) -> list[int]:
    """The items that are gold in this draw, in the order in which they are asked."""
    return np.random.default_rng(seed).choice(crowd.size[0], GOLD, replace=False).tolist()


def answers_on(crowd: Crowd, items: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
    """By person, (item, value) of these items in their order."""
    found: dict[int, list[tuple[int, int]]] = {person: [] for person in range(len(crowd.raters))}
    for item in items:
        for person, value in zip(crowd.rater[item].tolist(), crowd.value[item].tolist(), strict=True):
            found[person].append((item, value))
    return found


def stops(right: Sequence[bool], least: int) -> int | None:
    """After how many gold answers the person is paused; None where he never is."""
    k = 0
    for n, passed in enumerate(right, 1):
        k += passed
        if n >= least and p_at_least(k, n, TARGET) <= 1 - SURE:
            return n
    return None


def draw(crowd: Crowd, seed: int, least: int, *, once: bool = False) -> Draw:
    """`once`: the rule is looked at when all gold is answered, not after each answer."""
    gold = gold_of(crowd, seed)
    asked, paused = {}, set()
    for person, answers in answers_on(crowd, gold).items():
        right = [value == crowd.gold[item] for item, value in answers]
        stopped = stops(right, max(least, len(right)) if once else least)
        asked[person] = stopped or len(answers)
        if stopped:
            paused.add(person)
    others = sorted(set(range(crowd.size[0])) - set(gold))
    held = frozenset((item, person) for item in others for person in crowd.rater[item].tolist() if person in paused)
    before, after = accuracy(crowd, others, frozenset()), accuracy(crowd, others, held)
    return Draw(asked, frozenset(paused), held, len(others) * crowd.size[1], before, after)


def accuracy(crowd: Crowd, items: Sequence[int], held: frozenset[tuple[int, int]]) -> float:
    """The share of the items whose majority is right, without the labels that are held; ties are half right."""
    right = 0.0
    for item in items:
        votes = [0] * len(crowd.categories)
        for person, value in zip(crowd.rater[item].tolist(), crowd.value[item].tolist(), strict=True):
            votes[value] += (item, person) not in held
        best = [value for value, count in enumerate(votes) if count == max(votes)]
        right += (crowd.gold[item] in best) / len(best)
    return right / len(items)


def spread(values: Sequence[float], digits: int = 3) -> str:
    return f"{np.mean(values):.{digits}f} ({min(values):.{digits}f} – {max(values):.{digits}f})"


def row(name: str, draws: Sequence[Draw]) -> list[str]:
    seen = [asked for one in draws for asked in one.asked.values()]
    return [
        name,
        spread([one.before for one in draws]),
        spread([one.after for one in draws]),
        spread([one.after - one.before for one in draws]),
        f"{median(seen):g} ({min(seen)} – {max(seen)})",
        spread([len(one.paused) for one in draws], 1),
        spread([100 * len(one.held) / one.labels for one in draws], 1),
    ]


HEAD = ["pauses from", "before", "after", "gain", "gold a person: median", "people paused", "labels held, %"]


def main() -> int:
    crowd = rte()
    found = {f"n ≥ {least}": [draw(crowd, seed, least) for seed in range(DRAWS)] for least in MINIMA}
    found["n ≥ 1, looked at once"] = [draw(crowd, seed, 1, once=True) for seed in range(DRAWS)]
    if "--quick" not in sys.argv:
        write_part("replay", table(HEAD, [row(name, draws) for name, draws in found.items()]), PAGE)
    low, high = AFTER
    for name, draws in found.items():
        _name, before, after, _gain, seen, people, held = row(name, draws)
        figure = f"{before} → {after}, between {low} and {high}; gold {seen}; {people} paused; {held} % held"
        means = [float(np.mean([getattr(one, which) for one in draws])) for which in ("before", "after")]
        line(f"majority of 10, {name}", figure, abs(means[0] - BEFORE) <= 0.002 and low <= means[1] <= high)
    return int(common.failed)


if __name__ == "__main__":
    sys.exit(main())
