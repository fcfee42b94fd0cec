"""Where people stand: the list, the page of one, one's own, and what a manager decides there."""

import csv
from datetime import timedelta
from io import StringIO
from math import log
from unittest import mock
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotate.errors import Refused
from annotate.models import Decision, Enrolment, Flag, Slot, Task
from annotate.services import agreement, claims, consensus, enrolments, gold, ledger, standing, standing_list, vetting
from annotate.services import standing_deeds as deeds
from annotate.services import standing_work as work
from annotate.services.holding import reopen_changed
from annotate.services.standing import Share
from annotate.standing_words import in_place, rule_in_words
from jobs.models import Job
from tests.disagreement import ask, disagree, given, person
from tests.known import known_tasks, step

pytestmark = pytest.mark.django_db

LIST, OWN = "/projects/kitchen/annotators/", "/projects/kitchen/standing/"
RIGHT, WRONG = (1, 2, 3), (3, 2, 1)
Status, Kind = Enrolment.Status, Decision.Kind


def of(world, name: str) -> Enrolment:
    return Enrolment.objects.select_related("annotator", "project").get(annotator=world.annotator(name))


def page_of(world, name: str) -> str:
    return f"{LIST}{world.annotator(name).pseudonym}/"


def do(world, name: str, *tiers: int, seconds: int | None = None, days_ago: int = 0) -> Slot:
    """Take the next task and put its outputs into these tiers, so many days ago."""
    with mock.patch("django.utils.timezone.now", return_value=timezone.now() - timedelta(days=days_ago)):
        slot = claims.claim(annotator=world.annotator(name), project=world.project)
        assert slot is not None
        said = {"answers": [world.ranking(slot, *tiers)], "active_seconds": seconds}
        vetting.submit(slot=slot, idempotency_key=uuid4(), **said)
    return slot


def gold_only(world, monkeypatch, count: int) -> None:
    monkeypatch.setattr(gold, "RESERVE", 1)
    world.project.gold_percent = 100
    world.project.save()
    known_tasks(world, count)


def decide(world, name: str, deed: str, by: str = "mina", reason: str = "So it is.") -> Decision:
    return deeds.carry_out(enrolment=of(world, name), deed=deed, actor=world.users[by], reason=reason)


# --- Access -----------------------------------------------------------------------------------------------------------


def test_the_list_and_the_page_of_one_are_for_those_who_oversee_and_ones_own_for_oneself(world):
    for name, status in {"otto": 404, "ana": 403, "rita": 200, "mina": 200, "ada": 200}.items():
        assert world.client(name).get(LIST).status_code == status, name
        assert world.client(name).get(page_of(world, "ben")).status_code == status, name
    for name, status in {"otto": 404, "ana": 200, "rita": 403, "mina": 403}.items():
        assert world.client(name).get(OWN).status_code == status, name
    assert world.client("mina").get(LIST + "p-nobody/").status_code == 404
    assert world.annotator("ben").pseudonym not in world.client("ana").get(OWN).text


def test_only_managers_decide_and_nobody_on_himself(world):
    form = {"deed": "pause", "reason": "Too fast."}
    for name, status in {"otto": 404, "ana": 403, "rita": 403}.items():
        assert world.client(name).post(page_of(world, "ben") + "decide/", form).status_code == status, name
        assert world.client(name).post(LIST, form | {"who": of(world, "ben").pk}).status_code == status, name
    enrolments.enrol(project=world.project, user=world.users["mina"])
    assert world.client("mina").post(page_of(world, "mina") + "decide/", form).status_code == 422
    assert (of(world, "ben").status, of(world, "mina").status) == ("approved", "approved")
    assert "Save the decision" not in world.client("mina").get(page_of(world, "mina")).text


# --- Known answers ----------------------------------------------------------------------------------------------------


def test_right_of_gold_in_all_of_late_and_since_the_last_decision_with_interval(world, monkeypatch):
    gold_only(world, monkeypatch, 8)
    for tiers in (RIGHT, WRONG, WRONG, WRONG):
        do(world, "ana", *tiers, days_ago=2)
    decide(world, "ana", "pause")
    decide(world, "ana", "approve")
    do(world, "ana", *RIGHT)
    monkeypatch.setattr(standing, "LATEST", 3)
    found = standing.of_gold(of(world, "ana"))
    assert (found["all"][0], found["late"][0], found["counted"][0]) == (Share(2, 5), Share(1, 3), Share(1, 1))
    # Wilson for 2 of 5 and P(p >= .75) under Beta(3, 4): what a binomial of 6 at .75 has at 2 or less.
    assert (found["all"][0].low, found["all"][0].high) == pytest.approx((0.117621, 0.769276), abs=1e-6)
    assert found["all"][1] == pytest.approx((1 + 6 * 3 + 15 * 9) / 4**6)
    assert found["questions"] == [(found["questions"][0][0], Share(2, 5))]
    text = world.client("mina").get(page_of(world, "ana")).text
    assert "2 of 5" in text and "not enough yet" in text and "0.12 – 0.77" in text


