"""The pages of exports. Who may see which follows from `curation.access`."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import FileResponse, Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from curation.access import check_makes_datasets, export_for, exports_of, makes_datasets, run_for, runs_of
from curation.archive import zip_of
from curation.forms import ExportForm, SftExportForm, add_refusal
from curation.models import Export
from curation.rendering import REASONS
from curation.reports import card_html, curves_of, headlines_of
from curation.services import blobs
from curation.services.exports import request_export, request_sft_export
from jobs.requests import PageRequest

PAGE = 50


@require_GET
def exports(request: PageRequest) -> HttpResponse:
    """The exports of projects one oversees and, for those who see datasets, the exports of these."""
    page = Paginator(exports_of(request.user), PAGE).get_page(request.GET.get("page"))
    return render(request, "curation/exports.html", {"page": page, "may_start": makes_datasets(request.user)})


@require_http_methods(["GET", "HEAD", "POST"])
def preference_export_new(request: PageRequest) -> HttpResponse:
    """Start an export of preference pairs. For managers and researchers of its project."""
    return _new_export(request, ExportForm, _("Export preference pairs"), request_export)


@require_http_methods(["GET", "HEAD", "POST"])
def sft_export_new(request: PageRequest) -> HttpResponse:
    """Start an export of instructions. For managers and researchers of any project."""
    return _new_export(request, SftExportForm, _("Export instructions"), request_sft_export)


def _new_export(request: PageRequest, form_class: Any, title: str, verb: Callable[..., Export]) -> HttpResponse:
    check_makes_datasets(request.user)
    form = form_class(request.POST if request.method == "POST" else None, user=request.user, initial=request.GET.dict())
    if "set" in request.GET:
        form.initial["instance_sets"] = request.GET.getlist("set")
    if request.method == "POST" and form.is_valid():
        try:
            return redirect("export", verb(actor=request.user, **form.cleaned_data).pk)
        except ValidationError as error:
            add_refusal(form, error)
    context = {"form": form, "title": title}
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
        "splits": [(split, manifest["splits"][split]) for split in ("train", "test") if split in manifest["splits"]],
        "sources": [
            (one, [(_(REASONS[reason]), count) for reason, count in one["dropped"].items()])
            for one in manifest.get("instance_sets", [])
        ],
    }
    return render(request, "curation/export.html", context)


@require_GET
def archive(request: PageRequest, export_id: UUID) -> StreamingHttpResponse:
    """All files as one zip. For those who oversee the project."""
    return archive_response(_built(request.user, export_id))


@require_GET
def export_file(request: PageRequest, export_id: UUID, path: str) -> FileResponse:
    """One file. For those who oversee the project."""
    return file_response(_built(request.user, export_id), path)


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


def archive_response(export: Export) -> StreamingHttpResponse:
    stream = zip_of(export)
    return StreamingHttpResponse(
        stream,
        content_type="application/zip",
        headers={
            "Content-Length": str(len(stream)),
            "Content-Disposition": f'attachment; filename="{export.name}.zip"',
        },
    )


def file_response(export: Export, path: str) -> FileResponse:
    """Raises Http404 for a path that is not one of the export's own."""
    # Compared here: the database would not even be asked for a path with a NUL in it.
    files = {file.path: file for file in export.files.select_related("blob")}
    file = files.get(path)
    if file is None:
        raise Http404(_("This export has no such file."))
    return FileResponse(blobs.read(file.blob), as_attachment=True, filename=path.rsplit("/", 1)[-1])
