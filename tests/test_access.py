"""Who may reach what: every route of the site, walked as everybody, with every method."""

import re
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.contrib.auth.models import Group
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import get_resolver, reverse
from django.utils import timezone

from annotate.models import (
    Acknowledgement,
    Answer,
    ApiToken,
    Appeal,
    Attempt,
    Batch,
    Decision,
    DemonstrationRating,
    Draft,
    Feedback,
    Flag,
    GoldAnswer,
    GoldResult,
    HelpRequest,
    Invitation,
    LanguageTest,
    Question,
    ResearcherAnswer,
    Review,
    Rule,
    Slot,
    Task,
    VettingStep,
)
from annotate.questions import Given
from annotate.services.adjudication import adjudicate
from annotate.services.agreement import measure_and_keep
from annotate.services.ledger import submit
from annotate.services.tasks import NewCompletion, NewTask, add_tasks
from annotate.services.tokens import hashed, issue_token, revoke_token
from curation.models import Export, ExportCopy, TrainingRun
from curation.services import coverage, webhooks
from curation.services.delivery import make_link
from curation.services.exports import request_export
from curation.services.training import start_run
from curation.tasks import build_export
from tests import library
from tests.known import order
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
    arguments: dict[str, Any]
    particular: dict[str, dict[str, Any]]  # arguments of single routes, by name
    sft: Export

    def client(self, role: str) -> Client:
        client = Client(raise_request_exception=False)
        if role != "stranger":
            client.force_login(self.world.users[role])
        return client

    def address(self, pattern: str) -> str:
        """The address of a route, with arguments that lead to rows of this world."""
        found = pattern
        model = re.match(r"admin/(\w+)/(\w+)/", pattern)
        if model and "<" in pattern:
            row = apps.get_model(*model.groups()).objects.order_by("pk").first()
            pattern = re.sub("<[^>]*>", quote(str(row.pk), safe=""), pattern)
        pattern = pattern.replace(r"(?P<app_label>auth|account|jobs|annotate|curation)", "annotate")
        pattern = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", pattern)
        arguments = self.arguments | self.particular.get(routes().get(found, ""), {})
        return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda name: str(arguments[name[1]]), pattern).translate(
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
    of_the_admin(world, slot)
    measure_and_keep(project=world.project)
    export = request_export(project=world.project, actor=world.users["mina"], send=False)
    build_export(str(export.job_id))
    export.refresh_from_db()
    run = start_run(export=export, actor=world.users["mina"], trainer="reward", name="run", configuration={})
    issue_token(user=world.users["mina"], name="walk", scopes=["projects:read"])
    group = Group.objects.create(name="walk")
    EmailAddress.objects.create(user=world.users["ana"], email="ana@example.org")
    data = library.dataset(library.rows(6), actor=world.users["mina"], id_column="id")
    failed = library.dataset(b"{broken", actor=world.users["mina"], name="failed")
    template = library.template(data, actor=world.users["mina"])
    instances = library.instances(data, template, actor=world.users["mina"])
    for one in (instances, None):
        coverage.request_report(instance_set=one, actor=world.users["mina"], send=False)
    sft = library.sft_export(instances, actor=world.users["mina"])
    start_run(export=sft, actor=world.users["mina"], trainer="sft", name="sft run", configuration={})
    arguments = {
        "slug": world.project.slug, "code": slot.code, "letter": "A", "job_id": export.job_id, "export_id": export.pk, "path": "manifest.json",
        "dataset_id": data.pk, "template_id": template.pk, "set_id": instances.pk,
        "run_id": run.pk, "key": "some-key", "uidb36": "1", "url": "no-such-page", "content_type_id": 1, "object_id": group.pk, "rest": "1/1/",
    }  # fmt: skip
    particular = {"dataset_remove": {"dataset_id": failed.pk}, "review": {"answer_id": written(world).pk}}
    particular |= {name: {"pk": HelpRequest.objects.get().pk} for name in ("help_answer", "help_seen")}
    particular |= {"flag_resolve": {"pk": Flag.objects.get().pk}, "language_test": {"language": "en"}}
    particular |= {"invitation": {"code": Invitation.objects.latest("pk").code}}
    particular |= {"gold_case": {"task": world.tasks(1, purpose="gold")[0].pk}}
    particular |= {"mark": {"answer": written_in_the_test(world).pk}}
    arguments |= of_delivery(world, export)
    arguments |= {"question": world.project.preference_question.key, "task": decided(world).pk}
    return Site(world, arguments, particular | people(world), sft)


def written(world: World) -> Answer:
    """A piece of written work of ben's that waits for review."""
    question = Question.objects.create(
        project=world.project, key="written", kind=Question.Kind.DEMONSTRATION, text="Write.", current=False
    )
    given = Given(question, value={"text": "Which is which.", "from": None})
    return submit(slot=world.claim("ben"), answers=[given], idempotency_key=uuid4()).answers.get()


def people(world: World) -> dict[str, dict[str, Any]]:
    """Of ana a decision to appeal, an appeal that waits and a comment on her work; and a calibration round."""
    ana, mina = world.annotator("ana"), world.users["mina"]
    warned = {
        "enrolment": ana.enrolments.get(),
        "kind": "warn",
        "before": "approved",
        "after": "approved",
        "actor": mina,
    }
    first, second = (Decision.objects.create(**warned, reason="Read it again.") for _ in range(2))
    appeal = Appeal.objects.create(decision=second, text="I did.")
    annotation = Slot.objects.filter(holder=ana, status="submitted").earliest("pk").current_annotation
    comment = Feedback.objects.create(annotation=annotation, author=world.users["rita"], text="Look again.")
    world.tasks(1, purpose="calibration")
    by_name: dict[str, dict[str, Any]] = {
        name: {"pseudonym": ana.pseudonym} for name in ("annotator", "annotator_decide", "person_exports")
    }
    by_name |= {name: {"batch": 0} for name in ("calibration_round", "calibration_open")}
    by_name |= {"appeal": {"pk": first.pk}, "appeal_reply": {"pk": appeal.pk}, "feedback_seen": {"pk": comment.pk}}
    return by_name | {"comment": {"annotation": annotation.pk}}


def written_in_the_test(world: World) -> Answer:
    """A piece that ben wrote in the test, which waits for marks."""
    [task] = world.tasks(1, purpose="test")
    now = timezone.now()
    slot = Slot.objects.create(
        project=world.project, task=task, route=task.route, rank=task.rank, holder=world.annotator("ben"), status="leased",
        code=uuid4(), claimed_at=now, leased_until=now + timedelta(hours=1),
    )  # fmt: skip
    given = Given(world.project.questions.get(key="written"), value={"text": "Which is which.", "from": None})
    return submit(slot=slot, answers=[given], idempotency_key=uuid4()).answers.get()


def of_delivery(world: World, export: Export) -> dict[str, Any]:
    """A link to the export, its copy in object storage, and a webhook to which something was sent."""
    ExportCopy.objects.create(export=export, folder=export.name)
    link, _token = make_link(export=export, actor=world.users["mina"])
    made = {"url": "https://example.org/", "events": ["export.built"], "actor": world.users["mina"]}
    webhook = webhooks.make_webhook(project=world.project, **made)
    delivery = webhooks.test(webhook=webhook)
    return {"link_id": link.pk, "webhook_id": webhook.pk, "delivery_id": delivery.pk}


def decided(world: World) -> Task:
    """A task on which two people have answered, and mina has decided."""
    task, question = world.project.tasks.earliest("pk"), world.project.preference_question
    made = {"outcome": "ambiguous", "rationale": "Both will do."}
    adjudicate(task=task, question=question, reviewer=world.users["mina"], **made)
    return task


def of_the_admin(world: World, slot: Slot) -> None:
    """A row of each kind that the admin only shows, or changes."""
    project, mina = world.project, world.users["mina"]
    Rule.objects.create(project=project, key="true", text="Be true.")
    Batch.objects.create(project=project, name="first")
    Draft.objects.create(slot=slot, fields={})
    Review.objects.create(answer=Answer.objects.earliest("pk"), decision="accept", reviewer=mina, sampling_rate=1)
    HelpRequest.objects.create(project=project, slot=slot, asker=world.users["ana"], text="May I?")
    Flag.objects.create(slot=slot, kind=Flag.Kind.BROKEN)
    expires_at = timezone.now() + timedelta(days=1)
    Invitation.objects.create(project=project, created_by=mina, expires_at=expires_at, most_uses=9)
    of_vetting(world)


def of_vetting(world: World) -> None:
    """What vetting keeps: a row of each kind."""
    project, mina, enrolment = world.project, world.users["mina"], world.annotator("ben").enrolments.get()
    VettingStep.objects.create(project=project, kind="training")
    Acknowledgement.objects.create(enrolment=enrolment, guideline=project.guidelines.get(current=True))
    Attempt.objects.create(enrolment=enrolment, kind="training", number=1)
    LanguageTest.objects.create(annotator=enrolment.annotator, language="en", version=1, answers=[], right=8, of=16)
    answer, [task] = Answer.objects.earliest("pk"), world.tasks(1, purpose="gold")
    DemonstrationRating.objects.create(answer=answer, reviewer=mina, rating=6)
    known = {"task": task, "question": project.preference_question, "values": order(task, 1, 2, 3)}
    ResearcherAnswer.objects.create(researcher=mina, **known)
    gold = GoldAnswer.objects.create(version=1, agreeing=1, researchers=1, **known)
    GoldResult.objects.create(annotation=answer.annotation, gold=gold, passed=True, share=1)


# What each role gets: stranger, otto (in no project), ana (annotator), rita (reviewer), mina (manager), ada (admin).
EVERYBODY = "200 200 200 200 200 200"
SIGNED_IN = "302 200 200 200 200 200"
TO_LOGIN = "302 302 302 302 302 302"  # or, for those signed in, away from a page for strangers
NO_SUCH = "404 404 404 404 404 404"
NOT_SO = "405 405 405 405 405 405"  # open to all, but not by this method
NOT_SO_PAGE, NOT_SO_API = "302 405 405 405 405 405", "401 405 405 405 405 405"
MAKERS, MAKERS_POST, MAKERS_API = "302 404 404 403 200 200", "302 404 404 403 422 422", "401 404 404 403 400 400"
OVERSEERS, OVERSEERS_API = "302 404 404 200 200 200", "401 404 404 200 200 200"
ADMIN, ADMIN_REFUSED = "302 302 302 302 302 200", "302 302 302 302 302 403"
ADMIN_NO_SUCH, ADMIN_NOT_SO = "302 302 302 302 302 404", "302 302 302 302 302 405"

# name: (GET, POST with nothing in it)
EXPECTED = {
    "home": (TO_LOGIN, TO_LOGIN),
    "healthz": (EVERYBODY, NOT_SO),
    "set_language": (TO_LOGIN, TO_LOGIN),  # back to where one came from
    "set_theme": (NOT_SO, TO_LOGIN),
    "job_progress": ("302 404 404 404 200 200", NOT_SO_PAGE),
    "job_cancel": (NOT_SO_PAGE, "302 404 404 404 302 302"),
    "projects": (SIGNED_IN, NOT_SO_PAGE),
    "project_new": ("302 403 403 403 403 200", "302 403 403 403 403 422"),
    "project": ("302 404 200 200 200 200", NOT_SO_PAGE),
    "ask": (NOT_SO_PAGE, "302 404 422 404 404 404"),
    "help_requests": ("302 404 403 200 200 200", NOT_SO_PAGE),
    "help_answer": (NOT_SO_PAGE, "302 404 403 403 422 422"),
    "help_seen": (NOT_SO_PAGE, "302 404 302 404 404 404"),
    "guideline": ("302 404 200 200 200 200", NOT_SO_PAGE),
    "reopening": ("302 404 403 403 200 200", "302 404 403 403 302 302"),
    "flag": (NOT_SO_PAGE, "302 404 422 404 404 404"),
    "flags": ("302 404 403 200 200 200", NOT_SO_PAGE),
    "flag_resolve": (NOT_SO_PAGE, "302 404 403 403 422 422"),
    "reviews": ("302 404 403 200 200 200", NOT_SO_PAGE),
    "review": ("302 404 403 200 200 200", "302 404 403 422 422 422"),
    "adjudication": ("302 404 403 200 200 200", NOT_SO_PAGE),
    "case": ("302 404 403 200 200 200", "302 404 403 422 422 422"),
    "annotators": ("302 404 403 200 200 200", "302 404 403 403 422 422"),
    "annotator": ("302 404 403 200 200 200", NOT_SO_PAGE),
    "annotator_decide": (NOT_SO_PAGE, "302 404 403 403 422 422"),
    "standing": ("302 404 200 403 403 403", NOT_SO_PAGE),
    "appeal": (NOT_SO_PAGE, "302 404 422 403 403 403"),
    "appeals": ("302 404 403 403 200 200", NOT_SO_PAGE),
    "appeal_reply": (NOT_SO_PAGE, "302 404 403 403 422 422"),
    "comment": ("302 404 403 200 200 200", "302 404 403 422 422 422"),
    "feedback_seen": (NOT_SO_PAGE, "302 404 302 404 404 404"),
    "calibration": ("302 404 200 200 200 200", "302 404 403 403 422 422"),
    "calibration_round": ("302 404 200 200 200 200", NOT_SO_PAGE),
    "calibration_open": (NOT_SO_PAGE, "302 404 302 403 403 403"),
    "vetting_setup": (OVERSEERS, MAKERS_POST),
    "gold": (OVERSEERS, MAKERS_POST),
    "gold_case": (OVERSEERS, MAKERS_POST),
    "marks": (OVERSEERS, NOT_SO_PAGE),
    "mark": (OVERSEERS, "302 404 404 422 422 422"),
    "mine": ("302 404 200 403 403 403", NOT_SO_PAGE),
    "decisions_seen": (NOT_SO_PAGE, "302 404 302 403 403 403"),
    "my_settings": (SIGNED_IN, "302 403 302 403 403 403"),
    "agreement": ("302 404 403 200 200 200", NOT_SO_PAGE),
    "agreement_pair": ("302 404 403 404 404 404", NOT_SO_PAGE),  # of whom, the address does not say
    "measure": (NOT_SO_PAGE, "302 404 403 302 302 302"),
    "claim": (NOT_SO_PAGE, "302 404 302 403 403 403"),
    "apply": ("302 404 302 404 404 404", "302 404 302 404 404 404"),  # it takes no applications; who is in is led on
    "invitation": ("302 200 302 200 200 200", TO_LOGIN),
    "way_in": ("302 404 200 403 403 403", NOT_SO_PAGE),
    "way_in_profile": (NOT_SO_PAGE, "302 404 404 403 403 403"),  # the project asks for none
    "way_in_guideline": (NOT_SO_PAGE, "302 404 302 403 403 403"),
    "training_feedback": ("302 404 404 404 404 404", NOT_SO_PAGE),  # the slot is of no training
    "language_test": ("302 403 200 403 403 403", "302 403 422 403 403 403"),
    "work": ("302 404 200 404 404 404", NOT_SO_PAGE),
    "submit": (NOT_SO_PAGE, "302 404 422 404 404 404"),
    "skip": (NOT_SO_PAGE, "302 404 302 404 404 404"),
    "draft": (NOT_SO_PAGE, "302 404 422 404 404 404"),
    "release": (NOT_SO_PAGE, "302 404 302 404 404 404"),
    "compare": ("302 404 200 404 404 404", NOT_SO_PAGE),
    "raw": ("302 404 200 404 404 404", NOT_SO_PAGE),
    "datasets": (OVERSEERS, NOT_SO_PAGE),
    "dataset_import": (MAKERS, MAKERS_POST),
    "dataset": (OVERSEERS, NOT_SO_PAGE),
    "dataset_about": (MAKERS, MAKERS_POST),
    "dataset_remove": (NOT_SO_PAGE, "302 404 404 403 302 302"),
    "templates_import": (MAKERS, MAKERS_POST),
    "template_new": (MAKERS, MAKERS),  # a POST that does not say `save` is a preview
    "template": (OVERSEERS, NOT_SO_PAGE),
    "instances_new": (NOT_SO_PAGE, "302 404 404 403 302 302"),
    "instances": (OVERSEERS, NOT_SO_PAGE),
    "instances_to_tasks": (NOT_SO_PAGE, MAKERS_POST),
    "instances_report": (OVERSEERS, "302 404 404 403 302 302"),
    "all_report": (OVERSEERS, "302 404 404 403 302 302"),
    "templates_catalogue": (MAKERS, NOT_SO_PAGE),
    "exports": (SIGNED_IN, NOT_SO_PAGE),
    "project_export_new": (MAKERS, MAKERS_POST),
    "sft_export_new": (MAKERS, MAKERS_POST),
    "export": (OVERSEERS, NOT_SO_PAGE),
    "export_repeat": (NOT_SO_PAGE, "302 404 404 403 302 302"),
    "export_revoke": (NOT_SO_PAGE, "302 404 404 403 302 302"),
    "export_row": (OVERSEERS, NOT_SO_PAGE),
    "person_exports": (OVERSEERS, "302 404 404 403 403 422"),
    "export_archive": (OVERSEERS, NOT_SO_PAGE),
    "export_file": (OVERSEERS, NOT_SO_PAGE),
    "export_copy_again": (NOT_SO_PAGE, "302 404 404 302 302 302"),
    "link_new": (NOT_SO_PAGE, "302 404 404 422 422 422"),
    "link_revoke": (NOT_SO_PAGE, "302 404 404 302 302 302"),
    "signed_download": (NO_SUCH, NOT_SO),  # without the token, which no page shows again
    "webhooks": (MAKERS, MAKERS_POST),
    "webhook": (MAKERS, NOT_SO_PAGE),
    "webhook_test": (NOT_SO_PAGE, "302 404 404 403 302 302"),
    "webhook_switch": (NOT_SO_PAGE, "302 404 404 403 302 302"),
    "webhook_again": (NOT_SO_PAGE, "302 404 404 403 302 302"),
    "training_run": (OVERSEERS, NOT_SO_PAGE),
    "api_projects": ("401 200 200 200 200 200", NOT_SO_API),
    "api_project_agreement": ("401 404 403 200 200 200", NOT_SO_API),
    "api_project_agreement_detail": ("401 404 403 200 200 200", NOT_SO_API),
    "api_project_annotators": ("401 404 403 200 200 200", NOT_SO_API),
    "api_project_consensus": ("401 404 403 200 200 200", NOT_SO_API),
    "api_project_judgements": (NOT_SO_API, "401 404 403 403 400 400"),
    "api_datasets": ("401 200 200 200 200 200", MAKERS_API),
    "api_dataset": (OVERSEERS_API, NOT_SO_API),
    "api_dataset_rows": (OVERSEERS_API, NOT_SO_API),
    "api_templates": ("401 200 200 200 200 200", MAKERS_API),
    "api_templates_import": (NOT_SO_API, MAKERS_API),
    "api_instance_sets": ("401 200 200 200 200 200", MAKERS_API),
    "api_instance_set": (OVERSEERS_API, NOT_SO_API),
    "api_instances": (OVERSEERS_API, NOT_SO_API),
    "api_instances_report": (OVERSEERS_API, "401 404 404 403 201 201"),
    "api_report": (OVERSEERS_API, "401 404 404 403 201 201"),
    "api_instance_tasks": (NOT_SO_API, MAKERS_API),
    "api_exports": ("401 200 200 200 200 200", "401 400 400 400 400 400"),
    "api_export": (OVERSEERS_API, NOT_SO_API),
    "api_export_row": ("401 404 404 404 404 404", NOT_SO_API),
    "api_export_archive": (OVERSEERS_API, NOT_SO_API),
    "api_export_file": (OVERSEERS_API, NOT_SO_API),
    "api_links": (OVERSEERS_API, "401 404 404 201 201 201"),
    "api_link_revoke": (NOT_SO_API, "401 404 404 204 204 204"),
    "api_webhooks": ("401 404 404 403 200 200", MAKERS_API),
    "api_webhook": ("401 404 404 403 200 200", MAKERS_API),
    "api_deliveries": ("401 404 404 403 200 200", "401 404 404 403 202 202"),
    "api_delivery_again": (NOT_SO_API, "401 404 404 403 204 204"),
    "api_runs": (NOT_SO_API, "401 400 400 400 400 400"),
    "api_run_metrics": (NOT_SO_API, "401 404 404 404 400 404"),
    "api_run_finish": (NOT_SO_API, "401 404 404 404 400 404"),
    "api_schema": ("401 200 200 200 200 200", NOT_SO_API),
    "api_docs": ("401 200 200 200 200 200", NOT_SO_API),
    "account_login": ("200 302 302 302 302 302", "200 302 302 302 302 302"),
    "account_logout": (SIGNED_IN, TO_LOGIN),
    "account_inactive": (EVERYBODY, NOT_SO),
    "account_signup": ("200 302 302 302 302 302", "200 302 302 302 302 302"),
    "account_reauthenticate": (SIGNED_IN, SIGNED_IN),
    "account_email": (SIGNED_IN, TO_LOGIN),
    "account_email_verification_sent": (EVERYBODY, NOT_SO),
    "account_change_password": (SIGNED_IN, SIGNED_IN),
    "account_set_password": (TO_LOGIN, TO_LOGIN),
    "account_reset_password": (EVERYBODY, EVERYBODY),
    "account_confirm_login_code": (TO_LOGIN, TO_LOGIN),
    "account_confirm_email": (EVERYBODY, NO_SUCH),
    "account_reset_password_from_key_done": (EVERYBODY, NOT_SO),
    "account_reset_password_from_key": (EVERYBODY, EVERYBODY),
    "account_reset_password_done": (EVERYBODY, NOT_SO),
    "admin:index": (ADMIN, ADMIN),
    "admin:login": ("302 403 403 403 403 302", "302 403 403 403 403 200"),
    "admin:logout": (ADMIN_NOT_SO, ADMIN),
    "admin:password_change": (ADMIN, ADMIN),
    "admin:password_change_done": (ADMIN, ADMIN_NOT_SO),
    "admin:autocomplete": (ADMIN_REFUSED, ADMIN_NOT_SO),
    "admin:jsi18n": (ADMIN, ADMIN_NOT_SO),
    "admin:view_on_site": ("302 404 404 404 404 404", "302 404 404 404 404 404"),
    "admin/r/<path:rest>": ("302 404 404 404 404 404", "302 404 404 404 404 404"),
    "admin:app_list": (ADMIN, ADMIN),
    "admin:auth_user_password_change": (ADMIN, ADMIN),
    "admin:annotate_annotator_change": (ADMIN, TO_LOGIN),  # all that is in these two forms may be left empty
    "admin:annotate_enrolment_change": (ADMIN, TO_LOGIN),
    "admin/(?P<url>.*)$": (ADMIN_NO_SUCH, ADMIN_NO_SUCH),
}
# What an admin may do with rows by hand; all else in the admin is to look at.
ADMIN_MAY = {
    "auth_group": "add change delete", "auth_user": "add change delete", "account_emailaddress": "add change delete",
    "annotate_project": "add change", "annotate_guideline": "add", "annotate_enrolment": "add change", "annotate_apitoken": "add",
    "curation_export": "add", "jobs_job": "", "annotate_question": "add change", "annotate_rule": "add change", "annotate_batch": "add change",
    "annotate_annotator": "change", "annotate_task": "", "annotate_draft": "", "annotate_review": "",
    "annotate_helprequest": "", "annotate_flag": "",
    "annotate_completionsource": "", "annotate_slot": "", "annotate_annotation": "", "annotate_agreement": "",
    "annotate_consensus": "", "annotate_adjudication": "", "annotate_invitation": "add", "annotate_decision": "",
    "annotate_acknowledgement": "", "annotate_attempt": "", "annotate_appeal": "", "annotate_feedback": "", "annotate_vettingstep": "",
    "annotate_languagetest": "", "annotate_researcheranswer": "", "annotate_goldanswer": "", "annotate_goldresult": "",
    "annotate_demonstrationrating": "",
    "curation_trainingrun": "", "curation_dataset": "add change", "curation_template": "", "curation_instanceset": "",
}  # fmt: skip


def expected(pattern: str, name: str) -> tuple[str, str]:
    """What GET and POST give each role. KeyError for a route that nobody has considered."""
    key = name if name.split(":")[-1] else pattern
    if key in EXPECTED:
        return EXPECTED[key]
    _, app, model, *deed = pattern.split("/")
    may = ADMIN_MAY[f"{app}_{model}"].split()
    if deed == ["<path:object_id>", ""]:
        return TO_LOGIN, TO_LOGIN
    deed = deed[-2] if len(deed) > 1 else ""
    if deed == "change" and deed not in may:
        return ADMIN, ADMIN_REFUSED  # to look at only
    return (ADMIN_REFUSED, ADMIN_REFUSED) if deed in ("add", "delete") and deed not in may else (ADMIN, ADMIN)


def test_every_route_is_in_the_table_and_the_table_has_no_others():
    walked = routes()
    for pattern, name in walked.items():
        expected(pattern, name)
    assert EXPECTED.keys() <= {*walked, *walked.values()}
    assert all(f"admin:{model}_changelist" in walked.values() for model in ADMIN_MAY)


def answer(client: Client, method: str, address: str) -> HttpResponse:
    """Send a request and forget what it changed."""
    cookies = deepcopy(client.cookies)
    posts_json = method == "post" and address.startswith("/api/")
    body = {"data": {}, "content_type": "application/json"} if posts_json else {}
    with transaction.atomic():
        response = getattr(client, method)(address, **body)
        if response.streaming:
            whole = HttpResponse(b"".join(response), status=response.status_code, headers=response.headers)
            for close in response._resource_closers:  # to HEAD a file is opened and not read
                close()
            response = whole
        transaction.set_rollback(True)
    client.cookies = cookies  # signed out again, perhaps
    return response


def complaints(response: HttpResponse, role: str) -> list[str]:
    """What is wrong with any response: names of models in it, a page without a strict policy or with inline script."""
    found, content = [], response.content.decode("latin-1")
    found += [f"shows {secret}" for secret in (MODEL, OUTPUT) if secret in content and role != "ada"]
    if response.headers.get("Content-Type", "").startswith("text/html") and response.content:
        policy = response.headers.get("Content-Security-Policy", "")
        if "default-src 'self'" not in policy or "unsafe" in policy or "*" in policy:
            found.append(f"has the policy “{policy}”")
        scripts = re.findall(r"<script\b([^>]*)>", content)
        if any("src=" not in script and "application/json" not in script for script in scripts):
            found.append("has an inline script")
        if re.search(r"<[^>]+\s(on\w+|style)=[\"']", content) or "javascript:" in content:
            found.append("has an inline handler or style")
    return found


AREAS = ("", "accounts/", "admin/annotate/", "admin/")


def in_area(area: str) -> dict[str, str]:
    """The routes of an area but not of the narrower ones before it."""
    mine = {}
    for pattern, name in routes().items():
        if max((one for one in AREAS if pattern.startswith(one)), key=len) == area:
            mine[pattern] = name
    return mine


@pytest.mark.parametrize("area", AREAS)
def test_every_route_gives_every_role_what_the_table_says(site, settings, area):
    settings.ACCOUNT_RATE_LIMITS = False
    wrong = []
    for at, role in enumerate(ROLES):
        client = site.client(role)
        for pattern, name in in_area(area).items():
            for method, statuses in zip(("get", "post"), expected(pattern, name), strict=True):
                response = answer(client, method, site.address(pattern))
                what = f"{role} {method} {site.address(pattern)}"
                if response.status_code != int(statuses.split()[at]):
                    wrong.append(f"{what}: {response.status_code}, not {statuses.split()[at]}")
                wrong += [f"{what} {complaint}" for complaint in complaints(response, role)]
                if (
                    role == "stranger"
                    and response.status_code == 302
                    and not pattern.startswith(("accounts/", "i18n/"))
                ):
                    assert response.url.startswith(("/accounts/login/", "/admin/login/", "/projects/")), what
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("role", ["stranger", "ana", "ada"])
def test_no_method_on_any_route_ends_in_an_error_of_the_server(site, settings, role):
    settings.ACCOUNT_RATE_LIMITS = False
    client, wrong = site.client(role), []
    for pattern in routes():
        for method in ("put", "patch", "delete", "options", "head"):
            response = answer(client, method, site.address(pattern))
            if response.status_code >= 500:
                wrong.append(f"{method} {site.address(pattern)}: {response.status_code}")
    assert not wrong, "\n".join(wrong)


def test_the_walk_would_see_the_name_of_a_model_and_an_inline_script(site):
    response = answer(site.client("ada"), "get", reverse("admin:annotate_completionsource_changelist"))
    assert MODEL in response.text and OUTPUT in response.text
    assert complaints(response, "ada") == []
    assert complaints(response, "ana") == [f"shows {MODEL}", f"shows {OUTPUT}"]
    loose = HttpResponse(
        "<script>alert(1)</script><p onclick='x()'>", headers={"Content-Security-Policy": "default-src *"}
    )
    assert len(complaints(loose, "ana")) == 3


# --- Forms of the admin -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "form"),
    [
        (
            "annotate_project",
            {"slug": "fresh", "name": "Fresh", "status": "draft", "overlap": 2, "lease_minutes": 30}
            | {"shared_percent": 0, "shared_overlap": 3, "max_overlap": 9, "gold_percent": 0}
            | {"confidence_percent": 90, "gold_new_percent": 0, "gold_new_tasks": 100, "gold_target_percent": 75},
        ),
        ("annotate_rule", {"project": "PROJECT", "key": "kind", "text": "Be kind."}),
        ("annotate_batch", {"project": "PROJECT", "name": "more", "status": "open", "priority": 3}),
        (
            "annotate_question",
            {"project": "PROJECT", "key": "why", "kind": "text", "scope": "task", "text": "Why?", "settings": "{}"},
        ),
        ("annotate_guideline", {"project": "PROJECT", "text": "Be *kind*."}),
        ("annotate_enrolment", {"project": "PROJECT", "user": "OTTO"}),
        ("annotate_invitation", {"project": "PROJECT", "people": 3, "days": 14}),
        ("annotate_apitoken", {"user": "OTTO", "name": "mine", "scopes": ["projects:read"]}),
        (
            "curation_export",
            {"project": "PROJECT", "kind": "ranking", "unit": "consensus", "shape": "oasst", "ties": "drop"}
            | {"reliability": "equal", "test_share": "0.1", "salt": "x"},
        ),
        (
            "auth_user",
            {"username": "new", "usable_password": "true", "password1": "lapis-2731", "password2": "lapis-2731"},
        ),
    ],
)
def test_what_the_admin_offers_to_add_can_be_added(site, model, form):
    known = {"PROJECT": site.world.project.pk, "OTTO": site.world.users["otto"].pk}
    inline = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    form = {key: known.get(value, value) if isinstance(value, str) else value for key, value in form.items()} | inline
    kind = apps.get_model(*model.split("_"))
    before = kind.objects.count()
    response = site.client("ada").post(reverse(f"admin:{model}_add"), form)
    assert response.status_code == 302, response.content.decode()
    assert kind.objects.count() == before + 1


