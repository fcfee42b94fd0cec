"""The project's known answers at a glance: which tasks have one, what people make of them, how long they last, what might
become one. Each list costs a fixed number of statements, however many tasks and people there are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from django.db.models import Count, Exists, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.errors import Refused
from annotate.models import (
    LEAST_RESEARCHERS,
    Consensus,
    Enrolment,
    GoldAnswer,
    Project,
    Question,
    ResearcherAnswer,
    Slot,
    Task,
)
from annotate.services import gold, vetting
from annotate.services.consensus import current as current_consensus
from annotate.services.judgements import deciding_question
from annotate.vetting.gold import Forecast, Suspect, forecast, suspects

Purpose = Task.Purpose
PACE_DAYS = 7  # over which the present pace is taken
NEAR_DAYS = 14  # gold that runs out within so many days is told
LEAST_UNANIMOUS = 3
MOST_PROPOSED = 10


# --- Tasks ------------------------------------------------------------------------------------------------------------


def questions_of(project: Project) -> list[Question]:
    """The questions whose answers can be known, in their order."""
    return list(project.questions.current().filter(kind__in=gold.SCORED))


def counts(project: Project) -> dict[str, int]:
    """How many tasks there are of each purpose."""
    found = gold.tasks_of(project).order_by().values_list("purpose").annotate(Count("pk"))
    return dict.fromkeys((str(one) for one in gold.KNOWN_PURPOSES), 0) | dict(found)


def tasks(project: Project, purpose: str) -> QuerySet[Task]:
    """The tasks of a purpose, the newest first, with how often each was given to somebody (`served`)."""
    slots = Slot.objects.filter(task=OuterRef("pk")).order_by().values("task").annotate(n=Count("pk"))
    found = gold.tasks_of(project, [purpose]).annotate(served=Subquery(slots.values("n")))
    return found.select_related("route").order_by("-pk")


@dataclass(frozen=True)
class Row:
    """A task and one question on it."""

    task: Task
    answered: int  # researchers who did
    agreeing: int  # who say what is known now; 0: nothing is known
    right: int  # of n people whose first answers count
    n: int
    suspect: Suspect | None

    @property
    def usable(self) -> bool:
        return self.agreeing >= LEAST_RESEARCHERS

    @property
    def percent(self) -> int | None:
        return round(100 * self.right / self.n) if self.n else None

    @property
    def begins(self) -> str:
        """The first words of what was asked last."""
        return str(self.task.conversation[-1]["content"])


def rows(question: Question, found: Sequence[Task], suspect: Iterable[Suspect]) -> list[Row]:
    """The tasks, each with what researchers and people answered to the question. Three statements."""
    answers = ResearcherAnswer.objects.filter(task__in=found, question__key=question.key).order_by()
    answered = dict(answers.values_list("task").annotate(Count("researcher", distinct=True)))
    known = GoldAnswer.objects.filter(task__in=found, question__key=question.key, current=True)
    agreeing = dict(known.values_list("task", "agreeing"))
    worth: dict[int, list[bool]] = {}
    for task, _holder, passed in _latest(question, found):
        worth.setdefault(task, []).append(passed)
    marked = {one.item: one for one in suspect}
    return [
        Row(
            task,
            answered.get(task.pk, 0),
            agreeing.get(task.pk, 0),
            sum(worth.get(task.pk, [])),
            len(worth.get(task.pk, [])),
            marked.get((task.pk, question.key)),
        )
        for task in found
    ]


def _latest(question: Question, found: Sequence[Task]) -> list[tuple[int, int, bool]]:
    """Task, person, passed: of each person the latest answer that he gave before he knew better."""
    results = vetting.results(question.project, *gold.KNOWN_PURPOSES).filter(
        gold__task__in=found, gold__question__key=question.key
    )
    columns = ("gold__task", "annotation__slot__holder", "passed")
    latest = {row[:2]: row for row in results.order_by("annotation__revision").values_list(*columns)}
    return list(latest.values())


def suspect_items(project: Project) -> list[Suspect]:
    """Questions on tasks that good people miss too often, the worst first. `item`: (task id, key of the question)."""
    columns = ("gold__task", "gold__question__key", "annotation__slot__holder", "passed")
    results = vetting.results(project, *gold.KNOWN_PURPOSES).order_by("annotation__revision").values_list(*columns)
    latest = {(task, key, holder): passed for task, key, holder, passed in results.iterator(chunk_size=5000)}
    return suspects(((task, key), holder, passed) for (task, key, holder), passed in latest.items())


# --- How long it lasts ------------------------------------------------------------------------------------------------


class Counted(Subquery):
    """How many rows a statement has; where it is cut to so many, counted no further."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


class Lasting(NamedTuple):
    """How long gold lasts somebody."""

    pseudonym: str
    unseen: int
    per_day: float  # tasks
    percent: float  # of these that are gold, now
    days: float | None  # until he has seen all; None: at this pace never


