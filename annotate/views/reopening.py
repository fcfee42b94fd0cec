"""After a material change of the guideline: tasks that are half done, and having them judged anew. For managers."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from annotate.access import MANAGERS, project_for
from annotate.services import holding
from jobs.requests import PageRequest

LATEST = 10


@require_http_methods(["GET", "HEAD", "POST"])
def reopening(request: PageRequest, slug: str) -> HttpResponse:
    """How many tasks are half done, with answers from before the change. POST, with its `version`: judge them anew."""
    project = project_for(request.user, slug, MANAGERS)
    guideline = holding.material_change(project)
    if request.method == "POST":
        if guideline is None or request.POST.get("version") != str(guideline.version):
            messages.error(request, _("The guideline has changed meanwhile, and nothing was held. Look again."))
        elif not any(holding.half_done(guideline)):
            messages.info(request, _("No task is half done any more, so nothing was held."))
        else:
            holding.request_reopening(guideline=guideline, actor=request.user)
        return redirect("reopening", slug)
    jobs = list(holding.reopenings(guideline)[:LATEST]) if guideline else []
    running = next((job for job in jobs if not job.ended), None)
    context = {
        "project": project,
        "guideline": guideline,
        "running": running,
        "found": holding.half_done(guideline) if guideline and not running else None,
        "ended": [job for job in jobs if job.ended],
        "looked_at": holding.LOOKED_AT,
    }
    return render(request, "annotate/reopening.html", context)
