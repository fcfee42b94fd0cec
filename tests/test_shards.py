"""Large datasets in shards: the same bytes as in one piece, whoever renders them, and nothing lost when one dies."""

import os
import signal
import time
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.db import close_old_connections

from curation.models import InstanceSet, Shard
from curation.rendering import Renderer
from curation.services import blobs, instances, shards
from curation.tables import RowWriter, join, opened, stretch_of
from curation.tasks import build_instances, render_shard
from jobs.models import Job, JobError
from jobs.services import cancel, sweep
from tests import library
from tests.stack import celery_worker

State = Job.State
CHOOSING = (
    "{{ ['Shorten', 'Summarise', 'Condense'] | choice }}: {{ text }} ||| {% if id != 'r17' %}{{ short }}{% endif %}"
)
FEW_SHOT = {"kind": "few_shot", "shots": 2}


@pytest.fixture
def data(world):
    return library.dataset(library.rows(95), group_column="group")


def again(made: InstanceSet) -> InstanceSet:
    """Asked for once more, with nothing kept of the first time, and not begun yet."""
    over, by, seed = made.dataset, made.template, made.seed
    made.delete()
    return instances.request_instances(dataset=over, template=by, seed=seed, actor=None, send=False)


def tables(made: InstanceSet) -> tuple:
    made.refresh_from_db()
    return made.table_id, made.dropped_table_id, made.instances, made.dropped


# --- Files ------------------------------------------------------------------------------------------------------------

SCHEMA = pa.schema([("row", pa.int64()), ("text", pa.string()), ("list", pa.list_(pa.string()))])


def rows(start: int, stop: int) -> list[dict]:
    return [{"row": at, "text": f"text {at % 977}" * (at % 5), "list": ["a"] * (at % 3)} for at in range(start, stop)]


def write(path, start: int, stop: int):
    with RowWriter(path, SCHEMA) as writer:
        for row in rows(start, stop):
            writer.write(row)
    return path


@pytest.mark.parametrize("cuts", [[0, 25_000], [0, 1, 25_000], [0, 9_999, 10_001, 10_001, 24_000, 25_000], [0, 0]])
def test_files_in_pieces_become_the_bytes_of_one(tmp_path, cuts):
    whole = write(tmp_path / "whole", 0, cuts[-1])
    pieces = [write(tmp_path / f"{at}", cuts[at], cuts[at + 1]) for at in range(len(cuts) - 1)]
    assert join(pieces, tmp_path / "joined", SCHEMA) == cuts[-1]
    assert (tmp_path / "joined").read_bytes() == whole.read_bytes()


def test_a_stretch_of_a_file_is_read_from_any_row_to_any_other(tmp_path):
    path = tmp_path / "rows"
    with pq.ParquetWriter(path, SCHEMA) as writer:
        for start, stop in ((0, 7), (7, 8), (8, 30)):
            writer.write_table(pa.Table.from_pylist(rows(start, stop), SCHEMA))
    with opened(path) as file:
        for start in range(31):
            for stop in range(start, 31):
                found = [number for batch in stretch_of(file, start, stop, 4) for number in batch["row"].to_pylist()]
                assert found == list(range(start, stop))


