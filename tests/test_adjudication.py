"""Where people disagree a reviewer decides: what waits, what is refused, what is written, and who is told."""

from threading import Thread
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotate.answer_words import in_words, order, votes_in_words
from annotate.errors import Refused
from annotate.models import Adjudication, Annotator, Consensus, Membership, Question, Rule, Slot, Task
from annotate.questions import NOT_RANKABLE
from annotate.services import adjudication, consensus, ledger
from annotate.services.adjudication import Outcome, answers, decisions, queue, waiting
from tests.disagreement import QUEUE, SETTINGS, annotation, ask, current, decide, disagree, given, person
from tests.world import World

pytestmark = pytest.mark.django_db

# --- The queue --------------------------------------------------------------------------------------------------------


def test_what_people_disagree_on_waits_least_sure_first(world):
    question = ask(world, "choice")
    split = disagree(world, question, "no", "yes")
    few = disagree(world, question, "no", "no")  # too few to be sure of, but there is nothing to decide
    most = disagree(world, question, "no", "no", "no", "no", "yes")
    confidence = {row.task: row.confidence for row in Consensus.objects.filter(current=True)}
    assert confidence[split] < confidence[few] < confidence[most]
    world.project.confidence_percent = 100
    world.project.save()
    assert [row.task for row in queue(world.project)] == [split, most]
    world.project.confidence_percent = 1 + int(100 * confidence[split])
    assert [row.task for row in queue(world.project)] == [split]
    assert [row.task for row in queue(world.project, question)] == [split] and waiting(world.project).n == 1


def test_a_case_is_a_question_on_a_task_by_its_least_sure_output(world):
    question = ask(world, "rating", scope="completion")
    task = disagree(world, question, (1, 3), (5, 3))
    other = ask(world, "choice", key="other")
    Question.objects.filter(pk=question.pk).update(current=True)
    Consensus.objects.filter(task=task).update(current=False)
    first, second = task.completions.order_by("position")
    row = {"task": task, "votes": {"1": 1}, "soft": {}, "method": "m", "code_version": "1", "n_votes": 2}
    row["unanimous"] = False
    Consensus.objects.create(question=question, completion=first, confidence=0.7, **row)
    worst = Consensus.objects.create(question=question, completion=second, confidence=0.4, **row)
    Consensus.objects.create(question=other, confidence=0.5, **row)
    assert [(one.question, one.confidence) for one in queue(world.project)] == [(question, 0.4), (other, 0.5)]
    assert queue(world.project).first() == worst
    assert waiting(world.project).n == 2


@pytest.mark.parametrize(
    "change",
    [
        {"confidence": 0.9},
        {"confidence": None},
        {"n_votes": 1},
        {"unanimous": True},
        {"current": False},
        {"task__status": Task.Status.WITHDRAWN},
        {"task__purpose": Task.Purpose.GOLD},
        {"question__current": False},
    ],
)
def test_what_is_settled_or_not_work_does_not_wait(world, change):
    question = ask(world, "choice")
    (task,) = world.tasks(1)
    task.slots.all().delete()
    row = {"confidence": 0.5, "n_votes": 2, "unanimous": False, "current": True}
    of_task = {name.split("__")[1]: value for name, value in change.items() if name.startswith("task__")}
    of_question = {name.split("__")[1]: value for name, value in change.items() if name.startswith("question__")}
    made = {"votes": {}, "soft": {}, "method": "m", "code_version": "1", "task": task, "question": question}
    Consensus.objects.create(**made, **row | {key: value for key, value in change.items() if "__" not in key})
    Task.objects.filter(pk=task.pk).update(**of_task or {"priority": 0})
    Question.objects.filter(pk=question.pk).update(**of_question or {"position": 0})
    assert (queue(world.project).count(), waiting(world.project).n) == (0, 0)


def test_nobody_decides_while_somebody_is_at_work(world):
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes")
    assert waiting(world.project).n == 1
    ledger.add_place(task=task)
    assert waiting(world.project).n == 0
    slot = world.claim(person(world, "cleo"))
    assert slot.task == task and waiting(world.project).n == 0
    ledger.submit(slot=slot, answers=given(question, slot, "no"), idempotency_key=uuid4())
    consensus.settle(project=world.project)
    assert waiting(world.project).n == 1


