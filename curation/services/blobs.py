"""Files by their content: written under a temporary name, hashed, made durable, renamed; then their row.

A file under its final name is therefore whole, and a row always has its file. What a killed process leaves is a
temporary folder, which the next attempt at the same work removes, or `collect_garbage`: the only one that deletes.
"""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from django.conf import settings

from curation.locks import alone_with
from curation.models import Blob

CHUNK = 1024 * 1024
LOCK, FILES = "lock", "files"  # in a temporary folder
KEPT_UNUSED = timedelta(days=1)


@contextmanager
def workspace(name: str) -> Iterator[Path]:
    """An empty folder in the storage's own file system, gone afterwards. What dead ones of the same name left goes too.

    Its lock says that it is used: nobody deletes it before its process has ended. So two attempts at the same work do
    not meet, where one was taken for dead and is not.
    """
    root = Path(settings.MEDIA_ROOT) / "tmp"
    for left in root.glob(f"{name}.*"):
        _remove_unless_used(left)
    place, lock = _locked_place(root, name)
    with lock:
        try:
            yield place / FILES
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _locked_place(root: Path, name: str) -> tuple[Path, BinaryIO]:
    while True:
        place = root / f"{name}.{uuid4()}"
        with suppress(FileNotFoundError):
            (place / FILES).mkdir(parents=True)
            lock = (place / LOCK).open("ab")
            fcntl.flock(lock, fcntl.LOCK_EX)
            if place.exists():
                return place, lock
            lock.close()
        # somebody took it for garbage before it was whole or locked


def _remove_unless_used(place: Path) -> bool:
    """Whether the folder was removed. It is not while the process that made it lives."""
    try:
        with (place / LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            gone = place.rename(place.with_name(f"gone.{uuid4()}"))  # at once, lock and all
            shutil.rmtree(gone, ignore_errors=True)
            return True
    except (FileNotFoundError, NotADirectoryError, BlockingIOError):
        return False


@contextmanager
def received(stream: BinaryIO) -> Iterator[Path]:
    """What a stream holds, of whatever size, as a file to `keep`."""
    with workspace(f"upload-{uuid4()}") as folder:
        path = folder / "file"
        with path.open("wb") as file:
            shutil.copyfileobj(stream, file, CHUNK)
        yield path


def keep(path: Path) -> Blob:
    """Move a finished file into storage. A file with the same content is kept once.

    Inside the transaction that names the file, it is safe from `collect_garbage` however soon that runs.
    """
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
        os.fsync(file.fileno())
    blob = Blob(sha256=digest.hexdigest(), bytes=size)
    target = Path(settings.MEDIA_ROOT) / blob.path
    target.parent.mkdir(parents=True, exist_ok=True)
    with alone_with(blob.sha256):
        if target.exists() and target.stat().st_size == size:
            path.unlink()  # it is there already; its time stays, and with it the bytes of archives that hold it
            times = target.stat()
            os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))  # this says to `collect_garbage`: in use again
        else:
            os.replace(path, target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # so that the name survives a power cut too
        finally:
            os.close(folder)
        return Blob.objects.get_or_create(sha256=blob.sha256, defaults={"bytes": size})[0]


def file_of(blob: Blob) -> Path:
    return Path(settings.MEDIA_ROOT) / blob.path


def read(blob: Blob) -> BinaryIO:
    return file_of(blob).open("rb")


@dataclass
class Garbage:
    files: int = 0
    bytes: int = 0
    folders: int = 0


def collect_garbage(*, unused_for: timedelta = KEPT_UNUSED) -> Garbage:
    """Delete files that nothing names and temporary folders that nobody writes to, if they are older than that."""
    before = time.time() - unused_for.total_seconds()
    root = Path(settings.MEDIA_ROOT)
    found = Garbage()
    for folder in (root / "tmp").glob("*"):
        with suppress(FileNotFoundError):  # whoever used it removes it too
            if folder.lstat().st_mtime < before and _remove_unless_used(folder):
                found.folders += 1
    for file in (root / "blobs").glob("*/*"):
        with suppress(FileNotFoundError):  # another collection came first
            if file.stat().st_ctime < before and (size := _delete_unnamed(file, before)) is not None:
                found.files += 1
                found.bytes += size
    return found


def _delete_unnamed(file: Path, before: float) -> int | None:
    """How many bytes were deleted; None where the file is in use, or was just used again."""
    with alone_with(file.name):
        status = file.stat()
        if status.st_ctime >= before or _named(file.name):
            return None
        Blob.objects.filter(pk=file.name).delete()
        file.unlink()
        return status.st_size


def _named(sha256: str) -> bool:
    """Whether any row of any table names the file."""
    relations = (one for one in Blob._meta.get_fields(include_hidden=True) if one.auto_created and one.one_to_many)
    return any(
        one.related_model.objects.filter(**{one.field.name: sha256}).exists()  # type: ignore[union-attr]
        for one in relations
        if not one.related_model._meta.label.endswith("Event")  # type: ignore[union-attr]
    )
