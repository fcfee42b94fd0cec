"""`python -m benchmarks.bench_agreement`: agreement and consensus at scale, beside other programs, in one run.

Each job is a process of its own, which makes its data, is timed, and tells the peak of its memory. The peers live in
.venv-peers, which is made here from requirements-peers.txt (about 1 GB, a few minutes, once). Exit 1 where a bound is
missed or where two programs that compute the same thing disagree. --write puts the table into docs/agreement.md.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.written import table, write_part
from tests.accept import common
from tests.accept.common import line

PROJECT = Path(__file__).resolve().parents[1]
PEERS = PROJECT / ".venv-peers"
SAME = 1e-6


@dataclass(frozen=True)
class Peer:
    job: str
    what: str
    same: bool = True  # whether it computes the same thing, so that the values have to agree


@dataclass(frozen=True)
class Case:
    """A job of ours, what it may take, and who else does it."""

    job: str
    what: str
    seconds: float | None = None
    mb: float | None = None
    peers: tuple[Peer, ...] = ()


@dataclass(frozen=True)
class Ran:
    seconds: float  # the median of up to five runs
    slowest: float
    mb: float
    mark: int  # of the data
    values: list[float]


LABELS = "500 thousand labels (100 thousand items × 5 of 200 raters, 5 categories)"
DENSE = "the value alone, from its table of raters × items"
CASES = [
    Case("alpha nominal", f"{LABELS}: α nominal, 1,000 resamples", 1, 250,
         (Peer("krippendorff nominal", f"krippendorff, {DENSE}"),)),
    Case("alpha ordinal", "the same: α ordinal, 1,000 resamples", 1, 250,
         (Peer("krippendorff ordinal", f"krippendorff, {DENSE}"),)),
    Case("alpha interval", "the same: α interval, 1,000 resamples", 1, 250,
         (Peer("krippendorff interval", f"krippendorff, {DENSE}"),)),
    Case("alpha ordinal few", "the same: α ordinal, 50 resamples", None, 250,
         (Peer("krippendorff ordinal resampled", "krippendorff on counts (its quickest way), resampled 50 times by hand"),)),
    Case("alpha ordinal prompts", "the same, four items to a prompt: α ordinal, 1,000 resamples of prompts", None, 250),
    Case("fleiss", "the same: Fleiss' κ, 1,000 resamples", 1, 250,
         (Peer("statsmodels fleiss", "statsmodels, the value alone"),)),
    Case("cohen", "200 thousand labels of two raters: κ, quadratic weights, 1,000 resamples", None, 250,
         (Peer("statsmodels cohen", "statsmodels, without resamples"),)),
    Case("ac2", "500 thousand labels: AC2, quadratic weights, 1,000 resamples", 1, 250),
    Case("between raters", "the same: agreement of all 200 × 200 raters", None, 250),
    Case("slider", "a slider 0–100 on 100 thousand items × 5: α interval, 1,000 resamples", None, 250),
    Case("slider few", "a slider on 2 thousand items × 5: α interval, 1,000 resamples", None, 250,
         (Peer("krippendorff slider", "krippendorff, the value alone (with more items it needs 82 kB for each)"),)),
    Case("majority", "500 thousand labels: majority", None, 250, (Peer("crowd-kit majority", "crowd-kit"),)),
    Case("dawid-skene", "the same: Dawid–Skene until it settles", 2, None,
         (Peer("crowd-kit dawid-skene", "crowd-kit, which stops early", same=False),)),
    Case("dawid-skene rounds", "the same: Dawid–Skene, unsmoothed, 30 rounds", None, None,
         (Peer("crowd-kit dawid-skene rounds", "crowd-kit"),)),
    Case("one coin", "the same: one coin", 2, None,
         (Peer("crowd-kit one coin", "crowd-kit, without the prior", same=False),)),
    Case("bradley-terry", "1 million comparisons of 50 models: Bradley–Terry with intervals", 1, 250,
         (Peer("choix dense", "choix on the counts, no intervals"), Peer("choix list", "choix on the list, no intervals"),
          Peer("evalica", "evalica, no intervals"),
          Peer("crowd-kit bradley-terry", "crowd-kit, tol=0 (its default stops after two rounds), no intervals"))),
    Case("bradley-terry prompts", "the same, intervals that let comparisons of a prompt depend on each other", 1, 500),
]  # fmt: skip


@cache
def peers_python() -> Path:
    """The peers' Python, installed if it is not there as requirements-peers.txt has it."""
    python, pins, ready = PEERS / "bin" / "python", PROJECT / "requirements-peers.txt", PEERS / ".ready"
    if not ready.exists() or ready.read_bytes() != pins.read_bytes():
        print(f"Installing the peers into {PEERS.name} (once, a few minutes)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", PEERS], check=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", "--no-input", "-r", pins], check=True)
        ready.write_bytes(pins.read_bytes())
    return python


