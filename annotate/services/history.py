"""What an annotator sees of the own work in a project: the tasks, the time, and the hours of the last month."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from string import ascii_uppercase
from typing import Any

from django.db import models
from django.db.models import (
    Aggregate,
    Case,
    Count,
    Exists,
    F,
    FloatField,
    Func,
    Max,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Sum,
    TextField,
    Value,
    When,
    prefetch_related_objects,
)
from django.db.models.functions import TruncDate
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _lazy

from annotate.answer_words import Letters, in_words
from annotate.models import (
    Adjudication,
    Annotation,
    Annotator,
    Completion,
    Enrolment,
    HelpRequest,
    Project,
    Review,
    Slot,
)
from annotate.services import adjudication
from annotate.services.overview import midnight, since_midnight

DAYS = 30
STATES = ("sent_back", "decided", "submitted", "extra", "held", "skipped")
"""What a task of one's own can be in, for the filter; what came back or was decided on is submitted too."""
FOUND = ("sent_back", "decided")
"""Those that are no status of the slot: `own_tasks` annotates them."""


class Median(Aggregate):
    function = "percentile_cont"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


class Said(Func):
    """What the turns of a conversation say, as JSON text, without the words that JSON needs."""

    template = "jsonb_path_query_array(%(expressions)s, '$[*].content')::text"
    output_field = TextField()


# --- Tasks ------------------------------------------------------------------------------------------------------------


def own_tasks(annotator: Annotator, project: Project, *, search: str = "", state: str = "") -> QuerySet[Slot]:
    """The annotator's answered and skipped tasks, the last taken first.

    `search`: words of the conversation; names of tasks are for those who oversee them. `state`: one of STATES.
    """
    came_back = Review.objects.filter(
        answer__annotation=OuterRef("current_annotation"), decision=Review.Decision.SEND_BACK
    )
    found = Slot.objects.filter(
        holder=annotator,
        project=project,
        claimed_at__isnull=False,
        status__in=[*Slot.ANSWERED, Slot.Status.SKIPPED],
    ).annotate(sent_back=Exists(came_back), decided=Q(informed_at__isnull=False) & Q(Exists(_decisions())))
    if state in FOUND:
        found = found.filter(**{state: True})
    elif state:
        found = found.filter(status=state)
    if search:
        in_json = json.dumps(search, ensure_ascii=False)[1:-1]
        found = found.alias(said=Said(F("task__conversation"))).filter(said__icontains=in_json)
    return found.select_related("task", "route", "current_annotation").order_by("-claimed_at", "-pk")


def state_counts(annotator: Annotator, project: Project) -> dict[str, int]:
    """How many tasks are in each state; "" for all."""
    rows = own_tasks(annotator, project).order_by().select_related(None)
    counts = {status: Count("pk", filter=Q(status=status)) for status in STATES if status not in FOUND}
    counts |= {f"is_{state}": Count("pk", filter=Q(**{state: True})) for state in FOUND}
    found = rows.aggregate(all=Count("pk"), **counts)
    return {"": found.pop("all"), **{state: found.pop(f"is_{state}") for state in FOUND}, **found}


# --- Decisions on them ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OwnDecision:
    """What a reviewer decided on a task of one's own. Outputs have the letters that the reader sees."""

    made: Adjudication
    question: str
    outcome: str  # agrees, differs, ambiguous; "" where one has not answered the question
    says: list[str]
    letters: list[tuple[str, str]]  # (the reviewer's, one's own) where they differ: the rationale uses his


def _decisions() -> QuerySet[Adjudication]:
    """Decisions that stand, on a slot's task. They are told to informed slots alone: what those change is marked so."""
    return Adjudication.objects.filter(task=OuterRef("task"), replaced_by=None)