# --- Rendering --------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("fields", [{}, FEW_SHOT])
@pytest.mark.parametrize("size", [1, 10, 94])
def test_in_shards_the_bytes_are_those_of_one_piece(data, monkeypatch, fields, size):
    first = library.instances(data, library.template(data, CHOOSING, **fields))
    expected = tables(first)
    assert expected[2:] == (94, {"empty_target": 1})
    monkeypatch.setattr(shards, "ROWS", size)
    second = again(first)
    build_instances(str(second.job_id))
    assert tables(second) == expected
    job = Job.objects.get(pk=second.job_id)
    assert (job.state, job.done, job.total) == (State.SUCCEEDED, 95, 95)
    assert Job.objects.filter(kind=shards.JOB, state=State.SUCCEEDED).count() == -(-95 // size)
    assert not Shard.objects.exists()


@pytest.mark.django_db
def test_other_workers_render_shards_and_the_whole_takes_what_they_made(data, monkeypatch):
    first = library.instances(data, library.template(data, CHOOSING))
    expected = tables(first)
    monkeypatch.setattr(shards, "ROWS", 10)
    second = again(first)
    real = shards._make_shards

    def and_others_come(*args):
        real(*args)
        for shard in Shard.objects.filter(number__in=(1, 4, 9)):
            render_shard(str(shard.job_id))

    monkeypatch.setattr(shards, "_make_shards", and_others_come)
    build_instances(str(second.job_id))
    assert tables(second) == expected


class Killed(BaseException):
    """As a signal would end the process: no `except Exception` sees it."""


@pytest.mark.django_db
def test_a_whole_that_is_killed_goes_on_with_the_shards_that_are_done(data, monkeypatch):
    first = library.instances(data, library.template(data, CHOOSING))
    expected = tables(first)
    monkeypatch.setattr(shards, "ROWS", 10)
    second = again(first)
    rendered = []
    real = Renderer.render

    def dies_at_the_fourth(self, rows):
        rendered.append(list(rows))
        if len(rendered) == 4:
            raise Killed
        return real(self, rendered[-1])

    with monkeypatch.context() as patched, suppress(Killed):
        patched.setattr(Renderer, "render", dies_at_the_fourth)
        build_instances(str(second.job_id))
    assert Shard.objects.exclude(table=None).count() == 3
    Job.objects.filter(state=State.RUNNING).update(heartbeat_at="2020-01-01T00:00Z")
    assert sweep()["requeued"] == 2  # the whole, and the shard it was at
    begun = Job.objects.filter(kind=shards.JOB, attempt=1, state=State.SUCCEEDED).count()
    build_instances(str(second.job_id))
    assert tables(second) == expected
    assert (begun, Job.objects.filter(kind=shards.JOB).count()) == (3, 10)  # none was made twice


@pytest.mark.django_db
def test_a_template_that_fails_on_a_row_of_a_shard_fails_the_whole_with_that_row(data, monkeypatch):
    monkeypatch.setattr(shards, "ROWS", 10)
    made = library.instances(data, library.template(data, "{{ text }} ||| {{ 1 // (id != 'r34') }}"))
    assert made.job.state == State.FAILED
    assert made.job.error.startswith("Row 34, line 1: The template failed: ZeroDivisionError")
    assert not made.whole
    for job in Job.objects.filter(kind=shards.JOB, state=State.QUEUED):
        render_shard(str(job.pk))  # what is still in the queue ends without being rendered
    states = set(Job.objects.filter(kind=shards.JOB).values_list("state", flat=True))
    assert states == {State.SUCCEEDED, State.FAILED}
    fresh = library.instances(data, made.template)  # starts anew, with no shard of the one before
    assert fresh.pk != made.pk and Shard.objects.filter(instance_set=fresh).count() == 10
    for job in Job.objects.filter(kind=shards.JOB):
        render_shard(str(job.pk))  # of shards that are gone too: nothing happens


@pytest.mark.django_db
def test_one_that_is_cancelled_stops_and_can_be_asked_for_again(data, monkeypatch):
    monkeypatch.setattr(shards, "ROWS", 10)
    made = instances.request_instances(
        dataset=data, template=library.template(data, CHOOSING), seed="s", actor=None, send=False
    )
    real = shards.render_stretch

    def cancelled_meanwhile(*args):
        cancel(job=Job.objects.get(pk=made.job_id))
        return real(*args)

    with monkeypatch.context() as patched:
        patched.setattr(shards, "render_stretch", cancelled_meanwhile)
        build_instances(str(made.job_id))
    made.refresh_from_db()
    assert (made.whole, Job.objects.get(pk=made.job_id).error) == (False, "It was cancelled.")
    assert not Job.objects.filter(state=State.RUNNING).exists()
    assert library.instances(data, made.template, seed="s").whole


@pytest.mark.django_db
def test_a_shard_of_a_whole_that_has_ended_is_not_rendered(data, monkeypatch):
    monkeypatch.setattr(shards, "ROWS", 10)
    made = instances.request_instances(
        dataset=data, template=library.template(data, CHOOSING), seed="s", actor=None, send=False
    )
    with blobs.workspace("test") as folder:
        shards._make_shards(made, Job.objects.get(pk=made.job_id), folder)
    Job.objects.filter(pk=made.job_id).update(state=State.FAILED, error="x", finished_at="2026-01-01T00:00Z")
    shard = Shard.objects.first()
    render_shard(str(shard.job_id))
    assert Job.objects.get(pk=shard.job_id).state == State.FAILED
    with pytest.raises(JobError, match="ended"):
        shards.build(made, Job.objects.get(pk=made.job_id), folder)


# --- Real workers -----------------------------------------------------------------------------------------------------


def until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
        close_old_connections()


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_killed_in_its_shard_costs_that_shard_only(world, monkeypatch):
    """Two real workers; one is killed with SIGKILL while it renders. The bytes are those of one process."""
    slow = "{% for x in range(3000) %}{% endfor %}" + CHOOSING
    rows_of_two_shards = library.rows(shards.ROWS + 2000)
    data = library.dataset(rows_of_two_shards)
    by = library.template(data, slow)
    with celery_worker() as first:
        made = instances.request_instances(dataset=data, template=by, seed="s", actor=None)
        until(lambda: Job.objects.filter(kind=shards.JOB, state=State.RUNNING, done__gt=0).exists())
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    assert not InstanceSet.objects.get(pk=made.pk).whole
    Job.objects.filter(state=State.RUNNING).update(heartbeat_at="2020-01-01T00:00Z")
    sweep()
    with celery_worker(), celery_worker():
        sweep()
        until(lambda: InstanceSet.objects.get(pk=made.pk).whole, 300)
    expected = tables(made)
    whole = again(InstanceSet.objects.get(pk=made.pk))
    monkeypatch.setattr(shards, "ROWS", 10**9)
    build_instances(str(whole.job_id))
    assert tables(whole) == expected
