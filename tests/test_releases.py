"""Releases: what goes in, what changed since, made again, taken back; nothing that comes late changes one."""

from decimal import Decimal
from threading import Thread

import orjson
import pytest
from django.core.exceptions import ValidationError
from django.db import connection, connections
from django.utils import timezone, translation

from annotate.models import Annotation, Consensus, Enrolment, Project, Rule, Slot, Task
from annotate.services import gold, ledger
from annotate.services.adjudication import adjudicate
from annotate.services.enrolments import enrol
from curation.exporting.splits import is_held_out
from curation.folder import TOMBSTONES
from curation.models import Export
from curation.services import blobs, exports, revoking, selecting
from curation.services.lineage import exports_with, lineage
from curation.tasks import build_export
from jobs.models import Job
from tests import library
from tests.test_exports import export, rows_of

pytestmark = pytest.mark.django_db


def answered(world, *tiers, people=("ana", "ben")):
    for name in people:
        while slot := world.claim(name):
            world.answer(slot, *tiers)


def lines_of(made: Export, path: str) -> list[dict]:
    return [orjson.loads(line) for line in blobs.file_of(made.files.get(path=path).blob).read_bytes().splitlines()]


# --- What goes in -----------------------------------------------------------------------------------------------------


def test_in_unit_consensus_a_row_is_what_a_task_came_to(world):
    world.tasks(1)
    world.answer(world.claim("ana"), 1, 2, 3)
    world.answer(world.claim("ben"), 1, 2, 3)
    made = export(world, unit="consensus", test_share=Decimal(0))
    found = rows_of(made)
    assert [(row["chosen"][0]["content"][:8], row["rejected"][0]["content"][:8]) for row in found] == [
        ("Answer 1", "Answer 2"),
        ("Answer 1", "Answer 3"),
        ("Answer 2", "Answer 3"),
    ]
    assert [row["weight"] for row in found] == pytest.approx([1 / 3] * 3)
    assert [(row["votes_chosen"], row["votes_tie"], row["votes_rejected"]) for row in found] == [(2, 0, 0)] * 3
    assert all(row["soft_label"] > 0.5 and row["label_source"] == "votes" for row in found)
    both = list(Annotation.objects.order_by("pk").values_list("pk", flat=True))
    assert all(row["annotations"] == both for row in found)


def test_an_adjudication_sets_the_label_and_leaves_the_votes(world):
    world.tasks(1)
    answered(world, 1, 2, 3)
    first = export(world, unit="consensus", test_share=Decimal(0))
    soft = {row["pair_id"]: row["soft_label"] for row in rows_of(first)}
    task, question = Task.objects.get(), world.project.preference_question
    a, b, c = task.completions.order_by("position").values_list("pk", flat=True)
    value = {"tiers": {str(a): 3, str(b): 2, str(c): 1}}
    adjudicate(
        task=task, question=question, reviewer=world.users["rita"], outcome="own", rationale="They overlooked it.",
        values=[{"completion": None, "rule": None, "value": value}],
    )  # fmt: skip
    found = rows_of(export(world, unit="consensus", test_share=Decimal(0)))
    assert [row["chosen"][0]["content"][:8] for row in found] == ["Answer 2", "Answer 3", "Answer 3"]
    assert all(row["label_source"] == "adjudicated" for row in found)
    assert [row["soft_label"] for row in found] == pytest.approx([1 - soft[row["pair_id"]] for row in found])


