"""`make accept-vetting`: what vetting must show, a line each with its figure and its bound.

Exits with 1 where a line falls short. Needs the real data (PLUMBLINE_REAL_DATA, default ../shared/data) and fails without
them. Takes about ten minutes on two cores.
"""

import json
import os
import subprocess
import sys

from tests.accept import common
from tests.accept.common import PROJECT, check, line
from tests.real.pandalm import DATA

TESTS = {
    "tests/test_vetting.py::test_the_database_refuses": "every step that is not in the diagram is refused by the database",
    "tests/test_admin_vetting.py::test_the_page_on_vetting": "the diagram and the tables of docs/vetting.md are made from the code",
    "tests/test_admin_vetting.py::test_no_rule_but_gold": "no rule but gold pauses who was let in",
    "tests/test_vetting.py::test_disagreeing_with": "no automatic pause follows from disagreeing with peers",
    "tests/test_standing.py::test_no_change_of_state": "nor any other change of state",
    "tests/test_standing.py::test_the_consensus_that": "the consensus that somebody is measured by excludes him",
    "tests/test_gold_hidden.py": "gold cannot be told from work: pages, headers, fields, ids, statements, and where it comes",
    "tests/test_standing.py::test_of_ones_own_gold": "nor by the own figures on it",
    "tests/browser/test_way_in.py::test_the_whole_way_in": "in a browser: the whole way in, to the first task of work",
    "tests/browser/test_way_in.py::test_who_fails": "in a browser: failing the test, and why",
    "tests/browser/test_standing.py::test_a_paused": "in a browser: paused, appealed, restored, at work again",
    "tests/browser/test_way_in.py::test_a_changed_guideline": "in a browser: a guideline that changes stops work until it is read",
    "tests/browser/test_vetting_setup.py": "in a browser: setting a rule by keyboard, and two researchers making an answer known",
    "tests/test_vetting_rules.py": "rules and their operating characteristics (reference 5.2)",
    "tests/test_vetting_scoring.py": "what an answer is worth beside the known one, and what researchers share",
    "tests/test_vetting_watching.py": "drift, streaks, sides, speed (run lengths of reference 5.2 within 5 %)",
    "tests/test_vetting.py": "training, test, gold, holding and restoring, a new guideline",
    "tests/test_way_in.py": "the way in: pages, forms, what is missing, feedback on training",
    "tests/test_language_tests.py": "the ready-made language tests",
    "tests/test_vetting_setup.py": "setting it up: the page shows the characteristic, and refuses what researchers do not reach",
    "tests/test_gold_pages.py": "known answers: two researchers, forecast, suspects, proposals, corrections",
    "tests/test_standing.py": "where somebody stands, with n, and what a manager does",
    "tests/test_appeals.py": "appeals, by whom they are replied to, and what is taken back",
    "tests/test_feedback.py": "comments with the guideline's passage",
    "tests/test_calibration.py": "calibration rounds",
    "tests/test_admin_vetting.py": "the admin: filters, actions with reasons, CSV, statements that do not grow",
    "tests/test_invitations.py": "invitations and e-mail, with a mail server and without",
    "tests/test_access.py": "every route as every role",
}
REPLAY = {
    "tests/real/test_vetting.py::test_holding": "replay of Snow RTE, 100 draws: .897 to about .925, with the minimum and without",
    "tests/real/test_vetting.py::test_the_services": "two draws through the services: the same people paused, the same labels held",
}
# Approved, rejected, undecided, and items on average, by true ability (20,000 simulations).
REFERENCE = {
    "sprt": {
        0.6: (0.007, 0.944, 0.049, 23.6),
        0.7: (0.128, 0.538, 0.334, 39.8),
        0.8: (0.683, 0.070, 0.247, 39.9),
        0.9: (0.997, 0.001, 0.002, 22.6),
    },
    "posterior": {
        0.6: (0.013, 0.953, 0.034, 19.2),
        0.7: (0.107, 0.626, 0.268, 32.1),
        0.8: (0.546, 0.139, 0.315, 35.5),
        0.9: (0.981, 0.006, 0.013, 19.2),
    },
}
OFF, ITEMS_OFF = 0.01, 0.5


def characteristics() -> str:
    """The command's figures, simulated and worked out, beside the reference."""
    said = json.loads(
        common.run(sys.executable, "manage.py", "operating_characteristics", "--times", "20000", "--json")
    )
    found = {rule["rule"]["kind"]: rule["abilities"] for rule in said["rules"]}
    shares, items = [], []
    for kind, rows in REFERENCE.items():
        by_ability = {round(row["exact"]["p"], 2): row for row in found[kind]}
        for ability, expected in rows.items():
            for way in ("exact", "simulated"):
                row = by_ability[ability][way]
                got = [row[name] for name in ("approve", "reject", "undecided", "items")]
                shares += [abs(one - other) for one, other in zip(got[:3], expected[:3], strict=True)]
                items.append(abs(got[3] - expected[3]))
    worst = f"largest difference {max(shares):.4f} of {len(shares)} shares, {max(items):.2f} items on average"
    assert max(shares) <= OFF and max(items) <= ITEMS_OFF, worst
    return f"{worst}; at most {OFF} and {ITEMS_OFF}"


def replayed() -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.vetting_replay", "--quick"],
        cwd=PROJECT, env=os.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = [one.strip() for one in done.stdout.splitlines() if one.strip()]
    assert done.returncode == 0, "\n".join(lines) + done.stderr[-1500:]
    return "\n       ".join(lines)


def main() -> int:
    if not (DATA / "crowd").exists():
        line("the real data are there", f"no {DATA / 'crowd'}: set PLUMBLINE_REAL_DATA", False)
        return 1
    check("operating characteristics by a command, 20,000 simulated people", characteristics)
    check("the replay by the plain sums, minima of 20, 10, 5 and 1", replayed)
    common.tests(REPLAY)
    common.tests(TESTS)
    return int(common.failed)


if __name__ == "__main__":
    sys.exit(main())
