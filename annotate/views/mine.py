"""What an annotator sees of the own work in a project, and the own settings."""

import csv
import re
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotate.access import Role, annotator_of, project_for, projects_of
from annotate.exchange_forms import SettingsForm
from annotate.models import Annotator, Project, Route, Slot
from annotate.services import exchange, feedback, history
from jobs.requests import PageRequest

PAGE = 25
QUESTIONS, COMMENTS = 20, 20


@require_GET
def mine(request: PageRequest, slug: str) -> HttpResponse:
    """One's own tasks, time, hours and questions. For the project's annotators.

    `q` searches, `state` is one of `history.STATES`; `format=csv` gives the hours as a file.
    """
    project = project_for(request.user, slug, [Role.ANNOTATOR])
    annotator = annotator_of(request.user)
    if annotator is None:
        raise PermissionDenied(_("You are not enrolled in this project. Ask its manager."))
    days = history.hours(annotator, project)
    if request.GET.get("format") == "csv":
        return _csv(project, days)
    search = request.GET.get("q", "").replace("\x00", "").strip()[:200]
    state = request.GET.get("state", "")
    state = state if state in history.STATES else ""
    found = history.own_tasks(annotator, project, search=search, state=state)
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    figures = history.figures(annotator, project)
    decisions, unseen = history.decisions_on(page), history.unseen_decisions(project, request.user)
    questions = list(history.own_questions(request.user, project)[: QUESTIONS + 1])
    comments = list(feedback.to(annotator, project)[: COMMENTS + 1])
    context = {
        "project": project,
        "page": page,
        "tasks": [(slot, decisions.get(slot.pk, [])) for slot in page],
        "unseen": unseen,
        "newest": history.newest_decision(request.user, project) if unseen else 0,
        "search": search,
        "state": state,
        "states": _states(history.state_counts(annotator, project)),
        "figures": figures,
        "active_time": _clock(figures["seconds"] or 0),
        "days": days,
        "kinds": [(kind, history.SHADES[kind]) for kind in history.kinds_of(days)],
        "hours": [(one, [one.of(kind) for kind in history.kinds_of(days)]) for one in reversed(days)],
        "plot": history.plot(days),
        "comments": comments[:COMMENTS],
        "more_comments": len(comments) > COMMENTS,
        "unseen_comments": feedback.unseen(project, request.user).count(),
        "questions": questions[:QUESTIONS],
        "more_questions": len(questions) > QUESTIONS,
    }
    return render(request, "annotate/mine.html", context)


def _clock(seconds: int) -> str:
    """Hours and minutes: 12:05."""
    return f"{seconds // 3600}:{seconds % 3600 // 60:02}"


def _states(counts: dict[str, int]) -> list[tuple[str, str, int]]:
    """The filters: state, name, how many tasks."""
    names = {"": _("All"), "sent_back": _("sent back"), "decided": _("decided"), **dict(Slot.Status.choices)}
    return [(state, str(names[state]), counts[state]) for state in ("", *history.STATES)]


def _csv(project: Project, days: list[history.Day]) -> HttpResponse:
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="hours-{project.slug}.csv"'
    rows = csv.writer(response)
    rows.writerow(["date", "kind", "tasks", "active_seconds"])
    for day in days:
        for kind in history.Kind:
            rows.writerow([day.day.isoformat(), kind.value, day.of(kind).tasks, day.of(kind).seconds])
    return response


@require_POST
def decisions_seen(request: PageRequest, slug: str) -> HttpResponse:
    """One has seen the decisions on one's own tasks, up to the `newest` that the page showed. For annotators."""
    project = project_for(request.user, slug, [Role.ANNOTATOR])
    newest = request.POST.get("newest", "")
    if re.fullmatch("[0-9]{1,18}", newest):
        known = min(int(newest), history.newest_decision(request.user, project))
        history.mark_decisions_seen(project=project, user=request.user, newest=known)
    return redirect("mine", slug)


@require_http_methods(["GET", "HEAD", "POST"])
def my_settings(request: PageRequest) -> HttpResponse:
    """The languages one knows and the distressing content one agrees to see. For annotators; others are told so."""
    annotator = annotator_of(request.user)
    if annotator is None:
        if request.method == "POST":
            raise PermissionDenied(_("Only annotators have settings here."))
        return render(request, "annotate/settings.html", {})
    known = _languages_within_reach(request)
    form = SettingsForm(request.POST if request.method == "POST" else None, initial=_now(annotator, known), known=known)
    if request.method == "POST" and form.is_valid():
        exchange.change_own_settings(
            annotator=annotator,
            actor=request.user,
            languages=form.all_languages,
            harm_categories=form.cleaned_data["harm_categories"],
        )
        messages.success(request, _("Saved. It holds from the next task on."))
        return redirect("my_settings")
    context = {"annotator": annotator, "form": form}
    return render(request, "annotate/settings.html", context, status=422 if form.errors else 200)


def _languages_within_reach(request: PageRequest) -> list[str]:
    """The languages of the tasks in the user's projects."""
    routes = Route.objects.filter(project__in=projects_of(request.user, [Role.ANNOTATOR])).exclude(language="")
    return sorted(set(routes.values_list("language", flat=True)))


def _now(annotator: Annotator, known: list[str]) -> dict[str, Any]:
    return {
        "languages": [code for code in annotator.languages if code in known],
        "others": ", ".join(code for code in annotator.languages if code not in known),
        "harm_categories": annotator.harm_categories,
    }
