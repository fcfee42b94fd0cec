"""Jinja's sandbox with limits on what one operation may make.

The sandbox of Jinja keeps templates away from Python's insides. It does not stop `'x' * 10**10`, `'%999999999d' % 1`,
`'{:999999999}'.format(1)` or `'x'.center(10**9)`: one operation each, so no clock of Python's can interrupt them. Here
they are refused before they begin. What is not foreseen here ends at the child's limits of memory and time.
"""

import hashlib
import json
import random
import re
import string
from collections.abc import Callable, Mapping
from types import BuiltinMethodType
from typing import Any

from jinja2 import nodes
from jinja2.defaults import DEFAULT_TESTS
from jinja2.environment import Template
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import SandboxedEnvironment, SandboxedFormatter
from jinja2.utils import Cycler, Joiner, Namespace

MAX_LENGTH = 2_000_000  # of a text or list that an operator makes
MAX_RANGE = 100_000
MAX_WIDTH = 10_000  # of what is padded
MAX_BITS = 4_096  # of a whole number

PADDING = {"center", "ljust", "rjust", "zfill", "expandtabs", "to_bytes"}
LOADING = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
PERCENT = re.compile(r"%(?:\([^)]*\))?[-+ #0]*(\*|\d+)?(?:\.(\*|\d+))?")
DIGITS = re.compile(r"\d+")
SEQUENCES = (str, bytes, list, tuple)


class Refusal(Exception):
    """The template did what it may not: a code of errors.MESSAGES and its words."""

    def __init__(self, code: str, /, line: int | None = None, **values: str | int | float):
        super().__init__(code)
        self.code, self.line, self.values = code, line, values


def check_width(operation: str, width: Any) -> None:
    if isinstance(width, (int, float)) and abs(width) > MAX_WIDTH:
        raise Refusal("too_wide", operation=operation, limit=MAX_WIDTH)


def check_digits(operation: str, digits: str) -> None:
    check_width(operation, int(digits[:9]))  # int() itself refuses thousands of digits


def check_product(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        if left.bit_length() + right.bit_length() > MAX_BITS:
            raise Refusal("too_big_number", operation="*", limit=MAX_BITS)
        return
    for sequence, times in ((left, right), (right, left)):
        if isinstance(sequence, SEQUENCES) and isinstance(times, int) and len(sequence) * times > MAX_LENGTH:
            raise Refusal("too_large", operation="*", limit=MAX_LENGTH)


def check_power(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int) and abs(left) > 1 and left.bit_length() * right > MAX_BITS:
        raise Refusal("too_big_number", operation="**", limit=MAX_BITS)


def check_sum(left: Any, right: Any) -> None:
    if isinstance(left, SEQUENCES) and isinstance(right, SEQUENCES) and len(left) + len(right) > MAX_LENGTH:
        raise Refusal("too_large", operation="+", limit=MAX_LENGTH)


def check_percent(left: Any, right: Any) -> None:
    """Widths and precisions of printf-like formatting. `*` takes them from the values."""
    if isinstance(left, bytes):
        left = left.decode("latin-1")
    if not isinstance(left, str):
        return
    for width in (width for match in PERCENT.finditer(left) for width in match.groups() if width):
        if width != "*":
            check_digits("%", width)
        else:
            for value in right if isinstance(right, tuple) else (right,):
                check_width("%", value)


CHECKS: dict[str, Callable[[Any, Any], None]] = {
    "+": check_sum,
    "*": check_product,
    "**": check_power,
    "%": check_percent,
}


def bounded_range(*arguments: int) -> range:
    numbers = range(*arguments)
    try:
        length = len(numbers)
    except OverflowError:
        length = MAX_RANGE + 1
    if length > MAX_RANGE:
        raise Refusal("too_large", operation="range", limit=MAX_RANGE)
    return numbers


class Formatter(SandboxedFormatter):
    def format_field(self, value: Any, format_spec: str) -> Any:
        for digits in DIGITS.findall(format_spec):
            check_digits("format", digits)
        return super().format_field(value, format_spec)


class Sandbox(SandboxedEnvironment):
    """Where templates run."""

    intercepted_binops = frozenset(CHECKS)

    def __init__(self, filters: Mapping[str, Callable[..., Any]]) -> None:
        super().__init__(autoescape=False, cache_size=0)
        self.filters = dict(filters)
        self.tests = dict(DEFAULT_TESTS)
        self.globals = {
            "range": bounded_range,
            "zip": zip,
            "dict": dict,
            "cycler": Cycler,
            "joiner": Joiner,
            "namespace": Namespace,
        }
        self.draw_by()

    def draw_by(self, *seed: str | int) -> None:
        """What is drawn by lot from here on follows from `seed` alone."""
        self._seed = seed
        self._rng: random.Random | None = None

    @property
    def rng(self) -> random.Random:
        """Made when it is first drawn from: most templates never do."""
        if self._rng is None:
            digest = hashlib.sha256(json.dumps(self._seed).encode()).digest()
            self._rng = random.Random(int.from_bytes(digest, "big"))
        return self._rng

    def read(self, text: str) -> nodes.Template:
        """Parse, and refuse what can be seen without running it, wherever in the template it is."""
        tree = self.parse(text)
        for node in tree.find_all((nodes.Filter, nodes.Test, *LOADING)):
            if isinstance(node, nodes.Filter):
                self.check_known("filter", node.name, node.lineno)
            elif isinstance(node, nodes.Test):
                self.check_known("test", node.name, node.lineno)
            else:
                name = {"FromImport": "import"}.get(type(node).__name__, type(node).__name__.lower())
                raise Refusal("forbidden", node.lineno, name=f"{{% {name} %}}")
        return tree

    def program(self, tree: nodes.Template) -> Template:
        # A plain dict: Jinja's own chain of them is walked for every row.
        return Template.from_code(self, self.compile(tree), dict(self.globals))

    def check_known(self, kind: str, name: Any, line: int | None = None) -> None:
        known = self.filters if kind == "filter" else self.tests
        if name not in known:
            available = ", ".join(sorted(each for each in known if each.isidentifier()))
            raise Refusal(f"unknown_{kind}", line, name=str(name)[:100], available=available)

    # Jinja asks for these by name at run time: `map('no_such_filter')` is only then seen to be wrong.

    def call_filter(self, name: str, *args: Any, **kwargs: Any) -> Any:
        self.check_known("filter", name)
        return super().call_filter(name, *args, **kwargs)

    def call_test(self, name: str, *args: Any, **kwargs: Any) -> Any:
        self.check_known("test", name)
        return super().call_test(name, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        CHECKS[operator](left, right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        if type(obj) is BuiltinMethodType and obj.__name__ in PADDING:
            for value in (*args, *kwargs.values()):
                check_width(obj.__name__, value)
        return super().call(context, obj, *args, **kwargs)

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        """Jinja would give something that prints as nothing; its author shall know what is wrong."""
        raise Refusal("forbidden", name=str(attribute)[:100])

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """`.format` and `.format_map` look up attributes and pad on their own, out of sight of the sandbox."""
        if type(value) is not BuiltinMethodType or value.__name__ not in ("format", "format_map"):
            return None
        text = value.__self__
        if not isinstance(text, str):
            return None
        formatter: string.Formatter = Formatter(self)
        if value.__name__ == "format":
            return lambda *args, **kwargs: formatter.vformat(text, args, kwargs)
        return lambda mapping: formatter.vformat(text, (), mapping)
