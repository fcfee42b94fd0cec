"""Pairs from rankings: each implied by the order, none missing, the weights of a prompt at most 1."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.pairs import Judgement, is_held_out, prompt_pairs


def judgement(annotation=1, task=1, human=True, **tiers):
    return Judgement(annotation, task, human, tiers)


def test_a_ranking_with_a_tie_gives_its_strict_pairs_each_weighing_one_of_all_pairs():
    found = prompt_pairs("p", [judgement(a=1, b=2, c=2, d=4)])
    assert [(pair.chosen, pair.rejected, pair.rank_gap) for pair in found.pairs] == [
        ("a", "b", 1), ("a", "c", 1), ("a", "d", 3), ("b", "d", 2), ("c", "d", 2),
    ]  # fmt: skip
    assert all(pair.weight == pytest.approx(1 / 6) for pair in found.pairs)
    assert (found.compared, found.ties) == (6, 1)


def test_people_who_compared_a_pair_share_its_weight_also_those_who_tied():
    found = prompt_pairs("p", [judgement(1, a=1, b=2), judgement(2, a=2, b=1), judgement(3, a=1, b=1)])
    assert [(pair.chosen, pair.weight) for pair in found.pairs] == [("a", 1 / 3), ("b", 1 / 3)]
    assert len({pair.pair_id for pair in found.pairs}) == 1
    assert found.counts == [(1, 1, 1)]


def test_the_same_pair_in_two_tasks_of_a_prompt_is_one_pair_but_two_units_of_agreement():
    found = prompt_pairs("p", [judgement(1, task=1, a=1, b=2), judgement(2, task=2, b=1, a=2)])
    assert [pair.weight for pair in found.pairs] == [0.5, 0.5]
    assert found.counts == [(1, 0, 0), (1, 0, 0)]


def test_agreement_counts_people_only():
    found = prompt_pairs("p", [judgement(1, a=1, b=2), judgement(2, human=False, a=2, b=1)])
    assert len(found.pairs) == 2
    assert found.counts == [(1, 0, 0)]


rankings = st.lists(
    st.dictionaries(st.sampled_from("abcdefghi"), st.integers(1, 9), min_size=2), min_size=1, max_size=6
)


@given(rankings)
def test_every_pair_is_implied_none_is_missing_and_weights_sum_to_at_most_one(tiers):
    judgements = [Judgement(number, number, True, one) for number, one in enumerate(tiers)]
    found = prompt_pairs("p", judgements)
    got = {(pair.judgement.annotation, pair.chosen, pair.rejected) for pair in found.pairs}
    implied = {
        (number, *sorted(pair, key=one.get))
        for number, one in enumerate(tiers)
        for pair in combinations(one, 2)
        if one[pair[0]] != one[pair[1]]
    }
    assert got == implied
    assert len(found.pairs) == len(got)
    assert sum(pair.weight for pair in found.pairs) <= 1 + 1e-9
    assert sum(pair.weight for pair in found.pairs) == pytest.approx(1) or found.ties


@given(st.text(), st.text())
def test_a_group_stays_held_out_when_the_share_grows(group, salt):
    assert not is_held_out(group, salt, 0)
    if is_held_out(group, salt, 0.2):
        assert is_held_out(group, salt, 0.5)


def test_about_the_asked_share_of_groups_is_held_out():
    held = sum(is_held_out(str(number), "salt", 0.2) for number in range(10_000))
    assert 1_900 < held < 2_100
