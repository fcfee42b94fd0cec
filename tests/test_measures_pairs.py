"""Measures of two people's values and of matrices: against a slow reference, edge cases, what must not matter."""

from __future__ import annotations

import json
import warnings
from functools import partial
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from annotate import measures
from annotate.measures import cohen_kappa, icc, kendall_w, rankings, resampling, scott_pi, spearman, tally, tau_b, tau_c

ICC = ("1", "2", "3", "1k", "2k", "3k")
KAPPAS = [partial(cohen_kappa, weights=weights) for weights in ("none", "linear", "quadratic")]
ORDERS_OF_TWO = [tau_b, tau_c, spearman]


def same(value, expected):
    assert (value is None) == (expected is None)
    if expected is not None:
        assert value == pytest.approx(expected, abs=1e-9)


# --- Two people -------------------------------------------------------------------------------------------------------


def slow_kappa(first, second, k, weights):
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    if not pairs or len({value for pair in pairs for value in pair}) == 1:
        return None

    def agree(a, b):
        return float(a == b) if weights == "none" else 1 - (abs(a - b) / (k - 1)) ** (1 if weights == "linear" else 2)

    n = len(pairs)
    observed = sum(agree(a, b) for a, b in pairs) / n
    chance = sum(agree(a, b) for a, _ in pairs for _, b in pairs) / n**2
    return (observed - chance) / (1 - chance)


def slow_pi(first, second):
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    pool = [value for pair in pairs for value in pair]
    if len(set(pool)) < 2:
        return None
    chance = sum((pool.count(v) / len(pool)) ** 2 for v in set(pool))
    return (sum(a == b for a, b in pairs) / len(pairs) - chance) / (1 - chance)


values = st.none() | st.integers(0, 3)
two = st.lists(st.tuples(values, values), min_size=1, max_size=15)


@given(two)
def test_two_people_against_the_slow_reference(pairs):
    first, second = (list(column) for column in zip(*pairs, strict=True))
    for kappa, weights in zip(KAPPAS, ("none", "linear", "quadratic"), strict=True):
        found = kappa(first, second, range(4), replicates=1)
        same(found.value, slow_kappa(first, second, 4, weights))
        both = sum(None not in pair for pair in pairs)
        assert (found.n_units, found.n_values, found.n_dropped) == (both, 2 * both, len(pairs) - both)
    found = scott_pi(first, second, range(4), replicates=1)
    same(found.value, slow_pi(first, second))
    assert (found.name, found.n_units, found.n_values, found.n_dropped) == (
        "scott_pi",
        both,
        2 * both,
        len(pairs) - both,
    )


@given(two, st.permutations(range(4)), st.randoms(use_true_random=False))
def test_names_of_categories_order_of_units_and_of_people_change_nothing(pairs, names, random):
    first, second = (list(column) for column in zip(*pairs, strict=True))
    order = random.sample(range(len(pairs)), len(pairs))

    def moved(values):
        return [None if values[at] is None else "abcd"[names[values[at]]] for at in order]

    same(cohen_kappa(moved(first), moved(second), "abcd").value, cohen_kappa(first, second, range(4)).value)
    for kappa in KAPPAS:
        before = kappa(first, second, range(4), replicates=20)
        swapped, reversed_ = kappa(second, first, range(4)).value, kappa(first, second, range(3, -1, -1)).value
        same(swapped, before.value)
        same(reversed_, before.value)
        shuffled = kappa([first[at] for at in order], [second[at] for at in order], range(4), replicates=20)
        assert shuffled == before


@given(st.lists(st.integers(0, 3), min_size=2, max_size=12))
def test_two_people_who_always_agree(said):
    assume(len(set(said)) > 1)
    for kappa in [*KAPPAS, scott_pi]:
        assert kappa(said, said, range(4), replicates=1).value == pytest.approx(1, abs=1e-12)
    matrix = np.column_stack([said, said])
    for measure in (tau_b, spearman, kendall_w):
        assert measure(matrix, replicates=1).value == pytest.approx(1, abs=1e-12)
    for kind in ICC:
        assert icc(matrix, kind=kind, replicates=1).value == pytest.approx(1, abs=1e-12)


