"""The pages of people judging. Each gets its project or slot from `annotate.access`, which says who may."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRedirect

from annotate.access import OVERSEERS, Role, annotator_of, project_for, projects_of, roles_in, slot_for
from annotate.errors import Refused
from annotate.forms import RankingForm, SkipForm
from annotate.models import Enrolment, Project, Slot
from annotate.rendering import markdown_html
from annotate.services import agreement, ledger, overview
from jobs.requests import PageRequest

Status = Slot.Status


@require_GET
def projects(request: PageRequest) -> HttpResponse:
    """The projects in which the user has a role: those to work in, and those to look after."""
    found = list(projects_of(request.user))
    overseen = list(projects_of(request.user, OVERSEERS))
    places, waiting = overview.places(overseen), overview.waiting(overseen)
    own = overview.own_progress(request.user, found)
    enrolments = Enrolment.objects.filter(annotator__user=request.user, project__in=found).select_related("project")
    context = {
        "projects": found,
        "overseen": [(one, places.get(one.pk), waiting.get(one.pk, 0)) for one in overseen],
        "enrolments": [(one, own.get(one.project_id)) for one in enrolments.order_by("project__name")],
    }
    return render(request, "annotate/projects.html", context)


@require_GET
def project(request: PageRequest, slug: str) -> HttpResponse:
    """What a member sees of a project: its guideline and, by role, the way to work or how it goes."""
    project = project_for(request.user, slug)
    roles = roles_in(request.user, project)
    guideline = project.guidelines.filter(current=True).first()
    context = {
        "project": project,
        "guideline": guideline,
        "guideline_html": markdown_html(guideline.text) if guideline else "",
        "enrolment": Enrolment.objects.filter(annotator__user=request.user, project=project).first(),
        "own": _own_progress(request.user, project),
        "oversees": bool(roles & set(OVERSEERS)),
    }
    if context["oversees"]:
        context |= overview.overview(project, has_guideline=guideline is not None)
        if request.user.is_staff:
            context["enrolments_admin"] = reverse("admin:annotate_enrolment_changelist")
    return render(request, "annotate/project.html", context)


def _own_progress(user, project: Project) -> dict[str, int]:
    """How many tasks of the project this person has done: today (in the server's time zone) and in all."""
    return overview.own_progress(user, [project]).get(project.pk, {"today": 0, "total": 0})


@require_POST
def measure(request: PageRequest, slug: str) -> HttpResponse:
    """Measure agreement now. For those who oversee the project."""
    project = project_for(request.user, slug, OVERSEERS)
    agreement.request_measuring(project=project, actor=request.user)
    messages.info(request, _("Agreement is being measured. Load the page again in a moment."))
    return redirect("project", project.slug)


# --- Working ----------------------------------------------------------------------------------------------------------


@require_POST
def claim(request: PageRequest, slug: str) -> HttpResponse:
    """Take the next task of the project. For its approved annotators."""
    project = project_for(request.user, slug, [Role.ANNOTATOR])
    slot = _next_slot(request, project)
    return redirect("work", slug, slot.code) if slot else redirect("project", slug)


@require_GET
def work(request: PageRequest, slug: str, code: UUID) -> HttpResponse:
    """A task of one's own. Reading it again changes nothing."""
    slot = slot_for(request.user, slug, code)
    return render(request, "annotate/rank.html", _desk(request, slot, RankingForm(slot=slot)))


@require_POST
def submit(request: PageRequest, slug: str, code: UUID) -> HttpResponse:
    """Record the answer and show the next task, in this one request. For the slot's holder."""
    slot = slot_for(request.user, slug, code)
    form = RankingForm(request.POST, slot=slot)
    if form.is_valid():
        try:
            ledger.submit(
                slot=slot,
                ranking=ledger.Ranking(slot.project.question, form.tiers),
                idempotency_key=form.cleaned_data["key"],
                guideline=form.cleaned_data["guideline"],
                display_order=form.display_order,
                active_seconds=form.cleaned_data["active_seconds"],
            )
        except Refused as refused:
            form.add_error(None, str(refused))
    if not form.is_valid():
        template = "annotate/rank.html#desk" if request.htmx else "annotate/rank.html"
        return render(request, template, _desk(request, slot, form), status=422)
    return _go_on(request, slot.project, _("Saved."))


@require_POST
def skip(request: PageRequest, slug: str, code: UUID) -> HttpResponse:
    """Give the task back and show the next one. For the slot's holder."""
    slot = slot_for(request.user, slug, code)
    form = SkipForm(request.POST)
    if not form.is_valid():
        messages.error(request, str(form.errors["reason"][0]))
        return redirect("work", slug, code)
    ledger.skip(slot=slot, reason=form.cleaned_data["reason"])
    return _go_on(request, slot.project, _("Skipped."))


def _go_on(request: PageRequest, project: Project, saved: str) -> HttpResponse:
    """The next task in place of the last one; without htmx, or when there is none, another page."""
    slot = _next_slot(request, project)
    if slot and request.htmx:
        slot = slot_for(request.user, project.slug, slot.code)
        context = _desk(request, slot, RankingForm(slot=slot)) | {"saved": saved}
        response = render(request, "annotate/rank.html#desk", context)
        response["HX-Push-Url"] = reverse("work", args=[project.slug, slot.code])
        return response
    messages.success(request, saved)
    address = reverse("work", args=[project.slug, slot.code]) if slot else reverse("project", args=[project.slug])
    return HttpResponseClientRedirect(address) if request.htmx else redirect(address)


def _next_slot(request: PageRequest, project: Project) -> Slot | None:
    """Claim a task. None, with a message that says why, when there is none to be had."""
    annotator = annotator_of(request.user)
    try:
        slot = ledger.claim(annotator=annotator, project=project) if annotator else None
    except Refused as refused:
        messages.error(request, str(refused))
        return None
    if slot is None:
        messages.info(request, _("There is nothing more for you to do here at the moment. Thank you."))
    return slot


def _desk(request: PageRequest, slot: Slot, form: RankingForm) -> dict:
    """All that the ranking page shows."""
    guideline = form.current_guideline
    return {
        "slot": slot,
        "project": slot.project,
        "question": slot.project.question,
        "turns": [turn | {"html": markdown_html(turn["content"])} for turn in slot.task.conversation],
        "form": form,
        "outputs": [output | {"html": markdown_html(output["completion"].text)} for output in form.outputs()],
        "guideline": guideline,
        "guideline_html": markdown_html(guideline.text) if guideline else "",
        "own": _own_progress(request.user, slot.project),
        "over": slot.status in (Status.EXPIRED, Status.SKIPPED),
        "answered": slot.status in (Status.SUBMITTED, Status.EXTRA),
    }
