"""What exports are made of: all that was said of one prompt, across its tasks.

Outputs are named by the sha256 of their text, so the same text is the same output in every task of a prompt. Whatever is
here is of one moment, the selection's; nothing of it depends on the database's ids but `annotation`, which names an answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypedDict


class Turn(TypedDict):
    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Output:
    sha256: str
    text: str
    name: str = ""  # its id in the file it came from
    models: tuple[str, ...] = ()  # who gave it


@dataclass(frozen=True, slots=True)
class Item:
    """A task: a conversation, and the outputs that propose its next turn, in their own order."""

    task: int
    name: str
    prompt_id: str  # of the whole conversation: tasks of one prompt share it
    conversation: Sequence[Turn]
    outputs: Sequence[Output]
    split_group: str
    language: str = ""
    purpose: str = "work"
    touches: Sequence[str] = ()  # further split groups with a prompt that is nearly the same


@dataclass(frozen=True, slots=True)
class Order:
    """Which outputs are better: a weak order over some of them, and a line if one was drawn.

    `tiers`: 1 is best, equal tiers are ties, None is below all and not compared with another such. An output of which nothing
    is known is absent. In the order of the item's outputs. `acceptable`: whether above the line; only what it says of.
    """

    tiers: Mapping[str, int | None]
    acceptable: Mapping[str, bool] = field(default_factory=dict)
    strength: int | None = None  # of a comparison: by how many steps, from 1; None where no strength was asked for


@dataclass(frozen=True, slots=True)
class Marked:
    """Words of an output: code points of its raw text, the end excluded."""

    start: int
    end: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """One person's answer to a question about an item, or about one output, or about one output and one rule."""

    question: str
    version: int
    kind: str  # of the question: rating, choice, rule, text, …
    output: str | None
    rule: str | None  # key@version
    value: Any
    spans: Sequence[Marked] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one person said of one item."""

    annotation: int
    item: Item
    annotator: str  # a pseudonym
    annotator_kind: str  # person, imported, simulated, model
    human: bool
    created_at: datetime
    guideline: int | None = None  # its version
    reliability: float = 1.0  # of the person, 0 to 1, rounded to 6 decimals when selected
    order: Order | None = None  # what the preference question was answered with
    answers: Sequence[Answered] = ()  # all else


@dataclass(frozen=True, slots=True)
class Votes:
    """What people said of a pair of outputs, and the posterior: for the first, for a tie, for the second."""

    counts: tuple[float, float, float]
    soft: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Settled:
    """What the judgements of one item come to, or what a reviewer decided. Votes and soft label stay what people said."""

    item: Item
    confidence: float | None
    adjudicated: bool
    method: str
    people: int
    annotations: Sequence[int]  # of the judgements it rests on
    order: Order | None  # None: tied or genuinely ambiguous
    votes: Mapping[tuple[str, str], Votes]  # by two outputs, in the item's order
    strength: float | None = None  # mean signed strength for the first of two, where strength was asked for


@dataclass(frozen=True, slots=True)
class SettledAnswer:
    """The consensus on one question about an item, an output, or an output and a rule."""

    item: Item
    question: str
    version: int
    kind: str
    output: str | None
    rule: str | None
    value: Any  # None: tied or genuinely ambiguous
    confidence: float | None
    votes: Any
    soft: Any
    adjudicated: bool
    people: int
    annotations: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that is in of one prompt. In unit `judgement` nothing is settled; in unit `consensus` judgements are there too,
    for those who want to know what a label rests on."""

    prompt_id: str
    judgements: Sequence[Judgement] = ()
    settled: Sequence[Settled] = ()
    answers: Sequence[SettledAnswer] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """What a request says of the rows. `margin` is "strength", or the key of a rating question, or nothing."""

    unit: str  # judgement or consensus
    question: str = ""  # the key of the question of preference, where the kind needs one
    ties: str = "drop"  # or "soft": a row with soft_label .5
    margin: str = ""
