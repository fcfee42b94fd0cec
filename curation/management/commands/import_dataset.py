"""Import a dataset: JSONL, JSON, CSV, TSV, Parquet, Arrow or text, packed with gzip or zstd or not.

Several files, or a folder of them, become one dataset, each row with the split of its file: SPLIT=PATH says it, else its
name does. The whole is taken, or nothing of it. The same command after one that was killed goes on with the same file.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from curation.forms import names_of, options_of
from curation.models import Dataset
from curation.reading import PLAIN, Unreadable, bundle
from curation.reading.shapes import known
from curation.services.datasets import Known, request_import
from curation.services.reading import SUFFIXES
from curation.services.uploads import bundled
from curation.tasks import import_dataset
from jobs.services import sweep


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("paths", nargs="+", metavar="PATH", help="a file, SPLIT=FILE, or a folder")
        parser.add_argument("--name", required=True, help="letters, digits and hyphens; versions share it")
        parser.add_argument("--licence", required=True, help="SPDX, such as CC-BY-4.0")
        parser.add_argument("--language", required=True, help="such as en or zh-Hans; mul for several")
        parser.add_argument("--source", default="", help="where it comes from")
        parser.add_argument("--format", default="", choices=["", *Dataset.Format.values], help="else the name says it")
        parser.add_argument("--encoding", default="utf-8", choices=Dataset.Encoding.values)
        parser.add_argument("--columns", default="", help="of a file without a header line, separated by commas")
        parser.add_argument("--delimiter", default="", choices=["", *Dataset.Delimiter.values], help="else it is found")
        parser.add_argument("--quote", default="", choices=["", *Dataset.Quote.values], help="else it is found")
        parser.add_argument("--header", default="", choices=["", *Dataset.Header.values], help="else it is found")
        parser.add_argument("--shape", default="", choices=["", PLAIN, *known()], help="of its rows; else it is found")
        parser.add_argument("--shape-options", default="", help="name=value, separated by commas")
        parser.add_argument("--id-column", default="", help="no two rows may have the same value in it")
        parser.add_argument("--group-column", default="", help="rows with the same value always share a split")
        parser.add_argument("--leave-out-refused", action="store_true", help="take the rows that can be read")

    def handle(self, *args, paths, columns, shape_options, **options):
        fields = {name: options[name] for name in (
            "name", "licence", "language", "source", "format", "encoding", "delimiter", "quote", "header", "shape",
            "id_column", "group_column", "leave_out_refused",
        )}  # fmt: skip
        try:
            fields |= {"column_names": names_of(columns), "shape_options": options_of(shape_options)}
            with self._stream(paths) as (stream, name, splits):
                dataset = request_import(stream=stream, file_name=name, splits=splits, actor=None, send=False, **fields)
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
        self.stdout.write(self._reading(dataset))
        self.stdout.write(", ".join(f"{column['name']} ({column['kind']})" for column in dataset.columns))

    def _reading(self, dataset: Dataset) -> str:
        """How it was read, as far as that was found."""
        said = [dataset.format, dataset.delimiter, dataset.quote and f"quotes: {dataset.quote}"]
        said += [dataset.header and f"header: {dataset.header}", f"shape: {dataset.shape}"]
        said += [f"{one['name']} ({one['split'] or 'no split'})" for one in dataset.files]
        return "Read as " + ", ".join(part for part in said if part)

    @contextmanager
    def _stream(self, paths: list[str]) -> Iterator[tuple[BinaryIO, str, list[str]]]:
        """The file, or several as one, with a name and the splits that were given."""
        files = [found for path in paths for found in self._files(path)]
        if len(files) == 1 and not files[0][1]:
            with files[0][2].open("rb") as stream:
                yield stream, files[0][0], []
            return
        splits = [split for _name, split, _path in files] if any(split for _name, split, _path in files) else []
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            tar = Path(folder) / f"{len(files)}-files.tar"
            opened = [(name, stack.enter_context(path.open("rb")), path.stat().st_size) for name, _split, path in files]
            bundled(tar, opened)
            with tar.open("rb") as stream:
                yield stream, tar.name, splits

    def _files(self, given: str) -> list[tuple[str, str, Path]]:
        """Name, split if it is given, and path of each file that an argument means."""
        split, mark, rest = given.partition("=")
        path = Path(given)
        if mark and not path.exists():
            path = Path(rest)
        else:
            split = ""
        if path.is_dir():
            try:
                found = bundle.files_in(path, SUFFIXES)
            except Unreadable as error:
                raise CommandError(str(error)) from None
            if not found:
                raise CommandError(f"There is no file in {path} that could hold rows: {', '.join(SUFFIXES)}.")
            return [(str(file.relative_to(path)), split, file) for file in found]
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
        return [(path.name, split, path)]

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
