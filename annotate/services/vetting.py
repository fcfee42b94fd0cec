"""What follows from an answer to a task whose answer is known: training, test, and gold in the stream of work.

Training ends when enough of it was right; each part of the test is decided by its own rule, and all of them have to say
yes; gold warns and, where somebody is almost certainly below the project's target, pauses. Nothing here looks at how far
somebody agrees with his peers: no automatic step follows from that. docs/vetting.md has the rules with their figures.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Avg, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.models import (
    Annotation,
    Answer,
    Attempt,
    Decision,
    Enrolment,
    GoldAnswer,
    GoldResult,
    Project,
    Question,
    Slot,
    Task,
    VettingStep,
)
from annotate.services import enrolments, gold, ledger
from annotate.vetting import rules
from annotate.vetting.watching import Cusum, cusum

Status, Purpose, Step = Enrolment.Status, Task.Purpose, VettingStep.Kind
TRAINING_DEFAULTS = {"least": 5, "share": 0.7, "most": 15}
PART_DEFAULTS: dict[str, dict[str, Any]] = {
    Step.FLAGS: {"kind": "sprt"},
    Step.RANKINGS: {"kind": "sprt"},
    Step.DEMONSTRATIONS: {"kind": "mean"},
}
RETEST_DEFAULT = {"kind": "fixed", "n": 6, "right": 4}
SURE, LEAST_GOLD = 0.9, 20
"""Gold pauses where P(p ≥ target) ≤ 1 - SURE, on LEAST_GOLD tasks or more; below that it does nothing by itself."""


# --- Steps ------------------------------------------------------------------------------------------------------------


def steps_of(project: Project) -> dict[str, dict[str, Any]]:
    """The settings of each step that the project has, in the order of the steps."""
    found = dict(project.vetting_steps.values_list("kind", "settings"))
    return {kind: found[kind] for kind in Step.values if kind in found}


def parts_of(steps: dict[str, dict[str, Any]]) -> list[str]:
    return [kind for kind in VettingStep.PARTS if kind in steps]


def part_of(question: Question) -> str:
    """The part of the test that answers to a question belong to."""
    if question.kind in Question.PREFERENCES:
        return Step.RANKINGS
    return Step.DEMONSTRATIONS if question.kind == Question.Kind.DEMONSTRATION else Step.FLAGS


# --- Results ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """One task with a known answer, as somebody answered it: right or not in one part."""

    slot: int
    task: int
    part: str
    passed: bool
    share: float
    at: datetime


def results(project: Project, *purposes: str) -> QuerySet[GoldResult]:
    """What people's answers are worth by the known answers of now. Informed answers are left out; of one that was
    changed before, each revision has a result, and the latest counts."""
    return GoldResult.objects.filter(
        annotation__slot__project=project,
        annotation__slot__task__purpose__in=purposes,
        annotation__informed=False,
        gold__current=True,
    )


def results_by_slot(
    enrolment: Enrolment, purpose: str, *, since: datetime | None = None
) -> list[tuple[Slot, list[GoldResult]]]:
    """Of each task of this purpose that the person answered, in order: the latest result of each question, by the answers
    given before he knew better. `since`: of tasks taken from then on.

    Three statements by key instead of one join: where the tables were never analysed, right after much came in, the
    planner walks all results for each slot of the join, and a claim waits for it.
    """
    taken = Slot.objects.filter(
        holder=enrolment.annotator_id,
        project=enrolment.project_id,
        task__purpose=purpose,
        submitted_at__isnull=False,
    ).order_by("submitted_at", "pk")
    if since:
        taken = taken.filter(claimed_at__gte=since)
    slots = {slot.pk: slot for slot in taken.only("task_id", "claimed_at", "submitted_at")}
    revisions = Annotation.objects.filter(slot__in=list(slots), informed=False).order_by("revision")
    slot_of = dict(revisions.values_list("pk", "slot"))
    rows = GoldResult.objects.filter(annotation__in=list(slot_of), gold__current=True).select_related("gold__question")
    turn = {pk: at for at, pk in enumerate(slot_of)}
    found: dict[int, dict[int, GoldResult]] = {pk: {} for pk in slots}
    for row in sorted(rows, key=lambda row: turn[row.annotation_id]):
        found[slot_of[row.annotation_id]][row.gold.question_id] = row
    return [(slots[pk], list(of_slot.values())) for pk, of_slot in found.items() if of_slot]


def items(enrolment: Enrolment, purpose: str, *, since: datetime | None = None) -> list[Item]:
    """What was answered of this purpose, in order. An item passes in a part when all questions of that part are right."""
    found = []
    for slot, of_slot in results_by_slot(enrolment, purpose, since=since):
        parts: dict[str, list[GoldResult]] = {}
        for row in of_slot:
            parts.setdefault(part_of(row.gold.question), []).append(row)
        found += [_item(slot, part, of_part) for part, of_part in parts.items()]
    return found


def _item(slot: Slot, part: str, results: Sequence[GoldResult]) -> Item:
    assert slot.submitted_at  # asked for
    share = sum(one.share for one in results) / len(results)
    return Item(slot.pk, slot.task_id, part, all(one.passed for one in results), share, slot.submitted_at)


def right(found: Iterable[Item]) -> tuple[int, int]:
    """How many tasks are right in all their parts, of how many."""
    passed = passes(found)
    return sum(passed), len(passed)


# --- The verbs --------------------------------------------------------------------------------------------------------


@transaction.atomic
def submit(*, slot: Slot, **said: Any) -> Annotation:
    """Record an answer (`ledger.submit`) and, where the task's answer is known, do what follows from it."""
    if slot.task.purpose == Purpose.WORK:
        return ledger.submit(slot=slot, **said)
    enrolment = Enrolment.objects.filter(project=slot.project_id, annotator=slot.holder_id).first()
    row = enrolments.locked(enrolment) if enrolment else None  # before the slot, as in a claim
    annotation = ledger.submit(slot=slot, **said)
    if slot.task.purpose in gold.KNOWN_PURPOSES and not annotation.informed:
        gold.score(annotation, slot.task)
        if slot.task.purpose == Purpose.TRAINING:  # the feedback stands there at once
            Slot.objects.filter(pk=slot.pk, informed_at=None).update(informed_at=timezone.now())
        if row:
            consider(enrolment=row)
    return annotation


