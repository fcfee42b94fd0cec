"""Downloads that go on where they broke off, links for machines, and no file of an export that was revoked."""

import io
import os
import re
import subprocess
import zipfile
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from annotate.models import Membership
from curation.archive import one_file, whole
from curation.models import Export
from curation.models.delivery import SignedLink
from curation.services import blobs
from curation.services.delivery import make_link, revoke_link, token_of
from curation.services.revoking import revoke
from curation.views.delivery import address_of, use_it
from tests import delivered
from tests.delivered import LETTERS

pytestmark = pytest.mark.django_db


@pytest.fixture
def export(world) -> Export:
    return delivered.export(world, {"large": b"0123456789" * 300_000})


@pytest.fixture(params=["page", "api", "link"])
def get(request, world, export):
    """Asks for a file of the export (without a path: for the zip) in each of the ways there are."""
    own = world.token("mina", "exports:read") if request.param == "api" else {}
    client = Client() if request.param == "api" else world.client("mina")

    def ask(path: str, method: str = "get", **headers):
        address = f"{'/api' if own else ''}/exports/{export.pk}/" + (f"files/{path}" if path else "archive/")
        if request.param == "link":
            return getattr(Client(), method)(linked(world, export, path), headers=headers)
        return getattr(client, method)(address, headers=own | headers)

    return ask


def linked(world, export: Export, path: str = "", by: str = "mina") -> str:
    return address_of(*make_link(export=export, actor=world.users[by], path=path))


def content(response) -> bytes:
    return b"".join(response) if response.streaming else response.content


# --- Ranges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "status", "got", "said"),
    [
        ("bytes=0-3", 206, b"abcd", "bytes 0-3/26"),
        ("bytes=0-0", 206, b"a", "bytes 0-0/26"),
        ("bytes=23-", 206, b"xyz", "bytes 23-25/26"),
        ("bytes=20-999", 206, b"uvwxyz", "bytes 20-25/26"),
        ("bytes=-2", 206, b"yz", "bytes 24-25/26"),
        ("bytes=-999", 206, LETTERS, "bytes 0-25/26"),
        ("bytes=0-", 206, LETTERS, "bytes 0-25/26"),
        ("bytes=26-", 416, b"", "bytes */26"),
        ("bytes=99-100", 416, b"", "bytes */26"),
        ("bytes=-0", 416, b"", "bytes */26"),
        ("bytes=5-3", 200, LETTERS, None),  # no range at all
        ("bytes=-", 200, LETTERS, None),
        ("bytes=a-b", 200, LETTERS, None),
        ("bytes=0-1,4-5", 200, LETTERS, None),  # several: all of it, which is allowed
        ("rows=0-1", 200, LETTERS, None),
        ("bytes=٠-٣", 200, LETTERS, None),
        (f"bytes={'9' * 5000}-", 200, LETTERS, None),
    ],
)
def test_one_range_of_a_file_is_given(get, asked, status, got, said):
    response = get("letters.txt", Range=asked)
    assert (response.status_code, content(response), response.headers.get("Content-Range")) == (status, got, said)
    assert response["Accept-Ranges"] == "bytes"
    if status != 416:
        assert int(response["Content-Length"]) == len(got)


def test_a_file_that_changed_is_given_whole(get):
    etag = get("letters.txt")["ETag"]
    assert re.fullmatch('"[0-9a-f]{64}"', etag)
    assert content(get("letters.txt", Range="bytes=24-", **{"If-Range": etag})) == b"yz"
    for other in ('"another"', f"W/{etag}", "Wed, 21 Oct 2026 07:28:00 GMT"):
        response = get("letters.txt", Range="bytes=24-", **{"If-Range": other})
        assert (response.status_code, content(response)) == (200, LETTERS)
    assert get("letters.txt", **{"If-None-Match": etag}).status_code == 304
    assert get("letters.txt", **{"If-Match": '"another"'}).status_code == 412


