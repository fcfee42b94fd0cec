"""The hottest path: giving somebody a task. Submitting and giving back are in `annotate.services.ledger`.

Why a claim is a handful of indexed statements and never a scan, and why nobody can be given a task twice however
many tabs are open, stands in docs/architecture.md ("The claim"). Order of locks: enrolment, own slot, replacement.
"""

import random
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import Case, Exists, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Random
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.errors import Refused
from annotate.models import Annotator, Enrolment, Guideline, Project, Route, Slot, Task
from annotate.services import gold, vetting
from annotate.services.overview import midnight

Status, Purpose = Slot.Status, Task.Purpose
SWEEP_EVERY = timedelta(minutes=1)
MOST_ROUTES_TRIED = 8
PLACES_KNOWN_FOR = 60  # seconds that a project's number of places may be old, for the cap on somebody's share

# Of each route that is open to the person, the first open slot: of those that go ahead, and of the rest above the cursor.
# It locks nothing. A lock here would hold one slot of every route, and hide it from all who pass meanwhile.
HEADS = """
    SELECT route, head.ahead, head.rank FROM unnest(%(routes)s::bigint[]) AS route CROSS JOIN LATERAL (
        (SELECT true AS ahead, s.rank FROM annotate_slot s
         WHERE s.route_id = route AND s.status = 'open' AND s.ahead AND NOT EXISTS
           (SELECT FROM annotate_slot m WHERE m.task_id = s.task_id AND m.holder_id = %(annotator)s)
         ORDER BY s.rank, s.place LIMIT 1)
        UNION ALL
        (SELECT false, s.rank FROM annotate_slot s
         WHERE s.route_id = route AND s.status = 'open' AND s.rank > %(above)s AND s.rank <= %(below)s AND NOT EXISTS
           (SELECT FROM annotate_slot m WHERE m.task_id = s.task_id AND m.holder_id = %(annotator)s)
         ORDER BY s.rank, s.place LIMIT 1)
    ) AS head ORDER BY head.ahead DESC, head.rank LIMIT %(most)s
"""
LARGEST = 2**63 - 1


class MustRead(Refused):
    """The guideline has changed materially since the person read it: he reads it before the next task."""


@transaction.atomic
def claim(*, annotator: Annotator, project: Project) -> Slot | None:
    """Give the annotator a task: the one already leased, else the next one in order, else None when there is none.

    Raises Refused when the project is not open, the annotator is not let in, or has reached a cap of the project.
    """
    material = Guideline.objects.filter(project=OuterRef("project"), material=True).order_by("-version")
    enrolment = (
        Enrolment.objects.select_for_update(no_key=True, of=("self",))
        .select_related("project", "annotator")
        .annotate(must_have_read=Subquery(material.values("version")[:1]))
        .filter(annotator=annotator, project=project)
        .first()
    )
    if enrolment is None or enrolment.status in Enrolment.SHUT_OUT:
        raise Refused(_("You are not approved for this project. Ask its manager."))
    if enrolment.project.status != Project.Status.OPEN:
        raise Refused(_("This project is not open at the moment. Nothing of your work is lost."))
    now = timezone.now()
    leased = Slot.objects.filter(project=project, holder=annotator, status=Status.LEASED)
    if (mine := leased.first()) and leased.filter(pk=mine.pk).update(leased_until=now + enrolment.project.lease):
        return mine
    exposed = _within_caps(enrolment, now)
    routes = list(Route.objects.open_to(enrolment, exposed=exposed).values_list("pk", flat=True))
    info: dict[str, Any] = {"routes": len(routes), "cursor": enrolment.cursor}
    if not exposed:
        info["exposure_cap"] = "reached"
    if (enrolment.must_have_read or 0) > enrolment.guideline_read:
        raise MustRead(_("The guideline has changed. Read it again before the next task."))
    slot = _on_demand(enrolment, routes, info)
    if slot is None and enrolment.status == Enrolment.Status.APPROVED:
        slot = _next_slot(enrolment, routes, now, info)
    if slot is None:
        if enrolment.status != Enrolment.Status.APPROVED:
            vetting.consider(enrolment=enrolment)  # nothing is left of training or test: a person may have to decide
        return None
    slot.status, slot.holder, slot.code, slot.queue_info = Status.LEASED, annotator, uuid.uuid4(), info
    slot.claimed_at, slot.leased_until = now, now + enrolment.project.lease
    slot.save()
    if info["why"] == "next":
        Enrolment.objects.filter(pk=enrolment.pk).update(cursor=slot.rank)
    return slot


# Which tasks that are not work somebody gets, by the state of the enrolment. The first go before the others.
_SERVED = {
    Enrolment.Status.TRAINING: (Purpose.TRAINING,),
    Enrolment.Status.APPROVED: (Purpose.CALIBRATION, Purpose.REPEAT, Purpose.GOLD),
}


