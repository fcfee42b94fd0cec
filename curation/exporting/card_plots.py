"""Bar charts of a card as SVG files: readable by themselves, on any background, and the same bytes for the same numbers.

A card shows them as pictures, so they bring their own colours. The numbers stand in a table beside each.
"""

from collections.abc import Sequence
from xml.sax.saxutils import escape

WIDTH, ROW, LEFT, RIGHT, TOP = 640, 22, 170, 80, 44  # in the SVG's own coordinates, in which a text is 13 high
LONGEST_LABEL = 20  # characters
INK, PAPER, BAR = "#1c2733", "#ffffff", "#2f6da8"


def bars(title: str, description: str, values: Sequence[tuple[str, int]]) -> str:
    """A bar for each (label, number), from top to bottom. `description` is for those who do not see it."""
    most = max((value for _label, value in values), default=0) or 1
    height = TOP + ROW * len(values) + 12
    rows = "".join(_row(at, label, value, value / most) for at, (label, value) in enumerate(values))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-labelledby="title description" font-family="sans-serif" font-size="13" fill="{INK}">\n'
        f'<title id="title">{escape(title)}</title>\n<desc id="description">{escape(description)}</desc>\n'
        f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>\n'
        f'<text x="12" y="26" font-size="15" font-weight="bold">{escape(title)}</text>\n'
        f"{rows}</svg>\n"
    )


def _row(at: int, label: str, value: int, share: float) -> str:
    top, length = TOP + ROW * at, round((WIDTH - LEFT - RIGHT) * share, 1)
    shown = label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
    return (
        f'<text x="{LEFT - 8}" y="{top + 15}" text-anchor="end">{escape(shown)}</text>'
        f'<rect x="{LEFT}" y="{top + 3}" width="{length}" height="{ROW - 6}" fill="{BAR}"/>'
        f'<text x="{LEFT + length + 6}" y="{top + 15}">{value:,}</text>\n'
    )
