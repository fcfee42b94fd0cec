"""Reviewing written work: what waits, and one piece with all that helps to decide. Shown, never judged by the page."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from annotate.access import OVERSEERS, REVIEWERS, piece_for, project_for, roles_in
from annotate.differences import inline
from annotate.errors import Refused
from annotate.exchange_forms import ReviewForm
from annotate.models import Answer, Review
from annotate.rendering import markdown_html
from annotate.services import reviews as work
from annotate.sheet import Sheet
from jobs.requests import PageRequest

PAGE = 25


@require_GET
def reviews(request: PageRequest, slug: str) -> HttpResponse:
    """Written work that waits for a reviewer. For those who oversee the project; auditors only look."""
    project = project_for(request.user, slug, OVERSEERS)
    found = work.waiting(project, request.user).select_related(
        "annotation__slot__task", "annotation__slot__route", "annotation__slot__holder"
    )
    context = {
        "project": project,
        "page": Paginator(found, PAGE).get_page(request.GET.get("page")),
        "decided": work.decided(project),
        "may_review": bool(roles_in(request.user, project) & set(REVIEWERS)),
    }
    return render(request, "annotate/reviews.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def review(request: PageRequest, slug: str, answer_id: int) -> HttpResponse:
    """One piece of written work. To look at for those who oversee the project, to decide on for its reviewers."""
    if request.method != "POST":
        piece = piece_for(request.user, slug, answer_id, OVERSEERS)
        return render(request, "annotate/review.html", _piece(request, piece, ReviewForm(written=work.text_of(piece))))
    piece = piece_for(request.user, slug, answer_id)
    form = ReviewForm(request.POST, written=work.text_of(piece))
    if form.is_valid():
        try:
            made = work.decide(piece=piece, actor=request.user, **form.cleaned_data)
            return _next(request, slug, made)
        except Refused as refused:
            form.add_error(None, str(refused))
            piece = piece_for(request.user, slug, answer_id)  # as it stands now
    return render(request, "annotate/review.html", _piece(request, piece, form), status=422)


def _next(request: PageRequest, slug: str, made: Review) -> HttpResponse:
    """The piece that has waited longest, or the list when none is left."""
    messages.success(request, _("Saved: %(decision)s.") % {"decision": made.get_decision_display()})
    project = project_for(request.user, slug)
    following = work.waiting(project, request.user).first()
    return redirect("review", slug, following.pk) if following else redirect("reviews", slug)


def _piece(request: PageRequest, piece: Answer, form: ReviewForm) -> dict[str, Any]:
    slot, written = piece.annotation.slot, work.text_of(piece)
    sheet = Sheet(slot)
    outputs = sheet.completions
    letters = {one.pk: letter for letter, one in outputs.items()}
    begun = next((one for one in outputs.values() if one.pk == (piece.value or {}).get("from")), None)
    alike = work.likeness(written, list(outputs.values()))
    before = work.before(piece)
    typing = piece.annotation.typing or {}
    return {
        "project": slot.project,
        "piece": piece,
        "slot": slot,
        "turns": sheet.turns(),
        "written_html": markdown_html(written),
        "begun": begun and letters[begun.pk],
        "begun_changes": inline(begun.text, written) if begun else "",
        "before": before,
        "before_changes": inline(work.text_of(before), written) if before else "",
        "alike": alike,
        "alike_letter": alike and letters[alike.completion.pk],
        "typing": typing,
        "pasted": work.pasted_share(typing),
        "form": form,
        "decided": getattr(piece, "review", None),
        "standing": work.standing(piece),
        "may_review": bool(roles_in(request.user, slot.project) & set(REVIEWERS)),
    }
