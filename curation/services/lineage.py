"""From a row of an export to the judgements behind it, and from a person to the exports that hold his work.

Lineage is by ids that the rows carry; a task that was made of a dataset names its row and its template.
"""

import re
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from django.db.models import QuerySet

from annotate.models import Annotation, Annotator
from curation.models import Dataset, Export, InstanceSet
from curation.services import blobs
from curation.tables import opened, rows_between

INSTANCE = re.compile(r"(?P<dataset>.+)@(?P<version>\d+)/(?P<template>.+)@(?P<of>\d+)#(?P<row>\d+)")


@dataclass(frozen=True)
class Lineage:
    """Of one row: what it says, who said it, under which guideline, of which task and dataset row."""

    row: dict[str, Any]
    split: str
    annotations: list[Annotation]
    dataset: Dataset | None
    dataset_row: int | None
    instance_set: InstanceSet | None


def lineage(export: Export, row_id: str) -> Lineage | None:
    """None where the export has no such row."""
    found = _row(export, row_id)
    if found is None:
        return None
    split, row = found
    annotations = (
        Annotation.objects.filter(pk__in=row.get("annotations") or [])
        .select_related("slot__holder", "slot__task", "guideline")
        .prefetch_related("answers__question", "answers__completion", "answers__rule")
        .order_by("pk")
    )
    dataset, number, instance_set = _instance(row.get("instance") or row.get("task") or "")
    return Lineage(row, split, list(annotations), dataset, number, instance_set)


def _row(export: Export, row_id: str) -> tuple[str, dict[str, Any]] | None:
    """Looked up in the Parquet files, the column of names alone, so a million rows take a moment."""
    for file in export.files.filter(path__startswith=f"{export.kind}/").select_related("blob"):
        start, path = 0, blobs.file_of(file.blob)
        with opened(path) as parquet:
            for batch in parquet.iter_batches(batch_size=100_000, columns=["row_id"], use_threads=False):
                at = pc.index(batch.column("row_id"), pa.scalar(row_id, pa.string())).as_py()
                if at >= 0:
                    split = file.path.removeprefix(f"{export.kind}/").partition("-")[0]
                    return split, rows_between(path, start + at, 1).to_pylist()[0]
                start += batch.num_rows
    return None


def _instance(name: str) -> tuple[Dataset | None, int | None, InstanceSet | None]:
    said = INSTANCE.fullmatch(name)
    if said is None:
        return None, None, None
    dataset = Dataset.objects.filter(name=said["dataset"], version=int(said["version"])).first()
    made = InstanceSet.objects.filter(
        dataset=dataset, template__name=said["template"], template__version=int(said["of"])
    ).first()
    return dataset, int(said["row"]), made if dataset else None


def exports_with(annotator: Annotator) -> QuerySet[Export]:
    """The exports that hold work of somebody, newest first."""
    found = Export.objects.filter(annotators=annotator).select_related("project", "job", "actor")
    return found.prefetch_related("instance_sets__dataset")
