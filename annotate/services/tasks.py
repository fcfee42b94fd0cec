"""Putting tasks in, and opening their places."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from django.db import transaction

from annotate.models import Completion, CompletionSource, Enrolment, Project, Slot, Task


@dataclass(frozen=True)
class NewCompletion:
    name: str
    text: str
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class NewTask:
    """A task before it is in. `group`: tasks of one group always share a split; by default the first prompt is it."""

    name: str
    conversation: Sequence[dict[str, str]]
    completions: Sequence[NewCompletion]
    language: str = ""
    priority: int = 0
    group: str = ""
    judges: int = 0  # answers that come with it; the target is at least that

    @property
    def prompt_sha256(self) -> str:
        return prompt_sha256(self.conversation)

    @property
    def content_sha256(self) -> str:
        """Tells whether a task that comes in again is the same: the conversation and the outputs by name."""
        outputs = [[completion.name, completion.text, *completion.models] for completion in self.completions]
        return sha256(orjson.dumps([list(self.conversation), outputs, self.group], option=orjson.OPT_SORT_KEYS))

    @property
    def split_group(self) -> str:
        return sha256(self.group.encode()) if self.group else sha256(normalised(self.conversation[0]["content"]))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def prompt_sha256(conversation: Sequence[dict[str, str]]) -> str:
    """What a prompt is known by, wherever it stands: in tasks, instances and exports."""
    return sha256(orjson.dumps(list(conversation), option=orjson.OPT_SORT_KEYS))


def normalised(text: str) -> bytes:
    """A prompt without differences of case, width and white space: two that differ only so share a split."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).casefold()).strip().encode()


@transaction.atomic
def add_tasks(*, project: Project, tasks: Sequence[NewTask]) -> list[Task]:
    """Put tasks with their outputs in and open their places. Returns them in the order given.

    A fixed number of statements for any number of tasks. Raises IntegrityError for a name that the project has.
    """
    rows = Task.objects.bulk_create(
        Task(
            project=project,
            name=task.name,
            conversation=list(task.conversation),
            language=task.language,
            priority=task.priority,
            target_overlap=max(project.overlap, task.judges),
            content_sha256=task.content_sha256,
            prompt_sha256=task.prompt_sha256,
            split_group=task.split_group,
        )
        for task in tasks
    )
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
        Slot(project=project, task=row, rank=row.rank, place=place)
        for row, task in zip(rows, tasks, strict=True)
        for place in range(task.judges + 1, row.target_overlap + 1)
    )
    lower_cursors(project=project, rank=min((row.rank for row in rows), default=None))
    return rows


def lower_cursors(*, project: Project, rank: int | None) -> None:
    """Let everyone who is past this rank look at it again."""
    if rank is not None:
        Enrolment.objects.filter(project=project, cursor__gte=rank).update(cursor=rank - 1)
