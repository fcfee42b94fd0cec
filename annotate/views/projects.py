"""The pages of projects. Each gets its project from `annotate.access`, which says who may."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from annotate.access import MANAGERS, OVERSEERS, REVIEWERS, project_for, projects_of, roles_in
from annotate.models import Enrolment
from annotate.rendering import markdown_html
from annotate.services import agreement, exchange, holding, overview, way_in
from jobs.requests import PageRequest


@require_GET
def projects(request: PageRequest) -> HttpResponse:
    """The projects in which the user has a role, to work in or to look after, and those he may apply to."""
    found = list(projects_of(request.user))
    overseen = list(projects_of(request.user, OVERSEERS))
    places, waiting = overview.places(overseen), overview.waiting(overseen)
    own = overview.own_progress(request.user, found)
    enrolments = Enrolment.objects.filter(annotator__user=request.user, project__in=found).select_related("project")
    context = {
        "projects": found,
        "overseen": [(one, places.get(one.pk), waiting.get(one.pk, 0)) for one in overseen],
        "open_to_apply": way_in.may_apply_to(request.user),
        "enrolments": [(one, own.get(one.project_id)) for one in enrolments.order_by("project__name")],
    }
    return render(request, "annotate/projects.html", context)


@require_GET
def project(request: PageRequest, slug: str) -> HttpResponse:
    """What a member sees of a project: its guideline and, by role, the way to work or how it goes."""
    project = project_for(request.user, slug)
    roles = roles_in(request.user, project)
    oversees, decides = bool(roles & set(OVERSEERS)), bool(roles & set(REVIEWERS))
    guideline = project.guidelines.filter(current=True).first()
    context: dict[str, Any] = {
        "project": project,
        "guideline": guideline,
        "guideline_html": markdown_html(guideline.says(get_language() or "en")["text"]) if guideline else "",
        "enrolment": Enrolment.objects.filter(annotator__user=request.user, project=project).first(),
        "own": overview.own_progress(request.user, [project]).get(project.pk, {"today": 0, "total": 0}),
        "oversees": oversees,
        "decides": decides,
        "glance": exchange.at_a_glance(project, request.user, oversees=oversees, decides=decides),
    }
    if roles & set(MANAGERS) and (changed := holding.material_change(project)):
        context |= {"changed": changed, "half_done": holding.half_done(changed)}
    if oversees:
        context |= overview.overview(project, has_guideline=guideline is not None)
        if request.user.is_staff:
            context["enrolments_admin"] = reverse("admin:annotate_enrolment_changelist")
    return render(request, "annotate/project.html", context)


@require_POST
def measure(request: PageRequest, slug: str) -> HttpResponse:
    """Measure agreement now. For those who oversee the project."""
    project = project_for(request.user, slug, OVERSEERS)
    agreement.request_measuring(project=project, actor=request.user)
    messages.info(request, _("Agreement is being measured. Load the page again in a moment."))
    return redirect("project", project.slug)
