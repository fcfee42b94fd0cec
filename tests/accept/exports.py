"""`make accept-exports`: what exports must show, a line each with its figure and its bound.

Exits with 1 where a line falls short. Needs the real data (PLUMBLINE_REAL_DATA, default ../shared/data) and the trainers'
environment, and fails without them. Takes about half an hour on two cores, most of it for a million annotations.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from config import embedded
from tests.accept import common
from tests.accept.common import PROJECT, check, line, run
from tests.real.pandalm import DATA

LOADED = {
    "test_the_folder_loads": "datasets.load_dataset: each kind, every column and value",
    "test_sft_learns": "TRL's SFTTrainer, two steps: the answer and its end are learnt, nothing of the prompt",
    "test_openai_messages": "OpenAI's messages in TRL's SFTTrainer, two steps",
    "test_a_reward_model": "TRL's RewardTrainer, two steps, with the margin",
    "test_dpo_parts": "TRL's DPOTrainer, two steps",
    "test_kto_takes": "TRL's KTOTrainer, two steps",
    "test_hh_is_read": "HH: two texts that TRL's RewardTrainer reads, two steps",
    "test_sharegpt_loads": "ShareGPT: loads, speakers in turn",
    "test_oasst_is_a_tree": "OpenAssistant: a tree a line, roles in turn, ranks from 0",
    "test_openai_sft": "OpenAI's documented rules for fine-tuning",
    "test_openai_dpo": "OpenAI's documented rules for DPO",
    "test_llamafactory_gets": "LLaMA-Factory and Alpaca by their documented dataset_info.json",
}
SHOWN = {
    "tests/test_export_shapes.py": "each shape as it is written, row by row",
    "tests/test_export_checking.py": "what fails a check is in quarantine with its reason",
    "tests/browser/test_exports.py": "by hand: five outputs, a tie, one unplaced, a line: browser, preview, export, lineage; mouse and keys",
    "tests/test_kinds_properties.py": "by property: pairs implied, none missing, weights of a prompt at most 1 in either unit",
    "tests/test_kinds.py": "pairs by hand: ties, line, unknown, margin, soft label, adjudication",
    "tests/test_export_drills.py::test_every_row": "every row of made-up projects follows from the raw judgements alone, one-coin's too",
    "tests/test_export_drills.py::test_another_place": "same bytes in other time zones, locales and storages, by the command",
    "tests/test_export_drills.py::test_no_file": "no file holds the day on which it was made",
    "tests/test_export_drills.py::test_several": "same bytes by two workers at once, nothing left behind",
    "tests/test_exports.py": "same request, same bytes; batches leave no trace",
    "tests/test_releases.py::test_what_is_committed": "what commits during the selection is not in it, and the next since-N has it",
    "tests/test_releases.py::test_what_changed": "since N, applied to N, is the whole: new, changed and gone rows",
    "tests/test_releases.py": "filters, repeats, lineage, revoking, erasing",
    "tests/test_splits.py": "splits by group: a group stays on its side",
    "tests/test_split_groups.py": "groups: user, tree, first prompt, near duplicates; who touches both sides",
    "tests/test_export_verify.py": "verify.py and verify_export: each check can fail, and every export that is built passes",
    "tests/test_export_card.py": "the card says what the manifest says, and datasets reads it",
    "tests/test_delivery.py": "downloads go on where they broke off (ranges), signed links, revoked exports give nothing",
    "tests/browser/test_delivery.py": "links and webhooks in a browser, by keyboard, with axe",
    "tests/test_webhooks.py": "webhooks: signed, tried again, logged, never into our own network",
    "tests/test_object_storage.py": "object storage, against moto's server on loopback",
    "tests/test_access.py": "every route as every role",
}
REAL = {
    "tests/real/test_exports.py::test_as_many": "PandaLM and OpenAssistant: every kind, every shape, both verifiers",
    "tests/real/test_exports.py::test_the_counts": "PandaLM: what became of each comparison",
    "tests/real/test_exports.py::test_20_random": "20 random rows: label, weight and soft label from the raw judgements, outside the app",
    "tests/real/test_exports.py::test_openassistant": "OpenAssistant as instructions in every shape",
    "tests/real/test_pandalm.py": "PandaLM: agreement and pairs as published",
}
MEGABYTES, GROWTH, TIMES = 300, 1.1, 2.0  # of the benchmark: peak, peak of a million to a hundred thousand, COPY's time


# --- Loaded by their readers ------------------------------------------------------------------------------------------


def loaded() -> None:
    """The trainers' own tests, which have no Django: a line for each reader."""
    if not common.TRAIN.exists():
        line("each shape is loaded by its own reader", "no .venv-train: run `make trainers`", False)
        return
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        command = [
            str(common.TRAIN),
            "-m",
            "pytest",
            "tests/trainers/test_formats.py",
            "-c",
            "tests/trainers/pytest.ini",
        ]
        subprocess.run([*command, "-q", f"--junitxml={report.name}"], cwd=PROJECT, env=os.environ, check=False)
        ended = {case.get("name", ""): len(case) for case in ET.parse(report.name).getroot().iter("testcase")}
    for test, name in LOADED.items():
        mine = [bad for case, bad in ended.items() if case.startswith(test)]
        line(name, f"{mine.count(0)} of {len(mine)} passed", bool(mine) and not any(mine))
    others = [bad for case, bad in ended.items() if not case.startswith(tuple(LOADED))]
    line("the traps of docs/exports.md, each seen in the trainer that it is of",
         f"{others.count(0)} of {len(others)} passed", bool(others) and not any(others))  # fmt: skip


