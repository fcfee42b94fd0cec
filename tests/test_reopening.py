"""After a material change of the guideline: the offer to have half-done tasks judged anew, and what it does."""

from threading import Thread
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from annotate import tasks
from annotate.models import Annotator, Guideline, Membership, Slot
from annotate.services import holding
from annotate.services.enrolments import enrol
from annotate.services.ledger import withdraw
from annotate.services.projects import create_project, publish_guideline
from annotate.services.vetting import submit
from jobs.models import Job
from tests.world import World

pytestmark = pytest.mark.django_db

PAGE, PROJECT, GUIDELINE = (
    "/projects/kitchen/guideline/half-done/",
    "/projects/kitchen/",
    "/projects/kitchen/guideline/",
)
BUTTON = "Hold these answers, open their places"


def do(world: World, name: str) -> Slot:
    """Take the next task and judge it by the guideline of the moment."""
    slot = world.claim(name)
    said = {"answers": [world.ranking(slot, 1, 2, 3)], "guideline": world.project.guidelines.get(current=True)}
    submit(slot=slot, idempotency_key=uuid4(), **said)
    return slot


def change(world: World, *, material: bool = True) -> Guideline:
    return publish_guideline(project=world.project, text="Put the **short** one first.", material=material)


def press(world: World, name: str = "mina", version: int | str = 2):
    return world.client(name).post(PAGE, {"version": version}, follow=True)


def run() -> Job:
    """Do the latest job as a worker does."""
    job = Job.objects.filter(kind=holding.ANEW).latest("created_at")
    tasks.reopen_incomplete(str(job.pk))
    job.refresh_from_db()
    return job


def has_read(world: World, name: str, version: int) -> None:
    world.annotator(name).enrolments.update(guideline_read=version)


def half(world: World) -> None:
    """One task that is whole, two that are half done, one that is not begun: ana has three answers and ben one."""
    world.tasks(4)
    for name in ("ana", "ben", "ana", "ana"):
        do(world, name)


# --- The offer --------------------------------------------------------------------------------------------------------


def test_managers_are_offered_it_with_how_many_tasks_and_answers(world):
    half(world)
    change(world)
    page = world.client("mina").get(PAGE).text
    assert "2 tasks are half done," in page and "with 2 answers from before guideline 2." in page and BUTTON in page
    assert "cannot be undone" in page and "There may be more" not in page
    overview = world.client("mina").get(PROJECT).text
    assert "2 tasks are half done, with answers from before guideline 2." in overview and PAGE in overview
    assert PAGE in world.client("mina").get(GUIDELINE).text


def test_nobody_else_is_offered_it_or_may_do_it(world):
    half(world)
    change(world)
    for name, status in {"otto": 404, "ana": 403, "rita": 403}.items():
        assert world.client(name).get(PAGE).status_code == status, name
        assert world.client(name).post(PAGE, {"version": 2}).status_code == status, name
    for name in ("ana", "rita"):
        assert PAGE not in world.client(name).get(PROJECT).text, name
        assert PAGE not in world.client(name).get(GUIDELINE).text, name
    assert not Job.objects.filter(kind=holding.ANEW).exists()


def test_nothing_is_offered_without_a_material_change_or_where_nothing_is_half_done(world):
    half(world)
    mina = world.client("mina")
    assert "No change of the guideline has been marked as material" in mina.get(PAGE).text
    change(world, material=False)
    assert BUTTON not in mina.get(PAGE).text and PAGE not in mina.get(PROJECT).text
    assert PAGE not in mina.get(GUIDELINE).text
    change(world)
    has_read(world, "ben", 3)
    for _ in range(2):
        do(world, "ben")
    assert "No task is half done with answers from before guideline 3." in mina.get(PAGE).text
    assert PAGE not in mina.get(PROJECT).text


def test_a_first_guideline_that_is_material_changes_nothing(world):
    other = create_project(slug="cellar", name="Cellar")
    publish_guideline(project=other, text="Put the **true** one first.", material=True)
    assert holding.material_change(other) is None
    second = publish_guideline(project=other, text="Put the **short** one first.", material=True)
    assert holding.material_change(other) == second


def test_a_small_change_after_it_leaves_the_offer(world):
    half(world)
    change(world)
    change(world, material=False)
    assert "from before guideline 2" in world.client("mina").get(PAGE).text


