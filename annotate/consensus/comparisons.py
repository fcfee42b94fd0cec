"""Comparisons of two items by people, as columns: what Bradley–Terry and its kin read."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from annotate.measures import Floats, Ints

SHARES = np.array([1.0, 0.5, 0.0])  # of the first item, for first better, tie, second better


@dataclass(frozen=True)
class Comparisons:
    """Comparison i: rater[i] gave first[i] the share share[i] of a win over second[i]; a tie is half."""

    first: Ints  # into items
    second: Ints
    share: Floats
    rater: Ints  # into raters
    group: Ints  # the prompt, numbered
    items: list[Any]
    raters: list[Any]

    @property
    def wins(self) -> Floats:
        """How often the row beat the column, ties half to each, shape (items, items)."""
        size = len(self.items)
        there = np.bincount(self.first * size + self.second, weights=self.share, minlength=size**2)
        back = np.bincount(self.second * size + self.first, weights=1 - self.share, minlength=size**2)
        return (there + back).astype(np.float64, copy=False).reshape(size, size)

    @property
    def ties(self) -> Floats:
        """How often two items were level, symmetric, shape (items, items)."""
        size, level = len(self.items), self.share == 0.5
        pairs = self.first[level] * size + self.second[level]
        ties = np.bincount(pairs, minlength=size**2).reshape(size, size).astype(np.float64)
        return ties + ties.T

    @property
    def strict_wins(self) -> Floats:
        """Wins without the ties' halves."""
        return self.wins - self.ties / 2


def comparisons_of(rows: Iterable[tuple[Hashable, Hashable, Hashable, Hashable, int]]) -> Comparisons:
    """From (prompt, rater, first, second, outcome); the outcome is 0 first better, 1 tie, 2 second better.

    Items and raters are numbered as they come. Raises ValueError for an unknown outcome, and where something is
    compared with itself.
    """
    items: dict[Hashable, int] = {}
    raters: dict[Hashable, int] = {}
    prompts: dict[Hashable, int] = {}
    table: list[tuple[int, int, int, int, int]] = []
    for prompt, rater, first, second, outcome in rows:
        if outcome not in (0, 1, 2):
            raise ValueError(f"the outcome is 0, 1 or 2, not {outcome!r}")
        if first == second:
            raise ValueError(f"{first!r} was compared with itself")
        table.append(
            (
                items.setdefault(first, len(items)),
                items.setdefault(second, len(items)),
                outcome,
                raters.setdefault(rater, len(raters)),
                prompts.setdefault(prompt, len(prompts)),
            )
        )
    first_, second_, outcomes, rater_, group = np.array(table, dtype=np.int64).reshape(-1, 5).T
    return Comparisons(first_, second_, SHARES[outcomes], rater_, group, list(items), list(raters))
