"""Processes of the running system, for tests: a real Celery worker on the test's own database and broker."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from django.db import connection

PROJECT = Path(__file__).resolve().parent.parent
PATIENCE = 60  # seconds for a worker to come up, and again to end


def database_url() -> str:
    """DATABASE_URL of the database that this test uses, in the form of `config.embedded.Urls`."""
    at = connection.settings_dict
    user, password, host = quote(at["USER"], safe=""), quote(at["PASSWORD"], safe=""), at["HOST"]
    address = f":{at['PORT']}/{host}" if host.startswith("/") else f"{host}:{at['PORT']}"  # a folder of sockets, or TCP
    return f"postgres://{user}:{password}@{address}/{at['NAME']}"


@contextmanager
def celery_worker(**environment: str) -> Iterator[subprocess.Popen]:
    """Run a worker, one task at a time, and wait until it answers. Its log is in the message when it does not.

    It sees committed rows only: the test needs `django_db(transaction=True)`. REDIS_URL and MEDIA_ROOT are those of the
    tests (tests/environment.py); `environment` adds to them. The process is given, so that a test can kill it.
    """
    from config.celery import app

    node = f"test-{uuid4().hex[:12]}@plumbline"
    command = [sys.executable, "-m", "celery", "-A", "config.celery", "worker", "-P", "solo", "-l", "INFO", "-n", node]
    variables = os.environ | {"DATABASE_URL": database_url()} | environment
    with tempfile.TemporaryFile("w+") as log:
        worker = subprocess.Popen(
            [*command, "--without-mingle", "--without-gossip"],
            cwd=PROJECT, env=variables, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            end = time.monotonic() + PATIENCE
            while not app.control.ping(destination=[node], timeout=0.5):
                if worker.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    raise AssertionError(f"the worker does not answer (status {worker.poll()}):\n{log.read()[-5000:]}")
            yield worker
        finally:
            worker.terminate()
            try:
                worker.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
