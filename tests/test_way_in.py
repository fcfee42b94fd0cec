"""The way into a project as its pages show it: applying, the steps, training with its feedback, the test, the decision."""

from datetime import timedelta
from string import ascii_uppercase
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotate.models import Acknowledgement, Annotator, Enrolment, Invitation, Slot, Task
from annotate.services import enrolments, gold, vetting, way_in
from annotate.services.projects import create_project, publish_guideline
from tests.known import choice_question, know, known_tasks, step

pytestmark = pytest.mark.django_db

Status, Purpose = Enrolment.Status, Task.Purpose
RIGHT, WRONG = (1, 2, 3), (3, 2, 1)
PROJECT, APPLY, WAY_IN = "/projects/kitchen/", "/projects/kitchen/apply/", "/projects/kitchen/way-in/"
PROFILE, READ, CLAIM = f"{WAY_IN}profile/", f"{WAY_IN}guideline/", "/projects/kitchen/claim/"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def otto(world) -> Client:
    """Somebody who may apply: the project is open to it."""
    world.project.open_to_apply = True
    world.project.save()
    return world.client("otto")


def enrolment(world, name: str = "otto") -> Enrolment:
    return Enrolment.objects.get(annotator__user=world.users[name])


def profile(*rows: tuple[str, str], **fields) -> dict[str, str]:
    """What the form of the profile sends: languages with their levels, and the rest."""
    sent = {
        "languages-TOTAL_FORMS": str(len(rows)),
        "languages-INITIAL_FORMS": "0",
        "consent": "on",
        "education": "master",
    }
    for at, (language, level) in enumerate(rows):
        sent |= {f"languages-{at}-language": language, f"languages-{at}-level": level}
    return {name: value for name, value in (sent | fields).items() if value is not None}


def take(client: Client) -> Slot:
    """Claim a task with the button."""
    found = client.post(CLAIM)
    return Slot.objects.select_related("task").get(code=UUID(found["Location"].split("/")[-2]))


def send(client: Client, slot: Slot, *tiers: int, **headers):
    """Answer it on the desk: o1, o2, o3 in these tiers, whatever letters they have."""
    place = {output.pk: tier for output, tier in zip(slot.task.completions.order_by("position"), tiers, strict=True)}
    fields = {
        f"overall.tier.{letter}": str(place[output.pk])
        for output, letter in zip(slot.display_order(), ascii_uppercase, strict=False)
    }
    return client.post(f"/projects/kitchen/work/{slot.code}/submit/", fields | {"key": str(uuid4())}, headers=headers)


def letters(slot: Slot) -> list[str]:
    """The letters of o1, o2, o3 as the person sees them."""
    shown = {output.pk: letter for output, letter in zip(slot.display_order(), ascii_uppercase, strict=False)}
    return [shown[output.pk] for output in slot.task.completions.order_by("position")]


# --- Applying ---------------------------------------------------------------------------------------------------------


def test_projects_that_are_open_to_applications_are_listed_for_who_is_not_in_them(world, otto):
    assert f'href="{APPLY}"' in otto.get("/projects/").text
    assert f'href="{APPLY}"' not in world.client("ana").get("/projects/").text
    world.project.status = "paused"
    world.project.save()
    assert f'href="{APPLY}"' not in otto.get("/projects/").text


def test_the_statements_of_the_list_do_not_grow_with_the_projects(world, otto, django_assert_num_queries):
    with CaptureQueriesContext(connection) as before:
        otto.get("/projects/")
    for at in range(5):
        made = create_project(slug=f"open-{at}", name=f"Open {at}")
        made.open_to_apply = True
        made.save()
    with django_assert_num_queries(len(before)):
        page = otto.get("/projects/")
    assert page.text.count("/apply/") == 6


