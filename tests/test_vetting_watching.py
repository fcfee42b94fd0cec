"""Drift, streaks and speed of a person; how many known items to hand out, how long they last, which are wrong."""

from __future__ import annotations

from itertools import groupby, product
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotate.vetting.gold import forecast, rate, suspects
from annotate.vetting.watching import (
    cusum,
    ewma,
    longest_streak,
    retest,
    run_length,
    speed,
)

# --- Errors -----------------------------------------------------------------------------------------------------------


def test_errors_raise_the_sum_and_right_answers_lower_it_to_0_at_most():
    # An error adds ln 2 = .693147, a right answer ln(.70 / .85) = -.194156.
    path, alarms = cusum([False, True, False, True, True, False, False, False, False], threshold=4)
    assert path == pytest.approx(
        [0, 0.693147, 0.498991, 1.192138, 1.885285, 1.691129, 1.496973, 1.302817, 1.108661], abs=1e-5
    )
    assert alarms == []
    assert cusum([True, False, False, False, False]).path[-1] == 0


def test_an_alarm_starts_again_from_0():
    # 4 / .693147 = 5.77: six errors in a row give an alarm, and six more the next one.
    path, alarms = cusum([True] * 13)
    assert alarms == [5, 11]
    assert path == pytest.approx([log(2) * steps for steps in (1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 1)])
    assert cusum([True] * 10, threshold=3).alarms == [4, 9]
    assert cusum([]) == ([], [])


@pytest.mark.parametrize("rates", [(0.3, 0.15), (0.3, 0.3), (0, 0.3), (0.15, 1)])
def test_the_rates_have_to_be_in_order(rates):
    for what in (lambda: cusum([True], *rates), lambda: run_length(0.5, *rates)):
        with pytest.raises(ValueError, match="good below bad"):
            what()


@pytest.mark.parametrize(
    ("threshold", "p", "expected"),
    [(4, 0.15, 1180), (4, 0.30, 48), (4, 0.40, 24), (3, 0.15, 420), (3, 0.30, 33), (3, 0.40, 18)],
)
def test_how_long_until_an_alarm(threshold, p, expected):
    assert run_length(p, threshold=threshold) == pytest.approx(expected, rel=0.05)


def test_how_long_until_an_alarm_of_somebody_who_is_always_wrong():
    assert run_length(1.0) == pytest.approx(6)
    with pytest.raises(ValueError, match="never an alarm"):
        run_length(0)


def test_the_length_worked_out_is_that_of_drawn_results():
    errors = np.random.default_rng(7).random(60_000) < 0.4
    alarms = cusum(errors.tolist()).alarms  # about 2,450, of 24.4 each, give or take a third of one
    assert alarms[-1] / len(alarms) == pytest.approx(run_length(0.4), rel=0.05)


def test_the_rate_of_late():
    # Weights 1; 1, 1/2; 1, 1/2, 1/4 from the latest back.
    assert ewma([True, False, True], weight=0.5) == pytest.approx([1, 1 / 3, (1 + 0.25) / 1.75])
    assert ewma([True] * 50) == pytest.approx([1] * 50)
    assert ewma([True] * 200 + [False] * 7)[-1] == pytest.approx(0.9**7, abs=1e-6)
    assert ewma([]) == []


# --- Answers ----------------------------------------------------------------------------------------------------------


def test_the_longest_streak_of_a_coin():
    # Heads and tails equally often. Of four throws 2 have their longest run 4 long, 4 have 3, 8 have 2 and 2 have 1.
    found = longest_streak("HHTT")
    assert (found.length, found.value) == (2, "H")
    assert found.expected == pytest.approx((2 * 4 + 4 * 3 + 8 * 2 + 2 * 1) / 16)
    assert found.p == pytest.approx(14 / 16)
    assert longest_streak("HTHT").p == 1


@settings(max_examples=40)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=6))
def test_streaks_are_those_of_all_sequences(values):
    rates = {value: values.count(value) / len(values) for value in set(values)}
    length = longest(values)
    expected = p = 0.0
    for sequence in product(rates, repeat=len(values)):
        chance = float(np.prod([rates[value] for value in sequence]))
        expected += chance * longest(sequence)
        p += chance * (longest(sequence) >= length)
    found = longest_streak(values)
    assert (found.length, found.expected, found.p) == (length, pytest.approx(expected), pytest.approx(p))


def longest(values):
    return max(len(list(run)) for _value, run in groupby(values))


