"""The embedded servers with real processes: started, shared, killed, started again. Without Django and its database."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
import redis

from config import demo, embedded

NAME = "drill"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder of these tests' own, with a space in its name; its cluster is made once."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PLUMBLINE_VAR", str(tmp_path_factory.mktemp("with a space")))
    patch.delenv("HOME", raising=False)
    place = embedded.home(NAME)
    yield place
    embedded._stop(NAME)
    folder = place.parent if os.geteuid() == 0 else place
    if folder.exists():  # in a parallel worker that got only tests which start nothing, it was never made
        shutil.rmtree(folder)
    patch.undo()


@pytest.fixture(autouse=True)
def nothing_runs(place: Path) -> Iterator[None]:
    yield
    assert embedded.running(NAME) == set()
    assert processes(place) == []


def sockets() -> Path:
    return Path(urlsplit(embedded.urls(NAME).redis_url).path).parent


def processes(place: Path) -> list[psutil.Process]:
    """The processes that work in the data folder: all of PostgreSQL's and Valkey's do."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(place):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def connect(password: str = "", **options: str) -> psycopg.Connection:
    address = urlsplit(embedded.urls(NAME).database_url)
    return psycopg.connect(
        host=str(sockets()),
        port=5432,
        user="plumbline",
        dbname="plumbline",
        password=password or address.password,
        autocommit=True,
        **options,
    )


def start() -> None:
    with embedded.servers(NAME, fsync=False):
        pass


