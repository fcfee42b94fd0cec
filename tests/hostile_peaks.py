"""What hostile templates cost until they are stopped: `python -m tests.hostile_peaks` prints seconds and megabytes.

A process of its own, and a small one: Linux counts a child's memory from that of the process that began it. The peak is
the child's whole resident memory, as the kernel tells when it has ended.
"""

import json
import os
import subprocess
import time

from curation.rendering import Limits, Renderer, TemplateError, TemplateSource, process
from tests.hostile import TEMPLATES


class Measured(subprocess.Popen):
    """Asks the kernel what the process has used, where Popen only asks how it ended."""

    last: "Measured"
    peak = 0.0

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        Measured.last = self

    def _try_wait(self, wait_flags):
        try:
            pid, status, usage = os.wait4(self.pid, wait_flags)
        except ChildProcessError:
            return self.pid, 0
        if pid == self.pid:
            self.peak = usage.ru_maxrss / 1024
        return pid, status


def cost(jinja: str) -> dict:
    """The code of the error that stops a template, and the seconds and megabytes until then."""
    began = time.monotonic()
    code = ""
    try:
        with Renderer(TemplateSource(jinja), seed="0", limits=Limits()) as renderer:
            renderer.render([(1, {"text": "some text"})])
    except TemplateError as error:
        code = error.code
    return {"code": code, "seconds": time.monotonic() - began, "megabytes": Measured.last.peak}


def main() -> None:
    process.subprocess.Popen = Measured  # type: ignore[misc]
    for name, (jinja, _code) in TEMPLATES.items():
        print(json.dumps({"name": name, **cost(jinja)}), flush=True)


if __name__ == "__main__":
    main()
