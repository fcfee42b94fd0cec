"""Appeals: somebody holds a decision on himself to be wrong, and a manager who did not make it replies.

What is granted takes the decision's step back: who was paused or sent to training works again, and who was not let in is
let in or may try again. A warning changed nothing, so nothing is taken back.
"""

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.errors import Refused
from annotate.models import Appeal, Decision, Enrolment, Membership, Project
from annotate.services import enrolments, notices, way_in

Kind, Status, Outcome = Decision.Kind, Enrolment.Status, Appeal.Outcome
APPEALABLE = (Kind.REJECT, Kind.PAUSE, Kind.RETRAIN, Kind.WARN)
UNDONE_FROM = {
    Kind.REJECT: (Status.REJECTED,),
    Kind.PAUSE: (Status.PAUSED,),
    Kind.RETRAIN: (Status.TRAINING, Status.TESTING),
}
"""The states out of which a granted appeal leads. In any other one somebody has gone on meanwhile: he stays there."""


@transaction.atomic
def appeal(*, decision: Decision, user, text: str) -> Appeal:
    """Say that a decision on oneself is wrong, once. Raises Refused where it cannot be appealed, or was."""
    enrolment = enrolments.locked(decision.enrolment)
    if enrolment.annotator.user_id != user.pk or decision.kind not in APPEALABLE:
        raise Refused(_("This decision cannot be appealed. Ask the researchers what it means for you."))
    if Appeal.objects.filter(decision=decision).exists():
        raise Refused(_("You have appealed this decision already. The reply will stand beside it."))
    if not text.strip():
        raise Refused(_("Say why the decision is wrong: whoever replies reads it."))
    return Appeal.objects.create(decision=decision, text=text.strip())


@transaction.atomic
def reply(*, appeal: Appeal, actor, outcome: str, reply: str, to: str = Status.APPROVED) -> Appeal:
    """Grant or decline an appeal. `to`: where somebody who was not let in goes, to work or to try again (applied).

    Raises Refused where somebody else has replied, where the actor decided himself and another manager could reply, and
    for one's own appeal.
    """
    decision = Decision.objects.select_related("enrolment__annotator", "actor").get(pk=appeal.decision_id)
    enrolment = enrolments.locked(decision.enrolment)
    row = Appeal.objects.select_for_update(no_key=True, of=("self",)).select_related("replied_by").get(pk=appeal.pk)
    if row.outcome:
        raise Refused(
            _("%(who)s has replied meanwhile: %(outcome)s. Yours is not saved.")
            % {"who": row.replied_by, "outcome": row.get_outcome_display()}
        )
    if why := why_not(decision, actor):
        raise Refused(why)
    if not reply.strip():
        raise Refused(_("Say why: the person reads it."))
    row.outcome, row.reply = outcome, reply.strip()
    row.replied_by, row.replied_at = actor, timezone.now()
    row.save(update_fields=["outcome", "reply", "replied_by", "replied_at"])
    if outcome == Outcome.GRANTED and enrolment.status in UNDONE_FROM.get(Kind(decision.kind), ()):
        _take_back(decision, enrolment, to, actor, row.reply)
    notices.of_reply(row)
    return row


def _take_back(decision: Decision, enrolment: Enrolment, to: str, actor, reason: str) -> None:
    if decision.kind != Kind.REJECT:
        enrolments.move(enrolment=enrolment, to=Status.APPROVED, kind=Kind.RESTORE, actor=actor, reason=reason)
        return
    enrolments.move(enrolment=enrolment, to=to, actor=actor, reason=reason)
    way_in.advance(enrolment=enrolment)


def why_not(decision: Decision, user) -> str:
    """Why this user may not reply to an appeal against the decision; "" where he may."""
    appellant = decision.enrolment.annotator.user_id
    if appellant == user.pk:
        return _("This is your own appeal. Another manager replies.")
    if decision.actor_id != user.pk:
        return ""
    managers = Membership.objects.filter(
        project=decision.enrolment.project_id, role=Membership.Role.MANAGER, user__is_active=True
    )
    if managers.exclude(user__in=[user.pk, appellant]).exists():
        return _("You made this decision yourself. Another manager of the project replies.")
    return ""


def appeals(project: Project) -> QuerySet[Appeal]:
    """All appeals: those without a reply first, the longest waiting on top."""
    found = Appeal.objects.filter(decision__enrolment__project=project).alias(done=~Q(outcome=""))
    related = ("decision__enrolment__annotator", "decision__actor", "replied_by")
    return found.select_related(*related).order_by("done", "created_at", "pk")


def waiting(project: Project) -> QuerySet[Appeal]:
    """Appeals that nobody has replied to."""
    return Appeal.objects.filter(decision__enrolment__project=project, outcome="")
