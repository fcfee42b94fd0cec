"""The way into a project as the annotator sees it: applying, each step, what training tells, and language tests.

Reading changes nothing. What there is to do now is worked out from the enrolment each time; nothing of the page is stored.
"""

import re
from string import ascii_uppercase
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotate.access import annotator_of, enrolment_for, open_project_for, trained_for
from annotate.answer_words import in_words
from annotate.differences import inline
from annotate.errors import Refused
from annotate.language_tests import available
from annotate.languages import language_name
from annotate.models import (
    Annotation,
    Attempt,
    Decision,
    Education,
    Enrolment,
    GoldAnswer,
    GoldResult,
    Guideline,
    Harm,
    Invitation,
    Project,
    Question,
    Rule,
    Slot,
    Task,
    VettingStep,
)
from annotate.rendering import markdown_html
from annotate.services import adjudication, enrolments, gold, language_tests, vetting, way_in
from annotate.standing_words import figures_in_words
from annotate.views.exchange import in_context
from annotate.way_in_forms import LanguageTestForm, ProfileForm
from jobs.requests import PageRequest

Status, Step, Purpose = Enrolment.Status, VettingStep.Kind, Task.Purpose
GET_OR_POST = require_http_methods(["GET", "HEAD", "POST"])


# --- Applying ---------------------------------------------------------------------------------------------------------


@GET_OR_POST
def apply(request: PageRequest, slug: str) -> HttpResponse:
    """Apply to a project that is open to it. For everybody; who is in is led to where he stands."""
    if Enrolment.objects.filter(project__slug=slug, annotator__user=request.user).exists():
        return redirect("way_in", slug)
    return _apply(request, open_project_for(slug))


@GET_OR_POST
def invitation(request: PageRequest, code: UUID) -> HttpResponse:
    """Apply with an invitation. For whoever has its link, while it lasts."""
    own = Enrolment.objects.filter(annotator__user=request.user, project__invitations__code=code)
    if mine := own.select_related("project").first():
        return redirect("way_in", mine.project.slug)
    usable = way_in.usable_invitation(code)
    if usable is None:
        return render(request, "annotate/way_in/no_invitation.html", status=404)
    return _apply(request, usable.project, usable)


def _apply(request: PageRequest, project: Project, invitation: Invitation | None = None) -> HttpResponse:
    if request.method == "POST":
        try:
            way_in.apply(project=project, user=request.user, invitation=invitation)
        except Refused as refused:  # closed, or used up, since the page was shown
            messages.error(request, str(refused))
            return redirect("projects")
        return redirect("way_in", project.slug)
    wanted, language = vetting.steps_of(project).get(Step.PROFILE, {}), get_language() or "en"
    context = {
        "project": project,
        "asks": [question.says(language)["text"] for question in project.questions.current()],
        "steps": [label for _kind, label in way_in.steps_in_words(project)],
        "education": Education(wanted["education"]).label if wanted.get("education") else "",
        "languages": [way_in.language_in_words(one) for one in wanted.get("languages", [])],
        "topics": wanted.get("topics", []),
        "harm": [Harm(category).label for category in project.harm_categories],
    }
    return render(request, "annotate/way_in/apply.html", context)


# --- The steps --------------------------------------------------------------------------------------------------------


@require_GET
def steps(request: PageRequest, slug: str) -> HttpResponse:
    """The steps of the project, where one is, and what there is to do now. For the project's annotators."""
    return _page(request, enrolment_for(request.user, slug))


@require_POST
def profile(request: PageRequest, slug: str) -> HttpResponse:
    """Keep what one says of oneself, and one's consent. For the project's annotators."""
    enrolment = enrolment_for(request.user, slug)
    form = _profile_form(enrolment, request.POST)
    if form is None:
        raise Http404(_("This project asks for no profile."))
    if not form.is_valid():
        return _page(request, enrolment, form)
    way_in.keep_profile(enrolment=enrolment, consent=form.cleaned_data.get("consent", False), fields=form.said)
    messages.success(request, _("Saved."))
    return redirect("way_in", slug)


