"""`make pictures`: the six main pages with the sample content, into docs/screenshots; axe must find nothing on them.

Each at 1280 and 360 px, light and dark, in English and Chinese. Chinese letters need a font: Debian's fonts-noto-cjk.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests import chromium
from tests.accept.common import PROJECT, Demo, demo

PICTURES = PROJECT / "docs" / "screenshots"
SIZES = {1280: 860, 360: 720}
THEMES = ("light", "dark")
LANGUAGES = {"en": "en", "zh": "zh-hans"}


def pages(browser: Browser, running: Demo) -> dict[str, tuple[str, str]]:
    """The main pages by name: who looks, and the address."""
    page = browser.new_page()
    sign_in(page, running, "ana")
    page.goto(f"{running.address}projects/everyday-answers/")
    page.locator("form[action$='/claim/'] button").click()
    page.wait_for_url("**/work/**")
    found = {"rank": ("ana", page.url)}
    page.context.clear_cookies()
    sign_in(page, running, "mina")
    found["project"] = ("mina", f"{running.address}projects/everyday-answers/")
    page.goto(f"{running.address}datasets/")
    page.get_by_role("link", name="support-messages").first.click()
    found["dataset"] = ("mina", page.url)
    page.get_by_role("link", name="direct", exact=True).click()
    found["template"] = ("mina", page.url)
    page.goto(f"{running.address}exports/")
    page.locator("main tbody a").first.click()
    found["export"] = ("mina", page.url)
    page.locator("a[href*='/training-runs/']").first.click()
    found["training-run"] = ("mina", page.url)
    page.close()
    return found


def sign_in(page: Page, running: Demo, name: str) -> None:
    page.goto(f"{running.address}accounts/login/")
    page.locator("#id_login").fill(name)
    page.locator("#id_password").fill(running.passwords[name])
    page.locator("main form button").first.click()
    page.wait_for_url("**/projects/**")


def take(folder: Path, running: Demo) -> Iterator[tuple[str, int]]:
    """Take the pictures. Gives each one's name and how much axe found."""
    path = chromium.find()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(chromium.FLAGS))
        addresses = pages(browser, running)
        for language, code in LANGUAGES.items():
            for theme in THEMES:
                for width, height in SIZES.items():
                    context = browser.new_context(
                        viewport={"width": width, "height": height}, color_scheme=theme, locale=code
                    )
                    page = context.new_page()
                    someone = ""
                    for name, (who, address) in addresses.items():
                        if who != someone:
                            context.clear_cookies()
                            sign_in(page, running, who)
                            cookie = {"name": "django_language", "value": code, "url": running.address}
                            context.add_cookies([cookie])  # type: ignore[list-item]
                            someone = who
                        page.goto(address)
                        picture = f"{name}-{language}-{theme}-{width}.png"
                        page.screenshot(path=folder / picture)
                        yield picture, Axe().run(page).violations_count
                    context.close()
        browser.close()


def look(folder: Path | None = None) -> str:
    """Take all pictures on a demo of its own; AssertionError where axe finds something or docs lack a picture."""
    with tempfile.TemporaryDirectory(prefix="plumbline-pictures-") as name:
        Path(name).chmod(0o755)
        with demo(PROJECT, 8650, command=[sys.executable, "-m", "config.demo"], PLUMBLINE_VAR=name) as running:
            found = dict(take(folder or Path(name), running))
    bad = {picture: count for picture, count in found.items() if count}
    assert not bad, f"axe found something: {bad}"
    missing = [picture for picture in found if not (PICTURES / picture).exists()]
    assert not missing, f"not in docs/screenshots: {missing}"
    return f"{len(found)} pictures, axe 0 on each (bound: 0), and docs/screenshots has them all"


if __name__ == "__main__":
    PICTURES.mkdir(parents=True, exist_ok=True)
    print(look(PICTURES))