def test_head_says_how_much_there_is_and_gives_nothing(get):
    response = get("letters.txt", "head", Range="bytes=0-3")
    assert (response.status_code, content(response), response["Content-Length"]) == (200, b"", "26")
    assert response["Content-Disposition"] == 'attachment; filename="letters.txt"'
    zipped = get("", "head")
    assert (zipped.status_code, int(zipped["Content-Length"])) == (200, len(content(get(""))))


def test_the_zip_goes_on_where_it_broke_off(get):
    first = get("")
    all_of_it = content(first)
    half = len(all_of_it) // 2
    rest = get("", Range=f"bytes={half}-", **{"If-Range": first["ETag"]})
    assert (rest.status_code, rest["Content-Range"]) == (206, f"bytes {half}-{len(all_of_it) - 1}/{len(all_of_it)}")
    together = all_of_it[:half] + content(rest)
    assert together == all_of_it
    assert zipfile.ZipFile(io.BytesIO(together)).testzip() is None
    assert content(get("", Range="bytes=-10")) == all_of_it[-10:]


def test_what_is_given_is_for_nobody_else_to_keep(get):
    for path in ("letters.txt", ""):
        response = get(path)
        assert (response["Cache-Control"], response["Referrer-Policy"]) == ("private, no-store", "no-referrer")


def test_the_tag_of_a_zip_changes_with_its_bytes(export):
    before = whole(export).etag
    assert whole(export).etag == before
    os.utime(blobs.file_of(export.files.get(path="letters.txt").blob), (10**9, 10**9))
    assert whole(export).etag != before


def test_a_large_file_is_read_in_pieces(export):
    pieces = list(one_file(export, "large").pieces(5, 2_999_999))
    assert [len(piece) for piece in pieces] == [blobs.CHUNK, blobs.CHUNK, 2_999_994 - 2 * blobs.CHUNK]
    assert b"".join(pieces) == (b"0123456789" * 300_000)[5:2_999_999]


# --- Revoked ----------------------------------------------------------------------------------------------------------


def test_a_revoked_export_gives_no_files_and_says_why(world, export):
    address_before = linked(world, export)
    revoke(export=export, actor=world.users["mina"], because="The licence was withdrawn.")
    ways = [
        *((world.client("mina"), f"/exports/{export.pk}/{rest}", {}) for rest in ("archive/", "files/letters.txt")),
        *(
            (Client(), f"/api/exports/{export.pk}/{rest}", world.token("mina", "exports:read"))
            for rest in ("archive/", "files/letters.txt")
        ),
        (Client(), address_before, {}),
    ]
    for client, address, headers in ways:
        response = client.get(address, headers={**headers, "Range": "bytes=0-3"})
        assert (response.status_code, "The licence was withdrawn." in response.text) == (410, True), address
    assert world.client("mina").get(f"/exports/{export.pk}/").status_code == 200
    response = world.client("mina").post(f"/exports/{export.pk}/links/", {"hours": 1})
    assert (response.status_code, "The licence was withdrawn." in response.text) == (422, True)
    api = Client(headers=world.token("mina", "exports:write"))
    assert api.post(f"/api/exports/{export.pk}/links/", {}, "application/json").status_code == 410


# --- Links ------------------------------------------------------------------------------------------------------------


def made_on_the_page(world, export, **fields) -> tuple[SignedLink, str]:
    response = world.client("rita").post(f"/exports/{export.pk}/links/", {"path": "", "hours": "1"} | fields)
    assert response.status_code == 200
    assert (response["Cache-Control"], response["Referrer-Policy"]) == ("private, no-store", "no-referrer")
    [address] = re.findall(r'value="(http://testserver/exports/links/[^"]+)"', response.text)
    return SignedLink.objects.get(), address


def test_a_link_gives_a_stranger_one_file_for_an_hour(world, export):
    link, address = made_on_the_page(world, export, path="letters.txt")
    assert (link.export, link.path, link.actor) == (export, "letters.txt", world.users["rita"])
    assert timedelta(minutes=59) < link.expires_at - timezone.now() <= timedelta(hours=1)
    assert content(Client().get(address)) == LETTERS
    assert Client().post(address).status_code == 405


