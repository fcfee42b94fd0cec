"""Appeals: who may, once, and what a reply does."""

import pytest

from annotate.errors import Refused
from annotate.models import Appeal, Decision, Enrolment, Membership, Slot, Task
from annotate.services import appeals as work
from annotate.services import enrolments, standing_deeds
from tests.known import known_tasks, step

pytestmark = pytest.mark.django_db

QUEUE, OWN = "/projects/kitchen/appeals/", "/projects/kitchen/standing/"
Status, Outcome = Enrolment.Status, Appeal.Outcome


def of(world, name: str = "ana") -> Enrolment:
    return Enrolment.objects.select_related("annotator", "project").get(annotator=world.annotator(name))


def decided(world, deed: str, by: str = "mina") -> Decision:
    known_tasks(world, 1, Task.Purpose.TRAINING)
    if deed == "reject":
        enrolments.move(enrolment=of(world), to=Status.PAUSED, actor=world.users[by], reason="First this.")
    return standing_deeds.carry_out(enrolment=of(world), deed=deed, actor=world.users[by], reason="Too fast.")


def appealed(world, deed: str, by: str = "ada") -> Appeal:
    decision = decided(world, deed, by)
    return work.appeal(decision=decision, user=world.users["ana"], text="I was not.")


def reply(world, appeal: Appeal, outcome: str = "granted", by: str = "mina", **said) -> Appeal:
    return work.reply(appeal=appeal, actor=world.users[by], outcome=outcome, reply="We looked again.", **said)


# --- Appealing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deed", ["pause", "reject", "train", "warn"])
def test_one_appeals_each_of_these_decisions_once(world, deed):
    decision = decided(world, deed)
    address = f"/projects/kitchen/decisions/{decision.pk}/appeal/"
    assert address in world.client("ana").get(OWN).text
    assert world.client("ana").post(address, {"text": " "}).status_code == 422
    assert world.client("ana").post(address, {"text": "<b>No</b>."}).status_code == 302
    text = world.client("ana").get(OWN).text
    assert "&lt;b&gt;No&lt;/b&gt;." in text and "no reply yet" in text and address not in text
    assert "appealed this decision already" in world.client("ana").post(address, {"text": "No."}, follow=True).text
    assert Appeal.objects.count() == 1


def test_other_decisions_and_those_on_others_cannot_be_appealed(world):
    decided(world, "pause")
    restored = standing_deeds.carry_out(
        enrolment=of(world), deed="approve", actor=world.users["mina"], reason="It was an error."
    )
    with pytest.raises(Refused, match="cannot be appealed"):
        work.appeal(decision=restored, user=world.users["ana"], text="Why?")
    paused = Decision.objects.get(kind="pause")
    with pytest.raises(Refused, match="cannot be appealed"):
        work.appeal(decision=paused, user=world.users["ben"], text="For a friend.")
    for name, status in {"otto": 404, "ben": 404, "mina": 403}.items():
        address = f"/projects/kitchen/decisions/{paused.pk}/appeal/"
        assert world.client(name).post(address, {"text": "x"}).status_code == status, name


# --- Replying ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deed", "to", "status", "kind"),
    [
        ("pause", {}, "approved", "restore"),
        ("train", {}, "approved", "restore"),
        ("reject", {"to": "approved"}, "approved", "approve"),
        ("reject", {"to": "applied"}, "applied", "reopen"),
    ],
)
def test_what_is_granted_takes_the_step_back_by_whoever_granted_it(world, deed, to, status, kind):
    appeal = appealed(world, deed)
    reply(world, appeal, **to)
    made = of(world).decisions.first()
    assert (of(world).status, made.kind, made.actor, made.reason) == (
        status, kind, world.users["mina"], "We looked again.",
    )  # fmt: skip
    appeal.refresh_from_db()
    assert (appeal.outcome, appeal.replied_by) == ("granted", world.users["mina"])


def test_what_was_held_counts_again(world):
    world.tasks(1)
    world.answer(world.claim("ana"), 1, 2, 3)
    appeal = appealed(world, "pause")
    assert Slot.objects.get(holder=world.annotator("ana")).status == "held"
    reply(world, appeal)
    assert Slot.objects.get(holder=world.annotator("ana")).status == "submitted"


