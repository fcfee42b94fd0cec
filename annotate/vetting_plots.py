"""What a test does to people by their ability, as the geometry of a plot; in the manner of `annotate.plots`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from annotate.plots import FOOT, WIDTH, Scale, Tick, around

DASHES = ("", "7 4", "2 4")  # curves are told apart by their strokes, not by colour
BETWEEN = 150  # the names of two curves


class Curve(NamedTuple):
    name: str
    dash: str
    points: str
    at: float  # where its name stands


@dataclass(frozen=True)
class Curves:
    """Figures over the true ability."""

    curves: list[Curve]
    ticks: list[Tick]
    along: list[Tick]
    width: int = WIDTH
    height: int = 250
    left: int = 44
    right: int = WIDTH - 14
    top: int = 34
    floor: int = 250 - FOOT

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2


def curves(
    abilities: Sequence[float], figures: Sequence[tuple[str, Sequence[float]]], high: float | None = 1.0
) -> Curves:
    """`figures`: up to three, each with its name and a value for each ability. `high`: the end of the scale; None: as needed."""
    frame = Curves([], [], [])
    most = max((value for _name, values in figures for value in values), default=1.0)
    end = around([0.0, most], low=0.0)[1] if high is None else high
    up = Scale(0.0, end, frame.floor, frame.top)
    along = Scale(abilities[0], abilities[-1], frame.left + 8, frame.right - 8)
    drawn = [
        Curve(
            name,
            DASHES[at],
            " ".join(f"{along(p)},{up(value)}" for p, value in zip(abilities, values, strict=True)),
            frame.left + BETWEEN * at,
        )
        for at, (name, values) in enumerate(figures)
    ]
    return Curves(drawn, up.ticks(), [Tick(along(p), f"{p:.2f}") for p in abilities[::2]])
