"""What annotators know and where they belong: it decides which tasks they are given.

Each change lets them look again at what was not for them when they passed it.
"""

from collections.abc import Iterable

from django.db import transaction

from annotate.models import Annotator, Enrolment
from annotate.services.ledger import look_again


@transaction.atomic
def change_abilities(*, annotator: Annotator, languages: Iterable[str], skills: Iterable[str]) -> None:
    """Raises ValidationError for a language or skill that cannot be one."""
    annotator.languages = sorted(set(languages))
    annotator.skills = sorted({skill.lower() for skill in skills})  # as tasks name them
    annotator.full_clean()
    annotator.save(update_fields=["languages", "skills"])
    look_again(enrolments=annotator.enrolments.all())


@transaction.atomic
def move_to_team(*, enrolment: Enrolment, team: str) -> None:
    """Into this team, or with "" into none. Raises ValidationError for a name that cannot be a team's."""
    enrolment.team = team
    enrolment.full_clean()
    enrolment.save(update_fields=["team"])
    look_again(enrolments=Enrolment.objects.filter(pk=enrolment.pk))
