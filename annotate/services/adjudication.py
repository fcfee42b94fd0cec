"""Where people disagree a reviewer decides: which cases wait, what people said, and what is decided.

A case is a question on a task. A decision sets the value of the consensus; what people voted stays beside it. It is never
changed: another one replaces it, and names the one it replaces, so that of two reviewers the second is told.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.answer_words import NEITHER
from annotate.errors import Refused
from annotate.models import (
    Adjudication,
    Annotation,
    Answer,
    Completion,
    Consensus,
    Project,
    Question,
    Slot,
    Task,
)
from annotate.questions import DEGREES, NONE_ACCEPTABLE, NOT_RANKABLE, RANKED, Given, dense
from annotate.services import consensus
from annotate.services.judgements import deciding_question

Kind = Question.Kind
Outcome = Adjudication.Outcome
Status = Slot.Status
ANSWERED = (Status.SUBMITTED, Status.EXTRA)
Unit = tuple[int | None, int | None]
"""What a value is of: an output or None, a rule or None."""
LEAST_VOTES = 2
MOST_COUNTED = 1000
NOT_YET = "not worked out yet"  # how the votes were counted, of a case that was decided before they were


# --- Which cases wait -------------------------------------------------------------------------------------------------


def queue(project: Project, question: Question | None = None, *, user=None) -> QuerySet[Consensus]:
    """The cases that wait, least sure first: of each its least sure unit. `user`: without tasks this user was given."""
    units = _unsettled(project, question, user)
    worst = units.order_by("task_id", "question_id", "confidence", "pk").distinct("task_id", "question_id")
    return Consensus.objects.filter(pk__in=worst.values("pk")).order_by("confidence", "pk")


def following(made: Adjudication, *, same_question: bool) -> Consensus | None:
    """The least sure case beside the one that was just decided, for the same reviewer: the head of his queue."""
    units = _unsettled(made.task.project, made.question if same_question else None, made.reviewer)
    others = units.exclude(task=made.task, question=made.question)
    return others.select_related("question").order_by("confidence", "pk").first()


class Waiting(NamedTuple):
    """How many cases wait, and whether there are more that were not counted."""

    n: int
    more: bool

    def __str__(self) -> str:
        return f"{intcomma(self.n)}{'+' if self.more else ''}"


def waiting(project: Project, user=None) -> Waiting:
    """How many cases wait; with `user` those he may decide. Counted no further than `MOST_COUNTED` units.

    A page that counted them all would grow with the project: 34 ms at 16 thousand, .8 s at 240 thousand.
    """
    units = list(_unsettled(project, None, user).order_by().values_list("task", "question")[: MOST_COUNTED + 1])
    return Waiting(len(set(units[:MOST_COUNTED])), len(units) > MOST_COUNTED)


def _unsettled(project: Project, question: Question | None, user) -> QuerySet[Consensus]:
    """Not sure enough by the votes of at least two, where nobody is at work on the task and nobody more is asked."""
    found = consensus.unsure(project).filter(n_votes__gte=LEAST_VOTES, unanimous=False)
    # Only the deciding question asks further people: the others do not wait for places that never come.
    if project.adaptive and (deciding := deciding_question(project)):
        found = found.filter(~Q(question=deciding) | Q(task__target_overlap__gte=project.max_overlap))
    if question:
        found = found.filter(question=question)
    if user:
        found = found.exclude(Exists(Slot.objects.filter(task=OuterRef("task"), holder__user=user)))
    return found


# --- What people said -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """One person's answer to a case: the annotation that stands, and its value of each unit."""

    slot: Slot
    annotation: Annotation
    values: dict[Unit, Any]

    @property
    def pseudonym(self) -> str:
        return self.slot.holder.pseudonym if self.slot.holder else ""


def answers(task: Task, question: Question) -> list[Said]:
    """What people answered, in the order in which they did. Three or four statements, however many they are."""
    related = ("holder", "current_annotation__guideline")
    slots = list(Slot.objects.heard().filter(task=task).select_related(*related).order_by("submitted_at", "pk"))
    said = values_of([slot.current_annotation_id for slot in slots], question)
    return [
        Said(slot, slot.current_annotation, said[slot.current_annotation_id])
        for slot in slots
        if slot.current_annotation and slot.current_annotation_id in said
    ]


