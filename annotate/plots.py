"""Geometry of plots as plain values; the templates in `templates/annotate/agreement/` draw them in the page's colours.

Nothing here knows of HTML or the database. Lengths are those of the SVG's own coordinates, in which a text is 12 high.
"""

import math
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import NamedTuple
from urllib.parse import quote

from django.utils.formats import number_format

WIDTH = 500
ROW, PSEUDONYM, NAMED, ACROSS, COUNT = 22, 100, 150, 234, 66
"""Of a plot with a row for each thing: its height; the widths of a pseudonym or another name, the scale, and n."""
FOOT = 44  # below an axis: the ticks, and what they are of

# --- Texts ------------------------------------------------------------------------------------------------------------

NARROW, BROAD = frozenset("iljtfrI.,:;'|!()[]/- "), frozenset("mwMW@%…—ÆŒæœ")
MARKS_ON_A_LETTER = 2


def fit(text: str, width: float) -> str:
    """As much of a text as fits into the width, cut with an ellipsis. What cannot be seen is shown as a box.

    The width of a letter is taken for rather more than most fonts give it.
    """
    letters = list(_letters(text))
    if sum(_width(letter) for letter in letters) <= width:
        return "".join(letters)
    room, kept = width - _width("…"), []
    for letter in letters:
        room -= _width(letter)
        if room < 0:
            break
        kept.append(letter)
    return "".join(kept).rstrip() + "…"


def _letters(text: str) -> Iterator[str]:
    """Letters with the marks upon them, no more than two each."""
    letter = ""
    for character in text:
        if unicodedata.category(character) in ("Mn", "Me"):
            if letter and len(letter) <= MARKS_ON_A_LETTER:
                letter += character
            continue
        if letter:
            yield letter
        letter = "□" if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") else character
    if letter:
        yield letter


def _width(letter: str) -> float:
    first = letter[0]
    if unicodedata.east_asian_width(first) in "WFA" or unicodedata.category(first) in ("So", "Sk"):
        return 14.0
    if first in BROAD:
        return 11.8
    if first in NARROW:
        return 4.8
    return 7.2 if first.isascii() and not first.isupper() else 9.0


# --- Scales -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True)
class Scale:
    """From values to places. What lies beyond an end is drawn at the end."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high - self.low
        share = (value - self.low) / span if span else 0.5
        return round(self.start + (self.end - self.start) * min(max(share, 0.0), 1.0), 1)

    def ticks(self, most: int = 6) -> list[Tick]:
        step = step_of(self.low, self.high, most)
        places = max(0, math.ceil(-math.log10(step) - 1e-9))
        if round(step, places) != step:  # 0.25
            places += 1
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        values = [at * step for at in range(first, last + 1)]
        return [Tick(self(value), f"{value + 0.0:.{places}f}") for value in values]


def step_of(low: float, high: float, most: int = 6) -> float:
    """A round step by which no more than `most` ticks stand between two values."""
    rough = max(high - low, 1e-9) / (most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * times for times in (1, 2, 2.5, 5, 10) if power * times >= rough - 1e-12)


def around(
    values: Sequence[float], *, least: float = 0.2, low: float | None = None, high: float | None = None
) -> tuple[float, float]:
    """Round ends of a scale that shows all these values, at least so long. `low` and `high`: it goes no further."""
    bottom, top = (min(values), max(values)) if values else (0.0, 0.0)
    missing = max(0.0, least - (top - bottom)) / 2
    bottom, top = bottom - missing, top + missing
    step = step_of(bottom, top, 5)
    bottom, top = math.floor(bottom / step + 1e-9) * step, math.ceil(top / step - 1e-9) * step
    if low is not None and bottom < low:
        bottom, top = low, max(top, low + least)
    if high is not None and top > high:
        bottom, top = min(bottom, high - least), high
    return round(bottom, 6), round(top, 6)


# --- Dots with their intervals ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """A figure of something that has a name. `value` None: undefined, and `because` says why."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    because: str = ""  # it is undefined, or has no interval

    @classmethod
    def of(cls, label: str, mean: dict) -> "Point":
        """Of a mean as a snapshot's detail has it."""
        because = mean.get("undefined_because") or mean.get("no_interval_because") or ""
        return cls(label, mean["value"], mean["low"], mean["high"], mean["n"], because)

    @property
    def known(self) -> list[float]:
        return [one for one in (self.value, self.low, self.high) if one is not None]


