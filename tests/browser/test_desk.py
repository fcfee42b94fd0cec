"""The desk: every kind of question by keyboard, by mouse and by touch, and that nothing filled in is lost."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.sessions.models import Session
from django.utils import timezone
from playwright.sync_api import Page, expect

from annotate.models import Annotation, Annotator, Answer, Draft, Flag, Question, Rule, Slot
from annotate.services import exchange, ledger
from annotate.services.projects import publish_guideline
from annotate.services.tasks import NewCompletion, NewTask, add_tasks
from tests.browser.conftest import fill_login
from tests.world import World

RANKING = {"kind": "ranking", "settings": {"unranked": "none"}}
LINED = {"kind": "ranking", "settings": {"unranked": "below", "acceptable_line": True, "not_rankable": True}}
RATING = {"kind": "rating", "settings": {"min": 1, "max": 7, "low": "useless", "high": "perfect"}}
TEXT = {"kind": "text", "settings": {}}
WRONG = {"kind": "choice", "settings": {"options": [{"value": "no", "label": "No"}, {"value": "yes", "label": "Yes"}]}}
WHAT = {
    "kind": "multi_choice",
    "settings": {"options": [{"value": one, "label": one.title()} for one in ("untrue", "rude", "long")]},
    "condition": {"question": "wrong", "in": ["yes"]},
}
SPAN = {"kind": "span", "scope": "completion", "settings": {"labels": []}}
RULE = {"kind": "rule", "scope": "completion", "settings": {"rules_per_slot": 1}}
EDIT = {"kind": "demonstration", "settings": {"mode": "edit"}}


def ask(world: World, **questions: dict) -> None:
    """Let the project ask these questions and no others."""
    world.project.questions.all().delete()
    for position, (key, given) in enumerate(questions.items()):
        fields = {"text": f"Question {key}?", "scope": "task"} | given
        Question.objects.create(project=world.project, key=key, position=position, **fields)


def add_task(world: World, *texts: str, name: str = "known", **fields) -> None:
    completions = [NewCompletion(f"o{at}", text) for at, text in enumerate(texts)]
    conversation = [{"role": "user", "content": "What floats?"}]
    add_tasks(
        project=world.project, tasks=[NewTask(name=name, conversation=conversation, completions=completions, **fields)]
    )


@pytest.fixture
def desk(sign_in, live_world) -> Callable[..., Page]:
    """Opens a task of the project for somebody, in a browser of their own."""

    def open_desk(name: str = "ana", **options) -> Page:
        page = sign_in(name, **options)
        start(page)
        return page

    return open_desk


def start(page: Page) -> None:
    page.goto("/projects/kitchen/")
    page.locator("form[action$='/claim/'] button").first.click()
    page.wait_for_url("**/work/**")


def press(page: Page, keys: str) -> None:
    for key in keys.split():
        page.keyboard.press(key)


def slot_shown(page: Page) -> Slot:
    return Slot.objects.get(code=page.locator("#desk").get_attribute("data-slot"))


def submit(page: Page, key: str = "Enter") -> Annotation:
    """Submit by keyboard; the annotation that came of it, once the next task or the project's page stands there."""
    slot = slot_shown(page)
    page.keyboard.press(key)
    return wait_for_next(page, slot)


def wait_for_next(page: Page, slot: Slot) -> Annotation:
    expect(page.locator(f"#desk[data-slot='{slot.code}']")).to_have_count(0)
    slot.refresh_from_db()
    assert slot.current_annotation
    return slot.current_annotation


def answer_to(annotation: Annotation, key: str) -> Answer:
    return annotation.answers.get(question__key=key)


def letters(annotation: Annotation) -> dict[int, str]:
    return {completion: "ABCDEFGHI"[at] for at, completion in enumerate(annotation.display_order)}


def tiers(annotation: Annotation, key: str = "overall") -> dict[str, int | None]:
    shown = letters(annotation)
    items = answer_to(annotation, key).rank_items.order_by("pk")
    return {shown[item.completion_id]: item.tier for item in items}


def by_letter(annotation: Annotation, key: str) -> dict[str, object]:
    shown = letters(annotation)
    return {shown[one.completion_id]: one.value for one in annotation.answers.filter(question__key=key).order_by("pk")}


def card(page: Page, letter: str):
    return page.locator(f".output[data-letter='{letter}']")


def kept_on_server(page: Page) -> Draft:
    """The draft, once the page says that the server has it."""
    expect(page.locator("#kept")).to_contain_text("Draft kept")
    return Draft.objects.get(slot=slot_shown(page))


