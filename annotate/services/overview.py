"""How projects go, for those who oversee them: what needs a decision, then figures, then who works."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Q
from django.utils import timezone
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from annotate.models import Agreement, Annotator, Enrolment, Project, Question, Slot
from annotate.services import agreement
from annotate.services.judgements import ORDERED

MOST_ANNOTATORS = 100


@dataclass(frozen=True)
class Decision:
    level: str  # of the chip: warning, info, good
    mark: str
    text: str
    enrolments: str = ""  # their state, where the decision is about enrolments


@dataclass(frozen=True)
class Agreeing:
    """How far people, or simulated annotators, agree on one question in the latest epoch."""

    question: Question
    raw: Agreement
    coefficient: Agreement

    @property
    def text(self) -> str:
        return str(self.question.says(get_language() or "en")["text"])

    @property
    def headlines(self) -> tuple[Agreement, Agreement]:
        return self.raw, self.coefficient


def raw_of(question: Question) -> str:
    """The name of the raw agreement that stands on top: of preferences without ties, as others publish it."""
    preference = question.kind in Question.PREFERENCES
    return "pairwise_agreement_any_tie_dropped" if preference else "pairwise_agreement_count"


def coefficient_of(question: Question) -> str:
    """The name of the coefficient beside it, which corrects for chance."""
    ordered = question.kind in (*Question.PREFERENCES, *ORDERED)
    return "krippendorff_alpha_ordinal" if ordered else "krippendorff_alpha_nominal"


@dataclass(frozen=True)
class Places:
    filled: int
    total: int

    @property
    def percent(self) -> int:
        return 100 * self.filled // self.total if self.total else 0


def midnight(now: datetime | None = None) -> datetime:
    """When today began, in the server's time zone."""
    return timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)


def since_midnight() -> Q:
    """Answers of today."""
    return Q(submitted_at__gte=midnight())


def own_progress(user, projects: Iterable[Project]) -> dict[int, dict[str, int]]:
    """How many tasks the user has done in each project: `today` and in all (`total`). Those without are left out."""
    own = Slot.objects.filter(project__in=projects, holder__user=user, submitted_at__isnull=False).order_by()
    counts = own.values("project").annotate(today=Count("pk", filter=since_midnight()), total=Count("pk"))
    return {row["project"]: {"today": row["today"], "total": row["total"]} for row in counts}


def places(projects: Iterable[Project]) -> dict[int, Places]:
    """Places of each project's tasks, and how many of them are filled."""
    live = Slot.objects.filter(project__in=projects, status__in=Slot.LIVE).order_by()
    counts = live.values("project").annotate(
        filled=Count("pk", filter=Q(status=Slot.Status.SUBMITTED)), total=Count("pk")
    )
    return {row["project"]: Places(row["filled"], row["total"]) for row in counts}


def waiting(projects: Iterable[Project]) -> dict[int, int]:
    """How many people wait to be let in, by project. Projects where nobody waits are left out."""
    applied = Enrolment.objects.filter(project__in=projects, status=Enrolment.Status.APPLIED).order_by()
    return dict(applied.values_list("project").annotate(Count("pk")))


def overview(project: Project, *, has_guideline: bool) -> dict:
    """All that the project's page shows to those who oversee it."""
    filled = places([project]).get(project.pk, Places(0, 0))
    measured = list(agreement.latest(project))
    of_people, of_simulated = (agreeing(measured, population) for population in Agreement.Population)
    people_agree = any(one.value is not None for one in measured if one.population == Agreement.Population.PEOPLE)
    today = project.slots.filter(since_midnight()).aggregate(answers=Count("pk"), people=Count("holder", distinct=True))
    return {
        "places": filled,
        "today": today,
        "as_of": measured[0].as_of if measured else None,
        "agreeing": of_people,
        "simulated_agreeing": of_simulated,
        "people_agree": people_agree,
        "deciding": _deciding(of_people if people_agree or not of_simulated else of_simulated),
        "people": _people(project),
        "decisions": _decisions(project, filled, has_guideline),
    }