def test_a_link_is_made_over_the_api(world, export):
    api = Client(headers=world.token("rita", "exports:write", "exports:read"))
    response = api.post(f"/api/exports/{export.pk}/links/", {"hours": 168}, "application/json")
    assert response.status_code == 201 and response["Cache-Control"] == "private, no-store"
    made = response.json()
    assert zipfile.ZipFile(io.BytesIO(content(Client().get(made["url"])))).testzip() is None
    [listed] = api.get(f"/api/exports/{export.pk}/links/").json()["results"]
    assert listed == {key: value for key, value in made.items() if key != "url"}
    for wrong in ({"hours": 169}, {"hours": 0}, {"path": "nothing"}, {"path": "a\0b"}, {"hours": "many"}):
        assert api.post(f"/api/exports/{export.pk}/links/", wrong, "application/json").status_code == 400, wrong


@pytest.mark.parametrize("wrong", [{"hours": "169"}, {"hours": "0"}, {"hours": ""}, {"path": "nothing"}])
def test_a_link_that_cannot_be_is_refused(world, export, wrong):
    response = world.client("mina").post(f"/exports/{export.pk}/links/", {"path": "", "hours": "1"} | wrong)
    assert (response.status_code, SignedLink.objects.count()) == (422, 0)


def test_a_link_s_token_cannot_be_had_from_the_database_or_another_link(world, export):
    (first, token), (second, _) = (make_link(export=export, actor=world.users["mina"]) for _ in range(2))
    for wrong in ("", "x", str(first.pk), token[:-1], token + "x", token.swapcase(), "\0", "ü"):
        response = Client().get(reverse("signed_download", args=[first.pk]), {"token": wrong})
        assert response.status_code == 404, wrong
    assert Client().get(address_of(second, token)).status_code == 404
    assert Client().get(address_of(first, token)).status_code == 200
    with CaptureQueriesContext(connection) as queries:
        make_link(export=export, actor=world.users["mina"])
    assert token not in str(queries.captured_queries)


def test_a_link_ends_when_it_is_to_and_when_it_is_closed(world, export):
    link, token = make_link(export=export, actor=world.users["mina"])
    assert Client().get(address_of(link, token)).status_code == 200
    world.client("rita").post(f"/exports/{export.pk}/links/{link.pk}/revoke/")
    link.refresh_from_db()
    assert (Client().get(address_of(link, token)).status_code, link.revoked_by) == (410, world.users["rita"])
    late = SignedLink.objects.create(export=export, actor=world.users["mina"], expires_at=timezone.now())
    assert Client().get(address_of(late, token_of(late))).status_code == 410


def test_a_link_ends_when_its_maker_may_not_see_the_export_any_more(world, export):
    address = linked(world, export, by="rita")
    assert Client().get(address).status_code == 200
    Membership.objects.filter(user=world.users["rita"]).delete()
    assert Client().get(address).status_code == 410


def test_who_made_a_link_is_kept(world, export):
    link, _ = make_link(export=export, actor=world.users["mina"])
    for change in (lambda: SignedLink.objects.update(actor=world.users["rita"]), link.delete):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()


def test_those_who_may_not_see_an_export_make_and_close_no_links(world, export):
    link, _ = make_link(export=export, actor=world.users["mina"])
    for name in ("ana", "otto"):
        assert world.client(name).post(f"/exports/{export.pk}/links/", {"hours": 1}).status_code == 404
        assert world.client(name).post(f"/exports/{export.pk}/links/{link.pk}/revoke/").status_code == 404
    link.refresh_from_db()
    assert (link.revoked_at, SignedLink.objects.count()) == (None, 1)


