"""The measures against published tables, to the digits given there."""

from __future__ import annotations

import numpy as np
import pytest

from annotate.measures import (
    brennan_prediger,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac,
    icc,
    kendall_w,
    krippendorff_alpha,
    pabak,
    pair_labels,
    pairwise_agreement,
    scott_pi,
    spearman,
    tau_b,
    tau_c,
    unanimous,
)

# Krippendorff 2011: four observers, twelve units, "*" missing. Gwet's raw_4raters (2014) is the same table.
KRIPPENDORFF = ["123321412***", "1233224125*3", "*3332342251*", "12332441251*"]

# Fleiss 1971: thirty patients, six psychiatrists each, five diagnoses.
FLEISS = """444444 222555 233335 555555 222444 113333 333355 113334 114444 555555 144444 124444 222333 144444 224445
333335 111455 111112 224444 133555 555555 244444 224555 114444 144445 222224 111155 224444 133333 555555"""

# Two people, two categories [a b; c d]: Po, Cohen's kappa, Scott's pi, AC1, PABAK. The 4th and 5th are of Feinstein and
# Cicchetti (1990), the 6th of Artstein and Poesio (2008), the last of Gwet: they agree on 94%, kappa is below 0.
TWO_PEOPLE = [
    ((20, 5, 10, 15), 0.70, 0.400000, 0.393939, 0.405941, 0.40),
    ((45, 15, 25, 15), 0.60, 0.130435, 0.120879, 0.266055, 0.20),
    ((25, 35, 5, 35), 0.60, 0.259259, 0.191919, 0.207921, 0.20),
    ((40, 9, 6, 45), 0.85, 0.699519, 0.699248, 0.700748, 0.70),
    ((80, 10, 5, 5), 0.85, 0.318182, 0.314286, 0.808000, 0.70),
    ((20, 20, 10, 50), 0.70, 0.347826, 0.340659, 0.449541, 0.40),
    ((118, 5, 2, 0), 0.944, -0.023392, -0.028807, 0.940776, 0.888),
]

# The anxiety of twenty people by three raters, 1 to 6 (R package irr).
ANXIETY = "332 361 344 464 523 542 221 346 531 231 221 632 133 533 221 221 113 233 432 342"

# Shrout and Fleiss 1979: six targets, four judges.
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def counted(units, categories):
    """Counts of units given as strings of category digits from 1."""
    return np.array([[unit.count(str(v + 1)) for v in range(categories)] for unit in units])


def four_observers():
    return counted(["".join(unit) for unit in zip(*KRIPPENDORFF, strict=True)], 5)


def digits(rows):
    return np.array([[int(digit) for digit in row] for row in rows.split()])


def test_krippendorff_2011():
    counts, numbers = four_observers(), [1, 2, 3, 4, 5]
    for level, expected in [
        ("nominal", 0.743421052631579),
        ("ordinal", 0.8153875037548814),
        ("interval", 0.8491071428571428),
        ("ratio", 0.7974027747116121),
    ]:
        alpha = krippendorff_alpha(counts, level=level, numbers=numbers)
        assert alpha.value == pytest.approx(expected, abs=1e-12)
        assert (alpha.n_units, alpha.n_groups, alpha.n_values, alpha.n_dropped) == (11, 11, 40, 1)
        assert alpha.name == f"krippendorff_alpha_{level}"
    nominal = krippendorff_alpha(counts)
    assert nominal.low == pytest.approx(0.42, abs=0.05)
    assert nominal.high == pytest.approx(1.0, abs=0.01)
    assert unanimous(counts) == (8, 11)


def test_fleiss_1971():
    counts = counted(FLEISS.split(), 5)
    assert fleiss_kappa(counts).value == pytest.approx(0.4302445, abs=5e-8)
    assert pairwise_agreement(counts).value == pytest.approx(0.5555555555555556, abs=1e-12)
    assert krippendorff_alpha(counts).value == pytest.approx(0.433410, abs=5e-7)
    assert gwet_ac(counts).value == pytest.approx(0.447885, abs=5e-7)
    # Randolph's kappa is Brennan and Prediger's coefficient of many people
    assert brennan_prediger(counts).value == pytest.approx(0.4444444444444444, abs=1e-12)
    assert fleiss_kappa(counts).n_values == 180
    assert unanimous(counts) == (5, 30)


def test_fleiss_1971_by_category():
    counts = counted(FLEISS.split(), 5)
    for category, expected in enumerate([0.2448, 0.2448, 0.5200, 0.4711, 0.5661]):
        one_against_the_rest = np.column_stack([counts[:, category], 6 - counts[:, category]])
        assert fleiss_kappa(one_against_the_rest).value == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("cells", "agreement", "kappa", "pi", "ac1", "random"), TWO_PEOPLE)
def test_two_people(cells, agreement, kappa, pi, ac1, random):
    first, second = np.repeat(["a", "a", "b", "b"], cells).tolist(), np.repeat(["a", "b", "a", "b"], cells).tolist()
    counts = np.repeat([[2, 0], [1, 1], [1, 1], [0, 2]], cells, axis=0)
    assert pairwise_agreement(counts).value == pytest.approx(agreement, abs=1e-12)
    assert cohen_kappa(first, second, "ab").value == pytest.approx(kappa, abs=5e-7)
    assert scott_pi(first, second, "ab").value == pytest.approx(pi, abs=5e-7)
    assert fleiss_kappa(counts).value == pytest.approx(pi, abs=5e-7)
    assert gwet_ac(counts).value == pytest.approx(ac1, abs=5e-7)
    assert pabak(counts).value == pytest.approx(random, abs=1e-12)
    # Krippendorff 2011: alpha is Scott's pi with chance drawn without replacement from the n = 2N values
    n = counts.sum()
    assert krippendorff_alpha(counts).value == pytest.approx(1 - (1 - pi) * (n - 1) / n, abs=5e-7)


