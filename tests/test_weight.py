"""What goes over the wire: pages and answers of the API compressed for who takes that, downloads as they are."""

import gzip
import io
import re
import zipfile
from hashlib import sha256

import pytest

from curation.services import exports
from curation.tasks import build_export

pytestmark = pytest.mark.django_db
PACKED = {"Accept-Encoding": "gzip, deflate, br"}


def without_tokens(page: bytes) -> bytes:
    """The tokens against forged requests are masked anew in each answer."""
    return re.sub(rb"[A-Za-z0-9]{64}", b"", page)


@pytest.mark.parametrize("path", ["/projects/", "/admin/", "/no-such-page/", "/api/schema/"])
def test_a_page_is_compressed_for_who_takes_that(world, path):
    client = world.client("ada")
    plain, packed = client.get(path), client.get(path, headers=PACKED)
    assert "Content-Encoding" not in plain.headers
    assert packed["Content-Encoding"] == "gzip"
    assert int(packed["Content-Length"]) == len(packed.content) < len(plain.content) / 2
    assert without_tokens(gzip.decompress(packed.content)) == without_tokens(plain.content)
    assert "Accept-Encoding" in packed["Vary"]
    assert "Accept-Encoding" in plain["Vary"]  # or a cache between would give the one for the other


@pytest.mark.parametrize("way", ["page", "api"])
def test_a_download_is_neither_compressed_again_nor_without_its_length(world, way):
    world.tasks()
    world.answer(world.claim("ana"), 1, 2, 2)
    made = exports.request_export(project=world.project, actor=world.users["mina"], send=False)
    build_export(str(made.job_id))
    made.refresh_from_db()
    client = world.client("mina")
    folder = f"/exports/{made.pk}" if way == "page" else f"/api/exports/{made.pk}"

    files = {file.path: file.blob for file in made.files.select_related("blob")}
    assert {path.rsplit(".")[-1] for path in files} >= {"json", "parquet"}
    for path, blob in files.items():
        response = client.get(f"{folder}/files/{path}", headers=PACKED)
        content = b"".join(response)
        assert (response.status_code, sha256(content).hexdigest()) == (200, blob.sha256)
        assert "Content-Encoding" not in response.headers
        assert int(response["Content-Length"]) == len(content)

    response = client.get(f"{folder}/archive/", headers=PACKED)
    content = b"".join(response)
    assert "Content-Encoding" not in response.headers
    assert int(response["Content-Length"]) == len(content)
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None
