"""What an annotator sees of the own work in a project: the tasks, the time, and the hours of the last month."""

import json
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import (
    Aggregate,
    Count,
    Exists,
    F,
    FloatField,
    Func,
    OuterRef,
    Q,
    QuerySet,
    Sum,
    TextField,
)
from django.db.models.functions import TruncDate
from django.utils import timezone

from annotate.models import Annotation, Annotator, HelpRequest, Project, Review, Slot
from annotate.services.overview import midnight, since_midnight

DAYS = 30
STATES = ("sent_back", "submitted", "extra", "skipped")
"""What a task of one's own can be in, for the filter; a piece that came back is submitted too."""


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

    `search`: words of the conversation or of the task's name. `state`: one of STATES.
    """
    came_back = Review.objects.filter(
        answer__annotation=OuterRef("current_annotation"), decision=Review.Decision.SEND_BACK
    )
    found = Slot.objects.filter(
        holder=annotator,
        project=project,
        claimed_at__isnull=False,
        status__in=[Slot.Status.SUBMITTED, Slot.Status.EXTRA, Slot.Status.SKIPPED],
    ).annotate(sent_back=Exists(came_back))
    if state == "sent_back":
        found = found.filter(sent_back=True)
    elif state:
        found = found.filter(status=state)
    if search:
        in_json = json.dumps(search, ensure_ascii=False)[1:-1]
        found = found.alias(said=Said(F("task__conversation"))).filter(
            Q(said__icontains=in_json) | Q(task__name__icontains=search)
        )
    return found.select_related("task", "route", "current_annotation").order_by("-claimed_at", "-pk")


def state_counts(annotator: Annotator, project: Project) -> dict[str, int]:
    """How many tasks are in each state; "" for all."""
    rows = own_tasks(annotator, project).order_by().select_related(None)
    counts = {status: Count("pk", filter=Q(status=status)) for status in STATES if status != "sent_back"}
    found = rows.aggregate(all=Count("pk"), came_back=Count("pk", filter=Q(sent_back=True)), **counts)
    return {"": found.pop("all"), "sent_back": found.pop("came_back"), **found}


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


@dataclass(frozen=True)
class Day:
    day: date
    tasks: int = 0  # answered for the first time
    seconds: int = 0  # active, changed answers too

    @property
    def minutes(self) -> int:
        return round(self.seconds / 60)


def hours(annotator: Annotator, project: Project, *, days: int = DAYS) -> list[Day]:
    """Tasks and active time of each of the last days, today the last, in the server's time zone."""
    today = timezone.localdate()
    first = today - timedelta(days=days - 1)
    rows = (
        Annotation.objects.filter(
            slot__holder=annotator, slot__project=project, created_at__gte=midnight() - timedelta(days=days)
        )
        .annotate(day=TruncDate("created_at"))
        .order_by()
        .values("day")
        .annotate(tasks=Count("pk", filter=Q(revision=1)), seconds=Sum("active_seconds"))
    )
    found = {row["day"]: Day(row["day"], row["tasks"], row["seconds"] or 0) for row in rows}
    return [found.get(day) or Day(day) for day in (first + timedelta(days=at) for at in range(days))]


def own_questions(user, project: Project) -> QuerySet[HelpRequest]:
    return HelpRequest.objects.filter(project=project, asker=user).select_related("slot").order_by("-created_at", "-pk")


# --- The hours as a plot ----------------------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 620, 180, 44, 30, 12


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    day: Day


@dataclass(frozen=True)
class Plot:
    bars: list[Bar]  # of days with time only
    ticks: list[tuple[float, int]]  # height, minutes


def plot(days: list[Day]) -> Plot:
    """Bars of active minutes by day; the scale ends at a whole number of minutes that is at least the most."""
    most = max([1, *(-(-one.seconds // 60) for one in days)])
    step = (WIDTH - LEFT - 10) / len(days)
    floor = HEIGHT - BOTTOM
    bars = []
    for at, one in enumerate(days):
        height = round((floor - TOP) * one.seconds / 60 / most, 1)
        if height:
            bars.append(Bar(round(LEFT + at * step + 1, 1), round(floor - height, 1), round(step - 2, 1), height, one))
    return Plot(bars, [(TOP, most), (floor, 0)])
