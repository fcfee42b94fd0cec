"""Many people at once, and processes that die: on real ones, over HTTP, with the figures recorded.

PLUMBLINE_LOAD_TASKS sets the number of tasks: the suite takes fewer, `make accept-workplace` two thousand.
"""

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import psutil
import pytest
from celery import current_app
from django.db import transaction
from django.db.models import Count, F

from annotate.models import Annotation, Slot, Task
from annotate.services import ledger
from curation.models import Export
from curation.services import exports
from jobs.models import Job
from tests.crowd import PEOPLE, TABS, Tab, end_some_lease, meanwhile, no_place_is_left, sessions_of_a_crowd, watch
from tests.known import known_tasks
from tests.stack import celery_beat, celery_worker, web_processes, web_server

pytestmark = pytest.mark.django_db(transaction=True)
TASKS, OVERLAP = int(os.environ.get("PLUMBLINE_LOAD_TASKS", "40")), 3


def work_off(address: str, sessions: list[str], done: threading.Event, deaths: float = 0.0) -> list[Tab]:
    """Let two tabs of everybody work until `done`, and give them with what they saw."""
    with ThreadPoolExecutor(PEOPLE * TABS) as pool:
        tabs = [Tab(address, session, seed, done, deaths) for seed, session in enumerate(sessions * TABS)]
        return list(pool.map(Tab.work, tabs))


def check(tabs: list[Tab], record_property) -> None:
    """What must hold of the ledger and of what the tabs were told, whatever happened. Records the figures."""
    tasks = Task.objects.filter(purpose=Task.Purpose.WORK)
    targets = dict(tasks.values_list("pk", "target_overlap"))
    counting = Counter(Slot.objects.counting().values_list("task_id", flat=True))
    over = sum(number > targets[task] for task, number in counting.items())
    short = sum(counting[task] < target for task, target in targets.items())
    held = Slot.objects.exclude(holder=None).values("task", "holder").annotate(n=Count("pk")).filter(n__gt=1).count()
    keys = {key for tab in tabs for key in tab.acknowledged}
    acknowledged = sum(len(tab.acknowledged) for tab in tabs)
    rows = Annotation.objects.filter(idempotency_key__in=keys).count()
    statuses = sum((tab.statuses for tab in tabs), Counter())
    errors = sum(number for status, number in statuses.items() if status >= 400)
    others = Slot.objects.exclude(task__purpose=Task.Purpose.WORK).filter(status=Slot.Status.SUBMITTED).count()
    lost = dict(Slot.objects.filter(status__in=["expired", "extra"]).values_list("status").annotate(Count("pk")))
    record_property(
        "figure",
        f"{counting.total()} of {sum(targets.values())} places filled on {len(targets)} tasks, {over} tasks over target, "
        f"{held} (task, annotator) twice, {rows} rows for {acknowledged} acknowledged answers, {errors} responses of 400 or "
        f"more in {statuses.total()}; {sum(tab.killed for tab in tabs)} clients killed, {lost.get('expired', 0)} leases "
        f"ended unanswered, {lost.get('extra', 0)} late answers kept as extra, {others} answers to tasks that are not work",
    )
    assert (over, short, held, errors) == (0, 0, 0, 0)
    assert counting.total() == sum(targets.values())
    assert rows == acknowledged == len(keys)


def test_24_clients_of_12_people_fill_every_place_once(world, record_property):
    """While clients die in the middle of an answer, and leases end under those who are at work."""
    sessions, done = sessions_of_a_crowd(world), threading.Event()
    world.project.overlap = OVERLAP
    world.tasks(TASKS, outputs=3)
    with web_server() as address, meanwhile(end_some_lease, watch(done, no_place_is_left)):
        tabs = work_off(address, sessions, done, deaths=0.03)
    assert Slot.objects.counting().count() == TASKS * OVERLAP
    assert sum(tab.killed for tab in tabs)
    check(tabs, record_property)


