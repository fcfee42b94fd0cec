"""Published figures of consensus on real crowds: Snow and others 2008, BarzanMozafari, PrefLib's sushi.

Ties of the majority count as half right, as in Snow's own figures: counted as wrong, RTE would be .8562.
"""

import csv

import numpy as np
import pytest

from annotate.consensus import adjusted, dawid_skene, majority, one_coin, plackett_luce, ranked_pairs
from annotate.measures import labels_of
from tests.real.pandalm import DATA

CROWD = DATA / "crowd"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not CROWD.exists(), reason=f"the real data are not there: {CROWD} (PLUMBLINE_REAL_DATA)"),
]


def snow(name):
    """(item, worker, response) of one of Snow's tasks, and the experts' value of each item."""
    with (CROWD / "snow2008" / f"{name}.standardized.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    answers = [(row["orig_id"], row["!amt_worker_ids"], float(row["response"])) for row in rows]
    return answers, {row["orig_id"]: float(row["gold"]) for row in rows}


def barzan_mozafari():
    folder = CROWD / "BarzanMozafari"
    answers = [line.split() for line in (folder / "labels.txt").read_text(encoding="utf-8").splitlines() if line]
    gold = dict(line.split() for line in (folder / "evaluation.txt").read_text(encoding="utf-8").splitlines() if line)
    return [(item, worker, float(value)) for worker, item, value in answers], {k: float(v) for k, v in gold.items()}


def labelled(answers, gold, numbers=False):
    """Labels, and the code of each unit's gold value (or the value itself)."""
    values = sorted({value for _, _, value in answers})
    code = {value: number for number, value in enumerate(values)}
    rows = ((item, item, worker, code[value]) for item, worker, value in answers)
    labels = labels_of(rows, len(values), values if numbers else None)
    return labels, np.array([gold[item] if numbers else code[gold[item]] for item in labels.units])


def share_right(found, gold):
    return float(np.where(found.tied, 0.5, found.value == gold).mean())


@pytest.mark.parametrize(
    ("name", "voted", "modelled", "simple", "ties"),
    [("rte", 0.8969, 0.9275, 0.92, 65), ("temp", 0.9361, 0.9416, 0.93, 17), ("barzan", 0.6960, 0.7120, 0.69, 0)],
)
def test_labels(name, voted, modelled, simple, ties, record_property):
    answers, known = barzan_mozafari() if name == "barzan" else snow(name)
    labels, gold = labelled(answers, known)
    votes, model, coin = majority(labels), dawid_skene(labels), one_coin(labels)
    assert votes.tied.sum() == ties
    assert share_right(votes, gold) == pytest.approx(voted, abs=5e-5)
    assert share_right(model, gold) == pytest.approx(modelled, abs=5e-5)
    assert share_right(dawid_skene(labels, smoothing=0), gold) == pytest.approx(modelled, abs=5e-5)
    assert model.converged
    assert share_right(coin, gold) > simple
    record_property(
        "figure",
        f"{len(labels.units)} items: majority {share_right(votes, gold):.4f}, Dawid–Skene {share_right(model, gold):.4f}, "
        f"one-coin {share_right(coin, gold):.4f}",
    )


@pytest.mark.parametrize(("name", "gain"), [("rte", 0.05), ("temp", 0.08)])
def test_two_labels_an_item(name, gain, record_property):
    """With two labels an item half of all disagreements are ties of the majority; one-coin knows whom to ask."""
    answers, known = snow(name)
    by_vote, by_coin = [], []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        taken, kept = {}, []
        for at in rng.permutation(len(answers)):
            item = answers[at][0]
            if taken.setdefault(item, 0) < 2:
                taken[item] += 1
                kept.append(answers[at])
        labels, gold = labelled(kept, known)
        by_vote.append(share_right(majority(labels), gold))
        by_coin.append(share_right(one_coin(labels), gold))
    assert np.mean(by_coin) > np.mean(by_vote) + gain
    record_property("figure", f"majority {np.mean(by_vote):.4f}, one-coin {np.mean(by_coin):.4f}, 5 draws")


def test_word_similarity(record_property):
    labels, gold = labelled(*snow("wordsim"), numbers=True)
    found = adjusted(labels)
    plain, mended = (np.corrcoef(mean, gold)[0, 1] for mean in (found.plain_mean, found.mean))
    assert plain == pytest.approx(0.9519, abs=5e-5)
    assert mended == pytest.approx(plain, abs=1e-6)  # all ten rated all thirty pairs: severity moves them all alike
    assert found.rater_sd > 0.5
    record_property("figure", f"r {plain:.4f} of the mean, {mended:.4f} adjusted; severity sd {found.rater_sd:.2f}")


def test_sushi(record_property):
    """Five thousand rankings of ten kinds: both methods put first what most put first, and last what most put last."""
    rankings, weights = [], []
    for line in (CROWD / "preflib" / "sushi.soc").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            times, _, order = line.partition(":")
            weights.append(float(times))
            rankings.append([int(item) - 1 for item in order.split(",")])
    found = plackett_luce(rankings, 10, weights)
    voted = ranked_pairs(({item: place for place, item in enumerate(ranking)} for ranking in rankings), weights)
    assert (found.n, voted.votes) == (5000, 5000)
    assert found.regularised_because is None
    first, last = (np.bincount([ranking[at] for ranking in rankings], weights).argmax() for at in (0, -1))
    assert (found.log_worth.argmax(), found.log_worth.argmin()) == (first, last)
    assert (voted.tiers[0], voted.tiers[-1]) == ([first], [last])
    assert len(voted.tiers) == 10
    record_property(
        "figure", f"log-likelihood {found.log_likelihood:.1f}, strengths {found.log_worth.round(2).tolist()}"
    )
