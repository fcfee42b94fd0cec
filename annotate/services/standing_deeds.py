"""What a manager does by hand with somebody's enrolment, always with a reason that the person reads."""

from typing import NamedTuple

from django.db import models, transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotate.errors import Refused
from annotate.models import Decision, Enrolment, Slot, Task
from annotate.models.projects import TRANSITIONS
from annotate.services import enrolments, gold, holding, way_in
from jobs.models import Job

Kind, Status = Decision.Kind, Enrolment.Status


class Deed(models.TextChoices):
    APPROVE = "approve", gettext_lazy("Let in, or restore")
    TRAIN = "train", gettext_lazy("Send to training")
    WARN = "warn", gettext_lazy("Warn")
    PAUSE = "pause", gettext_lazy("Pause")
    REJECT = "reject", gettext_lazy("Do not let in")
    REOPEN = "reopen", gettext_lazy("Let try again")


LEADS_TO = {
    Deed.APPROVE: Status.APPROVED,
    Deed.TRAIN: Status.TRAINING,
    Deed.PAUSE: Status.PAUSED,
    Deed.REJECT: Status.REJECTED,
    Deed.REOPEN: Status.APPLIED,
}
WARNED = (Status.TRAINING, Status.TESTING, Status.APPROVED)


def possible(enrolment: Enrolment) -> list[Deed]:
    """What can be done with somebody in this state."""
    status = Status(enrolment.status)
    return [
        deed for deed in Deed if (status in WARNED if deed == Deed.WARN else (status, LEADS_TO[deed]) in TRANSITIONS)
    ]


@transaction.atomic
def carry_out(*, enrolment: Enrolment, deed: str, actor, reason: str) -> Decision:
    """Do it. Raises Refused where the state does not allow it, for oneself, and where no training task is left.

    Raises ValidationError without a reason.
    """
    reason = enrolments.check_reason(reason)
    row = enrolments.locked(enrolment)
    if row.annotator.user_id == actor.pk:
        raise Refused(_("Nobody decides on himself. Another manager does."))
    if deed == Deed.WARN:
        if row.status not in WARNED:
            raise Refused(_("%(enrolment)s is not at work here, so there is nothing to warn of.") % {"enrolment": row})
        return enrolments.note(enrolment=row, kind=Kind.WARN, actor=actor, reason=reason)
    if deed == Deed.TRAIN and not gold.unseen(row, Task.Purpose.TRAINING).exists():
        raise Refused(_("%(enrolment)s has seen all tasks of the training. Add some first.") % {"enrolment": row})
    made = enrolments.move(enrolment=row, to=LEADS_TO[Deed(deed)], actor=actor, reason=reason)
    if deed == Deed.REOPEN:
        way_in.advance(enrolment=row)
    return made


class Held(NamedTuple):
    """Answers of somebody who is paused, and what became of their places."""

    answers: int
    reopened: int  # places that somebody else has, or may take
    looking: bool  # it is still being worked out which places the consensus needs filled


def held(enrolment: Enrolment, *, own: bool = False) -> Held:
    """`own`: gold too, which is held so that it does not stand out, and counts nowhere anyway."""
    rows = Slot.objects.filter(
        project=enrolment.project_id,
        holder=enrolment.annotator_id,
        status=Slot.Status.HELD,
        held_for=Slot.HeldFor.PAUSE,
    )
    live = Slot.objects.filter(task=OuterRef("task"), place=OuterRef("place"), status__in=Slot.LIVE)
    jobs = Job.objects.filter(kind=holding.JOB, key=f"enrolment {enrolment.pk}").exclude(state__in=Job.ENDED)
    answers = rows if own else rows.filter(place__isnull=False)
    return Held(answers.count(), rows.filter(Exists(live)).count(), jobs.exists())
