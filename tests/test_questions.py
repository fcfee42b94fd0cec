"""Reading the fields of each kind of question: what becomes of them, and what is said about those that cannot be."""

from types import SimpleNamespace

import pytest

from annotate.questions import Mark, Pair, Rank, Shown, dense, outputs_wanted, read

SHOWN = {"A": Shown(11, "The cat sat."), "B": Shown(12, "The dog 😀 sat."), "C": Shown(13, "")}


def question(kind, key="q", scope="task", required=True, condition=None, **settings):
    return SimpleNamespace(
        key=key, kind=kind, scope=scope, required=required, condition=condition, settings=settings, pk=1
    )


def answers(asked, *, shown=SHOWN, rules=(), **fields):
    """The answers to one question, or to a list of them. Fields: q__tier__A="1" is q.tier.A."""
    asked = asked if isinstance(asked, list) else [asked]
    sent = {name.replace("__", "."): value if isinstance(value, list) else [value] for name, value in fields.items()}
    return read(asked, sent, shown, {one.key: rules for one in asked})


def tiers(found):
    (given,) = found.answers
    return [rank.tier for rank in given.ranks], [rank.acceptable for rank in given.ranks], given.value


class TestRanking:
    def test_ties_and_gaps(self):
        found = answers(question("ranking"), q__tier__A="3", q__tier__B="1", q__tier__C="3")
        assert tiers(found)[0] == [3, 1, 3]
        assert dense(found.answers[0].ranks) == {11: 2, 12: 1, 13: 2}

    def test_nothing_counts_until_it_is_touched(self):
        assert set(answers(question("ranking")).errors) == {"q.tier.A", "q.tier.B", "q.tier.C"}

    def test_an_optional_one_may_be_left(self):
        found = answers(question("ranking", required=False))
        assert (found.answers, found.errors) == ([], {})

    @pytest.mark.parametrize("unranked", ["below", "unknown"])
    def test_a_part_may_stay_unranked_where_the_question_says_what_that_means(self, unranked):
        asked = question("ranking", unranked=unranked)
        assert tiers(answers(asked, q__tier__A="1", q__tier__B="2"))[0] == [1, 2, None]
        assert "q.tier.C" in answers(question("ranking", unranked="none"), q__tier__A="1", q__tier__B="2").errors

    def test_one_alone_says_something_only_where_the_rest_lies_below(self):
        assert not answers(question("ranking", unranked="below"), q__tier__A="1").errors
        assert answers(question("ranking", unranked="unknown"), q__tier__A="1").errors

    @pytest.mark.parametrize(
        ("line", "acceptable"), [("0", [False, False, False]), ("1", [True, False, True]), ("3", [True] * 3)]
    )
    def test_the_line_parts_the_acceptable_from_the_rest(self, line, acceptable):
        asked = question("ranking", acceptable_line=True)
        found = answers(asked, q__tier__A="1", q__tier__B="2", q__tier__C="1", q__line=line)
        assert tiers(found)[1] == acceptable

    def test_a_line_that_is_asked_for_must_be_drawn(self):
        asked = question("ranking", acceptable_line=True)
        assert set(answers(asked, q__tier__A="1", q__tier__B="2", q__tier__C="1").errors) == {"q.line"}

    def test_not_rankable_and_none_acceptable_differ_from_all_tied(self):
        asked = question("ranking", not_rankable=True, none_acceptable=True, acceptable_line=True)
        tied = {"q__tier__A": "1", "q__tier__B": "1", "q__tier__C": "1"}
        assert tiers(answers(asked, **tied, q__line="1")) == ([1, 1, 1], [True] * 3, "ranked")
        assert tiers(answers(asked, **tied, q__outcome="none_acceptable")) == (
            [1, 1, 1],
            [False] * 3,
            "none_acceptable",
        )
        assert tiers(answers(asked, q__outcome="none_acceptable"))[:2] == ([None] * 3, [False] * 3)
        assert tiers(answers(asked, **tied, q__outcome="not_rankable")) == ([None] * 3, [None] * 3, "not_rankable")

    def test_outcomes_that_are_not_on_offer_are_refused(self):
        assert "q.outcome" in answers(question("ranking"), q__outcome="not_rankable").errors

    @pytest.mark.parametrize("tier", ["0", "4", "-1", "1.5", "x", "٣", "9" * 50])
    def test_a_place_that_is_none_is_refused(self, tier):
        assert "q.tier.A" in answers(question("ranking"), q__tier__A=tier, q__tier__B="1", q__tier__C="1").errors


class TestPairwise:
    TWO = {letter: SHOWN[letter] for letter in "AB"}

    @pytest.mark.parametrize(("said", "pair"), [
        ("2", Pair(11, 12, 2)), ("-1", Pair(11, 12, -1)), ("0", Pair(11, 12, 0)), ("neither", Pair(11, 12, None, True)),
    ])  # fmt: skip
    def test_strength_is_from_the_side_of_the_left_one(self, said, pair):
        found = answers(question("pairwise", steps=4, tie=True, neither=True), shown=self.TWO, q__choice=said)
        assert found.answers[0].pair == pair

    @pytest.mark.parametrize("said", ["", "0", "neither", "3", "-3", "A"])
    def test_only_what_is_on_offer_counts(self, said):
        assert "q.choice" in answers(question("pairwise", steps=4), shown=self.TWO, q__choice=said).errors