# --- Tokens and cookies -----------------------------------------------------------------------------------------------

# Each endpoint with the scope that opens it, asked by a manager, and what it then answers.
ENDPOINTS = [
    ("get", "api_projects", "projects:read", 200),
    ("get", "api_project_agreement", "projects:read", 200),
    ("get", "api_project_agreement_detail", "projects:read", 200),
    ("get", "api_project_annotators", "projects:read", 200),
    ("get", "api_project_consensus", "projects:read", 200),
    ("post", "api_project_judgements", "judgements:write", 400),
    ("get", "api_datasets", "datasets:read", 200),
    ("post", "api_datasets", "datasets:write", 400),
    ("get", "api_dataset", "datasets:read", 200),
    ("get", "api_dataset_rows", "datasets:read", 200),
    ("get", "api_templates", "datasets:read", 200),
    ("post", "api_templates", "datasets:write", 400),
    ("post", "api_templates_import", "datasets:write", 400),
    ("get", "api_instance_sets", "datasets:read", 200),
    ("post", "api_instance_sets", "datasets:write", 400),
    ("get", "api_instance_set", "datasets:read", 200),
    ("get", "api_instances", "datasets:read", 200),
    ("get", "api_instances_report", "datasets:read", 200),
    ("post", "api_instances_report", "datasets:write", 201),
    ("get", "api_report", "datasets:read", 200),
    ("post", "api_report", "datasets:write", 201),
    ("post", "api_instance_tasks", "datasets:write", 400),
    ("get", "api_exports", "exports:read", 200),
    ("post", "api_exports", "exports:write", 400),
    ("get", "api_export", "exports:read", 200),
    ("get", "api_export_row", "exports:read", 404),  # without the name of a row
    ("get", "api_export_archive", "exports:read", 200),
    ("get", "api_export_file", "exports:read", 200),
    ("get", "api_links", "exports:read", 200),
    ("post", "api_links", "exports:write", 201),
    ("post", "api_link_revoke", "exports:write", 204),
    ("get", "api_webhooks", "exports:read", 200),
    ("post", "api_webhooks", "exports:write", 400),
    ("get", "api_webhook", "exports:read", 200),
    ("post", "api_webhook", "exports:write", 400),
    ("get", "api_deliveries", "exports:read", 200),
    ("post", "api_deliveries", "exports:write", 202),
    ("post", "api_delivery_again", "exports:write", 204),
    ("post", "api_runs", "training:write", 400),
    ("post", "api_run_metrics", "training:write", 400),
    ("post", "api_run_finish", "training:write", 400),
]
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.mark.parametrize("scope", ["", *ApiToken.Scope.values])
def test_a_scope_opens_its_own_endpoints_and_no_others(site, scope):
    header = site.world.token("mina", scope or "projects:read")
    if not scope:
        ApiToken.objects.filter(name="test").update(scopes=[])
    client = Client(raise_request_exception=False, headers=header)
    patterns = {name: pattern for pattern, name in routes().items()}
    got = {
        (method, name): answer(client, method, site.address(patterns[name])).status_code
        for name in patterns
        if name.startswith("api_") and name not in ("api_schema", "api_docs")
        for method in METHODS
    }
    opened = {(method, name): status for method, name, needed, status in ENDPOINTS if needed == scope}
    assert got == dict.fromkeys(got, 403) | opened


