"""Datasets, templates over their columns, and the instances that come of both.

A dataset's rows and a set's instances are Parquet files (blobs), not rows of the database: ten million of them cost
disk only. All three are immutable once they are whole; what is known of a dataset beside its rows (licence, language,
source) can be put right, and pghistory keeps what it was.
"""

import uuid

import pghistory
import pgtrigger
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from license_expression import ExpressionError, get_spdx_licensing

from curation.models.blobs import Blob
from curation.reading.files import PLAIN
from curation.reading.shapes import AS_IT_IS, known
from curation.shots import FewShot
from jobs.models import Job

SPDX = get_spdx_licensing()
LANGUAGE_TAG = RegexValidator(
    r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", _("A language tag is needed, such as en, zh-Hans, or mul for several.")
)
LONGEST_TEMPLATE = 20_000
MOST_SHOTS = 32
USUAL_SEED = "plumbline"


def check_licence(value: str) -> None:
    """Raises ValidationError for what is no SPDX licence expression."""
    try:
        SPDX.parse(value, validate=True, strict=True)
    except ExpressionError:
        message = _(
            "“%(value)s” is no SPDX licence. Examples: MIT, Apache-2.0, CC-BY-SA-4.0; LicenseRef-name for another one."
        )
        # A licence of one's own is a LicenseRef; SPDX allows it, the list of known ones cannot hold it.
        if not value.startswith("LicenseRef-") or not value.removeprefix("LicenseRef-").replace("-", "").isalnum():
            raise ValidationError(message, params={"value": value}) from None


class DatasetQuerySet(models.QuerySet):
    def whole(self) -> "DatasetQuerySet":
        """Those whose rows are there."""
        return self.filter(table__isnull=False)


