"""One value from many labels: Dawid and Skene's own table, and what a consensus has to keep to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.consensus import dawid_skene, majority, one_coin
from annotate.measures import Labels, labels_of

# Dawid and Skene 1979, table 1: 45 patients, the first observer three times, then four others.
PATIENTS = """1111111 3334334 1122122 2223121 2223222 2223322 1222111 3333433 2222223 2322223 4444444 2223343 1111111
2223212 1211111 1112111 1111111 1111111 2222221 2221322 2222222 2222221 2223222 2212222 1111111 1111111 2322222 1111111
1111111 1121121 1111111 3333233 1111111 2222222 2223232 4334343 2212232 2323233 3333432 1111111 1111111 1212111 2322222
1211111 2222222"""
OBSERVERS = [0, 0, 0, 1, 2, 3, 4]
MARGINALS = [0.399555, 0.421983, 0.111795, 0.066667]
ERRORS = """.889488 .110512 0 0 / .070585 .876380 .053035 0 / 0 .338822 .661178 0 / 0 0 .555556 .444444
.834214 .165786 0 0 / .052707 .632946 .314347 0 / 0 0 1 0 / 0 0 0 1
1 0 0 0 / .106378 .788299 .105323 0 / 0 .403671 .198776 .397552 / 0 0 .666667 .333333
.944430 .055570 0 0 / .053672 .842627 .103702 0 / 0 0 .801224 .198776 / 0 0 .333333 .666667
1 0 0 0 / .159039 .734520 .106440 0 / 0 .209114 .790886 0 / 0 0 .333333 .666667"""
UNSURE = {7: (0.9810, 0.0190, 0, 0), 30: (0.9991, 0.0009, 0, 0), 35: (0, 0.9480, 0.0520, 0), 38: (0, 0.0212, 0.9788, 0)}

METHODS = [majority, dawid_skene, one_coin]
MODELS = [dawid_skene, one_coin]


def patients() -> Labels:
    """Made by hand, since `labels_of` rightly refuses that one rater gives a unit three values."""
    table = [[int(digit) - 1 for digit in row] for row in PATIENTS.split()]
    unit, observer = np.repeat(np.arange(45), 7), np.tile(OBSERVERS, 45)
    value = np.array(table).ravel()
    return Labels(unit, observer, value, np.arange(45), 4, list(range(1, 46)), list("12345"))


def labelled(rows, categories=3):
    """Labels of {unit: {rater: value}}."""
    return labels_of(((unit, unit, rater, v) for unit, by in rows.items() for rater, v in by.items()), categories)


def crowd(seed, units=400, raters=30, each=3, categories=3, accuracy=(8, 3)):
    """Labels of people of whom each has an accuracy, the truth, and the accuracies."""
    rng = np.random.default_rng(seed)
    truth, right = rng.integers(0, categories, units), rng.beta(*accuracy, raters)
    unit = np.repeat(np.arange(units), each)
    rater = np.concatenate([rng.permutation(raters)[:each] for _ in range(units)])
    wrong = (truth[unit] + rng.integers(1, categories, len(unit))) % categories
    value = np.where(rng.random(len(unit)) < right[rater], truth[unit], wrong)
    return (
        Labels(unit, rater, value, np.arange(units), categories, list(range(units)), list(range(raters))),
        truth,
        right,
    )


# --- Published values ---


def test_dawid_and_skene_1979():
    found = dawid_skene(patients(), smoothing=0, tolerance=1e-14)
    assert found.log_likelihood == pytest.approx(-192.890881, abs=5e-7)
    assert found.converged
    assert found.prior == pytest.approx(MARGINALS, abs=5e-7)
    errors = [[row.split() for row in observer.split("/")] for observer in ERRORS.splitlines()]
    assert found.confusion == pytest.approx(np.array(errors, dtype=float), abs=6e-7)
    for patient, posterior in UNSURE.items():
        assert found.posterior[patient - 1] == pytest.approx(posterior, abs=5e-5)
    others = [patient - 1 for patient in range(1, 46) if patient not in UNSURE]
    assert found.confidence[others].min() > 0.9997  # the 42nd patient's, all else is 1
    assert not found.tied.any()


def test_smoothing_leaves_no_error_impossible():
    found = dawid_skene(patients())
    assert found.confusion.min() > 0
    assert found.value.tolist() == dawid_skene(patients(), smoothing=0, tolerance=1e-14).value.tolist()


# --- Each method ---


def test_a_majority_reports_ties_and_shares():
    found = majority(labelled({"a": {"x": 0, "y": 1}, "b": {"x": 2, "y": 2, "z": 1}, "c": {"x": 0, "y": 1, "z": 2}}))
    assert found.value.tolist() == [-1, 2, -1]
    assert found.tied.tolist() == [True, False, True]
    assert found.confidence == pytest.approx([1 / 2, 2 / 3, 1 / 3])
    assert found.votes.tolist() == [[1, 1, 0], [0, 1, 2], [1, 1, 1]]
    assert found.reliability is None


@pytest.mark.parametrize("method", METHODS)
def test_a_unit_without_votes_has_no_value(method):
    labels = labelled({"a": {"x": 0, "y": 0}, "b": {"x": 1, "y": 1}, "c": {"x": 2, "y": 2}})
    found = method(labels.only(labels.unit != 1))
    assert found.value.tolist() == [0, -1, 2]
    assert (found.tied[1], found.confidence[1]) == (False, 0)
    assert found.posterior.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("method", METHODS)
def test_without_any_label_it_says_why(method):
    labels = labelled({"a": {"x": 0}})
    found = method(labels.only(np.array([False])))
    assert found.undefined_because == "nobody has given a label"
    assert found.value.tolist() == [-1]
    assert found.log_likelihood is None
    assert method(labels).undefined_because is None


@pytest.mark.parametrize("method", METHODS)
def test_one_category_is_no_choice(method):
    with pytest.raises(ValueError, match="two categories"):
        method(labelled({"a": {"x": 0}}, categories=1))


@pytest.mark.parametrize("method", MODELS)
@pytest.mark.parametrize(("each", "accuracy"), [(3, (8, 3)), (5, (8, 3)), (2, (6, 3))])
def test_models_are_right_more_often_than_the_majority(method, each, accuracy):
    labels, truth, _ = crowd(1, units=1500, raters=25, each=each, accuracy=accuracy)
    voted = majority(labels)
    by_vote = np.where(voted.tied, 1 / 3, voted.value == truth).mean()
    assert (method(labels).value == truth).mean() > by_vote + 0.01


@pytest.mark.parametrize("method", MODELS)
def test_models_find_how_reliable_people_are(method):
    labels, _, right = crowd(2, units=3000, raters=20, each=5)
    found = method(labels)
    assert found.reliability == pytest.approx(right, abs=0.06)


def test_somebody_who_answers_the_wrong_way_round_counts_against():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 300)
    rows = {unit: {r: int(truth[unit] ^ (rng.random() < 0.15)) for r in range(4)} for unit in range(300)}
    for unit, by_rater in rows.items():
        by_rater["contrary"] = int(1 - truth[unit])
    found = one_coin(labelled(rows, categories=2))
    assert found.reliability[-1] < 0.1
    right = (found.value == truth).mean()
    assert right >= 0.98  # the contrary one tells the truth, in a way
    assert (majority(labelled(rows, categories=2)).value == truth).mean() < right - 0.05


def test_one_label_makes_nobody_infallible():
    labels, truth, _ = crowd(4, units=200, raters=10, each=3)
    extra = replace(
        labels,
        unit=np.append(labels.unit, 0),
        rater=np.append(labels.rater, 10),
        value=np.append(labels.value, truth[0]),
        raters=[*labels.raters, "new"],
    )
    found = one_coin(extra)
    assert found.labels[-1] == 1
    assert 0.5 < found.reliability[-1] < found.reliability[:10].max()


def test_two_labels_a_unit_do_not_make_everything_one_category():
    """Where the prior of categories is fitted too, EM often ends there."""
    for seed in range(5):
        labels, truth, _ = crowd(seed, units=500, raters=100, each=2, categories=2, accuracy=(9, 3))
        found = one_coin(labels)
        assert np.bincount(found.value[found.value >= 0], minlength=2).min() > 150
        assert (found.value == truth).mean() > 0.72


def test_rare_categories_can_have_a_prior_of_the_votes():
    rows = {unit: dict.fromkeys(range(3), 0) for unit in range(40)} | {
        "split": {0: 0, 1: 1},
        "rare": {0: 1, 1: 1, 2: 1},
    }
    labels = labelled(rows, categories=2)
    assert one_coin(labels).tied[40]
    found = one_coin(labels, prior="votes")
    assert (found.value[40], found.value[41]) == (0, 1)
    with pytest.raises(ValueError, match="unknown prior"):
        one_coin(labels, prior="fitted")


def test_pairs_have_no_side():
    """First and second better are one thing seen from two sides: the prior and the errors are shared."""
    rng = np.random.default_rng(5)
    rows = {unit: {r: int(v) for r, v in enumerate(rng.choice(3, 3, p=[0.6, 0.1, 0.3]))} for unit in range(100)}
    labels = labelled(rows)
    found = one_coin(labels, prior="votes", mirrored=True)
    assert found.prior[0] == pytest.approx(found.prior[2])
    assert found.prior[1] < 0.2
    model = dawid_skene(labels, mirrored=True)
    assert model.prior == pytest.approx(model.prior[::-1])
    assert model.confusion == pytest.approx(model.confusion[:, ::-1, ::-1])
    turned = replace(labels, value=2 - labels.value)
    for method in (lambda x: one_coin(x, prior="votes", mirrored=True), lambda x: dawid_skene(x, mirrored=True)):
        assert method(turned).posterior[:, ::-1] == pytest.approx(method(labels).posterior, abs=1e-6)


@pytest.mark.parametrize("method", MODELS)
def test_gold_stays_and_teaches(method):
    labels, truth, _ = crowd(6, units=150, raters=6, each=3)
    gold = {unit: int((truth[unit] + 1) % 3) for unit in range(20)}  # wrong on purpose: it stays all the same
    found = method(labels, gold)
    assert found.value[:20].tolist() == list(gold.values())
    assert (found.confidence[:20] == 1).all()
    assert (found.reliability < method(labels).reliability).all()
    nobody = labels.only(labels.unit != 7)
    assert method(nobody, {7: 2}).value[7] == 2


@pytest.mark.parametrize("method", MODELS)
@pytest.mark.parametrize("gold", [{99: 0}, {0: 3}, {-1: 0}])
def test_gold_of_nothing_is_refused(method, gold):
    with pytest.raises(ValueError, match="gold names unit"):
        method(labelled({"a": {"x": 0}}), gold)


def test_the_cap_is_kept_and_told():
    found = dawid_skene(patients(), smoothing=0, iterations=3)
    assert (found.iterations, found.converged) == (3, False)
    with pytest.raises(ValueError, match="strength"):
        one_coin(patients(), strength=0)


# --- What always holds ---

TABLES = st.dictionaries(
    st.integers(0, 11), st.dictionaries(st.integers(0, 5), st.integers(0, 2), min_size=1), min_size=1, max_size=12
)


def finite(found):
    numbers = [found.posterior, found.confidence, found.prior, found.reliability, found.confusion, found.trace]
    return all(part is None or np.isfinite(part).all() for part in numbers)


@pytest.mark.parametrize("method", METHODS)
@given(rows=TABLES, seed=st.integers(0, 99))
def test_the_order_of_labels_units_and_raters_changes_nothing(method, rows, seed):
    labels = labelled(rows)
    rng = np.random.default_rng(seed)
    of_unit, of_rater = rng.permutation(len(labels.units)), rng.permutation(len(labels.raters))
    order = rng.permutation(len(labels.unit))
    mixed = replace(
        labels,
        unit=of_unit[labels.unit][order],
        rater=of_rater[labels.rater][order],
        value=labels.value[order],
    )
    plain, other = method(labels), method(mixed)
    assert other.posterior[of_unit] == pytest.approx(plain.posterior, abs=1e-6)
    assert other.value[of_unit].tolist() == plain.value.tolist()
    assert finite(plain)
    if plain.reliability is not None:
        assert other.reliability[of_rater] == pytest.approx(plain.reliability, abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
@given(rows=TABLES, names=st.permutations(range(3)))
def test_new_names_of_categories_rename_the_answer(method, rows, names):
    labels = labelled(rows)
    other = method(replace(labels, value=np.array(names)[labels.value]))
    plain = method(labels)
    assert other.posterior[:, names] == pytest.approx(plain.posterior, abs=1e-6)
    assert other.tied.tolist() == plain.tied.tolist()


@pytest.mark.parametrize("smoothing", [0, 0.01, 1])
@given(rows=TABLES, gold=st.booleans())
def test_the_objective_of_dawid_skene_never_falls(smoothing, rows, gold):
    labels = labelled(rows)
    found = dawid_skene(labels, {0: 2} if gold else None, smoothing=smoothing)
    assert np.diff(found.trace).min(initial=0) >= -1e-9 * max(1, abs(found.trace[-1]))
    assert finite(found)
    assert not gold or found.value[0] == 2


@given(rows=TABLES, strength=st.sampled_from([0.1, 4.0, 100.0]), gold=st.booleans())
def test_the_objective_of_one_coin_never_falls(rows, strength, gold):
    found = one_coin(labelled(rows), {0: 2} if gold else None, strength=strength)
    assert np.diff(found.trace).min(initial=0) >= -1e-9 * max(1, abs(found.trace[-1]))
    assert finite(found)
    assert ((found.reliability > 0) & (found.reliability < 1)).all()
    assert not gold or found.value[0] == 2


@pytest.mark.parametrize("method", METHODS)
@given(values=st.lists(st.integers(0, 2), min_size=1, max_size=12), raters=st.integers(2, 5))
def test_where_everybody_agrees_that_is_the_value(method, values, raters):
    labels = labelled({unit: dict.fromkeys(range(raters), value) for unit, value in enumerate(values)})
    found = method(labels)
    assert found.value.tolist() == values
    assert not found.tied.any()
