"""The bytes of a dataset's file, or of several in one: unpacked, decoded, and refused where they are no rows at all."""

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

MAX_ROW_BYTES = 4 * 1024 * 1024
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
PLAIN = "plain"  # the shape of rows that are taken as they are

# What a file is that is not what its name says: how it begins, and what to do.
STRANGERS = [
    (rb"PAR1[\x00-\x1f]", gettext_lazy("It is a Parquet file. Name it .parquet, or choose Parquet as its format.")),
    (rb"PK\x03\x04", gettext_lazy("It is a zip or an Excel file. Unpack it, or save the sheet as CSV.")),
    (rb"\xd0\xcf\x11\xe0", gettext_lazy("It is an old Excel or Word file. Save the sheet as CSV.")),
    (rb"BZh[1-9]1AY", gettext_lazy("It is packed with bzip2. Unpack it, or pack it with gzip.")),
    (rb"\xfd7zXZ\x00", gettext_lazy("It is packed with xz. Unpack it, or pack it with gzip.")),
    (rb"\x1f\x8b|\x28\xb5\x2f\xfd", gettext_lazy("It is packed with gzip or zstd twice. Unpack it once.")),
    (rb"ARROW1\x00\x00", gettext_lazy("It is an Arrow file. Name it .arrow, or choose Arrow as its format.")),
    (rb"\xff\xfe|\xfe\xff", gettext_lazy("It is UTF-16. Save it as UTF-8.")),
    (rb"[^\x00]{,30}\x00", gettext_lazy("It is UTF-16, or no text at all: it has NUL bytes. Save it as UTF-8 text.")),
    (rb"%PDF-", gettext_lazy("It is a PDF, which holds no rows.")),
    (rb"(?i)<!doctype html", gettext_lazy("It is a web page, perhaps one that says why. Download the file again.")),
    (
        rb"version https://git-lfs",
        gettext_lazy("It is Git's pointer to the file, not the file: git lfs pull brings it."),
    ),
]


class Unreadable(Exception):
    """The file as a whole cannot be read. The message says why and what to do."""


@dataclass(frozen=True)
class Reading:
    """How a file is read. What is empty here is as usual for the format; `curation.reading.finding` finds it instead.

    `columns` names those of a CSV or TSV file, `files` the members of a tar with the split of each, if several files
    were given. `shape` says what its rows are made into.
    """

    format: str
    encoding: str = "utf-8"
    columns: tuple[str, ...] = ()
    id_column: str = ""
    group_column: str = ""
    delimiter: str = ""
    quote: str = ""
    header: str = ""
    shape: str = PLAIN
    options: Mapping[str, str] = field(default_factory=dict)
    files: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Part:
    """A file, or a stretch of one that holds several. `labels` goes with it line by line."""

    path: Path
    name: str = ""
    split: str = ""
    start: int = 0
    size: int = -1  # all of it
    labels: "Part | None" = None

    def open(self) -> BinaryIO:
        raw = self.path.open("rb")
        return raw if self.size < 0 else cast(BinaryIO, io.BufferedReader(_Stretch(raw, self.start, self.size)))


class _Stretch(io.RawIOBase):
    """A stretch of a file as a file."""

    def __init__(self, raw: BinaryIO, start: int, size: int) -> None:
        self._raw, self._start, self._size, self._at = raw, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._raw.seek(self._start + self._at)
        found = self._raw.read(min(len(buffer), self._size - self._at))
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence], 0)
        self._at = min(self._at, self._size)
        return self._at

    def close(self) -> None:
        self._raw.close()
        super().close()


def no_bytes() -> Unreadable:
    return Unreadable(_("The file is empty: it has no bytes at all. Was it saved, or fully downloaded?"))


@contextmanager
def unpacked(part: Part, encoding: str) -> Iterator[BinaryIO]:
    """The bytes of a text, unpacked if they are gzip or zstd, whatever its name.

    Raises Unreadable, also while one reads on.
    """
    with part.open() as raw:
        start = raw.read(4)
        raw.seek(0)
        if start == ZSTD:
            with _refusing_bad_zstd(), pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd") as inside:
                yield _checked(io.BufferedReader(cast(Any, inside)), encoding)
            return
        with _refusing_bad_gzip():
            yield _checked(gzip.GzipFile(fileobj=raw) if start.startswith(GZIP) else raw, encoding)


def _checked(stream: Any, encoding: str) -> BinaryIO:
    buffered = stream if hasattr(stream, "peek") else io.BufferedReader(stream)
    _check_start(buffered.peek(64)[:64], encoding)
    return cast(BinaryIO, buffered)


@contextmanager
def _refusing_bad_gzip() -> Iterator[None]:
    try:
        yield
    except EOFError:
        message = _("The gzip file ends in the middle: it was cut off. Download or pack it again.")
        raise Unreadable(message) from None
    except (zlib.error, gzip.BadGzipFile) as error:
        message = _("The gzip file is damaged (%(why)s). Download or pack it again.")
        raise Unreadable(message % {"why": error}) from None


@contextmanager
def _refusing_bad_zstd() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = _("The zstd file was cut off or is damaged (%(why)s). Download or pack it again.")
        raise Unreadable(message % {"why": str(error).splitlines()[0]}) from None


def _check_start(start: bytes, encoding: str) -> None:
    if not start:
        raise no_bytes()
    for pattern, remedy in STRANGERS:
        if re.match(pattern, start):
            raise Unreadable(str(remedy))
    if start.startswith(codecs.BOM_UTF8) and encoding != "utf-8":
        raise Unreadable(_("It is UTF-8, as its first bytes say. Choose that as its encoding."))


def text_of(stream: BinaryIO, encoding: str) -> io.TextIOWrapper:
    """The decoded text. A byte that the encoding does not allow comes as a lone surrogate (see `undecodable`)."""
    return io.TextIOWrapper(stream, encoding=encoding, errors="surrogateescape", newline="")


def undecodable(text: str) -> str | None:
    """The first byte of a text that its encoding does not allow, as 0xE9; None if all are right."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return f"0x{ord(text[error.start]) - 0xDC00:02X}"
    return None


def lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """The lines without their ends. Of one of over MAX_ROW_BYTES only the beginning comes, which is over it too."""
    while line := stream.readline(MAX_ROW_BYTES + 2):  # so that a line of just that size is whole, its end included
        if len(line) > MAX_ROW_BYTES and not line.endswith(b"\n"):
            while (rest := stream.readline(MAX_ROW_BYTES)) and not rest.endswith(b"\n"):
                pass
        yield line.rstrip(b"\r\n")
