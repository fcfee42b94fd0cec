"""Taking a ready-made language test: what somebody is shown, and what follows from the answers.

Which of the options is right never leaves the server: a page has them in an order drawn for one person and one take,
and sends back only where the chosen one stood.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core import signing
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.errors import Refused
from annotate.language_tests import Item, level_of, load
from annotate.models import Annotator, Enrolment, LanguageTest, Level
from annotate.services import way_in

WAIT = timedelta(days=30)
SALT = "annotate.language_test"


@dataclass(frozen=True)
class Asked:
    """A question as one person sees it."""

    item: Item
    options: list[str]


@dataclass(frozen=True)
class Sheet:
    """One take. `started` is signed: whose it is, which one, and when the page was made."""

    language: str
    asked: list[Asked]
    started: str


def latest(annotator: Annotator, language: str) -> LanguageTest | None:
    return annotator.language_tests.filter(language=language).order_by("-pk").first()


def again_at(taken: LanguageTest | None) -> datetime | None:
    """From when on the test can be taken again; None where it can be taken now."""
    after = taken.created_at + WAIT if taken else None
    return after if after and after > timezone.now() else None


def sheet(annotator: Annotator, language: str) -> Sheet:
    """The test as this person sees it in the next take, and only then. Raises LookupError for a language without one."""
    paper, take = load(language), _takes(annotator, language)
    asked = [Asked(item, _shuffled(item, annotator, take)) for item in paper.items]
    who = {"annotator": annotator.pk, "language": language, "version": paper.version, "take": take}
    return Sheet(language, asked, signing.dumps(who | {"at": timezone.now().timestamp()}, salt=SALT))


def _takes(annotator: Annotator, language: str) -> int:
    return annotator.language_tests.filter(language=language).count()


def _shuffled(item: Item, annotator: Annotator, take: int) -> list[str]:
    options = [item.right, *item.wrong]
    random.Random(f"{item.key} {annotator.pk} {take}").shuffle(options)
    return options


@transaction.atomic
def take(*, annotator: Annotator, language: str, chosen: Mapping[str, int], started: str) -> LanguageTest:
    """Score a take, keep it, raise the verified level where it is higher than before, and let applicants go on.

    `chosen`: where the chosen option of each question stood, from 0. Raises Refused when the last take is not long
    enough ago, or the page was made for another one.
    """
    # Enrolments before the annotator, as when a profile is kept.
    applied = Enrolment.objects.filter(annotator=annotator, status=Enrolment.Status.APPLIED).order_by("pk")
    rows = list(applied.select_for_update(no_key=True, of=("self",)).select_related("project"))
    who = Annotator.objects.select_for_update(no_key=True).get(pk=annotator.pk)
    if at := again_at(latest(who, language)):
        raise Refused(
            _("You took this test less than 30 days ago. You can take it again from %(date)s on.")
            % {"date": timezone.localtime(at).date().isoformat()}
        )
    paper, number = load(language), _takes(who, language)
    begun = _read(started, {"annotator": who.pk, "language": language, "version": paper.version, "take": number})
    said = {item.key: _shuffled(item, who, number)[chosen[item.key]] for item in paper.items}
    right = sum(said[item.key] == item.right for item in paper.items)
    made = LanguageTest.objects.create(
        annotator=who,
        language=language,
        version=paper.version,
        answers=said,
        right=right,
        of=len(paper.items),
        level=level_of(right),
        seconds=max(0, round(timezone.now().timestamp() - begun)),
    )
    _verify(who, made)
    for row in rows:
        row.annotator = who
        way_in.advance(enrolment=row)
    return made


def _read(started: str, expected: Mapping[str, Any]) -> float:
    """When the page of this take was made."""
    try:
        found = signing.loads(started, salt=SALT)
    except signing.BadSignature:
        found = {}
    if {name: found.get(name) for name in expected} != expected:
        raise Refused(_("This page is out of date. Load the test again; your answers were not counted."))
    return float(found["at"])


def _verify(annotator: Annotator, made: LanguageTest) -> None:
    """Keep the level of the test where it is higher than what was verified before, by a test or by a person."""
    before = (annotator.verified_levels.get(made.language) or {}).get("level", "")
    if not made.level or (before and Level.values.index(before) >= Level.values.index(made.level)):
        return
    found = {"level": made.level, "by": "test", "at": made.created_at.isoformat()}
    annotator.verified_levels = annotator.verified_levels | {made.language: found}
    annotator.save(update_fields=["verified_levels"])
