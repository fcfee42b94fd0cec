"""Export a project's preference pairs and, with --out, put the files into a folder."""

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from annotate.models import Project
from curation.services.exports import request_export

from ._written import add_arguments, check_folder, finish


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("project", help="the project's slug")
        add_arguments(parser)

    def handle(self, *args, project, test_share, salt, out, **options):
        found = Project.objects.filter(slug=project).first()
        if found is None:
            raise CommandError(f"There is no project “{project}”.")
        check_folder(out)
        try:
            export = request_export(project=found, actor=None, test_share=test_share, salt=salt, send=False)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        finish(self, export, out)
