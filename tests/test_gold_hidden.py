"""Gold cannot be told from work: whatever an annotator is sent about a task is the same, but for what the task says.

Each request is made once about a task of work and once about one of gold, in the same state of the world, and the
answers are compared byte by byte, with only what is random (codes, tokens) or the task's own (its words) taken out.
"""

import random
import re
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotate.models import Annotation, Completion, Enrolment, Slot, Task
from annotate.services import claims, enrolments, gold, ledger
from annotate.services.tasks import NewCompletion, NewTask, add_tasks
from tests.known import know
from tests.test_vetting import RIGHT, do
from tests.world import World

Purpose, Status = Task.Purpose, Enrolment.Status
SEEN_BY_THE_CLAIM = "only-for-support"
FIRST_ID = 7_654_321_000
"""Of tasks, outputs and annotations, so that one of their ids stands out wherever it is written."""
ITS_OWN = [
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),  # codes of slots, keys of forms
    (re.compile(r'(csrfmiddlewaretoken"[^>]*value="|X-CSRFToken": ")\w+'), r"\1TOKEN"),
    (re.compile(r"Question \d+\?"), "QUESTION"),
    (re.compile(r"Answer (<\w+>)?\d(</\w+>)? to \d+"), "ANSWER"),  # and their order is drawn
    (re.compile(r'title="[^"]*\d:\d\d[^"]*"'), "WHEN"),
    (re.compile(r"help-\d+|questions/\d+/seen"), "ASKED"),
]


def same_shape(world: World, name: str, number: int, purpose: str) -> list[Task]:
    """Tasks of which one of gold has the very shape of one of work, but for its name."""
    return add_tasks(
        project=world.project,
        tasks=[
            NewTask(
                name=f"{name}-{at}",
                conversation=[{"role": "user", "content": f"Question {at}?"}],
                completions=[NewCompletion(f"o{one}", f"Answer {one} to {at}", ("m",)) for one in (1, 2, 3)],
                language="en",
                purpose=purpose,
            )
            for at in range(10, 10 + number)
        ],
    )


@pytest.fixture
def mixed(world, monkeypatch) -> World:
    """A project with work and gold."""
    monkeypatch.setattr(gold, "RESERVE", 1)
    with connection.cursor() as cursor:
        for at, model in enumerate((Task, Completion, Annotation)):
            cursor.execute(f"ALTER TABLE {model._meta.db_table} ALTER id RESTART WITH {FIRST_ID + at * 100_000}")
    same_shape(world, "work", 4, Purpose.WORK)
    for task in same_shape(world, "gold", 4, Purpose.GOLD):
        know(world, task, 1, 2, 3)
    return world


def take(world: World, purpose: str) -> Slot:
    """Have ana claim a task of this purpose, and none of gold afterwards."""
    world.project.gold_percent = 100 if purpose == Purpose.GOLD else 0
    world.project.save()
    slot = world.claim("ana")
    assert slot and slot.task.purpose == purpose
    Slot.objects.filter(pk=slot.pk).update(queue_info={"why": SEEN_BY_THE_CLAIM})
    world.project.gold_percent = 0
    world.project.save()
    return slot


def ranked(**more: Any) -> dict[str, Any]:
    tiers = {f"overall.tier.{letter}": at for at, letter in enumerate("ABC", 1)}
    return tiers | {"key": uuid4(), "guideline": 1, "active_seconds": 7} | more


HTMX = {"HX-Request": "true"}
Deed = Callable[[World, Client, Slot], HttpResponse]


def page(client: Client, slot: Slot, rest: str = "") -> HttpResponse:
    return client.get(f"/projects/kitchen/work/{slot.code}/{rest}")


def post(client: Client, slot: Slot, rest: str, sent: dict | None = None, **headers) -> HttpResponse:
    return client.post(f"/projects/kitchen/work/{slot.code}/{rest}/", sent or {}, **headers)


def expire(slot: Slot) -> None:
    Slot.objects.filter(pk=slot.pk).update(leased_until=timezone.now() - timedelta(seconds=1))
    ledger.expire_leases()


def pause(world: World, to: str = Status.PAUSED) -> None:
    enrolment = Enrolment.objects.get(annotator=world.annotator("ana"))
    enrolments.move(enrolment=enrolment, to=to, actor=world.users["mina"], reason="Wait.")


