"""Jobs: the row is the truth, a message only says where to look, and no job is lost or done by two at once."""

import json
import logging
import socket
import threading
import time
from datetime import timedelta

import pytest
import redis
from celery import Celery
from celery import current_app as celery_app
from django.conf import settings as site_settings
from django.db import OperationalError, close_old_connections, connection
from django.utils import timezone

from jobs import services
from jobs.models import Job, JobError, JobLost
from jobs.services import attempt, enqueue, sweep
from tests.world import World

State = Job.State
KIND = "tests.nothing"  # no worker knows it: these tests are the worker
pytestmark = pytest.mark.django_db


@pytest.fixture
def broker():
    """The real broker, with nothing in it."""
    client = redis.Redis.from_url(site_settings.REDIS_URL)
    client.delete("celery")
    yield client
    client.delete("celery")
    client.close()


def messages(broker) -> list[str]:
    """The ids of the jobs that the workers have been told of, oldest first."""
    sent = [json.loads(raw)["headers"] for raw in reversed(broker.lrange("celery", 0, -1))]
    assert {header["task"] for header in sent} <= {KIND}
    return [header["argsrepr"].strip("[]'\"") for header in sent]


def new(**fields) -> Job:
    return enqueue(kind=KIND, parameters={"a": 1}, actor=None, **{"send": False} | fields)


def running(attempts: int = 1, silent_for: float = 0) -> Job:
    """A job whose worker was last heard of some seconds ago."""
    job = new()
    Job.objects.filter(pk=job.pk).update(
        state=State.RUNNING,
        attempt=attempts,
        sent_at=timezone.now(),
        heartbeat_at=timezone.now() - timedelta(seconds=silent_for),
    )
    job.refresh_from_db()
    return job


def take_over(job: Job) -> None:
    """What happens to a job whose worker is taken for dead: swept, then begun by another one."""
    Job.objects.filter(pk=job.pk).update(attempt=job.attempt + 1)


# --- Starting ---------------------------------------------------------------------------------------------------------


