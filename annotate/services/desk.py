"""What the desk shows beside the task: how the day goes, what changed in the guideline, what others said."""

from statistics import median

from annotate.models import Annotation, Annotator, Feedback, Guideline, HelpRequest, Project, Review, Slot
from annotate.services.overview import since_midnight


def today(annotator: Annotator | None, project: Project) -> dict:
    """Of this person and day in the project: tasks `done`, active `seconds`, and `pace`, the median seconds a task."""
    rows = Slot.objects.filter(since_midnight(), holder=annotator, project=project)
    times = list(rows.values_list("current_annotation__active_seconds", flat=True))
    known = [seconds for seconds in times if seconds]
    return {"done": len(times), "seconds": sum(known), "pace": round(median(known)) if known else None}


def last_guideline_read(slot: Slot) -> Guideline | None:
    """The version that stood beside this person's last answer in the project."""
    last = (
        Annotation.objects.filter(slot__holder=slot.holder_id, slot__project=slot.project_id, guideline__isnull=False)
        .order_by("-slot__submitted_at", "-pk")
        .select_related("guideline")
    )
    found = last.first()
    return found.guideline if found else None


def sent_back(slot: Slot) -> Review | None:
    """The review that asks for more work on this slot's answer."""
    if not slot.current_annotation_id:
        return None
    return Review.objects.filter(
        answer__annotation=slot.current_annotation_id, decision=Review.Decision.SEND_BACK
    ).first()


def comments(slot: Slot) -> list[Feedback]:
    """What reviewers said of this slot's answers. Who was told of nothing has none: a fresh task is not looked at."""
    if slot.informed_at is None:
        return []
    found = Feedback.objects.filter(annotation__slot=slot).select_related("guideline")
    return list(found.order_by("-pk")[:5])


def unseen_answers(slot: Slot) -> list[HelpRequest]:
    """Answers of the researchers that the person has not seen yet, on any task of the project."""
    assert slot.holder is not None  # a claimed slot has one for life
    asked = HelpRequest.objects.filter(asker=slot.holder.user_id, project=slot.project_id, seen_at=None)
    return list(asked.exclude(answer="").order_by("answered_at")[:5])
