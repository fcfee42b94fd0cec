"""The measures of counts against a slow reference, what must not matter, and what an interval has to mean."""

from __future__ import annotations

import json
import math
import tracemalloc
from collections import Counter
from functools import partial
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from annotate import measures
from annotate.measures import (
    alpha,
    brennan_prediger,
    fleiss_kappa,
    gwet_ac,
    krippendorff_alpha,
    pairwise_agreement,
    resampling,
    tally,
    unanimous,
)

LEVELS = ("nominal", "ordinal", "interval", "ratio")
WEIGHTS = ("identity", "linear", "quadratic", "ordinal")


def four_observers():
    """Krippendorff 2011: four observers, twelve units, "*" missing."""
    observers = ["123321412***", "1233224125*3", "*3332342251*", "12332441251*"]
    return counted(["".join(unit) for unit in zip(*observers, strict=True)], 5)


def counted(units, categories):
    """Counts of units given as strings of category digits from 1."""
    return np.array([[unit.count(str(v + 1)) for v in range(categories)] for unit in units])


def two_people(a, b, c, d):
    """Counts of two people's table of two categories [a b; c d]."""
    return np.repeat([[2, 0], [1, 1], [1, 1], [0, 2]], [a, b, c, d], axis=0)


def test_the_three_rules_for_ties_differ():
    # Columns: first, tie, second. Three people: two agree and one ties; one against two; all tie.
    counts = [[2, 1, 0], [1, 0, 2], [0, 3, 0]]
    assert pairwise_agreement(counts).value == pytest.approx((1 / 3 + 1 / 3 + 1) / 3)
    strict = pairwise_agreement(counts, ties="both_strict", tie_category=1)
    assert strict.value == pytest.approx((1 + 1 / 3) / 2)
    assert (strict.n_units, strict.n_values, strict.n_dropped) == (2, 5, 1)
    dropped = pairwise_agreement(counts, ties="any_tie_dropped", tie_category=1)
    assert dropped.value == pytest.approx(1 / 3)
    assert (dropped.n_units, dropped.n_values, dropped.n_dropped) == (1, 3, 2)


# --- A slow reference, from the definitions over pairs of values ---


def values_of(unit):
    return [v for v, n in enumerate(unit) for _ in range(n)]


def slow_agreement(counts):
    units = [values_of(unit) for unit in counts if sum(unit) >= 2]
    shares = []
    for values in units:
        pairs = list(combinations(values, 2))
        shares.append(sum(a == b for a, b in pairs) / len(pairs))
    return sum(shares) / len(shares) if shares else None


def worth(categories):
    """Numbers with uneven gaps, the first of them 0."""
    return [v * v / 2 for v in range(categories)]


def slow_alpha(counts, level):
    """1 - mean distance within units / mean distance of any two values, each value's pairs weighing 1/(m - 1)."""
    units = [values_of(unit) for unit in counts if sum(unit) >= 2]
    pool = [v for values in units for v in values]
    if len(set(pool)) < 2:
        return None
    n = Counter(pool)

    number = worth(len(counts[0]))

    def distance(a, b):
        if level == "nominal":
            return float(a != b)
        if level == "interval":
            return (number[a] - number[b]) ** 2
        if level == "ratio":
            return 0 if a == b else ((number[a] - number[b]) / (number[a] + number[b])) ** 2
        low, high = min(a, b), max(a, b)
        return (sum(n[g] for g in range(low, high + 1)) - (n[a] + n[b]) / 2) ** 2

    within = sum(2 * distance(a, b) / (len(values) - 1) for values in units for a, b in combinations(values, 2))
    anyhow = sum(n[a] * n[b] * distance(a, b) for a in n for b in n)
    return 1 - (within / len(pool)) / (anyhow / (len(pool) * (len(pool) - 1)))


def slow_kappa(counts):
    units = [values_of(unit) for unit in counts if sum(unit) >= 2]
    pool = Counter(v for values in units for v in values)
    if len(pool) < 2 or len({len(values) for values in units}) != 1:
        return None
    chance = sum((k / pool.total()) ** 2 for k in pool.values())
    return (slow_agreement(counts) - chance) / (1 - chance)


