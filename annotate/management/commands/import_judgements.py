"""Put tasks and judgements of a JSONL file into a project: all rows, or none. docs/formats.md describes the file."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import orjson
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from annotate import oasst
from annotate.judgement_rows import RowError
from annotate.models import Annotator, Project
from annotate.services.imports import MAX_ERRORS, ImportRefused, import_judgements
from annotate.services.projects import create_project


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("file", help="a JSONL file, or - for standard input")
        parser.add_argument("--project", required=True, help="the project's slug")
        parser.add_argument("--create", action="store_true", help="make the project if it is not there")
        parser.add_argument("--overlap", type=int, default=3, help="of a project that is made (default 3)")
        parser.add_argument("--source", required=True, help="the study: annotators of one source and name are one")
        parser.add_argument(
            "--kind",
            choices=[kind for kind in Annotator.Kind.values if kind != Annotator.Kind.PERSON],
            help="of the annotators (default imported; of trees aggregate, since their ranks are many people's)",
        )
        parser.add_argument(
            "--format",
            default="judgements",
            choices=["judgements", "oasst"],
            help="judgements (default), or oasst: trees of OpenAssistant, .jsonl or .jsonl.gz",
        )
        parser.add_argument("--lang", action="append", help="of trees: only this language; may be given more than once")

    def handle(self, *args, file, project, create, overlap, source, kind, format, lang, **options):
        found = Project.objects.filter(slug=project).first()
        if found is None and not create:
            raise CommandError(f"There is no project “{project}”. Name another, or add --create.")
        if file != "-" and not Path(file).is_file():
            raise CommandError(f"There is no file {file}.")
        if lang and format != "oasst":
            raise CommandError("--lang goes with --format oasst.")
        kind = kind or (Annotator.Kind.AGGREGATE if format == "oasst" else Annotator.Kind.IMPORTED)
        try:
            with self.rows(file, format, lang) as stream:
                found = found or create_project(slug=project, name=project, overlap=overlap)
                done = import_judgements(project=found, source=source, file=stream, kind=kind)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        except ImportRefused as refused:
            shown = "\n".join(str(error) for error in refused.errors)
            raise CommandError(f"{shown}\nNothing was imported: {refused.count} problem(s).") from None
        self.stdout.write(
            f"Tasks: {done.tasks} new, {done.tasks_known} known. "
            f"Judgements: {done.judgements} new, {done.judgements_known} known."
        )

    @contextmanager
    def rows(self, file: str, format: str, lang: list[str] | None) -> Iterator[BinaryIO]:
        """The rows to import. Those of trees are made first, into a file that is gone afterwards."""
        stream = sys.stdin.buffer if file == "-" else open(file, "rb")  # noqa: SIM115 - closed below
        with stream, tempfile.TemporaryFile() as made:
            if format == "oasst":
                counts = rows_of_trees(stream, cast(BinaryIO, made), lang)
                made.seek(0)
                self.stdout.write(said(counts))
            yield cast(BinaryIO, made) if format == "oasst" else stream


def rows_of_trees(trees: BinaryIO, into: BinaryIO, lang: list[str] | None) -> oasst.Counts:
    """Write the rows of all trees. Raises ImportRefused when one of them cannot be read."""
    counts, bad = oasst.Counts(), 0
    errors: list[RowError] = []
    for tree in oasst.trees(trees):
        if isinstance(tree, RowError):
            bad += 1
            errors += [tree][: MAX_ERRORS - len(errors)]
        else:
            into.writelines(orjson.dumps(row) + b"\n" for row in oasst.rows(tree, lang, counts))
    if bad:
        raise ImportRefused(errors, bad)
    return counts


def said(counts: oasst.Counts) -> str:
    def list_of(counter):
        return ", ".join(f"{name or 'none'} {count}" for name, count in sorted(counter.items())) or "none"

    return (
        f"Trees: {counts.trees}, messages {counts.messages}, rows {counts.rows}. Languages: {list_of(counts.languages)}.\n"
        f"Messages left out: {list_of(counts.left_out)}. Replies that make no row: {list_of(counts.no_row)}."
    )
