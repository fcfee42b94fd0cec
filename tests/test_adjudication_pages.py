"""The pages of adjudication, and what comes back to those who answered."""

import re
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotate.models import Adjudication, Annotator, Consensus, Membership, Question, Task
from annotate.questions import Given
from annotate.services import consensus, history, ledger
from annotate.services.adjudication import Outcome
from annotate.services.tasks import NewCompletion, NewTask, add_tasks
from tests.disagreement import CHOICE, QUEUE, annotation, ask, current, decide, disagree, given, page, person
from tests.hostile_outputs import HOSTILE

pytestmark = pytest.mark.django_db


def post(world, task: Task, question: Question, name: str = "rita", own=None, **fields):
    """Send the form of the case; `own` is the value of an answer of one's own."""
    form = {"case:rationale": "Because.", "case:replaces": ""} | {f"case:{key}": value for key, value in fields.items()}
    return world.client(name).post(page(task, question), form | ({"asked": own} if own else {}))


# --- Pages ------------------------------------------------------------------------------------------------------------


def test_the_queue_says_why_it_is_empty_and_what_fills_it(world):
    client = world.client("rita")
    assert "No two people have answered the same task yet" in client.get(QUEUE).text
    question = ask(world, "choice")
    disagree(world, question, "no", "no")
    Consensus.objects.update(current=False)
    row = {
        "votes": {},
        "soft": {},
        "method": "m",
        "code_version": "1",
        "n_votes": 2,
        "unanimous": True,
        "confidence": 0.99,
    }
    Consensus.objects.create(task=Task.objects.first(), question=question, **row)
    assert "All is decided, sure enough" in client.get(QUEUE).text
    disagree(world, question, "no", "yes", settle=False)
    consensus.keep(question=question, found=consensus.work_out(question))
    other = Question.objects.create(project=world.project, key="other", kind="choice", settings=CHOICE, text="Other?")
    assert "Nobody disagrees on this question" in client.get(QUEUE + f"?question={other.key}").text
    assert client.get(QUEUE + "?question=no-such").status_code == 200
    world.project.questions.update(current=False)
    assert "nothing that people could agree on" in client.get(QUEUE).text


def test_the_queue_lists_cases_and_the_project_counts_them(world):
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes", categories=())
    shown = world.client("rita").get(QUEUE)
    assert task.name in shown.text and "No: 1 · Yes: 1" in shown.text and page(task, question) in shown.text
    project = reverse("project", args=["kitchen"])
    assert re.search(r"Adjudication <span class=\"count\">1</span>", world.client("rita").get(project).text)
    assert QUEUE not in world.client("ana").get(project).text


def test_cases_are_counted_so_far_and_no_further(world, monkeypatch):
    question = ask(world, "choice")
    for _ in range(3):
        disagree(world, question, "no", "yes")
    monkeypatch.setattr("annotate.services.adjudication.MOST_COUNTED", 2)
    project = reverse("project", args=["kitchen"])
    assert re.search(r"Adjudication <span class=\"count\">2\+</span>", world.client("rita").get(project).text)


def test_the_pages_cost_the_same_whatever_their_number(world, django_assert_num_queries):
    question = ask(world, "ranking")
    few = disagree(world, question, (1, 2), (2, 1))
    client = world.client("rita")
    client.get(page(few, question))
    with CaptureQueriesContext(connection) as of_one:
        client.get(QUEUE)
    with CaptureQueriesContext(connection) as of_two:
        client.get(page(few, question))
    many = disagree(world, question, *[(1, 2, 3), (3, 2, 1)] * 5, outputs=3)
    for _ in range(3):
        disagree(world, question, (1, 2), (2, 1))
    with django_assert_num_queries(len(of_one)):
        assert len(client.get(QUEUE).context["cases"]) > 1
    with django_assert_num_queries(len(of_two)):
        assert len(client.get(page(many, question)).context["people"]) == 10
    assert len(of_two) <= 20


def test_the_case_shows_everything_and_no_model(world):
    question = ask(world, "rating", scope="completion")
    task = disagree(world, question, (1, 3), (5, 3))
    text = world.client("rita").get(page(task, question)).text
    for name in ("ana", "ben"):
        assert world.annotator(name).pseudonym in text
    for output in task.completions.all():
        assert output.text in text and f">{output.name}<" not in text
    assert "1: 1 · 5: 1" in text and "guideline 1" in text and task.conversation[0]["content"] in text
    for letter in "AB":
        assert f'name="asked.{letter}"' in text


