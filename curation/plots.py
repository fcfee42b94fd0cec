"""Curves and bars as SVG: computed here, drawn by `templates/curation/_curve.html` and `_bars.html` in the page's colours."""

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


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    label: str
    middle: float
    count: int


def bars(bins: Sequence[tuple[int, int, int]]) -> list[Bar]:
    """A histogram of (from, to, count), side by side; the highest is as high as the plot."""
    highest = max((count for *_, count in bins), default=0) or 1
    width = (WIDTH - LEFT - 10) / max(len(bins), 1)
    drawn = []
    for at, (low, high, count) in enumerate(bins):
        height = round((HEIGHT - BOTTOM - TOP) * count / highest, 1)
        x = round(LEFT + at * width, 1)
        label = f"{low}" if low == high else f"{low}–{high}"
        middle = round(x + width / 2, 1)
        drawn.append(Bar(x + 1, HEIGHT - BOTTOM - height, round(width - 2, 1), height, label, middle, count))
    return drawn
