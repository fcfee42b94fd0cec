"""Loaded before the settings are (`-p tests.environment` in pyproject.toml): the environment that tests run in.

Each parallel worker has its own database (pytest-django sees to that), its own Valkey database and its own files.
"""

import atexit
import os
import shutil
import tempfile

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0")

os.environ.setdefault("SECRET_KEY", "only-for-tests")
os.environ.setdefault("LOG_LEVEL", "WARNING")
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright's own loop runs in the thread of the test
os.environ["PYTHONWARNINGS"] = "ignore"
os.environ["MEDIA_ROOT"] = tempfile.mkdtemp(prefix="plumbline-media-")
atexit.register(shutil.rmtree, os.environ["MEDIA_ROOT"], ignore_errors=True)
if redis_url := os.environ.get("REDIS_URL"):
    address, _, query = redis_url.partition("?")
    number = int(WORKER.removeprefix("gw")) * 2 + 1
    os.environ["REDIS_URL"] = (
        f"{address}?db={number}" if address.startswith("unix:") else f"{address.rstrip('/')}/{number}"
    )
