"""Calibration rounds: the same few tasks for everybody, then a page of what people said, to talk about.

The tasks of one batch that are there to calibrate are a round; those without a batch are one too, of number 0. Nobody sees
what others said before he has answered all tasks of the round that are open to him, and what he changes afterwards is
informed. These answers fill no place: no export, consensus or agreement is made of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, TextField, Value
from django.db.models.functions import MD5, Cast, Concat
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate import comparing
from annotate.errors import Refused
from annotate.models import Annotator, Batch, Completion, Enrolment, Project, Question, Route, Slot, Task
from annotate.services import adjudication, gold
from annotate.services.judgements import Judgement, labels, uninformed
from annotate.services.tasks import add_tasks
from annotate.standing_words import all_in_words

Purpose = Task.Purpose
WITHOUT = 0  # the number of the round of tasks that have no batch
MOST = 100


# --- Rounds -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Round:
    number: int
    name: str
    items: int


def rounds(project: Project) -> list[Round]:
    """The rounds of a project, the newest first."""
    rows = (
        Task.objects.filter(project=project, purpose=Purpose.CALIBRATION)
        .order_by()
        .values_list("batch", "batch__name")
        .annotate(Count("pk"))
    )
    found = [Round(batch or WITHOUT, name or "", items) for batch, name, items in rows]
    return sorted(found, key=lambda one: -one.number)


def tasks_of(project: Project, number: int) -> QuerySet[Task]:
    """The tasks of a round."""
    return Task.objects.filter(project=project, purpose=Purpose.CALIBRATION, batch=number or None)


def answered_by(project: Project, numbers: Iterable[int]) -> dict[int, dict[str, int]]:
    """How many tasks of each of these rounds everybody has answered, by pseudonym; whoever answered most first."""
    wanted = set(numbers)
    rows = (
        _answers(project)
        .filter(Q(task__batch__in=wanted) | (Q(task__batch=None) if WITHOUT in wanted else Q(pk__in=[])))
        .order_by()
        .values_list("task__batch", "holder__pseudonym")
        .annotate(number=Count("pk"))
        .order_by("-number", "holder__pseudonym")
    )
    found: dict[int, dict[str, int]] = {number: {} for number in wanted}
    for batch, pseudonym, number in rows:
        found[batch or WITHOUT][pseudonym] = number
    return found


def _answers(project: Project) -> QuerySet[Slot]:
    return Slot.objects.filter(
        project=project, task__purpose=Purpose.CALIBRATION, status__in=Slot.ANSWERED, holder__kind__in=Annotator.HUMAN
    )


@transaction.atomic
def make_round(*, project: Project, name: str, count: int, actor) -> list[Task]:
    """Copy so many tasks of work, drawn by hash, into a new batch that everybody is given. Returns the copies.

    Those that nobody was given yet are drawn first, then those that fewest people were: whoever had the original is not
    given the copy, and has one task less in this round. Raises Refused for a name that is taken, and where no task is left.
    """
    if Batch.objects.filter(project=project, name=name).exists():
        raise Refused(_("There is a batch of this name already. Choose another one."))
    copies = Task.objects.filter(copy_of=OuterRef("pk"), purpose=Purpose.CALIBRATION)
    drawn = MD5(Concat(Value(f"{project.slug} {name} "), Cast("pk", TextField()), output_field=TextField()))
    work = Task.objects.filter(~Exists(copies), project=project, purpose=Purpose.WORK, status=Task.Status.OPEN)
    held = Slot.objects.filter(task=OuterRef("pk"), holder__isnull=False)
    chosen = list(work.filter(~Exists(held)).order_by(drawn)[:count])
    if missing := count - len(chosen):
        people = Count("slots", filter=Q(slots__holder__isnull=False))
        chosen += work.filter(Exists(held)).annotate(people=people).order_by("people", drawn)[:missing]
    if not chosen:
        raise Refused(_("There is no task of work to copy. Import tasks first."))
    return add_tasks(project=project, tasks=[gold.copy_of(task, Purpose.CALIBRATION, batch=name) for task in chosen])


# --- Who may see one --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Own:
    """How far somebody is in a round."""

    answered: int
    left: int  # open to him, and not answered
    opened: bool  # he has looked at what the others said

    @property
    def finished(self) -> bool:
        return self.answered > 0 and not self.left

    def sealed(self, *, oversees: bool) -> bool:
        """Whether what the others said has to wait: for those who oversee the project only while they are in it."""
        if oversees and not self.answered:
            return self.left > 0
        return not (self.finished and self.opened)


def own(enrolment: Enrolment, number: int) -> Own:
    """How far the person is. Tasks that he skipped, or that ask for what he has not, are not open to him."""
    tasks = tasks_of(enrolment.project, number)
    mine = Slot.objects.filter(holder=enrolment.annotator_id, task__in=tasks)
    answered = mine.filter(status__in=Slot.ANSWERED)
    routes = Route.objects.open_to(enrolment)
    unseen = gold.unseen(enrolment, Purpose.CALIBRATION).filter(batch=number or None, route__in=routes)
    count = answered.count()
    opened = count > 0 and not answered.filter(informed_at=None).exists()
    return Own(count, unseen.count() + mine.filter(status=Slot.Status.LEASED).count(), opened)


@transaction.atomic
def open_round(*, enrolment: Enrolment, number: int) -> None:
    """Somebody who has finished a round looks at what the others said: what he changes from now on is informed.

    Raises Refused where he has not finished it.
    """
    if not own(enrolment, number).finished:
        raise Refused(_("Answer all tasks of this round first. Then you see what the others said."))
    mine = Slot.objects.filter(holder=enrolment.annotator_id, task__in=tasks_of(enrolment.project, number))
    mine.filter(status__in=Slot.ANSWERED, informed_at=None).update(informed_at=timezone.now())


# --- What people said -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """A task of a round with everybody's answer to one question, in words."""

    task: Task
    letters: dict[int, str]
    agreement: float | None  # the share of pairs of people who say the same; None where fewer than two answered
    said: list[tuple[str, str]]  # pseudonym, what he said


