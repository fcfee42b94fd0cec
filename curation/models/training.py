"""What trainers report back."""

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from curation.models.exports import Export


class TrainingRun(models.Model):
    """What a trainer reports of itself: what it trained on, how it went, and what came out."""

    class Status(models.TextChoices):
        RUNNING = "running", _("running")
        SUCCEEDED = "succeeded", _("succeeded")
        FAILED = "failed", _("failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    export = models.ForeignKey(Export, models.PROTECT, related_name="+")
    trainer = models.CharField(_("trainer"), max_length=20)
    name = models.CharField(_("name"), max_length=200)
    status = models.CharField(_("status"), max_length=9, choices=Status, default=Status.RUNNING)
    configuration = models.JSONField(_("configuration"), default=dict)
    results = models.JSONField(_("results"), default=dict)
    model_card = models.TextField(_("model card"), blank=True)
    error = models.TextField(_("error"), blank=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(_("started"), auto_now_add=True)
    finished_at = models.DateTimeField(_("finished"), null=True)

    class Meta:
        verbose_name = _("training run")
        verbose_name_plural = _("training runs")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status="running", finished_at__isnull=True)
                | (~models.Q(status="running") & models.Q(finished_at__isnull=False)),
                name="training_run_ended_has_finish_time",
            )
        ]

    def __str__(self) -> str:
        return self.name


class TrainingMetric(models.Model):
    """A point of a training run's curve."""

    run = models.ForeignKey(TrainingRun, models.CASCADE, related_name="metrics")
    step = models.PositiveIntegerField(_("step"))
    name = models.CharField(_("name"), max_length=100)
    value = models.FloatField(_("value"))

    class Meta:
        verbose_name = _("point of a curve")
        verbose_name_plural = _("points of curves")
        ordering = ["run", "name", "step"]
        constraints = [models.UniqueConstraint(fields=["run", "name", "step"], name="training_metric_once")]

    def __str__(self) -> str:
        return f"{self.name} {self.step}"
