"""A reviewer's words on somebody's annotation, with the passage of the guideline that they rest on."""

import html
import re

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.html import strip_tags
from django.utils.translation import gettext as _

from annotate.errors import Refused
from annotate.models import Annotation, Annotator, Feedback, Guideline, Project, Slot
from annotate.models.projects import LANGUAGES
from annotate.rendering import markdown_html


@transaction.atomic
def comment(
    *, annotation: Annotation, author, text: str, guideline: Guideline | None = None, passage: str = ""
) -> Feedback:
    """Comment on the answer that stands on a slot. What its holder changes from now on is informed.

    Raises Refused for one's own answer, one that was changed meanwhile, and a passage that the guideline does not have.
    """
    slot = Slot.objects.select_for_update(no_key=True, of=("self",)).select_related("holder").get(pk=annotation.slot_id)
    if slot.holder and slot.holder.user_id == author.pk:
        raise Refused(_("This is your own answer. Somebody else comments on it."))
    if slot.current_annotation_id != annotation.pk:
        raise Refused(_("The answer has been changed since you opened it. Open the one that stands now."))
    if not text.strip():
        raise Refused(_("Write your comment."))
    passage = passage.strip()
    if passage and (guideline is None or not occurs(guideline, passage)):
        raise Refused(_("The guideline has no such passage. Copy it as it stands there, or leave it out."))
    made = Feedback.objects.create(
        annotation=annotation,
        author=author,
        text=text.strip(),
        guideline=guideline if passage else None,
        passage=passage,
    )
    Slot.objects.filter(pk=slot.pk, informed_at=None).update(informed_at=made.created_at)
    return made


def occurs(guideline: Guideline, passage: str) -> bool:
    """Whether the guideline says this, in any of its languages: as it was written, or as a reader sees it."""
    wanted = _plain(passage)
    texts = {guideline.says(language)["text"] for language in LANGUAGES}
    return any(wanted in said for text in texts for said in (_plain(text), _plain(_seen(text))))


def _plain(text: str) -> str:
    """Without differences of white space, which copying changes."""
    return re.sub(r"\s+", " ", text).strip()


def _seen(text: str) -> str:
    return html.unescape(strip_tags(markdown_html(text)))


def to(annotator: Annotator, project: Project) -> QuerySet[Feedback]:
    """What was said on the annotator's work: the unseen first, then the newest."""
    found = Feedback.objects.filter(annotation__slot__holder=annotator, annotation__slot__project=project)
    related = ("guideline", "annotation__slot__task", "annotation__slot__route")
    return found.alias(seen=Q(seen_at__isnull=False)).select_related(*related).order_by("seen", "-pk")


def unseen(project: Project, user) -> QuerySet[Feedback]:
    """What the user has not marked as read."""
    return Feedback.objects.filter(annotation__slot__project=project, annotation__slot__holder__user=user, seen_at=None)


def mark_seen(*, feedback: Feedback) -> None:
    """Whose work it is on has read it. A second time nothing happens."""
    Feedback.objects.filter(pk=feedback.pk, seen_at=None).update(seen_at=timezone.now())