def _within_caps(enrolment: Enrolment, now: datetime) -> bool:
    """Whether this person may still see harmful content today. Raises Refused where a cap on tasks is reached."""
    project, mine = enrolment.project, Slot.objects.filter(holder=enrolment.annotator)
    today = midnight(now)
    answered = mine.filter(project=project, submitted_at__isnull=False)
    if project.daily_cap is not None and _at_least(answered.filter(submitted_at__gte=today), project.daily_cap):
        raise Refused(
            _("You have done the %(cap)d tasks that one person may do here in a day. Go on tomorrow; thank you.")
            % {"cap": project.daily_cap}
        )
    if project.share_cap and _at_least(answered, max(1, project.share_cap * _places(project) // 100)):
        raise Refused(
            _("You have done the share of this project that one person may do (%(cap)d%%). Thank you.")
            % {"cap": project.share_cap}
        )
    if project.exposure_cap is None:
        return True
    seen = mine.filter(claimed_at__gte=today).exclude(route__harm=[])
    return not _at_least(seen, project.exposure_cap)


def _at_least(rows: QuerySet[Slot], most: int) -> bool:
    """Whether there are so many rows, counting no further."""
    return most <= rows.order_by()[:most].count()


def _places(project: Project) -> int:
    """How many places the project's tasks have, as of a minute ago at most: counting a million takes a while."""

    def count() -> int:
        return project.tasks.filter(purpose=Purpose.WORK).aggregate(n=Sum("target_overlap"))["n"] or 0

    return cache.get_or_set(f"places-of-project-{project.pk}", count, PLACES_KNOWN_FOR) or 0


def _on_demand(enrolment: Enrolment, routes: list[int], info: dict[str, Any]) -> Slot | None:
    """A new slot of a task that is not work and that this person is meant to see; None when there is none."""
    if enrolment.status == Enrolment.Status.TESTING:
        found, turn = vetting.open_tests(enrolment), []
    else:
        purposes = list(_SERVED[Enrolment.Status(enrolment.status)])
        if Purpose.GOLD in purposes and not _gold_is_due(enrolment):
            purposes.remove(Purpose.GOLD)
        answered = Slot.objects.filter(
            holder=enrolment.annotator, task=OuterRef("repeat_of"), submitted_at__isnull=False
        )
        turn = [Case(*(When(purpose=purpose, then=Value(at)) for at, purpose in enumerate(purposes)))]
        of_gold = ~Q(purpose=Purpose.GOLD) | gold.is_usable()
        repeats = Q(repeat_of=None) | Exists(answered)
        found = gold.unseen(enrolment, *purposes).filter(repeats, of_gold)
    task = found.filter(route__in=routes).order_by(*turn, Random()).first()
    if task is None:
        return None
    info["why"] = task.purpose
    return Slot(project_id=task.project_id, task=task, route_id=task.route_id, rank=task.rank)


def _gold_is_due(enrolment: Enrolment) -> bool:
    """By lot, at the project's rate. The lot comes first: where it is high, nothing needs to be counted."""
    project, lot = enrolment.project, random.random() * 100
    if lot >= max(project.gold_percent, project.gold_new_percent):
        return False
    return lot < gold.rate_for(enrolment)


def _next_slot(enrolment: Enrolment, routes: list[int], now: datetime, info: dict[str, Any]) -> Slot | None:
    """The open slot that this person should have: those ahead, then above the cursor, then (rarely) below it."""
    if slot := _first_of(enrolment, routes, enrolment.cursor, LARGEST, info):
        return slot
    # Below the cursor nothing is left but what a rolled-back claim had locked as we passed. That walk is long for
    # somebody who did much and whose tasks have open places: at most once a minute.
    if enrolment.cursor < 0 or (enrolment.swept_at and now - enrolment.swept_at < SWEEP_EVERY):
        return None
    Enrolment.objects.filter(pk=enrolment.pk).update(swept_at=now)
    return _first_of(enrolment, routes, -1, enrolment.cursor, info)


def _first_of(enrolment: Enrolment, routes: list[int], above: int, below: int, info: dict[str, Any]) -> Slot | None:
    """The first slot, by rank, that nobody else has locked; it is locked now."""
    values: dict[str, Any] = {"routes": routes, "annotator": enrolment.annotator_id, "above": above, "below": below}
    with connection.cursor() as cursor:
        cursor.execute(HEADS, values | {"most": MOST_ROUTES_TRIED})
        heads = cursor.fetchall()
    mine = Slot.objects.filter(task=OuterRef("task"), holder=enrolment.annotator_id)
    for route, ahead, _rank in heads:
        rows = Slot.objects.filter(~Exists(mine), route=route, status=Status.OPEN)
        rows = rows.filter(ahead=True) if ahead else rows.filter(rank__gt=above, rank__lte=below)
        locked = rows.order_by("rank", "place").select_for_update(skip_locked=True, no_key=True, of=("self",)).first()
        if locked:
            swept = below != LARGEST and not ahead
            info |= {"why": "ahead" if ahead else "left behind" if swept else "next", "heads": len(heads)}
            return locked
    return None
