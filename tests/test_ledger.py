"""The claim ledger: one holder for life, no place counted twice, nothing lost."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, IntegrityError, ProgrammingError, connection, transaction
from django.utils import timezone

from annotate.errors import Refused
from annotate.models import Annotation, Draft, Enrolment, Project, RankItem, Slot
from annotate.services import claims, ledger
from annotate.services.enrolments import enrol, move

Status = Slot.Status
pytestmark = pytest.mark.django_db


def expire(slot):
    Slot.objects.filter(pk=slot.pk).update(leased_until=timezone.now() - timedelta(seconds=1))
    assert ledger.expire_leases() == 1


def test_a_task_opens_as_many_places_as_its_target(world):
    task = world.tasks()[0]
    assert list(task.slots.values_list("place", "status")) == [(1, "open"), (2, "open")]


def test_claiming_gives_the_oldest_task_first_and_leases_it(world):
    first, _second = world.tasks(2)
    slot = world.claim("ana")
    assert (slot.task, slot.status, slot.place) == (first, Status.LEASED, 1)
    assert timedelta(minutes=59) < slot.leased_until - timezone.now() <= timedelta(minutes=60)


def test_priority_comes_before_age(world):
    world.tasks()
    urgent = world.tasks(priority=5)[0]
    assert world.claim("ana").task == urgent


def test_claiming_again_gives_the_same_task_and_renews_the_lease(world):
    world.tasks(2)
    slot = world.claim("ana")
    Slot.objects.filter(pk=slot.pk).update(leased_until=timezone.now() + timedelta(minutes=1))
    assert world.claim("ana") == slot
    slot.refresh_from_db()
    assert slot.leased_until > timezone.now() + timedelta(minutes=59)


def test_nobody_gets_a_task_twice(world):
    world.tasks(3)
    seen = []
    while slot := world.claim("ana"):
        seen.append(slot.task_id)
        world.answer(slot, 1, 2, 3)
    assert len(seen) == len(set(seen)) == 3


def test_a_task_is_given_to_no_more_people_than_its_target(world):
    world.tasks()
    for name in ("ana", "ben"):
        world.answer(world.claim(name), 1, 2, 2)
    enrol(project=world.project, user=world.users["otto"])
    assert world.claim("otto") is None


def test_a_claim_takes_a_fixed_number_of_statements(world, django_assert_num_queries):
    world.tasks(30)
    annotator = world.annotator("ana")
    world.answer(claims.claim(annotator=annotator, project=world.project), 1, 2, 3)
    # savepoint, enrolment, my lease, routes, tasks that are not work, heads, lock the first, take it, cursor, release
    with django_assert_num_queries(10):
        claims.claim(annotator=annotator, project=world.project)


def test_only_the_approved_claim_and_only_in_an_open_project(world):
    world.tasks()
    with pytest.raises(Refused, match="not approved"):
        claims.claim(annotator=world.annotator("ana"), project=Project.objects.create(slug="x", name="x"))
    enrolment = Enrolment.objects.get(annotator=world.annotator("ana"))
    move(enrolment=enrolment, to=Enrolment.Status.PAUSED, actor=world.users["mina"])
    with pytest.raises(Refused, match="not approved"):
        world.claim("ana")
    move(enrolment=enrolment, to=Enrolment.Status.APPROVED, actor=world.users["mina"])
    Project.objects.filter(pk=world.project.pk).update(status=Project.Status.PAUSED)
    with pytest.raises(Refused, match="not open"):
        world.claim("ana")


def test_the_database_refuses_a_step_of_an_enrolment_that_is_not_in_the_diagram(world):
    enrolment = Enrolment.objects.get(annotator=world.annotator("ana"))
    with pytest.raises(DatabaseError, match=r"enrolment_transitions|Invalid transition"), transaction.atomic():
        Enrolment.objects.filter(pk=enrolment.pk).update(status=Enrolment.Status.APPLIED)
    with pytest.raises(Refused, match="cannot go from approved to applied"):
        move(enrolment=enrolment, to=Enrolment.Status.APPLIED, actor=world.users["mina"])


def test_an_answer_is_stored_with_tiers_without_gaps(world):
    world.tasks()
    annotation = world.answer(world.claim("ana"), 3, 1, 3)
    tiers = RankItem.objects.filter(answer__annotation=annotation).order_by("completion__position")
    assert list(tiers.values_list("tier", flat=True)) == [2, 1, 2]
    slot = annotation.slot
    slot.refresh_from_db()
    assert (slot.status, slot.current_annotation, slot.leased_until) == (Status.SUBMITTED, annotation, None)


def test_an_answer_about_an_output_of_another_task_is_refused(world):
    world.tasks()
    slot = world.claim("ana")
    other = world.ranking(world.tasks()[0].slots.first(), 1, 2, 3)
    for answers in ([other], []):
        with pytest.raises(Refused, match=r"another task|Nothing is answered"):
            ledger.submit(slot=slot, answers=answers, idempotency_key=uuid4())
    assert not Annotation.objects.exists()


def test_the_same_key_twice_is_one_annotation(world):
    world.tasks()
    slot, key = world.claim("ana"), uuid4()
    assert world.answer(slot, 1, 2, 3, key=key) == world.answer(slot, 3, 2, 1, key=key)
    assert Annotation.objects.count() == 1


def test_another_answer_to_the_same_task_is_a_new_revision(world):
    world.tasks()
    slot = world.claim("ana")
    world.answer(slot, 1, 2, 3)
    second = world.answer(slot, 3, 2, 1)
    slot.refresh_from_db()
    assert (second.revision, slot.current_annotation, slot.status) == (2, second, Status.SUBMITTED)
    assert Annotation.objects.count() == 2


def test_a_skipped_task_goes_to_somebody_else_before_newer_ones(world):
    first, _ = world.tasks(2)
    slot = world.claim("ana")
    ledger.skip(slot=slot, kind="hard", reason="too hard")
    slot.refresh_from_db()
    assert (slot.status, slot.skip_kind, slot.skip_reason, slot.holder) == (
        Status.SKIPPED,
        "hard",
        "too hard",
        world.annotator("ana"),
    )
    replacement = Slot.objects.get(task=first, place=slot.place, status=Status.OPEN)
    assert replacement.ahead
    assert world.claim("ben") == replacement
    assert world.claim("ana").task != first


def test_a_lease_that_is_over_opens_the_place_again(world):
    task = world.tasks()[0]
    slot = world.claim("ana")
    expire(slot)
    assert sorted(task.slots.values_list("place", "status")) == [(1, "expired"), (1, "open"), (2, "open")]
    assert ledger.expire_leases() == 0


def test_a_late_answer_takes_its_place_back_while_nobody_has_it(world):
    task = world.tasks()[0]
    slot = world.claim("ana")
    expire(slot)
    world.answer(slot, 1, 2, 3)
    assert sorted(task.slots.values_list("place", "status")) == [(1, "submitted"), (2, "open")]


@pytest.mark.parametrize("taken", ["leased", "submitted"])
def test_a_late_answer_whose_place_is_taken_is_kept_as_extra(world, taken):
    task = world.tasks()[0]
    slot = world.claim("ana")
    expire(slot)
    other = world.claim("ben")
    assert other.place == slot.place
    if taken == "submitted":
        world.answer(other, 1, 2, 3)
    annotation = world.answer(slot, 1, 2, 3)
    slot.refresh_from_db()
    assert (slot.status, slot.current_annotation) == (Status.EXTRA, annotation)
    assert task.slots.counting().count() == (1 if taken == "submitted" else 0)


def test_an_answer_after_skipping_is_kept_too(world):
    world.tasks()
    slot = world.claim("ana")
    ledger.skip(slot=slot, kind="hard")
    world.answer(slot, 1, 2, 3)
    slot.refresh_from_db()
    assert slot.status == Status.SUBMITTED


def test_who_gives_a_task_back_leaves_its_place_to_others(world):
    world.tasks()
    slot = world.claim("ana")
    ledger.release(slot=slot)
    slot.refresh_from_db()
    assert (slot.status, slot.skip_kind) == (Status.RELEASED, "")
    assert world.claim("ben").place == slot.place
    assert world.claim("ana") is None


def test_who_is_paused_gives_back_the_task_that_is_open_and_loses_nothing(world):
    task = world.tasks()[0]
    slot = world.claim("ana")
    enrolment = Enrolment.objects.get(annotator=world.annotator("ana"))
    move(enrolment=enrolment, to=Enrolment.Status.PAUSED, actor=world.users["mina"])
    assert task.slots.filter(status=Status.OPEN).count() == 2
    world.answer(slot, 1, 2, 3)
    slot.refresh_from_db()
    assert (slot.status, slot.held_for) == (Status.HELD, "pause")  # and counts once she is restored
    move(enrolment=enrolment, to=Enrolment.Status.APPROVED, actor=world.users["mina"])
    slot.refresh_from_db()
    assert (slot.status, slot.held_for) == (Status.SUBMITTED, "")
    assert sorted(task.slots.values_list("place", "status")) == [(1, "submitted"), (2, "open")]


def test_a_withdrawn_task_goes_to_nobody_more_and_those_in_it_finish(world):
    task, other = world.tasks(2)
    slot = world.claim("ana")
    ledger.withdraw(task=task)
    assert world.claim("ben").task == other
    world.answer(slot, 1, 2, 3)
    slot.refresh_from_db()
    assert slot.status == Status.SUBMITTED
    assert not task.slots.filter(status=Status.OPEN).exists()


def test_nothing_opens_again_on_a_withdrawn_task_until_it_is_restored(world):
    task = world.tasks()[0]
    slot = world.claim("ana")
    ledger.withdraw(task=task)
    expire(slot)
    assert list(task.slots.values_list("status", flat=True)) == ["expired"]
    world.answer(slot, 1, 2, 3)  # late, and nobody else can have the place
    assert list(task.slots.values_list("status", flat=True)) == ["submitted"]
    ledger.restore(task=task)
    assert sorted(task.slots.values_list("place", "status")) == [(1, "submitted"), (2, "open")]
    ledger.restore(task=task)
    assert task.slots.count() == 2


def test_a_place_more_goes_ahead_of_the_rest_and_only_up_to_the_largest_overlap(world):
    world.project.max_overlap = 3
    world.project.save()
    first, *_ = world.tasks(3)
    for name in ("ana", "ben"):
        world.answer(world.claim(name), 1, 2, 3)
    assert ledger.add_place(task=first)
    assert not ledger.add_place(task=first)
    enrol(project=world.project, user=world.users["otto"])
    slot = world.claim("otto")
    assert (slot.task, slot.place, slot.queue_info["why"]) == (first, 3, "ahead")


def test_a_closed_project_keeps_its_answers_as_they_are_and_still_takes_late_ones(world):
    world.tasks(2)
    first = world.claim("ana")
    world.answer(first, 1, 2, 3)
    second = world.claim("ana")
    Project.objects.filter(pk=world.project.pk).update(status=Project.Status.CLOSED)
    with pytest.raises(Refused, match="closed"):
        world.answer(first, 3, 2, 1)
    world.answer(second, 1, 2, 3)
    assert Slot.objects.counting().count() == 2


def test_a_revision_after_feedback_is_marked_informed(world):
    world.tasks()
    slot = world.claim("ana")
    assert not world.answer(slot, 1, 2, 3).informed
    assert not world.answer(slot, 3, 2, 1).informed
    Slot.objects.filter(pk=slot.pk).update(informed_at=timezone.now())
    assert world.answer(slot, 2, 2, 1).informed


# --- Drafts and leases ------------------------------------------------------------------------------------------------


def test_a_draft_is_kept_and_renews_the_lease_and_goes_with_the_answer(world):
    world.tasks()
    slot = world.claim("ana")
    Slot.objects.filter(pk=slot.pk).update(leased_until=timezone.now() + timedelta(minutes=1))
    kept = ledger.keep_draft(slot=slot, fields={"overall.tier.A": ["1"]}, version=0)
    assert (kept.version, kept.status, kept.newer) == (1, Status.LEASED, None)
    slot.refresh_from_db()
    assert slot.leased_until > timezone.now() + timedelta(minutes=59)
    assert slot.draft.fields == {"overall.tier.A": ["1"]}
    world.answer(slot, 1, 2, 3)
    assert not Draft.objects.exists()


def test_a_draft_of_another_device_is_not_overwritten_but_told(world):
    world.tasks()
    slot = world.claim("ana")
    ledger.keep_draft(slot=slot, fields={"x": ["phone"]}, version=0)
    kept = ledger.keep_draft(slot=slot, fields={"x": ["desk"]}, version=0)
    assert (kept.version, kept.newer) == (1, {"x": ["phone"]})
    assert ledger.keep_draft(slot=slot, fields={"x": ["desk"]}, version=1).version == 2


def test_renewing_takes_a_lost_lease_back_while_nobody_has_the_place(world):
    task = world.tasks()[0]
    slot = world.claim("ana")
    expire(slot)
    assert ledger.keep_draft(slot=slot, fields=None, version=0).status == Status.LEASED
    assert sorted(task.slots.values_list("place", "status")) == [(1, "leased"), (2, "open")]


def test_renewing_gives_nothing_back_to_who_is_paused(world):
    world.tasks()
    slot = world.claim("ana")
    expire(slot)
    move(
        enrolment=Enrolment.objects.get(annotator=world.annotator("ana")),
        to=Enrolment.Status.PAUSED,
        actor=world.users["mina"],
    )
    assert ledger.keep_draft(slot=slot, fields={"x": ["1"]}, version=0).status == Status.EXPIRED
    assert Draft.objects.count() == 1


def test_renewing_does_not_take_a_place_that_somebody_has_nor_a_second_lease(world):
    world.tasks(2)
    slot = world.claim("ana")
    expire(slot)
    assert world.claim("ben").place == slot.place
    assert ledger.keep_draft(slot=slot, fields={"x": ["1"]}, version=0).status == Status.EXPIRED
    assert Draft.objects.count() == 1  # kept all the same
    later = world.claim("ana")
    expire(later)
    world.tasks()
    world.claim("ana")
    assert ledger.keep_draft(slot=later, fields=None, version=0).status == Status.EXPIRED


def test_new_tasks_of_higher_priority_are_seen_by_those_who_are_past_them(world):
    world.tasks(2)
    world.answer(world.claim("ana"), 1, 2, 3)
    urgent = world.tasks(priority=9)[0]
    assert world.claim("ana").task == urgent


def test_what_a_rolled_back_claim_had_locked_is_found_below_the_cursor_once_a_minute(world):
    first, second = world.tasks(2)
    world.answer(world.claim("ana"), 1, 2, 3)
    Enrolment.objects.filter(annotator=world.annotator("ana")).update(cursor=second.rank)
    assert world.claim("ana").task == second
    ledger.skip(slot=world.claim("ana"), kind="hard")
    Enrolment.objects.filter(annotator=world.annotator("ana")).update(cursor=second.rank)
    assert world.claim("ana") is None  # it looked less than a minute ago
    assert first.slots.filter(status=Status.OPEN).exists()


def test_the_database_itself_keeps_the_rules(world):
    task, other = world.tasks(2)
    slot = world.claim("ana")
    ana = world.annotator("ana")
    held = {"holder": ana, "code": uuid4()}
    wrong = {
        "slot_one_per_person_and_task": {"status": Status.SKIPPED, "place": 9, **held},
        "slot_one_live_lease_per_person_and_project": {
            "task": other, "status": Status.LEASED, "place": 9, "leased_until": timezone.now(), **held,
        },
        "slot_one_live_per_place": {"status": Status.OPEN, "place": slot.place},
        "slot_open_has_no_holder": {"task": other, "status": Status.OPEN, "place": 9, **held},
        "slot_answered_has_annotation": {"task": other, "status": Status.SUBMITTED, "place": 9, **held},
        "slot_lease_has_an_end": {"task": other, "status": Status.LEASED, "place": 9, **held, "holder": world.annotator("ben")},
    }  # fmt: skip
    for name, fields in wrong.items():
        fields = {"project": world.project, "task": task, "route": task.route, "rank": 1} | fields
        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            Slot.objects.create(**fields)


@pytest.mark.parametrize("statement", ["UPDATE {} SET id = id", "DELETE FROM {}"])
@pytest.mark.parametrize("table", ["annotate_annotation", "annotate_answer", "annotate_rankitem"])
def test_what_was_submitted_can_neither_be_changed_nor_deleted(world, table, statement):
    world.tasks()
    world.answer(world.claim("ana"), 1, 2, 3)
    with (
        pytest.raises(ProgrammingError, match="Cannot update or delete"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format(table))


def test_the_order_shown_differs_between_people_and_stays_the_same_for_one(world):
    world.tasks(20, outputs=9)
    orders = set()
    for name in ("ana", "ben"):
        slot = world.claim(name)
        orders.add(tuple(completion.position for completion in slot.display_order()))
        assert slot.display_order() == Slot.objects.get(pk=slot.pk).display_order()
    assert len(orders) == 2
