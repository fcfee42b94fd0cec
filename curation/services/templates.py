"""Templates, their previews on real rows, and what they make of a dataset.

Templates are written by people and rendered in a child process (`curation.rendering`). Instances are made in the
order of the rows; what a template chooses at random depends on the seed, the template and the row's number alone, so
the same dataset, template and seed give the same file.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.dataset as parquet
import pyarrow.parquet as pq
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max, OuterRef, QuerySet, Subquery
from django.utils.translation import gettext as _

from annotate.services.tasks import prompt_sha256, sha256
from curation import rendering
from curation.locks import alone_with
from curation.models import USUAL_SEED, Dataset, InstanceSet, Template
from curation.rendering import Dropped, Instance, Renderer, TemplateError, TemplateSource
from curation.services import blobs
from curation.services.datasets import batches_of, rows_of
from curation.tables import RowWriter, rows_between
from jobs.models import Job, JobError
from jobs.services import enqueue

JOB = "curation.build_instances"
SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("input", pa.string()),
        ("target", pa.string()),
        ("answer_choices", pa.list_(pa.string())),
        ("prompt_id", pa.string()),
        ("split_group", pa.string()),
    ]
)
DROPPED_SCHEMA = pa.schema([("row", pa.int64()), ("reason", pa.string())])


def explained(error: TemplateError) -> str:
    """What is wrong with a template, in the reader's language, with its row and line as far as they are known."""
    message = _(rendering.MESSAGES[error.code]) % error.values
    if error.field == "answer_choices":
        message = _("In the answer choices: %(message)s") % {"message": message}
    if error.row is not None and error.line is not None:
        where = {"row": error.row, "line": error.line, "message": message}
        return _("Row %(row)d, line %(line)d: %(message)s") % where
    if error.line is not None:
        return _("Line %(line)d: %(message)s") % {"line": error.line, "message": message}
    if error.row is not None:
        return _("Row %(row)d: %(message)s") % {"row": error.row, "message": message}
    return message


def source_of(template: Template) -> TemplateSource:
    return TemplateSource(template.jinja, template.answer_choices)


