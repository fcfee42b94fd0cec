"""Forgetting a person: who he was goes, his work is held for good, and its places open to others.

What was judged stays in the ledger under the pseudonym, which nothing names any more; it counts nowhere, so consensus, agreement
and later exports are made without it. `curation.services.revoking` is what takes back the releases that hold it.
"""

import pghistory
from allauth.account.models import EmailAddress
from django.db import transaction
from django.utils.translation import gettext as _

from annotate.errors import Refused
from annotate.models import Annotator, ApiToken, Membership, Slot
from annotate.models.projects import TRANSITIONS, Enrolment
from annotate.services import consensus, enrolments, ledger

Status, HeldFor = Slot.Status, Slot.HeldFor
PROFILE = {
    "education": "",
    "native_languages": [],
    "levels": {},
    "verified_levels": {},
    "time_zone": "",
    "topics": [],
    "skills": [],
    "languages": [],
    "harm_categories": [],
}


@transaction.atomic
def erase(*, annotator: Annotator, actor, reason: str) -> int:
    """Returns how many answers no longer count. The reason stands in the history of what changed. Raises Refused for a judge that is no person, and for oneself."""
    if annotator.kind not in Annotator.HUMAN:
        raise Refused(_("This is no person: nobody is to be forgotten."))
    if actor is not None and annotator.user_id == actor.pk:
        raise Refused(_("Ask another admin to erase you, so that somebody can still sign in."))
    Annotator.objects.select_for_update(no_key=True).get(pk=annotator.pk)
    held = _hold(annotator)
    with pghistory.context(erased_because=reason):
        for enrolment in Enrolment.objects.filter(annotator=annotator).order_by("pk"):
            for to in (Enrolment.Status.PAUSED, Enrolment.Status.REJECTED):  # who was let in is paused first
                if (Enrolment.Status(enrolment.status), to) in TRANSITIONS:
                    enrolments.move(enrolment=enrolment, to=to, actor=actor, reason=_("erased"))
        _forget(annotator)
    return held


def _hold(annotator: Annotator) -> int:
    answered = Slot.objects.filter(holder=annotator, status__in=Slot.ANSWERED).order_by("pk")
    total = 0
    for chunk in consensus.in_chunks(list(answered.values_list("pk", flat=True))):
        rows = list(Slot.objects.filter(pk__in=chunk).order_by("pk").select_for_update(no_key=True, of=("self",)))
        left = [row for row in rows if row.status == Status.SUBMITTED]  # the others had left their places before
        Slot.objects.filter(pk__in=chunk).update(status=Status.HELD, held_for=HeldFor.ERASED)
        ledger.open_replacements(left)
        total += len(rows)
    return total


def _forget(annotator: Annotator) -> None:
    Annotator.objects.filter(pk=annotator.pk).update(**PROFILE, **_source(annotator))
    history = Annotator.pgh_event_model.objects.filter(pgh_obj=annotator.pk)  # type: ignore[attr-defined]
    history.update(**PROFILE, **_source(annotator))
    user = annotator.user
    if user is None:
        return
    EmailAddress.objects.filter(user=user).delete()
    ApiToken.objects.filter(user=user).delete()
    Membership.objects.filter(user=user).delete()
    user.username, user.first_name, user.last_name, user.email = f"erased-{annotator.pseudonym}", "", "", ""
    user.is_active = user.is_staff = user.is_superuser = False
    user.set_unusable_password()
    user.save()


def _source(annotator: Annotator) -> dict[str, str]:
    """An imported person is called by a number from now on, so that the same file cannot bring the name back."""
    return {"source_name": f"erased-{annotator.pseudonym}"} if annotator.source else {}
