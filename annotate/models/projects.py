"""Projects, their guidelines, and who is let in."""

from datetime import timedelta

import pghistory
import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from annotate.models.people import Harm

LANGUAGES = ("en", "zh-hans")  # in which what a project says can be written
PERCENT = [MinValueValidator(0), MaxValueValidator(100)]


def in_language(said: dict, translations: dict, language: str) -> dict:
    """What a row says, in the language where it has a translation of it. Empty translations are passed over."""
    return said | {name: value for name, value in translations.get(language.lower(), {}).items() if value}


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
    shared_percent = models.PositiveSmallIntegerField(
        _("shared pool, % of tasks"),
        default=0,
        validators=PERCENT,
        help_text=_("Drawn by hash. Agreement is measured on them alone. 0: there is no pool, all tasks count."),
    )
    shared_overlap = models.PositiveSmallIntegerField(
        _("overlap of the shared pool"), default=3, validators=[MinValueValidator(2), MaxValueValidator(100)]
    )
    max_overlap = models.PositiveSmallIntegerField(
        _("largest overlap"),
        default=100,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("Places may be added to a task where people disagree, up to this many."),
    )
    adaptive = models.BooleanField(
        _("adaptive overlap"),
        default=False,
        help_text=_("Ask one more person while the consensus of a task is not sure enough, up to the largest overlap."),
    )
    confidence_percent = models.PositiveSmallIntegerField(
        _("sure enough, %"),
        default=90,
        validators=[MinValueValidator(50), MaxValueValidator(100)],
        help_text=_("From this confidence on a consensus is settled. Tasks that stay below go to adjudication."),
    )
    gold_percent = models.PositiveSmallIntegerField(
        _("gold tasks, % of claims"),
        default=0,
        validators=PERCENT,
        help_text=_("How often a task comes whose answer the researchers know."),
    )
    gold_new_percent = models.PositiveSmallIntegerField(
        _("gold tasks of who is new, % of claims"),
        default=0,
        validators=PERCENT,
        help_text=_("Of somebody's first tasks; where it is lower than the other rate, that one holds."),
    )
    gold_new_tasks = models.PositiveIntegerField(
        _("new, tasks"), default=100, help_text=_("So many answered tasks long somebody is new.")
    )
    gold_target_percent = models.PositiveSmallIntegerField(
        _("right on gold, %"),
        default=75,
        validators=[MinValueValidator(50), MaxValueValidator(99)],
        help_text=_("Who is less often right, almost certainly and on 20 gold tasks or more, is paused."),
    )
    open_to_apply = models.BooleanField(
        _("open to applications"),
        default=False,
        help_text=_("Everybody with a login sees the project and may apply. Without it an invitation is needed."),
    )
    daily_cap = models.PositiveIntegerField(
        _("cap per person and day"), null=True, blank=True, help_text=_("Tasks. Empty: no cap.")
    )
    share_cap = models.PositiveSmallIntegerField(
        _("cap per person, % of all places"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("So that no single person makes the dataset. Empty: no cap."),
    )
    harm_categories = ArrayField(
        models.CharField(max_length=10, choices=Harm),
        default=list,
        blank=True,
        verbose_name=_("harm categories of all tasks"),
        help_text=_("Tasks are blurred until asked for, and only given to those who opted in."),
    )
    exposure_cap = models.PositiveSmallIntegerField(
        _("cap on exposure per person and day"),
        null=True,
        blank=True,
        help_text=_("Tasks with a harm category, in all projects. Empty: no cap."),
    )
    support_text = models.TextField(
        _("support"), blank=True, help_text=_("Markdown. Where people find help when a task distresses them.")
    )
    translations = models.JSONField(_("translations"), default=dict, blank=True)  # {"zh-hans": {"support_text": …}}
    preset = models.SlugField(_("preset"), max_length=60, blank=True, editable=False)
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
            models.CheckConstraint(
                condition=models.Q(overlap__lte=models.F("max_overlap"), max_overlap__lte=100),
                name="project_overlap_up_to_the_largest",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    shared_percent__lte=100,
                    shared_overlap__range=(2, 100),
                    gold_percent__lte=100,
                    gold_new_percent__lte=100,
                    gold_target_percent__range=(50, 99),
                ),
                name="project_percentages_up_to_100",
            ),
            models.CheckConstraint(
                condition=models.Q(confidence_percent__range=(50, 100)), name="project_sure_enough_50_to_100"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def lease(self) -> timedelta:
        return timedelta(minutes=self.lease_minutes)

    @property
    def sure_enough(self) -> float:
        return self.confidence_percent / 100

    @property
    def preference_question(self):
        """The first question that asks for a preference: what agreement and exports are about. None without one."""
        questions = self.questions.current()
        return questions.filter(kind__in=questions.model.PREFERENCES).first()

    def support_in(self, language: str) -> str:
        return in_language({"support_text": self.support_text}, self.translations, language)["support_text"]


@pgtrigger.register(
    pgtrigger.ReadOnly(
        name="guideline_text_is_immutable",
        fields=["project", "version", "text", "examples", "translations", "material"],
    ),
    pgtrigger.Protect(name="guideline_is_kept", operation=pgtrigger.Delete),
)
@pghistory.track()
class Guideline(models.Model):
    """One version of a project's instructions. Each judgement points at the version that its author read."""

    project = models.ForeignKey(Project, models.PROTECT, related_name="guidelines")
    version = models.PositiveIntegerField(_("version"))
    text = models.TextField(_("text"), help_text=_("Markdown."))
    examples = models.JSONField(_("worked examples"), default=list, blank=True)  # docs/questions.md has the shape
    translations = models.JSONField(_("translations"), default=dict, blank=True)  # {"zh-hans": {"text": …}}
    material = models.BooleanField(
        _("material change"),
        default=False,
        help_text=_(
            "It changes how tasks are judged. Judgements before and after it are never compared with each other: a new "
            "epoch of agreement begins."
        ),
    )
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

    def says(self, language: str) -> dict:
        """Its text and examples in this language, if it has been translated."""
        return in_language({"text": self.text, "examples": self.examples}, self.translations, language)


APPLIED, TRAINING, TESTING = "applied", "training", "testing"
APPROVED, PAUSED, REJECTED = "approved", "paused", "rejected"
TRANSITIONS = [
    (APPLIED, TRAINING),
    (APPLIED, TESTING),
    (APPLIED, APPROVED),
    (APPLIED, REJECTED),
    (TRAINING, TESTING),
    (TRAINING, APPROVED),
    (TRAINING, PAUSED),
    (TRAINING, REJECTED),
    (TESTING, TRAINING),
    (TESTING, APPROVED),
    (TESTING, PAUSED),
    (TESTING, REJECTED),
    (APPROVED, TRAINING),
    (APPROVED, TESTING),
    (APPROVED, PAUSED),
    (PAUSED, TRAINING),
    (PAUSED, TESTING),
    (PAUSED, APPROVED),
    (PAUSED, REJECTED),
    (REJECTED, APPLIED),
    (REJECTED, APPROVED),
]
"""The steps that an enrolment may take. The database refuses all others; docs/vetting.md draws them from here."""


@pgtrigger.register(
    pgtrigger.FSM(
        name="enrolment_transitions",
        field="status",
        transitions=TRANSITIONS,
    )
)
@pghistory.track(exclude=["cursor", "swept_at", "decisions_seen", "guideline_read"])
class Enrolment(models.Model):
    """An annotator's place in a project. Only an approved one is given work; training and test tasks come before.

    `cursor` is the rank of the last task that was claimed: the claim looks above it (see `annotate.services.ledger`).
    """

    class Status(models.TextChoices):
        APPLIED = APPLIED, _("applied")
        TRAINING = TRAINING, _("training")
        TESTING = TESTING, _("testing")
        APPROVED = APPROVED, _("approved")
        PAUSED = PAUSED, _("paused")
        REJECTED = REJECTED, _("rejected")

    SHUT_OUT = (Status.APPLIED, Status.PAUSED, Status.REJECTED)

    annotator = models.ForeignKey("annotate.Annotator", models.PROTECT, related_name="enrolments")
    project = models.ForeignKey(Project, models.PROTECT, related_name="enrolments")
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.APPLIED)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    team = models.SlugField(_("team"), max_length=40, blank=True, help_text=_("Batches can be given to a team."))
    cursor = models.BigIntegerField(default=-1, editable=False)
    swept_at = models.DateTimeField(null=True, editable=False)  # when it last looked below the cursor
    decisions_seen = models.BigIntegerField(default=0, editable=False)  # the newest adjudication that was shown
    guideline_read = models.PositiveIntegerField(default=0, editable=False)  # the latest version acknowledged
    invitation = models.ForeignKey(
        "annotate.Invitation", models.PROTECT, null=True, blank=True, related_name="enrolments", editable=False
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("enrolment")
        verbose_name_plural = _("enrolments")
        constraints = [models.UniqueConstraint(fields=["annotator", "project"], name="enrolment_once")]

    def __str__(self) -> str:
        return f"{self.annotator} · {self.project}"
