"""People beside each other: each one's agreement with the others, habits, and judges that are models. No database here.

All of it reads labels (`annotate.measures.Labels`). A share or mean comes with an interval that takes answers about one
prompt as depending on each other: the linearised variance of a ratio of sums over prompts (Cochran 1977, Sampling
Techniques, 6.3 and 9A.2), with Student's t on prompts - 1 degrees of freedom. Where all prompts say the same, that
variance is 0 and says nothing: then it is Wilson's interval (Wilson 1927) on the number of prompts.
"""

from typing import Any, NamedTuple

import numpy as np
from django.utils.translation import gettext_noop
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from annotate.measures import Floats, Ints, Labels, Measure
from annotate.measures.raters import ratios_by_prompt

NOTHING = gettext_noop("there is nothing to compare yet")
ONE_PROMPT = gettext_noop("all of it is about one prompt")

Figure = dict[str, Any]
"""value, low, high, n (what was averaged), groups (prompts), undefined_because, no_interval_because."""


def figures(
    total: ArrayLike, size: ArrayLike, of: ArrayLike, groups: ArrayLike, count: int, *, share: bool
) -> list[Figure]:
    """The mean of each of `count` people: sums of `total` by sums of `size`, row by row, `of` whom in which group.

    All four have shape (rows,). `share`: it lies between 0 and 1, and so does its interval.
    """
    size, of, groups = np.asarray(size), np.asarray(of, dtype=np.int64), np.asarray(groups, dtype=np.int64)
    used = size > 0
    value, squares, sums, prompts = ratios_by_prompt(np.asarray(total)[used], size[used], of[used], groups[used], count)
    return [_figure(value[one], squares[one], sums[one], int(prompts[one]), share) for one in range(count)]


def _figure(value: float, squares: float, size: float, prompts: int, share: bool) -> Figure:
    figure: Figure = {"value": None, "low": None, "high": None, "n": int(size), "groups": prompts}
    figure |= {"undefined_because": None, "no_interval_because": None}
    if not prompts:
        return figure | {"undefined_because": NOTHING}
    figure["value"] = float(value)
    if prompts == 1:
        return figure | {"no_interval_because": ONE_PROMPT}
    if share and squares < 1e-12:
        wilson = stats.binomtest(round(value * prompts), prompts).proportion_ci(method="wilson")
        return figure | {"low": float(wilson.low), "high": float(wilson.high)}
    half = float(stats.t.ppf(0.975, prompts - 1)) * np.sqrt(squares * prompts / (prompts - 1)) / size
    low, high = value - half, value + half
    return figure | {"low": float(max(low, 0) if share else low), "high": float(min(high, 1) if share else high)}


def of_measure(measure: Measure) -> Figure:
    """The same of a measure, its n being the values it rests on."""
    names = ("value", "low", "high", "undefined_because", "no_interval_because")
    return {name: getattr(measure, name) for name in names} | {"n": measure.n_values, "groups": measure.n_groups}


def with_majority_of_others(labels: Labels) -> list[Figure]:
    """Of each rater: how often he said what most of the others did. Units where the others are tied are left out."""
    rest = labels.counts[labels.unit]
    rest[np.arange(len(rest)), labels.value] -= 1
    top, tied = _top(rest)
    hit = (top == labels.value) & ~tied
    return figures(hit, ~tied, labels.rater, labels.groups[labels.unit], len(labels.raters), share=True)


def _top(counts: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """The most frequent category of each row, and whether there is none or more than one such."""
    most = counts.max(axis=1, initial=0)
    return counts.argmax(axis=1), ((counts == most[:, None]).sum(axis=1) > 1) | (most == 0)


def share_of(labels: Labels, category: int) -> list[Figure]:
    """Of each rater: how often he says this category."""
    ones = np.ones(len(labels.unit))
    groups = labels.groups[labels.unit]
    return figures(labels.value == category, ones, labels.rater, groups, len(labels.raters), share=True)


def severity(labels: Labels) -> list[Figure]:
    """Of each rater: how far his numbers lie above those of the others on the same units, on average."""
    assert labels.numbers is not None
    number = labels.numbers[labels.value]
    counts = labels.counts
    sums, others = (counts @ labels.numbers)[labels.unit] - number, counts.sum(axis=1)[labels.unit] - 1
    above = np.where(others > 0, number - sums / np.maximum(others, 1), 0)
    return figures(above, others > 0, labels.rater, labels.groups[labels.unit], len(labels.raters), share=False)


def confusions(labels: Labels, most: int = 50) -> list[dict[str, int]]:
    """Pairs of different categories that two people gave one unit, the most frequent first."""
    together = labels.counts.T @ labels.counts
    first, second = np.triu_indices(labels.categories, 1)
    pairs = sorted(zip((-together[first, second]).tolist(), first.tolist(), second.tolist(), strict=True))
    return [{"a": a, "b": b, "n": -n} for n, a, b in pairs[:most] if n]


def hardest(labels: Labels, tasks: Ints, most: int = 50) -> list[tuple[int, float, int]]:
    """(task, agreement, judgements) of the tasks on whose units people agree least. `tasks` (units,): of each unit.

    The agreement of a task is the mean over its units of the share of pairs of people who say the same.
    """
    counts = labels.counts
    values = counts.sum(axis=1)
    use = values >= 2
    within = (counts * (counts - 1)).sum(axis=1)[use] / (values * (values - 1))[use]
    names, at = np.unique(tasks[use], return_inverse=True)
    agreement, n = np.bincount(at, within) / np.maximum(np.bincount(at), 1), np.zeros(len(names), dtype=np.int64)
    np.maximum.at(n, at, values[use])
    order = np.lexsort((names, -n, agreement))[:most]
    return [(int(names[i]), float(agreement[i]), int(n[i])) for i in order if agreement[i] < 1]


class Judged(NamedTuple):
    """A judge beside people on the same units, like with like."""

    model_person: Figure  # the judge says what a person drawn at random says
    person_person: Figure  # two persons drawn at random say the same
    model_consensus: Figure  # the judge says what most of all but one say, each person left out in turn
    person_consensus: Figure  # the one who was left out says it
    n_units: int


def judge(people: Labels, unit: Ints, value: Ints) -> Judged:
    """How a judge who gave these units (indices into `people.units`) these categories compares with the people.

    Units with fewer than two people are left out; for the consensus those with fewer than three, and each left-out
    person after whom the others are tied.
    """
    counts = people.counts[unit]
    n = counts.sum(axis=1)
    groups, row, none = people.groups[unit], np.arange(len(unit)), np.zeros(len(unit), dtype=np.int64)
    use = n >= 2
    person = counts[row, value] / np.maximum(n, 1)
    pairs = (counts * (counts - 1)).sum(axis=1) / np.maximum(n * (n - 1), 1)
    left_out, model_hits, person_hits = np.zeros(len(unit)), np.zeros(len(unit)), np.zeros(len(unit))
    for category in range(people.categories):
        rest = counts.copy()
        rest[:, category] -= 1
        top, tied = _top(rest)
        weight = np.where(tied | (n < 3), 0, counts[:, category])
        left_out += weight
        model_hits += weight * (top == value)
        person_hits += weight * (top == category)
    some = np.maximum(left_out, 1)

    def of(top: Floats, used: NDArray[np.bool_]) -> Figure:
        return figures(np.where(used, top, 0), used, none, groups, 1, share=True)[0]

    return Judged(
        of(person, use),
        of(pairs, use),
        of(model_hits / some, left_out > 0),
        of(person_hits / some, left_out > 0),
        int(use.sum()),
    )
