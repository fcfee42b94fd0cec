"""Tasks, the outputs of models on them, and which way they go: batches and routes."""

import pghistory
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from annotate.models.people import Harm

MAX_COMPLETIONS = 9  # a person ranks 2 to 9 outputs; one digit key each


@pghistory.track()
class Batch(models.Model):
    """Tasks that are opened, paused, prioritised and given to a team together."""

    class Status(models.TextChoices):
        OPEN = "open", _("open")
        PAUSED = "paused", _("paused")

    project = models.ForeignKey("annotate.Project", models.PROTECT, related_name="batches")
    name = models.CharField(_("name"), max_length=100)
    status = models.CharField(_("status"), max_length=6, choices=Status, default=Status.OPEN)
    priority = models.PositiveSmallIntegerField(_("priority"), default=0)
    team = models.SlugField(_("team"), max_length=40, blank=True, help_text=_("Empty: everybody."))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        ordering = ["project", "name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="batch_name_once_per_project"),
            models.CheckConstraint(condition=Q(priority__range=(0, 9)), name="batch_priority_0_to_9"),
        ]

    def __str__(self) -> str:
        return self.name


class RouteQuerySet(models.QuerySet):
    def open_to(self, enrolment, *, exposed: bool = True) -> "RouteQuerySet":
        """The routes whose tasks this person may be given. Not `exposed`: those without any harm category."""
        who = enrolment.annotator
        found = self.filter(
            Q(batch=None) | Q(batch__status=Batch.Status.OPEN, batch__team__in=["", enrolment.team]),
            project=enrolment.project_id,
            skills__contained_by=who.skills,
            harm__contained_by=who.harm_categories if exposed else [],
        )
        if who.languages:
            languages = Q(language="") | Q(language__in=who.languages)
            for language in who.languages:  # who knows zh knows zh-Hans
                languages |= Q(language__istartswith=f"{language}-")
            found = found.filter(languages)
        return found


