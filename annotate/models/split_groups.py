"""What new prompts are held against, so that those that say nearly the same share a split (docs/formats.md, `group`)."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class PromptKey(models.Model):
    """One of the hashes of a prompt: two prompts that say nearly the same have at least one in common.

    A million prompts have ten million rows, so there is no number of its own, no check of what they point to, and
    no other index than the key, by which the prompts that have a hash are found in the order of coming in. A row whose
    task is gone does no harm.
    """

    pk = models.CompositePrimaryKey("project_id", "key", "task_id")
    project = models.ForeignKey(
        "annotate.Project", models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    key = models.BigIntegerField()
    task = models.ForeignKey("annotate.Task", models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False)

    class Meta:
        verbose_name = _("key of a prompt")
        verbose_name_plural = _("keys of prompts")

    def __str__(self) -> str:
        return f"{self.key:x}"


class SplitGroupTouch(models.Model):
    """A group other than its own that has nearly the same prompt as the task: the two should share a split."""

    task = models.ForeignKey("annotate.Task", models.CASCADE, related_name="split_group_touches")
    split_group = models.CharField(_("split group"), max_length=64)

    class Meta:
        verbose_name = _("touched split group")
        verbose_name_plural = _("touched split groups")
        constraints = [models.UniqueConstraint(fields=["task", "split_group"], name="split_group_touched_once")]

    def __str__(self) -> str:
        return self.split_group
