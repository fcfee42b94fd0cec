"""Reading what a person answered: the fields of the page become answers, or errors by field. No database here.

docs/questions.md has the settings of each kind and the names of its fields. The browser knows outputs by the letters
in which they were shown, and nothing else about them. What is asked is a `Question`-like row; nothing of it is changed.

A ranking is a weak order over a subset: ties are allowed, outputs may stay unranked where its question says what that
means, and a line between two tiers may part the acceptable from the rest.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

RANKED, NOT_RANKABLE, NONE_ACCEPTABLE = "ranked", "not_rankable", "none_acceptable"
"""Outcomes of a ranking. "None acceptable" may come with tiers; "not rankable" has none."""
MOST_OUTPUTS = 9
MOST_SPANS = 200
LONGEST = 100_000
DEGREES = range(5)  # of a violation: 0 not at all … 4 severely


@dataclass(frozen=True)
class Shown:
    """An output as it was shown: its id, and its raw text, which spans point into."""

    completion: int
    text: str


@dataclass(frozen=True)
class Rank:
    completion: int
    tier: int | None  # 1 is best, equal tiers are ties; None: unranked
    acceptable: bool | None = None


@dataclass(frozen=True)
class Pair:
    left: int
    right: int
    strength: int | None  # how much better the left one is; negative for the right, 0 for a tie
    neither: bool = False


@dataclass(frozen=True)
class Mark:
    start: int
    end: int
    label: str = ""


@dataclass(frozen=True)
class Given:
    """One answer, ready to be stored."""

    question: Any
    value: Any = None
    completion: int | None = None
    rule: int | None = None
    ranks: tuple[Rank, ...] = ()
    pair: Pair | None = None
    marks: tuple[Mark, ...] = ()


class Wrong(Exception):
    """What is wrong with one field; the message says what would be right."""


@dataclass
class Read:
    """What was read: the answers, and what is wrong by the name of the field. With an error nothing may be stored."""

    answers: list[Given]
    errors: dict[str, str]


Fields = Mapping[str, Sequence[str]]


def dense(ranks: Sequence[Rank]) -> dict[int, int | None]:
    """The same order by completion, with tiers 1, 2, 3 … without gaps."""
    tiers = sorted({rank.tier for rank in ranks if rank.tier is not None})
    return {rank.completion: tiers.index(rank.tier) + 1 if rank.tier is not None else None for rank in ranks}


def name_of(*parts: str) -> str:
    """The name of a field: "key", "key.A", "key.rule.A". Without a letter the part is left out."""
    return ".".join(filter(None, parts))


def outputs_wanted(questions: Iterable[Any]) -> tuple[int, int]:
    """How many outputs a task needs for these questions: the least and the most."""
    least, most = 0, MOST_OUTPUTS
    for question in questions:
        if question.kind == "pairwise":
            least, most = 2, 2
        elif question.kind == "ranking":
            least = 2
        elif question.scope == "completion":
            least = max(least, 1)
    return least, most


def one(fields: Fields, name: str) -> str:
    """The field's value without outer white space; "" where it is not there."""
    values = fields.get(name) or [""]
    return values[-1].strip()


def read(
    questions: Iterable[Any], fields: Fields, shown: Mapping[str, Shown], rules: Mapping[str, Sequence[Any]]
) -> Read:
    """Read the answers to the questions out of the fields.

    `shown` is by letter. `rules` gives the rules drawn for each rule question, by its key. A question whose condition
    does not hold is not asked, and what its fields say is passed over.
    """
    found = Read([], {})
    asked = list(questions)
    by_key = {question.key: question for question in asked}
    for question in asked:
        for letter in shown if question.scope == "completion" else [""]:
            if holds(question, by_key, fields, letter):
                _READERS[question.kind](_Reading(question, fields, shown, rules.get(question.key, ()), found), letter)
    return found


def holds(question: Any, by_key: Mapping[str, Any], fields: Fields, letter: str = "") -> bool:
    """Whether the question is asked, given what the others were answered."""
    if not question.condition:
        return True
    other = by_key.get(question.condition["question"])
    if other is None:
        return True
    name = name_of(other.key, letter if other.scope == "completion" else "")
    wanted = {str(value) for value in question.condition["in"]}
    return bool(wanted & set(fields.get(name) or [])) and holds(other, by_key, fields, letter)


