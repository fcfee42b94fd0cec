"""Rankings, ratings, violations, prompts and raw judgements of exports, by hand."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from curation.exporting.deriving import output_id
from curation.exporting.kinds import KINDS
from curation.exporting.records import Answered, Marked, Output, SettledAnswer
from tests.judged import PROMPT, QUESTION, item, judged, letter, rows_of, settled

A, OF_TASK = output_id(PROMPT, "a"), output_id(PROMPT, None)


def answered(question, kind, output, value, rule=None, spans=()):
    return Answered(question, 2, kind, output, rule, value, spans)


def agreed(question, kind, output, value, rule=None, adjudicated=False):
    votes = {"2": 1, "1": 3}
    return SettledAnswer(
        item("abc", empty="c"), question, 2, kind, output, rule, value, 0.7, votes, {}, adjudicated, 4, (9, 3)
    )


def test_the_kinds_stand_in_their_order():
    assert list(KINDS) == ["preference", "ranking", "unpaired", "rating", "violation", "prompt", "judgement"]
    assert {name: kind.UNITS for name, kind in KINDS.items() if len(kind.UNITS) == 1} == {
        "prompt": ("judgement",),
        "judgement": ("judgement",),
    }


# --- Rankings ---------------------------------------------------------------------------------------------------------


def test_a_ranking_says_of_each_output_what_is_known():
    one = judged(4, item("abcde", empty="b"), line={"a": True, "d": False}, a=1, b=2, c=3, d=None)
    rows, counted = rows_of("ranking", one, judged(5, a=None, b=None), judged(6, item("ab")))
    [row] = rows
    columns = ("text", "model", "tier", "known", "acceptable")
    assert [tuple(entry[name] for name in columns) for entry in row["completions"]] == [
        ("Text a", "model-a", 1, True, True),
        ("Text c", "model-c", 3, True, None),
        ("Text d", "model-d", None, True, False),
        ("Text e", "model-e", None, False, None),
    ]
    assert (row["row_id"], row["prompt"], row["question"]) == ("p/4", QUESTION, "overall")
    assert counted == {"judgements": 3, "without_order": 2, "empty_outputs": 1}


def test_a_ranking_of_one_output_that_holds_something_is_none():
    rows, counted = rows_of("ranking", judged(1, item("abc", empty="b"), a=1, b=2))
    assert not rows
    assert counted == {"judgements": 1, "without_order": 1}


def test_an_output_of_two_models_names_both_and_one_of_none_none():
    of = item("ab")
    of = replace(of, outputs=[replace(of.outputs[0], models=("m", "n")), Output("b", "Text b")])
    [row], _ = rows_of("ranking", judged(1, of, a=1, b=2))
    assert [entry["model"] for entry in row["completions"]] == ["m, n", None]


def test_a_ranking_of_consensus_is_one_row_a_task():
    found = [
        settled(item("ab", 1), {}, annotations=(3, 1), adjudicated=True, a=1, b=2),
        settled(item("ab", 2), {}),
    ]
    [row], counted = rows_of("ranking", judged(1, a=1, b=2), settled=found, unit="consensus")
    assert (row["row_id"], row["confidence"], row["label_source"]) == ("p/task-1", 0.8, "adjudicated")
    assert (row["annotations"], row["annotators"]) == ([1, 3], ["person-1"])
    assert counted == {"judgements": 1, "undecided": 1}


# --- Ratings and choices ----------------------------------------------------------------------------------------------


def test_a_rating_row_is_an_answer_about_an_output_or_the_task():
    answers = [
        answered("helpful", "rating", "a", 4),
        answered("tone", "choice", "a", "rude"),
        answered("topics", "multi_choice", None, ["ice", "water"]),
        answered("helpful", "rating", "c", 1),
        answered("why", "text", None, "Because."),
    ]
    rows, counted = rows_of("rating", judged(3, item("abc", empty="c"), answers=answers))
    columns = ("row_id", "attribute", "question_version", "value", "label")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        (f"{A}/helpful/3", "helpful", 2, 4.0, None),
        (f"{A}/tone/3", "tone", 2, None, "rude"),
        (f"{OF_TASK}/topics/3", "topics", 2, None, '["ice","water"]'),
    ]
    assert [letter(row["completion"]) for row in rows[:2]] == ["a", "a"]
    assert rows[2]["completion"] == []
    assert counted == {"judgements": 1, "empty_outputs": 1, "other_answers": 1}


def test_a_rating_of_consensus_has_its_votes():
    answers = [
        agreed("helpful", "rating", "a", 1.25, adjudicated=True),
        agreed("tone", "choice", "a", None),
        agreed("helpful", "rating", "c", 2.0),
        agreed("harm", "rule", "a", 1.0, "rude@1"),
    ]
    people = [judged(9, a=1, b=2), judged(3, a=1, b=2)]
    [row], counted = rows_of("rating", *people, answers=answers, unit="consensus")
    assert row["row_id"] == f"{A}/helpful/task-1"
    assert (row["value"], row["label"], row["votes"]) == (1.25, None, '{"1":3,"2":1}')
    assert (row["confidence"], row["label_source"]) == (0.7, "adjudicated")
    assert (row["annotations"], row["annotators"]) == ([3, 9], ["person-3", "person-9"])
    assert counted == {"judgements": 2, "undecided": 1, "empty_outputs": 1, "other_answers": 1}


# --- Violations -------------------------------------------------------------------------------------------------------


def test_a_violation_says_how_far_and_by_which_words():
    answers = [
        answered("harm", "rule", "a", 3, "rude@1", (Marked(0, 4), Marked(5, 6, "word"))),
        answered("harm", "rule", "b", 0, "rude@1"),
        answered("harm", "rule", "c", 4, "rude@1"),
        answered("helpful", "rating", "a", 4),
    ]
    rows, counted = rows_of("violation", judged(3, item("abc", empty="c"), answers=answers))
    assert [(row["rule"], row["degree"], letter(row["completion"])) for row in rows] == [
        ("rude@1", 3.0, "a"),
        ("rude@1", 0.0, "b"),
    ]
    assert rows[0]["spans"] == [{"start": 0, "end": 4, "label": ""}, {"start": 5, "end": 6, "label": "word"}]
    assert rows[1]["spans"] == []
    assert rows[0]["row_id"] == f"{A}/harm/rude@1/3"
    assert counted == {"judgements": 1, "empty_outputs": 1, "other_answers": 1}


def test_a_violation_of_consensus_has_all_words_that_people_marked():
    def marking(annotation, *spans, human=True, rule="rude@1"):
        answers = [answered("harm", "rule", "a", 2, rule, spans)]
        return judged(annotation, item("abc", empty="c"), answers=answers, human=human)

    people = [
        marking(9, Marked(5, 6), Marked(0, 4)),
        marking(3, Marked(0, 4), Marked(0, 2)),
        marking(4, Marked(1, 2), human=False),
        marking(5, Marked(1, 3), rule="false@1"),
    ]
    answers = [
        agreed("harm", "rule", "a", 2.5, "rude@1"),
        agreed("harm", "rule", "b", None, "rude@1"),
        agreed("harm", "rule", "c", 1.0, "rude@1"),
    ]
    [row], counted = rows_of("violation", *people, answers=answers, unit="consensus")
    assert (row["degree"], row["votes"], row["label_source"]) == (2.5, '{"1":3,"2":1}', "votes")
    assert [(span["start"], span["end"]) for span in row["spans"]] == [(0, 2), (0, 4), (5, 6)]
    assert counted == {"judgements": 4, "undecided": 1, "empty_outputs": 1}


# --- Prompts and raw judgements ---------------------------------------------------------------------------------------


def test_a_prompt_is_one_row_in_the_name_of_its_first_task():
    people = [judged(9, item("ab", 2, split_group="first"), a=1, b=2), judged(3, item("cd", 1), c=1, d=2)]
    [row], counted = rows_of("prompt", *people)
    assert row == {
        "row_id": PROMPT,
        "prompt": QUESTION,
        "annotations": [3, 9],
        "annotators": ["person-3", "person-9"],
        "prompt_id": PROMPT,
        "split_group": "first",
        "task": "task-2",
        "language": "en",
    }
    assert counted == {"judgements": 2}
    assert rows_of("prompt")[0] == []


def test_a_person_who_answered_twice_is_named_once():
    people = [replace(judged(number, item("ab", number), a=1, b=2), annotator="anna") for number in (1, 2)]
    [row], _ = rows_of("prompt", *people)
    assert (row["annotations"], row["annotators"]) == ([1, 2], ["anna"])


def test_a_raw_judgement_leaves_nothing_out():
    spans = (Marked(0, 4, "word"),)
    answers = [answered("harm", "rule", "a", 3, "rude@1", spans), answered("topics", "multi_choice", None, ["ice"])]
    line = {"a": True, "d": False}
    one = judged(7, item("abcd", empty="b"), line=line, strength=2, reliability=0.5, answers=answers, a=1, b=None)
    east = timezone(timedelta(hours=8))
    [row], counted = rows_of("judgement", replace(one, guideline=3, created_at=datetime(2026, 1, 2, 11, tzinfo=east)))
    assert [tuple(entry.values()) for entry in row["tiers"]] == [
        ("a", 1, True, True),
        ("b", None, True, None),
        ("d", None, False, False),
    ]
    assert row["outputs"][0] == {"sha256": "a", "name": "a", "text": "Text a", "models": ["model-a"]}
    assert [entry["text"] for entry in row["outputs"]] == ["Text a", " \n", "Text c", "Text d"]
    assert json.loads(row["answers"]) == [
        {
            "question": "harm",
            "version": 2,
            "kind": "rule",
            "output": "a",
            "rule": "rude@1",
            "value": 3,
            "spans": [{"start": 0, "end": 4, "label": "word"}],
        },
        {
            "question": "topics",
            "version": 2,
            "kind": "multi_choice",
            "output": None,
            "rule": None,
            "value": ["ice"],
            "spans": [],
        },
    ]
    assert (row["strength"], row["reliability"], row["guideline"]) == (2, 0.5, 3)
    assert (row["annotation"], row["annotator"], row["annotator_kind"], row["human"]) == (7, "person-7", "person", True)
    assert row["created_at"] == datetime(2026, 1, 2, 3, tzinfo=UTC).isoformat() == "2026-01-02T03:00:00+00:00"
    assert counted == {"judgements": 1}


@pytest.mark.parametrize("kind", ["preference", "unpaired", "rating", "violation", "prompt"])
def test_no_kind_makes_rows_of_whoever_said_nothing(kind):
    rows, _ = rows_of(kind, judged(1, item("ab")))
    assert len(rows) == (kind == "prompt")


def test_of_whoever_said_nothing_there_is_a_raw_judgement():
    [row], _ = rows_of("judgement", judged(1, item("ab")))
    assert (row["tiers"], row["strength"], row["answers"]) == ([], None, "[]")
