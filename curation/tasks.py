"""The jobs of this app."""

from celery import shared_task

from curation.models import Export
from curation.services import exports
from jobs.services import attempt


@shared_task(name=exports.JOB)
def build_export(job_id: str) -> None:
    with attempt(job_id) as job:
        if job:
            export = Export.objects.select_related("project", "selection").get(job=job)
            exports.build_export(export=export, job=job)
