"""Tasks whose answer researchers know, for tests about vetting."""

from typing import Any

from annotate.models import GoldAnswer, Membership, Project, Question, Task, VettingStep
from annotate.services import gold
from tests.world import World

RESEARCHERS = ("rita", "mina")


def order(task: Task, *tiers: int) -> list[dict[str, Any]]:
    """An order of the task's outputs as a value: the tiers of o1, o2 … in their order."""
    outputs = task.completions.order_by("position").values_list("pk", flat=True)
    placed = {str(output): tier for output, tier in zip(outputs, tiers, strict=True)}
    return [{"completion": None, "rule": None, "value": {"tiers": placed}}]


def know(
    world: World, task: Task, *tiers: int, by: tuple[str, ...] = RESEARCHERS, reason: str = ""
) -> GoldAnswer | None:
    """Let these researchers answer that the outputs have these tiers."""
    question = task.project.preference_question
    for name in by:
        user = world.users[name]
        role = Membership.Role.RESEARCHER
        Membership.objects.get_or_create(user=user, project=task.project, role=role)
        known = gold.answer(task=task, question=question, researcher=user, values=order(task, *tiers), reason=reason)
    return known


def known_tasks(world: World, count: int, purpose: str = Task.Purpose.GOLD) -> list[Task]:
    """Tasks of three outputs of which the first is known to be the best and the last the worst."""
    tasks = world.tasks(count, purpose=purpose)
    for task in tasks:
        know(world, task, 1, 2, 3)
    return tasks


def step(project: Project, kind: str, **settings: Any) -> VettingStep:
    return VettingStep.objects.update_or_create(project=project, kind=kind, defaults={"settings": settings})[0]


def choice_question(project: Project, key: str = "harmful") -> Question:
    options = [{"value": "no", "label": "No"}, {"value": "yes", "label": "Yes"}]
    return Question.objects.create(
        project=project, key=key, kind="choice", settings={"options": options}, text="Is it harmful?", position=1
    )