def slow_weight(weights, a, b, categories):
    number = worth(categories)
    if weights == "identity":
        return float(a == b)
    if weights == "ordinal":
        return 1 - math.comb(abs(a - b) + 1, 2) / math.comb(categories, 2)
    return 1 - (abs(number[a] - number[b]) / number[-1]) ** (1 if weights == "linear" else 2)


def slow_weighted(counts, weights, chance):
    """(agreement - chance) / (1 - chance), of pairs of values that agree in part."""
    k = len(counts[0])
    units = [values_of(unit) for unit in counts if sum(unit) >= 2]
    if not units:
        return None
    shares = []
    for values in units:
        pairs = list(combinations(values, 2))
        shares.append(sum(slow_weight(weights, a, b, k) for a, b in pairs) / len(pairs))
    agreement = sum(shares) / len(shares)
    total = sum(slow_weight(weights, a, b, k) for a in range(k) for b in range(k))
    by_chance = chance(counts, k, total)
    return (agreement - by_chance) / (1 - by_chance)


def slow_gwet_chance(counts, k, total):
    rated = [unit for unit in counts if sum(unit)]
    use = [sum(unit[v] / sum(unit) for unit in rated) / len(rated) for v in range(k)]
    return total / (k * (k - 1)) * sum(p * (1 - p) for p in use)


def slow_random_chance(counts, k, total):
    return total / k**2


tables = st.integers(2, 5).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 3), min_size=k, max_size=k), min_size=1, max_size=12)
)


def same(value, expected):
    assert (value is None) == (expected is None)
    if expected is not None:
        assert value == pytest.approx(expected, abs=1e-9)


@given(tables)
def test_against_the_slow_reference(table):
    same(pairwise_agreement(table, replicates=1).value, slow_agreement(table))
    same(fleiss_kappa(table, replicates=1).value, slow_kappa(table))
    number = worth(len(table[0]))
    for level in LEVELS:
        same(krippendorff_alpha(table, level=level, numbers=number, replicates=1).value, slow_alpha(table, level))
    for weights in WEIGHTS:
        options = {"weights": weights, "numbers": number, "replicates": 1}
        same(gwet_ac(table, **options).value, slow_weighted(table, weights, slow_gwet_chance))
        same(brennan_prediger(table, **options).value, slow_weighted(table, weights, slow_random_chance))
    alike = [len(set(values_of(unit))) == 1 for unit in table if sum(unit) >= 2]
    assert unanimous(table) == (sum(alike), len(alike))


@given(st.integers(2, 4), st.integers(2, 4), st.data())
def test_kappa_against_the_slow_reference(people, categories, data):
    rows = data.draw(
        st.lists(st.lists(st.integers(1, categories), min_size=people, max_size=people), min_size=1, max_size=12)
    )
    table = counted(["".join(map(str, row)) for row in rows], categories)
    same(fleiss_kappa(table, replicates=1).value, slow_kappa(table))


@given(tables, st.integers(0, 1))
def test_rules_for_ties_are_the_plain_measure_of_what_is_left(table, tie):
    strict = [[n for v, n in enumerate(unit) if v != tie] for unit in table]
    same(pairwise_agreement(table, ties="both_strict", tie_category=tie, replicates=1).value, slow_agreement(strict))
    untied = [unit for unit in table if unit[tie] == 0]
    same(
        pairwise_agreement(table, ties="any_tie_dropped", tie_category=tie, replicates=1).value, slow_agreement(untied)
    )


# --- What must not matter ---


def all_measures(counts, groups=None, **options):
    return [*by_marginals(counts, groups, **options), *by_categories(counts, groups, **options)]


def by_marginals(counts, groups=None, **options):
    """Those whose chance rests on how often the categories are used; the nominal ones first."""
    numbers = worth(np.shape(counts)[1])
    return [
        fleiss_kappa(counts, groups, **options),
        krippendorff_alpha(counts, groups, **options),
        *(krippendorff_alpha(counts, groups, level=level, numbers=numbers, **options) for level in LEVELS[1:]),
    ]


def by_categories(counts, groups=None, **options):
    """Raw agreement, and those whose chance is never 1."""
    return [
        pairwise_agreement(counts, groups, **options),
        gwet_ac(counts, groups, **options),
        brennan_prediger(counts, groups, **options),
        *(gwet_ac(counts, groups, weights=weights, **options) for weights in WEIGHTS[1:]),
        brennan_prediger(counts, groups, weights="quadratic", **options),
    ]


