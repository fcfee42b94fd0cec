"""The whole way into a project in a browser: passing it, failing it, what axe says of its pages, and a phone."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from annotate import language_tests
from annotate.models import Enrolment, Task
from annotate.services import way_in
from annotate.services.projects import publish_guideline
from tests.known import know, known_tasks, step

Purpose = Task.Purpose
WAY_IN = "/projects/kitchen/way-in/"


@pytest.fixture
def open_world(live_world):
    """A project that is open to applications: profile with a language test, guideline, training of two, test of two."""
    project = live_world.project
    project.open_to_apply = True
    project.save()
    step(project, "profile", education="bachelor", languages=[{"language": "en", "level": "B2", "verified": True}])
    step(project, "guideline")
    step(project, "training", least=2, share=0.5, most=4)
    step(project, "rankings", rule={"kind": "fixed", "n": 2, "right": 2})
    for task in live_world.tasks(4, purpose=Purpose.TRAINING, language="en"):
        know(live_world, task, 1, 2, 3, reason="The first names its source.")
    known_tasks(live_world, 3, Purpose.TEST)
    live_world.tasks(2, language="en")
    return live_world


def apply(page: Page) -> None:
    page.get_by_role("link", name="Apply to Kitchen").click()
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(f"**{WAY_IN}")


def fill_profile(page: Page) -> None:
    """Say what is asked; the language stands there already, since the project asks for it."""
    expect(page.locator("[aria-current=step]")).to_contain_text("Consent and profile")
    page.locator("#id_education").select_option("master")
    expect(page.locator("[name=languages-0-language]")).to_have_value("English")
    page.locator("[name=languages-0-level]").select_option("C1")
    page.get_by_label("Time zone").fill("Europe/Rome")
    page.get_by_label("I agree to this and want to take part").check()
    page.get_by_role("button", name="Save and go on").click()


def pass_language_test(page: Page) -> None:
    page.get_by_role("link", name="Take the test").click()
    for item in language_tests.load("en").items:
        page.locator(f"label:has([name={item.key}])").filter(has_text=item.right).first.click()
    page.get_by_role("button", name="Hand in the test").click()
    expect(page.locator("main")).to_contain_text("16 of 16 answers were right.")
    page.get_by_role("link", name="Back to Kitchen").click()


def judge(page: Page, *, right: bool) -> None:
    """Put the outputs, which say which of them they are, into the order of the researchers or the other way round."""
    page.wait_for_url("**/work/*/")
    texts = [text.strip() for text in page.locator(".output .text").all_inner_texts()]
    for text in texts:
        number = int(text.split()[1])
        page.keyboard.press(str(number if right else 4 - number))
        page.keyboard.press("j")
    page.keyboard.press("Enter")


def press_the_button(page: Page, role: str, name: str) -> None:
    """What comes next has the focus: Enter is enough."""
    expect(page.get_by_role(role, name=name)).to_be_focused()
    page.keyboard.press("Enter")


def up_to_training(page: Page) -> None:
    apply(page)
    fill_profile(page)
    expect(page.get_by_role("heading", name="Something is missing still")).to_be_visible()
    pass_language_test(page)
    expect(page.locator("[aria-current=step]")).to_contain_text("Guideline read")
    page.get_by_role("button", name="I have read it").click()
    press_the_button(page, "button", "Start training")


def test_the_whole_way_in_to_the_first_task_of_work(sign_in, open_world):
    page = sign_in("otto")
    up_to_training(page)
    judge(page, right=False)
    page.wait_for_url("**/feedback/")
    expect(page.get_by_role("heading", name="What the researchers chose")).to_contain_text("not right")
    expect(page.locator("main")).to_contain_text("The first names its source.")
    press_the_button(page, "button", "Next task")
    judge(page, right=True)
    page.wait_for_url("**/feedback/")
    press_the_button(page, "link", "Go on")
    page.wait_for_url(f"**{WAY_IN}")
    expect(page.locator("[aria-current=step]")).to_contain_text("Test")
    press_the_button(page, "button", "Go on with the test")
    judge(page, right=True)
    expect(page.locator(".saved")).to_have_text("Saved. Undo")
    judge(page, right=True)
    page.wait_for_url(f"**{WAY_IN}")
    expect(page.get_by_role("heading", name="You are let in")).to_be_visible()
    press_the_button(page, "button", "To work")
    page.wait_for_url("**/work/*/")
    judge(page, right=True)
    expect(page.locator(".saved")).to_have_text("Saved. Undo")
    assert Enrolment.objects.get(annotator__user=open_world.users["otto"]).status == "approved"


def test_who_fails_the_test_comes_to_the_page_that_says_why(sign_in, open_world):
    page = sign_in("otto", viewport={"width": 360, "height": 740})
    up_to_training(page)
    for role, name in (("button", "Next task"), ("link", "Go on")):
        judge(page, right=True)
        page.wait_for_url("**/feedback/")
        press_the_button(page, role, name)
    page.wait_for_url(f"**{WAY_IN}")
    page.get_by_role("button", name="Go on with the test").click()
    judge(page, right=True)
    expect(page.locator(".saved")).to_have_text("Saved. Undo")
    judge(page, right=False)
    page.wait_for_url(f"**{WAY_IN}")
    expect(page.get_by_role("heading", name="You are not let in")).to_be_visible()
    expect(page.locator("main")).to_contain_text("1 right of 2")
    page.get_by_role("link", name="Why, and how to object").click()
    page.wait_for_url("**/projects/kitchen/standing/")
    assert Enrolment.objects.get(annotator__user=open_world.users["otto"]).status == "rejected"


def test_a_changed_guideline_stops_work_until_it_is_read(sign_in, live_world):
    live_world.tasks(2)
    page = sign_in("ana")
    publish_guideline(project=live_world.project, text="Put the **short** one first.", material=True)
    page.goto("/projects/kitchen/")
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(f"**{WAY_IN}")
    expect(page.locator("#messages")).to_contain_text("Read it again before the next task.")
    expect(page.locator("#changes del")).to_have_text("true")
    page.get_by_role("button", name="I have read it").click()
    page.get_by_role("button", name="To work").click()
    page.wait_for_url("**/work/*/")


def test_a_profile_that_comes_back_has_the_focus_on_what_is_wrong(sign_in, open_world, complaints):
    page = sign_in("otto")
    apply(page)
    page.get_by_role("button", name="Save and go on").click()
    expect(page.locator(".message.error")).to_be_focused()
    assert axe(page) == []
    assert complaints and all("422" in one for one in complaints)
    complaints.clear()


def axe(page: Page) -> list[str]:
    violations = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html']}" for one in violations for node in one["nodes"]]


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize(("scheme", "language"), [("light", "en"), ("dark", "zh-hans")])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(sign_in, open_world, scheme, language, width):
    found, widths = {}, {}

    def look(name: str, address: str) -> None:
        assert page.goto(address).status == 200
        found[name], widths[name] = axe(page), page.evaluate("document.documentElement.scrollWidth")

    page = sign_in("otto", color_scheme=scheme, viewport={"width": width, "height": 800})
    page.context.add_cookies([{"name": "django_language", "value": language, "url": page.url}])
    look("projects", "/projects/")
    look("apply", "/projects/kitchen/apply/")
    enrolment = way_in.apply(project=open_world.project, user=open_world.users["otto"])
    look("profile", WAY_IN)
    way_in.keep_profile(enrolment=enrolment, consent=True, fields={"education": "master"})
    look("eligible", WAY_IN)
    look("language test", "/me/languages/zh/test/")
    way_in.keep_profile(enrolment=enrolment, consent=True, fields={"native_languages": ["en"]})
    look("guideline", WAY_IN)
    way_in.acknowledge(enrolment=enrolment, guideline=open_world.project.guidelines.get(current=True))
    look("training", WAY_IN)
    page.locator("form[action$='/claim/'] button").click()
    judge(page, right=False)
    page.wait_for_url("**/feedback/")
    look("feedback", page.url)
    look("project", "/projects/kitchen/")
    assert {name: said for name, said in found.items() if said} == {}
    assert set(widths.values()) == {width}, widths
