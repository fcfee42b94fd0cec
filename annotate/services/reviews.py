"""Reviews of written work. Of a new writer all is read; of one whose work stands, a sample.

How much of it, `sampling_rate` says. A piece is drawn by hash when it is submitted, so nobody can choose. What is not
drawn is accepted without a look, and its review says so.
"""

from dataclasses import dataclass
from datetime import datetime
from math import sqrt

from django.core.cache import cache
from django.db import transaction
from django.db.models import Case, Count, F, QuerySet, TextField, When
from django.db.models.fields.json import KeyTextTransform
from django.utils import timezone
from django.utils.translation import gettext as _
from rapidfuzz import fuzz

from annotate.drawing import is_drawn
from annotate.errors import Refused
from annotate.models import Annotation, Annotator, Answer, Completion, Project, Question, Review, Slot, Task

Decision = Review.Decision
NO_WORK = (Task.Purpose.TRAINING, Task.Purpose.TEST)  # what is written there gets marks, if anything, and is no data

READ_ALL_OF_FIRST = 10
LEAST_RATE = 0.1
LOOKED_BACK = 1000  # tasks
Z = 1.959964  # 95 %, two-sided
COUNTS_KNOWN_FOR = 60  # seconds
COMPARED = 20_000  # characters: what one may write by default


@dataclass(frozen=True)
class Record:
    """How many of a writer's pieces in a project were read by a reviewer, by what became of them."""

    accepted: int = 0
    edited: int = 0
    sent_back: int = 0

    @property
    def reviewed(self) -> int:
        return self.accepted + self.edited + self.sent_back


def wilson_lower(successes: int, n: int, z: float = Z) -> float:
    """The lower end of the score interval of a share (Wilson 1927)."""
    share, square = successes / n, z * z
    middle = share + square / (2 * n)
    return (middle - z * sqrt(share * (1 - share) / n + square / (4 * n * n))) / (1 + square / n)


def sampling_rate(record: Record) -> float:
    """The share of a writer's new pieces that is read.

    All of them until ten were. Then twice the share that might still be bad: 2 × (1 − lower end of the 95 % interval of
    the share that was not sent back), from 0.1 to 1. So ten good ones of ten give 0.56, twenty of twenty 0.32, fifty of
    fifty 0.14, a hundred of a hundred 0.1; with two of fifty sent back 0.27, and with three of ten all are read.
    """
    if record.reviewed < READ_ALL_OF_FIRST:
        return 1.0
    lower = wilson_lower(record.accepted + record.edited, record.reviewed)
    return min(max(2 * (1 - lower), LEAST_RATE), 1.0)


def record_of(writer: Annotator | None, project: Project, *, before: datetime) -> Record:
    """What reviewers had decided by then on the writer's pieces of the last thousand tasks.

    Of no more tasks: every submit asks for it, and what somebody wrote long ago says little of what is written now.
    """
    recent = Slot.objects.filter(holder=writer, project=project, submitted_at__lt=before).order_by("-submitted_at")
    read = Review.objects.filter(
        answer__annotation__slot__in=recent.values("pk")[:LOOKED_BACK], reviewer__isnull=False, created_at__lt=before
    )
    counts = dict(read.order_by().values_list("decision").annotate(Count("pk")))
    return Record(
        counts.get(Decision.ACCEPT, 0), counts.get(Decision.ACCEPT_WITH_EDITS, 0), counts.get(Decision.SEND_BACK, 0)
    )


def text_of(piece: Answer) -> str:
    """What was written, as it was written."""
    return str((piece.value or {})["text"])


# --- Drawing ----------------------------------------------------------------------------------------------------------


@transaction.atomic(savepoint=False)  # it runs inside of the submit, which every task pays for
def after_submit(*, annotation: Annotation) -> None:
    """Draw each new piece of written work for review, or accept it without a look. Not what is written in a test."""
    if annotation.slot.task.purpose in NO_WORK:
        return
    written = annotation.answers.filter(question__kind=Question.Kind.DEMONSTRATION).select_related("question")
    for piece in written:
        rate = rate_of(piece)
        if not drawn(piece, rate):
            Review.objects.create(answer=piece, decision=Decision.NOT_DRAWN, sampling_rate=rate)


def rate_of(piece: Answer) -> float:
    """At which rate this piece was drawn: that of its writer at that time. A changed piece is always read again, if
    the one before was not passed without a look: else one could change what was sent back until it is not drawn."""
    annotation, slot = piece.annotation, piece.annotation.slot
    earlier = Answer.objects.filter(
        annotation__slot=slot, annotation__revision__lt=annotation.revision, question__key=piece.question.key
    )
    if earlier.exclude(review__decision=Decision.NOT_DRAWN).exists():
        return 1.0
    return sampling_rate(record_of(slot.holder, slot.project, before=annotation.created_at))


def drawn(piece: Answer, rate: float) -> bool:
    """By the slot's code, which is random and known before anything is written, the revision and the question."""
    annotation = piece.annotation
    return is_drawn(f"review {annotation.slot.code} {annotation.revision} {piece.question.key}", rate)


# --- Deciding ---------------------------------------------------------------------------------------------------------


