"""Curves as SVG: computed here, drawn by `templates/curation/_curve.html` in the page's own colours."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 620, 220, 56, 30, 12


@dataclass(frozen=True)
class Curve:
    name: str
    points: str  # for a polyline
    ticks: list[tuple[float, str]]  # height, label
    last_step: int
    table: list[tuple[int, float]]


def curve(name: str, values: Sequence[tuple[int, float]], most: int = 400) -> Curve:
    """A curve through (step, value), in order of step. Of more than `most` points evenly spaced ones are drawn."""
    stride = -(-len(values) // most)
    shown = [*values[::stride], values[-1]] if (len(values) - 1) % stride else list(values[::stride])
    low, high = min(value for _, value in shown), max(value for _, value in shown)
    span = (high - low) or 1.0
    first, last = shown[0][0], shown[-1][0]

    def height(value: float) -> float:
        return round(TOP + (HEIGHT - BOTTOM - TOP) * (high - value) / span, 1)

    def across(step: int) -> float:
        return round(LEFT + (WIDTH - LEFT - 10) * (step - first) / ((last - first) or 1), 1)

    points = " ".join(f"{across(step)},{height(value)}" for step, value in shown)
    ticks = [(height(value), f"{value:.3g}") for value in dict.fromkeys((high, (high + low) / 2, low))]
    return Curve(name, points, ticks, last, shown)
