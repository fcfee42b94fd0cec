"""How somebody works: time, streaks, second thoughts, and what others made of it. Each is a reason to look, no verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any, NamedTuple

from django.db.models import Avg, Count, Exists, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from annotate.models import Adjudication, Annotation, Annotator, Enrolment, Feedback, Flag, Slot, Task
from annotate.services import adjudication, history, reviews, vetting
from annotate.services.judgements import asked, deciding_question
from annotate.services.standing import Share, text_of, told
from annotate.standing_words import in_place
from annotate.vetting import watching

RECENT = 1000  # tasks
LOOKED_AT = 200  # decisions of reviewers
LATEST = 20


def answered(enrolment: Enrolment) -> QuerySet[Slot]:
    """What somebody answered, the latest first."""
    mine = Slot.objects.filter(project=enrolment.project_id, holder=enrolment.annotator_id, submitted_at__isnull=False)
    return mine.order_by("-submitted_at", "-pk")


# --- Time -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Effort:
    pace: float | None  # seconds, the median
    n: int  # tasks whose time is known
    speed: watching.Speed  # beside the others on the same tasks; its n are tasks that others did too


def effort(enrolment: Enrolment) -> Effort:
    """Active time of the last thousand tasks, and beside what others took for the same ones. One statement."""
    recent = answered(enrolment).values("task")[:RECENT]
    rows = (
        Annotation.objects.filter(slot__task__in=recent, slot__holder__kind__in=Annotator.HUMAN, active_seconds__gt=0)
        .order_by()
        .values_list("slot__task", "slot__holder")
        .annotate(seconds=Sum("active_seconds"))
    )
    mine: dict[int, int] = {}
    others: dict[int, list[int]] = {}
    for task, holder, seconds in rows:
        if holder == enrolment.annotator_id:
            mine[task] = seconds
        else:
            others.setdefault(task, []).append(seconds)
    both = [task for task in mine if task in others]  # each task weighs the same, however many did it
    speed = watching.speed([mine[task] for task in both], [median(others[task]) for task in both])
    return Effort(median(mine.values()) if mine else None, len(mine), speed)


# --- Answers ----------------------------------------------------------------------------------------------------------


class Run(NamedTuple):
    """The longest run of one answer to a question, as the outputs were shown."""

    question: str
    said: str
    streak: watching.Streak
    n: int


def longest_run(enrolment: Enrolment) -> Run | None:
    """The longest run of one answer among the last thousand, to the question that decides. None before any answer."""
    question = deciding_question(enrolment.project)
    if question is None:
        return None
    rows = answered(enrolment).filter(current_annotation__isnull=False)
    shown = dict(rows.values_list("current_annotation", "current_annotation__display_order")[:RECENT])
    values = adjudication.values_of(shown, question)
    said = [in_place(values[pk], order) for pk, order in reversed(shown.items()) if pk in values]
    if not said:
        return None
    streak = watching.longest_streak(said)
    return Run(text_of(question), streak.value, streak, len(said))


@dataclass(frozen=True)
class _Twice:
    """A task and its repeat, answered by the same person."""

    first: int  # annotations
    second: int
    outputs: Mapping[int, int]  # of the repeat, to those of the task
    at: datetime


def retest(enrolment: Enrolment, *, own: bool = False) -> list[tuple[str, Share]]:
    """How often somebody says the same again, by question."""
    twice = [*_twice(enrolment)]
    if own:
        twice = told(twice)
    found = []
    for question in asked(enrolment.project) if twice else []:
        said = adjudication.values_of([pk for one in twice for pk in (one.first, one.second)], question)
        both = [one for one in twice if one.first in said and one.second in said]
        if both:
            first = [said[one.first] for one in both]
            again = [_moved(said[one.second], one.outputs) for one in both]
            found.append((text_of(question), Share(*watching.retest(first, again, _same))))
    return found


def _twice(enrolment: Enrolment) -> list[_Twice]:
    """The latest repeats that somebody answered, each with his answer to the task itself, in order."""
    repeats = answered(enrolment).filter(task__purpose=Task.Purpose.REPEAT, current_annotation__isnull=False)
    columns = ("task", "task__repeat_of", "current_annotation", "submitted_at")
    again = list(repeats.values_list(*columns)[:RECENT])[::-1]
    firsts = [first for _task, first, _annotation, _at in again]
    mine = Slot.objects.filter(holder=enrolment.annotator_id, task__in=firsts, current_annotation__isnull=False)
    before = dict(mine.values_list("task", "current_annotation"))
    outputs: dict[int, list[int]] = {}
    places = Task.objects.filter(pk__in=[*firsts, *(row[0] for row in again)], completions__isnull=False)
    for pk, output in places.order_by("pk", "completions__position").values_list("pk", "completions"):
        outputs.setdefault(pk, []).append(output)
    return [
        _Twice(
            first=before[first],
            second=annotation,
            outputs=dict(zip(outputs.get(task, []), outputs.get(first, []), strict=False)),
            at=at,
        )
        for task, first, annotation, at in again
        if first in before
    ]


def _moved(values: Mapping[adjudication.Unit, Any], outputs: Mapping[int, int]) -> dict[adjudication.Unit, Any]:
    """The values with the outputs of the first task in place of the repeat's."""
    return {(outputs.get(unit[0] or 0), unit[1]): adjudication.moved(value, outputs) for unit, value in values.items()}


def _same(one: Mapping[adjudication.Unit, Any], other: Mapping[adjudication.Unit, Any]) -> bool:
    return one.keys() == other.keys() and all(adjudication.say_the_same(one[unit], other[unit]) for unit in one)


# --- What others made of it -------------------------------------------------------------------------------------------


def made_of_it(enrolment: Enrolment) -> dict[str, Any]:
    """Reviews of written work, marks of demonstrations, decisions of reviewers, flags, and comments."""
    annotator, project = enrolment.annotator, enrolment.project
    marked = vetting.demonstrations(project).filter(annotation__slot__holder=annotator, ratings__isnull=False)
    flags = Flag.objects.filter(slot__holder=annotator, slot__project=project)
    comments = Feedback.objects.filter(annotation__slot__holder=annotator, annotation__slot__project=project)
    return {
        "reviews": reviews.record_of(annotator, project, before=timezone.now()),
        "marks": marked.aggregate(mean=Avg("ratings__rating"), n=Count("pk", distinct=True)),
        "decided": _decided(enrolment),
        "flags": flags.aggregate(raised=Count("pk"), resolved=Count("pk", filter=Q(resolved_at__isnull=False))),
        "comments": comments.count(),
    }


def _decided(enrolment: Enrolment) -> Share:
    """Of the latest decisions of reviewers on the person's tasks: how many are as the person said."""
    made = Adjudication.objects.filter(task=OuterRef("task"), replaced_by=None)
    slots = list(answered(enrolment).filter(Exists(made), informed_at__isnull=False)[:LOOKED_AT])
    outcomes = [one.outcome for decisions in history.decisions_on(slots).values() for one in decisions]
    compared = [outcome for outcome in outcomes if outcome in ("agrees", "differs")]
    return Share(compared.count("agrees"), len(compared))


def latest(enrolment: Enrolment) -> Sequence[Slot]:
    """The latest answers, to comment on."""
    comments = Count("current_annotation__feedback", distinct=True)
    rows = answered(enrolment).filter(current_annotation__isnull=False).annotate(comments=comments)
    return list(rows.select_related("task", "route", "current_annotation")[:LATEST])
