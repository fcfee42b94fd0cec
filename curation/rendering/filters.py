"""The filters of templates: those of Jinja that make texts and lists, those of promptsource, and those for running text.

Left out are Jinja's filters for web pages (`escape`, `safe`, `urlize`, `xmlattr`, …) and `attr` and `pprint`, which
show Python's insides. Those that can make something huge out of a small number are bounded here. Those that draw by
lot take the row's own source of chance, and take the context too: without it Jinja would draw once, when it compiles.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any

from jinja2.defaults import DEFAULT_FILTERS
from jinja2.runtime import Context, Undefined
from jinja2.utils import pass_context

from curation.rendering.passages import mask_sentence, paragraphs, sentences
from curation.rendering.sandbox import check_percent, check_width

AS_IN_JINJA = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "int", "items", "join",
    "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "select",
    "selectattr", "sort", "string", "sum", "title", "trim", "truncate", "unique", "upper", "wordcount", "wordwrap",
)  # fmt: skip
BOUNDED = ("batch", "center", "indent", "slice")
MAX_PRECISION = 300  # a float has no more places before the point, and fewer behind it


def bounded(name: str) -> Callable[..., Any]:
    """Jinja's filter, with a limit on every number it is given beside the value."""
    original: Callable[..., Any] = DEFAULT_FILTERS[name]
    before = 2 if hasattr(original, "jinja_pass_arg") else 1  # the value, and what Jinja passes before it

    @wraps(original)
    def checked(*args: Any, **kwargs: Any) -> Any:
        for number in (*args[before:], *kwargs.values()):
            check_width(name, number)
        return original(*args, **kwargs)

    return checked


def round_to(value: Any, precision: Any = 0, method: str = "common") -> Any:
    if isinstance(precision, int):
        precision = max(-MAX_PRECISION, min(precision, MAX_PRECISION))
    return DEFAULT_FILTERS["round"](value, precision, method)


def percent_format(value: Any, *args: Any, **kwargs: Any) -> str:
    """`'%s, %s' | format(a, b)`; Jinja's own applies `%` out of sight of the sandbox."""
    if args and kwargs:
        raise TypeError("format takes values by position or by name, not both")
    text, values = str(value), kwargs or args
    check_percent(text, values)
    return text % values


def to_json(value: Any, indent: int | None = None) -> str:
    """Plain JSON, as a prompt wants it. Jinja's own writes `<` as `\\u003c` for web pages."""
    check_width("tojson", indent)
    return json.dumps(value, indent=indent, ensure_ascii=False)


@pass_context
def choice(context: Context, values: Sequence[Any]) -> Any:
    """One of the values, by lot: the same one for the same seed, template and row."""
    return context.environment.rng.choice(values)  # type: ignore[attr-defined]


@pass_context
def random_item(context: Context, values: Sequence[Any]) -> Any:
    """Jinja's `random`: as `choice`, but an empty list gives an undefined value."""
    if not len(values):
        return context.environment.undefined("No random item, the list is empty.")
    return choice(context, values)


def most_frequent(values: Iterable[Any] | None) -> list[Any] | None:
    """All values that occur most often, in the order they first occur. None if there are none."""
    if values is None or isinstance(values, Undefined):
        return None
    counts = Counter(values)
    highest = max(counts.values(), default=0)
    return [value for value, count in counts.items() if count == highest] or None


def highlight(value: Any) -> Any:
    """In promptsource a colour for its web page. Instances are texts, so the value stays as it is."""
    return value


FILTERS: Mapping[str, Callable[..., Any]] = {
    **{name: DEFAULT_FILTERS[name] for name in AS_IN_JINJA},
    **{name: bounded(name) for name in BOUNDED},
    "round": round_to,
    "format": percent_format,
    "tojson": to_json,
    "choice": choice,
    "random": random_item,
    "most_frequent": most_frequent,
    "highlight": highlight,
    "sentences": sentences,
    "paragraphs": paragraphs,
    "mask_sentence": mask_sentence,
}
BY_LOT = ("choice", "random", "mask_sentence")
