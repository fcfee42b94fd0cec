"""The agreement measures against published values, a slow reference and what an interval has to mean."""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from annotate import measures
from annotate.measures import fleiss_kappa, krippendorff_alpha, pair_units, pairwise_agreement, unanimous

# Krippendorff 2011: four observers, twelve units, "*" missing. Gwet's raw_4raters is the same table.
KRIPPENDORFF = ["123321412***", "1233224125*3", "*3332342251*", "12332441251*"]

# Fleiss 1971: thirty patients, six psychiatrists each, five diagnoses.
FLEISS = """444444 222555 233335 555555 222444 113333 333355 113334 114444 555555 144444 124444 222333 144444 224445
333335 111455 111112 224444 133555 555555 244444 224555 114444 144445 222224 111155 224444 133333 555555"""

# Two people, two categories [a b; c d]: Po and Scott's pi (Feinstein and Cicchetti 1990, Artstein and Poesio
# 2008, Gwet 2014). The last is the paradox: they agree on 94% and the coefficient is below zero.
TWO_PEOPLE = [
    ((20, 5, 10, 15), 0.70, 0.393939),
    ((45, 15, 25, 15), 0.60, 0.120879),
    ((25, 35, 5, 35), 0.60, 0.191919),
    ((40, 9, 6, 45), 0.85, 0.699248),
    ((80, 10, 5, 5), 0.85, 0.314286),
    ((20, 20, 10, 50), 0.70, 0.340659),
    ((118, 5, 2, 0), 0.944, -0.028807),
]


def counted(units, categories):
    """Counts of units given as strings of category digits from 1."""
    return np.array([[unit.count(str(v + 1)) for v in range(categories)] for unit in units])


def four_observers():
    return counted(["".join(unit) for unit in zip(*KRIPPENDORFF, strict=True)], 5)


def two_people(a, b, c, d):
    return np.repeat([[2, 0], [1, 1], [1, 1], [0, 2]], [a, b, c, d], axis=0)


# --- Published values ---


def test_krippendorff_2011():
    counts = four_observers()
    nominal, ordinal = krippendorff_alpha(counts), krippendorff_alpha(counts, level="ordinal")
    assert nominal.value == pytest.approx(0.743421052631579, abs=1e-12)
    assert ordinal.value == pytest.approx(0.8153875037548814, abs=1e-12)
    assert (nominal.n_units, nominal.n_groups, nominal.n_values, nominal.n_dropped) == (11, 11, 40, 1)
    assert nominal.low == pytest.approx(0.42, abs=0.05)
    assert nominal.high == pytest.approx(1.0, abs=0.01)
    # Gwet 2014: the p_a of the same table
    assert pairwise_agreement(counts).value == pytest.approx(0.81818, abs=5e-6)
    assert unanimous(counts) == (8, 11)


def test_fleiss_1971():
    counts = counted(FLEISS.split(), 5)
    assert fleiss_kappa(counts).value == pytest.approx(0.4302445, abs=5e-8)
    assert pairwise_agreement(counts).value == pytest.approx(0.5555555555555556, abs=1e-12)
    assert krippendorff_alpha(counts).value == pytest.approx(0.433410, abs=5e-7)
    assert fleiss_kappa(counts).n_values == 180
    assert unanimous(counts) == (5, 30)


@pytest.mark.parametrize(("cells", "agreement", "pi"), TWO_PEOPLE)
def test_two_people(cells, agreement, pi):
    counts = two_people(*cells)
    assert pairwise_agreement(counts).value == pytest.approx(agreement, abs=1e-12)
    assert fleiss_kappa(counts).value == pytest.approx(pi, abs=5e-7)
    # Krippendorff 2011: alpha is Scott's pi with chance drawn without replacement from the n = 2N values
    n = counts.sum()
    assert krippendorff_alpha(counts).value == pytest.approx(1 - (1 - pi) * (n - 1) / n, abs=5e-7)


def test_two_rankings_with_ties():
    # tau-b's example: 7 concordant, 1 discordant, one tie of each person
    first, second = [1, 2, 2, 4, 5], [1, 3, 2, 2, 5]
    units = pair_units(("p", "t", who, dict(enumerate(r))) for who, r in [("x", first), ("y", second)])
    assert len(units.counts) == 10
    tie = units.TIE_CATEGORY
    assert pairwise_agreement(units.counts).value == pytest.approx(7 / 10)
    strict = pairwise_agreement(units.counts, ties="both_strict", tie_category=tie)
    assert strict.value == pytest.approx(7 / 8)
    assert (strict.n_units, strict.n_values, strict.n_dropped) == (8, 16, 2)


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


def slow_alpha(counts, level):
    """1 - mean distance within units / mean distance of any two values, each value's pairs weighing 1/(m - 1)."""
    units = [values_of(unit) for unit in counts if sum(unit) >= 2]
    pool = [v for values in units for v in values]
    if len(set(pool)) < 2:
        return None
    n = Counter(pool)

    def distance(a, b):
        if level == "nominal":
            return float(a != b)
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
    for level in ("nominal", "ordinal"):
        same(krippendorff_alpha(table, level=level, replicates=1).value, slow_alpha(table, level))
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
    return [
        pairwise_agreement(counts, groups, **options),
        fleiss_kappa(counts, groups, **options),
        krippendorff_alpha(counts, groups, **options),
        krippendorff_alpha(counts, groups, level="ordinal", **options),
    ]


