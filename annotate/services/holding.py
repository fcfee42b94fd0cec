"""Work that is held: answers that stay, and count nowhere, until a manager restores whoever gave them.

A held slot leaves its place. Where the consensus of the task changes without the answer the place opens to somebody
else; elsewhere it stays empty, and is taken back when the person is restored. What somebody else has answered by then
keeps its place, and the restored answer becomes extra, as a late one does.
"""

from collections.abc import Iterable
from typing import NamedTuple

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from annotate.models import Annotator, Enrolment, Guideline, Project, Slot, Task
from annotate.services import consensus, ledger
from annotate.services.judgements import asked
from jobs.models import Job
from jobs.services import enqueue

Status, HeldFor = Slot.Status, Slot.HeldFor
JOB = "annotate.reopen_held"
ANEW = "annotate.reopen_incomplete"
LOOKED_AT = 5000


def hold(*, enrolment: Enrolment) -> int:
    """Hold all work of the person in the project, and have the places looked at that the consensus needs filled again.

    Returns how many answers no longer count.
    """
    answered = Slot.objects.filter(
        project=enrolment.project_id, holder=enrolment.annotator_id, status__in=[Status.SUBMITTED, Status.EXTRA]
    )
    held = answered.filter(place__isnull=False).update(status=Status.HELD, held_for=HeldFor.PAUSE)
    # Gold and repeats count nowhere, but left as they were they would stand out among the rest of one's work.
    alike = answered.filter(task__purpose__in=[Task.Purpose.GOLD, Task.Purpose.REPEAT])
    alike.update(status=Status.HELD, held_for=HeldFor.PAUSE)
    if held:
        parameters = {"enrolment": enrolment.pk}
        enqueue(kind=JOB, parameters=parameters, key=f"enrolment {enrolment.pk}", actor=None)
    return held


def restore(*, enrolment: Enrolment) -> int:
    """Let the held work count again: in its place where nobody answered there meanwhile, else as extra."""
    held = Slot.objects.filter(
        project=enrolment.project_id, holder=enrolment.annotator_id, status=Status.HELD, held_for=HeldFor.PAUSE
    )
    return sum(_restore(chunk) for chunk in consensus.in_chunks(sorted(held.values_list("pk", flat=True))))


def _restore(slots: Iterable[int]) -> int:
    held = Slot.objects.filter(pk__in=list(slots), status=Status.HELD).order_by("pk")
    rows = list(held.select_for_update(no_key=True, of=("self",)))
    tasks = sorted({row.task_id for row in rows})
    list(Task.objects.filter(pk__in=tasks).order_by("pk").select_for_update(no_key=True).values_list("pk"))
    same_place = Slot.objects.filter(task=OuterRef("task"), place=OuterRef("place"))
    Slot.objects.filter(
        Exists(same_place.filter(pk__in=[row.pk for row in rows])), task__in=tasks, status=Status.OPEN
    ).delete()
    taken = same_place.filter(status__in=[Status.LEASED, Status.SUBMITTED])
    of_these = Slot.objects.filter(pk__in=[row.pk for row in rows])
    extra = list(of_these.filter(Exists(taken)).values_list("pk", flat=True))
    Slot.objects.filter(pk__in=extra).update(status=Status.EXTRA, held_for="")
    of_these.filter(status=Status.HELD).update(status=Status.SUBMITTED, held_for="")
    return len(rows)


def reopen_changed(*, enrolment: Enrolment) -> int:
    """Open the places of held answers without which the consensus of their task is another. Returns how many.

    Consensus is worked out without them, kept, and compared with what stood before.
    """
    project = enrolment.project
    held = Slot.objects.filter(project=project, holder=enrolment.annotator_id, status=Status.HELD)
    tasks = set(held.filter(held_for=HeldFor.PAUSE).values_list("task", flat=True))
    changed: set[int] = set()
    for question in asked(project):
        rows = consensus.current(question).filter(task__in=tasks)
        before = {consensus.At(row.task_id, row.completion_id, row.rule_id): row.value for row in rows}
        found = consensus.work_out(question)
        after = {at: one.value for at, one in found.items() if at.task in tasks}
        changed |= {at.task for at in {*before, *after} if before.get(at) != after.get(at)}
        consensus.keep(question=question, found=found)
    reopened = 0
    for chunk in consensus.in_chunks(sorted(changed)):
        with transaction.atomic():
            list(Task.objects.filter(pk__in=chunk).order_by("pk").select_for_update(no_key=True).values_list("pk"))
            live = Slot.objects.filter(task=OuterRef("task"), place=OuterRef("place"), status__in=Slot.LIVE)
            empty = list(held.filter(~Exists(live), task__in=chunk, held_for=HeldFor.PAUSE))
            ledger.open_replacements(empty)
            reopened += len(empty)
    return reopened


