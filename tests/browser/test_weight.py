"""What the page of judging weighs where nothing is cached yet: on gunicorn with collected files, as in production."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from playwright.sync_api import Page, Response

from tests.stack import PROJECT, web_server

MOST_REQUESTS, MOST_BYTES = 8, 48_000


class Transfer(NamedTuple):
    address: str
    bytes: int  # over the wire, headers included


def transfers(page: Page, address: str) -> list[Transfer]:
    """Open an address, and give what came for it, one for each request. What is in the page itself is no request."""
    asked: list[tuple[str, str]] = []
    came: dict[str, int] = {}

    def on_request(event: dict) -> None:
        assert "redirectResponse" not in event, event["request"]["url"]  # whose bytes would be missing in the sum
        if not event["request"]["url"].startswith("data:"):
            asked.append((event["requestId"], event["request"]["url"]))

    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.requestWillBeSent", on_request)
    session.on("Network.loadingFinished", lambda event: came.update({event["requestId"]: event["encodedDataLength"]}))
    page.goto(address)
    page.wait_for_load_state("networkidle")
    session.detach()
    return [Transfer(url, round(came[request])) for request, url in asked]


def listed(found: list[Transfer]) -> str:
    lines = [f"{one.bytes:8,}  {one.address}" for one in found]
    return "\n".join(["", *lines, f"{sum(one.bytes for one in found):8,}  in {len(found)} requests"])


@pytest.fixture
def production(transactional_db, tmp_path) -> Iterator[str]:
    """The address of a web server that has the static files as `collectstatic` leaves them."""
    environment = {"DEBUG": "0", "PLUMBLINE_VAR": str(tmp_path)}
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--no-input"],
        cwd=PROJECT,
        env=os.environ | environment,
        check=True,
        capture_output=True,
    )
    with web_server(**environment) as address:
        yield address


@pytest.fixture
def judging(production) -> tuple[str, dict]:
    """The address of a page of judging of the sample project, and the cookie of the one it is for."""
    cache.clear()
    call_command("load_sample", stdout=io.StringIO())
    client = Client()
    client.force_login(User.objects.get(username="ana"))
    path = client.post("/projects/everyday-answers/claim/").url
    assert "/work/" in path
    return production + path, {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": production}


def test_the_page_of_judging_is_light_when_opened_cold_and_a_page_alone_when_opened_again(
    new_context, judging, record_property
):
    address, cookie = judging
    context = new_context()
    context.add_cookies([cookie])
    page = context.new_page()
    answers: list[Response] = []
    page.on("response", lambda answer: None if answer.url.startswith("data:") else answers.append(answer))

    cold = transfers(page, address)
    print(listed(cold))
    record_property("figure", f"{sum(one.bytes for one in cold):,} bytes in {len(cold)} requests")
    assert (page.url, answers[0].status) == (cold[0].address, 200) == (address, 200)
    assert all(one.bytes > 100 for one in cold), listed(cold)  # nothing came out of a cache
    assert len(cold) <= MOST_REQUESTS, listed(cold)
    assert sum(one.bytes for one in cold) <= MOST_BYTES, listed(cold)
    found = {answer.url: answer.all_headers() for answer in answers}
    assert {headers.get("content-encoding") for headers in found.values()} == {"gzip"}
    assert all("immutable" in headers["cache-control"] for url, headers in found.items() if url != address)

    warm = [one for one in transfers(page, address) if one.bytes]
    assert [one.address for one in warm] == [address], listed(warm)  # the rest stays in the browser, unasked