def values_of(annotations: Iterable[int | None], question: Question) -> dict[int, dict[Unit, Any]]:
    """The values that annotations give the units of a question, whatever version of it they answered."""
    rows = Answer.objects.filter(
        annotation__in=list(annotations), question__key=question.key, question__kind=question.kind
    )
    found: dict[int, dict[Unit, Any]] = {}
    rows = rows.select_related("question", "pair").prefetch_related("rank_items")
    for row in rows.order_by("completion__position", "rule"):
        found.setdefault(row.annotation_id, {})[row.completion_id, row.rule_id] = _value(row)
    return found


def _value(answer: Answer) -> Any:
    kind = answer.question.kind
    if kind == Kind.RANKING:
        ranks = [(item.completion_id, item.tier, item.acceptable) for item in answer.rank_items.all()]
        return _order(answer.question, ranks, answer.value)
    if kind == Kind.PAIRWISE:
        pair = answer.pair
        return _comparison(pair.left_id, pair.right_id, None if pair.neither else pair.strength)
    return answer.value


def values_given(given: Iterable[Given]) -> list[dict[str, Any]]:
    """What was read from a form, as the values of a decision."""
    return [{"completion": one.completion, "rule": one.rule, "value": _given(one)} for one in given]


def _given(given: Given) -> Any:
    if given.question.kind == Kind.RANKING:
        tiers = dense(given.ranks)
        ranks = [(rank.completion, tiers[rank.completion], rank.acceptable) for rank in given.ranks]
        return _order(given.question, ranks, given.value)
    if given.pair:
        return _comparison(given.pair.left, given.pair.right, None if given.pair.neither else given.pair.strength)
    return given.value


def _order(question: Question, ranks: Sequence[tuple[int, int | None, bool | None]], outcome: str | None) -> dict:
    """An order as a value. What is unranked and below the rest has no tier, as in `annotate.services.preferences`."""
    below = question.settings.get("unranked") == "below"
    ranked = outcome != NOT_RANKABLE and any(tier for _completion, tier, _acceptable in ranks)
    tiers = {str(completion): tier for completion, tier, _acceptable in ranks if tier is not None or below}
    found: dict[str, Any] = {"tiers": tiers if ranked else {}}
    if outcome not in (None, RANKED):
        found["outcome"] = outcome
    if any(acceptable is not None for _completion, _tier, acceptable in ranks):
        found["acceptable"] = [completion for completion, _tier, acceptable in ranks if acceptable]
    return found


def _comparison(left: int, right: int, strength: int | None) -> dict:
    """A comparison as a value. `strength`: how much better the left one is; None: neither will do."""
    if strength is None:
        return {"tiers": {}, "outcome": NEITHER}
    tiers = {str(left): 1 + (strength < 0), str(right): 1 + (strength > 0)}
    return {"tiers": tiers, "strength": abs(strength)}


def moved(value: Any, outputs: Mapping[int, int]) -> Any:
    """A value of a task as one of its copy: with the outputs that stand in place of its own."""
    if not isinstance(value, Mapping):
        return value
    found = {**value, "tiers": {str(outputs[int(output)]): tier for output, tier in value["tiers"].items()}}
    if "acceptable" in value:
        found["acceptable"] = [outputs[output] for output in value["acceptable"]]
    return found


def say_the_same(one: Any, other: Any) -> bool:
    """Whether two values agree. Orders agree where they order the outputs alike that both of them place."""
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return one == other
    common = set(one["tiers"]) & set(other["tiers"])
    if len(common) < 2:
        return (one["tiers"], one.get("outcome")) == (other["tiers"], other.get("outcome"))
    return _dense(one["tiers"], common) == _dense(other["tiers"], common)


def _dense(tiers: Mapping[str, int | None], some: Iterable[str]) -> dict[str, int]:
    numbers = {one: 1_000 if tiers[one] is None else int(tiers[one] or 0) for one in some}
    ranks = sorted(set(numbers.values()))
    return {one: ranks.index(number) for one, number in numbers.items()}


# --- Decisions --------------------------------------------------------------------------------------------------------