def test_whoever_thinks_of_applying_is_told_what_is_asked_and_which_steps_there_are(world, otto):
    step(
        world.project,
        "profile",
        education="bachelor",
        languages=[{"language": "zh", "level": "B2", "verified": True}],
        topics=["cooking"],
    )
    step(world.project, "flags")
    world.project.harm_categories = ["hate"]
    world.project.save()
    page = otto.get(APPLY)
    for said in ("Rank the outputs from best to worst", "bachelor or more", "Chinese: native, or B2 in the language test.",
                 "cooking", "hate and harassment", "<li>consent and profile</li><li>test</li><li>decision</li>"):  # fmt: skip
        assert said in page.text
    assert not Enrolment.objects.filter(annotator__user=world.users["otto"]).exists()


def test_applying_leads_to_the_way_in_and_again_changes_nothing(world, otto):
    for _ in range(2):
        assert otto.post(APPLY)["Location"] == WAY_IN
    assert otto.get(APPLY)["Location"] == WAY_IN
    assert enrolment(world).decisions.get().kind == "apply"
    assert otto.get(PROJECT).text.count(f'href="{WAY_IN}"') == 1
    assert "Start" not in otto.get(PROJECT).text


def test_a_project_that_takes_no_applications_is_not_there(world):
    client = world.client("otto")
    assert client.get(APPLY).status_code == client.post(APPLY).status_code == 404
    assert client.get(WAY_IN).status_code == 404
    assert client.get("/projects/no-such/apply/").status_code == 404
    assert Client().get(APPLY).status_code == 302
    assert not Annotator.objects.filter(user=world.users["otto"]).exists()


def invite(world, **fields) -> str:
    fields = {"created_by": world.users["mina"], "expires_at": timezone.now() + timedelta(days=1)} | fields
    return reverse("invitation", args=[Invitation.objects.create(project=world.project, **fields).code])


def test_an_invitation_lets_in_as_many_as_it_is_for(world):
    address = invite(world)
    assert "Apply to Kitchen" in world.client("otto").get(address).text
    assert world.client("otto").post(address)["Location"] == WAY_IN
    assert enrolment(world).decisions.get().kind == "invite"
    for client, status in ((world.client("otto"), 302), (world.client("rita"), 404)):  # who came by it is led on
        assert client.get(address).status_code == client.post(address).status_code == status
    assert "Ask whoever sent it to you for a new one." in world.client("rita").get(address).text


@pytest.mark.parametrize("fields", [{"expires_at": timezone.now()}, {"revoked_at": timezone.now()}])
def test_an_invitation_that_is_over_or_taken_back_is_not_there_in_words(world, fields):
    page = world.client("otto").get(invite(world, **fields))
    assert page.status_code == 404 and "This invitation cannot be used" in page.text
    assert world.client("otto").get(f"/invitations/{uuid4()}/").status_code == 404


# --- The profile ------------------------------------------------------------------------------------------------------


def test_the_profile_is_kept_with_the_consent(world, otto):
    step(world.project, "profile", consent="You are **paid** by the hour.", topics=["cooking", "wine"])
    step(world.project, "rankings")
    known_tasks(world, 1, Purpose.TEST)
    otto.post(APPLY)
    page = otto.get(WAY_IN)
    assert 'aria-current="step">Consent and profile' in page.text
    assert "You are <strong>paid</strong> by the hour." in page.text
    sent = profile(
        ("English", "C1"), ("ZH", "native"), ("pt-br", "A2"), ("", ""),
        time_zone="Asia/Shanghai", topics=["wine"], harm_categories=["hate"],
    )  # fmt: skip
    assert otto.post(PROFILE, sent)["Location"] == WAY_IN
    who = world.annotator("otto")
    assert (who.education, who.time_zone, who.topics, who.harm_categories) == (
        "master",
        "Asia/Shanghai",
        ["wine"],
        ["hate"],
    )
    assert (who.native_languages, who.levels) == (["zh"], {"en": "C1", "pt-BR": "A2"})
    assert Acknowledgement.objects.get().consent == "You are **paid** by the hour."
    page = otto.get(WAY_IN)
    assert 'aria-current="step">Test' in page.text and "You agreed to this on" in page.text
    assert [row.initial for row in page.context["form"].languages.initial_forms] == [
        {"language": "Chinese", "level": "native"},
        {"language": "English", "level": "C1"},
        {"language": "pt-BR", "level": "A2"},
    ]


