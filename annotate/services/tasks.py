"""Putting tasks in, and opening their places."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from django.db import transaction

from annotate.drawing import is_drawn
from annotate.models import Batch, Completion, CompletionSource, Enrolment, Harm, Project, Route, Slot, Task
from annotate.services import split_groups


@dataclass(frozen=True)
class NewCompletion:
    name: str
    text: str
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class NewTask:
    """A task before it is in. `group`: tasks of one group always share a split; without one, those with like prompts."""

    name: str
    conversation: Sequence[dict[str, str]]
    completions: Sequence[NewCompletion]
    language: str = ""
    priority: int = 0
    group: str = ""
    split_group: str = ""  # where what the task is made of has one; goes before `group`
    skills: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    batch: str = ""  # made where the project has none of that name
    tree: dict | None = None
    purpose: str = Task.Purpose.WORK
    repeat_of: Task | None = None
    copy_of: Task | None = None
    judges: int = 0  # answers that come with it; the target is at least that
    people_on_top: bool = False  # they are no people's: as many places as ever are added to theirs

    @property
    def prompt_sha256(self) -> str:
        return prompt_sha256(self.conversation)

    @property
    def content_sha256(self) -> str:
        """Tells whether a task that comes in again is the same: the conversation and the outputs by name."""
        outputs = [[completion.name, completion.text, *completion.models] for completion in self.completions]
        return sha256(orjson.dumps([list(self.conversation), outputs, self.group], option=orjson.OPT_SORT_KEYS))

    @property
    def first_prompt(self) -> split_groups.Prompt:
        original = self.copy_of or self.repeat_of
        group = self.split_group or (original.split_group if original else "")
        return split_groups.Prompt(
            text=split_groups.normalised(split_groups.first_prompt(self.conversation, self.tree)),
            split_group=group or (sha256(self.group.encode()) if self.group else ""),
            alone=sum(turn["role"] != "system" for turn in self.conversation) == 1,
        )


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def prompt_sha256(conversation: Sequence[dict[str, str]]) -> str:
    """What a prompt is known by, wherever it stands: in tasks, instances and exports."""
    return sha256(orjson.dumps(list(conversation), option=orjson.OPT_SORT_KEYS))


@transaction.atomic
def add_tasks(*, project: Project, tasks: Sequence[NewTask], lower: bool = True) -> list[Task]:
    """Put tasks with their outputs in and open their places. Returns them in the order given.

    Not `lower`: the caller lowers the cursors, at the end of a long transaction, since that locks enrolments. A fixed number of statements for any number of tasks. Raises IntegrityError for a name that the project has.
    """
    batches = _batches(project, tasks)
    keys = [_route_key(project, task, batches) for task in tasks]
    routes = _routes(project, keys)
    places = split_groups.place(project=project, prompts=[task.first_prompt for task in tasks])
    rows = Task.objects.bulk_create(
        _row(project, task, batches.get(task.batch), routes[key], place.split_group)
        for task, key, place in zip(tasks, keys, places, strict=True)
    )
    split_groups.keep(project=project, tasks=rows, places=places)
    completions = Completion.objects.bulk_create(
        Completion(task=row, position=number, name=output.name, text=output.text, sha256=sha256(output.text.encode()))
        for row, task in zip(rows, tasks, strict=True)
        for number, output in enumerate(task.completions)
    )
    outputs = (output for task in tasks for output in task.completions)
    CompletionSource.objects.bulk_create(
        CompletionSource(completion=completion, model=model)
        for completion, output in zip(completions, outputs, strict=True)
        for model in dict.fromkeys(output.models)
    )
    Slot.objects.bulk_create(
        Slot(project=project, task=row, route_id=row.route_id, rank=row.rank, place=place)
        for row, task in zip(rows, tasks, strict=True)
        if task.purpose == Task.Purpose.WORK  # the others make a slot when somebody is given one
        for place in range(task.judges + 1, row.target_overlap + 1)
    )
    if lower:
        lower_cursors(project=project, rank=min((row.rank for row in rows), default=None))
    return rows


def _row(project: Project, task: NewTask, batch: Batch | None, route: Route, split_group: str) -> Task:
    shared = is_shared(project, task.name)
    people = project.shared_overlap if shared else project.overlap
    return Task(
        project=project,
        name=task.name,
        conversation=list(task.conversation),
        language=task.language,
        purpose=task.purpose,
        repeat_of=task.repeat_of,
        copy_of=task.copy_of,
        skills=sorted(set(task.skills)),
        categories=sorted(set(task.categories)),
        batch=batch,
        route=route,
        shared=shared,
        tree=task.tree,
        priority=max(task.priority, batch.priority if batch else 0),
        target_overlap=task.judges + people if task.people_on_top else max(people, task.judges),
        content_sha256=task.content_sha256,
        prompt_sha256=task.prompt_sha256,
        split_group=split_group,
    )


def is_shared(project: Project, name: str) -> bool:
    """Whether a task is in the shared pool: drawn by hash, so the same at any time and in any order of coming in."""
    return is_drawn(f"{project.slug}:{name}", project.shared_percent / 100)


RouteKey = tuple[str, tuple[str, ...], tuple[str, ...], int | None]


def _route_key(project: Project, task: NewTask, batches: dict[str, Batch]) -> RouteKey:
    harm = (set(task.categories) & set(Harm.values)) | set(project.harm_categories)
    batch = batches.get(task.batch)
    return task.language, tuple(sorted(set(task.skills))), tuple(sorted(harm)), batch.pk if batch else None


def _batches(project: Project, tasks: Sequence[NewTask]) -> dict[str, Batch]:
    names = {task.batch for task in tasks} - {""}
    if not names:
        return {}
    Batch.objects.bulk_create((Batch(project=project, name=name) for name in sorted(names)), ignore_conflicts=True)
    return {batch.name: batch for batch in Batch.objects.filter(project=project, name__in=names)}


def _routes(project: Project, keys: Sequence[RouteKey]) -> dict[RouteKey, Route]:
    """A route for each key; those that are not there are made."""
    wanted = set(keys)
    Route.objects.bulk_create(
        (
            Route(project=project, language=language, skills=list(skills), harm=list(harm), batch_id=batch)
            for language, skills, harm, batch in sorted(wanted, key=str)
        ),
        ignore_conflicts=True,
    )
    found = Route.objects.filter(project=project, language__in={language for language, *_ in wanted})
    by_key = {(one.language, tuple(one.skills), tuple(one.harm), one.batch_id): one for one in found}
    return {key: by_key[key] for key in wanted}


def lower_cursors(*, project: Project, rank: int | None) -> None:
    """Let everyone who is past this rank look at it again."""
    if rank is not None:
        Enrolment.objects.filter(project=project, cursor__gte=rank).update(cursor=rank - 1)
