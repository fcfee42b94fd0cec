"""Where somebody stands in a project: right on known answers, with the others, and over time.

The same figures for those who oversee the project and for the person himself, but for what would give gold away. n stands
with every figure. What is measured against peers is to look at: nothing follows from it by itself (docs/vetting.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from string import ascii_uppercase
from typing import Any

from django.db.models import Exists, F, Func, JSONField, OuterRef, Q, QuerySet, Value
from django.db.models.functions import JSONObject
from django.utils.translation import get_language

from annotate import plots
from annotate.models import AgreementDetail, Decision, Enrolment, GoldResult, Project, Question, Task
from annotate.services import adjudication, vetting
from annotate.services.overview import midnight
from annotate.standing_words import all_in_words, as_units
from annotate.vetting import rules
from annotate.vetting.watching import ewma

Purpose, Kind = Task.Purpose, Decision.Kind
LEAST = 20  # of fewer results a share says little, and the page says so
LATEST = 50
MOST_MISSED = 20
MOST_IN_PLOT = 500
TOLD = 10
"""Somebody is told of his own gold in whole tens, a day later: a figure that moves with every answer would say which
task was gold, and whether the answer was right."""


@dataclass(frozen=True)
class Share:
    """k of n, with its interval."""

    k: int
    n: int

    @property
    def value(self) -> float | None:
        return self.k / self.n if self.n else None

    @property
    def enough(self) -> bool:
        return self.n >= LEAST

    @cached_property
    def _interval(self) -> tuple[float, float]:
        return rules.wilson(self.k, self.n)

    @property
    def low(self) -> float:
        return self._interval[0]

    @property
    def high(self) -> float:
        return self._interval[1]

    def p_at_least(self, target: float) -> float:
        return rules.p_at_least(self.k, self.n, target)


# --- Known answers ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """A task of gold that somebody answered: right or not, question by question."""

    slot: int
    passed: dict[int, bool]  # by question
    claimed_at: datetime
    at: datetime

    @property
    def right(self) -> bool:
        return all(self.passed.values())


def known(enrolment: Enrolment, *, own: bool = False) -> list[Known]:
    """The gold that somebody answered, in order; with `own` as much of it as he is told of."""
    found = [
        Known(slot.pk, {row.gold.question_id: row.passed for row in of_slot}, slot.claimed_at, slot.submitted_at)
        for slot, of_slot in vetting.results_by_slot(enrolment, Purpose.GOLD)
        if slot.claimed_at and slot.submitted_at  # every answered slot has both
    ]
    return told(found) if own else found


def told(found: Sequence[Any]) -> list[Any]:
    """Of what would give a task away, so much as its author is told: what is of before today, in whole tens."""
    before = [one for one in found if one.at < midnight()]
    return before[: len(before) // TOLD * TOLD]


def of_gold(enrolment: Enrolment, *, own: bool = False) -> dict[str, Any]:
    """The shares of right answers to gold: in all, of late, of what counts for the pause, and by question."""
    answered = known(enrolment, own=own)
    since, target = vetting.counted_since(enrolment), enrolment.project.gold_target_percent / 100
    counted = [one for one in answered if since is None or one.claimed_at >= since]

    def row(some: Sequence[Known]) -> tuple[Share, float]:
        share = Share(sum(one.right for one in some), len(some))
        return share, share.p_at_least(target)

    return {
        "all": row(answered),
        "late": row(answered[-LATEST:]),
        "counted": row(counted),
        "questions": _by_question(answered),
        "target": enrolment.project.gold_target_percent,
        "course": _course(enrolment, answered) if answered else None,
    }


def _by_question(answered: Sequence[Known]) -> list[tuple[str, Share]]:
    results: dict[int, list[bool]] = {}
    for one in answered:
        for question, passed in one.passed.items():
            results.setdefault(question, []).append(passed)
    names = Question.objects.in_bulk(list(results))
    return [(text_of(names[pk]), Share(sum(passed), len(passed))) for pk, passed in sorted(results.items())]


def text_of(question: Question) -> str:
    """The question in the reader's language."""
    return str(question.says(get_language() or "en")["text"])


# --- Gold over time ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Course:
    """Errors on gold over time: the rate of late, and the watch that rises where they become more frequent."""

    rate: plots.Trend
    watch: plots.Trend
    rows: list[tuple[datetime, bool, float, float]]  # when, right, rate, watch; the newest first
    number: int