class Row(NamedTuple):
    """A thing's row in the plot. Texts all, which a template writes many times faster than numbers; empty: none."""

    label: str  # as much of the name as fits
    title: str  # all of it, and the figure
    top: str
    y: str
    x: str
    line: str  # the interval, as a path
    n: str


class Line(NamedTuple):
    """Its line in the table beside the plot."""

    label: str
    value: str
    interval: str
    because: str
    n: str


@dataclass(frozen=True)
class Intervals:
    """A row for each thing: a dot at its value, a line over its interval, n at the end."""

    rows: list[Row]
    table: list[Line]
    ticks: list[Tick]
    reference: float | None  # where the line stands that they are compared with
    height: float
    floor: float
    width: int
    left: int
    right: int

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2


def counted(n: int) -> str:
    """A whole number as the language writes it."""
    return str(n) if n < 1000 else number_format(n, force_grouping=True)


def interval(low: float | None, high: float | None, places: int = 3) -> str:
    return "" if low is None or high is None else f"{low:.{places}f} – {high:.{places}f}"


def intervals(
    points: Sequence[Point], ends: tuple[float, float], reference: float | None = None, room: int = NAMED
) -> Intervals:
    """`ends`: of the scale. `reference`: a value to compare with. `room`: for names."""
    left, right = room, room + ACROSS
    scale = Scale(*ends, left + 6, right - 6)
    rows, table = [], []
    for number, one in enumerate(points):
        value = "" if one.value is None else f"{one.value:.3f}"
        n = "" if one.n is None else counted(one.n)
        line = Line(one.label, value, interval(one.low, one.high), one.because, n)
        y, top = 8 + ROW * (number + 0.5), 8 + ROW * number
        x = "" if one.value is None else f"{scale(one.value)}"
        path = "" if one.low is None or one.high is None else f"M{scale(one.low)} {y}H{scale(one.high)}"
        title = f"{one.label}: {value}" + (f" ({line.interval})" if line.interval else "") + (f", n = {n}" if n else "")
        rows.append(Row(fit(one.label, room - 12), title, str(top), str(y), x, path, n))
        table.append(line)
    floor = 8 + ROW * len(points)
    at = None if reference is None else scale(reference)
    return Intervals(rows, table, scale.ticks(), at, floor + FOOT, floor, right + COUNT, left, right)


def shares(points: Sequence[Point], reference: float | None = None, room: int = NAMED) -> Intervals:
    """Of shares, from 0 to 1."""
    return intervals(points, (0.0, 1.0), reference, room)


def coefficients(points: Sequence[Point]) -> Intervals:
    """Of what is 0 by chance and 1 at best; below 0 as far as it goes."""
    known = [value for one in points for value in one.known]
    return intervals(points, around([0.0, 1.0, *known], high=1.0), 0.0)


def both_ways(points: Sequence[Point], room: int = NAMED, least: float = 1.0) -> Intervals:
    """Of what may lie on both sides of 0, which stands in the middle. The scale ends at `least` or beyond."""
    most = max([abs(value) for one in points for value in one.known], default=0.0)
    step = step_of(0, max(most, least), 4)
    end = math.ceil(max(most, least) / step - 1e-9) * step
    return intervals(points, (-end, end), 0.0, room)


# --- A figure over time -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moment:
    """A figure at one time. A line joins those of one series that follow each other, unless one is undefined."""

    when: datetime
    series: object
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Change:
    """Something that happened and may have moved the figure."""

    when: datetime
    text: str
    strong: bool = False


