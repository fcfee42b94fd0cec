"""Judgements that were made elsewhere: all rows of a file, or none.

Idempotent by content: a task, or a person's judgement of it, that is there already is left alone when it is the same,
and refused when it differs. Everything happens in one transaction, in batches of a fixed number of statements.
"""

import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import BinaryIO

from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.judgement_rows import Judgement, Known, Row, RowError, read_rows
from annotate.models import Annotation, Annotator, Completion, PairAnswer, Project, Question, RankItem, Slot, Task
from annotate.questions import RANKED, Given, Pair, Rank, outputs_wanted
from annotate.services import known_answers
from annotate.services.adjudication import values_given
from annotate.services.ledger import record_answers
from annotate.services.tasks import NewCompletion, NewTask, add_tasks, lower_cursors

BATCH = 500
MAX_ERRORS = 100


class ImportRefused(Exception):
    """Nothing was imported. `errors` has the first hundred; `count` how many there are."""

    def __init__(self, errors: list[RowError], count: int) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors, self.count = errors, count


@dataclass
class Imported:
    tasks: int = 0
    tasks_known: int = 0
    judgements: int = 0
    judgements_known: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def import_judgements(
    *, project: Project, source: str, file: BinaryIO, kind: str = Annotator.Kind.IMPORTED
) -> Imported:
    """Put the tasks and judgements of a JSONL file into the project.

    `source` names the study: annotators of the same source and name are the same annotator.
    Raises ImportRefused, and then nothing is changed, when any row cannot be taken.
    """
    done, rank = _import(project, source, file, kind)
    # Afterwards, since it locks enrolments, which come before tasks in the order of locks. If it is never reached, who
    # is past the new tasks finds them all the same, when nothing is left above them.
    lower_cursors(project=project, rank=rank)
    return done


