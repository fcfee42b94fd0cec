"""Exports: what is in, the same bytes each time, and nothing half done."""

import hashlib
import json
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command

from annotate.models import Annotator
from annotate.services import ledger
from annotate.services.enrolments import enrol
from annotate.services.tasks import NewCompletion, NewTask, add_tasks, sha256
from curation.exporting.splits import is_held_out
from curation.models import Export
from curation.services import blobs, exports, loading, selecting
from curation.tasks import build_export
from jobs.models import Job

pytestmark = pytest.mark.django_db


def export(world, **options) -> Export:
    made = exports.request_export(project=world.project, actor=world.users["mina"], send=False, **options)
    build_export(str(made.job_id))
    made.refresh_from_db()
    return made


def rows_of(made: Export) -> list[dict]:
    paths = made.files.filter(path__startswith=f"{made.kind}/")
    return [row for file in paths for row in pq.read_table(blobs.file_of(file.blob)).to_pylist()]


def judged(world, count=3):
    for _ in world.tasks(count):
        for name in ("ana", "ben"):
            world.answer(world.claim(name), 1, 2, 2)


def test_rows_are_the_strict_pairs_with_prompt_and_messages(world):
    task = world.tasks()[0]
    annotation = world.answer(world.claim("ana"), 2, 1, 2)
    made = export(world, test_share=Decimal(0))
    number = task.name.removeprefix("task-")
    found = rows_of(made)
    assert [(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in found] == [
        (f"Answer 2 to {number}", f"Answer 1 to {number}"),
        (f"Answer 2 to {number}", f"Answer 3 to {number}"),
    ]
    assert found[0] == {
        "prompt": [{"role": "user", "content": f"Question {number}?"}],
        "chosen": [{"role": "assistant", "content": f"Answer 2 to {number}"}],
        "rejected": [{"role": "assistant", "content": f"Answer 1 to {number}"}],
        "weight": pytest.approx(1 / 3),
        "rank_gap": 1,
        "prompt_id": task.prompt_sha256,
        "pair_id": found[0]["pair_id"],
        "row_id": f"{found[0]['pair_id']}/{annotation.pk}",
        "question": "overall",
        "task": task.name,
        "language": "",
        "annotation": annotation.pk,
        "annotations": [annotation.pk],
        "annotator": world.annotator("ana").pseudonym,
        "annotators": [world.annotator("ana").pseudonym],
        "split_group": task.split_group,
    }
    assert made.manifest["counts"] == {
        "annotators_person": 1, "comparisons": 3, "judgements": 1, "prompts": 1, "prompts_in_both_splits": 0, "rows": 2,
        "ties": 1, "ties_dropped": 1, "unknown": 0, "unordered": 0,
    }  # fmt: skip


def test_the_same_request_gives_the_same_bytes(world):
    judged(world)
    first, second = export(world), export(world)
    assert first.manifest_sha256 == second.manifest_sha256
    assert dict(first.files.values_list("path", "blob")) == dict(second.files.values_list("path", "blob"))


def test_the_manifest_tells_the_truth_about_every_file(world):
    judged(world, 10)
    made = export(world)
    paths = set(made.files.values_list("path", flat=True))
    assert paths == {entry["path"] for entry in made.manifest["files"]} | {"manifest.json"}
    for entry in made.manifest["files"]:
        data = blobs.file_of(made.files.get(path=entry["path"]).blob).read_bytes()
        assert (entry["bytes"], entry["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    jsonl = made.files.filter(path__startswith="jsonl/")
    twins = [json.loads(line) for file in jsonl for line in blobs.file_of(file.blob).read_text().splitlines()]
    assert twins == rows_of(made)


def test_batches_leave_no_trace_in_the_bytes(world, monkeypatch):
    judged(world, 8)
    first = export(world)
    monkeypatch.setattr(loading, "BATCH", 3)
    assert export(world).manifest_sha256 == first.manifest_sha256


def test_a_split_without_rows_has_no_file(world):
    judged(world)
    made = export(world, test_share=Decimal(0))
    assert not made.files.filter(path__contains="test").exists()
    readme = blobs.file_of(made.files.get(path="README.md").blob).read_text()
    assert "test-00000" not in readme


def test_a_build_that_was_killed_goes_on_from_its_selection(world):
    judged(world)
    killed = exports.request_export(project=world.project, actor=None, send=False)
    with blobs.workspace("test") as folder:
        selecting.select(killed, folder)
    world.tasks()
    world.answer(world.claim("ana"), 3, 2, 1)  # arrives after the selection, before the second attempt
    build_export(str(killed.job_id))
    killed.refresh_from_db()
    assert killed.manifest["counts"]["judgements"] == 6
    assert export(world).manifest["counts"]["judgements"] == 7


def test_what_does_not_count_stays_out(world):
    world.tasks(2)
    ledger.skip(slot=world.claim("ana"), kind="other", reason="too hard")
    world.answer(world.claim("ana"), 1, 2, 3)
    enrol(project=world.project, user=world.users["otto"])
    made = export(world)
    assert made.manifest["counts"]["judgements"] == 1


def test_only_the_latest_revision_of_an_answer_is_in(world):
    world.tasks()
    slot = world.claim("ana")
    world.answer(slot, 1, 2, 3)
    latest = world.answer(slot, 3, 2, 1)
    assert {row["annotation"] for row in rows_of(export(world))} == {latest.pk}


def test_nothing_to_export_is_a_failed_job_that_says_so(world):
    made = export(world)
    made.job.refresh_from_db()
    assert (made.built, made.job.state) == (False, Job.State.FAILED)
    assert "nothing to export yet" in made.job.error


def test_an_empty_output_gives_no_row_and_is_counted(world):
    task = world.tasks()[0]
    task.completions.filter(name="o1").update(text="")
    world.answer(world.claim("ana"), 3, 1, 2)
    made = export(world, test_share=Decimal(0))
    assert [row["rank_gap"] for row in rows_of(made)] == [1]
    assert made.manifest["counts"]["empty_outputs"] == 2


def test_a_prompt_whose_groups_fall_on_both_sides_is_left_out_and_counted(world):
    outside = next(str(n) for n in range(100) if is_held_out(sha256(str(n).encode()), "plumbline", 0.2))
    inside = next(str(n) for n in range(100) if not is_held_out(sha256(str(n).encode()), "plumbline", 0.2))
    outputs = [NewCompletion("a", "x"), NewCompletion("b", "y")]
    turns = [{"role": "user", "content": "same"}]
    new = [NewTask(name=group, conversation=turns, completions=outputs, group=group) for group in (outside, inside)]
    judged(world, 2)
    add_tasks(project=world.project, tasks=new)
    while slot := world.claim("ana"):
        world.answer(slot, 1, 2)
    made = export(world)
    assert made.manifest["counts"]["prompts_in_both_splits"] == 1
    assert "same" not in {row["prompt"][0]["content"] for row in rows_of(made)}


@pytest.mark.parametrize("share", ["-0.1", "0.95", "many"])
def test_a_share_that_makes_no_sense_is_refused_and_leaves_no_job(world, share):
    with pytest.raises(ValidationError):
        exports.request_export(project=world.project, actor=None, test_share=share, send=False)
    assert not Job.objects.exists()


def test_the_command_writes_the_same_folder(world, tmp_path):
    judged(world)
    made = export(world)
    call_command("export_project", "kitchen", out=tmp_path / "out")
    for file in made.files.all():
        assert (tmp_path / "out" / file.path).read_bytes() == blobs.file_of(file.blob).read_bytes()


def test_judges_of_other_kinds_are_in_the_rows_but_not_in_the_agreement(world):
    judged(world, 1)
    Annotator.objects.filter(user=world.users["ben"]).update(kind=Annotator.Kind.SIMULATED)
    made = export(world, test_share=Decimal(0))
    assert {row["annotator"] for row in rows_of(made)} == {world.annotator(name).pseudonym for name in ("ana", "ben")}
    assert made.manifest["agreement"][0]["undefined_because"]
