"""Pairs and labels of exports, each case worked out by hand."""

import hashlib

import pytest

from curation.exporting.deriving import agreement_units, pair_id
from curation.exporting.kinds import KINDS
from curation.exporting.records import Answered, Options, Prompt, SettledAnswer, Votes
from tests.judged import PROMPT, QUESTION, item, judged, letter, pairs, rows_of, settled

FIVE = "abcde"


def rating(output, value, question="helpful", kind="rating"):
    return Answered(question, 1, kind, output, None, value)


def settled_rating(of, output, value, question="helpful"):
    return SettledAnswer(of, question, 1, "rating", output, None, value, 0.9, {}, {}, False, 2, (1, 2))


# --- Five outputs, one tie, one unranked, a line ----------------------------------------------------------------------


def test_five_outputs_with_the_unranked_one_unknown():
    one = judged(7, item(FIVE), line={"a": True, "b": True, "c": True, "d": False}, a=1, b=2, c=2, d=3)
    rows, counted = rows_of("preference", one)
    assert pairs(rows, "rank_gap", "weight") == [
        ("a", "b", 1, pytest.approx(1 / 6)),
        ("a", "c", 1, pytest.approx(1 / 6)),
        ("a", "d", 2, pytest.approx(1 / 6)),
        ("b", "d", 1, pytest.approx(1 / 6)),
        ("c", "d", 1, pytest.approx(1 / 6)),
    ]
    assert counted == {"judgements": 1, "comparisons": 6, "ties": 1, "ties_dropped": 1, "unknown": 4}
    labels, counted = rows_of("unpaired", one)
    assert [(letter(row["completion"]), row["label"], row["weight"]) for row in labels] == [
        ("a", True, 1 / 4),
        ("b", True, 1 / 4),
        ("c", True, 1 / 4),
        ("d", False, 1 / 4),
    ]
    assert counted == {"judgements": 1}


def test_five_outputs_with_the_unranked_one_below():
    one = judged(7, item(FIVE), line={"a": True, "b": True, "c": True, "d": False}, a=1, b=2, c=2, d=3, e=None)
    rows, counted = rows_of("preference", one)
    assert pairs(rows, "rank_gap", "weight") == [
        ("a", "b", 1, 1 / 10),
        ("a", "c", 1, 1 / 10),
        ("a", "d", 2, 1 / 10),
        ("a", "e", 3, 1 / 10),
        ("b", "d", 1, 1 / 10),
        ("b", "e", 2, 1 / 10),
        ("c", "d", 1, 1 / 10),
        ("c", "e", 2, 1 / 10),
        ("d", "e", 1, 1 / 10),
    ]
    assert counted == {"judgements": 1, "comparisons": 10, "ties": 1, "ties_dropped": 1}
    labels, _ = rows_of("unpaired", one)
    assert [(letter(row["completion"]), row["label"]) for row in labels] == [
        ("a", True),
        ("b", True),
        ("c", True),
        ("d", False),
    ]


def test_a_row_says_all_that_it_is_to_say():
    [row], _ = rows_of("preference", judged(7, item("ab", split_group="group", language="de"), a=2, b=1))
    key = hashlib.sha256(b"p:a:b").hexdigest()[:32]
    assert row == {
        "row_id": f"{key}/7",
        "prompt": QUESTION,
        "chosen": [{"role": "assistant", "content": "Text b"}],
        "rejected": [{"role": "assistant", "content": "Text a"}],
        "weight": 1.0,
        "rank_gap": 1,
        "pair_id": key,
        "question": "overall",
        "annotation": 7,
        "annotator": "person-7",
        "annotations": [7],
        "annotators": ["person-7"],
        "prompt_id": PROMPT,
        "split_group": "group",
        "task": "task-1",
        "language": "de",
    }


# --- The line, and what is not known ----------------------------------------------------------------------------------


def test_the_line_separates_what_the_order_leaves_level_or_unordered():
    tied = judged(1, item("ab"), line="b", a=1, b=1)
    rows, counted = rows_of("preference", tied)
    assert pairs(rows, "rank_gap", "weight") == [("b", "a", None, 1.0)]
    assert counted == {"judgements": 1, "comparisons": 1}
    unordered = judged(1, item("abc"), line="a", a=None, b=None, c=None)
    rows, counted = rows_of("preference", unordered)
    assert pairs(rows, "rank_gap", "weight") == [("a", "b", None, 0.5), ("a", "c", None, 0.5)]
    assert counted == {"judgements": 1, "comparisons": 2, "unordered": 1}


