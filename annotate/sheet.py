"""The sheet of a slot: what is asked on it, in whose words, with what was filled in. The page shows it and sends it back.

What the fields are called stands in docs/questions.md; `annotate.questions` reads them.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from string import ascii_uppercase
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from annotate.models import Answer, Completion, Question, Rule, Slot
from annotate.questions import DEGREES, NONE_ACCEPTABLE, NOT_RANKABLE, Fields, Read, Shown, holds, name_of, one, read
from annotate.rendering import markdown_html

Kind = Question.Kind


class Sheet:
    """A slot's outputs by the letters shown, its questions and rules, and the values of all fields.

    `fields`: what was sent; by default the draft, else the annotation that stands, else nothing.
    """

    def __init__(self, slot: Slot, fields: Fields | None = None) -> None:
        self.slot = slot
        self.errors: dict[str, str] = {}
        self.sent = fields

    @cached_property
    def completions(self) -> dict[str, Completion]:
        """The outputs by letter, in the order drawn for this person."""
        return dict(zip(ascii_uppercase, self.slot.display_order(), strict=False))

    @cached_property
    def questions(self) -> list[Question]:
        """What is asked now; of an answered slot, what was asked then."""
        if annotation := self.slot.current_annotation_id:
            then = Question.objects.filter(answers__annotation=annotation).distinct().order_by("position", "pk")
            keys = {question.key for question in then}
            return [*then, *(one for one in self._asked_now if one.key not in keys)]
        return self._asked_now

    @cached_property
    def _asked_now(self) -> list[Question]:
        return list(self.slot.project.questions.current())

    @cached_property
    def rules(self) -> dict[str, list[Rule]]:
        """The rules drawn for each rule question."""
        return {
            question.key: self.slot.drawn_rules(question.settings.get("rules_per_slot", 1))
            for question in self.questions
            if question.kind == Kind.RULE
        }

    @property
    def display_order(self) -> list[int]:
        return [completion.pk for completion in self.completions.values()]

    def read(self) -> Read:
        """The answers in what was sent. Its errors are shown by the page from now on."""
        shown = {letter: Shown(output.pk, output.text) for letter, output in self.completions.items()}
        found = read(self.questions, self.fields, shown, self.rules)
        self.errors = found.errors
        return found

    @cached_property
    def fields(self) -> Fields:
        if self.sent is not None:
            return self.sent
        draft = getattr(self.slot, "draft", None)
        if draft:
            return draft.fields
        return fields_of(self) if self.slot.current_annotation_id else {}

    # --- For the page -------------------------------------------------------------------------------------------------

    def turns(self) -> list[dict[str, Any]]:
        """The conversation, each turn with its text as HTML."""
        return [turn | {"html": markdown_html(turn["content"])} for turn in self.slot.task.conversation]

    def outputs(self) -> list[dict[str, Any]]:
        """Each output's letter, and its text as HTML and as it is."""
        return [
            {
                "letter": letter,
                "html": markdown_html(output.text),
                "text": output.text,
                "empty": not output.text.strip(),
            }
            for letter, output in self.completions.items()
        ]

    def asked(self) -> list[dict[str, Any]]:
        """Each question with its fields, in the reader's language."""
        by_key = {question.key: question for question in self.questions}
        return [self._asked(question, by_key) for question in self.questions]

    def _asked(self, question: Question, by_key: Mapping[str, Question]) -> dict[str, Any]:
        says = question.says(get_language() or "en")
        letters: Sequence[str] = list(self.completions) if question.scope == Question.Scope.COMPLETION else [""]
        settings = says["settings"]
        return {
            "key": question.key,
            "kind": question.kind,
            "scope": question.scope,
            "required": question.required,
            "text": says["text"],
            "help_html": markdown_html(says["help"]) if says["help"] else "",
            "good_example": says["good_example"],
            "bad_example": says["bad_example"],
            "settings": settings,
            "condition": question.condition
            and {**question.condition, "in": [str(v) for v in question.condition["in"]]},
            "asked": any(holds(question, by_key, self.fields, letter) for letter in letters),
            "letters": list(self.completions),
        } | _PARTS[Kind(question.kind)](self, question.key, settings, letters)

    def field(self, *parts: str) -> dict[str, Any]:
        """A field as the page needs it: name, value, all values, error."""
        name = name_of(*parts)
        values = list(self.fields.get(name) or [])
        return {"name": name, "value": one(self.fields, name), "values": values, "error": self.errors.get(name, "")}

    def with_options(self, options: Sequence[tuple[str, str]], *parts: str) -> dict[str, Any]:
        """A field with what is on offer for it, and which of that is chosen."""
        field = self.field(*parts)
        chosen = set(field["values"])
        rows = [{"value": value, "label": label, "checked": value in chosen} for value, label in options]
        return field | {"options": rows}


