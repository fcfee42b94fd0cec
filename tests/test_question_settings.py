"""What settings, conditions and translations of questions may be, and what is said about those that may not."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.forms import OF_THE_FORM
from annotate.models import Question
from annotate.question_settings import (
    RESERVED,
    condition_problems,
    problems,
    scope_problems,
    settings_problems,
    translation_problems,
)
from annotate.questions import Shown, read

Kind = Question.Kind
AB = [{"value": "a", "label": "A"}, {"value": "b", "label": "B"}]
LANGUAGES = ("en", "zh-hans")


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("ranking", {}),
        ("ranking", {"unranked": "below", "acceptable_line": True, "not_rankable": True, "none_acceptable": False}),
        ("pairwise", {"steps": 2}),
        ("pairwise", {"steps": 6, "tie": True, "neither": True, "words": ["slightly better", "better", "much better"]}),
        ("rating", {"min": 1, "max": 7, "low": "poor", "high": "good"}),
        ("rating", {"min": -5, "max": 5}),
        ("rating", {"min": 0, "max": 1, "words": ["no", "yes"]}),
        ("choice", {"options": AB}),
        ("multi_choice", {"options": AB, "least": 1, "most": 2}),
        ("text", {}),
        ("text", {"min_length": 10, "max_length": 100_000}),
        ("rule", {}),
        ("rule", {"rules_per_slot": 3}),
        ("span", {}),
        ("span", {"labels": AB[:1]}),
        ("demonstration", {"mode": "write", "min_length": 1}),
    ],
)
def test_settings_that_may_be(kind, settings):
    assert settings_problems(kind, settings) == []


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("ranking", [], "JSON object"),
        ("ranking", None, "JSON object"),
        ("ranking", {"tie": True}, "“tie” is no setting of this kind. It has: unranked, "),
        ("ranking", {"unranked": "last"}, "“unranked” must be one of: none, below, unknown"),
        ("ranking", {"acceptable_line": 1}, "“acceptable_line” must be true or false"),
        ("pairwise", {}, "“steps” must be one of: 2, 4, 6, 8"),
        ("pairwise", {"steps": 3}, "“steps”"),
        ("pairwise", {"steps": 4.0}, "“steps”"),
        ("pairwise", {"steps": [4]}, "“steps”"),
        ("pairwise", {"steps": 4, "words": ["better"]}, "“words” must be a list of 2 phrases"),
        ("pairwise", {"steps": 2, "words": [" "]}, "“words”"),
        ("rating", {"max": 5}, "“min” must be a whole number"),
        ("rating", {"min": 1, "max": True}, "“max” must be a whole number"),
        ("rating", {"min": 1, "max": "7"}, "“max” must be a whole number"),
        ("rating", {"min": 0, "max": 11}, "“max” must be above “min”, by 10 at most"),
        ("rating", {"min": 3, "max": 3}, "“max” must be above “min”"),
        ("rating", {"min": 1, "max": 3, "words": ["a", "b"]}, "“words” must be a list of 3 phrases"),
        ("rating", {"min": 1, "max": 3, "low": 1}, "“low” must be words"),
        ("choice", {}, "“options” must be a list of 2 to 20"),
        ("choice", {"options": AB[:1]}, "“options” must be a list of 2 to 20"),
        ("choice", {"options": [{"value": str(at), "label": "x"} for at in range(21)]}, "“options”"),
        ("choice", {"options": [*AB, {"value": "c"}]}, "Number 3 of “options”"),
        ("choice", {"options": [*AB, "c"]}, "Number 3 of “options”"),
        ("choice", {"options": [*AB, {"value": "c", "label": ""}]}, "Number 3 of “options”"),
        ("choice", {"options": [*AB, {"value": "c d", "label": "x"}]}, "value of number 3"),
        ("choice", {"options": [*AB, {"value": 3, "label": "x"}]}, "value of number 3"),
        ("choice", {"options": [*AB, AB[0]]}, "“a” stands twice"),
        ("multi_choice", {"options": AB, "most": 3}, "“most” must be a whole number from 1 to 2"),
        ("multi_choice", {"options": AB, "least": 2, "most": 1}, "“least” must not be above “most”"),
        ("text", {"max_length": 0}, "“max_length” must be a whole number from 1"),
        ("text", {"max_length": 100_001}, "“max_length”"),
        ("text", {"min_length": 3000}, "“min_length” must not be above “max_length”"),
        ("rule", {"rules_per_slot": 4}, "“rules_per_slot” must be a whole number from 1 to 3"),
        ("span", {"labels": {"a": "A"}}, "“labels” must be a list"),
        ("demonstration", {}, "“mode” must be one of: write, edit"),
        ("essay", {}, "“essay” is no kind"),
    ],
)
def test_settings_that_may_not_be_are_named_with_what_would_be_right(kind, settings, said):
    assert said in " ".join(settings_problems(kind, settings))


@pytest.mark.parametrize("kind", Kind.values)
def test_a_question_is_about_the_task_or_about_each_output_as_its_kind_says(kind):
    allowed = {scope for scope in ("task", "completion") if not scope_problems(kind, scope)}
    with_both = {"rating", "choice", "multi_choice", "text"}
    wanted = {"completion"} if kind in Question.OF_EACH_OUTPUT else {"task"}
    assert allowed == ({"task", "completion"} if kind in with_both else wanted)


def test_the_keys_that_are_reserved_are_the_fields_of_the_page_that_are_no_answers():
    assert RESERVED == OF_THE_FORM


def other(key, kind, scope="task", **settings):
    return SimpleNamespace(key=key, kind=kind, scope=scope, settings=settings)


EARLIER = {
    "topic": other("topic", "choice", options=AB),
    "score": other("score", "rating", min=1, max=3),
    "each": other("each", "multi_choice", scope="completion", options=AB),
    "why": other("why", "text"),
}


@pytest.mark.parametrize(
    ("scope", "condition", "said"),
    [
        ("task", None, ""),
        ("task", {"question": "topic", "in": ["a"]}, ""),
        ("completion", {"question": "topic", "in": ["a", "b"]}, ""),
        ("completion", {"question": "each", "in": ["b"]}, ""),
        ("task", {"question": "score", "in": [1, "2"]}, ""),
        ("task", {"question": "each", "in": ["b"]}, "“each” is about each output"),
        ("task", {"question": "why", "in": ["b"]}, "“why” is no choice"),
        ("task", {"question": "none", "in": ["b"]}, "no question of that key stands before this one"),
        ("task", {"question": ["topic"], "in": ["b"]}, "no question of that key"),
        ("task", {"question": "topic", "in": ["c"]}, "must name answers of “topic”: a, b"),
        ("task", {"question": "topic", "in": []}, "must name answers of “topic”: a, b"),
        ("task", {"question": "score", "in": [4]}, "must name answers of “score”: 1, 2, 3"),
        ("task", {"question": "topic", "in": "a"}, "The condition must be empty, or"),
        ("task", {"question": "topic"}, "The condition must be empty, or"),
        ("task", "topic", "The condition must be empty, or"),
    ],
)
def test_a_condition_names_answers_of_a_question_that_comes_before(scope, condition, said):
    found = condition_problems(scope, condition, EARLIER)
    assert said in " ".join(found) and bool(found) == bool(said)


@pytest.mark.parametrize(
    ("translations", "said"),
    [
        ({}, ""),
        ({"zh-hans": {"text": "好", "settings": {"options": [AB[0] | {"label": "甲"}, AB[1]]}}}, ""),
        ([], "JSON object"),
        ({"zh-hans": "好"}, "JSON object"),
        ({"fr": {"text": "bon"}}, "“fr” cannot stand in the translations here. There are: en, zh-hans"),
        ({"zh-hans": {"name": "好"}}, "“name” cannot stand"),
        ({"zh-hans": {"text": 3}}, "“text” must be words"),
        ({"zh-hans": {"settings": []}}, "JSON object"),
        ({"zh-hans": {"settings": {"most": 1}}}, "“most” is the same in all languages"),
        ({"zh-hans": {"settings": {"words": ["a"]}}}, "“words” is the same in all languages"),
        ({"zh-hans": {"settings": {"options": AB[:1]}}}, "“options” must be a list"),
        ({"zh-hans": {"settings": {"options": AB[::-1]}}}, "“options” must have the same values in the same order"),
    ],
)
def test_a_translation_says_the_same_in_other_words(translations, said):
    found = translation_problems(translations, LANGUAGES, "multi_choice", {"options": AB, "most": 2})
    assert said in " ".join(found) and bool(found) == bool(said)


def test_a_rule_has_no_settings_to_translate():
    assert translation_problems({"zh-hans": {"text": "好"}}, LANGUAGES) == []
    assert "“settings” cannot stand" in translation_problems({"zh-hans": {"settings": {}}}, LANGUAGES)[0]


SCALARS = st.none() | st.booleans() | st.integers(-12, 12) | st.floats(allow_nan=False) | st.text(max_size=5)
NAMES = st.sampled_from(
    [
        *("unranked", "acceptable_line", "steps", "tie", "words", "min", "max", "low", "options", "labels", "least"),
        *("most", "min_length", "max_length", "rules_per_slot", "mode", "value", "label", "question", "in", "text"),
        "settings",
    ]
)
ANYTHING = st.recursive(
    SCALARS, lambda one: st.lists(one, max_size=4) | st.dictionaries(NAMES | st.text(), one, max_size=5)
)


@given(st.sampled_from(Kind.values), st.sampled_from(["task", "completion"]), ANYTHING, ANYTHING, ANYTHING)
def test_no_json_whatever_is_too_odd_to_be_judged(kind, scope, settings, condition, translations):
    found = problems(kind, scope, settings, condition, EARLIER)
    assert all(isinstance(text, str) for said in found.values() for text in said)
    translation_problems(translations, LANGUAGES, kind, settings if isinstance(settings, dict) else {})


FITTING = {
    "ranking": st.fixed_dictionaries({}, optional={"unranked": st.sampled_from(["none", "below", "unknown", "x"])}),
    "pairwise": st.fixed_dictionaries({"steps": st.integers(1, 9)}, optional={"tie": SCALARS}),
    "rating": st.fixed_dictionaries({"min": st.integers(-9, 9), "max": st.integers(-9, 9)}, optional={"low": SCALARS}),
    "multi_choice": st.fixed_dictionaries({"options": st.just(AB)}, optional={"least": SCALARS, "most": SCALARS}),
    "text": st.fixed_dictionaries({}, optional={"min_length": SCALARS, "max_length": SCALARS}),
    "span": st.fixed_dictionaries({}, optional={"labels": st.lists(st.sampled_from(AB), max_size=3) | SCALARS}),
}


@given(
    st.sampled_from(sorted(FITTING)).flatmap(lambda kind: st.tuples(st.just(kind), FITTING[kind])), st.text(max_size=9)
)
def test_answers_can_be_read_by_all_settings_that_may_be(asked, sent):
    kind, settings = asked
    if settings_problems(kind, settings):
        return
    scope = "completion" if kind == "span" else "task"
    question = SimpleNamespace(key="q", kind=kind, scope=scope, required=True, condition=None, settings=settings, pk=1)
    fields = dict.fromkeys(["q", "q.A", "q.choice", "q.tier.A", "q.tier.B", "q.A.spans"], (sent,))
    shown = {"A": Shown(1, "one"), "B": Shown(2, "two")}
    found = read([question], fields, shown, {})
    assert found.answers or found.errors
