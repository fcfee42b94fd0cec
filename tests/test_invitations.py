"""Invitations, and what people are told by e-mail: who gets what, in which language, and what a dead mail server loses."""

import re
import socket
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone, translation

from annotate.models import Appeal, Decision, Enrolment, Invitation
from annotate.services import enrolments, invitations, notices, way_in
from annotate.tasks import send_notice
from jobs.models import Job
from tests.world import World

Status = Enrolment.Status


@pytest.fixture
def no_mail_server(settings) -> None:
    """A port where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings.EMAIL_PORT = free.getsockname()[1]
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = "django.core.mail.backends.smtp.EmailBackend", "127.0.0.1"


def invite(world: World, *emails: str, **fields) -> list[Invitation]:
    return invitations.invite(project=world.project, actor=world.users["mina"], emails=emails, **fields)


# --- Inviting ---------------------------------------------------------------------------------------------------------


def test_each_address_gets_an_invitation_of_its_own_that_one_person_can_use(world):
    made = invite(world, "li@example.org", " KIM@example.org ", "Li@Example.org", "", most_uses=9)
    assert [(one.email, one.most_uses) for one in made] == [("Li@Example.org", 1), ("KIM@example.org", 1)]
    assert {one.created_by for one in made} == {world.users["mina"]}
    assert made[0].code != made[1].code
    assert way_in.apply(project=world.project, user=world.users["otto"], invitation=made[0]).invitation == made[0]
    assert way_in.usable_invitation(made[0].code) is None
    assert way_in.usable_invitation(made[1].code) == made[1]


def test_a_link_holds_for_so_many_people_and_days(world):
    [link] = invite(world, most_uses=2, days=3)
    assert (link.email, link.most_uses) == ("", 2)
    assert timedelta(days=2, hours=23) < link.expires_at - timezone.now() <= timedelta(days=3)
    way_in.apply(project=world.project, user=world.users["otto"], invitation=link)
    assert way_in.usable_invitation(link.code) == link
    way_in.apply(project=world.project, user=world.users["rita"], invitation=link)
    assert way_in.usable_invitation(link.code) is None


def test_who_is_invited_twice_keeps_the_one_link_for_longer(world):
    [first] = invite(world, "li@example.org", days=2)
    [again] = invite(world, "LI@example.org", days=9)
    assert again == first and again.expires_at - first.created_at > timedelta(days=8)
    [sooner] = invite(world, "li@example.org", days=1)
    assert sooner.expires_at == again.expires_at
    invitations.revoke(invitation=first)
    [new] = invite(world, "li@example.org")
    assert new != first and Invitation.objects.count() == 2


def test_a_revoked_one_lets_nobody_in_and_leaves_those_who_are(world):
    [link] = invite(world, most_uses=2)
    enrolment = way_in.apply(project=world.project, user=world.users["otto"], invitation=link)
    invitations.revoke(invitation=link)
    assert way_in.usable_invitation(link.code) is None
    assert Enrolment.objects.get(pk=enrolment.pk).status == "applied"
    revoked = Invitation.objects.get(pk=link.pk).revoked_at
    invitations.revoke(invitation=link)
    assert Invitation.objects.get(pk=link.pk).revoked_at == revoked


@pytest.mark.parametrize(
    ("emails", "fields", "text"),
    [
        (["li@example.org", "nobody", "x@"], {}, "nobody, x@"),
        ([], {"days": 0}, "1 to 365 days"),
        ([], {"days": 366}, "1 to 365 days"),
        ([], {"most_uses": 0}, "invitation_for_1_to_10000"),
        ([], {"most_uses": 10_001}, "invitation_for_1_to_10000"),
        ([f"p{at}@example.org" for at in range(101)], {}, "At most 100"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_made(world, emails, fields, text):
    with pytest.raises(ValidationError, match=text):
        invite(world, *emails, **fields)
    assert not Invitation.objects.exists()


# --- Sending them -----------------------------------------------------------------------------------------------------


def test_the_e_mail_has_the_link_the_project_and_the_last_day(world, settings):
    settings.PUBLIC_URL = "https://plumbline.example.org"
    [made] = invite(world, "li@example.org")
    assert invitations.send(invitations=[made]) == []
    [sent] = mail.outbox
    assert (sent.to, sent.subject) == (["li@example.org"], "Invitation · Kitchen")
    assert f"https://plumbline.example.org/invitations/{made.code}/" in sent.body
    assert "“Kitchen”" in sent.body and "until" in sent.body


def test_a_name_with_a_line_break_adds_no_header(world):
    world.project.name = "Kitchen\nBcc: all@example.org <b>&"
    world.project.save()
    invitations.send(invitations=invite(world, "li@example.org"))
    [sent] = mail.outbox
    assert sent.subject == "Invitation · Kitchen Bcc: all@example.org <b>&"
    assert sent.recipients() == ["li@example.org"] and "<b>&" in sent.body


def test_a_mail_server_that_is_away_loses_no_invitation_and_it_is_said(world, no_mail_server):
    made = invite(world, "li@example.org", "kim@example.org")
    failed = invitations.send(invitations=made)
    assert [email for email, why in failed] == ["li@example.org", "kim@example.org"]
    assert all("refused" in why for _email, why in failed)
    assert all(way_in.usable_invitation(one.code) for one in made)


def test_the_command_invites_and_prints_the_links(world, no_mail_server):
    out = StringIO()
    asked = ("invite", "--project", "kitchen", "--by", "mina")
    call_command(*asked, "--email", "li@example.org", stdout=out)
    call_command(*asked, "--people", "40", "--days", "3", stdout=out)
    mailed, link = Invitation.objects.order_by("pk")
    assert (mailed.email, link.most_uses) == ("li@example.org", 40)
    first, second = out.getvalue().splitlines()
    assert str(mailed.code) in first and "not sent" in first and "refused" in first
    assert second.startswith("for 40") and str(link.code) in second


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--project", "none", "--by", "mina"], "no project none"),
        (["--project", "kitchen", "--by", "none"], "no user none"),
        (["--project", "kitchen", "--by", "mina", "--email", "x"], "No e-mail address: x"),
    ],
)
def test_what_the_command_cannot_do_it_says(world, words, text):
    with pytest.raises(CommandError, match=text):
        call_command("invite", *words)


# --- An account ---------------------------------------------------------------------------------------------------------

NEW = {"username": "li", "password1": "lapis-2731-q", "password2": "lapis-2731-q", "email": ""}


def test_who_has_an_invitation_and_no_account_makes_one_and_comes_to_the_project(world):
    [link] = invite(world)
    client = Client()
    sign_in = client.get(f"/invitations/{link.code}/", follow=True)
    assert sign_in.request["PATH_INFO"] == "/accounts/login/"
    [path] = re.findall(r'href="(/accounts/signup/[^"]+)"', sign_in.text)
    page = client.get(path)
    assert page.status_code == 200 and f'value="/invitations/{link.code}/"' in page.text
    made = client.post("/accounts/signup/", NEW | {"next": f"/invitations/{link.code}/"}, follow=True)
    assert made.request["PATH_INFO"] == f"/invitations/{link.code}/" and "Kitchen" in made.text
    client.post(f"/invitations/{link.code}/")
    assert Enrolment.objects.get(annotator__user__username="li").invitation == link


@pytest.mark.parametrize("gone", ["revoked", "over", "used", "unknown", "elsewhere", "none"])
def test_without_a_usable_invitation_nobody_makes_an_account(world, gone):
    [link] = invite(world)
    follows = f"/invitations/{link.code}/"
    if gone == "revoked":
        invitations.revoke(invitation=link)
    elif gone == "over":
        Invitation.objects.update(expires_at=timezone.now())
    elif gone == "used":
        way_in.apply(project=world.project, user=world.users["otto"], invitation=link)
    else:
        follows = {"unknown": f"/invitations/{uuid4()}/", "elsewhere": "/projects/", "none": ""}[gone]
    assert "by invitation" in Client().get("/accounts/signup/", {"next": follows}).text
    assert "by invitation" in Client().post("/accounts/signup/", NEW | {"next": follows}).text
    assert not User.objects.filter(username="li").exists()


@pytest.mark.parametrize("follows", ["https://elsewhere.example.org/invitations/", "//x", "\x00", "/invitations/x/"])
def test_odd_addresses_that_would_follow_open_nothing(world, follows):
    assert "by invitation" in Client().get("/accounts/signup/", {"next": follows}).text


# --- Notices ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def ana(world) -> Enrolment:
    world.users["ana"].email = "ana@example.org"
    world.users["ana"].save()
    return Enrolment.objects.get(annotator=world.annotator("ana"))


def run_jobs() -> list[Job]:
    jobs = list(Job.objects.filter(kind=notices.JOB, state=Job.State.QUEUED).order_by("created_at"))
    for job in jobs:
        send_notice(str(job.pk))
        job.refresh_from_db()
    return jobs


def test_who_is_paused_and_restored_is_told_why(world, ana, settings):
    settings.PUBLIC_URL = "https://plumbline.example.org"
    mina = world.users["mina"]
    enrolments.move(enrolment=ana, to=Status.PAUSED, actor=mina, reason="Too <fast>.")
    enrolments.move(enrolment=ana, to=Status.APPROVED, actor=mina, reason="Well then.")
    assert [job.state for job in run_jobs()] == ["succeeded", "succeeded"]
    paused, restored = mail.outbox
    assert (paused.to, paused.subject) == (["ana@example.org"], "Kitchen · paused")
    assert "Too <fast>." in paused.body and "appeal" in paused.body
    assert "https://plumbline.example.org/projects/kitchen/" in paused.body
    assert restored.subject == "Kitchen · restored" and "appeal" not in restored.body


def test_chinese_goes_to_who_names_it_first_among_the_native_languages(world, ana):
    ana.annotator.native_languages = ["zh-Hans", "en"]
    ana.annotator.save()
    assert notices.language_of(ana.annotator) == "zh-hans"
    ana.annotator.native_languages = ["en", "zh"]
    assert notices.language_of(ana.annotator) == "en"
    ana.annotator.native_languages = []
    assert notices.language_of(ana.annotator) == "en"
    enrolments.move(enrolment=ana, to=Status.PAUSED, actor=world.users["mina"])
    run_jobs()
    with translation.override("zh-hans"):
        label = str(Decision.Kind.PAUSE.label)
    assert mail.outbox[0].subject == f"Kitchen · {label}"


def test_other_decisions_and_people_without_an_address_are_not_written_to(world, ana):
    mina = world.users["mina"]
    enrolments.move(enrolment=ana, to=Status.TRAINING, actor=mina, reason="Once more.")
    ben = Enrolment.objects.get(annotator=world.annotator("ben"))
    enrolments.move(enrolment=ben, to=Status.PAUSED, actor=mina)
    assert run_jobs() == []


def test_the_reply_to_an_appeal_is_told(world, ana):
    paused = enrolments.move(enrolment=ana, to=Status.PAUSED, actor=world.users["mina"], reason="Too fast.")
    appeal = Appeal.objects.create(
        decision=paused,
        text="No.",
        outcome="granted",
        reply="You are right.",
        replied_by=world.users["ada"],
        replied_at=timezone.now(),
    )
    run_jobs()
    notices.of_reply(appeal)
    run_jobs()
    assert mail.outbox[1].subject == "Kitchen · granted"
    assert "You are right." in mail.outbox[1].body and "It was granted." in mail.outbox[1].body


def test_a_mail_server_that_is_away_stops_no_decision_and_the_job_says_so(world, ana, no_mail_server):
    enrolments.move(enrolment=ana, to=Status.PAUSED, actor=world.users["mina"])
    [job] = run_jobs()
    assert (job.state, Enrolment.objects.get(pk=ana.pk).status) == ("failed", "paused")
    assert "refused" in job.error