def test_every_endpoint_is_in_the_table_of_scopes():
    known = {name for _, name, _, _ in ENDPOINTS} | {"api_schema", "api_docs"}
    assert {name for name in routes().values() if name.startswith("api_")} == known
    assert {scope for _, _, scope, _ in ENDPOINTS} == set(ApiToken.Scope.values)


def test_an_export_of_instructions_is_for_those_who_oversee_any_project(site):
    header = {name: site.world.token(name, "exports:read") for name in ("otto", "ana", "rita")}
    for name, status in {"otto": 404, "ana": 404, "rita": 200}.items():
        page, api = site.client(name), Client(headers=header[name])
        for path in ("", "archive/", "files/manifest.json"):
            assert answer(page, "get", f"/exports/{site.sft.pk}/{path}").status_code == status, (name, path)
            assert answer(api, "get", f"/api/exports/{site.sft.pk}/{path}").status_code == status, (name, path)
        run = TrainingRun.objects.get(export=site.sft)
        assert answer(page, "get", f"/training-runs/{run.pk}/").status_code == status, name
        shown = {one["kind"] for one in api.get("/api/exports/").json()["results"]}
        assert shown == ({"sft", "preference"} if status == 200 else set()), name


def test_a_scope_gives_no_more_than_the_roles_of_its_owner(site):
    for name, status in {"otto": 404, "ana": 404, "rita": 200}.items():
        header = site.world.token(name, "exports:read")
        assert Client().get(f"/api/exports/{site.arguments['export_id']}/", headers=header).status_code == status, name
    header = site.world.token("rita", "exports:write")
    response = Client().post("/api/exports/", {"project": "kitchen"}, "application/json", headers=header)
    assert response.status_code == 403
    assert Export.objects.count() == 2


