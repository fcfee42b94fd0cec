"""The people and the project that tests are about.

ana and ben annotate, mina manages, rita reviews, otto is in no project, ada is admin.
"""

import itertools
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import User
from django.test import Client

from annotate.models import Annotation, Annotator, Membership, Project, Slot, Task
from annotate.questions import RANKED, Given, Rank
from annotate.services import claims, ledger
from annotate.services.enrolments import enrol
from annotate.services.projects import create_project, publish_guideline
from annotate.services.tasks import NewCompletion, NewTask, add_tasks
from annotate.services.tokens import issue_token

_numbers = itertools.count(1)


@dataclass
class World:
    project: Project
    users: dict[str, User] = field(default_factory=dict)

    @classmethod
    def build(cls, overlap: int = 2) -> "World":
        world = cls(create_project(slug="kitchen", name="Kitchen", overlap=overlap))
        publish_guideline(project=world.project, text="Put the **true** one first.")
        for name in ("ana", "ben", "mina", "rita", "otto"):
            world.users[name] = User.objects.create_user(name, password=name)
        world.users["ada"] = User.objects.create_superuser("ada", password="ada")
        for name in ("ana", "ben"):
            enrol(project=world.project, user=world.users[name])
        for name, role in (("mina", Membership.Role.MANAGER), ("rita", Membership.Role.REVIEWER)):
            Membership.objects.create(user=world.users[name], project=world.project, role=role)
        return world

    def annotator(self, name: str) -> Annotator:
        return Annotator.objects.get(user=self.users[name])

    def client(self, name: str) -> Client:
        client = Client()
        client.force_login(self.users[name])
        return client

    def token(self, name: str, *scopes: str) -> dict[str, str]:
        """Headers of a request by a token with these scopes."""
        _, token = issue_token(user=self.users[name], name="test", scopes=list(scopes))
        return {"Authorization": f"Bearer {token}"}

    def tasks(self, count: int = 1, outputs: int = 3, **fields: Any) -> list[Task]:
        new = []
        for _ in range(count):
            number = next(_numbers)
            new.append(
                NewTask(
                    name=f"task-{number}",
                    conversation=[{"role": "user", "content": f"Question {number}?"}],
                    completions=[
                        NewCompletion(f"o{at}", f"Answer {at} to {number}", ("m",)) for at in range(1, outputs + 1)
                    ],
                    **fields,
                )
            )
        return add_tasks(project=self.project, tasks=new)

    def claim(self, name: str) -> Slot | None:
        return claims.claim(annotator=self.annotator(name), project=self.project)

    def answer(self, slot: Slot, *tiers: int | None, key=None) -> Annotation:
        """Submit a ranking: the tiers of the task's outputs in their order (o1, o2 …)."""
        return ledger.submit(slot=slot, answers=[self.ranking(slot, *tiers)], idempotency_key=key or uuid4())

    def ranking(self, slot: Slot, *tiers: int | None) -> Given:
        outputs = slot.task.completions.order_by("position")
        ranks = tuple(Rank(one.pk, tier) for one, tier in zip(outputs, tiers, strict=True))
        return Given(self.project.preference_question, value=RANKED, ranks=ranks)