def test_filters_choose_by_batch_time_and_state(world):
    world.tasks(1, batch="first")
    world.tasks(1)
    answered(world, 1, 2, 3)
    later = timezone.now().isoformat()
    world.tasks(1)
    answered(world, 3, 2, 1)
    count = lambda **filters: export(world, filters=filters).manifest["counts"]["judgements"]  # noqa: E731
    assert count() == 6
    assert count(batches=["first"]) == 2
    assert count(answered_until=later) == 4
    assert count(answered_from=later) == 2
    Enrolment.objects.filter(annotator=world.annotator("ben")).update(status=Enrolment.Status.TESTING)
    assert count(states=["approved"]) == 3


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"filters": {"colour": "red"}}, "filters"),
        ({"filters": {"answered_from": "yesterday"}}, "filters"),
        ({"filters": {"least_confidence": 2}}, "filters"),
        ({"filters": {"purpose": "gold"}}, "unit"),
        ({"unit": "consensus", "filters": {"people_held_out": 0.5}}, "unit"),
        ({"kind": "prompt", "shape": "hh"}, "shape"),
        ({"ties": "soft", "margin": "strength"}, "margin"),
        ({"margin": "nonsense"}, "margin"),
        ({"kind": "ranking", "ties": "soft"}, "kind"),
        ({"kind": "sft"}, "kind"),
        ({"kind": "judgement", "unit": "consensus"}, "unit"),
        ({"kind": "rating", "reliability": "one_coin"}, "reliability"),
    ],
)
def test_what_does_not_go_together_is_refused_by_field_and_leaves_no_job(world, options, field):
    with pytest.raises(ValidationError) as refused:
        exports.request_export(project=world.project, actor=None, send=False, **options)
    assert list(refused.value.message_dict) == [field]
    assert not Job.objects.exists()


def test_a_withdrawn_task_held_work_and_gold_are_out(world):
    world.tasks(3)
    world.tasks(1, purpose="gold")
    answered(world, 1, 2, 3)
    withdrawn, held = Task.objects.filter(purpose="work").order_by("pk")[:2]
    ledger.withdraw(task=withdrawn)
    Slot.objects.filter(task=held).update(status="held", held_for="pause")
    assert export(world).manifest["counts"]["judgements"] == 2


def test_what_two_researchers_agree_on_is_a_test_set_of_its_own(world):
    task = world.tasks(1, purpose="gold")[0]
    question = world.project.preference_question
    a, b, c = task.completions.order_by("position").values_list("pk", flat=True)
    values = [{"completion": None, "rule": None, "value": {"tiers": {str(a): 1, str(b): 2, str(c): 3}}}]
    for name in ("mina", "rita"):
        gold.answer(task=task, question=question, researcher=world.users[name], values=values)
    made = export(world, unit="consensus", filters={"purpose": "gold"})
    assert made.manifest["splits"]["train"]["rows"] == 0
    assert made.manifest["splits"]["test"]["rows"] == 3
    assert {row["label_source"] for row in rows_of(made)} == {"adjudicated"}


def test_the_work_of_people_held_out_is_test_only(world):
    world.tasks(30)
    answered(world, 1, 2, 3)
    library.hold_out_ana_alone(world, "a")
    made = export(world, filters={"people_held_out": 0.5}, salt="a")
    assert {row["annotator"] for row in lines_of(made, "jsonl/train.jsonl")} == {world.annotator("ben").pseudonym}
    assert world.annotator("ana").pseudonym in {row["annotator"] for row in lines_of(made, "jsonl/test.jsonl")}
    trained_on = sum(not _is_test(task, "a") for task in Task.objects.all())
    assert made.manifest["counts"]["judgements_of_people_held_out"] == trained_on


def _is_test(task: Task, salt: str) -> bool:
    return is_held_out(task.split_group, salt, 0.2)


@pytest.mark.parametrize("kind", ["ranking", "unpaired", "prompt", "judgement", "rating", "violation"])
def test_every_kind_is_built_or_says_why_not(world, kind):
    world.tasks(2)
    answered(world, 1, 2, 3)
    made = export(world, kind=kind)
    if kind in ("unpaired", "rating", "violation"):  # neither a line nor such a question was asked for
        made.job.refresh_from_db()
        assert (made.built, made.job.state) == (False, Job.State.FAILED)
        return
    assert made.manifest["counts"]["rows"] == {"ranking": 4, "prompt": 2, "judgement": 4}[kind]


