"""What differs between two texts, by word: two outputs side by side, or a text and what became of it."""

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from django.utils.safestring import SafeString, mark_safe
from rapidfuzz.distance import Indel

from annotate.rendering import shown

MOST_TOKENS = 20_000  # words of a side, and then lines; comparing takes time and memory by their product

# Scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, Japanese and Chinese, read by character.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U000323af"
)
# Accents, vowel signs, what joins emoji and what tints them stay with what they belong to.
_MARKS = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code)).startswith("M"))
_MARKS += "\u200c\u200d\U0001f3fb-\U0001f3ff"
_WORD = re.compile(
    rf"\n|[^\S\n]+|[{_UNSPACED}][{_MARKS}]*|(?:(?![{_UNSPACED}])[\w{_MARKS}])+|.[{_MARKS}]*(?:(?<=\u200d).[{_MARKS}]*)*",
    re.DOTALL,
)


class Change(NamedTuple):
    """A run of words that both texts share, or that stand in place of each other; one side may be empty."""

    kind: str  # equal, replace, insert or delete
    left: str
    right: str

    @property
    def same(self) -> bool:
        return self.kind == "equal"


def words(left: str, right: str) -> list[Change]:
    """The two texts as what is equal and what differs, in order. All of one side put together is that side."""
    if left == right:
        return [Change("equal", left, right)] if left else []
    for split in (_WORD.findall, lambda text: text.splitlines(keepends=True)):
        sides = split(left), split(right)
        if max(map(len, sides)) <= MOST_TOKENS:
            return _without_crumbs(_compared(*sides))
    return [_change(left, right)]


def _change(left: str, right: str) -> Change:
    return Change("replace" if left and right else "delete" if left else "insert", left, right)


def _compared(left: list[str], right: list[str]) -> list[Change]:
    numbers: dict[str, int] = {}
    coded = [[numbers.setdefault(part, len(numbers)) for part in side] for side in (left, right)]
    return [
        Change(each.tag, "".join(left[each.src_start : each.src_end]), "".join(right[each.dest_start : each.dest_end]))
        for each in Indel.opcodes(*coded)
    ]


def _without_crumbs(changes: list[Change]) -> list[Change]:
    """Neighbouring changes as one, also over a space that happens to stand in both: a phrase changes as a whole."""
    found: list[Change] = []
    for at, each in enumerate(changes):
        is_crumb = each.same and each.left.isspace() and "\n" not in each.left and at < len(changes) - 1
        if found and not found[-1].same and (is_crumb or not each.same):
            found[-1] = _change(found[-1].left + each.left, found[-1].right + each.right)
        else:
            found.append(each)
    return found


def _marked(tag: str, text: str) -> str:
    """A change. Its line breaks are to be seen: the mark of an empty line would have no width."""
    return f"<{tag}>{shown(text).replace(chr(10), '↵' + chr(10))}</{tag}>" if text else ""


def _joined(changes: list[Change], differing: Callable[[Change], str]) -> SafeString:
    # Line breaks stay line breaks: what shows the result has white-space: pre-wrap.
    parts = (shown(each.left) if each.same else differing(each) for each in changes)
    return mark_safe("".join(parts))  # noqa: S308 - all of it went through shown()


def side_by_side(left: str, right: str) -> tuple[SafeString, SafeString]:
    """Both texts, each with what the other has not marked: as deleted in the left one, as inserted in the right one."""
    changes = words(left, right)
    return (
        _joined(changes, lambda each: _marked("del", each.left)),
        _joined(changes, lambda each: _marked("ins", each.right)),
    )


def inline(old: str, new: str) -> SafeString:
    """One text with what was deleted and what was inserted, as of a guideline or an answer that was edited."""
    return _joined(words(old, new), lambda each: _marked("del", each.left) + _marked("ins", each.right))
