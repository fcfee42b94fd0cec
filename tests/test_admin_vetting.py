"""The admin of who is let in: each action does what its verb does, with a reason; lists cost the same at any length."""

import csv
import re
from datetime import timedelta
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotate.management.commands.enrolment_diagram import WHEN
from annotate.models import (
    Acknowledgement,
    Annotator,
    Answer,
    Appeal,
    Decision,
    DemonstrationRating,
    Enrolment,
    Feedback,
    Invitation,
    LanguageTest,
    Project,
    Slot,
    Task,
)
from annotate.models.projects import TRANSITIONS
from annotate.services import abilities, enrolments, vetting, way_in
from annotate.services.enrolments import AUTOMATIC, enrol
from benchmarks import vetting_replay, vetting_tables
from tests.known import know, known_tasks, step
from tests.test_admin_asking import act, change_page, errors, said
from tests.world import World

Status = Enrolment.Status
ROOT = Path(__file__).resolve().parents[1]
LIST = "/admin/annotate/enrolment/"


@pytest.fixture
def ada(world) -> Client:
    return world.client("ada")


def of(world: World, name: str) -> Enrolment:
    return Enrolment.objects.get(annotator=world.annotator(name))


def decide(client: Client, action: str, *rows: Enrolment, reason: str = "Seen by hand.", **more):
    asked = {"action": action, "_selected_action": [row.pk for row in rows], "reason": reason}
    return client.post(LIST, asked | more, follow=True)


# --- Enrolments -------------------------------------------------------------------------------------------------------


def test_an_action_asks_for_the_reason_before_it_changes_anything(world, ada):
    page = act(ada, "enrolment", "pause", of(world, "ana"))
    assert "ana" in page.text and 'name="reason"' in page.text
    assert of(world, "ana").status == "approved"
    empty = decide(ada, "pause", of(world, "ana"), reason="  ")
    assert (empty.status_code, of(world, "ana").status) == (422, "approved")
    assert "the person reads it" in empty.text
    done = decide(ada, "pause", of(world, "ana"), of(world, "ben"))
    assert "2 changed" in said(done)
    made = Decision.objects.get(enrolment=of(world, "ana"))
    assert (made.kind, made.reason, made.actor) == ("pause", "Seen by hand.", world.users["ada"])


@pytest.mark.parametrize(
    ("before", "action", "after", "kind"),
    [
        ("applied", "approve", "approved", "approve"),
        ("applied", "reject", "rejected", "reject"),
        ("applied", "invite_to_train", "training", "train"),
        ("approved", "invite_to_train", "training", "retrain"),
        ("approved", "pause", "paused", "pause"),
        ("paused", "restore", "approved", "restore"),
        ("rejected", "approve", "approved", "approve"),
    ],
)
def test_each_action_makes_its_decision(world, ada, before, action, after, kind):
    known_tasks(world, 1, Task.Purpose.TRAINING)
    enrolment = Enrolment.objects.create(
        annotator=enrolments.annotator_of(world.users["otto"]), project=world.project, status=before
    )
    decide(ada, action, enrolment)
    assert (of(world, "otto").status, enrolment.decisions.get().kind) == (after, kind)


def test_what_the_diagram_does_not_have_is_said_and_the_others_are_changed(world, ada):
    enrolments.move(enrolment=of(world, "ana"), to=Status.PAUSED, actor=world.users["mina"])
    response = decide(ada, "pause", of(world, "ana"), of(world, "ben"))
    assert "cannot go from paused to paused" in said(response) and "1 changed" in said(response)
    assert of(world, "ben").status == "paused"


def test_nobody_is_invited_to_a_training_without_tasks(world, ada):
    assert "0 changed" in said(decide(ada, "invite_to_train", of(world, "ana")))
    assert of(world, "ana").status == "approved"


def test_restoring_takes_only_those_who_are_paused(world, ada):
    enrolments.move(enrolment=of(world, "ana"), to=Status.PAUSED, actor=world.users["mina"])
    decide(ada, "restore", of(world, "ana"), of(world, "ben"))
    assert [of(world, name).decisions.filter(kind="restore").count() for name in ("ana", "ben")] == [1, 0]
    assert "Nobody of those you chose" in act(ada, "enrolment", "restore", of(world, "ben")).text