def test_the_watch_and_the_rate_of_errors_follow_each_answer(world, monkeypatch):
    gold_only(world, monkeypatch, 3)
    for days, tiers in ((3, RIGHT), (2, WRONG), (1, WRONG)):
        do(world, "ana", *tiers, days_ago=days)
    course = standing.of_gold(of(world, "ana"))["course"]
    newest, middle, oldest = course.rows
    assert [row[1] for row in course.rows] == [False, False, True]
    # Errors weigh .9 each step back; an error adds ln(.30 / .15) where the project wants 75 % right.
    assert [row[2] for row in (oldest, middle, newest)] == pytest.approx([0, 1 / 1.9, 1.9 / 2.71])
    assert [row[3] for row in (oldest, middle, newest)] == pytest.approx([0, log(2), 2 * log(2)])
    assert len(course.rate.lines) == 1 and course.number == 3
    decide(world, "ana", "warn")
    assert "Watch on errors" in world.client("mina").get(page_of(world, "ana")).text


def test_of_ones_own_gold_one_is_told_ten_by_ten_and_a_day_later(world, monkeypatch):
    gold_only(world, monkeypatch, 24)
    for _ in range(9):
        do(world, "ana", *RIGHT, days_ago=1)
    assert standing.of_gold(of(world, "ana"), own=True)["all"][0] == Share(0, 0)
    for _ in range(3):
        do(world, "ana", *WRONG, days_ago=1)
    for _ in range(9):
        do(world, "ana", *RIGHT)  # today's are not told, though they make another ten
    assert standing.of_gold(of(world, "ana"), own=True)["all"][0] == Share(9, 10)
    assert standing.of_gold(of(world, "ana"))["all"][0] == Share(18, 21)
    assert "9 of 10" in world.client("ana").get(OWN).text and "18 of 21" not in world.client("ana").get(OWN).text
    assert "18 of 21" in world.client("mina").get(page_of(world, "ana")).text


def test_who_oversees_and_annotates_is_told_no_more_of_himself(world, monkeypatch):
    enrolments.enrol(project=world.project, user=world.users["mina"])
    gold_only(world, monkeypatch, 2)
    do(world, "mina", *WRONG)
    page = world.client("mina").get(page_of(world, "mina"))
    assert page.context["own"] and not page.context["missed"] and "0 of 1" not in page.text


def test_what_was_missed_stands_with_the_researchers_answer_and_their_reason(world, monkeypatch):
    gold_only(world, monkeypatch, 1)
    task = Task.objects.get()
    question = world.project.preference_question
    values = task.gold_answers.get(current=True).values
    gold.correct(task=task, question=question, actor=world.users["mina"], values=values, reason="<b>Third</b> is rude.")
    slot = do(world, "ana", *WRONG)
    (one,) = standing.missed(of(world, "ana"))
    letters = {output.name: letter for output, letter in zip(slot.display_order(), "ABC", strict=True)}
    assert one.known == " > ".join(letters[name] for name in ("o1", "o2", "o3"))
    assert one.said == " > ".join(letters[name] for name in ("o3", "o2", "o1"))
    text = world.client("rita").get(page_of(world, "ana")).text
    assert "&lt;b&gt;Third&lt;/b&gt; is rude." in text and task.name in text
    assert standing.missed(of(world, "ana"), own=True) == []
    assert "is rude" not in world.client("ana").get(OWN).text


def test_one_sees_what_one_missed_in_training_and_of_gold_from_before_being_sent_there(world, monkeypatch):
    gold_only(world, monkeypatch, 1)
    step(world.project, "training", least=5, share=0.5, most=9)
    do(world, "ana", *WRONG)
    known_tasks(world, 3, Task.Purpose.TRAINING)
    assert standing.missed(of(world, "ana"), own=True) == []
    assert decide(world, "ana", "train").kind == Kind.RETRAIN
    do(world, "ana", *WRONG)
    found = standing.missed(of(world, "ana"), own=True)
    assert [one.task.purpose for one in found] == ["training", "gold"]
    text = world.client("ana").get(OWN).text
    assert all(one.task.name not in text and one.task.first_words in text for one in found)


