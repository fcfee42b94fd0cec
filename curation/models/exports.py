"""What goes out: immutable releases of training data, and the files they are made of."""

import uuid
from decimal import Decimal

import pghistory
from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from annotate.models import Annotator, Project
from curation.models.blobs import Blob
from curation.models.datasets import InstanceSet
from jobs.models import Job

MOST_HELD_OUT = Decimal("0.90")


class ExportQuerySet(models.QuerySet):
    def visible(self, *, projects, datasets: bool) -> "ExportQuerySet":
        """Those of the projects and, with `datasets`, those that are made of datasets."""
        of = models.Q(project__in=projects) | (models.Q(project=None) if datasets else models.Q(pk=None))
        return self.filter(of).select_related("project", "job").prefetch_related("instance_sets__dataset")


@pghistory.track(exclude=["manifest", "about"])
class Export(models.Model):
    """An immutable release of training data: what people judged in a project, or instructions of instance sets.

    Of a project `selection` names the judgements that are in, with their weights and, in unit consensus, what they come to.
    It is written first, in one snapshot of the database; all else is derived from it and from rows that never change, so
    building again after a crash gives the same bytes. Instance sets never change.
    """

    class Kind(models.TextChoices):
        PREFERENCE = "preference", _("preference pairs")
        RANKING = "ranking", _("rankings")
        UNPAIRED = "unpaired", _("unpaired labels (KTO)")
        RATING = "rating", _("ratings and choices")
        VIOLATION = "violation", _("rule violations")
        PROMPT = "prompt", _("prompts only")
        JUDGEMENT = "judgement", _("raw judgements")
        SFT = "sft", _("instructions (SFT)")

    class Unit(models.TextChoices):
        JUDGEMENT = "judgement", _("each person's judgement")
        CONSENSUS = "consensus", _("the consensus of all")
        INSTANCE = "instance", _("instance")

    class Shape(models.TextChoices):
        TRL = "trl", "TRL, datasets"
        OPENAI = "openai", "OpenAI"
        LLAMAFACTORY = "llamafactory", "LLaMA-Factory"
        ALPACA = "alpaca", "Alpaca"
        SHAREGPT = "sharegpt", "ShareGPT"
        HH = "hh", "HH"
        OASST = "oasst", "OASST"

    class Ties(models.TextChoices):
        DROP = "drop", _("leave ties out")
        SOFT = "soft", _("a row with soft label 0.5")

    class Reliability(models.TextChoices):
        EQUAL = "equal", _("everybody counts the same")
        ONE_COIN = "one_coin", _("by how often each person is right (one-coin)")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind, default=Kind.PREFERENCE)
    project = models.ForeignKey(
        Project, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("project")
    )
    shape = models.CharField(_("shape"), max_length=12, choices=Shape, default=Shape.TRL)
    unit = models.CharField(
        _("unit"),
        max_length=9,
        choices=Unit,
        default=Unit.JUDGEMENT,
        help_text=_(
            "What a row rests on: A over B and B over A may both be there where each person's judgement is one."
        ),
    )
    ties = models.CharField(_("ties"), max_length=4, choices=Ties, default=Ties.DROP)
    margin = models.CharField(
        _("margin"),
        max_length=60,
        blank=True,
        help_text=_("“strength”, or the key of a rating question. Empty: no margin. Rows without one are left out."),
    )
    reliability = models.CharField(_("reliability"), max_length=8, choices=Reliability, default=Reliability.EQUAL)
    filters = models.JSONField(_("what goes in"), default=dict, blank=True)
    since = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="later",
        verbose_name=_("since"),
        help_text=_("Only what changed since that export, with tombstones for rows that are gone."),
    )
    instance_sets = models.ManyToManyField(InstanceSet, blank=True, related_name="+", verbose_name=_("instance sets"))
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
        help_text=_("Exports with the same salt and share hold out the same split groups."),
    )
    cap = models.PositiveIntegerField(
        _("most instances of a task type"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Drawn by hash. A few hundred of each are enough for most. Empty: all."),
    )
    selection = models.ForeignKey(Blob, models.PROTECT, null=True, editable=False, related_name="+")
    settled = models.ForeignKey(Blob, models.PROTECT, null=True, editable=False, related_name="+")  # consensus values
    about = models.JSONField(null=True, editable=False)  # the project and its questions and rules, as selected
    snapshot = models.TextField(editable=False, blank=True)  # pg_current_snapshot() when it was selected
    annotators = models.ManyToManyField(Annotator, editable=False, related_name="+")  # whose work is in
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)
    revoked_because = models.TextField(_("reason"), blank=True, editable=False)
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
                | (models.Q(manifest__isnull=False) & ~models.Q(manifest_sha256="")),
                name="export_built_has_manifest",
            ),
            models.CheckConstraint(
                condition=(
                    ~models.Q(kind="sft")
                    & models.Q(project__isnull=False, unit__in=["judgement", "consensus"])
                    & (models.Q(manifest__isnull=True) | models.Q(selection__isnull=False))
                )
                | models.Q(
                    kind="sft", project__isnull=True, selection__isnull=True, unit="instance", since__isnull=True
                ),
                name="export_of_project_with_selection_or_sft",
            ),
            models.CheckConstraint(
                condition=models.Q(margin="") | models.Q(ties="drop"), name="export_margin_or_soft_label"
            ),
            models.CheckConstraint(
                condition=models.Q(revoked_at=None, revoked_because="")
                | (models.Q(revoked_at__isnull=False) & ~models.Q(revoked_because="")),
                name="export_revoked_says_why",
            ),
            models.CheckConstraint(
                condition=models.Q(test_share__range=(0, MOST_HELD_OUT)), name="export_share_0_to_90_percent"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} · {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def title(self) -> str:
        """Of what it is and of which kind."""
        of = self.project.name if self.project else ", ".join(self.dataset_names)
        return f"{of} · {self.get_kind_display()}"

    @property
    def dataset_names(self) -> list[str]:
        return sorted({instance_set.dataset.name for instance_set in self.instance_sets.all()})

    @property
    def name(self) -> str:
        """The name of its folder when it is downloaded."""
        of = self.project.slug if self.project else "-".join(self.dataset_names)[:80]
        return f"{of}-{self.kind}-{self.manifest_sha256[:12]}"

    @property
    def built(self) -> bool:
        return self.manifest is not None

    @property
    def revoked(self) -> bool:
        return self.revoked_at is not None


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
