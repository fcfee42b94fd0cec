"""Make a project of a preset: with its questions, rules and guideline, ready for tasks and people."""

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from annotate import presets
from annotate.models import Project
from annotate.models.projects import LANGUAGES
from annotate.services.presets import create_from_preset


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("--preset", required=True, choices=presets.slugs())
        parser.add_argument("--slug", required=True, help="in addresses and exports")
        parser.add_argument("--name", required=True)
        parser.add_argument("--language", default="en", choices=LANGUAGES, help="of its own words (default en)")
        parser.add_argument("--manager", help="name of the user who manages it")
        parser.add_argument("--status", default=Project.Status.OPEN, choices=Project.Status.values)

    def handle(self, *args, preset, slug, name, language, manager, status, **options):
        actor = get_user_model().objects.filter(username=manager).first() if manager else None
        if manager and actor is None:
            raise CommandError(f"There is no user “{manager}”.")
        try:
            made = create_from_preset(
                preset=preset, slug=slug, name=name, language=language, actor=actor, status=status
            )
        except ValidationError as error:
            said = [f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items()]
            raise CommandError("; ".join(said)) from None
        asked = ", ".join(made.questions.current().values_list("key", flat=True))
        self.stdout.write(f"{made.slug}: asks {asked}")
