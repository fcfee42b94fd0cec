"""The child process as its parent sees it: frames to it and from it, each with a deadline, and its end.

A plain subprocess, since a Celery worker's processes may not have children of multiprocessing. Whatever the template
does, an answer or a TemplateError comes in time, and no process is left behind.
"""

import mmap
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from curation.rendering.errors import TemplateError
from curation.rendering.source import Limits
from curation.rendering.wire import EXIT_NO_MEMORY, EXIT_TOO_SLOW, FLUSH_SECONDS, ROW, SLACK_SECONDS, frame, take

PROJECT = Path(__file__).resolve().parents[2]
START = "import sys; sys.path.insert(0, sys.argv[1]); from curation.rendering.child import main; main()"
# What -I does, but for the hash seed, which it would ignore: a set must be written in the same order each time.
COMMAND = (sys.executable, "-P", "-s", "-c", START, str(PROJECT))
ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}
BYTES_A_CHARACTER = 6  # of JSON, at most: \u0000
TOO_SLOW = {-signal.SIGPROF, -signal.SIGXCPU, EXIT_TOO_SLOW}


class Lost(Exception):
    """The child has ended, or was ended, without an answer. The code says why."""

    def __init__(self, code: str):
        super().__init__(code)
        self.code = code


class ChildProcess:
    """The process and its two pipes. Every wait has an end."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.most = 2 * BYTES_A_CHARACTER * limits.output_characters + 2**17  # an answer, and those that waited
        self.buffer = bytearray()
        self.answers: deque[Any] = deque()  # that have come, and were not asked for yet
        shared = os.memfd_create("row")
        os.ftruncate(shared, ROW.size)
        self.at = mmap.mmap(shared, ROW.size)
        self.process = subprocess.Popen(
            (*COMMAND, str(shared)),
            pass_fds=(shared,),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            cwd="/",
            bufsize=0,
            start_new_session=True,
        )
        os.close(shared)
        assert self.process.stdin and self.process.stdout
        self.to, self.back = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.to, False)
        self.writable, self.readable = select.poll(), select.poll()
        self.writable.register(self.to, select.POLLOUT)
        self.readable.register(self.back, select.POLLIN)
        try:
            if self.receive(limits.start_seconds) != "ready":
                raise Lost("crashed")
            self.send(orjson.dumps(asdict(limits)))
        except Lost as lost:
            self.end()
            raise RuntimeError(f"the process that renders templates did not start: {lost.code}") from lost
        except BaseException:
            self.end()
            raise

    def send(self, payload: bytes) -> None:
        """The child reads whole frames before it does anything, so this waits for no work of a template."""
        rest = memoryview(frame(payload))
        until = time.monotonic() + self.limits.start_seconds
        try:
            while rest:
                if not self.writable.poll(max(0, until - time.monotonic()) * 1000):
                    raise Lost("crashed")
                rest = rest[os.write(self.to, rest) :]
        except BrokenPipeError:
            raise Lost(self.why_it_ended()) from None

    def receive(self, seconds: float) -> Any:
        """The next answer, if it comes in time."""
        if self.answers:
            return self.answers.popleft()
        until = time.monotonic() + seconds
        try:
            while (payload := take(self.buffer, self.most)) is None:
                if not self.readable.poll(max(0, until - time.monotonic()) * 1000):
                    raise Lost("too_slow")
                if not (piece := os.read(self.back, 2**18)):
                    raise Lost(self.why_it_ended())
                self.buffer += piece
            found = orjson.loads(payload)
            if not isinstance(found, list) or not found:
                raise Lost("crashed")
            self.answers.extend(found)
            return self.answers.popleft()
        except ValueError:  # no frame or no JSON: whatever this is, it is not our child any more
            raise Lost("crashed") from None

    def answer(self, seconds: float, *, row: int | None = None) -> Any:
        """What the child made of a template or a row. TemplateError: it is why it made nothing."""
        try:
            answer = self.receive(seconds + FLUSH_SECONDS + SLACK_SECONDS + 2 * self.limits.grace_seconds)
        except Lost as lost:
            raise self.error(lost.code, seconds, self.at_work(row)) from None
        if isinstance(answer, dict) and "problem" in answer:
            raise self.told(answer["problem"], row)
        return answer

    def at_work(self, first: int | None) -> int | None:
        """The row that the child was at, as far as that makes sense: one whose answer is waited for, or one after it."""
        (number,) = ROW.unpack(self.at[:])
        return first if first is None or number < first else number

    def told(self, problem: Any, row: int | None) -> TemplateError:
        """The child's own account, which is believed only as far as it makes sense."""
        try:
            line = problem["line"]
            return TemplateError(
                problem["code"],
                problem["values"],
                line=int(line) if line is not None else None,
                row=row,
                field="jinja" if problem["field"] == "jinja" else "answer_choices",
            )
        except (KeyError, TypeError, ValueError):
            return TemplateError("crashed", row=row)

    def error(self, code: str, seconds: float, row: int | None) -> TemplateError:
        megabytes = self.limits.memory_bytes // 2**20
        return TemplateError(code, {"seconds": seconds, "megabytes": megabytes}, row=row)

    def why_it_ended(self) -> str:
        try:
            status = self.process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return "crashed"  # it closed its pipes
        if status in TOO_SLOW:
            return "too_slow"
        return "too_much_memory" if status == EXIT_NO_MEMORY else "crashed"

    def end(self) -> None:
        """It has nothing to save."""
        self.process.kill()
        self.process.wait()
        self.at.close()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()
