"""Telling other machines what becomes of exports.

What is to be told is a row (`WebhookDelivery`) before anything is sent. `announce` makes the rows that are missing, from
the state of the exports themselves: however an export ended, and whoever died meanwhile, it is told of. Each try is made
by whoever gets the row (`send`); one that fails is made again after a minute, and then ever later.
"""

import hashlib
import hmac
import json
import logging
import secrets
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from celery import current_app
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from kombu.exceptions import OperationalError as BrokerError

from annotate.errors import Refused
from annotate.models import Project
from curation.models import Export
from curation.models.delivery import Webhook, WebhookAttempt, WebhookDelivery
from curation.posting import NotSent, address_problem, post
from jobs.models import Job

SEND = "curation.send_webhook"
RETRIES = 8
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(days=1)
IN_HAND = timedelta(minutes=2)  # so long a delivery belongs to whoever sends it
SHOWN = 500  # characters of an answer
PREFIX = "whs_"
Event, State = Webhook.Event, WebhookDelivery.State
log = logging.getLogger(__name__)

PROBLEMS = {
    "ascii": gettext_lazy("Write the address in ASCII, without spaces."),
    "scheme": gettext_lazy("The address must begin with https:// or http://."),
    "host": gettext_lazy("The address names no host that can be reached, or no valid port."),
    "user": gettext_lazy("Leave user and password out of the address: what is sent is signed instead."),
}


@transaction.atomic
def make_webhook(*, project: Project | None, url: str, events: Iterable[str], actor) -> Webhook:
    """A webhook of a project, or without one of exports made of datasets. Its `secret` is to be shown this once.

    Raises ValidationError for an address or events that cannot be.
    """
    if problem := address_problem(url):
        raise ValidationError({"url": str(PROBLEMS[problem])})
    made = Webhook(project=project, url=url, events=_chosen(events), actor=actor, active_since=timezone.now())
    made.secret = PREFIX + secrets.token_urlsafe(32)
    made.full_clean()
    made.save()
    return made


def _chosen(events: Iterable[str]) -> list[str]:
    chosen = [event.value for event in Webhook.CHOSEN if event in set(events)]
    if not chosen:
        raise ValidationError({"events": _("Choose at least one event.")})
    return chosen


@transaction.atomic
def switch(*, webhook: Webhook, active: bool) -> None:
    """Turn it on or off. What happens while it is off is not told later; what waits then is sent once it is on."""
    locked = Webhook.objects.select_for_update().get(pk=webhook.pk)
    if locked.active != active:
        locked.active_since = timezone.now() if active else None
        locked.save(update_fields=["active_since"])
    webhook.active_since = locked.active_since


@transaction.atomic
def test(*, webhook: Webhook) -> WebhookDelivery:
    """Have a test sent. Raises Refused where the webhook is turned off."""
    _check_on(webhook)
    return _made(webhook, Event.TEST, None)


@transaction.atomic
def send_again(*, delivery: WebhookDelivery) -> None:
    """Send it now, as if for the first time and with the same id. Raises Refused where the webhook is turned off."""
    _check_on(delivery.webhook)
    found = WebhookDelivery.objects.filter(pk=delivery.pk)
    found.update(state=State.WAITING, tries=0, next_at=timezone.now())
    transaction.on_commit(lambda: tell(SEND, str(delivery.pk)))


def _check_on(webhook: Webhook) -> None:
    if not webhook.active:
        raise Refused(_("This webhook is turned off. Turn it on first."))


def announce() -> None:
    """Make a delivery of everything that a webhook asked for and was not told yet."""
    for webhook in Webhook.objects.exclude(active_since=None):
        for event in webhook.events:
            for export in _untold(webhook, Event(event)):
                _made(webhook, Event(event), export)


def _untold(webhook: Webhook, event: Webhook.Event) -> Iterable[Export]:
    """Exports to which it happened since the webhook was turned on."""
    built = Q(manifest__isnull=False)
    happened = {
        Event.BUILT: built & Q(job__state=Job.State.SUCCEEDED, job__finished_at__gte=webhook.active_since),
        Event.FAILED: ~built & Q(job__state=Job.State.FAILED, job__finished_at__gte=webhook.active_since),
        Event.REVOKED: Q(revoked_at__gte=webhook.active_since),
    }[event]
    told = WebhookDelivery.objects.filter(webhook=webhook, event=event, export=OuterRef("pk"))
    found = Export.objects.filter(happened, ~Exists(told), project=webhook.project_id)
    return found.select_related("job").order_by("created_at")


