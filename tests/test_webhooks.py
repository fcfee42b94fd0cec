"""Webhooks: signed, sent at least once, tried again ever later, logged, and never into our own network unless allowed."""

import hashlib
import hmac
import json
import socket
import threading
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotate.models import Membership
from annotate.services.projects import create_project
from curation import posting
from curation.models import Export
from curation.models.delivery import Webhook, WebhookDelivery
from curation.services import delivery, webhooks
from curation.services.exports import request_export
from curation.services.revoking import revoke
from curation.tasks import build_export, look, send_webhook
from jobs.models import Job
from tests import delivered

pytestmark = pytest.mark.django_db
ALL = ["export.built", "export.failed", "export.revoked"]


class Receiver(ThreadingHTTPServer):
    """Answers as it is told, and keeps what it got. `daemon_threads`, so that one that hangs holds nothing up."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.status, self.answer, self.headers = 200, b"thanks", {}
        self.hangs = threading.Event()
        self.slowly = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?of=mine"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.server.slowly:
            while not self.server.hangs.wait(0.05):
                self.wfile.write(b".")
        self.wfile.write(self.server.answer)

    do_GET = do_POST

    def log_message(self, *args):
        pass


@contextmanager
def receiving():
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.hangs.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def receiver(settings):
    settings.PLUMBLINE_WEBHOOKS_TO_PRIVATE = True
    with receiving() as server:
        yield server


@pytest.fixture
def webhook(world, receiver) -> Webhook:
    return webhooks.make_webhook(project=world.project, url=receiver.url, events=ALL, actor=world.users["mina"])


def send_what_is_due() -> int:
    """What beat and the workers do between them."""
    look()
    ids = webhooks.due()
    for pk in ids:
        send_webhook(str(pk))
    return len(ids)


def make_due() -> None:
    """The time of the next try has come."""
    WebhookDelivery.objects.filter(state="waiting").update(next_at=timezone.now())


# --- What is told -----------------------------------------------------------------------------------------------------


def test_an_export_that_is_built_is_told_once_and_signed(world, webhook, receiver):
    export = delivered.export(world)
    assert [send_what_is_due(), send_what_is_due()] == [1, 0]
    [(path, headers, body)] = receiver.got
    sent = WebhookDelivery.objects.get()
    assert (path, headers["Content-Type"]) == ("/hook?of=mine", "application/json")
    assert headers["Host"] == f"127.0.0.1:{receiver.server_port}"
    assert json.loads(body) == {
        "event": "export.built",
        "delivery": str(sent.pk),
        "export": str(export.pk),
        "kind": "preference",
        "unit": "judgement",
        "shape": "trl",
        "manifest_sha256": export.manifest_sha256,
        "url": f"http://localhost:8000/exports/{export.pk}/",
        "reason": "",
    }
    assert (headers["X-Plumbline-Delivery"], headers["X-Plumbline-Event"]) == (str(sent.pk), "export.built")
    stated = dict(part.split("=") for part in headers["X-Plumbline-Signature"].split(","))
    assert abs(int(stated["t"]) - timezone.now().timestamp()) < 600
    signed = stated["t"].encode() + b"." + body
    assert stated["v1"] == hmac.new(webhook.secret.encode(), signed, hashlib.sha256).hexdigest()
    [attempt] = sent.attempts.all()
    assert (sent.state, attempt.status, attempt.answer, attempt.error) == ("delivered", 200, "thanks", "")


def test_the_signature_is_the_one_that_receivers_compute():
    # echo -n '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whs_secret
    expected = "42359816b9cdac4fb62fa04459d2218b257ca9331d835e02a9c7808b91b58019"
    assert webhooks.signature("whs_secret", 1700000000, b'{"a":1}') == expected


def test_an_export_that_failed_is_told_with_its_reason(world, webhook, receiver):
    made = request_export(project=world.project, actor=world.users["mina"], send=False)
    build_export(str(made.job_id))  # nobody has judged anything
    assert Job.objects.get(pk=made.job_id).state == "failed"
    send_what_is_due()
    [(_, _, body)] = receiver.got
    said = json.loads(body)
    assert (said["event"], said["export"], said["manifest_sha256"]) == ("export.failed", str(made.pk), "")
    assert said["reason"] == Job.objects.get(pk=made.job_id).error != ""


def test_an_export_that_is_revoked_is_told_with_its_reason(world, webhook, receiver):
    export = delivered.export(world)
    send_what_is_due()
    revoke(export=export, actor=world.users["mina"], because="A mistake.")
    send_what_is_due()
    said = json.loads(receiver.got[-1][2])
    assert (said["event"], said["reason"], len(receiver.got)) == ("export.revoked", "A mistake.", 2)


def test_only_what_was_asked_for_is_told(world, receiver):
    make = {"url": receiver.url, "actor": world.users["mina"]}
    webhooks.make_webhook(project=world.project, events=["export.revoked"], **make)
    webhooks.make_webhook(project=None, events=ALL, **make)
    webhooks.make_webhook(project=create_project(slug="garden", name="Garden", overlap=1), events=ALL, **make)
    delivered.export(world)
    assert (send_what_is_due(), receiver.got) == (0, [])


def test_what_happened_before_a_webhook_or_while_it_was_off_is_not_told(world, receiver):
    delivered.export(world)
    webhook = webhooks.make_webhook(project=world.project, url=receiver.url, events=ALL, actor=world.users["mina"])
    webhooks.switch(webhook=webhook, active=False)
    delivered.export(world, {"x": b"1"})
    assert send_what_is_due() == 0
    webhooks.switch(webhook=webhook, active=True)
    last = delivered.export(world, {"x": b"2"})
    assert send_what_is_due() == 1
    assert json.loads(receiver.got[0][2])["export"] == str(last.pk)


def test_several_who_look_at_the_same_time_make_one_delivery(world, webhook):
    export = delivered.export(world)
    webhooks.announce()
    webhooks._made(webhook, Webhook.Event.BUILT, export)  # somebody who had looked before that
    assert WebhookDelivery.objects.count() == 1


# --- Tries ------------------------------------------------------------------------------------------------------------


def test_what_fails_is_tried_again_ever_later_and_then_given_up(world, webhook, receiver):
    receiver.status, receiver.answer = 503, b"later" * 200
    delivered.export(world)
    send_what_is_due()
    waits = []
    for _ in range(8):
        sent = WebhookDelivery.objects.get()
        assert (sent.state, send_what_is_due()) == ("waiting", 0)  # not before its time
        waits.append(round((sent.next_at - sent.attempts.first().created_at).total_seconds() / 60))
        make_due()
        send_what_is_due()
    assert waits == [1, 3, 9, 27, 81, 243, 729, 1440]
    sent.refresh_from_db()
    assert (sent.state, sent.next_at, sent.attempts.count(), len(receiver.got)) == ("given_up", None, 9, 9)
    assert {(one.status, one.answer) for one in sent.attempts.all()} == {(503, "later" * 100)}
    assert len({body for _, _, body in receiver.got}) == 1  # the same each time, and so is its id


def test_what_failed_is_delivered_once_somebody_answers(world, webhook, receiver):
    receiver.status = 500
    delivered.export(world)
    send_what_is_due()
    receiver.status = 204
    make_due()
    send_what_is_due()
    sent = WebhookDelivery.objects.get()
    assert (sent.state, [one.status for one in sent.attempts.all()]) == ("delivered", [204, 500])


def test_a_worker_that_dies_on_the_way_only_delays_it(world, webhook, receiver, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(*args, **kwargs):
        raise Killed

    delivered.export(world)
    with monkeypatch.context() as patch:
        patch.setattr(webhooks, "post", killed)  # nothing after this line is reached, as with kill -9
        with pytest.raises(Killed):
            send_what_is_due()
    sent = WebhookDelivery.objects.get()
    assert (sent.state, sent.attempts.count()) == ("waiting", 0)
    assert timedelta(seconds=100) < sent.next_at - timezone.now() <= timedelta(minutes=2)
    make_due()
    send_what_is_due()
    sent.refresh_from_db()
    assert (sent.state, len(receiver.got)) == ("delivered", 1)


def test_a_message_that_comes_twice_sends_nothing_twice(world, webhook, receiver):
    delivered.export(world)
    look()
    [pk] = webhooks.due()
    send_webhook(str(pk))
    send_webhook(str(pk))
    assert len(receiver.got) == 1


def test_a_delivery_can_be_sent_again_with_the_same_id(world, webhook, receiver):
    delivered.export(world)
    send_what_is_due()
    sent = WebhookDelivery.objects.get()
    assert world.client("mina").post(f"/webhooks/deliveries/{sent.pk}/again/").status_code == 302
    send_what_is_due()
    assert [headers["X-Plumbline-Delivery"] for _, headers, _ in receiver.got] == [str(sent.pk)] * 2


def test_a_webhook_that_is_off_sends_nothing(world, webhook, receiver):
    delivered.export(world)
    look()
    webhooks.switch(webhook=webhook, active=False)
    assert send_what_is_due() == 0
    for path in (f"{webhook.pk}/test/", f"deliveries/{WebhookDelivery.objects.get().pk}/again/"):
        assert "turned off" in world.client("mina").post(f"/webhooks/{path}", follow=True).text
    assert (send_what_is_due(), receiver.got) == (0, [])


# --- Where to ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True), ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True), ("127.0.0.1", False), ("10.1.2.3", False),
        ("172.16.0.1", False), ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False),
        ("224.0.0.1", False), ("255.255.255.255", False), ("198.18.0.1", False), ("::1", False), ("::", False), ("fe80::1", False),
        ("fd00::1", False), ("ff02::1", False), ("::ffff:127.0.0.1", False), ("::ffff:93.184.215.14", False),
        ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False), ("2001:0:5ef5:79fb::1", False),
    ],
)  # fmt: skip
def test_only_addresses_of_the_internet_are_public(address, public):
    assert posting.is_public(ip_address(address)) is public


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "127.1", "0"])
def test_nothing_is_sent_into_our_own_network(world, receiver, settings, host):
    settings.PLUMBLINE_WEBHOOKS_TO_PRIVATE = False
    url = f"http://{host}:{receiver.server_port}/hook"
    webhook = webhooks.make_webhook(project=world.project, url=url, events=ALL, actor=world.users["mina"])
    webhooks.test(webhook=webhook)
    send_what_is_due()
    [attempt] = WebhookDelivery.objects.get().attempts.all()
    assert (receiver.got, attempt.status, attempt.answer) == ([], None, "")
    assert "private network" in attempt.error or "cannot be looked up" in attempt.error


def test_the_address_that_was_judged_is_the_one_that_is_used(receiver, monkeypatch):
    """A name that is public when it is judged and our own a moment later leads to the public one."""
    asked = []

    def getaddrinfo(host, port, *args, **kwargs):
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "10.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    real = socket.create_connection
    monkeypatch.setattr(posting.socket, "getaddrinfo", getaddrinfo)
    connected = []
    monkeypatch.setattr(
        posting.socket, "create_connection", lambda to, **more: connected.append(to) or _connect(real, to, **more)
    )
    answer = posting.post(f"http://rebound.example:{receiver.server_port}/", b"{}", {}, private=True)
    assert (answer.status, connected) == (200, [("127.0.0.1", receiver.server_port)])
    assert asked[0] == "rebound.example"
    assert receiver.got[0][1]["Host"] == f"rebound.example:{receiver.server_port}"


def _connect(real, to, **more):
    sock = socket.socket()
    sock.settimeout(more["timeout"])
    sock.connect(to)
    return sock


def test_one_private_address_among_those_of_a_name_is_enough_to_refuse(monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 80)) for one in ("93.184.215.14", "10.0.0.1")]
    monkeypatch.setattr(posting.socket, "getaddrinfo", lambda *args, **kwargs: found)
    with pytest.raises(posting.NotSent, match="private network"):
        posting.post("http://both.example/", b"", {}, private=False)


def test_a_redirect_is_not_followed(world, webhook, receiver):
    with receiving() as elsewhere:
        receiver.status, receiver.headers = 307, {"Location": elsewhere.url}
        delivered.export(world)
        send_what_is_due()
        sent = WebhookDelivery.objects.get()
        assert (sent.state, sent.attempts.get().status, elsewhere.got) == ("waiting", 307, [])


def test_an_answer_that_never_ends_is_ended(receiver, monkeypatch):
    monkeypatch.setattr(posting, "TIMEOUT", 0.5)
    receiver.slowly = True
    with pytest.raises(posting.NotSent, match=r"longer than 0\.5 seconds|within 0\.5 seconds"):
        posting.post(receiver.url, b"{}", {}, private=True)


def test_somebody_who_never_answers_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(posting, "TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for scheme in ("http", "https"):
            with pytest.raises(posting.NotSent, match=r"within 0\.5 seconds"):
                posting.post(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/", b"{}", {}, private=True)


def test_of_a_long_answer_the_beginning_is_read(receiver):
    receiver.answer = b"x" * 1_000_000
    assert posting.post(receiver.url, b"{}", {}, private=True) == posting.Answer(200, "x" * 65536)


def test_what_is_no_text_is_kept_all_the_same(world, webhook, receiver):
    receiver.answer = b"\x00\xff\xfe"
    delivered.export(world)
    send_what_is_due()
    assert WebhookDelivery.objects.get().attempts.get().answer == "\ufffd\ufffd\ufffd"


def test_nobody_there_is_an_error_that_is_kept(world, settings):
    settings.PLUMBLINE_WEBHOOKS_TO_PRIVATE = True
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    webhook = webhooks.make_webhook(project=world.project, url=url, events=ALL, actor=world.users["mina"])
    webhooks.test(webhook=webhook)
    send_what_is_due()
    sent = WebhookDelivery.objects.get()
    assert (sent.state, "ConnectionRefusedError" in sent.attempts.get().error) == ("waiting", True)


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org/", "example.org", "http://", "https:///x", "http://a b/", "http://ü.example/", "http://a:0/",
     "http://a:99999/", "http://user:pass@example.org/", "http://[::1/", "javascript:alert(1)", "http://a/\r\nX: y", ""],
)  # fmt: skip
def test_an_address_that_cannot_be_is_refused(world, url):
    with pytest.raises(ValidationError):
        webhooks.make_webhook(project=None, url=url, events=ALL, actor=world.users["mina"])
    assert not Webhook.objects.exists()


# --- Pages, API, secrets ----------------------------------------------------------------------------------------------


def test_a_manager_makes_a_webhook_on_the_page_and_sees_its_secret_once(world, receiver):
    mina = world.client("mina")
    fields = {"project": world.project.pk, "url": receiver.url, "events": ["export.built"]}
    response = mina.post("/webhooks/", fields)
    made = Webhook.objects.get()
    assert (made.project, made.events, made.active, made.actor.username) == (
        world.project,
        ["export.built"],
        True,
        "mina",
    )
    assert (made.secret in response.text, response["Cache-Control"]) == (True, "private, no-store")
    assert made.secret.startswith("whs_") and len(made.secret) == 47
    mina.post(f"/webhooks/{made.pk}/test/")
    send_what_is_due()
    assert json.loads(receiver.got[0][2]) == {"delivery": str(WebhookDelivery.objects.get().pk), "event": "test"}
    page = mina.get(f"/webhooks/{made.pk}/").text
    assert "thanks" in page
    assert made.secret not in page + mina.get("/webhooks/").text
    mina.post(f"/webhooks/{made.pk}/switch/")
    made.refresh_from_db()
    assert not made.active


def test_a_manager_makes_a_webhook_over_the_api_and_sees_its_secret_once(world, receiver):
    api = Client(headers=world.token("mina", "exports:write", "exports:read"))

    def post(path, body=None):
        return api.post(f"/api/webhooks/{path}", body or {}, "application/json")

    made = post("", {"project": "kitchen", "url": receiver.url, "events": ["export.revoked", "export.built"]}).json()
    secret = made.pop("secret")
    assert Webhook.objects.get().secret == secret
    assert (made["project"], made["events"], made["active"]) == ("kitchen", ["export.built", "export.revoked"], True)
    [listed] = api.get("/api/webhooks/").json()["results"]
    assert listed == made == api.get(f"/api/webhooks/{made['id']}/").json()
    sent = post(f"{made['id']}/deliveries/")
    assert sent.status_code == 202
    send_what_is_due()
    [found] = api.get(f"/api/webhooks/{made['id']}/deliveries/").json()["results"]
    assert (found["state"], found["attempts"][0]["status"], found["attempts"][0]["answer"]) == (
        "delivered",
        200,
        "thanks",
    )
    assert post(f"deliveries/{found['id']}/again/").status_code == 204
    assert (send_what_is_due(), len(receiver.got)) == (1, 2)
    assert post(f"{made['id']}/", {"active": False}).json()["active"] is False
    assert post(f"{made['id']}/deliveries/").status_code == 400
    for wrong in ({"events": []}, {"events": ["test"]}, {"url": "ftp://x"}, {"project": "a\0b"}, {"url": 7}):
        body = {"url": receiver.url, "events": ["export.built"]} | wrong
        assert post("", body).status_code in (400, 404), wrong
    assert Webhook.objects.count() == 1


def test_a_secret_stands_in_one_row_and_in_no_history(world, webhook, receiver):
    webhooks.switch(webhook=webhook, active=False)
    webhooks.switch(webhook=webhook, active=True)
    delivered.export(world)
    send_what_is_due()
    rows = {model._meta.label: repr(list(model.objects.values())) for model in apps.get_models()}
    assert [label for label, text in rows.items() if webhook.secret in text] == ["curation.Webhook"]
    assert apps.get_model("curation.WebhookEvent").objects.count() == 3
    assert webhook.secret not in str(receiver.got)


def test_webhooks_are_for_managers_of_their_project(world, webhook):
    garden = create_project(slug="garden", name="Garden", overlap=1)
    Membership.objects.create(user=world.users["rita"], project=garden, role="manager")
    of_datasets = webhooks.make_webhook(project=None, url=webhook.url, events=ALL, actor=world.users["mina"])
    test = webhooks.test(webhook=webhook)
    rita, mina = world.client("rita"), world.client("mina")
    paths = [f"{webhook.pk}/test/", f"{webhook.pk}/switch/", f"deliveries/{test.pk}/again/"]
    assert [rita.post(f"/webhooks/{path}").status_code for path in paths] == [404, 404, 404]
    assert [rita.get(f"/webhooks/{one.pk}/").status_code for one in (webhook, of_datasets)] == [404, 200]
    assert [mina.get(f"/webhooks/{one.pk}/").status_code for one in (webhook, of_datasets)] == [200, 200]
    fields = {"project": world.project.pk, "url": webhook.url, "events": ALL}
    assert rita.post("/webhooks/", fields).status_code == 422
    api = Client(headers=world.token("rita", "exports:write"))
    body = {"project": "kitchen", "url": webhook.url, "events": ALL}
    assert api.post("/api/webhooks/", body, "application/json").status_code == 403
    assert Webhook.objects.count() == 2


def test_the_log_takes_as_many_queries_however_much_was_sent(world, webhook, receiver):
    client, counts = world.client("mina"), []
    for at in range(2):
        for number in range(3):
            delivered.export(world, {"x": f"{at} {number}".encode()})
        send_what_is_due()
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"/webhooks/{webhook.pk}/").text.count("<details>") == 3 * (at + 1)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_building_looks_for_what_is_to_be_told(world, webhook):
    made = request_export(project=world.project, actor=world.users["mina"], send=False)
    build_export(str(made.job_id))
    assert WebhookDelivery.objects.get().export == Export.objects.get(pk=made.pk)
    delivery.look_soon()  # no worker listens here; it must not fail
