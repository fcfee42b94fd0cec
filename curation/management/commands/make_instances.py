"""Render all rows of a dataset with its templates: instances, and dropped rows with reasons."""

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from curation.models import USUAL_SEED
from curation.services.instances import request_instances
from curation.tasks import build_instances

from ._named import dataset_named, templates_named


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("dataset", help="its name, or name@version")
        parser.add_argument("templates", nargs="*", help="names of templates; all of the dataset's if there are none")
        parser.add_argument("--seed", default=USUAL_SEED, help="of what templates choose at random")

    def handle(self, *args, dataset, templates, seed, **options):
        over = dataset_named(dataset)
        for template in templates_named(over, templates):
            try:
                made = request_instances(dataset=over, template=template, seed=seed, actor=None, send=False)
            except ValidationError as error:
                raise CommandError("; ".join(error.messages)) from None
            build_instances(str(made.job_id))
            made.refresh_from_db()
            made.job.refresh_from_db()
            if not made.whole:
                raise CommandError(f"{template.title}: {made.job.error or f'the job is {made.job.state}'}")
            dropped = ", ".join(f"{count} {reason}" for reason, count in made.dropped.items())
            self.stdout.write(f"{made.pk} {made.title}: {made.instances} instances, dropped: {dropped or 'none'}")
