"""The figures of fine-tuning against values worked out by hand."""

import math

import numpy as np
import pytest

from trainers.heldout import ratio
from trainers.likelihood import by_template, completion_length, loss_figures, match_figures, no_figures


def row(group, tokens, *, text="x", template="t"):
    return {
        "labels": [-100] * 3 + [5] * tokens,
        "split_group": group,
        "dataset": "d",
        "template": template,
        "completion": [{"role": "assistant", "content": text}],
    }


ROWS = [row("a", 1), row("b", 1, template="u"), row("b", 8)]
BEFORE, AFTER = [4.0, 4.0, 32.0], [1.0, 2.0, 2.0]


def test_the_prompt_does_not_count():
    assert [completion_length(row) for row in ROWS] == [1, 1, 8]


def test_the_loss_is_the_mean_over_tokens_not_over_rows():
    found = loss_figures(ROWS, BEFORE, AFTER, seed=0)
    assert found["loss_before_training"]["value"] == 4.0
    assert found["loss"]["value"] == pytest.approx(5 / 10)  # the mean over rows would be (1 + 2 + 0.25) / 3
    assert found["loss_fall"]["value"] == pytest.approx(3.5)
    assert found["perplexity"]["value"] == pytest.approx(math.exp(0.5))
    assert found["perplexity_before_training"]["value"] == pytest.approx(math.exp(4))
    for figure in found.values():
        assert (figure["rows"], figure["tokens"], figure["split_groups"]) == (3, 10, 2)


def test_the_intervals_resample_groups_and_take_the_same_rows_before_and_after():
    found = loss_figures(ROWS, BEFORE, AFTER, seed=0)
    # A replicate is a and a (loss 1), b and b (4 / 9), or both (5 / 10): a quarter, a quarter, a half.
    assert (found["loss"]["low"], found["loss"]["high"]) == (pytest.approx(4 / 9), 1.0)
    # Before training every token costs 4, so the fall is 4 less the loss whichever groups are drawn.
    assert (found["loss_fall"]["low"], found["loss_fall"]["high"]) == (3.0, pytest.approx(4 - 4 / 9))
    assert found["loss_before_training"]["low"] == found["loss_before_training"]["high"] == 4.0
    assert found["perplexity"]["high"] == pytest.approx(math.e)


def test_the_interval_is_that_of_an_independent_bootstrap():
    generator = np.random.default_rng(3)
    groups = [str(number) for number in range(40) for _ in range(number % 3 + 1)]
    counts = generator.integers(1, 9, len(groups))
    totals = counts * generator.random(len(groups)) * [1 + int(group) % 2 for group in groups]
    found = ratio(totals, counts, groups, seed=0)
    members = [[at for at, group in enumerate(groups) if group == name] for name in sorted(set(groups))]
    values = []
    for _ in range(4000):
        drawn = [at for group in generator.integers(40, size=40) for at in members[group]]
        values.append(totals[drawn].sum() / counts[drawn].sum())
    assert found["value"] == pytest.approx(totals.sum() / counts.sum())
    assert found["low"] == pytest.approx(np.quantile(values, 0.025), abs=0.02)
    assert found["high"] == pytest.approx(np.quantile(values, 0.975), abs=0.02)


def test_one_group_has_values_but_no_intervals():
    found = loss_figures(ROWS[1:], BEFORE[1:], AFTER[1:], seed=0)
    assert {name: (figure["low"], figure["high"]) for name, figure in found.items()} == dict.fromkeys(
        found, (None, None)
    )


def test_the_losses_of_each_template_are_its_own():
    first, second = by_template(ROWS, BEFORE, AFTER)
    assert (first["template"], first["rows"], first["tokens"]) == ("t", 2, 9)
    assert (first["loss_before_training"], first["loss"]) == (pytest.approx(4), pytest.approx(1 / 3))
    assert (second["template"], second["loss"]) == ("u", 2.0)


def test_a_match_is_the_same_text_but_for_white_space_at_its_ends():
    rows = [row("a", 1, text=" yes\n"), row("b", 1, text="yes"), row("c", 1, text="no")]
    found = match_figures(rows, ["", "", ""], ["yes", "Yes", "no"], seed=0)
    assert found["exact_match_before_training"]["value"] == 0
    assert found["exact_match"]["value"] == pytest.approx(2 / 3)
    assert (found["exact_match"]["rows"], found["exact_match"]["split_groups"]) == (3, 3)


def test_a_perplexity_beyond_all_numbers_is_an_error():
    with pytest.raises(FloatingPointError, match="diverged"):
        loss_figures(ROWS, BEFORE, [1e4] * 3, seed=0)


def test_what_is_undefined_says_why():
    assert no_figures("why", generated=False)["loss"] == {"undefined": "why"}
    assert "exact_match" not in no_figures("why", generated=False)
    assert no_figures("why", generated=True)["exact_match"] == {"undefined": "why"}
