"""Calibration rounds: drawing them, who may look, and what people said, side by side."""

from uuid import uuid4

import pytest
from django.urls import reverse

from annotate.errors import Refused
from annotate.models import Annotation, Enrolment, Membership, Slot, Task
from annotate.services import calibration, ledger
from annotate.services.agreement import read
from annotate.services.enrolments import enrol
from tests.disagreement import ask, given, person

pytestmark = pytest.mark.django_db

ROUNDS = "/projects/kitchen/calibration/"


def of(world, name: str) -> Enrolment:
    return Enrolment.objects.select_related("annotator", "project").get(annotator=world.annotator(name))


def make(world, count: int = 2, name: str = "first") -> list[Task]:
    return calibration.make_round(project=world.project, name=name, count=count, actor=world.users["mina"])


def say(world, name: str, question, *said: str) -> None:
    """Answer the tasks of the round that come, by the task's place in the round."""
    order = list(Task.objects.filter(purpose="calibration").order_by("pk").values_list("pk", flat=True))
    for _ in said:
        slot = world.claim(name)
        assert slot.task.purpose == "calibration"
        what = said[order.index(slot.task_id)]
        ledger.submit(slot=slot, answers=given(question, slot, what), idempotency_key=uuid4())


def number(world) -> int:
    return calibration.rounds(world.project)[0].number


# --- Drawing ----------------------------------------------------------------------------------------------------------


def test_a_round_copies_tasks_of_work_into_a_batch_those_first_that_nobody_was_given(world):
    judged, *fresh = world.tasks(4)
    assert world.claim("ana").task == judged
    made = make(world, 3)
    assert {copy.copy_of for copy in made} == set(fresh)
    assert {(copy.purpose, copy.batch.name, copy.slots.count()) for copy in made} == {("calibration", "first", 0)}
    one = made[0]
    assert [output.text for output in one.completions.all()] == [
        output.text for output in one.copy_of.completions.all()
    ]
    assert judged.name not in one.name and one.copy_of.name not in one.name
    assert [copy.copy_of for copy in make(world, 3, "second")] == [judged]  # what was drawn is not drawn again
    with pytest.raises(Refused, match="no task of work"):
        make(world, 1, "third")
    with pytest.raises(Refused, match="of this name already"):
        make(world, 1, "first")


def test_whoever_had_the_original_has_one_task_less(world):
    (task,) = world.tasks(1)
    world.answer(world.claim("ana"), 1, 2, 3)
    make(world, 1)
    assert world.claim("ana") is None
    slot = world.claim("ben")
    assert slot.task.copy_of == task
    assert calibration.own(of(world, "ana"), number(world)) == calibration.Own(0, 0, False)


def test_managers_make_one_on_the_page(world):
    world.tasks(3)
    form = {"name": "August", "count": "2"}
    for name, status in {"otto": 404, "ana": 403, "rita": 403}.items():
        assert world.client(name).post(ROUNDS, form).status_code == status, name
    for wrong in ({"name": "", "count": "2"}, {"name": "August", "count": "0"}, {"name": "August", "count": "101"}):
        assert world.client("mina").post(ROUNDS, wrong).status_code == 422
    response = world.client("mina").post(ROUNDS, form, follow=True)
    assert "everybody is given 2 tasks" in response.text and "August" in response.text
    assert Task.objects.filter(purpose="calibration").count() == 2
    assert "of this name already" in world.client("mina").post(ROUNDS, form).text


# --- Who may look -----------------------------------------------------------------------------------------------------


def test_an_annotator_sees_it_once_he_has_answered_all_that_is_open_to_him_and_is_informed_then(world):
    question = ask(world, "choice")
    world.tasks(2)
    make(world)
    at = reverse("calibration_round", args=["kitchen", number(world)])
    open_at = reverse("calibration_open", args=["kitchen", number(world)])
    say(world, "ben", question, "yes", "no")
    assert "2 are left for you" in world.client("ana").get(at).text
    assert "Answer all tasks of this round first" in world.client("ana").post(open_at, follow=True).text
    say(world, "ana", question, "no", "no")
    page = world.client("ana").get(at)
    assert "Show what the others said" in page.text and world.annotator("ben").pseudonym not in page.text
    assert not Slot.objects.filter(informed_at__isnull=False).exists()  # looking at the page writes nothing
    assert world.client("ana").post(open_at).url == at
    page = world.client("ana").get(at)
    assert world.annotator("ben").pseudonym in page.text
    assert Slot.objects.filter(informed_at__isnull=False).count() == 2
    assert "task-" not in page.text and not any(copy.name in page.text for copy in Task.objects.all())
    assert "Answer all" not in world.client("ana").get(ROUNDS).text


