"""Deciding cases in a browser: every kind of question by an answer of one's own, one case by keyboard alone, and axe."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from annotate.models import Adjudication, Consensus, Question, Task
from annotate.services.adjudication import Outcome
from tests import disagreement
from tests.disagreement import QUEUE, annotation, ask, decide, disagree
from tests.disagreement import page as address


def choose(page: Page, name: str, value: str) -> None:
    """Click the option of a field; its radio button or box lies unseen over its words."""
    page.locator(f"input[name='{name}'][value='{value}']").check(force=True)


def save(page: Page, why: str = "It is so.") -> Adjudication:
    page.get_by_label("Why", exact=True).fill(why)
    page.get_by_role("button", name="Save decision").click()
    expect(page.locator("#messages")).to_contain_text("Saved: ")
    return Adjudication.objects.latest("pk")


@pytest.mark.parametrize(
    ("kind", "said", "fields", "value"),
    [
        ("ranking", [(1, 2), (2, 1)], {"asked.tier.A": "1", "asked.tier.B": "1"}, {"tiers": {"A": 1, "B": 1}}),
        ("pairwise", [2, -2], {"asked.choice": "-1"}, {"tiers": {"A": 2, "B": 1}}),
        ("rating", [1, 5], {"asked": "4"}, 4),
        ("choice", ["no", "yes"], {"asked": "yes"}, "yes"),
        ("multi_choice", [["rude"], ["long"]], {"asked": "long"}, ["long"]),
        ("rule", [(0, 4), (4, 4)], {"asked.true.A": "3", "asked.true.B": "4"}, 3),
    ],
)
def test_each_kind_is_decided_by_an_answer_of_ones_own(sign_in, live_world, kind, said, fields, value):
    question = ask(live_world, kind)
    task = disagree(live_world, question, *said)
    page = sign_in("rita")
    page.goto(QUEUE)
    page.get_by_role("link", name="Decide the least sure").click()
    page.get_by_label("Give an answer of my own").check()
    for name, chosen in fields.items():
        choose(page, name, chosen)
    made = save(page)
    assert (made.outcome, made.task, made.rationale) == (Outcome.OWN, task, "It is so.")
    row = Consensus.objects.filter(task=task, current=True).order_by("completion__position").first()
    if isinstance(value, dict):
        outputs = dict(zip("AB", task.completions.order_by("position"), strict=True))
        value = {"tiers": {str(outputs[letter].pk): tier for letter, tier in value["tiers"].items()}}
    assert (row.value, row.adjudication) == (value, made)
    expect(page.get_by_role("heading", name="Nothing to decide")).to_be_visible()  # it was the last one


def taken_back(complaints: list[str]) -> None:
    """What the console says of a page that came back with errors is right."""
    assert complaints and all("422" in one for one in complaints)
    complaints.clear()


def reach(page: Page, selector: str) -> None:
    """Press Tab until this has the focus."""
    for _ in range(60):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} was not reached")


def test_a_ranking_is_decided_by_keyboard_alone_and_the_next_case_stands_there(sign_in, live_world):
    question = ask(live_world, "ranking")
    first, second = [disagree(live_world, question, (1, 2), (2, 1)) for _ in range(2)]
    page = sign_in("rita")
    page.goto(QUEUE)
    reach(page, f"td a[href='{address(first, question)}']")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{address(first, question)}")
    reach(page, "[name='asked.tier.A']")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")  # from place 1 to place 2
    reach(page, "[name='asked.tier.B']")
    page.keyboard.press("Space")
    reach(page, "[name='case:decision']")
    page.keyboard.press("Space")
    for _ in range(2):  # two people, then one's own answer
        page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Give an answer of my own")).to_be_checked()
    reach(page, "#rationale")
    page.keyboard.type("B names its source.")
    reach(page, ".verdict .main")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{address(second, question)}")
    expect(page.locator("#messages")).to_have_text("Saved: an answer of the reviewer's own.")
    outputs = [str(one.pk) for one in first.completions.order_by("position")]
    assert Adjudication.objects.get().values[0]["value"] == {"tiers": {outputs[0]: 2, outputs[1]: 1}}


def test_on_an_error_the_summary_has_the_focus_and_what_was_filled_in_is_there(sign_in, live_world, complaints):
    question = ask(live_world, "ranking")
    task = disagree(live_world, question, (1, 2), (2, 1))
    page = sign_in("rita")
    page.goto(address(task, question))
    page.get_by_label("Give an answer of my own").check()
    choose(page, "asked.tier.A", "2")
    page.get_by_label("Why", exact=True).fill("Both lines\nof it.")
    page.get_by_role("button", name="Save decision").click()
    expect(page.locator("#problems")).to_be_focused()
    expect(page.locator("#problems")).to_contain_text("Your own answer: Output B has no place yet.")
    expect(page.locator("[name='asked.tier.A'][value='2']")).to_be_checked()
    expect(page.get_by_label("Why", exact=True)).to_have_value("Both lines\nof it.")
    decide(live_world, task, question, name="mina", rationale="Seen by mina.")
    choose(page, "asked.tier.B", "1")
    page.get_by_role("button", name="Save decision").click()
    expect(page.locator("#problems")).to_contain_text("mina has decided meanwhile: genuinely ambiguous")
    expect(page.get_by_text("Seen by mina.")).to_be_visible()
    expect(page.locator("[name='asked.tier.B'][value='1']")).to_be_checked()
    expect(page.get_by_label("Why", exact=True)).to_have_value("Both lines\nof it.")
    page.get_by_role("button", name="Save decision").click()
    expect(page.locator("#messages")).to_contain_text("Saved: ")
    assert Adjudication.objects.count() == 2
    taken_back(complaints)


@pytest.fixture
def cases(live_world) -> list[tuple[Task, Question]]:
    """A case of each kind; the ranking has been decided. All are asked now."""
    said = {"ranking": [(1, 2), (2, 1)], "pairwise": [2, -2], "rating": [1, 5], "choice": ["no", "yes"],
            "multi_choice": [["rude"], ["long"]], "rule": [(0, 4), (4, 4)]}  # fmt: skip
    assert said.keys() == disagreement.SETTINGS.keys()
    found = []
    for kind, both in said.items():
        question = ask(live_world, kind, key=kind)
        found.append((disagree(live_world, question, *both, language="en"), question))
    live_world.project.questions.exclude(key="overall").update(current=True)
    task, question = found[0]
    decide(live_world, task, question, outcome=Outcome.ADOPT, adopted=annotation(task, "ana", live_world))
    return found


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(sign_in, cases, scheme, language, width):
    for name, addresses in (
        ("rita", ["/projects/kitchen/", QUEUE, QUEUE + "?question=nothing", *(address(*one) for one in cases)]),
        ("ana", ["/projects/kitchen/", "/projects/kitchen/mine/?state=decided"]),
    ):
        page = sign_in(name, color_scheme=scheme, viewport={"width": width, "height": 800})
        page.context.add_cookies([{"name": "django_language", "value": language, "url": page.url}])
        found, widths = {}, set()
        for one in addresses:
            assert page.goto(one).status == 200
            violations = Axe().run(page).response["violations"]
            found[one] = [f"{each['id']}: {node['html']}" for each in violations for node in each["nodes"]]
            widths.add(page.evaluate("document.documentElement.scrollWidth"))
        assert {one: said for one, said in found.items() if said} == {}
        assert widths == {width}


def test_axe_finds_nothing_on_a_page_that_came_back(sign_in, cases, complaints):
    task, question = cases[-1]
    page = sign_in("rita")
    page.goto(address(task, question))
    page.get_by_label("Give an answer of my own").check()
    page.get_by_role("button", name="Save decision").click()
    expect(page.locator("#problems")).to_be_focused()
    violations = Axe().run(page).response["violations"]
    assert [f"{each['id']}: {node['html']}" for each in violations for node in each["nodes"]] == []
    taken_back(complaints)
