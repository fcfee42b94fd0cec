"""The way into a project and what is decided on it: steps, what somebody agreed to, tries, decisions, appeals, feedback.

Who somebody is stands on the annotator, where he stands on the enrolment. What happens to an enrolment is a `Decision`:
the rule that made it, or the person, and the figures it rests on. Nothing of it is changed afterwards.
"""

import uuid

import pghistory
import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from annotate.models.answers import append_only
from annotate.models.ledger import Annotation
from annotate.models.people import Annotator
from annotate.models.projects import Enrolment, Guideline, Project


@pghistory.track(pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent())
class VettingStep(models.Model):
    """A step of the way into a project, with its settings (docs/vetting.md). Steps come in the order of their kinds."""

    class Kind(models.TextChoices):
        PROFILE = "profile", _("consent and profile")
        GUIDELINE = "guideline", _("guideline read")
        TRAINING = "training", _("training")
        FLAGS = "flags", _("test: flags")
        RANKINGS = "rankings", _("test: rankings")
        DEMONSTRATIONS = "demonstrations", _("test: demonstrations")

    PARTS = (Kind.FLAGS, Kind.RANKINGS, Kind.DEMONSTRATIONS)
    """The parts of the test (Ouyang et al. 2022, B.1). The fourth, declared areas, is asked for with the profile."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="vetting_steps")
    kind = models.CharField(_("step"), max_length=14, choices=Kind)
    settings = models.JSONField(_("settings"), default=dict, blank=True)

    class Meta:
        verbose_name = _("step of vetting")
        verbose_name_plural = _("steps of vetting")
        ordering = ["project", "pk"]
        constraints = [models.UniqueConstraint(fields=["project", "kind"], name="vetting_step_once")]

    def __str__(self) -> str:
        return f"{self.project} · {self.get_kind_display()}"


@append_only
class Acknowledgement(models.Model):
    """Somebody agreed to take part (consent, with its text), or has read a version of the guideline."""

    enrolment = models.ForeignKey(Enrolment, models.PROTECT, related_name="acknowledgements")
    guideline = models.ForeignKey(Guideline, models.PROTECT, null=True, related_name="+")  # none: consent
    consent = models.TextField(_("what was agreed to"), blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("acknowledgement")
        verbose_name_plural = _("acknowledgements")
        constraints = [
            models.UniqueConstraint(
                fields=["enrolment", "guideline"], condition=Q(guideline__isnull=False), name="acknowledgement_once"
            ),
            models.CheckConstraint(condition=Q(guideline=None) | Q(consent=""), name="acknowledgement_of_one_thing"),
        ]

    def __str__(self) -> str:
        what = self.guideline or _("consent")
        return f"{self.enrolment} · {what}"


@append_only
class Attempt(models.Model):
    """One go through training, or through the test. Tasks that were taken from then on count for it."""

    class Kind(models.TextChoices):
        TRAINING = "training", _("training")
        RETRAINING = "retraining", _("training again")
        TEST = "test", _("test")
        RETEST = "retest", _("short test after a change of the guideline")

    enrolment = models.ForeignKey(Enrolment, models.PROTECT, related_name="attempts")
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    number = models.PositiveSmallIntegerField(_("number"))
    guideline = models.ForeignKey(Guideline, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(_("began"), auto_now_add=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        constraints = [models.UniqueConstraint(fields=["enrolment", "kind", "number"], name="attempt_number_once")]

    def __str__(self) -> str:
        return f"{self.enrolment} · {self.get_kind_display()} {self.number}"


@append_only
class Decision(models.Model):
    """What was decided on an enrolment: by which rule or by whom, why, and on which figures."""

    class Kind(models.TextChoices):
        APPLY = "apply", _("applied")
        INVITE = "invite", _("invited")
        TRAIN = "train", _("training begins")
        TEST = "test", _("test begins")
        APPROVE = "approve", _("approved")
        REJECT = "reject", _("not let in")
        UNDECIDED = "undecided", _("undecided: a person decides")
        WARN = "warn", _("warned")
        RETRAIN = "retrain", _("to training again")
        RETEST = "retest", _("to the test again")
        PAUSE = "pause", _("paused")
        RESTORE = "restore", _("restored")
        REOPEN = "reopen", _("may try again")
        RESCORE = "rescore", _("scored again: a known answer was corrected")

    enrolment = models.ForeignKey(Enrolment, models.PROTECT, related_name="decisions")
    attempt = models.ForeignKey(Attempt, models.PROTECT, null=True, related_name="decisions")
    kind = models.CharField(_("decision"), max_length=9, choices=Kind)
    before = models.CharField(_("before"), max_length=10, choices=Enrolment.Status, blank=True)
    after = models.CharField(_("after"), max_length=10, choices=Enrolment.Status)
    rule = models.JSONField(_("rule"), null=True)  # its settings; none where a person decided
    data = models.JSONField(_("figures"), default=dict)
    reason = models.TextField(_("reason"), blank=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(_("decided"), auto_now_add=True)

    class Meta:
        verbose_name = _("decision")
        verbose_name_plural = _("decisions")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(rule__isnull=False) | Q(actor__isnull=False), name="decision_by_a_rule_or_a_person"
            )
        ]

    def __str__(self) -> str:
        return f"{self.enrolment} · {self.get_kind_display()}"


@pghistory.track()
class Appeal(models.Model):
    """Somebody holds a decision to be wrong. Whoever replies is not the one who decided it, where there is another."""

    class Outcome(models.TextChoices):
        GRANTED = "granted", _("granted")
        DECLINED = "declined", _("declined")

    decision = models.OneToOneField(Decision, models.PROTECT, related_name="appeal")
    text = models.TextField(_("why it is wrong"), max_length=5000)
    outcome = models.CharField(_("outcome"), max_length=8, choices=Outcome, blank=True)
    reply = models.TextField(_("reply"), max_length=5000, blank=True)
    replied_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    replied_at = models.DateTimeField(_("replied"), null=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("appeal")
        verbose_name_plural = _("appeals")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome="", reply="", replied_by=None, replied_at=None)
                | (~Q(outcome="") & ~Q(reply="") & Q(replied_by__isnull=False, replied_at__isnull=False)),
                name="appeal_replied_by_somebody",
            ),
            models.CheckConstraint(condition=~Q(text=""), name="appeal_says_why"),
        ]

    def __str__(self) -> str:
        return str(self.decision)


@pgtrigger.register(
    pgtrigger.ReadOnly(name="feedback_only_seen_changes", exclude=["seen_at"]),
    pgtrigger.Protect(name="feedback_is_kept", operation=pgtrigger.Delete),
)
class Feedback(models.Model):
    """A reviewer's words on somebody's annotation, with the passage of the guideline they rest on."""

    annotation = models.ForeignKey(Annotation, models.PROTECT, related_name="feedback")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    text = models.TextField(_("comment"), max_length=5000)
    guideline = models.ForeignKey(Guideline, models.PROTECT, null=True, related_name="+")
    passage = models.TextField(_("passage of the guideline"), max_length=5000, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    seen_at = models.DateTimeField(_("seen"), null=True)

    class Meta:
        verbose_name = _("feedback")
        verbose_name_plural = _("feedback")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=~Q(text=""), name="feedback_says_something"),
            models.CheckConstraint(
                condition=Q(passage="") | Q(guideline__isnull=False), name="feedback_passage_of_a_guideline"
            ),
        ]

    def __str__(self) -> str:
        return self.text[:80]


@pghistory.track(exclude=["code"])
class Invitation(models.Model):
    """A link that lets whoever has it apply to a project, by e-mail or handed on."""

    project = models.ForeignKey(Project, models.PROTECT, related_name="invitations")
    code = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(_("e-mail"), blank=True)
    most_uses = models.PositiveIntegerField(_("for how many people"), default=1)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires"))
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=Q(most_uses__range=(1, 10_000)), name="invitation_for_1_to_10000")
        ]

    def __str__(self) -> str:
        return f"{self.project} · {self.email or self.most_uses}"


@append_only
class LanguageTest(models.Model):
    """A short test of a language that somebody took, and the level it came to."""

    annotator = models.ForeignKey(Annotator, models.PROTECT, related_name="language_tests")
    language = models.CharField(_("language"), max_length=35)
    version = models.PositiveSmallIntegerField(_("version"))
    answers = models.JSONField(_("answers"))
    right = models.PositiveSmallIntegerField(_("right"))
    of = models.PositiveSmallIntegerField(_("of"))
    level = models.CharField(_("level"), max_length=2, blank=True)  # none: below the least that it can show
    seconds = models.PositiveIntegerField(_("seconds"), null=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("language test")
        verbose_name_plural = _("language tests")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=Q(right__lte=models.F("of")), name="language_test_right_up_to_all")
        ]

    def __str__(self) -> str:
        return f"{self.annotator} · {self.language} {self.level}"
