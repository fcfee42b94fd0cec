"""Datasets, templates, instances and exports for tests, made by the verbs and jobs that people use."""

from io import BytesIO
from itertools import count
from typing import Any

import orjson

from annotate.models import Annotator
from curation.exporting.splits import is_person_held_out
from curation.models import Dataset, Export, InstanceSet, Template
from curation.services import blobs, datasets, templates
from curation.services import instances as instance_verbs
from curation.services.exports import request_sft_export
from curation.tasks import build_export, build_instances, import_dataset

JINJA = "Say it shorter: {{ text }} ||| {{ short }}"


def rows(count: int, start: int = 1) -> list[dict[str, Any]]:
    return [
        {"id": f"r{at}", "group": f"g{at // 2}", "text": f"A long text, number {at}.", "short": f"Text {at}."}
        for at in range(start, start + count)
    ]


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def dataset(rows: list[dict[str, Any]] | bytes, actor=None, **fields: Any) -> Dataset:
    """A dataset of these rows (JSONL), imported; one that is refused has a failed job."""
    fields = {"name": "texts", "licence": "CC0-1.0", "language": "en", "file_name": "texts.jsonl"} | fields
    content = rows if isinstance(rows, bytes) else jsonl(rows)
    made = datasets.request_import(stream=BytesIO(content), actor=actor, send=False, **fields)
    import_dataset(str(made.job_id))
    return Dataset.objects.select_related("job", "table").get(pk=made.pk)


def template(over: Dataset, jinja: str = JINJA, actor=None, **fields: Any) -> Template:
    fields = {"name": "shorter", "task_type": "summarisation", "language": "en"} | fields
    return templates.save_template(dataset=over, actor=actor, jinja=jinja, **fields)


def instances(over: Dataset, by: Template, seed: str = "plumbline", actor=None) -> InstanceSet:
    """All rows rendered; a template that fails on one leaves a failed job."""
    made = instance_verbs.request_instances(dataset=over, template=by, seed=seed, actor=actor, send=False)
    build_instances(str(made.job_id))
    return InstanceSet.objects.select_related("dataset__table", "template", "job", "table", "dropped_table").get(
        pk=made.pk
    )


def rendered(made: InstanceSet) -> list[dict[str, Any]]:
    return [row for batch in instance_verbs.instances_of(made) for row in batch]


def sft_export(*sets: InstanceSet, actor=None, **options: Any) -> Export:
    made = request_sft_export(instance_sets=sets, actor=actor, send=False, **options)
    build_export(str(made.job_id))
    return Export.objects.select_related("job").get(pk=made.pk)


def file_of(export: Export, path: str) -> bytes:
    return blobs.file_of(export.files.select_related("blob").get(path=path).blob).read_bytes()


def hold_out_ana_alone(world, salt: str, share: float = 0.5) -> None:
    """Give ana and ben pseudonyms by which her work is test only, and his is not: by chance both might be, or neither."""
    for name, out in (("ana", True), ("ben", False)):
        drawn = (f"p-{number}" for number in count() if is_person_held_out(f"p-{number}", salt, share) is out)
        Annotator.objects.filter(pk=world.annotator(name).pk).update(pseudonym=next(drawn))
