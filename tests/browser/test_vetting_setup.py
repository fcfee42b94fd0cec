"""Setting up the test by keyboard, with what it does to people; axe on the pages about it, in both themes, and at 360 px."""

from datetime import timedelta
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Page, expect

from annotate.models import Membership, Question, ResearcherAnswer, Slot, Task, VettingStep
from annotate.questions import Given
from annotate.services import vetting
from tests.known import know, known_tasks, step

SETUP, GOLD, MARKS = "/projects/kitchen/vetting/", "/projects/kitchen/gold/", "/projects/kitchen/marks/"


def figures(page: Page, ability: str) -> list[str]:
    """A line of the table: approved, rejected, undecided, items."""
    table = page.get_by_role("table", name="What the test does to people")
    return table.get_by_role("row", name=ability).first.get_by_role("cell").all_inner_texts()[1:]


def tab_to(page: Page, label: str) -> None:
    """Press Tab until the field or button of this name has the focus, as somebody without a mouse does."""
    wanted = page.get_by_label(label, exact=True).or_(page.get_by_role("button", name=label, exact=True))
    for _ in range(150):
        page.keyboard.press("Tab")
        if wanted.evaluate_all("all => all.includes(document.activeElement)"):
            return
    pytest.fail(f"the focus never comes to “{label}”")


def test_a_rule_is_set_by_keyboard_and_what_it_does_changes(sign_in, live_world):
    step(live_world.project, "rankings", rule={"kind": "fixed", "n": 2, "right": 2})
    page = sign_in("mina")
    page.goto(SETUP)
    assert figures(page, "0.50") == ["0.250", "0.750", "0.000", "2.0"]
    page.get_by_label("Part of the test").nth(1).focus()  # of rankings; what follows is by keyboard
    tab_to(page, "Items")
    page.keyboard.press("Control+A")
    page.keyboard.type("1")
    tab_to(page, "Right at least")
    page.keyboard.press("Control+A")
    page.keyboard.type("1")
    page.keyboard.press("Enter")  # shows, and saves nothing
    expect(page.get_by_text("They are not saved yet.")).to_be_visible()
    assert figures(page, "0.50") == ["0.500", "0.500", "0.000", "1.0"]
    assert "csrf" not in page.url
    assert VettingStep.objects.get().settings["rule"]["n"] == 2
    tab_to(page, "Save the test")
    page.keyboard.press("Enter")
    expect(page.locator("#messages")).to_contain_text("Saved.")
    assert VettingStep.objects.get().settings["rule"] == {"kind": "fixed", "n": 1, "right": 1}
    assert figures(page, "0.50") == ["0.500", "0.500", "0.000", "1.0"]


def test_two_researchers_answer_and_the_answer_is_known(sign_in, live_world):
    Membership.objects.create(user=live_world.users["rita"], project=live_world.project, role="researcher")
    [task] = live_world.tasks(1, purpose="gold")
    know(live_world, task, 1, 2, 3, by=("mina",), reason="The first is true.")
    page = sign_in("rita")
    page.goto(GOLD)
    page.get_by_role("link", name="Answer the next").click()
    expect(page.get_by_text("1 other researcher has answered")).to_be_visible()
    expect(page.get_by_text("The first is true.")).to_have_count(0)
    key = live_world.project.preference_question.key
    for letter, tier in zip("ABC", (1, 2, 3), strict=True):
        page.locator(f"input[name='{key}.tier.{letter}'][value='{tier}']").check(force=True)
    page.get_by_label("Why", exact=True).fill("So it is.")
    page.get_by_role("button", name="Save my answer").click()
    expect(page.locator("#messages")).to_contain_text("2 of 2 researchers share the answer that is known now")
    expect(page.get_by_text("The first is true.").first).to_be_visible()
    assert ResearcherAnswer.objects.filter(task=task).count() == 2


@pytest.fixture
def full(live_world) -> list[str]:
    """Pages with something on each: a test with rules, known answers, a piece to mark."""
    step(live_world.project, "profile", languages=[{"language": "en", "level": "C1"}])
    step(live_world.project, "training", least=2, share=0.5, most=4)
    step(live_world.project, "rankings", rule={"kind": "sprt"})
    step(live_world.project, "flags", rule={"kind": "top", "places": 2, "least": 5})
    step(live_world.project, "demonstrations", rule={"kind": "mean", "least": 3, "mean": 6.0})
    live_world.project.gold_percent = 10
    live_world.project.save()
    gold, _other = known_tasks(live_world, 2)
    [task] = live_world.tasks(1, purpose=Task.Purpose.TEST)
    now = timezone.now()
    slot = Slot.objects.create(
        project=live_world.project, task=task, route=task.route, rank=task.rank, holder=live_world.annotator("ana"),
        status="leased", code=uuid4(), claimed_at=now, leased_until=now + timedelta(hours=1),
    )  # fmt: skip
    question = Question.objects.create(
        project=live_world.project, key="written", kind=Question.Kind.DEMONSTRATION, text="Write.", current=False
    )
    given = Given(question, value={"text": "Boil the water first.", "from": None})
    piece = vetting.submit(slot=slot, answers=[given], idempotency_key=uuid4()).answers.get()
    key = live_world.project.preference_question.key
    return [SETUP, GOLD, f"{GOLD}{gold.pk}/{key}/", f"{GOLD}{task.pk}/{key}/", MARKS, f"{MARKS}{piece.pk}/"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(sign_in, full, scheme):
    page, found = sign_in("mina", color_scheme=scheme), {}
    for address in full:
        assert page.goto(address).status == 200
        violations = Axe().run(page).response["violations"]
        found[address] = [f"{one['id']}: {node['html']}" for one in violations for node in one["nodes"]]
    assert {address: said for address, said in found.items() if said} == {}


def test_none_scrolls_sideways_on_a_phone(sign_in, full):
    page, widths = sign_in("mina", viewport={"width": 360, "height": 740}), {}
    for address in full:
        page.goto(address)
        widths[address] = page.evaluate("document.documentElement.scrollWidth")
    assert set(widths.values()) == {360}, widths
