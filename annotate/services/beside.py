"""Two annotators beside each other: what both judged as it is now, and where they differ. Of the two alone, so it is fast."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotate.answer_words import in_words as value_in_words
from annotate.models import Annotation, Annotator, Answer, Completion, Question, Rule, Task
from annotate.services.agreement import counted
from annotate.services.judgements import Judgement, by_epoch, category_names, epochs, labels
from annotate.services.preferences import tiers_of

MOST_TASKS = 5000
"""Of the tasks that the two share no more are looked at: the newest."""
Row = tuple[int, str, int, int]  # annotation, prompt, task, annotator


@dataclass(frozen=True)
class Beside:
    """What two annotators said of the same units in one epoch: the latest in which they share any."""

    question: Question
    two: tuple[int, int]
    epoch: int | None
    several: bool  # epochs in which they judged
    shared: int  # units
    agreed: int
    counts: list[tuple[str, str, int]]  # what each said, in words, where it differs: the most frequent first
    tasks: list[int]  # where it differs, the newest first
    units: dict[int, set[tuple]]  # that differ, by task
    said: dict[tuple[int, int], Judgement]  # by task and annotator
    capped: bool  # older tasks were not looked at

    @property
    def share(self) -> float:
        return self.agreed / self.shared


def beside(question: Question, a: Annotator, b: Annotator) -> Beside:
    """The two on all that both judged. Seven statements, however much that is."""
    slots = counted(question.project)
    theirs = slots.filter(holder=b)
    newest = slots.filter(holder=a, task__in=theirs.values("task")).order_by("-submitted_at", "-pk")
    columns = ("annotation", "task__prompt_sha256", "task", "holder")
    mine = list(newest.values_list(*columns)[:MOST_TASKS])
    order = [task for _annotation, _prompt, task, _holder in mine]
    rows = mine + list(theirs.filter(task__in=order).order_by().values_list(*columns))
    parts = by_epoch(list(_judgements(question, rows)))
    parts.pop(None, None)
    both = {epoch: _both(question, part, a.pk, b.pk) for epoch, part in parts.items()}
    epoch = next((one for one, units in both.items() if units), None)
    values = both.get(epoch, {})
    differing = {unit: given for unit, given in values.items() if given[0] != given[1]}
    units: dict[int, set[tuple]] = {}
    for unit in differing:
        units.setdefault(unit[0], set()).add(unit)
    words = category_names(question)
    return Beside(
        question=question,
        two=(a.pk, b.pk),
        epoch=epoch,
        several=len(parts) > 1,
        shared=len(values),
        agreed=len(values) - len(differing),
        counts=[(words[one], words[other], n) for (one, other), n in Counter(differing.values()).most_common()],
        tasks=[task for task in order if task in units],
        units=units,
        said={(row.task, row.annotator): row for row in parts.get(epoch, ())},
        capped=len(mine) == MOST_TASKS,
    )


def _judgements(question: Question, rows: Sequence[Row]) -> Iterator[Judgement]:
    """As `annotate.services.judgements` gives them, of these few annotations only."""
    ids = [annotation for annotation, *_rest in rows]
    epoch_of = epochs(question.project)
    guideline = dict(Annotation.objects.filter(pk__in=ids).order_by().values_list("pk", "guideline"))
    said: dict[int, Any] = {}
    if question.kind in Question.PREFERENCES:
        said = dict(tiers_of(question__key=question.key, annotation__in=ids))
    else:
        answers = Answer.objects.filter(question__key=question.key, question__kind=question.kind, annotation__in=ids)
        for annotation, *answer in answers.order_by("pk").values_list("annotation", "completion", "rule", "value"):
            said.setdefault(annotation, []).append(tuple(answer))
    for annotation, prompt, task, annotator in rows:
        if said.get(annotation):
            yield Judgement(annotation, prompt, task, annotator, epoch_of[guideline[annotation]], said[annotation])


def _both(question: Question, rows: Sequence[Judgement], a: int, b: int) -> dict[tuple, tuple[int, int]]:
    """The categories that the two gave each unit which both judged."""
    found = labels(question, rows)
    given: dict[int, dict[int, int]] = {}
    for unit, rater, value in zip(found.unit.tolist(), found.rater.tolist(), found.value.tolist(), strict=True):
        given.setdefault(unit, {})[found.raters[rater]] = value
    return {found.units[unit]: (values[a], values[b]) for unit, values in given.items() if len(values) == 2}


def in_words(of: Beside, tasks: Sequence[int]) -> list[dict[str, Any]]:
    """What each of the two said of these tasks: of an order all of it, else what differs."""
    names = dict(Task.objects.filter(pk__in=tasks).values_list("pk", "name"))
    letters: dict[int, str] = {}
    place: Counter[int] = Counter()
    outputs = Completion.objects.filter(task__in=tasks).order_by("task", "position")
    for task, output in outputs.values_list("task", "pk"):
        letters[output] = "ABCDEFGHI"[place[task]]
        place[task] += 1
    rules = dict(Rule.objects.filter(project=of.question.project_id).values_list("pk", "key"))
    rows = []
    for task in tasks:
        a, b = (_said(of, of.said[task, one], letters, rules) for one in of.two)
        rows.append({"task": task, "name": names[task], "a": a, "b": b, "units": len(of.units[task])})
    return rows


def _said(of: Beside, row: Judgement, letters: Mapping[int, str], rules: Mapping[int, str]) -> str:
    if of.question.kind in Question.PREFERENCES:
        return value_in_words(of.question, {"tiers": row.said}, letters)
    differ = {unit[:3] for unit in of.units[row.task]}
    said = []
    for output, rule, value in sorted(row.said, key=lambda one: (letters.get(one[0], ""), one[1] or 0)):
        if (row.task, output, rule) in differ:
            about = [part for part in (letters.get(output), rules.get(rule)) if part]
            words = value_in_words(of.question, value, letters)
            said.append(f"{', '.join(about)}: {words}" if about else words)
    return "; ".join(said)
