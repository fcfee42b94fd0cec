"""What the acceptance scripts share: a line for each thing that must show, with its figure; commands; a fresh clone."""

import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

PROJECT = Path(__file__).resolve().parents[2]
TRAIN = PROJECT / ".venv-train" / "bin" / "python"

failed = False


def line(name: str, figure: str, ok: bool) -> None:
    """Print a line. Once one is not ok, the script fails."""
    global failed
    failed |= not ok
    print(f"{'ok  ' if ok else 'FAIL'} {name}\n       {figure}", flush=True)


def check(name: str, figure: Callable[[], str]) -> None:
    """A line from a function that gives its figure, or raises with what fell short."""
    try:
        line(name, figure(), True)
    except (AssertionError, OSError, subprocess.SubprocessError, httpx.HTTPError) as error:
        line(name, f"{type(error).__name__}: {str(error)[-1500:]}", False)


def run(*command: object, cwd: Path = PROJECT, **variables: str) -> str:
    """Run a command to its end and return what it said; AssertionError when it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout[-1000:]}{done.stderr[-1000:]}"
    return done.stdout


def tests(wanted: Mapping[str, str], bounds: Mapping[str, tuple[str, float]] | None = None) -> None:
    """Run the tests of these files, or whose names begin so, and print a line each. One that is skipped has not passed.

    `bounds`: for some of them, where in its figure a number stands, and how large it may be.
    """
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        command = [sys.executable, "-m", "config.embedded", "accept", sys.executable, "-m", "pytest", "-q", "-n", "0"]
        subprocess.run(
            [*command, "-o", "junit_family=xunit1", f"--junitxml={report.name}", *_whole(wanted)],
            cwd=PROJECT, env=os.environ | {"PLUMBLINE_TRAIN_PYTHON": str(TRAIN), "CI": "true"}, check=False,
        )  # fmt: skip
        cases = ET.parse(report.name).getroot().iter("testcase")
        found = [
            (
                case.get("file", "") + "::" + re.sub(r"\[.*", "", case.get("name", "")),
                not any(child.tag in ("failure", "error", "skipped") for child in case),
                [one.get("value", "") for one in case.iter("property") if one.get("name") == "figure"],
            )
            for case in cases
        ]
    for test, name in wanted.items():
        mine = [one for one in found if one[0].startswith(test)]
        good = sum(ok for _, ok, _ in mine)
        figures = [figure for *_, said in mine for figure in said]
        within = True
        if bounds and test in bounds:
            pattern, most = bounds[test]
            numbers = [float(number) for figure in figures for number in re.findall(pattern, figure)]
            within = bool(numbers) and max(numbers) <= most
        line(name, "; ".join([f"{good} of {len(mine)} passed", *figures]), bool(mine) and good == len(mine) and within)


def _whole(wanted: Mapping[str, str]) -> list[str]:
    """What pytest takes for these: files, or tests by their whole names, which may be named by their beginnings only."""
    names: dict[str, None] = {}
    for test in wanted:
        file, _, begins = test.partition("::")
        if not begins:
            names |= {
                str(path.relative_to(PROJECT)): None for path in sorted(PROJECT.glob(f"{file.removesuffix('.py')}*.py"))
            }
            continue
        source = (PROJECT / file).read_text(encoding="utf-8")
        names |= {f"{file}::{name}": None for name in re.findall(rf"^def ({begins}\w*)\(", source, re.MULTILINE)}
    return list(names)


# --- A fresh clone ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Demo:
    """A running `make demo`."""

    address: str
    passwords: dict[str, str]
    seconds: float  # until it answered


def clone_into(folder: Path) -> Path:
    """A fresh clone in a folder with a space in its name."""
    clone = folder / "plumb line"
    run("git", "-c", "safe.directory=*", "clone", "--quiet", PROJECT, clone)
    return clone


@contextmanager
def demo(
    clone: Path,
    port: int,
    account: pwd.struct_passwd | None = None,
    command: Sequence[str] = ("make", "demo"),
    **variables: str,
) -> Iterator[Demo]:
    """`make demo` of a clone, by an account, until the block ends. Nothing may be left of a fresh clone's then."""
    who: dict = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    began = time.monotonic()
    process = subprocess.Popen(
        list(command), cwd=clone, env=variables_of(clone) | {"PORT": str(port)} | variables, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, **who,
    )  # fmt: skip
    assert process.stdout
    try:
        passwords: dict[str, str] = {}
        address = ""
        for said in process.stdout:
            address = (re.findall(r"running at (\S+)", said) or [address])[0]
            passwords |= dict(re.findall(r"^(\w+) +(try-\w+)", said))
            if "Ctrl-C" in said:
                break
        assert address, f"`make demo` ended with {process.poll()}"
        yield Demo(address, passwords, time.monotonic() - began)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.stdout.read()
        process.wait(60)
    left = subprocess.run(["pgrep", "-f", str(clone)], capture_output=True, text=True).stdout.split()
    assert clone == PROJECT or not left, f"processes left after Ctrl-C: {left}"


def variables_of(clone: Path) -> dict[str, str]:
    """An environment in which only the clone's own steps count."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return kept | {"HOME": str(clone.parent)}
