"""What is between the fields of a CSV or TSV file, what is around them, and whether its first line names them.

It is found in the first 64 KB, and each answer has its reason, for a person to see before the import and to change.
"""

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from curation.reading.delimited import DELIMITERS, QUOTES, USUAL, dialect

SAMPLE_BYTES = 64 * 1024
NUMBER = re.compile(r"[+-]?(\d+([.,]\d+)*|\.\d+)([eE][+-]?\d+)?%?")
NAME = re.compile(r"[^\W\d][\w .\-/()]{0,39}")
WORDS_OF_NAME = 3
LIKELY = 0.9  # of the rows have as many fields as most


@dataclass(frozen=True)
class Answer:
    value: str
    reason: str


def found_in(text: str, whole: bool, file_format: str, given: dict[str, str]) -> dict[str, Answer]:
    """What the beginning of a file says of `delimiter`, `quote` and `header`, as far as it is not given.

    `whole`: the text is all there is; otherwise its last line may be cut, and is not looked at.
    """
    text = text.removeprefix("\ufeff")
    said = {name: Answer(value, _("as you chose")) for name, value in given.items() if value}
    sample = _Sample(text, whole)
    delimiter = said.get("delimiter") or _delimiter(sample, file_format, given.get("quote", ""))
    quote = said.get("quote") or _quote(sample, file_format, delimiter.value)
    header = said.get("header") or _header(sample.rows(delimiter.value, quote.value))
    return {"delimiter": delimiter, "quote": quote, "header": header}


class _Sample:
    def __init__(self, text: str, whole: bool) -> None:
        self._text, self._whole = text, whole

    def rows(self, delimiter: str, quote: str) -> list[list[str]]:
        """The rows as they would be read, but for the last one if it may be cut, and for those that cannot be read."""
        return self.read(delimiter, quote)[0]

    def read(self, delimiter: str, quote: str) -> tuple[list[list[str]], int]:
        """The rows, and how many cannot be read."""
        settings: dict[str, Any] = dialect(delimiter, quote)
        rows: list[list[str]] = []
        failed = 0
        lines = csv.reader(io.StringIO(self._text, newline=""), **settings)
        while True:
            try:
                fields = next(lines, None)
            except csv.Error as error:
                failed += "end of data" not in str(error) or self._whole
                continue
            if fields is None:
                break
            if fields:
                rows.append(fields)
        return (rows if self._whole else rows[:-1]), failed

    def fields_that_begin_with(self, mark: str, delimiter: str) -> list[str]:
        """The fields, cut at the delimiter alone, that begin with a mark."""
        lines = self._text.splitlines()[: None if self._whole else -1]
        return [field for line in lines for field in line.split(DELIMITERS[delimiter]) if field[:1] == mark]


# --- Between fields ---------------------------------------------------------------------------------------------------


def _delimiter(sample: _Sample, file_format: str, quote: str) -> Answer:
    usual = USUAL[file_format][0]
    fits = {name: _fit(sample, name, quote or ("none" if name == "tab" else "double")) for name in DELIMITERS}
    words = {"comma": _("a comma"), "tab": _("a tab"), "semicolon": _("a semicolon"), "pipe": _("a bar")}
    share, fields = fits[usual]
    if fields < 2 or share < LIKELY:
        best = max(fits, key=lambda name: (fits[name][1] > 1, fits[name][0], name == usual))
        if fits[best][1] > 1 and (fields < 2 or fits[best][0] > share):
            usual, (share, fields) = best, fits[best]
    if fields < 2:
        message = _("no line is divided by a comma, a tab, a semicolon or a bar: one column")
        return Answer(usual, message)
    message = _("%(mark)s makes %(fields)d fields of %(share)d %% of the rows")
    return Answer(usual, message % {"mark": words[usual], "fields": fields, "share": int(share * 100)})