def test_all_that_a_filter_finds_can_be_chosen_at_once(world, ada):
    enrolments.move(enrolment=of(world, "ana"), to=Status.PAUSED, actor=world.users["mina"])
    asked = {"action": "restore", "_selected_action": [of(world, "ana").pk], "select_across": 1}
    page = ada.post(f"{LIST}?status__exact=paused", asked)
    assert 'name="select_across" value="1"' in page.text
    ada.post(f"{LIST}?status__exact=paused", asked | {"reason": "All of them."})
    assert (of(world, "ana").status, Enrolment.objects.filter(decisions__reason="All of them.").count()) == (
        "approved",
        1,
    )


def test_who_may_only_look_is_offered_no_action_but_the_file(world):
    reader = User.objects.create_user("reader", password="reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_enrolment"))
    client = world.client("ana")
    client.force_login(reader)
    page = client.get(LIST).text
    assert 'value="as_csv"' in page and 'value="pause"' not in page
    decide(client, "pause", of(world, "ana"))
    assert of(world, "ana").status == "approved"


def shown(client: Client, **query: str) -> set[str]:
    page = client.get(LIST, query)
    assert page.status_code == 200
    return {one.annotator.user.username for one in page.context["cl"].result_list}


def test_the_list_is_filtered_by_what_people_say_of_themselves_and_by_open_appeals(world, ada):
    ana, ben = world.annotator("ana"), world.annotator("ben")
    ana.native_languages, ana.education, ana.levels = ["zh"], "master", {"en": "C1"}
    ana.save()
    ben.verified_levels = {"en": {"level": "B2", "by": "test", "at": "2026-01-01T00:00:00"}}
    ben.save()
    assert shown(ada, language="zh") == {"ana"}
    assert shown(ada, language="en") == {"ana", "ben"}
    assert shown(ada, annotator__education__exact="master") == {"ana"}
    assert shown(ada, status__exact="paused") == set()
    paused = enrolments.move(enrolment=of(world, "ben"), to=Status.PAUSED, actor=world.users["mina"], reason="Fast.")
    appeal = Appeal.objects.create(decision=paused, text="I was not.")
    assert shown(ada, appeal="open") == {"ben"}
    replied = {"outcome": "declined", "reply": "You were.", "replied_by": world.users["ada"]}
    Appeal.objects.filter(pk=appeal.pk).update(**replied, replied_at=timezone.now())
    assert shown(ada, appeal="open") == set()


def test_the_file_has_the_chosen_and_no_cell_is_a_formula(world, ada):
    ana = world.annotator("ana")
    ana.native_languages, ana.levels, ana.time_zone = ["en"], {"zh": "B2"}, "Asia/Shanghai"
    ana.save()
    enrolments.move(enrolment=of(world, "ana"), to=Status.PAUSED, actor=world.users["mina"], reason="=1+1")
    response = act(ada, "enrolment", "as_csv", of(world, "ana"))
    assert response.streaming and response["Content-Type"].startswith("text/csv")
    [row] = csv.DictReader(StringIO(b"".join(response).decode()))
    assert (row["user"], row["status"], row["last_decision"], row["open_appeal"]) == ("ana", "paused", "pause", "no")
    assert (row["reason"], row["levels_declared"], row["native_languages"]) == ("'=1+1", '{"zh": "B2"}', "en")


# --- Annotators -------------------------------------------------------------------------------------------------------


def form_of(annotator: Annotator, **fields: str) -> dict[str, str]:
    return {"languages": ",".join(annotator.languages), "skills": ",".join(annotator.skills)} | fields


def test_a_level_is_verified_by_hand_and_stands_apart_from_what_is_declared(world, ada):
    ana = world.annotator("ana")
    ana.levels = {"en": "C2"}
    ana.save()
    response = ada.post(change_page(ana), form_of(ana, verify_language="EN", verify_level="C1"), follow=True)
    assert response.redirect_chain
    ana.refresh_from_db()
    assert (ana.levels, ana.verified_levels["en"]["level"], ana.verified_levels["en"]["by"]) == (
        {"en": "C2"},
        "C1",
        "ada",
    )
    assert "en C1 (ada, " in ada.get(change_page(ana)).text
    ada.post(change_page(ana), form_of(ana, verify_language="en", verify_level=""))
    ana.refresh_from_db()
    assert ana.verified_levels == {}