class Route(models.Model):
    """What a task asks of whoever judges it. Tasks that ask the same share a row.

    The claim finds the few routes that are open to a person and looks at the first open slot of each, so it needs no
    look at the tasks.
    """

    project = models.ForeignKey("annotate.Project", models.PROTECT, related_name="routes")
    language = models.CharField(max_length=35, blank=True)
    skills = ArrayField(models.SlugField(max_length=40), default=list)  # sorted
    harm = ArrayField(models.CharField(max_length=10, choices=Harm), default=list)  # sorted
    batch = models.ForeignKey(Batch, models.PROTECT, null=True, related_name="routes")

    objects = RouteQuerySet.as_manager()

    class Meta:
        verbose_name = _("route")
        verbose_name_plural = _("routes")
        constraints = [
            models.UniqueConstraint(
                fields=["project", "language", "skills", "harm", "batch"], name="route_once", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return " · ".join(filter(None, [self.language, *self.skills, *self.harm]))


@pghistory.track(pghistory.UpdateEvent(), pghistory.DeleteEvent())
class Task(models.Model):
    """A conversation whose next turn some outputs propose, or a person writes. What it says never changes."""

    class Purpose(models.TextChoices):
        WORK = "work", _("work")
        TRAINING = "training", _("training")
        TEST = "test", _("test")
        GOLD = "gold", _("gold")
        CALIBRATION = "calibration", _("calibration")
        REPEAT = "repeat", _("repeat")

    class Status(models.TextChoices):
        OPEN = "open", _("open")
        WITHDRAWN = "withdrawn", _("withdrawn")

    project = models.ForeignKey("annotate.Project", models.PROTECT, related_name="tasks")
    name = models.CharField(_("name"), max_length=200, help_text=_("Its id in the file it came from."))
    conversation = models.JSONField(_("conversation"), help_text=_('A list of {"role", "content"}.'))
    language = models.CharField(_("language"), max_length=35, blank=True, help_text=_("BCP 47, such as en or zh-Hans."))
    purpose = models.CharField(_("purpose"), max_length=11, choices=Purpose, default=Purpose.WORK)
    repeat_of = models.ForeignKey("self", models.PROTECT, null=True, related_name="repeats")
    copy_of = models.ForeignKey("self", models.PROTECT, null=True, related_name="copies")  # of work, made gold
    status = models.CharField(_("status"), max_length=9, choices=Status, default=Status.OPEN)
    skills = ArrayField(models.SlugField(max_length=40), default=list, verbose_name=_("required skills"))
    categories = ArrayField(models.SlugField(max_length=40), default=list, verbose_name=_("content categories"))
    batch = models.ForeignKey(Batch, models.PROTECT, null=True, related_name="tasks")
    route = models.ForeignKey(Route, models.PROTECT, related_name="tasks")
    shared = models.BooleanField(_("in the shared pool"), default=False)
    tree = models.JSONField(
        _("tree"), null=True, help_text=_('Where the outputs hang: {"at": id, "nodes": [{"id", "parent", …}]}.')
    )
    priority = models.PositiveSmallIntegerField(_("priority"), default=0)
    target_overlap = models.PositiveSmallIntegerField(_("target overlap"))
    content_sha256 = models.CharField(max_length=64, editable=False)
    prompt_sha256 = models.CharField(max_length=64, editable=False)
    split_group = models.CharField(
        _("split group"), max_length=64, editable=False, help_text=_("Tasks of a group always share a split.")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="task_name_once_per_project"),
            models.CheckConstraint(condition=models.Q(priority__range=(0, 9)), name="task_priority_0_to_9"),
            models.CheckConstraint(condition=models.Q(target_overlap__gte=1), name="task_target_at_least_1"),
            models.CheckConstraint(
                condition=Q(purpose="repeat", repeat_of__isnull=False) | (~Q(purpose="repeat") & Q(repeat_of=None)),
                name="task_repeat_names_what_it_repeats",
            ),
        ]
        indexes = [
            # Tasks that are not work make their slots when claimed; there are few of them.
            models.Index(fields=["project", "purpose"], condition=~Q(purpose="work"), name="task_not_work"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def rank(self) -> int:
        """The order in which slots are claimed: higher priority first, then older tasks."""
        return (9 - self.priority) << 48 | self.pk

    @property
    def first_words(self) -> str:
        """How the person's last turn begins: what annotators know a task by, since its name may say what it is for."""
        turns = [turn["content"] for turn in self.conversation if turn["role"] == "user"]
        return Truncator(turns[-1] if turns else self.conversation[-1]["content"]).chars(80)


class Completion(models.Model):
    """An output for a task. Who made it stands in its sources and never reaches the browser."""

    task = models.ForeignKey(Task, models.PROTECT, related_name="completions")
    position = models.PositiveSmallIntegerField(_("position"))  # as ingested; the canonical order of pairs
    name = models.CharField(_("name"), max_length=200, help_text=_("Its id in the file it came from."))
    text = models.TextField(_("text"), blank=True)  # a model may answer nothing
    sha256 = models.CharField(max_length=64, editable=False)

    class Meta:
        verbose_name = _("output")
        verbose_name_plural = _("outputs")
        ordering = ["task", "position"]
        constraints = [
            models.UniqueConstraint(fields=["task", "sha256"], name="completion_text_once_per_task"),
            models.UniqueConstraint(fields=["task", "position"], name="completion_position_once"),
            models.UniqueConstraint(fields=["task", "name"], name="completion_name_once_per_task"),
            models.CheckConstraint(
                condition=models.Q(position__range=(0, MAX_COMPLETIONS - 1)), name="completion_at_most_9_per_task"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class CompletionSource(models.Model):
    """A model that gave this output. Two models can say the same."""

    completion = models.ForeignKey(Completion, models.CASCADE, related_name="sources")
    model = models.CharField(_("model"), max_length=200)

    class Meta:
        verbose_name = _("source of an output")
        verbose_name_plural = _("sources of outputs")
        constraints = [models.UniqueConstraint(fields=["completion", "model"], name="completion_source_once")]

    def __str__(self) -> str:
        return self.model