def consider(*, enrolment: Enrolment) -> None:
    """Decide what the answers so far decide. The caller has locked the enrolment. Without news nothing is decided twice."""
    if enrolment.status == Status.TRAINING:
        _consider_training(enrolment)
    elif enrolment.status == Status.TESTING:
        _consider_test(enrolment)
    elif enrolment.status == Status.APPROVED:
        _consider_gold(enrolment)


def _consider_training(enrolment: Enrolment) -> None:
    steps = steps_of(enrolment.project)
    if Step.TRAINING not in steps:  # brought there by hand, and out of it by hand
        return
    rule = TRAINING_DEFAULTS | steps[Step.TRAINING]
    attempt = enrolments.latest_attempt(enrolment)
    k, n = right(items(enrolment, Purpose.TRAINING, since=attempt.created_at if attempt else None))
    known, data = {"kind": "training"} | rule, {"k": k, "n": n}
    if n >= rule["least"] and k >= rule["share"] * n:
        if parts_of(steps) and gold.unseen(enrolment, Purpose.TEST).exists():
            enrolments.move(enrolment=enrolment, to=Status.TESTING, rule=known, data=data)
        else:
            enrolments.move(enrolment=enrolment, to=Status.APPROVED, rule=known, data=data)
    elif n >= rule["most"] or not gold.unseen(enrolment, Purpose.TRAINING).exists():
        if attempt and attempt.kind == Attempt.Kind.RETRAINING:
            reason = _("The training that was asked for did not end well.")
            enrolments.move(enrolment=enrolment, to=Status.PAUSED, rule=known, data=data, reason=reason)
        else:
            _undecided(enrolment, attempt, known, data)


