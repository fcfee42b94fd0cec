"""Which judgements an export of a project holds: chosen in one snapshot of the database, and written down.

The selection names each judgement with the reliability of its author. In unit consensus a second file has what they come to;
in it consensus is worked out just before, and the filters choose tasks. Floats are rounded to 6 decimals.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
from django.db import connection, transaction
from django.db.models import Exists, F, Field, Func, OuterRef, Q, QuerySet, Value

from annotate.consensus import one_coin
from annotate.models import Answer, Consensus, Enrolment, GoldAnswer, Guideline, Question, Rule, Slot, Task
from annotate.models.gold import LEAST_RESEARCHERS
from annotate.services import consensus
from annotate.services.judgements import MEASURABLE, epochs, judgements, labels
from curation.exporting.filters import GOLD, Filters, filters_of
from curation.models import Export
from curation.services import blobs
from curation.tables import RowWriter

SELECTION = pa.schema(
    [
        ("prompt_id", pa.string()),
        ("task", pa.int64()),
        ("annotation", pa.int64()),
        ("annotator", pa.string()),
        ("reliability", pa.float64()),
    ]
)
SETTLED = pa.schema(
    [
        ("prompt_id", pa.string()),
        ("task", pa.int64()),
        ("question", pa.string()),
        ("version", pa.int32()),
        ("kind", pa.string()),
        ("completion", pa.int64()),
        ("rule", pa.int64()),
        ("value", pa.string()),  # JSON, as are the two below; outputs by their id
        ("votes", pa.string()),
        ("soft", pa.string()),
        ("confidence", pa.float64()),
        ("adjudicated", pa.bool_()),
        ("method", pa.string()),
        ("people", pa.int32()),
    ]
)
Kind = Export.Kind
PREFERENCES = (Kind.PREFERENCE, Kind.RANKING, Kind.UNPAIRED)
"""Kinds made of the question of preference. The others are made of whatever was asked."""
CHUNK = 2_000


def among(ids: Iterable[int]) -> Func:
    """For lookups with `__in`: one array. As thousands of parameters of one statement they cost more than its rows."""
    return Func(Value(list(ids), output_field=Field()), template="(SELECT unnest(%(expressions)s::bigint[]))")


def preference_key(export: Export) -> str:
    """The key of the question of preference: the project's, as it was when the export was selected. Empty without one."""
    if export.about:
        return export.about["question"]["key"] if export.about["question"] else ""
    question = export.project.preference_question if export.project else None
    return question.key if question else ""


def asked_by(export: Export) -> QuerySet[Question]:
    """All versions of the questions whose answers the kind is made of."""
    questions = Question.objects.filter(project=export.project)
    if export.kind in PREFERENCES:
        return questions.filter(key=preference_key(export), kind__in=Question.PREFERENCES)
    kinds: dict[str, list[Question.Kind]] = {
        Kind.RATING: [Question.Kind.RATING, Question.Kind.CHOICE, Question.Kind.MULTI_CHOICE],
        Kind.VIOLATION: [Question.Kind.RULE],
    }
    return questions.filter(kind__in=kinds[export.kind]) if export.kind in kinds else questions


def judged_slots(export: Export) -> QuerySet[Slot]:
    """The slots whose judgement is in. Withdrawn tasks, gold, held and late answers are out."""
    found = Slot.objects.counting().filter(
        _passes(export, filters_of(export.filters)),
        project=export.project,
        task__purpose=Task.Purpose.WORK,
        task__status=Task.Status.OPEN,
    )
    return found.filter(_answered(export))


def _answered(export: Export) -> Exists:
    """Of a slot: what the kind is made of was answered."""
    questions = list(asked_by(export).values_list("pk", flat=True))
    return Exists(Answer.objects.filter(annotation=OuterRef("current_annotation"), question__in=questions))


