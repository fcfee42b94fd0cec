"""The way through the whole: rank by keyboard, export, download. And what each page owes everybody."""

import json
import os
import subprocess
import zipfile
from io import BytesIO

import pyarrow.parquet as pq
import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.sessions.models import Session
from playwright.sync_api import Page, expect

from annotate.models import Annotation, Slot
from annotate.services.tasks import NewCompletion, NewTask, add_tasks
from tests.browser.conftest import fill_login
from tests.stack import PROJECT
from tests.world import World

# Prompt, and the place that ana gives each of its outputs. The third has a tie.
RANKINGS = {
    "What boils first?": {"Alcohol": 1, "Water": 2, "Olive oil": 3},
    "How long for a soft egg?": {"Five minutes": 1, "An hour": 2},
    "Why rest a dough?": {"The gluten relaxes": 1, "So it is easier to roll": 1, "It gets tired": 2, "No reason": 3},
}
# What these places say about pairs, by hand: prompt, chosen, rejected, places between them.
PAIRS = {
    ("What boils first?", "Alcohol", "Water", 1),
    ("What boils first?", "Alcohol", "Olive oil", 2),
    ("What boils first?", "Water", "Olive oil", 1),
    ("How long for a soft egg?", "Five minutes", "An hour", 1),
    ("Why rest a dough?", "The gluten relaxes", "It gets tired", 1),
    ("Why rest a dough?", "The gluten relaxes", "No reason", 2),
    ("Why rest a dough?", "So it is easier to roll", "It gets tired", 1),
    ("Why rest a dough?", "So it is easier to roll", "No reason", 2),
    ("Why rest a dough?", "It gets tired", "No reason", 1),
}


def add_known_tasks(world: World) -> None:
    tasks = [
        NewTask(
            name=f"known-{number}",
            conversation=[{"role": "user", "content": prompt}],
            completions=[NewCompletion(f"o{at}", text) for at, text in enumerate(places)],
        )
        for number, (prompt, places) in enumerate(RANKINGS.items())
    ]
    add_tasks(project=world.project, tasks=tasks)


def start(page: Page) -> None:
    page.goto("/projects/kitchen/")
    page.locator("form[action$='/claim/'] button").click()
    page.wait_for_url("**/work/**")


def texts(page: Page) -> list[str]:
    """The outputs in the order shown."""
    return [text.strip() for text in page.locator(".output .text").all_inner_texts()]


def slot_shown(page: Page) -> str:
    return page.locator("#desk").get_attribute("data-slot")


def wait_for_next(page: Page, before: str) -> None:
    expect(page.locator("#desk")).not_to_have_attribute("data-slot", before)


def annotations() -> list[Annotation]:
    return list(Annotation.objects.order_by("pk"))


def places_by_text(annotation: Annotation) -> dict[str, int]:
    return dict(annotation.answers.get().rank_items.values_list("completion__text", "tier"))


def place_all(page: Page) -> None:
    """Give the outputs the places 1, 2, 3 … in the order shown, by keys."""
    for place in range(1, len(texts(page)) + 1):
        page.keyboard.press(str(place))
        page.keyboard.press("j")


# --- The way through --------------------------------------------------------------------------------------------------


def rank_by_keyboard(page: Page) -> None:
    """Give the known places to the task shown. A tie is made with T where the output it ties with stands before it."""
    places = RANKINGS[page.locator(".conversation .say p").inner_text()]
    shown = texts(page)
    assert sorted(shown) == sorted(places)
    for at, text in enumerate(shown):
        expect(page.locator(".output[data-current]")).to_contain_text(text)
        placed = [places[earlier] for earlier in shown[:at]]
        page.keyboard.press("t" if placed and placed[-1] == places[text] else str(places[text]))
        page.keyboard.press("j")
    if len(shown) > 2:  # there and back again: K, U, and the place anew
        for _ in shown[1:]:
            page.keyboard.press("k")
        page.keyboard.press("u")
        expect(page.locator(".output").first.locator("input:checked")).to_have_count(0)
        page.keyboard.press(str(places[shown[0]]))
    page.keyboard.press("Enter")