def ran(python: Path | str, module: str, job: str) -> Ran:
    """Run a job to its end, nothing beside it; AssertionError with what it said when it fails."""
    done = subprocess.run(
        [python, "-m", module, job], cwd=PROJECT, env=os.environ | {"PYTHONWARNINGS": "ignore"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{job} ended with {done.returncode}: {done.stderr[-1500:]}"
    said = json.loads(done.stdout.splitlines()[-1])
    return Ran(said["seconds"], said["slowest"], said["mb"], said["mark"], said["values"])


def figures(case: Case, with_peers: bool) -> list[list[str]]:
    """Print the lines of a case; gives the rows of the table."""
    ours = ran(sys.executable, "benchmarks.agreement_ours", case.job)
    most = [f"at most {case.seconds:g} s"] if case.seconds else []
    most += [f"at most {case.mb:g} MB"] if case.mb else []
    within = ours.slowest <= (case.seconds or ours.slowest) and ours.mb <= (case.mb or ours.mb)
    line(case.what, f"{took(ours)}" + (f"; {', '.join(most)}" if most else ""), within)
    rows = [[case.what, *cells(ours), "", ""]]
    for peer in case.peers if with_peers else ():
        theirs = ran(peers_python(), "benchmarks.agreement_peers", peer.job)
        assert theirs.mark == ours.mark, f"{case.job} and {peer.job} did not read the same data"
        distance = max(abs(a - b) for a, b in zip(ours.values, theirs.values, strict=True))
        ratio = theirs.seconds / ours.seconds
        said = f"values differ by {distance:.0e}" + ("" if peer.same else " (not the same estimate)")
        line(
            f"    beside {peer.what}",
            f"{took(theirs)}: {times(ratio)} times our time, {times(theirs.mb / ours.mb)} times our memory; {said}"
            + (f", at most {SAME:g}" if peer.same else ""),
            not peer.same or distance <= SAME,
        )
        rows.append(
            [
                f"· {peer.what}",
                *cells(theirs),
                f"{times(ratio)} ×",
                f"{distance:.0e}".replace("0e+00", "0") if peer.same else "not the same",
            ]
        )
    return rows


def took(one: Ran) -> str:
    return f"{one.seconds:.3f} s (slowest {one.slowest:.3f}), {one.mb:.0f} MB"


def times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2g}"


def cells(one: Ran) -> list[str]:
    return [f"{one.seconds:.3f}", f"{one.mb:.0f}"]


def machine() -> str:
    cpu = [
        row.split(":", 1)[1].strip() for row in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in row
    ]
    name = cpu[0] if cpu else platform.machine()
    return f"{os.cpu_count()} cores ({name}), Python {platform.python_version()}"


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_agreement", description=__doc__)
    parser.add_argument("--without-peers", action="store_true", help="only Plumbline's figures and their bounds")
    parser.add_argument("--write", action="store_true", help="put the table into docs/agreement.md")
    parser.add_argument("--only", default="", help="cases whose job begins so")
    chosen = parser.parse_args(words)
    if not chosen.without_peers:
        peers_python()
    print(machine(), flush=True)
    rows: list[list[str]] = []
    for case in CASES:
        if case.job.startswith(chosen.only):
            try:
                rows += figures(case, not chosen.without_peers)
            except AssertionError as error:
                line(case.what, str(error), False)
    if chosen.write:
        head = ["job; · the same by", "seconds", "peak MB", "time beside ours", "values differ by"]
        write_part("speed", f"{machine()}.\n\n{table(head, rows)}")
    return int(common.failed)


def test_our_figures_are_within_their_bounds():
    """In `make bench`, without the peers."""
    assert main(["--without-peers"]) == 0


if __name__ == "__main__":
    sys.exit(main())