def _made(webhook: Webhook, event: Webhook.Event, export: Export | None) -> WebhookDelivery:
    made = WebhookDelivery(id=uuid4(), webhook=webhook, event=event, export=export, next_at=timezone.now())
    made.body = json.dumps(_said(made), ensure_ascii=False, sort_keys=True)
    # Somebody else may be making it at the same moment; one row is enough, and each sees to it that it is sent.
    WebhookDelivery.objects.bulk_create([made], ignore_conflicts=True)
    transaction.on_commit(lambda: tell(SEND, str(made.pk)))
    return made


def _said(delivery: WebhookDelivery) -> dict[str, Any]:
    said: dict[str, Any] = {"event": delivery.event, "delivery": str(delivery.pk)}
    if (export := delivery.export) is None:
        return said
    why = {Event.FAILED: export.job.error, Event.REVOKED: export.revoked_because}
    return said | {
        "export": str(export.pk),
        "kind": export.kind,
        "unit": export.unit,
        "shape": export.shape,
        "manifest_sha256": export.manifest_sha256,
        "url": settings.PUBLIC_URL + reverse("export", args=[export.pk]),
        "reason": why.get(Event(delivery.event), ""),
    }


# --- Sending ----------------------------------------------------------------------------------------------------------


def due() -> list[UUID]:
    """The deliveries whose time has come."""
    waiting = WebhookDelivery.objects.filter(state=State.WAITING, next_at__lte=timezone.now())
    return list(waiting.exclude(webhook__active_since=None).order_by("next_at").values_list("pk", flat=True)[:1000])


def send(*, delivery_id: UUID | str) -> None:
    """Make one try at a delivery, if its time has come and nobody else is at it."""
    now = timezone.now()
    free = WebhookDelivery.objects.filter(pk=delivery_id, state=State.WAITING, next_at__lte=now)
    if not free.exclude(webhook__active_since=None).update(tries=F("tries") + 1, next_at=now + IN_HAND):
        return
    delivery = WebhookDelivery.objects.select_related("webhook").get(pk=delivery_id)
    started, status, answer, error = time.monotonic(), None, "", ""
    body = delivery.body.encode()
    headers = headers_of(delivery, body, int(time.time()))
    try:
        answered = post(delivery.webhook.url, body, headers, private=settings.PLUMBLINE_WEBHOOKS_TO_PRIVATE)
        status, answer = answered.status, answered.text
    except NotSent as not_sent:
        error = str(not_sent)
    took = round((time.monotonic() - started) * 1000)
    _note(delivery, status, WebhookAttempt(milliseconds=took, answer=_shown(answer), error=_without_nul(error)))


@transaction.atomic
def _note(delivery: WebhookDelivery, status: int | None, attempt: WebhookAttempt) -> None:
    """Write down what came of a try, and when the next one is. A late try changes nothing where another came after."""
    attempt.delivery, attempt.status = delivery, status
    attempt.save()
    mine = WebhookDelivery.objects.filter(pk=delivery.pk, state=State.WAITING, tries=delivery.tries)
    if status is not None and 200 <= status < 300:
        mine.update(state=State.DELIVERED, next_at=None)
    elif delivery.tries > RETRIES:
        mine.update(state=State.GIVEN_UP, next_at=None)
    else:
        mine.update(next_at=timezone.now() + wait_after(delivery.tries))


def wait_after(tries: int) -> timedelta:
    """1 minute after the first try, then three times as long after each, at most a day."""
    return min(FIRST_WAIT * 3 ** (tries - 1), LONGEST_WAIT)


def headers_of(delivery: WebhookDelivery, body: bytes, at: int) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": "Plumbline",
        "X-Plumbline-Event": delivery.event,
        "X-Plumbline-Delivery": str(delivery.pk),
        "X-Plumbline-Signature": f"t={at},v1={signature(delivery.webhook.secret, at, body)}",
    }


def signature(secret: str, at: int, body: bytes) -> str:
    """HMAC-SHA256 of the time, a full stop and the body. Receivers compute the same."""
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def _shown(answer: str) -> str:
    return _without_nul(answer)[:SHOWN]


def _without_nul(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL keeps no NUL


def tell(task: str, *args: str) -> None:
    """Tell the workers. When the broker is away, beat looks again soon."""
    try:
        current_app.send_task(task, args=args, retry=False, expires=60)
    except (BrokerError, ConnectionError) as error:
        log.warning("broker away, %s waits for beat: %s", task, error)