def _passes(export: Export, chosen: Filters) -> Q:
    found = Q()
    if chosen.batches:
        found &= Q(task__batch__name__in=chosen.batches)
    if chosen.epochs:
        assert export.project is not None
        of = [guideline for guideline, epoch in epochs(export.project).items() if epoch in chosen.epochs and guideline]
        found &= Q(current_annotation__guideline__in=of)
    if chosen.states:
        enrolled = Enrolment.objects.filter(
            project=OuterRef("project"), annotator=OuterRef("holder"), status__in=chosen.states
        )
        found &= Q(Exists(enrolled))
    if chosen.answered_from:
        found &= Q(current_annotation__created_at__gte=chosen.answered_from)
    if chosen.answered_until:
        found &= Q(current_annotation__created_at__lt=chosen.answered_until)
    if chosen.least_confidence:
        questions = list(asked_by(export).values_list("pk", flat=True))
        sure = Consensus.objects.filter(
            task=OuterRef("task"), question__in=questions, current=True, confidence__gte=chosen.least_confidence
        )
        found &= Q(Exists(sure))
    return found


def tasks_of(slots: QuerySet[Slot]) -> Func:
    """The tasks of the slots, found once: as a nested query, right after an import, before the tables are analysed, the
    planner would find them again for each row.
    """
    return among(slots.order_by().values_list("task", flat=True).distinct())


def _ordered(slots: QuerySet[Slot]) -> QuerySet[Slot]:
    return slots.order_by("task__prompt_sha256", "task_id", "current_annotation_id")


# --- Writing it down --------------------------------------------------------------------------------------------------


@contextmanager
def snapshot() -> Iterator[str]:
    """One moment for all statements within, and its name. Inside another transaction, that one's own isolation."""
    outermost = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if outermost:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SELECT pg_current_snapshot()::text")
        yield cursor.fetchone()[0]


def select(export: Export, folder: Path) -> None:
    """Write the selection down, once: that of an attempt which was taken for dead stands."""
    gold = filters_of(export.filters).purpose == GOLD
    if export.unit == Export.Unit.CONSENSUS and not gold:
        for question in asked_by(export).filter(current=True, kind__in=MEASURABLE):
            consensus.keep(question=question, found=consensus.work_out(question))
    selection, settled = folder / "selection.parquet", folder / "settled.parquet"
    with snapshot() as name:
        about = _about(export)
        with RowWriter(selection, SELECTION) as writer:
            for row in () if gold else selected(export):
                writer.write(row)
        if export.unit == Export.Unit.CONSENSUS:
            with RowWriter(settled, SETTLED) as writer:
                for row in known(export) if gold else settled_by(export):
                    writer.write(row)
    with transaction.atomic():
        kept: dict[str, Any] = {"selection": blobs.keep(selection), "snapshot": name, "about": about}
        if export.unit == Export.Unit.CONSENSUS:
            kept["settled"] = blobs.keep(settled)
        Export.objects.filter(pk=export.pk, selection=None).update(**kept)
    export.refresh_from_db(fields=["selection", "settled", "snapshot", "about"])


def _about(export: Export) -> dict[str, Any]:
    """What the manifest says of the project. Kept with the selection: all of it may change before the export is made again."""
    project = export.project
    assert project is not None
    preference = project.preference_question if export.kind in PREFERENCES else None
    asks_rules = export.kind in (Kind.VIOLATION, Kind.JUDGEMENT)
    rules = Rule.objects.filter(project=project).order_by("key", "version") if asks_rules else Rule.objects.none()
    return {
        "project": {"slug": project.slug, "name": project.name},
        "question": {"key": preference.key, "version": preference.version, "text": preference.text}
        if preference
        else None,
        "questions": [
            {"key": one.key, "version": one.version, "kind": one.kind, "text": one.text, "settings": one.settings}
            for one in asked_by(export).order_by("key", "version")
        ],
        "rules": [{"rule": f"{one.key}@{one.version}", "text": one.text} for one in rules],
    }