def decisions(task: Task, question: Question) -> QuerySet[Adjudication]:
    """What was decided on the case, the latest first. It stands for all versions of the question."""
    found = Adjudication.objects.filter(task=task, question__key=question.key, question__kind=question.kind)
    return found.select_related("reviewer", "adopted__slot__holder", "question").order_by("-pk")


def held_by(task: Task, user) -> QuerySet[Slot]:
    """The slot that the user was ever given on the task. Who had one does not decide on it."""
    return Slot.objects.filter(task=task, holder__user=user)


def note_reader(*, task: Task, user) -> None:
    """Whoever was given the task sees now what others said: his slot says so, and what he changes is informed."""
    held_by(task, user).filter(informed_at=None).update(informed_at=timezone.now())


@transaction.atomic
def adjudicate(
    *,
    task: Task,
    question: Question,
    reviewer,
    outcome: str,
    rationale: str,
    adopted: Annotation | None = None,
    values: Sequence[Mapping[str, Any]] | None = None,
    replaces: Adjudication | None = None,
) -> Adjudication:
    """Decide a case: adopt somebody's answer, give one's own (`values`), or call it genuinely ambiguous.

    `replaces`: the decision that the page knew. An answer that leaves out some units decides on the others alone. All who
    answered the task read the rationale: what they change from now on is informed.
    Raises Refused where the reviewer was given the task, a newer decision stands, or the answer does not fit.
    """
    # The slots before the task, as everywhere: who changes an answer holds his own and may wait for the task.
    answered = Slot.objects.filter(task=task, status__in=ANSWERED).order_by("pk").select_for_update(no_key=True)
    slots = list(answered.values_list("pk", flat=True))
    task = Task.objects.select_for_update(no_key=True).get(pk=task.pk)
    _check(task, question, reviewer, rationale, replaces)
    decided = _decided(task, question, outcome, adopted, values)
    made = Adjudication.objects.create(
        task=task,
        question=question,
        reviewer=reviewer,
        outcome=outcome,
        adopted=adopted if outcome == Outcome.ADOPT else None,
        values=[{"completion": unit[0], "rule": unit[1], "value": value} for unit, value in decided.items()],
        rationale=rationale.strip(),
        replaces=replaces,
    )
    _supersede(made, decided)
    Slot.objects.filter(pk__in=slots, informed_at=None).update(informed_at=made.created_at)
    return made


def _check(task: Task, question: Question, reviewer, rationale: str, replaces: Adjudication | None) -> None:
    if held_by(task, reviewer).exists():
        raise Refused(_("You were given this task as an annotator. Somebody else decides on it."))
    latest = decisions(task, question).first()
    if latest and latest.pk != (replaces and replaces.pk):
        raise Refused(
            _("%(who)s has decided meanwhile: %(outcome)s. Yours is not saved. Save it again to put it in its place.")
            % {"who": latest.reviewer, "outcome": latest.get_outcome_display()}
        )
    if not rationale.strip():
        raise Refused(_("Say why: those who answered read it."))


def _decided(
    task: Task, question: Question, outcome: str, adopted: Annotation | None, values: Sequence[Mapping[str, Any]] | None
) -> dict[Unit, Any]:
    """The value of each unit that is decided on; none of them where the case is ambiguous as a whole."""
    if outcome == Outcome.AMBIGUOUS:
        return {}
    if outcome == Outcome.ADOPT:
        if adopted is None or adopted.slot.task_id != task.pk:
            raise Refused(_("The answer to adopt is about another task. Load the page again."))
        found = values_of([adopted.pk], question).get(adopted.pk)
        if not found:
            raise Refused(_("The one whose answer you adopt has not answered this question."))
    else:
        given = values or []
        found = {(one.get("completion"), one.get("rule")): one.get("value") for one in given}
        if not given or len(found) != len(given):
            raise Refused(_("Give an answer of your own."))
    _check_fits(task, question, found)
    return found


def check_values(task: Task, question: Question, values: Sequence[Mapping[str, Any]]) -> None:
    """Raises Refused unless the values are an answer to the question on this task, each unit once."""
    found = {(one.get("completion"), one.get("rule")): one.get("value") for one in values}
    if not values or len(found) != len(values):
        raise Refused(_("Give an answer of your own."))
    _check_fits(task, question, found)


