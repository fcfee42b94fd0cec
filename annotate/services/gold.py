"""Known answers: researchers answer tasks, what at least two of them agree on is known, and people are scored by it.

A task has a known answer to a question once a researcher has answered it; it measures people at work only where two or
more agree (`is_usable`). Every researcher's answer, and every correction, makes a new version, and whoever was scored by an
older one is scored again.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from annotate.errors import Refused
from annotate.models import (
    LEAST_RESEARCHERS,
    Annotation,
    Decision,
    Enrolment,
    GoldAnswer,
    GoldResult,
    Project,
    Question,
    ResearcherAnswer,
    Slot,
    Task,
    VettingStep,
)
from annotate.services import adjudication, enrolments
from annotate.services.tasks import NewCompletion, NewTask, add_tasks, sha256
from annotate.vetting import researchers, scoring
from annotate.vetting.gold import rate

Purpose, Step = Task.Purpose, VettingStep.Kind
KNOWN_PURPOSES = (Purpose.TRAINING, Purpose.TEST, Purpose.GOLD)
SCORED = (
    *Question.PREFERENCES,
    Question.Kind.RATING,
    Question.Kind.CHOICE,
    Question.Kind.MULTI_CHOICE,
    Question.Kind.RULE,
)
SHARE = 0.75  # of the researchers' strict pairs, or of the outputs asked about: from here on an answer is right
RESERVE = 10  # unseen gold: with less of it left to somebody, it comes more seldom
Values = list[dict[str, Any]]


# --- What researchers say ---------------------------------------------------------------------------------------------


@transaction.atomic
def answer(*, task: Task, question: Question, researcher, values: Values, reason: str = "") -> GoldAnswer | None:
    """Record what a researcher answers, and make the known answer anew. None while researchers do not agree on one.

    Raises Refused where the researcher was given the task as an annotator, or the answer does not fit the question.
    """
    task = Task.objects.select_for_update(no_key=True).get(pk=task.pk)
    _check(task, question, values)
    if adjudication.held_by(task, researcher).exists():
        raise Refused(_("You were given this task as an annotator. Another researcher answers it."))
    ResearcherAnswer.objects.create(
        task=task, question=question, researcher=researcher, values=values, reason=reason.strip()
    )
    said = opinions(task, question)
    known_now = agreed_on(said)
    if known_now is None:
        GoldAnswer.objects.filter(task=task, question__key=question.key, current=True).update(current=False)
        return None
    return _new_version(task, question, *known_now)


class Agreed(NamedTuple):
    """What most researchers say, why, how many they are, and how many answered."""

    values: Values
    reason: str
    agreeing: int
    researchers: int


def agreed_on(said: Sequence[ResearcherAnswer]) -> Agreed | None:
    """What comes of the answers of different researchers to one question on a task. None while they share none."""
    agreed, agreeing = researchers.agreed([one.values for one in said], same_values)
    if agreed is None:
        return None
    values = [dict(one) for one in agreed]
    reasons = [one.reason for one in said if one.reason and same_values(one.values, values)]
    return Agreed(values, "\n\n".join(dict.fromkeys(reasons)), agreeing, len(said))


@transaction.atomic
def correct(*, task: Task, question: Question, actor, values: Values, reason: str) -> GoldAnswer:
    """Set the known answer by hand, as all researchers who answered would now say it. Whoever was scored is scored again.

    Raises Refused without a reason, or where the answer does not fit the question.
    """
    if not reason.strip():
        raise Refused(_("Say why: whoever is scored again reads it."))
    task = Task.objects.select_for_update(no_key=True).get(pk=task.pk)
    _check(task, question, values)
    asked = max(len(opinions(task, question)), LEAST_RESEARCHERS)
    return _new_version(task, question, values, reason.strip(), asked, asked, corrected_by=actor)


def _check(task: Task, question: Question, values: Values) -> None:
    if task.purpose not in KNOWN_PURPOSES:
        raise Refused(_("The task is work. Copy it to gold first: what people are at is never turned into a test."))
    if question.project_id != task.project_id or question.kind not in SCORED:
        raise Refused(_("Answers to this question cannot be scored."))
    adjudication.check_values(task, question, values)


def opinions(task: Task, question: Question) -> list[ResearcherAnswer]:
    """The latest answer of each researcher, in the order in which they first answered."""
    rows = ResearcherAnswer.objects.filter(task=task, question__key=question.key).select_related("researcher")
    latest: dict[int, ResearcherAnswer] = {}
    for row in rows.order_by("pk"):
        latest[row.researcher_id] = row
    return list(latest.values())


def same_values(one: Values, other: Values) -> bool:
    """Whether two researchers say the same of every output and rule. Orders: of the outputs that both place."""
    first = {(value["completion"], value["rule"]): value["value"] for value in one}
    second = {(value["completion"], value["rule"]): value["value"] for value in other}
    return first.keys() == second.keys() and all(adjudication.say_the_same(first[at], second[at]) for at in first)


def _new_version(
    task: Task, question: Question, values: Values, reason: str, agreeing: int, asked: int, corrected_by=None
) -> GoldAnswer:
    before = GoldAnswer.objects.filter(task=task, question=question).order_by("-version").first()
    current = GoldAnswer.objects.filter(task=task, question__key=question.key, current=True)
    current.update(current=False)
    made = GoldAnswer.objects.create(
        task=task,
        question=question,
        version=(before.version if before else 0) + 1,
        values=values,
        reason=reason,
        agreeing=agreeing,
        researchers=asked,
        corrected_by=corrected_by,
    )
    if before and not same_values(before.values, values):
        _score_again(made)
    elif before:  # the same answer, and perhaps more researchers: what was scored stays as it is, under the new version
        _copy_results(before, made)
    return made


def is_usable() -> Q:
    """Of a task: at least two researchers agree on its answer, so it may measure people at work."""
    return Q(Exists(known(OuterRef("pk")).filter(agreeing__gte=LEAST_RESEARCHERS)))


def known(task) -> QuerySet[GoldAnswer]:
    return GoldAnswer.objects.filter(task=task, current=True)


def unseen(enrolment: Enrolment, *purposes: str) -> QuerySet[Task]:
    """Tasks of these purposes that the person was never given, nor the task they were copied from."""
    mine = Slot.objects.filter(holder=enrolment.annotator_id)
    return Task.objects.filter(
        ~Exists(mine.filter(task=OuterRef("pk"))),
        ~Exists(mine.filter(task=OuterRef("copy_of"))),
        ~Q(purpose=Purpose.WORK),  # lets the planner see that the index of the few others will do
        project=enrolment.project_id,
        purpose__in=purposes,
        status=Task.Status.OPEN,
    )


def rate_for(enrolment: Enrolment) -> float:
    """How many per cent of the person's claims are to be gold now. Counts no further than it needs to."""
    project = enrolment.project
    done = Slot.objects.filter(holder=enrolment.annotator_id, project=project, submitted_at__isnull=False).order_by()
    left = unseen(enrolment, Purpose.GOLD).filter(is_usable()).order_by()
    return rate_of(project, done=done[: project.gold_new_tasks].count(), unseen=left[:RESERVE].count())