@pghistory.track(
    pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent(), exclude=["refusals", "columns"]
)
class Dataset(models.Model):
    """A version of a dataset: first a file and how to read it, then, once it was read as a whole, a table."""

    class Format(models.TextChoices):
        JSONL = "jsonl", "JSONL"
        CSV = "csv", "CSV"
        TSV = "tsv", "TSV"
        JSON = "json", "JSON"
        PARQUET = "parquet", "Parquet"
        ARROW = "arrow", "Arrow"
        TEXT = "text", _("text, a line a row")

    class Encoding(models.TextChoices):
        UTF_8 = "utf-8", "UTF-8"
        LATIN_1 = "latin-1", "Latin-1"
        WINDOWS = "windows-1252", "Windows-1252"
        GB18030 = "gb18030", "GB 18030"

    class Delimiter(models.TextChoices):
        COMMA = "comma", _("a comma")
        TAB = "tab", _("a tab")
        SEMICOLON = "semicolon", _("a semicolon")
        PIPE = "pipe", _("a bar |")

    class Quote(models.TextChoices):
        DOUBLE = "double", _("double quotes")
        SINGLE = "single", _("single quotes")
        NONE = "none", _("nothing: a quote is text")

    class Header(models.TextChoices):
        YES = "yes", _("the names of the columns")
        NO = "no", _("a row like the others")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(_("name"), max_length=80, help_text=_("Letters, digits and hyphens; versions share it."))
    version = models.PositiveIntegerField(_("version"), null=True, editable=False)  # given once the table is there
    licence = models.CharField(
        _("licence"), max_length=120, validators=[check_licence], help_text=_("SPDX, such as CC-BY-4.0.")
    )
    language = models.CharField(
        _("language"), max_length=35, validators=[LANGUAGE_TAG], help_text=_("Such as en or zh-Hans; mul for several.")
    )
    source = models.CharField(
        _("source"), max_length=500, blank=True, help_text=_("Where it comes from: an address, a paper.")
    )
    file = models.ForeignKey(Blob, models.PROTECT, editable=False, related_name="+")
    file_name = models.CharField(_("file"), max_length=255)
    # How the file is read. With the file, these say whether an import is one that was made before.
    files = models.JSONField(
        _("files"), default=list, blank=True, editable=False
    )  # [{name, split}] if there are several
    format = models.CharField(_("format"), max_length=7, choices=Format)
    encoding = models.CharField(_("encoding"), max_length=12, choices=Encoding, default=Encoding.UTF_8)
    column_names = models.JSONField(
        _("column names"),
        default=list,
        blank=True,
        help_text=_("Of a CSV or TSV file without a header line, separated by commas."),
    )
    delimiter = models.CharField(_("between fields"), max_length=9, choices=Delimiter, blank=True)
    quote = models.CharField(_("around fields"), max_length=6, choices=Quote, blank=True)
    header = models.CharField(_("the first line is"), max_length=3, choices=Header, blank=True)
    shape = models.CharField(_("shape"), max_length=40, default=PLAIN)
    shape_options = models.JSONField(_("options of the shape"), default=dict, blank=True)
    id_column = models.CharField(
        _("id column"), max_length=200, blank=True, help_text=_("No two rows may have the same value in it.")
    )
    group_column = models.CharField(
        _("group column"),
        max_length=200,
        blank=True,
        help_text=_("Rows with the same value in it always share a split."),
    )
    leave_out_refused = models.BooleanField(
        _("leave out rows that cannot be read"),
        default=False,
        help_text=_("Otherwise one such row refuses the whole file."),
    )
    reading_sha256 = models.CharField(max_length=64, editable=False)
    # What became of it.
    table = models.ForeignKey(Blob, models.PROTECT, null=True, editable=False, related_name="+")
    columns = models.JSONField(_("columns"), default=list, editable=False)  # [{name, kind, empty}]
    rows = models.PositiveBigIntegerField(_("rows"), null=True, editable=False)
    refused = models.PositiveBigIntegerField(_("refused rows"), default=0, editable=False)
    refusals = models.JSONField(default=list, editable=False)  # the first of them: [{row, column, message}]
    job = models.OneToOneField(Job, models.PROTECT, editable=False, related_name="+")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False, related_name="+")
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = DatasetQuerySet.as_manager()

    class Meta:
        verbose_name = _("dataset")
        verbose_name_plural = _("datasets")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="dataset_version_once"),
            models.CheckConstraint(
                condition=models.Q(table__isnull=True, version__isnull=True, rows__isnull=True)
                | models.Q(table__isnull=False, version__isnull=False, rows__isnull=False),
                name="dataset_whole_has_table_version_and_rows",
            ),
            models.UniqueConstraint(
                fields=["file", "reading_sha256"],
                condition=models.Q(table__isnull=False),
                name="dataset_file_read_so_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} · {self.version}" if self.version else self.name

    def clean(self) -> None:
        names = self.column_names
        if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
            raise ValidationError({"column_names": _("A list of names is needed here, none of them empty.")})
        if len(set(names)) < len(names):
            raise ValidationError({"column_names": _("A name stands here twice. Each column needs its own.")})
        delimited = self.format in (self.Format.CSV, self.Format.TSV)
        if names and not delimited:
            raise ValidationError({"column_names": _("Only a CSV or TSV file has its columns named here.")})
        for name in ("delimiter", "quote", "header"):
            if getattr(self, name) and not delimited:
                raise ValidationError({name: _("Only a CSV or TSV file has this.")})
        self._check_shape()

    def _check_shape(self) -> None:
        if self.shape != PLAIN and self.shape not in known():
            message = _("There is no shape “%(shape)s”. There are: %(known)s.")
            words = {"shape": self.shape[:40], "known": ", ".join([PLAIN, *known()])}
            raise ValidationError({"shape": message % words})
        options = {} if self.shape == PLAIN else known()[self.shape].options
        if unknown := [name for name in self.shape_options if name not in options]:
            message = _("The shape has no option “%(name)s”. It has: %(known)s.")
            words = {"name": unknown[0][:40], "known": ", ".join(options) or "–"}
            raise ValidationError({"shape_options": message % words})

    @property
    def shape_in_words(self) -> str:
        """What its rows were taken for."""
        return str(AS_IT_IS if self.shape == PLAIN else known()[self.shape].description)

    @property
    def whole(self) -> bool:
        return self.table_id is not None

    @property
    def title(self) -> str:
        """What it is called in files: `name@version`."""
        return f"{self.name}@{self.version}"

    def kind_of(self, name: str) -> str:
        """What a column holds; empty if there is no such column."""
        return next((column["kind"] for column in self.columns if column["name"] == name), "")


@pgtrigger.register(pgtrigger.ReadOnly(name="read_only"))
@pghistory.track(pghistory.InsertEvent(), pghistory.DeleteEvent())
class Template(models.Model):
    """A Jinja template over a dataset's columns: `input ||| target`. A change is a new version."""

    class TaskType(models.TextChoices):
        CLASSIFICATION = "classification", _("classification")
        INFERENCE = "inference", _("natural language inference")
        QUESTION_ANSWERING = "question-answering", _("question answering")
        SUMMARISATION = "summarisation", _("summarisation")
        PARAPHRASE = "paraphrase", _("paraphrase")
        TRANSLATION = "translation", _("translation")
        EXTRACTION = "extraction", _("extraction")
        GENERATION = "generation", _("generation")
        REASONING = "reasoning", _("reasoning")
        DIALOGUE = "dialogue", _("dialogue")
        OTHER = "other", _("other")

    class Kind(models.TextChoices):
        DIRECT = "direct", _("direct")
        INVERTED = "inverted", _("inverted: the output asks for the input")
        COT = "cot", _("chain of thought")
        FEW_SHOT = "few_shot", _("few-shot")
        UNLABELLED = "unlabelled", _("from unlabelled text")

    WITH_EXEMPLARS = (Kind.FEW_SHOT, Kind.COT)

    class Origin(models.TextChoices):
        OURS = "ours", "Plumbline"
        PROMPTSOURCE = "promptsource", "promptsource"
        FLAN = "flan", "FLAN"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dataset = models.SlugField(_("dataset"), max_length=80, help_text=_("The name of the dataset it is written for."))
    name = models.CharField(_("name"), max_length=100)
    version = models.PositiveIntegerField(_("version"), editable=False)
    task_type = models.CharField(_("task type"), max_length=20, choices=TaskType, default=TaskType.OTHER)
    language = models.CharField(
        _("language"), max_length=35, validators=[LANGUAGE_TAG], help_text=_("Of what the template itself says.")
    )
    jinja = models.TextField(
        _("template"),
        validators=[MaxLengthValidator(LONGEST_TEMPLATE)],
        help_text=_("Jinja over the columns. What is before ||| is the input, what is after it the target."),
    )
    answer_choices = models.TextField(
        _("answer choices"),
        validators=[MaxLengthValidator(LONGEST_TEMPLATE)],
        blank=True,
        help_text=_("Separated by |||, Jinja too. The template sees them as the list answer_choices."),
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind, default=Kind.DIRECT)
    # Other rows of the dataset, rendered by the template, stand before the row's own input: always in a few-shot
    # template; in one with a chain of thought if it is to have them, and then they think too.
    shots = models.PositiveSmallIntegerField(
        _("exemplars"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_SHOTS)],
        help_text=_("How many rows stand before each one, answered. A chain of thought may have none: leave it empty."),
    )
    separator = models.CharField(
        _("between exemplars"),
        max_length=100,
        default=r"\n\n",
        help_text=_("\\n is an end of line."),
    )
    character_budget = models.PositiveIntegerField(
        _("budget in characters"),
        default=4000,
        help_text=_("Exemplars that make the input longer are left out, the last first."),
    )
    origin = models.CharField(_("origin"), max_length=12, choices=Origin, default=Origin.OURS, editable=False)
    # What its file says of it beside: reference, metrics, original_task, choices_in_prompt.
    about = models.JSONField(_("about"), default=dict, editable=False)
    sha256 = models.CharField(max_length=64, editable=False)
    columns = models.JSONField(_("columns"), default=list, editable=False)  # those it reads
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False, related_name="+")
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("template")
        verbose_name_plural = _("templates")
        ordering = ["dataset", "name", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "name", "version"], name="template_version_once"),
            models.CheckConstraint(
                condition=models.Q(kind__in=["few_shot", "cot"], shots__isnull=False, shots__range=(1, MOST_SHOTS))
                | (~models.Q(kind="few_shot") & models.Q(shots__isnull=True)),
                name="template_few_shot_has_shots",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} · {self.version}"

    def clean(self) -> None:
        if self.kind == self.Kind.FEW_SHOT and not self.shots:
            raise ValidationError({"shots": _("Say how many exemplars this few-shot template has.")})
        if self.kind not in self.WITH_EXEMPLARS and self.shots:
            message = _("Only a few-shot template or one with a chain of thought has exemplars. Leave this empty.")
            raise ValidationError({"shots": message})

    @property
    def few_shot(self) -> FewShot | None:
        return FewShot(self.shots, self.separator, self.character_budget) if self.shots else None

    @property
    def title(self) -> str:
        """What it is called in files: `dataset/name@version`."""
        return f"{self.dataset}/{self.name}@{self.version}"


