"""`python -m benchmarks.adaptive_overlap`: is it worth asking for another vote only where the consensus is not sure?

Replays three crowds' votes (overlap.py). In each of 200 orders the threshold is set on half of the items, to be the
cheapest that is at most a point less accurate there than all votes; the other half is what is reported. Writes tables and
pictures into docs/. With --quick: 20 orders, nothing written. Exit 1 where a bound is missed.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise, repeat

import numpy as np
from numpy.typing import NDArray

from benchmarks import overlap
from benchmarks.overlap import Crowd, Replay
from benchmarks.svg import Panel, Series, picture
from benchmarks.written import PAGE, table, write_part
from tests.accept import common
from tests.accept.common import line

ORDERS, QUICK, RESAMPLES = 200, 20, 2000
BASE = 2  # votes that every item has, unless said otherwise
SLACK = 0.01  # of accuracy, that fewer votes may cost on the half where the threshold is set
STUDIED = (
    ("majority", BASE),
    ("one coin", BASE),
    ("one coin", 3),
    ("Dawid–Skene", BASE),
)  # consensus, and votes to begin with
BINS = (0.0, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
# Of the mean over orders, with one coin. Extra votes handed out at random gain 0 over a fixed overlap of the same cost,
# so a bound above 0 fails where the confidence knows nothing.
GAIN = {"RTE": 0.02, "TEMP": 0.02, "BarzanMozafari": 0.003}
BEHIND = 0.02  # behind all votes, at most
ERROR = {"RTE": 0.05, "TEMP": 0.05, "BarzanMozafari": 0.3}  # expected calibration error, at most

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bin:
    low: float
    high: float
    share: float  # of the items
    stated: float
    right: float


@dataclass(frozen=True)
class Study:
    """One crowd and method over all orders. Each array that is named after a cost or an accuracy is (orders,) unless said."""

    crowd: Crowd
    method: str
    base: int
    threshold: Floats
    cost: Floats  # mean votes on an item of the half that is reported, with the threshold of the other half
    accuracy: Floats
    fixed: Floats  # accuracy there of the fixed overlap of the same mean cost
    of_all: Floats  # accuracy there of all votes
    gain_of_items: Floats  # (items,): what each gains over the fixed overlap, mean over the orders that report it
    curve: (
        Floats  # (orders, thresholds, 3): cost, accuracy, fixed overlap of the same cost, on the half that is reported
    )
    fixed_curve: Floats  # (orders, overlaps): accuracy there
    bins: list[Bin]
    error: tuple[float, float, float]  # expected calibration error, with its interval over orders
    error_of_all: float  # the same, of all votes

    @property
    def name(self) -> str:
        return f"{self.crowd.name}, {self.method}" + (f" from {self.base}" if self.base != BASE else "")

    @property
    def gain(self) -> Floats:
        return self.accuracy - self.fixed


def study(crowd: Crowd, method: str, base: int, orders: int, blind: bool, pool: ProcessPoolExecutor) -> Study:
    same = (repeat(one) for one in (crowd, method, base, blind))
    found = list(pool.map(overlap.replay, *same, range(orders), chunksize=2))
    return summed_up(crowd, method, base, found)


def summed_up(crowd: Crowd, method: str, base: int, found: Sequence[Replay]) -> Study:
    train = np.array([one.train for one in found])
    fixed = np.array([one.fixed for one in found], dtype=np.float64)
    right = np.array([one.right for one in found], dtype=np.float64)
    taken = np.array([one.taken for one in found], dtype=np.float64)
    confidence = np.array([one.confidence for one in found], dtype=np.float64)

    enough = _mean(right, train) >= _mean(fixed, train)[:, -1:] - SLACK
    enough[:, -1] |= ~enough.any(axis=1)  # none is: the strictest
    chosen = (np.arange(len(found)), enough.argmax(axis=1))

    report = ~train
    costs, accuracies = _mean(taken, report), _mean(right, report)
    by_overlap = _mean(fixed, report)
    same = np.stack([_between(by_overlap, cost - base) for cost in costs.T], axis=1)
    gained = right[chosen] - _between(fixed, costs[chosen] - base)
    bins, error = calibration(confidence[chosen], right[chosen], report)
    every = np.array([one.confidence_of_all for one in found], dtype=np.float64)
    return Study(
        crowd, method, base,
        threshold=np.array(overlap.thresholds(method))[chosen[1]],
        cost=costs[chosen],
        accuracy=accuracies[chosen],
        fixed=same[chosen],
        of_all=by_overlap[:, -1],
        gain_of_items=(gained * report).sum(axis=0) / report.sum(axis=0).clip(1),
        curve=np.stack([costs, accuracies, same], axis=2),
        fixed_curve=by_overlap,
        bins=bins,
        error=error,
        error_of_all=calibration(every, fixed[:, -1], report)[1][0],
    )  # fmt: skip


def _mean(values: Floats, mask: NDArray[np.bool_]) -> Floats:
    """(orders, rows, items) to (orders, rows): over the items of the mask, (orders, items)."""
    return np.einsum("ori,oi->or", values, mask.astype(np.float64)) / mask.sum(axis=1)[:, None]


def _between(rows: Floats, at: Floats) -> Floats:
    """The row of each order at a place between two: so many items with the one overlap and the rest with the next."""
    below = np.minimum(at.astype(np.int64), rows.shape[1] - 1)
    above = np.minimum(below + 1, rows.shape[1] - 1)
    share = (at - below).reshape(-1, *(1,) * (rows.ndim - 2))
    orders = np.arange(len(rows))
    return (1 - share) * rows[orders, below] + share * rows[orders, above]


def calibration(stated: Floats, right: Floats, mask: NDArray[np.bool_]) -> tuple[list[Bin], tuple[float, float, float]]:
    """What was stated beside what was so, and the mean distance of the two (Naeini et al. 2015), items of the mask."""
    number = np.clip(np.searchsorted(BINS, stated, side="left") - 1, 0, len(BINS) - 2)
    sums = np.zeros((len(stated), len(BINS) - 1, 3))
    for k in range(len(BINS) - 1):
        here = (number == k) & mask
        sums[:, k] = np.stack([here.sum(axis=1), (stated * here).sum(axis=1), (right * here).sum(axis=1)], axis=1)

    def error(total: Floats) -> Floats:  # (…, bins, 3)
        return np.abs(total[..., 1] - total[..., 2]).sum(axis=-1) / total[..., 0].sum(axis=-1)

    total = sums.sum(axis=0)
    again = np.random.default_rng(0).integers(0, len(sums), (RESAMPLES, len(sums)))
    low, high = np.quantile(error(np.stack([sums[rows].sum(axis=0) for rows in again])), [0.025, 0.975])
    bins = [
        Bin(BINS[k], BINS[k + 1], n / total[:, 0].sum(), said / n, so / n) for k, (n, said, so) in enumerate(total) if n
    ]
    return bins, (float(error(total)), float(low), float(high))


# --- What is told -----------------------------------------------------------------------------------------------------


def over_orders(values: Floats) -> tuple[float, float, float]:
    """The mean over orders, and what nineteen orders of twenty lie between."""
    return float(values.mean()), *(float(one) for one in np.quantile(values, [0.025, 0.975]))


def over_items(one: Study) -> tuple[float, float]:
    """An interval of the mean gain for other items of the kind: items resampled."""
    items = len(one.gain_of_items)
    again = np.random.default_rng(0).integers(0, items, (RESAMPLES, items))
    low, high = np.quantile(one.gain_of_items[again].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def needed(one: Study) -> float | None:
    """The mean cost at which a fixed overlap is as accurate; None where no overlap is, or the smallest already is."""
    mean, aim = one.fixed_curve.mean(axis=0), one.accuracy.mean()
    reached = np.flatnonzero(mean >= aim)
    if not len(reached) or reached[0] == 0:
        return None
    k = int(reached[0])
    return float(one.base + k - 1 + (aim - mean[k - 1]) / (mean[k] - mean[k - 1]))


def points(value: float) -> str:
    said = f"{100 * value:+.1f}"
    return "0.0" if float(said) == 0 else said.replace("-", "−")


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def main_table(studies: Sequence[Study]) -> str:
    rows = []
    for one in studies:
        cost, accuracy, gain = (over_orders(values) for values in (one.cost, one.accuracy, one.gain))
        low, high = over_items(one)
        equal = needed(one)
        rows.append(
            [
                one.name,
                f"{np.median(one.threshold):g}",
                f"{cost[0]:.2f} ({cost[1]:.2f} – {cost[2]:.2f})",
                f"{percent(accuracy[0])} ({100 * accuracy[1]:.1f} – {100 * accuracy[2]:.1f})",
                percent(one.fixed.mean()),
                f"{points(gain[0])} ({points(gain[1])} to {points(gain[2])})",
                f"{points(low)} to {points(high)}",
                percent(one.of_all.mean()),
                "–" if equal is None else f"{equal:.1f}",
            ]
        )
    head = ["data, consensus", "threshold (median)", "votes an item", "accuracy", "fixed, same votes", "gain in points",
            "gain, over items", "all votes", "fixed, same accuracy"]  # fmt: skip
    return table(head, rows)


def curve_table(studies: Sequence[Study], method: str) -> str:
    chosen = [one for one in studies if one.method == method and one.base == BASE]
    head = ["threshold", *(f"{one.crowd.name}: votes, accuracy, gain" for one in chosen)]
    rows = []
    for k, threshold in enumerate(overlap.thresholds(method)):
        cells = []
        for one in chosen:
            cost, accuracy, fixed = one.curve[:, k].mean(axis=0)
            cells.append(f"{cost:.2f}, {percent(accuracy)}, {points(accuracy - fixed)}")
        rows.append([f"{threshold:g}", *cells])
    return table(head, rows)


def calibration_table(studies: Sequence[Study]) -> str:
    names = [f"{low:g} – {high:g}" for low, high in pairwise(BINS)]
    rows = []
    for one in studies:
        cells = {f"{b.low:g} – {b.high:g}": f"{b.stated:.3f} → {b.right:.3f} ({100 * b.share:.0f} %)" for b in one.bins}
        error, low, high = one.error
        rows.append(
            [
                one.name,
                *(cells.get(name, "–") for name in names),
                f"{error:.3f} ({low:.3f} – {high:.3f})",
                f"{one.error_of_all:.3f}",
            ]
        )
    return table(["data, consensus", *names, "error", "error, all votes"], rows)


def accuracy_picture(studies: Sequence[Study]) -> str:
    panels = []
    for name in dict.fromkeys(one.crowd.name for one in studies):
        of = {one.method: one for one in studies if one.crowd.name == name and one.base == BASE}
        coin, share = of["one coin"], of["majority"]
        curve = coin.curve.mean(axis=0)
        low, high = np.quantile(coin.curve[:, :, 1], [0.025, 0.975], axis=0)
        overlaps = range(coin.base, coin.base + coin.fixed_curve.shape[1])
        series = [
            Series("majority, the same overlap everywhere", "c", [*zip(overlaps, share.fixed_curve.mean(axis=0), strict=True)], "2 4"),
            Series("one coin, the same overlap everywhere", "b", [*zip(overlaps, coin.fixed_curve.mean(axis=0), strict=True)], "7 4", True),
            Series("one coin, another vote where it is not sure; band: nineteen orders of twenty; ring: the threshold set on the other half",
                   "a", [(cost, right) for cost, right, _ in curve], "", True, list(low), list(high),
                   (coin.cost.mean(), coin.accuracy.mean())),
        ]  # fmt: skip
        items = coin.crowd.size[0]
        panels.append(
            Panel(f"{name}, {items} items", "mean votes on an item", "accuracy", series, least=(coin.base, None))
        )
    about = "Accuracy against the mean number of votes, on items the threshold was not set on; " + "; ".join(
        f"{one.crowd.name} gains {points(one.gain.mean())} points at {one.cost.mean():.1f} votes"
        for one in studies
        if one.method == "one coin" and one.base == BASE
    )
    return picture("Adaptive overlap beside a fixed one", about, panels)


def calibration_picture(studies: Sequence[Study]) -> str:
    panels = []
    for name in dict.fromkeys(one.crowd.name for one in studies):
        of = {one.method: one for one in studies if one.crowd.name == name and one.base == BASE}
        series = [Series("stated is so", "c", [(0.5, 0.5), (1.0, 1.0)], "2 4")]
        for method, colour, dash in (("Dawid–Skene", "b", "7 4"), ("one coin", "a", "")):
            series.append(Series(method, colour, [(b.stated, b.right) for b in of[method].bins], dash, True))
        panels.append(
            Panel(name, "stated confidence", "share that is right", series, percent=(True, True), least=(None, 0.4))
        )
    about = "What share of the items is right, by the confidence stated for them, where the votes ended"
    return picture("Calibration of the stated confidence", about, panels)


def write(studies: Sequence[Study], orders: int) -> None:
    write_part("adaptive overlap", main_table(studies))
    write_part("adaptive overlap by threshold", curve_table(studies, "one coin"))
    write_part("adaptive overlap, calibration", calibration_table([one for one in studies if one.method != "majority"]))
    folder = PAGE.parent / "agreement"
    folder.mkdir(exist_ok=True)
    (folder / "adaptive-overlap.svg").write_text(accuracy_picture(studies), encoding="utf-8")
    (folder / "calibration.svg").write_text(calibration_picture(studies), encoding="utf-8")


def checks(studies: Sequence[Study], orders: int) -> None:
    for one in studies:
        if one.method != "one coin" or one.base != BASE:
            continue
        name, gain, behind = one.crowd.name, over_orders(one.gain), one.of_all.mean() - one.accuracy.mean()
        line(
            f"{name}, threshold from half of the items, the other half reported: gain over a fixed overlap of the same votes",
            f"{points(gain[0])} points ({points(gain[1])} to {points(gain[2])} over {orders} orders) at {one.cost.mean():.2f} "
            f"votes, at least {points(GAIN[name])}",
            gain[0] >= GAIN[name],
        )
        line(
            f"{name}: behind all {one.crowd.size[1]} votes",
            f"{100 * behind:.1f} points, at most {100 * BEHIND:.1f}",
            behind <= BEHIND,
        )
        error, low, high = one.error
        line(
            f"{name}: calibration error of the stated confidence",
            f"{error:.3f} ({low:.3f} – {high:.3f}), at most {ERROR[name]}",
            error <= ERROR[name],
        )


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.adaptive_overlap", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} orders, one coin only, nothing written")
    parser.add_argument(
        "--blind", action="store_true", help="--quick with shuffled confidences: it has to miss the bounds"
    )
    parser.add_argument("--orders", type=int, help=f"how many orders of the votes (default {ORDERS})")
    chosen = parser.parse_args(words)
    if not overlap.DATA.exists():
        line("the real data are there", f"no {overlap.DATA}: set PLUMBLINE_REAL_DATA", False)
        return 1
    quick = chosen.quick or chosen.blind
    orders = chosen.orders or (QUICK if quick else ORDERS)
    studies, began = [], time.monotonic()
    with ProcessPoolExecutor() as pool:
        for crowd in overlap.crowds():
            for method, base in [("one coin", BASE)] if quick else STUDIED:
                studies.append(study(crowd, method, base, orders, chosen.blind, pool))
                print(f"{studies[-1].name}: done", flush=True)
    print(f"\n{orders} orders of the votes, seeds 0 to {orders - 1}, in {time.monotonic() - began:.0f} s\n")
    print(main_table(studies), calibration_table(studies), sep="\n\n", end="\n\n")
    checks(studies, orders)
    if not quick:
        write(studies, orders)
    return int(common.failed)


if __name__ == "__main__":
    sys.exit(main())