def rate_of(project: Project, *, done: int, unseen: int) -> float:
    """How many per cent of the claims of somebody who has done so many tasks are gold, with so much of it left to him."""
    return rate(
        percent_new=max(project.gold_new_percent, project.gold_percent),
        percent=project.gold_percent,
        new_tasks=project.gold_new_tasks,
        done=done,
        unseen=unseen,
        reserve=RESERVE,
    )


# --- What people's answers are worth ----------------------------------------------------------------------------------


def score(annotation: Annotation, task: Task) -> list[GoldResult]:
    """Score an annotation by each known answer of its task, and keep the results."""
    answers = known(task).select_related("question")
    return GoldResult.objects.bulk_create(
        (result for gold in answers if (result := _result(annotation, gold))), ignore_conflicts=True
    )


def _result(annotation: Annotation, gold: GoldAnswer) -> GoldResult | None:
    """The result of one question. Not answering what has a known answer is a miss; a question not asked yet is none."""
    said = adjudication.values_of([annotation.pk], gold.question).get(annotation.pk, {})
    given = [{"completion": unit[0], "rule": unit[1], "value": value} for unit, value in said.items()]
    of_gold = gold.values
    if gold.question.kind == Question.Kind.RULE:  # a slot is asked about a few of the rules: those count
        asked = {value["rule"] for value in given}
        of_gold = [value for value in gold.values if value["rule"] in asked]
        if not of_gold:
            return None
    worth = scoring.score(gold.question.kind, of_gold, given, settings=gold.question.settings, share=SHARE)
    return GoldResult(annotation=annotation, gold=gold, passed=worth.passed, share=worth.share)