@dataclass(frozen=True)
class Part:
    """Where somebody stands in one part of the test."""

    kind: str
    rule: Any
    outcome: str
    k: int  # right; of demonstrations the sum of marks
    n: int  # items; of demonstrations pieces that were marked
    figures: dict[str, Any]

    @property
    def as_data(self) -> dict[str, Any]:
        return {"outcome": self.outcome, "k": self.k, "n": self.n} | self.figures


def test_parts(enrolment: Enrolment, attempt: Attempt | None = None) -> list[Part]:
    """Each part of the test of an attempt (by default the latest), with what its rule says so far."""
    attempt = attempt or enrolments.latest_attempt(enrolment)
    steps = steps_of(enrolment.project)
    since = attempt.created_at if attempt else None
    again = attempt is not None and attempt.kind == Attempt.Kind.RETEST
    answered = items(enrolment, Purpose.TEST, since=since)
    found = []
    for kind in parts_of(steps):
        if kind == Step.DEMONSTRATIONS:
            if not again:
                found.append(_demonstrations(enrolment, steps[kind], since))
            continue
        chosen = steps[kind].get("retest", RETEST_DEFAULT) if again else steps[kind].get("rule", PART_DEFAULTS[kind])
        rule = rules.from_settings(chosen)
        assert not isinstance(rule, rules.Mean)  # `vetting_steps` refuses it of counted parts
        verdict = rules.decide(rule, [one.passed for one in answered if one.part == kind])
        found.append(Part(kind, rule, verdict.outcome, verdict.k, verdict.n, verdict.figures))
    return found


def _demonstrations(enrolment: Enrolment, settings: dict[str, Any], since: datetime | None) -> Part:
    rule = rules.from_settings(settings.get("rule", PART_DEFAULTS[Step.DEMONSTRATIONS]))
    assert isinstance(rule, rules.Mean)
    pieces = demonstrations(enrolment.project).filter(annotation__slot__holder=enrolment.annotator_id)
    if since:
        pieces = pieces.filter(annotation__slot__claimed_at__gte=since)
    marks = [
        float(mark) for mark in pieces.annotate(mark=Avg("ratings__rating")).values_list("mark", flat=True) if mark
    ]
    mean = round(sum(marks) / len(marks), 6) if marks else None
    figures = {"mean": mean}
    return Part(Step.DEMONSTRATIONS, rule, rule.outcome_of(marks), round(sum(marks)), len(marks), figures)


def demonstrations(project: Project) -> QuerySet[Answer]:
    """The pieces that stand of those written in the test, the oldest first."""
    found = Answer.objects.filter(
        question__project=project,
        question__kind=Question.Kind.DEMONSTRATION,
        annotation__slot__task__purpose=Purpose.TEST,
        annotation__slot__current_annotation=F("annotation"),
    )
    return found.order_by("annotation__created_at", "pk")


def _consider_test(enrolment: Enrolment) -> None:
    attempt = enrolments.latest_attempt(enrolment)
    parts = test_parts(enrolment, attempt)
    if not parts:
        return
    outcomes = {part.outcome for part in parts}
    known = {"kind": "test", "parts": {part.kind: rules.to_settings(part.rule) for part in parts}}
    data = {part.kind: part.as_data for part in parts}
    if rules.REJECT in outcomes:
        failed_again = attempt is not None and attempt.kind == Attempt.Kind.RETEST
        if failed_again and Step.TRAINING in steps_of(enrolment.project):
            reason = _("The short test on the new guideline was not passed.")
            enrolments.move(
                enrolment=enrolment,
                to=Status.TRAINING,
                kind=Decision.Kind.RETRAIN,
                rule=known,
                data=data,
                reason=reason,
            )
        elif failed_again:
            _undecided(enrolment, attempt, known, data)
        else:
            enrolments.move(enrolment=enrolment, to=Status.REJECTED, rule=known, data=data)
    elif outcomes == {rules.APPROVE}:
        enrolments.move(enrolment=enrolment, to=Status.APPROVED, rule=known, data=data)
    elif not waits_for_marks(parts) and not open_tests(enrolment, parts).exists():
        _undecided(enrolment, attempt, known, data)


