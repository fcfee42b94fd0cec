"""Every measure of a table of values: by its name, with what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from annotate.measures.alpha import krippendorff_alpha
from annotate.measures.counts import brennan_prediger, fleiss_kappa, gwet_ac, pairwise_agreement
from annotate.measures.rankings import kendall_w, spearman, tau_b, tau_c
from annotate.measures.raters import cohen_kappa, scott_pi
from annotate.measures.resampling import Floats, Measure
from annotate.measures.scales import KINDS, icc
from annotate.measures.tables import LEVELS, Level, Scale


@dataclass(frozen=True)
class Data:
    """A table's values in every form that a measure takes. `options` are those of the intervals."""

    scale: Scale
    options: dict[str, Any]

    def of_counts(self, measure: Callable[..., Measure], **more: Any) -> Measure:
        labels = self.scale.labels
        return measure(labels.table, labels.groups, **more, **self.options)

    def of_numbers(self, measure: Callable[..., Measure], **more: Any) -> Measure:
        return self.of_counts(measure, numbers=self.numbers, **more)

    def of_two(self, measure: Callable[..., Measure], **more: Any) -> Measure:
        places: list[list[int | None]] = [
            [None if np.isnan(at) else int(at) for at in column] for column in self.places.T
        ]
        groups, size = self.scale.labels.groups, self.scale.labels.categories
        return measure(*places, range(size), groups, **more, **self.options)

    def of_places(self, measure: Callable[..., Measure], **more: Any) -> Measure:
        return measure(self.places, self.scale.labels.groups, **more, **self.options)

    def of_matrix(self, measure: Callable[..., Measure], **more: Any) -> Measure:
        return measure(self._matrix(self.numbers), self.scale.labels.groups, **more, **self.options)

    @property
    def numbers(self) -> Floats:
        """What the categories are worth; their places where they are words, or no more than ordered."""
        labels = self.scale.labels
        worth = self.scale.level in ("interval", "ratio") and labels.numbers is not None
        return labels.numbers if worth and labels.numbers is not None else np.arange(labels.categories, dtype=float)

    @cached_property
    def places(self) -> Floats:
        """(items, raters): which of the categories, NaN where missing."""
        return self._matrix(np.arange(self.scale.labels.categories, dtype=float))

    def _matrix(self, worth: Floats) -> Floats:
        labels = self.scale.labels
        matrix = np.full((len(labels.units), len(labels.raters)), np.nan)
        matrix[labels.unit, labels.rater] = worth[labels.value]
        return matrix


class Entry(NamedTuple):
    level: Level  # the lowest at which it means something
    two: bool  # whether it is of two raters only
    of: Callable[[Data], Measure]


def _entries() -> dict[str, Entry]:
    found: dict[str, Entry] = {}

    def add(name: str, level: Level, form: Callable[..., Measure], measure: Callable, /, **more: Any):
        two = form is Data.of_two or measure in (tau_b, tau_c, spearman)
        found[name] = Entry(level, two, partial(form, measure=measure, **more))

    add("pairwise_agreement", "nominal", Data.of_counts, pairwise_agreement)
    add("cohen_kappa", "nominal", Data.of_two, cohen_kappa)
    add("scott_pi", "nominal", Data.of_two, scott_pi)
    add("fleiss_kappa", "nominal", Data.of_counts, fleiss_kappa)
    add("krippendorff_alpha_nominal", "nominal", Data.of_counts, krippendorff_alpha)
    add("gwet_ac1", "nominal", Data.of_counts, gwet_ac)
    add("brennan_prediger", "nominal", Data.of_counts, brennan_prediger)
    for weights in ("linear", "quadratic"):
        add(f"cohen_kappa_{weights}", "ordinal", Data.of_two, cohen_kappa, weights=weights)
    add("krippendorff_alpha_ordinal", "ordinal", Data.of_counts, krippendorff_alpha, level="ordinal")
    for weights in ("linear", "quadratic", "ordinal"):
        add(f"gwet_ac2_{weights}", "ordinal", Data.of_numbers, gwet_ac, weights=weights)
    for weights in ("linear", "quadratic", "ordinal"):
        add(f"brennan_prediger_{weights}", "ordinal", Data.of_numbers, brennan_prediger, weights=weights)
    add("kendall_w", "ordinal", Data.of_places, kendall_w)
    add("tau_b", "ordinal", Data.of_places, tau_b)
    add("tau_c", "ordinal", Data.of_places, tau_c)
    add("spearman", "ordinal", Data.of_places, spearman)
    add("krippendorff_alpha_interval", "interval", Data.of_numbers, krippendorff_alpha, level="interval")
    for kind in KINDS:
        add(f"icc_{kind}", "interval", Data.of_matrix, icc, kind=kind)
    add("krippendorff_alpha_ratio", "ratio", Data.of_numbers, krippendorff_alpha, level="ratio")
    return found


MEASURES = _entries()


def chosen(names: Iterable[str]) -> list[str]:
    """The measures of these names, or whose names begin with them. Raises ValueError for a name that fits none."""
    found: list[str] = []
    for name in names:
        fitting = [one for one in MEASURES if one == name] or [one for one in MEASURES if one.startswith(f"{name}_")]
        if not fitting:
            raise ValueError(f"There is no measure “{name}”; there are {', '.join(MEASURES)}.")
        found += [one for one in fitting if one not in found]
    return found


def why_not(name: str, scale: Scale) -> str | None:
    """Why a measure does not apply to a table, if so."""
    entry, raters = MEASURES[name], len(scale.labels.raters)
    if entry.two and raters != 2:
        return f"needs two raters, not {raters}: choose them with --raters"
    if LEVELS.index(entry.level) > LEVELS.index(scale.level):
        return f"needs level {entry.level}, the values are {scale.level}"
    return None


def measure(names: Iterable[str], scale: Scale, **options: Any) -> list[Measure]:
    """The measures of these names, one after the other. `options` are replicates, seed and confidence."""
    data = Data(scale, options)
    return [MEASURES[name].of(data) for name in names]
