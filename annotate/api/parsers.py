"""Reading request bodies. What gets past here can be stored: the database has no NUL, NaN or infinity."""

from typing import Any

import orjson
from django.conf import settings
from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

DEEPEST = 50


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE


class StrictJSONParser(BaseParser):
    """JSON with finite numbers, texts that are Unicode without NUL, at most `DEEPEST` levels, and of bounded size."""

    media_type = "application/json"

    def parse(self, stream, media_type=None, parser_context=None) -> Any:
        """Raises ParseError (400) for anything else, TooLarge (413) over DATA_UPLOAD_MAX_MEMORY_SIZE."""
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(most + 1)
        if len(raw) > most:
            raise TooLarge(_("A request may have %(most)d bytes here.") % {"most": most})
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise ParseError(_("It is not JSON: %(why)s.") % {"why": str(error)}) from None
        level = [value]
        for _depth in range(DEEPEST):
            level = _inside(level)
        if level:
            raise ParseError(_("It may be nested %(deepest)d levels deep at most.") % {"deepest": DEEPEST})
        return value


def _inside(level: list[Any]) -> list[Any]:
    """What the lists and objects of a level hold."""
    inside: list[Any] = []
    for value in level:
        if isinstance(value, str) and "\x00" in value:
            raise ParseError(_("It holds a NUL character. Remove it."))
        if isinstance(value, dict):
            inside += [*value, *value.values()]
        elif isinstance(value, list):
            inside += value
    return inside


class LinesParser(BaseParser):
    """Hands the body on as a stream."""

    media_type = "application/x-ndjson"

    def parse(self, stream, media_type=None, parser_context=None) -> Any:
        return stream
