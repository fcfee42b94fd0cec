"""What the judgements of a task come to, and what a reviewer decides where they disagree.

A value is that of the question's kind: of a ranking or comparison `{"tiers": {completion id: tier}}`, of a rating or a
degree of violation a number, of a choice the option, of a multi-choice the list of options.
"""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from annotate.models.ledger import Annotation

HELD_NO_SLOT = """
    IF EXISTS (
        SELECT 1 FROM annotate_slot s JOIN annotate_annotator a ON a.id = s.holder_id
        WHERE s.task_id = NEW.task_id AND a.user_id = NEW.reviewer_id
    ) THEN RAISE EXCEPTION 'the reviewer was given task % as an annotator', NEW.task_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
"""


@pgtrigger.register(
    pgtrigger.ReadOnly(name="consensus_only_current_changes", exclude=["current"]),
    pgtrigger.Protect(name="consensus_is_kept", operation=pgtrigger.Delete),
)
class Consensus(models.Model):
    """The consensus of one question on one task (and output, and rule) at one time. A newer one supersedes it.

    Votes and soft label are what people said, and stay so whatever a reviewer decides: an adjudication sets the value.
    """

    class LabelSource(models.TextChoices):
        VOTES = "votes", _("votes")
        ADJUDICATED = "adjudicated", _("adjudicated")

    task = models.ForeignKey("annotate.Task", models.PROTECT, related_name="consensus")
    question = models.ForeignKey("annotate.Question", models.PROTECT, related_name="+")
    completion = models.ForeignKey("annotate.Completion", models.PROTECT, null=True, related_name="+")
    rule = models.ForeignKey("annotate.Rule", models.PROTECT, null=True, related_name="+")
    value = models.JSONField(_("value"), null=True)  # none: tied, or genuinely ambiguous
    confidence = models.FloatField(_("confidence"), null=True)  # that the value of the votes is right, by the method
    votes = models.JSONField(_("votes"))
    soft = models.JSONField(_("soft label"))
    unanimous = models.BooleanField(_("unanimous"))  # whoever answered said the same: there is nothing to adjudicate
    n_votes = models.PositiveIntegerField(_("people"))
    method = models.CharField(_("method"), max_length=60)
    code_version = models.CharField(_("code version"), max_length=40)
    label_source = models.CharField(_("label from"), max_length=11, choices=LabelSource, default=LabelSource.VOTES)
    adjudication = models.ForeignKey("annotate.Adjudication", models.PROTECT, null=True, related_name="consensus")
    current = models.BooleanField(_("current"), default=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("consensus")
        verbose_name_plural = _("consensus")
        constraints = [
            models.UniqueConstraint(
                fields=["task", "question", "completion", "rule"],
                condition=Q(current=True),
                nulls_distinct=False,
                name="consensus_one_current",
            ),
            models.CheckConstraint(
                condition=Q(confidence=None) | Q(confidence__range=(0, 1)), name="consensus_confidence_0_to_1"
            ),
            models.CheckConstraint(
                condition=Q(label_source="votes", adjudication=None)
                | Q(label_source="adjudicated", adjudication__isnull=False),
                name="consensus_adjudicated_names_its_adjudication",
            ),
        ]
        indexes = [
            # The queue of adjudication: what is least sure first.
            models.Index(
                fields=["question", "confidence"],
                condition=Q(current=True, label_source="votes"),
                name="consensus_least_sure",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task} · {self.question.key}"


@pgtrigger.register(
    pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
    pgtrigger.Trigger(
        name="adjudication_reviewer_held_no_slot",
        when=pgtrigger.Before,
        operation=pgtrigger.Insert,
        func=HELD_NO_SLOT,
    ),
)
class Adjudication(models.Model):
    """A reviewer's decision on one question of a task where people disagree. The latest stands."""

    class Outcome(models.TextChoices):
        ADOPT = "adopt", _("one of the answers adopted")
        OWN = "own", _("an answer of the reviewer's own")
        AMBIGUOUS = "ambiguous", _("genuinely ambiguous")

    task = models.ForeignKey("annotate.Task", models.PROTECT, related_name="adjudications")
    question = models.ForeignKey("annotate.Question", models.PROTECT, related_name="+")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    outcome = models.CharField(_("outcome"), max_length=9, choices=Outcome)
    adopted = models.ForeignKey(Annotation, models.PROTECT, null=True, related_name="+")
    values = models.JSONField(_("values"), default=list)  # [{"completion": id or null, "rule": id or null, "value": …}]
    rationale = models.TextField(_("rationale"), max_length=5000)
    replaces = models.OneToOneField("self", models.PROTECT, null=True, related_name="replaced_by")
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("adjudication")
        verbose_name_plural = _("adjudications")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome="adopt", adopted__isnull=False) | (~Q(outcome="adopt") & Q(adopted=None)),
                name="adjudication_adopts_an_answer",
            ),
            models.CheckConstraint(
                condition=Q(outcome="ambiguous", values=[]) | (~Q(outcome="ambiguous") & ~Q(values=[])),
                name="adjudication_says_a_value_or_ambiguous",
            ),
            models.CheckConstraint(condition=~Q(rationale=""), name="adjudication_says_why"),
            models.UniqueConstraint(
                fields=["task", "question"], condition=Q(replaces=None), name="adjudication_first_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task} · {self.question.key}: {self.get_outcome_display()}"
