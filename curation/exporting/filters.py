"""What goes into an export of a project, as the request says it: checked here, applied by `curation.services.selecting`.

Empty filters take all judgements that count. In unit consensus they choose tasks: one is in when a judgement of it passes.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

WORK, GOLD = "work", "gold"
MOST_PEOPLE_HELD_OUT = 0.9


class Wrong(ValueError):
    """A filter that cannot be. `field` names it."""

    def __init__(self, field: str, says: str) -> None:
        super().__init__(says)
        self.field, self.says = field, says


@dataclass(frozen=True)
class Filters:
    batches: tuple[str, ...] = ()  # names; none: all, and tasks without a batch
    epochs: tuple[int, ...] = ()  # of the guideline, from 1
    states: tuple[str, ...] = ()  # of the enrolment
    answered_from: str = ""  # ISO 8601 with an offset; the moment itself is in
    answered_until: str = ""  # the moment itself is out
    least_confidence: float = 0.0  # of the consensus on the question that decides
    people_held_out: float = 0.0  # share of annotators whose work is test only
    purpose: str = WORK  # or gold: what at least two researchers agree on, all of it test

    def as_dict(self) -> dict[str, Any]:
        """What differs from the default, for the manifest and the row."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {one.name: plain[one.name] for one in fields(self) if getattr(self, one.name) != one.default}


def filters_of(given: Mapping[str, Any]) -> Filters:
    """Raises Wrong for a name that is not a filter, and for a value that is not one of its kind."""
    names = [one.name for one in fields(Filters)]
    for name in given:
        if name not in names:
            raise Wrong(name, _("There is no filter of this name. Filters: %(names)s.") % {"names": ", ".join(names)})
    found = Filters(
        batches=_list(given, "batches", str),
        epochs=_list(given, "epochs", int),
        states=_list(given, "states", str),
        answered_from=_moment(given, "answered_from"),
        answered_until=_moment(given, "answered_until"),
        least_confidence=_share(given, "least_confidence", 1.0),
        people_held_out=_share(given, "people_held_out", MOST_PEOPLE_HELD_OUT),
        purpose=given.get("purpose") or WORK,
    )
    if found.purpose not in (WORK, GOLD):
        raise Wrong("purpose", _("Either “work” or “gold”."))
    if found.answered_from and found.answered_until and found.answered_until <= found.answered_from:
        raise Wrong("answered_until", _("This lies before the beginning."))
    return found


def _list(given: Mapping[str, Any], name: str, kind: type) -> tuple[Any, ...]:
    value = given.get(name) or ()
    if not isinstance(value, list | tuple) or any(type(one) is not kind for one in value):
        what = _("whole numbers") if kind is int else _("texts")
        raise Wrong(name, _("A list of %(what)s is needed here.") % {"what": what})
    return tuple(sorted(set(value)))


def _moment(given: Mapping[str, Any], name: str) -> str:
    """In UTC, so that moments compare as texts and one moment has one text."""
    value = given.get(name) or ""
    if not value:
        return ""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError
        return moment.astimezone(UTC).isoformat(timespec="microseconds")
    except (TypeError, ValueError, OverflowError):
        raise Wrong(name, _("A time with its offset is needed, such as 2026-01-31T09:00:00+00:00.")) from None


def _share(given: Mapping[str, Any], name: str, most: float) -> float:
    value = given.get(name) or 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise Wrong(name, _("A number from 0 to %(most)s is needed here.") % {"most": most})
    return round(float(value), 6)
