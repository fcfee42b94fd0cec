"""Follows the tour of README.md to the letter: its words are what is filled in, pressed and run.

In the tour's steps `Label: `value`` fills the field of that label, **Label** presses the link or button of that name, a
block of `jinja` is typed into the field “Template”, and a block of `sh` is run. The password of a user is the one that
`make demo` prints.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from playwright.sync_api import Page, expect

PROJECT = Path(__file__).resolve().parent.parent
PATIENCE = 60_000  # milliseconds; a job may have to wait for a worker
DEEDS = re.compile(
    r"(?P<field>[A-Z][a-z]+(?: [a-z]+)*):\s+`(?P<value>[^`]+)`"
    r"|\*\*(?P<press>[^*]+)\*\*"
    r"|```(?P<language>jinja|sh)\n(?P<block>.*?)```",
    re.DOTALL,
)


def deeds() -> Iterator[re.Match[str]]:
    """What the tour says to do, in its order."""
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    tour = readme.split("## A tour in five minutes\n")[1].split("\n## ")[0]
    return DEEDS.finditer(tour)


def follow(page: Page, address: str, passwords: Mapping[str, str], downloads: Path) -> Iterator[str]:
    """Follow the tour in the browser. Gives each block of shell commands, indentation removed, to whoever iterates."""
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    for deed in deeds():
        if deed["field"]:
            fill(page, deed["field"], deed["value"], passwords)
        elif deed["press"]:
            press(page, deed["press"], downloads)
        elif deed["language"] == "jinja":
            page.get_by_label("Template", exact=True).fill(unindented(deed["block"]))
        else:
            yield unindented(deed["block"])


def fill(page: Page, label: str, value: str, passwords: Mapping[str, str]) -> None:
    field = page.get_by_label(label, exact=True)
    if label == "File":
        field.set_input_files(PROJECT / value)
    elif field.evaluate("field => field.tagName") == "SELECT":
        field.select_option(label=value)
    else:
        field.fill(value)
    if label == "User name":
        page.get_by_label("Password", exact=True).fill(passwords[value])


def press(page: Page, name: str, downloads: Path) -> None:
    link, button = (page.get_by_role(role, name=name, exact=True) for role in ("link", "button"))
    found = link.or_(button).or_(page.locator("summary").filter(has_text=name)).first
    if name == "Download all":
        with page.expect_download() as waiting:
            found.click()
        waiting.value.save_as(downloads / waiting.value.suggested_filename)
    else:
        found.click()
        expect(page.locator("main")).to_be_visible()
    assert "/404" not in page.url


def unindented(block: str) -> str:
    return "\n".join(line.removeprefix("   ") for line in block.rstrip().splitlines())


def run(script: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Run a block of the tour as a person would type it; raises with what it said if a command fails."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{script}\nended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout
