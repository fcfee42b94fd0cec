"""Labels, rankings as labels of pairs, and what is said of people: each two of them, and each with the others."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate import measures
from annotate.measures import (
    TIE,
    agreement_with_others,
    between_raters,
    fleiss_kappa,
    krippendorff_alpha,
    labels_of,
    pair_labels,
    pairwise_agreement,
    rater_pairs,
)

# --- Labels -----------------------------------------------------------------------------------------------------------


def test_labels_of():
    rows = [("p", "u", "ann", 0), ("p", "v", "ann", 2), ("q", "w", "bob", 1), ("p", "u", "bob", 2)]
    labels = labels_of(rows, 3, numbers=[1, 2, 3])
    assert (labels.units, labels.raters, labels.categories) == (["u", "v", "w"], ["ann", "bob"], 3)
    assert labels.groups.tolist() == [0, 0, 1]
    assert list(zip(labels.unit.tolist(), labels.rater.tolist(), labels.value.tolist(), strict=True)) == [
        (0, 0, 0),
        (1, 0, 2),
        (2, 1, 1),
        (0, 1, 2),
    ]
    assert labels.counts.tolist() == labels.table.toarray().tolist() == [[1, 0, 1], [0, 0, 1], [0, 1, 0]]
    assert labels.numbers.tolist() == [1, 2, 3]
    bob = labels.only(labels.rater == 1)
    assert (bob.units, bob.raters, bob.groups.tolist()) == (labels.units, labels.raters, [0, 0, 1])
    assert bob.counts.tolist() == [[0, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert labels.counts[0].tolist() == [1, 0, 1]  # what was counted before is not the subset's


def test_labels_of_nothing():
    labels = labels_of([], 4)
    assert labels.counts.shape == labels.table.shape == (0, 4)
    assert krippendorff_alpha(labels.table, labels.groups).undefined_because == measures.NO_UNIT
    assert agreement_with_others(labels) == []
    assert [matrix.shape for matrix in between_raters(labels)] == [(0, 0), (0, 0)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("p", "u", "ann", 0), ("p", "u", "bob", 0), ("p", "u", "ann", 1)], "rater 'ann' gave unit 'u' two values"),
        ([("p", "u", "ann", 0), ("p", "u", "ann", 0)], "rater 'ann' gave unit 'u' two values"),
        ([("p", "u", "ann", 0), ("q", "u", "bob", 0)], "unit 'u' has two prompts"),
        ([("p", "u", "ann", 3)], "3 is not one of the 3 categories"),
        ([("p", "u", "ann", -1)], "-1 is not one of the 3 categories"),
    ],
)
def test_labels_that_contradict_themselves_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        labels_of(rows, 3)
    with pytest.raises(ValueError, match="one entry for each"):
        labels_of([], 3, numbers=[1, 2])


# --- Rankings as pairs ------------------------------------------------------------------------------------------------


def test_pair_labels():
    labels = pair_labels(
        [
            ("p1", "t1", "ann", {"c": 1, "a": 2, "b": 2}),
            ("p1", "t1", "bob", {"a": 1, "b": 3}),  # c not ranked
            ("p1", "t2", "ann", {"a": 1, "b": 2}),  # another task: other units, the same prompt
            ("p2", "t3", "ann", {"x": 5, "y": 4}),
            ("p2", "t4", "ann", {"x": 1}),
            ("p2", "t5", "ann", {}),
            ("p2", "t6", "ann", {"x": None, "y": None, "z": 1}),  # below all others, and not among each other
        ]
    )
    found = {
        key: (row, group) for key, row, group in zip(labels.units, labels.counts.tolist(), labels.groups, strict=True)
    }
    same_prompt, other = found["t1", "a", "b"][1], found["t3", "x", "y"][1]
    assert same_prompt != other
    assert found == {
        ("t1", "a", "b"): ([1, 1, 0], same_prompt),
        ("t1", "a", "c"): ([0, 0, 1], same_prompt),
        ("t1", "b", "c"): ([0, 0, 1], same_prompt),
        ("t2", "a", "b"): ([1, 0, 0], same_prompt),
        ("t3", "x", "y"): ([0, 0, 1], other),
        ("t6", "x", "z"): ([0, 0, 1], other),
        ("t6", "y", "z"): ([0, 0, 1], other),
    }
    assert labels.raters == ["ann", "bob"]
    assert (labels.categories, labels.numbers) == (3, None)
    of_bob = labels.only(labels.rater == 1)
    assert [(labels.units[at], value) for at, value in zip(of_bob.unit, of_bob.value, strict=True)] == [
        (("t1", "a", "b"), 0)
    ]


def test_pair_labels_of_nothing():
    labels = pair_labels([])
    assert (labels.counts.shape, labels.groups.shape, labels.units) == ((0, 3), (0,), [])
    assert krippendorff_alpha(labels.counts, labels.groups).undefined_because == measures.NO_UNIT
    assert pair_labels([("p", "t", "ann", {})]).counts.shape == (0, 3)


def test_pair_labels_refuses_a_person_counted_twice_and_a_task_of_two_prompts():
    with pytest.raises(ValueError, match="annotator 'ann' ranked task 't' twice"):
        pair_labels([("p", "t", "ann", {1: 1, 2: 2}), ("p", "t", "ann", {1: 2, 2: 1})])
    with pytest.raises(ValueError, match="annotator 'ann' ranked task 't' twice"):
        pair_labels([("p", "t", "ann", {1: 1, 2: 2}), ("p", "s", "ann", {1: 1}), ("p", "t", "ann", {1: 2, 2: 1, 3: 3})])
    with pytest.raises(ValueError, match="task 't' has two prompts"):
        pair_labels([("p", "t", "ann", {1: 1, 2: 2}), ("q", "t", "bob", {1: 2, 2: 1})])


rankings = st.dictionaries(
    st.tuples(st.integers(0, 3), st.integers(0, 4)),
    st.dictionaries(st.integers(0, 5), st.none() | st.integers(1, 4)),
    max_size=12,
)


@given(rankings, st.randoms(use_true_random=False))
def test_pair_labels_against_the_slow_reference(ranked, random):
    rows = [(task // 2, task, annotator, tiers) for (task, annotator), tiers in ranked.items()]
    expected = Counter()
    for _, task, annotator, tiers in rows:
        place = {key: 99 if tier is None else tier for key, tier in tiers.items()}
        for a, b in combinations(sorted(tiers), 2):
            if not tiers[a] is tiers[b] is None:
                said = 0 if place[a] < place[b] else 2 if place[a] > place[b] else TIE
                expected[(task, a, b), annotator, said] += 1
    random.shuffle(rows)
    rows = [(p, t, who, dict(random.sample(list(tiers.items()), len(tiers)))) for p, t, who, tiers in rows]
    labels = pair_labels(rows)
    found = Counter(
        (labels.units[unit], labels.raters[rater], value)
        for unit, rater, value in zip(labels.unit, labels.rater, labels.value.tolist(), strict=True)
    )
    assert found == expected
    prompts = defaultdict(set)
    for group, (task, _, _) in zip(labels.groups.tolist(), labels.units, strict=True):
        prompts[group].add(task // 2)
    assert all(len(of_group) == 1 for of_group in prompts.values())
    assert len(prompts) == len({key[0] // 2 for key, _, _ in expected})


def test_permuting_people_changes_nothing():
    rng = np.random.default_rng(2)
    rows = [(t, t, who, dict(enumerate(rng.integers(1, 4, 4).tolist()))) for t in range(20) for who in "abc"]
    renamed = [(p, t, {"a": "c", "b": "a", "c": "b"}[who], tiers) for p, t, who, tiers in reversed(rows)]
    one, other = pair_labels(rows), pair_labels(renamed)
    for measure in (pairwise_agreement, fleiss_kappa, krippendorff_alpha):
        assert measure(one.counts, one.groups) == measure(other.counts, other.groups)


# --- Each two raters --------------------------------------------------------------------------------------------------


def crowd(seed=1, raters=7, units=60, categories=3):
    rng = np.random.default_rng(seed)
    return [
        (unit // 3, unit, f"r{rater}", int(rng.integers(0, categories)))
        for unit in range(units)
        for rater in rng.choice(raters, rng.integers(1, 5), replace=False).tolist()
    ]


@pytest.mark.parametrize("tie", [None, TIE])
@pytest.mark.parametrize("least", [1, 8, 1000])
def test_between_raters_against_counting(tie, least):
    rows = crowd()
    labels = labels_of(rows, 3)
    said = {(rater, unit): value for _, unit, rater, value in rows if value != tie}
    expected = {}
    for a, b in combinations(labels.raters, 2):
        both = [unit for rater, unit in said if rater == a and (b, unit) in said]
        expected[a, b] = (len(both), sum(said[a, unit] == said[b, unit] for unit in both))
    shared, agreed = between_raters(labels, tie, least)
    assert (shared == shared.T).all() and (agreed == agreed.T).all()
    assert not shared.diagonal().any() and not agreed.diagonal().any()
    for (i, a), (j, b) in combinations(enumerate(labels.raters), 2):
        enough = expected[a, b][0] >= least
        assert (shared[i, j], agreed[i, j]) == (expected[a, b] if enough else (0, 0))
    pairs = rater_pairs(labels, tie, least)
    assert list(zip(pairs.one.tolist(), pairs.other.tolist(), strict=True)) == [
        (i, j) for (i, a), (j, b) in combinations(enumerate(labels.raters), 2) if expected[a, b][0] >= least
    ]
    assert pairs.shared.tolist() == [shared[i, j] for i, j in zip(pairs.one, pairs.other, strict=True)]
    assert pairs.agreed.tolist() == [agreed[i, j] for i, j in zip(pairs.one, pairs.other, strict=True)]


# --- Each rater with the others ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("tie", [None, TIE])
def test_agreement_with_others_against_counting(tie):
    rows = crowd()
    labels = labels_of(rows, 3)
    said = defaultdict(dict)
    for _, unit, rater, value in rows:
        if value != tie:
            said[unit][rater] = value
    for rater, measure in zip(labels.raters, agreement_with_others(labels, tie), strict=True):
        own = {unit: values for unit, values in said.items() if rater in values}
        pairs = [v == values[rater] for values in own.values() for who, v in values.items() if who != rater]
        shared = [unit for unit, values in own.items() if len(values) > 1]
        assert measure.value == pytest.approx(sum(pairs) / len(pairs))
        assert measure.low < measure.value < measure.high
        assert measure.n_values == len(pairs)
        assert (measure.n_units, measure.n_dropped) == (len(shared), len(own) - len(shared))
        assert measure.n_groups == len({unit // 3 for unit in shared})
        assert measure.name == "agreement_with_others"


def test_the_pairs_of_raters_add_up_to_each_ones_agreement_with_the_others():
    labels = labels_of(crowd(), 3)
    shared, agreed = between_raters(labels, least=1)
    for measure, s, a in zip(agreement_with_others(labels), shared.sum(axis=1), agreed.sum(axis=1), strict=True):
        assert (measure.n_values, measure.value) == (s, pytest.approx(a / s))


def test_who_judged_alone_has_no_agreement_with_others():
    alone, *others = agreement_with_others(labels_of([("p", 1, "ann", 0), ("p", 2, "bob", 0), ("p", 2, "cyd", 0)], 2))
    assert (alone.value, alone.low, alone.undefined_because) == (None, None, measures.NOBODY_ELSE)
    assert (alone.n_units, alone.n_dropped) == (0, 1)
    for one in others:
        assert (one.value, one.low, one.no_interval_because) == (1, None, measures.ONE_GROUP)


def test_who_agrees_every_time_has_an_interval_all_the_same():
    rows = [(unit, unit, rater, unit % 2) for unit in range(20) for rater in "ab"]
    for measure in agreement_with_others(labels_of(rows, 2)):
        # Wilson's interval of 20 of 20
        assert (measure.value, measure.high) == (1, pytest.approx(1))
        assert measure.low == pytest.approx(0.8389, abs=5e-5)


def test_agreement_with_one_other_has_wilsons_interval():
    # 45 of 60 units, each of its own prompt: 0.6277 to 0.8422 (Wilson 1927)
    rows = [row for unit in range(60) for row in [(unit, unit, "a", 0), (unit, unit, "b", int(unit >= 45))]]
    measure = agreement_with_others(labels_of(rows, 2))[0]
    assert (measure.low, measure.high) == (pytest.approx(0.6277, abs=0.002), pytest.approx(0.8422, abs=0.002))


def test_units_of_one_prompt_are_no_independent_evidence():
    def half(per_prompt):
        rows = [
            (unit // per_prompt, unit, who, int(who == "b" and unit // per_prompt % 4 == 0))
            for unit in range(40 * per_prompt)
            for who in "ab"
        ]
        measure = agreement_with_others(labels_of(rows, 2))[0]
        assert measure.value == pytest.approx(0.75)
        return measure.high - measure.low

    # Six units of a prompt that all say the same say no more than one
    assert half(6) == pytest.approx(half(1), rel=0.02)
