"""Pairs and labels of exports, whatever people said: each implied, none missing, the weights of a prompt at most 1."""

from collections import defaultdict
from itertools import combinations, permutations
from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.exporting.records import Votes
from tests.judged import item, judged, letter, pairs, rows_of, settled

OUTPUTS = "abcdef"
TIERS = st.one_of(st.none(), st.integers(1, 4))


@st.composite
def tasks(draw):
    """One to three tasks of a prompt with outputs of their own; some are empty, in every task alike."""
    empty = "".join(draw(st.sets(st.sampled_from(OUTPUTS), max_size=2)))
    names = st.lists(st.sampled_from(OUTPUTS), min_size=2, unique=True).map("".join)
    return [item(draw(names), task, empty) for task in range(1, draw(st.integers(1, 3)) + 1)]


@st.composite
def orders(draw, of):
    """Tiers of some outputs, in their order, and a line that speaks of some."""
    names = [output.name for output in of.outputs]
    known, lined = draw(st.sets(st.sampled_from(names))), draw(st.sets(st.sampled_from(names)))
    tiers = {name: draw(TIERS) for name in names if name in known}
    return tiers, {name: draw(st.booleans()) for name in names if name in lined}


@st.composite
def judgements(draw, reliability=(0.25, 0.5, 1.0)):
    found, of = [], draw(tasks())
    for number in range(1, draw(st.integers(1, 6)) + 1):
        task = draw(st.sampled_from(of))
        tiers, line = draw(orders(task))
        found.append(judged(number, task, line=line, reliability=draw(st.sampled_from(reliability)), **tiers))
    return found


def above(order, one, other):
    """Whether the order, or else the line, puts the one above the other."""
    if one not in order.tiers or other not in order.tiers:
        return False
    first, second = (inf if order.tiers[name] is None else order.tiers[name] for name in (one, other))
    lined = order.acceptable.get(one) is True and order.acceptable.get(other) is False
    return first < second or (first == second and lined)


def whole(of):
    return {output.name for output in of.outputs if output.text.strip()}


# --- Judgements -------------------------------------------------------------------------------------------------------


@given(judgements())
def test_every_pair_is_implied_and_none_is_missing(said):
    rows, counted = rows_of("preference", *said)
    implied = {
        (one, other, judgement.annotation)
        for judgement in said
        if judgement.order
        for one, other in permutations(whole(judgement.item), 2)
        if above(judgement.order, one, other)
    }
    got = pairs(rows, "annotation")
    assert set(got) == implied
    assert len(got) == len(implied)
    left_out = ("ties_dropped", "empty_outputs", "without_margin", "without_weight")
    assert counted["comparisons"] == len(rows) + sum(counted[reason] for reason in left_out)
    assert counted["judgements"] == len(said)
    of_all = sum(len(list(combinations(one.item.outputs, 2))) for one in said if one.order)
    assert of_all == counted["comparisons"] + counted["unknown"] + counted["unordered"]


@given(judgements())
def test_a_soft_tie_is_a_row_for_each_tie_and_changes_no_other(said):
    dropped, without = rows_of("preference", *said)
    soft, counted = rows_of("preference", *said, ties="soft")
    strict = [row for row in soft if row["rank_gap"] != 0]
    assert [{name: row[name] for name in row if name != "soft_label"} for row in strict] == dropped
    assert {row["soft_label"] for row in strict} <= {1.0}
    assert {row["soft_label"] for row in soft if row["rank_gap"] == 0} <= {0.5}
    assert counted["ties"] == without["ties"] == without["ties_dropped"]
    assert sum(row["weight"] for row in soft) <= 1 + 1e-9


@given(judgements(reliability=(0.0, 0.5, 1.0)))
def test_the_weights_of_a_prompt_sum_to_at_most_1_and_are_above_0(said):
    for kind in ("preference", "unpaired"):
        rows, _ = rows_of(kind, *said)
        assert sum(row["weight"] for row in rows) <= 1 + 1e-9
        assert all(row["weight"] > 0 for row in rows)


@given(
    st.lists(st.permutations(range(1, 5)), min_size=1, max_size=5), st.lists(st.floats(0, 1), min_size=5, max_size=5)
)
def test_they_sum_to_1_where_everybody_ordered_all(tiers, reliability):
    said = [
        judged(
            number,
            item("abcd"),
            line="ab",
            reliability=round(reliability[number], 6),
            **dict(zip("abcd", one, strict=True)),
        )
        for number, one in enumerate(tiers)
    ]
    for kind in ("preference", "unpaired"):
        rows, _ = rows_of(kind, *said)
        assert sum(row["weight"] for row in rows) == pytest.approx(1)


@given(judgements())
def test_labels_are_what_people_said_of_the_line(said):
    rows, _ = rows_of("unpaired", *said)
    got = {(row["annotations"][0], letter(row["completion"])): row["label"] for row in rows}
    lines = {
        (one.annotation, name): label
        for one in said
        if one.order
        for name, label in one.order.acceptable.items()
        if name in whole(one.item)
    }
    assert got == lines
    assert len(rows) == len(lines)


@given(judgements())
def test_a_ranking_has_all_outputs_that_hold_something(said):
    rows, counted = rows_of("ranking", *said)
    assert len(rows) + counted["without_order"] == len(said)
    of = {one.annotation: one for one in said}
    for row in rows:
        one = of[row["annotations"][0]]
        known = {name: name in one.order.tiers for name in whole(one.item)}
        assert {entry["text"].removeprefix("Text "): entry["known"] for entry in row["completions"]} == known


