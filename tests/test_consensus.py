"""What is kept of a consensus, and who is asked further. The sums themselves: tests/test_consensus_*.py."""

from uuid import uuid4

import pytest
from django.db import DatabaseError, IntegrityError

from annotate.models import Adjudication, Consensus, Question, Slot, Task
from annotate.questions import Given
from annotate.services import consensus, ledger
from annotate.services.enrolments import enrol

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(world):
    enrol(project=world.project, user=world.users["otto"])
    return world


def rank(world, answers: dict[str, tuple[int, ...]]) -> None:
    for name, tiers in answers.items():
        world.answer(world.claim(name), *tiers)


def settle(world) -> list[Consensus]:
    consensus.settle(project=world.project)
    return list(Consensus.objects.filter(current=True).order_by("task_id", "completion_id"))


def adaptive(world, largest: int = 3, percent: int = 90) -> None:
    for name, value in (("adaptive", True), ("max_overlap", largest), ("confidence_percent", percent)):
        setattr(world.project, name, value)
    world.project.save()


class TestKept:
    def test_a_ranking_keeps_order_votes_soft_labels_and_method(self, world):
        [task] = world.tasks(1)
        rank(world, {"ana": (1, 2, 2), "ben": (1, 2, 3)})
        [row] = settle(world)
        first, second, third = task.completions.order_by("position").values_list("pk", flat=True)
        assert row.value["tiers"][str(first)] == 1
        assert row.votes == [[first, second, [2, 0, 0]], [first, third, [2, 0, 0]], [second, third, [1, 1, 0]]]
        assert all(sum(shares) == pytest.approx(1, abs=1e-3) for _a, _b, shares in row.soft)
        assert (row.n_votes, row.label_source, row.code_version) == (2, "votes", "consensus-1")
        assert row.method and 0 < row.confidence < 1

    def test_nothing_is_written_while_nothing_changes(self, world):
        world.tasks(2)
        rank(world, {"ana": (1, 2, 3), "ben": (1, 2, 3)})
        settle(world)
        before = Consensus.objects.count()
        settle(world)
        assert Consensus.objects.count() == before

    def test_a_new_vote_supersedes_and_the_old_row_stays(self, world):
        world.tasks(1)
        rank(world, {"ana": (1, 2, 3)})
        [first] = settle(world)
        rank(world, {"ben": (3, 2, 1)})
        [second] = settle(world)
        first.refresh_from_db()
        assert (first.current, first.n_votes, second.n_votes) == (False, 1, 2)

    def test_only_whether_it_stands_can_change(self, world):
        world.tasks(1)
        rank(world, {"ana": (1, 2, 3)})
        settle(world)
        with pytest.raises(DatabaseError, match="Cannot update"):
            Consensus.objects.update(confidence=1)

    def test_two_cannot_stand_at_once(self, world):
        world.tasks(1)
        rank(world, {"ana": (1, 2, 3)})
        [row] = settle(world)
        row.pk = None
        with pytest.raises(IntegrityError, match="consensus_one_current"):
            row.save(force_insert=True)

    def test_a_late_answer_and_an_added_place_are_heard(self, world):
        [task] = world.tasks(1)
        rank(world, {"ana": (1, 2, 3), "ben": (1, 2, 3)})
        ledger.add_place(task=task)
        rank(world, {"otto": (1, 2, 3)})
        Slot.objects.filter(holder=world.annotator("ben")).update(status="extra")
        assert settle(world)[0].n_votes == 3

    def test_a_consensus_of_what_nobody_says_any_more_does_not_stand(self, world):
        question = Question.objects.create(
            project=world.project, key="good", kind="rating", scope="task", text="Good?", required=False, position=1,
            settings={"min": 1, "max": 5},
        )  # fmt: skip
        world.tasks(1)
        slot = world.claim("ana")
        ranking = world.ranking(slot, 1, 2, 3)
        ledger.submit(slot=slot, answers=[ranking, Given(question, value=4)], idempotency_key=uuid4())
        assert {row.question.key for row in settle(world)} == {"overall", "good"}
        ledger.submit(slot=slot, answers=[ranking], idempotency_key=uuid4())
        assert {row.question.key for row in settle(world)} == {"overall"}


