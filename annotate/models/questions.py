"""What a project asks: its questions and rules, in versions.

Each kind has settings and an answer of a shape of its own; `annotate.questions` has both, and docs/questions.md the
words. A question is frozen once it was answered: a change is a new version, and the old one is no longer asked.
"""

import pghistory
import pgtrigger
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from annotate.models.projects import Project, in_language

FROZEN = """
    IF EXISTS (SELECT 1 FROM annotate_answer WHERE question_id = OLD.id)
       AND (NEW.project_id, NEW.key, NEW.version, NEW.kind, NEW.scope, NEW.required, NEW.text, NEW.settings, NEW.condition)
           IS DISTINCT FROM
           (OLD.project_id, OLD.key, OLD.version, OLD.kind, OLD.scope, OLD.required, OLD.text, OLD.settings, OLD.condition)
    THEN RAISE EXCEPTION 'question % was answered: make a new version of it', OLD.id;
    END IF;
    RETURN NEW;
"""


class Versioned(models.QuerySet):
    def current(self):
        """What is asked now, in its order."""
        return self.filter(current=True).order_by("position", "pk")


@pgtrigger.register(
    pgtrigger.Trigger(
        name="question_frozen_once_answered", when=pgtrigger.Before, operation=pgtrigger.Update, func=FROZEN
    )
)
@pghistory.track()
class Question(models.Model):
    """Something that is asked about a task, or about each output of it."""

    class Kind(models.TextChoices):
        RANKING = "ranking", _("ranking")
        PAIRWISE = "pairwise", _("pairwise")
        RATING = "rating", _("rating")
        CHOICE = "choice", _("choice")
        MULTI_CHOICE = "multi_choice", _("multi-choice")
        TEXT = "text", _("text")
        RULE = "rule", _("rule")
        SPAN = "span", _("span")
        DEMONSTRATION = "demonstration", _("demonstration")

    class Scope(models.TextChoices):
        TASK = "task", _("the task")
        COMPLETION = "completion", _("each output")

    PREFERENCES = (Kind.RANKING, Kind.PAIRWISE)
    OF_THE_TASK = (Kind.RANKING, Kind.PAIRWISE, Kind.DEMONSTRATION)
    OF_EACH_OUTPUT = (Kind.RULE, Kind.SPAN)

    project = models.ForeignKey(Project, models.PROTECT, related_name="questions")
    key = models.SlugField(_("key"), max_length=60)
    version = models.PositiveIntegerField(_("version"), default=1)
    current = models.BooleanField(_("asked now"), default=True)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    kind = models.CharField(_("kind"), max_length=13, choices=Kind, default=Kind.RANKING)
    scope = models.CharField(_("about"), max_length=10, choices=Scope, default=Scope.TASK)
    required = models.BooleanField(_("required"), default=True)
    text = models.CharField(_("text"), max_length=500)
    help = models.TextField(_("help"), blank=True, help_text=_("Markdown."))
    good_example = models.TextField(_("good example"), blank=True)
    bad_example = models.TextField(_("bad example"), blank=True)
    settings = models.JSONField(_("settings"), default=dict, blank=True)
    condition = models.JSONField(
        _("condition"),
        null=True,
        blank=True,
        help_text=_('Asked only where another question was answered so: {"question": key, "in": [values]}.'),
    )
    translations = models.JSONField(_("translations"), default=dict, blank=True)

    objects = Versioned.as_manager()

    class Meta:
        verbose_name = _("question")
        verbose_name_plural = _("questions")
        ordering = ["project", "position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["project", "key", "version"], name="question_version_once"),
            models.UniqueConstraint(fields=["project", "key"], condition=Q(current=True), name="question_asked_once"),
            models.CheckConstraint(
                condition=(~Q(kind__in=["ranking", "pairwise", "demonstration"]) | Q(scope="task"))
                & (~Q(kind__in=["rule", "span"]) | Q(scope="completion")),
                name="question_scope_fits_kind",
            ),
        ]

    def __str__(self) -> str:
        return self.text

    def says(self, language: str) -> dict:
        """text, help, good_example, bad_example and settings in this language, where translated."""
        said = {name: getattr(self, name) for name in ("text", "help", "good_example", "bad_example")}
        found = in_language(said, self.translations, language)
        return found | {"settings": self.settings | self.translations.get(language.lower(), {}).get("settings", {})}


@pgtrigger.register(
    pgtrigger.ReadOnly(
        name="rule_text_is_immutable",
        fields=["project", "key", "version", "text", "good_example", "bad_example", "translations", "created_at"],
    ),
    pgtrigger.Protect(name="rule_is_kept", operation=pgtrigger.Delete),
)
@pghistory.track()
class Rule(models.Model):
    """A rule that an output may break (Glaese et al. 2022, Sparrow). A slot gets one to three of those in force."""

    project = models.ForeignKey(Project, models.PROTECT, related_name="rules")
    key = models.SlugField(_("key"), max_length=60)
    version = models.PositiveIntegerField(_("version"), default=1)
    text = models.CharField(_("text"), max_length=500)
    good_example = models.TextField(_("good example"), blank=True)
    bad_example = models.TextField(_("bad example"), blank=True)
    translations = models.JSONField(_("translations"), default=dict, blank=True)
    created_at = models.DateTimeField(_("in force since"), auto_now_add=True)
    retired_at = models.DateTimeField(_("in force until"), null=True, blank=True)

    class Meta:
        verbose_name = _("rule")
        verbose_name_plural = _("rules")
        ordering = ["project", "key", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["project", "key", "version"], name="rule_version_once"),
            models.UniqueConstraint(
                fields=["project", "key"], condition=Q(retired_at=None), name="rule_one_in_force_per_key"
            ),
        ]

    def __str__(self) -> str:
        return self.text

    def says(self, language: str) -> dict:
        said = {name: getattr(self, name) for name in ("text", "good_example", "bad_example")}
        return in_language(said, self.translations, language)