def test_a_token_opens_no_pages(world):
    assert Client().get("/projects/", headers=world.token("mina", "projects:read")).status_code == 302


def test_a_token_that_is_revoked_expired_unknown_or_of_an_inactive_user_is_refused(world):
    def status(header: str) -> int:
        response = Client(raise_request_exception=False).get("/api/projects/", headers={"Authorization": header})
        assert response.status_code == 200 or response.headers["WWW-Authenticate"] == "Bearer"
        return response.status_code

    row, token = issue_token(user=world.users["mina"], name="x", scopes=["projects:read"])
    assert status(f"Bearer {token}") == status(f"bearer {token}") == 200
    ApiToken.objects.filter(pk=row.pk).update(expires_at=timezone.now() + timedelta(minutes=1))
    assert status(f"Bearer {token}") == 200
    ApiToken.objects.filter(pk=row.pk).update(expires_at=timezone.now())
    assert status(f"Bearer {token}") == 401
    ApiToken.objects.filter(pk=row.pk).update(expires_at=None)
    world.users["mina"].is_active = False
    world.users["mina"].save()
    assert status(f"Bearer {token}") == 401
    world.users["mina"].is_active = True
    world.users["mina"].save()
    assert status(f"Bearer {token}") == 200
    revoke_token(token=row)
    assert status(f"Bearer {token}") == 401
    wrong = (
        "Bearer",
        "Bearer plb_unknown",
        "Bearer a b",
        f"Token {token}",
        f"Bearer {hashed(token)}",
        "Bearer \xff\xfe",
        "Bearer ü",
    )
    assert [status(header) for header in wrong] == [401] * len(wrong)


