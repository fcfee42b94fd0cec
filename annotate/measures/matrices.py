"""Numbers as a matrix, a row a unit and a column a rater: read, and gathered by prompt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from django.utils.translation import gettext_noop
from numpy.typing import ArrayLike

from annotate.measures.resampling import Floats, Measure, Prompts, checked_groups, gathered, row_keys

TOO_FEW = gettext_noop("fewer than two units have a value of every rater")
ONE_RATER = gettext_noop("there are fewer than two raters")


@dataclass(frozen=True)
class Complete:
    """The rows without a gap. `matrix` has those to compute from, prompt by prompt."""

    matrix: Floats  # (rows, raters)
    prompts: Prompts
    n_units: int
    n_groups: int
    n_raters: int
    n_dropped: int

    def measure(self, name: str, undefined_because: str | None = None) -> Measure:
        """A measure of these rows that has no value yet."""
        n_values = self.n_units * self.n_raters
        return Measure(name, None, None, None, self.n_units, self.n_groups, n_values, self.n_dropped, undefined_because)

    def why_not(self) -> str | None:
        """Why nothing can be measured, if so."""
        return ONE_RATER if self.n_raters < 2 else TOO_FEW if self.n_units < 2 else None


def complete(matrix: ArrayLike, groups: ArrayLike | None, *, raters: int | None = None) -> Complete:
    """The rows where every rater gave a number; NaN is a missing one. ValueError where it is no matrix of numbers."""
    numbers = np.asarray(matrix, dtype=np.float64)
    if numbers.ndim != 2 or np.isinf(numbers).any():
        raise ValueError("numbers must be a matrix (units, raters), finite where not missing")
    if raters is not None and numbers.shape[1] != raters:
        raise ValueError(f"the matrix must have {raters} columns, not {numbers.shape[1]}")
    named = checked_groups(groups, len(numbers))
    whole = ~np.isnan(numbers).any(axis=1)
    chosen, n_units = numbers[whole], int(whole.sum())
    prompts = gathered(row_keys(chosen), None if groups is None else named[whole])
    n_groups = n_units if groups is None else len(np.unique(named[whole]))
    return Complete(chosen[prompts.rows], prompts, n_units, n_groups, numbers.shape[1], len(numbers) - n_units)