def test_what_is_unknown_gives_no_pair_also_where_the_line_speaks_of_it():
    one = judged(1, item("abc"), line={"a": True, "b": True, "c": False}, a=1, b=2)
    rows, counted = rows_of("preference", one)
    assert pairs(rows) == [("a", "b")]
    assert counted == {"judgements": 1, "comparisons": 1, "unknown": 2}
    labels, _ = rows_of("unpaired", one)
    assert [(letter(row["completion"]), row["label"]) for row in labels] == [("a", True), ("b", True), ("c", False)]


def test_a_line_that_speaks_of_one_of_two_separates_nothing():
    rows, counted = rows_of("preference", judged(1, item("ab"), line={"a": True}, a=1, b=1))
    assert not rows
    assert counted["ties_dropped"] == 1


def test_the_order_goes_before_the_line():
    rows, _ = rows_of("preference", judged(1, item("ab"), line="b", a=1, b=2))
    assert pairs(rows, "rank_gap") == [("a", "b", 1)]


def test_whoever_preferred_nothing_is_counted():
    rows, counted = rows_of("preference", judged(1, item("ab")), judged(2, a=None, b=None))
    assert not rows
    assert counted == {"judgements": 2, "without_order": 1, "unordered": 1}


# --- What a pair weighs -----------------------------------------------------------------------------------------------


def test_people_who_compared_a_pair_share_its_weight_also_those_who_tied():
    rows, counted = rows_of("preference", judged(1, a=1, b=2), judged(2, a=2, b=1), judged(3, a=1, b=1))
    assert pairs(rows, "weight", "annotation") == [("a", "b", 1 / 3, 1), ("b", "a", 1 / 3, 2)]
    assert len({row["pair_id"] for row in rows}) == 1
    assert counted == {"judgements": 3, "comparisons": 3, "ties": 1, "ties_dropped": 1}


def test_people_share_by_reliability():
    sure, unsure = judged(1, a=1, b=2, c=3, reliability=0.9), judged(2, b=1, a=2, reliability=0.3)
    rows, _ = rows_of("preference", sure, unsure)
    assert pairs(rows, "weight") == [
        ("a", "b", pytest.approx(0.25)),  # 1/3 · .9/1.2
        ("a", "c", pytest.approx(1 / 3)),  # nobody else compared it
        ("b", "c", pytest.approx(1 / 3)),
        ("b", "a", pytest.approx(1 / 12)),  # 1/3 · .3/1.2
    ]
    labels, _ = rows_of(
        "unpaired",
        judged(1, a=1, b=2, line="a", reliability=0.9),
        judged(2, a=1, line="", reliability=0.3),
    )
    assert [(letter(row["completion"]), row["label"], row["weight"]) for row in labels] == [
        ("a", True, pytest.approx(0.375)),  # 1/2 · .9/1.2
        ("b", False, pytest.approx(0.5)),
        ("a", False, pytest.approx(0.125)),
    ]


def test_where_nobody_is_reliable_all_share_alike_else_who_is_not_gives_no_row():
    nobody = [judged(1, a=1, b=2, reliability=0.0), judged(2, a=1, b=2, reliability=0.0)]
    rows, _ = rows_of("preference", *nobody)
    assert pairs(rows, "weight") == [("a", "b", 0.5), ("a", "b", 0.5)]
    rows, counted = rows_of("preference", *nobody, judged(3, b=1, a=2))
    assert pairs(rows, "weight") == [("b", "a", 1.0)]
    assert counted["without_weight"] == 2
    rows, counted = rows_of("unpaired", judged(1, a=1, line="a"), judged(2, a=1, line="a", reliability=0.0))
    assert [row["weight"] for row in rows] == [1.0]
    assert counted["without_weight"] == 1


def test_the_same_pair_in_two_tasks_is_one_pair_but_two_units_of_agreement():
    judgements = [judged(1, item("ab", 1), a=1, b=2), judged(2, item("bca", 2), b=1, c=2, a=2)]
    rows, _ = rows_of("preference", *judgements)
    assert pairs(rows, "weight", "task") == [
        ("a", "b", 1 / 6, "task-1"),
        ("b", "c", 1 / 3, "task-2"),
        ("b", "a", 1 / 6, "task-2"),
    ]
    assert rows[0]["pair_id"] == rows[2]["pair_id"] == pair_id(PROMPT, ("a", "b"))
    assert agreement_units(Prompt(PROMPT, judgements)) == [(1, 0, 0), (1, 0, 0), (1, 0, 0), (0, 1, 0)]


