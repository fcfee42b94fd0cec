"""Known answers, for those who oversee a project: the tasks that have one or are to have one, and one of them."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from annotate.access import ANSWERERS, OVERSEERS, known_case_for, overseen_for, roles_in
from annotate.answer_words import in_words
from annotate.errors import Refused
from annotate.forms import answer_fields
from annotate.models import GoldAnswer, GoldResult, Project, Question, Rule, Task
from annotate.models.people import Harm
from annotate.services import adjudication, gold, gold_overview
from annotate.services.standing import text_of
from annotate.vetting_forms import KnownForm, PromoteForm
from annotate.views.adjudication import CaseSheet
from jobs.requests import PageRequest

PAGE = 25
MOST_SUSPECTS, MOST_PEOPLE = 5, 20
Purpose = Task.Purpose


# --- The list ---------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def known_answers(request: PageRequest, slug: str) -> HttpResponse:
    """Tasks of training, test and gold with what is known of them; how long gold lasts; what might become gold.

    A POST copies a task of work. Managers and researchers do that; who oversees looks.
    """
    posted = request.method == "POST"
    project = overseen_for(request.user, slug, ANSWERERS if posted else OVERSEERS)
    form = PromoteForm(request.POST if posted else None)
    if posted and (made := _promoted(request, project, form)):
        return redirect("gold_case", project.slug, made[0].pk, made[1].key)
    questions = gold_overview.questions_of(project)
    question = next((one for one in questions if one.key == request.GET.get("question")), next(iter(questions), None))
    purpose = request.GET.get("purpose", "")
    purpose = purpose if purpose in gold.KNOWN_PURPOSES else str(Purpose.GOLD)
    page = Paginator(gold_overview.tasks(project, purpose), PAGE).get_page(request.GET.get("page"))
    suspects = gold_overview.suspect_items(project)
    deciding, proposed, more = gold_overview.proposals(project)
    outlook = gold_overview.outlook(project)
    counts = gold_overview.counts(project)
    may_change = bool(roles_in(request.user, project) & set(ANSWERERS))
    following = gold_overview.unanswered(question, purpose, request.user) if question and may_change else None
    context = {
        "project": project,
        "purpose": purpose,
        "purposes": [(one.value, one.label, counts[one.value]) for one in gold.KNOWN_PURPOSES],
        "questions": [(one.key, text_of(one)) for one in questions],
        "question": question,
        "page": page,
        "rows": gold_overview.rows(question, list(page), suspects) if question else [],
        "suspects": _named(suspects[:MOST_SUSPECTS], questions),
        "outlook": outlook,
        "people": outlook.people[:MOST_PEOPLE],
        "pace_days": gold_overview.PACE_DAYS,
        "rate_of_new": max(project.gold_percent, project.gold_new_percent),
        "deciding": deciding,
        "proposed": proposed,
        "more_proposed": more,
        "form": form,
        "may_change": may_change,
        "following": following,
    }
    return render(request, "annotate/gold/list.html", context, status=422 if posted else 200)


def _promoted(request: PageRequest, project: Project, form: PromoteForm) -> tuple[Task, Question] | None:
    """The copy of a task of work, with the question on which people agree; None, with what is wrong, where there is none."""
    if not form.is_valid():
        return None
    task = Task.objects.filter(project=project, pk=form.cleaned_data["task"]).first()
    question = gold_overview.deciding_question(project)
    if task is None or question is None:
        form.add_error(None, _("There is no such task."))
        return None
    try:
        purpose = form.cleaned_data["purpose"]
        made = gold_overview.promote(project=project, task=task, purpose=purpose, actor=request.user)
    except Refused as refused:
        form.add_error(None, str(refused))
        return None
    text = _(
        "Copied to %(purpose)s, with what people agree on as your answer. It counts once another researcher agrees."
    )
    messages.success(request, text % {"purpose": Purpose(form.cleaned_data["purpose"]).label})
    return made, question


def _named(suspects: list, questions: list[Question]) -> list[dict[str, Any]]:
    """The suspects with their task and question, in one statement."""
    by_key = {one.key: one for one in questions}
    tasks = Task.objects.in_bulk([one.item[0] for one in suspects])
    return [
        {"suspect": one, "task": tasks[one.item[0]], "key": one.item[1], "question": text_of(by_key[one.item[1]])}
        for one in suspects
        if one.item[1] in by_key
    ]


# --- One of them ------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def known_case(request: PageRequest, slug: str, question: str, task: int) -> HttpResponse:
    """One question on a task: a researcher answers it, and sees then what the others answered and what is known."""
    posted = request.method == "POST"
    found, asked_now = known_case_for(request.user, slug, question, task, ANSWERERS if posted else OVERSEERS)
    page = _KnownCase(request, found, asked_now)
    if posted and page.save():
        return redirect(request.get_full_path())
    return render(request, "annotate/gold/case.html", page.context(), status=422 if posted else 200)


class _KnownCase:
    """All that the page knows, read once."""

    def __init__(self, request: PageRequest, task: Task, question: Question) -> None:
        self.request, self.task, self.question = request, task, question
        self.held = adjudication.held_by(task, request.user).exists()
        self.answers = bool(roles_in(request.user, task.project) & set(ANSWERERS))
        self.opinions = gold.opinions(task, question)
        self.mine = next((one for one in self.opinions if one.researcher_id == request.user.pk), None)
        versions = GoldAnswer.objects.filter(task=task, question__key=question.key).select_related("corrected_by")
        self.versions = list(versions.order_by("-pk"))
        posted = request.POST if request.method == "POST" else None
        self.form = KnownForm(posted)
        fields = answer_fields(posted) if posted is not None else {}
        rules = (
            Rule.objects.filter(project=task.project, retired_at=None)
            if question.kind == "rule"
            else Rule.objects.none()
        )
        self.rules = {rule.pk: rule for rule in rules.order_by("key")}
        outputs = list(task.completions.values_list("pk", flat=True))
        self.sheet = CaseSheet(task, question, [(output, None) for output in outputs], self.rules.values(), fields)
        self.letters = {output.pk: letter for letter, output in self.sheet.completions.items()}

    @property
    def open(self) -> bool:
        """Whether what is known may be seen: by who has answered, or answers nothing here. Never by who was given it."""
        return not self.held and (self.mine is not None or not self.answers)

    @property
    def current(self) -> GoldAnswer | None:
        return next((one for one in self.versions if one.current), None)

    def scored(self) -> int:
        """How many people were scored by what is known."""
        return gold.people_scored(self.current) if self.current else 0

    def save(self) -> bool:
        """Whether the answer, or the correction, that was sent is saved."""
        found = self.sheet.read()
        if not self.form.is_valid() or found.errors:
            return False
        values, reason = adjudication.values_given(found.answers), self.form.cleaned_data["reason"]
        try:
            if "known:correct" in self.request.POST and self.open:
                self._correct(values, reason)
            else:
                self._answer(values, reason)
        except Refused as refused:
            self.form.add_error(None, str(refused))
            return False
        return True

    def _answer(self, values: gold.Values, reason: str) -> None:
        made = gold.answer(
            task=self.task, question=self.question, researcher=self.request.user, values=values, reason=reason
        )
        if made is None:
            text = _("Your answer is saved. No two researchers share an answer yet, so none is known.")
        else:
            text = _("Your answer is saved. %(agreeing)d of %(asked)d researchers share the answer that is known now.")
            text %= {"agreeing": made.agreeing, "asked": made.researchers}
        messages.success(self.request, text)

    def _correct(self, values: gold.Values, reason: str) -> None:
        made = gold.correct(
            task=self.task, question=self.question, actor=self.request.user, values=values, reason=reason
        )
        n = gold.people_scored(made)
        text = ngettext(
            "Corrected: version %(version)d. %(n)d person is scored by it.",
            "Corrected: version %(version)d. %(n)d people are scored by it.",
            n,
        )
        messages.success(self.request, text % {"version": made.version, "n": n})

    # --- For the page ---

    def context(self) -> dict[str, Any]:
        results = GoldResult.objects.filter(gold=self.current if self.open else None).order_by("-pk")
        people = Paginator(results.select_related("annotation__slot__holder"), PAGE)
        following = gold_overview.unanswered(self.question, self.task.purpose, self.request.user) if self.mine else None
        return {
            "project": self.task.project,
            "task": self.task,
            "slot": self.sheet.slot,
            "question": self.question,
            "question_text": text_of(self.question),
            "harm": [Harm(one).label for one in self.task.route.harm],
            "turns": self.sheet.turns(),
            "outputs": self.sheet.outputs(),
            "asked": self.sheet.asked(),
            "problems": self.sheet.problems(),
            "in_cards": self.sheet.of_each or self.question.kind == Question.Kind.RANKING,
            "form": self.form,
            "held": self.held,
            "may_answer": self.answers and not self.held,
            "mine": self.mine,
            "open": self.open,
            "others": len(self.opinions) - bool(self.mine),
            "opinions": [self._opinion(one) for one in self.opinions] if self.open else [],
            "versions": [self._version(one) for one in self.versions] if self.open else [],
            "current": self.current if self.open else None,
            "scored": self.scored() if self.open else 0,
            "page": people.get_page(self.request.GET.get("page")),
            "following": following,
        }

    def _opinion(self, one: Any) -> dict[str, Any]:
        agrees = self.current is not None and gold.same_values(one.values, self.current.values)
        return {"answer": one, "says": self._in_words(one.values), "agrees": agrees}

    def _version(self, one: GoldAnswer) -> dict[str, Any]:
        return {"version": one, "says": self._in_words(one.values)}

    def _in_words(self, values: gold.Values) -> list[tuple[str, str]]:
        """(what it is about, what is said)."""
        return [(self._name(one), in_words(self.question, one["value"], self.letters)) for one in values]

    def _name(self, value: Mapping[str, Any]) -> str:
        """What a value is about; nothing where it is the task."""
        if not value["completion"]:
            return ""
        output = _("Output %(letter)s") % {"letter": self.letters.get(value["completion"], "?")}
        rule = self.rules.get(value["rule"])
        return f"{output} · {rule.says(get_language() or 'en')['text']}" if rule and len(self.rules) > 1 else output
