"""The rows of CSV and TSV files."""

import csv
from collections.abc import Iterator
from typing import Any, BinaryIO, TextIO

from django.utils.translation import gettext as _

from curation.reading.files import MAX_ROW_BYTES, Reading, Unreadable, text_of, undecodable
from curation.reading.rows import Problem, Row, check_columns, too_large, wrong_byte

DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";", "pipe": "|"}
QUOTES = {"double": '"', "single": "'", "none": ""}
USUAL = {"csv": ("comma", "double"), "tsv": ("tab", "none")}  # as registered with IANA: in TSV a quote is a character
TOO_LARGE = "a row is too large"
LINE_ENDS = ("\n", "\r")


class _Lines:
    """The lines of a text. Of one row, quoted line ends and all, it hands out MAX_ROW_BYTES; then it is an error."""

    def __init__(self, text: TextIO) -> None:
        self.text, self.given, self.first = text, 0, True

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self.text.readline(MAX_ROW_BYTES + 2)
        if self.first:
            self.first, line = False, line.removeprefix("\ufeff")  # a byte order mark is no part of a name
        self.given += len(line)
        cut = len(line) == MAX_ROW_BYTES + 2 and not line.endswith(LINE_ENDS)
        if cut or self.given > MAX_ROW_BYTES + 2:
            while line and not line.endswith(LINE_ENDS):
                line = self.text.readline(MAX_ROW_BYTES)
            raise csv.Error(TOO_LARGE)
        if not line:
            raise StopIteration
        return line


def dialect(delimiter: str, quote: str) -> dict[str, Any]:
    """What Python's reader is told."""
    if not QUOTES[quote]:
        return {"delimiter": DELIMITERS[delimiter], "quoting": csv.QUOTE_NONE}
    return {"delimiter": DELIMITERS[delimiter], "quotechar": QUOTES[quote], "strict": True}


def rows(stream: BinaryIO, reading: Reading) -> Iterator[Row | Problem]:
    csv.field_size_limit(MAX_ROW_BYTES + 2)  # of the whole process; `_Lines` stops earlier
    delimiter, quote = USUAL[reading.format]
    delimiter, quote = reading.delimiter or delimiter, reading.quote or quote
    names, header = list(reading.columns), (reading.header or ("no" if reading.columns else "yes")) == "yes"
    check_columns(names)
    number = 0
    with text_of(stream, reading.encoding) as text:
        lines = _Lines(text)
        found = csv.reader(lines, **dialect(delimiter, quote))
        while True:
            lines.given = 0
            try:
                fields = next(found, None)
            except csv.Error as error:
                if header:
                    raise Unreadable(_("The header line cannot be read. %(why)s") % {"why": _remedy(error)}) from None
                number += 1
                yield Problem(number, "", _remedy(error))
                continue
            if fields is None:
                return
            if not fields:
                continue  # a blank line
            if header:
                header, names = False, names or fields
                _check_header(names, delimiter, reading.encoding)
            else:
                names = names or [f"column_{place}" for place in range(1, len(fields) + 1)]
                number += 1
                yield _row(number, names, fields, reading.encoding)


def _check_header(names: list[str], delimiter: str, encoding: str) -> None:
    check_columns(names, encoding)
    others = [mark for name, mark in DELIMITERS.items() if name in ("comma", "tab", "semicolon") and name != delimiter]
    if len(names) == 1 and (separator := next((mark for mark in others if mark in names[0]), None)):
        message = _("Its only column would be “%(name)s”. Choose what is between its fields: %(separator)s, perhaps?")
        words = {"\t": _("a tab"), ",": _("a comma"), ";": _("a semicolon")}
        raise Unreadable(message % {"name": names[0], "separator": words[separator]})


def _remedy(error: csv.Error) -> str:
    why = str(error)
    if why == TOO_LARGE:
        message = _("It is over %(most)d MB. Is a quote opened in it and never closed? Else cut it, or split it.")
        return message % {"most": MAX_ROW_BYTES // 1024**2}
    if "end of data" in why:
        return _("A quote is opened in it and never closed, so the rest of the file is in it. Close it.")
    message = _(
        "Its quotes are not right (%(why)s). A quote inside a field is doubled; or choose that quotes are text."
    )
    return message % {"why": why}


def _row(number: int, names: list[str], fields: list[str], encoding: str) -> Row | Problem:
    text = "".join(fields)
    size = len(text)
    if not text.isascii() and (undecodable(text) or len(text.encode()) > MAX_ROW_BYTES):
        wrong = [(at, byte) for at, field in enumerate(fields) if (byte := undecodable(field))]
        if not wrong:
            return too_large(number)
        at, byte = wrong[0]
        return Problem(number, names[at] if at < len(names) else "", wrong_byte(byte, encoding))
    if len(fields) != len(names):
        return _ragged(number, names, len(fields))
    if size > MAX_ROW_BYTES:
        return too_large(number)
    if "\x00" in text:
        column = next(name for name, field in zip(names, fields, strict=True) if "\x00" in field)
        return Problem(number, column, _("It holds a NUL character. Remove it."))
    return Row(number, dict(zip(names, fields, strict=True)), size)


def _ragged(number: int, names: list[str], found: int) -> Problem:
    known = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
    words = {"found": found, "wanted": len(names), "names": known}
    if found < len(names):
        message = _("It has %(found)d fields, the columns are %(wanted)d: %(names)s. Add what is missing.")
        return Problem(number, names[found], message % words)
    message = _(
        "It has %(found)d fields, the columns are %(wanted)d: %(names)s. A field with a comma in it needs quotes."
    )
    return Problem(number, "", message % words)
