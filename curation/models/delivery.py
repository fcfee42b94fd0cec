"""How exports reach those who use them: signed links, copies in object storage, and webhooks with what was sent."""

import uuid

import pghistory
import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from annotate.models import Project
from annotate.models.answers import append_only
from curation.models.exports import Export
from jobs.models import Job


@pgtrigger.register(
    pgtrigger.ReadOnly(name="link_only_revoking_changes", exclude=["revoked_at", "revoked_by"]),
    pgtrigger.Protect(name="link_is_kept", operation=pgtrigger.Delete),
)
class SignedLink(models.Model):
    """An address at which a machine gets a file of an export, or all as a zip, without signing in, for a while.

    What makes the address secret is its token, a signature that is kept nowhere. Who made which link stays.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    export = models.ForeignKey(Export, models.PROTECT, related_name="links")
    path = models.CharField(_("file"), max_length=200, blank=True)  # none: all as a zip
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires"))
    revoked_at = models.DateTimeField(_("revoked"), null=True)
    revoked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")

    class Meta:
        verbose_name = _("signed link")
        verbose_name_plural = _("signed links")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.export_id} {self.path or 'zip'}"


class ExportCopy(models.Model):
    """The files of an export in object storage: put there once it is built, removed once it is revoked.

    While there is something to do, `next_at` says from when on; each try is a job of its own. Two exports with the same
    bytes share a folder.
    """

    export = models.OneToOneField(Export, models.PROTECT, related_name="stored_copy")
    folder = models.CharField(_("folder"), max_length=200, db_index=True)
    next_at = models.DateTimeField(_("next try"), null=True)
    tries = models.PositiveIntegerField(_("tries"), default=0)  # that failed since it last went well
    error = models.TextField(_("error"), blank=True)
    put_at = models.DateTimeField(_("put there"), null=True)
    removed_at = models.DateTimeField(_("removed"), null=True)
    job = models.ForeignKey(Job, models.PROTECT, null=True, related_name="+")

    class Meta:
        verbose_name = _("copy of an export")
        verbose_name_plural = _("copies of exports")

    def __str__(self) -> str:
        return self.folder


@pghistory.track(exclude=["secret"], obj_field=pghistory.ObjForeignKey(related_name="history"))
class Webhook(models.Model):
    """An address that is told what becomes of exports: of a project, or of those that are made of datasets.

    The secret signs what is sent, so it is kept as it is. It is shown once, and stands in no history.
    """

    class Event(models.TextChoices):
        BUILT = "export.built", _("an export is built")
        FAILED = "export.failed", _("an export failed")
        REVOKED = "export.revoked", _("an export is revoked")
        TEST = "test", _("a test")

    CHOSEN = (Event.BUILT, Event.FAILED, Event.REVOKED)
    """What somebody can ask to be told of."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(
        Project, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("project")
    )
    url = models.CharField(_("address"), max_length=500)
    events = ArrayField(models.CharField(max_length=20, choices=Event), verbose_name=_("events"))
    secret = models.CharField(max_length=60, editable=False)
    active_since = models.DateTimeField(_("active since"), null=True, editable=False)  # none: turned off
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, editable=False, related_name="+")
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=models.Q(events__len__gt=0), name="webhook_of_some_event"),
        ]

    def __str__(self) -> str:
        return self.url

    @property
    def active(self) -> bool:
        return self.active_since is not None


class WebhookDelivery(models.Model):
    """Something to tell a webhook. The row is what makes it certain: it is sent until it is delivered or given up.

    `next_at` says from when on somebody may send it, and moves ahead while somebody does; so a worker that dies on the
    way only delays it. The receiver may get it twice, with the same id.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        DELIVERED = "delivered", _("delivered")
        GIVEN_UP = "given_up", _("given up")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, models.PROTECT, related_name="deliveries")
    event = models.CharField(_("event"), max_length=20, choices=Webhook.Event)
    export = models.ForeignKey(Export, models.PROTECT, null=True, related_name="+")
    body = models.TextField(_("body"))
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    next_at = models.DateTimeField(_("next try"), null=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["webhook", "export", "event"],
                condition=models.Q(export__isnull=False),
                name="webhook_told_once_of_each_event",
            ),
            models.CheckConstraint(
                condition=models.Q(state="waiting", next_at__isnull=False)
                | (~models.Q(state="waiting") & models.Q(next_at__isnull=True)),
                name="webhook_delivery_waits_for_a_time",
            ),
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=models.Q(state="waiting"), name="webhook_delivery_due"),
            models.Index(fields=["webhook", "-created_at"], name="webhook_delivery_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.pk}"


@append_only
class WebhookAttempt(models.Model):
    """One try at a delivery, and what came back: an answer with its status, or the error that kept it from coming."""

    delivery = models.ForeignKey(WebhookDelivery, models.PROTECT, related_name="attempts")
    status = models.PositiveSmallIntegerField(_("status"), null=True)
    milliseconds = models.PositiveIntegerField(_("milliseconds"))
    answer = models.CharField(_("answer"), max_length=500, blank=True)
    error = models.TextField(_("error"), blank=True)
    created_at = models.DateTimeField(_("sent"), auto_now_add=True)

    class Meta:
        verbose_name = _("try at a webhook delivery")
        verbose_name_plural = _("tries at webhook deliveries")
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.status or self.error}"
