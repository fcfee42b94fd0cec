"""Keep the templates of a JSON file: a list of {name, task_type, language, jinja, answer_choices}. docs/formats.md."""

from pathlib import Path

import orjson
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from curation.forms import TemplateForm
from curation.services.templates import save_template

from ._named import dataset_named


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("dataset", help="its name, or name@version")
        parser.add_argument("file", type=Path)

    def handle(self, *args, dataset, file, **options):
        over = dataset_named(dataset)
        try:
            given = orjson.loads(file.read_bytes())
        except (OSError, orjson.JSONDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from None
        if not isinstance(given, list) or not given:
            raise CommandError(f"{file} is no list of templates.")
        known = set(TemplateForm.Meta.fields)
        with transaction.atomic():
            for number, fields in enumerate(given, 1):
                if not isinstance(fields, dict) or set(fields) - known or "jinja" not in fields:
                    raise CommandError(f"Template {number}: an object with {', '.join(sorted(known))} is needed.")
                fields = {name: value or "" for name, value in fields.items()}
                try:
                    kept = save_template(dataset=over, actor=None, **fields)
                except ValidationError as error:
                    raise CommandError(f"Template {number}: {'; '.join(error.messages)}") from None
                self.stdout.write(f"{kept.pk} {kept.title}")
