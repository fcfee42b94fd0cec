"""The sheet of a slot: what it asks, in whose language, and what was answered comes back as it was."""

import json
from uuid import uuid4

import pytest
from django.utils import translation

from annotate.models import Annotation, Answer, Draft, Question, Rule
from annotate.services import ledger
from annotate.sheet import Sheet

pytestmark = pytest.mark.django_db
Kind = Question.Kind

ALL_KINDS = [
    ("overall", Kind.RANKING, "task", {"unranked": "unknown", "acceptable_line": True, "not_rankable": True}),
    ("score", Kind.RATING, "task", {"min": 1, "max": 7, "low": "poor", "high": "good"}),
    ("help", Kind.RATING, "completion", {"min": 0, "max": 4}),
    ("topic", Kind.CHOICE, "task", {"options": [{"value": "a", "label": "A"}, {"value": "b", "label": "B"}]}),
    (
        "flags",
        Kind.MULTI_CHOICE,
        "completion",
        {"options": [{"value": "x", "label": "X"}, {"value": "y", "label": "Y"}]},
    ),
    ("why", Kind.TEXT, "task", {}),
    ("rules", Kind.RULE, "completion", {"rules_per_slot": 2}),
    ("marks", Kind.SPAN, "completion", {"labels": [{"value": "odd", "label": "Odd"}]}),
    ("ideal", Kind.DEMONSTRATION, "task", {"mode": "edit"}),
]


@pytest.fixture
def everything(world):
    """A project that asks every kind of question."""
    world.project.questions.all().delete()
    for position, (key, kind, scope, settings) in enumerate(ALL_KINDS):
        Question.objects.create(
            project=world.project, key=key, kind=kind, scope=scope, settings=settings, text=key, position=position
        )
    for key in ("honest", "kind", "legal"):
        Rule.objects.create(project=world.project, key=key, text=f"Be {key}.")
    return world


def filled_in(sheet: Sheet) -> dict[str, list[str]]:
    fields = {"overall.tier.A": ["2"], "overall.tier.B": ["1"], "overall.line": ["1"], "overall.outcome": ["ranked"]}
    fields |= {"score": ["6"], "topic": ["b"], "why": ["because"], "ideal.text": ["Better."], "ideal.from": ["B"]}
    for letter in "ABC":
        fields |= {f"help.{letter}": ["3"], f"flags.{letter}": ["x", "y"], f"marks.{letter}.none": ["on"]}
        for rule in sheet.rules["rules"]:
            fields[f"rules.{rule.key}.{letter}"] = ["0"]
    violated = f"rules.{sheet.rules['rules'][0].key}.A"
    fields |= {violated: ["4"], f"{violated}.spans": ["[[0, 6]]"], "marks.A.spans": ['[[0, 6, "odd"]]']}
    fields.pop("marks.A.none")
    return fields


def test_what_was_answered_comes_back_as_it_was_filled_in(everything):
    everything.tasks()
    slot = everything.claim("ana")
    sent = Sheet(slot, filled_in(Sheet(slot)))
    found = sent.read()
    assert found.errors == {}
    ledger.submit(slot=slot, answers=found.answers, idempotency_key=uuid4(), display_order=sent.display_order)
    slot.refresh_from_db()
    again = Sheet(slot)
    assert dict(again.fields) == sent.fields
    repeated = Sheet(slot, again.fields).read()
    assert (repeated.errors, len(repeated.answers)) == ({}, len(found.answers))
    assert Answer.objects.count() == len(found.answers) == 1 + 1 + 3 + 1 + 3 + 1 + 6 + 3 + 1


def test_a_draft_comes_before_what_was_answered(everything):
    everything.tasks()
    slot = everything.claim("ana")
    Draft.objects.create(slot=slot, fields={"why": ["half a thou"]})
    slot.refresh_from_db()
    asked = {one["key"]: one for one in Sheet(slot).asked()}
    assert asked["why"]["rows"][0]["value"] == "half a thou"


def test_the_page_knows_outputs_by_letter_only(everything):
    everything.tasks(outputs=3)
    sheet = Sheet(everything.claim("ana"))
    shown = json.dumps([sheet.asked(), sheet.outputs()], default=str)
    for completion in sheet.completions.values():
        assert completion.text in shown and f'"{completion.name}"' not in shown
    assert "completion_id" not in shown and '"pk"' not in shown


def test_a_slot_gets_some_of_the_rules_and_always_the_same(everything):
    everything.tasks(20)
    drawn = set()
    for name in ("ana", "ben"):
        slot = everything.claim(name)
        keys = [rule.key for rule in slot.drawn_rules(2)]
        assert keys == [rule.key for rule in slot.drawn_rules(2)] and len(set(keys)) == 2
        drawn |= set(keys)
        later = Rule.objects.create(project=everything.project, key=f"late-{name}", text="Be late.")
        assert later.key not in [rule.key for rule in slot.drawn_rules(9)]
    assert len(drawn) >= 2


def test_questions_and_rules_are_asked_in_the_readers_language(everything):
    Question.objects.filter(key="score").update(
        text="How good?", translations={"zh-hans": {"text": "有多好？", "settings": {"low": "差", "high": "好"}}}
    )
    everything.tasks()
    slot = everything.claim("ana")
    with translation.override("zh-hans"):
        (asked,) = [one for one in Sheet(slot).asked() if one["key"] == "score"]
    assert (asked["text"], asked["settings"]["low"], asked["settings"]["max"]) == ("有多好？", "差", 7)
    (asked,) = [one for one in Sheet(slot).asked() if one["key"] == "score"]
    assert asked["text"] == "How good?"


def test_an_answered_slot_is_asked_what_it_was_asked_then(everything):
    everything.tasks()
    slot = everything.claim("ana")
    sheet = Sheet(slot, filled_in(Sheet(slot)))
    ledger.submit(slot=slot, answers=sheet.read().answers, idempotency_key=uuid4())
    Question.objects.filter(key="score").update(current=False)
    Question.objects.create(project=everything.project, key="score", version=2, text="new", kind="text")
    slot.refresh_from_db()
    assert [one.version for one in Sheet(slot).questions if one.key == "score"] == [1]


def test_a_pairwise_question_says_which_in_words(world):
    world.project.questions.update(kind=Kind.PAIRWISE, settings={"steps": 4, "tie": True, "neither": True})
    world.tasks(outputs=2)
    (asked,) = Sheet(world.claim("ana")).asked()
    assert [option["value"] for option in asked["options"]] == ["2", "1", "0", "-1", "-2", "neither"]
    assert [option["label"] for option in asked["options"]][:3] == [
        "A is much better",
        "A is slightly better",
        "Equally good",
    ]


def test_statements_of_a_sheet_do_not_grow_with_questions(everything, django_assert_max_num_queries):
    everything.tasks(outputs=9)
    slot = everything.claim("ana")
    with django_assert_max_num_queries(6):
        sheet = Sheet(slot)
        sheet.asked()
        sheet.outputs()
    assert not Annotation.objects.exists()