def test_with_gold_languages_places_added_and_late_answers_every_count_still_holds(world, record_property):
    """Half of the crowd knows Chinese; a tenth of the tasks gets a place more while it is judged."""
    sessions = sessions_of_a_crowd(world, languages=lambda number: ["en", "zh"] if number % 2 else ["en"])
    world.project.overlap, world.project.max_overlap, world.project.gold_percent = OVERLAP, OVERLAP + 2, 5
    world.project.save()
    tasks = [*world.tasks(TASKS // 4, language="en"), *world.tasks(TASKS // 4, language="zh-Hans")]
    known_tasks(world, 10)
    grown, done = threading.Event(), threading.Event()
    left = iter(random.Random(1).sample(tasks, len(tasks) // 10))

    def add_a_place(_luck: random.Random) -> None:
        task = next(left, None)
        if task:
            assert ledger.add_place(task=task)
        else:
            grown.set()

    finished = watch(done, lambda: grown.is_set() and no_place_is_left())
    with web_server() as address, meanwhile(end_some_lease, add_a_place, finished):
        tabs = work_off(address, sessions, done, deaths=0.03)
    check(tabs, record_property)
    assert Task.objects.filter(target_overlap=OVERLAP + 1).count() == len(tasks) // 10
    chinese = Slot.objects.filter(task__language="zh-Hans").exclude(holder=None)
    assert not chinese.exclude(holder__languages__contains=["zh"]).exists()
    assert Slot.objects.filter(task__purpose=Task.Purpose.GOLD, status=Slot.Status.SUBMITTED).exists()


def test_with_the_web_processes_killed_under_load_nothing_is_lost_or_doubled(world, record_property):
    """All processes of the web server are killed with -9, three times, and started anew at the same port."""
    sessions, done = sessions_of_a_crowd(world), threading.Event()
    world.project.overlap = OVERLAP
    world.tasks(TASKS // 2, outputs=3)
    with ExitStack() as servers:
        address, process = servers.enter_context(web_processes())
        port, kills = int(address.rsplit(":", 1)[1]), 0

        def kill_and_start_again(_luck: random.Random) -> None:
            nonlocal process, kills
            if kills == 3 or done.wait(1.5):
                return
            kills += 1
            kill_all(process)
            _, process = servers.enter_context(web_processes(port))

        with meanwhile(kill_and_start_again, end_some_lease, watch(done, no_place_is_left)):
            tabs = work_off(address, sessions, done)
    assert kills >= 2
    record_property("figure", f"{kills} times killed")
    check(tabs, record_property)
    assert not Slot.objects.filter(status=Slot.Status.SUBMITTED).exclude(current_annotation__slot=F("pk")).exists()


def kill_all(process: subprocess.Popen) -> None:
    """SIGKILL for the master and its workers, the master first, so that it cannot make new ones."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
    psutil.wait_procs(children, timeout=10)


def test_an_export_whose_worker_is_killed_is_built_again_by_itself_with_the_same_bytes(world, record_property):
    for _ in world.tasks(150):
        for name in ("ana", "ben"):
            world.answer(world.claim(name), 1, 2, 3)
    quick = {"JOB_STALE_SECONDS": "2"}
    with celery_worker(**quick):
        undisturbed = _wait_until_built(exports.request_export(project=world.project, actor=None))
    with celery_worker(**quick) as doomed:
        killed = exports.request_export(project=world.project, actor=None, send=False)
        with transaction.atomic():  # our lock on the row holds the build where it writes its selection down
            Export.objects.select_for_update().get(pk=killed.pk)
            current_app.send_task(exports.JOB, args=[str(killed.job_id)])
            _wait_for(Job.objects.filter(pk=killed.job_id, state=Job.State.RUNNING).exists)
            time.sleep(0.5)
            doomed.kill()
            doomed.wait()
    assert not Export.objects.get(pk=killed.pk).built
    with celery_worker(**quick), celery_beat(**quick):  # nothing else: the sweep has to find it
        again = _wait_until_built(killed)
    attempts = Job.objects.get(pk=killed.job_id).attempt
    record_property("figure", f"attempt {attempts} finished it, manifest {again.manifest_sha256[:16]} both times")
    assert attempts == 2
    assert again.manifest_sha256 == undisturbed.manifest_sha256


def _wait_for(true) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it did not happen within a minute"
        time.sleep(0.02)


def _wait_until_built(export: Export) -> Export:
    _wait_for(lambda: Export.objects.get(pk=export.pk).built)
    return Export.objects.get(pk=export.pk)
