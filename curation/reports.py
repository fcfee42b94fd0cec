"""How a training run is shown, on its page and in the admin."""

import re
from itertools import groupby
from typing import Any

from django.utils.translation import gettext_lazy

from annotate.rendering import markdown_html
from curation.models import TrainingRun
from curation.plots import Curve, curve

# What a card says to machines; it would read as a heading.
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


HEADLINES = {
    "loss_before_training": gettext_lazy("Loss before training"),
    "loss": gettext_lazy("Loss after training"),
    "accuracy_before_training": gettext_lazy("Accuracy before training"),
    "accuracy": gettext_lazy("Accuracy after training"),
    "human_reference": gettext_lazy("Human reference"),
    "exact_match": gettext_lazy("Exact match"),
}
"""What of a run's held-out figures stands on top of its page, in this order; the card has all of them."""


def headlines_of(run: TrainingRun) -> list[dict[str, Any]]:
    """The main held-out figures, each with label, value, interval and rows. What a trainer sent is not trusted."""
    held_out = run.results.get("held_out")
    found = []
    for name, label in HEADLINES.items():
        figure = held_out.get(name) if isinstance(held_out, dict) else None
        if isinstance(figure, dict) and isinstance(figure.get("value"), (int, float)):
            numbers = {key: value for key, value in figure.items() if isinstance(value, (int, float))}
            found.append({"label": label, "low": None, "high": None, "rows": 0, **numbers})
    return found


def curves_of(run: TrainingRun) -> list[Curve]:
    """A curve for each thing that was measured, by one query."""
    points = run.metrics.order_by("name", "step").values_list("name", "step", "value")
    by_name = groupby(points, key=lambda point: point[0])
    return [curve(name, [(step, value) for _name, step, value in rows]) for name, rows in by_name]


def card_html(run: TrainingRun) -> str:
    """The model card without its front matter; empty if there is none."""
    return markdown_html(FRONT_MATTER.sub("", run.model_card)) if run.model_card else ""