@dataclass(frozen=True)
class Mark:
    x: float
    change: Change
    text: str  # none where the next one stands too near
    anchor: str  # of the text: start or end


@dataclass(frozen=True)
class DateTick:
    x: float
    when: datetime
    anchor: str


@dataclass(frozen=True)
class Trend:
    lines: list[str]  # points of polylines
    bands: list[str]  # points of polygons
    dots: list[tuple[float, float]]  # what no line goes through, and the latest
    whiskers: list[tuple[float, float, float]]  # x, low, high: intervals that no band shows
    marks: list[Mark]
    ticks: list[Tick]
    dates: list[DateTick]
    by_hour: bool  # so little time that dates say nothing
    width: int = WIDTH
    height: int = 230
    left: int = 44
    right: int = WIDTH - 14
    top: int = 24
    floor: int = 230 - FOOT

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2


def trend(
    moments: Sequence[Moment], changes: Sequence[Change] = (), *, most: float | None = 1.0, least: float | None = None
) -> Trend:
    """`moments` in order of time, one at least. `least`, `most`: the scale goes no further."""
    frame = Trend([], [], [], [], [], [], [], by_hour=False)
    first, last = moments[0].when, moments[-1].when
    known = [each for one in moments for each in (one.value, one.low, one.high) if each is not None]
    up = Scale(*around(known, low=least, high=most), frame.floor, frame.top + 8)
    along = Scale(0, (last - first).total_seconds(), frame.left + 8, frame.right - 8)

    def x(when: datetime) -> float:
        return along((when - first).total_seconds())

    lines, bands, dots, whiskers = [], [], [], []
    for _series, part in groupby(moments, key=lambda one: (one.series, one.value is None)):
        run = [one for one in part if one.value is not None]
        points = [(x(one.when), up(one.value)) for one in run if one.value is not None]
        if len(points) > 1:
            lines.append(" ".join(f"{at},{y}" for at, y in points))
        else:
            dots += points
        for ends in _bounded(run, x, up):
            if len(ends) == 1:
                whiskers += ends
            else:
                edge = [f"{at},{high}" for at, _low, high in ends] + [f"{at},{low}" for at, low, _high in ends[::-1]]
                bands.append(" ".join(edge))
    latest = moments[-1]
    if latest.value is not None:
        dots.append((x(last), up(latest.value)))
    marks = _marks([(x(one.when), one) for one in changes if first <= one.when <= last], frame)
    dates, by_hour = _dates(first, last - first, x), last - first < timedelta(days=3)
    return Trend(lines, bands, sorted(set(dots)), whiskers, marks, up.ticks(5), dates, by_hour)


def _bounded(
    run: Sequence[Moment], x: Callable[[datetime], float], up: Scale
) -> Iterator[list[tuple[float, float, float]]]:
    """(x, low, high) of those that follow each other and have an interval."""
    for known, part in groupby(run, key=lambda one: one.low is not None and one.high is not None):
        if known:
            yield [
                (x(one.when), up(one.low), up(one.high)) for one in part if one.low is not None and one.high is not None
            ]


def _marks(placed: Sequence[tuple[float, Change]], frame: Trend) -> list[Mark]:
    """Each change has a line. A text stands where there is room for it; those of strong changes are placed first."""
    taken: list[tuple[float, float]] = []
    texts: dict[int, tuple[str, str]] = {}
    for at, (x, change) in sorted(enumerate(placed), key=lambda item: (not item[1][1].strong, -item[1][0])):
        text = fit(change.text, 120)
        length = sum(_width(letter) for letter in text) + 6
        anchor = "start" if x + length <= frame.width else "end"
        start, end = (x, x + length) if anchor == "start" else (x - length, x)
        if all(end <= left or start >= right for left, right in taken):
            taken.append((start, end))
            texts[at] = text, anchor
    return [Mark(x, change, *texts.get(at, ("", "start"))) for at, (x, change) in enumerate(placed)]