def test_who_may_try_again_goes_on_at_once_where_nothing_is_missing(world):
    step(world.project, "training")
    appeal = appealed(world, "reject")
    reply(world, appeal, to="applied")
    assert of(world).status == "training"


@pytest.mark.parametrize("deed", ["pause", "warn"])
def test_what_is_declined_and_a_warning_change_no_state(world, deed):
    appeal = appealed(world, deed)
    before = of(world).status
    reply(world, appeal, "declined" if deed == "pause" else "granted")
    assert of(world).status == before and of(world).decisions.count() == 1
    assert "We looked again." in world.client("ana").get(OWN).text


def test_whoever_was_restored_meanwhile_stays_where_he_is(world):
    appeal = appealed(world, "pause")
    enrolments.move(enrolment=of(world), to=Status.APPROVED, actor=world.users["ada"])
    reply(world, appeal)
    assert of(world).status == "approved" and of(world).decisions.count() == 2


def test_whoever_decided_does_not_reply_where_there_is_another_manager(world):
    appeal = appealed(world, "pause", by="mina")
    Membership.objects.create(user=world.users["rita"], project=world.project, role=Membership.Role.MANAGER)
    assert "You made this decision yourself." in world.client("mina").get(QUEUE).text
    form = {"outcome": "declined", "reply": "No."}
    assert world.client("mina").post(f"{QUEUE}{appeal.pk}/reply/", form).status_code == 422
    assert world.client("rita").post(f"{QUEUE}{appeal.pk}/reply/", form).status_code == 302
    appeal.refresh_from_db()
    assert (appeal.outcome, appeal.replied_by) == ("declined", world.users["rita"])


def test_the_only_manager_replies_himself_and_nobody_to_his_own_appeal(world):
    reply(world, appealed(world, "pause", by="mina"))
    enrolments.enrol(project=world.project, user=world.users["mina"])
    decision = standing_deeds.carry_out(
        enrolment=of(world, "mina"), deed="pause", actor=world.users["ada"], reason="Too fast."
    )
    own = work.appeal(decision=decision, user=world.users["mina"], text="No.")
    with pytest.raises(Refused, match="your own appeal"):
        reply(world, own)


def test_of_two_managers_the_second_is_told(world):
    appeal = appealed(world, "pause")
    reply(world, appeal, "declined", by="mina")
    form = {"outcome": "granted", "reply": "Yes, of course."}
    response = world.client("ada").post(f"{QUEUE}{appeal.pk}/reply/", form)
    assert response.status_code == 422 and "mina has replied meanwhile: declined" in response.text
    assert "Yes, of course." in response.text  # what was written is not lost
    assert of(world).status == "paused"


# --- The queue --------------------------------------------------------------------------------------------------------


def test_the_queue_is_for_managers_the_waiting_on_top(world, django_assert_max_num_queries):
    first = appealed(world, "warn")
    reply(world, first, "declined")
    for _ in range(3):
        appealed(world, "warn")
    for name, status in {"otto": 404, "ana": 403, "rita": 403, "mina": 200, "ada": 200}.items():
        assert world.client(name).get(QUEUE).status_code == status, name
    client = world.client("mina")
    with django_assert_max_num_queries(12):
        page = client.get(QUEUE)
    assert [one["row"].outcome for one in page.context["rows"]] == ["", "", "", "declined"]
    assert "3 appeals wait" in client.get("/projects/kitchen/annotators/").text
    form = {"outcome": "granted", "reply": ""}
    assert client.post(f"{QUEUE}{Appeal.objects.filter(outcome='').first().pk}/reply/", form).status_code == 422


def test_of_somebody_not_let_in_the_reply_says_how_far_it_is_granted(world):
    appeal = appealed(world, "reject")
    text = world.client("mina").get(QUEUE).text
    assert "granted: let in" in text and "granted: may try again" in text
    form = {"outcome": "applied", "reply": "Try again."}
    assert world.client("mina").post(f"{QUEUE}{appeal.pk}/reply/", form).url == QUEUE
    assert of(world).status == "applied"
