"""One number from many ratings: the same as the mixed model worked out in full, and what has to hold of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.consensus import adjusted, ratings
from annotate.measures import Labels, labels_of

SCALE = np.array([1.0, 2, 3, 4, 5])


def rated(rows, numbers=SCALE):
    """Labels of {unit: {rater: code}}."""
    triples = ((unit, unit, rater, code) for unit, by in rows.items() for rater, code in by.items())
    return labels_of(triples, len(numbers), numbers)


def panel(seed, units=300, raters=20, each=3, sd=(1.0, 0.6, 0.7)):
    """Ratings on a scale of steps of 1, what the units are truly worth, and the severities."""
    rng = np.random.default_rng(seed)
    worth, severity = rng.normal(0, sd[0], units), rng.normal(0, sd[1], raters)
    unit = np.repeat(np.arange(units), each)
    rater = np.concatenate([rng.permutation(raters)[:each] for _ in range(units)])
    numbers = np.arange(-12.0, 13)
    heard = np.round(worth[unit] + severity[rater] + rng.normal(0, sd[2], len(unit))).clip(-12, 12)
    value = (heard + 12).astype(np.int64)
    labels = Labels(unit, rater, value, np.arange(units), 25, list(range(units)), list(range(raters)), numbers)
    return labels, worth, severity


def worked_out(labels, unit_ratio, rater_ratio):
    """Means and their error variances from the covariance of all ratings, by generalised least squares.

    In units of the noise variance; and the restricted log-likelihood at these ratios, the noise at its best, with the lean.
    """
    y = labels.numbers[labels.value]
    of_unit, of_rater = np.eye(len(labels.units))[labels.unit], np.eye(len(labels.raters))[labels.rater]
    x = np.ones((len(y), 1))
    covariance = np.eye(len(y)) + unit_ratio * of_unit @ of_unit.T + rater_ratio * of_rater @ of_rater.T
    inverse = np.linalg.inv(covariance)
    information = x.T @ inverse @ x
    level = np.linalg.solve(information, x.T @ inverse @ y)
    pull = unit_ratio * of_unit.T @ inverse
    mean = level + pull @ (y - x @ level)
    reach = np.ones((len(labels.units), 1)) - pull @ x
    known = unit_ratio * np.eye(len(labels.units)) - unit_ratio * pull @ of_unit
    errors = np.diag(known + reach @ np.linalg.inv(information) @ reach.T)
    rest = y - x @ level
    freedom = len(y) - 1
    noise = rest @ inverse @ rest / freedom
    log_likelihood = -0.5 * (
        np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(information)[1] + freedom * np.log(noise)
    )
    lean = ratings.LEAN * (np.log(unit_ratio) ** 2 + np.log(rater_ratio) ** 2)
    return mean, errors, noise, log_likelihood - lean / 2


@pytest.mark.parametrize("seed", range(3))
def test_the_equations_are_the_mixed_model(seed):
    labels, _, _ = panel(seed, units=30, raters=6)
    found = adjusted(labels)
    noise = found.residual_sd**2
    ratios = found.unit_sd**2 / noise, found.rater_sd**2 / noise
    mean, errors, expected, best = worked_out(labels, *ratios)
    assert found.parts == 1
    assert found.mean == pytest.approx(mean, abs=1e-8)
    assert found.se == pytest.approx(np.sqrt(expected * errors), abs=1e-8)
    assert noise == pytest.approx(expected)
    # And these variances are the most likely ones.
    for factors in ((1.2, 1), (1 / 1.2, 1), (1, 1.3), (1, 1 / 1.3)):
        assert worked_out(labels, ratios[0] * factors[0], ratios[1] * factors[1])[3] < best


def test_severity_is_found_and_taken_off():
    labels, worth, severity = panel(5, units=2000, raters=25)
    found = adjusted(labels)
    assert found.severity == pytest.approx(severity - severity.mean(), abs=0.15)
    assert (found.unit_sd, found.rater_sd) == (pytest.approx(1, abs=0.05), pytest.approx(0.6, abs=0.15))
    assert found.residual_sd == pytest.approx(np.sqrt(0.7**2 + 1 / 12), abs=0.03)  # rounding is noise too

    def off(means):
        return np.sqrt(np.mean((means - worth - (means - worth).mean()) ** 2))

    assert off(found.mean) < 0.8 * off(found.plain_mean)


def test_errors_are_as_large_as_stated():
    inside, near, said = [], [], []
    for seed in range(10):
        labels, worth, severity = panel(seed + 50)
        found = adjusted(labels)
        miss = np.abs(found.mean - worth - severity.mean())
        inside.append((miss < 1.96 * found.se).mean())
        near.append((miss <= found.within).mean())
        said.append(found.confidence.mean())
    assert np.mean(inside) == pytest.approx(0.95, abs=0.02)
    assert np.mean(near) == pytest.approx(np.mean(said), abs=0.03)


def test_more_ratings_make_surer():
    labels, _, _ = panel(7, units=200)
    found = adjusted(labels.only((labels.unit >= 100) | (np.arange(len(labels.unit)) % 3 == 0)))
    assert found.n[:100].max() == 1
    assert found.se[:100].min() > found.se[100:].max()
    assert found.confidence[:100].max() < found.confidence[100:].min()
    # And the less is known, the closer to the middle.
    assert found.mean[:100].std() < found.mean[100:].std() < found.plain_mean[100:].std()


def test_parts_that_nothing_joins_keep_their_own_level():
    first, second = panel(8, units=40, raters=5)[0], panel(9, units=40, raters=5)[0]
    both = Labels(
        np.concatenate([first.unit, second.unit + 40]),
        np.concatenate([first.rater, second.rater + 5]),
        np.concatenate([first.value, second.value + 3]),
        np.arange(80),
        29,
        list(range(80)),
        list(range(10)),
        np.arange(-12.0, 17),
    )
    found = adjusted(both)
    assert found.parts == 2
    assert len(set(found.part[:40])) == len(set(found.part[40:])) == 1
    assert found.severity[:5].sum() == pytest.approx(0, abs=1e-8)
    assert found.severity[5:].sum() == pytest.approx(0, abs=1e-8)
    assert found.mean[:40].mean() == pytest.approx(found.plain_mean[:40].mean(), abs=0.1)
    assert found.mean[40:].mean() == pytest.approx(found.plain_mean[40:].mean(), abs=0.1)


def test_without_two_ratings_of_a_unit_nothing_is_adjusted():
    found = adjusted(rated({"a": {"x": 0}, "b": {"x": 3}, "c": {"y": 4}}))
    assert (
        found.no_interval_because
        == "no unit was rated by two people, so severity, noise and units cannot be told apart"
    )
    assert found.mean.tolist() == [1, 4, 5]
    assert found.confidence.tolist() == [0, 0, 0]
    assert found.severity.tolist() == [0, 0]


def test_without_any_rating_it_says_why():
    labels = rated({"a": {"x": 0}})
    found = adjusted(labels.only(np.array([False])))
    assert found.undefined_because == "nobody has given a rating"
    assert found.confidence.tolist() == [0]
    with pytest.raises(ValueError, match="numbers"):
        adjusted(replace(labels, numbers=None))


def test_a_unit_without_ratings_is_told_apart():
    labels, _, _ = panel(10, units=30, raters=5)
    found = adjusted(labels.only(labels.unit != 4))
    assert (found.n[4], found.confidence[4], found.part[4]) == (0, 0, -1)
    assert found.se[4] > found.se[5]
    assert np.isfinite(found.mean).all()


def test_rounding_is_the_least_noise():
    found = adjusted(rated({unit: dict.fromkeys("xyz", unit % 5) for unit in range(20)}))
    assert found.residual_sd == pytest.approx(0, abs=2e-3)
    assert found.se == pytest.approx(np.full(20, np.sqrt(1 / 12 / 3)), abs=1e-3)
    assert found.confidence.max() < 1


def test_within_is_half_a_step_unless_said():
    rows = {unit: {r: (unit + r) % 5 for r in range(3)} for unit in range(8)}
    assert adjusted(rated(rows)).within == 0.5
    assert adjusted(rated(rows, np.array([0, 0.25, 1, 2, 3]))).within == 0.125
    assert (adjusted(rated(rows), within=1).confidence > adjusted(rated(rows)).confidence).all()


# --- What always holds ---

TABLES = st.dictionaries(
    st.integers(0, 9), st.dictionaries(st.integers(0, 4), st.integers(0, 4), min_size=1), min_size=1, max_size=10
)


def finite(found):
    numbers = [found.mean, found.se, found.confidence, found.severity, found.severity_se]
    return all(np.isfinite(part).all() for part in numbers) and (found.se > 0).all()


@given(rows=TABLES)
def test_every_number_is_one(rows):
    found = adjusted(rated(rows))
    assert finite(found)
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
    assert np.abs(found.severity.sum()) < 1e-6


@given(rows=TABLES, seed=st.integers(0, 99))
def test_the_order_of_ratings_units_and_raters_changes_nothing(rows, seed):
    labels = rated(rows)
    rng = np.random.default_rng(seed)
    of_unit, of_rater = rng.permutation(len(labels.units)), rng.permutation(len(labels.raters))
    order = rng.permutation(len(labels.unit))
    mixed = replace(
        labels, unit=of_unit[labels.unit][order], rater=of_rater[labels.rater][order], value=labels.value[order]
    )
    plain, other = adjusted(labels), adjusted(mixed)
    assert other.mean[of_unit] == pytest.approx(plain.mean, abs=2e-3)
    assert other.se[of_unit] == pytest.approx(plain.se, abs=2e-3)


@given(rows=TABLES, factor=st.floats(0.1, 100), shift=st.floats(-50, 50))
def test_another_scale_only_moves_and_stretches(rows, factor, shift):
    plain, other = adjusted(rated(rows)), adjusted(rated(rows, SCALE * factor + shift))
    assert (other.mean - shift) / factor == pytest.approx(plain.mean, abs=2e-3)
    assert other.se / factor == pytest.approx(plain.se, abs=2e-3)
    assert other.confidence == pytest.approx(plain.confidence, abs=2e-3)


@given(values=st.lists(st.integers(0, 4), min_size=1, max_size=10), raters=st.integers(2, 5))
def test_where_everybody_agrees_that_is_the_mean(values, raters):
    found = adjusted(rated({unit: dict.fromkeys(range(raters), value) for unit, value in enumerate(values)}))
    assert found.mean == pytest.approx(SCALE[values], abs=1e-4)
    assert found.severity == pytest.approx(np.zeros(raters), abs=1e-4)


def test_chunks_change_nothing(monkeypatch):
    labels, _, _ = panel(11, units=50)
    whole = adjusted(labels).se
    monkeypatch.setattr(ratings, "CHUNK", 7)
    assert adjusted(labels).se == pytest.approx(whole, rel=1e-12)
