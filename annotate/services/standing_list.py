"""The people of a project in a list, with what says where each stands: a fixed number of statements a page."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery

from annotate.models import Appeal, Decision, Enrolment, GoldResult, Project, Slot, Task
from annotate.services import vetting
from annotate.services.judgements import deciding_question
from annotate.services.standing import Share, with_others

Kind, Status = Decision.Kind, Enrolment.Status
ATTENTION = "attention"


@dataclass(frozen=True)
class Row:
    """Somebody in the list."""

    enrolment: Enrolment
    answered: int
    gold: Share
    agreement: dict[str, Any] | None  # with the others, on the question that decides
    decision: Decision | None  # the last one
    appealed: bool  # and nobody has replied


def enrolments(project: Project, *, state: str = "", team: str = "") -> QuerySet[Enrolment]:
    """The enrolments of a project. `state`: a status, or ATTENTION for those that wait for a manager."""
    found = Enrolment.objects.filter(project=project).select_related("annotator", "project")
    if team:
        found = found.filter(team=team)
    if state == ATTENTION:
        found = _waiting(found)
    elif state:
        found = found.filter(status=state)
    return found.order_by("annotator__pseudonym")


def _waiting(found: QuerySet[Enrolment]) -> QuerySet[Enrolment]:
    """Those who appealed, wait to be let in, are undecided, or were warned last."""
    last = Decision.objects.filter(enrolment=OuterRef("pk")).order_by("-pk").values("kind")[:1]
    appeals = Appeal.objects.filter(decision__enrolment=OuterRef("pk"), outcome="")
    pressing = Q(last__in=[Kind.UNDECIDED, Kind.WARN])
    return found.alias(last=Subquery(last)).filter(Q(status=Status.APPLIED) | Q(Exists(appeals)) | pressing)


def counts(project: Project) -> dict[str, int]:
    """How many people are in each state, how many wait for a manager, and "" for all."""
    found = Enrolment.objects.filter(project=project).order_by()
    states = dict(found.values_list("status").annotate(Count("pk")))
    waiting = _waiting(found).count()
    return {"": sum(states.values()), ATTENTION: waiting, **{state: states.get(state, 0) for state in Status.values}}


def teams(project: Project) -> list[str]:
    found = Enrolment.objects.filter(project=project).exclude(team="").order_by("team")
    return list(found.values_list("team", flat=True).distinct())


def rows(project: Project, page: Sequence[Enrolment]) -> list[Row]:
    """What stands beside each of these people."""
    people = [one.annotator_id for one in page]
    slots = Slot.objects.filter(project=project, holder__in=people, submitted_at__isnull=False).order_by()
    answered = dict(slots.values_list("holder").annotate(Count("pk")))
    gold = _gold(project, people)
    names = [one.annotator.pseudonym for one in page]
    question = deciding_question(project)
    agreeing = with_others(project, names, question) if question else []
    agreement = agreeing[0][1] if agreeing else {}
    last = Decision.objects.filter(enrolment__in=page).order_by("enrolment", "-pk").distinct("enrolment")
    decisions = {one.enrolment_id: one for one in last}
    appealed = set(
        Appeal.objects.filter(decision__enrolment__in=page, outcome="").values_list("decision__enrolment", flat=True)
    )
    return [
        Row(
            one,
            answered.get(one.annotator_id, 0),
            gold.get(one.annotator_id, Share(0, 0)),
            agreement.get(one.annotator.pseudonym, {}).get("agreement"),
            decisions.get(one.pk),
            one.pk in appealed,
        )
        for one in page
    ]


def _gold(project: Project, people: Sequence[int]) -> dict[int, Share]:
    """Tasks of gold that were right in all questions, of all that each of these people answered."""
    found = vetting.results(project, Task.Purpose.GOLD).filter(annotation__slot__holder__in=people)
    keys = ("annotation__slot_id", "gold__question_id")
    latest = found.order_by(*keys, "-annotation__revision").distinct(*keys)
    tasks = Count("annotation__slot", distinct=True)
    missed = Count("annotation__slot", distinct=True, filter=Q(passed=False))
    of_people = GoldResult.objects.filter(pk__in=latest.values("pk")).order_by().values("annotation__slot__holder")
    return {
        row["annotation__slot__holder"]: Share(row["n"] - row["missed"], row["n"])
        for row in of_people.annotate(n=tasks, missed=missed)
    }


COLUMNS = ("pseudonym", "kind", "state", "team", "answered", "gold_right", "gold_n", "gold_low", "gold_high",
           "agreement", "agreement_n", "last_decision", "last_decision_at", "reason", "open_appeal")  # fmt: skip
CHUNK = 200


def table(project: Project, found: QuerySet[Enrolment]) -> Iterator[list[Any]]:
    """The list as rows of a file, so many people at a time."""
    yield list(COLUMNS)
    ids = list(found.values_list("pk", flat=True))
    for start in range(0, len(ids), CHUNK):
        for one in rows(project, list(found.filter(pk__in=ids[start : start + CHUNK]))):
            yield _cells(one)


def _cells(row: Row) -> list[Any]:
    enrolment, gold, agreement, decision = row.enrolment, row.gold, row.agreement or {}, row.decision
    known = gold.n > 0
    return [
        enrolment.annotator.pseudonym,
        enrolment.annotator.kind,
        enrolment.status,
        enrolment.team,
        row.answered,
        gold.k,
        gold.n,
        round(gold.low, 6) if known else "",
        round(gold.high, 6) if known else "",
        "" if agreement.get("value") is None else round(agreement["value"], 6),
        agreement.get("n", ""),
        decision.kind if decision else "",
        decision.created_at.isoformat() if decision else "",
        enrolment.reason,
        int(row.appealed),
    ]


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, line: str) -> str:
        return line


def lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """The rows as lines of CSV, one by one, whose texts no spreadsheet takes for formulas."""
    writer = csv.writer(_Echo())
    return (writer.writerow([plain(cell) for cell in row]) for row in rows)


def plain(cell: Any) -> Any:
    """A text that a spreadsheet does not take for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
