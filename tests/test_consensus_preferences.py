"""Strengths and orders from comparisons: published tables, other ways to the same figures, and odd cases."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from annotate.consensus import (
    bradley_terry,
    clustered,
    comparisons_of,
    crowd_bradley_terry,
    davidson,
    order_of,
    orders_of,
    plackett_luce,
    preferences,
    ranked_pairs,
)

# American League East 1987 (Agresti): row beat column. Milwaukee, Detroit, Toronto, New York, Boston, Cleveland, Baltimore.
BASEBALL = """0 7 9 7 7 9 11 / 6 0 7 5 11 9 9 / 4 6 0 7 7 8 12 / 6 8 6 0 6 7 10 / 6 2 6 7 0 7 12 / 4 4 5 6 6 0 6 /
2 4 1 3 1 7 0"""
WORTHS = [1.581356, 1.436408, 1.294485, 1.247618, 1.107698, 0.683853, 0]
ERRORS = [0.3433, 0.3396, 0.3367, 0.3359, 0.3339, 0.3319, 0]

# Critchlow and Fligner 1991, salad dressings: the ranks of A, B, C and D, and how many gave them.
SALAD = "1234x2 2134 2143x2 2314 3124x2 3142 3421 4123x11 4132x6 4213x3 4312 4321"

CITIES = {"MNCK": 42, "NCKM": 26, "CKNM": 15, "KCNM": 17}  # Tennessee votes on its capital


def baseball():
    return np.array([row.split() for row in BASEBALL.split("/")], dtype=float)


def compared(seed, items=8, raters=40, each=60, reliability=None, per_prompt=1):
    """Comparisons by people who follow the strengths with some reliability; the strengths, and the reliabilities."""
    rng = np.random.default_rng(seed)
    worth = rng.normal(0, 1, items)
    reliability = np.ones(raters) if reliability is None else np.array(reliability)
    rows = []
    for rater, sure in enumerate(reliability):
        for number in range(each):
            one, other = rng.choice(items, 2, replace=False)
            better = rng.random() < 1 / (1 + np.exp(worth[other] - worth[one]))
            straight = rng.random() < sure
            outcome = 0 if better == straight else 2
            rows += [((rater, number), rater, int(one), int(other), outcome)] * per_prompt
    found = comparisons_of(rows)
    return found, (worth - worth.mean())[found.items], reliability


def second_derivatives(function, at, step=1e-3):
    axes = np.eye(len(at)) * step
    signs = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    return np.array(
        [[sum(s * t * function(at + s * a + t * b) for s, t in signs) / (4 * step**2) for a in axes] for b in axes]
    )


# --- Bradley–Terry ---


def test_baseball_1987():
    found = bradley_terry(baseball())
    worth, se = found.against(6)
    assert worth == pytest.approx(WORTHS, abs=5e-7)
    assert se == pytest.approx(ERRORS, abs=5e-5)
    assert found.regularised_because is None
    assert found.log_worth.sum() == pytest.approx(0, abs=1e-12)
    assert found.covariance.sum(axis=0) == pytest.approx(np.zeros(7), abs=1e-12)


def test_two_items_are_the_log_odds():
    found = bradley_terry([[0, 30], [10, 0]])
    difference, se = found.against(1)
    assert difference[0] == pytest.approx(np.log(3))
    assert se[0] == pytest.approx(np.sqrt(1 / 30 + 1 / 10))
    low, high = found.interval(0.95)
    assert high[0] - low[0] == pytest.approx(2 * 1.959964 * se[0] / 2)  # against the average: half of the way


def test_an_item_that_always_won_is_lent_half_a_loss():
    found = bradley_terry([[0, 5, 5], [0, 0, 3], [0, 2, 0]])
    assert found.regularised_because == preferences.UNBEATEN
    assert np.isfinite(found.log_worth).all()
    assert found.log_worth.argmax() == 0
    assert np.isfinite(found.se).all()
    # As if each had played against an item of strength 0 and won half of one game.
    lent = np.pad(np.array([[0, 5, 5], [0, 0, 3], [0, 2, 0]], dtype=float), (0, 1))
    lent[3, :3] = lent[:3, 3] = 0.5
    worth, se = bradley_terry(lent).against(2)
    assert found.against(2)[0] == pytest.approx(worth[:3])
    assert found.against(2)[1] == pytest.approx(se[:3])


def test_groups_that_never_met_are_told():
    found = bradley_terry([[0, 3, 0, 0], [2, 0, 0, 0], [0, 0, 0, 4], [0, 0, 1, 0]])
    assert found.regularised_because == preferences.APART
    assert found.log_worth[2] > found.log_worth[0] > found.log_worth[1] > found.log_worth[3]
    assert found.against(0)[1][2] > found.against(0)[1][1]  # much less is known across


def test_a_ridge_always_has_an_answer_and_draws_to_the_middle():
    wins = np.array([[0, 5, 5], [0, 0, 3], [0, 2, 0]])
    weak, strong = bradley_terry(wins, ridge=0.1), bradley_terry(wins, ridge=10)
    assert weak.regularised_because is None
    assert np.ptp(strong.log_worth) < np.ptp(weak.log_worth) < 10


def test_nothing_compared_is_undefined():
    found = bradley_terry(np.zeros((3, 3)))
    assert found.undefined_because == preferences.NO_COMPARISONS
    assert (found.log_worth, found.se, found.interval(), found.against(0)) == (None, None, None, None)


@pytest.mark.parametrize("wins", [[[0]], [[0, 1]], [[0, -1], [1, 0]], [[1, 1], [1, 0]], [[0, float("nan")], [1, 0]]])
def test_what_cannot_be_wins_is_refused(wins):
    with pytest.raises(ValueError, match="wins and ties must be"):
        bradley_terry(wins)


def test_a_tie_is_half_a_win_for_each():
    found = comparisons_of(
        [("p", "x", "a", "b", 0), ("p", "x", "b", "a", 1), ("q", "y", "b", "a", 2), ("q", "y", "c", "b", 0)]
    )
    assert found.items == ["a", "b", "c"]
    assert found.wins.tolist() == [[0, 2.5, 0], [0.5, 0, 0], [0, 1, 0]]
    assert found.ties.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert found.strict_wins.tolist() == [[0, 2, 0], [0, 0, 0], [0, 1, 0]]
    assert found.group.tolist() == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="itself"):
        comparisons_of([("p", "x", "a", "a", 0)])
    with pytest.raises(ValueError, match="outcome"):
        comparisons_of([("p", "x", "a", "b", 3)])


def test_repeating_each_prompt_makes_nothing_surer():
    once, _, _ = compared(1)
    often, _, _ = compared(1, per_prompt=5)
    plain, repeated = bradley_terry(once.wins), bradley_terry(often.wins)
    assert repeated.log_worth == pytest.approx(plain.log_worth)
    assert repeated.se == pytest.approx(plain.se / np.sqrt(5))  # what an interval by comparisons would say
    honest = clustered(repeated, often)
    assert honest.log_worth is repeated.log_worth
    assert honest.se == pytest.approx(clustered(plain, once).se, rel=1e-6)
    assert honest.se == pytest.approx(plain.se, rel=0.1)


def test_few_prompts_say_nothing_of_prompts():
    rows = [(number % 5, "x", "a", "b", 2 * (number % 3 == 0)) for number in range(30)]
    comparisons = comparisons_of(rows)
    found = clustered(bradley_terry(comparisons.wins), comparisons)
    assert found.no_interval_because == preferences.FEW_PROMPTS


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=30),
    st.permutations(range(4)),
)
def test_names_of_items_do_not_matter(rows, names):
    wins = np.zeros((4, 4))
    for one, other, outcome in rows:
        if one != other:
            wins[one, other] += 1 - outcome / 2
            wins[other, one] += outcome / 2
    renamed = np.zeros((4, 4))
    renamed[np.ix_(names, names)] = wins
    plain, other = bradley_terry(wins), bradley_terry(renamed)
    assert plain.undefined_because == other.undefined_because
    if plain.log_worth is not None:
        assert np.isfinite(plain.se).all()
        assert plain.converged
        assert other.log_worth[list(names)] == pytest.approx(plain.log_worth, abs=1e-6)
        assert other.se[list(names)] == pytest.approx(plain.se, abs=1e-6)


# --- Davidson ---


def test_davidson_is_its_maximum():
    wins, ties = baseball(), np.array([[0, 3, 1], [3, 0, 2], [1, 2, 0]])
    wins = wins[:3, :3]
    found = davidson(wins, ties)

    def loss(at):
        worth, nu = np.exp([*at[:2], 0]), np.exp(at[2])
        total = 0.0
        for one, other in permutations(range(3), 2):
            even = nu * np.sqrt(worth[one] * worth[other])
            norm = worth[one] + worth[other] + even
            total -= wins[one, other] * np.log(worth[one] / norm) + ties[one, other] / 2 * np.log(even / norm)
        return total

    best = optimize.minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-8})
    assert found.against(2)[0][:2] == pytest.approx(best.x[:2], abs=1e-5)
    assert found.tie == pytest.approx(np.exp(best.x[2]), rel=1e-5)
    assert found.log_likelihood == pytest.approx(-best.fun, abs=1e-8)
    se = np.sqrt(np.diag(np.linalg.inv(second_derivatives(loss, best.x))))
    assert found.against(2)[1][:2] == pytest.approx(se[:2], rel=1e-4)
    assert found.tie_se == pytest.approx(se[2], rel=1e-4)


def test_davidson_without_ties_and_with_nothing_else():
    plain = davidson(baseball(), np.zeros((7, 7)))
    assert plain.tie == 0
    assert plain.log_worth == pytest.approx(bradley_terry(baseball()).log_worth)
    level = np.ones((3, 3)) - np.eye(3)
    assert davidson(np.zeros((3, 3)), level).undefined_because == preferences.ONLY_TIES
    assert davidson(np.zeros((3, 3)), np.zeros((3, 3))).undefined_because == preferences.NO_COMPARISONS
    with pytest.raises(ValueError, match="symmetric"):
        davidson(baseball(), np.triu(np.ones((7, 7)), 1))
    lent = davidson([[0, 3, 0], [0, 0, 0], [0, 0, 0]], [[0, 1, 0], [1, 0, 0], [0, 0, 0]])
    assert lent.regularised_because == preferences.APART
    assert np.isfinite(lent.se).all()


# --- Plackett–Luce ---


def salad():
    rankings, weights = [], []
    for entry in SALAD.split():
        ranks, _, times = entry.partition("x")
        rankings.append([ranks.index(place) for place in "1234"])
        weights.append(float(times or 1))
    return rankings, weights


def test_salad_dressings():
    found = plackett_luce(*salad()[:1], 4, salad()[1])
    assert found.against(0)[0] == pytest.approx([0, 2.729914, 1.561539, 1.026836], abs=5e-7)
    assert found.log_likelihood == pytest.approx(-76.415289, abs=5e-7)
    assert found.regularised_because is None
    repeated = [ranking for ranking, times in zip(*salad(), strict=True) for _ in range(int(times))]
    assert plackett_luce(repeated, 4).log_worth == pytest.approx(found.log_worth)
    assert found.n == len(repeated)


def test_the_errors_of_plackett_luce_are_the_curvature():
    rankings, weights = salad()
    rankings = [*rankings, [1, 3], [2, 0, 1]]
    weights = [*weights, 3.0, 2.0]
    found = plackett_luce(rankings, 4, weights)

    def likelihood(worth):
        total = 0.0
        for ranking, weight in zip(rankings, weights, strict=True):
            for at in range(len(ranking) - 1):
                left = worth[list(ranking[at:])]
                total += weight * (left[0] - np.log(np.exp(left).sum()))
        return total

    def loss(first_three):
        return -likelihood(np.append(first_three, found.log_worth[3]))

    se = np.sqrt(np.diag(np.linalg.inv(second_derivatives(loss, found.log_worth[:3]))))
    assert found.log_likelihood == pytest.approx(likelihood(found.log_worth))
    assert found.against(3)[1][:3] == pytest.approx(se, rel=1e-4)


def test_rankings_of_two_are_bradley_terry():
    wins = baseball()
    rankings = [[one, other] for one, other in permutations(range(7), 2)]
    weights = [wins[one, other] for one, other in rankings]
    found, plain = plackett_luce(rankings, 7, weights), bradley_terry(wins)
    assert found.log_worth == pytest.approx(plain.log_worth)
    assert found.covariance == pytest.approx(plain.covariance)


def test_rankings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="ranking 1 has a tie"):
        plackett_luce([[0, 1], [[0, 1], 2]], 3)
    with pytest.raises(ValueError, match="ranking 0 must name"):
        plackett_luce([[0, 0]], 3)
    with pytest.raises(ValueError, match="ranking 0 must name"):
        plackett_luce([[0, 3]], 3)
    with pytest.raises(ValueError, match="weights"):
        plackett_luce([[0, 1]], 3, [-1])
    assert plackett_luce([[0]], 3).undefined_because == preferences.NO_COMPARISONS
    always = plackett_luce([[0, 1, 2], [0, 2, 1]], 3)
    assert always.regularised_because == preferences.UNBEATEN
    assert np.isfinite(always.se).all()


# --- Ranked pairs ---


def votes_on(orders):
    return [{name: place for place, name in enumerate(order)} for order in orders]


def test_tennessee():
    found = ranked_pairs(votes_on(CITIES), CITIES.values())
    assert found.tiers == [["N"], ["C"], ["K"], ["M"]]
    assert found.margins["C", "K"] == 66
    assert (found.votes, found.overruled, found.even, found.unsupported) == (100, [], [], [])


def test_the_smallest_majority_of_a_cycle_gives_way():
    # a over b by 5, b over c by 3, c over a by 1.
    orders = {"abc": 4, "bca": 3, "cab": 2}
    found = ranked_pairs(votes_on(orders), orders.values())
    assert found.margins == {("a", "b"): 3, ("a", "c"): -1, ("b", "c"): 5}
    assert found.tiers == [["a"], ["b"], ["c"]]
    assert found.overruled == [("c", "a")]


def test_equal_majorities_that_make_a_cycle_all_give_way():
    found = ranked_pairs(votes_on(["abc", "bca", "cab"]))
    assert found.tiers == [["a", "b", "c"]]
    assert found.even == [("a", "b"), ("b", "c"), ("c", "a")]
    assert found.locked == []
    # One that is outside of the cycle holds all the same.
    below = ranked_pairs(votes_on(["abcd", "bcad", "cabd"]))
    assert below.tiers == [["a", "b", "c"], ["d"]]


def test_ties_and_what_was_not_ranked():
    tied = ranked_pairs([{"a": 1, "b": 1, "c": 2}, {"a": 1, "b": 2, "c": 3}, {"a": 2, "b": 1, "c": 3}])
    assert tied.tiers == [["a", "b"], ["c"]]
    assert tied.margins["a", "b"] == 0
    partial = ranked_pairs([{"a": 1, "b": 2}, {"b": 1, "c": 2}])
    assert partial.tiers == [["a"], ["b"], ["c"]]
    assert ("a", "c") not in partial.margins
    worst = ranked_pairs([{"a": 1, "b": None, "c": None}])
    assert worst.tiers == [["a"], ["b", "c"]]
    assert ("b", "c") not in worst.margins
    assert ranked_pairs([]).undefined_because == "no two outputs were compared"
    assert ranked_pairs([{"a": 1}]).tiers == [["a"]]


def test_pairs_that_nothing_orders_are_told():
    """a over c, and b level with both: two tiers have to say more than the votes do."""
    level = ranked_pairs([{"a": 1, "c": 2}, {"a": 1, "b": 1}, {"b": 1, "c": 1}])
    assert level.tiers == [["a", "b"], ["c"]]
    assert level.unsupported == [("b", "c")]


VOTES = st.lists(st.dictionaries(st.integers(0, 4), st.one_of(st.none(), st.integers(1, 4))), max_size=7)


@given(votes=VOTES, names=st.permutations(range(5)), data=st.data())
def test_neither_names_nor_the_order_of_votes_matter(votes, names, data):
    plain = ranked_pairs(votes)
    mixed = data.draw(st.permutations(votes))
    other = ranked_pairs([{names[item]: tier for item, tier in vote.items()} for vote in mixed])
    assert [sorted(names[item] for item in tier) for tier in plain.tiers] == other.tiers
    assert sorted((names[a], names[b]) for a, b in plain.locked) == other.locked
    # What is locked holds in the order.
    tier_of = {item: number for number, tier in enumerate(plain.tiers) for item in tier}
    assert all(tier_of[better] < tier_of[worse] for better, worse in plain.locked)


@given(order=st.permutations("abcde"))
def test_where_everybody_agrees_that_is_the_order(order):
    assert ranked_pairs(votes_on([order] * 3)).tiers == [[name] for name in order]


# --- The order of one task ---


def slow_order(outputs, posteriors):
    """Pairs from the most probable down, each kept unless no order of tiers agrees with it and those before."""
    ranks = [dict(zip(outputs, places, strict=True)) for places in np.ndindex(*[len(outputs)] * len(outputs))]
    said = {}
    for pair, (first, tie, second) in posteriors.items():
        what = 0 if first > max(tie, second) else 2 if second > max(tie, first) else 1
        said[pair] = (what, (first, tie, second)[what])
    for (a, b), (what, _) in sorted(said.items(), key=lambda item: (-item[1][1], item[0])):
        kept = [rank for rank in ranks if np.sign(rank[a] - rank[b]) + 1 == what]
        ranks = kept or ranks
    shapes = Counter(tuple(int(np.sign(rank[a] - rank[b]) + 1) for a, b in combinations(outputs, 2)) for rank in ranks)
    assert len(shapes) == 1
    return dict(zip(combinations(outputs, 2), next(iter(shapes)), strict=True))


@pytest.mark.parametrize("outputs", ["abc", "abcd"])
@pytest.mark.parametrize("seed", range(8))
def test_orders_are_those_of_a_slow_search(outputs, seed):
    rng = np.random.default_rng(seed)
    tasks = {task: {pair: tuple(rng.dirichlet([1, 0.7, 1])) for pair in combinations(outputs, 2)} for task in range(10)}
    keys = [(task, *pair) for task, pairs in tasks.items() for pair in pairs]
    found = orders_of(keys, [posterior for pairs in tasks.values() for posterior in pairs.values()])
    for task, posteriors in tasks.items():
        relations = slow_order(outputs, posteriors)
        tier_of = {name: number for number, tier in enumerate(found[task].tiers) for name in tier}
        assert {pair: int(np.sign(tier_of[pair[0]] - tier_of[pair[1]]) + 1) for pair in relations} == relations
        gaps = {pair: abs(tier_of[pair[0]] - tier_of[pair[1]]) for pair in relations}
        least = min(
            posteriors[pair][what]
            for pair, what in relations.items()
            if gaps[pair] <= 1 or what != int(np.argmax(posteriors[pair]))
        )
        assert found[task].confidence == pytest.approx(least)
        assert found[task].complete
        assert order_of(posteriors) == found[task]


@given(first=st.floats(0.01, 1), tie=st.floats(0.01, 1), second=st.floats(0.01, 1))
def test_the_order_of_two_is_their_posterior(first, tie, second):
    total = first + tie + second
    posterior = (first / total, tie / total, second / total)
    found, turned = order_of({("a", "b"): posterior}), order_of({("b", "a"): posterior[::-1]})
    assert found.tiers == turned.tiers
    assert found.confidence == turned.confidence
    relation = 1 if len(found.tiers) == 1 else 0 if found.tiers[0] == ["a"] else 2
    assert found.confidence == posterior[relation]
    if len(set(posterior)) == 3 and np.diff(sorted(posterior))[-1] > 1e-6:
        assert found.confidence == max(posterior)


def test_even_sides_are_a_tie_and_not_trusted():
    found = order_of({("a", "b"): (0.45, 0.1, 0.45)})
    assert (found.tiers, found.confidence) == ([["a", "b"]], 0.1)


def test_a_cycle_is_not_trusted():
    wins = (0.8, 0.1, 0.1)
    found = order_of({("a", "b"): wins, ("b", "c"): (0.9, 0.05, 0.05), ("a", "c"): (0.15, 0.15, 0.7)})
    assert found.tiers == [["a"], ["b"], ["c"]]
    assert found.confidence == 0.15  # of a over c, which the other two imply
    assert found.complete


def test_levels_follow():
    found = order_of({("a", "b"): (0.1, 0.8, 0.1), ("b", "c"): (0.9, 0.05, 0.05)})
    assert (found.tiers, found.confidence, found.complete) == ([["a", "b"], ["c"]], 0.8, True)


def test_outputs_that_were_not_compared_leave_it_incomplete():
    found = order_of({("a", "b"): (0.8, 0.1, 0.1)}, outputs=["c"])
    assert (found.tiers, found.confidence, found.complete) == ([["a", "c"], ["b"]], 0.8, False)
    nothing = order_of({}, outputs=["a", "b"])
    assert (nothing.tiers, nothing.confidence, nothing.complete) == ([["a", "b"]], 0, False)
    assert nothing.undefined_because == order_of({}).undefined_because == "no two outputs were compared"


@pytest.mark.parametrize(
    ("keys", "posterior", "problem"),
    [
        ([(1, "a", "b")], [[0.5, 0.5]], "three probabilities"),
        ([(1, "a", "b")], [[0.5, float("nan"), 0.5]], "three probabilities"),
        ([(1, "a", "a")], [[0.5, 0.2, 0.3]], "itself"),
        ([(1, "a", "b"), (1, "b", "a")], [[0.5, 0.2, 0.3], [0.3, 0.2, 0.5]], "two posteriors"),
    ],
)
def test_posteriors_that_cannot_be_are_refused(keys, posterior, problem):
    with pytest.raises(ValueError, match=problem):
        orders_of(keys, posterior)


def test_tasks_of_all_sizes_go_together_and_apart():
    rng = np.random.default_rng(1)
    keys = [(task, a, b) for task in range(60) for a, b in combinations(range(2 + task % 4), 2) if (a + b + task) % 5]
    posterior = rng.dirichlet([1, 1, 1], len(keys))
    together = orders_of(keys, posterior)
    mixed = rng.permutation(len(keys))
    assert orders_of([keys[at] for at in mixed], posterior[mixed]) == together
    for task, found in together.items():
        own = {key[1:]: row for key, row in zip(keys, posterior, strict=True) if key[0] == task}
        assert order_of(own) == found


# --- Bradley–Terry of a crowd ---


def test_adversaries_and_guessers_are_found():
    reliability = [0.02] * 3 + [0.5] * 8 + [0.95] * 29
    comparisons, worth, reliability = compared(3, each=150, reliability=reliability)
    found, plain = crowd_bradley_terry(comparisons), bradley_terry(comparisons.wins)
    assert np.flatnonzero(found.adversarial).tolist() == [0, 1, 2]
    assert found.reliability[:3].max() < 0.2
    assert found.reliability[3:11].max() < found.reliability[11:].min()

    def off(strengths):
        return np.sqrt(np.mean((strengths.log_worth - worth) ** 2))

    assert off(found) < off(plain) / 2
    assert found.converged
    assert np.diff(found.trace).min() > -1e-8 * abs(found.trace[-1])


def test_reliable_people_give_plain_bradley_terry():
    """Also with few answers each, where a reliability for each annotator would stretch the strengths."""
    stretch = []
    for seed in range(8):
        comparisons, _, _ = compared(seed, raters=100, each=12)
        found, plain = crowd_bradley_terry(comparisons), bradley_terry(comparisons.wins)
        stretch.append(np.ptp(found.log_worth) / np.ptp(plain.log_worth))
        assert np.corrcoef(found.log_worth, plain.log_worth)[0, 1] > 0.99
        assert not found.adversarial.any()
    assert 0.95 < np.mean(stretch) < 1.3


def test_the_errors_of_a_crowd_are_as_large_as_stated():
    inside, of_people = [], []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        reliability = np.where(rng.random(60) < 0.2, 0.5, rng.beta(20, 2, 60))
        comparisons, worth, reliability = compared(seed + 100, raters=60, each=60, reliability=reliability)
        found = crowd_bradley_terry(comparisons)
        if found.covariance is not None:
            inside.append((np.abs(found.log_worth - worth) < 1.96 * found.se).mean())
        of_people.append(((found.reliability_low <= reliability) & (reliability <= found.reliability_high)).mean())
    assert len(inside) > 20
    assert 0.9 < np.mean(inside) < 0.995
    assert np.mean(of_people) > 0.8  # the worths are taken as known, and are not


def test_a_crowd_without_answers_is_undefined():
    found = crowd_bradley_terry(comparisons_of([]))
    assert found.undefined_because == preferences.NO_COMPARISONS
    assert found.log_worth is None
    with pytest.raises(ValueError, match="ridge"):
        crowd_bradley_terry(compared(1)[0], ridge=0)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=25
    )
)
def test_a_crowd_of_few_has_no_nonsense(rows):
    comparisons = comparisons_of((0, rater, a, b, outcome) for rater, a, b, outcome in rows if a != b)
    found = crowd_bradley_terry(comparisons, iterations=50)
    if found.log_worth is not None:
        assert np.isfinite(found.log_worth).all()
        assert found.no_interval_because or np.isfinite(found.se).all()
        assert (
            (found.reliability >= found.reliability_low - 0.01) & (found.reliability <= found.reliability_high + 0.01)
        ).all()
        assert np.diff(found.trace).min(initial=0) > -1e-9 * max(1, abs(found.trace[-1]))
