"""The browser of the browser tests: the one on the path, else Debian's, else the one that Playwright downloads.

`python -m tests.chromium` gets one and prints where it is. Where none can be had it says so loudly; with CI=true it
fails. The tests themselves only look (`find()`): getting one is done once, before they run.
"""

import os
import shutil
import subprocess
import sys
import tempfile

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (  # the same for the check here and for the tests
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def find() -> str | None:
    """The path of a Chromium that starts, None when there is none."""
    candidates = [path for name in NAMES if (path := shutil.which(name))]
    return next((path for path in [*candidates, *_downloaded()] if _starts(path)), None)


def _downloaded() -> list[str]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return [path] if os.path.exists(path) else []


def _starts(path: str) -> bool:
    """Whether it shows an empty page: a wrapper without its browser, or one without its libraries, does not."""
    with tempfile.TemporaryDirectory() as profile:
        command = [path, "--headless", *FLAGS, f"--user-data-dir={profile}", "--dump-dom", "about:blank"]
        try:
            shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return False
        return "<html>" in shown.stdout


def install() -> None:
    """Try the ways there are to get one, Debian's first; each reports on stderr."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        apt = {"env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, "stdout": sys.stderr, "check": False}
        subprocess.run(["apt-get", "update", "-qq"], **apt)
        packages = ["chromium", "fonts-liberation"]
        subprocess.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages], **apt)
        if find():
            return
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], stdout=sys.stderr, check=False)


def main() -> int:
    path = find()
    if path is None:
        print("No Chromium found: getting one for the browser tests", file=sys.stderr)
        install()
        path = find()
    if path:
        print(f"Chromium: {path}")
        return 0
    rule = "!" * 100
    print(
        f"{rule}\nNo Chromium can be had here: THE BROWSER TESTS ARE NOT RUN.\n"
        f"Remedy: `apt install chromium` as root, or another way to have `chromium` on the path.\n{rule}",
        file=sys.stderr,
    )
    return 1 if os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main())
