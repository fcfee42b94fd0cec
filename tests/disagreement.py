"""Tasks on which people disagree, for tests: one question of any kind, and what each person says."""

from uuid import uuid4

from django.contrib.auth.models import User
from django.urls import reverse

from annotate.models import Adjudication, Annotation, Consensus, Question, Rule, Slot, Task
from annotate.questions import RANKED, Given, Pair, Rank
from annotate.services import consensus, ledger
from annotate.services.adjudication import Outcome, adjudicate
from annotate.services.enrolments import enrol
from tests.world import World

QUEUE = "/projects/kitchen/adjudication/"
CHOICE = {"options": [{"value": "no", "label": "No"}, {"value": "yes", "label": "Yes"}]}
MANY = {"options": [{"value": one, "label": one.title()} for one in ("untrue", "rude", "long")]}
SETTINGS = {
    "ranking": {"unranked": "none"},
    "pairwise": {"steps": 4, "tie": True, "neither": True, "words": ["slightly better", "much better"]},
    "rating": {"min": 1, "max": 5},
    "choice": CHOICE,
    "multi_choice": MANY,
    "rule": {"rules_per_slot": 1},
}


def ask(world: World, kind: str, key: str = "asked", **fields) -> Question:
    """Let the project ask one question of this kind and no other."""
    world.project.questions.update(current=False)
    scope = "completion" if kind == "rule" else "task"
    if kind == "rule":
        Rule.objects.create(project=world.project, key="true", text="Be true.")
    fields = {"scope": scope, "settings": SETTINGS[kind], "text": f"Which {kind}?"} | fields
    return Question.objects.create(project=world.project, key=key, kind=kind, **fields)


def given(question: Question, slot: Slot, said) -> list[Given]:
    """What somebody says: tiers, a strength of the first output, or a value, of each output where it asks for each."""
    outputs = list(slot.task.completions.order_by("position"))
    if question.kind == "ranking":
        tiers = tuple(Rank(one.pk, tier) for one, tier in zip(outputs, said, strict=True))
        return [Given(question, value=RANKED, ranks=tiers)]
    if question.kind == "pairwise":
        return [Given(question, pair=Pair(outputs[0].pk, outputs[1].pk, said, neither=said is None))]
    if question.scope == "task":
        return [Given(question, value=said)]
    rule = slot.drawn_rules(1)[0].pk if question.kind == "rule" else None
    return [
        Given(question, value=value, completion=one.pk, rule=rule) for one, value in zip(outputs, said, strict=True)
    ]


def person(world: World, name: str) -> str:
    if name not in world.users:
        world.users[name] = User.objects.create_user(name, password=name)
        enrol(project=world.project, user=world.users[name])
    return name


def disagree(world: World, question: Question, *said, outputs: int = 2, settle: bool = True, **fields) -> Task:
    """A task that as many people have answered, each as said here."""
    world.project.overlap = len(said)
    world.project.max_overlap = max(len(said), world.project.max_overlap)
    world.project.save()
    (task,) = world.tasks(1, outputs=outputs, **fields)
    guideline = world.project.guidelines.get(current=True)
    for name, one in zip(["ana", "ben", *(f"p{at}" for at in range(len(said)))], said, strict=False):
        slot = world.claim(person(world, name))
        assert slot.task == task
        said_by = {"answers": given(question, slot, one), "guideline": guideline}
        ledger.submit(slot=slot, idempotency_key=uuid4(), **said_by)
    if settle:
        consensus.settle(project=world.project)
    return task


def decide(world: World, task: Task, question: Question, name: str = "rita", **fields) -> Adjudication:
    fields = {"outcome": Outcome.AMBIGUOUS, "rationale": "Both will do."} | fields
    return adjudicate(task=task, question=question, reviewer=world.users[name], **fields)


def current(task: Task) -> list[Consensus]:
    return list(Consensus.objects.filter(task=task, current=True).order_by("completion__position"))


def page(task: Task, question: Question) -> str:
    return reverse("case", args=["kitchen", question.key, task.pk])


def annotation(task: Task, name: str, world: World) -> Annotation:
    return task.slots.get(holder=world.annotator(name)).current_annotation
