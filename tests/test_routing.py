"""Which task goes to whom: languages, skills, harm categories, batches, caps, the shared pool, and tasks that are not work."""

from datetime import timedelta
from unittest import mock

import pytest
from django.utils import timezone

from annotate.errors import Refused
from annotate.models import Annotator, Batch, Enrolment, Project, Route, Slot, Task
from annotate.services import agreement, claims, ledger
from annotate.services.enrolments import enrol
from annotate.services.tasks import is_shared
from tests.known import known_tasks

pytestmark = pytest.mark.django_db
Purpose = Task.Purpose


def is_(world, name, **fields):
    Annotator.objects.filter(pk=world.annotator(name).pk).update(**fields)


def setting(world, **fields):
    Project.objects.filter(pk=world.project.pk).update(**fields)
    world.project.refresh_from_db()


def test_tasks_that_ask_the_same_share_a_route(world):
    world.tasks(3, language="en")
    world.tasks(2, language="en", skills=("b", "a"))
    world.tasks(2, language="en", skills=("a", "b", "a"))
    assert list(Route.objects.order_by("pk").values_list("language", "skills")) == [("en", []), ("en", ["a", "b"])]


@pytest.mark.parametrize(("knows", "given"), [
    ([], True), (["en"], False), (["zh"], True), (["zh-Hans"], True), (["en", "zh-hant"], False), (["z"], False),
])  # fmt: skip
def test_a_task_in_a_language_goes_to_those_who_know_it(world, knows, given):
    world.tasks(language="zh-Hans")
    is_(world, "ana", languages=knows)
    assert bool(world.claim("ana")) == given


def test_a_task_without_a_language_goes_to_everybody(world):
    world.tasks()
    is_(world, "ana", languages=["fr"])
    assert world.claim("ana")


def test_skills_are_required_all_of_them(world):
    world.tasks(skills=("code", "medicine"))
    is_(world, "ana", skills=["code"])
    assert world.claim("ana") is None
    is_(world, "ana", skills=["law", "medicine", "code"])
    assert world.claim("ana")


def test_harm_is_only_for_those_who_opted_in_and_other_categories_are_for_all(world):
    task = world.tasks(categories=("violence", "history"))[0]
    assert (task.route.harm, task.categories) == (["violence"], ["history", "violence"])
    is_(world, "ana", harm_categories=["hate"])
    assert world.claim("ana") is None
    is_(world, "ana", harm_categories=["violence"])
    assert world.claim("ana")
    world.tasks(categories=("history",))
    assert world.claim("ben")


def test_a_harmful_project_marks_all_its_tasks(world):
    setting(world, harm_categories=["unsorted"])
    assert world.tasks()[0].route.harm == ["unsorted"]


def test_the_order_holds_across_routes(world):
    tasks = [world.tasks(language=language)[0] for language in ("en", "", "zh", "en")]
    is_(world, "ana", languages=["en"])
    seen = []
    while slot := world.claim("ana"):
        seen.append(slot.task)
        world.answer(slot, 1, 2, 3)
    assert seen == [tasks[0], tasks[1], tasks[3]]


def test_who_learns_a_language_sees_what_had_passed(world):
    chinese, _ = world.tasks(language="zh"), world.tasks(language="en")
    is_(world, "ana", languages=["en"])
    world.answer(world.claim("ana"), 1, 2, 3)
    is_(world, "ana", languages=["en", "zh"])
    ledger.look_again(enrolments=Enrolment.objects.filter(annotator=world.annotator("ana")))
    assert world.claim("ana").task == chinese[0]


