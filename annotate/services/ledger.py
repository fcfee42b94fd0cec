"""What becomes of a slot once it is claimed: drafts, answers, skipping, giving back, and the end of its lease.

Giving tasks out is `annotate.services.claims`. Order of locks: enrolment, own slot, task, replacement.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F, Min
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.errors import Refused
from annotate.models import (
    Annotation,
    Answer,
    Batch,
    Draft,
    Enrolment,
    Guideline,
    PairAnswer,
    Project,
    Question,
    RankItem,
    Slot,
    Span,
    Task,
)
from annotate.questions import Given, dense
from annotate.services import reviews
from annotate.services.tasks import lower_cursors

Status = Slot.Status


# --- Answers ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def submit(
    *,
    slot: Slot,
    answers: Sequence[Given],
    idempotency_key: uuid.UUID,
    guideline: Guideline | None = None,
    display_order: list[int] | None = None,
    active_seconds: int | None = None,
    typing: dict | None = None,
) -> Annotation:
    """Record an annotation. The same key again gives the annotation it made before.

    On a leased slot it fills the place. On one already answered it is a new revision, until the project is closed. On
    one whose lease ended, or that was skipped or given back, it takes the place back if nobody has it yet, else it is
    kept as extra; it is never refused.
    Raises Refused when an answer is about an output of another task, or nothing is answered.
    """
    slot = Slot.objects.select_for_update(no_key=True, of=("self",)).select_related("task", "project").get(pk=slot.pk)
    if before := slot.annotations.filter(idempotency_key=idempotency_key).first():
        return before
    if slot.current_annotation_id and slot.project.status == Project.Status.CLOSED:
        raise Refused(_("This project is closed: its answers can no longer be changed. The one you gave stands."))
    if not answers:
        raise Refused(_("Nothing is answered yet."))
    _check_outputs(slot.task, answers)
    annotation = Annotation.objects.create(
        slot=slot,
        revision=slot.annotations.count() + 1,
        idempotency_key=idempotency_key,
        guideline=guideline,
        display_order=display_order or [],
        active_seconds=active_seconds,
        informed=slot.informed_at is not None,
        typing=typing,
    )
    record_answers([(annotation, given) for given in answers])
    status = _status_after_answer(slot)
    Slot.objects.filter(pk=slot.pk).update(
        status=status,
        held_for=slot.held_for or (Slot.HeldFor.PAUSE if status == Status.HELD else ""),
        current_annotation=annotation,
        submitted_at=slot.submitted_at or timezone.now(),
        leased_until=None,
    )
    Draft.objects.filter(slot=slot).delete()
    if any(given.question.kind == Question.Kind.DEMONSTRATION for given in answers):
        reviews.after_submit(annotation=annotation)
    return annotation


def _check_outputs(task: Task, answers: Sequence[Given]) -> None:
    known = set(task.completions.values_list("pk", flat=True))
    for given in answers:
        named = {given.completion} - {None} | {rank.completion for rank in given.ranks}
        named |= {given.pair.left, given.pair.right} if given.pair else set()
        if given.question.project_id != task.project_id or not named <= known:
            raise Refused(_("The answer is about another task. Load the page again."))


def record_answers(given: Sequence[tuple[Annotation, Given]]) -> None:
    """Write answers with their ranks, comparisons and marked words: at most four statements for any number of them."""
    rows = Answer.objects.bulk_create(
        Answer(
            annotation=annotation,
            question=one.question,
            completion_id=one.completion,
            rule_id=one.rule,
            value=one.value,
        )
        for annotation, one in given
    )
    pairs = list(zip(rows, (one for _annotation, one in given), strict=True))
    RankItem.objects.bulk_create(
        RankItem(answer=row, completion_id=rank.completion, tier=tiers[rank.completion], acceptable=rank.acceptable)
        for row, one in pairs
        for tiers in [dense(one.ranks)]
        for rank in one.ranks
    )
    PairAnswer.objects.bulk_create(
        PairAnswer(
            answer=row,
            left_id=one.pair.left,
            right_id=one.pair.right,
            strength=one.pair.strength,
            neither=one.pair.neither,
        )
        for row, one in pairs
        if one.pair
    )
    Span.objects.bulk_create(
        Span(answer=row, start=mark.start, end=mark.end, label=mark.label) for row, one in pairs for mark in one.marks
    )


def _status_after_answer(slot: Slot) -> Status:
    if slot.status == Status.LEASED:
        return Status.SUBMITTED
    if slot.status in Slot.ANSWERED:
        return Status(slot.status)
    paused = Enrolment.objects.filter(project=slot.project_id, annotator=slot.holder_id, status=Enrolment.Status.PAUSED)
    if paused.exists():  # it had the task open when it was paused: kept, and held like the rest
        return Status.HELD
    return Status.SUBMITTED if slot.place is None or _take_back(slot) else Status.EXTRA


def _take_back(slot: Slot) -> bool:
    """Make the place of a slot that was lost its own again, unless somebody has it by now."""
    Task.objects.select_for_update(no_key=True).get(pk=slot.task_id)  # a task is withdrawn or grows before or after
    same_place = Slot.objects.filter(task=slot.task_id, place=slot.place)
    # Only an open one is locked: who holds a leased one may be waiting for the task.
    if vacant := same_place.filter(status=Status.OPEN).select_for_update(no_key=True, of=("self",)).first():
        vacant.delete()
        return True
    return not same_place.filter(status__in=Slot.LIVE).exists()  # none: the task was withdrawn


# --- While it is worked on --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kept:
    """What became of a draft. `newer`: what another device saved meanwhile, and nothing was changed."""

    version: int
    status: str  # of the slot
    newer: dict | None = None


@transaction.atomic
def keep_draft(*, slot: Slot, fields: Mapping[str, list[str]] | None, version: int, answered: bool = False) -> Kept:
    """Save what the page holds, and renew the lease, taking it back where it is over and nobody has the place.

    `fields`: None where nothing has changed. `version` is the one that the page knows: where another device has saved
    a newer one, that one is returned, and this one is not saved. `answered`: the page knows of the answer that stands;
    a draft that comes late, after the answer it led to, is not saved.
    """
    over = Slot.objects.filter(pk=slot.pk, status=Status.EXPIRED).exists()
    enrolment = _enrolment_of(slot) if over else None
    slot = Slot.objects.select_for_update(no_key=True, of=("self",)).select_related("project").get(pk=slot.pk)
    status = _renew(slot, enrolment)
    draft = Draft.objects.filter(slot=slot).first()
    known = draft.version if draft else 0
    if fields is None or (status in (Status.SUBMITTED, Status.EXTRA) and draft is None and not answered):
        return Kept(known, status)
    if draft and known != version:
        return Kept(known, status, newer=draft.fields)
    Draft.objects.update_or_create(slot=slot, defaults={"fields": dict(fields), "version": known + 1})
    return Kept(known + 1, status)


def _enrolment_of(slot: Slot) -> Enrolment | None:
    """Locked, so that no claim gives its owner another lease meanwhile."""
    found = Enrolment.objects.filter(project=slot.project_id, annotator=slot.holder_id)
    return found.select_for_update(no_key=True).first()


def _renew(slot: Slot, enrolment: Enrolment | None) -> str:
    """The slot's state after its lease was renewed; or, for who may work, and with the enrolment locked, taken back."""
    until = timezone.now() + slot.project.lease
    if slot.status == Status.LEASED:
        Slot.objects.filter(pk=slot.pk).update(leased_until=until)
    elif slot.status == Status.EXPIRED and enrolment and enrolment.status not in Enrolment.SHUT_OUT:
        others = Slot.objects.filter(project=slot.project_id, holder=slot.holder_id, status=Status.LEASED)
        working = slot.project.status == Project.Status.OPEN and not others.exists()
        if working and (slot.place is None or _take_back(slot)):
            Slot.objects.filter(pk=slot.pk).update(status=Status.LEASED, leased_until=until)
            return Status.LEASED
    return slot.status


