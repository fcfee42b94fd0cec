"""What people say to each other about the work: questions and their answers, the guideline with its FAQ, flags."""

import re
from typing import Any

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from annotate.access import (
    ANSWERERS,
    MANAGERS,
    OVERSEERS,
    asked_by,
    flag_for,
    help_request_for,
    project_for,
    roles_in,
    slot_for,
)
from annotate.differences import inline
from annotate.errors import Refused
from annotate.exchange_forms import AnswerForm, AskForm, FlagForm, ResolveForm
from annotate.models import Guideline, Project, Slot
from annotate.rendering import markdown_html
from annotate.services import exchange, holding
from annotate.sheet import Sheet
from jobs.requests import PageRequest

PAGE = 10  # each with its task


# --- Questions to the researchers -------------------------------------------------------------------------------------


@require_POST
def ask(request: PageRequest, slug: str, code) -> HttpResponse:
    """Ask the researchers about a task. For the slot's holder."""
    slot = slot_for(request.user, slug, code)
    form = AskForm(request.POST)
    if form.is_valid():
        exchange.ask(slot=slot, actor=request.user, **form.cleaned_data)
    return _said(request, slot, form, _("Asked. The answer will stand here and at the task."))


@require_POST
def help_seen(request: PageRequest, slug: str, pk: int) -> HttpResponse:
    """The answer has been read. For whoever asked."""
    exchange.mark_seen(request=asked_by(request.user, slug, pk), actor=request.user)
    return HttpResponse() if request.htmx else redirect("mine", slug)


@require_GET
def help_requests(request: PageRequest, slug: str) -> HttpResponse:
    """All questions of the project, those without an answer first. For those who oversee it."""
    return _questions(request, project_for(request.user, slug, OVERSEERS))


@require_POST
def help_answer(request: PageRequest, slug: str, pk: int) -> HttpResponse:
    """Answer a question, or change its answer. For managers and researchers."""
    asked = help_request_for(request.user, slug, pk)
    form = AnswerForm(request.POST, of=asked)
    if form.is_valid():
        try:
            exchange.answer(request=asked, actor=request.user, **form.cleaned_data)
            messages.success(request, _("Answered. Whoever asked sees it at the next task."))
            return redirect("help_requests", slug)
        except Refused as refused:
            form.add_error(None, str(refused))
            asked.refresh_from_db()
            form.data = request.POST.copy()
            form.data["known"] = (
                asked.answered_at.isoformat() if asked.answered_at else ""
            )  # saving again puts it there
    return _questions(request, asked.project, refused={pk: form})


def _questions(request: PageRequest, project: Project, refused: dict[int, Any] | None = None) -> HttpResponse:
    found = exchange.help_requests(project)
    return _listed(request, "annotate/help_requests.html", project, found, AnswerForm, refused)


def _listed(
    request: PageRequest, template: str, project: Project, found: QuerySet, form: type, refused: dict[int, Any] | None
) -> HttpResponse:
    """A page of questions or flags, each with its task and a form of its own. `refused`: forms that come back, by row."""
    page = Paginator(found, PAGE).get_page(request.POST.get("page") or request.GET.get("page"))
    forms_of = refused or {}
    rows = _with_refused(list(page), found, refused)
    context = {
        "project": project,
        "page": page,
        "rows": [
            (one, in_context(one.slot) if one.slot else None, forms_of.get(one.pk) or form(of=one)) for one in rows
        ],
        "may_decide": bool(roles_in(request.user, project) & set(ANSWERERS)),
        "tasks_admin": _tasks_admin(request),
    }
    return render(request, template, context, status=422 if refused else 200)


def _with_refused(rows: list, found, refused: dict[int, Any] | None) -> list:
    """The rows, with the one whose form was refused on top where it stands on another page by now."""
    missing = set(refused or {}) - {one.pk for one in rows}
    return [*found.filter(pk__in=missing), *rows] if missing else rows


# --- The guideline ----------------------------------------------------------------------------------------------------