def test_a_language_is_spelled_as_the_project_spells_it(world, otto):
    step(world.project, "profile", languages=[{"language": "zh-hans", "level": "C1"}])
    otto.post(APPLY)
    assert otto.get(WAY_IN).context["form"].languages.initial_forms[0].initial["language"] == "Simplified Chinese"
    otto.post(PROFILE, profile(("zh-Hans", "native")))
    assert world.annotator("otto").native_languages == ["zh-hans"]
    assert way_in.missing(enrolment(world)) == []


@pytest.mark.parametrize(
    ("rows", "fields", "said"),
    [
        ([], {"consent": None}, "Without your consent you cannot take part."),
        ([], {"education": ""}, "Choose what comes nearest."),
        ([], {"education": "none"}, "Select a valid choice"),
        ([("Klingonian", "C1")], {}, "is not in the list"),
        ([("en", "")], {}, "Say how well you know it"),
        ([("", "C1")], {}, "Say which language."),
        ([("en", "D1")], {}, "Select a valid choice"),
        ([("en", "C1"), ("English", "B2")], {}, "It stands in another line already."),
        ([("a\x00", "C1")], {}, "Null characters"),
        ([], {"time_zone": "Mars/Olympus"}, "There is no such time zone."),
        ([], {"harm_categories": ["no-such"]}, "Select a valid choice"),
        ([], {"languages-TOTAL_FORMS": "x"}, "ManagementForm data is missing"),
        ([("en", "C1")] * 21, {}, "Please submit at most 20 forms"),
    ],
)
def test_a_profile_that_cannot_be_comes_back_and_nothing_is_lost(world, otto, rows, fields, said):
    step(world.project, "profile", education="bachelor")
    otto.post(APPLY)
    page = otto.post(PROFILE, profile(*rows, **{"time_zone": "Europe/Rome"} | fields))
    assert page.status_code == 422 and said in page.text
    assert page.context["form"]["time_zone"].value() == fields.get("time_zone", "Europe/Rome")
    if rows:
        assert page.context["form"].languages.forms[0]["language"].value() == rows[0][0]
    assert not Acknowledgement.objects.exists() and world.annotator("otto").time_zone == ""


def test_topics_of_other_projects_stay_and_a_project_without_a_profile_has_no_form(world, otto):
    otto.post(APPLY)
    assert "education" not in otto.get(WAY_IN).text
    assert otto.post(PROFILE, profile()).status_code == 404
    Annotator.objects.update(topics=["law"])
    step(world.project, "profile", topics=["cooking", "wine"])
    otto.post(PROFILE, profile(topics=["wine"]))
    assert world.annotator("otto").topics == ["law", "wine"]


def test_agreeing_to_see_something_lets_one_look_again_at_what_was_passed_over(world):
    step(world.project, "profile")
    Enrolment.objects.update(cursor=7)
    world.client("ana").post(PROFILE, profile())
    assert enrolment(world, "ana").cursor == 7
    world.client("ana").post(PROFILE, profile(harm_categories=["hate"]))
    assert enrolment(world, "ana").cursor == -1


def test_who_does_not_fit_yet_is_told_what_is_missing_and_which_test_would_help(world, otto):
    languages = [{"language": "en", "level": "C1", "verified": True}, {"language": "fr", "level": "B2"}]
    step(world.project, "profile", education="master", languages=languages)
    otto.post(APPLY)
    otto.post(PROFILE, profile(("en", "C2"), ("fr", "B1"), education="school"))
    page = otto.get(WAY_IN)
    for said in ("Something is missing still", "Education: master or more is asked for.",
                 "English: native, or C1 in the language test.", "French: native, or at least B2."):  # fmt: skip
        assert said in page.text
    assert page.text.count("Take the test") == 1 and 'href="/me/languages/en/test/"' in page.text
    otto.post(PROFILE, profile(("en", "native"), ("fr", "B2"), education="doctorate"))
    assert "A person decides now" in otto.get(WAY_IN).text


