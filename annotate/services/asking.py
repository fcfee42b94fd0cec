"""Changing what a project asks: its questions and its rules.

What somebody was asked stays as it was: once a task was given out, a change is a new version, and the old one is no
longer asked. Where a question stands among the others can always be changed in place. Wrong values raise ValidationError
by field; what cannot be done now raises Refused.
"""

from collections import defaultdict
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.errors import Refused
from annotate.models import Answer, Project, Question, Rule, Task
from annotate.models.projects import LANGUAGES
from annotate.question_settings import condition_problems, key_problems, problems, translation_problems
from annotate.questions import outputs_wanted

IN_PLACE = {"position"}  # is no part of what somebody was asked


# --- Questions --------------------------------------------------------------------------------------------------------


@transaction.atomic
def add_question(*, project: Project, key: str, position: int | None = None, **said: Any) -> Question:
    """Ask one more question, by default after the others. A key that was asked before goes on with its next version."""
    _lock(project)
    at = next_position(project) if position is None else position
    version = _next_version(project.questions, key)
    question = Question(project=project, key=key, version=version, position=at, **said)
    _check_and_save(question)
    return question


@transaction.atomic
def change_question(*, question: Question, **said: Any) -> Question:
    """Ask it otherwise. Returns the version that is asked now: the same one as long as nobody can have seen it."""
    _lock(question.project)
    question = Question.objects.select_related("project").get(pk=question.pk)
    if not question.current:
        raise Refused(_("This version is no longer asked. Change the one that is."))
    changed = {name for name, value in said.items() if value != getattr(question, name)}
    for name in changed:
        setattr(question, name, said[name])
    # Not whether it was answered: somebody may have it open, or his answer may be on its way into the database.
    if changed - IN_PLACE and question.project.slots.filter(holder__isnull=False).exists():
        Question.objects.filter(pk=question.pk).update(current=False)
        question.pk, question._state.adding = None, True
        question.version = _next_version(question.project.questions, question.key)
    if changed:
        _check_and_save(question)
    return question


@transaction.atomic
def retire_question(*, question: Question) -> None:
    """Ask it no more. What was answered stays, and is exported."""
    _lock(question.project)
    others = question.project.questions.current().exclude(key=question.key)
    if not question.current:
        return
    if not others:
        raise Refused(_("“%(key)s” is all that this project asks. Add another question first.") % {"key": question.key})
    if depending := [other.key for other in others if _depends(other, question)]:
        text = _("“%(other)s” is only asked where “%(key)s” was answered so. Change its condition first.")
        raise Refused(text % {"other": depending[0], "key": question.key})
    Question.objects.filter(pk=question.pk).update(current=False)


def next_position(project: Project) -> int:
    """After all that the project asks."""
    last = project.questions.current().last()
    return last.position + 1 if last else 0


def faults(question: Question) -> dict[str, list[str]]:
    """What is wrong with a question that its project asks, or is going to ask, by field."""
    asked = list(question.project.questions.current())
    others = [other for other in asked if other.key != question.key]
    before = {other.key: other for other in others if other.position < question.position}
    found = defaultdict(list, problems(question.kind, question.scope, question.settings, question.condition, before))
    found["key"] += key_problems(question.key)
    if question._state.adding and len(others) < len(asked):
        found["key"].append(_taken(question.key))
    found["kind"] += _other_kind(question) + _without_rules(question)
    if not found["settings"]:
        said = translation_problems(question.translations, LANGUAGES, question.kind, question.settings)
        found["translations"] += said
        found[NON_FIELD_ERRORS] += _broken_conditions(question, others)
        found["kind"] += _misfits(question, others)
    return {name: said for name, said in found.items() if said}


def _other_kind(question: Question) -> list[str]:
    """A key keeps its kind once it was answered: what reads the answers of all its versions counts on that."""
    answered = Answer.objects.filter(question__project=question.project, question__key=question.key)
    before = answered.values_list("question__kind", "question__scope").order_by("-question__version").first()
    if before is None or before == (question.kind, question.scope):
        return []
    text = _("Answers to “%(key)s” are there, and of another kind. Retire it, and add a question under another key.")
    return [text % {"key": question.key}]


def _without_rules(question: Question) -> list[str]:
    if question.kind != Question.Kind.RULE or question.project.rules.filter(retired_at=None).exists():
        return []
    return [_("No rule is in force in this project. Add the rules first.")]


