"""Filters that take a running text apart, for templates over texts that have no labels.

Sentences end where their punctuation says so: after `.`, `!`, `?` or `…` where a space and no small letter follows, and
after `。`, `！`, `？` wherever they stand. A full stop after a title or an initial ends nothing. Each character is looked
at a fixed number of times, however a text is made.
"""

import re
from typing import Any

from jinja2.runtime import Context
from jinja2.utils import pass_context

# A run of marks is looked at from its beginning only; marks and closing brackets are not given back.
END = re.compile(r"""(?<![.!?…。！？])[.!?…。！？]++["'”’）)\]」』》]*+""")
WIDE = "。！？"
NO_END = {
    "Mr", "Mrs", "Ms", "Dr", "Prof", "St", "No", "Fig", "vs", "e.g", "i.e", "cf", "Inc", "Ltd", "Jr", "Sr", "approx",
}  # fmt: skip
LONGEST_WORD = 20  # that is looked back at


def spans(text: str) -> list[tuple[int, int]]:
    """Where each sentence begins and ends, without the space around it."""
    found = []
    begin = 0
    for mark in END.finditer(text):
        if mark.start() >= begin and ends(text, mark.start(), mark.end()):
            found.append((begin, mark.end()))
            begin = mark.end()
    found.append((begin, len(text)))
    trimmed = ((stop - len(text[start:stop].lstrip()), stop) for start, stop in found)
    return [(start, start + len(text[start:stop].rstrip())) for start, stop in trimmed if text[start:stop].strip()]


def ends(text: str, start: int, stop: int) -> bool:
    """Whether the marks there end a sentence."""
    if any(mark in WIDE for mark in text[start : min(stop, start + 3)]):
        return True
    after = text[stop : stop + 3]
    if after and (not after[0].isspace() or after.lstrip()[:1].islower()):
        return False
    if text[start:stop] != ".":
        return True
    words = text[max(0, start - LONGEST_WORD) : start].split()
    word = words[-1].lstrip("(\"'“‘") if words else ""
    return word not in NO_END and not (len(word) == 1 and word.isupper())


def sentences(text: Any) -> list[str]:
    """The sentences of a text, in order."""
    whole = str(text)
    return [whole[start:stop] for start, stop in spans(whole)]


def paragraphs(text: Any) -> list[str]:
    """The paragraphs of a text: what stands between empty lines."""
    found: list[list[str]] = [[]]
    for line in str(text).splitlines():
        if line.strip():
            found[-1].append(line.strip())
        elif found[-1]:
            found.append([])
    return ["\n".join(lines) for lines in found if lines]


@pass_context
def mask_sentence(context: Context, text: Any, mask: str = "____") -> dict[str, str] | None:
    """The text with one of its sentences, drawn by lot, masked, and that sentence: `.text`, `.sentence`.

    None for a text of fewer than two sentences: nothing would be left to tell it from.
    """
    whole = str(text)
    found = spans(whole)
    if len(found) < 2:
        return None
    start, stop = context.environment.rng.choice(found)  # type: ignore[attr-defined]
    return {"text": f"{whole[:start]}{mask}{whole[stop:]}", "sentence": whole[start:stop]}
