"""What follows from answers whose right answer is known: training, test, gold, and work that is held."""

from uuid import uuid4

import pytest
from django.db import Error as DatabaseError
from django.db import transaction

from annotate.errors import Refused
from annotate.models import Decision, Enrolment, GoldAnswer, GoldResult, Slot, Task
from annotate.models.projects import TRANSITIONS
from annotate.services import claims, consensus, enrolments, gold, holding, vetting, way_in
from annotate.services.projects import publish_guideline
from tests.disagreement import ask, disagree
from tests.known import know, known_tasks, order, step

Purpose, Status = Task.Purpose, Enrolment.Status
RIGHT, WRONG = (1, 2, 3), (3, 2, 1)


@pytest.fixture
def otto(world) -> Enrolment:
    """Somebody who applies to a project that is open to it."""
    world.project.open_to_apply = True
    world.project.save()
    return way_in.apply(project=world.project, user=world.users["otto"])


def do(world, name: str, *tiers: int) -> Slot:
    """Take the next task and put its outputs into these tiers."""
    slot = claims.claim(annotator=world.annotator(name), project=world.project)
    assert slot is not None
    vetting.submit(slot=slot, answers=[world.ranking(slot, *tiers)], idempotency_key=uuid4())
    return slot


def now(enrolment: Enrolment) -> str:
    return Enrolment.objects.get(pk=enrolment.pk).status


def put(enrolment: Enrolment, status: str) -> None:
    """Into a state, past the diagram's words but not past the database."""
    Enrolment.objects.filter(pk=enrolment.pk).update(status=status)


# --- The diagram ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", Status.values)
@pytest.mark.parametrize("after", Status.values)
def test_the_database_refuses_each_step_that_is_not_in_the_diagram(world, before, after):
    enrolment = Enrolment.objects.create(
        annotator=enrolments.annotator_of(world.users["otto"]), project=world.project, status=before
    )
    if before == after or (before, after) in TRANSITIONS:
        put(enrolment, after)
        assert now(enrolment) == after
    else:
        with pytest.raises(DatabaseError, match="Invalid transition"), transaction.atomic():
            put(enrolment, after)
        with pytest.raises(Refused, match="cannot go from"):
            enrolments.move(enrolment=enrolment, to=after, actor=world.users["mina"])


def test_every_move_writes_who_decided_what_and_why(world):
    enrolment = Enrolment.objects.get(annotator=world.annotator("ana"))
    enrolments.move(enrolment=enrolment, to=Status.PAUSED, actor=world.users["mina"], reason="Too fast.")
    made = enrolment.decisions.get()
    assert (made.kind, made.before, made.after) == ("pause", "approved", "paused")
    assert (made.actor, made.reason, made.rule) == (world.users["mina"], "Too fast.", None)
    enrolments.move(enrolment=enrolment, to=Status.APPROVED, actor=world.users["mina"])
    assert enrolment.decisions.latest("pk").kind == "restore"
    with pytest.raises(DatabaseError), transaction.atomic():
        Decision.objects.update(reason="Something else.")


# --- Known answers ----------------------------------------------------------------------------------------------------


def test_an_answer_is_known_once_two_researchers_agree_and_measures_people_only_then(world):
    (task,) = world.tasks(1, purpose=Purpose.GOLD)
    assert know(world, task, 1, 2, 3, by=("rita",)) is None
    assert not Task.objects.filter(gold.is_usable(), pk=task.pk).exists()
    assert know(world, task, 3, 2, 1, by=("mina",)) is None
    known = know(world, task, 1, 2, 3, by=("mina",), reason="The first is true.")
    assert known is not None
    assert (known.version, known.agreeing, known.researchers, known.reason) == (1, 2, 2, "The first is true.")
    assert Task.objects.filter(gold.is_usable(), pk=task.pk).exists()


def test_what_people_are_at_is_never_turned_into_a_test(world):
    (task,) = world.tasks(1)
    with pytest.raises(Refused, match="Copy it to gold first"):
        know(world, task, 1, 2, 3, by=("rita",))


