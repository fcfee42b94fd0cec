"""`make accept-workplace`: what the annotator's workplace must show, a line each with its figure and its bound.

Exits with 1 where a line falls short. Needs the real data (PLUMBLINE_REAL_DATA, default ../shared/data) and fails without
them. Takes about half an hour on two cores: 2,000 tasks are judged by 24 clients, three times over, and a million tasks lie in
the queue of the benchmark.
"""

import os
import re
import subprocess
import sys

from tests.accept import common
from tests.accept.common import PROJECT, check, line
from tests.real.pandalm import TESTSET

LOAD = {
    "tests/test_under_load.py::test_24_clients_of_12_people_fill_every_place_once": (
        "24 clients, 12 annotators, 2,000 tasks × 3, clients killed and leases ending: 6,000 of 6,000 places, 0 over, 0 twice"
    ),
    "tests/test_under_load.py::test_with_gold_languages_places_added_and_late_answers_every_count_still_holds": (
        "with gold, languages, places added and late answers: counting = target on each task, each acknowledged answer one row"
    ),
    "tests/test_under_load.py::test_with_the_web_processes_killed_under_load_nothing_is_lost_or_doubled": (
        "with kill -9 of the web processes under load: the same"
    ),
}
DESK = "tests/browser/test_desk.py::"
TESTS = {
    "tests/browser/test_weight.py": "the ranking page opened cold: at most 48 KB in at most 8 requests",
    "tests/browser/test_workplace.py::test_the_next_task": "the next task after submit: one request, within 150 ms (p95)",
    f"{DESK}test_ranking_with_ties": "ranking by keyboard alone",
    f"{DESK}test_comparison_by_keyboard": "comparison by keyboard alone",
    f"{DESK}test_rating_of_task": "rating by keyboard alone",
    f"{DESK}test_choices_by_keyboard": "choice and multi-choice by keyboard alone, one depending on the other",
    f"{DESK}test_text_by_keyboard": "text by keyboard alone",
    f"{DESK}test_rule_with_its_proof": "rule with the words that prove it, by keyboard alone",
    f"{DESK}test_spans_with_labels": "marked words by keyboard alone",
    f"{DESK}test_writing_by_keyboard": "demonstration by keyboard alone",
    f"{DESK}test_ranking_by_touch_on_a_phone": "a ranking by touch at 360 px",
    f"{DESK}test_axe_finds_nothing": "axe on a desk with every kind, both themes, both languages: nothing",
    "tests/browser/test_annotator_pages.py": "axe on every other page of an annotator, both themes, both languages: nothing",
    f"{DESK}test_an_answer_sent_without_a_connection": "no connection during submit: kept, and sent once",
    f"{DESK}test_an_answer_that_arrived_without_its_reply": "the reply lost: not sent twice",
    f"{DESK}test_what_is_filled_in_survives_being_signed_out": "login expired during work",
    f"{DESK}test_two_tabs_of_one_task": "two tabs",
    f"{DESK}test_a_lease_that": "lease lost",
    f"{DESK}test_going_back_shows": "back button",
    f"{DESK}test_what_is_filled_in_is_there_after_a_reload": "reload with a draft",
    "tests/browser/test_workplace.py::test_hostile_outputs": "hostile outputs (30 or more): nothing executes, the layout holds",
    "tests/test_markdown.py": "the same ones as HTML: only our own elements",
    "tests/real/test_oasst.py": "OASST trees as ranking tasks, their rank as an aggregate judge's that no human figure counts",
    "tests/real/test_pandalm.py::test_pandalm_as_comparisons": "PandaLM as comparisons with ties, three people each",
    "tests/test_presets.py": "each preset makes a working project",
    "tests/test_access.py": "every route as every role",
}
BOUNDS = {"tests/browser/test_workplace.py::test_the_next_task": (r"p95 (\d+) ms", 150)}


def benchmark() -> str:
    """Claim and submit at two sizes; falls short where the larger one costs more than 1.2 times the smaller."""
    done = subprocess.run(
        [sys.executable, "-m", "config.embedded", "bench", sys.executable, "-m", "pytest", "benchmarks/bench_claim.py",
         "-o", "python_files=bench_*.py", "-s", "-q"],
        cwd=PROJECT, env=os.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"largest ratio ([\d.]+)", done.stdout)
    assert done.returncode == 0 and found, done.stdout[-1500:]
    figures = [
        one for one in done.stdout.splitlines() if "ratio" in one or "statements" in one or "nothing left" in one
    ]
    assert float(found[1]) <= 1.2, "\n".join(figures)
    return "\n       ".join(figures)


def main() -> int:
    if not TESTSET.exists():
        line("the real data are there", f"no {TESTSET}: set PLUMBLINE_REAL_DATA", False)
        return 1
    common.tests(TESTS, bounds=BOUNDS)
    check("claim and submit at 10 thousand and 1 million tasks × 3: ratio at most 1.2", benchmark)
    os.environ["PLUMBLINE_LOAD_TASKS"] = "2000"
    common.tests(LOAD)
    return int(common.failed)


if __name__ == "__main__":
    sys.exit(main())
