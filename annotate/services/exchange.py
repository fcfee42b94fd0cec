"""What people say to each other about the work: questions to the researchers, flags on tasks, and one's own settings."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.errors import Refused
from annotate.models import Annotator, Enrolment, Flag, HelpRequest, Project, Slot, Task
from annotate.services import adjudication, appeals, feedback, history, ledger, reviews

# --- Questions to the researchers -------------------------------------------------------------------------------------


@transaction.atomic
def ask(*, slot: Slot, actor, text: str) -> HelpRequest:
    """Ask the researchers about a task. The same words again while no answer stands: the question that was asked."""
    Slot.objects.select_for_update(no_key=True).get(pk=slot.pk)  # one of two tabs goes first
    asked = {"project_id": slot.project_id, "slot": slot, "asker": actor, "text": text}
    return HelpRequest.objects.filter(answer="", **asked).first() or HelpRequest.objects.create(**asked)


@transaction.atomic
def answer(
    *, request: HelpRequest, actor, text: str, in_faq: bool = False, faq_question: str = "", known: datetime | None
) -> HelpRequest:
    """Answer a question, or change the answer. Whoever asked is shown a changed one again.

    `known`: when the answer that the page showed was given, None where it showed none. Raises Refused when another one
    has been given since.
    """
    row = HelpRequest.objects.select_for_update(no_key=True).get(pk=request.pk)
    if row.answered_at != known:
        raise Refused(
            _("Somebody has answered this meanwhile: “%(answer)s”. Save yours again to put it in its place.")
            % {"answer": row.answer}
        )
    if row.answer != text:
        row.seen_at = None
    row.answer, row.answered_by, row.answered_at = text, actor, timezone.now()
    row.in_faq, row.faq_question = in_faq, faq_question
    row.save(update_fields=["answer", "answered_by", "answered_at", "seen_at", "in_faq", "faq_question"])
    return row


@transaction.atomic
def mark_seen(*, request: HelpRequest, actor) -> None:
    """The asker has read the answer. Without an answer, or a second time, nothing happens."""
    row = HelpRequest.objects.select_for_update(no_key=True).get(pk=request.pk, asker=actor)
    if row.answer and row.seen_at is None:
        row.seen_at = timezone.now()
        row.save(update_fields=["seen_at"])


def help_requests(project: Project) -> QuerySet[HelpRequest]:
    """All questions with their tasks: those without an answer first, the longest waiting on top."""
    found = HelpRequest.objects.filter(project=project).alias(done=Q(answered_at__isnull=False))
    return (
        found.select_related("slot__task", "slot__route", "slot__holder", "asker__annotator", "answered_by")
        .prefetch_related("slot__task__completions")
        .order_by("done", F("answered_at").desc(), "created_at", "pk")
    )


def faq(project: Project) -> QuerySet[HelpRequest]:
    return HelpRequest.objects.filter(project=project, in_faq=True).order_by("faq_question", "pk")


# --- Flags ------------------------------------------------------------------------------------------------------------


@transaction.atomic
def flag(*, slot: Slot, actor, kind: str, text: str = "") -> Flag:
    """Say that something is wrong with a task. The same again while it is unresolved adds the new words to it."""
    Slot.objects.select_for_update(no_key=True).get(pk=slot.pk, holder__user=actor)
    unresolved = Flag.objects.filter(slot=slot, kind=kind, resolved_at=None)
    found = unresolved.select_for_update(no_key=True).first()
    if found is None:
        return Flag.objects.create(slot=slot, kind=kind, text=text)
    if text and text not in found.text.split("\n"):
        found.text = f"{found.text}\n{text}".strip()
        found.save(update_fields=["text"])
    return found


@transaction.atomic
def resolve_flag(*, flag: Flag, actor, resolution: str, withdraw: bool = False) -> int:
    """Say what was done about a flag. Returns how many flags that settled.

    `withdraw`: the task is given to nobody more, which settles all other flags on it too.
    Raises Refused when the flag is settled already.
    """
    task = Task.objects.select_for_update(no_key=True).get(slots=flag.slot_id)  # first: one of two withdrawals waits
    row = Flag.objects.select_for_update(no_key=True).get(pk=flag.pk)
    if row.resolved_at is not None:
        raise Refused(_("Somebody has settled this flag meanwhile: “%(what)s”") % {"what": row.resolution})
    rows = [row]
    if withdraw:
        others = Flag.objects.filter(slot__task=task, resolved_at=None).exclude(pk=row.pk).order_by("pk")
        rows += others.select_for_update(no_key=True, of=("self",))
        ledger.withdraw(task=task)
    for one in rows:
        one.resolved_by, one.resolved_at, one.resolution = actor, timezone.now(), resolution
        one.save(update_fields=["resolved_by", "resolved_at", "resolution"])
    return len(rows)


def flags(project: Project) -> QuerySet[Flag]:
    """All flags with their tasks and how many unsettled ones each task has: the unsettled first, the oldest on top."""
    open_ones = Flag.objects.filter(slot__task=OuterRef("slot__task"), resolved_at=None).order_by()
    number = open_ones.values("slot__task").annotate(number=Count("pk")).values("number")
    return (
        Flag.objects.filter(slot__project=project)
        .alias(done=Q(resolved_at__isnull=False))
        .annotate(of_task=Subquery(number))
        .select_related("slot__task", "slot__route", "slot__holder", "resolved_by")
        .prefetch_related("slot__task__completions")
        .order_by("done", F("resolved_at").desc(), "created_at", "pk")
    )


# --- Both, at a glance ------------------------------------------------------------------------------------------------


def at_a_glance(project: Project, user, *, oversees: bool, decides: bool = False) -> dict[str, Any]:
    """What waits in the project: for those who oversee it `questions`, `flags`, `appeals` and `pieces` to review; for who `decides`
    where people disagree `cases`; for its annotators their work that was `sent_back`, tasks on which a reviewer `decided`
    since they last looked, and `answers` of the researchers and comments (`feedback`) they have not read."""
    own = HelpRequest.objects.filter(project=project, asker=user, seen_at=None).exclude(answer="")
    found: dict[str, Any] = {
        "sent_back": reviews.sent_back_to(project, user).count(),
        "decided": history.unseen_decisions(project, user),
        "answers": own.count(),
        "feedback": feedback.unseen(project, user).count(),
    }
    if decides:
        found["cases"] = adjudication.waiting(project, user)
    if oversees:
        found |= {
            "questions": HelpRequest.objects.filter(project=project, answer="").count(),
            "flags": Flag.objects.filter(slot__project=project, resolved_at=None).count(),
            "pieces": reviews.waiting(project, user).count(),
            "appeals": appeals.waiting(project).count(),
        }
    return found


# --- One's own settings -----------------------------------------------------------------------------------------------


@transaction.atomic
def change_own_settings(
    *, annotator: Annotator, actor, languages: Sequence[str], harm_categories: Sequence[str]
) -> Annotator:
    """Change the languages one knows, and what distressing content one agrees to see. The history keeps what was.

    Tasks that were passed over because of them are looked at again.
    """
    row = Annotator.objects.select_for_update(no_key=True).get(pk=annotator.pk, user=actor)
    languages, harm_categories = list(dict.fromkeys(languages)), sorted(set(harm_categories))
    if (row.languages, sorted(row.harm_categories)) == (languages, harm_categories):
        return row
    row.languages, row.harm_categories = languages, harm_categories
    row.full_clean(exclude=["user", "pseudonym"])
    row.save(update_fields=["languages", "harm_categories"])
    ledger.look_again(enrolments=Enrolment.objects.filter(annotator=row))
    return row
