"""How a project chooses people: its steps, the rules of its test, and what is known of that test beforehand.

What the rules would do to people of a known ability says `annotate.vetting.characteristic`; here stands what the project's
own tasks say: how many test items there are, and how often researchers themselves pass them.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pghistory
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotate.errors import Refused
from annotate.languages import LANGUAGE
from annotate.models import (
    Attempt,
    Decision,
    Education,
    Enrolment,
    GoldAnswer,
    Level,
    Project,
    Question,
    ResearcherAnswer,
    Task,
    VettingStep,
)
from annotate.services import enrolments, gold, vetting
from annotate.vetting import rules, scoring
from annotate.vetting.researchers import LeaveOneOut, leave_one_out

Step = VettingStep.Kind
COUNTED = (Step.FLAGS, Step.RANKINGS)
"""The parts whose items are right or wrong."""
COUNTING_KINDS = ("sprt", "posterior", "fixed", "by_hand", "top")
LEAST_COMPARED = 10  # leave-one-out comparisons: below that the accuracy of researchers is not known yet
MOST_TRAINING, LONGEST_CONSENT, LONGEST_TOPIC = 500, 5000, 60

WORDS: dict[str, str | Promise] = {
    "unknown": gettext_lazy("There is no such rule, or it has no such setting. Choose one of the list."),
    "needed": gettext_lazy("This has to be filled in."),
    "number": gettext_lazy("A number is needed."),
    "whole_number": gettext_lazy("A whole number is needed."),
    "between_0_and_1": gettext_lazy("It must lie between 0 and 1, neither of them included, such as 0.8."),
    "between_0_and_half": gettext_lazy("It must lie between 0 and 0.5, neither of them included, such as 0.05."),
    "between_half_and_1": gettext_lazy("It must lie between 0.5 and 1, neither of them included, such as 0.9."),
    "p0_below_p1": gettext_lazy("It must be below the ability that is good enough: lower this one, or raise that one."),
    "cap_1_to_500": gettext_lazy("From 1 to 500 items are possible."),
    "least_up_to_cap": gettext_lazy("From 1 item up to the most items are possible."),
    "right_up_to_n": gettext_lazy("From 1 right answer up to all of the items are possible."),
    "mean_1_to_7": gettext_lazy("Marks go from 1 to 7: the mean must lie between them."),
    "places_1_or_more": gettext_lazy("At least one place is needed."),
}
"""What `rules.RuleError` says, by its code."""


# --- Steps ------------------------------------------------------------------------------------------------------------


@transaction.atomic
def save_steps(*, project: Project, actor, steps: Mapping[str, Mapping[str, Any] | None]) -> None:
    """Set the settings of these steps; None takes a step away. Steps that are not named stay as they are.

    Who is in training or in the test is decided on by the new settings from his next answer on. Raises ValidationError
    by field (`rankings-p1`), with all that is wrong at once; then nothing is saved.
    """
    project = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    errors = {
        f"{kind}-{field}": words
        for kind, settings in steps.items()
        if settings is not None
        for field, words in problems(project, kind, settings).items()
    }
    if errors:
        raise ValidationError(errors)
    before = {step.kind: step for step in project.vetting_steps.all()}
    with pghistory.context(user=actor.pk):
        for kind, settings in steps.items():
            step = before.get(kind)
            if settings is None and step:
                step.delete()
            elif settings is not None and step is None:
                VettingStep.objects.create(project=project, kind=kind, settings=dict(settings))
            elif settings is not None and step and step.settings != settings:
                step.settings = dict(settings)
                step.save(update_fields=["settings"])


def problems(project: Project, kind: str, settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """In words what is wrong with the settings of a step, by field. Of a rule's field the name in the rule."""
    if kind == Step.PROFILE:
        return _of_profile(settings)
    if kind == Step.TRAINING:
        return _of_training(settings)
    if kind in VettingStep.PARTS:
        found = rule_problems(kind, settings)
        return found or (_above_researchers(project, kind, settings) if kind in COUNTED else {})
    return {} if kind == Step.GUIDELINE else {"": [str(WORDS["unknown"])]}