def test_two_people_who_say_one_thing_throughout():
    for kappa in [*KAPPAS, scott_pi]:
        both = kappa(["a"] * 5, ["a"] * 5, "ab")
        assert (both.value, both.low, both.undefined_because) == (None, None, measures.ALL_EQUAL)
        nobody = kappa(["a", None], [None, "b"], "ab")
        assert (nobody.value, nobody.undefined_because, nobody.n_dropped) == (None, measures.NO_UNIT, 2)
        assert kappa([], [], []).undefined_because == measures.NO_UNIT
    # each one thing, but not the same: no better than chance, and that is a value
    assert cohen_kappa(["a"] * 5, ["b"] * 5, "ab").value == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cohen_kappa(["a"], ["c"], "ab"), "'c' is not one of the categories"),
        (lambda: cohen_kappa(["a"], ["a", "b"], "ab"), "not 1 and 2"),
        (lambda: cohen_kappa(["a"], ["a"], "aab"), "must be different"),
        (lambda: cohen_kappa(["a"], ["a"], "ab", weights="cubic"), "unknown weights"),
        (lambda: cohen_kappa(["a"], ["a"], "ab", groups=[1, 2]), "one entry for each"),
        (lambda: scott_pi(["a"], ["c"], "ab"), "'c' is not one of the categories"),
        (lambda: icc([1, 2]), "matrix"),
        (lambda: icc([[1, np.inf]]), "finite"),
        (lambda: icc([[1, 2]], kind="4"), "unknown kind"),
        (lambda: tau_b([[1, 2, 3]]), "2 columns, not 3"),
        (lambda: spearman([[1, 2]], [1, 2]), "one entry for each"),
        (lambda: kendall_w([[1, 2]], replicates=0), "at least 1"),
    ],
)
def test_malformed_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- Matrices ---------------------------------------------------------------------------------------------------------


def rows_of(people):
    return st.lists(st.lists(st.integers(0, 4), min_size=people, max_size=people), min_size=2, max_size=10)


@given(rows_of(2))
def test_orders_of_two_against_scipy(rows):
    matrix = np.array(rows)
    constant = any(len(set(column)) == 1 for column in matrix.T.tolist())
    for measure, expected in [
        (tau_b, lambda x, y: stats.kendalltau(x, y, variant="b").statistic),
        (tau_c, lambda x, y: stats.kendalltau(x, y, variant="c").statistic),
        (spearman, lambda x, y: stats.spearmanr(x, y).statistic),
    ]:
        found = measure(matrix, replicates=1)
        same(found.value, None if constant else float(expected(*matrix.T)))
        assert found.undefined_because == (measures.CONSTANT if constant else None)


def slow_w(rows):
    """Kendall's W from the mean of Spearman's rho over all pairs of raters, where nobody has ties."""
    m = len(rows[0])
    pairs = [stats.spearmanr(x, y).statistic for x, y in combinations(np.transpose(rows), 2)]
    return (1 + (m - 1) * np.mean(pairs)) / m


@given(st.integers(3, 6).flatmap(lambda n: st.lists(st.permutations(range(n)), min_size=2, max_size=5)))
def test_kendall_w_against_the_mean_of_rho(orders):
    found = kendall_w(np.transpose(orders), replicates=1)
    same(found.value, float(slow_w(np.transpose(orders))))
    assert found.p == pytest.approx(stats.chi2.sf(found.chi2, len(orders[0]) - 1))


@given(rows_of(3))
def test_kendall_w_with_ties_is_friedmans_test(rows):
    matrix = np.array(rows)
    if len(rows) < 3 or all(len(set(column)) == 1 for column in matrix.T.tolist()):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = stats.friedmanchisquare(*matrix).statistic
    found = kendall_w(matrix, replicates=1)
    assert found.chi2 == pytest.approx(expected, abs=1e-9)


