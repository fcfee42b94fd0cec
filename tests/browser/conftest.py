"""A real Chromium against a live server. Every page visited must keep its console clean and to its security policy."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
from django.core.cache import cache as django_cache
from playwright.sync_api import Browser, BrowserContext, Page
from playwright.sync_api import Error as PlaywrightError

from tests import chromium
from tests.stack import celery_worker
from tests.world import World

HERE = Path(__file__).parent
find_chromium = cache(chromium.find)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder is `browser`, and its database is committed to, since the server is another thread."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.django_db(transaction=True))


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict:
    path = find_chromium()
    if path is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no Chromium: see `python -m tests.chromium`")
    return {"executable_path": path, "args": list(chromium.FLAGS)}


@pytest.fixture
def live_world(transactional_db) -> World:
    """The world of tests/world.py, committed."""
    django_cache.clear()
    return World.build()


@pytest.fixture(
    scope="module"
)  # and no longer: it would do the jobs of tests that bring and kill a worker of their own
def worker(django_db_setup) -> Iterator[subprocess.Popen]:
    """A Celery worker that does the jobs of all tests: their rows go after each test, its database stays."""
    with celery_worker() as process:
        yield process


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What the console of any page said in errors and warnings, violations of the policy included: nothing is right.

    A test that provokes one takes it out of the list.
    """
    said: list[str] = []
    yield said
    assert said == []


@pytest.fixture
def new_context(browser: Browser, live_server, complaints: list[str]) -> Iterator[Callable[..., BrowserContext]]:
    """Makes contexts, each a person's own browser; `options` are Playwright's. Its pages are listened to."""
    contexts = []

    def make(**options) -> BrowserContext:
        context = browser.new_context(base_url=live_server.url, reduced_motion="reduce", **options)
        context.set_default_timeout(15_000)
        context.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        leave(context)
        context.close()


def leave(context: BrowserContext) -> None:
    """Leave all pages, and wait until what they send as they are left has been answered.

    A desk saves its draft then. It must not meet the database while it is emptied after the test.
    """
    context.set_offline(False)
    for page in context.pages:
        with suppress(PlaywrightError):  # a page that a test closed, or that would not go
            page.goto("about:blank")
            page.wait_for_timeout(250)


@pytest.fixture
def sign_in(new_context, live_world: World) -> Callable[..., Page]:
    """Signs a person of the world in through the form, in a browser of their own, and gives the page."""

    def sign_in(name: str, **options) -> Page:
        page = new_context(**options).new_page()
        fill_login(page, name)
        return page

    return sign_in


def fill_login(page: Page, name: str) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(name)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/projects/")