def waits_for_marks(parts: Iterable[Part]) -> bool:
    return any(part.kind == Step.DEMONSTRATIONS and part.outcome == rules.GOING_ON for part in parts)


def _undecided(enrolment: Enrolment, attempt: Attempt | None, rule: dict, data: dict) -> None:
    """Say once an attempt that a person has to decide."""
    said = Decision.objects.filter(enrolment=enrolment, attempt=attempt, kind=Decision.Kind.UNDECIDED)
    if not said.exists():
        enrolments.note(enrolment=enrolment, kind=Decision.Kind.UNDECIDED, rule=rule, data=data)


def counted_since(enrolment: Enrolment) -> datetime | None:
    """From when on gold counts: who was let in or restored begins anew."""
    begun = [Decision.Kind.APPROVE, Decision.Kind.RESTORE]
    return enrolment.decisions.filter(kind__in=begun).order_by("-pk").values_list("created_at", flat=True).first()


def _consider_gold(enrolment: Enrolment) -> None:
    target = enrolment.project.gold_target_percent / 100
    since = counted_since(enrolment)
    answered = items(enrolment, Purpose.GOLD, since=since)
    k, n = right(answered)
    if n < LEAST_GOLD:
        return
    p = rules.p_at_least(k, n, target)
    rule = {"kind": "gold", "target": target, "sure": SURE, "least": LEAST_GOLD}
    data = {"k": k, "n": n, "p_at_least": round(p, 6)}
    if p <= 1 - SURE:
        reason = _("Right on %(k)d of %(n)d tasks whose answer the researchers know; the project wants %(target)d %%.")
        reason %= {"k": k, "n": n, "target": enrolment.project.gold_target_percent}
        enrolments.move(enrolment=enrolment, to=Status.PAUSED, rule=rule, data=data, reason=reason)
        return
    alarms = errors_of(enrolment.project, passes(answered)).alarms
    warned = enrolment.decisions.filter(kind=Decision.Kind.WARN, rule__kind="cusum")
    if since:
        warned = warned.filter(created_at__gt=since)
    if len(alarms) > warned.count():
        reason = _(
            "Lately more of your answers differ from the researchers' than before. Please read the guideline again."
        )
        enrolments.note(enrolment=enrolment, kind=Decision.Kind.WARN, rule={"kind": "cusum"}, data=data, reason=reason)


def errors_of(project: Project, passed: Sequence[bool]) -> Cusum:
    """The watch on errors of these answers to gold, in order."""
    bad = 1 - project.gold_target_percent / 100 + 0.05  # half of it is good: .15 and .30 where the target is .75
    return cusum([not one for one in passed], good=bad / 2, bad=bad)


def passes(found: Iterable[Item]) -> list[bool]:
    """Right or not, task by task, in order."""
    by_slot: dict[int, bool] = {}
    for one in found:
        by_slot[one.slot] = by_slot.get(one.slot, True) and one.passed
    return list(by_slot.values())


# --- Which tasks come -------------------------------------------------------------------------------------------------


def open_tests(enrolment: Enrolment, parts: Iterable[Part] | None = None) -> QuerySet[Task]:
    """Test tasks of the parts that are not decided yet; of a project without parts all of them: a person decides."""
    parts = list(parts or test_parts(enrolment))
    if not parts:
        return gold.unseen(enrolment, Purpose.TEST)
    going_on = [part.kind for part in parts if part.outcome == rules.GOING_ON]
    answers = GoldAnswer.objects.filter(task=OuterRef("pk"), current=True)
    preference = Q(Exists(answers.filter(question__kind__in=Question.PREFERENCES)))
    others = Q(Exists(answers.exclude(question__kind__in=Question.PREFERENCES)))
    of_part = {Step.RANKINGS: preference, Step.FLAGS: others, Step.DEMONSTRATIONS: Q(~Exists(answers))}
    wanted = Q(pk__in=[])
    for kind in going_on:
        wanted |= of_part[VettingStep.Kind(kind)]
    return gold.unseen(enrolment, Purpose.TEST).filter(wanted)
