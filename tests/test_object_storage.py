"""Exports in object storage: put there whole, removed when they are revoked, whatever goes wrong. Against moto's server."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from moto.server import ThreadedMotoServer

from curation import storage
from curation.models import Export
from curation.models.delivery import ExportCopy
from curation.services import delivery
from curation.services.revoking import revoke
from curation.tasks import copy_export, look
from jobs.models import Job
from jobs.services import sweep
from tests import delivered

pytestmark = pytest.mark.django_db
BUCKET = "exports"


@pytest.fixture
def server(settings, monkeypatch) -> Iterator[ThreadedMotoServer]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    settings.AWS_S3_ENDPOINT_URL = f"http://{host}:{port}"
    settings.AWS_S3_REGION_NAME = "us-east-1"
    settings.PLUMBLINE_EXPORT_STORAGE = f"s3://{BUCKET}/of/plumbline"
    forget = Request(f"{settings.AWS_S3_ENDPOINT_URL}/moto-api/reset", method="POST")
    urlopen(forget).close()  # what it holds is the process's, not the server's
    client(settings).create_bucket(Bucket=BUCKET)
    yield running
    running.stop()


def client(settings) -> Any:
    return boto3.client("s3", endpoint_url=settings.AWS_S3_ENDPOINT_URL, region_name="us-east-1")


@pytest.fixture
def bucket(server, settings) -> Any:
    """Asks the server itself, past the code under test."""

    class Bucket:
        def listed(self) -> list[str]:
            return sorted(one["Key"] for one in self._page("list_objects_v2").get("Contents", []))

        def read(self, key: str) -> bytes:
            return client(settings).get_object(Bucket=BUCKET, Key=key)["Body"].read()

        def head(self, key: str) -> dict:
            return client(settings).head_object(Bucket=BUCKET, Key=key)

        def put(self, key: str, body: bytes) -> None:
            client(settings).put_object(Bucket=BUCKET, Key=key, Body=body)

        def unfinished(self) -> list:
            return self._page("list_multipart_uploads").get("Uploads", [])

        def _page(self, what: str) -> dict:
            return getattr(client(settings), what)(Bucket=BUCKET)

    return Bucket()


def work() -> list[str]:
    """What beat and the workers do between them. Returns how the jobs ended."""
    look()
    jobs = list(Job.objects.filter(kind=delivery.COPY, state=Job.State.QUEUED))
    for job in jobs:
        copy_export(str(job.pk))
        job.refresh_from_db()
    return [job.state for job in jobs]


def keys_of(export: Export) -> list[str]:
    return sorted(f"of/plumbline/{export.name}/{path}" for path in export.files.values_list("path", flat=True))


@pytest.fixture
def in_parts(monkeypatch):
    """The smallest parts that S3 takes, so that a file of 12 MB is one of three."""
    monkeypatch.setattr(storage, "PART", 5 * 1024 * 1024)


def test_an_export_is_put_there_whole(world, bucket):
    export = delivered.export(world, {"sft/train-00000-of-00001.parquet": b"PAR1", "empty": b""})
    assert (work(), work()) == (["succeeded"], [])
    assert bucket.listed() == keys_of(export)
    for file in export.files.select_related("blob"):
        key = f"of/plumbline/{export.name}/{file.path}"
        head = bucket.head(key)
        assert hashlib.sha256(bucket.read(key)).hexdigest() == file.blob.sha256 == head["Metadata"]["sha256"]
    copy = ExportCopy.objects.get()
    assert (copy.next_at, copy.error, copy.removed_at) == (None, "", None) and copy.put_at


def test_a_large_file_goes_in_parts(world, bucket, in_parts):
    content = bytes(range(256)) * (12 * 4096)
    export = delivered.export(world, {"large": content})
    assert work() == ["succeeded"]
    key = f"of/plumbline/{export.name}/large"
    assert bucket.read(key) == content
    assert bucket.head(key)["ETag"].endswith('-3"')  # how S3 marks an object of three parts
    assert bucket.unfinished() == []


def test_the_manifest_comes_last(world, bucket, monkeypatch):
    delivered.export(world, {"a": b"1", "z": b"2", "README.md": b"3"})
    order = []
    put = storage.ExportStorage.put
    monkeypatch.setattr(
        storage.ExportStorage,
        "put",
        lambda self, name, blob: order.append(name.split("/")[-1]) or put(self, name, blob),
    )
    work()
    assert order == ["README.md", "a", "letters.txt", "z", "manifest.json"]


def test_a_storage_that_goes_away_in_the_middle_is_tried_again_until_all_is_there(
    world, server, bucket, settings, monkeypatch
):
    monkeypatch.setattr(storage, "WAIT", {**storage.WAIT, "retries": {"total_max_attempts": 1}})
    export = delivered.export(world, {"a": b"1", "b": b"2"})
    put, done = storage.ExportStorage.put, []

    def put_then_stop(self, name, blob):
        put(self, name, blob)
        done.append(name)
        if len(done) == 2:
            server.stop()

    with monkeypatch.context() as patch:
        patch.setattr(storage.ExportStorage, "put", put_then_stop)
        assert work() == ["failed"]
    copy = ExportCopy.objects.select_related("job").get()
    assert (copy.put_at, copy.tries, len(done)) == (None, 1, 2)
    assert timedelta(seconds=50) < copy.next_at - timezone.now() <= timedelta(minutes=1)
    assert settings.AWS_S3_ENDPOINT_URL in copy.error and copy.job.error == copy.error
    assert work() == []  # not before its time
    ExportCopy.objects.update(next_at=timezone.now())
    assert work() == ["failed"]  # still away
    copy.refresh_from_db()
    assert (copy.tries, round((copy.next_at - timezone.now()).total_seconds() / 60)) == (2, 3)

    again = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    again.start()  # moto's state is the process's, so what was stored before is there
    try:
        host, port = again.get_host_and_port()
        settings.AWS_S3_ENDPOINT_URL = f"http://{host}:{port}"
        assert [key.split("/")[-1] for key in bucket.listed()] == ["a", "b"]  # and no manifest
        delivery.copy_again(copy=copy)
        assert work() == ["succeeded"]
        assert bucket.listed() == keys_of(export)
        copy.refresh_from_db()
        assert (copy.tries, copy.error, copy.next_at) == (0, "", None) and copy.put_at
    finally:
        again.stop()


def test_what_is_there_already_is_not_sent_again_and_what_is_wrong_is_mended(world, bucket):
    export = delivered.export(world)
    work()
    key = f"of/plumbline/{export.name}/letters.txt"
    kept = bucket.head(f"of/plumbline/{export.name}/manifest.json")["LastModified"]
    bucket.put(key, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")  # of the same size
    ExportCopy.objects.update(next_at=timezone.now())
    assert work() == ["succeeded"]
    assert bucket.read(key) == delivered.LETTERS
    assert bucket.head(f"of/plumbline/{export.name}/manifest.json")["LastModified"] == kept


def test_a_revoked_export_is_removed_and_only_that(world, bucket):
    revoked, stays = delivered.export(world), delivered.export(world, {"more": b"1"})
    bucket.put("of/plumbline/somebody-else", b"1")
    assert work() == ["succeeded"] * 2
    revoke(export=revoked, actor=world.users["mina"], because="A mistake.")
    assert (work(), work()) == (["succeeded"], [])
    assert bucket.listed() == sorted([*keys_of(stays), "of/plumbline/somebody-else"])
    assert ExportCopy.objects.get(export=revoked).removed_at


def test_an_export_that_was_revoked_before_it_was_put_there_never_is(world, bucket):
    export = delivered.export(world)
    revoke(export=export, actor=world.users["mina"], because="A mistake.")
    assert (work(), bucket.listed()) == ([], [])


def test_of_two_exports_with_the_same_bytes_revoking_one_keeps_the_files_of_the_other(world, bucket):
    first, second = delivered.export(world), delivered.export(world)
    assert first.name == second.name
    while work():
        pass
    revoke(export=first, actor=world.users["mina"], because="A mistake.")
    work()
    assert bucket.listed() == keys_of(second)
    revoke(export=second, actor=world.users["mina"], because="Again.")
    work()
    assert bucket.listed() == []


def test_a_job_whose_worker_died_is_done_again(world, bucket):
    export = delivered.export(world)
    look()
    Job.objects.filter(kind=delivery.COPY).update(
        state="running", attempt=1, heartbeat_at=timezone.now() - timedelta(hours=1)
    )
    sweep()
    assert work() == ["succeeded"]
    assert bucket.listed() == keys_of(export)


def test_without_a_storage_nothing_is_planned(world, settings):
    settings.PLUMBLINE_EXPORT_STORAGE = ""
    delivered.export(world)
    assert (work(), ExportCopy.objects.count()) == ([], 0)


@pytest.mark.parametrize("address", ["gs://bucket", "s3://", "bucket", "/var/exports"])
def test_an_address_that_cannot_be_says_how_it_must_read(address, settings):
    settings.PLUMBLINE_EXPORT_STORAGE = address
    with pytest.raises(ImproperlyConfigured, match="s3://bucket"):
        storage.export_storage()


def test_a_bucket_that_is_not_there_is_an_error_that_is_shown(world, server, settings):
    settings.PLUMBLINE_EXPORT_STORAGE = "s3://nowhere"
    delivered.export(world)
    assert work() == ["failed"]
    assert "s3://nowhere/" in ExportCopy.objects.get().error
