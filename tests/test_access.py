"""Who may reach what: every route of the site, walked as everybody, with every method."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client
from django.urls import get_resolver

from annotate.services.agreement import measure_and_keep
from annotate.services.tasks import NewCompletion, NewTask, add_tasks
from annotate.services.tokens import issue_token
from curation.services.exports import request_export
from curation.services.training import start_run
from curation.tasks import build_export
from tests.world import World

pytestmark = pytest.mark.django_db

MODEL, OUTPUT = "secret-model-of-the-walk", "secret-output-id-of-the-walk"
ROLES = ("stranger", "otto", "ana", "rita", "mina", "ada")


def routes(patterns=None, before="", namespace="") -> dict[str, str]:
    """Every route of the site: its pattern, and its name with the namespace."""
    found = {}
    for one in patterns or get_resolver().url_patterns:
        pattern = before + str(one.pattern)
        if hasattr(one, "url_patterns"):
            within = f"{namespace}{one.namespace}:" if one.namespace else namespace
            found |= routes(one.url_patterns, pattern, within)
        else:
            found[pattern] = namespace + (one.name or "")
    return found


@dataclass
class Site:
    """A world in which every route has something to show."""

    world: World
    arguments: dict[str, Any] = field(default_factory=dict)

    def client(self, role: str) -> Client:
        client = Client(raise_request_exception=False)
        if role != "stranger":
            client.force_login(self.world.users[role])
        return client

    def address(self, pattern: str) -> str:
        """The address of a route, with arguments that lead to rows of this world."""
        model = re.match(r"admin/(\w+)/(\w+)/", pattern)
        if model and "<" in pattern:
            row = apps.get_model(*model.groups()).objects.order_by("pk").first()
            pattern = re.sub("<[^>]*>", quote(str(row.pk), safe=""), pattern)
        pattern = pattern.replace(r"(?P<app_label>auth|account|jobs|annotate|curation)", "annotate")
        pattern = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", pattern)
        return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda name: str(self.arguments[name[1]]), pattern).translate(
            str.maketrans("", "", "^$")
        )


@pytest.fixture
def site(world) -> Site:
    outputs = [NewCompletion(f"{OUTPUT}-{at}", f"Answer {at}", (MODEL,)) for at in range(3)]
    conversation = [{"role": "user", "content": "Which?"}]
    add_tasks(
        project=world.project,
        tasks=[NewTask(name=f"walk-{at}", conversation=conversation, completions=outputs) for at in range(6)],
    )
    world.answer(world.claim("ben"), 1, 2, 3)
    world.answer(world.claim("ana"), 1, 2, 2)
    slot = world.claim("ana")
    measure_and_keep(project=world.project)
    export = request_export(project=world.project, actor=world.users["mina"], send=False)
    build_export(str(export.job_id))
    export.refresh_from_db()
    run = start_run(export=export, actor=world.users["mina"], trainer="reward", name="run", configuration={})
    issue_token(user=world.users["mina"], name="walk", scopes=["projects:read"])
    group = Group.objects.create(name="walk")
    EmailAddress.objects.create(user=world.users["ana"], email="ana@example.org")
    arguments = {
        "slug": world.project.slug, "code": slot.code, "job_id": export.job_id, "export_id": export.pk, "path": "manifest.json",
        "run_id": run.pk, "key": "some-key", "uidb36": "1", "url": "no-such-page", "content_type_id": 1, "object_id": group.pk,
    }  # fmt: skip
    return Site(world, arguments)


def test_discover(site):
    import time

    t = time.time()
    out = open("/tmp/w/discover.txt", "w")
    for pattern, name in routes().items():
        address = site.address(pattern)
        for method in ("get", "post", "put", "patch", "delete", "options", "head"):
            row = []
            for role in ROLES:
                client = site.client(role)
                with transaction.atomic():
                    r = getattr(client, method)(address)
                    if hasattr(r, "streaming_content"):
                        b"".join(r.streaming_content)
                    transaction.set_rollback(True)
                row.append(r.status_code)
            print(f"{name or pattern:45}", method, *row, address if method == "get" else "", file=out)
    print(time.time() - t, file=out)