def test_a_case_of_any_task_with_two_answers_can_be_opened_and_no_other(world):
    question = ask(world, "choice")
    task = disagree(world, question, "no", "no")
    alone = disagree(world, question, "no")
    client = world.client("rita")
    assert client.get(page(task, question)).status_code == 200
    assert client.get(page(alone, question)).status_code == 404
    text = Question.objects.create(project=world.project, key="text", kind="text", text="Say.")
    assert client.get(page(task, text)).status_code == 404
    assert client.get(reverse("case", args=["kitchen", "no-such", task.pk])).status_code == 404
    assert client.get(reverse("case", args=["kitchen", "asked", 10**18])).status_code == 404
    for name, status in (("otto", 404), ("ana", 403)):
        assert world.client(name).get(page(task, question)).status_code == status
        assert world.client(name).get(QUEUE).status_code == status
        assert world.client(name).post(page(task, question)).status_code == status
    Membership.objects.create(user=world.users["otto"], project=world.project, role=Membership.Role.AUDITOR)
    assert world.client("otto").get(page(task, question)).status_code == 403


def test_saving_leads_to_the_next_case_and_at_the_end_to_the_queue(world):
    question = ask(world, "choice")
    tasks = [disagree(world, question, "no", "yes") for _ in range(2)]
    first = post(world, tasks[0], question, decision=annotation(tasks[0], "ana", world).pk)
    assert first.url == page(tasks[1], question)
    second = world.client("rita").post(page(tasks[1], question) + "?only=1",
                                       {"case:decision": "ambiguous", "case:rationale": "Both."})  # fmt: skip
    assert second.url == f"{QUEUE}?question=asked"
    made = Adjudication.objects.order_by("pk")
    assert [one.outcome for one in made] == ["adopt", "ambiguous"]
    assert made[0].reviewer == world.users["rita"] and made[0].rationale == "Because."


def test_one_may_keep_to_one_question(world):
    first = ask(world, "choice")
    tasks = [disagree(world, first, "no", "yes") for _ in range(2)]
    other = ask(world, "rating", key="stars")
    disagree(world, other, 1, 5)
    world.project.questions.filter(key="asked").update(current=True)
    form = {"case:decision": "ambiguous", "case:rationale": "Both."}
    client = world.client("rita")
    assert client.post(page(tasks[0], first) + "?only=1", form).url == page(tasks[1], first) + "?only=1"
    assert client.post(page(tasks[1], first), form).url.endswith(f"/stars/{Task.objects.latest('pk').pk}/")


def test_it_is_said_that_it_was_saved(world):
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes")
    client = world.client("rita")
    response = client.post(
        page(task, question), {"case:decision": "own", "asked": "yes", "case:rationale": "So."}, follow=True
    )
    assert "Saved: an answer of the reviewer" in response.text and current(task)[0].value == "yes"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "Say what you decide."),
        ({"decision": "ambiguous", "rationale": " "}, "Say why: those who answered read it."),
        ({"decision": "ambiguous", "rationale": "x" * 5001}, "at most 5000"),
        ({"decision": "ambiguous", "rationale": "a\x00b"}, "Null characters"),
        ({"decision": "own"}, "Choose one."),
        ({"decision": "own", "own": "maybe"}, "“maybe” is not on offer here."),
        ({"decision": "0"}, "has been changed since you opened the page"),
    ],
)
def test_on_an_error_nothing_is_lost_and_the_summary_has_the_focus(world, fields, said):
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes")
    response = post(world, task, question, **fields)
    assert response.status_code == 422 and said in response.text
    assert re.search(r'id="problems" role="alert" tabindex="-1" autofocus', response.text)
    assert not Adjudication.objects.exists()
    typed = {"asked": "yes", "case:rationale": "</textarea><b>typed</b>", "case:decision": "0"}
    back = world.client("rita").post(page(task, question), typed)
    assert 'value="yes" checked' in back.text and "&lt;/textarea&gt;&lt;b&gt;typed&lt;/b&gt;</textarea>" in back.text


def test_what_was_typed_stays_when_somebody_else_decided_meanwhile(world):
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes")
    made = decide(world, task, question, name="mina", rationale="I have <i>seen</i> it.")
    form = {"case:decision": "own", "asked": "yes", "case:rationale": "Typed by rita.", "case:replaces": ""}
    response = world.client("rita").post(page(task, question), form)
    assert response.status_code == 422
    assert "mina has decided meanwhile: genuinely ambiguous" in response.text
    assert "Typed by rita." in response.text and 'value="yes" checked' in response.text
    assert "I have &lt;i&gt;seen&lt;/i&gt; it." in response.text
    assert f'name="case:replaces" value="{made.pk}"' in response.text
    again = world.client("rita").post(page(task, question), form | {"case:replaces": str(made.pk)})
    assert again.status_code == 302
    assert Adjudication.objects.latest("pk").replaces == made
    shown = world.client("mina").get(page(task, question)).text
    assert "Earlier decision" in shown and "Typed by rita." in shown