def test_where_more_are_asked_the_deciding_question_waits_for_them_and_the_others_do_not(world):
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes")
    world.project.adaptive, world.project.max_overlap = True, 3
    world.project.save()
    assert waiting(world.project).n == 0
    Task.objects.filter(pk=task.pk).update(target_overlap=3)
    assert waiting(world.project).n == 1
    Task.objects.filter(pk=task.pk).update(target_overlap=2)
    Question.objects.filter(pk=question.pk).update(position=1)
    first = Question.objects.create(
        project=world.project, key="first", kind="rating", settings=SETTINGS["rating"], text="First?"
    )
    assert waiting(world.project).n == 1  # it is no longer the one that asks more people
    Question.objects.filter(pk=first.pk).update(current=False)
    assert waiting(world.project).n == 0


def test_the_queue_of_somebody_leaves_out_what_he_was_given(world):
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes")
    Membership.objects.create(user=world.users["ana"], project=world.project, role=Membership.Role.REVIEWER)
    assert not queue(world.project, user=world.users["ana"]).exists()
    assert [waiting(world.project, world.users[who]).n for who in ("ana", "rita")] == [0, 1]
    assert queue(world.project, user=world.users["rita"]).get().task == task
    assert "given as an annotator" in world.client("ana").get(QUEUE).text


def test_waiting_is_one_count(world, django_assert_num_queries):
    question = ask(world, "choice")
    disagree(world, question, "no", "yes")
    with django_assert_num_queries(1):
        assert waiting(world.project, world.users["rita"]).n == 1


# --- Answers ----------------------------------------------------------------------------------------------------------


def test_the_heard_answers_of_people_are_given_whatever_their_number(world, django_assert_num_queries):
    question = ask(world, "ranking")
    task = disagree(world, question, (1, 2), (2, 1), (1, 1))
    first, second = (str(one.pk) for one in task.completions.order_by("position"))
    found = answers(task, question)
    assert [one.values[None, None]["tiers"] for one in found] == [
        {first: 1, second: 2},
        {first: 2, second: 1},
        {first: 1, second: 1},
    ]
    assert {one.pseudonym for one in found} == {world.annotator(name).pseudonym for name in ("ana", "ben", "p0")}
    with CaptureQueriesContext(connection) as few:
        answers(task, question)
    Annotator.objects.filter(user=world.users["ben"]).update(kind=Annotator.Kind.PERSON)
    Slot.objects.filter(task=task, holder=world.annotator("p0")).update(status=Slot.Status.EXTRA)
    assert len(answers(task, question)) == 3  # late ones are heard
    more = disagree(world, question, *[(1, 2)] * 9)
    with django_assert_num_queries(len(few)):
        assert len(answers(more, question)) == 9


def test_what_a_comparison_or_ranking_says_as_a_value(world):
    question = ask(world, "pairwise")
    task = disagree(world, question, 2, -1, 0, None)
    first, second = (str(one.pk) for one in task.completions.order_by("position"))
    assert [one.values[None, None] for one in answers(task, question)] == [
        {"tiers": {first: 1, second: 2}, "strength": 2},
        {"tiers": {first: 2, second: 1}, "strength": 1},
        {"tiers": {first: 1, second: 1}, "strength": 0},
        {"tiers": {}, "outcome": "neither"},
    ]
    ranking = ask(world, "ranking", key="top", settings={"unranked": "below", "not_rankable": True})
    task = disagree(world, ranking, (1, None, None), (1, 2, 2), outputs=3)
    one, two, three = (str(output.pk) for output in task.completions.order_by("position"))
    assert answers(task, ranking)[0].values[None, None]["tiers"] == {one: 1, two: None, three: None}
    assert adjudication._order(ranking, [(1, None, None)], NOT_RANKABLE) == {"tiers": {}, "outcome": NOT_RANKABLE}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"tiers": {"1": 1, "2": 2}}, {"tiers": {"1": 1, "2": 2}, "strength": 2}, True),
        ({"tiers": {"1": 1, "3": 2}}, {"tiers": {"1": 1, "2": 2, "3": 3}}, True),
        ({"tiers": {"1": 1, "2": None}}, {"tiers": {"1": 1, "2": 2}}, True),
        ({"tiers": {"1": 1, "2": 1}}, {"tiers": {"1": 1, "2": 2}}, False),
        ({"tiers": {}, "outcome": "neither"}, {"tiers": {"1": 1, "2": 2}}, False),
        ({"tiers": {}, "outcome": "neither"}, {"tiers": {}, "outcome": "neither"}, True),
        (3, 3.0, True),
        (["a"], ["a", "b"], False),
    ],
)
def test_values_agree_where_they_say_the_same(one, other, same):
    assert adjudication.say_the_same(one, other) is same


