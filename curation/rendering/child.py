"""The process that runs hostile templates. It can do little: 256 MB in all, a second a row, no files, no children.

A template is stopped four times over. Where Python code runs, the alarm raises `TooSlow` and the child says in which
line. Where one operation of C runs on, the kernel ends the child by its processor time (SIGPROF), and if that timer
should be gone, by RLIMIT_CPU. The parent ends it when it stays silent.

The first frame holds the limits. Then come templates to check, or one to load and after it lists of rows. Each row has
an answer of its own; a frame holds a few of them. The number of the row at work stands in memory that the parent sees
too, so that it knows which one it was if the child ends.
After an error the child ends, but not after one that was seen without running anything.
"""

import codecs
import math
import mmap
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module
from types import FrameType
from typing import Any

import orjson
from jinja2.exceptions import TemplateSyntaxError, UndefinedError

from curation.rendering.errors import HARMLESS
from curation.rendering.program import GUARD, SEPARATOR, Program
from curation.rendering.sandbox import Refusal
from curation.rendering.source import DEFAULT, Limits, TemplateSource
from curation.rendering.wire import EXIT_NO_MEMORY, EXIT_TOO_SLOW, FLUSH_SECONDS, LENGTH, ROW, SLACK_SECONDS, frame

FLUSH_BYTES = 64 * 1024
MAX_WORDS = 500  # characters of a Python error that are passed on


NUL = re.compile(
    rb"(?<!\\)(?:\\\\)*\\u0000"
)  # as JSON writes it; a backslash before it would make it a text of its own


class TooSlow(BaseException):
    """Not an Exception, so that nothing on the way takes it for one of the template's own errors."""


class Clock:
    """Gives what runs inside a time, by the clock on the wall and by the processor's."""

    def __init__(self, grace: float):
        self.grace = grace
        self.running = False
        self.processor_limit = 0
        self.set_at, self.seconds = 0.0, 0.0
        signal.signal(signal.SIGALRM, self.ring)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)  # which ends the process: nothing in C can hold it up
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)

    def ring(self, _signal: int, _frame: FrameType | None) -> None:
        if self.running:
            raise TooSlow

    def start(self, seconds: float) -> None:
        """Also from a time that runs already: it begins anew, and may be longer by SLACK_SECONDS."""
        now = time.monotonic()
        if seconds != self.seconds or now - self.set_at > SLACK_SECONDS:
            self.set_at, self.seconds = now, seconds
            self.set_timers(seconds + SLACK_SECONDS)
        self.running = True  # last: what rings before this is an old alarm

    def set_timers(self, seconds: float) -> None:
        processor_limit = math.ceil(time.process_time() + seconds) + 1
        if processor_limit != self.processor_limit:
            limit(resource.RLIMIT_CPU, processor_limit, soft_only=True)
            self.processor_limit = processor_limit
        signal.setitimer(signal.ITIMER_PROF, seconds + self.grace)
        # Rings again if the first one got lost: Python ignores what is raised while an object is being destroyed.
        signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)

    def pause(self) -> None:
        """Nothing is interrupted until the next start, which is to come soon: the timers run on."""
        self.running = False

    def stop(self) -> None:
        self.running = False
        self.seconds = 0.0
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)


def limit(which: int, value: int, *, soft_only: bool = False) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, hard if soft_only else value))


def warm_up() -> None:
    """Import what Jinja and Python import when they first need it: later no file can be opened."""
    import_module("jinja2.debug")
    import_module("textwrap")
    import_module("unicodedata")
    for codec in ("ascii", "latin-1", "unicode-escape", "utf-8", "utf-16", "utf-32"):
        codecs.lookup(codec)
    program = Program(TemplateSource("{{ 'a' }} ||| b", "a"), seed="", limits=DEFAULT)
    program.compile()
    program.row(0, {})


def give_up_rights(limits: Limits) -> None:
    with open("/proc/self/statm") as file:
        in_use = int(file.read().split()[0]) * resource.getpagesize()
    limit(resource.RLIMIT_AS, in_use + limits.memory_bytes)
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_FSIZE, 0)
    limit(resource.RLIMIT_NPROC, 0)
    limit(resource.RLIMIT_NOFILE, 0)  # what is open stays open; nothing else can be opened