@dataclass
class _Reading:
    """One question on its way from fields to answers."""

    question: Any
    fields: Fields
    shown: Mapping[str, Shown]
    rules: Sequence[Any]
    found: Read

    @property
    def settings(self) -> dict[str, Any]:
        return self.question.settings

    def add(self, letter: str = "", **fields: Any) -> None:
        completion = self.shown[letter].completion if letter else None
        self.found.answers.append(Given(self.question, completion=completion, **fields))

    def field(self, name: str, read: Callable[[str], Any], needed: str = "") -> Any:
        """What `read` makes of the field; None where it is empty or wrong. `needed`: the error where it is empty."""
        said = one(self.fields, name)
        if not said:
            if needed and self.question.required:
                self.found.errors[name] = needed
            return None
        try:
            return read(said)
        except Wrong as wrong:
            self.found.errors[name] = str(wrong)
            return None


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(said: str) -> int:
        if not re.fullmatch("-?[0-9]{1,4}", said) or not low <= int(said) <= high:
            raise Wrong(_("A whole number from %(low)d to %(high)d is needed here.") % {"low": low, "high": high})
        return int(said)

    return read


def _one_of(values: Iterable[str]) -> Callable[[str], str]:
    known = list(values)

    def read(said: str) -> str:
        if said not in known:
            raise Wrong(_("“%(value)s” is not on offer here.") % {"value": said[:40]})
        return said

    return read


def _choose() -> str:
    return _("Choose one.")


def _rating(reading: _Reading, letter: str) -> None:
    name = name_of(reading.question.key, letter)
    value = reading.field(name, _whole(reading.settings["min"], reading.settings["max"]), _choose())
    if value is not None:
        reading.add(letter, value=value)


def _choice(reading: _Reading, letter: str) -> None:
    name = name_of(reading.question.key, letter)
    value = reading.field(name, _one_of(option["value"] for option in reading.settings["options"]), _choose())
    if value is not None:
        reading.add(letter, value=value)


def _multi_choice(reading: _Reading, letter: str) -> None:
    name = name_of(reading.question.key, letter)
    options = [option["value"] for option in reading.settings["options"]]
    chosen = [value for value in dict.fromkeys(reading.fields.get(name) or []) if value]
    least = reading.settings.get("least", 0)
    most = reading.settings.get("most", len(options))
    if unknown := [value for value in chosen if value not in options]:
        reading.found.errors[name] = _("“%(value)s” is not on offer here.") % {"value": unknown[0][:40]}
    elif len(chosen) > most or (len(chosen) < least and (chosen or reading.question.required)):
        reading.found.errors[name] = _("Choose %(least)d to %(most)d.") % {"least": least, "most": most}
    elif chosen or reading.question.required:  # nothing chosen is an answer where the question must be answered
        reading.add(letter, value=[value for value in options if value in chosen])


def _length(settings: Mapping[str, Any], longest: int) -> Callable[[str], str]:
    def read(said: str) -> str:
        text = said.replace("\r\n", "\n").replace("\r", "\n")
        least, most = settings.get("min_length", 0), min(settings.get("max_length", longest), LONGEST)
        if "\x00" in text:
            raise Wrong(_("It holds a NUL character. Remove it."))
        if not least <= len(text) <= most:
            raise Wrong(
                _("It has %(count)d characters; %(least)d to %(most)d are needed.")
                % {"count": len(text), "least": least, "most": most}
            )
        return text

    return read


def _text(reading: _Reading, letter: str) -> None:
    name = name_of(reading.question.key, letter)
    value = reading.field(name, _length(reading.settings, 2000), _("Write something here."))
    if value is not None:
        reading.add(letter, value=value)


def _demonstration(reading: _Reading, letter: str) -> None:
    key = reading.question.key
    text = reading.field(name_of(key, "text"), _length(reading.settings, 20_000), _("Write the answer."))
    begun = reading.field(name_of(key, "from"), _one_of(reading.shown))
    if text is not None:
        value = {"text": text, "from": reading.shown[begun].completion if begun else None}
        reading.add(value=value)


def _marks(text: str, labels: Sequence[str]) -> Callable[[str], tuple[Mark, ...]]:
    def read(said: str) -> tuple[Mark, ...]:
        try:
            rows = json.loads(said)
            marks = {Mark(row[0], row[1], str(row[2]) if len(row) > 2 else "") for row in rows}
        except (ValueError, TypeError, IndexError, KeyError, RecursionError):
            raise Wrong(_("The marked words cannot be read. Mark them again.")) from None
        if len(marks) > MOST_SPANS:
            raise Wrong(_("At most %(most)d passages can be marked.") % {"most": MOST_SPANS})
        for mark in marks:
            if type(mark.start) is not int or type(mark.end) is not int:
                raise Wrong(_("The marked words cannot be read. Mark them again."))
            if not 0 <= mark.start < mark.end <= len(text):
                raise Wrong(_("The marked words lie outside the output. Mark them again."))
            if mark.label not in (labels or [""]):
                raise Wrong(_("A mark has a label that is not on offer here. Mark the words again."))
        return tuple(sorted(marks, key=lambda mark: (mark.start, mark.end, mark.label)))

    return read