def rule_problems(kind: str, settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is wrong with the rules of a part of the test, whoever takes it. Ratings decide on what is written alone."""
    if kind == Step.DEMONSTRATIONS:
        return _of_rule(settings.get("rule", vetting.PART_DEFAULTS[kind]), ("mean",))
    found = _of_rule(settings.get("rule", vetting.PART_DEFAULTS[kind]), COUNTING_KINDS)
    retest = _of_rule(settings.get("retest", vetting.RETEST_DEFAULT), COUNTING_KINDS)
    return found | {f"retest_{field}": words for field, words in retest.items()}


def _of_profile(settings: Mapping[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    if len(settings.get("consent", "")) > LONGEST_CONSENT:
        found["consent"] = [_("It may have %(most)d characters at most.") % {"most": LONGEST_CONSENT}]
    if settings.get("education", "") not in ("", *Education.values):
        found["education"] = [_("Choose one of the list.")]
    languages = settings.get("languages", [])
    codes = [one["language"] for one in languages]
    if any(not LANGUAGE.fullmatch(code) or len(code) > 35 for code in codes):
        found["languages"] = [_("A language is written as its code, such as en or zh-Hans.")]
    elif len(set(codes)) < len(codes):
        found["languages"] = [_("A language stands there twice. Keep one of the two.")]
    elif any(one.get("level") not in Level.values for one in languages):
        found["languages"] = [_("A level is one of: %(levels)s.") % {"levels": ", ".join(Level.values)}]
    if any(not one or len(one) > LONGEST_TOPIC for one in settings.get("topics", [])):
        found["topics"] = [_("A topic has from 1 to %(most)d characters.") % {"most": LONGEST_TOPIC}]
    return found


def _of_training(settings: Mapping[str, Any]) -> dict[str, list[str]]:
    said: dict[str, Any] = {**vetting.TRAINING_DEFAULTS, **settings}
    found: dict[str, list[str]] = {}
    for field in ("least", "most"):
        if type(said[field]) is not int or not 1 <= said[field] <= MOST_TRAINING:
            found[field] = [_("From 1 to %(most)d tasks are possible.") % {"most": MOST_TRAINING}]
    if not isinstance(said["share"], int | float) or not 0 < said["share"] <= 1:
        found["share"] = [_("From 1 to 100 %% are possible.") % {}]
    if not found and said["most"] < said["least"]:
        found["most"] = [_("It must not be below the fewest tasks.")]
    return found


def _of_rule(settings: Mapping[str, Any], kinds: tuple[str, ...]) -> dict[str, list[str]]:
    if settings.get("kind") not in kinds:
        return {"kind": [str(WORDS["unknown"])]}
    try:
        rules.from_settings(settings)
    except rules.RuleError as error:
        return {error.field: [str(WORDS[error.code])]}
    return {}


# --- What researchers reach themselves --------------------------------------------------------------------------------


def _above_researchers(project: Project, kind: str, settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """A target that researchers do not reach on this very test is refused, once it is known what they reach."""
    field, target = target_of(rules.from_settings(settings.get("rule", vetting.PART_DEFAULTS[kind])))
    reached = researchers_accuracy(project)[kind]
    if target is None or reached.accuracy is None or reached.n < LEAST_COMPARED or target <= reached.accuracy + 1e-9:
        return {}
    message = _(
        "The target of %(target).2f is above what researchers reach themselves on this test: %(reached).2f, of %(n)d "
        "comparisons. Lower the target, or mend the test: find out on which of its tasks the researchers differ."
    )
    return {field: [message % {"target": target, "reached": reached.accuracy, "n": reached.n}]}


def target_of(rule: rules.Rule) -> tuple[str, float | None]:
    """The ability that a rule asks for, and which of its fields says so. None where it asks for none."""
    if isinstance(rule, rules.Sprt):
        return "p1", rule.p1
    if isinstance(rule, rules.Posterior):
        return "target", rule.target
    return ("right", rule.right / rule.n) if isinstance(rule, rules.Fixed) else ("kind", None)


def researchers_accuracy(project: Project) -> dict[str, LeaveOneOut]:
    """How often a researcher passes a test item by what the others answer, in each counted part of the test.

    An item is a task, passed where all its questions of the part are, as with annotators. Researchers who have answered
    only some of these are left out of it.
    """
    latest: dict[tuple[str, int], dict[str, dict[Question, gold.Values]]] = {}
    rows = ResearcherAnswer.objects.filter(
        task__project=project, task__purpose=Task.Purpose.TEST, task__status=Task.Status.OPEN
    )
    for row in rows.select_related("question", "researcher").order_by("pk"):
        of_task = latest.setdefault((vetting.part_of(row.question), row.task_id), {})
        mine = of_task.setdefault(row.researcher.username, {})
        for before in [one for one in mine if one.key == row.question.key]:
            del mine[before]
        mine[row.question] = row.values
    items: dict[str, list[dict[str, list[dict[str, Any]]]]] = {kind: [] for kind in COUNTED}
    for (part, _task), of_task in latest.items():
        asked = {question.key for mine in of_task.values() for question in mine}
        items[part].append({name: _whole(mine) for name, mine in of_task.items() if len(mine) == len(asked)})
    return {kind: leave_one_out(items[kind], _same, _passes) for kind in COUNTED}


def _whole(answers: Mapping[Question, gold.Values]) -> list[dict[str, Any]]:
    """A researcher's answers to all questions of an item, as one."""
    ordered = sorted(answers.items(), key=lambda one: one[0].key)
    return [{"question": question, "values": values} for question, values in ordered]


def _same(one: Any, other: Any) -> bool:
    return all(gold.same_values(a["values"], b["values"]) for a, b in zip(one, other, strict=True))


def _passes(known: Any, given: Any) -> bool:
    return all(
        scoring.score(
            a["question"].kind, a["values"], b["values"], settings=a["question"].settings, share=gold.SHARE
        ).passed
        for a, b in zip(known, given, strict=True)
    )


def test_items(project: Project) -> dict[str, int]:
    """How many test tasks with a known answer each counted part has."""
    known = GoldAnswer.objects.filter(task=OuterRef("pk"), current=True)
    preference = known.filter(question__kind__in=Question.PREFERENCES)
    other = known.exclude(question__kind__in=Question.PREFERENCES)
    tests = Task.objects.filter(project=project, purpose=Task.Purpose.TEST, status=Task.Status.OPEN)
    return tests.aggregate(
        rankings=Count("pk", filter=Q(Exists(preference))), flags=Count("pk", filter=Q(Exists(other)))
    )


# --- The best of a cohort ---------------------------------------------------------------------------------------------


class Candidate(NamedTuple):
    """Somebody whose part of the test ends in a rule `top`, with the lower end of his share of right answers."""

    enrolment: Enrolment
    k: int
    n: int
    low: float
    best: bool  # among as many as there are places


class Cohort(NamedTuple):
    kind: str
    places: int
    people: list[Candidate]  # the best first

    @property
    def label(self) -> str:
        return str(Step(self.kind).label)


def cohorts(project: Project) -> list[Cohort]:
    """Who waits for a place by each part whose rule is `top`. Only those who passed the other parts, as they stood then."""
    steps = vetting.steps_of(project)
    places = {
        kind: steps[kind]["rule"]["places"]
        for kind in vetting.parts_of(steps)
        if steps[kind].get("rule", {}).get("kind") == "top"
    }
    if not places:
        return []
    later = Attempt.objects.filter(enrolment=OuterRef("enrolment"), pk__gt=OuterRef("attempt"))
    undecided = Decision.objects.filter(
        ~Exists(later),
        kind=Decision.Kind.UNDECIDED,
        enrolment__project=project,
        enrolment__status=Enrolment.Status.TESTING,
    ).select_related("enrolment__annotator")
    waiting = [one for one in undecided if _waits_for_a_place(one, places)]
    found = []
    for kind, number in places.items():
        people = {one.enrolment.annotator.pseudonym: one for one in waiting}
        counts = {name: (one.data[kind]["k"], one.data[kind]["n"]) for name, one in people.items()}
        order, best = rules.top(counts, len(counts)), set(rules.top(counts, number))
        ranked = [
            Candidate(people[name].enrolment, *counts[name], rules.wilson(*counts[name])[0], name in best)
            for name in order
        ]
        found.append(Cohort(kind, number, ranked))
    return found


def _waits_for_a_place(decision: Decision, places: Mapping[str, int]) -> bool:
    return all(
        part["outcome"] == (rules.UNDECIDED if kind in places else rules.APPROVE)
        for kind, part in decision.data.items()
    ) and set(places) <= set(decision.data)


@transaction.atomic
def approve_the_best(*, project: Project, actor) -> list[Enrolment]:
    """Approve who has one of the places in every part whose rule is `top`. Raises Refused where nobody has."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)  # two at once would give the places twice
    found = cohorts(project)
    chosen = [
        one.enrolment
        for one in (found[0].people if found else [])
        if all(one.enrolment in [each.enrolment for each in cohort.people if each.best] for cohort in found)
    ]
    if not chosen:
        raise Refused(
            _("Nobody waits for a place. Who has done the test and passed its other parts comes to stand here.")
        )
    rule = {"kind": "top", "places": {cohort.kind: cohort.places for cohort in found}}
    for enrolment in sorted(chosen, key=lambda one: one.pk):
        if enrolments.locked(enrolment).status != Enrolment.Status.TESTING:
            continue  # somebody has decided on him meanwhile
        data = {
            cohort.kind: {"k": one.k, "n": one.n, "wilson_low": round(one.low, 6), "of": len(cohort.people)}
            for cohort in found
            for one in cohort.people
            if one.enrolment == enrolment
        }
        enrolments.move(enrolment=enrolment, to=Enrolment.Status.APPROVED, actor=actor, rule=rule, data=data)
    return chosen
