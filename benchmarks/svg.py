"""Small charts as SVG: panels side by side, lines with marks, text as text, readable in both themes.

The picture brings its own ground, so that it is legible wherever it is shown; the theme is the reader's system's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

PANEL, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 320, 300, 52, 24, 40, 46
STYLE = """
  svg { --ground: #ffffff; --text: #1b1d20; --muted: #575b62; --line: #dedcd5;
        --a: #1d5199; --b: #a9501d; --c: #6b6f76; --d: #1b6a3c; }
  @media (prefers-color-scheme: dark) {
    svg { --ground: #191b1f; --text: #e8e7e4; --muted: #a5a9b0; --line: #363b43;
          --a: #93bbf3; --b: #f0a878; --c: #a5a9b0; --d: #79d49d; }
  }
  .ground { fill: var(--ground); }
  text { font: 12px system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; fill: var(--muted); }
  .head { font-weight: 600; font-size: 13px; fill: var(--text); }
  .grid { stroke: var(--line); }
  polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
  .band { stroke: none; opacity: .16; }
  .ring { fill: none; stroke-width: 2; }
  .a { stroke: var(--a); } .b { stroke: var(--b); } .c { stroke: var(--c); } .d { stroke: var(--d); }
  .a.mark, .a.band { fill: var(--a); } .b.mark, .b.band { fill: var(--b); }
  .c.mark, .c.band { fill: var(--c); } .d.mark, .d.band { fill: var(--d); }
"""


@dataclass(frozen=True)
class Series:
    """A line through points. `colour` is one of the letters a to d; `dash` as in SVG, "" for a solid line."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    dash: str = ""
    marked: bool = False
    low: Sequence[float] = ()  # of a band around the line, one for each point
    high: Sequence[float] = ()
    ring: tuple[float, float] | None = None  # a point of it that is meant in particular


@dataclass(frozen=True)
class Panel:
    title: str
    across: str
    upwards: str
    series: Sequence[Series]
    percent: tuple[bool, bool] = (False, True)  # whether the axis, across and upwards, is of shares
    least: tuple[float | None, float | None] = (None, None)  # where the axis begins; None: with the data


def picture(title: str, description: str, panels: Sequence[Panel]) -> str:
    """The whole picture. Every line is named once, below the panels, and must look the same in each."""
    names = {one.name: one for panel in panels for one in panel.series}
    width, height = PANEL * len(panels), HEIGHT + 12 + 20 * len(names)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-labelledby="title description">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="description">{escape(description)}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{width}" height="{height}" rx="8"/>',
    ]
    for number, panel in enumerate(panels):
        parts += [f'<g transform="translate({number * PANEL} 0)">', *_panel(panel), "</g>"]
    for number, one in enumerate(names.values()):
        y = HEIGHT + 10 + 20 * number
        parts += [*_line(one, [(LEFT, y), (LEFT + 18, y), (LEFT + 36, y)])]
        parts.append(f'<text x="{LEFT + 46}" y="{y + 4}">{escape(one.name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel) -> list[str]:
    xs = [x for one in panel.series for x, _ in one.points]
    ys = [y for one in panel.series for _, y in one.points]
    ys += [y for one in panel.series for y in (*one.low, *one.high)]
    x_ticks, y_ticks = _ticks(xs, panel.least[0]), _ticks(ys, panel.least[1])
    right, bottom = PANEL - RIGHT, HEIGHT - BOTTOM

    def place(point: tuple[float, float]) -> tuple[float, float]:
        x = LEFT + (right - LEFT) * (point[0] - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])
        y = bottom - (bottom - TOP) * (point[1] - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return round(x, 1), round(y, 1)

    parts = [f'<text class="head" x="{LEFT}" y="20">{escape(panel.title)}</text>']
    for tick in y_ticks:
        _, y = place((x_ticks[0], tick))
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y}" x2="{right}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 7}" y="{y + 4}" text-anchor="end">{_said(tick, panel.percent[1])}</text>')
    for tick in x_ticks:
        x, _ = place((tick, y_ticks[0]))
        parts.append(f'<line class="grid" x1="{x}" y1="{bottom}" x2="{x}" y2="{bottom + 4}"/>')
        parts.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{_said(tick, panel.percent[0])}</text>')
    parts.append(f'<text x="{right}" y="{bottom + 36}" text-anchor="end">{escape(panel.across)}</text>')
    parts.append(f'<text x="{LEFT}" y="{TOP - 6}">{escape(panel.upwards)}</text>')
    for one in panel.series:
        if one.low:
            edge = [place((x, low)) for (x, _), low in zip(one.points, one.low, strict=True)]
            edge += [place((x, high)) for (x, _), high in zip(one.points, one.high, strict=True)][::-1]
            parts.append(f'<polygon class="{one.colour} band" points="{_coordinates(edge)}"/>')
    for one in panel.series:
        parts += _line(one, [place(point) for point in one.points])
        if one.ring:
            x, y = place(one.ring)
            parts.append(f'<circle class="{one.colour} ring" cx="{x}" cy="{y}" r="7"/>')
    return parts


def _line(one: Series, points: Sequence[tuple[float, float]]) -> list[str]:
    dash = f' stroke-dasharray="{one.dash}"' if one.dash else ""
    parts = [f'<polyline class="{one.colour}"{dash} points="{_coordinates(points)}"/>']
    if one.marked:
        parts += [f'<circle class="{one.colour} mark" cx="{x}" cy="{y}" r="2.6"/>' for x, y in points]
    return parts


def _coordinates(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _ticks(values: Sequence[float], least: float | None, about: int = 5) -> list[float]:
    """Round numbers from below the least value to above the largest."""
    low, high = min(values) if least is None else least, max(values)
    rough = ((high - low) or 1.0) / about
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * k for k in (1, 2, 2.5, 5, 10) if size * k >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * k, 10) for k in range(first, max(last, first + 1) + 1)]


def _said(tick: float, percent: bool) -> str:
    return f"{100 * tick:.4g} %" if percent else f"{tick:.4g}"