class TestScales:
    def test_a_rating_of_the_task_and_of_each_output(self):
        assert answers(question("rating", min=1, max=7), q="7").answers[0].value == 7
        found = answers(question("rating", scope="completion", min=0, max=4), q__A="0", q__B="4", q__C="2")
        assert [(given.completion, given.value) for given in found.answers] == [(11, 0), (12, 4), (13, 2)]

    @pytest.mark.parametrize("said", ["", "8", "0", "7.0", "seven", "--3", "NaN"])
    def test_a_step_that_is_not_on_the_scale(self, said):
        assert "q" in answers(question("rating", min=1, max=7), q=said).errors

    def test_choices(self):
        options = [{"value": "yes", "label": "Yes"}, {"value": "no", "label": "No"}]
        assert answers(question("choice", options=options), q="no").answers[0].value == "no"
        assert "q" in answers(question("choice", options=options), q="maybe").errors
        many = question("multi_choice", options=options, least=1, most=1)
        assert answers(many, q=["yes"]).answers[0].value == ["yes"]
        assert "q" in answers(many, q=["no", "yes"]).errors and "q" in answers(many).errors
        assert answers(question("multi_choice", options=options)).answers[0].value == []

    def test_a_text_keeps_its_lines_and_its_limits(self):
        asked = question("text", max_length=10, min_length=2)
        assert answers(asked, q=" a\r\nb\r ").answers[0].value == "a\nb"
        assert "q" in answers(asked, q="x" * 11).errors
        assert "q" in answers(asked, q="x").errors
        assert "NUL" in answers(asked, q="a\x00b").errors["q"]


class TestMarks:
    def test_offsets_count_code_points_of_the_raw_text(self):
        asked = question("span", scope="completion", required=False, labels=[{"value": "wrong", "label": "Wrong"}])
        found = answers(asked, q__B__spans='[[8, 9, "wrong"], [0, 3, "wrong"]]')
        assert found.answers[0].marks == (Mark(0, 3, "wrong"), Mark(8, 9, "wrong"))
        assert SHOWN["B"].text[8:9] == "😀"

    @pytest.mark.parametrize("said", [
        "x", "{}", "[[1]]", "[[3, 3]]", "[[0, 99]]", "[[-1, 2]]", '[[0, 1, "new"]]', "[" * 5000, "[[0, 1e400]]", "[[null, 2]]",
    ])  # fmt: skip
    def test_marks_that_cannot_be_are_refused(self, said):
        found = answers(question("span", scope="completion", required=False), q__A__spans=said)
        assert found.answers == [] and ("q.A.spans" in found.errors or said == "{}")

    def test_nothing_to_mark_is_an_answer_and_silence_is_none(self):
        asked = question("span", scope="completion")
        found = answers(asked, q__A__none="on", q__B__none="on")
        assert [given.value for given in found.answers] == [0, 0]
        assert set(found.errors) == {"q.C.spans"}

    def test_a_rule_is_asked_of_each_output_with_the_words_that_prove_it(self):
        rules = [SimpleNamespace(key="lies", pk=5)]
        asked = question("rule", scope="completion")
        sent = {"q__lies__A": "4", "q__lies__A__spans": "[[0, 3]]", "q__lies__B": "0", "q__lies__B__spans": "[[0, 3]]"}
        found = answers(asked, rules=rules, **sent)
        assert [(one.completion, one.rule, one.value, one.marks) for one in found.answers] == [
            (11, 5, 4, (Mark(0, 3),)),
            (12, 5, 0, ()),
        ]
        assert set(found.errors) == {"q.lies.C"}


def test_a_demonstration_names_the_output_it_began_from():
    found = answers(question("demonstration", mode="edit"), q__text="Better.", q__from="B")
    assert found.answers[0].value == {"text": "Better.", "from": 12}
    assert "q.text" in answers(question("demonstration")).errors
    assert "q.from" in answers(question("demonstration"), q__text="x", q__from="Z").errors


def test_a_condition_decides_whether_a_question_is_asked():
    options = [{"value": "yes", "label": "Yes"}, {"value": "no", "label": "No"}]
    first = question("choice", key="harmful", options=options)
    then = question("text", key="why", condition={"question": "harmful", "in": ["yes"]})
    assert set(answers([first, then], harmful="yes").errors) == {"why"}
    found = answers([first, then], harmful="no", why="left over")
    assert ([given.value for given in found.answers], found.errors) == (["no"], {})


def test_a_condition_on_each_output_is_looked_at_for_each():
    first = question("rating", key="harm", scope="completion", min=0, max=4)
    then = question("text", key="why", scope="completion", condition={"question": "harm", "in": [3, 4]})
    assert set(answers([first, then], harm__A="4", harm__B="0", harm__C="3").errors) == {"why.A", "why.C"}


def test_how_many_outputs_a_task_needs():
    assert outputs_wanted([question("ranking"), question("rating", scope="completion")]) == (2, 9)
    assert outputs_wanted([question("pairwise")]) == (2, 2)
    assert outputs_wanted([question("rating", scope="completion")]) == (1, 9)
    assert outputs_wanted([question("demonstration")]) == (0, 9)


def test_ranks_are_what_they_are():
    assert dense([Rank(1, None), Rank(2, 7), Rank(3, 7)]) == {1: None, 2: 1, 3: 1}
