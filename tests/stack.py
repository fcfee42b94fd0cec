"""Processes of the running system, for tests: a real worker and web server on the test's own database and broker."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
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
def _process(*module: str, answers: Callable[[], bool], **environment: str) -> Iterator[subprocess.Popen]:
    """Run `python -m MODULE …` on the test's database until the block ends, and wait until it answers.

    It sees committed rows only: the test needs `django_db(transaction=True)`. REDIS_URL and MEDIA_ROOT are those of the
    tests (tests/environment.py); `environment` adds to them. Its log is in the message when it does not answer.
    """
    variables = os.environ | {"DATABASE_URL": database_url()} | environment
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *module], cwd=PROJECT, env=variables, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            end = time.monotonic() + PATIENCE
            while not answers():
                if process.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    said = log.read()[-5000:]
                    raise AssertionError(f"{module[0]} does not answer (status {process.poll()}):\n{said}")
            yield process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def celery_worker(**environment: str) -> Iterator[subprocess.Popen]:
    """Run a worker, one task at a time. The process is given, so that a test can kill it."""
    from config.celery import app

    node = f"test-{uuid4().hex[:12]}@plumbline"
    command = ("celery", "-A", "config.celery", "worker", "-P", "solo", "-l", "INFO", "-n", node)
    quiet = ("--without-mingle", "--without-gossip")
    with _process(
        *command, *quiet, answers=lambda: bool(app.control.ping(destination=[node], timeout=0.5)), **environment
    ) as worker:
        yield worker


@contextmanager
def celery_beat(**environment: str) -> Iterator[None]:
    """Run beat, which sends what is due: the sweep of jobs among it. It begins within seconds and is not waited for."""
    with tempfile.TemporaryDirectory() as folder:
        command = ("celery", "-A", "config.celery", "beat", "--schedule", f"{folder}/schedule")
        with _process(*command, answers=lambda: True, **environment):
            yield


@contextmanager
def web_server(**environment: str) -> Iterator[str]:
    """Run gunicorn as in production, and give its address."""
    with web_processes(**environment) as (address, _process):
        yield address


@contextmanager
def web_processes(port: int | None = None, **environment: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """The same, with the process of the master, so that a test can kill it, and start another at the same port."""
    if port is None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = ("gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}", "--no-control-socket")
    size = ("--worker-class", "gthread", "--workers", "2", "--threads", "4")
    # DEBUG only so that pages find their static files without `collectstatic`.
    variables = {"DEBUG": "1"} | environment
    with _process(*command, *size, answers=lambda: _answers(f"{address}/healthz/"), **variables) as process:
        yield address, process


def _answers(address: str) -> bool:
    try:
        return httpx.get(address).status_code == 200
    except httpx.TransportError:
        time.sleep(0.1)
        return False