def decisions_on(slots: Iterable[Slot]) -> dict[int, list[OwnDecision]]:
    """The decisions on the tasks of one person's slots, by slot: a fixed number of statements."""
    told = [slot for slot in slots if slot.informed_at]
    made = Adjudication.objects.filter(task__in=[slot.task_id for slot in told], replaced_by=None)
    by_task: dict[int, list[Adjudication]] = {}
    for one in made.select_related("question").order_by("question__position", "pk"):
        by_task.setdefault(one.task_id, []).append(one)
    told = [slot for slot in told if slot.task_id in by_task]
    prefetch_related_objects(told, Prefetch("task__completions", Completion.objects.only("task_id", "position")))
    questions = {(one.question.key, one.question.kind): one.question for all_ in by_task.values() for one in all_}
    annotations = [slot.current_annotation_id for slot in told]
    own = {key: adjudication.values_of(annotations, question) for key, question in questions.items()}
    return {
        slot.pk: [_own(slot, one, own[one.question.key, one.question.kind]) for one in by_task[slot.task_id]]
        for slot in told
    }


def _own(slot: Slot, made: Adjudication, own: Mapping[int, Mapping[adjudication.Unit, Any]]) -> OwnDecision:
    reviewers = [output.pk for output in sorted(slot.task.completions.all(), key=lambda output: output.position)]
    letters = {output.pk: letter for output, letter in zip(slot.display_order(), ascii_uppercase, strict=False)}
    pairs = [(there, letters[output]) for output, there in zip(reviewers, ascii_uppercase, strict=False)]
    said = own.get(slot.current_annotation_id or 0, {})
    values = {(one["completion"], one["rule"]): one["value"] for one in made.values}
    both = [adjudication.say_the_same(said[unit], value) for unit, value in values.items() if unit in said]
    question = made.question.says(get_language() or "en")["text"]
    outcome = "" if not both else "agrees" if all(both) else "differs"
    if made.outcome == Adjudication.Outcome.AMBIGUOUS:
        outcome = "ambiguous"
    return OwnDecision(
        made, question, outcome, _in_words(made, values, letters), [one for one in pairs if one[0] != one[1]]
    )


def _in_words(made: Adjudication, values: Mapping[adjudication.Unit, Any], letters: Letters) -> list[str]:
    """What was decided; of several outputs what of each. Rules are left out: the task itself names them."""
    found = []
    for (completion, _rule), value in values.items():
        words = in_words(made.question, value, letters)
        found.append(f"{letters[completion]}: {words}" if completion else words)
    return sorted(found)


def newest_decision(user, project: Project) -> int:
    """The last decision that the user can see on My work; 0 without any."""
    own = Slot.objects.filter(project=project, holder__user=user, informed_at__isnull=False)
    found = Adjudication.objects.filter(task__in=own.values("task"), replaced_by=None)
    return found.aggregate(newest=Max("pk"))["newest"] or 0


def unseen_decisions(project: Project, user) -> int:
    """On how many of the user's tasks a decision was made since he last said that he had seen them."""
    own = Slot.objects.filter(project=project, holder__user=user, informed_at__isnull=False)
    seen = Enrolment.objects.filter(project=project, annotator__user=user).values_list("decisions_seen", flat=True)
    return own.filter(Exists(_decisions().filter(pk__gt=seen.first() or 0))).count()


def mark_decisions_seen(*, project: Project, user, newest: int) -> None:
    """The user has seen all decisions up to this one."""
    own = Enrolment.objects.filter(project=project, annotator__user=user, decisions_seen__lt=newest)
    own.update(decisions_seen=newest)


# --- Time -------------------------------------------------------------------------------------------------------------


def figures(annotator: Annotator, project: Project) -> dict[str, int | None]:
    """Tasks answered `today` and in all (`total`), active `seconds`, and `pace`: the median of the seconds a task took.

    The time of an answer that was changed is the sum of all visits.
    """
    answered = Slot.objects.filter(holder=annotator, project=project, submitted_at__isnull=False)
    done = answered.aggregate(today=Count("pk", filter=since_midnight()), total=Count("pk"))
    visits = Annotation.objects.filter(slot__holder=annotator, slot__project=project, active_seconds__gt=0)
    by_task = visits.order_by().values("slot").annotate(of_task=Sum("active_seconds"))
    times = by_task.aggregate(seconds=Sum("of_task"), pace=Median("of_task"))
    pace = times["pace"]
    return done | {"seconds": times["seconds"] or 0, "pace": None if pace is None else round(pace)}


