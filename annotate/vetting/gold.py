"""Items with a known answer: how many to hand out, how long they last, and which are themselves wrong."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import NamedTuple

from annotate.vetting.rules import wilson

RESERVE = 20


def rate(
    *, percent_new: float, percent: float, new_tasks: int, done: int, unseen: int, reserve: int = RESERVE
) -> float:
    """The percentage of a person's claims that get an item with a known answer.

    `percent_new` for the first `new_tasks` tasks, then `percent`. Once fewer than `reserve` items are left that this person
    has not seen, it falls with them: it ends slowly, and nobody can tell by a last item that there are no more.
    """
    full = percent_new if done < new_tasks else percent
    return full * min(unseen / reserve, 1)


class Forecast(NamedTuple):
    first_out: tuple[str, float] | None  # who has seen all items first, and in how many days
    people: list[tuple[str, float | None]]  # the soonest first; None: at this pace never


def forecast(*, unseen: Mapping[str, int], per_day: Mapping[str, float], percent: Mapping[str, float]) -> Forecast:
    """In how many days each person has seen all items at the present pace.

    `per_day`: tasks a person does; `percent`: of these, items with a known answer. That the rate falls towards the end is
    not reckoned with, so it takes somewhat longer.
    """
    people: list[tuple[str, float | None]] = []
    for person, items in unseen.items():
        pace = per_day.get(person, 0) * percent.get(person, 0) / 100
        people.append((person, items / pace if pace else None if items else 0.0))
    people.sort(key=lambda one: (one[1] is None, one[1] or 0.0, one[0]))
    soonest = people[0] if people else None
    return Forecast((soonest[0], soonest[1]) if soonest and soonest[1] is not None else None, people)


class Suspect(NamedTuple):
    item: Hashable
    missed: int
    n: int  # good people who saw it
    low: float  # the lower end of the interval of the share that missed it


def suspects(
    results: Iterable[tuple[Hashable, Hashable, bool]],
    target: float = 0.75,
    least_items: int = 10,
    least_people: int = 4,
) -> list[Suspect]:
    """Items that good people miss more often than they miss items at all, the worst first: the known answer may be wrong.

    `results`: item, person, whether it was passed; each person once per item. A person is good for an item by all the
    others: at least `least_items`, of which a share of `target` were passed.
    """
    rows = list(results)
    of_person: dict[Hashable, list[int]] = defaultdict(lambda: [0, 0])
    for _item, person, passed in rows:
        of_person[person][0] += passed
        of_person[person][1] += 1
    of_item: dict[Hashable, list[int]] = defaultdict(lambda: [0, 0])
    for item, person, passed in rows:
        right, others = of_person[person][0] - passed, of_person[person][1] - 1
        if others >= least_items and right >= target * others:
            of_item[item][0] += not passed
            of_item[item][1] += 1
    found = []
    for item, (missed, n) in of_item.items():
        # The lower end is below the share: most items need no interval.
        if n >= least_people and missed > (1 - target) * n and (low := wilson(missed, n)[0]) > 1 - target:
            found.append(Suspect(item, missed, n, low))
    return sorted(found, key=lambda one: (-one.low, str(one.item)))
