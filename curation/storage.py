"""Object storage that exports are put into: `PLUMBLINE_EXPORT_STORAGE=s3://bucket/prefix`, through django-storages.

The credentials are boto3's own business: the usual variables, a profile, or the role of the machine. Each object has the
sha256 of its content beside it. Large files go in parts; one after the other, so that memory does not grow.
"""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files import File

from curation.models import Blob
from curation.services import blobs

PART = 16 * 1024 * 1024  # of at most 10,000 parts
WAIT = {"connect_timeout": 5, "read_timeout": 60, "retries": {"total_max_attempts": 3, "mode": "standard"}}


class StorageFailed(Exception):
    """The storage does not answer, or does not do as it was asked. The message says why."""


class ExportStorage:
    """Where exports are put. Raises ImproperlyConfigured for an address or an installation that cannot be used."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme != "s3" or not parts.netloc:
            raise ImproperlyConfigured("PLUMBLINE_EXPORT_STORAGE must read s3://bucket or s3://bucket/prefix.")
        try:
            from boto3.exceptions import Boto3Error
            from boto3.s3.transfer import TransferConfig
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
            from storages.backends.s3 import S3Storage
        except ImportError as error:
            message = "PLUMBLINE_EXPORT_STORAGE needs the extra s3: python -m pip install 'django-storages[s3]'."
            raise ImproperlyConfigured(message) from error
        self.failures = (Boto3Error, BotoCoreError, ClientError, OSError)
        self.address = address.rstrip("/")
        self.bucket, self.prefix = parts.netloc, parts.path.strip("/")
        self.files: Any = S3Storage(
            bucket_name=self.bucket,
            location=self.prefix,
            file_overwrite=True,
            default_acl=None,
            gzip=False,
            transfer_config=TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, use_threads=False),
            client_config=Config(**WAIT),
        )

    def put(self, name: str, blob: Blob) -> None:
        """Store a file, unless it is there already; afterwards its size and sha256 are what they should be."""
        try:
            if self._holds(name, blob):
                return
            # With SHA256 the storage itself checks what arrives, part by part.
            stated = {"Metadata": {"sha256": blob.sha256}, "ChecksumAlgorithm": "SHA256"}
            self.files.object_parameters = stated
            with blobs.read(blob) as file:
                self.files.save(name, File(file, name=name))
            if not self._holds(name, blob):
                raise StorageFailed(f"{self.address}/{name} is not what was stored: its size or its sha256 differs.")
        except self.failures as error:
            raise StorageFailed(f"{self.address}/{name}: {error}") from error

    def remove(self, name: str) -> None:
        """Delete a file. One that is not there is no error."""
        try:
            self.files.delete(name)
        except self.failures as error:
            raise StorageFailed(f"{self.address}/{name}: {error}") from error

    def _holds(self, name: str, blob: Blob) -> bool:
        from botocore.exceptions import ClientError

        try:
            head = self.files.connection.meta.client.head_object(Bucket=self.bucket, Key=self._key(name))
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return (head["ContentLength"], head["Metadata"].get("sha256")) == (blob.bytes, blob.sha256)

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name


def export_storage() -> ExportStorage | None:
    """The storage of the settings; None where exports stay on this machine alone."""
    address = settings.PLUMBLINE_EXPORT_STORAGE
    return ExportStorage(address) if address else None
