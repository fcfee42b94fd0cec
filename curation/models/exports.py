"""What goes out: exports and the files they are made of, and what trainers report back."""

import uuid
from decimal import Decimal

import pghistory
import pgtrigger
from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from annotate.models import Project
from jobs.models import Job

MOST_HELD_OUT = Decimal("0.90")


@pgtrigger.register(pgtrigger.Protect(name="append_only", operation=pgtrigger.Update))
class Blob(models.Model):
    """A file in storage, named by what is in it. It exists once its row does; its content never changes."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    bytes = models.PositiveBigIntegerField(_("bytes"))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("file")
        verbose_name_plural = _("files")

    def __str__(self) -> str:
        return self.sha256

    @property
    def path(self) -> str:
        """Where it lies in storage."""
        return f"blobs/{self.sha256[:2]}/{self.sha256}"


class ExportQuerySet(models.QuerySet):
    def in_projects(self, projects) -> "ExportQuerySet":
        return self.filter(project__in=projects).select_related("project", "job")


@pghistory.track(exclude=["manifest"])
class Export(models.Model):
    """An immutable release of training data.

    `selection` names the judgements that are in it. It is written first; all else is derived from it and from rows
    that never change, so building again after a crash gives the same bytes.
    """

    class Kind(models.TextChoices):
        PREFERENCE = "preference", _("preference pairs")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind, default=Kind.PREFERENCE)
    project = models.ForeignKey(Project, models.PROTECT, related_name="+")
    test_share = models.DecimalField(
        _("share held out"),
        max_digits=3,
        decimal_places=2,
        default=Decimal("0.20"),
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(MOST_HELD_OUT)],
        help_text=_("Of the split groups, 0 to 0.9: what no model may train on."),
    )
    salt = models.CharField(
        _("salt"),
        max_length=60,
        default="plumbline",
        help_text=_("Exports with the same salt and share hold out the same prompts."),
    )
    selection = models.ForeignKey(Blob, models.PROTECT, null=True, editable=False, related_name="+")
    manifest = models.JSONField(_("manifest"), null=True, editable=False)
    manifest_sha256 = models.CharField(max_length=64, blank=True, editable=False, db_index=True)
    job = models.OneToOneField(Job, models.PROTECT, editable=False, related_name="+")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False, related_name="+")
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = ExportQuerySet.as_manager()

    class Meta:
        verbose_name = _("export")
        verbose_name_plural = _("exports")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(manifest__isnull=True, manifest_sha256="")
                | (models.Q(manifest__isnull=False, selection__isnull=False) & ~models.Q(manifest_sha256="")),
                name="export_built_has_manifest_and_selection",
            ),
            models.CheckConstraint(
                condition=models.Q(test_share__range=(0, MOST_HELD_OUT)), name="export_share_0_to_90_percent"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project} · {self.get_kind_display()} · {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def name(self) -> str:
        """The name of its folder when it is downloaded."""
        return f"{self.project.slug}-{self.kind}-{self.manifest_sha256[:12]}"

    @property
    def built(self) -> bool:
        return self.manifest is not None


class ExportFile(models.Model):
    """A file of an export: where it stands in the folder, and which blob it is."""

    export = models.ForeignKey(Export, models.PROTECT, related_name="files")
    path = models.CharField(_("path"), max_length=200)
    blob = models.ForeignKey(Blob, models.PROTECT, related_name="+")

    class Meta:
        verbose_name = _("file of an export")
        verbose_name_plural = _("files of exports")
        ordering = ["path"]
        constraints = [models.UniqueConstraint(fields=["export", "path"], name="export_file_once")]

    def __str__(self) -> str:
        return self.path


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
