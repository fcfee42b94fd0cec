"""Measuring agreement, and keeping what was measured.

What counts: answers of people (kind person or imported) that fill a place which their task had from the start, as their
author gave them before he saw feedback or the answers of others; of a project that has a shared pool, on tasks of the
pool only. So places that were added where people disagreed, late answers and informed ones are left out. Answers are
compared within one epoch of the guideline; across epochs they are measured apart. Simulated annotators are measured
apart too, never together with people; aggregates and models never. Intervals resample prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone
from numpy.typing import NDArray

from annotate import measures
from annotate.models import Agreement, AgreementDetail, Annotation, Annotator, Project, Question, Slot
from annotate.services import agreement_detail
from annotate.services.judgements import MEASURABLE, ORDERED, Judgement, asked, by_epoch, judgements, labels, uninformed
from jobs.models import Job
from jobs.services import enqueue

JOB = "annotate.measure_agreement"
Population = Agreement.Population
KINDS = {Population.PEOPLE: Annotator.HUMAN, Population.SIMULATED: (Annotator.Kind.SIMULATED,)}


def counted(project: Project, kinds: Sequence[str] = Annotator.HUMAN) -> QuerySet[Slot]:
    """The slots of annotators of these kinds whose answers agreement is measured on, with `annotation`."""
    slots = Slot.objects.independent().filter(project=project, holder__kind__in=kinds)
    return uninformed(slots.filter(task__shared=True) if project.shared_percent else slots)


def read(question: Question, population: str = Population.PEOPLE) -> list[Judgement]:
    """The judgements that count."""
    return list(judgements(question, counted(question.project, KINDS[Population(population)])))


def all_measures(counts: NDArray[np.int64], groups: NDArray[np.int64]) -> list[measures.Measure]:
    """Every measure of preferences. `counts` has shape (pairs, 3): first better, tie, second better; groups are prompts."""
    return [
        measures.pairwise_agreement(counts, groups, ties="count"),
        measures.pairwise_agreement(counts, groups, ties="both_strict", tie_category=measures.TIE),
        measures.pairwise_agreement(counts, groups, ties="any_tie_dropped", tie_category=measures.TIE),
        measures.fleiss_kappa(counts, groups),
        measures.krippendorff_alpha(counts, groups, level="nominal"),
        measures.krippendorff_alpha(counts, groups, level="ordinal"),
        measures.gwet_ac(counts, groups),
    ]


def measures_of(kind: str, found: measures.Labels) -> list[measures.Measure]:
    """What is measured of a question of this kind."""
    counts, groups = found.counts, found.groups
    if kind in Question.PREFERENCES:
        return all_measures(counts, groups)
    if kind in ORDERED:
        return [
            measures.pairwise_agreement(counts, groups),
            measures.krippendorff_alpha(counts, groups, level="ordinal"),
            measures.krippendorff_alpha(counts, groups, level="interval", numbers=found.numbers),
            measures.gwet_ac(counts, groups, weights="ordinal"),
        ]
    return [
        measures.pairwise_agreement(counts, groups),
        measures.fleiss_kappa(counts, groups),
        measures.krippendorff_alpha(counts, groups, level="nominal"),
        measures.gwet_ac(counts, groups),
    ]


@dataclass(frozen=True)
class Measured:
    """What was measured of one question in one epoch (None: across epochs): its figures, and (unanimous, all) units."""

    question: Question
    epoch: int | None
    figures: list[measures.Measure]
    unanimous: tuple[int, int]


def measure(question: Question, rows: Sequence[Judgement]) -> list[Measured]:
    """The figures of each epoch, the latest first; where there are several, those across all of them last."""
    found = []
    for epoch, part in (by_epoch(rows) or {0: []}).items():
        of = labels(question, part)
        found.append(Measured(question, epoch, measures_of(question.kind, of), measures.unanimous(of.counts)))
    return found


def _row(project: Project, one: Measured, figure: measures.Measure, population: str, as_of: datetime) -> Agreement:
    return Agreement(
        project=project,
        question=one.question,
        population=population,
        epoch=one.epoch,
        metric=figure.name,
        value=figure.value,
        low=figure.low,
        high=figure.high,
        undefined_because=figure.undefined_because or "",
        no_interval_because=figure.no_interval_because or "",
        n_units=figure.n_units,
        n_groups=figure.n_groups,
        n_values=figure.n_values,
        n_dropped=figure.n_dropped,
        shared_pool=bool(project.shared_percent),
        as_of=as_of,
        code_version=measures.CODE_VERSION,
    )


def measure_and_keep(*, project: Project) -> tuple[datetime, list[Measured]]:
    """Measure each question of the project and keep the snapshot: its figures for ever, its detail until the next.

    Returns the time it is of and what was measured of people, the questions in their order.
    """
    as_of = timezone.now()  # before reading: an answer that arrives meanwhile is newer than the snapshot
    measured, rows, details = [], [], []
    simulated = project.slots.filter(holder__kind=Annotator.Kind.SIMULATED, status=Slot.Status.SUBMITTED).exists()
    for question in asked(project):
        people = read(question)
        of_question = measure(question, people)
        measured += of_question
        rows += [_row(project, one, figure, Population.PEOPLE, as_of) for one in of_question for figure in one.figures]
        details.append(AgreementDetail(project=project, question=question, as_of=as_of, data=_detail(question, people)))
        if simulated:
            played = measure(question, read(question, Population.SIMULATED))
            rows += [
                _row(project, one, figure, Population.SIMULATED, as_of) for one in played for figure in one.figures
            ]
    with transaction.atomic():
        Agreement.objects.bulk_create(rows)
        AgreementDetail.objects.filter(project=project, as_of__lt=as_of).delete()
        AgreementDetail.objects.bulk_create(details, ignore_conflicts=True)  # a later one was faster
    return as_of, measured


def _detail(question: Question, people: Sequence[Judgement]) -> dict:
    judges = judgements(question, counted(question.project, [Annotator.Kind.MODEL]))
    epoch, part = next(iter(by_epoch(people).items()), (0, []))
    return agreement_detail.detail(question, epoch or 0, part, list(judges))


def latest(project: Project) -> QuerySet[Agreement]:
    """The newest snapshot's rows, people's first, in the order in which they were measured."""
    newest = Agreement.objects.filter(project=project).order_by("-as_of").values("as_of")[:1]
    return (
        Agreement.objects.filter(project=project, as_of=newest)
        .select_related("question")
        .order_by("population", "question__position", "pk")
    )


def request_measuring(*, project: Project, actor) -> Job:
    """Start a job that measures. While one is waiting or running, that one is given."""
    return enqueue(kind=JOB, parameters={"project": project.pk}, key=key_of(project), actor=actor)


def key_of(project: Project) -> str:
    return f"project {project.pk}"


def refresh() -> int:
    """Start measuring wherever answers are newer than the latest snapshot. Returns how many; beat calls it.

    What takes long is done less often, so that measuring takes up a tenth of one worker at most.
    """
    measured = dict(Agreement.objects.order_by().values_list("project").annotate(Max("as_of")))
    stale = 0
    asking = Question.objects.filter(current=True, kind__in=MEASURABLE)
    for project in Project.objects.filter(pk__in=asking.values("project")):
        newer = Annotation.objects.filter(slot__project=project)
        if project.pk in measured:
            newer = newer.filter(created_at__gt=measured[project.pk])
        if newer.exists() and _rested(project):
            request_measuring(project=project, actor=None)
            stale += 1
    return stale


def _rested(project: Project) -> bool:
    """Whether nine times as long as the last measuring took has gone by since."""
    ended = Job.objects.filter(kind=JOB, key=key_of(project), state=Job.State.SUCCEEDED).order_by("-finished_at")
    for job in ended[:1]:
        assert job.finished_at  # a constraint
        return timezone.now() >= job.finished_at + 9 * (job.finished_at - job.created_at)
    return True