def test_the_database_holds_a_token_s_hash_and_neither_it_nor_its_hash_anywhere_else(world):
    response = world.client("ada").post(
        reverse("admin:annotate_apitoken_add"),
        {"user": world.users["mina"].pk, "name": "mine", "scopes": ["exports:read"]},
        follow=True,
    )
    token = re.search(r"plb_[\w-]{43}", response.text)[0]
    Client().get("/api/projects/", headers={"Authorization": f"Bearer {token}"})
    assert ApiToken.objects.get().sha256 == hashed(token)
    rows = {model._meta.label: repr(list(model.objects.values())) for model in apps.get_models()}
    assert [label for label, text in rows.items() if token in text] == []
    assert [label for label, text in rows.items() if hashed(token) in text] == ["annotate.ApiToken"]
    assert token not in world.client("ada").get(reverse("admin:annotate_apitoken_changelist")).text


def test_an_api_request_of_somebody_signed_in_needs_the_csrf_token(world):
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.users["mina"])
    response = client.post("/api/exports/", {"project": "kitchen"}, "application/json")
    assert (response.status_code, Export.objects.count()) == (403, 0)
    assert client.post("/projects/kitchen/measure/").status_code == 403


def test_signing_in_gives_a_cookie_that_scripts_cannot_read(world):
    client = Client()
    wrong = client.post("/accounts/login/", {"login": "ana", "password": "ben"})
    assert (wrong.status_code, "sessionid" in wrong.cookies) == (200, False)
    cookie = client.post("/accounts/login/", {"login": "ana", "password": "ana"}).cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert client.get("/projects/").status_code == 200


def test_nobody_makes_an_account_by_themselves(world):
    form = {"username": "eve", "password1": "lapis-2731-q", "password2": "lapis-2731-q"}
    assert "invitation" in Client().post("/accounts/signup/", form).text
    assert not apps.get_model("auth", "User").objects.filter(username="eve").exists()