def test_an_answer_that_was_put_right_before_any_feedback_is_not_missed(world, monkeypatch):
    gold_only(world, monkeypatch, 1)
    slot = do(world, "ana", *WRONG)
    vetting.submit(slot=slot, answers=[world.ranking(slot, *RIGHT)], idempotency_key=uuid4())
    assert standing.missed(of(world, "ana")) == []
    assert standing.of_gold(of(world, "ana"))["all"][0] == Share(1, 1)
    (row,) = standing_list.rows(world.project, [of(world, "ana")])
    assert row.gold == Share(1, 1)


# --- With the others --------------------------------------------------------------------------------------------------


def test_the_consensus_that_somebody_is_measured_by_never_holds_his_own_answer(world):
    question = ask(world, "choice")
    # With her own votes ana is in the majority on the first task, and tied with nobody on the second.
    disagree(world, question, "yes", "yes", "no", "no", "yes")
    disagree(world, question, "yes", "no", "no")
    agreement.measure_and_keep(project=world.project)
    [(detail, people)] = standing.with_others(world.project, [world.annotator("ana").pseudonym])
    assert detail.question == question and list(people) == [world.annotator("ana").pseudonym]
    ana = people[world.annotator("ana").pseudonym]
    # Of the others on the first task two say yes and two no: tied, so it is left out. On the second both say no.
    assert (ana["consensus"]["value"], ana["consensus"]["n"]) == (0, 1)
    # Of the pairs that she makes with others two of four are alike on the first, and none of two on the second.
    assert ana["agreement"]["value"] == pytest.approx((2 + 0) / (4 + 2))
    text = world.client("rita").get(page_of(world, "ana")).text
    assert "Says what most of the others say" in text and "never paused for that alone" in text


def test_no_change_of_state_follows_from_disagreeing_with_peers(world):
    question = ask(world, "choice")
    for _ in range(25):
        disagree(world, question, "no", "yes", "yes", "yes", settle=False)
    agreement.measure_and_keep(project=world.project)
    consensus.settle(project=world.project)
    [(_detail, people)] = standing.with_others(world.project, [world.annotator("ana").pseudonym])
    assert people[world.annotator("ana").pseudonym]["consensus"]["value"] == 0
    for address in (page_of(world, "ana"), LIST, LIST + "?state=attention"):
        assert world.client("mina").get(address).status_code == 200
    world.client("ana").get(OWN)
    assert not Decision.objects.exists() and set(Enrolment.objects.values_list("status", flat=True)) == {"approved"}
    assert of(world, "ana") not in standing_list.enrolments(world.project, state="attention")


# --- How the work goes ------------------------------------------------------------------------------------------------


def test_time_is_compared_with_the_others_on_the_same_tasks_alone(world):
    world.tasks(3)
    for seconds in (30, 60, 500):
        do(world, "ana", *RIGHT, seconds=seconds)
    for seconds in (60, 60):
        do(world, "ben", *RIGHT, seconds=seconds)
    found = work.effort(of(world, "ana"))
    assert (found.pace, found.n) == (60, 3)
    assert found.speed == (45 / 60, 2)  # the third task nobody else has done
    assert work.effort(of(world, "ben")).speed == (60 / 45, 2)


def test_the_longest_run_is_of_what_was_shown_at_the_same_place(world):
    question = ask(world, "choice")
    for said in ("no", "yes", "yes", "yes", "no"):
        (_task,) = world.tasks(1)
        slot = world.claim("ana")
        ledger.submit(slot=slot, answers=given(question, slot, said), idempotency_key=uuid4())
    found = work.longest_run(of(world, "ana"))
    assert (found.streak.length, found.said, found.n) == (3, "yes", 5)
    tiers = {(None, None): {"tiers": {"11": 1, "12": 2, "13": 2}}}
    assert in_place(tiers, [12, 13, 11]) == "3 > 1 = 2"
    assert in_place(tiers, []) == "1 > 2 = 3"
    assert in_place({(13, None): 4, (11, None): 2}, [13, 12, 11]) == "1: 4; 3: 2"


def test_the_same_again_compares_a_repeat_with_the_first_answer(world):
    first, other = world.tasks(2)
    for tiers in (RIGHT, (1, 1, 2)):
        do(world, "ana", *tiers, days_ago=3)
    for task in (first, other):
        world.tasks(1, purpose=Task.Purpose.REPEAT, repeat_of=task)
    again = [do(world, "ana", *RIGHT) for _ in range(2)]
    assert {slot.task.purpose for slot in again} == {"repeat"}
    [(_text, share)] = work.retest(of(world, "ana"))
    assert share == Share(1, 2)
    assert work.retest(of(world, "ana"), own=True) == []  # as with gold: nobody is told which one it was


