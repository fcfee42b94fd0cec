"""Files by their content: whole or not there, kept once, deleted only when nothing names them."""

import io
import os
import subprocess
import sys
import time
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from django.core.management import call_command

from annotate.models import Project
from curation.models import Blob, Dataset
from curation.services import blobs
from curation.services.datasets import remove_failed
from tests import library
from tests.badfiles import good_rows, jsonl

pytestmark = pytest.mark.django_db
NOW = timedelta(0)


@pytest.fixture(autouse=True)
def storage(settings, tmp_path) -> Path:
    """Storage of this test's own, so that all in it is known."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    return tmp_path / "media"


def keep(content: bytes) -> Blob:
    with blobs.received(io.BytesIO(content)) as path:
        return blobs.keep(path)


def files(storage: Path) -> set[str]:
    return {path.name for path in (storage / "blobs").glob("*/*")}


def grow_old(path: Path, hours: float = 48) -> None:
    """Files cannot be given another time of change; their folders can be given another time of writing."""
    then = time.time() - hours * 3600
    os.utime(path, (then, then))


def test_a_file_is_kept_under_what_is_in_it_and_once(storage):
    content = b"x" * 3_000_000
    first, second = keep(content), keep(content)
    assert first == second == Blob.objects.get()
    assert (first.sha256, first.bytes) == (sha256(content).hexdigest(), len(content))
    assert files(storage) == {first.sha256}
    with blobs.read(first) as file:
        assert file.read() == content
    assert list((storage / "tmp").iterdir()) == []


def test_a_file_that_was_cut_off_in_storage_is_replaced(storage):
    blob = keep(b"whole")
    blobs.file_of(blob).write_bytes(b"who")
    keep(b"whole")
    assert blobs.file_of(blob).read_bytes() == b"whole"


def test_keeping_a_file_again_leaves_the_time_that_archives_hold(storage):
    path = blobs.file_of(keep(b"x"))
    grow_old(path)
    before = path.stat().st_mtime
    keep(b"x")
    assert path.stat().st_mtime == before


def test_a_workspace_is_gone_afterwards_even_after_an_error(storage):
    with pytest.raises(ZeroDivisionError), blobs.workspace("work") as folder:
        (folder / "file").write_text("half")
        raise ZeroDivisionError
    assert list((storage / "tmp").iterdir()) == []


def test_two_attempts_at_the_same_work_do_not_meet(storage):
    with blobs.workspace("work") as first:
        (first / "file").write_text("first")
        with blobs.workspace("work") as second:
            assert second != first and list(second.iterdir()) == []
        assert (first / "file").read_text() == "first"


LEAVE = """
import os, signal, sys
import django
django.setup()
from curation.services import blobs
with blobs.workspace("work") as folder:
    (folder / "file").write_text("half")
    print(folder, flush=True)
    sys.stdin.read() if "wait" in sys.argv else os.kill(os.getpid(), signal.SIGKILL)
"""


def process(storage: Path, *words: str) -> subprocess.Popen:
    environment = os.environ | {"MEDIA_ROOT": str(storage), "DJANGO_SETTINGS_MODULE": "config.settings"}
    command = [sys.executable, "-c", LEAVE, *words]
    return subprocess.Popen(
        command,
        env=environment,
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_what_a_killed_process_left_is_removed_by_the_next_one_or_as_garbage(storage):
    for _ in range(2):
        with process(storage) as killed:
            left = Path(killed.stdout.readline().strip())
            assert killed.wait() == -9
        assert (left / "file").exists()
    assert len(list((storage / "tmp").iterdir())) == 1  # the second removed what the first had left
    assert blobs.collect_garbage().folders == 0  # not a day old
    assert blobs.collect_garbage(unused_for=NOW).folders == 1
    assert list((storage / "tmp").iterdir()) == []


def test_a_folder_that_a_living_process_uses_is_no_garbage_however_old(storage):
    with process(storage, "wait") as living:
        used = Path(living.stdout.readline().strip())
        grow_old(used.parent)
        assert blobs.collect_garbage(unused_for=NOW).folders == 0
        assert (used / "file").exists()
        living.stdin.close()
        assert living.wait() == 0
    assert not used.exists()


def test_a_stray_file_or_folder_in_the_temporary_place_does_no_harm(storage):
    (storage / "tmp" / "old").mkdir(parents=True)
    (storage / "tmp" / "file").write_text("?")
    for path in (storage / "tmp").iterdir():
        grow_old(path)
    assert blobs.collect_garbage().folders == 1
    assert [path.name for path in (storage / "tmp").iterdir()] == ["file"]


def test_garbage_is_what_nothing_names(storage):
    unnamed = keep(b"nobody")
    (storage / "blobs" / "ab").mkdir()
    orphan = storage / "blobs" / "ab" / ("ab" + "0" * 62)  # its row was never written
    orphan.write_bytes(b"12345")
    dataset = library.dataset(jsonl(*good_rows()))
    assert blobs.collect_garbage() == blobs.Garbage()  # all is younger than a day
    done = blobs.collect_garbage(unused_for=NOW)
    assert (done.files, done.bytes, done.folders) == (2, unnamed.bytes + 5, 0)
    assert files(storage) == {dataset.file_id, dataset.table_id}
    assert set(Blob.objects.values_list("pk", flat=True)) == {dataset.file_id, dataset.table_id}


def test_all_that_an_export_names_stays(world, storage):
    over = library.dataset(library.rows(20))
    export = library.sft_export(library.instances(over, library.template(over)))
    before = files(storage)
    named = {blob for one in Dataset.objects.all() for blob in (one.file_id, one.table_id)}
    assert named < before and export.files.exists()
    assert blobs.collect_garbage(unused_for=NOW).files == 0
    assert files(storage) == before
    assert Project.objects.exists()


def test_the_file_of_a_failed_import_goes_once_that_is_removed(storage):
    failed = library.dataset(b"{broken")
    assert blobs.collect_garbage(unused_for=NOW).files == 0
    remove_failed(dataset=failed)
    assert blobs.collect_garbage(unused_for=NOW).files == 1
    assert files(storage) == set()
    assert not Blob.objects.exists()


def test_the_command_says_what_it_deleted(storage, capsys):
    keep(b"nobody")
    call_command("collect_garbage")
    call_command("collect_garbage", hours=0)
    assert capsys.readouterr().out.splitlines() == [
        "Deleted 0 files (0 bytes) and 0 temporary folders.",
        "Deleted 1 files (6 bytes) and 0 temporary folders.",
    ]