def test_gold_never_comes_twice_nor_to_who_judged_the_original(world, monkeypatch):
    monkeypatch.setattr(gold, "RESERVE", 1)
    world.project.gold_percent = 100
    world.project.save()
    (task,) = world.tasks(1)
    do(world, "ana", *RIGHT)
    question = world.project.preference_question
    copy = gold.promote(
        task=task, purpose=Purpose.GOLD, actor=world.users["rita"], values={question: order(task, 1, 2, 3)}
    )
    know(world, copy, 1, 2, 3, by=("mina",))
    assert world.claim("ana") is None
    assert do(world, "ben", *RIGHT).task == copy
    assert world.claim("ben").task == task


def test_a_corrected_answer_scores_people_again_and_says_so(world, monkeypatch):
    monkeypatch.setattr(gold, "RESERVE", 1)
    world.project.gold_percent = 100
    world.project.save()
    (task,) = known_tasks(world, 1)
    do(world, "ana", *RIGHT)
    do(world, "ben", *WRONG)
    assert list(GoldResult.objects.order_by("pk").values_list("passed", "share")) == [(True, 1.0), (False, 0.0)]
    first = GoldAnswer.objects.get()
    made = gold.correct(
        task=task,
        question=world.project.preference_question,
        actor=world.users["mina"],
        values=order(task, 3, 2, 1),
        reason="We had it upside down.",
    )
    assert (made.version, made.current) == (2, True)
    assert list(made.results.order_by("annotation").values_list("passed", flat=True)) == [False, True]
    assert list(first.results.order_by("annotation").values_list("passed", flat=True)) == [True, False]
    said = Decision.objects.filter(kind="rescore").order_by("enrolment__annotator__user__username")
    assert [(one.enrolment.annotator.user.username, one.reason) for one in said] == [
        ("ana", "We had it upside down."),
        ("ben", "We had it upside down."),
    ]


# --- Training and test ------------------------------------------------------------------------------------------------


def test_the_whole_way_in_by_rules(world):
    step(world.project, "guideline")
    step(world.project, "training", least=2, share=0.5, most=4)
    step(world.project, "rankings", rule={"kind": "fixed", "n": 3, "right": 2})
    known_tasks(world, 2, Purpose.TRAINING)
    known_tasks(world, 3, Purpose.TEST)
    world.project.open_to_apply = True
    world.project.save()
    enrolment = way_in.apply(project=world.project, user=world.users["otto"])
    assert (now(enrolment), way_in.missing(enrolment)) == ("applied", ["guideline"])
    with pytest.raises(Refused, match="not approved"):
        do(world, "otto", *RIGHT)
    way_in.acknowledge(enrolment=enrolment, guideline=world.project.guidelines.get(current=True))
    assert now(enrolment) == "training"
    do(world, "otto", *RIGHT)
    do(world, "otto", *WRONG)
    assert now(enrolment) == "testing"
    do(world, "otto", *RIGHT)
    do(world, "otto", *WRONG)
    assert now(enrolment) == "testing"
    do(world, "otto", *RIGHT)
    assert now(enrolment) == "approved"
    assert list(enrolment.decisions.order_by("pk").values_list("kind", flat=True)) == [
        "apply",
        "train",
        "test",
        "approve",
    ]
    approved = enrolment.decisions.get(kind="approve")
    assert approved.data["rankings"]["k"] == 2 and approved.data["rankings"]["n"] == 3
    assert approved.rule["parts"]["rankings"] == {"kind": "fixed", "n": 3, "right": 2}


def test_who_fails_one_part_is_not_let_in(world, otto):
    step(world.project, "rankings", rule={"kind": "fixed", "n": 2, "right": 2})
    known_tasks(world, 3, Purpose.TEST)
    way_in.advance(enrolment=otto)
    do(world, "otto", *RIGHT)
    do(world, "otto", *WRONG)
    assert now(otto) == "rejected"
    with pytest.raises(Refused, match="not approved"):
        do(world, "otto", *RIGHT)


