"""How an export gets to whoever uses it: downloads that can go on where they broke off, and links for machines."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotate.errors import Refused
from curation import use_it as lines
from curation.access import export_for, exports_of
from curation.archive import Download, one_file, whole
from curation.delivery_access import link_for
from curation.delivery_forms import LinkForm
from curation.models import Export
from curation.models.delivery import ExportCopy, SignedLink
from curation.services import delivery
from jobs.requests import PageRequest

RANGE = re.compile("bytes=([0-9]{0,18})-([0-9]{0,18})")
LINKS_SHOWN = 20
PRIVATE = {"Cache-Control": "private, no-store", "Referrer-Policy": "no-referrer"}


def archive_response(request: HttpRequest, export: Export) -> HttpResponseBase:
    """All files as one zip; of a revoked export a page that says why not."""
    return gone(request, export) if export.revoked else download_response(request, whole(export))


def file_response(request: HttpRequest, export: Export, path: str) -> HttpResponseBase:
    """One file; of a revoked export a page that says why not. Raises Http404 for a path that is not one of its own."""
    if export.revoked:
        return gone(request, export)
    if (download := one_file(export, path)) is None:
        raise Http404(_("This export has no such file."))
    return download_response(request, download)


def gone(request: HttpRequest, export: Export) -> HttpResponse:
    context = {"export": export, "why": delivery.why_gone(export)}
    return render(request, "curation/gone.html", context, status=410)


def download_response(request: HttpRequest, download: Download) -> HttpResponseBase:
    """The bytes, or the one range of them that is asked for (RFC 9110). Several ranges at once are all of it."""
    headers = PRIVATE | {"Accept-Ranges": "bytes", "ETag": download.etag}
    conditional = get_conditional_response(request, etag=download.etag)
    if conditional is not None:  # they have it already, or want another one
        return _with(conditional, headers)
    start, stop, status = 0, download.size, 200
    if (asked := _range_of(request, download)) is not None:
        start, stop = asked
        if start >= stop:
            return HttpResponse(status=416, headers=headers | {"Content-Range": f"bytes */{download.size}"})
        status, headers["Content-Range"] = 206, f"bytes {start}-{stop - 1}/{download.size}"
    headers |= {
        "Content-Type": download.content_type,
        "Content-Length": str(stop - start),
        "Content-Disposition": str(content_disposition_header(True, download.name)),
    }
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers)
    return StreamingHttpResponse(download.pieces(start, stop), status=status, headers=headers)


def _with(response: HttpResponse, headers: dict[str, str]) -> HttpResponse:
    for name, value in headers.items():
        response[name] = value
    return response


def _range_of(request: HttpRequest, download: Download) -> tuple[int, int] | None:
    """From where to where (exclusive) the request asks; nothing lies between where no byte is there. None: for all."""
    asked = RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    if request.method != "GET" or asked is None or not any(asked.groups()):
        return None
    if request.headers.get("If-Range", download.etag) != download.etag:
        return None  # it has changed since, so they need all of it
    first, last = asked.groups()
    if not first:
        return max(download.size - int(last), 0), download.size
    if last and int(last) < int(first):
        return None  # no range at all
    return int(first), min(int(last) + 1, download.size) if last else download.size


# --- Signed links -----------------------------------------------------------------------------------------------------


@require_POST
def link_new(request: PageRequest, export_id: UUID) -> HttpResponse:
    """Make a link for a machine. For those who may see the export. The answer shows it, and nothing shows it again."""
    export = export_for(request.user, export_id)
    form = LinkForm(request.POST, export=export)
    context: dict[str, Any] = {"export": export, "form": form}
    if form.is_valid():
        lasts = timedelta(hours=form.cleaned_data["hours"])
        try:
            link, token = delivery.make_link(
                export=export, actor=request.user, path=form.cleaned_data["path"], lasts=lasts
            )
        except Refused as refused:
            form.add_error(None, str(refused))
        else:
            context |= {"link": link, "address": request.build_absolute_uri(address_of(link, token))}
    return _with(render(request, "curation/link.html", context, status=422 if form.errors else 200), PRIVATE)


@require_POST
def link_revoke(request: PageRequest, export_id: UUID, link_id: UUID) -> HttpResponse:
    """Close a link. For those who may see the export."""
    delivery.revoke_link(link=link_for(request.user, export_id, link_id), actor=request.user)
    messages.success(request, _("The link is closed: it gives nothing any more."))
    return redirect("export", export_id)


@login_not_required
@require_safe
def signed_download(request: HttpRequest, link_id: UUID) -> HttpResponseBase:
    """The file of a link, for whoever has its token. In plain words where there is none: machines read this."""
    token = request.GET.get("token", "")
    _hide_token(request)
    link = delivery.link_by(pk=link_id, token=token)
    if link is None:
        return _plain(404, _("There is no such link. Check that the whole address was copied."))
    export, path = link.export, link.path
    if export.revoked:
        return _plain(410, delivery.why_gone(export))
    if link.revoked_at or link.expires_at <= timezone.now():
        return _plain(410, _("This link has expired, or was closed. Ask for a new one."))
    if not link.actor.is_active or not exports_of(link.actor).filter(pk=export.pk).exists():
        return _plain(410, _("Whoever made this link may not see the export any more. Ask somebody else for one."))
    download = one_file(export, path) if path else whole(export)
    assert download is not None  # it was there when the link was made, and exports never change
    return download_response(request, download)


def address_of(link: SignedLink, token: str) -> str:
    return f"{reverse('signed_download', args=[link.pk])}?token={token}"


def _hide_token(request: HttpRequest) -> None:
    """Web servers write these into their log of requests, once they have answered."""
    for name in ("RAW_URI", "REQUEST_URI"):
        if name in request.META:
            request.META[name] = request.path
    request.META["QUERY_STRING"] = ""


def _plain(status: int, text: str) -> HttpResponse:
    return HttpResponse(text + "\n", status=status, content_type="text/plain; charset=utf-8", headers=PRIVATE)


# --- On the page of an export -----------------------------------------------------------------------------------------


def use_it(request: HttpRequest, export: Export) -> dict[str, Any]:
    """What `curation/_use_it.html` shows of an export that is built and not revoked: how to get it, its links, its copy."""
    copy = ExportCopy.objects.filter(export=export).select_related("job").first()
    if not export.built or export.revoked:
        return {"copy": copy}
    url = request.build_absolute_uri(reverse("api_export_archive", args=[export.pk]))
    paths = list(export.files.values_list("path", flat=True))
    links = export.links.filter(revoked_at=None, expires_at__gt=timezone.now()).select_related("actor")
    about = {"name": export.name, "kind": export.kind}
    return {
        "copy": copy,
        "shell": lines.shell_line(url=url, shape=export.shape, paths=paths, **about),
        "python": lines.python_lines(**about),
        "links": links[:LINKS_SHOWN],
        "link_form": LinkForm(export=export),
    }


@require_POST
def copy_again(request: PageRequest, export_id: UUID) -> HttpResponse:
    """Try the object storage again now. For those who may see the export."""
    copy = ExportCopy.objects.filter(export=export_for(request.user, export_id)).first()
    if copy is None:
        raise Http404(_("This export has no copy in object storage."))
    delivery.copy_again(copy=copy)
    messages.info(request, _("It is tried again now."))
    return redirect("export", export_id)