def nominal(counts, **options):
    return [*by_marginals(counts, **options)[:2], *by_categories(counts, **options)[:3]]


@given(tables, st.randoms(use_true_random=False))
def test_relabelling_categories_keeps_nominal_measures(table, random):
    counts = np.array(table)
    order = random.sample(range(counts.shape[1]), counts.shape[1])
    for before, after in zip(nominal(counts, replicates=1), nominal(counts[:, order], replicates=1), strict=True):
        same(after.value, before.value)


@given(tables, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_of_units_and_names_of_prompts_change_nothing(table, random):
    counts = np.array(table)
    groups = np.array([random.randrange(4) for _ in table])
    order = random.sample(range(len(table)), len(table))
    names = np.array(random.sample("pqrs", 4))
    before = all_measures(counts, groups, replicates=50)
    after = all_measures(counts[order], names[groups[order]], replicates=50)
    for a, b in zip(before, after, strict=True):
        a, b = a.as_dict(), b.as_dict()
        assert b == {key: pytest.approx(value, abs=1e-9) if key == "value" else value for key, value in a.items()}


@given(tables, st.lists(st.integers(0, 2), min_size=6, max_size=6))
def test_monotone_map_keeps_ordinal_alpha(table, gaps):
    # Categories moved apart keep their order: columns nobody uses come between them
    spread = np.array([[n for v, n in enumerate(unit) for n in [*[0] * gaps[v], n]] for unit in table])
    before = krippendorff_alpha(table, level="ordinal", replicates=1).value
    same(krippendorff_alpha(spread, level="ordinal", replicates=1).value, before)


@given(tables, st.floats(-50, 50), st.floats(0.01, 100))
def test_affine_map_keeps_interval_alpha_and_a_factor_ratio_alpha(table, shift, factor):
    number = np.array(worth(len(table[0])))

    def value(level, numbers):
        return krippendorff_alpha(table, level=level, numbers=numbers, replicates=1).value

    same(value("interval", shift + factor * number), value("interval", number))
    same(value("interval", shift - factor * number), value("interval", number))
    same(value("ratio", factor * number), value("ratio", number))


def test_interval_without_numbers_takes_equal_steps():
    counts = [[2, 0, 1], [1, 1, 1], [0, 0, 3]]
    assert krippendorff_alpha(counts, level="interval") == krippendorff_alpha(
        counts, level="interval", numbers=[3, 5, 7]
    )


def test_ordinal_alpha_sees_the_order():
    near, far = [[2, 0, 0], [1, 1, 0], [0, 0, 2]], [[2, 0, 0], [1, 0, 1], [0, 2, 0]]
    assert krippendorff_alpha(near, level="ordinal").value > krippendorff_alpha(far, level="ordinal").value
    assert krippendorff_alpha(near).value == krippendorff_alpha(far).value


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(2, 5)), min_size=2, max_size=10))
def test_perfect_agreement_is_one(units):
    assume(len({v for v, _ in units}) > 1)
    counts = np.zeros((len(units), 4), dtype=int)
    for row, (v, n) in zip(counts, units, strict=True):
        row[v] = n
    for measure in [*by_marginals(counts, replicates=1)[1:], *by_categories(counts, replicates=1)]:
        assert measure.value == pytest.approx(1, abs=1e-12)
    for level in LEVELS:
        assert krippendorff_alpha(counts, level=level, numbers=worth(4), replicates=1).value == 1
    if len({n for _, n in units}) == 1:
        assert fleiss_kappa(counts, replicates=1).value == pytest.approx(1, abs=1e-12)
    assert unanimous(counts) == (len(units), len(units))


# --- Where there is no value ---


@given(st.integers(0, 4), st.integers(0, 3))
def test_without_a_pairable_unit_nothing_has_a_value(units, category):
    counts = np.zeros((units, 4), dtype=int)
    counts[:, category] = 1
    for measure in all_measures(counts):
        assert (measure.value, measure.low, measure.high) == (None, None, None)
        assert measure.undefined_because == measures.NO_UNIT
        assert (measure.n_units, measure.n_groups, measure.n_values, measure.n_dropped) == (0, 0, 0, units)
    assert unanimous(counts) == (0, 0)