# --- Deciding ---------------------------------------------------------------------------------------------------------


def test_an_adopted_answer_becomes_the_consensus_and_the_votes_stay(world):
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes")
    (before,) = current(task)
    made = decide(world, task, question, outcome=Outcome.ADOPT, adopted=annotation(task, "ben", world))
    (now,) = current(task)
    assert (now.value, now.label_source, now.adjudication) == ("yes", "adjudicated", made)
    assert made.values == [{"completion": None, "rule": None, "value": "yes"}]
    kept = ("votes", "soft", "confidence", "n_votes", "method", "code_version", "question_id")
    assert all(getattr(now, name) == getattr(before, name) for name in kept)
    before.refresh_from_db()
    assert not before.current and waiting(world.project).n == 0


@pytest.mark.parametrize(
    ("kind", "said", "value"),
    [
        ("ranking", [(1, 2), (2, 1)], lambda a, b: {"tiers": {a: 1, b: 1}}),
        ("pairwise", [2, -2], lambda a, b: {"tiers": {a: 2, b: 1}, "strength": 1}),
        ("pairwise", [2, -2], lambda a, b: {"tiers": {}, "outcome": "neither"}),
        ("rating", [1, 5], lambda a, b: 3),
        ("choice", ["no", "yes"], lambda a, b: "yes"),
        ("multi_choice", [["rude"], ["long"]], lambda a, b: ["rude", "long"]),
        ("rule", [(0, 0), (4, 0)], lambda a, b: 4),
    ],
)
def test_an_answer_of_ones_own_of_each_kind(world, kind, said, value):
    question = ask(world, kind)
    task = disagree(world, question, *said)
    outputs = list(task.completions.order_by("position"))
    value = value(*(str(one.pk) for one in outputs))
    unit = {"completion": None, "rule": None}
    if kind == "rule":
        unit = {"completion": outputs[0].pk, "rule": Rule.objects.get().pk}
    made = decide(world, task, question, outcome=Outcome.OWN, values=[unit | {"value": value}])
    now = Consensus.objects.get(task=task, current=True, completion=unit["completion"], rule=unit["rule"])
    expected = {"tiers": value["tiers"]} if isinstance(value, dict) else value
    assert (now.value, now.adjudication, made.values[0]["value"]) == (expected, made, value)
    if kind == "rule":  # the other output keeps what its votes say
        assert [row.label_source for row in current(task)] == ["adjudicated", "votes"]


def test_what_is_genuinely_ambiguous_has_no_value(world):
    question = ask(world, "rating", scope="completion")
    task = disagree(world, question, (1, 3), (5, 3))
    made = decide(world, task, question)
    assert [(row.value, row.adjudication, row.n_votes) for row in current(task)] == [(None, made, 2)] * 2


def test_a_decision_stands_whatever_is_voted_later_and_the_votes_go_on(world):
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes")
    made = decide(world, task, question, outcome=Outcome.ADOPT, adopted=annotation(task, "ana", world))
    ledger.add_place(task=task)
    slot = world.claim(person(world, "cleo"))
    ledger.submit(slot=slot, answers=given(question, slot, "yes"), idempotency_key=uuid4())
    consensus.settle(project=world.project)
    (now,) = current(task)
    assert (now.value, now.adjudication, now.n_votes) == ("no", made, 3)


def test_a_case_can_be_decided_before_its_votes_were_counted(world):
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes", settle=False)
    made = decide(world, task, question)
    (row,) = current(task)
    assert (row.value, row.n_votes, row.confidence, row.adjudication) == (None, 0, None, made)
    consensus.settle(project=world.project)
    (row,) = current(task)
    assert (row.value, row.n_votes, row.adjudication) == (None, 2, made)


def test_whoever_answered_is_informed_from_then_on(world):
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes")
    before = timezone.now()
    ben = Slot.objects.filter(task=task, holder=world.annotator("ben"))
    ben.update(informed_at=before)
    decide(world, task, question)
    ana = task.slots.get(holder=world.annotator("ana"))
    assert ana.informed_at > before == ben.get().informed_at
    later = ledger.submit(slot=ana, answers=given(question, ana, "yes"), idempotency_key=uuid4())
    assert later.informed


