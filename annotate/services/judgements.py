"""The judgements of a question as labels: who gave which unit which category. Agreement and consensus are made of them.

A unit is what two people can agree on: a pair of outputs of a task (preferences), a task or an output (ratings and
choices), an option of it (multi-choice: chosen or not), an output and a rule (degree of violation). What is written and
marked words have no units.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from django.db.models import Case, F, OuterRef, QuerySet, Subquery, When
from django.utils.translation import gettext as _

from annotate.measures import Labels, labels_of, pair_labels
from annotate.models import Annotation, Answer, Guideline, Project, Question
from annotate.questions import DEGREES
from annotate.services.preferences import tiers_of

Kind = Question.Kind
MEASURABLE = (*Question.PREFERENCES, Kind.RATING, Kind.CHOICE, Kind.MULTI_CHOICE, Kind.RULE)
"""Kinds of question whose answers can be compared."""
ORDERED = (Kind.RATING, Kind.RULE)


class Judgement(NamedTuple):
    """One person's answer to one question on one task."""

    annotation: int
    prompt: str
    task: int
    annotator: int
    epoch: int
    said: Any  # tiers of a preference, else [(output, rule, value)]


def asked(project: Project) -> list[Question]:
    """The project's questions that agreement and consensus are made of, in their order."""
    return list(project.questions.current().filter(kind__in=MEASURABLE))


def deciding_question(project: Project) -> Question | None:
    """The question whose consensus says whether a task is settled: the preference, else the first that must be answered."""
    questions = asked(project)
    preference = [one for one in questions if one.kind in Question.PREFERENCES]
    return next(iter([*preference, *(one for one in questions if one.required), *questions]), None)


def epochs(project: Project) -> dict[int | None, int]:
    """The epoch of each guideline, by its id: counted from 1, a new one from each material change on. Without: 0."""
    found: dict[int | None, int] = {None: 0}
    epoch = 0
    for pk, material in Guideline.objects.filter(project=project).order_by("version").values_list("pk", "material"):
        epoch += material or not epoch
        found[pk] = epoch
    return found


def uninformed(slots: QuerySet) -> QuerySet:
    """The slots with `annotation`: the latest that its author made without knowing what others said."""
    earlier = Annotation.objects.filter(slot=OuterRef("pk"), informed=False).order_by("-revision").values("pk")[:1]
    valid = When(current_annotation__informed=False, then=F("current_annotation"))
    return slots.annotate(annotation=Case(valid, default=Subquery(earlier))).filter(annotation__isnull=False)


def judgements(question: Question, slots: QuerySet) -> Iterator[Judgement]:
    """What the slots' holders answered. `slots` must have `annotation`, the id of the one to read; streamed."""
    columns = ("annotation", "task__prompt_sha256", "task", "holder")
    of = {row[0]: row for row in slots.order_by().values_list(*columns).iterator(chunk_size=5000)}
    if not of:
        return  # of models, mostly: the answers need not be read
    epoch_of = epochs(question.project)
    guideline: dict[int, int] = {}
    if len(set(epoch_of.values())) > 1:
        read = Annotation.objects.filter(slot__project=question.project_id, guideline__isnull=False).order_by()
        guideline = dict(read.values_list("pk", "guideline").iterator(chunk_size=5000))
    for annotation, said in _said(question):
        if annotation in of and said:
            _pk, prompt, task, annotator = of[annotation]
            yield Judgement(annotation, prompt, task, annotator, epoch_of[guideline.get(annotation)], said)


def _said(question: Question) -> Iterator[tuple[int, Any]]:
    """(annotation, what it says), of all versions of the question."""
    if question.kind in Question.PREFERENCES:
        yield from tiers_of(question__key=question.key, annotation__slot__project=question.project_id)
        return
    answers = Answer.objects.filter(
        question__key=question.key, question__kind=question.kind, annotation__slot__project=question.project_id
    )
    rows = answers.order_by("annotation_id").values_list("annotation_id", "completion_id", "rule_id", "value")
    for annotation, said in groupby(rows.iterator(chunk_size=5000), key=itemgetter(0)):
        yield annotation, [answer for _annotation, *answer in said]


def labels(question: Question, rows: Iterable[Judgement]) -> Labels:
    """The judgements as labels, raters and units by id. Values that the question no longer offers are left out.

    A unit is (task, first output, second) of a preference, else (task, output or None, rule or None, option or None).
    """
    if question.kind in Question.PREFERENCES:
        return pair_labels((row.prompt, row.task, row.annotator, row.said) for row in rows)
    offered = categories(question)
    code = {value: at for at, value in enumerate(offered)}
    numbers = np.array(offered, dtype=np.float64) if question.kind in ORDERED else None
    return labels_of(_labelled(question, rows, code), categories=len(offered), numbers=numbers)


def _labelled(question: Question, rows: Iterable[Judgement], code: dict) -> Iterator[tuple[str, tuple, int, int]]:
    options = [option["value"] for option in question.settings.get("options", [])]
    for row in rows:
        for output, rule, value in row.said:
            if question.kind == Kind.MULTI_CHOICE:
                for option in options:
                    yield row.prompt, (row.task, output, rule, option), row.annotator, int(option in value)
            elif value in code:
                yield row.prompt, (row.task, output, rule, None), row.annotator, code[value]


def categories(question: Question) -> list:
    """What can be said of a unit, in order: values of the answers; of a preference which of two outputs is better."""
    settings = question.settings
    if question.kind in Question.PREFERENCES:
        return ["first", "tie", "second"]
    if question.kind == Kind.RATING:
        return list(range(settings["min"], settings["max"] + 1))
    if question.kind == Kind.RULE:
        return list(DEGREES)
    if question.kind == Kind.MULTI_CHOICE:
        return [False, True]
    return [option["value"] for option in settings["options"]]


def category_names(question: Question) -> list[str]:
    """The same in words."""
    if question.kind in Question.PREFERENCES:
        return [_("first is better"), _("tie"), _("second is better")]
    if question.kind == Kind.MULTI_CHOICE:
        return [_("not chosen"), _("chosen")]
    if question.kind == Kind.CHOICE:
        return [option["label"] for option in question.settings["options"]]
    return [str(value) for value in categories(question)]


def by_epoch(rows: Sequence[Judgement]) -> dict[int | None, Sequence[Judgement]]:
    """The judgements of each epoch, the latest first; where there are several, all of them too, under None."""
    parts: dict[int, list[Judgement]] = defaultdict(list)
    for row in rows:
        parts[row.epoch].append(row)
    found: dict[int | None, Sequence[Judgement]] = dict(sorted(parts.items(), reverse=True))
    return found | {None: rows} if len(parts) > 1 else found
