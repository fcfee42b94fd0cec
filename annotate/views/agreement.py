"""The page on agreement: what needs a decision, then how it went, then the tables. It reads snapshots, measures nothing.

All of it is read in a number of statements that does not depend on how much was judged. The page of two annotators
beside each other is the one that looks at their answers.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any, NamedTuple

from django.core.paginator import Paginator
from django.db.models import DateTimeField, F, Func, Max, Min, Value
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from annotate import plots
from annotate.access import OVERSEERS, project_for
from annotate.models import Agreement, AgreementDetail, Annotator, Guideline, Project, Question
from annotate.plots import Point
from annotate.services import adjudication, beside
from annotate.services.agreement import latest
from annotate.services.judgements import ORDERED, asked, categories, category_names, epochs
from annotate.services.overview import coefficient_of, of_latest_epoch
from jobs.requests import PageRequest

Kind = Question.Kind
RAW, STRICT = "pairwise_agreement_count", "pairwise_agreement_any_tie_dropped"
MOST_MOMENTS = 60  # of the trend
MOST_IN_PLOT, MOST_IN_TABLE = 25, 50  # annotators, those with most answers
PAGE = 50
NO_BREAK = "\N{NO-BREAK SPACE}"


@require_GET
def agreement(request: PageRequest, slug: str) -> HttpResponse:
    """How far the judgements of a project agree. For those who oversee it."""
    project = project_for(request.user, slug, OVERSEERS)
    rows, questions = list(latest(project)), asked(project)
    guidelines = list(project.guidelines.order_by("version").defer("text", "examples", "translations"))
    context: dict[str, Any] = {"project": project, "questions": questions, "as_of": rows[0].as_of if rows else None}
    if questions:
        question = _chosen(questions, rows, request.GET.get("question"))
        blocks = _blocks([one for one in rows if one.question.key == question.key], guidelines, epochs(project))
        people = next((one for one in blocks if one.population == Agreement.Population.PEOPLE), None)
        detail = AgreementDetail.objects.filter(project=project, question__key=question.key).order_by("-as_of").first()
        data = detail.data if detail else {}
        middle = _median(data)
        below = _below(data, middle)
        context |= {
            "question": question,
            "question_text": _text(question),
            "tabs": [(one.key, _text(one)) for one in questions] if len(questions) > 1 else [],
            "blocks": blocks,
            "people": people,
            "heads": _heads(people, question),
            "compared": people is not None and any(one.value is not None for one in people.rows),
            "unit": unit_word(question),
            "trend": _trend(project, question, guidelines),
            "by_question": _by_question(questions, rows) if len(questions) > 1 else None,
            "detail": _detail(question, data, middle, set(below["names"])) if data else None,
            "waiting": adjudication.waiting(project),
            "below": below,
            "most_moments": MOST_MOMENTS,
            "most_in_plot": MOST_IN_PLOT,
            "undefined": _undefined(people),
        }
    return render(request, "annotate/agreement/page.html", context)


def _chosen(questions: Sequence[Question], rows: Sequence[Agreement], key: str | None) -> Question:
    """The question asked for, else the first that has figures. Raises Http404 for one that is not asked."""
    if key is not None:
        found = next((one for one in questions if one.key == key), None)
        if found is None:
            raise Http404(_("This project asks no such question."))
        return found
    measured = {one.question.key for one in rows if one.value is not None}
    return next((one for one in questions if one.key in measured), questions[0])


def _text(question: Question) -> str:
    return str(question.says(get_language() or "en")["text"])


def unit_word(question: Question) -> str:
    """What two people can agree on, as the heading of a column."""
    if question.kind in Question.PREFERENCES:
        return _("Pairs of outputs")
    if question.kind == Kind.RULE:
        return _("Outputs, by rule")
    of_outputs = question.scope == Question.Scope.COMPLETION
    if question.kind == Kind.MULTI_CHOICE:
        return _("Options of outputs") if of_outputs else _("Options of tasks")
    return _("Outputs") if of_outputs else _("Tasks")


# --- The figures of the latest snapshot -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """Figures that belong together: of one population in one epoch, or across all of them (epoch None)."""

    population: str
    epoch: int | None
    title: str
    rows: list[Agreement]


def _blocks(rows: Iterable[Agreement], guidelines: Sequence[Guideline], epoch_of: dict[int | None, int]) -> list[Block]:
    """People first; the latest epoch first, all epochs together last."""
    parts: dict[tuple[str, int | None], list[Agreement]] = {}
    for one in rows:
        parts.setdefault((one.population, one.epoch), []).append(one)
    several = len({epoch for _population, epoch in parts}) > 1
    order = sorted(parts, key=lambda part: (part[0] != Agreement.Population.PEOPLE, part[1] is None, -(part[1] or 0)))
    return [
        Block(population, epoch, _title(epoch, guidelines, epoch_of) if several else "", parts[population, epoch])
        for population, epoch in order
    ]


def _title(epoch: int | None, guidelines: Sequence[Guideline], epoch_of: dict[int | None, int]) -> str:
    if epoch is None:
        return _("All epochs together")
    versions = [one.version for one in guidelines if epoch_of[one.pk] == epoch]
    if not versions:
        return _("Without a guideline")
    words = {"n": epoch, "first": versions[0], "last": versions[-1]}
    if len(versions) == 1:
        return _("Epoch %(n)d: guideline %(first)d") % words
    return _("Epoch %(n)d: guidelines %(first)d to %(last)d") % words


def _heads(people: Block | None, question: Question) -> list[Agreement]:
    """What stands on top: raw agreement, and beside it what corrects it for chance, in two ways."""
    names = [RAW, STRICT, coefficient_of(question), "gwet_ac1", "gwet_ac2_ordinal"]
    found = {one.metric: one for one in people.rows} if people else {}
    return [found[name] for name in names if name in found]


def _undefined(people: Block | None) -> list[tuple[str, list[str]]]:
    """(reason, names of figures) of what has no value."""
    found: dict[str, list[str]] = {}
    for one in people.rows if people else []:
        if one.value is None:
            found.setdefault(one.undefined_because, []).append(one.label)
    return list(found.items())


def _by_question(questions: Sequence[Question], rows: Iterable[Agreement]) -> dict[str, plots.Intervals]:
    """Raw agreement and the coefficient of each question, of the latest epoch of people."""
    found = of_latest_epoch(rows, Agreement.Population.PEOPLE)

    def points(metric: Callable[[Question], str]) -> list[Point]:
        of = [(one, found.get(one.key, {}).get(metric(one))) for one in questions]
        return [
            Point(
                _text(one), row.value, row.low, row.high, row.n_units, row.undefined_because or row.no_interval_because
            )
            for one, row in of
            if row
        ]

    return {
        "raw": plots.shares(points(lambda _question: RAW)),
        "coefficient": plots.coefficients(points(coefficient_of)),
    }


# --- How it went ------------------------------------------------------------------------------------------------------


def _history(project: Project, question: Question) -> dict[str, list[Agreement]]:
    """Raw agreement and the coefficient in the snapshots so far, by name, oldest first.

    The latest epoch of each; of many snapshots the last in each of `MOST_MOMENTS` equal stretches of time. A snapshot
    from before there were epochs has figures without one.
    """
    names = (RAW, coefficient_of(question))
    rows = Agreement.objects.filter(
        project=project, question__key=question.key, population=Agreement.Population.PEOPLE, metric__in=names
    )
    known = rows.order_by().aggregate(first=Min("as_of"), last=Max("as_of"))
    found: dict[str, list[Agreement]] = {name: [] for name in names}
    if known["first"] is None:
        return found
    stretch = max((known["last"] - known["first"]) / (MOST_MOMENTS - 1), timedelta(milliseconds=1))
    stretches = Func(
        Value(stretch), F("as_of"), Value(known["first"]), function="date_bin", output_field=DateTimeField()
    )
    for one in (
        rows.annotate(stretch=stretches)
        .order_by("metric", "stretch", "-as_of", F("epoch").desc(nulls_last=True))
        .distinct("metric", "stretch")
    ):
        found[one.metric].append(one)
    return found


class Moment(NamedTuple):
    """A line of the table beside the trend, all texts."""

    when: str
    guideline: str  # the version in force
    value: str
    interval: str
    because: str
    n: str


@dataclass(frozen=True)
class Course:
    """A figure over time, as plot and table."""

    name: str
    plot: plots.Trend
    rows: list[Moment]  # the newest first


def _trend(project: Project, question: Question, guidelines: Sequence[Guideline]) -> list[Course]:
    changes = [
        plots.Change(one.created_at, _("guideline %(n)d") % {"n": one.version}, one.material) for one in guidelines
    ]
    courses = []
    for metric, rows in _history(project, question).items():
        moments = [plots.Moment(one.as_of, one.epoch, one.value, one.low, one.high) for one in rows]
        if any(one.value is not None for one in moments):
            plot = plots.trend(moments, changes, least=0.0 if metric == RAW else None)
            rows[0].question = question
            courses.append(Course(rows[0].label, plot, [_moment(one, guidelines) for one in reversed(rows)]))
    return courses


def _moment(row: Agreement, guidelines: Sequence[Guideline]) -> Moment:
    in_force = [one.version for one in guidelines if one.created_at <= row.as_of]
    because = row.undefined_because or row.no_interval_because
    return Moment(
        when=timezone.localtime(row.as_of).strftime("%Y-%m-%d %H:%M"),
        guideline=str(in_force[-1]) if in_force else "–",
        value="" if row.value is None else f"{row.value:.3f}",
        interval=plots.interval(row.low, row.high),
        because=_(because) if because else "",
        n=plots.counted(row.n_units),
    )


# --- What the latest snapshot rests on --------------------------------------------------------------------------------


def _median(data: dict) -> float | None:
    """Of how far each annotator agrees with the others."""
    known = [one["agreement"]["value"] for one in data.get("annotators", []) if one["agreement"]["value"] is not None]
    return median(known) if known else None


def _below(data: dict, middle: float | None) -> dict[str, Any]:
    """The annotators whose whole interval lies below the median."""
    names = [
        one["annotator"]
        for one in data.get("annotators", [])
        if middle is not None and one["agreement"]["high"] is not None and one["agreement"]["high"] < middle
    ]
    return {"names": names, "some": names[:5], "more": len(names) - 5, "median": middle}


def _detail(question: Question, data: dict, middle: float | None, low: set[str]) -> dict[str, Any]:
    people, names = data["annotators"], _names(question, data)
    pairs, link = data["pairs"], reverse("agreement_pair", args=[question.project.slug, question.key])
    tops = people[:MOST_IN_PLOT]

    def points(name: str) -> list[Point]:
        return [Point.of(one["annotator"], one[name]) for one in tops if one[name] and one[name]["value"] is not None]

    habits = [(name, found) for name in ("first_shown", "longer") if (found := points(name))]
    severe = points("severity")
    return {
        "number": len(people),
        "annotators": _annotators(question, people, low),
        "columns": [heading for _name, heading in _columns(question)],
        "median": middle,
        "with_others": plots.shares(found, middle, plots.PSEUDONYM) if (found := points("agreement")) else None,
        "habits": {name: plots.shares(found, 0.5, plots.PSEUDONYM) for name, found in habits},
        "severity": plots.both_ways(severe, plots.PSEUDONYM) if severe else None,
        "preferences": question.kind in Question.PREFERENCES,
        "heat": plots.heat(pairs["annotators"], pairs["shared"], pairs["agreed"], pairs["least"], link),
        "least": pairs["least"],
        "confusions": [(names[one["a"]], names[one["b"]], one["n"]) for one in data["confusions"]],
        "models": data["models"],
        "models_note": data["models_note"],
        "models_plot": plots.both_ways([_strength(one) for one in data["models"]]) if data["models"] else None,
        "tasks": data["tasks"],
        "judges": [_judge(one) for one in data["judges"]],
    }


def _columns(question: Question) -> list[tuple[str, str]]:
    """What is known of each annotator, with its heading."""
    columns = [("agreement", _("Agrees with another")), ("consensus", _("With most others"))]
    if question.kind in Question.PREFERENCES:
        columns += [("ties", _("Ties")), ("first_shown", _("Shown first wins")), ("longer", _("Longer wins"))]
    if question.kind in ORDERED:
        columns.append(("severity", _("Above the others")))
    return columns


def _annotators(question: Question, people: Sequence[dict], low: set[str]) -> list[dict[str, Any]]:
    """Rows of the table, all texts. There may be hundreds of people: who is below the median is there in any case."""
    names = [name for name, _heading in _columns(question)]
    return [
        {
            "annotator": one["annotator"],
            "kind": "" if one["kind"] == Annotator.Kind.PERSON else one["kind"],
            "kind_label": Annotator.Kind(one["kind"]).label,
            "low": one["annotator"] in low,
            "n": plots.counted(one["n"]),
            "units": plots.counted(one["units"]),
            "means": [_mean(one[name]) for name in names],
        }
        for one in sorted(people, key=lambda one: one["annotator"] not in low)[:MOST_IN_TABLE]
    ]


def _mean(mean: dict | None) -> tuple[str, str]:
    """A mean in two lines: the value; its interval and n, or why there is none."""
    if mean is None or (mean["value"] is None and not mean["undefined_because"]):
        return "–", ""
    if mean["value"] is None:
        return "–", _(mean["undefined_because"])
    why = _(mean["no_interval_because"]) if mean["no_interval_because"] else ""
    between = plots.interval(mean["low"], mean["high"], 2).replace(" ", NO_BREAK) or why
    return f"{mean['value']:.2f}", f"{between}, n{NO_BREAK}={NO_BREAK}{plots.counted(mean['n'])}"


def _names(question: Question, data: dict) -> list[str]:
    """The categories of the snapshot in words, also those that the question no longer offers."""
    words = dict(zip(map(str, categories(question)), category_names(question), strict=True))
    return [words.get(str(one), str(one)) for one in data["categories"]]


def _strength(model: dict) -> Point:
    n = model["wins"] + model["ties"] + model["losses"]
    return Point(model["model"], model["strength"], model["low"], model["high"], n)


def _judge(row: dict) -> dict[str, Any]:
    """A model that judged, beside people: what was measured, as words, and as a plot."""
    name = row["name"] or row["annotator"]
    comparisons = [
        (_("%(judge)s and a person"), _("two people"), row["model_person"], row["person_person"]),
        (
            _("%(judge)s and most people"),
            _("a person and most others"),
            row["model_consensus"],
            row["person_consensus"],
        ),
    ]
    rows, points = [], []
    for model, person, of_model, of_person in comparisons:
        said = model % {"judge": name}
        points += [Point.of(said, of_model), Point.of(person, of_person)]
        rows.append((said, _mean(of_model), person, _mean(of_person), _verdict(of_model, of_person)))
    return {"name": name, "n_units": row["n_units"], "rows": rows, "plot": plots.shares(points)}


def _verdict(model: dict, person: dict) -> str:
    if None in (model["low"], person["low"]):
        return _("too little to say")
    if model["high"] < person["low"]:
        return _("less often than people do")
    if model["low"] > person["high"]:
        return _("more often than people do")
    return _("the intervals overlap: no difference is shown")


# --- Two annotators beside each other ---------------------------------------------------------------------------------


@require_GET
def agreement_pair(request: PageRequest, slug: str, question: str) -> HttpResponse:
    """The tasks to which two annotators gave different answers. For those who oversee the project."""
    project = project_for(request.user, slug, OVERSEERS)
    about = next((one for one in asked(project) if one.key == question), None)
    two = [request.GET.get(name, "") for name in ("a", "b")]
    people = Annotator.objects.filter(pseudonym__in=two, kind__in=Annotator.HUMAN, slots__project=project)
    by_name = {one.pseudonym: one for one in people.distinct()}
    if about is None or len(by_name) < 2:
        raise Http404(_("There is no such question here, or these are not two annotators of this project."))
    a, b = (by_name[name] for name in two)
    found = beside.beside(about, a, b)
    page = Paginator(found.tasks, PAGE).get_page(request.GET.get("page"))
    context = {
        "project": project,
        "question": about,
        "question_text": _text(about),
        "unit": unit_word(about),
        "a": a,
        "b": b,
        "beside": found,
        "page": page,
        "rows": beside.in_words(found, list(page.object_list)),
        "most": beside.MOST_TASKS,
    }
    return render(request, "annotate/agreement/pair.html", context)
