"""Measure how far a project's judgements agree, print it, and keep the snapshot."""

import json

from django.core.management.base import BaseCommand, CommandError

from annotate.models import Project
from annotate.services import agreement


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args, project, **options):
        found = Project.objects.filter(slug=project).first()
        if found is None:
            raise CommandError(f"There is no project “{project}”.")
        as_of, measured = agreement.measure_and_keep(project=found)
        questions = [
            {
                "question": one.question.key,
                "kind": one.question.kind,
                "epoch": one.epoch,
                "unanimous": one.unanimous[0],
                "units_with_two_or_more": one.unanimous[1],
                "measures": [figure.as_dict() for figure in one.figures],
            }
            for one in measured
        ]
        if options["json"]:
            self.stdout.write(json.dumps({"project": project, "as_of": as_of.isoformat(), "questions": questions}))
            return
        for one in questions:
            epoch = "all epochs together" if one["epoch"] is None else f"epoch {one['epoch']}"
            self.stdout.write(
                f"{one['question']}, {epoch}: unanimous on {one['unanimous']} of {one['units_with_two_or_more']} units"
            )
            for figure in one["measures"]:
                self.stdout.write(f"  {figure['name']:34} {_words(figure)}")


def _words(figure: dict) -> str:
    if figure["value"] is None:
        return f"undefined: {figure['undefined_because']}"
    interval = (
        f"{figure['low']:.4f} – {figure['high']:.4f}" if figure["low"] is not None else figure["no_interval_because"]
    )
    return f"{figure['value']:.4f} ({interval}), {figure['n_units']} units of {figure['n_groups']} prompts"