def _depends(other: Question, question: Question) -> bool:
    return other.condition is not None and other.condition["question"] == question.key


def _broken_conditions(question: Question, others: list[Question]) -> list[str]:
    """What the question would do to those whose condition names it."""
    found = []
    for other in others:
        if _depends(other, question):
            before = {question.key: question} if question.position < other.position else {}
            said = condition_problems(other.scope, other.condition, before)
            found += [
                _("Then “%(other)s” could not be asked. %(why)s") % {"other": other.key, "why": why} for why in said
            ]
    return found


def _misfits(question: Question, others: list[Question]) -> list[str]:
    """Whether tasks that are in have too few or too many outputs for it."""
    least, most = outputs_wanted([*others, question])
    if (least, most) == outputs_wanted(others):
        return []
    tasks = question.project.tasks.filter(status=Task.Status.OPEN).annotate(outputs=Count("completions"))
    if misfits := tasks.exclude(outputs__gte=least, outputs__lte=most).count():
        text = _("It needs %(least)d to %(most)d outputs, and %(count)d tasks have more or fewer. Withdraw them first.")
        return [text % {"least": least, "most": most, "count": misfits}]
    return []


def _check_and_save(question: Question) -> None:
    if found := faults(question):
        raise ValidationError({name: list(said) for name, said in found.items()})
    question.full_clean(exclude=["project"])
    question.save()


# --- Rules ------------------------------------------------------------------------------------------------------------


@transaction.atomic
def add_rule(*, project: Project, key: str, **said: Any) -> Rule:
    """One more rule in force. A key that was in force before goes on with its next version."""
    _lock(project)
    rule = Rule(project=project, key=key, version=_next_version(project.rules, key), **said)
    _check_and_save_rule(rule)
    return rule


@transaction.atomic
def change_rule(*, rule: Rule, **said: Any) -> Rule:
    """Put the rule otherwise: its next version, in force from the moment when this one ends."""
    _lock(rule.project)
    rule = Rule.objects.select_related("project").get(pk=rule.pk)
    if rule.retired_at:
        raise Refused(_("This version is no longer in force. Change the one that is."))
    texts = {name: getattr(rule, name) for name in ("text", "good_example", "bad_example", "translations")}
    if texts | said == texts:
        return rule
    Rule.objects.filter(pk=rule.pk).update(retired_at=timezone.now())
    new = Rule(project=rule.project, key=rule.key, version=_next_version(rule.project.rules, rule.key), **texts | said)
    _check_and_save_rule(new)
    Rule.objects.filter(pk=rule.pk).update(retired_at=new.created_at)  # so that no moment is without the rule
    return new


@transaction.atomic
def retire_rule(*, rule: Rule) -> None:
    """Ask about it no more, on tasks that are claimed from now on."""
    _lock(rule.project)
    in_force = rule.project.rules.filter(retired_at=None)
    asked = rule.project.questions.current().filter(kind=Question.Kind.RULE)
    if asked and not in_force.exclude(pk=rule.pk).exists():
        text = _(
            "“%(rule)s” is the last rule in force. Retire the question “%(question)s” first, which asks about rules."
        )
        raise Refused(text % {"rule": rule.key, "question": asked[0].key})
    in_force.filter(pk=rule.pk).update(retired_at=timezone.now())


def rule_faults(rule: Rule) -> dict[str, list[str]]:
    """What is wrong with a rule, by field."""
    found = {"translations": translation_problems(rule.translations, LANGUAGES)}
    if rule._state.adding and rule.project.rules.filter(key=rule.key, retired_at=None).exists():
        found["key"] = [_taken(rule.key)]
    return {name: said for name, said in found.items() if said}


def _check_and_save_rule(rule: Rule) -> None:
    if found := rule_faults(rule):
        raise ValidationError({name: list(said) for name, said in found.items()})
    rule.full_clean(exclude=["project"])
    rule.save()


# --- Both -------------------------------------------------------------------------------------------------------------


def _lock(project: Project) -> None:
    """What a project asks is changed by one at a time."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)


def _taken(key: str) -> str:
    return _("The project has “%(key)s” already. Change that one, or choose another key.") % {"key": key}


def _next_version(rows: Any, key: str) -> int:
    """The version that comes after all that the key has had in `rows`, the questions or rules of a project."""
    return (rows.filter(key=key).order_by("-version").values_list("version", flat=True).first() or 0) + 1
