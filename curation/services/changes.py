"""What changed since an earlier export: rows that are new or say something else, and tombstones for those that are gone.

A release is compared with what stood, row by row, rather than by when an answer was written: whatever commits late, is
taken back, or changes a weight, is found. The earlier rows are known by 16 bytes each: of their names, and of all they say.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson

from curation.exporting.shapes import SHAPES
from curation.folder import SPLITS, TOMBSTONES
from curation.models import Export
from curation.services import blobs

BYTES = 16
Digests = np.ndarray  # sorted, of BYTES each


class Changes:
    """Tells, row by row, what stands in the earlier export already; at the end, what of that is gone."""

    def __init__(self, export: Export, folder: Path) -> None:
        assert export.since is not None
        self.before, self.folder = export.since, folder
        self.path = folder / TOMBSTONES
        self.known = _sorted(digest for _row_id, digest in _rows(self.before))
        self.now = bytearray()
        self.unchanged = self.gone = 0

    def keeps(self, split: str, line: bytes) -> bool:
        digest = _digest(split, line)
        self.now += digest
        there = _holds(self.known, digest)
        self.unchanged += there
        return not there

    def write_tombstones(self) -> None:
        """The names of the rows that are gone or say something else now. A row that changed is in both."""
        now = _sorted(bytes(self.now[at : at + BYTES]) for at in range(0, len(self.now), BYTES))
        with self.path.open("wb") as file:
            for row_id, digest in _rows(self.before):
                if not _holds(now, digest):
                    self.gone += 1
                    file.write(orjson.dumps({"row_id": row_id}, option=orjson.OPT_APPEND_NEWLINE))


def _rows(export: Export) -> Iterator[tuple[str, bytes]]:
    """(row_id, digest) of all rows that stand after this export: those of the one before it too, if it holds changes alone."""
    files = {file.path: file.blob for file in export.files.select_related("blob")}
    if export.since:
        with blobs.read(files[TOMBSTONES]) as lines:
            gone = {orjson.loads(line)["row_id"] for line in lines}
        yield from ((row_id, digest) for row_id, digest in _rows(export.since) if row_id not in gone)
    for split in SPLITS:
        path = SHAPES[export.shape].file(export.kind, split)
        if path in files:
            with blobs.read(files[path]) as lines:
                for line in lines:
                    yield orjson.loads(line)["row_id"], _digest(split, line)


def _digest(split: str, line: bytes) -> bytes:
    return hashlib.blake2b(split.encode() + b" " + line, digest_size=BYTES).digest()


def _sorted(digests: Iterator[bytes]) -> Digests:
    return np.sort(np.frombuffer(b"".join(digests), dtype=np.dtype((np.void, BYTES))).view("S16"))


def _holds(known: Digests, digest: bytes) -> bool:
    at = int(np.searchsorted(known, np.bytes_(digest)))
    return at < len(known) and known[at] == np.bytes_(digest)