def _ranking(sheet: Sheet, key: str, settings: dict, letters: Sequence[str]) -> dict[str, Any]:
    return {
        "rows": [{"letter": letter, **sheet.field(key, "tier", letter)} for letter in sheet.completions],
        "line": sheet.field(key, "line"),
        "outcome": sheet.field(key, "outcome"),
        "outcomes": [one for one in (NOT_RANKABLE, NONE_ACCEPTABLE) if settings.get(one)],
        "tiers": range(1, len(sheet.completions) + 1),
    }


def _pairwise(sheet: Sheet, key: str, settings: dict, letters: Sequence[str]) -> dict[str, Any]:
    half = settings["steps"] // 2
    words = settings.get("words") or _strengths(half)
    steps = range(half, 0, -1)
    options = [(str(step), _("A is %(words)s") % {"words": words[step - 1]}) for step in steps]
    options += [("0", _("Equally good"))] if settings.get("tie") else []
    options += [(str(-step), _("B is %(words)s") % {"words": words[step - 1]}) for step in reversed(steps)]
    options += [("neither", _("Neither will do"))] if settings.get("neither") else []
    return sheet.with_options(options, key, "choice")


def _strengths(half: int) -> list[str]:
    words = [_("slightly better"), _("better"), _("much better"), _("very much better")]
    return {1: [words[1]], 2: [words[0], words[2]]}.get(half, words[:half])


def _rating(sheet: Sheet, key: str, settings: dict, letters: Sequence[str]) -> dict[str, Any]:
    words = settings.get("words") or []
    steps = range(settings["min"], settings["max"] + 1)
    options = [(str(step), words[at] if at < len(words) else "") for at, step in enumerate(steps)]
    return {"rows": [{"letter": letter, **sheet.with_options(options, key, letter)} for letter in letters]}


def _choice(sheet: Sheet, key: str, settings: dict, letters: Sequence[str]) -> dict[str, Any]:
    options = [(option["value"], option["label"]) for option in settings["options"]]
    return {"rows": [{"letter": letter, **sheet.with_options(options, key, letter)} for letter in letters]}


def _text(sheet: Sheet, key: str, settings: dict, letters: Sequence[str]) -> dict[str, Any]:
    return {"rows": [{"letter": letter, **sheet.field(key, letter)} for letter in letters]}


def _rule(sheet: Sheet, key: str, settings: dict, letters: Sequence[str]) -> dict[str, Any]:
    words = [_("not at all"), _("barely"), _("somewhat"), _("clearly"), _("severely")]
    degrees = [(str(degree), words[degree]) for degree in DEGREES]
    language = get_language() or "en"
    return {
        "rules": [
            rule.says(language)
            | {
                "key": rule.key,
                "rows": [
                    {
                        "letter": letter,
                        **sheet.with_options(degrees, key, rule.key, letter),
                        "spans": sheet.field(key, rule.key, letter, "spans"),
                    }
                    for letter in letters
                ],
            }
            for rule in sheet.rules[key]
        ]
    }


def _span(sheet: Sheet, key: str, settings: dict, letters: Sequence[str]) -> dict[str, Any]:
    return {
        "labels": settings.get("labels") or [],
        "rows": [
            {"letter": letter, **sheet.field(key, letter, "spans"), "none": sheet.field(key, letter, "none")}
            for letter in letters
        ],
    }


def _demonstration(sheet: Sheet, key: str, settings: dict, letters: Sequence[str]) -> dict[str, Any]:
    return {"written": sheet.field(key, "text"), "begun": sheet.field(key, "from")}


_PARTS = {
    Kind.RANKING: _ranking,
    Kind.PAIRWISE: _pairwise,
    Kind.RATING: _rating,
    Kind.CHOICE: _choice,
    Kind.MULTI_CHOICE: _choice,
    Kind.TEXT: _text,
    Kind.RULE: _rule,
    Kind.SPAN: _span,
    Kind.DEMONSTRATION: _demonstration,
}


