"""The parts of a document that a script writes, between a comment that begins them and one that ends them."""

from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "agreement.md"


def write_part(name: str, text: str, page: Path = PAGE) -> None:
    """Put `text` where the page has the part `name`. ValueError where it has none."""
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _old, ends, after = rest.partition(end)
    if not (found and ends):
        raise ValueError(f"{page.name} has no part {begin.strip()} … {end}")
    page.write_text(f"{before}{begin}{text.strip()}\n{end}{after}", encoding="utf-8")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; every column but the first is set to the right."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *rows])