def test_reviews_flags_and_comments_are_counted(world):
    world.tasks(1)
    slot = do(world, "ana", *RIGHT)
    Flag.objects.create(slot=slot, kind="broken")
    found = work.made_of_it(of(world, "ana"))
    assert found["flags"] == {"raised": 1, "resolved": 0}
    assert (found["reviews"].reviewed, found["marks"]["n"], found["decided"], found["comments"]) == (
        0,
        0,
        Share(0, 0),
        0,
    )


# --- Deciding ---------------------------------------------------------------------------------------------------------


def test_each_decision_needs_a_reason_that_the_person_reads(world):
    address = page_of(world, "ana") + "decide/"
    response = world.client("mina").post(address, {"deed": "pause", "reason": " "})
    assert response.status_code == 422 and "the person reads it" in response.text
    assert world.client("mina").post(address, {"deed": "pause", "reason": "Too <i>fast</i>."}).status_code == 302
    text = world.client("ana").get(OWN).text
    assert "Too &lt;i&gt;fast&lt;/i&gt;." in text and "You are paused" in text and "by a manager" in text
    assert "by mina" in world.client("rita").get(page_of(world, "ana")).text


def test_what_the_state_does_not_allow_is_neither_offered_nor_done(world):
    assert deeds.possible(of(world, "ana")) == [deeds.Deed.TRAIN, deeds.Deed.WARN, deeds.Deed.PAUSE]
    response = world.client("mina").post(page_of(world, "ana") + "decide/", {"deed": "reject", "reason": "No."})
    assert response.status_code == 422 and of(world, "ana").status == "approved"
    with pytest.raises(Refused, match="cannot go from"):
        decide(world, "ana", "reject")
    with pytest.raises(Refused, match="Add some first"):
        decide(world, "ana", "train")  # there is no training task: the person would be stuck
    decide(world, "ana", "pause")
    with pytest.raises(Refused, match="nothing to warn of"):
        decide(world, "ana", "warn")


def test_a_warning_changes_no_state_and_says_who_gave_it(world):
    made = decide(world, "ana", "warn", reason="Read the guideline again.")
    assert (made.kind, made.before, made.after, made.actor) == ("warn", "approved", "approved", world.users["mina"])
    assert of(world, "ana") in standing_list.enrolments(world.project, state="attention")


def test_after_a_pause_the_page_says_how_many_answers_are_held_and_places_opened(world):
    question = ask(world, "choice")
    disagree(world, question, "yes", "yes", "no")
    disagree(world, question, "yes", "no", "no")
    decide(world, "ana", "pause")
    assert deeds.held(of(world, "ana")) == (2, 0, True)
    reopen_changed(enrolment=of(world, "ana"))
    Job.objects.update(state="succeeded", finished_at=timezone.now())
    assert deeds.held(of(world, "ana")) == (2, 1, False)
    text = " ".join(world.client("mina").get(page_of(world, "ana")).text.split())
    assert "2 answers are held" in text and "1 of their places was opened again" in text
    decide(world, "ana", "approve")
    assert world.client("mina").get(page_of(world, "ana")).context["held"] is None


def test_rules_stand_in_words_with_their_figures(world, monkeypatch):
    assert rule_in_words({"kind": "gold", "target": 0.75, "sure": 0.9, "least": 20}) == (
        "tasks whose answer is known: less than 75 % right, with 90 % certainty, on 20 tasks or more"
    )
    gold_only(world, monkeypatch, 21)
    for _ in range(20):
        do(world, "ana", *WRONG)
    text = world.client("ana").get(OWN).text
    assert "less than 75 % right" in text and "0 right of 20, P = 0.000" in text and "Send the appeal" in text


# --- The list ---------------------------------------------------------------------------------------------------------


def test_the_list_has_answers_gold_agreement_state_and_decision(world, monkeypatch):
    question = world.project.preference_question
    assert question
    world.tasks(3)
    for name, tiers in (("ana", RIGHT), ("ben", RIGHT), ("ana", RIGHT), ("ben", WRONG)):
        do(world, name, *tiers)
    agreement.measure_and_keep(project=world.project)
    gold_only(world, monkeypatch, 2)
    do(world, "ana", *RIGHT)
    do(world, "ana", *WRONG)
    decide(world, "ana", "warn")
    (ana,) = standing_list.rows(world.project, [of(world, "ana")])
    assert (ana.answered, ana.gold, ana.decision.kind, ana.appealed) == (4, Share(1, 2), "warn", False)
    assert ana.agreement["value"] == 0.5  # three pairs of outputs of the first task alike, three of the second not
    text = world.client("rita").get(LIST).text
    assert "1 of 2" in text and "0.50" in text and world.annotator("ben").pseudonym in text
    assert "Choose" not in text and 'name="deed"' not in text  # rita oversees and does not decide