def postmaster() -> int:
    return int((embedded.home(NAME) / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def broker() -> int:
    return redis.Redis.from_url(embedded.urls(NAME).redis_url).info("server")["process_id"]


def wait_for(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class User:
    """Another process that uses the servers until it is told to leave."""

    CODE = """
import sys
from config import embedded
with embedded.servers(sys.argv[1], fsync=False, say=lambda line: print("started", end=" ")):
    print("in", flush=True)
    sys.stdin.read()
"""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.CODE, NAME],
            cwd=embedded.PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.words = self.process.stdout.readline().split()

    def leave(self) -> None:
        self.process.communicate(timeout=30)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)


def test_addresses_are_known_before_anything_runs_and_asking_writes_nothing(tmp_path, monkeypatch, place):
    monkeypatch.setenv("PLUMBLINE_VAR", str(tmp_path / "var"))
    addresses = embedded.urls(NAME)
    assert addresses.database_url.startswith("postgres://plumbline:@:5432//tmp/plumbline-")
    assert addresses.redis_url.startswith("unix:///tmp/plumbline-")
    assert embedded.running(NAME) == set()
    assert not (tmp_path / "var").exists()
    assert not embedded.home(NAME).exists()


def test_servers_run_inside_the_context_and_keep_the_data(place):
    with embedded.servers(NAME, fsync=False):
        assert embedded.running(NAME) == {"postgres", "valkey"}
        with connect() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (word text)")
            connection.execute("INSERT INTO kept VALUES ('still here')")
        assert psutil.pid_exists(broker())
    assert embedded.running(NAME) == set()
    with embedded.servers(NAME, fsync=False), connect() as connection:
        assert connection.execute("SELECT word FROM kept LIMIT 1").fetchone() == ("still here",)


def test_only_one_of_the_servers_when_only_one_is_wanted(place):
    with embedded.servers(NAME, postgres=False):
        assert embedded.running(NAME) == {"valkey"}


def test_only_the_owner_with_the_password_gets_in(place):
    with embedded.servers(NAME, fsync=False):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connect(password="guessed")
        with connect() as connection:
            assert connection.execute("SELECT current_setting('is_superuser')").fetchone() == ("off",)
            assert connection.execute("SELECT current_setting('listen_addresses')").fetchone() == ("",)
            assert connection.execute(
                "SELECT datlocprovider, datlocale, pg_encoding_to_char(encoding) FROM pg_database"
                " WHERE datname = 'plumbline'"
            ).fetchone() == ("b", "C.UTF-8", "UTF8")
        owner = place.stat().st_uid
        for path, mode in ((place, 0o700), (sockets(), 0o700), (place / "password", 0o600)):
            assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (owner, mode)
        for process in (psutil.Process(postmaster()), psutil.Process(broker())):
            assert process.uids().real == owner != 0
            assert process.net_connections("inet") == []


def test_the_last_user_stops_them(place):
    first, second = User(), User()
    assert (first.words, second.words) == (["started", "in"], ["in"])
    server = postmaster()
    first.leave()
    assert embedded.running(NAME) == {"postgres", "valkey"}
    assert postmaster() == server
    second.leave()
    assert embedded.running(NAME) == set()


def test_users_that_come_at_the_same_time_share_one_server(place):
    code = "import sys; from config import embedded\nwith embedded.servers(sys.argv[1], fsync=False) as u: pass"
    crowd = [
        subprocess.Popen([sys.executable, "-c", code, NAME], cwd=embedded.PROJECT, stderr=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    assert [(user.communicate(timeout=60)[1], user.returncode) for user in crowd] == [("", 0)] * 6


def test_a_killed_user_leaves_servers_that_the_next_one_adopts(place):
    killed = User()
    server = postmaster()
    killed.kill()
    assert embedded.running(NAME) == {"postgres", "valkey"}
    following = User()
    assert following.words == ["in"]
    assert postmaster() == server
    following.leave()
    assert embedded.running(NAME) == set()


def test_a_killed_server_recovers_at_the_next_start(place):
    with embedded.servers(NAME, fsync=True):
        with connect() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS survived (word text)")
        for pid in (postmaster(), broker()):
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: embedded.running(NAME) == set())
        with embedded.servers(NAME, fsync=True), connect() as connection:
            assert connection.execute("SELECT count(*) FROM survived").fetchone() == (0,)


def test_a_stale_pid_file_that_names_another_process_blocks_nothing(place):
    with embedded.servers(NAME, fsync=False):
        alive = (place / "postgres" / "postmaster.pid").read_text().splitlines()
    owner = {} if os.geteuid() else {"user": place.stat().st_uid}  # PostgreSQL yields to any process of its own account
    bystander = subprocess.Popen(["sleep", "60"], **owner)
    try:
        (place / "postgres" / "postmaster.pid").write_text("\n".join([str(bystander.pid), *alive[1:]]) + "\n")
        assert embedded.running(NAME) == set()
        with embedded.servers(NAME, fsync=False), connect() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("kind", ["a link", "open to others"])
def test_a_socket_folder_that_somebody_else_prepared_is_refused(place, tmp_path, kind):
    start()
    assert not sockets().exists()
    if kind == "a link":
        sockets().symlink_to(tmp_path)
    else:
        sockets().mkdir()
        sockets().chmod(0o755)
    try:
        with pytest.raises(embedded.EmbeddedError, match="not a folder that only this account can enter"):
            start()
    finally:
        if sockets().is_symlink():
            sockets().unlink()


def test_data_of_another_postgresql_are_not_touched(place):
    start()
    version = place / "postgres" / "PG_VERSION"
    kept = version.read_text()
    version.write_text("17\n")
    try:
        with pytest.raises(embedded.EmbeddedError, match="of PostgreSQL 17, but the one installed is 18"):
            start()
    finally:
        version.write_text(kept)


def test_a_command_gets_servers_of_its_own_and_its_status_is_handed_on(place):
    result = subprocess.run(
        [sys.executable, "-m", "config.embedded", NAME, "sh", "-c", "echo $DATABASE_URL $REDIS_URL; exit 7"],
        cwd=embedded.PROJECT,
        env=os.environ | {"DATABASE_URL": "postgres://production"},
        capture_output=True,
        text=True,
    )
    assert result.stdout.split() == list(embedded.urls(NAME))
    assert result.returncode == 7


def test_a_secret_is_made_once_and_for_its_owner_only(tmp_path, monkeypatch):
    monkeypatch.setenv("PLUMBLINE_VAR", str(tmp_path / "a folder"))
    key = embedded.secret_key()
    assert len(key) >= 50
    assert embedded.secret_key() == key
    assert stat.S_IMODE((tmp_path / "a folder" / "secret_key").stat().st_mode) == 0o600


def test_the_demo_ends_what_a_killed_run_left_and_nothing_else(tmp_path):
    left, stranger = (subprocess.Popen(["sleep", "60"], start_new_session=True) for _ in range(2))
    record = tmp_path / "processes.json"
    try:
        born = psutil.Process(left.pid).create_time()
        record.write_text(
            f'[{{"name": "web", "pid": {left.pid}, "created": {born!r}}},'
            f' {{"name": "worker", "pid": {stranger.pid}, "created": {born - 60!r}}}]'
        )
        demo.end_leftovers(record)
        assert left.poll() is not None
        assert stranger.poll() is None
        assert not record.exists()
    finally:
        for process in (left, stranger):
            process.kill()
            process.wait()


def test_a_second_demo_says_where_the_first_one_is(tmp_path):
    with demo.only_one(tmp_path / "demo") as lock:
        lock.write(" at http://127.0.0.1:8000/ (process 1)")
        lock.flush()
        with (
            pytest.raises(demo.Problem, match=r"already running at http://127\.0\.0\.1:8000/"),
            demo.only_one(tmp_path / "demo"),
        ):
            pass


def test_the_demo_takes_the_next_free_port(monkeypatch, capsys):
    with socket.socket() as taken:
        taken.bind((demo.HOST, 0))
        taken.listen()
        wanted = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(wanted))
        assert demo.free_port() > wanted
    assert f"Port {wanted} is taken" in capsys.readouterr().out
