"""Ready-made language tests, in files: `<language>.json`, sixteen questions from B1 to C2. No database here.

Each question has one right answer and three wrong ones; whoever shows them shuffles them. How many are right gives the
level (`LEAST`). The chances (binomial) of somebody who knows the questions up to a level and guesses the others, one in four:

    knows up to   B1 or more   B2 or more   C1 or more       C2
    nothing          2.7 %        0.16 %    1 in 260,000     never
    B1              35.1 %        5.4 %        0.04 %        never
    B2               100 %       63.3 %        2.7 %         0.04 %
    C1               100 %        100 %       68.4 %         5.1 %

So it errs towards a level too low: sixteen questions sort people roughly, and a person may set the level by hand.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
LEAST = {"C2": 15, "C1": 13, "B2": 10, "B1": 8}
"""How many right answers each level takes, the highest level first."""


@dataclass(frozen=True)
class Item:
    """A question. `level`: who reaches it should know the answer; `kind`: grammar, vocabulary or inference."""

    key: str
    level: str
    kind: str
    text: str
    right: str
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Paper:
    """The test of a language in its latest version, the easiest question first."""

    language: str
    version: int
    items: tuple[Item, ...]


@cache
def available() -> tuple[str, ...]:
    """The languages that have a test."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


@cache
def load(language: str) -> Paper:
    """Raises LookupError for a language without a test."""
    if language not in available():
        raise LookupError(language)
    said = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    return Paper(
        language, said["version"], tuple(Item(**one | {"wrong": tuple(one["wrong"])}) for one in said["items"])
    )


def level_of(right: int) -> str:
    """The level that so many right answers come to; "" below the least that the test can show."""
    return next((level for level, least in LEAST.items() if right >= least), "")
