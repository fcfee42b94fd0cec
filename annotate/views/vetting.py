"""How a project chooses people, for those who oversee it: its steps, its test with what that does to people, and marks."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods

from annotate.access import ANSWERERS, OVERSEERS, REVIEWERS, demonstration_for, overseen_for, roles_in
from annotate.errors import Refused
from annotate.models import Project, VettingStep
from annotate.rendering import markdown_html
from annotate.services import marks as marking
from annotate.services import reviews, vetting, vetting_setup
from annotate.sheet import Sheet
from annotate.vetting import characteristic, rules
from annotate.vetting.researchers import LeaveOneOut
from annotate.vetting_forms import RULE_NAMES, MarkForm, TestForm, WayInForm
from annotate.vetting_plots import Curves, curves
from jobs.requests import PageRequest

ABILITIES = [percent / 100 for percent in range(50, 100, 5)]
USUAL_TARGET = 0.75  # around which a rule without a target is looked at
STEP = 0.05
PAGE = 25


# --- Steps and rules --------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def setup(request: PageRequest, slug: str) -> HttpResponse:
    """The steps of the way in and the rules of the test. Managers and researchers change them; who oversees looks.

    `show` in the address: with the rules that stand there, none of which is saved.
    """
    posted = request.method == "POST"
    project = overseen_for(request.user, slug, ANSWERERS if posted else OVERSEERS)
    steps = vetting.steps_of(project)
    of = request.POST.get("form")
    shown = request.POST if of == "test" else request.GET if not posted and "show" in request.GET else None
    test, way_in = TestForm(shown, steps), WayInForm(request.POST if of == "way_in" else None, steps)
    chosen = _chosen(test, steps, shown is not None)
    if posted and _saved(request, project, of, test, way_in):
        return redirect("vetting_setup", project.slug)
    context = {
        "project": project,
        "test": test,
        "way_in": way_in,
        "may_change": bool(roles_in(request.user, project) & set(ANSWERERS)),
        "preview": shown is not None,
        "cohorts": vetting_setup.cohorts(project),
    } | _whole(project, chosen)
    return render(request, "annotate/vetting/setup.html", context, status=422 if posted else 200)


def _saved(request: PageRequest, project: Project, of: str | None, test: TestForm, way_in: WayInForm) -> bool:
    """Whether what was sent is saved; what is wrong stands in the forms then."""
    if of == "top":
        return _approved(request, project)
    form: TestForm | WayInForm | None = test if of == "test" else way_in if of == "way_in" else None
    if form is None or not form.is_valid():
        return False
    try:
        vetting_setup.save_steps(project=project, actor=request.user, steps=form.settings())
    except ValidationError as error:
        form.say(error.message_dict)
        return False
    messages.success(request, _("Saved. Who is being tested is decided on by the new rules from the next answer on."))
    return True


def _approved(request: PageRequest, project: Project) -> bool:
    try:
        made = vetting_setup.approve_the_best(project=project, actor=request.user)
    except Refused as refused:
        messages.error(request, str(refused))
    else:
        text = ngettext("%(n)d person is approved.", "%(n)d people are approved.", len(made))
        messages.success(request, text % {"n": len(made)})
    return True


def _chosen(test: TestForm, steps: dict[str, dict[str, Any]], bound: bool) -> dict[str, rules.Rule] | None:
    """The rule of each counted part: as filled in, else as stored. None where what was filled in is no rule."""
    found = steps
    if bound:
        if not test.is_valid():
            return None
        found = {kind: settings for kind, settings in test.settings().items() if settings is not None}
    try:
        return {
            str(kind): rules.from_settings(found[kind].get("rule", vetting.PART_DEFAULTS[kind]))
            for kind in vetting_setup.COUNTED
            if kind in found
        }
    except rules.RuleError:  # the form says where, once it is saved
        if bound:
            test.say(_errors(test))
        return None


def _errors(test: TestForm) -> dict[str, list[str]]:
    """What is wrong with the rules that were filled in, by field."""
    return {
        f"{kind}-{field}": words
        for kind, settings in test.settings().items()
        if settings is not None
        for field, words in vetting_setup.rule_problems(kind, settings).items()
    }


@dataclass(frozen=True)
class PartSays:
    """What is known beforehand of a counted part of the test."""

    label: str
    rule: str
    cap: int
    items: int  # test tasks with a known answer
    reached: LeaveOneOut
    target: float | None
    too_close: list[tuple[float, float, int]]

    @property
    def known(self) -> bool:
        """Whether it is known what researchers reach."""
        return self.reached.n >= vetting_setup.LEAST_COMPARED

    @property
    def above(self) -> bool:
        accuracy = self.reached.accuracy
        return self.known and None not in (accuracy, self.target) and (self.target or 0) > (accuracy or 0)

    @property
    def lacking(self) -> int:
        """How many test tasks are missing for the rule to go to its end."""
        return max(self.cap - self.items, 0)


def _whole(project: Project, chosen: dict[str, rules.Rule] | None) -> dict[str, Any]:
    """What the test as a whole does to people, and what is known of its parts. Nothing without a rule."""
    context: dict[str, Any] = {"parts": [], "characteristic": [], "least_compared": vetting_setup.LEAST_COMPARED}
    context["wrong"] = chosen is None
    counted = {kind: rule for kind, rule in (chosen or {}).items() if not isinstance(rule, rules.Mean)}
    if not counted:
        return context
    reached, items = vetting_setup.researchers_accuracy(project), vetting_setup.test_items(project)
    for kind, rule in counted.items():
        target = vetting_setup.target_of(rule)[1]
        around = round(round((target or USUAL_TARGET) / STEP) * STEP, 2)
        context["parts"].append(
            PartSays(
                label=str(VettingStep.Kind(kind).label),
                rule=str(RULE_NAMES[rules.to_settings(rule)["kind"]]),
                cap=rule.cap,
                items=items[kind],
                reached=reached[kind],
                target=target,
                too_close=characteristic.too_close(rule.cap, around),
            )
        )
    context["characteristic"] = [characteristic.of_whole(list(counted.values()), p) for p in ABILITIES]
    return context | {"plots": _plots(context["characteristic"])}


def _plots(rows: list[characteristic.Characteristic]) -> list[tuple[str, str, Curves]]:
    """Each plot with its title and what its scale is of."""
    chances = [
        (_("approved"), [row.approve for row in rows]),
        (_("rejected"), [row.reject for row in rows]),
        (_("undecided"), [row.undecided for row in rows]),
    ]
    items = [(_("items"), [row.items for row in rows])]
    return [
        (_("What becomes of people"), _("chance"), curves(ABILITIES, chances)),
        (_("How many items it takes"), _("items on average"), curves(ABILITIES, items, None)),
    ]


# --- Marks ------------------------------------------------------------------------------------------------------------


@require_GET
def marks(request: PageRequest, slug: str) -> HttpResponse:
    """What was written in the test and waits for marks; `marked`: what has some. Auditors only look."""
    project = overseen_for(request.user, slug)
    marked = "marked" in request.GET
    found = marking.marked(project, request.user) if marked else marking.waiting(project, request.user)
    page = Paginator(found.select_related("annotation__slot__task__route"), PAGE).get_page(request.GET.get("page"))
    context = {
        "project": project,
        "page": page,
        "marked": marked,
        "waiting": marking.waiting(project, request.user).count() if marked else page.paginator.count,
        "may_mark": bool(roles_in(request.user, project) & set(REVIEWERS)),
    }
    return render(request, "annotate/vetting/marks.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def mark(request: PageRequest, slug: str, answer: int) -> HttpResponse:
    """One piece written in the test. Others' marks are shown to who cannot mark it (any more)."""
    posted = request.method == "POST"
    piece = demonstration_for(request.user, slug, answer, REVIEWERS if posted else OVERSEERS)
    form = MarkForm(request.POST if posted else None)
    if posted and form.is_valid():
        try:
            marking.mark(piece=piece, reviewer=request.user, **form.cleaned_data)
        except Refused as refused:
            form.add_error(None, str(refused))
        else:
            return _next_to_mark(request, slug, piece.question.project)
    slot = piece.annotation.slot
    mine = piece.ratings.filter(reviewer=request.user).exists()
    may_mark = not mine and bool(roles_in(request.user, slot.project) & set(REVIEWERS))
    context = {
        "project": slot.project,
        "piece": piece,
        "slot": slot,
        "turns": Sheet(slot).turns(),
        "written_html": markdown_html(reviews.text_of(piece)),
        "form": form,
        "may_mark": may_mark,
        "ratings": [] if may_mark else piece.ratings.select_related("reviewer").order_by("pk"),
    }
    return render(request, "annotate/vetting/mark.html", context, status=422 if posted else 200)


def _next_to_mark(request: PageRequest, slug: str, project: Project) -> HttpResponse:
    """The piece that has waited longest, or the list when none is left."""
    messages.success(request, _("Your mark is saved."))
    following = marking.waiting(project, request.user).first()
    return redirect("mark", slug, following.pk) if following else redirect("marks", slug)