@transaction.atomic
def _import(project: Project, source: str, file: BinaryIO, kind: str) -> tuple[Imported, int | None]:
    """What was done, and the lowest rank of the tasks that came in."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)  # one import at a time
    questions = list(project.questions.current())
    done, count = Imported(), 0
    errors: list[RowError] = []
    ranks: list[int] = []
    for batch in _batches(read_rows(file)):
        rows = [row for row in batch if isinstance(row, Row)]
        problems = [row for row in batch if isinstance(row, RowError)]
        if not count and not problems:  # after the first error only the checking goes on
            part = _Batch(project, questions, source, kind, rows)
            problems = part.write(done)
            ranks += [min(part.ranks)] if part.ranks else []
        count += len(problems)
        errors += problems[: MAX_ERRORS - len(errors)]
    if not count and not done.tasks and not done.tasks_known:
        errors, count = [RowError(0, "", _("It holds no rows. One JSON object a line is needed."))], 1
    if count:
        raise ImportRefused(errors, count)
    return done, min(ranks, default=None)


class _Batch:
    """A few hundred rows on their way in."""

    def __init__(self, project: Project, questions: list[Question], source: str, kind: str, rows: list[Row]) -> None:
        self.project, self.questions, self.source, self.kind, self.rows = project, questions, source, kind, rows
        self.question = next((one for one in questions if one.kind in Question.PREFERENCES), None)
        self.ranks: list[int] = []  # of the tasks that came in
        self.no_people = kind in (Annotator.Kind.AGGREGATE, Annotator.Kind.MODEL)
        names = [one.researcher for row in rows for one in row.known]
        self.researchers = known_answers.researchers_of(project, names) if names else {}

    def write(self, done: Imported) -> list[RowError]:
        known = self._known_tasks()
        problems = [
            RowError(row.line, "id", _("The project has a task “%(id)s” that says something else.") % {"id": row.id})
            for row in self.rows
            if row.id in known and self._says_otherwise(known[row.id], self._new_task(row))
        ]
        problems += [
            self._of_another_purpose(row, known[row.id])
            for row in self.rows
            if row.id in known and known[row.id].purpose != row.purpose
        ]
        problems += [problem for row in self.rows for problem in self._unfit(row)]
        if problems:
            return problems
        annotators = self._annotators()
        if strange := [name for name, found in annotators.items() if found.kind != self.kind]:
            message = _("“%(name)s” of this source is there already, and of another kind: %(kind)s.")
            kind = annotators[strange[0]].get_kind_display()
            return [RowError(0, "", message % {"name": strange[0], "kind": kind})]
        fresh = [row for row in self.rows if row.id not in known]
        tasks = add_tasks(project=self.project, tasks=[self._new_task(row) for row in fresh], lower=False)
        self.ranks = [task.rank for task in tasks]
        held: list[tuple[Slot, Judgement]] = []
        for row, task in zip(fresh, tasks, strict=True):
            for place, judgement in enumerate(row.judgements, 1):
                held.append((self._slot(task, place, annotators[judgement.annotator]), judgement))
        more, problems = self._sorted([row for row in self.rows if row.id in known], known, annotators)
        held += self._places_for(more)
        problems += self._know(dict(zip((row.id for row in fresh), tasks, strict=True)), known)
        if not problems:
            self._answer(held)
        done.tasks += len(fresh)
        done.tasks_known += len(self.rows) - len(fresh)
        done.judgements += len(held)
        done.judgements_known += sum(len(row.judgements) for row in self.rows) - len(held)
        return problems

    def _unfit(self, row: Row) -> Iterator[RowError]:
        """What of the row does not fit the project's questions."""
        least, most = outputs_wanted(self.questions)
        if not least <= len(row.outputs) <= most:
            wanted = str(least) if least == most else f"{least}–{most}"
            message = _("Outputs here: %(count)d. The questions of this project need %(wanted)s.")
            yield RowError(row.line, "completions", message % {"count": len(row.outputs), "wanted": wanted})
        for at, judgement in enumerate(row.judgements):
            if (problem := self._misjudged(row, judgement)) is not None:
                yield RowError(row.line, f"judgements[{at}].{problem[0]}", problem[1])
        for at, known in enumerate(row.known):
            if (problem := self._misjudged(row, known)) is not None:
                yield RowError(row.line, f"known[{at}].{problem[0]}", problem[1])
            if known.researcher not in self.researchers:
                message = _(
                    "“%(name)s” is no researcher or manager of this project. Write the user name of one, or give the "
                    "role first."
                )
                yield RowError(row.line, f"known[{at}].researcher", message % {"name": known.researcher})

    @staticmethod
    def _of_another_purpose(row: Row, task: Task) -> RowError:
        message = _(
            "The project has the task “%(id)s” for %(before)s; a task keeps its purpose. Name that one here, or give the "
            "row another id."
        )
        return RowError(row.line, "purpose", message % {"id": row.id, "before": task.purpose})

    def _misjudged(self, row: Row, judgement: Judgement | Known) -> tuple[str, str] | None:
        """The field and the fault of a judgement that is no answer to the project's question."""
        if self.question is None:
            return "ranking", _("The project has no question that the judgements could answer.")
        missing = [output.id for output in row.outputs if output.id not in judgement.tiers]
        settings = self.question.settings
        if self.question.kind == Question.Kind.RANKING:
            if judgement.strength is not None:
                return "strength", _("Only comparisons of two outputs have a strength. Leave it out.")
            if missing and settings.get("unranked", "none") == "none":
                message = _("“%(name)s” is not ranked. A ranking names every output of its row.")
                return "ranking", message % {"name": missing[0]}
            return None
        if missing:
            return "ranking", _("“%(name)s” is not ranked. Both outputs need a place.") % {"name": missing[0]}
        tie = len(set(judgement.tiers.values())) == 1
        if tie and not settings.get("tie"):
            return "ranking", _("This project's question allows no ties.")
        half = settings["steps"] // 2
        if not tie and half > 1 and judgement.strength is None:
            return "strength", _("This project asks how much better: a whole number from 1 to %(most)d.") % {
                "most": half
            }
        if judgement.strength is not None and (tie or judgement.strength > half):
            return "strength", _("A whole number from 1 to %(most)d is needed, none for a tie.") % {"most": half}
        return None

    def _given(self, judgement: Judgement | Known, ids: dict[str, int]) -> Given:
        """The judgement as an answer. `ids`: of the task's completions by name, in their own order."""
        assert self.question is not None  # `_unfit` has refused the row otherwise
        if self.question.kind == Question.Kind.RANKING:
            ranks = tuple(Rank(pk, judgement.tiers.get(name)) for name, pk in ids.items())
            return Given(self.question, value=RANKED, ranks=ranks)
        (left, first), (right, second) = ids.items()
        better = judgement.tiers[right] - judgement.tiers[left]
        strength = (better > 0) - (better < 0)
        return Given(self.question, pair=Pair(first, second, strength * (judgement.strength or 1)))

    def _new_task(self, row: Row) -> NewTask:
        return NewTask(
            name=row.id,
            conversation=row.conversation,
            completions=[NewCompletion(output.id, output.text, output.models) for output in row.outputs],
            language=row.language,
            priority=row.priority,
            group=row.group,
            skills=row.skills,
            categories=row.categories,
            batch=row.batch,
            tree=row.tree,
            purpose=row.purpose,
            judges=len(row.judgements),
            people_on_top=self.no_people,
        )

    @staticmethod
    def _says_otherwise(task: Task, new: NewTask) -> bool:
        """What it says, and whom it may be given to. Its batch and priority may have been changed here since."""
        asks = (task.language, task.skills, task.categories)
        same = asks == (new.language, sorted(set(new.skills)), sorted(set(new.categories)))
        return task.content_sha256 != new.content_sha256 or not same

    def _known_tasks(self) -> dict[str, Task]:
        tasks = Task.objects.filter(project=self.project, name__in=[row.id for row in self.rows])
        return {task.name: task for task in tasks.order_by("pk").select_for_update(no_key=True)}

    def _annotators(self) -> dict[str, Annotator]:
        names = {judgement.annotator for row in self.rows for judgement in row.judgements}
        Annotator.objects.bulk_create(
            (Annotator(kind=self.kind, source=self.source, source_name=name) for name in sorted(names)),
            ignore_conflicts=True,
        )
        found = Annotator.objects.filter(source=self.source, source_name__in=names)
        return {annotator.source_name: annotator for annotator in found}

    def _slot(self, task: Task, place: int | None, annotator: Annotator) -> Slot:
        # It counts only once it has its annotation (`_answer`); until then, inside this transaction, it is "expired".
        return Slot(
            project=self.project,
            task=task,
            route_id=task.route_id,
            rank=task.rank,
            place=place,
            holder=annotator,
            status=Slot.Status.EXPIRED,
            code=uuid.uuid4(),
            claimed_at=timezone.now(),
        )

    def _sorted(
        self, rows: list[Row], known: dict[str, Task], annotators: dict[str, Annotator]
    ) -> tuple[list[tuple[Task, Annotator, Judgement]], list[RowError]]:
        """Of rows whose tasks are there already: the judgements that are new, and those that differ from before."""
        tasks = [known[row.id].pk for row in rows]
        slots = Slot.objects.filter(task__in=tasks, holder__in=list(annotators.values()))
        before = {(task, holder): pk for task, holder, pk in slots.values_list("task", "holder", "current_annotation")}
        said = self._said([pk for pk in before.values() if pk])
        more: list[tuple[Task, Annotator, Judgement]] = []
        changed: list[RowError] = []
        for row in rows:
            for judgement in row.judgements:
                task, annotator = known[row.id], annotators[judgement.annotator]
                if (task.pk, annotator.pk) not in before:
                    more.append((task, annotator, judgement))
                elif said.get(before[task.pk, annotator.pk]) != self._said_by(judgement):
                    message = _("“%(name)s” judged this task otherwise before. An imported judgement cannot change.")
                    changed.append(RowError(row.line, "judgements", message % {"name": judgement.annotator}))
        return more, changed

    def _said(self, annotations: list[int]) -> dict[int, dict[str, int]]:
        """What earlier annotations say, in the form of `_said_by`."""
        said: dict[int, dict[str, int]] = {}
        items = RankItem.objects.filter(answer__annotation__in=annotations, tier__isnull=False)
        for annotation, name, tier in items.values_list("answer__annotation", "completion__name", "tier"):
            said.setdefault(annotation, {})[name] = tier or 0
        pairs = PairAnswer.objects.filter(answer__annotation__in=annotations)
        for pair in pairs.select_related("answer", "left", "right"):
            better = pair.strength or 0
            said[pair.answer.annotation_id] = {pair.left.name: max(-better, 0), pair.right.name: max(better, 0)}
        return said

    def _said_by(self, judgement: Judgement) -> dict[str, int]:
        """Each output's tier; of a comparison, how much worse each is than the other."""
        if self.question is None or self.question.kind == Question.Kind.RANKING:
            return judgement.tiers
        best, strength = min(judgement.tiers.values()), judgement.strength or 1
        return {name: strength if tier > best else 0 for name, tier in judgement.tiers.items()}

    def _places_for(self, more: list[tuple[Task, Annotator, Judgement]]) -> list[tuple[Slot, Judgement]]:
        """Open places of the tasks, taken over, as long as there are any; then places more."""
        vacant: dict[int, list[Slot]] = {}
        slots = Slot.objects.filter(task__in={task.pk for task, *_ in more}, status=Slot.Status.OPEN).order_by("-place")
        for slot in () if self.no_people else slots.select_for_update(skip_locked=True):
            vacant.setdefault(slot.task_id, []).append(slot)
        taken, grown, held = [], set(), []
        for task, annotator, judgement in more:
            if vacant.get(task.pk):
                slot = vacant[task.pk].pop()
                taken.append(slot.pk)
                place = slot.place
            else:
                task.target_overlap += 1
                grown.add(task)
                place = task.target_overlap
            held.append((self._slot(task, place, annotator), judgement))
        Slot.objects.filter(pk__in=taken).delete()
        Task.objects.bulk_update(grown, ["target_overlap"])
        return held

    def _know(self, fresh: dict[str, Task], known: dict[str, Task]) -> list[RowError]:
        """Put in what researchers answer."""
        tasks = {row.id: fresh.get(row.id) or known[row.id] for row in self.rows if row.known}
        if not tasks or self.question is None:
            return []
        outputs = Completion.objects.filter(task__in=tasks.values())
        ids: dict[int, dict[str, int]] = {}
        for task, name, pk in outputs.values_list("task", "name", "pk"):
            ids.setdefault(task, {})[name] = pk
        said = [
            known_answers.Said(
                row.line,
                tasks[row.id],
                self.researchers[one.researcher],
                values_given([self._given(one, ids[tasks[row.id].pk])]),
                one.reason,
            )
            for row in self.rows
            for one in row.known
        ]
        return known_answers.add(question=self.question, said=said, new={task.pk for task in fresh.values()})

    def _answer(self, held: list[tuple[Slot, Judgement]]) -> None:
        slots = Slot.objects.bulk_create(slot for slot, _judgement in held)
        annotations = Annotation.objects.bulk_create(Annotation(slot=slot, revision=1) for slot in slots)
        outputs = Slot.objects.filter(pk__in=[slot.pk for slot in slots]).order_by("pk", "task__completions__position")
        ids: dict[int, dict[str, int]] = {}
        for slot, name, pk in outputs.values_list("pk", "task__completions__name", "task__completions__pk"):
            ids.setdefault(slot, {})[name] = pk
        record_answers(
            [
                (annotation, self._given(judgement, ids[slot.pk]))
                for annotation, (slot, judgement) in zip(annotations, held, strict=True)
            ]
        )
        Slot.objects.filter(pk__in=[slot.pk for slot in slots]).update(
            status=Slot.Status.SUBMITTED,
            submitted_at=timezone.now(),
            current_annotation=Subquery(Annotation.objects.filter(slot=OuterRef("pk")).values("pk")),
        )


def _batches(rows: Iterator[Row | RowError]) -> Iterator[list[Row | RowError]]:
    while batch := list(islice(rows, BATCH)):
        yield batch
