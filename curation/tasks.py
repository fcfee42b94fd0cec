"""The jobs of this app."""

from celery import shared_task

from curation.models import Coverage, Dataset, Export, InstanceSet
from curation.models.delivery import ExportCopy
from curation.services import blobs, coverage, datasets, delivery, exports, instances, shards, webhooks
from jobs.services import attempt


@shared_task(name=datasets.JOB)
def import_dataset(job_id: str) -> None:
    with attempt(job_id) as job:
        if job:
            datasets.import_dataset(dataset=Dataset.objects.select_related("file").get(job=job), job=job)


@shared_task(name=instances.JOB)
def build_instances(job_id: str) -> None:
    with attempt(job_id) as job:
        if job:
            found = InstanceSet.objects.select_related("dataset__table", "template").get(job=job)
            instances.build_instances(instance_set=found, job=job)


@shared_task(name=shards.JOB)
def render_shard(job_id: str) -> None:
    with attempt(job_id) as job:
        if job:
            shards.render(job)


@shared_task(name=coverage.JOB)
def report_coverage(job_id: str) -> None:
    with attempt(job_id) as job:
        if job:
            report = Coverage.objects.select_related("instance_set__dataset", "instance_set__table").get(job=job)
            coverage.build(report=report, job=job)


@shared_task(name=exports.JOB)
def build_export(job_id: str) -> None:
    with attempt(job_id) as job:
        if job:
            export = Export.objects.select_related("project", "selection", "settled", "since").get(job=job)
            exports.build_export(export=export, job=job)
    delivery.look()


@shared_task(name=delivery.COPY)
def copy_export(job_id: str) -> None:
    with attempt(job_id) as job:
        if job:
            copy = ExportCopy.objects.select_related("export").get(pk=job.parameters["copy"])
            delivery.copy_export(copy=copy, job=job)


@shared_task(name=delivery.LOOK, expires=60)
def look() -> None:
    delivery.look()


@shared_task(name=webhooks.SEND)
def send_webhook(delivery_id: str) -> None:
    webhooks.send(delivery_id=delivery_id)


@shared_task(name="curation.collect_garbage", expires=3600)
def collect_garbage() -> None:
    blobs.collect_garbage()
