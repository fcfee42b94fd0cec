"""`make accept-templates`: what import and templating must show, a line each with its figure and its bound.

Exits with 1 where a line falls short. Needs the real data (PLUMBLINE_REAL_DATA, default ../shared/data) and fails without
them. Takes about half an hour on two cores, most of it for the rows of the benchmarks.
"""

import os
import subprocess
import sys

from tests.accept import common
from tests.accept.common import PROJECT, check, line
from tests.real.t0 import RENDERED

REAL = {
    "tests/real/test_t0.py::test_every_row": "golden: what promptsource rendered for T0, character for character",
    "tests/real/test_promptsource.py::test_every_template": "promptsource: 2,085 of 2,085 templates go in unchanged",
    "tests/real/test_t0.py::test_every_template": "and compile",
    "tests/real/test_promptsource.py::test_most": "and render on rows made to fit: at least 1,894 (the reference had 1,927)",
    "tests/real/test_shapes.py::test_a_file": "real files are recognised without a hint, templated and exported",
    "tests/real/test_shapes.py::test_what_t0": "T0's rendered rows: 60 files are recognised, 11 empty ones refused",
    "tests/real/test_shapes.py::test_no_real_file": "no real file is claimed by two shapes",
    "tests/real/test_shapes.py::test_a_chain": "a chain of thought has its line ends",
    "tests/real/test_shapes.py::test_paths": "OASST: every message and rank of 100 trees",
    "tests/real/test_shapes.py::test_the_messages": "and as a flat table",
    "tests/real/test_shapes.py::test_roles": "roles are those that trainers know",
    "tests/real/test_shapes.py::test_answers": "rows that are refused, by number and column",
    "tests/real/test_datasets.py": "real files that are imported with hints have the counts they are known to have",
    "tests/real/test_kinds.py::test_inverted": "inverted, from AG News, GSM8K and strategyqa",
    "tests/real/test_kinds.py::test_chain": "chain of thought, from GSM8K and strategyqa",
    "tests/real/test_kinds.py::test_few_shot": "few-shot, from AG News, GSM8K and strategyqa",
    "tests/real/test_kinds.py::test_from_unlabelled": "from unlabelled text, from AG News and GSM8K",
}
TESTS = {
    "tests/test_hostile_templates.py::test_none": "hostile templates: at least 25, each stopped within 2 s and 256 MB",
    "tests/test_hostile_worker.py": "25 hostile templates in a real worker: failed in words, and the worker lives",
    "tests/test_hostile_templates.py": "each with a clear error, its place, and no process left",
    "tests/test_template_docs.py": "ten instances of each kind in docs/templates-made.md, made again",
    "tests/test_reading.py": "import: JSONL, JSON, CSV, TSV, Parquet; refused rows by number and reason",
    "tests/test_dialect.py": "quoting, delimiter and header are found and shown",
    "tests/test_many_files.py": "several files per split, folders, parallel files, gz and zst",
    "tests/test_shapes.py": "shapes, threads and trees",
    "tests/test_datasets.py": "whole or not at all; an import that is killed is run again",
    "tests/test_template_files.py": "files of templates: promptsource, FLAN, our own",
    "tests/test_template_import.py": "all templates of a file or none, by command, page and API",
    "tests/test_rendering.py": "promptsource's rules; lots drawn by seed, dataset, template and row",
    "tests/test_few_shot.py": "few-shot: never the row itself or its group, within the budget",
    "tests/test_passages.py": "filters for running text",
    "tests/test_catalogue.py": "ready-made templates in English and Chinese",
    "tests/test_templates.py": "the editor, with its preview and errors at their place",
    "tests/test_coverage.py": "reports on a set and on all of them",
    "tests/test_shards.py": "shards: the same bytes, more workers, cancel, killed and run again",
    "tests/test_sft_export.py": "exports carry licence and language",
    "tests/browser/test_import.py": "in a browser: a look at a file, and its import",
    "tests/browser/test_tour.py": "in a browser: from a file to an export",
    "tests/test_access.py": "every route as every role",
}
BENCHMARKS = {
    "benchmarks/bench_curation_import.py": "import at 100 thousand and 1 million rows, beside DuckDB; the peak grows by less than 1.25",
    "benchmarks/bench_templating.py::test_the_memory": "templating of as many, beside bare Jinja: at least .35 of it (aim .5); the same peak",
    "benchmarks/bench_templating.py::test_two": "two workers: the same file, and at least .75 of the rows in a second of a core (aim 2 times as fast on idle cores)",
}


def benchmark(test: str) -> str:
    """What a benchmark printed; AssertionError where it failed."""
    file, _, begins = test.partition("::")
    command = [sys.executable, "-m", "config.embedded", "accept", sys.executable, "-m", "pytest", "-q", "-s", "-n", "0"]
    done = subprocess.run(
        [*command, "-o", "python_files=bench_*.py", file, *(["-k", begins] if begins else [])],
        cwd=PROJECT, env=os.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    told = [one.strip(" .") for one in done.stdout.splitlines() if "rows" in one or "times" in one]
    assert done.returncode == 0 and told, done.stdout[-1000:] + done.stderr[-500:]
    return "\n       ".join(told)


def main() -> int:
    if not RENDERED.exists():
        line("the real data are there", f"no {RENDERED}: set PLUMBLINE_REAL_DATA", False)
        return 1
    common.tests(REAL)
    common.tests(TESTS)
    for test, name in BENCHMARKS.items():
        check(name, lambda test=test: benchmark(test))
    return int(common.failed)


if __name__ == "__main__":
    sys.exit(main())