def slow_mean_squares(rows):
    """BMS, WMS, JMS, EMS as sums of squares about means, cell by cell."""
    x = np.array(rows, dtype=float)
    n, k = x.shape
    grand, units, judges = x.mean(), x.mean(axis=1, keepdims=True), x.mean(axis=0, keepdims=True)
    return (
        k * ((units - grand) ** 2).sum() / (n - 1),
        ((x - units) ** 2).sum() / (n * (k - 1)),
        n * ((judges - grand) ** 2).sum() / (k - 1),
        ((x - units - judges + grand) ** 2).sum() / ((n - 1) * (k - 1)),
    )


def slow_icc(rows, kind):
    bms, wms, jms, ems = slow_mean_squares(rows)
    n, k = len(rows), len(rows[0])
    top, bottom = {
        "1": (bms - wms, bms + (k - 1) * wms),
        "1k": (bms - wms, bms),
        "2": (bms - ems, bms + (k - 1) * ems + k * (jms - ems) / n),
        "2k": (bms - ems, bms + (jms - ems) / n),
        "3": (bms - ems, bms + (k - 1) * ems),
        "3k": (bms - ems, bms),
    }[kind]
    return top / bottom if bottom > 1e-9 else None


@given(rows_of(3))
def test_icc_against_the_slow_reference(rows):
    for kind in ICC:
        same(icc(rows, kind=kind, replicates=1).value, slow_icc(rows, kind))


@given(rows_of(3), st.floats(-50, 50), st.floats(0.01, 100), st.randoms(use_true_random=False))
def test_affine_maps_order_of_units_and_of_raters_change_no_icc(rows, shift, factor, random):
    matrix = np.array(rows)
    order = random.sample(range(len(rows)), len(rows))
    raters = random.sample(range(3), 3)
    for kind in ICC:
        before = icc(matrix, kind=kind, replicates=1).value
        same(icc(shift + factor * matrix[order][:, raters], kind=kind, replicates=1).value, before)
    assert icc(matrix[order], replicates=20) == icc(matrix, replicates=20)


@given(rows_of(2), st.randoms(use_true_random=False))
def test_monotone_maps_and_order_of_units_change_no_order(rows, random):
    matrix = np.array(rows)
    order = random.sample(range(len(rows)), len(rows))
    for measure in [*ORDERS_OF_TWO, kendall_w]:
        before = measure(matrix, replicates=20)
        same(measure(np.exp(matrix), replicates=1).value, before.value)
        same(measure(matrix[:, ::-1], replicates=1).value, before.value)
        assert measure(matrix[order], replicates=20) == before
    for measure in ORDERS_OF_TWO:
        turned = measure(matrix * [1, -1], replicates=1).value
        before = measure(matrix, replicates=1).value
        same(turned, None if before is None else -before)


def test_matrices_without_a_value():
    gaps = [[1, np.nan], [np.nan, 2], [1, 2]]
    for measure in [*ORDERS_OF_TWO, kendall_w, *(partial(icc, kind=kind) for kind in ICC)]:
        found = measure(gaps)
        assert (found.value, found.low, found.undefined_because) == (None, None, measures.TOO_FEW)
        assert (found.n_units, found.n_dropped) == (1, 2)
        json.dumps(found.as_dict(), allow_nan=False)
    for measure in [kendall_w, icc]:
        assert measure([[1], [2]]).undefined_because == measures.ONE_RATER
    flat = [[3, 3], [3, 3], [3, 3]]
    assert kendall_w(flat).undefined_because == measures.ALL_TIED
    assert (kendall_w(flat).chi2, kendall_w(flat).p) == (None, None)
    for kind in ICC:
        assert icc(flat, kind=kind).undefined_because == measures.ALL_EQUAL
    # the units' means are equal, though the values are not
    level = [[1, 3], [3, 1], [2, 2]]
    for kind, value in [("1", -1), ("3", -1), ("1k", None), ("3k", None)]:
        same(icc(level, kind=kind).value, value)
    assert icc(level, kind="3k").undefined_because == measures.NO_SPREAD