def test_where_the_test_runs_out_of_tasks_a_person_decides(world, otto):
    step(world.project, "rankings", rule={"kind": "fixed", "n": 20, "right": 15})
    known_tasks(world, 2, Purpose.TEST)
    way_in.advance(enrolment=otto)
    do(world, "otto", *RIGHT)
    assert not otto.decisions.filter(kind="undecided").exists()
    do(world, "otto", *RIGHT)
    assert world.claim("otto") is None
    assert (now(otto), otto.decisions.filter(kind="undecided").count()) == ("testing", 1)


def test_training_that_was_asked_for_and_fails_pauses(world):
    enrolment = Enrolment.objects.get(annotator=world.annotator("ana"))
    step(world.project, "training", least=2, share=0.5, most=2)
    known_tasks(world, 2, Purpose.TRAINING)
    enrolments.move(
        enrolment=enrolment, to=Status.TRAINING, kind=Decision.Kind.RETRAIN, actor=world.users["mina"], reason="Again."
    )
    do(world, "ana", *WRONG)
    assert now(enrolment) == "training"
    do(world, "ana", *WRONG)
    assert now(enrolment) == "paused"


def test_an_answer_changed_after_the_feedback_is_not_scored(world):
    enrolment = Enrolment.objects.get(annotator=world.annotator("ana"))
    step(world.project, "training", least=2, share=1, most=3)
    known_tasks(world, 2, Purpose.TRAINING)
    enrolments.move(enrolment=enrolment, to=Status.TRAINING, kind=Decision.Kind.RETRAIN, actor=world.users["mina"])
    slot = do(world, "ana", *WRONG)
    slot.refresh_from_db()
    assert slot.informed_at  # the feedback stands there at once
    vetting.submit(slot=slot, answers=[world.ranking(slot, *RIGHT)], idempotency_key=uuid4())
    assert vetting.right(vetting.items(enrolment, Purpose.TRAINING)) == (0, 1)


# --- Gold in the stream -----------------------------------------------------------------------------------------------


def gold_only(world, count: int) -> None:
    world.project.gold_percent = 100
    world.project.save()
    known_tasks(world, count)


def test_who_is_almost_certainly_below_the_target_on_20_gold_tasks_is_paused(world, monkeypatch):
    monkeypatch.setattr(gold, "RESERVE", 1)
    gold_only(world, 22)
    enrolment = Enrolment.objects.get(annotator=world.annotator("ana"))
    for at in range(20):
        assert now(enrolment) == "approved"
        do(world, "ana", *(RIGHT if at % 2 else WRONG))
    assert now(enrolment) == "paused"
    paused = enrolment.decisions.get(kind="pause")
    # P(p >= .75) under Beta(11, 11), which is P(11 or more of 21) at .25.
    assert (paused.data["k"], paused.data["n"]) == (10, 20) and paused.data["p_at_least"] == pytest.approx(0.006423)
    assert paused.actor is None and paused.rule["target"] == 0.75


def test_whoever_was_restored_begins_anew(world, monkeypatch):
    monkeypatch.setattr(gold, "RESERVE", 1)
    gold_only(world, 24)
    enrolment = Enrolment.objects.get(annotator=world.annotator("ana"))
    for _ in range(20):
        do(world, "ana", *WRONG)
    assert now(enrolment) == "paused"
    enrolments.move(enrolment=enrolment, to=Status.APPROVED, actor=world.users["mina"])
    do(world, "ana", *WRONG)
    assert now(enrolment) == "approved"


def test_gold_of_one_researcher_is_never_served(world, monkeypatch):
    monkeypatch.setattr(gold, "RESERVE", 1)
    world.project.gold_percent = 100
    world.project.save()
    (task,) = world.tasks(1, purpose=Purpose.GOLD)
    know(world, task, 1, 2, 3, by=("rita",))
    assert world.claim("ana") is None


def test_disagreeing_with_everybody_else_pauses_nobody(world):
    question = ask(world, "choice")
    for _ in range(30):
        disagree(world, question, "no", "yes", "yes", "yes", settle=False)
    consensus.settle(project=world.project)
    enrolment = Enrolment.objects.get(annotator=world.annotator("ana"))
    with transaction.atomic():
        vetting.consider(enrolment=enrolments.locked(enrolment))
    assert now(enrolment) == "approved" and not enrolment.decisions.exists()