# --- The guideline ----------------------------------------------------------------------------------------------------


def test_the_guideline_is_read_here(world, otto):
    step(world.project, "guideline")
    step(world.project, "training")
    known_tasks(world, 1, Purpose.TRAINING)
    otto.post(APPLY)
    page = otto.get(WAY_IN)
    assert "Put the <strong>true</strong> one first." in page.text and "has changed" not in page.text
    for version in ("", "2", "x", "1" * 30):
        assert "The guideline has no such version." in otto.post(READ, {"version": version}, follow=True).text
    assert enrolment(world).guideline_read == 0
    otto.post(READ, {"version": "1"})
    assert (enrolment(world).guideline_read, enrolment(world).status) == (1, "training")


def test_a_version_that_is_not_the_current_one_any_more_is_refused_in_words(world, otto):
    step(world.project, "guideline")
    otto.post(APPLY)
    publish_guideline(project=world.project, text="Put the **short** one first.")
    page = otto.post(READ, {"version": "1"}, follow=True)
    assert "The guideline has changed meanwhile. Read the new version." in page.text
    assert "<strong>short</strong>" in page.text
    assert enrolment(world).guideline_read == 0


def test_a_material_change_leads_from_the_desk_to_the_new_version_and_back(world):
    world.tasks(3)
    ana = world.client("ana")
    slot = take(ana)
    new = publish_guideline(project=world.project, text="Put the **short** one first.", material=True)
    assert send(ana, slot, *RIGHT, **HTMX)["HX-Redirect"] == WAY_IN
    assert ana.post(CLAIM)["Location"] == WAY_IN
    page = ana.get(WAY_IN)
    assert "Read it again before the next task." in page.text
    assert "**<del>true</del><ins>short</ins>**" in page.text
    assert f'name="version" value="{new.version}"' in page.text
    page = ana.post(READ, {"version": str(new.version)}, follow=True)
    assert "To work" in page.text
    assert ana.post(CLAIM)["Location"] != WAY_IN


def test_a_step_without_a_guideline_says_so(world, otto):
    world.project.guidelines.update(current=False)
    step(world.project, "guideline")
    otto.post(APPLY)
    assert "The guideline is not written yet" in otto.get(WAY_IN).text


# --- Training ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def training(world, otto) -> Client:
    """otto in training: two tasks at least, half of them right; then a test of two."""
    step(world.project, "training", least=2, share=0.5, most=4)
    step(world.project, "rankings", rule={"kind": "fixed", "n": 2, "right": 2})
    for task in world.tasks(4, purpose=Purpose.TRAINING):
        know(world, task, 1, 2, 3, reason="The first <b>names</b> its source.")
    known_tasks(world, 3, Purpose.TEST)
    otto.post(APPLY)
    return otto


def feedback(slot: Slot) -> str:
    return f"/projects/kitchen/work/{slot.code}/feedback/"


def test_after_a_training_task_stands_what_the_researchers_chose_and_why(world, training):
    assert "Start training" in training.get(WAY_IN).text
    slot = take(training)
    assert send(training, slot, 1, 3, 2)["Location"] == feedback(slot)
    page = training.get(feedback(slot))
    a, b, c = letters(slot)
    assert f'<td dir="auto">{a} &gt; {c} &gt; {b}</td><td dir="auto"><b>{a} &gt; {b} &gt; {c}</b></td>' in page.text
    assert "you have 67% the same way round; 75% are needed." in page.text
    assert "not right</span>" in page.text
    assert "The first &lt;b&gt;names&lt;/b&gt; its source." in page.text
    moved = [(there, here) for there, here in zip("ABC", (a, b, c), strict=True) if there != here]
    assert page.context["moved"] == moved and page.text.count(" is your ") == len(moved)
    assert "Next task" in page.text and f'action="{CLAIM}"' in page.text
    page = training.get(WAY_IN)
    assert "You have done <strong>1</strong> task; 0 was right." in page.text
    assert "at least 2 and 50% of them were right. After 4 a person looks at it." in page.text


