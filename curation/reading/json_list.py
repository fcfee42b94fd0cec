"""The rows of JSON files: a list of objects, or one object that holds one.

A file is never in memory as a whole. `_Scanner` looks for brackets, commas and quotes only; what stands between two
commas goes to orjson. What stands beside the list, such as a task's definition, belongs to each of its rows.
"""

import codecs
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import orjson
from django.utils.translation import gettext as _

from curation.reading.files import MAX_ROW_BYTES, Part, Unreadable, text_of, unpacked
from curation.reading.jsonl import object_of
from curation.reading.rows import Problem, Row, too_large

CHUNK = 256 * 1024
# A text, whose last quote is the group if it is there, or a mark.
BETWEEN_ITEMS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*("?)|[{}\[\],]', re.DOTALL)
IN_ITEM = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*("?)|[{}\[\]]', re.DOTALL)
MEMBER = re.compile(rb'\s*("(?:[^"\\]|\\.)*")\s*:\s*(\[\s*\{)?')
LARGEST_FIRST = 1024  # so many bytes are kept of what is too large to keep


class Item(NamedTuple):
    """What stands between two commas: where it begins, and its bytes, of one that is too large only the first."""

    start: int
    text: bytes
    whole: bool


class _Scanner:
    """Walks over JSON in UTF-8 with a bounded part of it in memory."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._buffer, self._at = stream, b"", 0
        self._gone = 0  # bytes of the file before the buffer

    @property
    def place(self) -> int:
        return self._gone + self._at

    def _read(self) -> bool:
        self._gone += self._at
        self._buffer, self._at = self._buffer[self._at :] + (chunk := self._stream.read(CHUNK)), 0
        return bool(chunk)

    def skip_to(self, place: int) -> None:
        while self._gone + len(self._buffer) < place:
            self._at = len(self._buffer)
            if not self._read():
                raise _cut_off()
        self._at = place - self._gone

    def next_mark(self) -> bytes:
        """The next byte that is no space, taken; empty at the end."""
        while True:
            rest = self._buffer[self._at :].lstrip(b" \t\r\n")
            if rest:
                self._at = len(self._buffer) - len(rest) + 1
                return rest[:1]
            self._at = len(self._buffer)
            if not self._read():
                return b""

    def items(self) -> Iterator[Item]:
        """What stands in the list or object whose opening bracket was just taken; its closing one is taken too."""
        depth, quoted, begin, at = 1, False, self._at, self._at
        start, head, any_item = self.place, b"", False
        while True:
            buffer = self._buffer
            if quoted:
                at = _end_of_text(buffer, at)
                quoted = at < 0
            if not quoted:
                found = (IN_ITEM if depth > 1 else BETWEEN_ITEMS).search(buffer, at)
                if found:
                    if found[1]:  # a whole text
                        at = found.end()
                        continue
                    if found[1] is not None:  # one that goes on behind the buffer
                        quoted, at = True, found.start() + 1
                        continue
                    at, mark = found.end(), found[0]
                    if mark in b"{[":
                        depth += 1
                    elif mark in b"}]":
                        depth -= 1
                    if depth == 0 or (mark == b"," and depth == 1):
                        text = buffer[begin : at - 1]
                        self._at = at
                        if depth or any_item or head or text.strip():
                            yield Item(start, head or text, not head and len(text) <= MAX_ROW_BYTES)
                        if depth == 0:
                            return
                        any_item, head, start, begin = True, b"", self.place, at
                    continue
            if head or len(buffer) - begin > MAX_ROW_BYTES:  # too large to keep: only its brackets matter now
                head = head or buffer[begin : begin + LARGEST_FIRST]
                begin = len(buffer) - _backslashes(buffer, len(buffer)) % 2
            self._at, at = begin, len(buffer) - begin
            if not self._read():
                raise _cut_off()
            begin = 0


def _end_of_text(buffer: bytes, at: int) -> int:
    """Behind the quote that ends a text, or -1 if it goes on behind the buffer."""
    while (at := buffer.find(b'"', at)) >= 0:
        at += 1
        if _backslashes(buffer, at - 1) % 2 == 0:
            return at
    return -1


def _backslashes(buffer: bytes, end: int) -> int:
    """How many backslashes stand directly before."""
    at = end
    while at and buffer[at - 1] == 0x5C:
        at -= 1
    return end - at


def _cut_off() -> Unreadable:
    return Unreadable(_("The JSON ends in the middle: a bracket or a quote is open. Download or write the file again."))


class _AsUtf8:
    """A text of another encoding, as bytes of UTF-8. A byte that the encoding does not allow stays what it is."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._text = text_of(stream, encoding)

    def read(self, size: int) -> bytes:
        return self._text.read(size).encode("utf-8", "surrogateescape")


def _scanner(stream: BinaryIO, encoding: str) -> _Scanner:
    return _Scanner(stream if encoding == "utf-8" else _AsUtf8(stream, encoding))


def rows(part: Part, encoding: str, preferred: frozenset[str]) -> Iterator[Row | Problem]:
    """`preferred` names lists to take where an object holds several."""
    with unpacked(part, encoding) as stream:
        scanner = _scanner(stream, encoding)
        first = scanner.next_mark()
        if first == codecs.BOM_UTF8[:1]:
            scanner.skip_to(len(codecs.BOM_UTF8))
            first = scanner.next_mark()
        if first == b"[":
            yield from _rows(scanner, encoding, {}, 0)
            _check_end(scanner)
            return
        if first != b"{":
            raise Unreadable(_("It is no JSON: neither a list nor an object. Choose the format that it has."))
        beside, size, place = _look_through(scanner, encoding, preferred)
        _check_end(scanner)
    if place is None:
        yield object_of(1, orjson.dumps(beside), encoding, decoded=True)
        return
    with unpacked(part, encoding) as stream:
        scanner = _scanner(stream, encoding)
        scanner.skip_to(place)
        yield from _rows(scanner, encoding, beside, size)


def _rows(scanner: _Scanner, encoding: str, beside: dict[str, Any], size: int) -> Iterator[Row | Problem]:
    for number, item in enumerate(scanner.items(), 1):
        if not item.whole or size + len(item.text) > MAX_ROW_BYTES:
            yield too_large(number)
            continue
        row = object_of(number, item.text, encoding, decoded=True)
        if beside and isinstance(row, Row):
            row = Row(number, beside | row.values, size + row.size)
        yield row


def _look_through(
    scanner: _Scanner, encoding: str, preferred: frozenset[str]
) -> tuple[dict[str, Any], int, int | None]:
    """What the object holds beside the list of rows, how many bytes that is, and where the list begins if it has one."""
    lists: dict[str, tuple[int, Item]] = {}
    beside: dict[str, Any] = {}
    size = 0
    for name, place, item in _members(scanner):
        if place is None:
            size += len(item.text)
            beside |= _member(name, item, encoding, size)
        elif name in preferred or sum(len(other.text) for _at, other in lists.values()) > MAX_ROW_BYTES:
            lists[name] = (place, Item(item.start, b"", False))
        else:
            lists[name] = (place, item)
    names = [name for name in lists if name in preferred] or list(lists)
    if len(names) > 1:
        message = _("It holds several lists of objects: %(names)s. Write the one that holds the rows to a file.")
        raise Unreadable(message % {"names": ", ".join(name[:100] for name in names[:20])})
    for name in lists.keys() - set(names):
        item = lists[name][1]
        size += len(item.text)
        beside |= _member(name, item, encoding, size)
    return beside, size, lists[names[0]][0] if names else None


def _member(name: str, item: Item, encoding: str, size: int) -> dict[str, Any]:
    if not item.whole or size > MAX_ROW_BYTES:
        message = _("With “%(name)s”, over %(most)d MB would belong to each row. Write the rows to a file without it.")
        raise Unreadable(message % {"name": name[:100], "most": MAX_ROW_BYTES // 1024**2})
    row = object_of(1, b"{" + item.text + b"}", encoding, decoded=True)
    if isinstance(row, Problem):
        raise Unreadable(f"“{name[:100]}”: {row.message}")
    return row.values


def _members(scanner: _Scanner) -> Iterator[tuple[str, int | None, Item]]:
    """The members of an object: name, where the list of objects in it begins if it is one, and its bytes."""
    for item in scanner.items():
        found = MEMBER.match(item.text)
        if not found:
            message = _("It is not JSON: “%(text)s” is no member of an object. Is it JSONL, perhaps?")
            raise Unreadable(message % {"text": item.text.strip()[:40].decode("utf-8", "replace")})
        name = found[1].decode("utf-8", "replace")[1:-1]
        yield name, (item.start + found.start(2) + 1 if found[2] else None), item


def _check_end(scanner: _Scanner) -> None:
    if scanner.next_mark():
        message = _("Something stands behind the end of the JSON. Is it one object a line? Then choose JSONL.")
        raise Unreadable(message)
