"""Where people stand: the list of a project's annotators, the page of one, one's own, and appeals."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotate.access import (
    MANAGERS,
    OVERSEERS,
    REVIEWERS,
    appeal_for,
    enrolment_for,
    own_decision_for,
    person_for,
    project_for,
    roles_in,
)
from annotate.errors import Refused
from annotate.models import Appeal, Decision, Enrolment, Project
from annotate.services import appeals as work
from annotate.services import standing, standing_deeds, standing_list, standing_work
from annotate.standing_forms import AppealForm, BulkForm, DeedForm, ReplyForm
from annotate.standing_words import figures_in_words, rule_in_words
from jobs.requests import PageRequest

PAGE, LOG, APPEALS = 50, 25, 10


# --- The list ---------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def annotators(request: PageRequest, slug: str) -> HttpResponse | StreamingHttpResponse:
    """The annotators of a project. For those who oversee it; its managers decide on several at once.

    `state` and `team` filter; `format=csv` gives the list as a file.
    """
    project = project_for(request.user, slug, MANAGERS if request.method == "POST" else OVERSEERS)
    state, team = request.GET.get("state", ""), request.GET.get("team", "")[:40].replace("\x00", "")
    state = state if state in (standing_list.ATTENTION, *Enrolment.Status.values) else ""
    found = standing_list.enrolments(project, state=state, team=team)
    if request.method != "POST" and request.GET.get("format") == "csv":
        return _csv(project, standing_list.table(project, found))
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    people = {one.pk: one for one in page}
    form = BulkForm(request.POST if request.method == "POST" else None, people=list(people))
    if request.method == "POST" and form.is_valid():
        _decide_on_all(request, [people[pk] for pk in form.cleaned_data["who"]], form)
        return redirect(request.get_full_path())
    counts = standing_list.counts(project)
    context = {
        "project": project,
        "page": page,
        "rows": standing_list.rows(project, list(page)),
        "states": [(value, name, counts[value]) for value, name in _states()],
        "state": state,
        "teams": standing_list.teams(project),
        "team": team,
        "form": form,
        "chosen": request.POST.getlist("who"),
        "manages": bool(roles_in(request.user, project) & set(MANAGERS)),
        "waiting": work.waiting(project).count(),
    }
    return render(request, "annotate/standing/annotators.html", context, status=422 if form.errors else 200)


def _states() -> list[tuple[str, str]]:
    states = [(state.value, str(state.label)) for state in Enrolment.Status]
    return [("", _("All")), (standing_list.ATTENTION, _("waiting for you")), *states]


def _decide_on_all(request: PageRequest, people: list[Enrolment], form: BulkForm) -> None:
    """Decide on each by itself: what cannot be done with one keeps nobody else back, and is said."""
    done = 0
    for one in people:
        try:
            said = {"deed": form.cleaned_data["deed"], "reason": form.cleaned_data["reason"]}
            standing_deeds.carry_out(enrolment=one, actor=request.user, **said)
            done += 1
        except Refused as refused:
            messages.error(request, str(refused))
    if done:
        text = ngettext("Decided on %(n)d person.", "Decided on %(n)d people.", done)
        messages.success(request, text % {"n": done})


def _csv(project: Project, rows) -> StreamingHttpResponse:
    response = StreamingHttpResponse(standing_list.lines(rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="annotators-{project.slug}.csv"'
    return response


# --- One person -------------------------------------------------------------------------------------------------------


@require_GET
def annotator(request: PageRequest, slug: str, pseudonym: str) -> HttpResponse:
    """Where one annotator stands. For those who oversee the project."""
    return _person(request, person_for(request.user, slug, pseudonym))


@require_POST
def annotator_decide(request: PageRequest, slug: str, pseudonym: str) -> HttpResponse:
    """Decide on one annotator, with a reason. For managers."""
    enrolment = person_for(request.user, slug, pseudonym, MANAGERS)
    form = DeedForm(request.POST, enrolment=enrolment)
    if form.is_valid():
        try:
            made = standing_deeds.carry_out(enrolment=enrolment, actor=request.user, **form.cleaned_data)
            messages.success(request, _("Saved: %(decision)s.") % {"decision": made.get_kind_display()})
            return redirect("annotator", slug, pseudonym)
        except Refused as refused:
            form.add_error(None, str(refused))
            enrolment.refresh_from_db(fields=["status", "reason"])
    return _person(request, enrolment, form)


def _person(request: PageRequest, enrolment: Enrolment, form: DeedForm | None = None) -> HttpResponse:
    roles = roles_in(request.user, enrolment.project)
    own = enrolment.annotator.user_id == request.user.pk  # no way around what one is told of one's own gold
    manages = bool(roles & set(MANAGERS)) and not own
    context = _standing(request, enrolment, own=own) | {
        "form": (form or DeedForm(enrolment=enrolment)) if manages else None,
        "latest": [] if own else standing_work.latest(enrolment),
        "comments": bool(roles & set(REVIEWERS)),
    }
    return render(request, "annotate/standing/annotator.html", context, status=422 if form else 200)


@require_GET
def own_standing(request: PageRequest, slug: str) -> HttpResponse:
    """Where one stands oneself, with what was decided and the way to appeal. For the project's annotators."""
    return _own(request, enrolment_for(request.user, slug))