@require_GET
def guideline(request: PageRequest, slug: str) -> HttpResponse:
    """The guideline with its worked examples, the FAQ and the versions. For all members.

    `?version=` shows an older one, `?since=` what has changed since another one.
    """
    project = project_for(request.user, slug)
    language = get_language() or "en"
    shown = _version(project, request.GET.get("version")) or project.guidelines.filter(current=True).first()
    since = _version(project, request.GET.get("since"))
    says: dict[str, Any] = shown.says(language) if shown else {"text": "", "examples": []}
    before = since.says(language) if since else says
    manages = bool(roles_in(request.user, project) & set(MANAGERS))
    context = {
        "project": project,
        "guideline": shown,
        "changed": holding.material_change(project) if manages else None,
        "guideline_html": markdown_html(says["text"]),
        "since": since,
        "changes_html": inline(before["text"], says["text"]) if since else "",
        "examples_changed": before["examples"] != says["examples"],
        "examples": [_example(one) for one in says["examples"]],
        "versions": project.guidelines.order_by("-version").defer("text", "examples", "translations"),
        "faq": exchange.faq(project),
    }
    return render(request, "annotate/guideline.html", context)


def _version(project: Project, said: str | None) -> Guideline | None:
    if not said:
        return None
    found = project.guidelines.filter(version=int(said)).first() if re.fullmatch("[0-9]{1,9}", said) else None
    if found is None:
        raise Http404(_("The guideline has no such version."))
    return found


def _example(example: dict[str, Any]) -> dict[str, Any]:
    outputs = [one | {"html": markdown_html(one.get("text", ""))} for one in example.get("outputs", [])]
    return example | {"prompt_html": markdown_html(example.get("prompt", "")), "outputs": outputs}


# --- Flags ------------------------------------------------------------------------------------------------------------


@require_POST
def flag(request: PageRequest, slug: str, code) -> HttpResponse:
    """Say that something is wrong with a task. For the slot's holder."""
    slot = slot_for(request.user, slug, code)
    form = FlagForm(request.POST)
    if form.is_valid():
        exchange.flag(slot=slot, actor=request.user, **form.cleaned_data)
    return _said(request, slot, form, _("Flagged. Thank you. Go on, or skip the task if it cannot be judged."))


@require_GET
def flags(request: PageRequest, slug: str) -> HttpResponse:
    """All flags of the project, the unsettled first. For those who oversee it."""
    return _flags(request, project_for(request.user, slug, OVERSEERS))


@require_POST
def flag_resolve(request: PageRequest, slug: str, pk: int) -> HttpResponse:
    """Say what was done about a flag; with `withdraw`, give the task to nobody more. For managers and researchers."""
    found = flag_for(request.user, slug, pk)
    form = ResolveForm(request.POST, of=found)
    if form.is_valid():
        try:
            exchange.resolve_flag(flag=found, actor=request.user, **form.cleaned_data)
            messages.success(request, _("Settled."))
            return redirect("flags", slug)
        except Refused as refused:
            form.add_error(None, str(refused))
    return _flags(request, found.slot.task.project, refused={pk: form})


def _flags(request: PageRequest, project: Project, refused: dict[int, Any] | None = None) -> HttpResponse:
    return _listed(request, "annotate/flags.html", project, exchange.flags(project), ResolveForm, refused)


# --- Of several pages -------------------------------------------------------------------------------------------------


def in_context(slot: Slot) -> dict[str, Any]:
    """A task as its holder sees it: the conversation, and the outputs by the letters that he sees."""
    sheet = Sheet(slot)
    return {"slot": slot, "turns": sheet.turns(), "outputs": sheet.outputs()}


def _said(request: PageRequest, slot: Slot, form: forms.Form, done: str) -> HttpResponse:
    """What the desk is told: a line in its place; without htmx another page, with what was typed if it was refused."""
    status = 200 if form.is_valid() else 422
    if request.htmx:
        return render(request, "annotate/_said.html", {"form": form, "done": done}, status=status)
    if form.is_valid():
        messages.success(request, done)
        return redirect("work", slot.project.slug, slot.code)
    context = {"form": form, "slot": slot, "project": slot.project, "asks": isinstance(form, AskForm)}
    return render(request, "annotate/say.html", context, status=status)


def _tasks_admin(request: PageRequest) -> str:
    """Where an admin finds the tasks; "" for those who are none."""
    may = request.user.is_staff and request.user.has_perm("annotate.view_task")
    return reverse("admin:annotate_task_changelist") if may else ""
