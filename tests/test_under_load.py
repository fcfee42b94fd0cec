"""Many people at once, and workers that die: on real processes, over HTTP, with the figures recorded."""

import random
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from celery import current_app
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client

from annotate.models import Slot
from annotate.services.projects import enrol
from curation.models import Export
from curation.services import exports
from jobs.models import Job
from tests.stack import celery_beat, celery_worker, web_server

pytestmark = pytest.mark.django_db(transaction=True)
CSRF = "a" * 32
PEOPLE, TABS, TASKS, OVERLAP = 12, 2, 400, 3


class Tab:
    """One browser tab of an annotator: claims, reads the page, ranks at random, until there is nothing more."""

    def __init__(self, address: str, session: str, seed: int) -> None:
        self.statuses: Counter[int] = Counter()
        self.luck = random.Random(seed)
        self.http = httpx.Client(
            base_url=address,
            cookies={"sessionid": session, "csrftoken": CSRF},
            headers={"X-CSRFToken": CSRF},
            timeout=60,
        )

    def request(self, method: str, path: str, **options) -> httpx.Response:
        response = self.http.request(method, path, **options)
        self.statuses[response.status_code] += 1
        return response

    def work(self) -> Counter[int]:
        while "/work/" in (address := self.request("POST", "/projects/kitchen/claim/").headers.get("location", "")):
            page = self.request("GET", address).text
            answer = {name: str(self.luck.randint(1, 3)) for name in set(re.findall(r'name="(tier_[A-I])"', page))}
            answer["key"] = re.search(r'name="key" value="([^"]+)"', page)[1]
            self.request("POST", f"{address}submit/", data=answer, headers={"HX-Request": "true"})
        self.http.close()
        return self.statuses


@pytest.fixture
def crowd(world) -> list[str]:
    """The sessions of twelve annotators."""
    sessions = []
    for number in range(PEOPLE):
        user = User.objects.create_user(f"person{number}")
        enrol(project=world.project, user=user)
        client = Client()
        client.force_login(user)
        sessions.append(client.cookies["sessionid"].value)
    return sessions


def test_24_clients_of_12_people_fill_every_place_once(world, crowd, record_property):
    world.project.overlap = OVERLAP
    world.tasks(TASKS, outputs=3)
    with web_server() as address, ThreadPoolExecutor(PEOPLE * TABS) as pool:
        tabs = [Tab(address, session, seed) for seed, session in enumerate(crowd * TABS)]
        statuses = sum(pool.map(Tab.work, tabs), Counter())
    counting = Slot.objects.counting().filter(project=world.project).count()
    per_task = Counter(Slot.objects.counting().values_list("task_id", flat=True))
    over = sum(number > OVERLAP for number in per_task.values())
    held = Counter(Slot.objects.exclude(holder=None).values_list("task_id", "holder_id"))
    twice = sum(number > 1 for number in held.values())
    errors = sum(number for status, number in statuses.items() if status >= 400)
    record_property(
        "figure",
        f"{counting} of {TASKS * OVERLAP} places filled, {over} tasks over target, {twice} (task, annotator) twice, "
        f"{errors} responses of 400 or more in {statuses.total()}",
    )
    assert (counting, over, twice, errors) == (TASKS * OVERLAP, 0, 0, 0)


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
