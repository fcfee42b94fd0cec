"""The desk: where somebody judges a task. Each view gets its slot from `annotate.access`: only its holder has it.

Reading changes nothing. What is filled in goes to `draft` as one works, and to `submit` at the end, which gives the
next task in the same answer.
"""

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRedirect

from annotate.access import Role, annotator_in, project_for, slot_for
from annotate.differences import inline, side_by_side
from annotate.errors import Refused
from annotate.forms import DraftForm, SkipForm, SubmitForm, answer_fields
from annotate.models import Enrolment, Flag, Guideline, Project, Slot, Task
from annotate.models.people import Harm
from annotate.rendering import markdown_html, plain_lines
from annotate.services import claims, desk, ledger, vetting, way_in
from annotate.sheet import Sheet, branches
from jobs.requests import PageRequest

Status, Purpose = Slot.Status, Task.Purpose


@require_POST
def claim(request: PageRequest, slug: str) -> HttpResponse:
    """Take the next task of the project. For its annotators."""
    project = project_for(request.user, slug, [Role.ANNOTATOR])
    slot = _next_slot(request, project)
    return redirect("work", slug, slot.code) if slot else redirect(_elsewhere(request, project))


@require_GET
def work(request: PageRequest, slug: str, code: UUID) -> HttpResponse:
    """A task of one's own. Reading it again changes nothing."""
    slot = slot_for(request.user, slug, code)
    return render(request, "annotate/work.html", _desk(request, slot, Sheet(slot)))


@require_POST
def submit(request: PageRequest, slug: str, code: UUID) -> HttpResponse:
    """Record the answer and show the next task, in this one request. For the slot's holder."""
    slot = slot_for(request.user, slug, code)
    form, sheet = SubmitForm(request.POST, project=slot.project), Sheet(slot, answer_fields(request.POST))
    found = sheet.read()
    if form.is_valid() and not found.errors:
        try:
            vetting.submit(
                slot=slot,
                answers=found.answers,
                idempotency_key=form.cleaned_data["key"],
                guideline=form.cleaned_data["guideline"],
                display_order=sheet.display_order,
                active_seconds=form.cleaned_data["active_seconds"],
                typing=form.cleaned_data["typing"],
            )
        except Refused as refused:
            form.add_error(None, str(refused))
    if not form.is_valid() or found.errors:
        template = "annotate/work.html#desk" if request.htmx else "annotate/work.html"
        return render(request, template, _desk(request, slot, sheet, form), status=422)
    return _go_on(request, slot.project, done=slot)


@require_POST
def draft(request: PageRequest, slug: str, code: UUID) -> HttpResponse:
    """Keep what is filled in so far, and the lease. For the slot's holder; answers in JSON.

    `version`: of the draft that the page has; 0 before the first. Without `changed` only the lease is renewed.
    """
    slot = slot_for(request.user, slug, code)
    form = DraftForm(request.POST)
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=422)
    fields = answer_fields(request.POST) if form.cleaned_data["changed"] else None
    known = {name: form.cleaned_data[name] for name in ("version", "answered")}
    kept = ledger.keep_draft(slot=slot, fields=fields, **known)
    return JsonResponse({"version": kept.version, "status": kept.status, "newer": kept.newer})


@require_POST
def skip(request: PageRequest, slug: str, code: UUID) -> HttpResponse:
    """Give the task back for good and show the next one. For the slot's holder."""
    slot = slot_for(request.user, slug, code)
    form = SkipForm(request.POST)
    if not form.is_valid():
        for error in form.errors.values():
            messages.error(request, str(error[0]))
        return redirect("work", slug, code)
    ledger.skip(slot=slot, **form.cleaned_data)
    return _go_on(request, slot.project, said=_("Skipped."))


@require_POST
def release(request: PageRequest, slug: str, code: UUID) -> HttpResponse:
    """Give the task back and stop for now. For the slot's holder."""
    slot = slot_for(request.user, slug, code)
    ledger.release(slot=slot)
    messages.info(request, _("You gave the task back. What you had filled in is kept."))
    return redirect("project", slug)


@require_GET
def compare(request: PageRequest, slug: str, code: UUID) -> HttpResponse:
    """Two outputs side by side, with what differs marked by word. For the slot's holder."""
    slot = slot_for(request.user, slug, code)
    outputs = Sheet(slot).completions
    left, right = request.GET.get("left", "A"), request.GET.get("right", "B")
    if left not in outputs or right not in outputs:
        raise Http404(_("There is no such output."))
    sides = side_by_side(outputs[left].text, outputs[right].text)
    context = {"left": left, "right": right, "sides": sides, "letters": list(outputs), "slot": slot}
    return render(request, "annotate/_compare.html", context)