# --- Each kind by keyboard alone --------------------------------------------------------------------------------------


def test_ranking_with_ties_a_line_and_moves_by_keyboard(desk, live_world):
    ask(live_world, overall=LINED)
    live_world.tasks(2, outputs=4)
    page = desk()
    press(page, "1 j 2 j t")
    expect(page.locator("#order")).to_have_text("Best first: A > B = C")
    expect(page.locator("#live")).to_have_text("C is in place 2, tied with B")
    press(page, "Shift+ArrowDown")  # out of the tie
    expect(page.locator("#order")).to_have_text("Best first: A > B > C")
    press(page, "Shift+ArrowUp Shift+ArrowUp")  # into it, and out on the other side
    expect(page.locator("#order")).to_have_text("Best first: A > C > B")
    press(page, "l")
    expect(page.locator("#live")).to_have_text("Acceptable: those in place 1")
    press(page, "l l Shift+L")
    expect(page.locator("#order")).to_have_text("Best first: A > C │ B")
    annotation = submit(page)
    assert tiers(annotation) == {"A": 1, "B": 3, "C": 2, "D": None}
    items = answer_to(annotation, "overall").rank_items.all()
    assert {letters(annotation)[one.completion_id]: one.acceptable for one in items} == {
        "A": True,
        "B": False,
        "C": True,
        "D": None,
    }
    expect(page.locator(".saved")).to_have_text("Saved. Undo")


def test_comparison_by_keyboard(desk, live_world):
    steps = {"steps": 8, "tie": True, "neither": True}
    ask(live_world, better={"kind": "pairwise", "settings": steps})
    live_world.tasks(4, outputs=2)
    page = desk()
    found = []
    for key in ("1", "8", "0", "n"):
        press(page, key)
        pair = answer_to(submit(page), "better").pair
        found.append((pair.strength, pair.neither))
    assert found == [(4, False), (-4, False), (0, False), (None, True)]


def test_rating_of_task_and_of_each_output_by_keyboard(desk, live_world):
    ask(live_world, clear=RATING | {"scope": "completion"}, whole=RATING)
    live_world.tasks(1, outputs=2)
    page = desk()
    press(page, "6 j 2 q")  # the last goes to the first question that is still open
    press(page, "7")
    annotation = submit(page)
    assert by_letter(annotation, "clear") == {"A": 6, "B": 2}
    assert answer_to(annotation, "whole").value == 7


def test_choices_by_keyboard_and_a_question_that_depends_on_one(desk, live_world):
    each = {"scope": "completion"}
    ask(live_world, wrong=WRONG | each, what=WHAT | each)
    live_world.tasks(1, outputs=2)
    page = desk()
    expect(page.get_by_text("Question what?").first).to_be_hidden()
    press(page, "2")
    expect(card(page, "A").get_by_text("Question what?")).to_be_visible()
    expect(card(page, "B").get_by_text("Question what?")).to_be_hidden()
    press(page, "Tab 1 3 Escape j 1")
    annotation = submit(page)
    assert by_letter(annotation, "wrong") == {"A": "yes", "B": "no"}
    assert by_letter(annotation, "what") == {"A": ["untrue", "long"]}


def test_text_by_keyboard(desk, live_world):
    ask(live_world, note=TEXT)
    live_world.tasks(1, outputs=1)
    page = desk()
    press(page, "q")
    page.keyboard.type("31 jk? no: s")  # none of these is a key here
    annotation = submit(page, "Control+Enter")
    assert answer_to(annotation, "note").value == "31 jk? no: s"
    assert annotation.typing["typed"] == 12
    assert annotation.typing["pasted"] == 0


def test_how_what_is_written_came_about_is_counted(desk, live_world):
    ask(live_world, note=TEXT)
    live_world.tasks(2, outputs=1)
    page = desk()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("navigator.clipboard.writeText('冰浮🙂')")
    press(page, "q")
    page.keyboard.type("ab")
    page.keyboard.press("Control+v")
    expect(page.locator("textarea").first).to_have_value("ab冰浮🙂")
    page.reload()  # what was counted before is not lost
    page.locator("textarea").first.focus()
    page.keyboard.press("Control+End")
    page.keyboard.type("c")
    annotation = submit(page, "Control+Enter")
    assert (annotation.typing["typed"], annotation.typing["pasted"]) == (3, 3)
    assert annotation.typing["seconds"] >= 1
    assert annotation.active_seconds is not None


