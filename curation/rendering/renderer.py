"""What the rest of Plumbline calls: rows through a template, and a look at a template before there are rows."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import orjson

from curation.rendering.errors import HARMLESS, REASONS, TemplateError
from curation.rendering.process import ChildProcess, Lost
from curation.rendering.source import DEFAULT, Checked, Dropped, Instance, Limits, TemplateSource

JSON_ONLY = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS


class Renderer:
    """A template at work. The same seed, template and row give the same instance, whatever else is rendered.

    After a TemplateError the child is gone and the renderer of no more use.
    """

    def __init__(self, source: TemplateSource, *, seed: str, limits: Limits = DEFAULT):
        self.source, self.seed, self.limits = source, seed, limits
        self._child: ChildProcess | None = None

    def __enter__(self) -> Self:
        request = request_of("load", self.source, self.seed)
        self._child = ChildProcess(self.limits)
        try:
            ask(self._child, request, self.limits.compile_seconds)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def render(self, rows: Iterable[tuple[int, Mapping[str, Any]]]) -> list[Instance | Dropped]:
        """What each row gives, in order. Values must be what JSON knows; TypeError says which row has others."""
        if self._child is None:
            raise RuntimeError("the renderer is not running: it was not entered, or a template error ended it")
        results: list[Instance | Dropped] = []
        try:
            for numbers, payload in batches(rows, self.limits):
                self._send(payload, numbers[0])
                for number in numbers:
                    answer = self._child.answer(self.limits.row_seconds, row=number)
                    results.append(result_of(answer, number))
        except BaseException:
            self._end()
            raise
        return results

    def _send(self, payload: bytes, row: int) -> None:
        assert self._child is not None
        try:
            self._child.send(payload)
        except Lost as lost:
            raise self._child.error(lost.code, self.limits.row_seconds, row) from None

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


def compile_check(source: TemplateSource, limits: Limits = DEFAULT) -> Checked:
    """What a template needs, before there is a row. TemplateError: what is wrong with it."""
    (result,) = check_all([source], limits)
    if isinstance(result, TemplateError):
        raise result
    return result


def check_all(sources: Iterable[TemplateSource], limits: Limits = DEFAULT) -> Iterator[Checked | TemplateError]:
    """`compile_check` of many, with one child as long as they do it no harm."""
    with ExitStack() as stack:
        child: ChildProcess | None = None
        for source in sources:
            result: Checked | TemplateError
            try:
                request = request_of("check", source)
                if child is None:
                    child = ChildProcess(limits)
                    stack.callback(child.end)
                result = checked(ask(child, request, limits.compile_seconds))
            except TemplateError as error:
                result = error
                if error.code not in HARMLESS:
                    stack.close()
                    child = None
            yield result


def request_of(do: str, source: TemplateSource, *more: str) -> bytes:
    try:
        return orjson.dumps({"do": do, "source": [source.jinja, source.answer_choices, *more]})
    except TypeError:
        raise TemplateError("not_text") from None


def ask(child: ChildProcess, request: bytes, seconds: float) -> Any:
    try:
        child.send(request)
    except Lost as lost:
        raise child.error(lost.code, seconds, None) from None
    return child.answer(seconds)


def batches(rows: Iterable[tuple[int, Mapping[str, Any]]], limits: Limits) -> Iterator[tuple[list[int], bytes]]:
    """Numbers and JSON of as many rows as are sent at once."""
    numbers: list[int] = []
    parts: list[bytes] = []
    size = 0
    for number, columns in rows:
        try:
            part = orjson.dumps([number, columns], option=JSON_ONLY)
        except TypeError as error:
            raise TypeError(f"row {number}: {error}") from error
        if len(part) > limits.row_bytes:
            raise TemplateError("row_too_large", {"limit": limits.row_bytes}, row=number)
        if numbers and size + len(part) > limits.batch_bytes:
            yield numbers, b"[" + b",".join(parts) + b"]"
            numbers, parts, size = [], [], 0
        numbers.append(number)
        parts.append(part)
        size += len(part)
    if numbers:
        yield numbers, b"[" + b",".join(parts) + b"]"


def result_of(answer: Any, row: int) -> Instance | Dropped:
    match answer:
        case [number, str(text), str(target), list(choices)] if number == row and all_texts(choices):
            return Instance(row, text, target, tuple(choices))
        case [number, str(reason)] if number == row and reason in REASONS:
            return Dropped(row, reason)
    raise TemplateError("crashed", row=row)


def checked(answer: Any) -> Checked:
    match answer:
        case {"columns": list(columns), "fixed_choices": None} if all_texts(columns):
            return Checked(frozenset(columns), None)
        case {"columns": list(columns), "fixed_choices": list(choices)} if all_texts(columns) and all_texts(choices):
            return Checked(frozenset(columns), tuple(choices))
    raise TemplateError("crashed")


def all_texts(values: list[Any]) -> bool:
    return {type(value) for value in values} <= {str}
