"""What an answer is worth beside the known one, and what researchers share. All expected values are by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.vetting.researchers import agreed, leave_one_out
from annotate.vetting.scoring import score

OPTIONS = {"options": [{"value": name, "label": name.upper()} for name in ("a", "b", "c", "d")]}
SEVEN = {"min": 1, "max": 7}


def of(value, completion=None, rule=None):
    return {"completion": completion, "rule": rule, "value": value}


def one(kind, gold, given, settings=None, **options):
    """The score of a single value, as a pair."""
    return tuple(score(kind, [of(gold)], [of(given)], settings=settings or {}, **options))


def order(tiers, **more):
    return {"tiers": tiers, **more}


# --- Orders -----------------------------------------------------------------------------------------------------------

GOLD = order({"1": 1, "2": 2, "3": 2, "4": 3})
"""Five strict pairs: 1 above 2, 3 and 4; 2 and 3 above 4."""


@pytest.mark.parametrize(
    ("tiers", "right"),
    [
        ({"1": 1, "2": 2, "3": 2, "4": 3}, 5),
        ({"1": 1, "2": 2, "3": 3, "4": 4}, 5),  # how it orders 2 and 3 is not asked
        ({"1": 5, "2": 6, "3": 6, "4": 9}, 5),  # the order counts, not the numbers
        ({1: 1, 2: 2, 3: 2, 4: 3}, 5),
        ({"1": 1, "2": 2, "3": 2, "4": None}, 5),  # 4 stands below what has a tier
        ({"1": 1, "2": 2, "3": 3, "4": 3}, 4),  # 3 and 4 tied
        ({"1": 1, "2": 1, "3": 1, "4": 2}, 3),
        ({"2": 1, "1": 2, "3": 3, "4": 4}, 4),
        ({"1": 1, "2": 2, "3": 2}, 2),  # 4 is nowhere
        ({"1": 1, "2": None, "3": None, "4": None}, 3),
        ({"1": 4, "2": 2, "3": 2, "4": 1}, 0),
        ({"1": 1, "2": 1, "3": 1, "4": 1}, 0),
        ({}, 0),
    ],
)
def test_an_order_is_worth_the_pairs_it_orders_like_the_known_one(tiers, right):
    for kind in ("ranking", "pairwise"):
        assert one(kind, GOLD, order(tiers)) == (right >= 4, right / 5)


def test_how_much_of_an_order_has_to_be_right():
    three = order({"1": 1, "2": 1, "3": 1, "4": 2})
    assert one("ranking", GOLD, three, share=0.6) == (True, 0.6)
    assert one("ranking", GOLD, three, share=0.61) == (False, 0.6)
    # Three of ten pairs, those of 0, 1 and 2, are .3, although a computer's .1 + .2 is a hair above it.
    ten = order({str(at): at for at in range(5)})
    three = order({"4": 0, "3": 1, "0": 2, "1": 3, "2": 4})
    assert one("ranking", ten, three, share=0.1 + 0.2) == (True, 0.3)


def test_outputs_that_the_known_order_leaves_out_do_not_matter():
    gold = order({"1": 1, "2": 2})
    assert one("ranking", gold, order({"3": 1, "1": 2, "4": 2, "2": 3})) == (True, 1)


def test_a_known_answer_without_order():
    tied = order({"1": 1, "2": 1}, strength=0)
    assert one("pairwise", tied, order({"1": 1, "2": 1}, strength=0)) == (True, 1)
    assert one("pairwise", tied, order({"1": 1, "2": 2}, strength=1)) == (False, 0)
    neither = order({}, outcome="neither")
    assert one("pairwise", neither, neither) == (True, 1)
    assert one("pairwise", neither, tied) == one("pairwise", tied, neither) == (False, 0)
    not_rankable = order({}, outcome="not_rankable")
    assert one("ranking", not_rankable, not_rankable) == (True, 1)
    assert one("ranking", not_rankable, order({}, outcome="none_acceptable")) == (False, 0)
    assert one("ranking", order({"1": 1, "2": 1}), order({"1": 3, "2": 3, "4": 1})) == (True, 1)
    assert one("ranking", order({"1": 1, "2": 1}), order({"1": 1})) == (False, 0)
    none = order({"1": 1, "2": 1}, outcome="none_acceptable")
    assert one("ranking", none, order({"1": 1, "2": 2}, outcome="none_acceptable")) == (True, 1)


@st.composite
def weak_orders(draw):
    tiers = draw(st.lists(st.none() | st.integers(1, 4), min_size=2, max_size=7))
    return {str(10 + at): tier for at, tier in enumerate(tiers)}


@given(weak_orders())
def test_every_order_is_worth_all_beside_itself(tiers):
    assert one("ranking", order(tiers), order(tiers)) == (True, 1)


@given(weak_orders(), weak_orders(), st.permutations(range(7)))
def test_the_names_of_outputs_do_not_matter(gold, answer, names):
    def named(tiers):
        return order({f"x{names[int(output) - 10]}": tier for output, tier in tiers.items()})

    found = one("ranking", order(gold), order(answer))
    assert one("ranking", named(gold), named(answer)) == found
    assert 0 <= found[1] <= 1


@given(weak_orders())
def test_an_order_turned_round_is_worth_nothing(tiers):
    best = {output: 9 if tier is None else tier for output, tier in tiers.items()}
    turned = {output: 10 - tier for output, tier in best.items()}
    expected = (True, 1) if len(set(best.values())) == 1 else (False, 0)
    assert one("ranking", order(tiers), order(turned)) == expected


# --- Other kinds ------------------------------------------------------------------------------------------------------


def test_choices():
    assert one("choice", "a", "a", OPTIONS) == (True, 1)
    assert one("choice", "a", "b", OPTIONS) == (False, 0)
    assert one("multi_choice", ["a", "b"], ["b", "a"], OPTIONS) == (True, 1)
    assert one("multi_choice", ["a", "b"], ["a"], OPTIONS) == (False, 0.75)
    assert one("multi_choice", ["a", "b"], ["c", "d"], OPTIONS) == (False, 0)
    assert one("multi_choice", [], [], OPTIONS) == (True, 1)


def test_ratings():
    assert one("rating", 5, 5, SEVEN) == (True, 1)
    assert one("rating", 5, 6, SEVEN) == (True, 1 - 1 / 6)
    assert one("rating", 5, 3, SEVEN) == (False, 1 - 2 / 6)
    assert one("rating", 7, 1, SEVEN) == (False, 0)
    assert one("rating", 5, 6, SEVEN, tolerance=0)[0] is False
    assert one("rating", 5, 3, SEVEN, tolerance=2)[0] is True
    assert one("rating", 1, 2, {"min": 1, "max": 3}) == (False, 0.5)  # of three steps the next one is another answer
    assert one("rating", 1, 2, {"min": 1, "max": 4})[0] is True


def test_degrees_of_a_violation():
    assert one("rule", 0, 0) == (True, 1)
    assert one("rule", 4, 1) == (True, 0.25)  # both say that it is broken
    assert one("rule", 0, 1) == (False, 0.75)
    assert one("rule", 1, 0) == (False, 0.75)


def test_several_outputs_and_rules():
    gold = [of(4, 1), of(2, 2), of(6, 3), of(7, 4)]
    given = [of(4, 1), of(3, 2), of(6, 3), of(1, 4), of(1, 5)]  # the one of output 5 is not looked at
    assert score("rating", gold, given, settings=SEVEN) == (True, pytest.approx((1 + 5 / 6 + 1 + 0) / 4))
    assert score("rating", gold, given, settings=SEVEN, share=0.8).passed is False
    left_out = [one for one in given if one["completion"] != 3]
    assert score("rating", gold, left_out, settings=SEVEN) == (False, pytest.approx((1 + 5 / 6 + 0 + 0) / 4))
    assert score("rating", gold, [*left_out, of(None, 3)], settings=SEVEN).passed is False
    rules = [of(0, 1, 8), of(3, 1, 9)]
    assert score("rule", rules, [of(3, 1, 8), of(0, 1, 9)], settings={}) == (False, 0.25)
    assert score("rule", rules, [of(4, 1, 9), of(0, 1, 8)], settings={}) == (True, 0.875)
    assert score("rating", gold, [], settings=SEVEN) == (False, 0)


@given(st.lists(st.tuples(st.integers(1, 7), st.integers(1, 7)), min_size=1, max_size=6))
def test_a_share_lies_between_0_and_1(pairs):
    gold = [of(known, at) for at, (known, _said) in enumerate(pairs)]
    given = [of(said, at) for at, (_known, said) in enumerate(pairs)]
    assert 0 <= score("rating", gold, given, settings=SEVEN).share <= 1
    assert score("rating", gold, gold, settings=SEVEN) == (True, 1)


@pytest.mark.parametrize("kind", ["text", "span", "demonstration"])
def test_what_is_written_cannot_be_scored(kind):
    with pytest.raises(ValueError, match=kind):
        one(kind, "so", "so")


def test_a_known_answer_without_values_is_refused():
    with pytest.raises(ValueError, match="without any value"):
        score("choice", [], [of("a")], settings=OPTIONS)


# --- Researchers ------------------------------------------------------------------------------------------------------


def equal(one, other):
    return one == other


def near(one, other):
    return abs(one[0]["value"] - other[0]["value"]) <= 1


def said(*values):
    return [[of(value)] for value in values]


def test_the_answer_that_most_researchers_share():
    assert agreed(said("a", "a"), equal) == ([of("a")], 2)
    assert agreed(said("b", "a", "a"), equal) == ([of("a")], 2)
    assert agreed(said("b", "a", "b", "a", "b"), equal) == ([of("b")], 3)
    assert agreed(said("a", "b"), equal) == (None, 1)
    assert agreed(said("a", "a", "b", "b"), equal) == (None, 2)
    assert agreed(said("a"), equal) == (None, 1)
    assert agreed([], equal) == (None, 0)


def test_answers_that_agree_with_one_that_lies_between_them():
    assert agreed(said(1, 2, 3), near) == ([of(2)], 3)
    assert agreed(said(1, 2, 3, 4), near) == ([of(2)], 3)  # 2 and 3 are the same to it, each with three: the first
    assert agreed(said(1, 2, 5, 6), near) == (None, 2)


def people(**answers):
    return {name: [of(value)] for name, value in answers.items()}


def test_each_researcher_beside_what_the_others_agree_on():
    items = [
        people(ada="a", ben="a", cy="a"),  # each beside two who agree: three of three
        people(ada="a", ben="a", cy="b"),  # ada beside a and b, ben likewise: nothing; cy beside two a: no
        people(ada="a", ben="b", cy="c"),  # nobody shares anything
        people(ada="b", ben="b"),  # each beside the other: two of two
        people(ada="b", ben="a"),  # none of two
        people(cy="a"),  # nobody else
    ]
    found = leave_one_out(items, equal, equal)
    assert found.by_researcher == {"ada": (2, 3), "ben": (2, 3), "cy": (1, 2)}
    assert (found.accuracy, found.n, found.items) == (5 / 8, 8, 4)
    # Between items: sums of what is right less 5/8 of what was compared: 9/8, -5/8, 6/8, -10/8; squares sum to 242/64.
    # Variance 242/64 × 4/3 / 64 = .0787760, its root .2806706, times t(3) at .975, 3.182446: half is .8932192.
    assert (found.low, found.high) == (0, 1)
    tenfold = leave_one_out(items * 10, equal, equal)
    # 40 items: 10 × 242/64 × 40/39 / 6400 = .00605970, its root .0778441; t(39) is 2.022691: half is .1574546.
    assert (tenfold.low, tenfold.high) == pytest.approx((0.4675454, 0.7824546), abs=1e-6)
    assert (tenfold.accuracy, tenfold.n, tenfold.items) == (5 / 8, 80, 40)


def test_researchers_who_always_agree_leave_some_doubt():
    found = leave_one_out([people(ada="a", ben="a")] * 20, equal, equal)
    assert (found.accuracy, found.n, found.items) == (1, 40, 20)
    assert (found.low, found.high) == pytest.approx((0.8389, 1), abs=5e-5)  # 20 / (20 + 3.841459)


def test_what_passes_may_be_less_than_what_is_the_same():
    # Of 4, 4 and 5: each 4 stands beside 4 and 5, which are not shared; 5 stands beside two 4 and is close enough.
    found = leave_one_out([people(ada=4, ben=4, cy=5)], equal, near)
    assert found.by_researcher == {"cy": (1, 1)}


def test_researchers_without_anything_to_compare():
    assert leave_one_out([people(ada="a"), people(ada="a", ben="b", cy="c")], equal, equal) == (
        None,
        None,
        None,
        0,
        0,
        {},
    )
    one_item = leave_one_out([people(ada="a", ben="a")], equal, equal)
    assert one_item == (1, None, None, 2, 1, {"ada": (1, 1), "ben": (1, 1)})