@transaction.atomic
def skip(*, slot: Slot, kind: str, reason: str = "") -> None:
    """Give a leased task back for good. The row keeps who skipped and why; somebody else gets the place.

    A slot that is no longer leased stays as it is.
    """
    _give_back(slot, status=Status.SKIPPED, skip_kind=kind, skip_reason=reason)


@transaction.atomic
def release(*, slot: Slot) -> None:
    """Give a leased task back without a word against it: its holder stops, or is paused."""
    _give_back(slot, status=Status.RELEASED)


def _give_back(slot: Slot, **fields) -> None:
    slot = Slot.objects.select_for_update(no_key=True, of=("self",)).get(pk=slot.pk)
    if slot.status == Status.LEASED:
        Slot.objects.filter(pk=slot.pk).update(leased_until=None, **fields)
        open_replacements([slot])


@transaction.atomic
def expire_leases(*, batch: int = 500) -> int:
    """End leases whose time is over and open their places to others. Returns how many; beat calls it."""
    over = list(
        Slot.objects.filter(status=Status.LEASED, leased_until__lt=timezone.now())
        .order_by("leased_until")
        .select_for_update(skip_locked=True, no_key=True)[:batch]
    )
    Slot.objects.filter(pk__in=[slot.pk for slot in over]).update(status=Status.EXPIRED, leased_until=None)
    open_replacements(over)
    return len(over)


