"""The one way in which an enrolment changes its state, and what follows from each change.

Every change writes a `Decision`. The database refuses a step that is not in the diagram (docs/vetting.md, made from
`Enrolment`); so does `move`, with words. Order of locks: enrolment, then slots.
"""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from annotate.errors import Refused
from annotate.models import Annotator, Attempt, Decision, Enrolment, Membership, Project, Slot
from annotate.models.projects import TRANSITIONS
from annotate.services import holding, notices
from annotate.services.ledger import release

Status, Kind = Enrolment.Status, Decision.Kind
BY_HAND = {
    Status.APPROVED: Kind.APPROVE,
    Status.REJECTED: Kind.REJECT,
    Status.PAUSED: Kind.PAUSE,
    Status.TRAINING: Kind.TRAIN,
    Status.TESTING: Kind.TEST,
    Status.APPLIED: Kind.REOPEN,
}
AUTOMATIC = {
    (Status.APPLIED, Status.TRAINING): "steps_done",
    (Status.APPLIED, Status.TESTING): "steps_done",
    (Status.TRAINING, Status.TESTING): "training",
    (Status.TRAINING, Status.APPROVED): "training",
    (Status.TRAINING, Status.PAUSED): "training",
    (Status.TESTING, Status.APPROVED): "test",
    (Status.TESTING, Status.REJECTED): "test",
    (Status.TESTING, Status.TRAINING): "test",
    (Status.APPROVED, Status.TESTING): "guideline_changed",
    (Status.APPROVED, Status.PAUSED): "gold",
}
"""The steps that happen without a person, and the kind of rule that makes each. `move` takes no others from a rule."""


@transaction.atomic
def enrol(*, project: Project, user) -> Enrolment:
    """Let a person work in a project, at once and without vetting. Again for one who is in: nothing changes."""
    annotator = annotator_of(user)
    Membership.objects.get_or_create(user=user, project=project, role=Membership.Role.ANNOTATOR)
    enrolment, _made = Enrolment.objects.get_or_create(
        annotator=annotator,
        project=project,
        defaults={"status": Status.APPROVED, "guideline_read": _current_version(project)},
    )
    return enrolment


def annotator_of(user) -> Annotator:
    """The user as an annotator; made where he is none yet."""
    return Annotator.objects.get_or_create(user=user, defaults={"kind": Annotator.Kind.PERSON})[0]


def _current_version(project: Project) -> int:
    return project.guidelines.aggregate(version=Max("version"))["version"] or 0


@transaction.atomic
def move(
    *,
    enrolment: Enrolment,
    to: str,
    kind: str = "",
    actor=None,
    reason: str = "",
    rule: dict | None = None,
    data: dict[str, Any] | None = None,
) -> Decision:
    """Bring an enrolment into another state, by a rule or by a person (`actor`). `kind`: by default that of the state.

    Who is paused or rejected gives back the task that he has open; what he sends of it later is kept all the same. His
    work is held while he is paused, and counts again once he is approved. Training and test begin a new attempt.
    Raises Refused for a step that is not in the diagram, ValueError for a rule that must not make it.
    """
    row = locked(enrolment)
    before, to = Status(row.status), Status(to)
    if (before, to) not in TRANSITIONS:
        raise Refused(
            _("%(enrolment)s cannot go from %(before)s to %(after)s.")
            % {"enrolment": row, "before": before.label, "after": to.label}
        )
    if actor is None and (rule is None or AUTOMATIC.get((before, to)) != rule["kind"]):
        raise ValueError(f"from {before} to {to} by the rule {rule}")
    kind = kind or usual_kind(before, to)
    Enrolment.objects.filter(pk=row.pk).update(status=to, reason=reason[:500])
    row.status, row.reason = to, reason[:500]
    enrolment.status, enrolment.reason = row.status, row.reason
    of_before = latest_attempt(row)
    made = Decision.objects.create(
        enrolment=row,
        attempt=of_before if before in (Status.TRAINING, Status.TESTING) else None,
        kind=kind,
        before=before,
        after=to,
        rule=rule,
        data=data or {},
        reason=reason,
        actor=actor,
    )
    if to in (Status.TRAINING, Status.TESTING):
        _begin_attempt(row, kind)
    if to in Enrolment.SHUT_OUT:
        leased = Slot.objects.filter(project=row.project_id, holder=row.annotator_id, status=Slot.Status.LEASED)
        for slot in leased:
            release(slot=slot)
    if to == Status.PAUSED:
        holding.hold(enrolment=row)
    if to == Status.APPROVED:
        holding.restore(enrolment=row)
    notices.of_decision(made)
    return made


def usual_kind(before: str, to: str) -> str:
    """What a step is called when a person makes it and says nothing else."""
    if before == Status.PAUSED and to == Status.APPROVED:
        return Kind.RESTORE
    if before in (Status.APPROVED, Status.PAUSED) and to == Status.TRAINING:
        return Kind.RETRAIN
    return BY_HAND[Status(to)]


def note(
    *,
    enrolment: Enrolment,
    kind: str,
    rule: dict | None = None,
    data: dict[str, Any] | None = None,
    reason: str = "",
    actor=None,
) -> Decision:
    """Write a decision of a rule, or of a person (`actor`), that changes no state: a warning, or that a person decides."""
    return Decision.objects.create(
        enrolment=enrolment,
        attempt=latest_attempt(enrolment) if kind == Kind.UNDECIDED else None,
        kind=kind,
        before=enrolment.status,
        after=enrolment.status,
        rule=rule,
        data=data or {},
        reason=reason,
        actor=actor,
    )


def locked(enrolment: Enrolment) -> Enrolment:
    """The enrolment as it is now, locked. First of all locks, as in a claim."""
    found = Enrolment.objects.select_for_update(no_key=True, of=("self",)).select_related("project", "annotator")
    return found.get(pk=enrolment.pk)


def latest_attempt(enrolment: Enrolment) -> Attempt | None:
    """The try at training or test that is going on, or was the last."""
    return enrolment.attempts.order_by("-pk").first()


def _begin_attempt(enrolment: Enrolment, kind: str) -> Attempt:
    """Tasks that are taken from now on count for it."""
    if enrolment.status == Status.TRAINING:
        of = Attempt.Kind.RETRAINING if kind == Kind.RETRAIN else Attempt.Kind.TRAINING
    else:
        of = Attempt.Kind.RETEST if kind == Kind.RETEST else Attempt.Kind.TEST
    return Attempt.objects.create(
        enrolment=enrolment,
        kind=of,
        number=enrolment.attempts.filter(kind=of).count() + 1,
        guideline=enrolment.project.guidelines.filter(current=True).first(),
    )


def check_reason(reason: str) -> str:
    """Raises ValidationError for a reason that is empty: whoever it is about reads it."""
    if not reason.strip():
        raise ValidationError(_("Say why: the person reads it."))
    return reason.strip()
