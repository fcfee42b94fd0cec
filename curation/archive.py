"""What is downloaded of an export: one file, or all as one zip. From any byte on, streamed, with constant memory.

The zip is uncompressed: the Parquet files are compressed already. Its bytes follow from the files and from their times,
which storage keeps; its tag changes when they would. Where somebody goes on in the middle of it, what comes before is
read and thrown away, since the end of a zip holds the checksums of all its files.
"""

import hashlib
import mimetypes
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version

from zipstream import ZIP_STORED, ZipStream

from curation.models import Blob, Export
from curation.services import blobs

Pieces = Callable[[int, int], Iterator[bytes]]


@dataclass(frozen=True)
class Download:
    """Bytes with a name. `pieces(start, stop)` gives those from one place up to another; the same tag, the same bytes."""

    name: str
    content_type: str
    size: int
    etag: str
    pieces: Pieces


def zip_of(export: Export) -> ZipStream:
    """An iterable of bytes; its `len()` is the size of the zip."""
    archive = ZipStream(compress_type=ZIP_STORED, sized=True)
    for file in export.files.select_related("blob"):
        archive.add_path(str(blobs.file_of(file.blob)), arcname=f"{export.name}/{file.path}")
    return archive


def whole(export: Export) -> Download:
    """All files as one zip."""
    archive = zip_of(export)
    pieces: Pieces = lambda start, stop: _cut(archive, start, stop)  # noqa: E731
    return Download(f"{export.name}.zip", "application/zip", len(archive), _tag_of_zip(export), pieces)


def one_file(export: Export, path: str) -> Download | None:
    """A file of the export; None for a path that is not one of its own."""
    # Compared here: the database would not even be asked for a path with a NUL in it.
    files = {file.path: file for file in export.files.select_related("blob")}
    if (file := files.get(path)) is None:
        return None
    blob, name = file.blob, path.rsplit("/", 1)[-1]
    content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    pieces: Pieces = lambda start, stop: _read(blob, start, stop)  # noqa: E731
    return Download(name, content_type, blob.bytes, f'"{blob.sha256}"', pieces)


def _tag_of_zip(export: Export) -> str:
    """Of all that the bytes of the zip follow from: what packs them, and per file its place, content, time and mode."""
    said = [version("zipstream-ng"), export.name]
    for file in export.files.select_related("blob"):
        status = blobs.file_of(file.blob).stat()
        when = time.localtime(status.st_mtime)[:6]
        said.append(f"{file.path} {file.blob.sha256} {when} {status.st_mode}")
    return f'"{hashlib.sha256(chr(10).join(said).encode()).hexdigest()}"'


def _read(blob: Blob, start: int, stop: int) -> Iterator[bytes]:
    with blobs.read(blob) as file:
        file.seek(start)
        while start < stop and (piece := file.read(min(blobs.CHUNK, stop - start))):
            yield piece
            start += len(piece)


def _cut(pieces: Iterable[bytes], start: int, stop: int) -> Iterator[bytes]:
    at = 0
    for piece in pieces:
        if kept := piece[max(start - at, 0) : max(stop - at, 0)]:
            yield kept
        at += len(piece)
        if at >= stop:
            return
