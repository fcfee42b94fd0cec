"""What annotators know and where they belong: it decides which tasks they are given.

Each change lets them look again at what was not for them when they passed it.
"""

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.languages import LANGUAGE, as_written
from annotate.models import Annotator, Enrolment, Level
from annotate.services import way_in
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


@transaction.atomic
def verify_level(*, annotator: Annotator, language: str, level: str, actor) -> None:
    """Somebody has looked at how well the annotator knows a language. With "" for the level what was verified is gone.

    Whoever waited for it only goes on. Raises ValidationError for what is no language or no level.
    """
    if not LANGUAGE.fullmatch(language) or level not in ("", *Level.values):
        raise ValidationError(_("Give the code of a language, such as en, and a level from A1 to C2."))
    code = as_written(language)
    waiting = annotator.enrolments.filter(status=Enrolment.Status.APPLIED).order_by("pk")
    list(waiting.select_for_update(no_key=True).values_list("pk"))  # before the annotator, as wherever both are locked
    row = Annotator.objects.select_for_update(no_key=True).get(pk=annotator.pk)
    row.verified_levels.pop(code, None)
    if level:
        by = {"level": level, "by": actor.get_username(), "at": timezone.now().isoformat()}
        row.verified_levels[code] = by
    row.save(update_fields=["verified_levels"])
    annotator.verified_levels = row.verified_levels
    for enrolment in row.enrolments.filter(status=Enrolment.Status.APPLIED).select_related("project", "annotator"):
        way_in.advance(enrolment=enrolment)