def test_from_ranking_by_keyboard_to_the_downloaded_pairs(sign_in, live_world, worker, tmp_path):
    add_known_tasks(live_world)
    page = sign_in("ana")
    page.get_by_role("link", name="Kitchen").click()
    expect(page.get_by_role("button", name="Start")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/work/**")
    for done in range(3):
        expect(page.locator("#day")).to_contain_text(f"{done} done today")
        rank_by_keyboard(page)
        if done < 2:
            expect(page.locator(".saved")).to_have_text("Saved. Undo")
            expect(page.locator("#day")).to_contain_text(f"{done + 1} done today")
    page.wait_for_url("**/projects/kitchen/")
    expect(page.locator("#messages")).to_contain_text("Saved.")
    expect(page.locator("main")).to_contain_text("You have done 3 today and 3 in all.")
    assert all(one.active_seconds is not None and one.guideline for one in annotations())

    page = sign_in("mina")
    page.get_by_role("link", name="Exports").click()
    page.get_by_role("link", name="Export judgements").click()
    page.get_by_label("Project").select_option("Kitchen")
    page.get_by_label("Share held out").fill("0")
    page.get_by_role("button", name="Export", exact=True).click()
    page.wait_for_url("**/exports/*-*/")
    link = page.get_by_role("link", name="Download all")  # comes by itself, when the job has ended
    expect(link).to_be_visible(timeout=60_000)
    with page.expect_download() as download:
        link.click()
    rows = []
    with zipfile.ZipFile(download.value.path()) as archive:
        for name in archive.namelist():
            if "/preference/" in f"/{name}" and name.endswith(".parquet"):
                rows += pq.read_table(BytesIO(archive.read(name))).to_pylist()
    found = [
        (row["prompt"][0]["content"], row["chosen"][0]["content"], row["rejected"][0]["content"], row["rank_gap"])
        for row in rows
    ]
    assert len(found) == len(PAIRS)
    assert set(found) == PAIRS
    if trainers_python := os.environ.get("PLUMBLINE_TRAIN_PYTHON"):  # `make accept-skeleton` names it
        with zipfile.ZipFile(download.value.path()) as archive:
            archive.extractall(tmp_path)
        command = [trainers_python, PROJECT / "tests" / "accept" / "load.py", next(tmp_path.iterdir())]
        loaded = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
        assert loaded == {"train": rows}


# --- Ranking, in particular -------------------------------------------------------------------------------------------


def test_keys_do_not_fire_while_typing(sign_in, live_world):
    live_world.tasks(1)
    page = sign_in("ana")
    start(page)
    place_all(page)
    expect(page.locator("#order")).to_have_text("Best first: A > B > C")
    page.keyboard.press("s")
    why = page.locator("#skip input[name=reason]")
    why.focus()
    page.keyboard.type("31 jkt ug?")
    expect(why).to_have_value("31 jkt ug?")
    expect(page.locator("#order")).to_have_text("Best first: A > B > C")
    page.keyboard.press("Escape")
    expect(why).to_be_hidden()
    page.keyboard.press("1")  # the keys are the cards' again
    expect(page.locator("#order")).to_have_text("Best first: A = C > B")
    page.keyboard.press("s")
    page.get_by_label("too hard for me").check()
    why.press("Enter")  # submits the skip, not the ranking
    page.wait_for_url("**/projects/kitchen/")
    slot = Slot.objects.get(holder=live_world.annotator("ana"))
    assert (slot.status, slot.skip_reason) == (Slot.Status.SKIPPED, "31 jkt ug?")


def test_enter_twice_submits_once(sign_in, live_world):
    live_world.tasks(2)
    page = sign_in("ana")
    start(page)
    posts = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    place_all(page)
    before = slot_shown(page)
    # Both in one turn of the browser's loop: the second comes before the first is answered.
    page.evaluate("""for (let i = 0; i < 2; i++) document.activeElement.dispatchEvent(
        new KeyboardEvent("keydown", {key: "Enter", bubbles: true, cancelable: true}))""")
    wait_for_next(page, before)
    page.wait_for_load_state("networkidle")
    assert len(posts) == 1
    assert len(annotations()) == 1


def test_going_back_shows_the_answer_and_changes_it(sign_in, live_world):
    live_world.tasks(2)
    page = sign_in("ana")
    start(page)
    before = slot_shown(page)
    place_all(page)
    page.keyboard.press("Enter")
    wait_for_next(page, before)
    page.go_back()
    expect(page.locator("#desk")).to_have_attribute("data-slot", before)
    expect(page.locator("#order")).to_have_text("Best first: A > B > C")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    wait_for_next(page, before)
    first, second = annotations()
    assert (first.slot_id, second.revision) == (second.slot_id, 2)
    assert sorted(places_by_text(second).values()) == [1, 2, 2]


def test_a_ranking_survives_being_signed_out(sign_in, live_world):
    live_world.tasks(2)
    page = sign_in("ana")
    start(page)
    before = slot_shown(page)
    place_all(page)
    Session.objects.all().delete()
    page.keyboard.press("Enter")
    expect(page.locator("#unsent")).to_be_visible()
    expect(page.locator("#order")).to_have_text("Best first: A > B > C")
    other = page.context.new_page()
    fill_login(other, "ana")
    other.close()
    page.keyboard.press("Enter")
    wait_for_next(page, before)
    assert len(annotations()) == 1


def test_a_ranking_survives_a_lost_connection(sign_in, live_world, complaints):
    live_world.tasks(2)
    page = sign_in("ana")
    start(page)
    before = slot_shown(page)
    place_all(page)
    page.context.set_offline(True)
    page.keyboard.press("Enter")
    expect(page.locator("#unsent")).to_be_visible()
    page.context.set_offline(False)
    complaints.clear()
    page.keyboard.press("Enter")
    wait_for_next(page, before)
    assert len(annotations()) == 1


def test_it_works_without_javascript(sign_in, live_world):
    live_world.tasks(2)
    page = sign_in("ana", java_script_enabled=False)
    start(page)
    before = slot_shown(page)
    for card, place in zip(page.locator(".output").all(), ("2", "1", "1"), strict=True):
        card.get_by_role("radio", name=place).check()
    shown = texts(page)
    page.get_by_role("button", name="Submit ranking").click()
    wait_for_next(page, before)
    expect(page.locator("#messages")).to_have_text("Saved.")
    expect(page.locator("#day")).to_contain_text("1 done today")
    assert places_by_text(annotations()[0]) == {shown[0]: 2, shown[1]: 1, shown[2]: 1}


# --- What every page owes ---------------------------------------------------------------------------------------------


def test_the_console_is_heard(new_context, complaints):
    """That the other tests would see a violation of the policy, and an error of a script."""
    page = new_context().new_page()
    page.goto("/accounts/login/")
    page.evaluate("document.head.append(Object.assign(document.createElement('script'), {textContent: '1'}))")
    with page.expect_event("pageerror"):
        page.evaluate("setTimeout(() => { throw new Error('from a script') })")
    assert "Content Security Policy" in complaints.pop(0)
    assert "from a script" in complaints.pop(0)


@pytest.fixture
def pages(sign_in, new_context, live_world, worker):
    """Yields each page of the skeleton as its people see it, with figures, a long word and a built export in it."""
    live_world.tasks(1, outputs=9)
    add_tasks(
        project=live_world.project,
        tasks=[
            NewTask(
                name="wide",
                conversation=[
                    {"role": "user", "content": "x" * 300},
                    {"role": "assistant", "content": "Yes?\n\n" * 40},
                    {"role": "user", "content": "```\n" + "code " * 60 + "\n```"},
                ],
                completions=[
                    NewCompletion("o1", "w" * 400),
                    NewCompletion("o2", "| a | b |\n|---|---|\n| " + "c" * 90 + " | d |"),
                ],
            )
        ],
    )
    for name in ("ana", "ben"):
        live_world.answer(live_world.claim(name), *range(1, 10))

    def visit(**options):
        yield "login", _at(new_context(**options).new_page(), "/accounts/login/")
        ana = sign_in("ana", **options)
        yield "projects", ana
        yield "project of an annotator", _at(ana, "/projects/kitchen/")
        start(ana)
        place_all(ana)
        yield "ranking", ana
        mina = sign_in("mina", **options)
        mina.goto("/projects/kitchen/")
        mina.get_by_role("button", name="Measure now").click()
        yield "project of a manager", _until(mina, "/projects/kitchen/", "Krippendorff")
        mina.goto("/exports/judgements/")
        mina.get_by_label("Project").select_option("Kitchen")
        mina.get_by_role("button", name="Export", exact=True).click()
        expect(mina.get_by_role("link", name="Download all")).to_be_visible(timeout=60_000)
        yield "export", mina
        yield "exports", _at(mina, "/exports/")

    return visit


def _at(page: Page, path: str) -> Page:
    page.goto(path)
    return page


def _until(page: Page, path: str, text: str) -> Page:
    """Load the page until it says so, as a person would who waits for a figure."""
    for _ in range(60):
        page.goto(path)
        if text in page.locator("main").inner_text():
            return page
        page.wait_for_timeout(500)
    raise AssertionError(f"{path} never said {text!r}: {page.locator('main').inner_text()}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(pages, scheme):
    axe = Axe()
    found = {
        name: [f"{one['id']}: {node['html']}" for one in axe.run(page).response["violations"] for node in one["nodes"]]
        for name, page in pages(color_scheme=scheme)
    }
    assert len(found) == 7
    assert {name: findings for name, findings in found.items() if findings} == {}


def test_no_page_scrolls_sideways_on_a_phone(pages):
    widths = {
        name: page.evaluate("document.documentElement.scrollWidth")
        for name, page in pages(viewport={"width": 360, "height": 800})
    }
    assert widths == dict.fromkeys(widths, 360)
    assert len(widths) == 7


@pytest.mark.parametrize("width", [1280, 360])
def test_what_is_judged_stays_in_view(sign_in, live_world, width):
    """Going through the outputs with J, the conversation, the card's letter and the way to submit are all seen."""
    live_world.tasks(1, outputs=9)
    page = sign_in("ana", viewport={"width": width, "height": 640})
    start(page)
    for letter in "BCDEFGHI":
        page.keyboard.press("j")
        card = page.locator(".output[data-current] .letter")
        expect(card).to_have_text(letter)
        for part in (page.locator(".conversation .say").first, card, page.get_by_role("button", name="Submit ranking")):
            expect(part).to_be_in_viewport(ratio=1)
            # in the viewport, and under nothing else
            assert part.evaluate("""it => {
                const box = it.getBoundingClientRect();
                return it.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
            }""")