def scored_before(gold: GoldAnswer) -> QuerySet[Annotation]:
    """The annotations that were scored by any version of this known answer."""
    results = GoldResult.objects.filter(
        annotation=OuterRef("pk"), gold__task=gold.task_id, gold__question__key=gold.question.key
    )
    return Annotation.objects.filter(Exists(results)).select_related("slot")


def people_scored(gold: GoldAnswer) -> int:
    """How many people were scored by any version of this known answer."""
    return scored_before(gold).order_by().values("slot__holder").distinct().count()


def _copy_results(before: GoldAnswer, gold: GoldAnswer) -> None:
    GoldResult.objects.bulk_create(
        GoldResult(annotation_id=row.annotation_id, gold=gold, passed=row.passed, share=row.share)
        for row in before.results.all()
    )


def _score_again(gold: GoldAnswer) -> None:
    """Score everybody by the new version, and tell those for whom it makes a difference: a decision in their log."""
    before = {
        row.annotation_id: row.passed
        for row in GoldResult.objects.filter(gold__task=gold.task_id, gold__question__key=gold.question.key)
        .exclude(gold=gold)
        .order_by("pk")
    }
    results = [result for one in scored_before(gold) if (result := _result(one, gold))]
    GoldResult.objects.bulk_create(results)
    changed = [result for result in results if before.get(result.annotation_id) != result.passed]
    slots = Slot.objects.filter(annotations__in=[result.annotation_id for result in changed]).distinct()
    people = Enrolment.objects.filter(project=gold.task.project_id, annotator__in=slots.values("holder"))
    for enrolment in people:
        enrolments.note(
            enrolment=enrolment,
            kind=Decision.Kind.RESCORE,
            rule={"kind": "corrected", "gold": gold.pk, "version": gold.version},
            data={"task": gold.task.name, "passed": _passed_now(enrolment, changed)},
            reason=gold.reason,
        )


def _passed_now(enrolment: Enrolment, results: Iterable[GoldResult]) -> bool:
    return any(one.passed for one in results if one.annotation.slot.holder_id == enrolment.annotator_id)


# --- From work to gold ------------------------------------------------------------------------------------------------


@transaction.atomic
def promote(*, task: Task, purpose: str, actor, values: dict[Question, Values] | None = None) -> Task:
    """Copy a task of work, so that its answer can become known: people who judged the original never get the copy.

    `values`: what the promoting researcher answers himself, by question. Raises Refused where there is a copy already.
    """
    if task.purpose != Purpose.WORK or purpose not in KNOWN_PURPOSES:
        raise Refused(_("Only work is copied, to gold, test or training."))
    if task.copies.filter(purpose=purpose).exists():
        raise Refused(_("There is such a copy of this task already."))
    [made] = add_tasks(project=task.project, tasks=[copy_of(task, purpose)])
    for question, said in (values or {}).items():
        answer(task=made, question=question, researcher=actor, values=_moved(task, made, said))
    return made


def copy_of(task: Task, purpose: str, batch: str = "") -> NewTask:
    """The task once more, for another purpose, under a name that says nothing of it."""
    outputs = [
        NewCompletion(one.name, one.text, tuple(source.model for source in one.sources.all()))
        for one in task.completions.order_by("position").prefetch_related("sources")
    ]
    return NewTask(
        name=sha256(f"{task.project_id} {task.pk} {purpose}".encode())[:12],
        conversation=task.conversation,
        completions=outputs,
        language=task.language,
        skills=tuple(task.skills),
        categories=tuple(task.categories),
        tree=task.tree,
        batch=batch,
        purpose=purpose,
        copy_of=task,
    )


def _moved(task: Task, copy: Task, values: Values) -> Values:
    """The values with the copy's outputs in place of the original's."""
    there = dict(
        zip(
            task.completions.order_by("position").values_list("pk", flat=True),
            copy.completions.order_by("position").values_list("pk", flat=True),
            strict=True,
        )
    )

    return [
        {**one, "completion": there.get(one["completion"]), "value": adjudication.moved(one["value"], there)}
        for one in values
    ]


def tasks_of(project: Project, purposes: Sequence[str] = KNOWN_PURPOSES) -> QuerySet[Task]:
    """Tasks with a known answer, or that are to have one."""
    return Task.objects.filter(project=project, purpose__in=purposes)