def selected(export: Export) -> Iterator[dict[str, Any]]:
    """In the order of the export. In unit consensus all that the consensus of the tasks is made of, late answers too."""
    slots, reliability = judged_slots(export), _reliabilities(export)
    if export.unit == Export.Unit.CONSENSUS:
        slots = Slot.objects.heard().filter(_answered(export), task__in=tasks_of(slots))
    columns = ("task__prompt_sha256", "task_id", "current_annotation_id", "holder__pseudonym", "holder_id")
    for prompt, task, annotation, pseudonym, holder in _ordered(slots).values_list(*columns).iterator(CHUNK):
        yield {
            "prompt_id": prompt,
            "task": task,
            "annotation": annotation,
            "annotator": pseudonym,
            "reliability": reliability.get(holder, 1.0),
        }


def _reliabilities(export: Export) -> dict[int, float]:
    """How often each person is right, by one-coin over all that the project's people judged; empty where all count alike."""
    if export.reliability == Export.Reliability.EQUAL or export.project is None:
        return {}
    question = asked_by(export).filter(current=True).first()
    if question is None:
        return {}
    slots = Slot.objects.heard().filter(project=export.project).annotate(annotation=F("current_annotation"))
    found = labels(question, judgements(question, slots))
    if not len(found.unit):
        return {}
    fitted = one_coin(found, prior="votes", mirrored=question.kind in Question.PREFERENCES)
    assert fitted.reliability is not None
    return {rater: round(float(value), 6) for rater, value in zip(found.raters, fitted.reliability, strict=True)}


def settled_by(export: Export) -> Iterator[dict[str, Any]]:
    tasks = tasks_of(judged_slots(export))
    questions = list(asked_by(export).values_list("pk", flat=True))
    rows = Consensus.objects.filter(task__in=tasks, question__in=questions, current=True)
    ordered = rows.order_by(
        "task__prompt_sha256", "task_id", "question__position", "question_id", "completion_id", "rule_id"
    )
    for row in ordered.select_related("task", "question").iterator(CHUNK):
        yield _row(
            row.task, row.question, row.completion_id, row.rule_id, row.value,
            votes=row.votes, soft=row.soft, confidence=row.confidence,
            adjudicated=row.label_source == Consensus.LabelSource.ADJUDICATED, method=row.method, people=row.n_votes,
        )  # fmt: skip


def known(export: Export) -> Iterator[dict[str, Any]]:
    """The answers that at least two researchers agree on. Their share of those who answered is the confidence."""
    answers = GoldAnswer.objects.filter(
        task__project=export.project, question__in=asked_by(export), current=True, agreeing__gte=LEAST_RESEARCHERS,
        task__status=Task.Status.OPEN,
    )  # fmt: skip
    for gold in (
        answers.order_by("task__prompt_sha256", "task_id", "question_id")
        .select_related("task", "question")
        .iterator(CHUNK)
    ):
        for unit in sorted(gold.values, key=lambda one: (one["completion"] or 0, one["rule"] or 0)):
            yield _row(
                gold.task, gold.question, unit["completion"], unit["rule"], unit["value"],
                votes=None, soft=None, confidence=gold.agreeing / gold.researchers if gold.researchers else None,
                adjudicated=True, method="researchers", people=gold.researchers,
            )  # fmt: skip


def _row(
    task: Task,
    question: Question,
    completion: int | None,
    rule: int | None,
    value: Any,
    *,
    confidence: float | None,
    **more: Any,
) -> dict[str, Any]:
    return {
        "prompt_id": task.prompt_sha256,
        "task": task.pk,
        "question": question.key,
        "version": question.version,
        "kind": question.kind,
        "completion": completion,
        "rule": rule,
        "value": orjson.dumps(value).decode(),
        "confidence": None if confidence is None else round(confidence, 6),
        **more,
        "votes": orjson.dumps(more["votes"]).decode(),
        "soft": orjson.dumps(more["soft"]).decode(),
    }


# --- Reading it back --------------------------------------------------------------------------------------------------


def by_prompt(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Rows of one prompt together: they stand together in both files, and sorted."""
    return ((prompt, list(group)) for prompt, group in groupby(rows, key=itemgetter("prompt_id")))


def guidelines_of(versions: Iterable[int], export: Export) -> list[dict[str, Any]]:
    found = Guideline.objects.filter(project=export.project, version__in=list(versions)).order_by("version")
    return [{"version": one.version, "text": one.text} for one in found]