def _fit(sample: _Sample, delimiter: str, quote: str) -> tuple[float, int]:
    """The share of rows that have as many fields as most of them, and how many these are."""
    rows, failed = sample.read(delimiter, quote)
    if not rows:
        return 0.0, 0
    fields, count = Counter(len(row) for row in rows).most_common(1)[0]
    if len(rows[0]) > 1 and fields == 1:  # the first line is divided, so the others may be in need of repair
        fields, count = len(rows[0]), 1
    return count / (len(rows) + failed), fields


# --- Around fields ----------------------------------------------------------------------------------------------------


def _quote(sample: _Sample, file_format: str, delimiter: str) -> Answer:
    double = sample.fields_that_begin_with('"', delimiter)
    if not double:
        single = sample.fields_that_begin_with("'", delimiter)
        if single and _all_quoted(sample, delimiter, "single"):
            return Answer("single", _("whole columns stand between single quotes"))
        usual = "none" if delimiter == "tab" else "double"
        return Answer(usual, _("no field begins with a quote; this is usual for the format"))
    if delimiter != "tab":
        return Answer("double", _("fields begin with a double quote"))
    rows, failed = sample.read(delimiter, "double")
    plain = _fit(sample, delimiter, "none")
    if failed or len({len(row) for row in rows}) > 1:
        return Answer("none", _("read as quotes they leave rows that cannot be read, so they are text"))
    needed = any("\t" in field or "\n" in field or '"' in field for row in rows for field in row)
    if needed and (plain[0] < 1 or any('""' in field for field in double)):
        return Answer("double", _("fields between quotes hold tabs, line ends or doubled quotes"))
    if _all_quoted(sample, delimiter, "double"):
        return Answer("double", _("whole columns stand between double quotes"))
    return Answer("none", _("nothing needs quotes here; in TSV a quote is a character"))


def _all_quoted(sample: _Sample, delimiter: str, quote: str) -> bool:
    """Whether in some column every field that is no number stands between quotes, and all rows can be read so."""
    rows, failed = sample.read(delimiter, quote)
    raw = sample.read(delimiter, "none")[0]
    mark = QUOTES[quote]
    if failed or len(rows) < 2 or len({len(row) for row in rows}) > 1 or len({len(row) for row in raw}) > 1:
        return False
    columns = [
        [field for field in column if field and not NUMBER.fullmatch(field)] for column in zip(*raw, strict=True)
    ]
    return any(
        len(column) > 1 and all(len(field) > 1 and field[0] == mark == field[-1] for field in column)
        for column in columns
    )


# --- The first line ---------------------------------------------------------------------------------------------------


def _header(rows: list[list[str]]) -> Answer:
    if not rows:
        return Answer("yes", _("it is taken for one, as is usual"))
    first, *others = rows
    if number := next((field for field in first if NUMBER.fullmatch(field.strip())), None):
        return Answer("no", _("“%(field)s” in the first line is a number, and no name") % {"field": number[:40]})
    others = [row for row in others if len(row) == len(first)]
    for place, name in enumerate(first):
        below = [row[place].strip() for row in others if row[place].strip()]
        if name.strip() and below and all(NUMBER.fullmatch(field) for field in below):
            return Answer("yes", _("below “%(name)s” there are numbers only") % {"name": name[:40]})
    if odd := next((field for field in first if not _is_name(field)), None):
        if not odd.strip():
            return Answer("no", _("a field of the first line is empty"))
        return Answer("no", _("“%(field)s” in the first line reads like a text, not like a name") % {"field": odd[:40]})
    again = [name for place, name in enumerate(first) if any(row[place] == name for row in others)]
    if again and len(first) > 1:
        return Answer("no", _("“%(field)s” of the first line stands in other lines too") % {"field": again[0][:40]})
    return Answer("yes", _("the fields of the first line read like names"))


def _is_name(field: str) -> bool:
    return bool(NAME.fullmatch(field.strip())) and len(field.split()) <= WORDS_OF_NAME