class TestBatches:
    def change(self, batch, **fields):
        said = {"status": batch.status, "priority": batch.priority, "team": batch.team} | fields
        ledger.change_batch(batch=batch, **said)
        batch.refresh_from_db()

    def test_a_paused_batch_is_given_to_nobody_until_it_opens(self, world):
        world.tasks(batch="first")
        later = world.tasks()[0]
        batch = Batch.objects.get()
        self.change(batch, status=Batch.Status.PAUSED)
        slot = world.claim("ana")
        assert slot.task == later
        world.answer(slot, 1, 2, 3)
        self.change(batch, status=Batch.Status.OPEN)
        assert world.claim("ana").task.batch == batch  # though she had passed it

    def test_a_batch_of_a_team_is_for_the_team(self, world):
        world.tasks(batch="first")
        self.change(Batch.objects.get(), team="doctors")
        assert world.claim("ana") is None
        Enrolment.objects.filter(annotator=world.annotator("ana")).update(team="doctors")
        assert world.claim("ana")

    def test_a_batch_that_is_pressing_goes_first(self, world):
        world.tasks()
        urgent = world.tasks(batch="urgent")[0]
        self.change(Batch.objects.get(), priority=7)
        urgent.refresh_from_db()
        assert urgent.priority == 7
        assert set(urgent.slots.values_list("rank", flat=True)) == {urgent.rank}
        assert world.claim("ana").task == urgent
        more = world.tasks(batch="urgent")[0]
        assert more.priority == 7


class TestCaps:
    def test_a_day_has_an_end(self, world):
        setting(world, daily_cap=2)
        world.tasks(4)
        for _ in range(2):
            world.answer(world.claim("ana"), 1, 2, 3)
        with pytest.raises(Refused, match="2 tasks that one person may do here in a day"):
            world.claim("ana")
        Slot.objects.counting().update(submitted_at=timezone.now() - timedelta(days=1))
        assert world.claim("ana")

    def test_a_task_in_hand_is_finished_all_the_same(self, world):
        world.tasks(2)
        slot = world.claim("ana")
        setting(world, daily_cap=0)
        assert world.claim("ana") == slot

    def test_nobody_makes_the_dataset_alone(self, world, settings):
        setting(world, share_cap=25)
        world.tasks(4)  # 8 places, of which one person may fill 2
        for _ in range(2):
            world.answer(world.claim("ana"), 1, 2, 3)
        with pytest.raises(Refused, match="25%"):
            world.claim("ana")

    def test_exposure_has_a_cap_of_its_own_across_projects(self, world):
        setting(world, exposure_cap=1)
        is_(world, "ana", harm_categories=["violence"])
        harmful, also = world.tasks(2, categories=("violence",))
        calm = world.tasks()[0]
        slot = world.claim("ana")
        assert slot.task == harmful
        ledger.skip(slot=slot, kind=Slot.Skip.DISTRESSING)
        slot = world.claim("ana")
        assert (slot.task, slot.queue_info["exposure_cap"]) == (calm, "reached")
        world.answer(slot, 1, 2, 3)
        assert world.claim("ana") is None
        Slot.objects.filter(task=harmful).exclude(holder=None).update(claimed_at=timezone.now() - timedelta(days=1))
        Enrolment.objects.update(swept_at=None)  # it looked below the cursor less than a minute ago
        assert world.claim("ana").task == also


class TestSharedPool:
    def test_a_share_of_the_tasks_is_judged_by_more_and_agreement_rests_on_them(self, world):
        setting(world, overlap=1, shared_percent=30, shared_overlap=2)
        tasks = world.tasks(200)
        shared = [task for task in tasks if task.shared]
        assert 40 <= len(shared) <= 80  # 60 expected; a binomial of 200 lies outside less than once in 500
        assert {(task.shared, task.target_overlap) for task in tasks} == {(True, 2), (False, 1)}
        for name in ("ana", "ben"):
            for slot in iter(lambda name=name: world.claim(name), None):
                world.answer(slot, 1, 2, 3)
        judged = agreement.read(world.project.preference_question)
        assert len(judged) == 2 * len(shared)
        agreement.measure_and_keep(project=world.project)
        assert all(one.shared_pool for one in agreement.latest(world.project))

    def test_the_draw_does_not_depend_on_the_order(self, world):
        setting(world, shared_percent=50)
        names = [f"t{number}" for number in range(50)]
        assert [is_shared(world.project, name) for name in names] == [
            *reversed([is_shared(world.project, name) for name in reversed(names)])
        ]


