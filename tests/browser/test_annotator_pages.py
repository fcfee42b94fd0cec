"""The pages of an annotator beside the desk: axe finds nothing on any, in both themes and both languages, nor at 360 px."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from annotate.models import HelpRequest
from annotate.services import ledger
from annotate.services.projects import publish_guideline

PAGES = ["/projects/", "/projects/kitchen/", "/projects/kitchen/guideline/", "/projects/kitchen/guideline/?since=1",
         "/projects/kitchen/mine/", "/projects/kitchen/mine/?q=Question", "/me/"]  # fmt: skip


@pytest.fixture
def with_a_past(live_world):
    """ana has answered, skipped and asked; the guideline has changed since, and has an example."""
    live_world.tasks(4, language="en")
    live_world.answer(live_world.claim("ana"), 1, 2, 3)
    ledger.skip(slot=live_world.claim("ana"), kind="hard")
    live_world.claim("ana")
    HelpRequest.objects.create(project=live_world.project, asker=live_world.users["ana"], text="What is a tie?")
    example = {"prompt": "Why?", "outputs": [{"letter": "A", "text": "So."}], "answer": "A", "why": "It is true."}
    publish_guideline(project=live_world.project, text="Put the **honest** one first.", examples=[example])
    return live_world


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(sign_in, with_a_past, scheme, language):
    page = sign_in("ana", color_scheme=scheme)
    page.context.add_cookies([{"name": "django_language", "value": language, "url": page.url}])
    found = {}
    for address in PAGES:
        assert page.goto(address).status == 200
        violations = Axe().run(page).response["violations"]
        found[address] = [f"{one['id']}: {node['html']}" for one in violations for node in one["nodes"]]
    assert {address: said for address, said in found.items() if said} == {}


def test_none_scrolls_sideways_on_a_phone(sign_in, with_a_past):
    page = sign_in("ana", viewport={"width": 360, "height": 740})
    widths = {}
    for address in PAGES:
        page.goto(address)
        widths[address] = page.evaluate("document.documentElement.scrollWidth")
    assert set(widths.values()) == {360}, widths