# --- Consensus --------------------------------------------------------------------------------------------------------


@st.composite
def consensus(draw):
    found = []
    for of in draw(tasks()):
        tiers, line = draw(orders(of)) if draw(st.booleans()) else ({}, {})
        sides = list(combinations([output.name for output in of.outputs], 2))
        voted = draw(st.sets(st.sampled_from(sides)))
        counts, soft = st.tuples(*[st.integers(0, 3)] * 3), st.sampled_from([(1.0, 0.0, 0.0), (0.2, 0.3, 0.5)])
        votes = {pair: Votes(draw(counts), draw(soft)) for pair in sides if pair in voted}
        found.append(settled(of, votes, adjudicated=draw(st.booleans()), line=line, **tiers))
    return found


@given(consensus(), st.sampled_from(["drop", "soft"]))
def test_pairs_of_consensus_are_implied_and_none_is_missing(found, ties):
    rows, counted = rows_of("preference", settled=found, unit="consensus", ties=ties)
    implied = {
        (one, other, task.item.name)
        for task in found
        if task.order
        for one, other in permutations(whole(task.item), 2)
        if above(task.order, one, other)
        and (task.adjudicated or (one, other) in task.votes or (other, one) in task.votes)
    }
    assert {pair for pair, row in zip(pairs(rows, "task"), rows, strict=True) if row["rank_gap"] != 0} == implied
    left_out = ("ties_dropped", "empty_outputs", "undecided")
    assert counted["comparisons"] == len(rows) + sum(counted[reason] for reason in left_out)
    assert sum(row["weight"] for row in rows) <= 1 + 1e-9
    assert all(row["weight"] > 0 and 0 <= row["soft_label"] <= 1 for row in rows)


@given(st.lists(st.permutations(range(1, 5)), min_size=1, max_size=3))
def test_they_sum_to_1_where_every_task_was_settled(tiers):
    votes = {pair: Votes((1, 0, 0), (0.9, 0.0, 0.1)) for pair in combinations("abcd", 2)}
    found = [
        settled(item("abcd", task), votes, **dict(zip("abcd", one, strict=True))) for task, one in enumerate(tiers)
    ]
    rows, _ = rows_of("preference", settled=found, unit="consensus")
    assert sum(row["weight"] for row in rows) == pytest.approx(1)


@given(judgements())
def test_labels_of_consensus_weigh_at_most_1(said):
    rows, _ = rows_of("unpaired", *said, unit="consensus")
    assert sum(row["weight"] for row in rows) <= 1 + 1e-9
    assert all((row["votes_true"] > row["votes_false"]) == row["label"] for row in rows)
    assert all(row["votes_true"] != row["votes_false"] for row in rows)


# --- From the raw judgements alone ------------------------------------------------------------------------------------


def rebuilt(rows):
    """{(chosen, rejected, annotation): (weight, soft label)} by rows of kind `judgement`, as docs/exports.md says."""
    said = []
    for row in rows:
        known = [tier for tier in row["tiers"] if tier["known"]]
        for first, second in combinations(known, 2):
            one, other = (inf if side["tier"] is None else side["tier"] for side in (first, second))
            line = {first["acceptable"], second["acceptable"]} == {True, False}
            if one == other == inf and not line:
                continue
            tie = one == other and not line
            swapped = second["acceptable"] if one == other and line else other < one
            chosen, rejected = (second, first) if swapped else (first, second)
            said.append((row, chosen["output"], rejected["output"], tie))
    judges = defaultdict(list)
    for row, chosen, rejected, _tie in said:
        judges[frozenset((chosen, rejected))].append(row["reliability"])
    found = {}
    for row, chosen, rejected, tie in said:
        people = judges[frozenset((chosen, rejected))]
        share = row["reliability"] / sum(people) if sum(people) else 1 / len(people)
        found[chosen, rejected, row["annotation"]] = (share / len(judges), 0.5 if tie else 1.0)
    return found


def test_label_weight_and_soft_label_of_20_rows_follow_from_the_raw_judgements():
    random = Random(8)
    said = []
    for number in range(40):
        names = random.sample(OUTPUTS, random.randint(2, 5))
        tiers = {name: random.choice([None, 1, 2, 3]) for name in names if random.random() < 0.9}
        line = {name: random.random() < 0.5 for name in names if random.random() < 0.5}
        of, reliability = item("".join(names), task=number), random.choice([0.2, 0.7, 1.0])
        said.append(judged(number, of, line=line, reliability=reliability, **tiers))
    rows, _ = rows_of("preference", *said, ties="soft")
    raw, _ = rows_of("judgement", *said)
    found = rebuilt(raw)
    assert len(found) == len(rows)
    for row, pair in random.sample(list(zip(rows, pairs(rows, "annotation"), strict=True)), 20):
        assert found[pair] == (pytest.approx(row["weight"]), row["soft_label"])


@given(judgements(reliability=(0.0, 0.5, 1.0)))
def test_so_do_those_of_any_judgements(said):
    rows, _ = rows_of("preference", *said, ties="soft")
    raw, _ = rows_of("judgement", *said)
    found = rebuilt(raw)
    for row, pair in zip(rows, pairs(rows, "annotation"), strict=True):
        assert found[pair] == (pytest.approx(row["weight"]), row["soft_label"])
