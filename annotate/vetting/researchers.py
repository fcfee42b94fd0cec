"""What several researchers answer the same item: the answer they share, and how often one of them gives it.

Researchers agree with each other only so far; what they reach is the most that can be asked of anybody else.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from annotate.comparing import figures

Values = Sequence[Mapping[str, Any]]
"""An answer: a value of each unit, as an adjudication keeps them."""
Same = Callable[[Any, Any], bool]


def agreed(answers: Sequence[Values], same: Same) -> tuple[Values | None, int]:
    """The answer that most researchers share, and how many do.

    None where no two share one, or where another one has as many. Two orders may each agree with a third and not with
    each other (each places other outputs); then the third is the one that is shared.
    """
    support = [sum(same(one, other) for other in answers) for one in answers]
    most = max(support, default=0)
    shared = [one for one, count in zip(answers, support, strict=True) if count == most]
    if most < 2 or not all(same(shared[0], other) for other in shared):
        return None, most
    return shared[0], most


class LeaveOneOut(NamedTuple):
    """How often a researcher gives the answer that the others agree on: None where no answer could be compared."""

    accuracy: float | None
    low: float | None
    high: float | None
    n: int  # answers that were compared
    items: int  # with at least one such answer
    by_researcher: dict[str, tuple[int, int]]  # of n that were compared, k passed


def leave_one_out(
    items: Iterable[Mapping[str, Values]], same: Same, passes: Callable[[Values, Values], bool]
) -> LeaveOneOut:
    """Each researcher's answer beside the one on which the others of the item agree. `items`: who answered what.

    Where only two researchers answered an item, the answer of the one is the known one of the other. Where the others do not
    agree, nothing is compared. The interval is that of a share of answers that come in items: by the variance between
    items, and Wilson's on the number of items where all of them say the same (`annotate.comparing.figures`). Of a single item
    there is none.
    """
    passed: list[bool] = []
    item_of: list[int] = []
    people: dict[str, tuple[int, int]] = {}
    for at, answers in enumerate(items):
        for person, answer in answers.items():
            others = [other for name, other in answers.items() if name != person]
            gold = others[0] if len(others) == 1 else agreed(others, same)[0]
            if gold is None:
                continue
            right = passes(gold, answer)
            k, n = people.get(person, (0, 0))
            people[person] = k + right, n + 1
            passed.append(right)
            item_of.append(at)
    n = len(passed)
    figure = figures(passed, [1] * n, [0] * n, item_of, 1, share=True)[0]
    return LeaveOneOut(figure["value"], figure["low"], figure["high"], n, figure["groups"], people)