def test_a_later_decision_names_the_one_it_replaces(world):
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes")
    first = decide(world, task, question)
    with pytest.raises(Refused, match="rita has decided meanwhile: genuinely ambiguous"):
        decide(world, task, question, name="mina")
    second = decide(world, task, question, name="mina", outcome=Outcome.ADOPT, replaces=first,
                    adopted=annotation(task, "ana", world))  # fmt: skip
    assert list(decisions(task, question)) == [second, first]
    (now,) = current(task)
    assert (now.value, now.adjudication) == ("no", second)
    with pytest.raises(Refused, match="mina has decided meanwhile"):
        decide(world, task, question, replaces=first)
    newer = ask(world, "choice", key="asked", version=2)
    with pytest.raises(Refused, match="mina has decided meanwhile"):  # it stands for the next version too
        decide(world, task, newer)
    assert decide(world, task, newer, replaces=second).question == newer


def test_who_was_given_the_task_does_not_decide(world):
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes")
    with pytest.raises(Refused, match="given this task as an annotator"):
        decide(world, task, question, name="ana")
    with pytest.raises(DatabaseError, match="was given task"), transaction.atomic():
        Adjudication.objects.create(
            task=task, question=question, reviewer=world.users["ana"], outcome="ambiguous", rationale="x"
        )
    assert not Adjudication.objects.exists()


def test_what_does_not_fit_is_refused_and_nothing_is_written(world):
    question = ask(world, "choice")
    task, other = disagree(world, question, "no", "yes"), disagree(world, question, "no", "yes")
    note = Question.objects.create(project=world.project, key="note", kind="rating", settings=SETTINGS["rating"])
    adopt = {"outcome": Outcome.ADOPT}
    with pytest.raises(Refused, match="about another task"):
        decide(world, task, question, **adopt, adopted=annotation(other, "ana", world))
    with pytest.raises(Refused, match="about another task"):
        decide(world, task, question, **adopt)
    with pytest.raises(Refused, match="has not answered"):
        decide(world, task, note, **adopt, adopted=annotation(task, "ana", world))
    with pytest.raises(Refused, match="Say why"):
        decide(world, task, question, rationale=" \n")
    with pytest.raises(Refused, match="an answer of your own"):
        decide(world, task, question, outcome=Outcome.OWN)
    twice = [{"completion": None, "rule": None, "value": "no"}] * 2
    with pytest.raises(Refused, match="an answer of your own"):
        decide(world, task, question, outcome=Outcome.OWN, values=twice)
    assert not Adjudication.objects.exists()
    assert not Slot.objects.exclude(informed_at=None).exists()


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("choice", "maybe"),
        ("choice", None),
        ("choice", ["no"]),
        ("multi_choice", "rude"),
        ("multi_choice", ["rude", "rude"]),
        ("multi_choice", [["rude"]]),
        ("rating", 6),
        ("rating", True),
        ("rating", 2.5),
        ("rating", "3"),
        ("rule", 5),
        ("ranking", 1),
        ("ranking", {}),
        ("ranking", {"tiers": {}}),
        ("ranking", {"tiers": {"A": 1, "B": 3}}),
        ("ranking", {"tiers": {"A": 1}}),
        ("ranking", {"tiers": {"A": 1, "B": None}}),
        ("ranking", {"tiers": {"A": 1, "0": 2}}),
        ("ranking", {"tiers": {}, "outcome": "not_rankable"}),
        ("ranking", {"tiers": {"A": True, "B": True}}),
        ("pairwise", {"tiers": {"A": 1}}),
        ("pairwise", {"tiers": {"A": 1, "B": 2}, "outcome": "neither"}),
    ],
)
def test_a_value_that_the_question_does_not_offer_is_refused(world, kind, value):
    question = ask(world, kind)
    (task,) = world.tasks(1, outputs=2)
    a, b = task.completions.order_by("position")
    if isinstance(value, dict) and "tiers" in value:
        names = {"A": str(a.pk), "B": str(b.pk)}
        value = value | {"tiers": {names.get(name, name): tier for name, tier in value["tiers"].items()}}
    unit = {"completion": a.pk, "rule": Rule.objects.get().pk} if kind == "rule" else {"completion": None, "rule": None}
    with pytest.raises(Refused, match="does not fit"):
        decide(world, task, question, outcome=Outcome.OWN, values=[unit | {"value": value}])


