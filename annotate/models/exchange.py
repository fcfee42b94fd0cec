"""What people say to each other about the work: reviews of written work, questions to the researchers, broken tasks."""

import pghistory
import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from annotate.models.answers import Answer
from annotate.models.ledger import Slot
from annotate.models.projects import Project


@pgtrigger.register(pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete))
class Review(models.Model):
    """What became of a piece of written work. A changed piece is a new answer, and gets a review of its own."""

    class Decision(models.TextChoices):
        ACCEPT = "accept", _("accepted")
        ACCEPT_WITH_EDITS = "accept_with_edits", _("accepted with edits")
        SEND_BACK = "send_back", _("sent back")
        NOT_DRAWN = "not_drawn", _("accepted without a look")  # the sample did not draw it

    ACCEPTED = (Decision.ACCEPT, Decision.ACCEPT_WITH_EDITS, Decision.NOT_DRAWN)

    answer = models.OneToOneField(Answer, models.PROTECT, related_name="review")
    decision = models.CharField(_("decision"), max_length=17, choices=Decision)
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    reason = models.TextField(_("reason"), blank=True)
    text = models.TextField(
        _("text as edited"), blank=True
    )  # only of "accepted with edits"; the original is the answer
    sampling_rate = models.FloatField(_("sampling rate"))  # at which work of this writer was drawn then
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("review")
        verbose_name_plural = _("reviews")
        constraints = [
            models.CheckConstraint(
                condition=Q(decision="not_drawn", reviewer=None)
                | (~Q(decision="not_drawn") & Q(reviewer__isnull=False)),
                name="review_names_its_reviewer",
            ),
            models.CheckConstraint(
                condition=~Q(decision="send_back") | ~Q(reason=""), name="review_sent_back_says_why"
            ),
            models.CheckConstraint(
                condition=~Q(decision="accept_with_edits") | ~Q(text=""), name="review_edits_have_a_text"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.answer} · {self.get_decision_display()}"


@pghistory.track()
class HelpRequest(models.Model):
    """A question to the researchers about a task. Its answer comes back to the asker, and may join the FAQ."""

    project = models.ForeignKey(Project, models.PROTECT, related_name="help_requests")
    slot = models.ForeignKey(Slot, models.PROTECT, null=True, related_name="help_requests")
    asker = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="help_requests")
    text = models.TextField(_("question"), max_length=2000)
    answer = models.TextField(_("answer"), blank=True)
    answered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    answered_at = models.DateTimeField(_("answered"), null=True)
    seen_at = models.DateTimeField(_("seen by the asker"), null=True)
    in_faq = models.BooleanField(_("in the FAQ"), default=False)
    faq_question = models.CharField(_("question, as the FAQ puts it"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("question to the researchers")
        verbose_name_plural = _("questions to the researchers")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(answer="", answered_by=None, answered_at=None, in_faq=False)
                | (~Q(answer="") & Q(answered_by__isnull=False, answered_at__isnull=False)),
                name="help_request_answered_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(in_faq=False) | ~Q(faq_question=""), name="help_request_in_faq_has_a_question"
            ),
        ]

    def __str__(self) -> str:
        return self.text[:80]


@pghistory.track()
class Flag(models.Model):
    """Somebody says that something is wrong with a task. It stays with him all the same until he skips it."""

    class Kind(models.TextChoices):
        BROKEN = "broken", _("broken or cut off")
        LANGUAGE = "language", _("in another language")
        PERSONAL = "personal", _("tells something private of a person")
        DUPLICATE = "duplicate", _("the same as another task")
        OTHER = "other", _("something else")

    slot = models.ForeignKey(Slot, models.PROTECT, related_name="flags")
    kind = models.CharField(_("what is wrong"), max_length=9, choices=Kind)
    text = models.TextField(_("in a few words"), blank=True, max_length=2000)
    resolved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    resolved_at = models.DateTimeField(_("resolved"), null=True)
    resolution = models.CharField(_("what was done"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("flag")
        verbose_name_plural = _("flags")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(resolved_by=None, resolved_at=None)
                | Q(resolved_by__isnull=False, resolved_at__isnull=False),
                name="flag_resolved_by_somebody",
            ),
            models.UniqueConstraint(
                fields=["slot", "kind"], condition=Q(resolved_at=None), name="flag_once_while_unresolved"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.slot} · {self.get_kind_display()}"
