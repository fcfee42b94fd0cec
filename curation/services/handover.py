"""Instances that become tasks of a project.

The input is the prompt. The outputs are the target, the other answer choices if one wants them, and what stands in
columns that hold the outputs of models. Lineage upward is data: the task's name says which row and template it is of.
"""

import hashlib
import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from annotate.models import Project, Task
from annotate.questions import outputs_wanted
from annotate.services.tasks import NewCompletion, NewTask, add_tasks, sha256
from curation.models import InstanceSet
from curation.services.datasets import rows_numbered
from curation.services.instances import instance_name, instances_of

BATCH = 500
MOST_AT_ONCE = 5000
LONGEST_NAME = 200  # of a task, and of a source of an output


@dataclass
class HandedOver:
    """How many instances became tasks, were tasks of the project already, or have too few or too many outputs."""

    tasks: int = 0
    known: int = 0
    too_few_outputs: int = 0
    too_many_outputs: int = 0


@dataclass(frozen=True)
class Choice:
    """Which instances: those of the rows, or a sample of so many; and what their outputs are beside the target."""

    rows: frozenset[int] = frozenset()
    sample: int = 0
    answer_choices: bool = False
    output_columns: tuple[str, ...] = ()


@transaction.atomic
def add_instances(*, instance_set: InstanceSet, project: Project, choice: Choice) -> HandedOver:
    """Make tasks of the chosen instances. Again for the same ones: nothing is made twice.

    Raises ValidationError for a choice that cannot be: nothing, too much, rows or columns that are not there.
    """
    _check(instance_set, choice)
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)  # one at a time, so that names stay unique
    least, most = outputs_wanted(project.questions.current())
    done = HandedOver()
    rows = choice.rows or _sample(instance_set, choice.sample)
    missing = set(rows)
    for instances in _chosen(instance_set, rows):
        missing -= {one["row"] for one in instances}
        new = []
        values = rows_numbered(instance_set.dataset, [one["row"] for one in instances]) if choice.output_columns else {}
        for instance in instances:
            outputs = _outputs(instance, values.get(instance["row"], {}), choice)
            if len(outputs) < least:
                done.too_few_outputs += 1
            elif len(outputs) > most:
                done.too_many_outputs += 1
            else:
                new.append(_task(instance_set, instance, outputs))
        there = set(
            Task.objects.filter(project=project, name__in=[one.name for one in new]).values_list("name", flat=True)
        )
        add_tasks(project=project, tasks=[one for one in new if one.name not in there])
        done.known += len(there)
        done.tasks += len(new) - len(there)
    if missing:
        raise ValidationError(_("Row %(row)d has no instance here.") % {"row": min(missing)})
    return done


def _check(instance_set: InstanceSet, choice: Choice) -> None:
    if not instance_set.whole:
        raise ValidationError(_("These instances are not rendered yet."))
    if not choice.rows and choice.sample < 1:
        raise ValidationError(_("Choose instances, or say how many are drawn."))
    if max(len(choice.rows), choice.sample) > MOST_AT_ONCE:
        raise ValidationError(_("At most %(most)d at once. Do it in several goes.") % {"most": MOST_AT_ONCE})
    texts = {column["name"] for column in instance_set.dataset.columns if column["kind"] == "text"}
    if missing := [name for name in choice.output_columns if name not in texts]:
        raise ValidationError(_("“%(name)s” is no text column of the dataset.") % {"name": missing[0]})


def _sample(instance_set: InstanceSet, count: int) -> frozenset[int]:
    """So many rows, drawn by hash: a larger sample holds the smaller one."""

    def key(row: int) -> bytes:
        return hashlib.sha256(f"{instance_set.seed}:{row}".encode()).digest()

    rows = (one["row"] for batch in instances_of(instance_set, columns=["row"]) for one in batch)
    return frozenset(heapq.nsmallest(count, rows, key=key))


def _chosen(instance_set: InstanceSet, rows: frozenset[int]) -> Iterator[list[dict[str, Any]]]:
    for batch in instances_of(instance_set, BATCH):
        if chosen := [one for one in batch if one["row"] in rows]:
            yield chosen


def _outputs(instance: dict[str, Any], values: dict[str, Any], choice: Choice) -> list[NewCompletion]:
    """The distinct outputs that are not empty; of those that say the same the first stands, with the sources of all."""
    said = [NewCompletion("target", instance["target"], ("reference",))]
    if choice.answer_choices:
        said += [NewCompletion(f"choice-{at}", text) for at, text in enumerate(instance["answer_choices"], 1)]
    for at, column in enumerate(choice.output_columns, 1):
        said.append(NewCompletion(f"column-{at}", values.get(column) or "", (column[:LONGEST_NAME],)))
    found: dict[str, NewCompletion] = {}
    for one in said:
        first = found.get(one.text)
        if one.text.strip():
            found[one.text] = replace(first, models=(*first.models, *one.models)) if first else one
    return list(found.values())


def _name(instance_set: InstanceSet, row: int) -> str:
    name = instance_name(instance_set, row)
    if len(name) > LONGEST_NAME:  # of a dataset and a template with long names: the hash keeps it apart from others
        name = f"{name[: LONGEST_NAME - 40]}…{sha256(name.encode())[:12]}#{row}"
    return name


def _task(instance_set: InstanceSet, instance: dict[str, Any], outputs: list[NewCompletion]) -> NewTask:
    return NewTask(
        name=_name(instance_set, instance["row"]),
        conversation=[{"role": "user", "content": instance["input"]}],
        completions=outputs,
        language=instance_set.template.language,
        split_group=instance["split_group"],
    )