def answered(rest: str) -> Deed:
    """Look at this page of the project once the task is answered."""

    def deed(world: World, client: Client, slot: Slot) -> HttpResponse:
        post(client, slot, "submit", ranked())
        return client.get(f"/projects/kitchen/{rest}")

    return deed


def held(world: World, client: Client, slot: Slot) -> HttpResponse:
    post(client, slot, "submit", ranked())
    pause(world)
    return client.get("/projects/kitchen/mine/")


def restored(world: World, client: Client, slot: Slot) -> HttpResponse:
    held(world, client, slot)
    pause(world, Status.APPROVED)
    return client.get("/projects/kitchen/mine/")


def paused_while_open(world: World, client: Client, slot: Slot) -> HttpResponse:
    pause(world)
    post(client, slot, "submit", ranked())
    return client.get("/projects/kitchen/mine/")


def late(world: World, client: Client, slot: Slot) -> HttpResponse:
    expire(slot)
    return page(client, slot)


def late_draft(world: World, client: Client, slot: Slot) -> HttpResponse:
    expire(slot)
    return post(client, slot, "draft", ranked(version=0, changed="on"))


def late_answer(world: World, client: Client, slot: Slot) -> HttpResponse:
    expire(slot)
    post(client, slot, "submit", ranked())
    return client.get("/projects/kitchen/mine/")


def changed(world: World, client: Client, slot: Slot) -> HttpResponse:
    post(client, slot, "submit", ranked())
    post(client, slot, "submit", ranked())
    return page(client, slot)


DEEDS: dict[str, Deed] = {
    "the desk": lambda world, client, slot: page(client, slot),
    "the desk again": lambda world, client, slot: page(client, slot) and page(client, slot),
    "claiming again": lambda world, client, slot: client.post("/projects/kitchen/claim/"),
    "comparing": lambda world, client, slot: page(client, slot, "compare/?left=A&right=C"),
    "an output": lambda world, client, slot: page(client, slot, "raw/B/"),
    "a draft": lambda world, client, slot: post(client, slot, "draft", ranked(version=0, changed="on")),
    "a draft that cannot be": lambda world, client, slot: post(client, slot, "draft"),
    "nothing answered": lambda world, client, slot: post(client, slot, "submit", headers=HTMX),
    "an answer": lambda world, client, slot: post(client, slot, "submit", ranked(), headers=HTMX),
    "an answer without htmx": lambda world, client, slot: post(client, slot, "submit", ranked()),
    "an answer that is changed": changed,
    "skipping": lambda world, client, slot: post(client, slot, "skip", {"kind": "hard"}, headers=HTMX),
    "giving back": lambda world, client, slot: post(client, slot, "release"),
    "asking": lambda world, client, slot: post(client, slot, "ask", {"text": "Which one?"}, headers=HTMX),
    "asking nothing": lambda world, client, slot: post(client, slot, "ask"),
    "flagging": lambda world, client, slot: post(client, slot, "flag", {"kind": "broken"}, headers=HTMX),
    "flagging nothing": lambda world, client, slot: post(client, slot, "flag"),
    "a lease that is over": late,
    "a draft after it": late_draft,
    "an answer after it": late_answer,
    "my work": answered("mine/"),
    "my work, searched": answered("mine/?q=Question"),
    "my work, by name": answered("mine/?q=gold"),
    "my work, answered": answered("mine/?state=submitted"),
    "my hours": answered("mine/?format=csv"),
    "my work while paused": held,
    "my work once restored": restored,
    "what was open when paused": paused_while_open,
    "where I stand": answered("standing/"),
    "the project": answered(""),
    "the projects": lambda world, client, slot: client.get("/projects/"),
    "the projects by the API": lambda world, client, slot: client.get("/api/projects/"),
}
READ_ONLY = (
    *("the desk", "the desk again", "claiming again", "comparing", "an output", "a draft", "a draft that cannot be"),
    *("nothing answered", "asking", "asking nothing", "flagging", "flagging nothing", "the projects"),
)
"""What takes as many statements. Answers are scored, and lost work opens its place again: docs/vetting.md says what that means."""