# --- A million annotations --------------------------------------------------------------------------------------------


def million() -> str:
    done = subprocess.run(
        [sys.executable, "-m", "config.embedded", "accept", sys.executable, "-m", "pytest", "benchmarks/bench_export.py",
         "-o", "python_files=bench_*.py", "-s", "-q"],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [one.strip() for one in done.stdout.splitlines() if "annotations" in one]
    assert done.returncode == 0, "\n".join(said) or done.stdout[-1500:]
    peaks = [float(one) for one in re.findall(r"peak ([\d.]+) MB", done.stdout)]
    ratios = [float(one) for one in re.findall(r"ratio ([\d.]+)", done.stdout)]
    bound = f"bound: {MEGABYTES} MB, {GROWTH} times the memory of the smaller, {TIMES} times COPY"
    figure = "\n       ".join([*said, bound])
    assert len(peaks) == len(ratios) == 2, figure
    assert max(peaks) <= MEGABYTES and peaks[1] <= GROWTH * peaks[0] and max(ratios) <= TIMES, figure
    return figure


# --- kill -9 ----------------------------------------------------------------------------------------------------------

ANNOTATIONS = 9000
PREPARE = f"from benchmarks.bench_export import prepare; print(prepare({ANNOTATIONS}).slug)"
REQUEST = """
from annotate.models import Project
from curation.services.exports import request_export
print(request_export(project=Project.objects.get(), actor=None).pk)
"""
PATIENCE = 90  # seconds for an export to be built, whatever befell it


class Stack:
    """Servers, a worker and beat of their own, each of which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.name, self.folder, self.media = "drill", folder, folder / "var" / "media"
        urls = embedded.urls(self.name)
        self.variables = {
            "PLUMBLINE_VAR": str(folder / "var"), "MEDIA_ROOT": str(self.media), "SECRET_KEY": "accept", "LOG_LEVEL": "ERROR",
            "JOB_STALE_SECONDS": "3", "DATABASE_URL": urls.database_url, "REDIS_URL": urls.redis_url,
            "DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONWARNINGS": "ignore",
        }  # fmt: skip
        self.sockets = Path(urlsplit(urls.redis_url).path).parent
        self.password = urlsplit(urls.database_url).password
        self.processes: dict[str, subprocess.Popen] = {}

    def python(self, code: str) -> str:
        return run(sys.executable, "-c", f"import django; django.setup(); {code.strip()}", **self.variables).strip()

    def start(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "config.celery", *words], cwd=PROJECT,
                env=os.environ | self.variables, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def start_worker(self) -> None:
        self.start("worker", "worker", "-c", "2", "-l", "WARNING", "-n", "drill@plumbline")

    def stop(self, name: str, number: signal.Signals) -> None:
        """The process that was started under this name, and its children."""
        process = self.processes.pop(name)
        with suppress(ProcessLookupError):  # it had ended, and its children with it
            os.killpg(process.pid, number)
        process.wait(60)

    def asked(self, query: str, *values: object) -> tuple:
        with psycopg.connect(
            host=str(self.sockets), port=5432, user="plumbline", dbname="plumbline", password=self.password
        ) as connection:
            row = connection.execute(query, values).fetchone()  # type: ignore[arg-type]
            assert row is not None
            return tuple(row)

    def request(self) -> str:
        return self.python(REQUEST)

    def manifest(self, export: str) -> str:
        return self.asked("SELECT manifest_sha256 FROM curation_export WHERE id = %s", export)[0]

    def attempts(self, export: str) -> int:
        query = "SELECT j.attempt FROM jobs_job j JOIN curation_export e ON e.job_id = j.id WHERE e.id = %s"
        return self.asked(query, export)[0]

    def wait(self, true: Callable[[], object], what: str, pause: float = 0.2) -> None:
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, f"{what}: not within {PATIENCE} s"
            time.sleep(pause)

    def wait_until_written(self, export: str) -> None:
        """Until rows of this export are in a file, and it is not over yet."""
        rows = f"tmp/export-{export}.*/files/jsonl/train.jsonl"
        there = lambda: any(path.stat().st_size for path in self.media.glob(rows))  # noqa: E731
        self.wait(there, "it began to write rows", pause=0.002)

    def wait_until_built(self, export: str) -> str:
        self.wait(lambda: self.manifest(export), f"{export} is built")
        return self.manifest(export)

    def files(self) -> set[str]:
        return {path.name for path in self.media.glob("blobs/*/*")}


@contextmanager
def stack() -> Iterator[Stack]:
    """Where PostgreSQL keeps its promises (fsync), so that what is killed is really recovered."""
    with tempfile.TemporaryDirectory(prefix="plumbline-accept-") as name, ExitStack() as ends:
        Path(name).chmod(0o755)
        before = os.environ.get("PLUMBLINE_VAR")
        os.environ["PLUMBLINE_VAR"] = f"{name}/var"
        ends.callback(_restore, before)
        if os.geteuid() == 0:
            ends.callback(shutil.rmtree, embedded.home("drill").parent, ignore_errors=True)
        ends.enter_context(embedded.servers("drill", fsync=True))
        here = Stack(Path(name))
        run(sys.executable, "manage.py", "migrate", "-v0", **here.variables)
        here.python(PREPARE)
        here.start_worker()
        here.start("beat", "beat", "--schedule", f"{name}/schedule", "-l", "WARNING")
        try:
            yield here
        finally:
            for process in list(here.processes):
                here.stop(process, signal.SIGKILL)


def _restore(before: str | None) -> None:
    os.environ.pop("PLUMBLINE_VAR")
    if before is not None:
        os.environ["PLUMBLINE_VAR"] = before


def kill_the_worker(here: Stack) -> None:
    here.stop("worker", signal.SIGKILL)
    here.start_worker()


def kill_the_broker(here: Stack) -> None:
    import redis

    broker = redis.Redis.from_url(here.variables["REDIS_URL"])
    os.kill(broker.info("server")["process_id"], signal.SIGKILL)
    _start_again(here, "valkey")


def kill_the_database(here: Stack) -> None:
    record = embedded.home(here.name) / "postgres" / "postmaster.pid"
    os.kill(int(record.read_text().splitlines()[0]), signal.SIGKILL)
    _start_again(here, "postgres")


def _start_again(here: Stack, server: str) -> None:
    here.wait(lambda: server not in embedded.running(here.name), f"{server} is gone", pause=0.02)
    with embedded.servers(here.name, fsync=True):  # the outer user keeps them running after this
        pass


KILLED: dict[str, Callable[[Stack], None]] = {
    "worker": kill_the_worker,
    "broker": kill_the_broker,
    "database": kill_the_database,
}


def killed(here: Stack, undisturbed: str, what: str) -> str:
    export = here.request()
    here.wait_until_written(export)
    began = time.monotonic()
    assert not here.manifest(export), "it was over already"
    KILLED[what](here)
    assert here.wait_until_built(export) == undisturbed, "other bytes"
    seconds, attempts = time.monotonic() - began, here.attempts(export)
    check_that_work_goes_on(here, undisturbed)
    return f"built by itself {seconds:.0f} s later, in attempt {attempts}; manifest {undisturbed[:16]} as without it"


def check_that_work_goes_on(here: Stack, undisturbed: str) -> None:
    """The next export is built by the same worker and beat."""
    export = here.request()
    try:
        assert here.wait_until_built(export) == undisturbed, "other bytes in the next export"
    finally:
        ended = [name for name, process in here.processes.items() if process.poll() is not None]
        if "worker" in ended:
            here.start_worker()  # for the drills that follow
    assert not ended, f"ended by itself: {ended}"


def lost(here: Stack, undisturbed: str) -> str:
    """The broker dies with the message that nobody has taken yet."""
    worker = here.processes["worker"]
    os.killpg(worker.pid, signal.SIGSTOP)
    export = here.request()
    kill_the_broker(here)
    os.killpg(worker.pid, signal.SIGCONT)
    assert here.wait_until_built(export) == undisturbed, "other bytes"
    check_that_work_goes_on(here, undisturbed)
    return f"sent again by the sweep; manifest {undisturbed[:16]} as without it"


def nothing_is_left(here: Stack, files: set[str]) -> str:
    left = [path.name for path in (here.media / "tmp").glob("*")]
    run(sys.executable, "manage.py", "collect_garbage", "--hours", "0", **here.variables)
    assert not list((here.media / "tmp").glob("*")), "garbage stays"
    assert here.files() == files, f"{len(here.files() ^ files)} files too many or too few"
    [named] = here.asked("SELECT count(*) FROM curation_blob")
    assert named == len(files), f"{named} rows for {len(files)} files"
    return f"{len(files)} files, those of the undisturbed one, all named; {len(left)} folders left before the collection, 0 after"


def drills() -> None:
    with stack() as here:
        first = here.request()
        undisturbed = here.wait_until_built(first)
        files = here.files()
        about = f"an export of {ANNOTATIONS:,} judgements"
        for what in KILLED:
            check(f"kill -9 of the {what} while {about} is written", lambda what=what: killed(here, undisturbed, what))
        check(f"kill -9 of the broker while the message of {about} waits", lambda: lost(here, undisturbed))
        check("nothing is left of what was killed", lambda: nothing_is_left(here, files))


def main() -> int:
    if not (DATA / "pandalm").exists() or not (DATA / "oasst").exists():
        line("the real data are there", f"no {DATA}: set PLUMBLINE_REAL_DATA", False)
        return 1
    drills()
    loaded()
    common.tests(REAL)
    common.tests(SHOWN)
    check("a million annotations as preference pairs", million)
    return int(common.failed)


if __name__ == "__main__":
    sys.exit(main())