@require_GET
def raw(request: PageRequest, slug: str, code: UUID, letter: str) -> HttpResponse:
    """An output as it was written, for marking words in it: the text of the element is the output, to the character."""
    slot = slot_for(request.user, slug, code)
    output = Sheet(slot).completions.get(letter)
    if output is None:
        raise Http404(_("There is no such output."))
    return HttpResponse(plain_lines(output.text))


def _go_on(request: PageRequest, project: Project, *, done: Slot | None = None, said: str = "") -> HttpResponse:
    """The next task in place of the last one; without htmx, or when there is none, another page.

    After a training task the page that says what the researchers chose; after the last of a test, what was decided.
    """
    purpose = done.task.purpose if done else None
    if done and purpose == Purpose.TRAINING:
        return _lead(request, reverse("training_feedback", args=[project.slug, done.code]))
    over = purpose == Purpose.TEST and not _own(request, project).filter(status=Enrolment.Status.TESTING).exists()
    slot = None if over else _next_slot(request, project)
    if slot and request.htmx:
        slot = slot_for(request.user, project.slug, slot.code)
        context = _desk(request, slot, Sheet(slot)) | {"done": done, "said": said}
        response = render(request, "annotate/work.html#desk", context)
        response["HX-Push-Url"] = reverse("work", args=[project.slug, slot.code])
        return response
    messages.success(request, said or _("Saved."))
    if over:
        return _lead(request, reverse("way_in", args=[project.slug]))
    address = reverse("work", args=[project.slug, slot.code]) if slot else _elsewhere(request, project)
    return _lead(request, address)


def _lead(request: PageRequest, address: str) -> HttpResponse:
    return HttpResponseClientRedirect(address) if request.htmx else redirect(address)


def _elsewhere(request: PageRequest, project: Project) -> str:
    """Where somebody goes who gets no task: to the way in, if there is something to do or to be told, else to the project."""
    own = _own(request, project).select_related("project").first()
    stays = own is None or (own.status == Enrolment.Status.APPROVED and way_in.must_read(own) is None)
    return reverse("project" if stays else "way_in", args=[project.slug])


def _own(request: PageRequest, project: Project) -> QuerySet[Enrolment]:
    """The user's enrolment, of the project's annotators."""
    annotator = annotator_in(request.user, project)
    return Enrolment.objects.filter(project=project, annotator=annotator) if annotator else Enrolment.objects.none()


def _next_slot(request: PageRequest, project: Project) -> Slot | None:
    """Claim a task. None, with a message that says why, when there is none to be had."""
    annotator = annotator_in(request.user, project)
    try:
        slot = claims.claim(annotator=annotator, project=project) if annotator else None
    except Refused as refused:
        messages.error(request, str(refused))
        return None
    if slot is None:
        messages.info(request, _("There is nothing more for you to do here at the moment. Thank you."))
    return slot


def _desk(request: PageRequest, slot: Slot, sheet: Sheet, form: SubmitForm | None = None) -> dict:
    """All that the desk shows."""
    language = get_language() or "en"
    guideline = Guideline.objects.filter(project=slot.project_id, current=True).first()
    read = desk.last_guideline_read(slot) if guideline else None
    changes: str = ""
    if guideline and read and read.version < guideline.version:
        changes = inline(read.says(language)["text"], guideline.says(language)["text"])
    draft = getattr(slot, "draft", None)
    return {
        "slot": slot,
        "project": slot.project,
        "turns": sheet.turns(),
        "tree": branches(slot.task.tree) if slot.task.tree else [],
        "form": form or SubmitForm(project=slot.project, initial={"guideline": guideline and guideline.version}),
        "outputs": sheet.outputs(),
        "asked": sheet.asked(),
        "errors": sheet.errors,
        "draft_version": draft.version if draft else 0,
        "guideline": guideline,
        "changes_html": changes,
        "changed_since": read,
        "own": desk.today(slot.holder, slot.project),
        "login_url": resolve_url(settings.LOGIN_URL),
        "harm": [Harm(category).label for category in slot.route.harm],
        "support_html": markdown_html(slot.project.support_in(language)) if slot.project.support_text else "",
        "skip_kinds": Slot.Skip.choices,
        "flag_kinds": Flag.Kind.choices,
        "over": slot.status in Slot.LOST,
        "answered": slot.status in Slot.ANSWERED,
        "sent_back": desk.sent_back(slot),
        "comments": desk.comments(slot),
        "help_answers": desk.unseen_answers(slot),
    }
