"""What researchers answer that comes in with a file of tasks (`annotate.services.imports`), for many tasks at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from annotate.errors import Refused
from annotate.judgement_rows import RowError
from annotate.models import GoldAnswer, Membership, Project, Question, ResearcherAnswer, Task
from annotate.services import gold


@dataclass(frozen=True)
class Said:
    """A researcher's answer, as a line of the file has it."""

    line: int
    task: Task
    researcher: User
    values: gold.Values
    reason: str


def researchers_of(project: Project, names: Iterable[str]) -> dict[str, User]:
    """Those of these user names who are researchers or managers of the project."""
    roles = (Membership.Role.RESEARCHER, Membership.Role.MANAGER)
    members = Membership.objects.filter(project=project, role__in=roles, user__username__in=set(names))
    return {one.user.username: one.user for one in members.select_related("user")}


def add(*, question: Question, said: Sequence[Said], new: set[int]) -> list[RowError]:
    """Record the answers, and what they come to. `new`: ids of the tasks that came in just now, which nobody was given.

    Of tasks that were there before, what a researcher has answered already is left alone where it is the same, and
    returned as an error where it differs; what is new is recorded as if it were answered on the page.
    """
    _add_to_new(question, [one for one in said if one.task.pk in new])
    return _add_to_known(question, [one for one in said if one.task.pk not in new])


def _add_to_new(question: Question, said: Sequence[Said]) -> None:
    """A fixed number of statements for any number of answers."""
    rows = ResearcherAnswer.objects.bulk_create(
        ResearcherAnswer(
            task=one.task, question=question, researcher=one.researcher, values=one.values, reason=one.reason
        )
        for one in said
    )
    of_task: dict[int, list[ResearcherAnswer]] = {}
    for row in rows:
        of_task.setdefault(row.task_id, []).append(row)
    agreed = [(answers[0].task, gold.agreed_on(answers)) for answers in of_task.values()]
    GoldAnswer.objects.bulk_create(
        GoldAnswer(
            task=task,
            question=question,
            version=1,
            values=known.values,
            reason=known.reason,
            agreeing=known.agreeing,
            researchers=known.researchers,
        )
        for task, known in agreed
        if known
    )


def _add_to_known(question: Question, said: Sequence[Said]) -> list[RowError]:
    rows = ResearcherAnswer.objects.filter(task__in={one.task.pk for one in said}, question__key=question.key)
    latest = {(row.task_id, row.researcher_id): row for row in rows.order_by("pk")}
    problems = []
    for one in said:
        before = latest.get((one.task.pk, one.researcher.pk))
        if before and gold.same_values(before.values, one.values):
            continue
        if before:
            message = _("“%(name)s” has answered this task otherwise before. Change the answer on its page.")
            problems.append(RowError(one.line, "known", message % {"name": one.researcher.username}))
            continue
        try:
            gold.answer(
                task=one.task, question=question, researcher=one.researcher, values=one.values, reason=one.reason
            )
        except Refused as refused:
            problems.append(RowError(one.line, "known", f"{one.researcher.username}: {refused}"))
    return problems