class TestEveryKind:
    def test_ratings_choices_options_and_rules(self, world):
        options = [{"value": value, "label": value} for value in ("yes", "no")]
        kinds = [
            ("good", "rating", "completion", {"min": 1, "max": 5}, (4, 5)),
            ("safe", "choice", "task", {"options": options}, ("yes", "yes")),
            ("tags", "multi_choice", "task", {"options": options}, (["yes"], ["yes", "no"])),
        ]
        questions = [
            Question.objects.create(
                project=world.project, key=key, kind=kind, scope=scope, text=key, settings=settings, position=1
            )
            for key, kind, scope, settings, _values in kinds
        ]
        [task] = world.tasks(1, outputs=2)
        for at, name in enumerate(("ana", "ben")):
            slot = world.claim(name)
            given = [world.ranking(slot, 1, 2)]
            for question, (*_rest, values) in zip(questions, kinds, strict=True):
                for output in task.completions.all() if question.scope == "completion" else [None]:
                    given.append(Given(question, value=values[at], completion=output and output.pk))
            ledger.submit(slot=slot, answers=given, idempotency_key=uuid4())
        found = {(row.question.key, row.completion_id is None): row for row in settle(world)}
        good, safe, tags = found["good", False], found["safe", True], found["tags", True]
        assert (good.votes, set(good.soft)) == ({"4": 1, "5": 1}, {"mean", "se"})
        assert 4 <= good.value <= 5
        assert (safe.value, safe.votes) == ("yes", {"yes": 2})
        assert safe.soft["yes"] > 0.5 and safe.confidence == pytest.approx(safe.soft["yes"], abs=1e-3)
        assert tags.votes == {"yes": 2, "no": 1}


class TestAdjudicated:
    def test_what_a_reviewer_decided_stays_and_the_votes_go_on(self, world):
        [task] = world.tasks(1)
        rank(world, {"ana": (1, 2, 3)})
        [row] = settle(world)
        value = {"tiers": {output: 4 - tier for output, tier in row.value["tiers"].items()}}
        decided = Adjudication.objects.create(
            task=task, question=row.question, reviewer=world.users["rita"], outcome="own", rationale="Wrong.",
            values=[{"completion": None, "rule": None, "value": value}],
        )  # fmt: skip
        Consensus.objects.filter(pk=row.pk).update(current=False)
        row.pk, row.value, row.label_source, row.adjudication = None, value, "adjudicated", decided
        row.save(force_insert=True)
        rank(world, {"ben": (1, 2, 3)})
        [after] = settle(world)
        assert (after.value, after.label_source, after.n_votes) == (value, "adjudicated", 2)
        assert after.votes[0][2] == [2, 0, 0]

    def test_whoever_was_given_the_task_cannot_decide_it(self, world):
        [task] = world.tasks(1)
        rank(world, {"ana": (1, 2, 3)})
        with pytest.raises(IntegrityError, match="was given task"):
            Adjudication.objects.create(
                task=task, question=world.project.preference_question, reviewer=world.users["ana"],
                outcome="ambiguous", rationale="Both.",
            )  # fmt: skip


class TestAskingMore:
    def test_who_disagrees_gets_a_third_and_who_agrees_does_not(self, world):
        adaptive(world, percent=80)
        *_agreed, disagreed = world.tasks(11, outputs=2)  # ten are enough to know that the two are reliable
        for _ in range(10):
            rank(world, {"ana": (1, 2), "ben": (1, 2)})
        rank(world, {"ana": (1, 2), "ben": (2, 1)})
        settle(world)
        assert list(Task.objects.order_by("pk").values_list("target_overlap", flat=True)) == [2] * 10 + [3]
        slot = world.claim("otto")
        assert (slot.task, slot.adaptive) == (disagreed, True)

    def test_nobody_more_is_asked_while_somebody_is_at_it(self, world):
        adaptive(world, largest=5)
        world.tasks(1, outputs=2)
        rank(world, {"ana": (1, 2), "ben": (2, 1)})
        settle(world)
        settle(world)
        assert Task.objects.get().target_overlap == 3
        world.claim("otto")
        settle(world)
        assert Task.objects.get().target_overlap == 3

    def test_the_largest_overlap_is_the_end_of_it(self, world):
        adaptive(world, largest=2)
        world.tasks(1, outputs=2)
        rank(world, {"ana": (1, 2), "ben": (2, 1)})
        settle(world)
        assert Task.objects.get().target_overlap == 2

    def test_a_project_that_is_not_adaptive_asks_nobody(self, world):
        world.tasks(1, outputs=2)
        rank(world, {"ana": (1, 2), "ben": (2, 1)})
        settle(world)
        assert Task.objects.get().target_overlap == 2

    def test_statements_do_not_grow_with_the_tasks(self, world, django_assert_max_num_queries):
        adaptive(world, largest=3)
        world.tasks(20, outputs=2)
        for _ in range(20):
            rank(world, {"ana": (1, 2), "ben": (2, 1)})
        with django_assert_max_num_queries(25):
            settle(world)
        assert set(Task.objects.values_list("target_overlap", flat=True)) == {3}
