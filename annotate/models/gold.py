"""Tasks whose answer the researchers know: what each of them said, what they agree on, and what people's answers are worth.

A known answer has versions. It is made anew when a researcher answers, or when somebody corrects it; each scoring points
at the version it was made by. Values have the shape that `Adjudication.values` has.
"""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from annotate.models.answers import Answer, append_only
from annotate.models.ledger import Annotation

LEAST_RESEARCHERS = 2
"""How many have to agree before an answer measures people at work: alone they agree on about 73 % (docs/vetting.md)."""


@append_only
class ResearcherAnswer(models.Model):
    """What one researcher answered, and why. His latest stands."""

    task = models.ForeignKey("annotate.Task", models.PROTECT, related_name="researcher_answers")
    question = models.ForeignKey("annotate.Question", models.PROTECT, related_name="+")
    researcher = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    values = models.JSONField(_("values"))
    reason = models.TextField(_("reason"), blank=True, max_length=5000)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("answer of a researcher")
        verbose_name_plural = _("answers of researchers")
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.task} · {self.question.key} · {self.researcher}"


@pgtrigger.register(
    pgtrigger.ReadOnly(name="gold_only_current_changes", exclude=["current"]),
    pgtrigger.Protect(name="gold_is_kept", operation=pgtrigger.Delete),
)
class GoldAnswer(models.Model):
    """The known answer to a question on a task, in one version."""

    task = models.ForeignKey("annotate.Task", models.PROTECT, related_name="gold_answers")
    question = models.ForeignKey("annotate.Question", models.PROTECT, related_name="+")
    version = models.PositiveIntegerField(_("version"))
    values = models.JSONField(_("values"))
    reason = models.TextField(_("reason"), blank=True, max_length=5000)
    agreeing = models.PositiveSmallIntegerField(_("researchers who say so"))
    researchers = models.PositiveSmallIntegerField(_("researchers who answered"))
    corrected_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    current = models.BooleanField(_("current"), default=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("known answer")
        verbose_name_plural = _("known answers")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["task", "question", "version"], name="gold_version_once"),
            models.UniqueConstraint(fields=["task", "question"], condition=Q(current=True), name="gold_one_current"),
            models.CheckConstraint(condition=Q(agreeing__lte=models.F("researchers")), name="gold_agreeing_of_all"),
        ]

    def __str__(self) -> str:
        return f"{self.task} · {self.question.key} · {self.version}"


@append_only
class GoldResult(models.Model):
    """What an annotation is worth by a version of the known answer: right or not, and how far."""

    annotation = models.ForeignKey(Annotation, models.PROTECT, related_name="gold_results")
    gold = models.ForeignKey(GoldAnswer, models.PROTECT, related_name="results")
    passed = models.BooleanField(_("right"))
    share = models.FloatField(_("how far, 0 to 1"))
    created_at = models.DateTimeField(_("scored"), auto_now_add=True)

    class Meta:
        verbose_name = _("result on a known answer")
        verbose_name_plural = _("results on known answers")
        constraints = [
            models.UniqueConstraint(fields=["annotation", "gold"], name="gold_result_once"),
            models.CheckConstraint(condition=Q(share__range=(0, 1)), name="gold_result_share_0_to_1"),
        ]

    def __str__(self) -> str:
        return f"{self.gold}: {self.share:.2f}"


@append_only
class DemonstrationRating(models.Model):
    """A researcher's mark, 1 to 7, for a piece that somebody wrote in the test (Ouyang et al. 2022, B.1)."""

    answer = models.ForeignKey(Answer, models.PROTECT, related_name="ratings")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    rating = models.PositiveSmallIntegerField(_("mark, 1 to 7"))
    comment = models.TextField(_("comment"), blank=True, max_length=5000)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("mark of a demonstration")
        verbose_name_plural = _("marks of demonstrations")
        constraints = [
            models.UniqueConstraint(fields=["answer", "reviewer"], name="demonstration_rating_once"),
            models.CheckConstraint(condition=Q(rating__range=(1, 7)), name="demonstration_rating_1_to_7"),
        ]

    def __str__(self) -> str:
        return f"{self.answer}: {self.rating}"