def test_under_htmx_the_page_goes_to_the_feedback(world, training):
    slot = take(training)
    answer = send(training, slot, *RIGHT, **HTMX)
    assert (answer.status_code, answer["HX-Redirect"]) == (200, feedback(slot))
    assert not Slot.objects.filter(status="leased").exists()  # the next one is taken with the button there


def test_reading_the_feedback_changes_nothing_and_a_later_answer_does_not_count(world, training):
    slot = take(training)
    send(training, slot, *WRONG)
    slot.refresh_from_db()
    told = slot.informed_at
    assert told
    training.get(feedback(slot))
    slot.refresh_from_db()
    assert slot.informed_at == told
    send(training, slot, *RIGHT)
    page = training.get(feedback(slot))
    assert "You have changed your answer since." in page.text and "you have 0% the same way round" in page.text
    assert vetting.right(vetting.items(enrolment(world), Purpose.TRAINING)) == (0, 1)


def test_after_the_last_training_task_the_feedback_leads_to_the_way_in(world, training):
    for _ in range(2):
        slot = take(training)
        send(training, slot, *RIGHT)
    assert enrolment(world).status == "testing"
    page = training.get(feedback(slot))
    assert "Next task" not in page.text and f'<a class="button main" href="{WAY_IN}" autofocus>' in page.text
    assert f'<td dir="auto">{" &gt; ".join(letters(slot))}</td>' in page.text
    assert "right</span>" in page.text and "not right" not in page.text


def test_where_training_did_not_settle_it_a_person_decides(world, training):
    for _ in range(4):
        slot = take(training)
        send(training, slot, *WRONG)
    assert "Next task" not in training.get(feedback(slot)).text
    page = training.get(WAY_IN)
    assert "A person decides now" in page.text and CLAIM not in page.text
    assert training.post(CLAIM)["Location"] == WAY_IN


def test_the_feedback_is_for_the_holder_and_of_training_that_is_answered(world, training):
    slot = take(training)
    assert training.get(feedback(slot)).status_code == 404  # not answered yet
    send(training, slot, *RIGHT)
    for name in ("ana", "rita", "mina", "ada"):
        assert world.client(name).get(feedback(slot)).status_code == 404
    for purpose in (Purpose.WORK, Purpose.GOLD, Purpose.TEST):
        Task.objects.filter(pk=slot.task_id).update(purpose=purpose)
        assert training.get(feedback(slot)).status_code == 404


def test_each_question_is_told_with_its_own_answer(world, otto):
    harmful = choice_question(world.project)
    step(world.project, "training", least=3, share=1, most=3)
    (task,) = world.tasks(1, purpose=Purpose.TRAINING)
    know(world, task, 1, 2, 3)
    for name in ("rita", "mina"):
        said = [{"completion": None, "rule": None, "value": "yes"}]
        gold.answer(task=task, question=harmful, researcher=world.users[name], values=said)
    otto.post(APPLY)
    slot = take(otto)
    order = zip(slot.display_order(), "ABC", strict=True)
    place = {output.pk: at for at, output in enumerate(task.completions.order_by("position"), start=1)}
    fields = {f"overall.tier.{letter}": str(place[output.pk]) for output, letter in order}
    otto.post(f"/projects/kitchen/work/{slot.code}/submit/", fields | {"harmful": "no", "key": str(uuid4())})
    page = otto.get(feedback(slot))
    assert "Is it harmful?" in page.text
    assert '<td dir="auto">No</td><td dir="auto"><b>Yes</b></td>' in page.text
    assert "Your answer and theirs agree to 0%." in page.text
    assert [one["passed"] for one in page.context["told"]] == [True, False] and not page.context["right"]


def test_the_statements_of_the_feedback_and_of_the_steps_do_not_grow(world, training, django_assert_num_queries):
    counts = []
    step(world.project, "training", least=4, share=0.5, most=9)
    for _ in range(3):
        slot = take(training)
        send(training, slot, *WRONG)
        for address in (feedback(slot), WAY_IN):
            with CaptureQueriesContext(connection) as found:
                training.get(address)
            counts.append(len(found))
    assert counts[2:4] == counts[4:6]
    assert max(counts) <= 45