def normalised(text: str) -> str:
    """With one kind of line end: browsers send another than files have, and what is drawn depends on the text."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def latest_templates(dataset_name: str) -> QuerySet[Template]:
    """The newest version of each template that is written for the dataset."""
    newest = Template.objects.filter(dataset=OuterRef("dataset"), name=OuterRef("name")).order_by("-version")
    return Template.objects.filter(dataset=dataset_name, pk=Subquery(newest.values("pk")[:1])).order_by("name")


def save_template(*, dataset: Dataset, actor, **fields: Any) -> Template:
    """Keep a template as its name's next version; one that says the same as the newest is that one.

    `fields` are those of the model. Raises ValidationError for what cannot be compiled or asks for columns that the
    dataset does not have.
    """
    _check_whole(dataset)
    fields |= {name: normalised(fields.get(name, "")) for name in ("jinja", "answer_choices")}
    template = Template(dataset=dataset.name, actor=actor, **fields)
    template.full_clean(exclude=["version", "sha256"], validate_unique=False, validate_constraints=False)
    source = source_of(template)
    try:
        template.columns = sorted(rendering.compile_check(source).columns)
    except TemplateError as error:
        raise ValidationError({error.field: explained(error)}) from None
    _check_columns(template, dataset)
    template.sha256 = source.sha256
    with alone_with(f"template {dataset.name}/{template.name}"):
        versions = Template.objects.filter(dataset=dataset.name, name=template.name)
        newest = versions.order_by("-version").first()
        same = ("sha256", "task_type", "language")
        if newest and all(getattr(newest, name) == getattr(template, name) for name in same):
            return newest
        template.version = (versions.aggregate(last=Max("version"))["last"] or 0) + 1
        template.save()
    return template


def _check_whole(dataset: Dataset) -> None:
    if not dataset.whole:
        raise ValidationError(_("The dataset is not imported yet."))


def _check_columns(template: Template, dataset: Dataset) -> None:
    """Raises ValidationError where the dataset lacks a column that the template reads."""
    known = {column["name"].replace("-", "_") for column in dataset.columns}
    if missing := [column for column in template.columns if column not in known]:
        message = _("There is no column “%(missing)s”. The dataset has: %(known)s.")
        words = {"missing": "”, “".join(missing), "known": ", ".join(sorted(known))}
        raise ValidationError({"jinja": message % words})


def preview(
    *, dataset: Dataset, source: TemplateSource, seed: str, start: int, count: int
) -> list[tuple[dict[str, Any], Instance | Dropped]]:
    """What a template makes of some rows, each with its row. Raises TemplateError."""
    rows = rows_of(dataset, start, count)
    with Renderer(source, seed=_seed(dataset, seed)) as renderer:
        made = renderer.render([(row["number"], row["values"]) for row in rows])
    return list(zip(rows, made, strict=True))


def _seed(dataset: Dataset, seed: str) -> str:
    return f"{seed}:{dataset.file_id}"


# --- Instances --------------------------------------------------------------------------------------------------------


def request_instances(*, dataset: Dataset, template: Template, seed: str, actor, send: bool = True) -> InstanceSet:
    """Start to render all rows of a dataset. One that is there already is returned; one that failed is started again.

    Raises ValidationError where the dataset is not whole, is another than the template's, or lacks a column that the
    template reads.
    """
    _check_whole(dataset)
    if dataset.name != template.dataset:  # names of instances would mean two things
        raise ValidationError(_("The template is written for the dataset “%(name)s”.") % {"name": template.dataset})
    _check_columns(template, dataset)
    key = f"{dataset.pk}:{template.pk}:{seed}"
    with alone_with(f"instances {key}"):
        found = InstanceSet.objects.filter(dataset=dataset, template=template, seed=seed).select_related("job").first()
        if found and found.job.state != Job.State.FAILED:
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
            dropped, count = _write_instances(instance_set, job, folder)
        except TemplateError as error:
            raise JobError(explained(error)) from None
        table, dropped_table = blobs.keep(folder / "instances.parquet"), blobs.keep(folder / "dropped.parquet")
    with transaction.atomic():
        locked = InstanceSet.objects.select_for_update(of=["self"]).get(pk=instance_set.pk)
        if locked.whole:  # an attempt that was taken for dead came first; its bytes are the same
            return
        locked.table, locked.dropped_table, locked.instances, locked.dropped = table, dropped_table, count, dropped
        locked.save()


def _write_instances(instance_set: InstanceSet, job: Job, folder: Path) -> tuple[dict[str, int], int]:
    dataset = instance_set.dataset
    reasons: Counter[str] = Counter()
    with (
        Renderer(source_of(instance_set.template), seed=_seed(dataset, instance_set.seed)) as renderer,
        RowWriter(folder / "instances.parquet", SCHEMA) as instances,
        RowWriter(folder / "dropped.parquet", DROPPED_SCHEMA) as dropped,
    ):
        done = 0
        for rows in batches_of(dataset):
            for (_number, values), made in zip(rows, renderer.render(rows), strict=True):
                if isinstance(made, Dropped):
                    reasons[made.reason] += 1
                    dropped.write({"row": made.row, "reason": made.reason})
                else:
                    instances.write(_instance_row(dataset, values, made))
            done += len(rows)
            job.advance(done, dataset.rows, _("rendering the rows"))
    return dict(sorted(reasons.items())), instances.rows


def _instance_row(dataset: Dataset, values: dict[str, Any], made: Instance) -> dict[str, Any]:
    return {
        "row": made.row,
        "input": made.input,
        "target": made.target,
        "answer_choices": list(made.answer_choices),
        "prompt_id": prompt_sha256([{"role": "user", "content": made.input}]),
        "split_group": split_group(dataset, values),
    }


def split_group(dataset: Dataset, values: dict[str, Any]) -> str:
    """What decides the split of all that is made of a row, in every version of the dataset.

    The value of the group column; else the id; else all that the row says. A row without a value is no group with
    the others that have none.
    """
    named = ((column, values.get(column)) for column in (dataset.group_column, dataset.id_column) if column)
    column, said = next(((column, value) for column, value in named if value not in (None, "")), ("", values))
    return sha256(orjson.dumps([dataset.name, column, said], option=orjson.OPT_SORT_KEYS))


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