@require_POST
def guideline_read(request: PageRequest, slug: str) -> HttpResponse:
    """One has read the guideline in the `version` that the page showed. For the project's annotators."""
    enrolment = enrolment_for(request.user, slug)
    said = request.POST.get("version", "")
    version = int(said) if re.fullmatch("[0-9]{1,9}", said) else 0
    try:
        shown = enrolment.project.guidelines.filter(version=version).first()
        if shown is None:
            raise Refused(_("The guideline has no such version. Read the one that stands here."))
        way_in.acknowledge(enrolment=enrolment, guideline=shown)
    except Refused as refused:
        messages.error(request, str(refused))
    return redirect("way_in", slug)


def _page(request: PageRequest, enrolment: Enrolment, form: ProfileForm | None = None) -> HttpResponse:
    """The page of the steps. `form`: a profile that comes back with its errors."""
    now, found = _now(enrolment)
    context = {
        "project": enrolment.project,
        "enrolment": enrolment,
        "stages": way_in.stages(enrolment),
        "now": now,
        "form": form or _profile_form(enrolment),
        "consent": enrolment.acknowledgements.filter(guideline=None).first(),
        "consent_html": markdown_html(way_in.consent_text(enrolment.project)),
        "refused": form is not None,
    }
    return render(request, "annotate/way_in/page.html", context | found, status=422 if form else 200)


def _profile_form(enrolment: Enrolment, data=None) -> ProfileForm | None:
    """None where the project has no such step."""
    asked = vetting.steps_of(enrolment.project).get(Step.PROFILE)
    if asked is None:
        return None
    consented = enrolment.acknowledgements.filter(guideline=None).exists()
    return ProfileForm(data, asked=asked, consented=consented, of=enrolment.annotator)


def _now(enrolment: Enrolment) -> tuple[str, dict[str, Any]]:
    """What there is to do now, and what the page shows of it."""
    if enrolment.status in (Status.PAUSED, Status.REJECTED):
        return "ended", _ended(enrolment)
    if enrolment.status == Status.APPLIED:
        lacks = way_in.missing(enrolment)
        if not lacks:
            return "waits", {}
        if lacks[0] == "eligible":
            return "eligible", {"unmet": way_in.unmet(enrolment), "tests": _tests(enrolment)}
        return (lacks[0], _guideline(enrolment)) if lacks[0] == Step.GUIDELINE else (lacks[0], {})
    if way_in.must_read(enrolment):
        return "guideline", _guideline(enrolment)
    if enrolment.status == Status.APPROVED:
        return "work", {}
    attempt = enrolments.latest_attempt(enrolment)
    if _is_undecided(enrolment, attempt):
        return "undecided", {}
    since = attempt.created_at if attempt else None
    if enrolment.status == Status.TRAINING:
        right, done = vetting.right(vetting.items(enrolment, Purpose.TRAINING, since=since))
        rule = vetting.steps_of(enrolment.project).get(Step.TRAINING)
        return "training", {"right": right, "done": done, "rule": _rule_of_training(rule)}
    return _test(enrolment, since)


def _is_undecided(enrolment: Enrolment, attempt: Attempt | None) -> bool:
    return enrolment.decisions.filter(kind=Decision.Kind.UNDECIDED, attempt=attempt).exists()


def _rule_of_training(settings: dict[str, Any] | None) -> dict[str, Any] | None:
    """When training ends, for its words; None where a person ends it."""
    if settings is None:
        return None
    rule = vetting.TRAINING_DEFAULTS | settings
    return rule | {"percent": round(100 * rule["share"])}


