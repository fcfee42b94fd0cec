"""Export what people judged in a project and, with --out, put the files into a folder."""

import json

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from annotate.models import Project
from curation.models import Export
from curation.services.exports import request_export

from ._written import add_arguments, check_folder, finish

CHOSEN = ("kind", "unit", "shape", "ties", "margin", "reliability", "since")


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("project", help="the project's slug")
        kinds = [kind for kind in Export.Kind.values if kind != Export.Kind.SFT]
        parser.add_argument("--kind", choices=kinds, help="default: preference")
        parser.add_argument("--unit", choices=["judgement", "consensus"], help="default: judgement")
        parser.add_argument("--shape", choices=Export.Shape.values, help="default: trl")
        parser.add_argument("--ties", choices=Export.Ties.values, help="default: drop")
        parser.add_argument("--margin", help="“strength”, or the key of a rating question")
        parser.add_argument("--reliability", choices=Export.Reliability.values, help="default: equal")
        parser.add_argument("--filters", type=json.loads, default={}, help='such as {"batches": ["first"]}')
        parser.add_argument("--since", help="the id of an export: only what changed since")
        add_arguments(parser)

    def handle(self, *args, project, test_share, salt, out, filters, **options):
        found = Project.objects.filter(slug=project).first()
        if found is None:
            raise CommandError(f"There is no project “{project}”.")
        check_folder(out)
        asked = {name: options[name] for name in CHOSEN if options[name]}
        try:
            if "since" in asked:
                asked["since"] = Export.objects.filter(pk=asked["since"]).first()
                if asked["since"] is None:
                    raise CommandError("There is no export of this id.")
            export = request_export(
                project=found, actor=None, test_share=test_share, salt=salt, filters=filters, send=False, **asked
            )
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        finish(self, export, out)