@pytest.mark.parametrize("asked", ["the token", "nonsense"])
def test_the_token_is_in_no_line_that_a_web_server_or_django_logs(world, export, caplog, asked):
    link, token = make_link(export=export, actor=world.users["mina"])
    token = token if asked == "the token" else asked
    response = Client().get(address_of(link, token), RAW_URI=address_of(link, token))
    assert response.status_code == (200 if asked == "the token" else 404)
    content(response)
    environ = response.wsgi_request.META  # what gunicorn writes its line from, once it has answered
    assert environ["RAW_URI"] == reverse("signed_download", args=[link.pk])
    assert token not in f"{environ} {caplog.text}"


# --- Use it -----------------------------------------------------------------------------------------------------------


def shown(world, export: Export, **environ) -> tuple[dict, str]:
    """What the page of an export has to say of how to use it."""
    request = RequestFactory().get("/", **environ)
    request.user = world.users["mina"]
    context = use_it(request, export)
    return context, render_to_string("curation/_use_it.html", {"export": export, **context}, request)


def test_the_line_of_the_shell_is_for_the_kind_and_the_shape(world):
    export = delivered.export(world, {"verify.py": b""})
    context, page = shown(world, export)
    name = export.name
    assert context["shell"] == (
        'curl --fail --location --continue-at - --header "Authorization: Bearer $PLUMBLINE_TOKEN" \\\n'
        f"    --output {name}.zip http://testserver/api/exports/{export.pk}/archive/ \\\n"
        f"  && unzip -q -o {name}.zip \\\n"
        f"  && python {name}/verify.py \\\n"
        f"  && python -m trainers reward {name} --model MODEL --output trained"
    )
    assert context["python"] == (
        f"from datasets import load_dataset\n\ndata = load_dataset('{name}', 'preference')\nprint(data)"
    )
    assert escape(context["shell"]) in page and escape(context["python"]) in page
    other = delivered.export(world, {"x": b"1"}, shape="openai")
    assert "verify" not in shown(world, other)[0]["shell"] and "trainers" not in shown(world, other)[0]["shell"]


def test_links_are_shown_while_they_hold_and_without_their_token(world, export):
    held, token = make_link(export=export, actor=world.users["rita"], path="letters.txt")
    closed, _ = make_link(export=export, actor=world.users["mina"])
    revoke_link(link=closed, actor=world.users["mina"])
    SignedLink.objects.create(export=export, actor=world.users["mina"], expires_at=timezone.now())
    context, page = shown(world, export)
    assert list(context["links"]) == [held]
    assert "rita" in page and token not in page


def test_of_a_revoked_export_there_is_nothing_to_use(world, export):
    revoke(export=export, actor=world.users["mina"], because="A mistake.")
    context, page = shown(world, export)
    assert (context, page.strip()) == ({"copy": None}, "")


@pytest.mark.django_db(transaction=True)
def test_the_line_gets_the_export_and_goes_on_where_it_broke_off(world, live_server, tmp_path):
    """curl itself, against a server: the first half is there already."""
    export = delivered.export(world, {"large": bytes(range(256)) * 20_000})
    token = world.token("mina", "exports:read")["Authorization"].split()[1]
    host, port = live_server.url.removeprefix("http://").split(":")
    context, _ = shown(world, export, HTTP_HOST=f"{host}:{port}")
    line = context["shell"].split("&& python")[0].rstrip("\\\n ")
    all_of_it = b"".join(whole(export).pieces(0, whole(export).size))
    archive = tmp_path / f"{export.name}.zip"
    archive.write_bytes(all_of_it[: len(all_of_it) // 2])
    run = {"shell": True, "cwd": tmp_path, "env": os.environ | {"PLUMBLINE_TOKEN": token}, "capture_output": True}
    done = subprocess.run(line, text=True, timeout=60, **run)
    assert done.returncode == 0, done.stderr
    assert archive.read_bytes() == all_of_it
    for file in export.files.select_related("blob"):
        assert (tmp_path / export.name / file.path).read_bytes() == blobs.file_of(file.blob).read_bytes()