@pytest.mark.parametrize("unit", [{"completion": 0}, {"rule": 0}, {}])
def test_a_value_of_something_else_is_refused(world, unit):
    question = ask(world, "rating", scope="completion")
    (task,) = world.tasks(1, outputs=2)
    value = {"completion": task.completions.first().pk, "rule": None, "value": 3}
    if not unit:
        unit = {"completion": world.tasks(1)[0].completions.first().pk}
    with pytest.raises(Refused, match="does not fit"):
        decide(world, task, question, outcome=Outcome.OWN, values=[value | unit])


@pytest.mark.django_db(transaction=True)
def test_of_two_reviewers_at_once_one_decides_and_the_other_is_told(transactional_db):
    world = World.build()
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes")
    said: list[str] = []

    def try_it(name: str) -> None:
        try:
            decide(world, task, question, name=name)
            said.append("decided")
        except Refused as refused:
            said.append(str(refused))
        finally:
            connection.close()

    threads = [Thread(target=try_it, args=[name]) for name in ("rita", "mina")]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert Adjudication.objects.count() == 1 and sorted(said)[0] == "decided"
    assert "has decided meanwhile" in sorted(said)[1]
    assert Consensus.objects.filter(task=task, current=True).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_decision_waits_for_who_is_changing_an_answer_before_it_locks_the_task(transactional_db):
    """The order of locks is that of submitting: own slot, then the task. The other way round they could wait for ever."""
    world = World.build()
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes")
    thread = Thread(target=lambda: (decide(world, task, question), connection.close()))
    with transaction.atomic():
        Slot.objects.select_for_update(no_key=True).get(task=task, holder=world.annotator("ana"))
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        Task.objects.select_for_update(no_key=True, nowait=True).get(pk=task.pk)  # it has not got that yet
    thread.join(10)
    assert Adjudication.objects.count() == 1


# --- Words ------------------------------------------------------------------------------------------------------------


def test_values_and_votes_in_words():
    letters = {1: "A", 2: "B", 3: "C"}
    of = {kind: Question(kind=kind, settings=SETTINGS[kind]) for kind in SETTINGS}
    assert order({1: 2, 2: 1, 3: 1}, letters) == "B = C > A"
    assert order({1: 1, 2: None, 3: None}, letters) == "A > (B, C)"
    assert in_words(of["ranking"], {"tiers": {"1": 1, "2": 2}, "acceptable": [1]}, letters) == "A > B, acceptable: A"
    assert in_words(of["ranking"], {"tiers": {}, "outcome": "not_rankable"}, letters) == "cannot be ranked"
    assert in_words(of["ranking"], {"tiers": {}}, letters) == "nothing is preferred"
    assert in_words(of["pairwise"], {"tiers": {"1": 2, "2": 1}, "strength": 2}, letters) == "B is much better"
    assert in_words(of["pairwise"], {"tiers": {"1": 1, "2": 1}, "strength": 0}, letters) == "A = B"
    plain = Question(kind="pairwise", settings={"steps": 8})
    assert in_words(plain, {"tiers": {"1": 2, "2": 1}, "strength": 3}, letters) == "B > A, strength 3 of 4"
    assert in_words(of["multi_choice"], [], letters) == "none of them"
    assert in_words(of["multi_choice"], ["rude", "gone"], letters) == "Rude, gone"
    assert in_words(of["rule"], 3, letters) == "3 clearly" and in_words(of["rule"], 2.67, letters) == "2.67"
    assert in_words(of["rating"], 3.0, letters) == "3"
    worded = Question(kind="rating", settings={"min": 1, "max": 2, "words": ["bad", "good"]})
    assert in_words(worded, 2, letters) == "2 good"
    assert votes_in_words(of["ranking"], [[1, 2, [2, 0, 1]], [1, 3, [3, 0, 0]]], letters) == (
        "A > B: 2 · B > A: 1; A > C: 3"
    )
    many = [[1, 2, [3, 0, 0]], [1, 3, [3, 0, 0]], [2, 3, [1, 1, 1]], [3, 4, [2, 1, 0]]]
    assert votes_in_words(of["ranking"], many, letters).startswith("B > C: 1 · B = C: 1 · C > B: 1; C > ?: 2")
    assert votes_in_words(of["ranking"], many, letters).endswith(" …")
    assert votes_in_words(of["rating"], {"5": 1, "1": 2}, letters) == "1: 2 · 5: 1"
    assert votes_in_words(of["choice"], {"yes": 2, "gone": 1}, letters) == "Yes: 2 · gone: 1"
