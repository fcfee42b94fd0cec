"""The pages of webhooks. Who may see which follows from `curation.delivery_access`."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotate.errors import Refused
from curation.delivery_access import delivery_for, webhook_for, webhooks_of
from curation.delivery_forms import WebhookForm
from curation.forms import add_refusal
from curation.services import webhooks as service
from jobs.requests import PageRequest

PAGE = 50


@require_http_methods(["GET", "HEAD", "POST"])
def webhooks(request: PageRequest) -> HttpResponse:
    """The webhooks one manages, and a form for a new one. The answer to that shows its secret, this once."""
    found = webhooks_of(request.user)
    posted = request.method == "POST"
    form = WebhookForm(request.POST if posted else None, user=request.user)
    made = None
    if posted and form.is_valid():
        try:
            made = service.make_webhook(actor=request.user, **form.cleaned_data)
            form = WebhookForm(user=request.user)
        except ValidationError as error:
            add_refusal(form, error)
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "form": form, "made": made}
    response = render(request, "curation/webhooks.html", context, status=422 if form.errors else 200)
    response["Cache-Control"] = "private, no-store"
    return response


@require_GET
def webhook(request: PageRequest, webhook_id: UUID) -> HttpResponse:
    """One webhook: what was sent, and what came back."""
    found = webhook_for(request.user, webhook_id)
    deliveries = found.deliveries.select_related("export__project").prefetch_related(
        "attempts", "export__instance_sets__dataset"
    )
    page = Paginator(deliveries, PAGE).get_page(request.GET.get("page"))
    return render(request, "curation/webhook.html", {"webhook": found, "page": page})


@require_POST
def webhook_test(request: PageRequest, webhook_id: UUID) -> HttpResponse:
    """Send a test."""
    found = webhook_for(request.user, webhook_id)
    try:
        service.test(webhook=found)
        messages.info(request, _("A test is on its way. Load the page again in a moment."))
    except Refused as refused:
        messages.error(request, str(refused))
    return redirect("webhook", found.pk)


@require_POST
def webhook_switch(request: PageRequest, webhook_id: UUID) -> HttpResponse:
    """Turn it on (`active`) or off."""
    found = webhook_for(request.user, webhook_id)
    service.switch(webhook=found, active="active" in request.POST)
    messages.success(request, _("The webhook is on.") if found.active else _("The webhook is off."))
    return redirect("webhook", found.pk)


@require_POST
def webhook_again(request: PageRequest, delivery_id: UUID) -> HttpResponse:
    """Send something again."""
    delivery = delivery_for(request.user, delivery_id)
    try:
        service.send_again(delivery=delivery)
        messages.info(request, _("It is being sent again. Load the page again in a moment."))
    except Refused as refused:
        messages.error(request, str(refused))
    return redirect("webhook", delivery.webhook_id)