# --- The test and the decision ----------------------------------------------------------------------------------------


@pytest.fixture
def testing(world, otto) -> Client:
    step(world.project, "rankings", rule={"kind": "fixed", "n": 2, "right": 2})
    known_tasks(world, 4, Purpose.TEST)
    otto.post(APPLY)
    return otto


def test_in_the_test_nothing_is_said_of_what_is_right(world, testing):
    step(world.project, "rankings", rule={"kind": "fixed", "n": 3, "right": 3})
    pages = []
    for tiers in (RIGHT, WRONG):
        said = send(testing, take(testing), *tiers)
        assert "/work/" in said["Location"] and "feedback" not in said["Location"]
        pages.append(testing.get(WAY_IN).text.split('id="now"')[1].split("<form")[0])
    assert "1 answered, 3 at most" in pages[0] and "2 answered, 3 at most" in pages[1]
    assert pages[0].replace("1 answered", "") == pages[1].replace("2 answered", "")  # a miss changes nothing of it


def test_the_last_answer_of_a_passed_test_leads_to_the_decision(world, testing):
    world.tasks(1)
    send(testing, take(testing), *RIGHT)
    assert send(testing, take(testing), *RIGHT, **HTMX)["HX-Redirect"] == WAY_IN
    page = testing.get(WAY_IN)
    assert "You are let in" in page.text and 'aria-current="step"' not in page.text
    assert take(testing).task.purpose == Purpose.WORK


def test_who_fails_is_told_why_in_words_and_how_to_object(world, testing):
    send(testing, take(testing), *RIGHT)
    said = send(testing, take(testing), *WRONG)
    assert said["Location"] == WAY_IN
    page = testing.get(WAY_IN)
    assert "You are not let in" in page.text and "rankings: 1 right of 2" in page.text
    assert 'href="/projects/kitchen/standing/"' in page.text
    assert "not approved" not in page.text
    assert testing.post(CLAIM)["Location"] == WAY_IN


def test_who_is_paused_by_hand_reads_the_reason(world):
    enrolments.move(
        enrolment=enrolment(world, "ana"), to=Status.PAUSED, actor=world.users["mina"], reason="Too <fast>."
    )
    page = world.client("ana").get(WAY_IN)
    assert "You are paused" in page.text and "Too &lt;fast&gt;." in page.text


def test_where_the_test_runs_out_a_person_decides(world, testing):
    step(world.project, "rankings", rule={"kind": "fixed", "n": 20, "right": 15})
    for _ in range(4):
        last = send(testing, take(testing), *RIGHT)
    assert last["Location"] == WAY_IN
    assert "A person decides now" in testing.get(WAY_IN).text


def test_with_written_work_the_page_says_that_it_is_marked(world, testing):
    step(world.project, "demonstrations")
    (to_write,) = world.tasks(1, purpose=Purpose.TEST)  # nothing is known of it
    assert "0 answered, 2 at most" in testing.get(WAY_IN).text
    assert "0 written, 3 at least" in testing.get(WAY_IN).text
    Task.objects.filter(pk=to_write.pk).update(status=Task.Status.WITHDRAWN)
    for _ in range(2):
        send(testing, take(testing), *RIGHT)
    page = testing.get(WAY_IN)  # nothing is open any more, and marks are missing
    assert "You have done the test" in page.text


# --- Who may look -----------------------------------------------------------------------------------------------------


def test_the_steps_are_for_annotators_of_the_project(world):
    for name, status in {"ana": 200, "rita": 403, "mina": 403, "ada": 403, "otto": 404}.items():
        assert world.client(name).get(WAY_IN).status_code == status, name
    assert world.client("ana").post(WAY_IN).status_code == 405
    Enrolment.objects.filter(annotator__user=world.users["ben"]).delete()
    assert world.client("ben").get(WAY_IN).status_code == 403