def test_the_own_answer_is_emptied_and_nothing_else(world):
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes")
    form = {"case:decision": "own", "asked": "yes", "case:rationale": "Kept.", "case:clear": "1"}
    response = world.client("rita").post(page(task, question), form)
    assert response.status_code == 200 and 'id="problems"' not in response.text
    assert (
        "Kept." in response.text
        and 'value="own" checked' in response.text
        and 'value="yes" checked' not in response.text
    )


def test_of_several_outputs_what_people_agree_on_is_filled_in(world):
    question = ask(world, "rating", scope="completion")
    task = disagree(world, question, (1, 3), (5, 3))
    Consensus.objects.filter(task=task).update(current=False)
    row = {
        "task": task,
        "question": question,
        "votes": {},
        "soft": {},
        "method": "m",
        "code_version": "1",
        "n_votes": 2,
        "unanimous": False,
    }
    first, second = task.completions.order_by("position")
    Consensus.objects.create(completion=first, value=3.0, confidence=0.5, **row)
    Consensus.objects.create(completion=second, value=4.0, confidence=0.95, **row)
    text = world.client("rita").get(page(task, question)).text
    assert re.search(r'name="asked.B" value="4" checked', text)
    assert not re.search(r'name="asked.A" value="\d" checked', text)


def test_only_outputs_that_people_were_asked_about_are_asked_about(world):
    question = ask(world, "multi_choice", scope="completion")
    (task,) = world.tasks(1, outputs=3)
    second = task.completions.get(position=1)
    for name, said in (("ana", ["rude"]), ("ben", ["long"])):
        slot = world.claim(name)
        one = Given(question, value=said, completion=second.pk)
        ledger.submit(slot=slot, answers=[one], idempotency_key=uuid4())
    consensus.settle(project=world.project)
    text = world.client("rita").get(page(task, question)).text
    assert 'name="asked.B"' in text and 'name="asked.A"' not in text and 'name="asked.C"' not in text
    form = {"case:decision": "own", "asked.B": ["rude", "long"], "case:rationale": "Both.", "asked.A": "rude"}
    assert world.client("rita").post(page(task, question), form).status_code == 302
    (row,) = current(task)
    assert (row.completion, row.value) == (second, ["rude", "long"])


def test_an_own_answer_is_whole_where_the_question_is_optional_too(world):
    question = ask(world, "multi_choice", required=False)
    task = disagree(world, question, ["rude"], ["long"])
    response = post(world, task, question, decision="own")
    assert response.status_code == 302 and current(task)[0].value == []
    rating = ask(world, "rating", key="stars", required=False)
    task = disagree(world, rating, 1, 5)
    response = post(world, task, rating, decision="own")
    assert response.status_code == 422 and "Your own answer: Choose one." in response.text


def test_who_was_given_the_task_reads_and_is_informed_and_does_not_decide(world):
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes")
    Membership.objects.create(user=world.users["ana"], project=world.project, role=Membership.Role.REVIEWER)
    response = world.client("ana").get(page(task, question))
    assert "you may read, and somebody else decides" in response.text
    assert world.annotator("ben").pseudonym not in response.text
    assert post(world, task, question, name="ana", decision="ambiguous").status_code == 200  # sealed: nothing decided
    assert task.slots.get(holder=world.annotator("ana")).informed_at is None
    response = world.client("ana").post(page(task, question), {"case:open": "1"}, follow=True)
    assert world.annotator("ben").pseudonym in response.text and "Save decision" not in response.text
    assert task.slots.get(holder=world.annotator("ana")).informed_at
    assert task.slots.get(holder=world.annotator("ben")).informed_at is None
    refused = post(world, task, question, name="ana", decision="ambiguous")
    assert refused.status_code == 422 and "Somebody else decides on it." in refused.text
    assert not Adjudication.objects.exists()


def test_a_case_that_may_distress_is_covered_until_asked_for(world):
    Annotator.objects.update(harm_categories=["hate"])
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes", categories=("hate",))
    text = world.client("rita").get(page(task, question)).text
    assert re.search(r'<details class="card"><summary><b>This task may distress: hate', text)
    assert "hate and harassment" in world.client("rita").get(QUEUE).text


def test_hostile_text_is_shown_as_text_everywhere(world):
    question = ask(world, "ranking", text="<script>hacked = 1</script>?")
    evil = "<script>hacked = 1</script><img src=x onerror=hacked=1>"
    outputs = [NewCompletion(name, text) for name, text in HOSTILE if len(text) < 5000][:9]
    task = NewTask("<b>task</b>", [{"role": "user", "content": evil}], outputs)
    world.project.overlap = 2
    world.project.save()
    (task,) = add_tasks(project=world.project, tasks=[task])
    for name, tiers in (("ana", range(1, 10)), ("ben", range(9, 0, -1))):
        slot = world.claim(name)
        ledger.submit(slot=slot, answers=given(question, slot, tiers), idempotency_key=uuid4())
    consensus.settle(project=world.project)
    decide(world, task, question, rationale=evil)
    Adjudication.objects.latest("pk")
    addresses = [("rita", QUEUE), ("rita", page(task, question)), ("ana", reverse("mine", args=["kitchen"]))]
    for name, address in addresses:
        text = world.client(name).get(address).text
        assert "<script>hacked" not in text and "onerror=hacked" not in re.sub("&lt;.*?&gt;", "", text), address
        assert "<b>task</b>" not in text


# --- Those who answered -----------------------------------------------------------------------------------------------


def test_the_decision_comes_back_to_those_who_answered_until_they_have_seen_it(world):
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes")
    project, mine = reverse("project", args=["kitchen"]), reverse("mine", args=["kitchen"])
    assert "decided on 1 task of yours" not in world.client("ana").get(project).text
    made = decide(
        world, task, question, outcome=Outcome.ADOPT, adopted=annotation(task, "ben", world), rationale="Why so."
    )
    assert "A reviewer decided on 1 task of yours" in world.client("ana").get(project).text
    for name, said in (("ana", "decided otherwise"), ("ben", "decided as you said")):
        shown = world.client(name).get(f"{mine}?state=decided").text
        assert said in shown and "Why so." in shown and "<b>Yes</b>" in shown and "rita" not in shown
    client = world.client("ana")
    assert client.post(reverse("decisions_seen", args=["kitchen"]), {"newest": "nonsense"}).url == mine
    assert "Decisions came back" in client.get(mine).text
    client.post(reverse("decisions_seen", args=["kitchen"]), {"newest": str(10**17)})
    assert "Decisions came back" not in client.get(mine).text and "Why so." in client.get(mine).text
    assert "decided on 1 task of yours" not in client.get(project).text
    assert "decided on 1 task of yours" in world.client("ben").get(project).text
    decide(world, task, question, replaces=made, rationale="On second thoughts.")
    assert "decided on 1 task of yours" in client.get(project).text
    again = client.get(mine).text
    assert "genuinely ambiguous" in again and "On second thoughts." in again and "Why so." not in again


def test_somebody_who_has_not_been_informed_is_not_told(world):
    """What he changes would be taken for independent."""
    question = ask(world, "choice")
    task = disagree(world, question, "no", "yes")
    decide(world, task, question, rationale="Secret so far.")
    ledger.add_place(task=task)
    slot = world.claim(person(world, "cleo"))
    ledger.submit(slot=slot, answers=given(question, slot, "no"), idempotency_key=uuid4())
    assert "Secret so far." not in world.client("cleo").get(reverse("mine", args=["kitchen"])).text
    assert history.unseen_decisions(world.project, world.users["cleo"]) == 0


def test_outputs_have_the_letters_of_who_reads_and_the_rationale_is_translated(world):
    question = ask(world, "ranking")
    for _ in range(8):  # the order drawn for ana is another one than that of the file for some of these
        task = disagree(world, question, (1, 2, 3), (3, 2, 1), outputs=3)
        decide(world, task, question, outcome=Outcome.ADOPT, adopted=annotation(task, "ana", world))
    slots = list(history.own_tasks(world.annotator("ana"), world.project))
    found = history.decisions_on(slots)
    moved = 0
    for slot in slots:
        (one,) = found[slot.pk]
        letters = {output.pk: "ABC"[at] for at, output in enumerate(slot.display_order())}
        in_file = [letters[output.pk] for output in slot.task.completions.order_by("position")]
        assert one.says == [" > ".join(in_file)] and one.outcome == "agrees"
        assert one.letters == [(a, b) for a, b in zip("ABC", in_file, strict=True) if a != b]
        moved += bool(one.letters)
    assert moved


def test_decisions_on_many_tasks_cost_the_same(world, django_assert_num_queries):
    question = ask(world, "ranking")
    tasks = [disagree(world, question, (1, 2), (2, 1)) for _ in range(6)]
    for task in tasks[:2]:
        decide(world, task, question)
    mine = reverse("mine", args=["kitchen"])
    client = world.client("ana")
    with CaptureQueriesContext(connection) as few:
        client.get(mine)
    for task in tasks[2:]:
        decide(world, task, question)
    with django_assert_num_queries(len(few)):
        assert client.get(mine).text.count("genuinely ambiguous") >= 6