def test_rule_with_its_proof_by_keyboard(desk, live_world):
    Rule.objects.create(project=live_world.project, key="kind", text="Is kind.", bad_example="Fool!")
    ask(live_world, rules=RULE)
    add_task(live_world, "Well, 🙂 you fool, you.", "Please sit down.")
    page = desk()
    for letter in "AB":
        if "fool" not in card(page, letter).locator(".text").inner_text():
            press(page, "0 Escape j")
            continue
        press(page, "3")
        press(page, "m")
        expect(card(page, letter).locator(".raw")).to_be_focused()
        press(page, "ArrowRight Space ArrowRight Space Escape")
        expect(card(page, letter).locator("mark")).to_have_text("you fool")
        press(page, "Escape j")
    answers = submit(page).answers.order_by("value")
    assert [one.value for one in answers] == [0, 3]
    assert [one.rule.key for one in answers] == ["kind", "kind"]
    assert [(span.start, span.end) for span in answers[1].spans.all()] == [(8, 16)]
    assert answers[1].completion.text[8:16] == "you fool"


def test_spans_with_labels_by_keyboard(desk, live_world):
    labels = [{"value": "untrue", "label": "Untrue"}, {"value": "unkind", "label": "Unkind"}]
    ask(live_world, marks=SPAN | {"settings": {"labels": labels}})
    add_task(live_world, "\n\r\n 水比冰重。Ice sinks.")
    page = desk()
    press(page, "m")
    expect(page.locator(".raw")).to_be_focused()
    press(page, "End Space Space")
    expect(page.locator("mark")).to_have_text("sinks")
    press(page, "m")
    expect(page.get_by_role("button", name="Unkind")).to_have_attribute("aria-pressed", "true")
    press(page, "Home Space Space Escape")
    expect(page.locator("mark")).to_have_count(2)
    answer = answer_to(submit(page), "marks")
    text = answer.completion.text
    assert answer.value == 2
    found = [(text[one.start : one.end], one.label) for one in answer.spans.order_by("start")]
    assert found[-1] == ("sinks", "untrue")
    assert found[0][1] == "unkind"
    assert text.strip().startswith(found[0][0])


def test_words_marked_by_mouse_point_into_the_raw_text(desk, live_world):
    ask(live_world, marks=SPAN)
    add_task(live_world, "**Bold** & <b>not</b> 👩‍👩‍👧 here\r\nand *there*")
    page = desk()
    page.get_by_role("button", name="Mark the words").click()
    raw = page.locator(".raw")
    expect(raw).to_be_visible()
    slot = slot_shown(page)
    text = slot.task.completions.get().text
    assert raw.evaluate("it => it.textContent") == text
    box = raw.evaluate("""it => {
        const range = document.createRange();
        const node = [...it.childNodes].at(-1), at = node.textContent.indexOf("there");
        range.setStart(node, at); range.setEnd(node, at + 5);
        return range.getBoundingClientRect().toJSON();
    }""")
    page.mouse.move(box["left"] + 1, box["top"] + 8)
    page.mouse.down()
    page.mouse.move(box["right"] - 1, box["top"] + 8, steps=4)
    page.mouse.up()
    expect(page.locator(".marks q")).to_have_text("there")
    page.get_by_role("button", name="Take away the mark").click()
    expect(page.locator("mark")).to_have_count(0)
    page.get_by_label("Nothing to mark").check()
    page.keyboard.press("Escape")
    answer = answer_to(submit(page), "marks")
    assert (answer.value, answer.spans.count()) == (0, 0)


def test_writing_by_keyboard(desk, live_world):
    ask(live_world, ideal={"kind": "demonstration", "settings": {"mode": "write", "min_length": 5}})
    live_world.tasks(1, outputs=1)
    page = desk()
    press(page, "q")
    page.keyboard.type("Wood.\n\nAnd ice.")
    expect(page.locator(".count")).to_contain_text("15 characters")
    annotation = submit(page, "Control+Enter")
    assert answer_to(annotation, "ideal").value == {"text": "Wood.\n\nAnd ice.", "from": None}


