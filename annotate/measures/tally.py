"""Counts of values, read for a measure: which units are usable, and what they hold.

Inside, counts are sparse: a slider of a hundred steps costs as much as the values given, not as the steps offered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, issparse

from annotate.measures.resampling import (
    CELLS,
    Bits,
    Bools,
    Floats,
    Ints,
    Measure,
    Prompts,
    checked_groups,
    gathered,
    mixed,
)

ROWS = 8192  # units whose products with a matrix of categories are held at once
Weights = Literal["identity", "linear", "quadratic", "ordinal"]


@dataclass(frozen=True)
class Tally:
    """The usable units of a measure, gathered by prompt."""

    table: csr_array  # (rows, categories), float64: how many gave each category
    values: Floats  # (rows,): how many values each unit has
    prompts: Prompts
    n_units: int
    n_groups: int
    n_values: int
    n_dropped: int

    def measure(self, name: str, undefined_because: str | None = None) -> Measure:
        """A measure of these units that has no value yet."""
        return Measure(
            name, None, None, None, self.n_units, self.n_groups, self.n_values, self.n_dropped, undefined_because
        )

    def agreement_within(self) -> Floats:
        """The share of each unit's pairs of values that are equal (P_i of Fleiss 1971), shape (rows,)."""
        return (squares(self.table) - self.values) / (self.values * (self.values - 1))

    def marginals(self, scaled: csr_array | None = None) -> Callable[[Floats], Floats]:
        """How often each category is used in a resample: from weights of prompts, shape (resamples, categories)."""
        table = self.table if scaled is None else scaled
        n_rows, n_prompts = len(self.prompts.rows), len(self.prompts.repeats)
        ends = np.append(self.prompts.starts, n_rows)
        of_prompt = csr_array((np.ones(n_rows), np.arange(n_rows), ends), shape=(n_prompts, n_rows)) @ table
        if n_prompts * table.shape[1] <= CELLS:
            dense = of_prompt.toarray()
            return lambda weights: weights @ dense
        turned = of_prompt.T.tocsr()
        return lambda weights: (turned @ weights.T).T

    def quadratic(self, matrix: Floats) -> Floats:
        """c'·matrix·c of the counts c of each unit, shape (rows,)."""
        found = np.empty(self.table.shape[0])
        for start in range(0, len(found), ROWS):
            part = self.table[start : start + ROWS]
            found[start : start + ROWS] = ((part @ matrix) * part.toarray()).sum(axis=1)
        return found


def squares(table: csr_array) -> Floats:
    """The sum of the squared counts of each unit."""
    found: Floats = np.asarray(table.multiply(table).sum(axis=1)).ravel()
    return found


def tallied(
    counts: ArrayLike | csr_array,
    groups: ArrayLike | None,
    *,
    kept: Bools | None = None,
    least: int = 2,
    pairable: int = 2,
) -> Tally:
    """The units with `least` or more values, of those `kept`. The figures n are of those with `pairable` or more."""
    table = read_counts(counts)
    named = checked_groups(groups, table.shape[0])
    values = np.asarray(table.sum(axis=1)).ravel()
    kept = np.ones(len(values), dtype=bool) if kept is None else kept
    use, counted = kept & (values >= least), kept & (values >= pairable)
    n_groups = int(counted.sum()) if groups is None else len(np.unique(named[counted]))
    chosen = table if use.all() else table[use]
    prompts = gathered(_keys(chosen), None if groups is None else named[use])
    chosen = chosen[prompts.rows].astype(np.float64)
    return Tally(
        chosen,
        values[use][prompts.rows].astype(np.float64),
        prompts,
        n_units=int(counted.sum()),
        n_groups=n_groups,
        n_values=int(values[counted].sum()),
        n_dropped=int(len(values) - counted.sum()),
    )


def read_counts(counts: ArrayLike | csr_array) -> csr_array:
    """The counts as a sparse matrix without zeros, sorted; ValueError where they cannot be counts."""
    matrix: Any = counts if issparse(counts) else np.asarray(counts)
    smallest = matrix.min(initial=0) if isinstance(matrix, np.ndarray) and matrix.size else 0
    if issparse(matrix) and matrix.nnz:
        smallest = matrix.data.min()
    if matrix.ndim != 2 or not np.issubdtype(matrix.dtype, np.integer) or smallest < 0:
        raise ValueError("counts must be a matrix (units, categories) of integers, none below 0")
    table = csr_array(matrix, dtype=np.int64, copy=True)  # what follows is done in place
    table.sum_duplicates()
    table.eliminate_zeros()
    return table


def _keys(table: csr_array) -> Bits:
    """What each unit holds, as 64 bits. Every unit has a value."""
    if table.shape[0] == 0:
        return np.empty(0, dtype=np.uint64)
    parts = mixed(table.indices.astype(np.uint64)) * table.data.astype(np.uint64)
    keys: Bits = np.add.reduceat(parts, table.indptr[:-1])
    return keys


def used(table: csr_array) -> tuple[csr_array, Ints]:
    """The table without the categories nobody used, and which those are that stay."""
    seen = np.unique(table.indices).astype(np.int64)
    place = np.zeros(table.shape[1], dtype=table.indices.dtype)
    place[seen] = np.arange(len(seen))
    narrow = csr_array((table.data, place[table.indices], table.indptr), shape=(table.shape[0], len(seen)))
    return narrow, seen


def read_numbers(numbers: ArrayLike | None, categories: int) -> Floats:
    """What each category is worth; without numbers its place. ValueError where two are worth the same."""
    worth = np.arange(categories, dtype=np.float64) if numbers is None else np.asarray(numbers, dtype=np.float64)
    if worth.shape != (categories,) or not np.isfinite(worth).all() or len(np.unique(worth)) < categories:
        raise ValueError(f"numbers must be {categories} different numbers, one for each category")
    return worth


def agreement_weights(weights: Weights, categories: int, numbers: ArrayLike | None = None) -> Floats:
    """How much two categories agree, 1 on the diagonal (Gwet 2014, chapter 3), shape (categories, categories).

    linear and quadratic fall with the distance of the numbers, by default of the places; ordinal with the number of
    pairs of categories between the two.
    """
    if weights not in ("identity", "linear", "quadratic", "ordinal"):
        raise ValueError(f"unknown weights: {weights!r}")
    if weights == "identity" or categories < 2:
        return np.eye(categories)
    worth = read_numbers(None if weights == "ordinal" else numbers, categories)
    apart = np.abs(worth[:, None] - worth)
    if weights == "ordinal":
        apart = apart * (apart + 1) / 2
    elif weights == "quadratic":
        apart = apart**2
    agree: NDArray[np.float64] = 1 - apart / apart.max()
    return agree
