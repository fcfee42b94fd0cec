"""FLAN's patterns as Jinja that gives the same text.

A pattern is a text with `{name}` for the value of a column, and nothing else: no escapes, no expressions. Everything
that Jinja would read otherwise is therefore written as a text of its own. `{options_}` is FLAN's list of options:
those of the column `options`, or of the answer choices where the file gives them.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from curation.template_files.written import FIELDS, BadFile, Written

FIELD = re.compile(r"\{(\w*)\}")
OPTIONS = "OPTIONS:{%% for option in %s %%}\n- {{ option }}{%% endfor %%}"
# Names that Jinja reads as something else than a column.
RESERVED = {
    "true", "false", "none", "True", "False", "None", "and", "or", "not", "in", "is", "if", "else", "self", "super",
}  # fmt: skip


def are_patterns(rows: Any) -> bool:
    """Whether these are patterns: objects with input and target, or names with pairs, as FLAN has them in Python."""
    if isinstance(rows, dict):
        return True
    return isinstance(rows, list) and any(isinstance(row, dict) and "input" in row for row in rows)


def templates(rows: Any, stem: str) -> list[Written]:
    """Templates of a list of patterns, or of {name: [[input, target], …]}. Raises BadFile.

    Where most patterns of one list ask for the same target, those that ask for another are inverted.
    """
    lists = rows.items() if isinstance(rows, dict) else [(stem, rows)]
    patterns = [(name, at, given) for name, listed in lists for at, given in enumerate(_listed(listed), 1)]
    pairs = [_pair(number, given) for number, (_name, _at, given) in enumerate(patterns, 1)]
    usual = {
        name: Counter(pair["target"] for pair, one in zip(pairs, patterns, strict=True) if one[0] == name).most_common(
            1
        )
        for name, *_rest in patterns
    }
    found = []
    for number, ((name, at, _given), pair) in enumerate(zip(patterns, pairs, strict=True), 1):
        fields = {key: pair[key] for key in FIELDS if pair.get(key) is not None}
        choices = str(fields.get("answer_choices", ""))
        sides = [jinja_of(pair[side], number=number, choices=bool(choices.strip())) for side in ("input", "target")]
        fields |= {"jinja": f"{sides[0]} ||| {sides[1]}", "answer_choices": choices}
        fields.setdefault("name", f"{name} {at}")
        fields.setdefault("language", "en")
        fields.setdefault("kind", _kind(pair, usual[name][0]))
        found.append(Written(fields, "flan", {"input": pair["input"], "target": pair["target"]}))
    return found


def _listed(listed: Any) -> list[Any]:
    if not isinstance(listed, list):
        raise BadFile("not_a_list")
    return listed


def _pair(number: int, given: Any) -> dict[str, Any]:
    if isinstance(given, list) and len(given) == 2:
        given = {"input": given[0], "target": given[1]}
    if not isinstance(given, dict):
        raise BadFile("not_a_template", number=number, fields="input, target")
    if unknown := next((key for key in given if key not in ("input", "target", *FIELDS) or key == "jinja"), None):
        known = ", ".join(("input", "target", *(name for name in FIELDS if name != "jinja")))
        raise BadFile("unknown_field", number=number, field=str(unknown), fields=known)
    for side in ("input", "target"):
        if not isinstance(given.get(side), str):
            raise BadFile("not_text" if side in given else "no_field", number=number, field=side)
    return given


def _kind(pair: Mapping[str, str], usual: tuple[str, int]) -> str:
    target, times = usual
    if times > 1 and pair["target"] != target:
        return "inverted"
    return "cot" if "{chain_of_thought}" in pair["target"] else "direct"


def jinja_of(pattern: str, *, number: int = 1, choices: bool = False) -> str:
    """A pattern as Jinja. Raises BadFile for what no template can say."""
    if "|||" in pattern:
        raise BadFile("pattern_separator", number=number)
    pieces = FIELD.split(pattern)  # text, name, text, name, …, text
    return "".join(
        _field(piece, number, choices) if at % 2 else piece.replace("{", "{{ '{' }}") for at, piece in enumerate(pieces)
    )


def _field(name: str, number: int, choices: bool) -> str:
    if name == "options_":
        return OPTIONS % ("answer_choices" if choices else "options")
    if not name.isidentifier() or name in RESERVED:
        raise BadFile("pattern_name", number=number, name=name)
    return f"{{{{ {name} }}}}"
