"""Datasets: taking a file in, making its table, showing its rows.

The file is kept first, so an import that is killed is run again from the same bytes. The table is whole or not there:
it gets its version in the transaction that names it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pyarrow.parquet as pq
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from curation import tables
from curation.locks import alone_with
from curation.models import Dataset
from curation.queries import duckdb_in
from curation.reading import LIST, OBJECT, Problem, Survey, Unreadable, batches, survey
from curation.services import blobs
from curation.services.reading import prepared, reading_of, reading_sha256
from jobs.models import Job, JobError
from jobs.services import enqueue

JOB = "curation.import_dataset"
IDS_AT_ONCE = 200_000


class Known(Exception):
    """This file, read in this way, is a dataset already or about to be: `dataset`."""

    def __init__(self, dataset: Dataset) -> None:
        message = (
            _("This file is there already, as %(dataset)s.") if dataset.whole else _("This file is being imported.")
        )
        super().__init__(message % {"dataset": dataset})
        self.dataset = dataset


def request_import(
    *, stream: BinaryIO, file_name: str, actor, send: bool = True, splits: Sequence[str] = (), **fields: Any
) -> Dataset:
    """Keep the file and start the import. `fields` are those of the model: name, licence, language, …

    A tar holds several files; `splits` gives the split of each in order, else their names do. How the file is read is
    found where it is not given (`curation.services.reading`). Raises ValidationError for fields that the model does
    not allow, before the file is kept, and Known for a file that was imported in the same way before, whatever it was
    called.
    """
    with blobs.received(stream) as path:
        dataset, _reasons = prepared(path=path, file_name=file_name, splits=splits, check=_check, **fields)
        dataset.actor, dataset.reading_sha256 = actor, reading_sha256(dataset)
        with transaction.atomic():
            dataset.file = blobs.keep(path)
            dataset.job = enqueue(
                kind=JOB,
                key=f"{dataset.file_id}:{dataset.reading_sha256}",
                parameters={"file": dataset.file_name, "name": dataset.name},
                actor=actor,
                send=send,
            )
            # Asked after the job is there: one that ended just before has left its table, one that goes on is that job.
            same = Dataset.objects.whole().filter(**_same_as(dataset)) | Dataset.objects.filter(job=dataset.job)
            if known := same.first():
                raise Known(known)
            dataset.save()
    return dataset


def _check(dataset: Dataset) -> None:
    dataset.full_clean(exclude=["file", "job", "reading_sha256"], validate_unique=False, validate_constraints=False)


def _same_as(dataset: Dataset) -> dict[str, Any]:
    return {"file": dataset.file_id, "reading_sha256": dataset.reading_sha256}


def remove_failed(*, dataset: Dataset) -> None:
    """Forget an import that failed. Its file goes with the next garbage."""
    with transaction.atomic():
        locked = Dataset.objects.select_for_update(of=["self"]).select_related("job").get(pk=dataset.pk)
        if locked.whole or locked.job.state != Job.State.FAILED:
            raise ValidationError(_("Only an import that failed can be removed."))
        locked.delete()


# --- The import -------------------------------------------------------------------------------------------------------


def import_dataset(*, dataset: Dataset, job: Job) -> None:
    """Make the table. Raises JobError where the file is refused; the refused rows then stand on the dataset."""
    with blobs.workspace(f"dataset-{dataset.pk}") as folder:
        try:
            _Import(dataset, folder, job).run()
        except Unreadable as error:
            raise JobError(str(error)) from None


class _Import:
    def __init__(self, dataset: Dataset, folder: Path, job: Job) -> None:
        self.dataset, self.folder, self.job = dataset, folder, job
        self.path = blobs.file_of(dataset.file)
        self.reading = reading_of(dataset)

    def run(self) -> None:
        found = survey(self.path, self.reading, lambda rows: self.job.advance(rows, None, _("checking the rows")))
        path = self.folder / "rows.parquet"
        if self._goes_on(found):
            self._write(found, path)
            if self.dataset.id_column and self._refuse_twins(found, path) and self.dataset.leave_out_refused:
                self._write(found, path)  # the first of them is there still, so it has rows
        if not self._goes_on(found):
            self._refuse(found)
        self._publish(found, path)

    def _goes_on(self, found: Survey) -> bool:
        return not found.refused or (self.dataset.leave_out_refused and found.taken > 0)

    def _write(self, found: Survey, path: Path) -> None:
        with pq.ParquetWriter(path, found.schema(), compression="zstd") as writer:
            done = 0
            for table in batches(self.path, self.reading, found):
                writer.write_table(table, row_group_size=table.num_rows)
                done += table.num_rows
                self.job.advance(done, found.taken, _("writing the rows"))

    def _refuse_twins(self, found: Survey, path: Path) -> int:
        """Refuse each row whose id an earlier one has; how many these are.

        DuckDB finds them, a part of the ids at a time: of all of them at once it would remember each.
        """
        before = found.refused
        columns = list(found.columns)
        names = ", ".join(f"c{number}" for number in range(len(columns)))  # DuckDB would take “a” and “A” for one
        at = f"c{columns.index(self.dataset.id_column)}"
        query = f"""
            WITH rows AS (
              SELECT nr, {at} AS id FROM read_parquet($path) AS file(nr, {names}) WHERE hash({at}) % $parts = $part
            ), firsts AS (SELECT id, min(nr) AS first FROM rows GROUP BY id HAVING count(*) > 1)
            SELECT nr, left(id::VARCHAR, 80), first FROM rows JOIN firsts USING (id) WHERE nr <> first
        """  # noqa: S608 - names and positions are numbers
        message = _("“%(value)s” is the id of row %(first)d too. Each row needs its own.")
        parts = found.taken // IDS_AT_ONCE + 1
        with duckdb_in(self.folder) as database:
            for part in range(parts):
                answer = database.execute(query, {"path": str(path), "parts": parts, "part": part})
                while rows := answer.fetchmany(1000):
                    for number, value, first in rows:
                        words = {"value": value, "first": first}
                        found.refuse(Problem(number, self.dataset.id_column, message % words), number)
        found.settle()
        return found.refused - before

    def _refuse(self, found: Survey) -> None:
        Dataset.objects.filter(pk=self.dataset.pk).update(
            refused=found.refused, refusals=[problem.as_dict() for problem in found.problems]
        )
        first = found.problems[0]
        message = _("%(refused)d of %(rows)d rows cannot be taken, so nothing was imported. The first is %(first)s")
        raise JobError(message % {"refused": found.refused, "rows": found.rows, "first": first})

    def _publish(self, found: Survey, path: Path) -> None:
        with alone_with(f"dataset {self.dataset.name}"):  # so that each gets a version of its own
            locked = Dataset.objects.select_for_update(of=["self"]).get(pk=self.dataset.pk)
            if locked.whole:  # an attempt that was taken for dead came first
                return
            if known := Dataset.objects.whole().filter(**_same_as(locked)).first():
                raise JobError(str(Known(known)))
            locked.table = blobs.keep(path)
            locked.rows, locked.refused = found.taken, found.refused
            locked.refusals = [problem.as_dict() for problem in found.problems]
            locked.columns = [
                {"name": one.name, "kind": one.kind, "empty": found.taken - one.filled}
                for one in found.columns.values()
            ]
            last = Dataset.objects.filter(name=locked.name).aggregate(last=Max("version"))["last"]
            locked.version = (last or 0) + 1
            locked.save()


# --- Reading ----------------------------------------------------------------------------------------------------------


def rows_of(dataset: Dataset, start: int, count: int) -> list[dict[str, Any]]:
    """Rows `start` (from 0) to `start + count`, as a template sees them: [{"number": …, "values": {…}}]."""
    assert dataset.table is not None
    nested = [column["name"] for column in dataset.columns if column["kind"] in (LIST, OBJECT)]
    table = tables.rows_between(blobs.file_of(dataset.table), start, count)
    return [{"number": row.pop("_row"), "values": restored(row, nested)} for row in table.to_pylist()]


def rows_numbered(dataset: Dataset, numbers: list[int]) -> dict[int, dict[str, Any]]:
    """The values of the rows with these numbers, ascending, by number. What no template reads is left as stored."""
    assert dataset.table is not None
    path = blobs.file_of(dataset.table)
    table = pq.read_table(
        path, filters=[("_row", ">=", numbers[0]), ("_row", "<=", numbers[-1]), ("_row", "in", numbers)]
    )
    return {row.pop("_row"): row for row in table.to_pylist()}


def batches_of(dataset: Dataset, size: int = 2000) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    """All rows, in lists of (number, values)."""
    assert dataset.table is not None
    nested = [column["name"] for column in dataset.columns if column["kind"] in (LIST, OBJECT)]
    with tables.opened(blobs.file_of(dataset.table)) as file:
        for batch in tables.batches_of(file, size):
            yield [(row.pop("_row"), restored(row, nested)) for row in batch.to_pylist()]


def restored(row: dict[str, Any], nested: list[str]) -> dict[str, Any]:
    """The row with its lists and objects, which the table holds as JSON text."""
    for name in nested:
        if row[name] is not None:
            row[name] = orjson.loads(row[name])
    return row