@pghistory.track(pghistory.InsertEvent(), pghistory.DeleteEvent())
class InstanceSet(models.Model):
    """What a template makes of a dataset: an instance for each row that is not dropped."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dataset = models.ForeignKey(Dataset, models.PROTECT, related_name="instance_sets")
    template = models.ForeignKey(Template, models.PROTECT, related_name="instance_sets")
    seed = models.CharField(
        _("seed"), max_length=60, default=USUAL_SEED, help_text=_("Of what the template chooses at random.")
    )
    table = models.ForeignKey(Blob, models.PROTECT, null=True, editable=False, related_name="+")
    dropped_table = models.ForeignKey(Blob, models.PROTECT, null=True, editable=False, related_name="+")
    instances = models.PositiveBigIntegerField(_("instances"), null=True, editable=False)
    dropped = models.JSONField(_("dropped rows"), default=dict, editable=False)  # how many, by reason
    job = models.OneToOneField(Job, models.PROTECT, editable=False, related_name="+")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False, related_name="+")
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("instance set")
        verbose_name_plural = _("instance sets")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "template", "seed"], name="instance_set_once"),
            models.CheckConstraint(
                condition=models.Q(table__isnull=True, dropped_table__isnull=True, instances__isnull=True)
                | models.Q(table__isnull=False, dropped_table__isnull=False, instances__isnull=False),
                name="instance_set_whole_has_tables_and_count",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dataset} × {self.template}"

    @property
    def whole(self) -> bool:
        return self.table_id is not None

    @property
    def title(self) -> str:
        """What it is called in files: `dataset@version/template@version`."""
        return f"{self.dataset.title}/{self.template.name}@{self.template.version}"

    @property
    def dropped_rows(self) -> int:
        return sum(self.dropped.values())


class Shard(models.Model):
    """A stretch of the rows of a large dataset, rendered by a job of its own. Gone once its instance set is whole."""

    instance_set = models.ForeignKey(InstanceSet, models.CASCADE, related_name="shards")
    number = models.PositiveIntegerField(_("number"))
    start = models.PositiveBigIntegerField()  # from 0
    stop = models.PositiveBigIntegerField()
    pool = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+")  # the exemplars of a few-shot template
    table = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+")
    dropped_table = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+")
    dropped = models.JSONField(default=dict)
    job = models.OneToOneField(Job, models.PROTECT, related_name="+")

    class Meta:
        ordering = ["instance_set", "number"]
        constraints = [models.UniqueConstraint(fields=["instance_set", "number"], name="shard_number_once")]

    def __str__(self) -> str:
        return f"{self.instance_set} · {self.number}"
