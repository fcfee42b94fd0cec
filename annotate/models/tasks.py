"""Tasks and the outputs of models on them."""

import pghistory
from django.db import models
from django.utils.translation import gettext_lazy as _

MAX_COMPLETIONS = 9  # a person ranks 2 to 9 outputs; one digit key each


@pghistory.track(pghistory.UpdateEvent(), pghistory.DeleteEvent())
class Task(models.Model):
    """A conversation whose next turn several outputs propose. What it says never changes once it is in."""

    project = models.ForeignKey("annotate.Project", models.PROTECT, related_name="tasks")
    name = models.CharField(_("name"), max_length=200, help_text=_("Its id in the file it came from."))
    conversation = models.JSONField(_("conversation"), help_text=_('A list of {"role", "content"}.'))
    language = models.CharField(_("language"), max_length=35, blank=True, help_text=_("BCP 47, such as en or zh-Hans."))
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
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def rank(self) -> int:
        """The order in which slots are claimed: higher priority first, then older tasks."""
        return (9 - self.priority) << 48 | self.pk


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