@given(st.integers(1, 6), st.integers(2, 5), st.integers(0, 3))
def test_all_values_equal_is_undefined_by_chance_but_raw_agreement_is_one(units, people, category):
    counts = np.zeros((units, 4), dtype=int)
    counts[:, category] = people
    for measure in by_categories(counts):
        assert measure.value == pytest.approx(1, abs=1e-12)
    for measure in by_marginals(counts):
        assert (measure.value, measure.low, measure.high) == (None, None, None)
        assert measure.undefined_because == measures.ALL_EQUAL


def test_agreement_where_one_category_is_offered_is_undefined():
    for measure in (gwet_ac([[3], [2]]), brennan_prediger([[3], [2]]), gwet_ac([[3]], weights="linear")):
        assert (measure.value, measure.undefined_because) == (None, measures.ONE_CATEGORY)


def test_ac1_counts_the_use_of_categories_on_units_with_one_value():
    alone, without = gwet_ac([[2, 0], [0, 2], [1, 0]]), gwet_ac([[2, 0], [0, 2]])
    assert (alone.n_units, alone.n_values, alone.n_dropped) == (2, 4, 1)
    assert without.value == 1 and alone.value == 1
    alone, without = gwet_ac([[1, 1], [0, 2], [1, 0]]), gwet_ac([[1, 1], [0, 2]])
    # use of the first category: (1/2 + 0 + 1) / 3 = 1/2, chance 1/2; without it 1/4, chance 3/8
    assert alone.value == pytest.approx(0)
    assert without.value == pytest.approx((1 / 2 - 3 / 8) / (1 - 3 / 8))


def test_kappa_needs_the_same_number_of_values_on_each_unit():
    kappa = fleiss_kappa([[2, 0], [2, 1]])
    assert kappa.value is None
    assert kappa.undefined_because == measures.UNEQUAL
    assert (kappa.n_units, kappa.n_groups, kappa.n_values) == (2, 2, 5)
    # a unit with one value is dropped, and said to be
    kappa = fleiss_kappa([[2, 0], [0, 2], [1, 1], [1, 0]])
    assert kappa.value == pytest.approx(1 / 3)
    assert kappa.n_dropped == 1


def test_one_prompt_has_a_value_but_no_interval():
    for measure in all_measures([[2, 1], [1, 2], [3, 0]], [7, 7, 7]):
        assert measure.value is not None
        assert (measure.low, measure.high) == (None, None)
        assert (measure.undefined_because, measure.no_interval_because) == (None, measures.ONE_GROUP)


@pytest.mark.parametrize("prompts", [2, 3, 50])
def test_no_interval_where_one_prompt_holds_all_the_variety(prompts):
    counts = np.array([[3, 0]] * prompts + [[0, 3]])
    alone = krippendorff_alpha(counts[1:])
    assert (alone.value, alone.low, alone.high) == (1, None, None)
    assert (alone.undefined_because, alone.no_interval_because) == (None, measures.OFTEN_UNDEFINED)
    # raw agreement is never 0/0, so it keeps its interval
    assert pairwise_agreement(counts[1:]).low == 1


def test_undefined_resamples_are_left_out_of_the_interval():
    # Two of fifty prompts disagree: 13% of the resamples hold neither, and have no alpha
    measure = krippendorff_alpha([[3, 0]] * 48 + [[0, 3]] * 2)
    assert (measure.value, measure.low, measure.high) == (1, 1, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: krippendorff_alpha([[1.0, 2.0]]), "integers"),
        (lambda: krippendorff_alpha([1, 2]), "matrix"),
        (lambda: krippendorff_alpha([[2, -1]]), "none below 0"),
        (lambda: krippendorff_alpha([[2, 1]], [1, 2]), "one entry for each of the 1 units"),
        (lambda: krippendorff_alpha([[2, 1]], level="angle"), "unknown level"),
        (lambda: krippendorff_alpha([[2, 1]], level="ratio"), "needs numbers"),
        (lambda: krippendorff_alpha([[2, 1]], level="ratio", numbers=[-1, 1]), "not be below 0"),
        (lambda: krippendorff_alpha([[2, 1]], level="interval", numbers=[1, 1]), "2 different numbers"),
        (lambda: krippendorff_alpha([[2, 1]], level="interval", numbers=[1, np.nan]), "2 different numbers"),
        (lambda: krippendorff_alpha(csr_array([[2.0, 1.0]])), "integers"),
        (lambda: krippendorff_alpha(csr_array([[2, -1]])), "none below 0"),
        (lambda: gwet_ac([[2, 1]], weights="cubic"), "unknown weights"),
        (lambda: brennan_prediger([[2, 1]], weights="linear", numbers=[1]), "2 different numbers"),
        (lambda: krippendorff_alpha([[2, 1]], replicates=0), "at least 1"),
        (lambda: krippendorff_alpha([[2, 1]], confidence=95), "between 0 and 1"),
        (lambda: pairwise_agreement([[2, 1]], ties="both_strict"), "needs tie_category"),
        (lambda: pairwise_agreement([[2, 1]], ties="any_tie_dropped", tie_category=2), "needs tie_category"),
        (lambda: pairwise_agreement([[2, 1]], ties="half"), "unknown rule for ties"),
    ],
)
def test_malformed_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- Intervals ---