def _span(reading: _Reading, letter: str) -> None:
    key = reading.question.key
    labels = [label["value"] for label in reading.settings.get("labels", [])]
    nothing = bool(one(reading.fields, name_of(key, letter, "none")))
    marks = reading.field(name_of(key, letter, "spans"), _marks(reading.shown[letter].text, labels)) or ()
    if marks:
        reading.add(letter, value=len(marks), marks=marks)
    elif nothing:
        reading.add(letter, value=0)
    elif reading.question.required:
        needed = _("Mark the words, or say that there is nothing to mark.")
        reading.found.errors.setdefault(name_of(key, letter, "spans"), needed)


def _rule(reading: _Reading, letter: str) -> None:
    for rule in reading.rules:
        name = name_of(reading.question.key, rule.key, letter)
        degree = reading.field(name, _whole(DEGREES[0], DEGREES[-1]), _("Say how far it breaks the rule."))
        marks = reading.field(name_of(name, "spans"), _marks(reading.shown[letter].text, [])) or ()
        if degree is not None:
            reading.add(letter, value=degree, rule=rule.pk, marks=marks if degree else ())


def _pairwise(reading: _Reading, letter: str) -> None:
    name, settings = name_of(reading.question.key, "choice"), reading.settings
    half = settings["steps"] // 2
    offered = [str(step) for step in range(-half, half + 1) if step or settings.get("tie")]
    offered += ["neither"] if settings.get("neither") else []
    said = reading.field(name, _one_of(offered), _("Say which one is better."))
    if said is None:
        return
    left, right = list(reading.shown.values())[:2]
    if said == "neither":
        pair = Pair(left.completion, right.completion, None, neither=True)
    else:
        pair = Pair(left.completion, right.completion, int(said))
    reading.add(pair=pair)


def _ranking(reading: _Reading, letter: str) -> None:
    key, settings, errors = reading.question.key, reading.settings, reading.found.errors
    outcomes = [RANKED, *(one for one in (NOT_RANKABLE, NONE_ACCEPTABLE) if settings.get(one))]
    outcome = reading.field(name_of(key, "outcome"), _one_of(outcomes)) or RANKED
    if name_of(key, "outcome") in errors:
        return
    if outcome == NOT_RANKABLE:
        reading.add(value=outcome, ranks=tuple(Rank(output.completion, None) for output in reading.shown.values()))
        return
    most = len(reading.shown)
    tiers = {at: reading.field(name_of(key, "tier", at), _whole(1, most)) for at in reading.shown}
    if any(name_of(key, "tier", at) in errors for at in reading.shown):
        return
    unplaced = [at for at, tier in tiers.items() if tier is None]
    ranked = most - len(unplaced)
    if not ranked and outcome == RANKED and not reading.question.required:
        return
    partial = settings.get("unranked", "none")
    if outcome == RANKED and unplaced and partial == "none":
        errors.update({name_of(key, "tier", at): _unplaced(at) for at in unplaced})
        return
    if outcome == RANKED and ranked < (1 if partial == "below" else 2):
        errors[name_of(key, "tier", unplaced[0])] = _("Place at least two outputs, or the best one.")
        return
    line = 0 if outcome == NONE_ACCEPTABLE else reading.field(name_of(key, "line"), _whole(0, most))
    if settings.get("acceptable_line") and line is None:
        errors.setdefault(name_of(key, "line"), _("Draw the line: which outputs are acceptable?"))
        return
    reading.add(
        value=outcome,
        ranks=tuple(
            Rank(output.completion, tiers[at], _above(tiers[at], line, settings, outcome))
            for at, output in reading.shown.items()
        ),
    )


def _unplaced(letter: str) -> str:
    return _("Output %(letter)s has no place yet.") % {"letter": letter}


def _above(tier: int | None, line: int | None, settings: Mapping[str, Any], outcome: str) -> bool | None:
    """Whether an output lies above the line. What is not ranked lies on neither side, unless nothing is acceptable."""
    if outcome == NONE_ACCEPTABLE:
        return False
    if not settings.get("acceptable_line") or line is None or tier is None:
        return None
    return tier <= line


_READERS: dict[str, Callable[[_Reading, str], None]] = {
    "ranking": _ranking,
    "pairwise": _pairwise,
    "rating": _rating,
    "choice": _choice,
    "multi_choice": _multi_choice,
    "text": _text,
    "rule": _rule,
    "span": _span,
    "demonstration": _demonstration,
}
