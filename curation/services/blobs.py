"""Files by their content: written under a temporary name, hashed, made durable, renamed; then their row.

A file under its final name is therefore whole, and a row always has its file. What a killed process leaves is a
temporary folder, which the next attempt at the same work removes.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from curation.models import Blob

CHUNK = 1024 * 1024


@contextmanager
def workspace(name: str) -> Iterator[Path]:
    """An empty folder in the storage's own file system, gone afterwards. One of the same name from before is removed."""
    folder = Path(settings.MEDIA_ROOT) / "tmp" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def keep(path: Path) -> Blob:
    """Move a finished file into storage. A file with the same content is kept once."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
        os.fsync(file.fileno())
    blob = Blob(sha256=digest.hexdigest(), bytes=size)
    target = Path(settings.MEDIA_ROOT) / blob.path
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.stat().st_size == size:
        path.unlink()  # it is there already; its time stays, and with it the bytes of archives that hold it
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
