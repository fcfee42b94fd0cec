"""The pages of datasets, templates and instances: for those who oversee any project, to change for its makers."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from curation import access, catalogue
from curation.forms import (
    AboutForm,
    HandoverForm,
    InstancesForm,
    TemplateFileForm,
    TemplateForm,
    add_refusal,
)
from curation.models import USUAL_SEED, Dataset, InstanceSet, Template
from curation.rendering import REASONS, Dropped, TemplateError, TemplateSource
from curation.services import datasets as verbs
from curation.services import handover, stretches
from curation.services import instances as instance_verbs
from curation.services import templates as template_verbs
from curation.shots import FewShot
from jobs.requests import PageRequest

PAGE = 25
PREVIEWED = 3


class Stretch(Sequence):
    """A page of something that is no queryset: `load(start, count)` of `total`."""

    def __init__(self, total: int, load) -> None:
        self.total, self.load = total, load

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, key: Any) -> Any:
        return self.load(key.start, key.stop - key.start)


@require_GET
def datasets(request: PageRequest) -> HttpResponse:
    """All datasets, newest first. For those who oversee any project."""
    access.check_sees_datasets(request.user)
    found = access.datasets_of(request.user).annotate(sets=Count("instance_sets")).order_by("-created_at", "-pk")
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    may_make = access.makes_datasets(request.user)
    return render(request, "curation/datasets.html", {"page": page, "may_make": may_make})


@require_GET
def dataset(request: PageRequest, dataset_id: UUID) -> HttpResponse:
    """One dataset: its progress or its refused rows; then what it is, its rows, its templates and instances."""
    found = access.dataset_for(request.user, dataset_id)
    context: dict[str, Any] = {"dataset": found, "job": found.job, "may_make": access.makes_datasets(request.user)}
    if found.whole:
        rows = Stretch(found.rows or 0, lambda start, count: verbs.rows_of(found, start, count))
        page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
        names = [column["name"] for column in found.columns]
        context |= {
            "page": page,
            "table": [(row["number"], [row["values"][name] for name in names]) for row in page],
            "templates": template_verbs.latest_templates(found.name),
            "sets": found.instance_sets.select_related("template", "job").order_by("-created_at"),
        }
    return render(request, "curation/dataset.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def dataset_about(request: PageRequest, dataset_id: UUID) -> HttpResponse:
    """Put licence, language and source right. For managers and researchers of any project."""
    found = access.dataset_for(request.user, dataset_id)
    access.check_makes_datasets(request.user)
    form = AboutForm(request.POST if request.method == "POST" else None, instance=found)
    if request.method == "POST" and form.is_valid():
        form.save(commit=False).save(update_fields=AboutForm.Meta.fields)  # its import may be ending just now
        return redirect("dataset", found.pk)
    context = {"dataset": found, "form": form}
    return render(request, "curation/dataset_about.html", context, status=422 if form.errors else 200)


@require_POST
def dataset_remove(request: PageRequest, dataset_id: UUID) -> HttpResponse:
    """Forget an import that failed. For managers and researchers of any project."""
    found = access.dataset_for(request.user, dataset_id)
    access.check_makes_datasets(request.user)
    try:
        verbs.remove_failed(dataset=found)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("dataset", found.pk)
    messages.success(request, _("The failed import is gone. The file you have is untouched."))
    return redirect("datasets")


# --- Templates --------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def template_new(request: PageRequest, dataset_id: UUID) -> HttpResponse:
    """Write a template, with a preview on real rows as one types; `?from=` starts from another one's text.

    POST with `save` keeps it; any other POST only shows what it makes of some rows.
    """
    found = access.dataset_for(request.user, dataset_id)
    access.check_makes_datasets(request.user)
    if not found.whole:
        raise Http404(_("The dataset is not imported yet."))
    if request.method == "POST":
        form = TemplateForm(request.POST)
        valid = form.is_valid()
        if "save" in request.POST and valid:
            try:
                kept = template_verbs.save_template(dataset=found, actor=request.user, **form.cleaned_data)
                return redirect(f"{reverse('template', args=[kept.pk])}?dataset={found.pk}")
            except ValidationError as error:
                add_refusal(form, error)
        elif "save" not in request.POST:
            form.errors.clear()  # it is still being written
        texts = (request.POST.get(name, "") for name in ("jinja", "answer_choices"))
        source, few_shot = TemplateSource(*(template_verbs.normalised(text) for text in texts)), form.few_shot()
    else:
        form = TemplateForm(initial=_starting_point(request, found))
        source = TemplateSource(form["jinja"].initial or "", form["answer_choices"].initial or "")
        few_shot = form.few_shot_at_first()
    shown = _preview(request.POST.get("start", request.GET.get("start", "")), found, source, few_shot)
    context = {"dataset": found, "form": form, "preview": shown}
    name = (
        "curation/template_new.html#preview"
        if request.htmx and "save" not in request.POST
        else "curation/template_new.html"
    )
    return render(request, name, context, status=422 if form.errors else 200)


@require_GET
def templates_catalogue(request: PageRequest, dataset_id: UUID) -> HttpResponse:
    """Ready-made templates, each to start from with the columns that one names. For managers and researchers."""
    found = access.dataset_for(request.user, dataset_id)
    access.check_makes_datasets(request.user)
    kinds = dict(Template.Kind.choices)
    entries = [
        {
            "key": entry.key,
            "name": _(entry.name),
            "kind": kinds[entry.kind],
            "parts": [(part, _(catalogue.PARTS[part])) for part in entry.parts],
        }
        for entry in catalogue.ENTRIES
    ]
    context = {"dataset": found, "entries": entries, "languages": catalogue.LANGUAGES.items()}
    return render(request, "curation/templates_catalogue.html", context)


def _starting_point(request: PageRequest, found: Dataset) -> dict[str, Any]:
    if entry := catalogue.BY_KEY.get(request.GET.get("entry", "")):
        known = {column["name"] for column in found.columns}
        columns = {part: request.GET.get(part, "") for part in entry.parts}
        language = request.GET.get("in", "en")
        if set(columns.values()) <= known and language in catalogue.LANGUAGES:
            return entry.fields(language, columns)
    if request.GET.get("from"):
        try:
            other = access.template_for(request.user, UUID(request.GET["from"]))
        except ValueError:
            return {}
        return {name: getattr(other, name) for name in TemplateForm.Meta.fields}
    keys = {found.id_column, found.group_column}
    names = [column["name"] for column in found.columns if column["name"] not in keys]
    texts = [name for name in names if found.kind_of(name) == "text"] or names or ["text"]
    lines = [f"{{{{ {name.replace('-', '_')} }}}}" for name in (texts[0], texts[-1])]
    return {"language": found.language, "jinja": f"{lines[0]}\n|||\n{lines[1]}"}


def _preview(start: str, found: Dataset, source: TemplateSource, few_shot: FewShot | None) -> dict[str, Any]:
    """What a template makes of a few rows, or why it cannot."""
    at = min(int(start) if start.isdecimal() and len(start) < 19 else 0, max((found.rows or 1) - 1, 0))
    shown: dict[str, Any] = {"start": at, "before": max(at - PREVIEWED, 0), "after": at + PREVIEWED}
    try:
        made = stretches.preview(
            dataset=found, source=source, seed=USUAL_SEED, start=at, count=PREVIEWED, settings=few_shot
        )
    except TemplateError as error:
        return shown | {"error": template_verbs.explained(error), "line": _line_of(error, source)}
    return shown | {
        "more": at + PREVIEWED < (found.rows or 0),
        "made": [
            {
                "number": row["number"],
                "made": one,
                "dropped": _(REASONS[one.reason]) if isinstance(one, Dropped) else "",
            }
            for row, one in made
        ],
    }


def _line_of(error: TemplateError, source: TemplateSource) -> dict[str, Any] | None:
    """The line that an error is in, with its number, to show beside what is wrong."""
    lines = getattr(source, error.field).split("\n")
    if error.line is None or not 0 < error.line <= len(lines):
        return None
    return {"number": error.line, "text": lines[error.line - 1][:300]}


@require_http_methods(["GET", "HEAD", "POST"])
def templates_import(request: PageRequest, dataset_id: UUID) -> HttpResponse:
    """Keep all templates of a file, or none. For managers and researchers of any project."""
    found = access.dataset_for(request.user, dataset_id)
    access.check_makes_datasets(request.user)
    form = TemplateFileForm(request.POST, request.FILES) if request.method == "POST" else TemplateFileForm()
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["upload"]
        try:
            kept = template_verbs.import_templates(
                dataset=found,
                file_name=file.name,
                content=file.read(template_verbs.MOST_BYTES + 1),
                actor=request.user,
                task_type=form.cleaned_data["task_type"],
            )
            messages.success(request, _("%(count)d templates are there.") % {"count": len(kept)})
            return redirect("dataset", found.pk)
        except ValidationError as error:
            form.add_error("upload", error)
    context = {"dataset": found, "form": form}
    return render(request, "curation/templates_import.html", context, status=422 if form.errors else 200)


@require_GET
def template(request: PageRequest, template_id: UUID) -> HttpResponse:
    """One version of a template: its text, what it makes of some rows, and the instances there are."""
    found = access.template_for(request.user, template_id)
    versions = Dataset.objects.whole().filter(name=found.dataset).order_by("-version")
    chosen = versions.filter(pk=request.GET["dataset"]).first() if _is_uuid(request.GET.get("dataset")) else None
    over = chosen or versions.first()
    context = {
        "template": found,
        "dataset": over,
        "preview": _preview(request.GET.get("start", ""), over, template_verbs.source_of(found), found.few_shot)
        if over
        else None,
        "sets": InstanceSet.objects.filter(template=found).select_related("dataset", "job"),
        "form": InstancesForm(),
        "may_make": access.makes_datasets(request.user),
    }
    return render(request, "curation/template.html", context)


def _is_uuid(text: str | None) -> bool:
    try:
        return bool(text and UUID(text))
    except ValueError:
        return False


@require_POST
def instances_new(request: PageRequest, template_id: UUID, dataset_id: UUID) -> HttpResponse:
    """Render all rows of a dataset with a template. For managers and researchers of any project."""
    found = access.template_for(request.user, template_id)
    over = access.dataset_for(request.user, dataset_id)
    access.check_makes_datasets(request.user)
    form = InstancesForm(request.POST)
    try:
        if not form.is_valid():
            raise ValidationError(_("The seed is missing or over 60 characters."))
        seed = form.cleaned_data["seed"]
        made = instance_verbs.request_instances(dataset=over, template=found, seed=seed, actor=request.user)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("template", found.pk)
    return redirect("instances", made.pk)


# --- Instances --------------------------------------------------------------------------------------------------------


@require_GET
def instances(request: PageRequest, set_id: UUID) -> HttpResponse:
    """One set of instances: its progress; then counts, what was dropped and why, and the instances."""
    found = access.instance_set_for(request.user, set_id)
    form = HandoverForm(user=request.user, instance_set=found)
    return _instances_page(request, found, form)


def _instances_page(request: PageRequest, found: InstanceSet, form: HandoverForm) -> HttpResponse:
    may_make = access.makes_datasets(request.user)
    context: dict[str, Any] = {"set": found, "job": found.job, "form": form, "may_make": may_make}
    context["may_cancel"] = request.user.is_superuser or found.job.actor_id == request.user.pk
    if found.whole:
        rows = Stretch(found.instances or 0, lambda start, count: instance_verbs.instances_between(found, start, count))
        page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
        examples = instance_verbs.dropped_examples(found)
        context |= {
            "page": page,
            "dropped": [(_(REASONS[reason]), count, examples[reason]) for reason, count in found.dropped.items()],
        }
    return render(request, "curation/instances.html", context, status=422 if form.errors else 200)


@require_POST
def instances_to_tasks(request: PageRequest, set_id: UUID) -> HttpResponse:
    """Make tasks of instances. For managers of the project they go to."""
    found = access.instance_set_for(request.user, set_id)
    access.check_makes_datasets(request.user)
    form = HandoverForm(request.POST, user=request.user, instance_set=found)
    if form.is_valid():
        project = form.cleaned_data["project"]
        try:
            done = handover.add_instances(instance_set=found, project=project, choice=form.choice())
            messages.success(request, said(done))
            return redirect("project", project.slug)
        except ValidationError as error:
            add_refusal(form, error)
    return _instances_page(request, found, form)


def said(done: handover.HandedOver) -> str:
    """What became of instances that were handed over, in a sentence."""
    parts = [_("%(count)d new tasks.") % {"count": done.tasks}]
    if done.known:
        parts.append(_("%(count)d were there already.") % {"count": done.known})
    if done.too_few_outputs:
        parts.append(_("%(count)d were left out: they have one output only.") % {"count": done.too_few_outputs})
    if done.too_many_outputs:
        parts.append(_("%(count)d were left out: they have over nine outputs.") % {"count": done.too_many_outputs})
    return " ".join(parts)
