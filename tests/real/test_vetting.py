"""Snow's crowd through the services: known answers, gold that is claimed and answered, pauses, and labels that are held.

Who is paused, after how many gold answers, and which labels are held has to be what the plain sums of
benchmarks/vetting_replay.py say of the same draw.
"""

import uuid
from collections import defaultdict

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F, OuterRef, Subquery
from django.utils import timezone

from annotate.errors import Refused
from annotate.models import (
    Annotation,
    Annotator,
    Answer,
    Decision,
    Enrolment,
    Membership,
    Project,
    Question,
    Slot,
    Task,
)
from annotate.questions import Given
from annotate.services import claims, gold, ledger, vetting
from annotate.services.projects import create_project
from annotate.services.tasks import NewCompletion, NewTask, add_tasks
from benchmarks import vetting_replay as replay
from benchmarks.overlap import Crowd
from tests.real.pandalm import DATA

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not (DATA / "crowd").exists(), reason=f"the real data are not there: {DATA / 'crowd'} (PLUMBLINE_REAL_DATA)"
    ),
]
OPEN, WITHDRAWN = Task.Status.OPEN, Task.Status.WITHDRAWN


@pytest.fixture(scope="module")
def crowd() -> Crowd:
    return replay.rte()


@pytest.mark.parametrize(("least", "after"), [(20, 0.924), (1, 0.921)])
def test_holding_what_bad_people_said_makes_the_majority_better(crowd, least, after, record_property):
    draws = [replay.draw(crowd, seed, least) for seed in range(replay.DRAWS)]
    name, *figures = replay.row(f"n ≥ {least}", draws)
    assert sum(one.before for one in draws) / len(draws) == pytest.approx(replay.BEFORE, abs=0.002)
    assert sum(one.after for one in draws) / len(draws) == pytest.approx(after, abs=0.003)
    assert all(one.labels == 7000 for one in draws)
    said = ", ".join(f"{what} {figure}" for what, figure in zip(replay.HEAD[1:], figures, strict=True))
    record_property("figure", f"{name}: {said}")


@pytest.mark.django_db
@pytest.mark.parametrize(("seed", "least"), [(0, 20), (1, 1)])
def test_the_services_pause_and_hold_as_the_sums_say(crowd, seed, least, monkeypatch, record_property):
    monkeypatch.setattr(gold, "RESERVE", 1)  # the last gold comes as surely as the first
    monkeypatch.setattr(vetting, "LEAST_GOLD", least)
    expected = replay.draw(crowd, seed, least)
    site = Site(crowd, replay.gold_of(crowd, seed))
    site.label_the_work()
    assert site.accuracy() == pytest.approx(expected.before)
    asked = site.answer_the_gold()
    assert asked == expected.asked
    paused = Enrolment.objects.filter(status=Enrolment.Status.PAUSED)
    assert {site.number[one.annotator_id] for one in paused} == expected.paused
    held = Slot.objects.filter(status=Slot.Status.HELD, place__isnull=False).values_list("task", "holder")
    assert {(site.item[task], site.number[holder]) for task, holder in held} == expected.held
    assert site.accuracy() == pytest.approx(expected.after)
    decisions = Decision.objects.filter(kind=Decision.Kind.PAUSE)
    assert len(decisions) == len(expected.paused) and all(one.rule["kind"] == "gold" for one in decisions)
    record_property(
        "figure",
        f"draw {seed}, n ≥ {least}: {sum(asked.values())} gold answers, {len(paused)} paused, {len(held)} labels held, "
        f"{expected.before:.3f} → {expected.after:.3f}",
    )


