"""Measuring agreement, and keeping what was measured.

What counts: the valid rankings and comparisons of people (kind person or imported) that fill a place of their task; of
a project that has a shared pool, on tasks of the pool only. Simulated annotators, where a project has any, are measured
apart, never together with people; aggregates and models never. A unit is one pair of outputs of one task; its values are
"first better", "tie", "second better". Intervals resample prompts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone
from numpy.typing import NDArray

from annotate import measures
from annotate.models import Agreement, Annotation, Annotator, Project, Question, Slot
from annotate.services.preferences import Tiers, tiers_of
from jobs.models import Job
from jobs.services import enqueue

JOB = "annotate.measure_agreement"
Population = Agreement.Population
KINDS = {Population.PEOPLE: Annotator.HUMAN, Population.SIMULATED: (Annotator.Kind.SIMULATED,)}


def rankings(
    project: Project, question: Question, population: str = Population.PEOPLE
) -> Iterator[tuple[str, int, int, Tiers]]:
    """(prompt_sha256, task id, annotator id, {completion id: tier}) of each judgement that counts, streamed."""
    slots = Slot.objects.counting().filter(project=project, holder__kind__in=KINDS[Population(population)])
    if project.shared_percent:
        slots = slots.filter(task__shared=True)
    of = {
        annotation: rest
        for annotation, *rest in slots.values_list(
            "current_annotation_id", "task__prompt_sha256", "task_id", "holder_id"
        ).iterator(chunk_size=5000)
    }
    for annotation, tiers in tiers_of(question__key=question.key, annotation__slot__project=project):
        if tiers and annotation in of:
            prompt, task, annotator = of[annotation]
            yield prompt, task, annotator, tiers


def all_measures(counts: NDArray[np.int64], groups: NDArray[np.int64]) -> list[measures.Measure]:
    """Every measure of pairs of outputs. `counts` has shape (pairs, 3) as `pair_units` makes it; groups are prompts."""
    tie = measures.PairUnits.TIE_CATEGORY
    return [
        measures.pairwise_agreement(counts, groups, ties="count"),
        measures.pairwise_agreement(counts, groups, ties="both_strict", tie_category=tie),
        measures.pairwise_agreement(counts, groups, ties="any_tie_dropped", tie_category=tie),
        measures.fleiss_kappa(counts, groups),
        measures.krippendorff_alpha(counts, groups, level="nominal"),
        measures.krippendorff_alpha(counts, groups, level="ordinal"),
    ]


def measure(
    project: Project, question: Question, population: str = Population.PEOPLE
) -> tuple[list[measures.Measure], tuple[int, int]]:
    """All measures of the project's rankings as they are now, and (unanimous, all) pairs with two or more values."""
    units = measures.pair_units(rankings(project, question, population))
    return all_measures(units.counts, units.groups), measures.unanimous(units.counts)


@transaction.atomic
def keep(
    *,
    project: Project,
    question: Question,
    figures: list[measures.Measure],
    as_of: datetime,
    population: str = Population.PEOPLE,
) -> None:
    """Write a snapshot: one row a measure, all of the same time."""
    Agreement.objects.bulk_create(
        Agreement(
            project=project,
            question=question,
            population=population,
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
        for figure in figures
    )


@dataclass(frozen=True)
class Measured:
    """What was measured of one question: its figures, and (unanimous, all) pairs with two or more values."""

    question: Question
    figures: list[measures.Measure]
    unanimous: tuple[int, int]


def measure_and_keep(*, project: Project) -> tuple[datetime, list[Measured]]:
    """Measure each question of the project and keep the snapshot.

    Returns the time it is of and what was measured of people.
    """
    as_of = timezone.now()  # before reading: an answer that arrives meanwhile is newer than the snapshot
    questions = project.questions.current().filter(kind__in=Question.PREFERENCES)
    measured = [Measured(question, *measure(project, question)) for question in questions]
    for one in measured:
        keep(project=project, question=one.question, figures=one.figures, as_of=as_of)
    if project.slots.filter(holder__kind=Annotator.Kind.SIMULATED, status=Slot.Status.SUBMITTED).exists():
        for one in measured:
            figures, _unanimous = measure(project, one.question, Population.SIMULATED)
            keep(project=project, question=one.question, figures=figures, as_of=as_of, population=Population.SIMULATED)
    return as_of, measured


def latest(project: Project) -> QuerySet[Agreement]:
    """The newest snapshot's rows, people's first, in the order in which they were measured."""
    newest = Agreement.objects.filter(project=project).order_by("-as_of").values("as_of")[:1]
    return Agreement.objects.filter(project=project, as_of=newest).select_related("question").order_by("pk")


def request_measuring(*, project: Project, actor) -> Job:
    """Start a job that measures. While one is waiting or running, that one is given."""
    return enqueue(kind=JOB, parameters={"project": project.pk}, key=f"project {project.pk}", actor=actor)


def refresh() -> int:
    """Start measuring wherever answers are newer than the latest snapshot. Returns how many; beat calls it."""
    measured = dict(Agreement.objects.order_by().values_list("project").annotate(Max("as_of")))
    stale = 0
    asking = Question.objects.filter(current=True, kind__in=Question.PREFERENCES)
    for project in Project.objects.filter(pk__in=asking.values("project")):
        newer = Annotation.objects.filter(slot__project=project)
        if project.pk in measured:
            newer = newer.filter(created_at__gt=measured[project.pk])
        if newer.exists():
            request_measuring(project=project, actor=None)
            stale += 1
    return stale