def test_a_row_that_the_shape_cannot_say_is_set_aside_with_a_sentence_that_says_where(world):
    task = world.tasks(1)[0]
    task.completions.filter(name="o1").update(text="No.\n\nHuman: why?")
    world.answer(world.claim("ana"), 3, 1, 2)
    made = export(world, shape="hh", test_share=Decimal(0))
    aside = lines_of(made, "quarantine.jsonl")
    assert made.manifest["quarantined"] == {"turn_marker": len(aside)} and made.manifest["counts"]["rows"] == 3 - len(
        aside
    )
    assert aside and all("Human:" in one["says"] and "%(" not in one["says"] for one in aside)
    assert "Human:" in world.client("mina").get(f"/exports/{made.pk}/").text


# --- The same bytes ---------------------------------------------------------------------------------------------------


def test_another_language_and_time_zone_give_the_same_bytes(world):
    world.tasks(4)
    answered(world, 1, 2, 2)
    first = export(world, unit="consensus")
    with translation.override("zh-hans"), timezone.override("Asia/Shanghai"):
        assert export(world, unit="consensus").manifest_sha256 == first.manifest_sha256


def test_a_release_is_made_again_from_its_selection_whatever_came_since(world):
    world.tasks(2)
    answered(world, 1, 2, 3)
    first = export(world, unit="consensus")
    world.tasks(1)
    answered(world, 3, 2, 1)
    Project.objects.update(name="Another name")
    Rule.objects.create(project=world.project, key="new", text="Be brief.")
    again = exports.repeat_export(export=first, actor=None, send=False)
    build_export(str(again.job_id))
    again.refresh_from_db()
    assert again.manifest_sha256 == first.manifest_sha256
    assert export(world, unit="consensus").manifest_sha256 != first.manifest_sha256


@pytest.mark.django_db(transaction=True)
def test_what_is_committed_during_the_selection_is_not_in_it(world, monkeypatch):
    world.tasks(2)
    world.answer(world.claim("ana"), 1, 2, 3)
    real = selecting._reliabilities

    def meanwhile(one):
        if not connection.in_atomic_block:
            return real(one)
        found = real(one)  # the snapshot was taken before this
        late = ThreadOfAnswer(world)
        late.run()
        return found

    monkeypatch.setattr(selecting, "_reliabilities", meanwhile)
    first = export(world)
    monkeypatch.undo()
    assert first.manifest["counts"]["judgements"] == 1
    assert Annotation.objects.count() == 2
    later = export(world, since=first)
    assert world.annotator("ben").pseudonym in {row["annotator"] for row in rows_of(later)}
    assert later.manifest["counts"]["judgements"] == 2


class ThreadOfAnswer:
    """Somebody who answers on a connection of his own."""

    def __init__(self, world) -> None:
        self.world = world

    def run(self) -> None:
        def answer() -> None:
            try:
                self.world.answer(self.world.claim("ben"), 3, 1, 2)
            finally:
                connections.close_all()

        thread = Thread(target=answer)
        thread.start()
        thread.join()


# --- What changed since -----------------------------------------------------------------------------------------------


def state(*made: Export) -> dict[str, dict]:
    """The rows that stand after exports of changes were applied one after the other."""
    rows: dict[str, dict] = {}
    for one in made:
        for gone in lines_of(one, TOMBSTONES) if one.since else ():
            del rows[gone["row_id"]]
        for path in one.files.filter(path__startswith="jsonl/").values_list("path", flat=True):
            for row in lines_of(one, path):
                assert row["row_id"] not in rows
                rows[row["row_id"]] = row | {"split": path}
    return rows


@pytest.mark.parametrize("unit", ["judgement", "consensus"])
def test_what_changed_since_applied_to_the_earlier_one_is_the_whole(world, unit):
    world.tasks(4)
    slots = [world.claim("ana")]
    world.answer(slots[0], 1, 2, 3)
    answered(world, 1, 2, 2)
    first = export(world, unit=unit)
    world.answer(slots[0], 3, 2, 1)  # a new revision
    world.tasks(2)
    answered(world, 2, 1, 3)
    second = export(world, since=first)
    ledger.withdraw(task=Task.objects.order_by("pk").last())
    third = export(world, since=second)
    whole = export(world, unit=unit)
    assert state(first, second, third) == state(whole)
    assert second.manifest["counts"]["tombstones"] and third.manifest["counts"]["tombstones"]
    assert second.manifest["counts"]["unchanged"]


