"""The pages of exports. Who may see which follows from `curation.access`."""

from uuid import UUID

from django.http import FileResponse, Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from curation.access import export_for, exports_of, runs_of
from curation.archive import zip_of
from curation.forms import ExportForm
from curation.models import Export
from curation.services import blobs
from curation.services.exports import request_export
from jobs.requests import PageRequest

NEWEST = 50


@require_http_methods(["GET", "HEAD", "POST"])
def exports(request: PageRequest) -> HttpResponse:
    """List the exports of projects one oversees; start one where one is manager or researcher."""
    form = ExportForm(request.POST if request.method == "POST" else None, user=request.user)
    if request.method == "POST" and form.is_valid():
        export = request_export(actor=request.user, **form.cleaned_data)
        return redirect("export", export.pk)
    context = {"form": form, "exports": exports_of(request.user)[:NEWEST], "may_start": form.projects}
    return render(request, "curation/exports.html", context, status=422 if form.errors else 200)


@require_GET
def export(request: PageRequest, export_id: UUID) -> HttpResponse:
    """One export: its progress, then what is in it. For those who oversee its project."""
    found = export_for(request.user, export_id)
    runs = runs_of(request.user).filter(export=found)
    context = {"export": found, "job": found.job, "files": found.files.select_related("blob"), "runs": runs}
    return render(request, "curation/export.html", context)


@require_GET
def archive(request: PageRequest, export_id: UUID) -> StreamingHttpResponse:
    """All files as one zip. For those who oversee the project."""
    return archive_response(_built(request.user, export_id))


@require_GET
def export_file(request: PageRequest, export_id: UUID, path: str) -> FileResponse:
    """One file. For those who oversee the project."""
    return file_response(_built(request.user, export_id), path)


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
