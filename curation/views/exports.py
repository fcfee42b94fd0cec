"""The pages of exports. Who may see which follows from `curation.access`."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import orjson
from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from annotate.errors import Refused
from curation.access import (
    annotator_for,
    check_erases,
    check_makes,
    check_makes_datasets,
    export_for,
    exports_of,
    makes_datasets,
    makes_exports_of,
    run_for,
    runs_of,
)
from curation.export_forms import ExportForm
from curation.exporting.checking import REASONS as UNFIT
from curation.forms import SftExportForm, add_refusal
from curation.models import Export
from curation.rendering import REASONS
from curation.reports import card_html, curves_of, headlines_of
from curation.services.exports import prepared, repeat_export, request_export, request_sft_export
from curation.services.lineage import exports_with, lineage
from curation.services.previewing import preview
from curation.services.revoking import erase_person, revoke
from curation.views.delivery import archive_response, file_response, use_it
from jobs.requests import PageRequest

PAGE = 50


@require_GET
def exports(request: PageRequest) -> HttpResponse:
    """The exports of projects one oversees and, for those who see datasets, the exports of these."""
    page = Paginator(exports_of(request.user), PAGE).get_page(request.GET.get("page"))
    return render(request, "curation/exports.html", {"page": page, "may_start": makes_datasets(request.user)})


@require_http_methods(["GET", "HEAD", "POST"])
def project_export_new(request: PageRequest) -> HttpResponse:
    """Start an export of what people judged, or look at what it would hold. For managers and researchers of its project."""
    return _new_export(request, ExportForm, _("Export judgements"), request_export)


@require_http_methods(["GET", "HEAD", "POST"])
def sft_export_new(request: PageRequest) -> HttpResponse:
    """Start an export of instructions. For managers and researchers of any project."""
    return _new_export(request, SftExportForm, _("Export instructions"), request_sft_export)


def _new_export(request: PageRequest, form_class: Any, title: str, verb: Callable[..., Export]) -> HttpResponse:
    check_makes_datasets(request.user)
    form = form_class(request.POST if request.method == "POST" else None, user=request.user, initial=request.GET.dict())
    if "set" in request.GET:
        form.initial["instance_sets"] = request.GET.getlist("set")
    found = None
    if request.method == "POST" and form.is_valid():
        try:
            if "preview" in request.POST:
                found = preview(prepared(**form.options()))
            else:
                return redirect("export", verb(actor=request.user, **form.options()).pk)
        except ValidationError as error:
            add_refusal(form, error)
    context = {"form": form, "title": title, "preview": found, "may_preview": form_class is ExportForm}
    if found:
        context["rows"] = [orjson.dumps(row, option=orjson.OPT_INDENT_2).decode() for row in found.rows]
        context["left_out"] = found.left_out
    return render(request, "curation/export_new.html", context, status=422 if form.errors else 200)


@require_GET
def export(request: PageRequest, export_id: UUID) -> HttpResponse:
    """One export: its progress, then what is in it. For those who oversee its project."""
    found = export_for(request.user, export_id)
    runs = runs_of(request.user).filter(export=found)
    manifest = found.manifest or {"splits": {}}
    context = {
        "export": found,
        "job": found.job,
        "files": found.files.select_related("blob"),
        "runs": runs,
        "may_make": makes_exports_of(request.user, found),
        "quarantined": [
            (_(UNFIT[reason]) % manifest["quarantine_examples"][reason], count)
            for reason, count in manifest.get("quarantined", {}).items()
        ],
        "filters": manifest.get("selection", {}),
        "splits": [(split, manifest["splits"][split]) for split in ("train", "test") if split in manifest["splits"]],
        "sources": [
            (one, [(_(REASONS[reason]), count) for reason, count in one["dropped"].items()])
            for one in manifest.get("instance_sets", [])
        ],
    }
    return render(request, "curation/export.html", context | use_it(request, found))


@require_POST
def export_repeat(request: PageRequest, export_id: UUID) -> HttpResponse:
    """Make a release again from its selection. For managers and researchers of its project."""
    return _deed(
        request, export_for(request.user, export_id), lambda found: repeat_export(export=found, actor=request.user)
    )


@require_POST
def export_revoke(request: PageRequest, export_id: UUID) -> HttpResponse:
    """Take a release back, with a reason. For managers and researchers of its project."""

    def deed(found: Export) -> None:
        revoke(export=found, actor=request.user, because=_reason(request))

    return _deed(request, export_for(request.user, export_id), deed)


def _reason(request: PageRequest) -> str:
    """Raises ValidationError for none, for too long a one, and for what no database keeps."""
    return forms.CharField(max_length=500).clean(request.POST.get("because", ""))


def _deed(request: PageRequest, found: Export, deed: Callable[[Export], Export | None]) -> HttpResponse:
    check_makes(request.user, found)
    try:
        made = deed(found) or found
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        made = found
    return redirect("export", made.pk)


@require_GET
def export_row(request: PageRequest, export_id: UUID) -> HttpResponse:
    """From one row to the judgements, the guideline, the template and the dataset row behind it. For those who oversee it."""
    found = _built(request.user, export_id)
    row_id = request.GET.get("row", "")
    traced = lineage(found, row_id) if row_id else None
    context = {"export": found, "row_id": row_id, "lineage": traced}
    if traced:
        context["readable"] = orjson.dumps(traced.row, option=orjson.OPT_INDENT_2, default=str).decode()
    return render(request, "curation/export_row.html", context, status=404 if row_id and not traced else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def person_exports(request: PageRequest, pseudonym: str) -> HttpResponse:
    """Which exports hold somebody's work. For overseers of a project he is in; admins can have him forgotten."""
    annotator = annotator_for(request.user, pseudonym)
    error = ""
    if request.method == "POST":
        check_erases(request.user)
        try:
            n = erase_person(annotator=annotator, actor=request.user, because=_reason(request))
        except (ValidationError, Refused) as refused:
            error = " ".join(refused.messages) if isinstance(refused, ValidationError) else str(refused)
        else:
            messages.success(request, _("This person is forgotten. Exports revoked: %(n)s.") % {"n": n})
            return redirect("person_exports", annotator.pseudonym)
    page = Paginator(exports_with(annotator).filter(pk__in=exports_of(request.user).values("pk")), PAGE)
    context = {"annotator": annotator, "page": page.get_page(request.GET.get("page")), "error": error}
    return render(request, "curation/person_exports.html", context, status=422 if error else 200)


@require_safe
def archive(request: PageRequest, export_id: UUID) -> HttpResponseBase:
    """All files as one zip. For those who oversee the project."""
    return archive_response(request, _built(request.user, export_id))


@require_safe
def export_file(request: PageRequest, export_id: UUID, path: str) -> HttpResponseBase:
    """One file. For those who oversee the project."""
    return file_response(request, _built(request.user, export_id), path)


@require_GET
def training_run(request: PageRequest, run_id: UUID) -> HttpResponse:
    """What a trainer has reported: how far, its curves, its figures, its card. For those who see its export."""
    run = run_for(request.user, run_id)
    context = {
        "run": run,
        "export": run.export,
        "figures": headlines_of(run),
        "curves": curves_of(run),
        "card": card_html(run),
    }
    return render(request, "curation/training_run.html", context)


def _built(user, export_id: UUID) -> Export:
    found = export_for(user, export_id)
    if not found.built:
        raise Http404(_("This export is not built yet."))
    return found