def test_overseers_see_it_always_unless_they_are_in_it_themselves(world):
    ask(world, "choice")
    world.tasks(2)
    make(world)
    at = reverse("calibration_round", args=["kitchen", number(world)])
    for name, status in {"otto": 404, "rita": 200, "mina": 200, "ada": 200}.items():
        assert world.client(name).get(at).status_code == status, name
    assert "Nobody has answered this one yet." in world.client("rita").get(at).text
    enrol(project=world.project, user=world.users["rita"])
    assert "2 are left for you" in world.client("rita").get(at).text
    assert world.client("rita").get(f"{ROUNDS}999/").status_code == 404
    Membership.objects.create(user=world.users["otto"], project=world.project, role=Membership.Role.ANNOTATOR)
    assert world.client("otto").get(at).status_code == 403  # a role without an enrolment
    assert world.client("otto").get(ROUNDS).status_code == 200


def test_nobody_is_shown_what_he_was_not_given(world):
    question = ask(world, "choice")
    mild, grim = world.tasks(1)[0], world.tasks(1, categories=("violence",))[0]
    make(world)
    ben = world.annotator("ben")
    ben.harm_categories = ["violence"]
    ben.save()
    say(world, "ben", question, "yes", "no")
    slot = world.claim("ana")
    assert slot.task.copy_of == mild
    ledger.submit(slot=slot, answers=given(question, slot, "yes"), idempotency_key=uuid4())
    calibration.open_round(enrolment=of(world, "ana"), number=number(world))
    page = world.client("ana").get(reverse("calibration_round", args=["kitchen", number(world)]))
    assert [one["item"].task.copy_of for one in page.context["items"]] == [mild]
    assert grim.conversation[0]["content"] not in page.text


# --- What people said -------------------------------------------------------------------------------------------------


def test_where_people_agree_least_stands_on_top_with_everybodys_answer_in_words(world):
    question = ask(world, "choice")
    world.tasks(3)
    make(world, 3)
    for name, said in (
        ("ana", ("yes", "yes", "yes")),
        ("ben", ("yes", "no", "yes")),
        (person(world, "cleo"), ("yes", "no", "no")),
    ):
        say(world, name, question, *said)
    first, second, third = Task.objects.filter(purpose="calibration").order_by("pk")
    found = calibration.items(world.project, number(world), question)
    # Of three people two agree: one pair of three. On the first all do.
    assert [(one.task, one.agreement) for one in found] == [
        (second, pytest.approx(1 / 3)), (third, pytest.approx(1 / 3)), (first, 1.0),
    ]  # fmt: skip
    said = dict(found[0].said)
    assert (said[world.annotator("ana").pseudonym], said[world.annotator("ben").pseudonym]) == ("Yes", "No")
    text = world.client("rita").get(reverse("calibration_round", args=["kitchen", number(world)])).text
    assert "two people agree: 0.33" in text and "two people agree: 1.00" in text


def test_of_an_order_each_pair_of_outputs_is_compared(world):
    world.tasks(1)
    make(world, 1)
    for name, tiers in (("ana", (1, 2, 3)), ("ben", (1, 3, 2))):
        world.answer(world.claim(name), *tiers)
    (one,) = calibration.items(world.project, number(world), world.project.preference_question)
    assert one.agreement == pytest.approx(2 / 3)
    assert dict(one.said) == {
        world.annotator("ana").pseudonym: "A > B > C",
        world.annotator("ben").pseudonym: "A > C > B",
    }


def test_tasks_without_a_batch_are_a_round_too_and_progress_stands_by_person(world):
    question = ask(world, "choice")
    world.tasks(2, purpose="calibration")
    assert [(one.number, one.items) for one in calibration.rounds(world.project)] == [(0, 2)]
    say(world, "ben", question, "yes", "no")
    slot = world.claim("ana")
    assert slot.task.purpose == "calibration"
    assert calibration.answered_by(world.project, [0]) == {0: {world.annotator("ben").pseudonym: 2}}
    assert calibration.own(of(world, "ana"), 0) == calibration.Own(0, 2, False)
    text = world.client("mina").get(ROUNDS).text
    assert "Without a batch" in text and "1 person has answered, 1 all of it." in text and "2 of 2" in text
    assert world.client("rita").get(f"{ROUNDS}0/").status_code == 200


def test_answers_to_a_round_count_nowhere_else(world):
    world.tasks(1, purpose="calibration")
    for name in ("ana", "ben"):
        world.answer(world.claim(name), 1, 2, 3)
    assert read(world.project.preference_question) == [] and Annotation.objects.count() == 2
    assert not Slot.objects.counting().exists()


def test_statements_do_not_grow_with_tasks_or_people(world, django_assert_max_num_queries):
    question = ask(world, "choice")
    world.tasks(6)
    make(world, 6)
    for name in ("ana", "ben", *(person(world, f"p{at}") for at in range(4))):
        say(world, name, question, *["yes"] * 6)
    client = world.client("rita")
    for address in (ROUNDS, f"{ROUNDS}{number(world)}/"):
        with django_assert_max_num_queries(17):
            assert client.get(address).status_code == 200