def test_streaks_that_chance_does_not_make():
    mixed = [1, 2, 3, 4] * 25
    assert longest_streak(mixed).p == 1
    stuck = [*mixed, *[4] * 25]
    found = longest_streak(stuck)
    assert (found.length, found.value) == (26, 4)
    assert found.p < 1e-6
    assert 3 < found.expected < 7
    # Who always says the same is no streak: that is his rate.
    assert longest_streak(["a"] * 50) == (50, "a", pytest.approx(50), pytest.approx(1))


def test_streaks_of_the_latest_thousand_only_and_of_any_values():
    assert longest_streak(["a"] * 900 + list(range(1000)))[:2] == (1, 0)
    assert longest_streak([{"tiers": {"1": 1, "2": 2}}, {"tiers": {"2": 2, "1": 1}}, ["a"]])[0] == 2
    assert longest_streak(["a"]) == (1, "a", 1, 1)
    assert longest_streak([]) == (0, None, 0, 1)


# --- Time, and the same again -----------------------------------------------------------------------------------------


def test_speed_beside_the_others_on_the_same_items():
    assert speed([10, 30, 20], [40, 30, 50, 1000]) == (20 / 45, 3)
    assert speed([], [40]) == (None, 0)
    assert speed([10], []) == (None, 1)
    assert speed([10], [0, 0]) == (None, 1)


def test_the_same_item_again():
    assert retest(["a", "b", "c"], ["a", "c", "c"], lambda one, other: one == other) == (2, 3)
    assert retest([], [], lambda one, other: True) == (0, 0)
    with pytest.raises(ValueError, match="shorter"):
        retest(["a", "b"], ["a"], lambda one, other: True)


# --- Known items ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("done", "unseen", "expected"),
    [(0, 100, 10), (49, 100, 10), (50, 100, 5), (50, 20, 5), (50, 10, 2.5), (0, 1, 0.5), (50, 0, 0)],
)
def test_the_rate_falls_before_the_items_end(done, unseen, expected):
    assert rate(percent_new=10, percent=5, new_tasks=50, done=done, unseen=unseen) == pytest.approx(expected)


def test_another_reserve():
    assert rate(percent_new=10, percent=5, new_tasks=0, done=0, unseen=3, reserve=4) == pytest.approx(3.75)


def test_who_has_seen_all_items_first():
    found = forecast(
        unseen={"ada": 30, "ben": 30, "cy": 0, "dot": 8},
        per_day={"ada": 100, "ben": 50, "cy": 10, "dot": 0},
        percent={"ada": 5, "ben": 20, "cy": 5, "dot": 5},
    )
    assert found.people == [("cy", 0), ("ben", 3), ("ada", 6), ("dot", None)]
    assert found.first_out == ("cy", 0)
    assert forecast(unseen={"dot": 8}, per_day={}, percent={}) == (None, [("dot", None)])
    assert forecast(unseen={}, per_day={}, percent={}) == (None, [])


def results(**missed):
    """Six good people and two bad ones on twelve items; `missed` says of an item which of the good ones failed it."""
    for item in "abcdefghijkl":
        for person in range(6):
            yield item, person, person not in missed.get(item, ())
        yield item, "bad", False
        yield item, "worse", False


def test_items_that_good_people_miss():
    found = suspects(results(a=range(6), b=range(5), c=[0, 1]))
    # 6 of 6: 6 / (6 + 3.841459) = .6097; 5 of 6: .4365; 2 of 6 (.0968) is no more than one expects of them.
    assert [(one.item, one.missed, one.n) for one in found] == [("a", 6, 6), ("b", 5, 6)]
    assert [one.low for one in found] == pytest.approx([0.6097, 0.4365], abs=5e-5)


def test_what_bad_people_miss_says_nothing():
    assert (
        suspects((item, person, right) for item, person, right in results() if person in (0, 1, "bad", "worse")) == []
    )
    assert suspects(results(a=range(6)), least_people=7) == []
    assert [one.item for one in suspects(results(a=range(6)), least_people=6)] == ["a"]
    assert suspects([]) == []


def test_people_are_good_by_their_other_items():
    # All miss a and have their eleven others right: for a they are good even where every one has to be right.
    assert [one.item for one in suspects(results(a=range(6)), target=1)] == ["a"]
    assert [one.item for one in suspects(results(a=range(6)), least_items=11)] == ["a"]
    assert suspects(results(a=range(6)), least_items=12) == []
