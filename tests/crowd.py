"""A crowd of annotators at their browsers, over HTTP, that dies and loses connections; and what disturbs it meanwhile."""

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.test import Client
from django.utils import timezone

from annotate.models import Annotator, Slot
from annotate.services import ledger
from annotate.services.enrolments import enrol
from tests.world import World

CSRF = "a" * 32
PEOPLE, TABS = 12, 2
DRAFTS = 0.3  # of the answers are drafts first
PATIENCE = 900  # seconds in which a crowd must be done


@dataclass
class Tab:
    """One browser tab of an annotator: claims, reads the page, ranks at random, until the work is done.

    `deaths`: how often it dies while it submits, its connection cut; it comes back as a new browser, which knows nothing.
    """

    address: str
    session: str
    seed: int
    done: threading.Event
    deaths: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    acknowledged: list[UUID] = field(default_factory=list)
    killed: int = 0

    def __post_init__(self) -> None:
        self.luck = random.Random(self.seed)
        self.http = self._browser()

    def _browser(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.address,
            cookies={"sessionid": self.session, "csrftoken": CSRF},
            headers={"X-CSRFToken": CSRF},
            timeout=60,
        )

    def request(self, method: str, path: str, **options) -> httpx.Response:
        """A request that is sent again, as it is, while the server is away."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                response = self.http.request(method, path, **options)
            except httpx.TransportError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
            else:
                self.statuses[response.status_code] += 1
                return response

    def work(self) -> "Tab":
        end = time.monotonic() + PATIENCE
        while not self.done.is_set():
            assert time.monotonic() < end, "the work was not done in time"
            address = self.request("POST", "/projects/kitchen/claim/").headers.get("location", "")
            if "/work/" in address:
                self.answer(address)
            else:
                time.sleep(0.2)  # nothing at the moment: a lease of somebody may end yet
        self.http.close()
        return self

    def answer(self, address: str) -> None:
        page = self.request("GET", address).text
        names = set(re.findall(r'name="(overall\.tier\.[A-I])"', page))
        sent = {name: str(self.luck.randint(1, 3)) for name in names} | {"key": str(uuid4())}
        if self.luck.random() < DRAFTS:
            self.request("POST", f"{address}draft/", data=sent | {"changed": "on", "version": "0"})
        if self.luck.random() < self.deaths:
            self.die(f"{address}submit/", sent)
            return
        reply = self.request("POST", f"{address}submit/", data=sent, headers={"HX-Request": "true"})
        if reply.status_code == 200:
            self.acknowledged.append(UUID(sent["key"]))

    def die(self, path: str, sent: dict[str, str]) -> None:
        """Be gone before the server can say anything."""
        self.killed += 1
        patience = self.luck.choice([0.001, 0.005, 0.02])
        with suppress(httpx.TransportError):
            self.http.post(path, data=sent, headers={"HX-Request": "true"}, timeout=patience)
        self.http.close()
        self.http = self._browser()


def sessions_of_a_crowd(world: World, **fields: Callable[[int], object]) -> list[str]:
    """The sessions of twelve annotators. `fields`: of the annotator, each made from his number."""
    sessions = []
    for number in range(PEOPLE):
        user = User.objects.create_user(f"person{number}")
        enrolment = enrol(project=world.project, user=user)
        Annotator.objects.filter(pk=enrolment.annotator_id).update(
            **{name: make(number) for name, make in fields.items()}
        )
        client = Client()
        client.force_login(user)
        sessions.append(client.cookies["sessionid"].value)
    return sessions


@contextmanager
def meanwhile(*deeds: Callable[[random.Random], None], every: float = 0.1) -> Iterator[None]:
    """Do each of the deeds over and over, in a thread of its own, until the block ends. One that fails fails the block."""
    over, failures = threading.Event(), []

    def run(deed, luck) -> None:
        try:
            while not over.wait(every):
                deed(luck)
        except Exception as error:  # raised again below, in the thread of the test
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(deed, random.Random(seed))) for seed, deed in enumerate(deeds)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def end_some_lease(luck: random.Random) -> None:
    """Let the time of one lease be over, as beat finds it: its holder may be at work on it, and answer late.

    Never for more than three people of a task: who has held a task is not given it again, and the crowd has twelve.
    """
    if luck.random() < 0.3:
        leased = Slot.objects.filter(status=Slot.Status.LEASED, place__isnull=False)
        ended = Slot.objects.filter(task=OuterRef("task"), status__in=["expired", "extra"]).order_by().values("task")
        few = leased.annotate(ended=Coalesce(Subquery(ended.annotate(n=Count("pk")).values("n")), 0)).filter(
            ended__lt=3
        )
        if found := list(few.values_list("pk", flat=True)):
            past = timezone.now() - timedelta(seconds=1)
            Slot.objects.filter(pk=luck.choice(found), status=Slot.Status.LEASED).update(leased_until=past)
    ledger.expire_leases()


def watch(done: threading.Event, finished: Callable[[], bool]) -> Callable[[random.Random], None]:
    """A deed that sets `done` once the work is finished."""

    def look(_luck: random.Random) -> None:
        if finished():
            done.set()

    return look


def no_place_is_left() -> bool:
    return not Slot.objects.filter(place__isnull=False, status__in=["open", "leased"]).exists()
