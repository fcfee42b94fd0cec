"""Keep the templates of files: promptsource's templates.yaml, FLAN's patterns or our own JSON. docs/templates.md."""

from pathlib import Path

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from curation.models import Template
from curation.services.templates import import_templates

from ._named import dataset_named


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("dataset", help="its name, or name@version")
        parser.add_argument("files", type=Path, nargs="+", metavar="file")
        parser.add_argument(
            "--task-type",
            choices=Template.TaskType.values,
            default=Template.TaskType.OTHER,
            help="of templates whose file does not say it (default %(default)s)",
        )

    def handle(self, *args, dataset, files, task_type, **options):
        over = dataset_named(dataset)
        with transaction.atomic():  # the templates of all files, or of none
            for file in files:
                for kept in self._kept(over, file, task_type):
                    self.stdout.write(f"{kept.pk} {kept.title}")

    def _kept(self, over, file, task_type):
        try:
            return import_templates(
                dataset=over, file_name=file.name, content=file.read_bytes(), actor=None, task_type=task_type
            )
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error}") from None
        except ValidationError as error:
            raise CommandError("\n".join(f"{file}: {message}" for message in error.messages)) from None