def test_agreement_counts_people_and_tiers_only():
    judgements = [judged(1, a=1, b=2), judged(2, a=1, b=1, line="a"), judged(3, a=2, b=1, human=False)]
    assert agreement_units(Prompt(PROMPT, judgements)) == [(1, 1, 0)]
    assert agreement_units(Prompt(PROMPT, [judged(1), judged(2, a=None, b=None, line="a")])) == []


# --- Ties, margins, empty outputs -------------------------------------------------------------------------------------


def test_a_tie_may_be_a_row_with_soft_label_one_half():
    rows, counted = rows_of("preference", judged(1, a=2, b=1), judged(2, a=1, b=1), ties="soft")
    assert pairs(rows, "soft_label", "weight", "rank_gap") == [("b", "a", 1.0, 0.5, 1), ("a", "b", 0.5, 0.5, 0)]
    assert counted == {"judgements": 2, "comparisons": 2, "ties": 1}


@pytest.mark.parametrize("unit", ["judgement", "consensus"])
def test_no_row_has_both_a_margin_and_a_soft_label(unit):
    options = Options(unit, "overall", ties="soft", margin="strength")
    with pytest.raises(ValueError, match="margin"):
        KINDS["preference"].schema(options)
    with pytest.raises(ValueError, match="margin"):
        KINDS["preference"].rows(Prompt(PROMPT), options, None)
    names = KINDS["preference"].schema(Options(unit, "overall", margin="strength")).names
    assert "margin" in names
    assert "soft_label" not in names


def test_a_margin_is_the_strength_that_was_asked_for():
    rows, counted = rows_of(
        "preference",
        judged(1, a=1, b=2, strength=3),
        judged(2, a=2, b=1, strength=1),
        judged(3, a=1, b=2),
        judged(4, a=1, b=1),
        margin="strength",
    )
    assert pairs(rows, "margin", "weight") == [("a", "b", 3.0, 0.25), ("b", "a", 1.0, 0.25)]
    assert counted == {"judgements": 4, "comparisons": 4, "ties": 1, "ties_dropped": 1, "without_margin": 1}


def test_a_margin_may_be_how_much_better_the_same_person_rated():
    mine = [rating("a", 5), rating("b", 3), rating("c", 3), rating("c", 1, question="clear"), rating(None, 9)]
    rows, counted = rows_of(
        "preference",
        judged(1, a=1, b=2, c=3, answers=mine),  # b and c are rated alike
        judged(2, a=1, b=2, answers=[rating("a", 1), rating("b", 2)]),  # rated the other way round
        judged(3, a=1, b=2, answers=[rating("a", 4), rating("b", "good", kind="choice")]),
        margin="helpful",
    )
    assert pairs(rows, "margin") == [("a", "b", 2.0), ("a", "c", 2.0)]
    assert counted == {"judgements": 3, "comparisons": 5, "without_margin": 3}


def test_empty_outputs_give_no_row_and_keep_their_share():
    one = judged(1, item("abc", empty="b"), line="a", a=1, b=2, c=3)
    rows, counted = rows_of("preference", one)
    assert pairs(rows, "weight") == [("a", "c", pytest.approx(1 / 3))]
    assert counted == {"judgements": 1, "comparisons": 3, "empty_outputs": 2}
    rows, counted = rows_of("preference", judged(1, item("ab", empty="b"), a=1, b=1), ties="soft")
    assert not rows
    assert counted == {"judgements": 1, "comparisons": 1, "ties": 1, "empty_outputs": 1}
    labels, counted = rows_of("unpaired", one)
    assert [(letter(row["completion"]), row["weight"]) for row in labels] == [
        ("a", pytest.approx(1 / 3)),
        ("c", pytest.approx(1 / 3)),
    ]
    assert counted == {"judgements": 1, "empty_outputs": 1}


# --- Consensus --------------------------------------------------------------------------------------------------------


def consensus(*found, judgements=(), answers=(), **options):
    return rows_of("preference", *judgements, settled=found, answers=answers, unit="consensus", **options)