def test_an_export_of_no_change_is_built_and_empty(world):
    world.tasks(1)
    answered(world, 1, 2, 3)
    first = export(world)
    second = export(world, since=first)
    assert second.built
    assert (second.manifest["counts"]["rows"], second.manifest["counts"]["tombstones"]) == (0, 0)


def test_only_the_same_request_can_go_on_from_an_export(world):
    world.tasks(1)
    answered(world, 1, 2, 3)
    first = export(world)
    with pytest.raises(ValidationError, match="unit"):
        exports.request_export(project=world.project, actor=None, since=first, unit="consensus", send=False)


# --- Lineage, and taking back -----------------------------------------------------------------------------------------


def test_a_row_leads_to_its_judgements_and_a_person_to_the_exports_with_his_work(world):
    world.tasks(1)
    annotation = world.answer(world.claim("ana"), 1, 2, 3)
    made = export(world)
    row = rows_of(made)[0]
    found = lineage(made, row["row_id"])
    assert [one.pk for one in found.annotations] == [annotation.pk]
    assert found.row["pair_id"] == row["pair_id"]
    assert lineage(made, "nothing") is None
    assert list(exports_with(world.annotator("ana"))) == [made]
    assert not exports_with(world.annotator("ben")).exists()


def test_a_revoked_release_is_not_made_again_nor_gone_on_from(world):
    world.tasks(1)
    answered(world, 1, 2, 3)
    made = export(world)
    with pytest.raises(ValidationError):
        revoking.revoke(export=made, actor=world.users["mina"], because=" ")
    revoking.revoke(export=made, actor=world.users["mina"], because="The outputs leaked.")
    revoking.revoke(export=made, actor=world.users["mina"], because="Another reason.")
    assert made.revoked_because == "The outputs leaked."
    with pytest.raises(ValidationError, match="leaked"):
        exports.repeat_export(export=made, actor=None)
    with pytest.raises(ValidationError, match="revoked"):
        exports.request_export(project=world.project, actor=None, since=made, send=False)


@pytest.mark.parametrize(("because", "said"), [("", "required"), ("\0", "Null characters"), ("x" * 501, "at most 500")])
def test_a_reason_that_cannot_be_is_refused_and_nothing_is_done(world, because, said):
    world.tasks(1)
    world.answer(world.claim("ana"), 1, 2, 3)
    made, client = export(world), world.client("ada")
    page = client.post(f"/exports/{made.pk}/revoke/", {"because": because}, follow=True)
    assert said in page.text
    person = client.post(f"/exports/of/{world.annotator('ana').pseudonym}/", {"because": because})
    assert person.status_code == 422 and said in person.text
    made.refresh_from_db()
    assert not made.revoked and not Slot.objects.filter(status="held").exists()


def test_erasing_somebody_holds_the_work_revokes_the_exports_and_forgets_who_it_was(world):
    world.tasks(2)
    answered(world, 1, 2, 3)
    enrol(project=world.project, user=world.users["otto"])
    made, ana = export(world, unit="consensus"), world.annotator("ana")
    world.users["ana"].email = "ana@example.org"
    world.users["ana"].save()
    assert revoking.erase_person(annotator=ana, actor=world.users["ada"], because="Asked to be.") == 1
    made.refresh_from_db()
    user = ana.user.__class__.objects.get(pk=ana.user_id)
    assert made.revoked and ana.pseudonym not in made.revoked_because
    assert (user.username, user.email, user.is_active) == (f"erased-{ana.pseudonym}", "", False)
    assert Enrolment.pgh_event_model.objects.filter(pgh_context__metadata__erased_because="Asked to be.").exists()
    assert set(Slot.objects.filter(holder=ana).values_list("status", "held_for")) == {("held", "erased")}
    assert Slot.objects.filter(status="open").count() == 2  # the places are others' now
    later = export(world, unit="consensus")
    assert {one["pseudonym"] for one in later.manifest["annotators"]} == {world.annotator("ben").pseudonym}
    assert Consensus.objects.filter(current=True, n_votes=1).count() == 2
