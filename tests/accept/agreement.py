"""`make accept-agreement`: what agreement and consensus must show, a line each with its figure and its bound.

Exits with 1 where a line falls short. Needs the real data (PLUMBLINE_REAL_DATA, default ../shared/data) and fails without
them. Takes about a quarter of an hour on two cores, the other programs of the benchmark installed once (1 GB) included.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.accept import common
from tests.accept.common import PROJECT, check, line
from tests.real.pandalm import TESTSET

TESTS = {
    "tests/test_measures": "the published tables to the digits given, and what must hold for any table (3.1 to 3.7, 3.12)",
    "tests/test_consensus_labels.py": "Dawid and Skene 1979, and what must hold for any labels (3.8)",
    "tests/test_consensus_preferences.py": "Bradley–Terry, ties, Plackett–Luce, ranked pairs, reliability (3.9, 3.10)",
    "tests/test_consensus_ratings.py": "ratings, each rater's severity taken off",
    "tests/test_measure_command.py": "a stranger's table from a file, by a command",
    "tests/test_agreement.py": "what counts: people, of their own, from the start, within an epoch",
    "tests/test_consensus.py": "consensus is kept with its dissent; who disagrees gets one more place",
    "tests/test_adjudication": "adjudication: by whom, of what, and what it leaves alone",
    "tests/test_agreement_page.py": "the page on agreement, from snapshots",
    "tests/browser/test_agreement_page.py": "the page in a browser: axe in both themes and languages, on a phone",
    "tests/browser/test_adjudication.py": "adjudication in a browser, by keyboard alone",
    "tests/real/test_crowd.py": "Snow RTE .8969 and .9275, TEMP .9361 and .9416, WordSim r .9519, BarzanMozafari",
    "tests/real/test_agreement.py::test_pandalm": "PandaLM: Cohen κ .852, .879, .862",
    "tests/real/test_agreement.py::test_ocnli": "OCNLI's five people",
    "tests/real/test_agreement.py::test_gpt": "gpt-3.5 beside the people of PandaLM, like with like",
    "tests/test_access.py": "every route as every role",
}
TABLE = "item,anna,bo,cy\n1,1,1,1\n2,2,2,3\n3,3,3,3\n4,1,2,1\n5,2,2,2\n"


def a_strangers_table() -> str:
    """By hand: 5 items of 3 people, all three alike on 3 items and two of three on 2: (3 · 1 + 2 · 1/3) / 5."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "table.csv"
        file.write_text(TABLE)
        said = common.run(sys.executable, "manage.py", "measure", file, "--measure", "pairwise_agreement")
    found = re.search(r"0\.733333", said)
    assert found, said
    return said.strip()


def script(*command: str) -> str:
    """A benchmark that prints lines of its own; its lines, where it ends well."""
    done = subprocess.run(
        [sys.executable, *command], cwd=PROJECT, env=os.environ, capture_output=True, text=True, check=False
    )
    lines = [one for one in done.stdout.splitlines() if one.strip()]
    assert done.returncode == 0, "\n".join(lines[-60:]) + done.stderr[-1500:]
    return "\n       ".join(lines)


def the_page() -> str:
    said = script(
        *("-m", "config.embedded", "bench", sys.executable, "-m", "pytest", "benchmarks/bench_agreement_page.py"),
        *("-o", "python_files=bench_*.py", "-s", "-q", "-n", "0"),
    )
    return "\n       ".join(one.strip() for one in said.splitlines() if "judgements" in one or "p95" in one)


def main() -> int:
    if not TESTSET.exists():
        line("the real data are there", f"no {TESTSET}: set PLUMBLINE_REAL_DATA", False)
        return 1
    check("a stranger's table, worked out by hand", a_strangers_table)
    common.tests(TESTS)
    check("the page with 500 thousand labels: p95 under 100 ms, statements as with 500", the_page)
    check(
        "speed and memory beside five other programs, each bound kept",
        lambda: script("-m", "benchmarks.bench_agreement"),
    )
    check(
        "adaptive overlap on three crowds, threshold of the other half",
        lambda: script("-m", "benchmarks.adaptive_overlap", "--quick"),
    )
    return int(common.failed)


if __name__ == "__main__":
    sys.exit(main())
