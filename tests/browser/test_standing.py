"""Where somebody stands, in a browser: paused, appealed, restored, at work again; and all these pages in both themes."""

import re
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse

from annotate.models import Enrolment, Feedback, Slot, Task
from annotate.services import agreement, appeals, calibration, claims, feedback, gold, standing_deeds, vetting
from tests.known import known_tasks, step

RIGHT, WRONG = (1, 2, 3), (3, 2, 1)
HOSTILE = "<b>" + "x" * 120 + "</b> 模型"


def do(world, name: str, *tiers: int) -> Slot:
    slot = claims.claim(annotator=world.annotator(name), project=world.project)
    said = {"answers": [world.ranking(slot, *tiers)], "active_seconds": 30}
    vetting.submit(slot=slot, idempotency_key=uuid4(), **said)
    return slot


def decide(world, name: str, deed: str, by: str = "mina", reason: str = HOSTILE) -> None:
    enrolment = Enrolment.objects.get(annotator=world.annotator(name))
    standing_deeds.carry_out(enrolment=enrolment, deed=deed, actor=world.users[by], reason=reason)


def test_a_paused_person_appeals_a_manager_restores_and_the_person_works_again(sign_in, live_world):
    live_world.tasks(3)
    do(live_world, "ana", *RIGHT)
    manager = sign_in("mina")
    manager.goto("/projects/kitchen/")
    manager.get_by_label("The pages of this project").get_by_role("link", name="Annotators").click()
    manager.get_by_role("link", name=live_world.annotator("ana").pseudonym).click()
    manager.get_by_text("Pause", exact=True).click()
    manager.get_by_label("Reason").fill("Your answers come too fast.")
    manager.get_by_role("button", name="Save the decision").click()
    assert "1 answer is held" in manager.locator("main").inner_text()

    page = sign_in("ana")
    page.goto("/projects/kitchen/mine/")
    assert "while you are paused" in page.locator("main").inner_text()
    page.get_by_role("link", name="Where I stand").click()
    assert "Your answers come too fast." in page.locator("#log").inner_text()
    summary = page.locator("#log summary")
    summary.focus()  # by keyboard from here on
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("I read fast, and I read all of it.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("Your appeal is sent.").wait_for()
    assert "no reply yet" in page.locator("#log").inner_text()

    manager.goto("/projects/kitchen/annotators/?state=attention")
    manager.get_by_role("link", name="1 appeal waits").click()
    assert "I read fast" in manager.locator("main").inner_text()
    manager.get_by_text("granted", exact=True).click()
    manager.get_by_label("Reply").fill("You are right. We are sorry.")
    manager.get_by_role("button", name="Reply").click()
    manager.get_by_text("Saved: granted.").wait_for()

    page.reload()
    assert "You are right. We are sorry." in page.locator("#log").inner_text()
    page.goto("/projects/kitchen/")
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url(re.compile("/work/"))
    assert Slot.objects.get(holder=live_world.annotator("ana"), submitted_at__isnull=False).status == "submitted"


@pytest.fixture
def with_a_past(live_world, monkeypatch):
    """ana has done gold, right and wrong, was warned and sent to training, and got comments; ben is paused and appeals."""
    monkeypatch.setattr(gold, "RESERVE", 1)
    world = live_world
    world.tasks(4)
    for name in ("ana", "ben"):
        for tiers in (RIGHT, (1, 1, 2)):
            do(world, name, *tiers)
    agreement.measure_and_keep(project=world.project)
    world.project.gold_percent = 100
    world.project.save()
    known_tasks(world, 3)
    for tiers in (RIGHT, WRONG, WRONG):
        slot = do(world, "ana", *tiers)
    slot.refresh_from_db()
    passage = "Put the true one first."
    guideline = world.project.guidelines.get()
    feedback.comment(
        annotation=slot.current_annotation,
        author=world.users["rita"],
        text=HOSTILE,
        guideline=guideline,
        passage=passage,
    )
    calibration.make_round(project=world.project, name=HOSTILE[:90], count=2, actor=world.users["mina"])
    for name in ("ana", "ben", "ana", "ben"):
        do(world, name, *(RIGHT if name == "ana" else WRONG))
    decide(world, "ana", "warn")
    step(world.project, "training")
    known_tasks(world, 2, Task.Purpose.TRAINING)
    decide(world, "ana", "train")
    do(world, "ana", *WRONG)
    decide(world, "ben", "pause", by="ada")
    ben = Enrolment.objects.get(annotator=world.annotator("ben"))
    appeals.appeal(decision=ben.decisions.latest("pk"), user=world.users["ben"], text=HOSTILE)
    return world


def addresses(world) -> dict[str, list[str]]:
    """The pages of each person."""
    number = calibration.rounds(world.project)[0].number
    at = f"/projects/kitchen/calibration/{number}/"
    comment = reverse("comment", args=["kitchen", Feedback.objects.get().annotation_id])
    people = [f"/projects/kitchen/annotators/{world.annotator(name).pseudonym}/" for name in ("ana", "ben")]
    own = ["/projects/kitchen/standing/", "/projects/kitchen/mine/", "/projects/kitchen/calibration/", at]
    overseen = ["/projects/kitchen/annotators/", "/projects/kitchen/appeals/", "/projects/kitchen/calibration/", at]
    return {"ana": own, "mina": [*overseen, *people, comment]}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_and_no_page_scrolls_sideways(sign_in, with_a_past, scheme, width):
    found = {}
    for name, pages in addresses(with_a_past).items():
        page = sign_in(name, color_scheme=scheme, viewport={"width": width, "height": 800})
        for address in pages:
            assert page.goto(address).status == 200
            page.locator("main details").evaluate_all("all => all.forEach(one => one.open = true)")
            violations = Axe().run(page).response["violations"]
            found[name, address] = [f"{one['id']}: {node['html']}" for one in violations for node in one["nodes"]]
            if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
                found[name, address].append(f"is {wide} px wide")
    assert {at: said for at, said in found.items() if said} == {}