def _course(enrolment: Enrolment, answered: Sequence[Known]) -> Course:
    passed = [one.right for one in answered]
    rate, watch = ewma([not one for one in passed]), vetting.errors_of(enrolment.project, passed).path
    when = [one.at for one in answered]
    decided = enrolment.decisions.exclude(kind__in=[Kind.APPLY, Kind.INVITE]).order_by("pk")
    marks = [
        plots.Change(at, str(Kind(kind).label), kind in (Kind.PAUSE, Kind.REJECT))
        for at, kind in decided.values_list("created_at", "kind")
    ]

    def trend(path: Sequence[float], most: float | None) -> plots.Trend:
        moments = [plots.Moment(at, 0, value) for at, value in zip(when, path, strict=True)]
        return plots.trend(moments[-MOST_IN_PLOT:], marks, least=0.0, most=most)

    rows = list(zip(when, passed, rate, watch, strict=True))[-LATEST:]
    return Course(trend(rate, 1.0), trend(watch, None), rows[::-1], len(answered))


# --- What was missed --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Missed:
    """An answer that differs from the known one, and what the researchers say. Letters are those that its author saw."""

    result: GoldResult
    question: str
    said: str
    known: str

    @property
    def task(self) -> Task:
        return self.result.annotation.slot.task


def missed(enrolment: Enrolment, *, own: bool = False) -> list[Missed]:
    """The latest answers that differ from the known ones.

    With `own` those of training alone, and of gold that was answered before the person was sent to training again: what
    has been shown tells him which tasks are gold, so it is shown when it teaches something, and never while it is only
    curiosity. Tasks of the test are not shown at all: others take it too.
    """
    purposes = (Purpose.TRAINING, Purpose.GOLD) if own else (Purpose.TRAINING, Purpose.TEST, Purpose.GOLD)
    found = vetting.results(enrolment.project, *purposes).filter(annotation__slot__holder=enrolment.annotator_id)
    if own:
        retrained = enrolment.decisions.filter(
            kind=Kind.RETRAIN, created_at__gt=OuterRef("annotation__slot__submitted_at")
        )
        found = found.filter(Q(annotation__slot__task__purpose=Purpose.TRAINING) | Q(Exists(retrained)))
    later = vetting.results(enrolment.project, *purposes).filter(
        annotation__slot=OuterRef("annotation__slot"),
        gold=OuterRef("gold"),
        annotation__revision__gt=OuterRef("annotation__revision"),
    )
    rows = list(
        found.filter(~Exists(later), passed=False)
        .select_related("gold__question", "annotation__slot__task", "annotation__slot__route")
        .prefetch_related("annotation__slot__task__completions")
        .order_by("-annotation__slot__submitted_at", "-pk")[:MOST_MISSED]
    )
    questions = {row.gold.question_id: row.gold.question for row in rows}
    said = {
        pk: adjudication.values_of([row.annotation_id for row in rows if row.gold.question_id == pk], question)
        for pk, question in questions.items()
    }
    return [_missed(row, said[row.gold.question_id].get(row.annotation_id, {})) for row in rows]


def _missed(row: GoldResult, said: dict[adjudication.Unit, Any]) -> Missed:
    question, slot = row.gold.question, row.annotation.slot
    letters = {output.pk: letter for output, letter in zip(slot.display_order(), ascii_uppercase, strict=False)}
    answer = all_in_words(question, said, letters)
    return Missed(row, text_of(question), answer, all_in_words(question, as_units(row.gold.values), letters))


# --- With the others --------------------------------------------------------------------------------------------------


class OfPeople(Func):
    """Of what a snapshot knows of annotators, the rows of those named. `vars` is {"who": [pseudonyms]}."""

    function = "jsonb_path_query_array"
    template = "%(function)s(%(expressions)s)"
    output_field = JSONField()

    def __init__(self, names: Sequence[str]) -> None:
        path = Func(template="'$.annotators[*] ? (@.annotator == $who[*])'::jsonpath")
        super().__init__(F("data"), path, JSONObject(who=Value(list(names), JSONField())))


def with_others(
    project: Project, names: Sequence[str], question: Question | None = None
) -> list[tuple[AgreementDetail, dict[str, dict[str, Any]]]]:
    """What the latest snapshot of each question says of these people, by pseudonym. Nothing is measured here.

    A consensus never holds the answer of the person that is measured by it: `annotate.comparing` leaves it out.
    """
    details: QuerySet[AgreementDetail] = AgreementDetail.objects.filter(project=project).defer("data")
    if question:
        details = details.filter(question__key=question.key)
    rows = details.annotate(people=OfPeople(names)).select_related("question").order_by("question__position", "pk")
    return [(row, {one["annotator"]: one for one in row.people}) for row in rows]