def items(project: Project, number: int, question: Question, *, seen_by: Annotator | None = None) -> list[Item]:
    """The tasks of a round, those first on which people agree least. Answers are those given before seeing others'.

    `seen_by`: those alone that this person has answered. Another one may distress him, or be the copy of a task of his.
    """
    found = tasks_of(project, number).order_by("pk").select_related("route")
    if seen_by:
        found = found.filter(Exists(_answers(project).filter(task=OuterRef("pk"), holder=seen_by)))
    tasks = {task.pk: task for task in found}
    slots = uninformed(_answers(project).filter(task__in=tasks))
    columns = ("annotation", "task", "task__prompt_sha256", "holder", "holder__pseudonym")
    rows = list(slots.order_by("holder__pseudonym").values_list(*columns))
    values = adjudication.values_of([annotation for annotation, *_rest in rows], question)
    judged = [
        Judgement(annotation, prompt, task, holder, 0, _as_said(question, values[annotation]))
        for annotation, task, prompt, holder, _name in rows
        if annotation in values
    ]
    share = _agreement(question, judged)
    order = sorted(tasks, key=lambda task: (task not in share, share.get(task, 1.0), task))
    letters = _letters(tasks)
    said: dict[int, list[tuple[str, str]]] = {task: [] for task in tasks}
    for annotation, task, _prompt, _holder, name in rows:
        if annotation in values:
            said[task].append((name, all_in_words(question, values[annotation], letters[task])))
    return [Item(tasks[task], letters[task], share.get(task), said[task]) for task in order]


def _as_said(question: Question, values: Mapping[adjudication.Unit, Any]) -> Any:
    """The values of one annotation, as `annotate.services.judgements` has them."""
    if question.kind in Question.PREFERENCES:
        (value,) = values.values()
        return {int(output): tier for output, tier in value["tiers"].items()}
    return [(output, rule, value) for (output, rule), value in values.items()]


def _agreement(question: Question, judged: Sequence[Judgement]) -> dict[int, float]:
    """Of each task that two or more people answered: the share of pairs who say the same, over its units."""
    found = labels(question, judged)
    of_unit = np.array([unit[0] for unit in found.units], dtype=np.int64)
    compared = {int(task) for task in of_unit[found.counts.sum(axis=1) >= 2]}
    hard = {task: share for task, share, _n in comparing.hardest(found, of_unit, most=len(compared))}
    return {task: hard.get(task, 1.0) for task in compared}


def _letters(tasks: Iterable[int]) -> dict[int, dict[int, str]]:
    """A, B, C … in the order in which the outputs came in: the same for all who talk about them."""
    found: dict[int, dict[int, str]] = {task: {} for task in tasks}
    outputs = Task.objects.filter(pk__in=found, completions__isnull=False).order_by("pk", "completions__position")
    for task, output in outputs.values_list("pk", "completions"):
        found[task][output] = ascii_uppercase[len(found[task])]
    return found


def texts_of(found: Iterable[Item]) -> dict[int, str]:
    """The texts of the outputs of these tasks, by id."""
    outputs = Completion.objects.filter(task__in=[item.task for item in found])
    return dict(outputs.values_list("pk", "text"))
