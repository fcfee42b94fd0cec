"""Links and webhooks in a browser: made by keyboard, with axe, in both themes, at 360 px."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from curation.models import ExportCopy, Webhook, WebhookDelivery
from curation.models.delivery import WebhookAttempt
from curation.services import webhooks
from curation.services.delivery import make_link
from tests import delivered

HOSTILE = "<b>" + "x" * 300 + "</b> 模型"
EVENTS = ["export.built", "export.failed", "export.revoked"]


def test_a_manager_makes_a_webhook_by_keyboard_and_sends_a_test(sign_in, live_world):
    page = sign_in("mina")
    page.goto("/webhooks/")
    page.get_by_label("Address").focus()
    page.keyboard.type("https://train.example.org/hooks")
    page.keyboard.press("Enter")  # all events are chosen already
    page.get_by_text("it is not shown again").wait_for()
    assert page.get_by_label("Secret").input_value() == Webhook.objects.get().secret
    page.locator("#made").get_by_role("link").click()
    page.get_by_role("button", name="Send a test").click()
    page.get_by_text("A test is on its way.").wait_for()
    summary = page.locator("main summary")
    summary.focus()
    page.keyboard.press("Enter")
    assert "Not sent yet." in page.locator("main").inner_text()


@pytest.fixture
def site(live_world) -> list[str]:
    """The pages, with names and answers that are long and hostile."""
    export = delivered.export(live_world, {"preference/" + "long-" * 30 + ".parquet": b"1"})
    make_link(export=export, actor=live_world.users["mina"], path="letters.txt")
    ExportCopy.objects.create(export=export, folder=export.name, error=HOSTILE, next_at=export.created_at)
    url = "https://train.example.org/" + "a" * 300
    webhook = webhooks.make_webhook(project=None, url=url, events=EVENTS, actor=live_world.users["mina"])
    webhooks.test(webhook=webhook)
    made = WebhookDelivery.objects.get()
    WebhookAttempt.objects.create(delivery=made, status=503, milliseconds=9_999, answer=HOSTILE)
    return ["/webhooks/", f"/webhooks/{webhook.pk}/", f"/exports/{export.pk}/"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_and_no_page_scrolls_sideways(sign_in, site, scheme, width):
    page = sign_in("mina", color_scheme=scheme, viewport={"width": width, "height": 800})
    found = {}
    for address in [*site, "the link"]:
        if address == "the link":
            page.locator("#links").get_by_role("button", name="Make a link").click()
            page.get_by_text("it is not shown again").wait_for()
        else:
            assert page.goto(address).status == 200
        page.locator("main details").evaluate_all("all => all.forEach(one => one.open = true)")
        violations = Axe().run(page).response["violations"]
        found[address] = [f"{one['id']}: {node['html']}" for one in violations for node in one["nodes"]]
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
            found[address].append(f"is {wide} px wide")
    assert {at: said for at, said in found.items() if said} == {}