def test_a_row_of_consensus_says_what_people_voted():
    votes = {("a", "b"): Votes((3, 1, 2), (0.6, 0.1, 0.3))}
    people = [judged(8, b=1, a=2), judged(5, a=1, b=2)]
    found = settled(item("ab"), votes, annotations=(8, 5), a=1, b=2)
    [row], counted = consensus(found, judgements=people)
    assert pairs([row], "soft_label", "votes_chosen", "votes_tie", "votes_rejected") == [("a", "b", 0.65, 3, 1, 2)]
    assert (row["weight"], row["rank_gap"], row["confidence"], row["label_source"]) == (1.0, 1, 0.8, "votes")
    assert (row["annotations"], row["annotators"]) == ([5, 8], ["person-5", "person-8"])
    assert row["row_id"] == f"{pair_id(PROMPT, ('a', 'b'))}/task-1"
    assert counted == {"judgements": 2, "comparisons": 1}


def test_adjudication_against_the_votes_sets_the_hard_label_only():
    votes = {("a", "b"): Votes((3, 0, 1), (0.8, 0.1, 0.1))}
    [row], _ = consensus(settled(item("ab"), votes, adjudicated=True, confidence=None, a=2, b=1))
    assert pairs([row], "soft_label", "votes_chosen", "votes_tie", "votes_rejected") == [("b", "a", 0.15, 1, 0, 3)]
    assert (row["label_source"], row["confidence"]) == ("adjudicated", None)


def test_votes_stand_on_the_side_that_the_line_chose():
    votes = {("a", "b"): Votes((1, 3, 0), (0.3, 0.6, 0.1))}
    line = {"a": False, "b": True}
    [row], _ = consensus(settled(item("ab"), votes, adjudicated=True, line=line, a=1, b=1))
    assert pairs([row], "soft_label", "votes_chosen", "votes_tie", "votes_rejected") == [("b", "a", 0.4, 0, 3, 1)]
    assert row["rank_gap"] is None


def test_tasks_that_settle_the_same_pair_share_its_weight():
    one = settled(item("ab", 1), {("a", "b"): Votes((2, 0, 0), (0.9, 0.1, 0.0))}, a=1, b=2)
    votes = {("b", "a"): Votes((0, 2, 0), (0.2, 0.6, 0.2)), ("b", "c"): Votes((2, 0, 0), (1.0, 0.0, 0.0))}
    other = settled(item("bac", 2), votes | {("a", "c"): Votes((2, 0, 0), (0.9, 0.0, 0.1))}, b=1, a=1, c=2)
    rows, counted = consensus(one, other)
    assert pairs(rows, "weight", "task") == [
        ("a", "b", 1 / 6, "task-1"),
        ("b", "c", 1 / 3, "task-2"),
        ("a", "c", 1 / 3, "task-2"),
    ]
    assert counted == {"comparisons": 4, "ties": 1, "ties_dropped": 1}
    rows, _ = consensus(one, other, ties="soft")
    assert pairs(rows, "weight", "soft_label")[1] == ("b", "a", 1 / 6, 0.5)
    assert sum(row["weight"] for row in rows) == pytest.approx(1)


def test_votes_out_of_the_order_of_outputs_are_refused():
    votes = {("b", "a"): Votes((1, 0, 0), (1.0, 0.0, 0.0))}
    with pytest.raises(AssertionError, match="not in the order"):
        consensus(settled(item("ab"), votes, a=1, b=2))
    with pytest.raises(AssertionError, match="not in the order"):
        consensus(settled(item("ab"), {}, b=1, a=2))


def test_what_is_undecided_keeps_its_share():
    votes = {("a", "b"): Votes((1, 0, 1), (0.5, 0.0, 0.5))}
    ambiguous = settled(item("ab", 1), votes, adjudicated=True)
    rows, counted = consensus(ambiguous, settled(item("ab", 2), votes, a=1, b=2))
    assert pairs(rows, "weight") == [("a", "b", 0.5)]
    assert counted == {"comparisons": 2, "undecided": 1}


def test_a_pair_that_nobody_compared_comes_from_a_reviewer_alone():
    votes = {("a", "b"): Votes((2, 0, 0), (1.0, 0.0, 0.0)), ("b", "c"): Votes((2, 0, 0), (1.0, 0.0, 0.0))}
    rows, counted = consensus(settled(item("abc"), votes, a=1, b=2, c=3))
    assert pairs(rows, "weight") == [("a", "b", 0.5), ("b", "c", 0.5)]
    assert counted == {"comparisons": 2, "unknown": 1}
    rows, counted = consensus(settled(item("abc"), votes, adjudicated=True, a=1, b=2, c=3))
    assert pairs(rows, "soft_label", "votes_chosen", "votes_tie", "votes_rejected") == [
        ("a", "b", 1.0, 2, 0, 0),
        ("a", "c", 0.5, 0, 0, 0),
        ("b", "c", 1.0, 2, 0, 0),
    ]
    assert counted == {"comparisons": 3}


