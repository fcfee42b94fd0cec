"""Deciding where people disagree: the cases that wait, and one case with all that helps to decide it."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from functools import cached_property
from string import ascii_uppercase
from typing import Any

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from annotate.access import REVIEWERS, case_for, project_for
from annotate.answer_words import Letters, in_words, votes_in_words
from annotate.errors import Refused
from annotate.forms import answer_fields
from annotate.models import Adjudication, Completion, Consensus, Project, Question, Rule, Slot, Task
from annotate.models.people import Harm
from annotate.questions import Fields, Read, Shown, name_of, read
from annotate.services import adjudication, consensus
from annotate.services.adjudication import Said
from annotate.services.judgements import asked
from annotate.sheet import Sheet
from jobs.requests import PageRequest

Outcome = Adjudication.Outcome
PAGE = 25
RATIONALE = Adjudication._meta.get_field("rationale").max_length


# --- The queue --------------------------------------------------------------------------------------------------------


@require_GET
def queue(request: PageRequest, slug: str) -> HttpResponse:
    """The cases that wait for somebody who was not given their tasks, least sure first. `question`: of that key alone."""
    project = project_for(request.user, slug, REVIEWERS)
    questions = asked(project)
    question = next((one for one in questions if one.key == request.GET.get("question")), None)
    found = adjudication.queue(project, question, user=request.user).select_related("task__route", "question", "rule")
    outputs = Completion.objects.only("task_id", "position")
    page = Paginator(found.prefetch_related(Prefetch("task__completions", outputs)), PAGE).get_page(
        request.GET.get("page")
    )
    context = {
        "project": project,
        "page": page,
        "cases": [_row(row) for row in page],
        "questions": [(one.key, one.says(get_language() or "en")["text"]) for one in questions],
        "question": question,
        "why_empty": "" if page else _why_empty(project, question),
        "sure_enough": project.confidence_percent,
    }
    return render(request, "annotate/adjudication/queue.html", context)


def _row(row: Consensus) -> dict[str, Any]:
    letters = _letters(row.task.completions.all())
    language = get_language() or "en"
    return {
        "row": row,
        "question": row.question.says(language)["text"],
        "output": letters.get(row.completion_id or 0, ""),
        "rule": row.rule.says(language)["text"] if row.rule else "",
        "votes": votes_in_words(row.question, row.votes, letters),
        "harm": [Harm(category).label for category in row.task.route.harm],
    }


def _letters(outputs: Iterable[Completion]) -> dict[int, str]:
    """A, B, C … in the order in which the outputs came in: the same for all reviewers."""
    ordered = sorted(outputs, key=lambda output: output.position)
    return {output.pk: letter for output, letter in zip(ordered, ascii_uppercase, strict=False)}


def _why_empty(project: Project, question: Question | None) -> str:
    """Why no case waits, and what would bring one."""
    if not asked(project):
        return _(
            "This project asks nothing that people could agree on. A ranking, comparison, rating or choice would be."
        )
    if question and adjudication.queue(project).exists():
        return _("Nobody disagrees on this question. Look at all questions.")
    settled = Consensus.objects.filter(task__project=project, current=True, n_votes__gte=adjudication.LEAST_VOTES)
    if not settled.exists():
        return _(
            "No two people have answered the same task yet. When they have and disagree, the case comes to stand here "
            "about a minute later, once nobody is at work on the task any more."
        )
    if adjudication.queue(project).exists():
        return _("What waits is about tasks that you were given as an annotator. Somebody else decides on them.")
    return _(
        "All is decided, sure enough, or still open to further people. A case comes to stand here when all places of a "
        "task are filled and its consensus stays below %(percent)d %%."
    ) % {"percent": project.confidence_percent}


# --- A case -----------------------------------------------------------------------------------------------------------


class CaseForm(forms.Form):
    """What is decided and why. Its fields have a colon in their names: no question has."""

    decision = forms.ChoiceField(
        widget=forms.RadioSelect,
        error_messages={
            "required": gettext_lazy("Say what you decide."),
            "invalid_choice": gettext_lazy("This answer has been changed since you opened the page. Decide again."),
        },
    )
    rationale = forms.CharField(
        label=gettext_lazy("Why"),
        max_length=RATIONALE,
        widget=forms.Textarea(attrs={"rows": 4}),
        error_messages={"required": gettext_lazy("Say why: those who answered read it.")},
    )
    replaces = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args, said: Sequence[Said], **kwargs) -> None:
        super().__init__(*args, **kwargs)
        people = [(str(one.annotation.pk), one.pseudonym) for one in said]
        self.fields["decision"].choices = [  # type: ignore[attr-defined]
            *people,
            (Outcome.OWN.value, Outcome.OWN.label),
            (Outcome.AMBIGUOUS.value, Outcome.AMBIGUOUS.label),
        ]

    def add_prefix(self, field_name: str) -> str:
        return f"case:{field_name}"


class CaseSheet(Sheet):
    """The form of one question on a task, as annotators get it, with the outputs in the order in which they came in.

    `units`: what people were asked about; of a question about each output no more is asked here.
    """

    def __init__(
        self, task: Task, question: Question, units: Iterable[adjudication.Unit], rules: Iterable[Rule], fields: Fields
    ) -> None:
        super().__init__(Slot(task=task, project=task.project, route=task.route), fields)
        self.question = copy(question)
        self.question.required = True  # a decision is whole; of a multi-choice “none of them” can be one
        self.units = {completion for completion, _rule in units}
        self.drawn = list({rule.key: rule for rule in rules}.values())  # of two versions the latter

    @cached_property
    def completions(self) -> dict[str, Completion]:
        return dict(zip(ascii_uppercase, self.slot.task.completions.all(), strict=False))

    @cached_property
    def questions(self) -> list[Question]:
        return [self.question]

    @cached_property
    def rules(self) -> dict[str, list[Rule]]:
        return {self.question.key: self.drawn}

    @property
    def of_each(self) -> bool:
        return self.question.scope == Question.Scope.COMPLETION

    @cached_property
    def about(self) -> dict[str, Completion]:
        """The outputs that the question was asked about, or all."""
        outputs = self.completions.items()
        return {letter: output for letter, output in outputs if not self.of_each or output.pk in self.units}

    def read(self) -> Read:
        shown = {letter: Shown(output.pk, output.text) for letter, output in self.about.items()}
        found = read(self.questions, self.fields, shown, self.rules)
        self.errors = found.errors
        return found

    def asked(self) -> list[dict[str, Any]]:
        asked = super().asked()
        for part in (
            [one for question in asked for one in [question, *question.get("rules", [])]] if self.of_each else []
        ):
            part["rows"] = [row for row in part.get("rows", []) if row["letter"] in self.about]
        return asked

    def problems(self) -> list[str]:
        """What is wrong with the own answer, each with the output that it is about."""
        said = []
        for name, error in self.errors.items():
            letter = next((part for part in reversed(name.split(".")) if part in self.completions), "")
            said.append(f"{letter}: {error}" if letter and self.of_each else error)
        return list(dict.fromkeys(said))


@require_http_methods(["GET", "HEAD", "POST"])
def case(request: PageRequest, slug: str, question: str, task: int) -> HttpResponse:
    """One question on a task: what people said, what was decided on it, and the form to decide. For reviewers.

    `only` keeps to cases of this question, one after the other.
    """
    found, asked_now = case_for(request.user, slug, question, task)
    if adjudication.held_by(found, request.user).filter(informed_at=None).exists():
        if "case:open" in request.POST:
            adjudication.note_reader(task=found, user=request.user)
            return redirect(request.get_full_path())
        return render(request, "annotate/adjudication/sealed.html", {"project": found.project, "task": found})
    page = _Case(request, found, asked_now)
    if request.method != "POST" or "case:clear" in request.POST:
        return render(request, "annotate/adjudication/case.html", page.context())
    if made := page.decide():
        return _next(request, slug, made)
    return render(request, "annotate/adjudication/case.html", page.context(), status=422)


def _next(request: PageRequest, slug: str, made: Adjudication) -> HttpResponse:
    """The least sure of the other cases, or the queue when none is left."""
    messages.success(request, _("Saved: %(outcome)s.") % {"outcome": made.get_outcome_display()})
    only = "only" in request.GET
    if row := adjudication.following(made, same_question=only):
        return redirect(reverse("case", args=[slug, row.question.key, row.task_id]) + ("?only=1" if only else ""))
    return redirect(reverse("adjudication", args=[slug]) + (f"?question={made.question.key}" if only else ""))


class _Case:
    """All that the page of a case knows, read once."""

    def __init__(self, request: PageRequest, task: Task, question: Question) -> None:
        self.request, self.task, self.question = request, task, question
        self.held = adjudication.held_by(task, request.user).exists()
        self.said = adjudication.answers(task, question)
        self.rows = {(row.completion_id, row.rule_id): row for row in consensus.current(question).filter(task=task)}
        self.decisions = list(adjudication.decisions(task, question))
        units = {unit: None for one in self.said for unit in one.values} | dict.fromkeys(self.rows)
        rules = Rule.objects.filter(pk__in={rule for _completion, rule in units if rule}).order_by("key", "version")
        self.rules = {rule.pk: rule for rule in rules}
        posted = request.POST if request.method == "POST" else None
        self.form = CaseForm(posted, said=self.said)
        self.known: Any = self.form["replaces"].value() if posted is not None else self.latest and self.latest.pk
        cleared = posted is not None and "case:clear" in posted
        if cleared:  # all but the own answer stays as it was filled in, and nothing is wrong with it yet
            self.form.full_clean()
            self.form.errors.clear()
        fields = {} if cleared else self._prefilled() if posted is None else answer_fields(posted)
        self.sheet = CaseSheet(task, question, units, self.rules.values(), fields)
        self.letters: Letters = {output.pk: letter for letter, output in self.sheet.completions.items()}
        places = {output: at for at, output in enumerate(self.letters)}
        self.units = sorted(
            units, key=lambda unit: (list(self.rules).index(unit[1]) if unit[1] else 0, places.get(unit[0] or 0, 0))
        )

    @property
    def latest(self) -> Adjudication | None:
        return self.decisions[0] if self.decisions else None

    def decide(self) -> Adjudication | None:
        """The decision that was sent, once it is saved; None, with what is wrong in form and sheet, where it is not."""
        form = self.form
        own = form.data.get(form.add_prefix("decision")) == Outcome.OWN
        found = self.sheet.read() if own else None
        if not form.is_valid() or (found and found.errors):
            return None
        outcome, rationale = form.cleaned_data["decision"], form.cleaned_data["rationale"]
        adopted = next((one.annotation for one in self.said if str(one.annotation.pk) == outcome), None)
        self.known = form.cleaned_data["replaces"]
        try:
            return adjudication.adjudicate(
                task=self.task,
                question=self.question,
                reviewer=self.request.user,
                outcome=Outcome.ADOPT if adopted else outcome,
                rationale=rationale,
                adopted=adopted,
                values=adjudication.values_given(found.answers) if found else None,
                replaces=next((one for one in self.decisions if one.pk == self.known), None),
            )
        except Refused as refused:
            form.add_error(None, str(refused))
            self.decisions = list(adjudication.decisions(self.task, self.question))  # as they stand now
            self.known = self.latest and self.latest.pk
            return None

    def _prefilled(self) -> dict[str, list[str]]:
        """The own answer where people agree: of many outputs and rules one fills in only what is at issue."""
        sure = self.task.project.sure_enough
        letters = _letters(self.task.completions.all())
        fields = {}
        for (completion, rule), row in self.rows.items():
            settled = row.adjudication_id or (row.confidence or 0) >= sure
            if not settled or row.value is None or completion is None:
                continue
            name = name_of(self.question.key, self.rules[rule].key if rule else "", letters[completion])
            values = row.value if isinstance(row.value, list) else [row.value]
            fields[name] = [f"{value:g}" if isinstance(value, int | float) else value for value in values]
        return fields

    # --- For the page ---

    def context(self) -> dict[str, Any]:
        sheet, task = self.sheet, self.task
        says = self.question.says(get_language() or "en")
        return {
            "project": task.project,
            "slot": sheet.slot,
            "turns": sheet.turns(),
            "outputs": sheet.outputs(),
            "asked": sheet.asked() if not self.held else [],
            "question": self.question,
            "question_text": says["text"],
            "rule": self._rule(*self.rules) if len(self.rules) == 1 else "",
            "table": [self._line(unit) for unit in self.units],
            "people": [self._person(one) for one in self.said],
            "decisions": [self._decision(one) for one in self.decisions],
            "form": self.form,
            "replaces": self.known,
            "chosen": self.form["decision"].value(),
            "problems": sheet.problems(),
            "harm": [Harm(category).label for category in task.route.harm],
            "held": self.held,
            "own": Outcome.OWN,
            "in_cards": sheet.of_each or self.question.kind == Question.Kind.RANKING,
            "ambiguous": Outcome.AMBIGUOUS,
            "sure_enough": task.project.confidence_percent,
        }

    def _line(self, unit: adjudication.Unit) -> dict[str, Any]:
        """A row of the table: what each person said of an output (and rule), and what it comes to."""
        row = self.rows.get(unit)
        return {
            "name": self._name(unit),
            "said": [self._words(one.values[unit]) if unit in one.values else "" for one in self.said],
            "votes": votes_in_words(self.question, row.votes, self.letters) if row else "",
            "value": self._words(row.value) if row and row.value is not None else "",
            "row": row,
            "unsure": row and row.adjudication_id is None and (row.confidence or 0) < self.task.project.sure_enough,
        }

    def _name(self, unit: adjudication.Unit) -> str:
        completion, rule = unit
        output = _("Output %(letter)s") % {"letter": self.letters.get(completion, "?")} if completion else _("The task")
        return f"{output} · {self._rule(rule)}" if rule and len(self.rules) > 1 else output

    def _rule(self, rule: int) -> str:
        return self.rules[rule].says(get_language() or "en")["text"]

    def _words(self, value: Any) -> str:
        return in_words(self.question, value, self.letters)

    def _all_in_words(self, values: Mapping[adjudication.Unit, Any]) -> list[tuple[str, str]]:
        """(what it is about, what is said), in the order of the table; without a name where there is one thing only."""
        named = len(self.units) > 1
        return [(self._name(unit) if named else "", self._words(values[unit])) for unit in self.units if unit in values]

    def _person(self, said: Said) -> dict[str, Any]:
        guideline = said.annotation.guideline
        return {
            "value": str(said.annotation.pk),
            "pseudonym": said.pseudonym,
            "says": self._all_in_words(said.values),
            "guideline": guideline and guideline.version,
            "informed": said.annotation.informed,
            "extra": said.slot.status == Slot.Status.EXTRA,
            "when": said.annotation.created_at,
        }

    def _decision(self, made: Adjudication) -> dict[str, Any]:
        values = {(one["completion"], one["rule"]): one["value"] for one in made.values}
        holder = made.adopted.slot.holder if made.adopted else None
        return {"made": made, "says": self._all_in_words(values), "of": holder.pseudonym if holder else ""}
