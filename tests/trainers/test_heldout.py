"""The figures against values worked out by hand."""

import numpy as np
import pytest
from conftest import judgement

from trainers.heldout import figures, hits, others_agree, rate

# Pair p: X, X and Y. Pair q: X and X. Pair r: judged once.
ROWS = [
    judgement("p", "X", "Y", annotator="a"),
    judgement("p", "X", "Y", annotator="b"),
    judgement("p", "Y", "X", annotator="c"),
    judgement("q", "X", "Y", annotator="a"),
    judgement("q", "X", "Y", annotator="b"),
    judgement("r", "Y", "X", annotator="a"),
]


def prefers_x(row, side):
    return 1.0 if row[side][0]["content"] == "X" else 0.0


def test_the_human_reference_is_the_chance_that_another_person_agrees():
    # a has b (same) and c (other): 1/2; so has b. c has two that differ: 0. The two of q agree. r has no other.
    assert others_agree(ROWS) == [0.5, 0.5, 0.0, 1.0, 1.0, None]


def test_the_figures_are_over_the_rows_that_they_name():
    found = figures(ROWS, prefers_x, seed=0)
    assert found["accuracy"]["value"] == pytest.approx(4 / 6)
    assert (found["accuracy"]["rows"], found["accuracy"]["prompts"]) == (6, 3)
    assert found["human_reference"]["value"] == pytest.approx(3 / 5)
    assert found["accuracy_on_same_rows"]["value"] == pytest.approx(4 / 5)
    assert found["accuracy_minus_human"]["value"] == pytest.approx(1 / 5)
    for name in ("human_reference", "accuracy_on_same_rows", "accuracy_minus_human"):
        assert (found[name]["rows"], found[name]["prompts"]) == (5, 2)
    assert found["longer_answer"]["value"] == 0.5  # X and Y are of one length: each a tie


def test_the_same_person_twice_is_no_second_judge():
    rows = [judgement("p", "X", "Y", annotator="a"), judgement("p", "Y", "X", annotator="a")]
    assert others_agree(rows) == [None, None]
    found = figures(rows, prefers_x, seed=0)
    assert found["human_reference"] == {"undefined": "no held-out pair has two judges"}
    assert found["accuracy_minus_human"] == {"undefined": "no held-out pair has two judges"}
    assert found["accuracy"]["value"] == 0.5


def test_a_tie_in_score_counts_one_half():
    assert hits([1.0, 0.0, 2.0], [0.0, 1.0, 2.0]) == [1.0, 0.0, 0.5]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_score_that_is_not_finite_is_an_error_and_no_miss(bad):
    with pytest.raises(FloatingPointError, match="diverged"):
        hits([bad], [0.0])


def test_the_interval_resamples_prompts_not_rows():
    # Two prompts of 100 rows: a replicate is all of one (a quarter each) or one of each. Rows would give .43 to .57.
    found = rate([1.0] * 100 + [0.0] * 100, ["p"] * 100 + ["q"] * 100, seed=3)
    assert (found["value"], found["low"], found["high"]) == (0.5, 0.0, 1.0)


def test_the_interval_is_that_of_an_independent_bootstrap():
    generator = np.random.default_rng(5)
    prompts = [str(number) for number in range(40) for _ in range(number % 4 + 1)]
    values = [float(generator.random() < (0.9 if int(prompt) % 2 else 0.4)) for prompt in prompts]
    found = rate(values, prompts, seed=0)
    by_prompt = [[v for v, p in zip(values, prompts, strict=True) if p == name] for name in sorted(set(prompts))]
    means = []
    for _ in range(4000):
        drawn = [v for at in generator.integers(40, size=40) for v in by_prompt[at]]
        means.append(sum(drawn) / len(drawn))
    assert found["low"] == pytest.approx(np.quantile(means, 0.025), abs=0.015)
    assert found["high"] == pytest.approx(np.quantile(means, 0.975), abs=0.015)
    assert rate(values, prompts, seed=0) == found
    assert rate(values, prompts, seed=1) != found


def test_one_prompt_has_a_value_but_no_interval():
    assert rate([1.0, 0.0], ["p", "p"], seed=0) == {"value": 0.5, "low": None, "high": None, "rows": 2, "prompts": 1}
