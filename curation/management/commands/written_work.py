"""Make a dataset of a project's accepted written work: demonstrations that a reviewer accepted, or that were not drawn."""

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from annotate.models import Project
from curation.services.datasets import Known
from curation.services.written import request_dataset
from curation.tasks import import_dataset


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("project", help="its slug")
        parser.add_argument("--licence", required=True, help="SPDX, such as CC-BY-4.0")
        parser.add_argument("--language", required=True, help="such as en or zh-Hans; mul for several")

    def handle(self, *args, project, licence, language, **options):
        found = Project.objects.filter(slug=project).first()
        if found is None:
            raise CommandError(f"There is no project “{project}”.")
        try:
            dataset = request_dataset(project=found, licence=licence, language=language, actor=None, send=False)
        except Known as known:
            dataset = known.dataset
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        import_dataset(str(dataset.job_id))  # does nothing for one that is there
        dataset.refresh_from_db()
        if not dataset.whole:
            raise CommandError(dataset.job.error)
        self.stdout.write(f"{dataset.pk} {dataset.title}: {dataset.rows} rows")
