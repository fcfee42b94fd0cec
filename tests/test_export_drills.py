"""Drills on exports: elsewhere, by other workers, by a script outside the app. What comes late is in test_releases.py; what
is killed in tests/accept/exports.py, since it takes minutes.
"""

import json
import os
import random
import subprocess
import sys
import threading
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from django.conf import settings

from annotate.questions import RANKED, Given, Rank
from annotate.services import ledger
from annotate.services.enrolments import enrol
from curation.models import Export
from curation.services import blobs, exports
from tests.stack import PROJECT, celery_worker, database_url
from tests.test_exports import export, rows_of

PEOPLE = ("ana", "ben", "mina", "rita", "otto")


def judged(world, tasks: int, outputs: int = 4, **settings_of_question) -> None:
    """Tasks that several people rank as they like, with a line where the question draws one; drawn by seed."""
    draw = random.Random(8)
    world.project.overlap = len(PEOPLE)
    world.project.save()
    question = world.project.preference_question
    question.settings |= settings_of_question
    question.save()
    for name in PEOPLE[2:]:
        enrol(project=world.project, user=world.users[name])
    world.tasks(tasks, outputs=outputs)
    for name in PEOPLE:
        while slot := world.claim(name):
            tiers = [draw.choice([1, 2, 3, None] if question.settings["unranked"] != "none" else [1, 2, 3])
                     for _ in range(outputs)]  # fmt: skip
            tiers[draw.randrange(outputs)] = 1
            line = draw.randrange(4) if question.settings.get("acceptable_line") else None
            ranks = tuple(
                Rank(one.pk, tier, None if line is None or tier is None else tier <= line)
                for one, tier in zip(slot.task.completions.order_by("position"), tiers, strict=True)
            )
            ledger.submit(
                slot=slot,
                answers=[Given(question, value=RANKED, ranks=ranks)],
                idempotency_key=UUID(int=draw.getrandbits(128)),
            )


def in_folder(made: Export, folder: Path) -> Path:
    for file in made.files.select_related("blob"):
        (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / file.path).write_bytes(blobs.file_of(file.blob).read_bytes())
    return folder


def rebuilt(folder: Path, *options: str) -> dict[str, dict]:
    """What tests/rebuild.py makes of an export of raw judgements, in a Python that has nothing but its own library."""
    command = [sys.executable, "-I", "-S", str(PROJECT / "tests" / "rebuild.py"), str(folder), *options]
    done = subprocess.run(command, env={}, cwd="/", capture_output=True, text=True, encoding="utf-8", check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    found = {row["row_id"]: row for row in rows}
    assert len(found) == len(rows)
    return found


# --- Made again outside the app ---------------------------------------------------------------------------------------


ASKED = [
    ("preference", "judgement", "equal"),
    ("preference", "judgement", "one_coin"),
    ("preference", "consensus", "equal"),
    ("unpaired", "judgement", "equal"),
    ("unpaired", "judgement", "one_coin"),
    ("unpaired", "consensus", "equal"),
]


@pytest.mark.django_db
@pytest.mark.parametrize("unranked", ["none", "unknown", "below"])
def test_every_row_follows_from_the_raw_judgements(world, tmp_path, unranked):
    judged(world, 12, unranked=unranked, acceptable_line=True)
    raw = in_folder(export(world, kind="judgement"), tmp_path)
    for kind, unit, reliability in ASKED:
        options = {"ties": "soft"} if kind == "preference" else {}
        rows = rows_of(export(world, kind=kind, unit=unit, reliability=reliability, **options))
        found = rebuilt(raw, "--kind", kind, "--unit", unit, "--reliability", reliability)
        assert len(rows) == len(found) > 20
        for row in rows:
            check_again(row, found[row["row_id"]])


def check_again(row: dict, again: dict) -> None:
    assert again["weight"] == pytest.approx(row["weight"], rel=1e-5)
    if "completion" in row:
        assert (again["completion"], again["label"]) == (row["completion"][0]["content"], row["label"])
    else:
        assert (again["chosen"], again["rejected"]) == (row["chosen"][0]["content"], row["rejected"][0]["content"])
        assert again["soft_label"] == pytest.approx(row["soft_label"], abs=1e-4)


# --- The same bytes ---------------------------------------------------------------------------------------------------

ELSEWHERE = {
    "in Shanghai, in Chinese": {"TZ": "Asia/Shanghai", "TIME_ZONE": "Asia/Shanghai", "LC_ALL": "zh_CN.UTF-8",
                                "LANG": "zh_CN.UTF-8", "LANGUAGE": "zh_CN"},
    "in plain C": {"TZ": "UTC", "LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONHASHSEED": "1"},
    "west of today": {"TZ": "Pacific/Honolulu", "TIME_ZONE": "Pacific/Honolulu", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2"},
}  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_another_place_language_and_storage_give_the_same_bytes(world, tmp_path):
    judged(world, 8)
    made = in_folder(export(world, unit="consensus", test_share=Decimal("0.3")), tmp_path / "here")
    expected = {path.relative_to(made): path.read_bytes() for path in made.rglob("*") if path.is_file()}
    for number, variables in enumerate(ELSEWHERE.values()):
        out = tmp_path / str(number)
        environment = os.environ | {"DATABASE_URL": database_url(), "MEDIA_ROOT": str(tmp_path / f"media-{number}")}
        command = [sys.executable, "manage.py", "export_project", "kitchen", "--unit", "consensus"]
        subprocess.run(
            [*command, "--test-share", "0.3", "--out", str(out)],
            cwd=PROJECT, env=environment | variables, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        found = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        assert found.keys() == expected.keys()
        assert [path for path, content in found.items() if content != expected[path]] == []
        again = tmp_path / f"checked-{number}"
        again.mkdir()
        verified = subprocess.run([sys.executable, "-I", "-S", str(out / "verify.py")], cwd=again, env=variables)
        assert verified.returncode == 0


@pytest.mark.django_db
def test_no_file_holds_the_day_on_which_it_was_made(world, tmp_path):
    """But where a judgement of that day says when it was made."""
    judged(world, 3)
    made = export(world, unit="consensus")
    as_of = made.manifest["as_of"].encode()
    today = datetime.now(UTC).date().isoformat().encode()
    assert as_of.startswith(today)
    for path in in_folder(made, tmp_path).rglob("*"):
        if path.is_file():
            assert today not in path.read_bytes().replace(as_of, b""), path


@pytest.mark.django_db(transaction=True)
def test_several_workers_that_build_at_once_give_the_same_bytes_and_leave_nothing(world):
    judged(world, 20)
    expected = export(world).manifest_sha256
    with ExitStack() as workers:
        for _ in range(2):
            workers.enter_context(celery_worker())
        asked = [exports.request_export(project=world.project, actor=None) for _ in range(4)]
        built = Export.objects.filter(pk__in=[one.pk for one in asked]).exclude(manifest_sha256="")
        over = threading.Event()
        for _ in range(600):
            if built.count() == len(asked) or over.wait(0.1):
                break
    assert {one.manifest_sha256 for one in built} == {expected}
    assert built.count() == len(asked)
    assert list((Path(settings.MEDIA_ROOT) / "tmp").glob("export-*")) == []