def test_a_margin_of_consensus_agrees_with_what_is_chosen():
    votes = {("a", "b"): Votes((1, 0, 1), (0.4, 0.0, 0.6))}
    tasks = [
        settled(item("ab", 1), votes, a=2, b=1, strength=-1.5),
        settled(item("ab", 2), votes, a=1, b=2, strength=0.5),
        settled(item("ab", 3), votes, a=1, b=2, strength=-0.5),
        settled(item("ab", 4), votes, a=1, b=2),
    ]
    rows, counted = consensus(*tasks, margin="strength")
    assert pairs(rows, "margin", "weight") == [("b", "a", 1.5, 0.25), ("a", "b", 0.5, 0.25)]
    assert counted == {"comparisons": 4, "without_margin": 2}


def test_a_margin_of_consensus_may_be_a_difference_of_ratings():
    votes = {("a", "b"): Votes((2, 0, 0), (1.0, 0.0, 0.0))}
    one, other, last = item("ab", 1), item("ab", 2), item("ab", 3)
    answers = [
        settled_rating(one, "a", 3.33),
        settled_rating(one, "b", 2.0),
        settled_rating(other, "a", 3.0),
        settled_rating(other, "b", None),
        settled_rating(last, "b", 1.0, question="clear"),
    ]
    found = [settled(of, votes, a=1, b=2) for of in (one, other, last)]
    rows, counted = consensus(*found, answers=answers, margin="helpful")
    assert pairs(rows, "margin", "task") == [("a", "b", 1.33, "task-1")]
    assert counted == {"comparisons": 3, "without_margin": 2}


def test_a_question_called_strength_is_no_margin_of_strength():
    votes = {("a", "b"): Votes((1, 0, 0), (1.0, 0.0, 0.0))}
    of = item("ab")
    answers = [settled_rating(of, "a", 4, question="strength"), settled_rating(of, "b", 1, question="strength")]
    rows, _ = consensus(settled(of, votes, a=1, b=2), answers=answers, margin="strength")
    assert not rows


# --- Labels of consensus ----------------------------------------------------------------------------------------------


def labels(*judgements, settled=()):
    rows, counted = rows_of("unpaired", *judgements, settled=settled, unit="consensus")
    columns = ("label", "votes_true", "votes_false", "weight", "label_source", "task", "annotations")
    return [(letter(row["completion"]), *(row[name] for name in columns)) for row in rows], counted


def test_a_label_is_what_most_people_said_of_the_output():
    found, counted = labels(
        judged(3, item("abc"), line="ab", a=1, b=2, c=3),
        judged(2, item("abc"), line="a", a=1, b=2, c=3),
        judged(1, item("abc"), line={"b": True}, a=1, b=2, c=3),
        judged(4, item("abc"), line="abc", a=1, b=2, c=3, human=False),
        judged(5, item("ab", 2), line="", a=1, b=2),
    )
    assert found == [
        ("a", True, 2, 0, 1 / 6, "votes", "task-1", [2, 3]),
        ("b", True, 2, 1, 1 / 6, "votes", "task-1", [1, 2, 3]),
        ("c", False, 0, 2, 1 / 3, "votes", "task-1", [2, 3]),
        ("a", False, 0, 1, 1 / 6, "votes", "task-2", [5]),
        ("b", False, 0, 1, 1 / 6, "votes", "task-2", [5]),
    ]
    assert counted == {"judgements": 5}


def test_as_many_for_as_against_is_no_label():
    found, counted = labels(judged(1, a=1, b=2, line="a"), judged(2, a=1, b=2, line="ab"))
    assert found == [("a", True, 2, 0, 0.5, "votes", "task-1", [1, 2])]
    assert counted == {"judgements": 2, "undecided": 1}


def test_a_reviewer_sets_the_label_and_leaves_the_votes():
    people = [judged(1, a=1, b=2, line="a"), judged(2, a=1, b=2, line="a")]
    against = settled(item("ab"), {}, adjudicated=True, annotations=(1, 2), line={"a": False}, a=1, b=2)
    found, _ = labels(*people, settled=[against])
    assert found == [
        ("a", False, 2, 0, 0.5, "adjudicated", "task-1", [1, 2]),
        ("b", False, 0, 2, 0.5, "votes", "task-1", [1, 2]),
    ]
    ambiguous = settled(item("ab"), {}, adjudicated=True)
    assert labels(*people, settled=[ambiguous]) == ([], {"judgements": 2, "undecided": 2})