class Kind(models.TextChoices):
    """Kinds of work that somebody is told apart. Gold and repeats are work: nobody is to know which tasks they are."""

    WORK = "work", _lazy("work")
    TRAINING = "training", _lazy("training")
    TEST = "test", _lazy("test")
    CALIBRATION = "calibration", _lazy("calibration")


@dataclass(frozen=True)
class Time:
    tasks: int = 0  # answered for the first time
    seconds: int = 0  # active, changed answers too

    @property
    def minutes(self) -> int:
        return round(self.seconds / 60)


@dataclass(frozen=True)
class Day:
    day: date
    kinds: Mapping[str, Time] = field(default_factory=dict)

    @property
    def all(self) -> Time:
        return Time(sum(one.tasks for one in self.kinds.values()), sum(one.seconds for one in self.kinds.values()))

    def of(self, kind: str) -> Time:
        return self.kinds.get(kind, Time())


def hours(annotator: Annotator, project: Project, *, days: int = DAYS) -> list[Day]:
    """Tasks and active time of each of the last days by kind of work, today the last, in the server's time zone.

    Reviewing and deciding are not among them: how long they take is not measured.
    """
    today = timezone.localdate()
    first = today - timedelta(days=days - 1)
    rows = (
        Annotation.objects.filter(
            slot__holder=annotator, slot__project=project, created_at__gte=midnight() - timedelta(days=days)
        )
        .annotate(day=TruncDate("created_at"), kind=_KIND)
        .order_by()
        .values("day", "kind")
        .annotate(tasks=Count("pk", filter=Q(revision=1)), seconds=Sum("active_seconds"))
    )
    found: dict[date, dict[str, Time]] = {}
    for row in rows:
        found.setdefault(row["day"], {})[row["kind"]] = Time(row["tasks"], row["seconds"] or 0)
    return [Day(day, found.get(day, {})) for day in (first + timedelta(days=at) for at in range(days))]


_TOLD_APART = [kind.value for kind in (Kind.TRAINING, Kind.TEST, Kind.CALIBRATION)]
_KIND = Case(When(slot__task__purpose__in=_TOLD_APART, then=F("slot__task__purpose")), default=Value(Kind.WORK.value))


def kinds_of(days: Iterable[Day]) -> list[Kind]:
    """The kinds that there was any of, work in any case."""
    found = {kind for one in days for kind in one.kinds} | {Kind.WORK.value}
    return [kind for kind in Kind if kind in found]


def own_questions(user, project: Project) -> QuerySet[HelpRequest]:
    return HelpRequest.objects.filter(project=project, asker=user).select_related("slot").order_by("-created_at", "-pk")


# --- The hours as a plot ----------------------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 620, 180, 44, 30, 12
SHADES = {Kind.WORK: "1", Kind.TRAINING: ".62", Kind.TEST: ".38", Kind.CALIBRATION: ".2"}


@dataclass(frozen=True)
class Bar:
    """The time of one kind on one day; those of a day stand upon each other."""

    x: float
    y: float
    width: float
    height: float
    shade: str


@dataclass(frozen=True)
class Plot:
    bars: list[Bar]  # of days with time only
    ticks: list[tuple[float, int]]  # height, minutes


def plot(days: list[Day]) -> Plot:
    """Bars of active minutes by day; the scale ends at a whole number of minutes that is at least the most."""
    most = max([1, *(-(-one.all.seconds // 60) for one in days)])
    step = (WIDTH - LEFT - 10) / len(days)
    floor = HEIGHT - BOTTOM
    bars = []
    for at, one in enumerate(days):
        top = float(floor)
        for kind in Kind:
            height = round((floor - TOP) * one.of(kind).seconds / 60 / most, 1)
            if height:
                top = round(top - height, 1)
                bars.append(Bar(round(LEFT + at * step + 1, 1), top, round(step - 2, 1), height, SHADES[kind]))
    return Plot(bars, [(TOP, most), (floor, 0)])
