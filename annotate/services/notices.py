"""E-mail to people about themselves: what was decided on them, and replies to their appeals.

A job sends it, so that nobody's page waits for a mail server; where the server refuses, the job has failed and says why.
"""

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override

from annotate.models import Annotator, Appeal, Decision
from jobs.models import JobError
from jobs.services import enqueue

JOB = "annotate.notice"
Kind = Decision.Kind
LEADS = {
    Kind.APPROVE: gettext_lazy("You have been let in to “%(project)s”. There may be tasks for you already."),
    Kind.REJECT: gettext_lazy("You have not been let in to “%(project)s”."),
    Kind.PAUSE: gettext_lazy(
        "Your work in “%(project)s” is paused. What you have answered is kept, and counts again once you are restored."
    ),
    Kind.RESTORE: gettext_lazy("You can go on with “%(project)s”. What you had answered counts again."),
}
"""What is written of each kind of decision; of the others nothing is sent."""


def of_decision(decision: Decision) -> None:
    """Have the person told, if it is a decision to tell by e-mail and there is an address."""
    if decision.kind in LEADS and _address_of(decision.enrolment.annotator):
        enqueue(kind=JOB, parameters={"decision": decision.pk}, key=f"decision {decision.pk}", actor=None)


def of_reply(appeal: Appeal) -> None:
    """Have whoever appealed told that there is a reply."""
    if _address_of(appeal.decision.enrolment.annotator):
        enqueue(kind=JOB, parameters={"appeal": appeal.pk}, key=f"appeal {appeal.pk}", actor=None)


def send(*, decision: int = 0, appeal: int = 0) -> None:
    """Send what a job was asked to. Raises JobError where the mail server does not take it."""
    if appeal:
        of = Appeal.objects.select_related("decision__enrolment__annotator__user", "decision__enrolment__project")
        replied = of.get(pk=appeal)
        about, said = replied.decision, replied.reply
    else:
        decisions = Decision.objects.select_related("enrolment__annotator__user", "enrolment__project")
        about, replied = decisions.get(pk=decision), None
        said = about.reason
    who, project = about.enrolment.annotator, about.enrolment.project
    with override(language_of(who)):
        lead = _("There is a reply to your appeal in “%(project)s”.") if replied else LEADS[Kind(about.kind)]
        context = {
            "lead": str(lead) % {"project": project.name},
            "outcome": replied.get_outcome_display() if replied else "",
            "said": said,
            "appeals": not replied and about.kind in (Kind.REJECT, Kind.PAUSE),
            "link": settings.PUBLIC_URL + reverse("project", args=[project.slug]),
        }
        subject = subject_of(project.name, str(replied.get_outcome_display() if replied else about.get_kind_display()))
        body = render_to_string("annotate/email/decision.txt", context)
    try:
        send_mail(subject, body, None, [_address_of(who)])
    except OSError as error:  # of which smtplib's are
        raise JobError(_("The mail server did not take it: %(error)s") % {"error": error}) from error


def subject_of(*words: str) -> str:
    """In one line: a mail server takes a line break for the next header."""
    return " · ".join(" ".join(word.split()) for word in words)


def language_of(annotator: Annotator) -> str:
    """In which an e-mail is written: Chinese to whoever names it first among the native languages, else English."""
    native = annotator.native_languages
    return "zh-hans" if native and native[0].lower().split("-")[0] == "zh" else "en"


def _address_of(annotator: Annotator) -> str:
    return annotator.user.email if annotator.user else ""
