"""The Job row: what is to be done, how far it is, and how it ended.

The row is the truth, never the broker. A message only says "look at job X"; whoever gets it must win a
compare-and-set from `queued` to `running` first. So a message that comes twice, late or never does no harm:
the sweep (`jobs.services.sweep`) puts jobs whose worker died back into the queue and sends lost messages again.
"""

import uuid
from collections.abc import Iterable

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class JobQuerySet(models.QuerySet):
    def visible_to(self, user) -> "JobQuerySet":
        """A job is its starter's own business, and the admins'."""
        return self if user.is_superuser else self.filter(actor=user)


class Job(models.Model):
    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        SUCCEEDED = "succeeded", _("succeeded")
        FAILED = "failed", _("failed")

    ENDED = (State.SUCCEEDED, State.FAILED)
    MAX_ATTEMPTS = 5

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=100, help_text=_("The name of the Celery task that does it."))
    key = models.CharField(
        _("key"), max_length=200, blank=True, help_text=_("At most one unfinished job of a kind per key.")
    )
    parameters = models.JSONField(_("parameters"), default=dict)
    language = models.CharField(
        max_length=10, blank=True, help_text=_("Of whoever started it: its messages are in it.")
    )
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.QUEUED)
    attempt = models.PositiveSmallIntegerField(_("attempt"), default=0)
    done = models.PositiveBigIntegerField(_("done"), default=0)
    total = models.PositiveBigIntegerField(_("total"), null=True)
    message = models.CharField(_("message"), max_length=200, blank=True)
    error = models.TextField(_("error"), blank=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    sent_at = models.DateTimeField(_("sent"), null=True)
    started_at = models.DateTimeField(_("started"), null=True)  # this attempt
    heartbeat_at = models.DateTimeField(_("heartbeat"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "key"],
                condition=models.Q(state__in=["queued", "running"]) & ~models.Q(key=""),
                name="job_one_unfinished_per_key",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="running") | models.Q(heartbeat_at__isnull=False),
                name="job_running_has_heartbeat",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["succeeded", "failed"], finished_at__isnull=False)
                | models.Q(state__in=["queued", "running"], finished_at__isnull=True),
                name="job_ended_has_finish_time",
            ),
        ]
        indexes = [
            # The sweep: unfinished jobs only, so it costs the same however many have ended.
            models.Index(fields=["state"], condition=models.Q(state__in=["queued", "running"]), name="job_unfinished"),
            models.Index(fields=["-created_at"], name="job_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def ended(self) -> bool:
        return self.state in self.ENDED

    @property
    def percent(self) -> int | None:
        """0 to 100, or None while the total is not known."""
        return min(100, 100 * self.done // self.total) if self.total else None

    @property
    def rate(self) -> float | None:
        """How many a second this attempt has done so far."""
        if self.started_at is None or not self.done:
            return None
        seconds = ((self.finished_at or timezone.now()) - self.started_at).total_seconds()
        return self.done / seconds if seconds > 0 else None

    @property
    def minutes_left(self) -> int | None:
        """Whole minutes until it is done if it goes on like this; None where nobody can tell."""
        rate = self.rate
        return (
            max(1, round((self.total - self.done) / rate / 60))
            if rate and self.total and self.total >= self.done
            else None
        )

    def advance(self, done: int, total: int | None = None, message: str = "") -> None:
        """Record progress of this attempt.

        Raises `JobLost` when another attempt has taken the job over, so that a worker that was taken for dead stops,
        and when the job was cancelled.
        """
        mine = Job.objects.filter(pk=self.pk, attempt=self.attempt, state=Job.State.RUNNING)
        if not mine.update(done=done, total=total, message=message, heartbeat_at=Now()):
            raise JobLost(f"{self} was cancelled, or taken over from attempt {self.attempt}")
        self.done, self.total, self.message = done, total, message

    def track(self, rows: Iterable, total: int | None = None, message: str = "", every: int = 1000) -> Iterable:
        """Yield the rows and record progress after each `every` of them."""
        number = 0
        for number, row in enumerate(rows, 1):
            yield row
            if number % every == 0:
                self.advance(number, total, message)
        self.advance(number, total, message)


class JobError(Exception):
    """A failure that whoever started the job can understand and mend. It is not tried again."""


class JobLost(Exception):
    """Another attempt has this job now, or it was cancelled: stop, and write nothing more."""
