"""Starting, running and sweeping jobs."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from celery import current_app
from django.conf import settings
from django.db import IntegrityError, OperationalError, close_old_connections, connections, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError as BrokerError

from jobs.models import Job, JobError, JobLost

log = logging.getLogger(__name__)


def enqueue(*, kind: str, parameters: dict, actor, key: str = "", send: bool = True) -> Job:
    """Create a job and, once the surrounding transaction commits, send it to the workers.

    With a `key`, an unfinished job of the same kind and key is returned instead of a second one.
    `send=False` is for a caller that runs the job in its own process.
    """
    try:
        with transaction.atomic():
            job = Job.objects.create(
                kind=kind, key=key, parameters=parameters, actor=actor, language=get_language() or ""
            )
    except IntegrityError:
        unfinished = Job.objects.filter(kind=kind, key=key, state__in=[Job.State.QUEUED, Job.State.RUNNING]).first()
        # It may have ended between the two statements: then there is room for a new one.
        return unfinished or enqueue(kind=kind, parameters=parameters, actor=actor, key=key, send=send)
    if send:
        transaction.on_commit(lambda: _send(job))
    return job


def _send(job: Job) -> bool:
    """Tell the workers. When the broker is away (False) the row stays queued and the sweep sends it later."""
    Job.objects.filter(pk=job.pk).update(sent_at=Now())
    try:
        current_app.send_task(job.kind, args=[str(job.pk)], retry=False)
    except (BrokerError, ConnectionError) as error:
        log.warning("broker away, %s stays queued: %s", job, error)
        return False
    return True


@contextmanager
def attempt(job_id: UUID | str) -> Iterator[Job | None]:
    """Run a job: `with attempt(job_id) as job: …`. Gives None when somebody else has it or it has ended.

    The body's end is the job's: success when it returns, failure with its message when it raises `JobError`,
    failure with a general message when it raises anything else (the log has the traceback). A lost database
    leaves the job running, so that the sweep tries it again.
    """
    if not Job.objects.filter(pk=job_id, state=Job.State.QUEUED).update(
        state=Job.State.RUNNING, attempt=F("attempt") + 1, started_at=Now(), heartbeat_at=Now(), done=0, message=""
    ):
        yield None
        return
    job = Job.objects.get(pk=job_id)
    beating = _Heartbeat(job)
    beating.start()
    try:
        with override(job.language or None):
            yield job
    except JobLost as error:
        log.warning("%s", error)
    except OperationalError:
        log.exception("%s lost its database; the sweep will try it again", job)
        raise
    except JobError as error:
        _finish(job, Job.State.FAILED, str(error))
    except Exception:
        log.exception("%s failed", job)
        _finish(job, Job.State.FAILED, _("Something in Plumbline itself went wrong. The worker's log has the details."))
    else:
        _finish(job, Job.State.SUCCEEDED)
    finally:
        beating.stop()


def _finish(job: Job, state: Job.State, error: str = "") -> None:
    mine = Job.objects.filter(pk=job.pk, attempt=job.attempt, state=Job.State.RUNNING)
    if not mine.update(state=state, error=error, finished_at=Now()):
        log.warning("%s was taken over from attempt %s before it ended", job, job.attempt)


def cancel(*, job: Job) -> bool:
    """End an unfinished job; whether it was unfinished. Its worker finds out when it next tells how far it is."""
    unfinished = Job.objects.filter(pk=job.pk, state__in=[Job.State.QUEUED, Job.State.RUNNING])
    ended = unfinished.update(state=Job.State.FAILED, error=_("It was cancelled."), finished_at=Now())
    return bool(ended)


class _Heartbeat(threading.Thread):
    """Says every few seconds that the job's worker lives, also while it is deep in one long statement."""

    def __init__(self, job: Job) -> None:
        super().__init__(daemon=True, name=f"heartbeat of {job}")
        self.job, self.over = job, threading.Event()

    def run(self) -> None:
        while not self.over.wait(settings.JOB_STALE_SECONDS / 5):
            try:
                Job.objects.filter(pk=self.job.pk, attempt=self.job.attempt, state=Job.State.RUNNING).update(
                    heartbeat_at=Now()
                )
            except OperationalError as error:
                log.warning("%s cannot be heard: %s", self.job, error)
                close_old_connections()
        connections.close_all()

    def stop(self) -> None:
        self.over.set()
        self.join()


def sweep() -> dict[str, int]:
    """Put jobs of dead workers back, fail those that died too often, and send again what was never picked up."""
    stale = timezone.now() - timedelta(seconds=settings.JOB_STALE_SECONDS)
    dead = Job.objects.filter(state=Job.State.RUNNING, heartbeat_at__lt=stale)
    failed = dead.filter(attempt__gte=Job.MAX_ATTEMPTS).update(
        state=Job.State.FAILED,
        finished_at=Now(),
        error=f"Its worker died {Job.MAX_ATTEMPTS} times. The worker's log may say why; then start it again.",
    )
    requeued = dead.update(state=Job.State.QUEUED, sent_at=None)
    unsent = Job.objects.filter(state=Job.State.QUEUED).exclude(sent_at__gte=stale)
    sent = 0
    for job in unsent.filter(Q(created_at__lt=stale) | Q(attempt__gt=0)):
        if not _send(job):  # nor would it take the others
            break
        sent += 1
    return {"failed": failed, "requeued": requeued, "sent": sent}
