"""The rows of text files: a text a line, and, where a second file goes with it, a label a line."""

from collections.abc import Iterator

from django.utils.translation import gettext as _

from curation.reading.files import MAX_ROW_BYTES, Part, Unreadable, lines_of, undecodable, unpacked
from curation.reading.rows import Problem, Row, too_large, wrong_byte

TEXT, LABEL = "text", "label"


def rows(part: Part, encoding: str) -> Iterator[Row | Problem]:
    """Blank lines are passed over in a file alone; beside a second one they are rows, or its lines would shift."""
    if part.labels is None:
        for number, line in enumerate((line for line in _lines(part, encoding) if line.strip()), 1):
            yield _row(number, {TEXT: line}, encoding)
        return
    labels = _lines(part.labels, encoding)
    number = 0
    for number, line in enumerate(_lines(part, encoding), 1):
        label = next(labels, None)
        if label is None:
            _refuse_lengths(part, number, part.labels, number - 1)
        else:
            yield _row(number, {TEXT: line, LABEL: label}, encoding)
    if next(labels, None) is not None:
        _refuse_lengths(part, number, part.labels, number + 1)


def _lines(part: Part, encoding: str) -> Iterator[bytes]:
    with unpacked(part, encoding) as stream:
        for number, line in enumerate(lines_of(stream)):
            yield line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line


def _row(number: int, values: dict[str, bytes], encoding: str) -> Row | Problem:
    size = sum(len(line) for line in values.values())
    if size > MAX_ROW_BYTES:
        return too_large(number)
    texts: dict[str, str] = {}
    for column, line in values.items():
        text = line.decode(encoding, "surrogateescape")
        if byte := undecodable(text):
            return Problem(number, column, wrong_byte(byte, encoding))
        if "\x00" in text:
            return Problem(number, column, _("It holds a NUL character. Remove it."))
        texts[column] = text
    return Row(number, texts, size)


def _refuse_lengths(texts: Part, there: int, labels: Part, here: int) -> None:
    message = _(
        "“%(texts)s” and “%(labels)s” have not the same number of lines: one ends after %(least)d, the other goes on. "
        "Each text needs its label in the same line."
    )
    raise Unreadable(message % {"texts": texts.name, "labels": labels.name, "least": min(there, here)})
