"""Inviting people to a project: each by an e-mail of his own, or as many as may use a link that is handed on."""

from collections.abc import Iterable
from datetime import timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.validators import validate_email
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.models import Invitation, Project
from annotate.services.notices import subject_of

DAYS, MOST_DAYS = 14, 365
MOST_ADDRESSES = 100
"""At once: they are written to while the inviter waits."""


@transaction.atomic
def invite(
    *, project: Project, actor, emails: Iterable[str] = (), most_uses: int = 1, days: int = DAYS
) -> list[Invitation]:
    """Invite each of these addresses, or without any make one link for so many people. The caller sends them (`send`).

    An address that has an unused invitation already keeps it, for so many days from now.
    Raises ValidationError for what is no address, for too many of them, and for numbers out of range.
    """
    addresses = list({email.strip().lower(): email.strip() for email in emails if email.strip()}.values())
    if wrong := [email for email in addresses if not is_address(email)]:
        raise ValidationError(_("No e-mail address: %(wrong)s") % {"wrong": ", ".join(wrong)})
    if len(addresses) > MOST_ADDRESSES:
        raise ValidationError(_("At most %(most)d addresses at once.") % {"most": MOST_ADDRESSES})
    if not 1 <= days <= MOST_DAYS:
        raise ValidationError(_("An invitation holds for 1 to %(most)d days.") % {"most": MOST_DAYS})
    until = timezone.now() + timedelta(days=days)
    unused = Invitation.objects.filter(project=project, revoked_at=None, enrolments=None).exclude(email="")
    before = {one.email.lower(): one for one in unused.select_for_update(no_key=True, of=("self",))}
    made = []
    for email in addresses or [""]:
        if email and (one := before.get(email.lower())):
            one.expires_at = max(one.expires_at, until)
            one.save(update_fields=["expires_at"])
        else:
            uses = 1 if email else most_uses
            one = Invitation(project=project, email=email, most_uses=uses, created_by=actor, expires_at=until)
            one.full_clean()  # how many people a link may be for
            one.save()
        made.append(one)
    return made


def is_address(email: str) -> bool:
    try:
        validate_email(email)
    except ValidationError:
        return False
    return True


def send(*, invitations: Iterable[Invitation]) -> list[tuple[str, str]]:
    """Write to those who were invited by e-mail, in the language of the moment. Call it after the commit.

    Returns the addresses that could not be written to, with the reason; their invitations hold all the same.
    """
    failed: list[tuple[str, str]] = []
    unreachable = ""
    for invitation in invitations:
        if not invitation.email:
            continue
        if unreachable:  # the others are not waited for one by one
            failed.append((invitation.email, unreachable))
            continue
        context = {"invitation": invitation, "link": link_of(invitation)}
        body = render_to_string("annotate/email/invitation.txt", context)
        subject = subject_of(_("Invitation"), invitation.project.name)
        try:
            send_mail(subject, body, None, [invitation.email])
        except SMTPException as error:
            failed.append((invitation.email, str(error)))
        except OSError as error:
            unreachable = str(error)
            failed.append((invitation.email, unreachable))
    return failed


def link_of(invitation: Invitation) -> str:
    return settings.PUBLIC_URL + reverse("invitation", args=[invitation.code])


@transaction.atomic
def revoke(*, invitation: Invitation) -> None:
    """Let nobody more use it. Who has used it stays."""
    Invitation.objects.filter(pk=invitation.pk, revoked_at=None).update(revoked_at=timezone.now())