def _test(enrolment: Enrolment, since) -> tuple[str, dict[str, Any]]:
    """How much of each part is answered, and of how many at most. What was right is told when all is decided."""
    parts = vetting.test_parts(enrolment)
    leased = Slot.objects.filter(
        holder=enrolment.annotator_id, project=enrolment.project_id, status=Slot.Status.LEASED
    ).exists()
    if vetting.waits_for_marks(parts) and not leased and not vetting.open_tests(enrolment, parts).exists():
        return "marks", {}
    answered = vetting.items(enrolment, Purpose.TEST, since=since)
    written = vetting.demonstrations(enrolment.project).filter(annotation__slot__holder=enrolment.annotator_id)
    written = written.filter(annotation__slot__claimed_at__gte=since) if since else written
    done = []
    for part in parts:
        if part.kind == Step.DEMONSTRATIONS:
            words = _("%(n)d written, %(least)d at least") % {"n": written.count(), "least": part.rule.least}
        else:
            count = sum(one.part == part.kind for one in answered)
            words = _("%(n)d answered, %(most)d at most") % {"n": count, "most": part.rule.cap}
        done.append((VettingStep.Kind(part.kind).label, words))
    return "test", {"parts": done}


def _tests(enrolment: Enrolment) -> list[tuple[str, str]]:
    """The language tests that would help: code and name."""
    lacking = [one["language"] for one in way_in.unmet_languages(enrolment)]
    return [(code, language_name(code)) for code in lacking if code in available()]


def _guideline(enrolment: Enrolment) -> dict[str, Any]:
    """The guideline as it is now and, for somebody who has read an older version, what has changed since."""
    language = get_language() or "en"
    current = enrolment.project.guidelines.filter(current=True).first()
    if current is None:
        return {"guideline": None}
    text = current.says(language)["text"]
    read: Guideline | None = None
    if enrolment.guideline_read:
        read = enrolment.project.guidelines.filter(version=enrolment.guideline_read).first()
    return {
        "guideline": current,
        "guideline_html": markdown_html(text),
        "read": read,
        "changes_html": inline(read.says(language)["text"], text) if read else "",
    }


def _ended(enrolment: Enrolment) -> dict[str, Any]:
    """Why somebody is not let in, or paused: the decision, and the figures that it rests on."""
    decision = enrolment.decisions.filter(after=enrolment.status).exclude(before=enrolment.status).first()
    return {"decision": decision, "figures": figures_in_words(decision.data) if decision else []}


# --- What training tells ----------------------------------------------------------------------------------------------


@require_GET
def training_feedback(request: PageRequest, slug: str, code: UUID) -> HttpResponse:
    """What the researchers chose on a training task that one has answered, and why. For the slot's holder."""
    slot = trained_for(request.user, slug, code)
    counted = slot.annotations.filter(informed=False).order_by("-revision").first()
    letters = {output.pk: letter for output, letter in zip(slot.display_order(), ascii_uppercase, strict=False)}
    told = _told(counted, slot, letters) if counted else []
    theirs = zip(slot.task.completions.order_by("position").values_list("pk", flat=True), ascii_uppercase, strict=False)
    enrolment = Enrolment.objects.filter(project=slot.project_id, annotator=slot.holder_id).first()
    context = {
        "project": slot.project,
        "slot": slot,
        "task": in_context(slot),
        "told": told,
        "right": bool(told) and all(one["passed"] for one in told),
        "changed": counted and counted.pk != slot.current_annotation_id,
        "moved": [(there, letters[output]) for output, there in theirs if there != letters[output]],
        "more": enrolment is not None and _goes_on_training(enrolment),
    }
    return render(request, "annotate/way_in/feedback.html", context)


def _goes_on_training(enrolment: Enrolment) -> bool:
    """Whether there is another training task, and training is not over or left to a person."""
    if enrolment.status != Status.TRAINING or _is_undecided(enrolment, enrolments.latest_attempt(enrolment)):
        return False
    return gold.unseen(enrolment, Purpose.TRAINING).exists()