@transaction.atomic
def decide(*, piece: Answer, actor, decision: str, reason: str = "", text: str = "") -> Review:
    """Accept a piece, accept it with edits (`text`), or send it back (`reason`). The original stays as it was written.

    Raises Refused when somebody else has decided, or the writer has changed the piece, since the page was opened.
    """
    slot = (
        Slot.objects.select_for_update(no_key=True, of=("self",))
        .select_related("holder")
        .get(pk=piece.annotation.slot_id)
    )
    if slot.holder and slot.holder.user_id == actor.pk:
        raise Refused(_("This is your own work. Somebody else reviews it."))
    if before := Review.objects.filter(answer=piece).select_related("reviewer").first():
        raise Refused(
            _("Somebody else has decided on this piece meanwhile: %(decision)s. Yours is not saved.")
            % {"decision": before.get_decision_display()}
        )
    if slot.current_annotation_id != piece.annotation_id:
        raise Refused(_("The writer has changed this piece since you opened it. Decide on the new one instead."))
    review = Review.objects.create(
        answer=piece,
        decision=decision,
        reviewer=actor,
        reason=reason,
        text=text if decision == Decision.ACCEPT_WITH_EDITS else "",
        sampling_rate=rate_of(piece),
    )
    if decision == Decision.SEND_BACK:  # whatever the writer sends from now on, he has seen what was said
        Slot.objects.filter(pk=slot.pk, informed_at=None).update(informed_at=timezone.now())
    return review


def standing(piece: Answer) -> Answer | None:
    """The piece that stands in place of this one, if the writer has changed it."""
    current = piece.annotation.slot.current_annotation_id
    if current in (None, piece.annotation_id):
        return None
    return Answer.objects.filter(annotation=current, question__key=piece.question.key).first()


def before(piece: Answer) -> Answer | None:
    """The last piece before this one on the same slot that a reviewer decided on, with his review."""
    annotation = piece.annotation
    earlier = Answer.objects.filter(
        annotation__slot=annotation.slot_id,
        annotation__revision__lt=annotation.revision,
        question__key=piece.question.key,
        review__reviewer__isnull=False,
    )
    return earlier.select_related("review").order_by("-annotation__revision").first()


# --- Which pieces -----------------------------------------------------------------------------------------------------


def written_work(project: Project) -> QuerySet[Answer]:
    """The pieces that stand: of submitted slots, as they are now. Nothing of training and test."""
    found = Answer.objects.filter(
        question__project=project,
        question__kind=Question.Kind.DEMONSTRATION,
        annotation__slot__status=Slot.Status.SUBMITTED,
        annotation__slot__current_annotation=F("annotation"),
    )
    return found.exclude(annotation__slot__task__purpose__in=NO_WORK)


def waiting(project: Project, user) -> QuerySet[Answer]:
    """What this user may review: the oldest first, nothing of his own."""
    found = written_work(project).filter(review=None).exclude(annotation__slot__holder__user=user)
    return found.order_by("annotation__created_at", "pk")


def sent_back_to(project: Project, user) -> QuerySet[Answer]:
    """The user's pieces that came back and have not been changed since."""
    return written_work(project).filter(review__decision=Decision.SEND_BACK, annotation__slot__holder__user=user)


def accepted_work(project: Project) -> QuerySet[Answer]:
    """Written work that may be exported, with `final_text`: as the reviewer edited it, else as it was written.

    Accepted by a reviewer or not drawn, standing now, in a place that counts. The writer is `annotation.slot.holder`,
    who edited it `review.reviewer`.
    """
    as_written = KeyTextTransform("text", "value")
    edited = When(review__decision=Decision.ACCEPT_WITH_EDITS, then=F("review__text"))
    return (
        written_work(project)
        .filter(review__decision__in=Review.ACCEPTED, annotation__slot__place__isnull=False)
        .annotate(final_text=Case(edited, default=as_written, output_field=TextField()))
        .select_related("review", "question", "annotation__slot__task", "annotation__slot__holder")
        .order_by("pk")
    )


def decided(project: Project) -> dict[str, int]:
    """How many of the pieces that stand have which decision, as of a minute ago at most: it is a look at all of them."""
    found = cache.get_or_set(f"reviews-of-project-{project.pk}", lambda: _decided(project), COUNTS_KNOWN_FOR)
    return found or {}


def _decided(project: Project) -> dict[str, int]:
    rows = written_work(project).filter(review__isnull=False).order_by()
    return dict(rows.values_list("review__decision").annotate(Count("pk")))


# --- What a reviewer is shown beside a piece --------------------------------------------------------------------------


@dataclass(frozen=True)
class Likeness:
    percent: int
    completion: Completion


def likeness(text: str, outputs: list[Completion]) -> Likeness | None:
    """The output of a model that the text is most like, by how much they share. Of long texts the beginning is compared."""
    known = [(fuzz.ratio(text[:COMPARED], one.text[:COMPARED]), one) for one in outputs if one.text.strip()]
    if not known:
        return None
    percent, completion = max(known, key=lambda one: one[0])
    return Likeness(int(percent), completion)


def pasted_share(typing: dict | None) -> int | None:
    """Which share of the characters that came in was pasted, in %. None where nothing is known."""
    came_in = (typing or {}).get("typed", 0) + (typing or {}).get("pasted", 0)
    return round(100 * (typing or {}).get("pasted", 0) / came_in) if came_in else None