class Site:
    """A project of one question: the crowd, its items as work, and those of a draw as gold that two researchers know."""

    def __init__(self, crowd: Crowd, of_gold: list[int]) -> None:
        self.crowd, self.of_gold = crowd, of_gold
        self.project = create_project(slug="rte", name="RTE", overlap=crowd.size[1], status=Project.Status.OPEN)
        Project.objects.filter(pk=self.project.pk).update(gold_percent=100)
        self.project.questions.update(current=False)
        options = [{"value": one, "label": one} for one in crowd.categories]
        asks = {"kind": "choice", "scope": "task", "settings": {"options": options}, "text": "Does it follow?"}
        self.question = Question.objects.create(project=self.project, key="follows", **asks)
        self.people = self._people()
        self.number = {annotator.pk: at for at, annotator in enumerate(self.people)}
        others = sorted(set(range(crowd.size[0])) - set(of_gold))
        tasks = self._tasks(others, Task.Purpose.WORK) | self._tasks(of_gold, Task.Purpose.GOLD)
        self.item = {task.pk: item for item, task in tasks.items()}
        self.work, self.gold = [tasks[item] for item in others], {item: tasks[item] for item in of_gold}
        self._make_known()

    def _people(self) -> list[Annotator]:
        users = User.objects.bulk_create(User(username=f"worker{at}") for at in range(len(self.crowd.raters)))
        people = Annotator.objects.bulk_create(Annotator(user=user, kind=Annotator.Kind.PERSON) for user in users)
        approved = {"project": self.project, "status": Enrolment.Status.APPROVED}
        Enrolment.objects.bulk_create(Enrolment(annotator=annotator, **approved) for annotator in people)
        return people

    def _tasks(self, items: list[int], purpose: str) -> dict[int, Task]:
        new = [
            NewTask(
                name=f"item-{item}",
                conversation=[{"role": "user", "content": f"Pair {item}"}],
                completions=[NewCompletion("hypothesis", f"Hypothesis {item}")],
                purpose=purpose,
                judges=self.crowd.size[1],  # whose labels are put in below: no place is left open
            )
            for item in items
        ]
        return dict(zip(items, add_tasks(project=self.project, tasks=new), strict=True))

    def _make_known(self) -> None:
        for name in ("rita", "mina"):
            user = User.objects.create_user(name)
            Membership.objects.create(user=user, project=self.project, role=Membership.Role.RESEARCHER)
            for item, task in self.gold.items():
                values = [{"completion": None, "rule": None, "value": self.crowd.categories[self.crowd.gold[item]]}]
                gold.answer(task=task, question=self.question, researcher=user, values=values)
        Task.objects.filter(pk__in=[task.pk for task in self.gold.values()]).update(status=WITHDRAWN)

    def label_the_work(self) -> None:
        """Put in what the crowd said of the items that are work."""
        now, slots, said = timezone.now(), [], []
        for task in self.work:
            item = self.item[task.pk]
            votes = zip(self.crowd.rater[item], self.crowd.value[item], strict=True)
            for place, (person, value) in enumerate(votes, 1):
                of_task = {"task": task, "project": self.project, "route_id": task.route_id, "rank": task.rank}
                held_by = {"holder": self.people[person], "code": uuid.uuid4(), "claimed_at": now}
                slots.append(Slot(place=place, status=Slot.Status.EXPIRED, **of_task, **held_by))
                said.append(Given(self.question, value=self.crowd.categories[value]))
        Slot.objects.bulk_create(slots)
        annotations = Annotation.objects.bulk_create(Annotation(slot=slot, revision=1) for slot in slots)
        ledger.record_answers(list(zip(annotations, said, strict=True)))
        current = Annotation.objects.filter(slot=OuterRef("pk")).values("pk")
        Slot.objects.filter(status=Slot.Status.EXPIRED).update(
            status=Slot.Status.SUBMITTED, submitted_at=now, current_annotation=Subquery(current)
        )
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")  # the planner knows the tables as an earlier test has left them: empty

    def answer_the_gold(self) -> dict[int, int]:
        """Each person claims and answers what he labelled of it, until he is paused. Returns how many he answered."""
        asked: dict[int, int] = defaultdict(int)
        for person, answers in replay.answers_on(self.crowd, self.of_gold).items():
            asked[person] = 0
            for item, value in answers:
                if not self._answer(person, self.gold[item], self.crowd.categories[value]):
                    break
                asked[person] += 1
        return dict(asked)

    def _answer(self, person: int, task: Task, value: str) -> bool:
        """Whether the person is still given the task; then it is answered."""
        Task.objects.filter(pk=task.pk).update(status=OPEN)  # the only one that can be claimed
        try:
            slot = claims.claim(annotator=self.people[person], project=self.project)
        except Refused:
            return False
        else:
            assert slot is not None and slot.task == task
            vetting.submit(slot=slot, answers=[Given(self.question, value=value)], idempotency_key=uuid.uuid4())
            return True
        finally:
            Task.objects.filter(pk=task.pk).update(status=WITHDRAWN)

    def accuracy(self) -> float:
        """Of the majority of the answers that count, as the database has them."""
        heard = Answer.objects.filter(
            annotation__in=Slot.objects.counting().filter(project=self.project).values("current_annotation")
        )
        votes: dict[int, list[str]] = {task.pk: [] for task in self.work}
        for task, value in heard.annotate(task=F("annotation__slot__task")).values_list("task", "value"):
            votes[task].append(value)
        right = 0.0
        for task, values in votes.items():
            counts = [values.count(one) for one in self.crowd.categories]
            best = [one for one, count in enumerate(counts) if count == max(counts)]
            right += (self.crowd.gold[self.item[task]] in best) / len(best)
        return right / len(votes)