def tried(world: World, purpose: str, deed: Deed) -> tuple[HttpResponse, int, list[int]]:
    """What the deed gives for a task of this purpose, in how many statements; and ids that must not be in it."""
    client = world.client("ana")
    with transaction.atomic():
        slot = take(world, purpose)
        with CaptureQueriesContext(connection) as statements:
            response = deed(world, client, slot)
        ids = [slot.task_id, *slot.task.completions.values_list("pk", flat=True)]
        ids += slot.annotations.values_list("pk", flat=True)
        transaction.set_rollback(True)
    return response, len(statements), ids


def without_its_own(text: str) -> str:
    for pattern, instead in ITS_OWN:
        text = pattern.sub(instead, text)
    return text


@pytest.mark.parametrize("what", DEEDS)
def test_whatever_is_asked_about_gold_is_answered_as_about_work(mixed, what):
    deed = DEEDS[what]
    (work, statements_of_work, _), (of_gold, statements_of_gold, ids) = (
        tried(mixed, purpose, deed) for purpose in (Purpose.WORK, Purpose.GOLD)
    )
    assert work.status_code == of_gold.status_code < 500
    assert without_its_own(of_gold.text) == without_its_own(work.text)
    headers = [
        {name: without_its_own(value) for name, value in one.headers.items() if name != "Content-Length"}
        for one in (work, of_gold)
    ]
    assert headers[0] == headers[1]
    assert set(work.cookies) == set(of_gold.cookies)
    everything = of_gold.text + str(of_gold.headers)
    assert SEEN_BY_THE_CLAIM not in everything and "gold-1" not in everything
    assert [pk for pk in ids if str(pk) in everything] == []
    if what in READ_ONLY:
        assert statements_of_gold == statements_of_work


def test_the_comparison_would_see_a_name_an_id_and_a_field(mixed):
    """The normalising takes out no more than it should."""
    response, _count, ids = tried(mixed, Purpose.GOLD, DEEDS["the desk"])
    seen = without_its_own(response.text)
    assert "QUESTION" in seen and "ANSWER" in seen and "TOKEN" in seen
    for leak in ("gold-10", f'data-task="{ids[0]}"', '<input type="hidden" name="purpose" value="gold">'):
        assert without_its_own(response.text + leak) != seen
    assert all(pk >= FIRST_ID for pk in ids) and len(ids) == 4


# --- Where it comes ---------------------------------------------------------------------------------------------------


def purposes_of(world: World, name: str, number: int) -> list[str]:
    return [do(world, name, *RIGHT).task.purpose for _ in range(number)]


def test_gold_comes_at_random_places_and_in_another_order_to_each(world, monkeypatch):
    monkeypatch.setattr(gold, "RESERVE", 1)
    world.project.gold_percent = world.project.gold_new_percent = 30
    world.project.save()
    world.tasks(50)
    for task in world.tasks(30, purpose=Purpose.GOLD):
        know(world, task, 1, 2, 3)
    random.seed(20)  # the lots; which gold is drawn is PostgreSQL's luck
    came = {name: purposes_of(world, name, 40) for name in ("ana", "ben")}
    places = {name: [at for at, purpose in enumerate(said) if purpose == Purpose.GOLD] for name, said in came.items()}
    assert all(4 <= len(at) <= 20 for at in places.values())  # binomial(40, .3): 12 on average
    assert places["ana"] != places["ben"]
    assert all(len({later - sooner for sooner, later in pairwise(at)}) > 1 for at in places.values())
    order = {
        name: list(
            Slot.objects.filter(holder=world.annotator(name), task__purpose=Purpose.GOLD)
            .order_by("claimed_at")
            .values_list("task", flat=True)
        )
        for name in came
    }
    assert order["ana"] != order["ben"][: len(order["ana"])]
    assert order["ana"] != sorted(order["ana"])


def test_gold_takes_the_language_and_the_harm_of_its_task_as_work_does(mixed):
    """A route that is not open to somebody keeps gold from him too: what comes never shows that it is not for him."""
    ana = mixed.annotator("ana")
    ana.languages = ["zh"]
    ana.save()
    mixed.project.gold_percent = 100
    mixed.project.save()
    assert claims.claim(annotator=ana, project=mixed.project) is None