def test_cohen_kappa_has_its_standard_error():
    # 20 5 / 10 15 has the standard error 0.126996 (Fleiss, Cohen and Everitt 1969)
    cells = (20, 5, 10, 15)
    first, second = np.repeat(list("aabb"), cells).tolist(), np.repeat(list("abab"), cells).tolist()
    kappa = cohen_kappa(first, second, "ab", replicates=4000)
    assert kappa.high - kappa.low == pytest.approx(2 * 1.96 * 0.126996, rel=0.05)


@pytest.mark.parametrize(
    ("weights", "ac", "random", "agreement"),
    [
        ("identity", 0.77544, 0.77273, 0.81818),
        ("linear", 0.85874, 0.84848, 0.93939),
        ("quadratic", 0.91400, 0.90152, 0.97538),
        ("ordinal", 0.89894, 0.88636, 0.96818),
    ],
)
def test_gwet_2014(weights, ac, random, agreement):
    counts = four_observers()
    assert gwet_ac(counts, weights=weights).value == pytest.approx(ac, abs=5e-6)
    found = brennan_prediger(counts, weights=weights)
    assert found.value == pytest.approx(random, abs=5e-6)
    # the weighted agreement itself, from the chance that is known
    apart = np.abs(np.subtract.outer(range(5), range(5)))
    lost = {"identity": apart > 0, "linear": apart / 4, "quadratic": apart**2 / 16, "ordinal": apart * (apart + 1) / 20}
    chance = (1 - lost[weights]).sum() / 25
    assert chance + found.value * (1 - chance) == pytest.approx(agreement, abs=5e-6)
    if weights == "identity":
        assert pairwise_agreement(counts).value == pytest.approx(agreement, abs=5e-6)


def test_ac1_has_its_standard_error():
    # 0.14295 (Gwet 2014). Of eleven units an interval by resampling is somewhat narrower, and ends at 1
    found = gwet_ac(four_observers(), replicates=4000)
    assert found.value - found.low == pytest.approx(1.96 * 0.14295, rel=0.15)
    assert found.high == pytest.approx(1)


def test_kendall_w_of_anxiety():
    matrix = digits(ANXIETY)
    w = kendall_w(matrix)
    assert w.value == pytest.approx(0.5396568759543698, abs=1e-12)
    assert w.chi2 == pytest.approx(30.760441929399082, abs=1e-9)
    assert w.p == pytest.approx(0.04288347312694786, abs=1e-9)
    assert (w.df, w.n_units, w.n_values) == (19, 20, 60)
    assert kendall_w(matrix, correct_ties=False).value == pytest.approx(0.501921470342523, abs=1e-12)


def test_kendall_w_without_ties():
    executives = [[1, 6, 3, 2, 5, 4], [1, 5, 6, 4, 2, 3], [6, 3, 2, 5, 4, 1]]
    for correct in (True, False):
        w = kendall_w(np.transpose(executives), correct_ties=correct)
        assert w.value == pytest.approx(306 / 1890, abs=1e-12)


@pytest.mark.parametrize(("weights", "seen"), [("none", -0.006289), ("linear", 0.145907), ("quadratic", 0.252033)])
def test_weighted_kappa_of_anxiety(weights, seen):
    _, second, third = digits(ANXIETY).T.tolist()
    # irr leaves out 5, which neither of the two gave: the weights run on places, so it matters
    assert cohen_kappa(second, third, [1, 2, 3, 4, 6], weights=weights).value == pytest.approx(seen, abs=5e-7)
    full = cohen_kappa(second, third, range(1, 7), weights=weights).value
    if weights == "linear":
        assert full == pytest.approx(0.1262, abs=5e-5)
    assert (full == pytest.approx(seen, abs=5e-7)) is (weights == "none")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("1", 0.16574176840547544),
        ("2", 0.2897637795275591),
        ("3", 0.7148407148407149),
        ("1k", 0.44279713367926865),
        ("2k", 0.6200505475989891),
        ("3k", 0.9093155423770695),
    ],
)
def test_shrout_fleiss_1979(kind, expected):
    found = icc(SHROUT_FLEISS, kind=kind)
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert (found.name, found.n_units, found.n_values, found.n_dropped) == (f"icc_{kind}", 6, 24, 0)


def test_two_rankings_with_ties():
    # 7 concordant, 1 discordant, one tie of each
    first, second = [1, 2, 2, 4, 5], [1, 3, 2, 2, 5]
    both = np.column_stack([first, second])
    assert tau_b(both).value == pytest.approx(0.666667, abs=5e-7)
    assert tau_c(both).value == pytest.approx(0.64, abs=1e-12)
    assert spearman(both).value == pytest.approx(0.763158, abs=5e-7)
    labels = pair_labels(("p", "t", who, dict(enumerate(r))) for who, r in [("x", first), ("y", second)])
    assert len(labels.counts) == 10
    assert pairwise_agreement(labels.counts).value == pytest.approx(7 / 10)
    strict = pairwise_agreement(labels.counts, ties="both_strict", tie_category=1)
    assert strict.value == pytest.approx(7 / 8)
    assert (strict.n_units, strict.n_values, strict.n_dropped) == (8, 16, 2)