def test_a_job_is_sent_when_the_transaction_commits_and_not_before(broker, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        job = new(send=True)
        assert messages(broker) == []
    job.refresh_from_db()
    assert messages(broker) == [str(job.pk)]
    assert (job.state, job.attempt, job.parameters, job.ended) == (State.QUEUED, 0, {"a": 1}, False)
    assert job.sent_at is not None


def test_a_job_for_its_starter_s_own_process_is_not_sent(broker, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        new(send=False)
    assert callbacks == [] and messages(broker) == []


def test_of_one_key_there_is_one_unfinished_job(broker, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        first = new(key="k", send=True)
        assert new(key="k", send=True) == first
        with attempt(first.pk):
            assert new(key="k", send=True) == first
        second = new(key="k", send=True)
    assert second != first
    assert new(key="other") != second
    assert enqueue(kind="tests.other", parameters={}, actor=None, key="k", send=False) != second
    assert new() != new()  # without a key there is no limit
    assert messages(broker) == [str(first.pk), str(second.pk)]


@pytest.mark.django_db(transaction=True)
def test_many_who_ask_at_once_for_one_key_get_one_job(broker):
    got, gate = [], threading.Barrier(8)

    def ask() -> None:
        gate.wait()
        got.append(new(key="k").pk)
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8 and len(set(got)) == 1 == Job.objects.count()


@pytest.mark.parametrize(
    "address", ["redis://127.0.0.1:{port}/0", "redis+socket:///nowhere/valkey.sock?virtual_host=0"]
)
def test_a_broker_that_is_down_breaks_nothing_and_the_sweep_sends_later(
    broker, monkeypatch, caplog, django_capture_on_commit_callbacks, address
):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Celery("dead", set_as_current=False) as dead:
        dead.config_from_object("django.conf:settings", namespace="CELERY")
        dead.conf.broker_url = address.format(port=port)
        monkeypatch.setattr(services, "current_app", dead)
        began = time.monotonic()
        with django_capture_on_commit_callbacks(execute=True):
            job = new(send=True)
        assert time.monotonic() - began < 5  # somebody waits for the page
    job.refresh_from_db()
    assert job.state == State.QUEUED and "broker away" in caplog.text
    monkeypatch.setattr(services, "current_app", celery_app)
    past = timezone.now() - timedelta(seconds=site_settings.JOB_STALE_SECONDS + 1)
    Job.objects.update(created_at=past, sent_at=past)
    assert sweep() == {"failed": 0, "requeued": 0, "sent": 1}
    assert messages(broker) == [str(job.pk)]


# --- Running ----------------------------------------------------------------------------------------------------------


def test_a_job_that_returns_has_succeeded(db):
    job = new()
    with attempt(job.pk) as mine:
        assert (mine, mine.state, mine.attempt) == (job, State.RUNNING, 1)
        assert mine.heartbeat_at is not None
        mine.advance(3, 12, "half way")
        job.refresh_from_db()
        assert (job.done, job.total, job.message, job.percent) == (3, 12, "half way", 25)
    job.refresh_from_db()
    assert (job.state, job.error, job.ended) == (State.SUCCEEDED, "", True)
    assert job.finished_at is not None


def test_a_job_error_is_told_to_whoever_started_it(db):
    job = new()
    with attempt(str(job.pk)):
        raise JobError("There is nothing to export.")
    job.refresh_from_db()
    assert (job.state, job.error) == (State.FAILED, "There is nothing to export.")
    assert job.finished_at is not None


def test_any_other_error_fails_the_job_and_says_nothing_of_its_inside(db, caplog):
    job = new()
    with attempt(job.pk):
        raise ZeroDivisionError("a secret of the inside")
    job.refresh_from_db()
    assert job.state == State.FAILED and "worker's log" in job.error and "secret" not in job.error
    assert "a secret of the inside" in caplog.text


def test_a_lost_database_leaves_the_job_to_the_sweep(db, caplog):
    caplog.set_level(logging.CRITICAL)
    job = new()
    with pytest.raises(OperationalError), attempt(job.pk):
        raise OperationalError("server closed the connection")
    job.refresh_from_db()
    assert (job.state, job.finished_at) == (State.RUNNING, None)


def test_a_job_is_begun_by_one_only_and_not_again_when_it_has_ended(db):
    job = new()
    with attempt(job.pk) as first, attempt(job.pk) as second:
        assert (first, second) == (job, None)
    with attempt(job.pk) as late:
        assert late is None
    with attempt("00000000-0000-0000-0000-000000000000") as unknown:
        assert unknown is None
    job.refresh_from_db()
    assert (job.attempt, job.state) == (1, State.SUCCEEDED)


def test_progress_starts_again_with_a_second_attempt(db):
    job = running(silent_for=10_000)
    Job.objects.update(done=5, message="of the first")
    sweep()
    with attempt(job.pk) as mine:
        assert (mine.attempt, mine.done, mine.message) == (2, 0, "")


def test_a_worker_whose_job_was_taken_over_stops_and_writes_nothing(db, caplog):
    job = new()
    with attempt(job.pk) as mine:
        mine.advance(1)
        take_over(mine)
        with pytest.raises(JobLost):
            mine.advance(2)
        mine.advance(3)  # as a worker would that does not catch it
    job.refresh_from_db()
    assert (job.state, job.attempt, job.done) == (State.RUNNING, 2, 1)
    assert "taken over" in caplog.text


@pytest.mark.parametrize("error", [None, JobError("late"), RuntimeError("late")])
def test_the_end_of_an_attempt_that_was_taken_over_changes_nothing(db, error):
    job = new()
    with attempt(job.pk) as mine:
        take_over(mine)
        if error:
            raise error
    job.refresh_from_db()
    assert (job.state, job.error, job.finished_at) == (State.RUNNING, "", None)


def test_rows_are_tracked_as_they_pass(db):
    with attempt(new().pk) as job:
        seen = [(row, Job.objects.get().done) for row in job.track("abcde", total=5, every=2)]
        assert seen == [("a", 0), ("b", 0), ("c", 2), ("d", 2), ("e", 4)]
        job.refresh_from_db()
        assert (job.done, job.percent) == (5, 100)
        assert list(job.track([])) == [] and job.done == 0


@pytest.mark.django_db(transaction=True)
def test_the_heart_beats_while_a_worker_is_deep_in_one_long_statement(settings):
    settings.JOB_STALE_SECONDS = 1
    job = new()
    with attempt(job.pk) as mine, connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(2.5)")
        assert sweep() == {"failed": 0, "requeued": 0, "sent": 0}
        job.refresh_from_db()
        assert job.heartbeat_at > mine.heartbeat_at + timedelta(seconds=1.5)
    assert [thread.name for thread in threading.enumerate() if "heartbeat" in thread.name] == []
    job.refresh_from_db()
    ended, _ = job.heartbeat_at, time.sleep(0.5)
    job.refresh_from_db()
    assert (job.state, job.heartbeat_at) == (State.SUCCEEDED, ended)
    close_old_connections()


# --- Sweeping ---------------------------------------------------------------------------------------------------------


def test_a_job_whose_worker_is_silent_goes_back_and_is_sent_again(broker):
    dead, alive = running(silent_for=31), running(silent_for=20)
    assert sweep() == {"failed": 0, "requeued": 1, "sent": 1}
    dead.refresh_from_db()
    alive.refresh_from_db()
    assert (dead.state, dead.attempt, alive.state) == (State.QUEUED, 1, State.RUNNING)
    assert messages(broker) == [str(dead.pk)]
    assert sweep() == {"failed": 0, "requeued": 0, "sent": 0}  # it has just been sent
    with attempt(dead.pk) as mine:
        assert mine.attempt == 2


def test_a_job_that_kills_its_workers_is_given_up(broker):
    killer, last = running(Job.MAX_ATTEMPTS, silent_for=31), running(Job.MAX_ATTEMPTS - 1, silent_for=31)
    assert sweep() == {"failed": 1, "requeued": 1, "sent": 1}
    killer.refresh_from_db()
    assert killer.state == State.FAILED and "died 5 times" in killer.error and killer.finished_at
    assert messages(broker) == [str(last.pk)]


def test_a_job_whose_message_was_lost_is_sent_again(broker):
    lost, fresh, done = new(), new(), new()
    past = timezone.now() - timedelta(seconds=31)
    Job.objects.filter(pk=lost.pk).update(created_at=past, sent_at=past)
    with attempt(done.pk):
        pass
    assert sweep() == {"failed": 0, "requeued": 0, "sent": 1}
    assert messages(broker) == [str(lost.pk)]
    Job.objects.filter(pk=fresh.pk).update(created_at=past)  # never sent at all
    assert sweep()["sent"] == 1
    assert messages(broker) == [str(lost.pk), str(fresh.pk)]


# --- The fragment -----------------------------------------------------------------------------------------------------


def test_progress_is_shown_to_its_starter_and_to_admins(world: World):
    job = enqueue(kind=KIND, parameters={}, actor=world.users["mina"], send=False)
    address = f"/jobs/{job.pk}/"
    shown = {name: world.client(name).get(address).status_code for name in ("mina", "ada", "rita", "ana", "otto")}
    assert shown == {"mina": 200, "ada": 200, "rita": 404, "ana": 404, "otto": 404}


def test_the_fragment_asks_again_until_the_job_has_ended(world: World):
    job = enqueue(kind=KIND, parameters={}, actor=world.users["mina"], send=False)
    client, address, htmx = world.client("mina"), f"/jobs/{job.pk}/", {"HX-Request": "true"}
    assert f'hx-get="{address}"' in client.get(address, headers=htmx).text
    with attempt(job.pk) as mine:
        mine.advance(3, 4, "Writing <rows>")
        page = client.get(address, headers=htmx)
        assert 'value="75"' in page.text and "Writing &lt;rows&gt;" in page.text and "HX-Refresh" not in page.headers
        raise JobError("No <b>rows</b>.")
    page = client.get(address, headers=htmx)
    assert "hx-get" not in page.text and "No &lt;b&gt;rows&lt;/b&gt;." in page.text
    assert page.headers["HX-Refresh"] == "true"
    assert "HX-Refresh" not in client.get(address).headers


# --- Ending one early, and how fast it is -----------------------------------------------------------------------------


def test_a_job_that_is_cancelled_stops_its_worker_and_has_failed(db, caplog):
    job = new()
    with services.attempt(job.pk) as mine:
        assert services.cancel(job=job)
        with pytest.raises(JobLost, match="cancelled"):
            mine.advance(1)
        mine.advance(2)
    job.refresh_from_db()
    assert (job.state, job.error, job.done) == (State.FAILED, "It was cancelled.", 0)
    assert not services.cancel(job=job)  # it has ended


def test_a_job_that_waits_is_cancelled_and_then_not_begun(db):
    job = new()
    assert services.cancel(job=job)
    with services.attempt(job.pk) as mine:
        assert mine is None


def test_only_its_starter_and_admins_cancel_a_job(world: World):
    job = enqueue(kind=KIND, parameters={}, actor=world.users["mina"], send=False)
    for name in ("rita", "otto"):
        assert world.client(name).post(f"/jobs/{job.pk}/cancel/").status_code == 404
    assert world.client("mina").get(f"/jobs/{job.pk}/cancel/").status_code == 405
    for there, back in (
        ("/datasets/", "/datasets/"),
        ("https://elsewhere.example/", "/"),
        ("//elsewhere.example", "/"),
    ):
        assert world.client("mina").post(f"/jobs/{job.pk}/cancel/", {"next": there})["Location"] == back
    job.refresh_from_db()
    assert job.state == State.FAILED


def test_a_job_says_how_fast_it_is_and_how_long_it_will_take():
    begun = timezone.now() - timedelta(seconds=100)
    job = Job(started_at=begun, finished_at=begun + timedelta(seconds=100), done=500, total=3500)
    assert (job.rate, job.minutes_left) == (5.0, 10)
    assert Job(started_at=begun, finished_at=begun + timedelta(seconds=1), done=9, total=10).minutes_left == 1
    assert (Job(done=5, total=9).rate, Job(started_at=begun, total=9).minutes_left) == (None, None)
    assert Job(started_at=begun, done=5).minutes_left is None
