"""Print the steps that an enrolment may take: a diagram for Mermaid, and a table of what leads to each. Needs no database."""

from django.core.management.base import BaseCommand

from annotate.models import Decision
from annotate.models.projects import APPLIED, APPROVED, PAUSED, REJECTED, TESTING, TRAINING, TRANSITIONS
from annotate.services.enrolments import AUTOMATIC, usual_kind

BEGINS = (Decision.Kind.APPLY, Decision.Kind.INVITE)
WHEN = {
    (APPLIED, TRAINING): "consent, profile and guideline are done",
    (APPLIED, TESTING): "the same, in a project without training",
    (TRAINING, TESTING): "enough of the training was right",
    (TRAINING, APPROVED): "the same, in a project without a test",
    (TRAINING, PAUSED): "training that was asked for did not end well",
    (TESTING, APPROVED): "every part of the test says yes",
    (TESTING, REJECTED): "a part of the test says no",
    (TESTING, TRAINING): "the short test after a change of the guideline was not passed",
    (APPROVED, TESTING): "a material change of the guideline was read",
    (APPROVED, PAUSED): "gold: almost certainly below the project's target, on 20 tasks or more",
}


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = []

    def handle(self, *args, **options):
        self.stdout.write(diagram())


def diagram() -> str:
    arrows = [f"    [*] --> {APPLIED}: {' or '.join(BEGINS)}"]
    rows = ["| from | to | by a person | by a rule |", "|---|---|---|---|"]
    for step in TRANSITIONS:
        (before, after), by_hand = step, usual_kind(*step)
        by_rule = f", or by the rule “{AUTOMATIC[step]}”" if step in AUTOMATIC else ""
        arrows.append(f"    {before} --> {after}: {by_hand}{by_rule}")
        rows.append(f"| {before} | {after} | {by_hand} | {WHEN.get(step, '–')} |")
    return "\n".join(["```mermaid", "stateDiagram-v2", *arrows, "```", "", *rows])
