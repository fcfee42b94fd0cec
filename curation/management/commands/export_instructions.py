"""Export the instances of datasets as instructions (SFT) and, with --out, put the files into a folder."""

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from curation.models import USUAL_SEED, InstanceSet
from curation.services.exports import request_sft_export

from ._named import dataset_named, templates_named
from ._written import add_arguments, check_folder, finish


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("sources", nargs="+", help="dataset, dataset@version, or either with /template")
        parser.add_argument("--seed", default=USUAL_SEED, help="of the instances (default %(default)s)")
        parser.add_argument("--cap", type=int, help="most instances of a task type, drawn by hash (default: all)")
        add_arguments(parser)

    def handle(self, *args, sources, seed, cap, test_share, salt, out, **options):
        check_folder(out)
        sets = {one.pk: one for source in sources for one in self._sets(source, seed)}
        try:
            export = request_sft_export(
                instance_sets=sets.values(), actor=None, cap=cap, test_share=test_share, salt=salt, send=False
            )
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        finish(self, export, out)

    def _sets(self, source: str, seed: str) -> list[InstanceSet]:
        name, _slash, template = source.partition("/")
        dataset = dataset_named(name)
        templates = templates_named(dataset, [template] if template else [])
        found = list(InstanceSet.objects.filter(dataset=dataset, template__in=templates, seed=seed))
        if not found:
            raise CommandError(f"Nothing is rendered of {source} with the seed {seed}. Run make_instances first.")
        return found