def test_writing_begins_with_an_output_and_takes_nothing_away(desk, live_world):
    ask(live_world, ideal=EDIT)
    add_task(live_world, "\n\n* one\n* two")
    page = desk()
    page.locator("textarea").first.fill("My own words")
    page.get_by_role("button", name="Start from output A").click()
    expect(page.locator(".written")).to_have_value("\n\n* one\n* two")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".written")).to_have_value("My own words")
    page.get_by_role("button", name="Start from output A").click()
    expect(page.locator(".written")).to_be_focused()
    page.keyboard.press("Control+End")
    page.keyboard.type("!")
    annotation = submit(page, "Control+Enter")
    output = annotation.slot.task.completions.get()
    assert answer_to(annotation, "ideal").value["from"] == output.pk
    assert answer_to(annotation, "ideal").value["text"].endswith("* two!")


# --- Ranking by mouse and touch, undo ---------------------------------------------------------------------------------


def centre(page: Page, selector: str, part: float = 0.5) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] * part


def drag(page: Page, what: str, to: str, part: float = 0.5) -> None:
    page.mouse.move(*centre(page, what))
    page.mouse.down()
    page.mouse.move(*centre(page, to, part), steps=5)
    page.mouse.up()


def test_ranking_by_dragging(desk, live_world):
    ask(live_world, overall=LINED)
    live_world.tasks(1, outputs=3)
    page = desk(viewport={"width": 1280, "height": 900})
    drag(page, "[data-chip=A]", "[data-tier='1']")
    drag(page, ".output[data-letter=B] .letter", "[data-tier='2']")  # from the card itself
    expect(page.locator("#order")).to_have_text("Best first: A > B")
    drag(page, "[data-chip=C]", "[data-tier='1']", 0.95)  # between the two
    expect(page.locator("#order")).to_have_text("Best first: A > C > B")
    drag(page, "[data-chip=B]", "[data-tier='1']")  # a tie
    expect(page.locator("#order")).to_have_text("Best first: A = B > C")
    drag(page, ".cut", "[data-tier='1']", 0.9)
    expect(page.locator("#order")).to_have_text("Best first: A = B │ C")
    drag(page, "[data-chip=C]", ".tray")
    expect(page.locator("#order")).to_have_text("Best first: A = B │")
    annotation = submit(page)
    assert tiers(annotation) == {"A": 1, "B": 1, "C": None}
    items = answer_to(annotation, "overall").rank_items.exclude(tier=None)
    assert {one.acceptable for one in items} == {True}


def test_a_card_put_between_others_moves_them_and_the_line_stays_where_it_was(desk, live_world):
    ask(live_world, overall=LINED)
    live_world.tasks(1, outputs=4)
    page = desk(viewport={"width": 1280, "height": 900})
    press(page, "2 j 3 j 4 l l")  # the first tier is empty
    expect(page.locator("#order")).to_have_text("Best first: A > B │ C")
    drag(page, "[data-chip=D]", "[data-tier='4']", 0.05)  # above C: there is room at the top only
    expect(page.locator("#order")).to_have_text("Best first: A > B │ D > C")
    drag(page, "[data-chip=D]", "[data-tier='1']", 0.05)
    expect(page.locator("#order")).to_have_text("Best first: D > A > B │ C")
    drag(page, "[data-chip=D]", ".tray")
    drag(page, "[data-chip=D]", "[data-tier='2']", 0.95)
    expect(page.locator("#order")).to_have_text("Best first: A > D > B │ C")
    annotation = submit(page)
    assert tiers(annotation) == {"A": 1, "B": 3, "C": 4, "D": 2}
    items = answer_to(annotation, "overall").rank_items.filter(acceptable=False)
    assert [letters(annotation)[one.completion_id] for one in items] == ["C"]


