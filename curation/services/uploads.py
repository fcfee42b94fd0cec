"""Files that a person uploads: one or several as one stream, and one that is looked at before it is imported.

A file that was looked at is kept like any other, so it is uploaded once; unused, it goes with the garbage of a day
later. Its name in storage says what is in it and nothing about whom it belongs to, so whoever wants it again shows the
token that he was given.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast
from uuid import uuid4

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.core.signing import BadSignature, dumps, loads
from django.db import transaction

from curation.models import Blob
from curation.reading import Unreadable, bundle
from curation.services import blobs


@contextmanager
def together(files: Sequence[UploadedFile]) -> Iterator[tuple[BinaryIO, str]]:
    """One file as it is, several as a tar; with a name. Raises ValidationError where two have one name."""
    if len(files) == 1:
        yield cast(BinaryIO, files[0].file), files[0].name or ""
        return
    with blobs.workspace(f"upload-{uuid4()}") as folder:
        path = folder / f"{len(files)}-files{bundle.SUFFIX}"
        bundled(path, [(Path(file.name or "").name, cast(BinaryIO, file.file), file.size or 0) for file in files])
        with path.open("rb") as stream:
            yield stream, path.name


def bundled(path: Path, files: Sequence[tuple[str, BinaryIO, int]]) -> None:
    """Write (name, stream, bytes) as one file. Raises ValidationError where two have one name."""
    try:
        bundle.write(path, files)
    except Unreadable as error:
        raise ValidationError({"upload": str(error)}) from None


def keep_for(*, user, stream: BinaryIO, file_name: str) -> tuple[Path, str]:
    """Keep a file that a person looks at: where it is, and the token that gets it again."""
    with blobs.received(stream) as path, transaction.atomic():
        blob = blobs.keep(path)
    return blobs.file_of(blob), dumps([blob.sha256, file_name], salt=_salt(user), compress=True)


def kept_for(*, user, token: str) -> tuple[Path, str] | None:
    """The file of a token, and its name; None if the token is not this person's, or the file is gone."""
    try:
        sha256, file_name = loads(token, salt=_salt(user))
    except (BadSignature, ValueError):
        return None
    blob = Blob.objects.filter(pk=sha256).first()
    return (blobs.file_of(blob), file_name) if blob and blobs.file_of(blob).exists() else None


def _salt(user) -> str:
    return f"a dataset's file of user {user.pk}"