def test_withdrawn_tasks_other_purposes_models_and_new_answers_are_left_alone(world):
    half(world)
    first, second = world.project.tasks.order_by("pk")[1:3]
    new = change(world)
    assert holding.half_done(new) == (2, 2, False)
    withdraw(task=first)
    assert holding.half_done(new) == (1, 1, False)
    Annotator.objects.filter(pk=world.annotator("ana").pk).update(kind="aggregate")
    assert holding.half_done(new) == (0, 0, False)
    assert holding.reopen_incomplete(guideline=new) == 0
    assert second.slots.filter(status="submitted").count() == 1


def test_only_the_latest_answers_are_looked_at_and_the_page_says_so(world, monkeypatch):
    half(world)
    new = change(world)
    monkeypatch.setattr(holding, "LOOKED_AT", 1)
    assert holding.half_done(new) == (1, 1, True)
    page = world.client("mina").get(PAGE).text
    assert "There may be more: only the latest 1 answers" in page
    press(world)
    assert run().done == 2  # all the same


def test_the_offer_costs_the_same_whatever_their_number(world, django_assert_num_queries):
    half(world)
    change(world)
    mina = world.client("mina")
    mina.get(PAGE)
    with CaptureQueriesContext(connection) as few:
        mina.get(PAGE)
    has_read(world, "ana", 2)
    world.tasks(9)
    for _ in range(6):
        do(world, "ana")
    change(world)
    with django_assert_num_queries(len(few)):
        assert "8 tasks are half done," in mina.get(PAGE).text


# --- The deed ---------------------------------------------------------------------------------------------------------


def test_answers_from_before_are_held_and_their_places_open(world):
    half(world)
    change(world)
    page = press(world).text
    assert "Waiting for a worker" in page and BUTTON not in page
    job = run()
    assert (job.state, job.done, job.actor) == ("succeeded", 2, world.users["mina"])
    assert job.parameters == {"guideline": world.project.guidelines.get(version=2).pk}
    whole, *begun, untouched = world.project.tasks.order_by("pk")
    for task in begun:
        assert sorted(task.slots.values_list("place", "status")) == [(1, "held"), (1, "open"), (2, "open")]
        assert task.slots.get(status="held").held_for == "guideline"
    assert set(whole.slots.values_list("status", flat=True)) == {"submitted"}
    assert set(untouched.slots.values_list("status", flat=True)) == {"open"}
    assert Job.objects.filter(kind="annotate.measure_agreement", state="queued").exists()
    page = world.client("mina").get(PAGE).text
    assert "2 answers are held, and their places are open again." in page and "mina" in page
    assert "Nothing to judge anew" in page


def test_the_button_twice_starts_it_once_and_later_says_that_nothing_is_left(world):
    half(world)
    change(world)
    Membership.objects.create(user=world.users["otto"], project=world.project, role="manager")
    press(world)
    assert "mina" in press(world, "otto").text  # who began
    run()
    assert "No task is half done any more, so nothing was held." in press(world).text
    assert Job.objects.filter(kind=holding.ANEW).count() == 1


def test_a_page_from_before_another_change_does_nothing(world):
    half(world)
    change(world)
    change(world)
    for version in (2, "", "x"):
        assert "The guideline has changed meanwhile, and nothing was held." in press(world, version=version).text
    assert not Job.objects.filter(kind=holding.ANEW).exists()


@pytest.mark.django_db(transaction=True)
def test_two_at_once_hold_each_answer_once(transactional_db):
    world = World.build()
    half(world)
    new = change(world)
    held: list[int] = []

    def do_it() -> None:
        try:
            held.append(holding.reopen_incomplete(guideline=new))
        finally:
            connection.close()

    threads = [Thread(target=do_it) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(held) == [0, 2]
    assert Slot.objects.filter(status="open").count() == 6


def test_somebody_else_judges_it_anew(world):
    half(world)
    holding.reopen_incomplete(guideline=change(world))
    enrol(project=world.project, user=world.users["otto"])
    again = do(world, "otto")
    begun = world.project.tasks.order_by("pk")[1]
    assert (again.task, again.place) == (begun, 1)


def test_who_publishes_is_led_to_it(world):
    form = {"project": world.project.pk, "text": "Anew.", "examples": "[]", "translations": "{}"}
    add = "/admin/annotate/guideline/add/"
    assert PAGE not in world.client("ada").post(add, form, follow=True).text
    assert (
        f'<a href="{PAGE}">Half-done tasks</a>'
        in world.client("ada").post(add, form | {"material": "on"}, follow=True).text
    )