def open_replacements(slots: list[Slot]) -> None:
    """Open the places of slots that were lost, but for tasks that were withdrawn meanwhile."""
    placed = [slot for slot in slots if slot.place is not None]
    tasks = Task.objects.filter(pk__in={slot.task_id for slot in placed}).order_by("pk").select_for_update(no_key=True)
    ranks = {task.pk: task.rank for task in tasks if task.status == Task.Status.OPEN}
    Slot.objects.bulk_create(
        Slot(
            project_id=slot.project_id,
            task_id=slot.task_id,
            route_id=slot.route_id,
            rank=ranks[slot.task_id],
            place=slot.place,
            ahead=True,
            adaptive=slot.adaptive,
        )
        for slot in placed
        if slot.task_id in ranks
    )


# --- Tasks and batches as a whole -------------------------------------------------------------------------------------


@transaction.atomic
def withdraw(*, task: Task) -> None:
    """Give the task to nobody more. Those who are in it finish, and what was answered counts."""
    task = Task.objects.select_for_update(no_key=True).get(pk=task.pk)
    vacant = task.slots.filter(status=Status.OPEN)
    added = set(vacant.filter(adaptive=True).values_list("place", flat=True))
    target = task.target_overlap
    while target in added:  # asked for by the disagreement of the moment: a task that is restored starts without them
        target -= 1
    Task.objects.filter(pk=task.pk).update(status=Task.Status.WITHDRAWN, target_overlap=target)
    vacant.delete()


@transaction.atomic
def restore(*, task: Task) -> None:
    """Give out a withdrawn task again: each place that nobody has opens."""
    task = Task.objects.select_for_update(no_key=True).get(pk=task.pk)
    if task.status != Task.Status.WITHDRAWN:
        return
    Task.objects.filter(pk=task.pk).update(status=Task.Status.OPEN)
    if task.purpose == Task.Purpose.WORK:
        taken = set(task.slots.filter(status__in=Slot.LIVE).values_list("place", flat=True))
        first_added = task.slots.filter(adaptive=True).aggregate(first=Min("place"))["first"] or task.target_overlap + 1
        missing = [place for place in range(1, task.target_overlap + 1) if place not in taken]
        Slot.objects.bulk_create(_vacant(task, [place for place in missing if place < first_added], adaptive=False))
        Slot.objects.bulk_create(_vacant(task, [place for place in missing if place >= first_added], adaptive=True))


def add_place(*, task: Task) -> bool:
    """Ask one more person about the task, ahead of the rest. False where it has all the places the project allows."""
    return add_places(tasks=[task.pk]) == 1


@transaction.atomic
def add_places(*, tasks: Sequence[int]) -> int:
    """Ask one more person about each of these tasks (ids), where its project allows another place. Returns how many."""
    found = Task.objects.filter(pk__in=tasks, status=Task.Status.OPEN, purpose=Task.Purpose.WORK)
    room = found.filter(target_overlap__lt=F("project__max_overlap")).order_by("pk")
    grown = list(room.select_for_update(no_key=True, of=("self",)))
    for task in grown:
        task.target_overlap += 1
    Task.objects.bulk_update(grown, ["target_overlap"])
    Slot.objects.bulk_create(slot for task in grown for slot in _vacant(task, [task.target_overlap], adaptive=True))
    return len(grown)


def _vacant(task: Task, places: Sequence[int], *, adaptive: bool) -> list[Slot]:
    return [
        Slot(
            project_id=task.project_id,
            task=task,
            route_id=task.route_id,
            rank=task.rank,
            place=place,
            ahead=True,
            adaptive=adaptive,
        )
        for place in places
    ]


@transaction.atomic
def change_batch(*, batch: Batch, status: str, priority: int, team: str) -> None:
    """Open, pause, prioritise a batch, or give it to a team. Its open places take the new priority."""
    enrolments = Enrolment.objects.filter(project=batch.project_id).order_by("pk")
    list(enrolments.select_for_update(no_key=True).values_list("pk"))  # first, as everywhere
    before = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
    pressed = before.priority != priority  # else its tasks keep priorities of their own
    for name, value in (("status", status), ("priority", priority), ("team", team)):
        setattr(before, name, value)
    before.full_clean(exclude=["project"])
    before.save(update_fields=["status", "priority", "team"])
    if pressed:
        Task.objects.filter(batch=batch).exclude(priority=priority).update(priority=priority)
        Slot.objects.filter(task__batch=batch, status=Status.OPEN).update(rank=_ranks(priority))
    opened = Slot.objects.filter(task__batch=batch, status=Status.OPEN).order_by("rank").values_list("rank", flat=True)
    lower_cursors(project=batch.project, rank=opened.first())


def _ranks(priority: int):
    """What `Task.rank` gives, of a slot, in the database."""
    return F("task_id") + ((9 - priority) << 48)


@transaction.atomic
def look_again(*, enrolments) -> None:
    """Let people see what was not for them when they passed it: their languages, skills or team have changed."""
    Enrolment.objects.filter(pk__in=enrolments.values("pk")).update(cursor=-1)