class TestOtherPurposes:
    def test_they_have_no_places_until_somebody_is_given_one(self, world):
        task = world.tasks(purpose=Purpose.CALIBRATION)[0]
        assert not task.slots.exists()
        for name in ("ana", "ben"):
            slot = world.claim(name)
            assert (slot.task, slot.place, slot.queue_info["why"]) == (task, None, "calibration")
            world.answer(slot, 1, 2, 3)
        assert world.claim("ana") is None
        assert task.slots.filter(status="submitted").count() == 2
        assert not Slot.objects.counting().exists()

    def test_gold_comes_as_often_as_the_project_says(self, world, monkeypatch):
        monkeypatch.setattr("annotate.services.gold.RESERVE", 1)
        world.tasks(1)
        gold = known_tasks(world, 2)
        assert world.claim("ana").queue_info["why"] == "next"
        setting(world, gold_percent=100)
        assert world.claim("ben").task in gold
        with mock.patch("annotate.services.claims.random.random", return_value=0.5):
            setting(world, gold_percent=50)
            enrol(project=world.project, user=world.users["otto"])
            assert world.claim("otto").queue_info["why"] == "next"

    def test_a_repeat_comes_to_those_who_did_the_first(self, world):
        first = world.tasks()[0]
        world.answer(world.claim("ana"), 1, 2, 3)
        again = world.tasks(purpose=Purpose.REPEAT, repeat_of=first)[0]
        assert world.claim("ana").task == again
        assert world.claim("ben").task == first

    def test_training_and_test_are_for_those_on_their_way_in(self, world):
        world.tasks()
        training = world.tasks(purpose=Purpose.TRAINING)[0]
        test = world.tasks(purpose=Purpose.TEST)[0]
        assert world.claim("ben").queue_info["why"] == "next"
        enrolment = enrol(project=world.project, user=world.users["otto"])
        Enrolment.objects.filter(pk=enrolment.pk).delete()
        enrolment = Enrolment.objects.create(
            project=world.project, annotator=enrolment.annotator, status=Enrolment.Status.TRAINING
        )
        slot = world.claim("otto")
        assert slot.task == training
        world.answer(slot, 1, 2, 3)
        assert world.claim("otto") is None
        Enrolment.objects.filter(pk=enrolment.pk).update(status=Enrolment.Status.TESTING)
        assert world.claim("otto").task == test

    def test_a_skipped_one_is_not_opened_to_others_since_it_was_for_everybody(self, world):
        task = world.tasks(purpose=Purpose.CALIBRATION)[0]
        ledger.skip(slot=world.claim("ana"), kind=Slot.Skip.HARD)
        assert list(task.slots.values_list("status", flat=True)) == ["skipped"]

    def test_a_late_answer_to_one_needs_no_place(self, world):
        world.tasks(purpose=Purpose.CALIBRATION)
        slot = world.claim("ana")
        Slot.objects.filter(pk=slot.pk).update(leased_until=timezone.now() - timedelta(seconds=1))
        ledger.expire_leases()
        world.answer(slot, 1, 2, 3)
        slot.refresh_from_db()
        assert slot.status == Slot.Status.SUBMITTED


def test_statements_do_not_grow_with_routes(world, django_assert_num_queries):
    for language in ("en", "zh", "fr", "de", "es"):
        world.tasks(2, language=language)
    ana = world.annotator("ana")
    with django_assert_num_queries(10):
        claims.claim(annotator=ana, project=world.project)


def test_pausing_a_batch_leaves_its_tasks_the_priorities_of_their_own(world):
    urgent = world.tasks(batch="first", priority=5)[0]
    ledger.change_batch(batch=Batch.objects.get(), status=Batch.Status.PAUSED, priority=0, team="")
    urgent.refresh_from_db()
    assert urgent.priority == 5
    assert set(urgent.slots.values_list("rank", flat=True)) == {urgent.rank}
