"""The rows of JSONL files."""

import codecs
import json
from collections.abc import Iterator
from typing import BinaryIO

import orjson
from django.utils.translation import gettext as _

from curation.reading.files import MAX_ROW_BYTES, Unreadable, lines_of, undecodable
from curation.reading.rows import Inexact, Problem, Row, checked, too_large, wrong_byte


def rows(stream: BinaryIO, encoding: str) -> Iterator[Row | Problem]:
    number = 0
    for line in lines_of(stream):
        if number == 0:
            line = line.removeprefix(codecs.BOM_UTF8)
        if not line.strip():
            continue
        number += 1
        if number == 1 and line.lstrip().startswith(b"["):
            raise Unreadable(_("It is one JSON array. Name it .json, or choose JSON as its format."))
        if len(line) > MAX_ROW_BYTES:
            yield too_large(number)
        else:
            yield object_of(number, line, encoding)


def object_of(number: int, line: bytes, encoding: str, decoded: bool = False) -> Row | Problem:
    """The row that a text of JSON is. `decoded`: it is UTF-8 by now, and the encoding is only named."""
    try:
        if encoding != "utf-8" and not decoded:
            line = line.decode(encoding).removeprefix("\ufeff").encode()
        value = orjson.loads(line)
    except UnicodeDecodeError as error:
        return Problem(number, "", wrong_byte(f"0x{line[error.start]:02X}", encoding))
    except orjson.JSONDecodeError as error:
        if byte := undecodable(line.decode("utf-8", "surrogateescape")):
            return Problem(number, "", wrong_byte(byte, encoding))
        message = (
            _("It is not JSON: %(why)s. One whole object is needed, with a comma to the next.")
            if decoded
            else _("It is not JSON: %(why)s. One whole object a line is needed.")
        )
        return Problem(number, "", message % {"why": error})
    if not isinstance(value, dict):
        message = (
            _("It is no object. Each item must be one, such as {“text”: …, “label”: …}.")
            if decoded
            else _("It is no object. Each line must be one, such as {“text”: …, “label”: …}.")
        )
        return Problem(number, "", message)
    try:
        return checked(number, value, len(line))
    except Inexact:  # json reads whole numbers of any size; it is a tenth as fast
        return checked(number, json.loads(line), len(line), exact=True)
