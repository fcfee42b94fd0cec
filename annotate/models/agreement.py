"""Snapshots of how far a project's judgements agree."""

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

LABELS = {
    "pairwise_agreement_count": _("Two people agree, ties count"),
    "pairwise_agreement_both_strict": _("Two people agree, both strict"),
    "pairwise_agreement_any_tie_dropped": _("Two people agree, pairs with any tie dropped"),
    "fleiss_kappa": _("Fleiss κ"),
    "krippendorff_alpha_nominal": _("Krippendorff α, nominal"),
    "krippendorff_alpha_ordinal": _("Krippendorff α, ordinal"),
    "krippendorff_alpha_interval": _("Krippendorff α, interval"),
    "gwet_ac1": _("Gwet AC1"),
    "gwet_ac2_ordinal": _("Gwet AC2, ordinal"),
}
"""What is kept of each question, by its name. Ties are a matter of preferences alone."""


@pgtrigger.register(pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete))
class Agreement(models.Model):
    """One measure at one time, by one version of the code. Never updated: the rows are its history."""

    class Population(models.TextChoices):
        PEOPLE = "people", _("people")
        SIMULATED = "simulated", _("simulated annotators")

    project = models.ForeignKey("annotate.Project", models.PROTECT, related_name="agreements")
    epoch = models.PositiveIntegerField(
        _("epoch"),
        null=True,
        help_text=_("Of the guideline, from one material change to the next. Empty: all of them."),
    )
    question = models.ForeignKey("annotate.Question", models.PROTECT, related_name="+")
    population = models.CharField(_("among"), max_length=10, choices=Population, default=Population.PEOPLE)
    metric = models.CharField(_("measure"), max_length=60)
    value = models.FloatField(_("value"), null=True)
    low = models.FloatField(_("lower end of the 95% interval"), null=True)
    high = models.FloatField(_("upper end of the 95% interval"), null=True)
    undefined_because = models.CharField(_("undefined because"), max_length=300, blank=True)
    no_interval_because = models.CharField(_("no interval because"), max_length=300, blank=True)
    n_units = models.PositiveIntegerField(_("units"), help_text=_("Of preferences, pairs of outputs."))
    n_groups = models.PositiveIntegerField(_("prompts"))
    n_values = models.PositiveIntegerField(_("values"))
    n_dropped = models.PositiveIntegerField(_("units left out"))
    shared_pool = models.BooleanField(_("on the shared pool alone"), default=False)
    as_of = models.DateTimeField(_("as of"))
    code_version = models.CharField(_("code version"), max_length=40)

    class Meta:
        verbose_name = _("agreement")
        verbose_name_plural = _("agreement")
        ordering = ["-as_of", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(value__isnull=False, undefined_because="")
                | (models.Q(value__isnull=True) & ~models.Q(undefined_because="")),
                name="agreement_defined_or_says_why",
            ),
            models.UniqueConstraint(
                fields=["project", "question", "population", "epoch", "metric", "as_of"],
                nulls_distinct=False,
                name="agreement_once_per_time",
            ),
        ]
        indexes = [models.Index(fields=["project", "-as_of"], name="agreement_latest")]

    def __str__(self) -> str:
        return f"{self.metric} {self.value}"

    @property
    def label(self) -> str:
        if self.metric == "pairwise_agreement_count" and self.question.kind not in self.question.PREFERENCES:
            return str(_("Two people agree"))
        return str(LABELS[self.metric])


class AgreementDetail(models.Model):
    """What the latest snapshot of a question rests on: people, pairs of people, models, tasks. Replaced by the next one.

    Who made what stands under a pseudonym; docs/agreement.md has the shape.
    """

    project = models.ForeignKey("annotate.Project", models.CASCADE, related_name="agreement_details")
    question = models.ForeignKey("annotate.Question", models.CASCADE, related_name="+")
    as_of = models.DateTimeField(_("as of"))
    data = models.JSONField(_("data"))

    class Meta:
        verbose_name = _("detail of agreement")
        verbose_name_plural = _("details of agreement")
        constraints = [models.UniqueConstraint(fields=["project", "question"], name="agreement_detail_once")]

    def __str__(self) -> str:
        return f"{self.project} · {self.question.key}"
