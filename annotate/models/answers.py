"""What an annotation says: an answer a question, with the rows that rankings, comparisons and marked words need.

`value` holds what the kind says (docs/questions.md): the step of a rating, the option of a choice, the text written, the
degree of a violation; of a ranking its outcome. All of it is append-only.
"""

import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from annotate.models.ledger import Annotation
from annotate.models.tasks import MAX_COMPLETIONS, Completion

append_only = pgtrigger.register(pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete))


@append_only
class Answer(models.Model):
    """One question answered: about the task, or about one output, or about one output and one rule."""

    annotation = models.ForeignKey(Annotation, models.PROTECT, related_name="answers")
    question = models.ForeignKey("annotate.Question", models.PROTECT, related_name="answers")
    completion = models.ForeignKey(Completion, models.PROTECT, null=True, related_name="+")
    rule = models.ForeignKey("annotate.Rule", models.PROTECT, null=True, related_name="answers")
    value = models.JSONField(_("value"), null=True)

    class Meta:
        verbose_name = _("answer")
        verbose_name_plural = _("answers")
        constraints = [
            models.UniqueConstraint(
                fields=["annotation", "question", "completion", "rule"], name="answer_once", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"{self.annotation} · {self.question.key}"


@append_only
class RankItem(models.Model):
    """Where a ranking put an output: tier 1 is best, outputs of one tier are tied, tiers have no gaps; none: unranked."""

    answer = models.ForeignKey(Answer, models.PROTECT, related_name="rank_items")
    completion = models.ForeignKey(Completion, models.PROTECT, related_name="+")
    tier = models.PositiveSmallIntegerField(_("tier"), null=True)
    acceptable = models.BooleanField(_("acceptable"), null=True)  # above the line; null where none was drawn

    class Meta:
        verbose_name = _("rank")
        verbose_name_plural = _("ranks")
        constraints = [
            models.UniqueConstraint(fields=["answer", "completion"], name="rank_item_once"),
            models.CheckConstraint(
                condition=Q(tier=None) | Q(tier__range=(1, MAX_COMPLETIONS)), name="rank_item_tier_1_to_9"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.completion}: {self.tier}"


@append_only
class PairAnswer(models.Model):
    """A comparison of two outputs. `strength` is how much better the left one is: negative for the right, 0 for a tie."""

    answer = models.OneToOneField(Answer, models.PROTECT, related_name="pair")
    left = models.ForeignKey(Completion, models.PROTECT, related_name="+")
    right = models.ForeignKey(Completion, models.PROTECT, related_name="+")
    strength = models.SmallIntegerField(_("strength"), null=True)
    neither = models.BooleanField(_("neither is acceptable"), default=False)

    class Meta:
        verbose_name = _("comparison")
        verbose_name_plural = _("comparisons")
        constraints = [
            models.CheckConstraint(condition=~Q(left=F("right")), name="pair_answer_of_two_outputs"),
            models.CheckConstraint(
                condition=Q(neither=True, strength=None) | Q(neither=False, strength__range=(-4, 4)),
                name="pair_answer_has_strength_or_neither",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.left} / {self.right}: {self.strength}"


@append_only
class Span(models.Model):
    """Marked words of an output. Offsets count code points of its raw text, the end excluded."""

    answer = models.ForeignKey(Answer, models.PROTECT, related_name="spans")
    start = models.PositiveIntegerField(_("start"))
    end = models.PositiveIntegerField(_("end"))
    label = models.SlugField(_("label"), max_length=60, blank=True)

    class Meta:
        verbose_name = _("marked words")
        verbose_name_plural = _("marked words")
        constraints = [
            models.UniqueConstraint(fields=["answer", "start", "end", "label"], name="span_once"),
            models.CheckConstraint(condition=Q(start__lt=F("end")), name="span_is_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.start}–{self.end} {self.label}"
