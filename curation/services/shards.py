"""A large dataset in shards: each a stretch of rows with a job of its own, so that more workers make it faster.

The job of the whole does shards itself while any is left that nobody has taken, so one worker is enough; then it waits
for those of others. What a shard made is a file until the whole is put together, in order, to the bytes that one
process would have written. A worker that is killed loses its own shard; when the job of the whole is run again, it
finds those that are done.
"""

import time
from collections import Counter
from pathlib import Path

import orjson
from django.db import transaction
from django.db.models import Sum
from django.utils.translation import gettext as _

from curation.locks import alone_with
from curation.models import InstanceSet, Shard
from curation.rendering import TemplateError
from curation.services import blobs
from curation.services.stretches import DROPPED, DROPPED_SCHEMA, INSTANCES, SCHEMA, exemplars_of, render_stretch
from curation.services.templates import explained, seed_of, source_of
from curation.shots import Exemplar
from curation.tables import join
from jobs.models import Job, JobError
from jobs.services import attempt, enqueue

JOB = "curation.render_shard"
ROWS = 50_000  # of a shard
PATIENCE = 0.3  # seconds between looks at the shards of others


def build(instance_set: InstanceSet, job: Job, folder: Path) -> tuple[dict[str, int], int]:
    """Render all rows into INSTANCES and DROPPED in the folder. How many were dropped, by reason, and how many not."""
    _make_shards(instance_set, job, folder)
    while waiting := [shard for shard in _shards(instance_set) if shard.table_id is None]:
        if failed := next((shard for shard in waiting if shard.job.state == Job.State.FAILED), None):
            raise JobError(failed.job.error)
        _tell(instance_set, job)
        if free := next((shard for shard in waiting if shard.job.state == Job.State.QUEUED), None):
            with attempt(free.job_id) as mine:
                if mine:
                    render(mine, whole=job)
        else:
            time.sleep(PATIENCE)
    job.advance(instance_set.dataset.rows or 0, instance_set.dataset.rows, _("putting the shards together"))
    shards = _shards(instance_set)
    count = join((blobs.file_of(shard.table) for shard in shards if shard.table), folder / INSTANCES, SCHEMA)
    dropped_files = (blobs.file_of(shard.dropped_table) for shard in shards if shard.dropped_table)
    join(dropped_files, folder / DROPPED, DROPPED_SCHEMA)
    reasons: Counter[str] = Counter()
    for shard in shards:
        reasons.update(shard.dropped)
    return dict(sorted(reasons.items())), count


def _shards(instance_set: InstanceSet) -> list[Shard]:
    return list(instance_set.shards.select_related("job", "table", "dropped_table").order_by("number"))


def _make_shards(instance_set: InstanceSet, job: Job, folder: Path) -> None:
    """Once, all at once: with the pool of exemplars, which is too dear to be found out for each."""
    if instance_set.shards.exists():
        return
    dataset, template = instance_set.dataset, instance_set.template
    pool = folder / "pool.json"
    if template.few_shot:
        job.advance(0, dataset.rows, _("drawing exemplars"))
        found = exemplars_of(dataset, source_of(template), seed_of(dataset, instance_set.seed))
        pool.write_bytes(orjson.dumps([[one.split_group, one.input, one.target] for one in found]))
    with alone_with(f"shards {instance_set.pk}"):
        if instance_set.shards.exists():  # made by an attempt that was taken for dead
            return
        blob = blobs.keep(pool) if template.few_shot else None
        for number, start in enumerate(range(0, dataset.rows or 0, ROWS)):
            about = {"instance_set": str(instance_set), "number": number}
            one = enqueue(kind=JOB, key=f"{instance_set.pk}:{number}", parameters=about, actor=job.actor)
            stop = min(start + ROWS, dataset.rows or 0)
            Shard.objects.create(instance_set=instance_set, number=number, start=start, stop=stop, pool=blob, job=one)


def render(job: Job, whole: Job | None = None) -> None:
    """Render the shard of a job. `whole`: the job of the whole runs here too, and tells how far it is."""
    shard = (
        Shard.objects.select_related("instance_set__dataset__table", "instance_set__template", "pool")
        .filter(job=job)
        .first()
    )
    if shard is None or shard.table_id:
        return  # the instance set is whole, or was given up and started anew
    found = shard.instance_set
    pool = [Exemplar(*one) for one in orjson.loads(blobs.file_of(shard.pool).read_bytes())] if shard.pool else []
    size = shard.stop - shard.start

    def told(done: int) -> None:
        job.advance(done, size, _("rendering the rows"))
        if Job.objects.filter(pk=found.job_id, state__in=Job.ENDED).exists():
            raise JobError(_("The rendering that this is a part of has ended."))
        if whole:
            _tell(found, whole)

    with blobs.workspace(f"shard-{shard.pk}") as folder:
        try:
            dropped = render_stretch(found, shard.start, shard.stop, folder, pool, told)
        except TemplateError as error:
            raise JobError(explained(error)) from None
        with transaction.atomic():
            table, dropped_table = blobs.keep(folder / INSTANCES), blobs.keep(folder / DROPPED)
            Shard.objects.filter(pk=shard.pk, table=None).update(
                table=table, dropped_table=dropped_table, dropped=dropped
            )


def _tell(instance_set: InstanceSet, job: Job) -> None:
    done = instance_set.shards.aggregate(done=Sum("job__done"))["done"] or 0
    job.advance(done, instance_set.dataset.rows, _("rendering the rows"))
