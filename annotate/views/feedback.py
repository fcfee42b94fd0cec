"""What people are told about their work: comments of reviewers, and calibration rounds to talk about."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotate.access import (
    MANAGERS,
    OVERSEERS,
    annotation_for,
    enrolment_for,
    feedback_for,
    project_for,
    roles_in,
)
from annotate.errors import Refused
from annotate.models import Annotation, Enrolment, Project, Question
from annotate.models.people import Harm
from annotate.rendering import markdown_html
from annotate.services import adjudication, calibration
from annotate.services import feedback as work
from annotate.services.judgements import asked
from annotate.services.standing import text_of
from annotate.sheet import Sheet
from annotate.standing_forms import CommentForm, RoundForm
from annotate.standing_words import all_in_words
from jobs.requests import PageRequest

PAGE = 10  # each with its task


# --- Comments ---------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def comment(request: PageRequest, slug: str, annotation: int) -> HttpResponse:
    """Comment on somebody's answer. For reviewers."""
    found = annotation_for(request.user, slug, annotation)
    project = found.slot.project
    form = CommentForm(request.POST if request.method == "POST" else None)
    guideline = project.guidelines.filter(current=True).first()
    if request.method == "POST" and form.is_valid():
        said = {name: form.cleaned_data[name] for name in ("text", "passage")}
        shown = project.guidelines.filter(version=form.cleaned_data["version"]).first() or guideline
        try:
            work.comment(annotation=found, author=request.user, guideline=shown, **said)
            messages.success(request, _("Saved. Whoever answered sees it under My work."))
            return redirect("annotator", slug, found.slot.holder.pseudonym)  # type: ignore[union-attr]
        except Refused as refused:
            form.add_error(None, str(refused))
    sheet = Sheet(found.slot)
    context = {
        "project": project,
        "slot": found.slot,
        "annotation": found,
        "turns": sheet.turns(),
        "outputs": sheet.outputs(),
        "answers": _answers(found, sheet),
        "harm": [Harm(category).label for category in found.slot.route.harm],
        "guideline": guideline,
        "guideline_html": markdown_html(guideline.says(get_language() or "en")["text"]) if guideline else "",
        "before": found.feedback.select_related("author").order_by("-pk"),
        "form": form,
    }
    return render(request, "annotate/standing/comment.html", context, status=422 if form.errors else 200)


def _answers(annotation: Annotation, sheet: Sheet) -> list[tuple[str, str]]:
    """What was asked and answered, in words; letters as its author saw them."""
    letters = {output.pk: letter for letter, output in sheet.completions.items()}
    written = {Question.Kind.TEXT, Question.Kind.DEMONSTRATION}
    rows: dict[int, tuple[str, str]] = {}
    for question in sheet.questions:
        if question.kind == Question.Kind.SPAN:
            continue
        if question.kind in written:
            said = [
                (letters.get(answer.completion_id or 0, ""), answer.value)
                for answer in annotation.answers.filter(question=question).order_by("completion__position")
            ]
            words = "\n".join(
                ": ".join(filter(None, (letter, value["text"] if isinstance(value, dict) else str(value))))
                for letter, value in said
            )
        else:
            values = adjudication.values_of([annotation.pk], question).get(annotation.pk)
            words = all_in_words(question, values, letters) if values else ""
        if words:
            rows[question.pk] = text_of(question), words
    return list(rows.values())


@require_POST
def feedback_seen(request: PageRequest, slug: str, pk: int) -> HttpResponse:
    """A comment has been read. For whoever answered."""
    work.mark_seen(feedback=feedback_for(request.user, slug, pk))
    return redirect("mine", slug)


