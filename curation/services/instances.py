"""What templates make of a dataset: an instance for each row that is not dropped.

Instances are made in the order of the rows; what a template chooses at random depends on the seed, the template and
the row's number alone, so the same dataset, template and seed give the same file, in shards or not.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.dataset as parquet
import pyarrow.parquet as pq
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from curation.locks import alone_with
from curation.models import USUAL_SEED, Dataset, InstanceSet, Template
from curation.rendering import TemplateError
from curation.services import blobs, shards
from curation.services.stretches import DROPPED, INSTANCES, exemplars_of, render_stretch
from curation.services.templates import check_columns, check_whole, explained, seed_of, source_of
from curation.tables import rows_between
from jobs.models import Job, JobError
from jobs.services import enqueue

JOB = "curation.build_instances"


def request_instances(*, dataset: Dataset, template: Template, seed: str, actor, send: bool = True) -> InstanceSet:
    """Start to render all rows of a dataset. One that is there already is returned; one that failed is started again.

    Raises ValidationError where the dataset is not whole, is another than the template's, or lacks a column that the
    template reads.
    """
    check_whole(dataset)
    if dataset.name != template.dataset:  # names of instances would mean two things
        raise ValidationError(_("The template is written for the dataset “%(name)s”.") % {"name": template.dataset})
    check_columns(template, dataset)
    key = f"{dataset.pk}:{template.pk}:{seed}"
    with alone_with(f"instances {key}"):
        found = InstanceSet.objects.filter(dataset=dataset, template=template, seed=seed).select_related("job").first()
        if found and (found.whole or found.job.state != Job.State.FAILED):
            return found
        if found:
            found.delete()
        about = {"dataset": str(dataset), "template": str(template)}
        job = enqueue(kind=JOB, key=key, parameters=about, actor=actor, send=send)
        made = InstanceSet(dataset=dataset, template=template, seed=seed, job=job, actor=actor)
        made.full_clean()
        made.save()
    return made


def build_instances(*, instance_set: InstanceSet, job: Job) -> None:
    """Render all rows. Raises JobError when the template fails on one: nothing is half done."""
    with blobs.workspace(f"instances-{instance_set.pk}") as folder:
        try:
            large = (instance_set.dataset.rows or 0) > shards.ROWS
            dropped, count = (shards.build if large else _write_instances)(instance_set, job, folder)
        except TemplateError as error:
            raise JobError(explained(error)) from None
        with transaction.atomic():
            table, dropped_table = blobs.keep(folder / INSTANCES), blobs.keep(folder / DROPPED)
            locked = InstanceSet.objects.select_for_update(of=["self"]).get(pk=instance_set.pk)
            if locked.whole:  # an attempt that was taken for dead came first; its bytes are the same
                return
            locked.table, locked.dropped_table, locked.instances, locked.dropped = table, dropped_table, count, dropped
            locked.save()
            locked.shards.all().delete()  # their files go with the next garbage


def _write_instances(instance_set: InstanceSet, job: Job, folder: Path) -> tuple[dict[str, int], int]:
    dataset, template = instance_set.dataset, instance_set.template
    pool = []
    if template.few_shot:
        pool = exemplars_of(dataset, source_of(template), seed_of(dataset, instance_set.seed))
    rows = dataset.rows or 0
    dropped = render_stretch(
        instance_set, 0, rows, folder, pool, lambda done: job.advance(done, rows, _("rendering the rows"))
    )
    return dict(sorted(dropped.items())), rows - dropped.total()


def instance_name(instance_set: InstanceSet, row: int) -> str:
    """What an instance is called in files and tasks. The seed is in it where it is not the usual one."""
    seed = "" if instance_set.seed == USUAL_SEED else f":{instance_set.seed}"
    return f"{instance_set.title}{seed}#{row}"


def instances_of(
    instance_set: InstanceSet, size: int = 2000, columns: list[str] | None = None
) -> Iterator[list[dict[str, Any]]]:
    """All instances, in lists of rows of SCHEMA, or of some of its columns."""
    assert instance_set.table is not None
    with pq.ParquetFile(blobs.file_of(instance_set.table)) as file:
        for batch in file.iter_batches(batch_size=size, columns=columns):
            yield batch.to_pylist()


def instances_between(instance_set: InstanceSet, start: int, count: int) -> list[dict[str, Any]]:
    assert instance_set.table is not None
    rows: list[dict[str, Any]] = rows_between(blobs.file_of(instance_set.table), start, count).to_pylist()
    return rows


def dropped_examples(instance_set: InstanceSet, most: int = 10) -> dict[str, list[int]]:
    """The numbers of the first rows that were dropped, by reason."""
    assert instance_set.dropped_table is not None
    rows = parquet.dataset(blobs.file_of(instance_set.dropped_table), format="parquet")
    return {
        reason: rows.head(most, columns=["row"], filter=parquet.field("reason") == reason)["row"].to_pylist()
        for reason in instance_set.dropped
    }