def _told(annotation: Annotation, slot: Slot, letters: dict[int, str]) -> list[dict[str, Any]]:
    """Of each question with a known answer: what one said, what the researchers say, and how far that is the same."""
    language = get_language() or "en"
    results = {one.gold_id: one for one in GoldResult.objects.filter(annotation=annotation)}
    known = gold.known(slot.task_id).select_related("question").order_by("question__position", "pk")
    rules = {rule.pk: rule.says(language)["text"] for rule in Rule.objects.filter(project=slot.project_id)}
    return [
        {
            "text": one.question.says(language)["text"],
            "rows": _rows(one, annotation, letters, rules),
            "passed": results[one.pk].passed,
            "percent": round(100 * results[one.pk].share),
            "needed": round(100 * gold.SHARE),
            "of_pairs": one.question.kind in Question.PREFERENCES,
            "reason": one.reason,
        }
        for one in known
        if one.pk in results
    ]


def _rows(
    known: GoldAnswer, annotation: Annotation, letters: dict[int, str], rules: dict[int, str]
) -> list[tuple[str, str, str]]:
    """What it is about (an output, a rule, or nothing more), one's own answer, and the researchers'. Rules not asked are left out."""
    question = known.question
    own = adjudication.values_of([annotation.pk], question).get(annotation.pk, {})
    asked = {rule for _completion, rule in own}
    rows = []
    for value in known.values:
        completion, rule = value["completion"], value["rule"]
        if rule is not None and rule not in asked:
            continue
        about = " · ".join(filter(None, [letters.get(completion, ""), rules.get(rule, "")]))
        said = own.get((completion, rule))
        mine = _("not answered") if said is None else in_words(question, said, letters)
        rows.append((about, mine, in_words(question, value["value"], letters)))
    return sorted(rows)


# --- Language tests ---------------------------------------------------------------------------------------------------


@GET_OR_POST
def language_test(request: PageRequest, language: str) -> HttpResponse:
    """A ready-made test of a language, once in 30 days, else what the last one came to. For annotators."""
    if language not in available():
        raise Http404(_("There is no test of this language."))
    annotator = annotator_of(request.user)
    if annotator is None:
        raise PermissionDenied(_("Apply to a project first: the test belongs to your profile there."))
    taken = language_tests.latest(annotator, language)
    again_at = language_tests.again_at(taken)
    applied = Enrolment.objects.filter(annotator=annotator).exclude(status=Status.APPROVED).select_related("project")
    context = {
        "language": language,
        "name": language_name(language),
        "taken": taken,
        "again_at": again_at,
        "meaning": _meanings().get(taken.level) if taken else "",
        "applied": applied.order_by("project__name"),
    }
    sheet = language_tests.sheet(annotator, language)
    form = LanguageTestForm(request.POST if request.method == "POST" else None, sheet=sheet)
    if request.method == "POST":
        if again_at or form.is_valid():
            return _take(request, annotator, language, form)
        return render(request, "annotate/way_in/language_test.html", context | {"form": form}, status=422)
    return render(request, "annotate/way_in/language_test.html", context | {"form": None if again_at else form})


def _take(request: PageRequest, annotator, language: str, form: LanguageTestForm) -> HttpResponse:
    chosen, started = (form.chosen, form.cleaned_data["started"]) if form.is_valid() else ({}, "")
    try:
        language_tests.take(annotator=annotator, language=language, chosen=chosen, started=started)
    except Refused as refused:
        messages.error(request, str(refused))
    return redirect("language_test", language)


def _meanings() -> dict[str, str]:
    """What each level means, for whoever took a test."""
    return {
        "": _(
            "Below B1: the test shows no lower level. It says nothing of what you can do in this language otherwise."
        ),
        "B1": _("You follow plain texts about everyday things."),
        "B2": _("You follow texts about many matters, and what they suggest without saying it."),
        "C1": _("You read demanding texts with ease and catch most of what stands between the lines."),
        "C2": _("You read nearly everything as an educated native speaker does, shades of meaning included."),
    }
