"""What beat calls, and the jobs of this app."""

from celery import shared_task

from annotate.models import Enrolment, Guideline, Project
from annotate.services import agreement, consensus, holding, ledger, notices
from jobs.services import attempt


@shared_task(name="annotate.expire_leases", expires=60)
def expire_leases() -> None:
    while ledger.expire_leases():
        pass


@shared_task(name="annotate.refresh_agreement", expires=60)
def refresh_agreement() -> None:
    agreement.refresh()


@shared_task(name=agreement.JOB)
def measure_agreement(job_id: str) -> None:
    with attempt(job_id) as job:
        if job:
            project = Project.objects.get(pk=job.parameters["project"])
            agreement.measure_and_keep(project=project)
            consensus.settle(project=project)


@shared_task(name=holding.JOB)
def reopen_held(job_id: str) -> None:
    with attempt(job_id) as job:
        if job:
            enrolment = Enrolment.objects.select_related("project").get(pk=job.parameters["enrolment"])
            holding.reopen_changed(enrolment=enrolment)


@shared_task(name=holding.ANEW)
def reopen_incomplete(job_id: str) -> None:
    with attempt(job_id) as job:
        if job:
            guideline = Guideline.objects.select_related("project").get(pk=job.parameters["guideline"])
            held = holding.reopen_incomplete(guideline=guideline)
            job.advance(held, held)
            agreement.request_measuring(project=guideline.project, actor=None)


@shared_task(name=notices.JOB)
def send_notice(job_id: str) -> None:
    with attempt(job_id) as job:
        if job:
            notices.send(**job.parameters)
