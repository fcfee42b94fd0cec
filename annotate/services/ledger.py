"""The hottest path: claiming a task, submitting an answer, skipping, and what happens when a lease ends.

Why a claim is a handful of indexed statements and never a scan, and why nobody can be given a task twice however
many tabs are open, stands in docs/architecture.md ("The claim"). Order of locks: enrolment, own slot, replacement.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.errors import Refused
from annotate.models import Annotation, Annotator, Answer, Enrolment, Guideline, Project, Question, RankItem, Slot
from annotate.models.tasks import MAX_COMPLETIONS

Status = Slot.Status
SWEEP_EVERY = timedelta(minutes=1)


@transaction.atomic
def claim(*, annotator: Annotator, project: Project) -> Slot | None:
    """Give the annotator a task: the one already leased, else the next one in order, else None when there is none.

    Raises Refused when the project is not open or the annotator is not approved in it.
    """
    enrolment = (
        Enrolment.objects.select_for_update(no_key=True, of=("self",))
        .select_related("project")
        .filter(annotator=annotator, project=project)
        .first()
    )
    if enrolment is None or enrolment.status != Enrolment.Status.APPROVED:
        raise Refused(_("You are not approved for this project. Ask its manager."))
    if enrolment.project.status != Project.Status.OPEN:
        raise Refused(_("This project is not open at the moment. Nothing of your work is lost."))
    now = timezone.now()
    leased_until = now + timedelta(minutes=enrolment.project.lease_minutes)
    leased = Slot.objects.filter(project=project, holder=annotator, status=Status.LEASED)
    if (mine := leased.first()) and leased.filter(pk=mine.pk).update(leased_until=leased_until):
        return mine
    slot = _next_slot(enrolment, now)
    if slot is None:
        return None
    slot.status, slot.holder, slot.code = Status.LEASED, annotator, uuid.uuid4()
    slot.claimed_at, slot.leased_until = now, leased_until
    slot.save(update_fields=["status", "holder", "code", "claimed_at", "leased_until"])
    if slot.rank > enrolment.cursor:
        Enrolment.objects.filter(pk=enrolment.pk).update(cursor=slot.rank)
    return slot


def _next_slot(enrolment: Enrolment, now) -> Slot | None:
    """The open slot that this person should have: replacements, then above the cursor, then (rarely) below it."""
    mine = Slot.objects.filter(task=OuterRef("task"), holder=enrolment.annotator_id)
    open_slots = Slot.objects.filter(~Exists(mine), project=enrolment.project_id, status=Status.OPEN)
    if slot := _first_unlocked(open_slots.filter(replacement=True)):
        return slot
    if slot := _first_unlocked(open_slots.filter(rank__gt=enrolment.cursor)):
        return slot
    # Below the cursor nothing is left but what a rolled-back claim had locked as we passed. That walk is long for
    # somebody who did much and whose tasks have open places: at most once a minute.
    if enrolment.cursor < 0 or (enrolment.swept_at and now - enrolment.swept_at < SWEEP_EVERY):
        return None
    Enrolment.objects.filter(pk=enrolment.pk).update(swept_at=now)
    return _first_unlocked(open_slots.filter(rank__lte=enrolment.cursor))


def _first_unlocked(slots: QuerySet[Slot]) -> Slot | None:
    return slots.order_by("rank", "place").select_for_update(skip_locked=True, no_key=True, of=("self",)).first()


@dataclass(frozen=True)
class Ranking:
    """An answer to a ranking question: the tier of each output by completion id; 1 is best, equal tiers are ties."""

    question: Question
    tiers: Mapping[int, int]


def dense(tiers: Mapping[int, int]) -> dict[int, int]:
    """The same order with tiers 1, 2, 3 … without gaps."""
    places = {tier: place for place, tier in enumerate(sorted(set(tiers.values())), 1)}
    return {completion: places[tier] for completion, tier in tiers.items()}


@transaction.atomic
def submit(
    *,
    slot: Slot,
    ranking: Ranking,
    idempotency_key: uuid.UUID,
    guideline: Guideline | None = None,
    display_order: list[int] | None = None,
    active_seconds: int | None = None,
) -> Annotation:
    """Record an answer. The same key again gives the annotation it made before.

    On a leased slot it fills the place. On one already answered it is a new revision. On one whose lease ended or
    that was skipped it takes the place back if nobody has it yet, else it is kept as extra; it is never refused.
    Raises Refused when the ranking does not name each output of the task exactly once.
    """
    slot = Slot.objects.select_for_update(no_key=True, of=("self",)).select_related("task").get(pk=slot.pk)
    if before := slot.annotations.filter(idempotency_key=idempotency_key).first():
        return before
    completions = set(slot.task.completions.values_list("pk", flat=True))
    if set(ranking.tiers) != completions or not all(1 <= tier <= MAX_COMPLETIONS for tier in ranking.tiers.values()):
        raise Refused(_("Every output needs a place before you submit."))
    annotation = Annotation.objects.create(
        slot=slot,
        revision=slot.annotations.count() + 1,
        idempotency_key=idempotency_key,
        guideline=guideline,
        display_order=display_order or [],
        active_seconds=active_seconds,
    )
    answer = Answer.objects.create(annotation=annotation, question=ranking.question)
    RankItem.objects.bulk_create(
        RankItem(answer=answer, completion_id=completion, tier=tier)
        for completion, tier in dense(ranking.tiers).items()
    )
    Slot.objects.filter(pk=slot.pk).update(
        status=_status_after_answer(slot),
        current_annotation=annotation,
        submitted_at=slot.submitted_at or timezone.now(),
        leased_until=None,
    )
    return annotation


def _status_after_answer(slot: Slot) -> Status:
    if slot.status == Status.LEASED:
        return Status.SUBMITTED
    if slot.status in (Status.SUBMITTED, Status.EXTRA):
        return Status(slot.status)
    # Late: take the place back from its replacement if nobody holds that one yet.
    replacement = Slot.objects.select_for_update().filter(task=slot.task_id, place=slot.place, status=Status.OPEN)
    if taken_back := replacement.first():
        taken_back.delete()
        return Status.SUBMITTED
    return Status.EXTRA


@transaction.atomic
def skip(*, slot: Slot, reason: str) -> None:
    """Give a leased task back. The row keeps who skipped and why; somebody else gets the place.

    A slot that is no longer leased stays as it is.
    """
    slot = Slot.objects.select_for_update(no_key=True, of=("self",)).get(pk=slot.pk)
    if slot.status == Status.LEASED:
        Slot.objects.filter(pk=slot.pk).update(status=Status.SKIPPED, skip_reason=reason, leased_until=None)
        _open_replacements([slot])


@transaction.atomic
def expire_leases(*, batch: int = 500) -> int:
    """End leases whose time is over and open their places to others. Returns how many; beat calls it."""
    over = list(
        Slot.objects.filter(status=Status.LEASED, leased_until__lt=timezone.now())
        .order_by("leased_until")
        .select_for_update(skip_locked=True, no_key=True)[:batch]
    )
    Slot.objects.filter(pk__in=[slot.pk for slot in over]).update(status=Status.EXPIRED, leased_until=None)
    _open_replacements(over)
    return len(over)


def _open_replacements(slots: list[Slot]) -> None:
    Slot.objects.bulk_create(
        Slot(project_id=slot.project_id, task_id=slot.task_id, rank=slot.rank, place=slot.place, replacement=True)
        for slot in slots
    )
