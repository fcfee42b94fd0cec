"""Marks, 1 to 7, for what people write in the test (Ouyang et al. 2022, B.1): which pieces wait, and what a mark decides."""

from django.db import transaction
from django.db.models import Avg, Count, Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from annotate.errors import Refused
from annotate.models import Answer, DemonstrationRating, Enrolment, Project, Task
from annotate.services import enrolments, vetting
from annotate.vetting.rules import BEST_RATING


def waiting(project: Project, user) -> QuerySet[Answer]:
    """Pieces without a mark, the oldest first; nothing of the user's own."""
    return _of_others(project, user).filter(~Exists(_ratings()))


def marked(project: Project, user) -> QuerySet[Answer]:
    """Pieces with marks, with how many (`marks`), their mean, and whether the user gave one (`mine`); the newest first.

    A mean is shown only of what the user has marked himself: whoever marks a piece as the second does not know the first.
    """
    found = _of_others(project, user).filter(Exists(_ratings()))
    found = found.annotate(marks=Count("ratings"), mean=Avg("ratings__rating"))
    return found.annotate(mine=Exists(_ratings().filter(reviewer=user))).order_by("-annotation__created_at", "-pk")


def _of_others(project: Project, user) -> QuerySet[Answer]:
    return vetting.demonstrations(project).exclude(annotation__slot__holder__user=user)


def _ratings() -> QuerySet[DemonstrationRating]:
    return DemonstrationRating.objects.filter(answer=OuterRef("pk"))


@transaction.atomic
def mark(*, piece: Answer, reviewer, rating: int, comment: str = "") -> DemonstrationRating:
    """Give a piece a mark, and decide on its writer what the marks so far decide.

    Raises Refused for one's own piece, for one that is no longer the writer's latest, and for a second mark by the same.
    """
    slot = piece.annotation.slot
    enrolment = Enrolment.objects.get(project=slot.project_id, annotator=slot.holder_id)
    row = enrolments.locked(enrolment)  # before the slot, as in a claim
    slot.refresh_from_db(fields=["current_annotation"])
    if slot.task.purpose != Task.Purpose.TEST:
        raise Refused(_("Marks are for what was written in the test. Work is reviewed instead."))
    if row.annotator.user_id == reviewer.pk:
        raise Refused(_("This is your own work. Somebody else marks it."))
    if not 1 <= rating <= BEST_RATING:
        raise Refused(_("Choose a mark from 1 to 7."))
    if slot.current_annotation_id != piece.annotation_id:
        raise Refused(_("The writer has changed this piece since you opened it. Mark the new one instead."))
    if piece.ratings.filter(reviewer=reviewer).exists():
        raise Refused(
            _("You have marked this piece already. A mark cannot be changed; somebody else may give another.")
        )
    made = DemonstrationRating.objects.create(answer=piece, reviewer=reviewer, rating=rating, comment=comment.strip())
    vetting.consider(enrolment=row)
    return made
