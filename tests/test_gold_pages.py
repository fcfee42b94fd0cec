"""The pages about known answers: what is known, who may see it when, how long it lasts, and what might become gold."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from annotate.errors import Refused
from annotate.models import (
    Consensus,
    Decision,
    GoldAnswer,
    GoldResult,
    Membership,
    ResearcherAnswer,
    Rule,
    Slot,
    Task,
)
from annotate.services import claims, consensus, enrolments, gold, gold_overview, vetting
from tests.disagreement import ask, disagree
from tests.hostile_outputs import HOSTILE
from tests.known import choice_question, know, known_tasks, order

pytestmark = pytest.mark.django_db

GOLD = "/projects/kitchen/gold/"
Purpose = Task.Purpose
RIGHT, WRONG = (1, 2, 3), (3, 2, 1)


@pytest.fixture
def kitchen(world, monkeypatch):
    """rita and vera research, otto audits, everything a person gets is gold."""
    world.users["vera"] = User.objects.create_user("vera")
    for name, role in (("rita", "researcher"), ("vera", "researcher"), ("otto", "auditor")):
        Membership.objects.create(user=world.users[name], project=world.project, role=role)
    world.project.gold_percent = 100
    world.project.save()
    monkeypatch.setattr(gold, "RESERVE", 1)
    return world


def at(task: Task, key: str = "") -> str:
    return reverse("gold_case", args=["kitchen", task.pk, key or task.project.preference_question.key])


def ranked(world, *tiers: int, **fields: str) -> dict[str, str]:
    """The form with a ranking, by letters in the order of the outputs."""
    key = world.project.preference_question.key
    deed = {} if "known:correct" in fields else {"known:answer": "1"}
    return {f"{key}.tier.{letter}": str(tier) for letter, tier in zip("ABC", tiers, strict=True)} | deed | fields


def do(world, name: str, *tiers: int) -> Slot:
    slot = claims.claim(annotator=world.annotator(name), project=world.project)
    assert slot is not None
    vetting.submit(slot=slot, answers=[world.ranking(slot, *tiers)], idempotency_key=uuid4())
    return slot


# --- One known answer -------------------------------------------------------------------------------------------------


def test_researchers_answer_without_knowing_what_the_others_did(kitchen):
    [task] = kitchen.tasks(1, purpose=Purpose.GOLD)
    response = kitchen.client("rita").post(
        at(task), ranked(kitchen, *RIGHT, **{"known:reason": "It is true."}), follow=True
    )
    assert "No two researchers share an answer yet" in response.text
    assert ResearcherAnswer.objects.get().reason == "It is true." and not GoldAnswer.objects.exists()
    before = kitchen.client("vera").get(at(task)).text
    assert "1 other researcher has answered." in before and "It is true." not in before and "rita" not in before
    response = kitchen.client("vera").post(at(task), ranked(kitchen, *RIGHT), follow=True)
    assert "2 of 2 researchers share the answer that is known now" in response.text
    assert "It is true." in response.text and "rita" in response.text and "A &gt; B &gt; C" in response.text
    known = GoldAnswer.objects.get()
    assert (known.agreeing, known.reason, known.current) == (2, "It is true.", True)


def test_an_auditor_looks_and_an_annotator_is_not_told(kitchen):
    [task] = known_tasks(kitchen, 1)
    assert "Known answer, version 1" in kitchen.client("otto").get(at(task)).text
    assert "Save my answer" not in kitchen.client("otto").get(at(task)).text
    sent = ranked(kitchen, *RIGHT)
    assert [kitchen.client(name).post(at(task), sent).status_code for name in ("otto", "ana")] == [403, 404]
    assert kitchen.client("ana").get(at(task)).status_code == 404


def test_work_has_no_such_page_and_neither_has_a_question_that_asks_for_words(kitchen):
    [work] = kitchen.tasks(1)
    assert kitchen.client("rita").get(at(work)).status_code == 404
    [task] = kitchen.tasks(1, purpose=Purpose.TEST)
    assert kitchen.client("rita").get(at(task, "no-such")).status_code == 404
    kitchen.project.questions.create(key="why", kind="text", text="Why?")
    assert kitchen.client("rita").get(at(task, "why")).status_code == 404


def test_an_answer_that_is_not_whole_is_refused_and_kept_on_the_page(kitchen):
    [task] = kitchen.tasks(1, purpose=Purpose.TEST)
    sent = ranked(kitchen, *RIGHT, **{"known:reason": HOSTILE[0][1]})
    del sent[f"{kitchen.project.preference_question.key}.tier.C"]
    response = kitchen.client("rita").post(at(task), sent)
    assert response.status_code == 422 and not ResearcherAnswer.objects.exists()
    assert "What you filled in is still here" in response.text and "&lt;script&gt;window.hacked" in response.text
    assert "<script>window" not in response.text


def test_hostile_reasons_are_shown_as_text(kitchen):
    [task] = kitchen.tasks(1, purpose=Purpose.TEST)
    for _what, text in HOSTILE[:6]:
        know(kitchen, task, *RIGHT, by=("rita", "vera"), reason=text)
    page = kitchen.client("rita").get(at(task)).text
    assert "window.hacked" in page
    for dangerous in ("<script>window", "<SCRIPT>", "<img src=x", "<svg onload"):
        assert dangerous not in page


def test_who_was_given_the_task_neither_answers_nor_sees_what_is_known(kitchen):
    [task] = known_tasks(kitchen, 1)
    do(kitchen, "ana", *RIGHT)
    Membership.objects.create(user=kitchen.users["ana"], project=kitchen.project, role="researcher")
    page = kitchen.client("ana").get(at(task)).text
    assert "You were given this task as an annotator" in page
    assert "Known answer, version" not in page and "Save my answer" not in page and "rita" not in page
    response = kitchen.client("ana").post(at(task), ranked(kitchen, *RIGHT))
    assert response.status_code == 422 and "Another researcher answers it" in response.text
    assert kitchen.client("ana").post(at(task), ranked(kitchen, *WRONG, **{"known:correct": "1"})).status_code == 422
    assert GoldAnswer.objects.count() == 1


def test_a_correction_needs_a_reason_and_says_how_many_are_scored_again(kitchen):
    [task] = known_tasks(kitchen, 1)
    do(kitchen, "ana", *RIGHT)
    do(kitchen, "ben", *WRONG)
    page = kitchen.client("rita").get(at(task)).text
    assert "scores 2 people again" in page and "2 answers scored by the version in force" in page
    wrong = ranked(kitchen, *WRONG, **{"known:correct": "1"})
    response = kitchen.client("rita").post(at(task), wrong)
    assert response.status_code == 422 and "whoever is scored again reads it" in response.text
    response = kitchen.client("rita").post(at(task), wrong | {"known:reason": "Upside down."}, follow=True)
    assert "Corrected: version 2. 2 people are scored by it." in response.text and "corrected by rita" in response.text
    scored = GoldResult.objects.filter(gold__current=True).order_by("annotation")
    assert list(scored.values_list("passed", flat=True)) == [False, True]
    assert Decision.objects.filter(kind="rescore", reason="Upside down.").count() == 2


def test_who_has_not_answered_does_not_correct(kitchen):
    [task] = known_tasks(kitchen, 1)
    sent = ranked(kitchen, *WRONG, **{"known:correct": "1", "known:reason": "I know better."})
    kitchen.client("vera").post(at(task), sent)
    assert GoldAnswer.objects.get(current=True).corrected_by is None
    assert ResearcherAnswer.objects.filter(researcher=kitchen.users["vera"]).count() == 1  # it is an answer like others


@pytest.mark.parametrize(
    ("kind", "said", "values"),
    [
        ("choice", {"asked": "yes"}, ["yes"]),
        ("rating", {"asked": "4"}, [4]),
        ("multi_choice", {"asked": ["rude", "long"]}, [["rude", "long"]]),
        ("pairwise", {"asked.choice": "-1"}, [{"strength": 1}]),
        ("rule", {"asked.true.A": "3", "asked.true.B": "0"}, [3, 0]),
    ],
)
def test_each_kind_of_question_is_answered(kitchen, kind, said, values):
    question = ask(kitchen, kind)
    [task] = kitchen.tasks(1, outputs=2, purpose=Purpose.TEST)
    address = at(task, question.key)
    assert kitchen.client("rita").get(address).status_code == 200
    for name in ("rita", "vera"):
        response = kitchen.client(name).post(address, said | {"known:answer": "1"}, follow=True)
        assert "Your answer is saved." in response.text
    found = [one["value"] for one in GoldAnswer.objects.get().values]
    assert [{"strength": one["strength"]} if isinstance(one, dict) else one for one in found] == values
    if kind == "rule":
        assert {one["rule"] for one in GoldAnswer.objects.get().values} == {Rule.objects.get().pk}


# --- The list ---------------------------------------------------------------------------------------------------------


def test_the_list_says_what_is_known_and_what_people_make_of_it(kitchen):
    agreed, alone, torn, open_ = kitchen.tasks(4, purpose=Purpose.GOLD)
    know(kitchen, agreed, *RIGHT)
    know(kitchen, alone, *RIGHT, by=("vera",))
    know(kitchen, torn, *RIGHT, by=("vera",))
    know(kitchen, torn, *WRONG, by=("rita",))
    do(kitchen, "ana", *RIGHT)
    do(kitchen, "ben", *WRONG)
    rows = {
        row.task: row
        for row in gold_overview.rows(kitchen.project.preference_question, [agreed, alone, torn, open_], [])
    }
    assert [(rows[one].answered, rows[one].agreeing, rows[one].usable) for one in (agreed, alone, torn, open_)] == [
        (2, 2, True), (1, 0, False), (2, 0, False), (0, 0, False),
    ]  # fmt: skip
    assert (rows[agreed].right, rows[agreed].n, rows[agreed].percent) == (1, 2, 50)
    page = kitchen.client("rita").get(GOLD).text
    for words in ("usable", "one researcher alone", "they disagree", "not answered", "50 %", "n = 2"):
        assert words in page
    assert "Gold" in page and at(open_) in page
    assert kitchen.client("rita").get(GOLD + "?purpose=test").text.count('<td class="name">') == 0


def test_the_list_is_of_one_purpose_and_question_and_leads_to_what_one_has_not_answered(kitchen):
    choice_question(kitchen.project)
    first, _second = kitchen.tasks(2, purpose=Purpose.TEST)
    know(kitchen, first, *RIGHT, by=("rita",))
    page = kitchen.client("rita").get(GOLD + "?purpose=test&question=harmful").text
    assert f'href="{at(first, "harmful")}">Answer the next' in page
    assert f'href="{at(_second)}">Answer the next' in kitchen.client("rita").get(GOLD + "?purpose=test").text
    assert "Answer the next" not in kitchen.client("otto").get(GOLD + "?purpose=test").text
    for odd in ("?purpose=work", "?purpose=x&question=y", "?page=99"):
        assert kitchen.client("rita").get(GOLD + odd).status_code == 200


def test_what_good_people_miss_is_suspect(kitchen):
    tasks = known_tasks(kitchen, 12)
    odd = tasks[0]
    for name in ("ana", "ben", "eva", "fay"):
        if name not in kitchen.users:
            kitchen.users[name] = User.objects.create_user(name)
            enrol(kitchen, name)
        for _ in tasks:
            slot = claims.claim(annotator=kitchen.annotator(name), project=kitchen.project)
            tiers = WRONG if slot.task == odd else RIGHT
            vetting.submit(slot=slot, answers=[kitchen.ranking(slot, *tiers)], idempotency_key=uuid4())
    [found] = gold_overview.suspect_items(kitchen.project)
    assert found.item == (odd.pk, kitchen.project.preference_question.key) and (found.missed, found.n) == (4, 4)
    page = kitchen.client("rita").get(GOLD).text
    assert "4 of 4 people who are good elsewhere miss" in page and page.count(">suspect</span>") == 2  # note and row


def enrol(world, name: str) -> None:
    enrolments.enrol(project=world.project, user=world.users[name])


def test_statements_do_not_grow_with_tasks_people_and_results(kitchen, django_assert_num_queries):
    client = kitchen.client("rita")
    known_tasks(kitchen, 1)
    do(kitchen, "ana", *RIGHT)
    client.get(GOLD)
    with django_assert_num_queries(19):
        client.get(GOLD)
    known_tasks(kitchen, 6)
    for name in ("ana", "ben", "ben", "ben"):
        do(kitchen, name, *RIGHT)
    with django_assert_num_queries(19):
        client.get(GOLD)


# --- How long it lasts ------------------------------------------------------------------------------------------------


def served(world, percent: int) -> None:
    type(world.project).objects.update(gold_percent=percent)
    world.project.refresh_from_db()


def test_gold_is_forecast_to_run_out(kitchen):
    ana, question = kitchen.annotator("ana"), kitchen.project.preference_question
    served(kitchen, 0)
    kitchen.tasks(6)
    slots = [do(kitchen, "ana", *RIGHT) for _ in range(6)]
    values = {question: order(slots[0].task, *RIGHT)}
    copy = gold.promote(task=slots[0].task, purpose=Purpose.GOLD, actor=kitchen.users["rita"], values=values)
    know(kitchen, copy, *RIGHT, by=("mina",))
    known_tasks(kitchen, 3)
    served(kitchen, 100)
    old = do(kitchen, "ana", *RIGHT)
    assert old.task.purpose == Purpose.GOLD
    Slot.objects.filter(pk=old.pk).update(submitted_at=timezone.now() - timedelta(days=30))
    type(kitchen.project).objects.update(gold_percent=10, gold_new_percent=50, gold_new_tasks=3)
    kitchen.project.refresh_from_db()
    outlook = gold_overview.outlook(kitchen.project)
    found = {one.pseudonym: one for one in outlook.people}
    # Seven tasks done, six of them this week; of four gold tasks one was seen, and the original of another.
    mine = found[ana.pseudonym]
    assert (mine.unseen, mine.per_day, mine.percent) == (2, 6 / 7, 10)
    assert mine.days == pytest.approx(2 / (6 / 7 * 0.1))  # 23.3
    ben = found[kitchen.annotator("ben").pseudonym]
    assert (ben.unseen, ben.per_day, ben.percent, ben.days) == (4, 0, 50, None)
    assert (outlook.usable, outlook.first_out, outlook.near) == (4, mine, False)
    page = kitchen.client("rita").get(GOLD).text
    assert '<td class="num">23</td>' in page and "gold runs out" not in page


def test_where_it_is_near_the_page_says_so_first(kitchen):
    known_tasks(kitchen, 1)
    do(kitchen, "ana", *RIGHT)
    page = kitchen.client("rita").get(GOLD).text
    assert "There is no gold left for" in page and kitchen.annotator("ana").pseudonym in page
    known_tasks(kitchen, 1)
    page = kitchen.client("rita").get(GOLD).text
    assert "gold runs out for" in page and "in about 7 days" in page  # one task in seven days, one left
    served(kitchen, 0)
    page = kitchen.client("rita").get(GOLD).text
    assert "No gold is served" in page and "runs out" not in page


# --- Proposals --------------------------------------------------------------------------------------------------------


def agree(task: Task, question, **fields) -> Consensus:
    """What three people have agreed on, as a consensus has it."""
    said = {"value": "no", "votes": {}, "soft": {}, "method": "m", "code_version": "1"}
    said |= {"n_votes": 3, "unanimous": True, "confidence": 0.97}
    return Consensus.objects.create(task=task, question=question, **said | fields)


@pytest.fixture
def unanimous(world):
    """A question, and two tasks on which people agree."""
    Membership.objects.create(user=world.users["rita"], project=world.project, role="researcher")
    question = ask(world, "choice")
    tasks = world.tasks(2)
    for task in tasks:
        agree(task, question)
    return world, question, tasks


def test_work_on_which_people_are_unanimous_is_proposed_and_copied_by_a_person_alone(unanimous):
    world, question, (first, second) = unanimous
    asked, proposed, more = gold_overview.proposals(world.project)
    assert (asked, [one.task for one in proposed], more) == (question, [first, second], False)
    assert not Task.objects.exclude(purpose=Purpose.WORK).exists()
    page = world.client("rita").get(GOLD).text
    assert page.count("Copy to gold") == 2 and "3 people, confidence 0.97" in page
    response = world.client("rita").post(GOLD, {"task": first.pk, "purpose": "gold"}, follow=True)
    copy = Task.objects.get(copy_of=first)
    assert copy.purpose == Purpose.GOLD and response.redirect_chain[0][0] == at(copy, question.key)
    assert "It counts once another researcher agrees" in response.text
    said = ResearcherAnswer.objects.get()
    assert (said.task, said.researcher, said.values[0]["value"]) == (copy, world.users["rita"], "no")
    assert [one.task for one in gold_overview.proposals(world.project)[1]] == [second]
    again = world.client("rita").post(GOLD, {"task": first.pk, "purpose": "test"})
    assert again.status_code == 422 and "there is a copy of it" in again.text


@pytest.mark.parametrize("change", [{"n_votes": 2}, {"unanimous": False}, {"confidence": 0.89}, {"current": False}])
def test_what_is_not_sure_enough_is_not_proposed(unanimous, change):
    world, question, (first, second) = unanimous
    Consensus.objects.filter(task=first).update(current=False)
    agree(first, question, **change)
    assert [one.task for one in gold_overview.proposals(world.project)[1]] == [second]
    with pytest.raises(Refused, match="no longer agree"):
        gold_overview.promote(project=world.project, task=first, purpose="gold", actor=world.users["rita"])


def test_only_researchers_and_managers_promote_and_only_what_is_there(unanimous):
    world, _question, (first, _second) = unanimous
    [torn] = world.tasks(1)
    Membership.objects.create(user=world.users["otto"], project=world.project, role="auditor")
    sent = {"task": first.pk, "purpose": "gold"}
    assert [world.client(name).post(GOLD, sent).status_code for name in ("otto", "ana")] == [403, 404]
    assert "Copy to gold" not in world.client("otto").get(GOLD).text
    for odd in (
        {"task": torn.pk, "purpose": "gold"},
        {"task": 10**9, "purpose": "gold"},
        {"task": first.pk, "purpose": "work"},
    ):
        assert world.client("rita").post(GOLD, odd).status_code == 422
    assert not Task.objects.exclude(purpose=Purpose.WORK).exists()


def test_of_a_question_about_each_output_all_have_to_be_unanimous(world):
    Membership.objects.create(user=world.users["rita"], project=world.project, role="researcher")
    question = ask(world, "rating", scope="completion", required=True)
    task, other = world.tasks(2, outputs=2)
    for one, values, alike in ((task, (4.0, 2.0), True), (other, (4.0, 2.5), False)):
        outputs = one.completions.order_by("position")
        agree(one, question, completion=outputs[0], value=values[0])
        agree(one, question, completion=outputs[1], value=values[1], unanimous=alike)
    assert [one.task for one in gold_overview.proposals(world.project)[1]] == [task]
    copy = gold_overview.promote(project=world.project, task=task, purpose="gold", actor=world.users["rita"])
    assert [one["value"] for one in ResearcherAnswer.objects.get(task=copy).values] == [4, 2]
    assert gold_overview.proposals(world.project)[1] == []


def test_what_three_people_rank_alike_is_proposed(world):
    question = ask(world, "ranking")
    type(world.project).objects.update(confidence_percent=60)
    world.project.refresh_from_db()
    alike = [disagree(world, question, (1, 2), (1, 2), (1, 2), settle=False) for _ in range(3)]
    disagree(world, question, (1, 2), (1, 2), (2, 1), settle=False)
    consensus.settle(project=world.project)
    assert [one.task for one in gold_overview.proposals(world.project)[1]] == alike
    copy = gold_overview.promote(project=world.project, task=alike[0], purpose="gold", actor=world.users["mina"])
    outputs = copy.completions.order_by("position").values_list("pk", flat=True)
    said = ResearcherAnswer.objects.get(task=copy).values[0]["value"]
    assert said == {"tiers": {str(outputs[0]): 1, str(outputs[1]): 2}}