def test_units_with_a_gap_are_dropped_and_counted():
    rows = [[9, 2, 5], [6, 1, 3], [8, 4, 6], [7, 1, 2]]
    for measure in [kendall_w, icc]:
        whole, gappy = measure(rows), measure([*rows, [1, np.nan, 9]])
        assert (gappy.value, gappy.low, gappy.high) == (whole.value, whole.low, whole.high)
        assert (gappy.n_units, gappy.n_values, gappy.n_dropped) == (4, 12, 1)


def test_of_very_many_different_values_tau_has_no_interval(monkeypatch):
    rng = np.random.default_rng(6)
    matrix = rng.integers(0, 20, (40, 2))
    few = {measure: measure(matrix) for measure in (tau_b, tau_c)}
    monkeypatch.setattr(rankings, "MAX_CELLS", 10)
    for measure, before in few.items():
        found = measure(matrix)
        assert found.value == pytest.approx(before.value, abs=1e-12)
        assert before.low is not None
        assert (found.low, found.no_interval_because) == (None, measures.TOO_MANY)


# --- Intervals --------------------------------------------------------------------------------------------------------


def clustered():
    """Forty prompts of two units each, four raters on a scale of five."""
    rng = np.random.default_rng(9)
    truth = np.repeat(rng.integers(0, 5, 40), 2)
    return np.clip(truth[:, None] + rng.integers(-1, 2, (80, 4)), 0, 4), np.repeat(np.arange(40), 2)


def slow_interval(function, matrix, groups):
    rng = np.random.default_rng(1)
    names = np.unique(groups)
    rows = {name: matrix[groups == name] for name in names}
    values = [function(np.concatenate([rows[name] for name in rng.choice(names, len(names))])) for _ in range(400)]
    return np.quantile(values, [0.025, 0.975])


def of_kappa(matrix, groups, **options):
    return cohen_kappa(*matrix[:, :2].T.tolist(), range(5), groups, weights="linear", **options)


@pytest.mark.parametrize(
    ("measure", "slow"),
    [
        (of_kappa, lambda m: slow_kappa(*m[:, :2].T.tolist(), 5, "linear")),
        (lambda m, g, **o: tau_b(m[:, :2], g, **o), lambda m: stats.kendalltau(*m[:, :2].T).statistic),
        (lambda m, g, **o: spearman(m[:, :2], g, **o), lambda m: stats.spearmanr(*m[:, :2].T).statistic),
        (kendall_w, lambda m: stats.friedmanchisquare(*m).statistic / (4 * (len(m) - 1))),
        (icc, lambda m: slow_icc(m, "2")),
        (partial(icc, kind="3k"), lambda m: slow_icc(m, "3k")),
    ],
    ids=["kappa", "tau_b", "spearman", "kendall_w", "icc_2", "icc_3k"],
)
def test_interval_is_that_of_a_plain_bootstrap_of_prompts(measure, slow):
    matrix, groups = clustered()
    found = measure(matrix, groups, replicates=4000)
    assert found.value == pytest.approx(slow(matrix))
    low, high = slow_interval(slow, matrix, groups)
    assert found.low == pytest.approx(low, abs=0.15 * (high - low))
    assert found.high == pytest.approx(high, abs=0.15 * (high - low))
    assert found.n_groups == 40
    one_prompt = measure(matrix, np.zeros(80))
    assert (one_prompt.low, one_prompt.no_interval_because) == (None, measures.ONE_GROUP)


def test_chunks_of_replicates_change_nothing(monkeypatch):
    matrix, groups = clustered()
    every = [of_kappa, kendall_w, icc, *(lambda m, g, f=f: f(m[:, :2], g) for f in ORDERS_OF_TWO)]
    whole = [measure(matrix, groups) for measure in every]
    monkeypatch.setattr(resampling, "CELLS", 500)
    monkeypatch.setattr(tally, "CELLS", 100)
    for measure, before in zip(every, whole, strict=True):
        found = measure(matrix, groups).as_dict()
        assert found == {k: pytest.approx(v) if isinstance(v, float) else v for k, v in before.as_dict().items()}
