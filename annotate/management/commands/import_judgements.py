"""Put tasks and judgements of a JSONL file into a project: all rows, or none. docs/formats.md describes the file."""

import sys
from pathlib import Path

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from annotate.models import Annotator, Project
from annotate.services.imports import ImportRefused, import_judgements
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
            default=Annotator.Kind.IMPORTED,
            choices=[kind for kind in Annotator.Kind.values if kind != Annotator.Kind.PERSON],
            help="of the annotators (default imported)",
        )

    def handle(self, *args, file, project, create, overlap, source, kind, **options):
        found = Project.objects.filter(slug=project).first()
        if found is None and not create:
            raise CommandError(f"There is no project “{project}”. Name another, or add --create.")
        if file != "-" and not Path(file).is_file():
            raise CommandError(f"There is no file {file}.")
        try:
            found = found or create_project(slug=project, name=project, overlap=overlap)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        stream = sys.stdin.buffer if file == "-" else open(file, "rb")  # noqa: SIM115 - closed below
        try:
            done = import_judgements(project=found, source=source, file=stream, kind=kind)
        except ImportRefused as refused:
            shown = "\n".join(str(error) for error in refused.errors)
            raise CommandError(f"{shown}\nNothing was imported: {refused.count} problem(s).") from None
        finally:
            stream.close()
        self.stdout.write(
            f"Tasks: {done.tasks} new, {done.tasks_known} known. "
            f"Judgements: {done.judgements} new, {done.judgements_known} known."
        )
