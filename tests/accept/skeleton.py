"""`make accept-skeleton`: what the walking skeleton must show, a line each with its figure and its bound.

Exits with 1 where a line falls short. Needs the real data (PLUMBLINE_REAL_DATA, default ../shared/data) and fails
without them. As root the fresh clone is tried by an unprivileged account too, in a folder with a space.
"""

import json
import os
import pwd
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from tests.accept import common
from tests.accept.common import PROJECT, TRAIN, check, line, run
from tests.real.pandalm import TESTSET, write_jsonl

TESTS = {
    "tests/browser/test_skeleton.py::test_from_ranking_by_keyboard_to_the_downloaded_pairs": (
        "three rankings by keyboard, one tie; exported, downloaded, loaded by datasets: the pairs written by hand"
    ),
    "tests/test_under_load.py::test_24_clients_of_12_people_fill_every_place_once": (
        "24 clients, 12 annotators: 1200 of 1200 places, 0 over, 0 twice, 0 responses 500"
    ),
    "tests/test_under_load.py::test_an_export_whose_worker_is_killed_is_built_again_by_itself_with_the_same_bytes": (
        "kill -9 of the worker in mid-export: run again by itself, same bytes"
    ),
    "tests/test_exports.py::test_the_same_request_gives_the_same_bytes": "the same export twice: the same bytes",
    "tests/test_imports.py::test_a_bad_file_is_refused_whole_with_line_field_and_remedy": (
        "bad files of judgements: a message with the line, nothing half done"
    ),
    "tests/real/test_pandalm.py": "PandaLM: unanimous 879 of 999, Fleiss κ 0.864, pairs under the stated rule",
    "tests/test_access.py": "every route as every role: no 500, nothing open that is not meant to be",
}


def fresh_clone(folder: Path, account: pwd.struct_passwd | None) -> str:
    """Clone into the folder, run the two commands of the README, sign in; gives their wall times."""
    who: dict = {}
    if account:
        who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        os.chown(folder, account.pw_uid, account.pw_gid)
        for parent in folder.parents[: len(folder.parents) - 2]:
            parent.chmod(0o755)
    clone = common.clone_into(folder)
    if account:
        run("chown", "-R", f"{account.pw_uid}:{account.pw_gid}", clone)
    with common.demo(clone, 8600, account) as demo:
        sign_in(demo.address, "ana", demo.passwords["ana"])
    began = time.monotonic()
    tests = subprocess.run(
        ["make", "test"], cwd=clone, env=common.variables_of(clone), capture_output=True, text=True, **who
    )
    last = tests.stdout.strip().splitlines()[-1:]
    assert tests.returncode == 0, f"`make test` failed: {tests.stdout[-1500:]}"
    return (
        f"make demo {demo.seconds:.0f} s to a page that {account.pw_name if account else 'root'} logged in to; "
        f"make test {time.monotonic() - began:.0f} s: {last}"
    )


def sign_in(address: str, name: str, password: str) -> None:
    with httpx.Client(base_url=address, follow_redirects=True) as client:
        client.get("/accounts/login/")
        form = {"login": name, "password": password, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        page = client.post("/accounts/login/", data=form)
        assert page.status_code == 200 and "Everyday answers" in page.text, page.text[-500:]


def reward_model(folder: Path) -> str:
    """PandaLM through the commands of the README to a trained reward model."""
    assert TRAIN.exists(), "the trainers' environment is not there: run `make test-train` once"
    variables = {"PLUMBLINE_VAR": str(folder / "var"), "SECRET_KEY": "accept", "LOG_LEVEL": "WARNING"}
    write_jsonl(folder / "pandalm.jsonl")
    steps = [
        ["migrate", "-v0"],
        ["import_judgements", folder / "pandalm.jsonl", "--project", "pandalm", "--create", "--source", "pandalm"],
        ["export_project", "pandalm", "--out", folder / "export"],
        ["export_project", "pandalm", "--out", folder / "again"],
    ]
    script = folder / "steps.sh"
    script.write_text(
        "set -e\n" + "\n".join(" ".join(f"'{word}'" for word in [sys.executable, "manage.py", *step]) for step in steps)
    )
    run(sys.executable, "-m", "config.embedded", "accept", "bash", script, **variables)
    run("diff", "-r", folder / "export", folder / "again")
    loaded = json.loads(run(TRAIN, PROJECT / "tests" / "accept" / "load.py", folder / "export"))
    rows = {split: len(found) for split, found in loaded.items()}
    run(TRAIN, "-m", "trainers", "tiny", "--out", folder / "tiny", "--text", folder / "export")
    run(TRAIN, "-m", "trainers", "reward", folder / "export", "--model", folder / "tiny", "--output", folder / "model")
    held_out = json.loads((folder / "model" / "metrics.json").read_text())["held_out"]
    accuracy, human = held_out["accuracy"], held_out["human_reference"]
    return (
        f"load_dataset: {rows}; held-out accuracy {accuracy['value']:.3f} ({accuracy['low']:.3f} – {accuracy['high']:.3f}, "
        f"n = {accuracy['rows']} rows of {accuracy['prompts']} prompts) of a random 336 k model trained one epoch; "
        f"human reference {human['value']:.3f} ({human['low']:.3f} – {human['high']:.3f})"
    )


def main() -> int:
    if not TESTSET.exists():
        line("the real data are there", f"no {TESTSET}: set PLUMBLINE_REAL_DATA", False)
        return 1
    accounts: list[pwd.struct_passwd | None] = [None]
    if os.geteuid() == 0:
        accounts.append(pwd.getpwnam("nobody"))
    for account in accounts:
        with tempfile.TemporaryDirectory(prefix="plumbline-accept-") as folder:
            who = account.pw_name if account else pwd.getpwuid(os.geteuid()).pw_name
            check(
                f"a fresh clone in a path with a space, as {who}: demo and tests with no other step",
                lambda folder=folder, account=account: fresh_clone(Path(folder), account),
            )
    common.tests(TESTS)
    with tempfile.TemporaryDirectory(prefix="plumbline-accept-") as folder:
        Path(folder).chmod(0o755)
        check("PandaLM to a reward model, by the commands", lambda: reward_model(Path(folder)))
    return int(common.failed)


if __name__ == "__main__":
    sys.exit(main())