def clustered(seed, prompts=60, units=6):
    """Prompts whose units all repeat one outcome: as many independent facts as prompts, not as units."""
    rng = np.random.default_rng(seed)
    outcomes = np.array([[3, 0, 0], [0, 0, 3], [2, 0, 1], [1, 1, 1]])[rng.integers(0, 4, prompts)]
    return np.repeat(outcomes, units, axis=0), np.repeat(np.arange(prompts), units)


def test_resamples_prompts_not_units():
    counts, prompts = clustered(3)
    for by_prompt, by_unit in zip(all_measures(counts, prompts), all_measures(counts), strict=True):
        assert by_prompt.value == pytest.approx(by_unit.value, abs=1e-12)
        # six copies of each unit: resampling units would make the interval sqrt(6) = 2.4 times too narrow
        assert (by_prompt.high - by_prompt.low) > 2 * (by_unit.high - by_unit.low)
        assert (by_prompt.n_groups, by_unit.n_groups) == (60, 360)


def slow_bootstrap(counts, groups, function, replicates, seed):
    """Draw prompts with replacement, gather their units, measure them anew."""
    rng = np.random.default_rng(seed)
    names = np.unique(groups)
    rows = {name: counts[groups == name].tolist() for name in names}
    values = [
        function([unit for name in rng.choice(names, len(names)) for unit in rows[name]]) for _ in range(replicates)
    ]
    return np.quantile([v for v in values if v is not None], [0.025, 0.975])


@pytest.mark.parametrize("distinct", [True, False], ids=["distinct prompts", "few distinct prompts"])
def test_interval_is_that_of_a_plain_bootstrap(distinct):
    # Both ways of drawing: prompts one by one, and prompts with equal sums together
    rng = np.random.default_rng(5)
    if distinct:
        counts, groups = rng.integers(0, 4, (90, 3)), rng.integers(0, 30, 90)
    else:
        counts, groups = np.array([[3, 0, 0], [1, 0, 2], [0, 1, 2]])[rng.integers(0, 3, 60)], np.arange(60)
    for function, slow in [
        (pairwise_agreement, slow_agreement),
        (krippendorff_alpha, lambda units: slow_alpha(units, "nominal")),
        (partial(krippendorff_alpha, level="ordinal"), lambda units: slow_alpha(units, "ordinal")),
        (partial(krippendorff_alpha, level="interval", numbers=worth(3)), lambda units: slow_alpha(units, "interval")),
        (partial(krippendorff_alpha, level="ratio", numbers=worth(3)), lambda units: slow_alpha(units, "ratio")),
        (gwet_ac, lambda units: slow_weighted(units, "identity", slow_gwet_chance)),
        (partial(gwet_ac, weights="ordinal"), lambda units: slow_weighted(units, "ordinal", slow_gwet_chance)),
        (brennan_prediger, lambda units: slow_weighted(units, "identity", slow_random_chance)),
    ]:
        measure = function(counts, groups, replicates=4000)
        low, high = slow_bootstrap(counts, groups, slow, 400, 1)
        width = high - low
        assert measure.low == pytest.approx(low, abs=0.15 * width)
        assert measure.high == pytest.approx(high, abs=0.15 * width)
        assert measure.low < measure.value < measure.high