def _check_fits(task: Task, question: Question, found: Mapping[Unit, Any]) -> None:
    outputs = set(Completion.objects.filter(task=task).values_list("pk", flat=True))
    rules = set(question.project.rules.values_list("pk", flat=True)) if question.kind == Kind.RULE else {None}
    about = outputs if question.scope == Question.Scope.COMPLETION else {None}
    for (completion, rule), value in found.items():
        if completion not in about or rule not in rules or not _fits(question, outputs, value):
            raise Refused(_("The answer does not fit what the question asks now. Decide on an answer of your own."))


def _fits(question: Question, outputs: set[int], value: Any) -> bool:
    settings = question.settings
    if question.kind in Question.PREFERENCES:
        return isinstance(value, Mapping) and _order_fits(question, outputs, value)
    if question.kind == Kind.MULTI_CHOICE:
        options = [option["value"] for option in settings["options"]]
        most = settings.get("most", len(options))
        chosen = value if isinstance(value, list) else ["", ""]
        distinct = len({str(one) for one in chosen}) == len(chosen)
        return distinct and all(one in options for one in chosen) and settings.get("least", 0) <= len(chosen) <= most
    if question.kind == Kind.CHOICE:
        return any(value == option["value"] for option in settings["options"])
    steps = DEGREES if question.kind == Kind.RULE else range(settings["min"], settings["max"] + 1)
    return type(value) is int and value in steps


def _order_fits(question: Question, outputs: set[int], value: Mapping[str, Any]) -> bool:
    """Whether tiers and outcome are such as the question allows; tiers count from 1 without gaps."""
    tiers, outcome, settings = value.get("tiers"), value.get("outcome"), question.settings
    offered = [NEITHER] if question.kind == Kind.PAIRWISE else [NOT_RANKABLE, NONE_ACCEPTABLE]
    if not isinstance(tiers, Mapping) or (outcome and (outcome not in offered or not settings.get(outcome))):
        return False
    if not tiers:
        return bool(outcome)
    placed = {tier for tier in tiers.values() if tier is not None}
    if outcome in (NEITHER, NOT_RANKABLE) or not set(tiers) <= {str(output) for output in outputs}:
        return False
    if any(type(tier) is not int for tier in placed) or sorted(placed) != list(range(1, len(placed) + 1)):
        return False
    if question.kind == Kind.PAIRWISE:
        return len(tiers) == 2 and None not in tiers.values() and (len(placed) == 2 or bool(settings.get("tie")))
    whole = len(tiers) == len(outputs) or outcome == NONE_ACCEPTABLE or settings.get("unranked") == "unknown"
    return whole and (None not in tiers.values() or settings.get("unranked") == "below")


def _supersede(made: Adjudication, decided: Mapping[Unit, Any]) -> None:
    """Set the consensus of what was decided on; the votes beside it stay as they are."""
    task, question = made.task, made.question
    before = {(row.completion_id, row.rule_id): row for row in consensus.current(question).filter(task=task)}
    units: Iterable[Unit] = decided
    if made.outcome == Outcome.AMBIGUOUS:
        units = {**before, **{unit: None for said in answers(task, question) for unit in said.values}}
    Consensus.objects.filter(pk__in=[before[unit].pk for unit in units if unit in before]).update(current=False)
    Consensus.objects.bulk_create(_row(made, unit, decided.get(unit), before.get(unit)) for unit in units)


def _row(made: Adjudication, unit: Unit, value: Any, before: Consensus | None) -> Consensus:
    if isinstance(value, Mapping):  # of an order, what a consensus says of one
        value = {"tiers": value["tiers"]}
    nothing: list | dict = [] if made.question.kind in Question.PREFERENCES else {}
    return Consensus(
        task=made.task,
        question=made.question,
        completion_id=unit[0],
        rule_id=unit[1],
        value=value,
        confidence=before.confidence if before else None,
        votes=before.votes if before else nothing,
        soft=before.soft if before else nothing,
        unanimous=before.unanimous if before else False,
        n_votes=before.n_votes if before else 0,
        method=before.method if before else NOT_YET,
        code_version=before.code_version if before else consensus.CODE_VERSION,
        label_source=Consensus.LabelSource.ADJUDICATED,
        adjudication=made,
    )
