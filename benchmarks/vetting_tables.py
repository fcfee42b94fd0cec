"""`python -m benchmarks.vetting_tables`: the tables of docs/vetting.md that follow from the rules alone. Takes a second."""

import numpy as np

from annotate.vetting.characteristic import Characteristic, items_to_separate, of_whole
from annotate.vetting.rules import Counting, Fixed, Posterior, Sprt, p_at_least
from annotate.vetting.watching import run_length
from benchmarks.vetting_replay import MINIMA, PAGE, SURE, TARGET
from benchmarks.written import table, write_part

ABILITIES = (0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95)
RULES: dict[str, tuple[Counting, ...]] = {
    "SPRT .65 / .80, cap 60": (Sprt(),),
    "posterior .75, sure .90, n ≥ 12, cap 60": (Posterior(),),
    "15 of 20": (Fixed(),),
    "two parts, each SPRT": (Sprt(), Sprt()),
}
GOLD = (20, 50, 100, 200)
THRESHOLDS = (3, 4, 5)
ERRORS = (0.10, 0.15, 0.20, 0.25, 0.30, 0.40)
PAIRS = ((0.70, 0.80), (0.65, 0.80), (0.75, 0.80), (0.80, 0.90))


def tables() -> dict[str, str]:
    """Each part of the page by its name."""
    head = ["ability", *RULES]
    rules = [[f"{p:.2f}", *(in_words(of_whole(parts, p)) for parts in RULES.values())] for p in ABILITIES]
    pauses = [[f"{p:.2f}", *(f"{100 * paused_within(p, n):.1f} %" for n in GOLD)] for p in ABILITIES]
    drift = [[f"h = {h}", *(f"{run_length(p, threshold=h):,.0f}" for p in ERRORS)] for h in THRESHOLDS]
    apart = [[f"{low:.2f} and {high:.2f}", f"{items_to_separate(low, high)}"] for low, high in PAIRS]
    return {
        "characteristics": table(head, rules),
        "gold pauses": table(["ability", *(f"{n} gold" for n in GOLD)], pauses),
        "drift": table(["alarm at", *(f"errors {p:.2f}" for p in ERRORS)], drift),
        "apart": table(["abilities", "items"], apart),
    }


def in_words(one: Characteristic) -> str:
    return f"{one.approve:.3f} / {one.reject:.3f} / {one.undecided:.3f}, {one.items:.1f}"


def paused_within(p: float, gold: int) -> float:
    """The chance that gold pauses somebody who gets a share p of it right, within so many tasks of it."""
    going, paused = np.array([1.0]), 0.0  # by how many are right so far
    for n in range(1, gold + 1):
        going = np.append(going * (1 - p), 0) + np.insert(going * p, 0, 0)
        if n >= MINIMA[0]:
            stops = np.array([p_at_least(k, n, TARGET) <= 1 - SURE for k in range(n + 1)])
            paused += going[stops].sum()
            going[stops] = 0
    return float(paused)


if __name__ == "__main__":
    for name, text in tables().items():
        write_part(name, text, PAGE)