# --- A material change of the guideline -------------------------------------------------------------------------------


class HalfDone(NamedTuple):
    """What would be judged anew: answers and their tasks, at least so many where `more` answers were not looked at."""

    tasks: int
    answers: int
    more: bool


def material_change(project: Project) -> Guideline | None:
    """The latest version that changes how tasks are judged. None where that is the first: nothing came before it."""
    return Guideline.objects.filter(project=project, material=True, version__gt=1).order_by("-version").first()


def _before(guideline: Guideline) -> QuerySet[Slot]:
    """Answers that count and were given before this version."""
    old = Q(current_annotation__guideline=None) | Q(current_annotation__guideline__version__lt=guideline.version)
    return Slot.objects.counting().filter(old, project=guideline.project_id)


def _half_done(slots: QuerySet[Slot]) -> QuerySet[Slot]:
    """Those on tasks that still wait for others.

    An answer of a model or an aggregate has a place on top of those of people, which is nobody else's to fill.
    """
    waiting = Slot.objects.filter(task=OuterRef("task"), status__in=[Status.OPEN, Status.LEASED])
    work = slots.filter(Exists(waiting), task__status=Task.Status.OPEN, task__purpose=Task.Purpose.WORK)
    return work.exclude(holder__kind__in=[Annotator.Kind.MODEL, Annotator.Kind.AGGREGATE])


def half_done(guideline: Guideline) -> HalfDone:
    """How much `reopen_incomplete` would hold, of the latest `LOOKED_AT` answers before this version.

    People work in order, so what is half done is mostly among them. Looking at all grows with the project: 1.3 s at 300
    thousand answers.
    """
    answered = _before(guideline).filter(current_annotation__isnull=False)  # or open slots are read first
    latest = list(answered.order_by("-current_annotation").values_list("pk", flat=True)[:LOOKED_AT])
    counts = _half_done(Slot.objects.filter(pk__in=latest)).aggregate(
        tasks=Count("task", distinct=True), answers=Count("pk")
    )
    return HalfDone(**counts, more=len(latest) == LOOKED_AT)


def request_reopening(*, guideline: Guideline, actor) -> Job:
    """Start a job that has them judged anew. Its row says who wanted it, and in the end how many answers are held.

    While one is waiting or running, that one is given.
    """
    return enqueue(kind=ANEW, parameters={"guideline": guideline.pk}, key=f"guideline {guideline.pk}", actor=actor)


def reopenings(guideline: Guideline) -> QuerySet[Job]:
    """What managers have had opened anew for this version, the latest first."""
    found = Job.objects.filter(kind=ANEW, key=f"guideline {guideline.pk}")
    return found.select_related("actor").order_by("-created_at")


@transaction.atomic
def reopen_incomplete(*, guideline: Guideline) -> int:
    """Have tasks that are half done judged anew: answers given before this version are held, their places open.

    Tasks all of whose places are filled stay as they are: they are whole, in their own epoch. Returns how many answers.
    """
    held = 0
    tasks = _half_done(_before(guideline)).values_list("task", flat=True)
    for chunk in consensus.in_chunks(sorted(set(tasks))):
        old = _half_done(_before(guideline).filter(task__in=chunk)).order_by("pk")
        rows = list(old.select_for_update(no_key=True, of=("self",)))
        Slot.objects.filter(pk__in=[row.pk for row in rows]).update(status=Status.HELD, held_for=HeldFor.GUIDELINE)
        ledger.open_replacements(rows)
        held += len(rows)
    return held
