"""Import a dataset: JSONL, CSV, TSV or Parquet, packed with gzip or not. The whole file is taken, or nothing of it."""

import time
from pathlib import Path

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from curation.forms import names_of
from curation.models import Dataset
from curation.services.datasets import Known, request_import
from curation.tasks import import_dataset
from jobs.services import sweep


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path)
        parser.add_argument("--name", required=True, help="letters, digits and hyphens; versions share it")
        parser.add_argument("--licence", required=True, help="SPDX, such as CC-BY-4.0")
        parser.add_argument("--language", required=True, help="such as en or zh-Hans; mul for several")
        parser.add_argument("--source", default="", help="where it comes from")
        parser.add_argument("--format", default="", choices=["", *Dataset.Format.values], help="else the name says it")
        parser.add_argument("--encoding", default="utf-8", choices=Dataset.Encoding.values)
        parser.add_argument("--columns", default="", help="of a file without a header line, separated by commas")
        parser.add_argument("--id-column", default="", help="no two rows may have the same value in it")
        parser.add_argument("--group-column", default="", help="rows with the same value always share a split")
        parser.add_argument("--leave-out-refused", action="store_true", help="take the rows that can be read")

    def handle(self, *args, file, columns, **options):
        fields = {name: options[name] for name in (
            "name", "licence", "language", "source", "format", "encoding", "id_column", "group_column",
            "leave_out_refused",
        )}  # fmt: skip
        if not file.is_file():
            raise CommandError(f"There is no file {file}.")
        try:
            with file.open("rb") as stream:
                dataset = request_import(
                    stream=stream, file_name=file.name, actor=None, send=False, column_names=names_of(columns), **fields
                )
        except Known as known:
            dataset = known.dataset
            self.stdout.write(str(known))
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        self._wait_for(dataset)
        for one in dataset.refusals[:100]:
            self.stderr.write(f"row {one['row']}, column {one['column'] or '–'}: {one['message']}")
        if not dataset.whole:
            raise CommandError(dataset.job.error)
        self.stdout.write(f"{dataset.pk} {dataset.title}: {dataset.rows} rows, {dataset.refused} refused")
        self.stdout.write(", ".join(f"{column['name']} ({column['kind']})" for column in dataset.columns))

    def _wait_for(self, dataset: Dataset) -> None:
        """Do the import here, or, if another process has it, wait; one that died is followed after a while."""
        said = False
        while True:
            import_dataset(str(dataset.job_id))
            dataset.refresh_from_db()
            dataset.job.refresh_from_db()
            if dataset.job.ended:
                return
            if not said:
                self.stdout.write("Another process is at it, or died a moment ago; waiting.")
                said = True
            time.sleep(2)
            sweep()
