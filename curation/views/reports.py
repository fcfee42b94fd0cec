"""The pages of reports on instances: of one set, and of all of them."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from curation import access
from curation.models import Coverage, InstanceSet, Template
from curation.plots import bars
from curation.rendering import REASONS
from curation.services import coverage
from jobs.requests import PageRequest


@require_http_methods(["GET", "HEAD", "POST"])
def set_report(request: PageRequest, set_id: UUID) -> HttpResponse:
    """What is known of one set of instances. A POST has it found out: for managers and researchers of any project."""
    return _report(request, access.instance_set_for(request.user, set_id))


@require_http_methods(["GET", "HEAD", "POST"])
def all_report(request: PageRequest) -> HttpResponse:
    """What is known of all instances together. A POST has it found out anew."""
    access.check_sees_datasets(request.user)
    return _report(request, None)


def _report(request: PageRequest, found: InstanceSet | None) -> HttpResponse:
    if request.method == "POST":
        access.check_makes_datasets(request.user)
        try:
            coverage.request_report(instance_set=found, actor=request.user)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        return redirect(request.path)
    report = Coverage.objects.newest_of(found)
    context: dict[str, Any] = {
        "set": found,
        "report": report,
        "working": report is not None and not report.job.ended,
        "may_make": access.makes_datasets(request.user),
    }
    if report and report.figures:
        context |= {"figures": report.figures} | _shown(report.figures, found)
    return render(request, "curation/report.html", context)


def _shown(figures: dict[str, Any], found: InstanceSet | None) -> dict[str, Any]:
    """The figures as the page names them."""
    sides = {"input": _("Input"), "target": _("Target")}
    shown: dict[str, Any] = {
        "lengths": [(sides[side], one) for side, one in figures["lengths"].items()],
        "histograms": [(sides[side], bars(one["bins"])) for side, one in figures["lengths"].items()],
    }
    if found is None:
        types, kinds = dict(Template.TaskType.choices), dict(Template.Kind.choices)
        return shown | {
            "types": [(types.get(name, name), one) for name, one in figures["task_types"].items()],
            "kinds": [(kinds.get(name, name), count) for name, count in figures["kinds"].items()],
            "many": coverage.MANY,
        }
    of = figures["labels"]["of"]
    return shown | {
        "dropped": [(_(REASONS[reason]), count) for reason, count in figures["dropped"].items()],
        "labels": [(label, count, _percent(count, of)) for label, count in figures["labels"]["counts"]],
        "leak": _percent(figures["leak"]["rows"], figures["leak"]["of"]),
    }


def _percent(part: int, of: int) -> str:
    return f"{number_format(100 * part / of, 1)} %" if of else "–"