# --- Calibration ------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def rounds(request: PageRequest, slug: str) -> HttpResponse:
    """The calibration rounds of a project and how far everybody is. For all members; managers make one."""
    project = project_for(request.user, slug, MANAGERS if request.method == "POST" else None)
    form = RoundForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            made = calibration.make_round(project=project, actor=request.user, **form.cleaned_data)
            text = ngettext("Made: everybody is given %(n)d task.", "Made: everybody is given %(n)d tasks.", len(made))
            messages.success(request, text % {"n": len(made)})
            return redirect("calibration", slug)
        except Refused as refused:
            form.add_error(None, str(refused))
    roles = roles_in(request.user, project)
    oversees = bool(roles & set(OVERSEERS))
    page = Paginator(calibration.rounds(project), PAGE).get_page(request.GET.get("page"))
    progress = calibration.answered_by(project, [one.number for one in page]) if oversees else {}
    own = None if oversees else _enrolment(request, project)
    context = {
        "project": project,
        "page": page,
        "rows": [_round(one, progress.get(one.number), own) for one in page],
        "oversees": oversees,
        "form": form if roles & set(MANAGERS) else None,
    }
    return render(request, "annotate/calibration/rounds.html", context, status=422 if form.errors else 200)


def _round(one: calibration.Round, people: dict[str, int] | None, enrolment: Enrolment | None) -> dict[str, Any]:
    return {
        "round": one,
        "people": people,
        "through": sum(number >= one.items for number in (people or {}).values()),
        "own": calibration.own(enrolment, one.number) if enrolment else None,
    }


@require_GET
def calibration_round(request: PageRequest, slug: str, batch: int) -> HttpResponse:
    """What people said in a round, where they agree least on top. For those who oversee the project, and for annotators
    who have answered all of it and asked to see it."""
    project = project_for(request.user, slug)
    found = _found(project, batch)
    oversees = bool(roles_in(request.user, project) & set(OVERSEERS))
    enrolment = _enrolment(request, project) if oversees else enrolment_for(request.user, slug)
    own = calibration.own(enrolment, batch) if enrolment else None
    context: dict[str, Any] = {"project": project, "round": found, "oversees": oversees, "own": own}
    if own and own.sealed(oversees=oversees):
        return render(request, "annotate/calibration/sealed.html", context)
    questions = asked(project)
    if questions:
        question = next((one for one in questions if one.key == request.GET.get("question")), questions[0])
        seen_by = enrolment.annotator if enrolment and not oversees else None
        items = calibration.items(project, batch, question, seen_by=seen_by)
        page = Paginator(items, PAGE).get_page(request.GET.get("page"))
        context |= {
            "question": question,
            "question_text": text_of(question),
            "tabs": [(one.key, text_of(one)) for one in questions] if len(questions) > 1 else [],
            "page": page,
            "items": _with_texts(list(page)),
        }
    return render(request, "annotate/calibration/round.html", context)


@require_POST
def calibration_open(request: PageRequest, slug: str, batch: int) -> HttpResponse:
    """Look at what the others said: from now on one is informed. For annotators who have answered all of the round."""
    enrolment = enrolment_for(request.user, slug)
    _found(enrolment.project, batch)
    try:
        calibration.open_round(enrolment=enrolment, number=batch)
    except Refused as refused:
        messages.error(request, str(refused))
    return redirect("calibration_round", slug, batch)


def _enrolment(request: PageRequest, project: Project) -> Enrolment | None:
    own = Enrolment.objects.filter(project=project, annotator__user=request.user)
    return own.select_related("project", "annotator").first()


def _found(project: Project, number: int) -> calibration.Round:
    found = next((one for one in calibration.rounds(project) if one.number == number), None)
    if found is None:
        raise Http404(_("There is no such round."))
    return found


def _with_texts(items: list[calibration.Item]) -> list[dict[str, Any]]:
    """The items with what their tasks say. The outputs have the letters that the answers use."""
    texts = calibration.texts_of(items)
    return [
        {
            "item": item,
            "turns": [turn | {"html": markdown_html(turn["content"])} for turn in item.task.conversation],
            "outputs": [
                {"letter": letter, "html": markdown_html(texts[output]), "empty": not texts[output].strip()}
                for output, letter in item.letters.items()
            ],
            "harm": [Harm(category).label for category in item.task.route.harm],
        }
        for item in items
    ]
