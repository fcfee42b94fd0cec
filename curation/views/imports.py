"""The page that imports a dataset: it shows how a file would be read before anything is made of it."""

from pathlib import Path
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from curation import access
from curation.forms import DatasetForm, add_refusal
from curation.models import Dataset
from curation.reading import Problem, Row, Unreadable
from curation.services import datasets as verbs
from curation.services import reading, uploads
from jobs.requests import PageRequest

SHOWN = 5  # rows


@require_http_methods(["GET", "HEAD", "POST"])
def dataset_import(request: PageRequest) -> HttpResponse:
    """Import a file, or look at it first (POST with `look`), which keeps it and changes nothing else.

    For managers and researchers of any project.
    """
    access.check_makes_datasets(request.user)
    if request.method != "POST":
        return _page(request, DatasetForm(), {})
    token = request.POST.get("kept", "")
    kept = uploads.kept_for(user=request.user, token=token) if token else None
    form = DatasetForm(request.POST, request.FILES, kept=kept[1] if kept else "")
    form.is_valid()
    context: dict[str, Any] = {"kept": token, "kept_name": kept[1]} if kept else {}
    if "look" in request.POST:
        return _look(request, form, kept, context)
    if form.is_valid():
        try:
            return redirect("dataset", _imported(request, form, kept).pk)
        except verbs.Known as known:
            messages.info(request, str(known))
            return redirect("dataset", known.dataset.pk)
        except ValidationError as error:
            add_refusal(form, error)
    return _page(request, form, context)


def _page(request: PageRequest, form: DatasetForm, context: dict[str, Any]) -> HttpResponse:
    status = 422 if form.errors else 200
    return render(request, "curation/dataset_import.html", {"form": form, **context}, status=status)


def _imported(request: PageRequest, form: DatasetForm, kept: tuple[Path, str] | None) -> Dataset:
    if form.cleaned_data["upload"] or kept is None:
        with uploads.together(form.cleaned_data["upload"]) as (stream, name):
            return verbs.request_import(stream=stream, file_name=name, actor=request.user, **form.given())
    path, name = kept
    with path.open("rb") as stream:
        return verbs.request_import(stream=stream, file_name=name, actor=request.user, **form.given())


def _look(
    request: PageRequest, form: DatasetForm, kept: tuple[Path, str] | None, context: dict[str, Any]
) -> HttpResponse:
    for name in ("name", "licence", "language", "source"):
        form.errors.pop(name, None)  # they are not needed yet
    if form.errors:
        return _page(request, form, context)
    try:
        if form.cleaned_data["upload"] or kept is None:
            with uploads.together(form.cleaned_data["upload"]) as (stream, name):
                path, token = uploads.keep_for(user=request.user, stream=stream, file_name=name)
            context, kept = {"kept": token, "kept_name": name}, (path, name)
        context["preview"] = _preview(*kept, form.reading())
    except ValidationError as error:
        add_refusal(form, error)
    return _page(request, form, context)


def _preview(path: Path, file_name: str, given: dict[str, Any]) -> dict[str, Any]:
    """How the file would be read, why, and its first rows; or why it cannot be read."""
    dataset, reasons = reading.prepared(path=path, file_name=file_name, check=Dataset.clean, **given)
    found = [
        (_("Format"), dataset.get_format_display(), reasons.get("format", "")),
        (_("Between fields"), dataset.get_delimiter_display(), reasons.get("delimiter", "")),
        (_("Around fields"), dataset.get_quote_display(), reasons.get("quote", "")),
        (_("The first line is"), dataset.get_header_display(), reasons.get("header", "")),
        (_("Shape of its rows"), dataset.shape_in_words, reasons.get("shape", "")),
    ]
    shown: dict[str, Any] = {"found": [one for one in found if one[1]], "files": dataset.files}
    try:
        rows = reading.first_rows(dataset, path, SHOWN)
    except Unreadable as error:
        return shown | {"error": str(error)}
    values = [(row.number, row.values) for row in rows if isinstance(row, Row)]
    names = list(dict.fromkeys(name for _number, row in values for name in row))
    return shown | {
        "names": names,
        "rows": [(number, [row.get(name) for name in names]) for number, row in values],
        "problems": [row for row in rows if isinstance(row, Problem)],
    }
