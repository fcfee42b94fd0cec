"""What the judgements of each task come to: worked out for a whole project, kept where it changed, and what follows.

All answers of people are heard: those of places added later, late ones and informed ones too. A row is written only
where the value, the votes or (by a hundredth) the confidence changed, so the rows are a history and do not pile up. An
adjudication stands whatever is voted later; votes and soft label beside it go on.

While the consensus of a project's deciding question is not sure enough, its task is given one more place, up to the
largest overlap (`ask_more`); what stays unsure goes to adjudication (`annotate.services.adjudication`).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet

from annotate.consensus import CODE_VERSION, adjusted, dawid_skene, one_coin, orders_of
from annotate.consensus.labels import LabelConsensus
from annotate.measures import Labels
from annotate.models import Consensus, Project, Question, Slot, Task
from annotate.services import ledger
from annotate.services.judgements import (
    ORDERED,
    asked,
    categories,
    deciding_question,
    judgements,
    labels,
)

Kind = Question.Kind
CHUNK = 500  # tasks whose rows are written at once
LEAST_FOR_CONFUSION = 20  # labels of the median annotator for each category: fewer cannot fill a confusion matrix
CLOSE = 0.01  # of confidence: less is no change


class At(NamedTuple):
    """What a consensus is of: a task, or an output of it, or an output and a rule."""

    task: int
    completion: int | None = None
    rule: int | None = None


@dataclass(frozen=True)
class Found:
    """The consensus of one unit, as it was worked out."""

    value: Any
    confidence: float | None
    votes: Any
    soft: Any
    unanimous: bool
    n_votes: int
    method: str


# --- Working it out ---------------------------------------------------------------------------------------------------


def work_out(question: Question) -> dict[At, Found]:
    """The consensus of each unit of the question on which people have answered."""
    slots = Slot.objects.heard().filter(project=question.project_id).annotate(annotation=F("current_annotation"))
    found = labels(question, judgements(question, slots))
    if not len(found.unit):
        return {}
    if question.kind in Question.PREFERENCES:
        return dict(_orders(found))
    if question.kind in ORDERED:
        return dict(_ratings(found))
    agreed = _fitted(found)
    return dict(_options(found, agreed) if question.kind == Kind.MULTI_CHOICE else _choices(question, found, agreed))


def _fitted(found: Labels) -> LabelConsensus:
    """Dawid–Skene where people gave enough labels to know how each of them errs, else one-coin."""
    median = np.median(np.bincount(found.rater, minlength=len(found.raters)))
    return dawid_skene(found) if median >= LEAST_FOR_CONFUSION * found.categories else one_coin(found)


def _orders(found: Labels) -> Iterator[tuple[At, Found]]:
    """The order of each task's outputs, from the posterior of each pair. First and second are sides of one coin, and
    ties as common as people make them: where none is offered there is none.
    """
    pairs = one_coin(found, prior="votes", mirrored=True)
    people = _people(found)
    tasks: dict[int, list[int]] = defaultdict(list)
    for at, (task, _first, _second) in enumerate(found.units):
        tasks[task].append(at)
    ordered = orders_of(found.units, pairs.posterior)
    votes, soft, alike = found.counts.tolist(), pairs.posterior.round(4).tolist(), _alike(found)
    for task, units in tasks.items():
        order = ordered[task]
        sides = [found.units[at][1:] for at in units]
        yield (
            At(task),
            Found(
                {"tiers": {str(output): tier for tier, outputs in enumerate(order.tiers, 1) for output in outputs}},
                order.confidence,
                [[first, second, votes[at]] for at, (first, second) in zip(units, sides, strict=True)],
                [[first, second, soft[at]] for at, (first, second) in zip(units, sides, strict=True)],
                all(alike[at] for at in units),
                max(people[at] for at in units),
                "one-coin of pairs, ranked pairs",
            ),
        )


def _people(found: Labels) -> list[int]:
    return found.counts.sum(axis=1).tolist()


def _alike(found: Labels) -> list[bool]:
    """Of each unit, whether everybody said the same."""
    return (found.counts.max(axis=1) == found.counts.sum(axis=1)).tolist()


def _ratings(found: Labels) -> Iterator[tuple[At, Found]]:
    assert found.numbers is not None
    agreed = adjusted(found)
    steps = [f"{number:g}" for number in found.numbers]
    votes, people, alike = found.counts.tolist(), _people(found), _alike(found)
    for at, (task, output, rule, _option) in enumerate(found.units):
        soft = {"mean": round(float(agreed.mean[at]), 4), "se": round(float(agreed.se[at]), 4)}
        named = {step: n for step, n in zip(steps, votes[at], strict=True) if n}
        value = round(float(agreed.mean[at]), 2)
        yield (
            At(task, output, rule),
            Found(value, float(agreed.confidence[at]), named, soft, alike[at], people[at], "severity removed"),
        )


def _choices(question: Question, found: Labels, agreed: LabelConsensus) -> Iterator[tuple[At, Found]]:
    names = categories(question)
    votes, soft = found.counts.tolist(), agreed.posterior.round(4).tolist()
    people, alike = _people(found), _alike(found)
    for at, (task, output, rule, _option) in enumerate(found.units):
        value = None if agreed.tied[at] else names[agreed.value[at]]
        yield (
            At(task, output, rule),
            Found(
                value,
                float(agreed.confidence[at]),
                {name: n for name, n in zip(names, votes[at], strict=True) if n},
                dict(zip(names, soft[at], strict=True)),
                alike[at],
                people[at],
                agreed.method,
            ),
        )


def _options(found: Labels, agreed: LabelConsensus) -> Iterator[tuple[At, Found]]:
    """Of a multi-choice each option is settled by itself; the answer is as sure as its least sure option."""
    parts: dict[At, list[tuple[str, int]]] = defaultdict(list)
    for at, (task, output, rule, option) in enumerate(found.units):
        parts[At(task, output, rule)].append((option, at))
    votes, chosen = found.counts.tolist(), agreed.posterior[:, 1].round(4).tolist()
    people, alike = _people(found), _alike(found)
    for unit, options in parts.items():
        tied = any(agreed.tied[at] for _option, at in options)
        yield (
            unit,
            Found(
                None if tied else [option for option, at in options if agreed.value[at] == 1],
                min(float(agreed.confidence[at]) for _option, at in options),
                {option: votes[at][1] for option, at in options},
                {option: chosen[at] for option, at in options},
                all(alike[at] for _option, at in options),
                max(people[at] for _option, at in options),
                agreed.method,
            ),
        )


# --- Keeping it -------------------------------------------------------------------------------------------------------


def keep(*, question: Question, found: Mapping[At, Found]) -> int:
    """Write what changed since it was last worked out. Returns how many rows."""
    before = {_at(row): row for row in current(question)}
    changed = {at.task for at, one in found.items() if at not in before or _changed(before[at], one, question)}
    changed |= {at.task for at, row in before.items() if at not in found and row.adjudication_id is None}
    by_task: dict[int, dict[At, Found]] = defaultdict(dict)
    for at, one in found.items():
        if at.task in changed:
            by_task[at.task][at] = one
    return sum(_keep_tasks(question, {task: by_task[task] for task in tasks}) for tasks in in_chunks(sorted(changed)))


def in_chunks(tasks: Sequence[int]) -> Iterator[Sequence[int]]:
    return (tasks[at : at + CHUNK] for at in range(0, len(tasks), CHUNK))


def current(question: Question) -> QuerySet[Consensus]:
    """The rows that stand, of all versions of the question."""
    return Consensus.objects.filter(
        task__project=question.project_id, question__key=question.key, question__kind=question.kind, current=True
    )


def _at(row: Consensus) -> At:
    return At(row.task_id, row.completion_id, row.rule_id)


def _changed(row: Consensus, one: Found, question: Question) -> bool:
    before, now, sure = row.confidence or 0, one.confidence or 0, question.project.sure_enough
    return (
        row.votes != one.votes
        or row.question_id != question.pk
        or (row.value != one.value and row.adjudication_id is None)
        or abs(before - now) >= CLOSE
        or (before >= sure) != (now >= sure)
    )


@transaction.atomic
def _keep_tasks(question: Question, found: Mapping[int, Mapping[At, Found]]) -> int:
    """The tasks are locked, as by whoever adjudicates one: neither writes over the other."""
    list(Task.objects.filter(pk__in=list(found)).order_by("pk").select_for_update(no_key=True).values_list("pk"))
    before = {_at(row): row for row in current(question).filter(task__in=list(found))}
    now = {at: one for units in found.values() for at, one in units.items()}
    new = [at for at, one in now.items() if at not in before or _changed(before[at], one, question)]
    gone = [at for at, row in before.items() if at not in now and row.adjudication_id is None]
    Consensus.objects.filter(pk__in=[before[at].pk for at in [*new, *gone] if at in before]).update(current=False)
    return len(Consensus.objects.bulk_create(_row(question, at, now[at], before.get(at)) for at in new))


def _row(question: Question, at: At, found: Found, before: Consensus | None) -> Consensus:
    """The row of a unit. What a reviewer decided stays its value."""
    decided = before is not None and before.adjudication_id is not None
    return Consensus(
        task_id=at.task,
        question=question,
        completion_id=at.completion,
        rule_id=at.rule,
        value=before.value if before and decided else found.value,
        label_source=before.label_source if before and decided else Consensus.LabelSource.VOTES,
        adjudication_id=before.adjudication_id if before else None,
        confidence=found.confidence,
        votes=found.votes,
        soft=found.soft,
        unanimous=found.unanimous,
        n_votes=found.n_votes,
        method=found.method,
        code_version=CODE_VERSION,
    )


# --- What follows -----------------------------------------------------------------------------------------------------


def unsure(project: Project) -> QuerySet[Consensus]:
    """What stays below the confidence that the project wants, by votes alone, where nobody is at work on it any more."""
    of_task = Slot.objects.filter(task=OuterRef("task"))
    return Consensus.objects.filter(
        ~Exists(of_task.filter(status=Slot.Status.OPEN)),  # two of them, so that each finds its partial index
        ~Exists(of_task.filter(status=Slot.Status.LEASED)),
        question__project=project,
        question__current=True,
        current=True,
        label_source=Consensus.LabelSource.VOTES,
        confidence__lt=project.sure_enough,
        task__status=Task.Status.OPEN,
        task__purpose=Task.Purpose.WORK,
    )


def ask_more(*, project: Project) -> int:
    """Give each unsettled task one more place, where the project wants that. Returns how many got one."""
    question = deciding_question(project)
    if not project.adaptive or question is None:
        return 0
    room = unsure(project).filter(question=question, task__target_overlap__lt=project.max_overlap)
    tasks = sorted(set(room.values_list("task", flat=True)))
    return sum(ledger.add_places(tasks=chunk) for chunk in in_chunks(tasks))


def settle(*, project: Project) -> None:
    """Work out the consensus of each question, keep it, and ask further people where it is not sure enough."""
    for question in asked(project):
        keep(question=question, found=work_out(question))
    ask_more(project=project)
