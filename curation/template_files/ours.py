"""Our own files of templates: a JSON list of objects with the fields of a template."""

from typing import Any

import orjson

from curation.template_files.written import FIELDS, BadFile, Written


def rows(content: bytes) -> Any:
    """What a JSON file holds. Raises BadFile."""
    try:
        return orjson.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise BadFile("not_json", error=str(error)) from None


def templates(rows: Any) -> list[Written]:
    """The templates of a list, in its order. Raises BadFile."""
    if not isinstance(rows, list):
        raise BadFile("not_a_list")
    return [_template(number, given) for number, given in enumerate(rows, 1)]


def _template(number: int, given: Any) -> Written:
    if not isinstance(given, dict) or "name" not in given or "jinja" not in given:
        raise BadFile("not_a_template", number=number, fields=", ".join(FIELDS))
    if unknown := next((key for key in given if key not in FIELDS), None):
        raise BadFile("unknown_field", number=number, field=unknown, fields=", ".join(FIELDS))
    for name in ("name", "jinja", "answer_choices"):
        if not isinstance(given.get(name) or "", str):
            raise BadFile("not_text", number=number, field=name)
    return Written({name: value for name, value in given.items() if value is not None})