@pytest.mark.parametrize(
    ("fields", "field", "text"),
    [
        ({"verify_language": "1", "verify_level": "C1"}, "verify_language", "no code of a language"),
        ({"verify_language": "", "verify_level": "C1"}, "verify_language", "which language"),
        ({"verify_language": "en", "verify_level": "C3"}, "verify_level", "valid choice"),
    ],
)
def test_what_cannot_be_verified_is_said_at_its_field(world, ada, fields, field, text):
    found = errors(ada.post(change_page(world.annotator("ana")), form_of(world.annotator("ana"), **fields)))
    assert text in found[field][0]


def test_who_waited_for_a_verified_level_goes_on(world):
    step(world.project, "profile", languages=[{"language": "en", "level": "C1", "verified": True}])
    step(world.project, "training")
    known_tasks(world, 1, Task.Purpose.TRAINING)
    world.project.open_to_apply = True
    world.project.save()
    enrolment = way_in.apply(project=world.project, user=world.users["otto"])
    way_in.keep_profile(enrolment=enrolment, consent=True, fields={"levels": {"en": "C2"}})
    assert (of(world, "otto").status, way_in.missing(enrolment)) == ("applied", ["eligible"])
    abilities.verify_level(annotator=enrolment.annotator, language="en", level="C1", actor=world.users["ada"])
    assert of(world, "otto").status == "training"


# --- Invitations ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)  # it is sent after the commit
def test_invitations_by_e_mail_and_a_link(world, ada):
    asked = {"project": world.project.pk, "emails": "li@example.org\n\nKim@example.org", "people": 30, "days": 7}
    response = ada.post(reverse("admin:annotate_invitation_add"), asked, follow=True)
    assert "2 e-mails sent" in said(response) and "Hand this link on" in said(response)
    assert sorted(Invitation.objects.values_list("email", "most_uses")) == [
        ("", 30),
        ("Kim@example.org", 1),
        ("li@example.org", 1),
    ]
    assert sorted(one.to[0] for one in mail.outbox) == ["Kim@example.org", "li@example.org"]
    page = ada.get(reverse("admin:annotate_invitation_changelist")).text
    assert "0 / 30" in page and str(Invitation.objects.get(most_uses=30).code) in page


@pytest.mark.parametrize(
    ("fields", "field", "text"),
    [
        ({}, "__all__", "for how many people"),
        ({"emails": "li@example.org\nnobody"}, "emails", "No e-mail address: nobody"),
        ({"people": 0}, "people", "greater than or equal to 1"),
        ({"people": 2, "days": 999}, "days", "less than or equal to 365"),
    ],
)
def test_what_is_wrong_with_an_invitation_stands_at_its_field(world, ada, fields, field, text):
    asked = {"project": world.project.pk, "emails": "", "people": "", "days": 14} | fields
    found = errors(ada.post(reverse("admin:annotate_invitation_add"), asked))
    assert text in found[field][0] and not Invitation.objects.exists()


def test_an_invitation_is_revoked_and_its_e_mail_sent_again(world, ada):
    invitation = Invitation.objects.create(
        project=world.project,
        email="li@example.org",
        created_by=world.users["ada"],
        expires_at=timezone.now() + timedelta(1),
    )
    act(ada, "invitation", "send_again", invitation)
    assert [one.to for one in mail.outbox] == [["li@example.org"]]
    act(ada, "invitation", "revoke", invitation)
    assert way_in.usable_invitation(invitation.code) is None
    act(ada, "invitation", "send_again", invitation)
    assert len(mail.outbox) == 1


# --- Lists ------------------------------------------------------------------------------------------------------------

LISTS = (
    *("annotator", "enrolment", "invitation", "decision", "acknowledgement", "attempt", "appeal", "feedback"),
    *("vettingstep", "languagetest", "researcheranswer", "goldanswer", "goldresult", "demonstrationrating"),
)