@dataclass(frozen=True)
class Outlook:
    usable: int  # gold tasks that may be handed out
    people: list[Lasting]  # the soonest first
    first_out: Lasting | None

    @property
    def near(self) -> bool:
        return self.first_out is not None and (self.first_out.days or 0) <= NEAR_DAYS


def outlook(project: Project) -> Outlook:
    """When gold runs out for whom at the pace of the last days. Two statements. Nobody runs out where no gold is served."""
    usable = Task.objects.filter(gold.is_usable(), project=project, purpose=Purpose.GOLD, status=Task.Status.OPEN)
    mine = Slot.objects.filter(holder=OuterRef("annotator"), project=project, submitted_at__isnull=False).order_by()
    given = Slot.objects.filter(holder=OuterRef(OuterRef("annotator")))
    unseen = usable.filter(
        ~Exists(given.filter(task=OuterRef("pk"))), ~Exists(given.filter(task=OuterRef("copy_of")))
    ).order_by()
    since = timezone.now() - timedelta(days=PACE_DAYS)
    approved = Enrolment.objects.filter(project=project, status=Enrolment.Status.APPROVED).order_by()
    people = {
        name: (left, done, recent)
        for name, left, done, recent in approved.annotate(
            left=Counted(unseen.values("pk")),
            done=Counted(mine.values("pk")[: project.gold_new_tasks]),
            recent=Counted(mine.filter(submitted_at__gte=since).values("pk")),
        ).values_list("annotator__pseudonym", "left", "done", "recent")
    }
    percent = {name: gold.rate_of(project, done=done, unseen=left) for name, (left, done, _recent) in people.items()}
    per_day = {name: recent / PACE_DAYS for name, (_left, _done, recent) in people.items()}
    found: Forecast = forecast(
        unseen={name: left for name, (left, _done, _recent) in people.items()},
        per_day=per_day,
        percent={
            name: gold.rate_of(project, done=done, unseen=gold.RESERVE)
            for name, (_left, done, _recent) in people.items()
        },
    )
    lasting = [Lasting(name, people[name][0], per_day[name], percent[name], days) for name, days in found.people]
    served = bool(project.gold_percent or project.gold_new_percent)
    first = lasting[0] if served and lasting and lasting[0].days is not None else None
    return Outlook(usable.count(), lasting, first)


# --- What might become known ------------------------------------------------------------------------------------------


def proposals(project: Project) -> tuple[Question | None, list[Consensus], bool]:
    """Work on whose deciding question at least three people said the same: the question, some of the tasks (a consensus row
    of each), and whether there are more. Tasks that were copied before are left out.
    """
    question = deciding_question(project)
    if question is None or question.kind not in gold.SCORED:
        return None, [], False
    found = _unanimous(project, question).select_related("task__route").order_by("task", "pk").distinct("task")
    some = list(found[: MOST_PROPOSED + 1])
    return question, some[:MOST_PROPOSED], len(some) > MOST_PROPOSED


def _unanimous(project: Project, question: Question) -> QuerySet[Consensus]:
    units = current_consensus(question)
    sure = Q(unanimous=True, n_votes__gte=LEAST_UNANIMOUS, confidence__gte=project.sure_enough)
    work = Q(task__purpose=Purpose.WORK, task__status=Task.Status.OPEN, label_source=Consensus.LabelSource.VOTES)
    return units.filter(
        sure,
        work,
        ~Exists(units.exclude(sure).filter(task=OuterRef("task"))),  # of several outputs each
        ~Exists(Task.objects.filter(copy_of=OuterRef("task"))),
    )


def promote(*, project: Project, task: Task, purpose: str, actor) -> Task:
    """Copy a task on which people are unanimous; what they say is the promoting researcher's own answer on the copy.

    Raises Refused where people are not (any more), or there is such a copy already.
    """
    question = deciding_question(project)
    units = list(_unanimous(project, question).filter(task=task)) if question else []
    if question is None or not units:
        raise Refused(_("People no longer agree on this task, or there is a copy of it. Load the page again."))
    values = [{"completion": one.completion_id, "rule": one.rule_id, "value": _whole(one.value)} for one in units]
    return gold.promote(task=task, purpose=purpose, actor=actor, values={question: values})


def _whole(value: Any) -> Any:
    """A rating on which all agree is a whole step, which a mean of ratings has as 4.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def unanswered(question: Question, purpose: str, user) -> Task | None:
    """The oldest task of a purpose on which this researcher has not answered the question; none that he was given."""
    mine = ResearcherAnswer.objects.filter(task=OuterRef("pk"), question__key=question.key, researcher=user)
    given = Slot.objects.filter(task=OuterRef("pk"), holder__user=user)
    found = gold.tasks_of(question.project, [purpose]).filter(~Exists(mine), ~Exists(given), status=Task.Status.OPEN)
    return found.order_by("pk").first()
