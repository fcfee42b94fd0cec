"""When results are enough to decide on somebody, and how often such a rule is right. Published figures, and by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from itertools import product
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from annotate.vetting.characteristic import exact, items_to_separate, of_whole, simulated, too_close
from annotate.vetting.rules import (
    APPROVE,
    CODES,
    GOING_ON,
    REJECT,
    UNDECIDED,
    ByHand,
    Fixed,
    Mean,
    Posterior,
    RuleError,
    Sprt,
    Top,
    decide,
    from_settings,
    p_at_least,
    to_settings,
    top,
    wilson,
)

ROOT = Path(__file__).resolve().parents[1]

# True ability: approved, rejected, undecided, items on average. Of 20,000 simulated people.
SPRT = {
    0.60: (0.007, 0.944, 0.049, 23.6),
    0.70: (0.128, 0.538, 0.334, 39.8),
    0.80: (0.683, 0.070, 0.247, 39.9),
    0.90: (0.997, 0.001, 0.002, 22.6),
}
POSTERIOR = {
    0.60: (0.013, 0.953, 0.034, 19.2),
    0.70: (0.107, 0.626, 0.268, 32.1),
    0.80: (0.546, 0.139, 0.315, 35.5),
    0.90: (0.981, 0.006, 0.013, 19.2),
}
TABLE = [(rule, p, row) for rule, rows in ((Sprt(), SPRT), (Posterior(), POSTERIOR)) for p, row in rows.items()]
EVERY_RULE = [Sprt(), Posterior(), Fixed(), ByHand(), Top(places=3), Mean()]


# --- Proportions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (45, 60, 0.6277, 0.8422),
        (15, 20, 0.5313, 0.8881),
        (0, 0, 0, 1),
    ],
)
def test_the_interval_of_a_share(k, n, low, high):
    assert wilson(k, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("k", "n", "chance"), [(45, 60, 0.4608), (15, 20, 0.4334), (0, 0, 0.25), (1, 1, 0.4375)])
def test_how_sure_results_make_one_that_the_target_is_reached(k, n, chance):
    assert p_at_least(k, n, 0.75) == pytest.approx(chance, abs=5e-5)  # of one right: 1 - .75 ** 2


# --- Rules ------------------------------------------------------------------------------------------------------------


def test_the_sequential_test_has_the_bounds_and_steps_of_its_errors():
    rule = Sprt()
    assert (rule.upper, rule.lower) == pytest.approx((2.890372, -2.251292), abs=1e-6)
    assert (rule.log_ratio(1, 1), rule.log_ratio(0, 1)) == pytest.approx((0.207639, -0.559616), abs=1e-6)
    # 13 × .207639 = 2.6993 and 14 × .207639 = 2.9070; 4 × .559616 = 2.2385 and 5 × = 2.7981
    assert [rule.outcome(n, n) for n in (13, 14)] == [GOING_ON, APPROVE]
    assert [rule.outcome(0, n) for n in (4, 5)] == [GOING_ON, REJECT]
    # 45 × .207639 - 15 × .559616 = .9495
    assert [rule.outcome(44, 59), rule.outcome(45, 60)] == [GOING_ON, UNDECIDED]


def test_the_posterior_waits_for_its_least_and_is_undecided_at_its_cap():
    rule = Posterior(target=0.75, sure=0.9, least=3, cap=10)
    # Of n right in a row it is 1 - .75 ** (n + 1): .9 is reached after 8, for .75 ** 9 is .0751 and .75 ** 8 is .1001.
    assert [rule.outcome(n, n) for n in (7, 8)] == [GOING_ON, APPROVE]
    # Of n wrong it is .25 ** (n + 1), less than .1 from the first on.
    assert [rule.outcome(0, n) for n in (1, 2, 3)] == [GOING_ON, GOING_ON, REJECT]
    assert [rule.outcome(7, 9), rule.outcome(8, 10)] == [GOING_ON, UNDECIDED]


def test_the_other_rules():
    assert [Fixed().outcome(*at) for at in ((15, 19), (15, 20), (14, 20))] == [GOING_ON, APPROVE, REJECT]
    assert [ByHand(5).outcome(*at) for at in ((4, 4), (5, 5), (0, 5))] == [GOING_ON, UNDECIDED, UNDECIDED]
    assert [Top(3, least=5).outcome(*at) for at in ((4, 4), (5, 5))] == [GOING_ON, UNDECIDED]
    assert [rule.cap for rule in (Fixed(), ByHand(5), Top(3, least=5))] == [20, 5, 5]
    assert [Mean().outcome_of(marks) for marks in ([], [7, 7], [7, 5, 6], [7, 5, 5.9])] == [
        GOING_ON,
        GOING_ON,
        APPROVE,
        REJECT,
    ]
    assert Mean(mean=6.1).outcome_of([6.1, 6.1, 6.1]) == APPROVE


def test_what_comes_after_the_decision_does_not_matter():
    expected = (APPROVE, 14, 14)
    assert decide(Sprt(), [True] * 14)[:3] == expected
    assert decide(Sprt(), [True] * 14 + [False] * 40)[:3] == expected
    assert decide(Sprt(), [])[:3] == (GOING_ON, 0, 0)
    assert decide(Sprt(), [True] * 13)[:3] == (GOING_ON, 13, 13)


def test_a_decision_keeps_the_figures_it_rests_on():
    assert decide(Sprt(), [True] * 14).figures == {
        "wilson_low": 0.784689,  # n / (n + z²) of all right: 14 / (14 + 3.841459)
        "wilson_high": 1.0,
        "log_ratio": 2.906951,
        "upper": 2.890372,
        "lower": -2.251292,
    }
    posterior = decide(Posterior(least=1), [True] * 8)
    assert posterior == (APPROVE, 8, 8, {"wilson_low": 0.675592, "wilson_high": 1.0, "p_at_least": 0.924915})
    assert decide(ByHand(1), [False]).figures == {"wilson_low": 0.0, "wilson_high": 0.793451}
    for rule in (Sprt(), Posterior(), Fixed(), ByHand(), Top(places=1)):
        verdict = decide(rule, [True, False] * 30)
        assert json.loads(json.dumps(verdict.figures)) == verdict.figures


@given(st.lists(st.booleans(), max_size=70), st.integers(0, 4))
def test_a_decision_is_that_of_its_first_results_and_stands(results, at):
    rule = (Sprt(), Posterior(), Fixed(), ByHand(), Top(places=2))[at]
    verdict = decide(rule, results)
    assert verdict.k == sum(results[: verdict.n])
    assert verdict.n == min(len(results), rule.cap) or verdict.outcome != GOING_ON
    if verdict.outcome != GOING_ON:
        assert decide(rule, [*results, True])[:3] == decide(rule, results[: verdict.n])[:3] == verdict[:3]
        assert decide(rule, results[: verdict.n - 1]).outcome == GOING_ON


def test_the_best_of_a_cohort():
    people = {
        "three of three": (3, 3),  # .4385
        "forty of fifty": (40, 50),  # .6696
        "nine of ten": (9, 10),  # .5958
        "nobody": (0, 0),
        "nine of ten too": (9, 10),
    }
    assert top(people, 3) == ["forty of fifty", "nine of ten", "nine of ten too"]
    assert top(people, 9) == ["forty of fifty", "nine of ten", "nine of ten too", "three of three"]
    assert top({}, 3) == []


# --- Settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", EVERY_RULE)
def test_a_rule_comes_back_from_its_settings(rule):
    assert from_settings(json.loads(json.dumps(to_settings(rule)))) == rule


def test_what_is_not_set_is_as_by_default():
    assert from_settings({"kind": "sprt", "cap": 30}) == Sprt(p0=0.65, p1=0.80, alpha=0.05, beta=0.10, cap=30)
    assert to_settings(Top(places=3)) == {"kind": "top", "places": 3, "least": 20}


@pytest.mark.parametrize(
    ("settings", "field", "code"),
    [
        ({}, "kind", "unknown"),
        ({"kind": ["sprt"]}, "kind", "unknown"),
        ({"kind": "guess"}, "kind", "unknown"),
        ({"kind": "sprt", "right": 3}, "right", "unknown"),
        ({"kind": "top"}, "places", "needed"),
        ({"kind": "top", "places": 0}, "places", "places_1_or_more"),
        ({"kind": "top", "places": 2.0}, "places", "whole_number"),
        ({"kind": "sprt", "p0": 0.8}, "p0", "p0_below_p1"),
        ({"kind": "sprt", "p0": 0}, "p0", "between_0_and_1"),
        ({"kind": "sprt", "p1": 1.0}, "p1", "between_0_and_1"),
        ({"kind": "sprt", "p1": "0.8"}, "p1", "number"),
        ({"kind": "sprt", "p1": float("nan")}, "p1", "between_0_and_1"),
        ({"kind": "sprt", "alpha": 0.5}, "alpha", "between_0_and_half"),
        ({"kind": "sprt", "beta": True}, "beta", "number"),
        ({"kind": "sprt", "cap": 0}, "cap", "cap_1_to_500"),
        ({"kind": "sprt", "cap": 501}, "cap", "cap_1_to_500"),
        ({"kind": "posterior", "target": 1}, "target", "between_0_and_1"),
        ({"kind": "posterior", "sure": 0.5}, "sure", "between_half_and_1"),
        ({"kind": "posterior", "least": 61}, "least", "least_up_to_cap"),
        ({"kind": "posterior", "least": None}, "least", "whole_number"),
        ({"kind": "fixed", "n": 10}, "right", "right_up_to_n"),
        ({"kind": "fixed", "right": 0}, "right", "right_up_to_n"),
        ({"kind": "fixed", "n": 1000}, "n", "cap_1_to_500"),
        ({"kind": "by_hand", "n": True}, "n", "whole_number"),
        ({"kind": "mean", "mean": 7.5}, "mean", "mean_1_to_7"),
        ({"kind": "mean", "least": 0}, "least", "cap_1_to_500"),
    ],
)
def test_settings_that_no_rule_can_have(settings, field, code):
    with pytest.raises(RuleError) as caught:
        from_settings(settings)
    assert (caught.value.field, caught.value.code) == (field, code)
    assert str(caught.value) == f"{field}: {CODES[code]}"


# --- Operating characteristics ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "p", "row"), TABLE)
@pytest.mark.parametrize("work_out", [exact, simulated])
def test_the_published_table(work_out, rule, p, row):
    found = work_out(rule, p)
    assert found[1:4] == pytest.approx(row[:3], abs=0.01)
    assert found.items == pytest.approx(row[3], abs=0.3)


def test_twenty_items_with_fifteen_right_pass_the_weak_and_fail_the_good():
    assert exact(Fixed(20, 15), 0.65).approve == pytest.approx(0.245, abs=5e-4)
    assert exact(Fixed(20, 15), 0.80).reject == pytest.approx(0.196, abs=5e-4)


@pytest.mark.parametrize("rule", [Sprt(cap=9, alpha=0.2, beta=0.3), Posterior(least=2, cap=9, sure=0.8), Fixed(8, 6)])
def test_the_characteristic_is_that_of_all_ways_the_results_can_come(rule):
    p = 0.7
    shares, items = {APPROVE: 0.0, REJECT: 0.0, UNDECIDED: 0.0}, 0.0
    for results in product((True, False), repeat=rule.cap):
        chance = p ** sum(results) * (1 - p) ** (rule.cap - sum(results))
        verdict = decide(rule, results)
        shares[verdict.outcome] += chance
        items += chance * verdict.n
    found = exact(rule, p)
    assert found == pytest.approx((p, shares[APPROVE], shares[REJECT], shares[UNDECIDED], items), abs=1e-12)


@pytest.mark.parametrize(("p", "approve"), [(0, 0), (1, 1)])
def test_those_who_know_nothing_and_everything(p, approve):
    for rule in (Sprt(), Posterior(), Fixed()):
        assert exact(rule, p)[1:4] == (approve, 1 - approve, 0)
        assert simulated(rule, p, times=10)[1:4] == (approve, 1 - approve, 0)


def test_a_simulation_is_the_same_with_the_same_seed():
    assert simulated(Sprt(), 0.75, times=500, seed=3) == simulated(Sprt(), 0.75, times=500, seed=3)
    assert simulated(Sprt(), 0.75, times=500, seed=3) != simulated(Sprt(), 0.75, times=500, seed=4)


def test_a_test_of_two_parts():
    # One item each, right with .8: both .64, and one rejection is enough.
    whole = of_whole([Fixed(1, 1), Fixed(1, 1)], 0.8)
    assert whole == pytest.approx((0.8, 0.64, 0.36, 0, 2))
    # Beside a part that leaves everybody to a person, nobody is approved.
    assert of_whole([Fixed(1, 1), ByHand(3)], 0.8) == pytest.approx((0.8, 0, 0.2, 0.8, 4))
    assert of_whole([Sprt()], 0.7) == pytest.approx(exact(Sprt(), 0.7))
    both = of_whole([Sprt(), Posterior()], 0.8)
    assert both[1:4] == pytest.approx((0.683 * 0.546, 1 - 0.93 * 0.861, 0.428), abs=0.01)
    assert both[1] + both[2] + both[3] == pytest.approx(1)


# --- What no rule can do ----------------------------------------------------------------------------------------------


def test_how_many_items_it_takes_to_tell_two_abilities_apart():
    # Two right of two: .3 ** 2 = .09 of the one; .95 ** 2 = .9025 of the other. Of one item .3 would be too many.
    assert items_to_separate(0.3, 0.95) == 2
    assert items_to_separate(0.05, 0.95) == 1
    assert items_to_separate(0.70, 0.80) == 127
    # 127 items are enough and 126 are not, whatever number is asked for.
    assert errors(127, 0.70, 0.80) <= 0.1 < min(errors(n, 0.70, 0.80) for n in range(1, 127))
    for low, high, error in ((0.8, 0.8, 0.1), (0, 0.5, 0.1), (0.5, 1, 0.1), (0.5, 0.6, 0.5)):
        with pytest.raises(ValueError, match="between 0 and 1"):
            items_to_separate(low, high, error)


def errors(n, low, high):
    """The larger of both errors, with the number of right answers for which it is smallest."""
    return min(
        max(exact(Fixed(n, right), low).approve, exact(Fixed(n, right), high).reject)
        for right in range(max(1, int(n * low)), int(n * high) + 2)
    )


def test_abilities_that_no_rule_tells_apart_within_its_cap():
    found = too_close(cap=60, around=0.75)
    assert (0.7, 0.75, 523) in found and (0.7, 0.8, 127) in found
    assert all(items > 60 for _low, _high, items in found)
    assert len(found) == 11  # 6 pairs a step apart and 5 two steps apart, none of which 60 items tell apart
    assert (0.8, 0.9) not in [pair[:2] for pair in too_close(cap=100, around=0.75)]  # these take 86
    assert (0.75, 0.8) in [pair[:2] for pair in too_close(cap=100, around=0.75)]
    assert max(high for _low, high, _items in too_close(cap=10, around=0.95)) < 1
    assert too_close(cap=1000, around=0.75) == []


# --- The command ------------------------------------------------------------------------------------------------------


def printed(*arguments):
    out = StringIO()
    call_command("operating_characteristics", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_prints_what_is_worked_out_beside_what_is_simulated():
    lines = printed("--rule", "fixed", "--n", "20", "--right", "15", "--times", "2000").splitlines()
    assert lines[0] == "fixed: n 20, right 15"
    assert [line.split()[0] for line in lines[3:11]] == [
        f"{ability:.2f}" for ability in (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    ]
    assert lines[4].split()[:5] == ["0.65", "0.245", "0.755", "0.000", "20.0"]
    assert float(lines[4].split()[5]) == pytest.approx(0.245, abs=0.03)
    assert [line.partition(":")[0] for line in printed("--times", "10").splitlines() if ":" in line] == [
        "sprt",
        "posterior",
        "fixed",
    ]


def test_the_command_prints_json():
    found = json.loads(printed("--rule", "sprt", "--cap", "30", "--times", "100", "--seed", "5", "--json"))
    assert (found["times"], found["seed"]) == (100, 5)
    (table,) = found["rules"]
    assert table["rule"] == {"kind": "sprt", "p0": 0.65, "p1": 0.8, "alpha": 0.05, "beta": 0.1, "cap": 30}
    assert table["abilities"][2] == {
        "exact": exact(Sprt(cap=30), 0.7)._asdict(),
        "simulated": simulated(Sprt(cap=30), 0.7, 100, 5)._asdict(),
    }


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--p0", "0.5"], "--p0 is of one rule: say which one with --rule."),
        (["--rule", "sprt", "--p0", "0.9"], "--p0: it must be below p1."),
        (["--rule", "fixed", "--p0", "0.9"], "--p0 is no setting of the rule fixed: see --help."),
        (["--times", "0"], "--times must be at least 1"),
    ],
)
def test_the_command_says_what_is_wrong(arguments, reason):
    with pytest.raises(CommandError, match=reason):
        printed(*arguments)


def test_the_command_starts_no_server(tmp_path):
    var = tmp_path / "var"
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {"PLUMBLINE_VAR": str(var)}
    command = [sys.executable, "manage.py", "operating_characteristics", "--rule", "fixed", "--times", "10"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("fixed: n 20, right 15")
    assert [path.name for path in var.iterdir()] == ["secret_key"]