# --- Work that is held ------------------------------------------------------------------------------------------------


def test_the_work_of_who_is_paused_is_held_and_restored(world):
    question = ask(world, "choice")
    task = disagree(world, question, "yes", "no", "no")
    ana = Enrolment.objects.get(annotator=world.annotator("ana"))
    enrolments.move(enrolment=ana, to=Status.PAUSED, actor=world.users["mina"])
    slot = task.slots.get(holder=ana.annotator)
    assert (slot.status, slot.held_for) == ("held", "pause")
    assert slot.current_annotation is not None  # kept
    assert not Slot.objects.counting().filter(pk=slot.pk).exists()
    assert holding.reopen_changed(enrolment=ana) == 0  # the others say "no" without her too
    assert not task.slots.filter(status="open").exists()
    enrolments.move(enrolment=ana, to=Status.APPROVED, actor=world.users["mina"])
    slot.refresh_from_db()
    assert (slot.status, slot.held_for) == ("submitted", "")


def test_where_the_consensus_changes_without_them_the_place_opens_to_somebody_else(world):
    question = ask(world, "choice")
    task = disagree(world, question, "yes", "yes", "no")
    ana = Enrolment.objects.get(annotator=world.annotator("ana"))
    enrolments.move(enrolment=ana, to=Status.PAUSED, actor=world.users["mina"])
    assert holding.reopen_changed(enrolment=ana) == 1
    replacement = task.slots.get(status="open")
    assert replacement.place == task.slots.get(holder=ana.annotator).place and replacement.ahead
    assert holding.reopen_changed(enrolment=ana) == 0  # again: nothing more
    enrolments.move(enrolment=ana, to=Status.APPROVED, actor=world.users["mina"])
    assert sorted(task.slots.values_list("place", "status")) == [(1, "submitted"), (2, "submitted"), (3, "submitted")]


# --- A new guideline --------------------------------------------------------------------------------------------------


def test_a_material_change_stops_work_until_it_is_read_and_asks_for_a_short_test(world):
    step(world.project, "rankings")
    known_tasks(world, 6, Purpose.TEST)
    world.tasks(2)
    do(world, "ana", *RIGHT)
    new = publish_guideline(project=world.project, text="Put the **short** one first.", material=True)
    with pytest.raises(claims.MustRead, match="Read it again"):
        world.claim("ana")
    enrolment = Enrolment.objects.get(annotator=world.annotator("ana"))
    assert way_in.must_read(enrolment) == new
    way_in.acknowledge(enrolment=enrolment, guideline=new)
    assert now(enrolment) == "testing"
    assert enrolment.attempts.get().kind == "retest"
    for _ in range(6):
        do(world, "ana", *RIGHT)
    assert now(enrolment) == "approved"
    assert world.claim("ana").task.purpose == Purpose.WORK


def test_a_small_change_stops_nobody(world):
    world.tasks(1)
    publish_guideline(project=world.project, text="Put the **true** one first, please.")
    assert world.claim("ana")


def test_half_done_tasks_can_be_judged_anew_under_the_new_guideline(world):
    whole, task = world.tasks(2)
    for name in ("ana", "ben", "ana"):
        do(world, name, *RIGHT)
    new = publish_guideline(project=world.project, text="Put the **short** one first.", material=True)
    assert holding.reopen_incomplete(guideline=new) == 1
    assert sorted(task.slots.values_list("place", "status")) == [(1, "held"), (1, "open"), (2, "open")]
    assert sorted(whole.slots.values_list("place", "status")) == [(1, "submitted"), (2, "submitted")]
    ana = Enrolment.objects.get(annotator=world.annotator("ana"))
    enrolments.move(enrolment=ana, to=Status.PAUSED, actor=world.users["mina"])
    enrolments.move(enrolment=ana, to=Status.APPROVED, actor=world.users["mina"])
    assert task.slots.get(holder=ana.annotator).held_for == "guideline"  # not what a restore brings back
