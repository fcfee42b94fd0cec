"""Annotators, memberships and API tokens."""

import secrets

import pghistory
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _


def new_pseudonym() -> str:
    """A name that says nothing about its bearer; 40 random bits, so it is unique in practice and by constraint."""
    return "p-" + secrets.token_hex(5)


class Harm(models.TextChoices):
    """Categories of what can distress. Nobody is given a task of one that he has not opted in to."""

    VIOLENCE = "violence", _("violence")
    SELF_HARM = "self-harm", _("self-harm and suicide")
    SEXUAL = "sexual", _("sexual content")
    HATE = "hate", _("hate and harassment")
    CRIME = "crime", _("crime and dangerous acts")
    UNSORTED = "unsorted", _("harmful requests of any kind")


class Level(models.TextChoices):
    """Levels of the Common European Framework of Reference for Languages, from the lowest."""

    A1 = "A1", "A1"
    A2 = "A2", "A2"
    B1 = "B1", "B1"
    B2 = "B2", "B2"
    C1 = "C1", "C1"
    C2 = "C2", "C2"


class Education(models.TextChoices):
    """The highest level finished, from the lowest."""

    SCHOOL = "school", _("school")
    SECONDARY = "secondary", _("secondary school")
    BACHELOR = "bachelor", _("bachelor")
    MASTER = "master", _("master")
    DOCTORATE = "doctorate", _("doctorate")


@pghistory.track()
class Annotator(models.Model):
    """Whoever judges. The pseudonym is the only identity that leaves Plumbline in an export."""

    class Kind(models.TextChoices):
        PERSON = "person", _("person")
        IMPORTED = "imported", _("imported person")
        SIMULATED = "simulated", _("simulated")
        MODEL = "model", _("model")
        AGGREGATE = "aggregate", _("aggregate")

    HUMAN = (Kind.PERSON, Kind.IMPORTED)

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="annotator"
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    pseudonym = models.CharField(_("pseudonym"), max_length=40, default=new_pseudonym, unique=True)
    source = models.CharField(
        _("source"), max_length=200, blank=True, help_text=_("For imported judgements: the study they come from.")
    )
    source_name = models.CharField(
        _("name in the source"), max_length=200, blank=True, help_text=_("What the source calls this annotator.")
    )
    languages = ArrayField(
        models.CharField(max_length=35),
        default=list,
        blank=True,
        verbose_name=_("languages"),
        help_text=_("BCP 47, such as en or zh. Tasks in other languages are not given. Empty: all languages."),
    )
    skills = ArrayField(
        models.SlugField(max_length=40),
        default=list,
        blank=True,
        verbose_name=_("skills"),
        help_text=_("What tasks may ask for, such as medicine or code."),
    )
    harm_categories = ArrayField(
        models.CharField(max_length=10, choices=Harm),
        default=list,
        blank=True,
        verbose_name=_("opted in to"),
        help_text=_("Categories of distressing content that this person agreed to see. None unless chosen."),
    )
    # What somebody says of himself; what was tested or looked at stands apart, in `verified_levels`.
    education = models.CharField(_("education"), max_length=9, choices=Education, blank=True)
    native_languages = ArrayField(
        models.CharField(max_length=35), default=list, blank=True, verbose_name=_("native languages")
    )
    levels = models.JSONField(_("levels of languages, declared"), default=dict, blank=True)  # {"en": "C1"}
    verified_levels = models.JSONField(
        _("levels of languages, verified"), default=dict, blank=True
    )  # {"en": {"level": "C1", "by": "test" or a user name, "at": ISO time}}
    time_zone = models.CharField(_("time zone"), max_length=60, blank=True)
    topics = ArrayField(
        models.CharField(max_length=60), default=list, blank=True, verbose_name=_("topics one can judge")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("annotator")
        verbose_name_plural = _("annotators")
        ordering = ["pseudonym"]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "source_name"], condition=~models.Q(source=""), name="annotator_once_per_source"
            ),
            models.CheckConstraint(
                condition=models.Q(kind="person", user__isnull=False) | ~models.Q(kind="person"),
                name="annotator_person_has_user",
            ),
        ]

    def __str__(self) -> str:
        return self.pseudonym


@pghistory.track()
class Membership(models.Model):
    """What a user may do in a project. Working in it also takes an approved `Enrolment`."""

    class Role(models.TextChoices):
        ANNOTATOR = "annotator", _("annotator")
        REVIEWER = "reviewer", _("reviewer")
        RESEARCHER = "researcher", _("researcher")
        MANAGER = "manager", _("manager")
        AUDITOR = "auditor", _("auditor")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    project = models.ForeignKey("annotate.Project", models.CASCADE, related_name="memberships")
    role = models.CharField(_("role"), max_length=10, choices=Role)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [models.UniqueConstraint(fields=["user", "project", "role"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} · {self.project} · {self.get_role_display()}"


@pghistory.track(exclude=["sha256", "last_used_at"])
class ApiToken(models.Model):
    """A key to the API. Only its hash is kept: the token itself is shown once, when it is made."""

    class Scope(models.TextChoices):
        PROJECTS_READ = "projects:read", _("read projects and agreement")
        JUDGEMENTS_WRITE = "judgements:write", _("import judgements")
        DATASETS_READ = "datasets:read", _("read datasets, templates and instances")
        DATASETS_WRITE = "datasets:write", _("import datasets, make templates, instances and tasks of them")
        EXPORTS_READ = "exports:read", _("read and download exports")
        EXPORTS_WRITE = "exports:write", _("start exports")
        TRAINING_WRITE = "training:write", _("report training runs")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens")
    name = models.CharField(_("name"), max_length=100)
    sha256 = models.CharField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=40, choices=Scope), verbose_name=_("scopes"))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name