def of_latest_epoch(measured: Iterable[Agreement], population: str) -> dict[str, dict[str, Agreement]]:
    """The figures by question and measure, each question's of its latest epoch: epochs are never mixed.

    Those across all epochs stand in only where there are no others: in a snapshot from before there were epochs.
    """
    found: dict[str, dict[str, Agreement]] = {}
    epochs: dict[str, int] = {}
    for one in measured:
        if one.population != population:
            continue
        key, epoch = one.question.key, -1 if one.epoch is None else one.epoch
        if epoch > epochs.get(key, -2):
            epochs[key], found[key] = epoch, {}
        if epoch == epochs[key]:
            found[key][one.metric] = one
    return found


def agreeing(measured: Iterable[Agreement], population: str) -> list[Agreeing]:
    """The headline figures of each question that was measured, in the questions' order."""
    found = []
    for figures in of_latest_epoch(measured, population).values():
        question = next(iter(figures.values())).question
        raw, coefficient = figures.get(raw_of(question)), figures.get(coefficient_of(question))
        if raw and coefficient:
            found.append(Agreeing(question, raw, coefficient))
    return found


def _deciding(found: list[Agreeing]) -> Agreeing | None:
    """The question whose figures stand on top: the first that asks for a preference, else the first."""
    preference = (one for one in found if one.question.kind in Question.PREFERENCES)
    return next(preference, found[0] if found else None)


def _people(project: Project) -> list[dict]:
    """Who has answered, with the kind in words and the state of the enrolment, if there is one."""
    answered = (
        project.slots.filter(submitted_at__isnull=False)
        .order_by()
        .values("holder__pseudonym", "holder__kind")
        .annotate(number=Count("pk"), counting=Count("pk", filter=Q(status=Slot.Status.SUBMITTED)))
        .annotate(latest=Max("submitted_at"))
        .order_by("-number", "holder__pseudonym")
    )
    enrolled = dict(project.enrolments.values_list("annotator__pseudonym", "status"))
    people = []
    for row in answered[:MOST_ANNOTATORS]:
        state = enrolled.get(row["holder__pseudonym"])
        words = {
            "kind_label": Annotator.Kind(row["holder__kind"]).label,
            "state_label": Enrolment.Status(state).label if state else "",
            "works": state in (None, Enrolment.Status.APPROVED),
        }
        people.append({**row, **words})
    return people


def _decisions(project: Project, places: Places, has_guideline: bool) -> list[Decision]:
    """What waits for somebody who may decide, the most pressing first. None while all goes by itself."""
    states = dict(project.enrolments.order_by().values_list("status").annotate(Count("pk")))
    found = []
    if waiting := states.get(Enrolment.Status.APPLIED, 0):
        text = ngettext("%(n)d person waits to be let in.", "%(n)d people wait to be let in.", waiting)
        found.append(Decision("warning", _("applied"), text % {"n": waiting}, Enrolment.Status.APPLIED))
    if paused := states.get(Enrolment.Status.PAUSED, 0):
        text = ngettext("%(n)d annotator is paused.", "%(n)d annotators are paused.", paused)
        found.append(Decision("warning", _("paused"), text % {"n": paused}, Enrolment.Status.PAUSED))
    if skipped := _skipped_by_two(project):
        text = ngettext(
            "%(n)d task was skipped by two people or more.", "%(n)d tasks were skipped by two people or more.", skipped
        )
        found.append(Decision("warning", _("skipped"), text % {"n": skipped}))
    if project.status != Project.Status.OPEN:
        text = _("Nobody is given tasks while the project is not open.")
        found.append(Decision("info", str(project.get_status_display()), text))
    if not has_guideline:
        text = _("There is no guideline: people judge without one. An admin publishes one, under Guidelines.")
        found.append(Decision("warning", _("guideline"), text))
    if not places.total:
        found.append(Decision("info", _("tasks"), _("There are no tasks yet. Import a file of judgements or prompts.")))
    elif places.filled == places.total:
        text = _("Every place is filled. Export the judgements, add tasks, or close the project.")
        found.append(Decision("good", _("done"), text))
    elif not states.get(Enrolment.Status.APPROVED):
        text = _("Places are open and nobody is enrolled to fill them. An admin enrols people, under Enrolments.")
        found.append(Decision("warning", _("annotators"), text))
    return found


def _skipped_by_two(project: Project) -> int:
    skipped = project.slots.filter(status=Slot.Status.SKIPPED).order_by().values("task")
    return skipped.annotate(people=Count("holder", distinct=True)).filter(people__gte=2).count()
