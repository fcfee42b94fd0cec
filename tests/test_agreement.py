"""What agreement is measured on, and what a snapshot keeps of it."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError
from django.utils import timezone

from annotate.models import Agreement, AgreementDetail, Annotator, Guideline, Question, Slot
from annotate.questions import Given
from annotate.services import agreement, ledger
from annotate.services.enrolments import enrol
from annotate.services.projects import publish_guideline
from jobs.models import Job

pytestmark = pytest.mark.django_db


def judged(world) -> list[tuple[str, int]]:
    """(task, annotation) of the judgements that count."""
    return [(row.task, row.annotation) for row in agreement.read(world.project.preference_question)]


def by_all(world, *names: str, tiers=(1, 2, 3)) -> list[Slot]:
    slots = [world.claim(name) for name in names]
    for slot in slots:
        world.answer(slot, *tiers)
    return slots


def figures(world, epoch: int | None = 0, question: str = "overall") -> dict[str, Agreement]:
    agreement.measure_and_keep(project=world.project)
    rows = [row for row in agreement.latest(world.project) if row.epoch == epoch and row.question.key == question]
    return {row.metric: row for row in rows}


class TestWhatCounts:
    def test_places_from_the_start_do_and_places_added_later_do_not(self, world):
        [task] = world.tasks(1)
        by_all(world, "ana", "ben")
        assert len(judged(world)) == 2
        world.project.max_overlap = 3
        world.project.save()
        assert ledger.add_place(task=task)
        enrol(project=world.project, user=world.users["otto"])
        slot = world.claim("otto")
        world.answer(slot, 3, 2, 1)
        assert (slot.adaptive, Slot.objects.counting().count(), len(judged(world))) == (True, 3, 2)

    def test_a_replacement_of_an_added_place_is_an_added_place(self, world):
        [task] = world.tasks(1)
        by_all(world, "ana", "ben")
        ledger.add_place(task=task)
        enrol(project=world.project, user=world.users["otto"])
        ledger.skip(slot=world.claim("otto"), kind="hard")
        assert Slot.objects.get(status="open").adaptive

    def test_a_withdrawn_task_comes_back_without_the_places_that_disagreement_added(self, world):
        [task] = world.tasks(1)
        by_all(world, "ana", "ben")
        ledger.add_place(task=task)
        ledger.withdraw(task=task)
        ledger.restore(task=task)
        task.refresh_from_db()
        assert (task.target_overlap, Slot.objects.filter(status="open").count()) == (2, 0)

    def test_a_late_answer_does_not(self, world):
        world.tasks(1)
        late = world.claim("ana")
        Slot.objects.filter(pk=late.pk).update(leased_until=timezone.now() - timedelta(seconds=1))
        ledger.expire_leases()
        enrol(project=world.project, user=world.users["otto"])
        by_all(world, "ben", "otto")
        world.answer(late, 3, 2, 1)
        late.refresh_from_db()
        assert (late.status, len(judged(world))) == ("extra", 2)

    def test_what_somebody_said_before_he_was_informed_does_and_what_he_said_after_does_not(self, world):
        world.tasks(1)
        slot, _other = by_all(world, "ana", "ben")
        before = Slot.objects.get(pk=slot.pk).current_annotation_id
        Slot.objects.filter(pk=slot.pk).update(informed_at=timezone.now())
        after = world.answer(slot, 3, 2, 1)
        assert after.informed
        assert before in [annotation for _task, annotation in judged(world)]
        assert figures(world)["pairwise_agreement_count"].value == 1

    def test_an_answer_that_was_informed_from_the_start_does_not(self, world):
        world.tasks(1)
        by_all(world, "ana")
        slot = world.claim("ben")
        Slot.objects.filter(pk=slot.pk).update(informed_at=timezone.now())
        world.answer(slot, 1, 2, 3)
        assert len(judged(world)) == 1

    @pytest.mark.parametrize(("kind", "count"), [("imported", 2), ("simulated", 1), ("model", 1), ("aggregate", 1)])
    def test_people_do_and_machines_do_not(self, world, kind, count):
        world.tasks(1)
        by_all(world, "ana", "ben")
        Annotator.objects.filter(user=world.users["ben"]).update(kind=kind)
        assert len(judged(world)) == count


class TestEpochs:
    def answered(self, world, name: str, guideline: Guideline, *tiers: int) -> None:
        slot = world.claim(name)
        ledger.submit(slot=slot, answers=[world.ranking(slot, *tiers)], idempotency_key=uuid4(), guideline=guideline)

    def test_judgements_before_and_after_a_material_change_are_not_compared(self, world):
        world.tasks(2)
        first = world.project.guidelines.get()
        self.answered(world, "ana", first, 1, 2, 3)
        self.answered(world, "ben", first, 1, 2, 3)
        self.answered(world, "ana", first, 1, 2, 3)
        second = publish_guideline(project=world.project, text="The kind one first.", material=True)
        world.project.enrolments.update(guideline_read=second.version)
        self.answered(world, "ben", second, 3, 2, 1)  # of the second task, which ana judged by the first
        assert figures(world, 1)["pairwise_agreement_count"].value == 1
        later, across = figures(world, 2)["pairwise_agreement_count"], figures(world, None)["pairwise_agreement_count"]
        assert (later.value, later.undefined_because) == (None, "no unit has two or more usable values")
        assert (across.value, across.n_units) == (0.5, 6)

    def test_a_change_of_words_begins_no_epoch(self, world):
        world.tasks(1)
        self.answered(world, "ana", world.project.guidelines.get(), 1, 2, 3)
        self.answered(world, "ben", publish_guideline(project=world.project, text="The *true* one first."), 1, 2, 3)
        found = figures(world, 1)
        assert found["pairwise_agreement_count"].n_units == 3
        assert figures(world, None) == {}

    def test_whether_a_change_was_material_cannot_be_changed(self, world):
        with pytest.raises(DatabaseError, match="Cannot update"):
            Guideline.objects.update(material=True)


class TestEveryKind:
    @pytest.fixture
    def asked(self, world):
        def question(key: str, kind: str, scope: str = "completion", **settings) -> Question:
            return Question.objects.create(
                project=world.project, key=key, kind=kind, scope=scope, text=key, settings=settings, position=1
            )

        return question

    def say(self, world, name: str, question: Question, *values) -> None:
        slot = world.claim(name)
        outputs = slot.task.completions.order_by("position")
        each = outputs if question.scope == "completion" else [None]
        given = [
            Given(question, value=value, completion=output and output.pk)
            for output, value in zip(each, values, strict=True)
        ]
        ledger.submit(slot=slot, answers=[world.ranking(slot, 1, 2, 3), *given], idempotency_key=uuid4())

    def test_ratings(self, world, asked):
        question = asked("good", "rating", min=1, max=5)
        world.tasks(2)
        for _ in range(2):
            self.say(world, "ana", question, 1, 2, 5)
            self.say(world, "ben", question, 1, 3, 5)
        found = figures(world, question="good")
        assert set(found) == {
            "pairwise_agreement_count", "krippendorff_alpha_ordinal", "krippendorff_alpha_interval", "gwet_ac2_ordinal",
        }  # fmt: skip
        assert found["pairwise_agreement_count"].value == pytest.approx(2 / 3)
        # By hand: observed 2 · 1² / 12 values; expected over the 12 · 11 ordered pairs of 4·1, 2·2, 2·3, 4·5
        numbers = [1] * 4 + [2] * 2 + [3] * 2 + [5] * 4
        expected = sum((a - b) ** 2 for a in numbers for b in numbers) / (12 * 11)
        assert found["krippendorff_alpha_interval"].value == pytest.approx(1 - (4 / 12) / expected)
        severity = {row["annotator"]: row["severity"]["value"] for row in detail("good")["annotators"]}
        assert severity[world.annotator("ben").pseudonym] == pytest.approx(1 / 3)

    def test_choices_and_options(self, world, asked):
        options = [{"value": value, "label": value} for value in ("yes", "no")]
        one, many = (
            asked("safe", "choice", "task", options=options),
            asked("tags", "multi_choice", "task", options=options),
        )
        world.tasks(2)
        for value in ("yes", "no"):
            self.say(world, "ana", one, value)
            self.say(world, "ben", one, "yes")
        assert figures(world, question="safe")["pairwise_agreement_count"].value == 0.5
        assert figures(world, question="tags")["pairwise_agreement_count"].undefined_because
        assert detail("safe")["confusions"] == [{"a": 0, "b": 1, "n": 1}]
        world.tasks(1)
        self.say(world, "ana", many, ["yes", "no"])
        self.say(world, "ben", many, ["yes"])
        found = figures(world, question="tags")["pairwise_agreement_count"]
        assert (found.value, found.n_units) == (0.5, 2)  # an option is a unit


def detail(question: str) -> dict:
    return AgreementDetail.objects.get(question__key=question).data


class TestDetail:
    def test_it_names_people_by_pseudonym_and_is_replaced_by_the_next(self, world):
        world.tasks(3)
        for _ in range(3):
            by_all(world, "ana", "ben")
        figures(world)
        first = AgreementDetail.objects.get()
        names = {world.annotator(name).pseudonym for name in ("ana", "ben")}
        assert {row["annotator"] for row in first.data["annotators"]} == names
        assert all(row["agreement"]["value"] == 1 for row in first.data["annotators"])
        assert (first.data["n_judgements"], first.data["tasks"], first.data["judges"]) == (6, [], [])
        figures(world)
        assert AgreementDetail.objects.get().pk != first.pk
        assert Agreement.objects.values("as_of").distinct().count() == 2  # the figures stay

    def test_who_prefers_what_was_shown_first_shows(self, world):
        world.tasks(4)
        for _ in range(4):
            slot = world.claim("ana")
            order = [output.pk for output in slot.display_order()]
            tiers = [order.index(output.pk) + 1 for output in slot.task.completions.order_by("position")]
            ledger.submit(
                slot=slot, answers=[world.ranking(slot, *tiers)], idempotency_key=uuid4(), display_order=order
            )
        figures(world)
        [ana] = detail("overall")["annotators"]
        assert (ana["first_shown"]["value"], ana["first_shown"]["n"], ana["first_shown"]["groups"]) == (1, 12, 4)
        assert 0.4 < ana["first_shown"]["low"] < 1  # four prompts say little, though all say the same

    def test_a_model_that_judged_stands_beside_people_on_the_same_units(self, world):
        enrol(project=world.project, user=world.users["otto"])
        world.project.overlap = 3
        world.project.save()
        world.tasks(5, outputs=2)
        for _ in range(5):
            for name, tiers in (("ana", (1, 2)), ("ben", (1, 2)), ("otto", (2, 1))):
                world.answer(world.claim(name), *tiers)
        # the model says what ana and ben say
        judge = Annotator.objects.create(kind="model", source="study", source_name="gpt")
        for slot in list(Slot.objects.filter(holder=world.annotator("ana"))):
            task = slot.task
            own = Slot.objects.create(
                project=world.project, task=task, route=task.route, rank=task.rank, place=4, holder=judge,
                code=uuid4(), status="leased", leased_until=timezone.now(), claimed_at=timezone.now(),
            )  # fmt: skip
            world.answer(own, 1, 2)
        figures(world)
        [found] = detail("overall")["judges"]
        assert (found["name"], found["n_units"]) == ("gpt", 5)
        assert found["model_person"]["value"] == pytest.approx(2 / 3)
        assert found["person_person"]["value"] == pytest.approx(1 / 3)
        # leaving out ana or ben ties the others; leaving out otto leaves two who say "first"
        assert (found["model_consensus"]["value"], found["person_consensus"]["value"]) == (1, 0)


class TestRefresh:
    def measured(self, world, seconds: float) -> None:
        agreement.request_measuring(project=world.project, actor=None)
        now = timezone.now()
        Job.objects.update(state="succeeded", created_at=now - timedelta(seconds=seconds), finished_at=now)

    def test_new_answers_are_measured_and_old_ones_not_again(self, world):
        world.tasks(1)
        assert agreement.refresh() == 0
        by_all(world, "ana")
        assert agreement.refresh() == 1
        Job.objects.all().delete()
        agreement.measure_and_keep(project=world.project)
        assert agreement.refresh() == 0

    def test_what_takes_long_rests_nine_times_as_long(self, world):
        world.tasks(1)
        by_all(world, "ana")
        self.measured(world, seconds=10)
        assert agreement.refresh() == 0
        Job.objects.update(
            created_at=timezone.now() - timedelta(seconds=101), finished_at=timezone.now() - timedelta(seconds=91)
        )
        assert agreement.refresh() == 1