def more_rows(world: World, number: int) -> None:
    """One more row of each list."""
    mina, project = world.users["mina"], world.project
    user = User.objects.create_user(f"more{number}")
    enrolment = enrol(project=project, user=user)
    [task] = world.tasks(1, purpose=Task.Purpose.GOLD)
    known = know(world, task, 1, 2, 3)
    assert known
    slot = _slot(enrolment, task)
    annotation = vetting.submit(slot=slot, answers=[world.ranking(slot, 1, 2, 3)], idempotency_key=uuid4())
    enrolments.move(enrolment=enrolment, to=Status.TRAINING, kind=Decision.Kind.RETRAIN, actor=mina, reason="Again.")
    Acknowledgement.objects.create(enrolment=enrolment, guideline=project.guidelines.get(current=True))
    Appeal.objects.create(decision=enrolment.decisions.get(), text="No.")
    Feedback.objects.create(annotation=annotation, author=mina, text="Look again.")
    DemonstrationRating.objects.create(answer=Answer.objects.latest("pk"), reviewer=mina, rating=6)
    LanguageTest.objects.create(annotator=enrolment.annotator, language="en", version=1, answers=[], right=8, of=16)
    Invitation.objects.create(project=project, created_by=mina, expires_at=timezone.now())


def _slot(enrolment: Enrolment, task: Task) -> Slot:
    return Slot.objects.create(
        project=task.project,
        task=task,
        route=task.route,
        rank=task.rank,
        holder=enrolment.annotator,
        status=Slot.Status.LEASED,
        code=uuid4(),
        leased_until=timezone.now() + timedelta(hours=1),
        claimed_at=timezone.now(),
    )


def test_no_list_takes_more_statements_for_more_rows(world, ada):
    for kind in ("guideline", "training", "rankings"):
        step(world.project, kind)
    more_rows(world, 0)
    more_rows(world, 1)
    before = {name: statements(ada, name) for name in LISTS}
    for number in range(2, 8):
        more_rows(world, number)
    assert {name: statements(ada, name) for name in LISTS} == before


def statements(client: Client, name: str) -> int:
    with CaptureQueriesContext(connection) as found:
        page = client.get(reverse(f"admin:annotate_{name}_changelist"))
    assert page.status_code == 200 and page.context["cl"].result_count >= 2
    return len(found)


@pytest.mark.parametrize("name", [name for name in LISTS if name not in ("annotator", "enrolment", "invitation")])
def test_what_vetting_keeps_is_to_look_at_only(world, ada, name):
    step(world.project, "guideline")
    more_rows(world, 0)
    assert ada.get(reverse(f"admin:annotate_{name}_add")).status_code == 403
    model = next(one for one in ada.get(reverse(f"admin:annotate_{name}_changelist")).context["cl"].result_list)
    page = ada.get(reverse(f"admin:annotate_{name}_change", args=[model.pk]))
    assert page.status_code == 200 and 'name="_save"' not in page.text


# --- The diagram ------------------------------------------------------------------------------------------------------


def test_the_page_on_vetting_has_the_diagram_that_the_code_makes():
    out = StringIO()
    call_command("enrolment_diagram", stdout=out)
    page = (ROOT / "docs" / "vetting.md").read_text(encoding="utf-8")
    [inside] = re.findall("<!-- begin diagram -->\n(.*?)\n<!-- end diagram -->", page, re.DOTALL)
    assert inside == out.getvalue().strip()


def test_the_page_on_vetting_has_the_tables_that_the_rules_make():
    page = (ROOT / "docs" / "vetting.md").read_text(encoding="utf-8")
    for name, text in vetting_tables.tables().items():
        assert f"<!-- begin {name} -->\n{text}\n<!-- end {name} -->" in page, "run python -m benchmarks.vetting_tables"


def test_the_tables_and_the_replay_are_of_the_rule_that_pauses():
    assert (vetting_replay.SURE, vetting_replay.MINIMA[0]) == (vetting.SURE, vetting.LEAST_GOLD)
    assert Project._meta.get_field("gold_target_percent").default == 100 * vetting_replay.TARGET


def test_the_diagram_says_when_each_automatic_step_happens():
    assert WHEN.keys() == AUTOMATIC.keys() <= set(TRANSITIONS)


@pytest.mark.parametrize("rule", [None, {"kind": "peers"}, {"kind": "cusum"}, {"kind": "test"}])
def test_no_rule_but_gold_pauses_who_was_let_in(world, rule):
    with pytest.raises(ValueError, match="by the rule"):
        enrolments.move(enrolment=of(world, "ana"), to=Status.PAUSED, rule=rule)
    assert of(world, "ana").status == "approved"