def test_the_list_is_filtered_by_state_team_and_what_waits(world):
    decide(world, "ben", "pause")
    Enrolment.objects.filter(pk=of(world, "ana").pk).update(team="night")
    client = world.client("mina")

    def shown(**query) -> set[str]:
        return {row.enrolment.annotator.user.username for row in client.get(LIST, query).context["rows"]}

    assert shown() == shown(state="no-such") == {"ana", "ben"}
    assert (shown(state="paused"), shown(team="night"), shown(team="x\x00")) == ({"ben"}, {"ana"}, set())
    assert shown(state="attention") == set()
    decide(world, "ana", "warn")
    assert shown(state="attention") == {"ana"}
    counts = {value: number for value, _name, number in client.get(LIST).context["states"]}
    assert counts == {"": 2, "attention": 1, "applied": 0, "training": 0, "testing": 0, "approved": 1, "paused": 1,
                      "rejected": 0}  # fmt: skip


def test_several_are_decided_on_at_once_and_what_cannot_be_is_said_for_each(world):
    decide(world, "ben", "pause")
    people = [of(world, "ana").pk, of(world, "ben").pk]
    response = world.client("mina").post(LIST, {"who": people, "deed": "pause", "reason": "A break."}, follow=True)
    assert "Decided on 1 person." in response.text
    assert f"{world.annotator('ben').pseudonym} · Kitchen cannot go from paused to paused." in response.text
    assert of(world, "ana").reason == "A break."
    for form in ({"deed": "pause", "reason": "x"}, {"who": people, "reason": "x"}, {"who": people, "deed": "approve"},
                 {"who": [10**9], "deed": "approve", "reason": "x"}):  # fmt: skip
        assert world.client("mina").post(LIST, form).status_code == 422
    assert {of(world, name).status for name in ("ana", "ben")} == {"paused"}


def test_the_file_has_a_line_for_each_and_no_formulas(world):
    decide(world, "ana", "pause", reason="=1+1")
    response = world.client("rita").get(LIST, {"format": "csv"})
    assert response.streaming and response.headers["Content-Disposition"].endswith('"annotators-kitchen.csv"')
    rows = list(csv.DictReader(StringIO(response.getvalue().decode())))
    by_name = {row["pseudonym"]: row for row in rows}
    ana = by_name[world.annotator("ana").pseudonym]
    assert len(rows) == 2 and (ana["state"], ana["reason"], ana["last_decision"]) == ("paused", "'=1+1", "pause")
    for cell in ("+1", "-1", "@x", "\t=1"):
        assert standing_list.plain(cell) == f"'{cell}"
    assert (standing_list.plain("1-1"), standing_list.plain(-1)) == ("1-1", -1)
    only = world.client("rita").get(LIST, {"format": "csv", "state": "approved"})
    assert len(list(csv.reader(StringIO(only.getvalue().decode())))) == 2


# --- Statements -------------------------------------------------------------------------------------------------------


def statements(client, address: str) -> int:
    client.get(address)
    with CaptureQueriesContext(connection) as found:
        assert client.get(address).status_code == 200
    return len(found)


def test_statements_do_not_grow_with_people_answers_or_decisions(world, monkeypatch):
    world.tasks(6)
    gold_only(world, monkeypatch, 6)
    addresses = {"mina": [LIST, page_of(world, "ana")], "ana": [OWN]}
    for name in ("ana", "ben"):
        do(world, name, *WRONG, seconds=5, days_ago=1)
    decide(world, "ana", "warn")
    agreement.measure_and_keep(project=world.project)
    few = {at: statements(world.client(name), at) for name, all_ in addresses.items() for at in all_}
    for at in range(4):
        name = person(world, f"q{at}")
        do(world, name, *RIGHT, seconds=5)
        decide(world, name, "warn")
    for _ in range(4):
        do(world, "ana", *WRONG, seconds=5, days_ago=1)
        decide(world, "ana", "warn")
    agreement.measure_and_keep(project=world.project)
    many = {at: statements(world.client(name), at) for name, all_ in addresses.items() for at in all_}
    assert many == few
