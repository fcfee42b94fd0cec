"""Processes of the running system, for tests: a real worker and web server on the test's own database and broker."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import httpx
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


@contextmanager
def celery_beat(**environment: str) -> Iterator[subprocess.Popen]:
    """Run beat, which sends what is due: the sweep of jobs among it. It begins within seconds and is not waited for."""
    with tempfile.TemporaryDirectory() as folder:
        beat = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "config.celery", "beat", "--schedule", f"{folder}/schedule"],
            cwd=PROJECT, env=os.environ | {"DATABASE_URL": database_url()} | environment, stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield beat
        finally:
            beat.terminate()
            beat.wait(PATIENCE)


@contextmanager
def web_server(**environment: str) -> Iterator[str]:
    """Run gunicorn as in production, on the test's own database, and give its address once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    # DEBUG only so that pages find their static files without `collectstatic`.
    variables = os.environ | {"DATABASE_URL": database_url(), "DEBUG": "1"} | environment
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(
            [*command, "--worker-class", "gthread", "--workers", "2", "--threads", "4"],
            cwd=PROJECT, env=variables, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            address, end = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE
            while not _answers(f"{address}/healthz/"):
                if server.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    raise AssertionError(f"the web server does not answer:\n{log.read()[-5000:]}")
            yield address
        finally:
            server.terminate()
            server.wait(PATIENCE)


def _answers(address: str) -> bool:
    try:
        return httpx.get(address).status_code == 200
    except httpx.TransportError:
        time.sleep(0.1)
        return False