def branches(tree: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The nodes of a task's tree, each before its children: `opens` a list of children, or `closes` that many lists."""
    children: dict[str | None, list[dict[str, Any]]] = {}
    for node in tree["nodes"]:
        children.setdefault(node["parent"], []).append(node)
    rows: list[dict[str, Any]] = []
    waiting = [(node, 0) for node in reversed(children.get(None, []))]
    while waiting:
        node, depth = waiting.pop()
        below = children.get(node["id"], [])
        rows.append(node | {"depth": depth, "here": node["id"] == tree["at"], "opens": bool(below)})
        waiting += [(child, depth + 1) for child in reversed(below)]
    depths = [row["depth"] for row in rows[1:]] + [0]
    return [row | {"closes": range(row["depth"] - after)} for row, after in zip(rows, depths, strict=True)]


# --- What was answered, as fields again -------------------------------------------------------------------------------


def fields_of(sheet: Sheet) -> dict[str, list[str]]:
    """The fields that give the annotation that stands: what `annotate.questions.read` made of them."""
    letters = {completion.pk: letter for letter, completion in sheet.completions.items()}
    answers = Answer.objects.filter(annotation=sheet.slot.current_annotation_id)
    fields: dict[str, list[str]] = {}
    for answer in answers.select_related("question", "rule", "pair").prefetch_related("rank_items", "spans"):
        fields |= _FIELDS.get(Kind(answer.question.kind), _plain)(answer, letters)
    return fields


def _plain(answer: Answer, letters: Mapping[int, str]) -> dict[str, list[str]]:
    name = name_of(answer.question.key, letters.get(answer.completion_id or 0, ""))
    values = answer.value if isinstance(answer.value, list) else [answer.value]
    return {name: [str(value) for value in values]}


def _ranking_fields(answer: Answer, letters: Mapping[int, str]) -> dict[str, list[str]]:
    key, items = answer.question.key, list(answer.rank_items.all())
    fields = {name_of(key, "outcome"): [answer.value]} if answer.value else {}
    fields |= {name_of(key, "tier", letters[item.completion_id]): [str(item.tier)] for item in items if item.tier}
    if any(item.acceptable is not None for item in items):
        above = [item.tier for item in items if item.acceptable and item.tier]
        fields[name_of(key, "line")] = [str(max(above, default=0))]
    return fields


def _pair_fields(answer: Answer, letters: Mapping[int, str]) -> dict[str, list[str]]:
    pair = answer.pair
    if pair.neither or pair.strength is None:
        said = "neither"
    else:  # stored from the left one's side, which an import may have named otherwise than the page shows
        said = str(pair.strength if letters[pair.left_id] < letters[pair.right_id] else -pair.strength)
    return {name_of(answer.question.key, "choice"): [said]}


def _marked(answer: Answer) -> str:
    return json.dumps([[span.start, span.end, *filter(None, [span.label])] for span in answer.spans.all()])


def _span_fields(answer: Answer, letters: Mapping[int, str]) -> dict[str, list[str]]:
    name = name_of(answer.question.key, letters[answer.completion_id or 0])
    return {name_of(name, "spans"): [_marked(answer)]} if answer.value else {name_of(name, "none"): ["on"]}


def _rule_fields(answer: Answer, letters: Mapping[int, str]) -> dict[str, list[str]]:
    assert answer.rule is not None  # of an answer to a rule question
    name = name_of(answer.question.key, answer.rule.key, letters[answer.completion_id or 0])
    marked = {name_of(name, "spans"): [_marked(answer)]} if answer.value else {}
    return {name: [str(answer.value)]} | marked


def _demonstration_fields(answer: Answer, letters: Mapping[int, str]) -> dict[str, list[str]]:
    value = answer.value or {}
    key, begun = answer.question.key, letters.get(value["from"] or 0)
    fields = {name_of(key, "text"): [value["text"]]}
    return fields | {name_of(key, "from"): [begun]} if begun else fields


_FIELDS = {
    Kind.RANKING: _ranking_fields,
    Kind.PAIRWISE: _pair_fields,
    Kind.RULE: _rule_fields,
    Kind.SPAN: _span_fields,
    Kind.DEMONSTRATION: _demonstration_fields,
}
