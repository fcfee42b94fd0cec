"""Figures on the held-out split, with intervals; for a reward model how far its scores agree with judgements.

Those of supervised fine-tuning are in likelihood.py.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

REPLICATES = 1_000
FIGURES = ("accuracy", "longer_answer", "human_reference", "accuracy_on_same_rows", "accuracy_minus_human")


def ratio(totals: Sequence[float], counts: Sequence[float], groups: Sequence[str], *, seed: int) -> dict[str, Any]:
    """The sum of per-row totals over that of per-row counts, with a 95% percentile bootstrap interval by group.

    Rows of a group are not independent (the same people, the same texts), so resampling rows would make the interval
    too narrow: groups are resampled. `low` and `high` are null when there is one group only. Needs at least one row.
    """
    names, at = np.unique(np.asarray(groups), return_inverse=True)
    sums, sizes = (np.bincount(at, weights=np.asarray(values, dtype=float)) for values in (totals, counts))
    result = {"value": float(sums.sum() / sizes.sum()), "low": None, "high": None}
    if len(names) > 1:
        generator, found = np.random.default_rng(seed), np.empty(REPLICATES)
        for replicate in range(REPLICATES):
            drawn = generator.integers(len(names), size=len(names))
            found[replicate] = sums[drawn].sum() / sizes[drawn].sum()
        result["low"], result["high"] = (float(q) for q in np.quantile(found, [0.025, 0.975]))
    return result


def rate(values: Sequence[float], groups: Sequence[str], *, seed: int, unit: str = "prompts") -> dict[str, Any]:
    """The mean of per-row values, with the interval of `ratio`; `unit` is what the groups are."""
    found = ratio(values, [1] * len(values), groups, seed=seed)
    return found | {"rows": len(values), unit: len(set(groups))}


def no_figures(reason: str) -> dict[str, Any]:
    """All figures of `figures`, undefined for the reason given."""
    return {name: {"undefined": reason} for name in FIGURES}


def hits(chosen: Sequence[float], rejected: Sequence[float]) -> list[float]:
    """1 where the chosen text scores higher, 0 where the rejected one does, ½ for a tie. Raises for one not finite."""
    if not (np.isfinite(chosen).all() and np.isfinite(rejected).all()):
        raise FloatingPointError("some scores are not finite: training diverged; try a lower --learning-rate")
    return [float(value) for value in (np.sign(np.subtract(chosen, rejected)) + 1) / 2]


def others_agree(rows: Sequence[dict[str, Any]]) -> list[float | None]:
    """For each row, the share of other people's judgements of its pair that chose the same text; None if no others.

    A pair is a `pair_id`, a person an `annotator`. This is the chance that a random other judgement agrees. Rows of a
    consensus have no `annotator`, so none has others.
    """
    judged = defaultdict(list)
    if rows and "annotator" not in rows[0]:
        return [None] * len(rows)
    for row in rows:
        judged[row["pair_id"]].append((row["annotator"], row["chosen"]))
    shares: list[float | None] = []
    for row in rows:
        others = [chosen for annotator, chosen in judged[row["pair_id"]] if annotator != row["annotator"]]
        shares.append(sum(chosen == row["chosen"] for chosen in others) / len(others) if others else None)
    return shares


def figures(
    rows: Sequence[dict[str, Any]], score: Callable[[dict[str, Any], str], float], *, seed: int
) -> dict[str, Any]:
    """Held-out accuracy, that of always taking the longer answer, and the human reference with the model beside it.

    `score(row, side)` gives the score of a row's prompt with its `chosen` or `rejected`. The human reference is taken
    over the rows whose pair somebody else judged too; the model's accuracy beside it, and the difference, over exactly
    these rows. Needs at least one row.
    """
    prompts = [row["prompt_id"] for row in rows]
    model = hits([score(row, "chosen") for row in rows], [score(row, "rejected") for row in rows])
    length = hits(*([sum(len(m["content"]) for m in row[side]) for row in rows] for side in ("chosen", "rejected")))
    result = no_figures(
        "no held-out pair has two judges"
        if "annotator" in rows[0]
        else "a row is a consensus, not a person's judgement"
    )
    result["accuracy"] = rate(model, prompts, seed=seed)
    result["longer_answer"] = rate(length, prompts, seed=seed)
    people = {at: share for at, share in enumerate(others_agree(rows)) if share is not None}
    if people:
        on = [prompts[at] for at in people]
        result["human_reference"] = rate(list(people.values()), on, seed=seed)
        result["accuracy_on_same_rows"] = rate([model[at] for at in people], on, seed=seed)
        result["accuracy_minus_human"] = rate([model[at] - share for at, share in people.items()], on, seed=seed)
    return result