def _dates(first: datetime, span: timedelta, x: Callable[[datetime], float]) -> list[DateTick]:
    if not span:
        return [DateTick(x(first), first, "middle")]
    parts = 3 if span >= timedelta(days=3) or span >= timedelta(minutes=4) else 1
    anchors = ["start", *["middle"] * (parts - 1), "end"]
    return [DateTick(x(when), when, anchors[at]) for at in range(parts + 1) for when in [first + span * at / parts]]


# --- Everybody beside everybody ---------------------------------------------------------------------------------------

LEAST_SHADE, MOST_SHADE = 0.04, 0.45  # so that a number on it can be read in both themes
NAME = 104  # room for a name beside the cells, and above them
NUMBERED = 16  # so many people or fewer, and each cell has its number


class Cell(NamedTuple):
    """Two people. Texts all, as of a `Row`."""

    link: str  # to the page about the two
    title: str
    path: str
    x: str
    y: str
    number: str


class Pair(NamedTuple):
    """Their line in the table beside the map."""

    link: str
    two: str
    of: str  # on how many they agree, of how many
    share: str


@dataclass(frozen=True)
class Heat:
    """A cell for each pair, below the diagonal."""

    shades: list[tuple[str, list[Cell]]]  # how opaque the colour is, and the cells that are so
    names: list[tuple[float, str, str]]  # of rows and columns: where, as much of the name as fits, the name
    pairs: list[Pair]  # least agreement first
    low: float  # the share that is palest
    high: float
    size: int  # of a cell
    side: float  # width and height, of the whole
    numbered: bool
    edge: int = NAME - 8  # where names end

    @property
    def blank(self) -> int:
        """How many pairs have too few units in common."""
        return len(self.names) * (len(self.names) - 1) // 2 - len(self.pairs)


def heat(
    names: Sequence[str], shared: Sequence[Sequence[int]], agreed: Sequence[Sequence[int]], least: int, link: str = ""
) -> Heat:
    """How often each two say the same of what both judged, where they share `least` units or more.

    Who agrees most with the others stands first, so whoever does not stands out in the last row. `link`: the address of
    the page about two of them, without the two.
    """
    size, least = 36 if len(names) <= NUMBERED else 20, max(least, 1)

    def with_others(at: int) -> float:
        use = [other for other, many in enumerate(shared[at]) if other != at and many >= least]
        return sum(agreed[at][other] for other in use) / max(sum(shared[at][other] for other in use), 1)

    order = sorted(range(len(names)), key=lambda at: (-with_others(at), at))
    share = {
        (down, right): agreed[a][b] / shared[a][b]
        for down, a in enumerate(order)
        for right, b in enumerate(order[:down])
        if shared[a][b] >= least
    }
    low = math.floor(min(share.values(), default=0.0) * 10) / 10
    high = math.ceil(max(share.values(), default=1.0) * 10) / 10
    quoted = [quote(name, safe="") for name in names]
    shades: dict[str, list[Cell]] = {}
    pairs = []
    for (down, right), found in sorted(share.items(), key=lambda one: one[1]):
        a, b, number = order[down], order[right], f"{found:.2f}"
        x, y, to = NAME + size * right, NAME + size * down, f"{link}?a={quoted[a]}&b={quoted[b]}"
        two, of = f"{names[a]}, {names[b]}", f"{counted(agreed[a][b])} / {counted(shared[a][b])}"
        cell = Cell(to, f"{two}: {number} = {of}", f"M{x} {y}h{size}v{size}h-{size}z", str(x), str(y), number)
        tone = LEAST_SHADE + (MOST_SHADE - LEAST_SHADE) * (float(number) - low) / ((high - low) or 1)
        shades.setdefault(f"{tone:.3f}", []).append(cell)
        pairs.append(Pair(to, two, of, number))
    beside = [(NAME + size * (at + 0.5), fit(names[one], NAME - 12), names[one]) for at, one in enumerate(order)]
    side = NAME + size * len(names) + 2
    return Heat(list(shades.items()), beside, pairs, low, high, size, side, len(names) <= NUMBERED)
