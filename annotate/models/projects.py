"""Projects, and what they ask of people."""

import pghistory
import pgtrigger
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _


@pghistory.track()
class Project(models.Model):
    class Status(models.TextChoices):
        DRAFT = "draft", _("draft")
        OPEN = "open", _("open")
        PAUSED = "paused", _("paused")
        CLOSED = "closed", _("closed")

    slug = models.SlugField(_("slug"), max_length=60, unique=True)
    name = models.CharField(_("name"), max_length=200)
    status = models.CharField(_("status"), max_length=6, choices=Status, default=Status.DRAFT)
    overlap = models.PositiveSmallIntegerField(
        _("overlap"),
        default=3,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("How many people judge each task."),
    )
    lease_minutes = models.PositiveSmallIntegerField(
        _("lease, minutes"),
        default=60,
        validators=[MinValueValidator(1), MaxValueValidator(1440)],
        help_text=_("How long a task is kept for the person who has it open."),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("project")
        verbose_name_plural = _("projects")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=models.Q(overlap__range=(1, 100)), name="project_overlap_1_to_100"),
            models.CheckConstraint(
                condition=models.Q(lease_minutes__range=(1, 1440)), name="project_lease_up_to_a_day"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def question(self) -> "Question":
        """What it asks. A project has one question so far; `create_project` makes it."""
        return self.questions.order_by("pk")[0]


@pgtrigger.register(
    pgtrigger.ReadOnly(name="guideline_text_is_immutable", fields=["project", "version", "text"]),
    pgtrigger.Protect(name="guideline_is_kept", operation=pgtrigger.Delete),
)
@pghistory.track()
class Guideline(models.Model):
    """One version of a project's instructions. Each judgement points at the version that its author read."""

    project = models.ForeignKey(Project, models.PROTECT, related_name="guidelines")
    version = models.PositiveIntegerField(_("version"))
    text = models.TextField(_("text"), help_text=_("Markdown."))
    current = models.BooleanField(_("current"), default=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("guideline")
        verbose_name_plural = _("guidelines")
        ordering = ["project", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["project", "version"], name="guideline_version_once"),
            models.UniqueConstraint(
                fields=["project"], condition=models.Q(current=True), name="guideline_one_current_per_project"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project} · {self.version}"


@pghistory.track()
class Question(models.Model):
    """What is asked about a task. So far every question asks for a ranking of all outputs, ties allowed."""

    class Kind(models.TextChoices):
        RANKING = "ranking", _("ranking")

    project = models.ForeignKey(Project, models.PROTECT, related_name="questions")
    key = models.SlugField(_("key"), max_length=60)
    version = models.PositiveIntegerField(_("version"), default=1)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind, default=Kind.RANKING)
    text = models.CharField(_("text"), max_length=500)

    class Meta:
        verbose_name = _("question")
        verbose_name_plural = _("questions")
        constraints = [models.UniqueConstraint(fields=["project", "key", "version"], name="question_version_once")]

    def __str__(self) -> str:
        return self.text


APPLIED, APPROVED, PAUSED, REJECTED = "applied", "approved", "paused", "rejected"


@pgtrigger.register(
    pgtrigger.FSM(
        name="enrolment_transitions",
        field="status",
        transitions=[
            (APPLIED, APPROVED),
            (APPLIED, REJECTED),
            (APPROVED, PAUSED),
            (PAUSED, APPROVED),
            (PAUSED, REJECTED),
        ],
    )
)
@pghistory.track(exclude=["cursor", "swept_at"])
class Enrolment(models.Model):
    """An annotator's place in a project. Only an approved one is given tasks.

    `cursor` is the rank of the last task that was claimed: the claim looks above it (see `annotate.services.ledger`).
    """

    class Status(models.TextChoices):
        APPLIED = APPLIED, _("applied")
        APPROVED = APPROVED, _("approved")
        PAUSED = PAUSED, _("paused")
        REJECTED = REJECTED, _("rejected")

    annotator = models.ForeignKey("annotate.Annotator", models.PROTECT, related_name="enrolments")
    project = models.ForeignKey(Project, models.PROTECT, related_name="enrolments")
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.APPLIED)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    cursor = models.BigIntegerField(default=-1, editable=False)
    swept_at = models.DateTimeField(null=True, editable=False)  # when it last looked below the cursor
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("enrolment")
        verbose_name_plural = _("enrolments")
        constraints = [models.UniqueConstraint(fields=["annotator", "project"], name="enrolment_once")]

    def __str__(self) -> str:
        return f"{self.annotator} · {self.project}"
