"""The desk as a whole: hostile outputs do nothing to it, and the next task is there at once."""

import time

import numpy as np
import pytest
from playwright.sync_api import Page

from annotate.models import Slot, Task
from annotate.services.tasks import NewCompletion, NewTask, add_tasks
from tests.browser.test_desk import start
from tests.hostile_outputs import HOSTILE

AT_A_TIME = 5
IN_A_ROW = 40
FORBIDDEN = (
    "script, iframe, object, embed, form, base, meta, link, style, svg, img, input, [style], [onload], [onerror]"
)


@pytest.mark.parametrize("width", [1280, 360])
def test_hostile_outputs_execute_nothing_load_nothing_and_the_layout_holds(sign_in, live_world, width, record_property):
    conversation = [{"role": "user", "content": text} for _name, text in HOSTILE[:3]]
    chunks = [HOSTILE[at : at + AT_A_TIME] for at in range(0, len(HOSTILE), AT_A_TIME)]
    chunks[-1] = HOSTILE[-AT_A_TIME:]  # a ranking needs two outputs at least
    for number, chunk in enumerate(chunks):
        outputs = [NewCompletion(f"o{at}", text) for at, (_name, text) in enumerate(chunk)]
        new = NewTask(name=f"hostile-{number}", conversation=conversation, completions=outputs)
        add_tasks(project=live_world.project, tasks=[new])
    page = sign_in("ana", viewport={"width": width, "height": 800})
    foreign: list[str] = []
    here = page.url.split("/projects/")[0]
    page.on("request", lambda request: foreign.append(request.url) if not request.url.startswith(here) else None)
    page.on("dialog", lambda dialog: foreign.append(dialog.message))
    start(page)
    for number in range(len(chunks)):
        address = page.url
        unharmed(page, width)
        for at in range(AT_A_TIME):
            place_first(page, "ABCDE"[at])
        page.locator("button.main").click()
        if number < len(chunks) - 1:
            page.wait_for_function("before => location.href !== before", arg=address)
    page.wait_for_url("**/projects/kitchen/")
    assert foreign == []
    assert Slot.objects.counting().count() == len(chunks)
    record_property("figure", f"{len(HOSTILE)} hostile outputs at {width} px: none ran, loaded or broke anything")


def place_first(page: Page, letter: str) -> None:
    page.locator(f"input[name='overall.tier.{letter}'][value='1']").evaluate("one => one.click()")


def unharmed(page: Page, width: int) -> None:
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    inside = page.locator(".output .text, .say").evaluate_all(
        "(all, forbidden) => all.flatMap(one => [...one.querySelectorAll(forbidden)].map(bad => bad.outerHTML))",
        FORBIDDEN,
    )
    assert inside == []
    button = page.locator("button.main")
    button.scroll_into_view_if_needed()
    covered = button.evaluate(
        """one => { const box = one.getBoundingClientRect();
                    return !one.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)) }"""
    )
    assert not covered


def test_the_next_task_is_on_the_screen_with_one_request(sign_in, live_world, record_property):
    """From the key that submits to the frame that shows the next task; the figure is for acceptance to judge."""
    live_world.tasks(IN_A_ROW + 1, outputs=4)
    page = sign_in("ana")
    start(page)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    milliseconds = []
    for _ in range(IN_A_ROW):
        for letter in "ABCD":
            place_first(page, letter)
        time.sleep(0.05)
        requests.clear()
        page.evaluate(
            """() => { const before = document.getElementById("desk").dataset.slot;
                       window.shown = new Promise(done => {
                         let began;
                         document.addEventListener("keydown", () => { began = performance.now() }, {once: true, capture: true});
                         new MutationObserver((_, observer) => {
                           if (document.getElementById("desk")?.dataset.slot === before) return;
                           observer.disconnect();
                           requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
                         }).observe(document.body, {childList: true, subtree: true});
                       }); }"""
        )
        page.keyboard.press("Enter")
        milliseconds.append(page.evaluate("window.shown"))
        sent = [address.rsplit("/", 2)[1] for address in requests]
        assert [what for what in sent if what != "draft"] == ["submit"]
    assert Task.objects.filter(slots__status="submitted").distinct().count() == IN_A_ROW
    p50, p95 = np.percentile(milliseconds, [50, 95])
    record_property("figure", f"submit to next task p50 {p50:.0f} ms, p95 {p95:.0f} ms, n = {IN_A_ROW}")
