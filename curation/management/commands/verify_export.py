"""Check an export's folder against its manifest, as the `verify.py` in it does, and read its Parquet files too."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
from django.core.management.base import BaseCommand, CommandError

from curation.exporting.verify import Check, manifest_of, rows_files, shape_of, shown, verify
from curation.tables import batches_of, opened

BATCH = 1000  # rows read at once
TABLES = ("selection.parquet", "settled.parquet")


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("folder", type=Path, help="an export's folder, which holds manifest.json")

    def handle(self, *args, folder, **options):
        failed, readable = 0, True
        for check in verify(folder):
            self.stdout.write(str(check))
            failed += check.failed
            readable &= not check.failed or check.name not in ("manifest.json", "files")
        if readable:
            for check in _parquet(folder):
                self.stdout.write(str(check))
                failed += check.failed
        else:
            self.stdout.write("not run  Parquet: first the files must be as the manifest states them")
        if failed:
            raise CommandError(f"{failed} checks failed.")
        self.stdout.write("All that was checked holds.")


def _parquet(folder: Path) -> Iterator[Check]:
    manifest = manifest_of(folder, Check(""))
    files = {entry["path"]: entry for entry in manifest["files"]}
    twins = rows_files(manifest, files)
    for split, twin in twins.items():
        path = f"{manifest['kind']}/{split}-00000-of-00001.parquet"
        check = Check(f"Parquet {split}")
        canonical = shape_of(manifest) == "trl"
        if path in files:
            _read(check, _compare, folder, path, twin, manifest["row_schema"] if canonical else None)
        elif canonical:
            check.fail(path, "is not listed in manifest.json")
        else:
            check.not_run = f"the shape {shape_of(manifest)} has none for this kind"
        yield check
    for path in TABLES:
        if path in files:
            check = Check(path)
            _read(check, _count, folder, path, manifest, files[path].get("rows"))
            yield check


def _read(check: Check, read: Any, folder: Path, path: str, *more: Any) -> None:
    try:
        read(check, folder, path, *more)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        check.fail(path, f"cannot be read ({error})")


def _compare(check: Check, folder: Path, path: str, twin: str, schema: dict[str, str] | None) -> None:
    """The columns are as stated, if they are, and row by row the same stands in the JSONL file."""
    with opened(folder / path) as file, (folder / twin).open("rb") as lines:
        found = {column.name: str(column.type) for column in file.schema_arrow}
        stated = found if schema is None else schema
        for name in dict.fromkeys([*stated, *found]):
            if _plain(found.get(name, "none")) != _plain(stated.get(name, "none")):
                check.fail(path, f"column {shown(name)}: expected {stated.get(name)}, found {found.get(name)}")
        rows = (row for batch in batches_of(file, BATCH) for row in batch.to_pylist())
        number = 0
        for number, (row, line) in enumerate(zip_longest(rows, lines), 1):
            if row is None or line is None:
                check.fail(f"{path} row {number}", f"{twin} has {'more' if row is None else 'fewer'} rows")
                break
            if row != orjson.loads(line):
                check.fail(
                    f"{path} row {number}", f"{twin} says something else: {_difference(row, orjson.loads(line))}"
                )
    check.says = f"{number} rows, the same as in {twin}" + ("; columns as in row_schema" if schema else "")


def _plain(kind: str) -> str:
    """Arrow names what is in a list otherwise once Parquet had it."""
    return kind.replace("<element: ", "<item: ")


def _difference(row: dict[str, Any], other: dict[str, Any]) -> str:
    name = next(name for name in [*row, *other] if row.get(name) != other.get(name) or (name in row) != (name in other))
    return f"column {shown(name)}"


def _count(check: Check, folder: Path, path: str, manifest: dict[str, Any], stated: int | None) -> None:
    """Each judgement that is in is there once, with a reliability from 0 to 1; as many as the manifest states."""
    rows, annotations, people = 0, set(), set()
    with opened(folder / path) as file:
        names = set(file.schema_arrow.names)
        for batch in batches_of(file, BATCH):
            for row in batch.to_pylist():
                rows += 1
                if "annotation" in names:
                    if row["annotation"] in annotations:
                        check.fail(f"{path} row {rows}", f"annotation {row['annotation']} stands there twice")
                    annotations.add(row["annotation"])
                if "annotator" in names:
                    people.add(row["annotator"])
                if "reliability" in names and not 0 <= row["reliability"] <= 1:
                    check.fail(f"{path} row {rows}", f"reliability {row['reliability']} is not from 0 to 1")
    if stated is not None and rows != stated:
        check.fail(path, f"expected {stated} rows, found {rows}")
    known = manifest.get("annotators")
    if known is not None and "annotator" in names:
        judged = sum(one.get("judgements", 0) for one in known)
        if judged != rows:
            check.fail(path, f"{rows} judgements, the annotators of the manifest have {judged}")
        if people != {one["pseudonym"] for one in known}:
            check.fail(path, "its annotators are not those of the manifest")
    check.says = f"{rows} rows"