def _own(request: PageRequest, enrolment: Enrolment, refused: tuple[int, AppealForm] | None = None) -> HttpResponse:
    context = _standing(request, enrolment, own=True, refused=refused)
    return render(request, "annotate/standing/own.html", context, status=422 if refused else 200)


def _standing(
    request: PageRequest, enrolment: Enrolment, *, own: bool, refused: tuple[int, AppealForm] | None = None
) -> dict[str, Any]:
    """The figures of a person; with `own` as he sees them himself."""
    decisions = enrolment.decisions.select_related("actor", "appeal__replied_by").order_by("-pk")
    page = Paginator(decisions, LOG).get_page(request.GET.get("page"))
    names = [enrolment.annotator.pseudonym]
    with_others = [
        (standing.text_of(detail.question), detail.as_of, people[names[0]])
        for detail, people in standing.with_others(enrolment.project, names)
        if names[0] in people
    ]
    return {
        "project": enrolment.project,
        "enrolment": enrolment,
        "own": own,
        "answered": standing_work.answered(enrolment).count(),
        "read": enrolment.guideline_read,
        "gold": standing.of_gold(enrolment, own=own),
        "missed": standing.missed(enrolment, own=own),
        "with_others": with_others,
        "effort": standing_work.effort(enrolment),
        "run": standing_work.longest_run(enrolment),
        "retest": standing_work.retest(enrolment, own=own),
        "others": standing_work.made_of_it(enrolment),
        "page": page,
        "log": [_logged(one, own, refused) for one in page],
        "held": standing_deeds.held(enrolment, own=own) if enrolment.status == Enrolment.Status.PAUSED else None,
        "least": standing.LEAST,
        "late": standing.LATEST,
    }


def _logged(made: Decision, own: bool, refused: tuple[int, AppealForm] | None) -> dict[str, Any]:
    """A line of the log, with a form to appeal where that is one's own to do."""
    appeal = getattr(made, "appeal", None)
    form = None
    if own and appeal is None and made.kind in work.APPEALABLE:
        form = refused[1] if refused and refused[0] == made.pk else AppealForm(auto_id=f"id_{made.pk}_%s")
    return {
        "made": made,
        "rule": rule_in_words(made.rule),
        "figures": figures_in_words(made.data),
        "appeal": appeal,
        "form": form,
    }


# --- Appeals ----------------------------------------------------------------------------------------------------------


@require_POST
def appeal(request: PageRequest, slug: str, pk: int) -> HttpResponse:
    """Appeal a decision on oneself."""
    enrolment, decision = enrolment_for(request.user, slug), own_decision_for(request.user, slug, pk)
    form = AppealForm(request.POST, auto_id=f"id_{decision.pk}_%s")
    if form.is_valid():
        try:
            work.appeal(decision=decision, user=request.user, text=form.cleaned_data["text"])
            messages.success(request, _("Your appeal is sent. The reply will stand here."))
            return redirect("standing", slug)
        except Refused as refused:
            messages.error(request, str(refused))
            return redirect("standing", slug)
    return _own(request, enrolment, refused=(decision.pk, form))


@require_GET
def appeals(request: PageRequest, slug: str) -> HttpResponse:
    """The appeals of a project, those without a reply first. For managers."""
    return _appeals(request, project_for(request.user, slug, MANAGERS))


@require_POST
def appeal_reply(request: PageRequest, slug: str, pk: int) -> HttpResponse:
    """Reply to an appeal. For managers."""
    row = appeal_for(request.user, slug, pk)
    form = ReplyForm(request.POST, of=row)
    if form.is_valid():
        try:
            made = work.reply(appeal=row, actor=request.user, **form.said)
            messages.success(request, _("Saved: %(outcome)s.") % {"outcome": made.get_outcome_display()})
            return redirect("appeals", slug)
        except Refused as refused:
            form.add_error(None, str(refused))
    return _appeals(request, row.decision.enrolment.project, refused={row.pk: form})


def _appeals(request: PageRequest, project: Project, refused: dict[int, ReplyForm] | None = None) -> HttpResponse:
    refused = refused or {}
    found = work.appeals(project)
    page = Paginator(found, APPEALS).get_page(request.GET.get("page"))
    rows = list(page)
    rows = [*found.filter(pk__in=set(refused) - {one.pk for one in rows}), *rows]
    context = {"project": project, "page": page, "rows": [_appealed(request, one, refused) for one in rows]}
    return render(request, "annotate/standing/appeals.html", context, status=422 if refused else 200)


def _appealed(request: PageRequest, row: Appeal, refused: dict[int, ReplyForm]) -> dict[str, Any]:
    return {
        "row": row,
        "rule": rule_in_words(row.decision.rule),
        "figures": figures_in_words(row.decision.data),
        "why_not": "" if row.outcome else work.why_not(row.decision, request.user),
        "form": refused.get(row.pk) or ReplyForm(of=row),
    }