def test_ranking_by_touch_on_a_phone(desk, live_world):
    ask(live_world, overall=RANKING)
    live_world.tasks(1, outputs=3)
    page = desk(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page.locator(".board").scroll_into_view_if_needed()
    page.locator(".tray").evaluate("it => it.scrollIntoView({block: 'center'})")
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    for letter, tier in (("A", 2), ("B", 1), ("C", 2)):
        (x0, y0), (x1, y1) = centre(page, f"[data-chip={letter}]"), centre(page, f"[data-tier='{tier}']")
        touch("touchStart", (x0, y0))
        for step in range(1, 6):
            touch("touchMove", (x0 + (x1 - x0) * step / 5, y0 + (y1 - y0) * step / 5))
        page.wait_for_timeout(
            200
        )  # a finger that is still at its end, else the browser takes the next touch for its stop
        touch("touchEnd")
        expect(page.locator(f"[data-tier='{tier}'] [data-chip={letter}]")).to_be_visible()
    expect(page.locator("#order")).to_have_text("Best first: B > A = C")
    slot = slot_shown(page)
    page.get_by_role("button", name="Submit ranking").tap()
    assert tiers(wait_for_next(page, slot)) == {"A": 2, "B": 1, "C": 2}


def test_undo_takes_back_the_last_change(desk, live_world):
    ask(live_world, overall=RANKING, whole=RATING)
    live_world.tasks(1, outputs=2)
    page = desk()
    press(page, "1 j 2")
    page.get_by_role("radio", name="4", exact=True).last.check()
    press(page, "z")
    expect(page.locator(".zone [name=whole]:checked")).to_have_count(0)
    press(page, "z")
    expect(page.locator("#order")).to_have_text("Best first: A")
    press(page, "z z")
    expect(page.locator("#order")).to_have_text("Nothing placed yet")


# --- Nothing is lost --------------------------------------------------------------------------------------------------


def rank_two(page: Page) -> None:
    press(page, "1 j 2")


@pytest.fixture
def ranking(live_world) -> World:
    ask(live_world, overall=RANKING)
    live_world.tasks(3, outputs=2)
    return live_world


def test_what_is_filled_in_is_there_after_a_reload(desk, ranking):
    page = desk()
    press(page, "2")
    assert kept_on_server(page).fields["overall.tier.A"] == ["2"]
    assert page.evaluate("localStorage.length") == 0  # the server has it
    page.reload()
    expect(page.locator("#order")).to_have_text("Best first: A")
    press(page, "j 1")
    assert tiers(submit(page)) == {"A": 2, "B": 1}
    assert not Draft.objects.exists()


def test_what_was_filled_in_without_a_connection_is_there_after_a_reload(desk, ranking, complaints):
    page = desk()
    page.route("**/draft/", lambda route: route.abort())
    press(page, "2")
    expect(page.locator("#kept")).to_contain_text("not on the server yet")
    page.unroute("**/draft/")
    page.route("**/draft/", lambda route: route.abort())
    page.reload()
    expect(page.locator("#order")).to_have_text("Best first: A")
    expect(page.locator("#kept")).to_contain_text("is back")
    page.unroute("**/draft/")
    page.evaluate("window.dispatchEvent(new Event('online'))")
    assert kept_on_server(page).fields["overall.tier.A"] == ["2"]
    complaints.clear()


@pytest.mark.parametrize("taken", ["theirs", "mine"])
def test_another_device_has_saved_something_else(desk, ranking, taken):
    page = desk()
    slot = slot_shown(page)
    ledger.keep_draft(slot=slot, fields={"overall.tier.B": ["2"]}, version=0)
    press(page, "1")
    expect(page.locator("#newer")).to_be_visible()
    name = "Take that" if taken == "theirs" else "Keep this"
    page.get_by_role("button", name=name).click()
    expect(page.locator("#newer")).to_be_hidden()
    expect(page.locator("#order")).to_have_text("Best first: B" if taken == "theirs" else "Best first: A")
    if taken == "mine":
        kept = kept_on_server(page)
        assert {name: value for name, value in kept.fields.items() if value != [""]} == {"overall.tier.A": ["1"]}
    press(page, "Escape j 1")
    assert kept_on_server(page).version >= 2
    assert not page.locator("#newer").is_visible()


def test_an_answer_sent_without_a_connection_is_sent_once_when_there_is_one(desk, ranking, complaints):
    page = desk()
    slot = slot_shown(page)
    rank_two(page)
    page.context.set_offline(True)
    page.keyboard.press("Enter")
    expect(page.get_by_text("It is sent as soon as there is a connection.")).to_be_visible()
    expect(page.locator("#order")).to_have_text("Best first: A > B")
    page.context.set_offline(False)
    assert tiers(wait_for_next(page, slot)) == {"A": 1, "B": 2}
    page.wait_for_load_state("networkidle")
    assert Annotation.objects.count() == 1
    assert page.evaluate("localStorage.getItem('plumbline:outbox')") is None
    complaints.clear()


def test_an_answer_that_arrived_without_its_reply_is_not_sent_twice(desk, ranking, complaints):
    page = desk()
    slot = slot_shown(page)

    def lose(route) -> None:
        route.fetch()
        route.abort()

    page.route("**/submit/", lose)  # well before it is needed: at times the browser let the very next request pass
    rank_two(page)
    page.keyboard.press("Enter")
    expect(page.get_by_text("It is sent as soon as there is a connection.")).to_be_visible()
    assert Annotation.objects.count() == 1
    page.unroute("**/submit/")
    page.reload()  # what waits here goes from the page that is opened next
    wait_for_next(page, slot)
    assert Annotation.objects.count() == 1
    complaints.clear()


def test_an_answer_changed_while_it_waits_goes_as_it_was_changed(desk, ranking, complaints):
    page = desk()
    slot = slot_shown(page)
    page.route("**/submit/", lambda route: (route.fetch(), route.abort()))
    rank_two(page)
    page.keyboard.press("Enter")
    expect(page.locator("#unsent")).to_be_visible()
    page.unroute("**/submit/")
    press(page, "1")  # B too: a tie
    expect(page.locator("#unsent")).to_be_hidden()
    annotation = submit(page)
    assert (annotation.slot_id, annotation.revision) == (slot.pk, 2)
    assert tiers(annotation) == {"A": 1, "B": 1}
    complaints.clear()


def test_what_is_filled_in_survives_being_signed_out(desk, ranking):
    page = desk()
    slot = slot_shown(page)
    Session.objects.all().delete()
    rank_two(page)
    expect(page.locator("#unsent")).to_contain_text("You were signed out.")
    page.keyboard.press("Enter")
    with page.context.expect_page() as other:
        page.get_by_role("link", name="Sign in, in another tab").click()
    other.value.get_by_label("User name").fill("ana")
    other.value.get_by_label("Password").fill("ana")
    other.value.get_by_role("button", name="Sign in").click()
    other.value.wait_for_url("**/projects/kitchen/")
    other.value.close()
    page.bring_to_front()
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    assert tiers(wait_for_next(page, slot)) == {"A": 1, "B": 2}
    assert Annotation.objects.count() == 1


def test_an_answer_is_not_sent_in_another_persons_name(desk, ranking, complaints):
    page = desk()
    Session.objects.all().delete()
    rank_two(page)
    page.keyboard.press("Enter")
    expect(page.locator("#unsent")).to_contain_text("You were signed out.")
    other = page.context.new_page()
    fill_login(other, "ben")
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(page.locator("#unsent")).to_contain_text("belongs to another account")
    expect(page.locator("#order")).to_have_text("Best first: A > B")
    assert not Annotation.objects.exists()
    complaints.clear()


def test_two_tabs_of_one_task(desk, ranking):
    page = desk()
    other = page.context.new_page()
    other.goto(page.url)
    rank_two(page)
    submit(page)
    expect(other.get_by_text("This task was sent from another tab")).to_be_visible()
    press(other, "2 j 1")
    changed = submit(other)
    assert changed.revision == 2
    assert tiers(changed) == {"A": 2, "B": 1}


def expire(page: Page) -> Slot:
    Slot.objects.filter(pk=slot_shown(page).pk).update(leased_until=timezone.now() - timedelta(seconds=1))
    assert ledger.expire_leases() == 1
    return slot_shown(page)


def test_a_lease_that_ended_comes_back_where_nobody_has_the_task(desk, ranking):
    page = desk()
    slot = expire(page)
    page.reload()
    expect(page.locator("#over")).to_be_visible()
    rank_two(page)
    expect(page.locator("#over")).to_be_hidden()
    slot.refresh_from_db()
    assert slot.status == Slot.Status.LEASED


def test_a_lease_that_is_lost_is_said_and_the_answer_is_kept(desk, sign_in, live_world):
    ask(live_world, overall=RANKING)
    live_world.project.overlap = 1
    live_world.project.save()
    live_world.tasks(1, outputs=2)
    page = desk()
    slot = expire(page)
    assert live_world.claim("ben").task_id == slot.task_id
    rank_two(page)
    expect(page.locator("#over")).to_be_visible()
    assert tiers(submit(page)) == {"A": 1, "B": 2}
    slot.refresh_from_db()
    assert slot.status == Slot.Status.EXTRA


def test_going_back_shows_what_was_answered(desk, ranking):
    page = desk()
    slot = slot_shown(page)
    rank_two(page)
    submit(page)
    page.go_back()
    expect(page.locator("#desk")).to_have_attribute("data-slot", str(slot.code))
    expect(page.locator("#order")).to_have_text("Best first: A > B")
    press(page, "2")
    assert submit(page).revision == 2


def test_undo_after_submitting_opens_the_answer_again(desk, ranking):
    page = desk()
    slot = slot_shown(page)
    rank_two(page)
    submit(page)
    page.locator(".saved a").click()
    expect(page.locator("#desk")).to_have_attribute("data-slot", str(slot.code))
    expect(page.get_by_text("You have answered this task.")).to_be_visible()


def test_errors_stand_at_their_fields_and_what_was_chosen_stays(desk, ranking, complaints):
    page = desk()
    press(page, "2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="Output B has no place yet.")).to_be_visible()
    expect(page.locator("#order")).to_have_text("Best first: A")
    assert not Annotation.objects.exists()
    press(page, "Escape k 1 j 1")
    assert tiers(submit(page)) == {"A": 1, "B": 1}
    assert "422" in complaints.pop()


def test_skipping_by_keyboard(desk, ranking):
    page = desk()
    slot = slot_shown(page)
    press(page, "s 4 Enter")
    expect(page.locator(f"#desk[data-slot='{slot.code}']")).to_have_count(0)
    slot.refresh_from_db()
    assert (slot.status, slot.skip_kind) == (Slot.Status.SKIPPED, Slot.Skip.DISTRESSING)
    expect(page.locator(".saved")).to_have_text("Skipped.")


# --- Around the task --------------------------------------------------------------------------------------------------


def test_what_may_distress_is_covered_until_it_is_asked_for(desk, live_world):
    ask(live_world, overall=RANKING)
    live_world.tasks(2, outputs=2, categories=("violence",))
    Annotator.objects.update(harm_categories=["violence"])
    live_world.project.support_text = "Talk to **Mina**."
    live_world.project.save()
    page = desk()
    expect(page.locator(".judged")).to_have_js_property("inert", True)
    expect(page.locator("#harm")).to_contain_text("violence")
    expect(page.locator(".support")).to_contain_text("Talk to Mina.")
    press(page, "v")
    expect(page.locator(".judged")).to_have_js_property("inert", False)
    page.reload()
    expect(page.locator(".judged")).to_have_js_property("inert", False)
    rank_two(page)
    submit(page)
    expect(page.locator(".judged")).to_have_js_property("inert", True)


def test_the_map_of_keys_and_keys_switched_off(desk, ranking):
    page = desk()
    press(page, "?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(card(page, "A")).to_be_focused()
    press(page, "?")
    page.get_by_label("Single keys work").uncheck()
    page.keyboard.press("Escape")
    press(page, "1 j")
    expect(page.locator("#order")).to_have_text("Nothing placed yet")


def test_two_outputs_side_by_side(desk, live_world):
    ask(live_world, overall=RANKING)
    add_task(live_world, "Ice floats on water", "Ice sinks in water")
    page = desk()
    press(page, "c")
    expect(page.locator("#sides del, #sides ins").first).to_be_visible()
    expect(page.locator("#sides h3")).to_have_text(["Output A", "Output B"])
    page.keyboard.press("Escape")
    expect(page.locator("#sides")).to_be_hidden()


def test_a_long_output_folds_and_an_empty_one_says_so(desk, live_world):
    ask(live_world, overall=RANKING)
    add_task(live_world, "", "line\n\n" * 60)
    page = desk()
    expect(page.get_by_text("This output is empty.")).to_be_visible()
    expect(page.locator(".more:visible")).to_have_count(1)
    folded = page.locator(".folds").bounding_box()["height"]
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(".folds")).to_have_count(0)
    assert folded < 700


def test_where_the_outputs_hang(desk, live_world):
    nodes = [("a", None, "user"), ("b", "a", "assistant"), ("c", "b", "user"), ("d", "a", "assistant")]
    tree = {
        "at": "c",
        "nodes": [{"id": one, "parent": up, "role": role, "content": f"Turn {one}"} for one, up, role in nodes],
    }
    ask(live_world, overall=RANKING)
    live_world.tasks(1, outputs=2, tree=tree)
    page = desk()
    page.get_by_text("Where these replies hang").click()
    expect(page.locator(".tree > li > ul > li")).to_have_count(2)
    expect(page.locator(".tree > li > ul > li > ul > li")).to_contain_text("Turn c the outputs answer this")


def test_asking_and_flagging(desk, ranking):
    page = desk()
    slot = slot_shown(page)
    page.get_by_text("Ask the researchers").click()
    page.get_by_label("Your question").fill("May ice be salty?")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("#asked-now")).to_contain_text("Asked.")
    expect(page.get_by_label("Your question")).to_have_value("")
    page.keyboard.press("Escape")
    press(page, "f 3")
    press(page, "Enter")
    expect(page.locator("#flagged .message")).to_be_visible()
    assert slot.help_requests.get().text == "May ice be salty?"
    assert slot.flags.get().kind == Flag.Kind.PERSONAL
    page.keyboard.press("Escape")
    rank_two(page)  # the desk is as it was
    assert tiers(submit(page)) == {"A": 1, "B": 2}


def test_what_others_said_stands_above_the_task(desk, ranking):
    page = desk()
    rank_two(page)
    submit(page)
    asked = exchange.ask(slot=slot_shown(page), actor=ranking.users["ana"], text="May ice be salty?")
    exchange.answer(request=asked, actor=ranking.users["mina"], text="It may.", known=None)
    publish_guideline(project=ranking.project, text="Put the **kind** one first.")
    page.reload()
    expect(page.locator("#changes ins")).to_have_text("kind")
    expect(page.get_by_text("from version 1 to 2")).to_be_visible()
    expect(page.get_by_text("It may.")).to_be_visible()
    page.get_by_role("button", name="Got it").click()
    expect(page.get_by_text("It may.")).to_have_count(0)
    asked.refresh_from_db()
    assert asked.seen_at


def test_the_guideline_is_opened_once_and_stays_open(desk, ranking):
    page = desk()
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/guideline/" in request.url else None)
    press(page, "g")
    expect(page.locator("#guideline")).to_contain_text("Put the true one first.")
    press(page, "Escape g")
    rank_two(page)
    submit(page)
    expect(page.locator("#guideline")).to_contain_text("Put the true one first.")
    expect(page.locator("#guideline")).to_have_attribute("open", "")
    assert len(asked) == 1


def everything(world: World) -> None:
    """A project that asks every kind of question, but of a comparison, which takes two outputs."""
    Rule.objects.create(project=world.project, key="kind", text="Is kind.", good_example="Please.", bad_example="Fool!")
    each = {"scope": "completion"}
    ask(
        world,
        overall=LINED | {"help": "Read **all** of them."},
        better={"kind": "pairwise", "settings": {"steps": 4, "tie": True, "neither": True}},
        clear=RATING | each,
        wrong=WRONG | each,
        what=WHAT | each,
        rules=RULE,
        marks=SPAN,
        note=TEXT | {"required": False},
        ideal=EDIT,
    )
    add_task(world, "Ice floats on water", "Ice sinks in water\n\n" * 30, language="en")


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_a_desk_with_every_kind(sign_in, live_world, scheme, language):
    everything(live_world)
    page = sign_in("ana", color_scheme=scheme)
    page.context.add_cookies([{"name": "django_language", "value": language, "url": page.url}])
    start(page)
    press(page, "1 j 2 j")
    card(page, "A").locator("[name='wrong.A'][value=yes]").check()
    card(page, "A").locator("[name='rules.kind.A'][value='2']").check()
    for opened in ("#guideline", "#compare", "#skip"):
        page.locator(f"{opened} > summary").click()
    found = Axe().run(page).response["violations"]
    assert [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]] == []
    page.locator("[data-keys]").click()
    found = Axe().run(page).response["violations"]
    assert [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]] == []


@pytest.mark.parametrize("width", [360, 1100, 1280, 1600])
def test_no_desk_scrolls_sideways(desk, live_world, width):
    everything(live_world)
    page = desk(viewport={"width": width, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_every_kind_works_without_javascript(desk, live_world):
    everything(live_world)
    page = desk(java_script_enabled=False)
    slot = slot_shown(page)
    for letter, place in (("A", "1"), ("B", "2")):
        for name, value in (
            (f"overall.tier.{letter}", place),
            (f"clear.{letter}", "5"),
            (f"wrong.{letter}", "no"),
            (f"rules.kind.{letter}", "0"),
            (f"marks.{letter}.none", "1"),
        ):
            page.locator(f"[name='{name}'][value='{value}']").check()
    page.locator("[name='overall.line']").select_option("1")
    page.locator("[name='better.choice'][value='2']").check()
    page.locator("[name='ideal.text']").fill("Ice floats.")
    page.get_by_role("button", name="Submit").click()
    annotation = wait_for_next(page, slot)
    assert tiers(annotation) == {"A": 1, "B": 2}
    assert answer_to(annotation, "better").pair.strength == 2
    assert by_letter(annotation, "clear") == {"A": 5, "B": 5}
    assert annotation.answers.count() == 11