def test_interval_of_a_proportion_has_its_normal_width():
    counts = two_people(600, 200, 100, 100)  # 1,000 units, people agree on 70% of them
    measure = pairwise_agreement(counts, replicates=4000)
    half = 1.96 * (0.7 * 0.3 / 1000) ** 0.5
    assert measure.high - measure.low == pytest.approx(2 * half, rel=0.08)
    narrow = pairwise_agreement(counts, replicates=4000, confidence=0.5)
    assert narrow.high - narrow.low == pytest.approx(2 * half * 0.6745 / 1.96, rel=0.08)


def test_same_seed_same_interval():
    rng = np.random.default_rng(8)
    counts, groups = rng.integers(0, 4, (200, 4)), rng.integers(0, 50, 200)
    assert all_measures(counts, groups, seed=1) == all_measures(counts, groups, seed=1)
    one, other = krippendorff_alpha(counts, groups, seed=1), krippendorff_alpha(counts, groups, seed=2)
    assert one.value == other.value
    assert (one.low, one.high) != (other.low, other.high)


def test_chunks_of_replicates_change_nothing(monkeypatch):
    rng = np.random.default_rng(8)
    counts, groups = rng.integers(0, 4, (200, 3)), rng.integers(0, 50, 200)
    few = two_people(20, 5, 10, 15)
    whole = [*all_measures(counts, groups), *all_measures(few)]
    monkeypatch.setattr(resampling, "CELLS", 500)
    monkeypatch.setattr(tally, "CELLS", 100)  # marginals sparse
    monkeypatch.setattr(tally, "ROWS", 7)
    for a, b in zip([*all_measures(counts, groups), *all_measures(few)], whole, strict=True):
        assert a.as_dict() == {k: pytest.approx(v) if isinstance(v, float) else v for k, v in b.as_dict().items()}


def test_sparse_counts_give_the_same():
    rng = np.random.default_rng(3)
    counts, groups = rng.integers(0, 3, (40, 4)), rng.integers(0, 12, 40)
    assert all_measures(csr_array(counts), groups) == all_measures(counts, groups)
    assert unanimous(csr_array(counts)) == unanimous(counts)
    for rule in ("both_strict", "any_tie_dropped"):
        dense = pairwise_agreement(counts, groups, ties=rule, tie_category=2)
        assert pairwise_agreement(csr_array(counts), groups, ties=rule, tie_category=2) == dense


def test_sparse_counts_may_name_a_cell_twice_and_are_left_as_they_are():
    twice = csr_array((np.array([1, 1, 0, 2]), np.array([0, 0, 1, 1]), np.array([0, 3, 4])), shape=(2, 2))
    assert krippendorff_alpha(twice) == krippendorff_alpha([[2, 0], [0, 2]])
    assert twice.data.tolist() == [1, 1, 0, 2]


@given(tables, st.data())
def test_ordinal_alpha_of_many_categories_is_the_same(table, data):
    groups = [data.draw(st.integers(0, 3)) for _ in table]
    few = krippendorff_alpha(table, groups, level="ordinal", replicates=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alpha, "COINCIDENCES", 0)
        many = krippendorff_alpha(table, groups, level="ordinal", replicates=20)
    assert many.as_dict() == {k: pytest.approx(v) if isinstance(v, float) else v for k, v in few.as_dict().items()}


@pytest.mark.parametrize("level", LEVELS)
def test_a_slider_needs_no_matrix_of_its_steps_per_unit(level):
    rng = np.random.default_rng(4)
    units, steps = 20_000, 101
    given = np.clip(rng.integers(0, steps, (units, 1)) + rng.integers(-9, 10, (units, 5)), 0, steps - 1)
    entries = (np.ones(5 * units, dtype=np.int64), given.ravel(), np.arange(0, 5 * units + 1, 5))
    counts = csr_array(entries, shape=(units, steps))
    numbers = np.arange(steps) + 1.0
    tracemalloc.start()
    measure = krippendorff_alpha(counts, level=level, numbers=numbers, replicates=20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert measure.low < measure.value < measure.high
    # The counts themselves, dense, are 16 MB; coincidences of each two steps would be 800 MB.
    assert peak < 30e6


def test_as_dict_is_json():
    measure = krippendorff_alpha(four_observers())
    assert json.loads(json.dumps(measure.as_dict(), allow_nan=False)) == measure.as_dict()