@given(tables, st.randoms(use_true_random=False))
def test_relabelling_categories_keeps_nominal_measures(table, random):
    counts = np.array(table)
    order = random.sample(range(counts.shape[1]), counts.shape[1])
    for before, after in zip(
        all_measures(counts, replicates=1)[:3], all_measures(counts[:, order], replicates=1)[:3], strict=True
    ):
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
    assert krippendorff_alpha(counts, replicates=1).value == 1
    assert krippendorff_alpha(counts, level="ordinal", replicates=1).value == 1
    assert pairwise_agreement(counts, replicates=1).value == 1
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
    agreement, *corrected = all_measures(counts)
    assert agreement.value == 1
    for measure in corrected:
        assert (measure.value, measure.low, measure.high) == (None, None, None)
        assert measure.undefined_because == measures.ALL_EQUAL


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
        (lambda: krippendorff_alpha([[2, 1]], level="interval"), "unknown level"),  # type: ignore[arg-type]
        (lambda: krippendorff_alpha([[2, 1]], replicates=0), "at least 1"),
        (lambda: krippendorff_alpha([[2, 1]], confidence=95), "between 0 and 1"),
        (lambda: pairwise_agreement([[2, 1]], ties="both_strict"), "needs tie_category"),
        (lambda: pairwise_agreement([[2, 1]], ties="any_tie_dropped", tie_category=2), "needs tie_category"),
        (lambda: pairwise_agreement([[2, 1]], ties="half"), "unknown rule for ties"),  # type: ignore[arg-type]
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
        (lambda *a, **k: krippendorff_alpha(*a, level="ordinal", **k), lambda units: slow_alpha(units, "ordinal")),
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
    monkeypatch.setattr(measures, "CELLS", 500)
    for a, b in zip([*all_measures(counts, groups), *all_measures(few)], whole, strict=True):
        assert a.as_dict() == {k: pytest.approx(v) if isinstance(v, float) else v for k, v in b.as_dict().items()}


def test_as_dict_is_json():
    measure = krippendorff_alpha(four_observers())
    assert json.loads(json.dumps(measure.as_dict(), allow_nan=False)) == measure.as_dict()


# --- Rankings as pairs ---


def test_pair_units():
    units = pair_units(
        [
            ("p1", "t1", "ann", {"c": 1, "a": 2, "b": 2}),
            ("p1", "t1", "bob", {"a": 1, "b": 3}),  # c not ranked
            ("p1", "t2", "ann", {"a": 1, "b": 2}),  # another task: other units, the same prompt
            ("p2", "t3", "ann", {"x": 5, "y": 4}),
            ("p2", "t4", "ann", {"x": 1}),
            ("p2", "t5", "ann", {}),
        ]
    )
    found = {key: (row, group) for key, row, group in zip(units.keys, units.counts.tolist(), units.groups, strict=True)}
    same_prompt, other = found["t1", "a", "b"][1], found["t3", "x", "y"][1]
    assert same_prompt != other
    assert found == {
        ("t1", "a", "b"): ([1, 1, 0], same_prompt),
        ("t1", "a", "c"): ([0, 0, 1], same_prompt),
        ("t1", "b", "c"): ([0, 0, 1], same_prompt),
        ("t2", "a", "b"): ([1, 0, 0], same_prompt),
        ("t3", "x", "y"): ([0, 0, 1], other),
    }


def test_pair_units_of_nothing():
    units = pair_units([])
    assert (units.counts.shape, units.groups.shape, units.keys) == ((0, 3), (0,), [])
    assert krippendorff_alpha(units.counts, units.groups).undefined_because == measures.NO_UNIT


def test_pair_units_refuses_a_person_counted_twice_and_a_task_of_two_prompts():
    with pytest.raises(ValueError, match="twice"):
        pair_units([("p", "t", "ann", {1: 1, 2: 2}), ("p", "t", "ann", {1: 2, 2: 1})])
    with pytest.raises(ValueError, match="two prompts"):
        pair_units([("p", "t", "ann", {1: 1, 2: 2}), ("q", "t", "bob", {1: 2, 2: 1})])


rankings = st.dictionaries(
    st.tuples(st.integers(0, 3), st.integers(0, 4)), st.dictionaries(st.integers(0, 5), st.integers(1, 4)), max_size=12
)


@given(rankings, st.randoms(use_true_random=False))
def test_pair_units_against_the_slow_reference(ranked, random):
    rows = [(task // 2, task, annotator, tiers) for (task, annotator), tiers in ranked.items()]
    expected = {}
    for prompt, task, _, tiers in rows:
        for a, b in combinations(sorted(tiers), 2):
            column = 0 if tiers[a] < tiers[b] else 2 if tiers[a] > tiers[b] else 1
            expected.setdefault((prompt, task, a, b), [0, 0, 0])[column] += 1
    random.shuffle(rows)
    units = pair_units(rows)
    prompt_of = {group: key[0] // 2 for group, key in zip(units.groups.tolist(), units.keys, strict=True)}
    found = {
        (prompt_of[group], *key): row
        for group, key, row in zip(units.groups.tolist(), units.keys, units.counts.tolist(), strict=True)
    }
    assert found == expected
    assert len(units.keys) == len(expected)


def test_permuting_people_changes_nothing():
    rng = np.random.default_rng(2)
    rows = [(t, t, who, dict(enumerate(rng.integers(1, 4, 4).tolist()))) for t in range(20) for who in "abc"]
    renamed = [(p, t, {"a": "c", "b": "a", "c": "b"}[who], tiers) for p, t, who, tiers in reversed(rows)]
    one, other = pair_units(rows), pair_units(renamed)
    for a, b in zip(all_measures(one.counts, one.groups), all_measures(other.counts, other.groups), strict=True):
        assert b.value == pytest.approx(a.value, abs=1e-12)
        assert (b.low, b.high) == (a.low, a.high)
