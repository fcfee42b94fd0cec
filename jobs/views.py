"""The progress fragment: it asks for itself again until the job has ended."""

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from jobs import services
from jobs.models import Job
from jobs.requests import PageRequest


@require_GET
def progress(request: PageRequest, job_id: UUID) -> HttpResponse:
    """Who may see it: whoever started the job, and admins."""
    job = get_object_or_404(Job.objects.visible_to(request.user), pk=job_id)
    response = render(request, "jobs/_progress.html", {"job": job})
    if job.ended and request.htmx:
        response["HX-Refresh"] = "true"  # the page around it shows the outcome
    return response


@require_POST
def cancel(request: PageRequest, job_id: UUID) -> HttpResponse:
    """End a job; back to the page in `next`. Who may: whoever started the job, and admins."""
    job = get_object_or_404(Job.objects.visible_to(request.user), pk=job_id)
    services.cancel(job=job)
    back = request.POST.get("next", "")
    return redirect(back if url_has_allowed_host_and_scheme(back, allowed_hosts=None) else "/")