class Child:
    def __init__(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        warm_up()
        self.at = mmap.mmap(int(sys.argv[2]), ROW.size)
        os.close(int(sys.argv[2]))
        self.waiting: list[bytes] = []
        self.waiting_bytes = 0
        self.flushed = 0.0
        self.send(b'"ready"')
        self.flush()
        self.limits = Limits(**self.receive())
        self.clock = Clock(self.limits.grace_seconds)
        self.program: Program | None = None
        self.spent = 0.0  # processor time of all rows, without what reading them took
        self.measured = 0.0
        self.rows = 0
        self.ballast: bytearray | None = bytearray(2**20)  # let go to have room for saying that memory is out
        give_up_rights(self.limits)

    # --- Frames ---

    def read(self, length: int) -> bytes:
        pieces = bytearray()
        while len(pieces) < length:
            if not (piece := os.read(0, length - len(pieces))):
                os._exit(0)  # the parent has no more to say, or is gone
            pieces += piece
        return bytes(pieces)

    def receive(self) -> Any:
        return orjson.loads(self.read(LENGTH.unpack(self.read(LENGTH.size))[0]))

    def send(self, payload: bytes) -> None:
        """Answers wait for each other, but not for long: a write for every row would cost more than the row."""
        self.waiting.append(payload)
        self.waiting_bytes += len(payload)
        if self.waiting_bytes > FLUSH_BYTES or time.monotonic() - self.flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        if not self.waiting:
            return
        rest = memoryview(frame(b"[" + b",".join(self.waiting) + b"]"))
        self.waiting, self.waiting_bytes = [], 0
        while rest:
            rest = rest[os.write(1, rest) :]
        self.flushed = time.monotonic()

    # --- Work ---

    def serve(self) -> None:
        while True:
            request = self.receive()
            if isinstance(request, list):
                self.measured = time.process_time()
                for number, columns in request:
                    self.at[:] = ROW.pack(number)
                    self.answer(self.limits.row_seconds, number, self.render, number, columns)
                self.clock.stop()
                self.flush()
            else:
                work = self.check if request["do"] == "check" else self.load
                self.answer(self.limits.compile_seconds, None, work, *request["source"])
                self.clock.stop()
                self.flush()

    def answer(self, seconds: float, row: int | None, work: Callable[..., Any], *args: Any) -> None:
        """Do one piece of work in its time and send what came of it."""
        try:
            self.clock.start(seconds)
            result = work(*args)
            self.clock.pause()
            payload = self.json(result)
        except BaseException as error:
            self.clock.stop()
            if isinstance(error, MemoryError):
                self.ballast = None
            code, words = self.problem(error, seconds)
            field, line = self.place(error)
            error.__traceback__ = None  # lets go of what the template had made
            problem = {"code": code, "values": words, "line": line, "row": row, "field": field}
            self.send(orjson.dumps({"problem": problem}))
            self.flush()
            if row is None and code in HARMLESS:
                return
            os._exit(1)
        self.send(payload)

    def json(self, result: Any) -> bytes:
        try:
            payload = orjson.dumps(result)
        except TypeError as error:  # all it can hold is texts, numbers and lists
            raise Refusal("not_text") from error
        if b"\\u0000" in payload and NUL.search(payload):
            raise Refusal("not_text")
        return payload

    def load(self, jinja: str, answer_choices: str, seed: str) -> Any:
        self.program = Program(TemplateSource(jinja, answer_choices), seed=seed, limits=self.limits)
        self.program.compile()
        return "loaded"

    def check(self, jinja: str, answer_choices: str) -> Any:
        self.load(jinja, answer_choices, "")
        assert self.program is not None
        return {"columns": sorted(self.program.columns()), "fixed_choices": self.program.fixed_choices()}

    def render(self, number: int, columns: dict[str, Any]) -> Any:
        assert self.program is not None
        answer = self.program.row(number, columns)
        self.rows += 1
        now = time.process_time()
        self.spent += now - self.measured
        self.measured = now
        if self.spent > self.limits.free_seconds + self.rows * self.limits.mean_seconds:
            raise Refusal("too_slow_overall", seconds=self.limits.mean_seconds)
        return answer

    # --- What went wrong ---

    def problem(self, error: BaseException, seconds: float) -> tuple[str, dict[str, Any]]:
        """A code of errors.MESSAGES and the words in it."""
        match error:
            case Refusal():
                return error.code, {name: printable(value) for name, value in error.values.items()}
            case TemplateSyntaxError():
                return "syntax", {"error": printable(error.message)}
            case TooSlow():
                return "too_slow", {"seconds": seconds}
            case MemoryError():
                return "too_much_memory", {"megabytes": self.limits.memory_bytes // 2**20}
            case RecursionError() | SyntaxError():  # Python's own limits on nesting
                return "recursion", {}
            case UndefinedError():
                return "undefined", {"error": printable(error)}
        return "failed", {"error": printable(f"{type(error).__name__}: {error}")}

    def place(self, error: BaseException) -> tuple[str, int | None]:
        """The part of the template and the line in it."""
        line = None
        if isinstance(error, (Refusal, TemplateSyntaxError)):
            line = error.line if isinstance(error, Refusal) else error.lineno
        traceback = error.__traceback__
        while traceback is not None:
            template = traceback.tb_frame.f_globals.get("__jinja_template__")
            if template is not None and traceback.tb_lineno is not None:  # Python does not always know
                line = template.get_corresponding_lineno(traceback.tb_lineno)
            traceback = traceback.tb_next
        return (self.program.field if self.program else "jinja"), line


def printable(value: Any) -> Any:
    """A number as it is, anything else as a short text that JSON can hold."""
    if isinstance(value, (int, float)):
        return value
    text = str(value)[:MAX_WORDS].replace(GUARD, SEPARATOR)
    return text.encode("utf-8", "backslashreplace").decode()


def main() -> None:
    try:
        Child().serve()
    except TooSlow:  # the alarm rang while the last one was being reported
        os._exit(EXIT_TOO_SLOW)
    except MemoryError:  # none left even to say so
        os._exit(EXIT_NO_MEMORY)
