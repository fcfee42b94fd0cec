"""Questions to the researchers, the guideline with its FAQ, and flags: what people say to each other about the work."""

from uuid import uuid4

import pytest
from django.template.loader import render_to_string
from django.urls import reverse

from annotate.errors import Refused
from annotate.models import Flag, HelpRequest, Membership, Slot, Task
from annotate.services import exchange
from annotate.services.overview import overview
from annotate.services.projects import publish_guideline
from annotate.services.tasks import NewCompletion, NewTask, add_tasks

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
QUESTION = "Is a recipe without quantities wrong?"


@pytest.fixture
def slot(world) -> Slot:
    world.tasks(3)
    return world.claim("ana")


def at(name: str, *args) -> str:
    return reverse(name, args=["kitchen", *args])


def ask(world, slot: Slot, text: str = QUESTION) -> HelpRequest:
    return exchange.ask(slot=slot, actor=slot.holder.user, text=text)


def reply(world, asked: HelpRequest, name: str = "mina", **form):
    known = asked.answered_at.isoformat() if asked.answered_at else ""
    return world.client(name).post(at("help_answer", asked.pk), {"text": "No.", "known": known} | form)


# --- Questions to the researchers -------------------------------------------------------------------------------------


def test_a_question_is_asked_from_the_desk_and_answered_there(world, slot):
    ana = world.client("ana")
    done = ana.post(at("ask", slot.code), {"text": QUESTION}, headers=HTMX)
    assert done.status_code == 200 and "Asked. The answer will stand here" in done.text and "<html" not in done.text
    asked = HelpRequest.objects.get()
    assert (asked.text, asked.asker, asked.slot, asked.project) == (QUESTION, world.users["ana"], slot, world.project)
    shown = world.client("mina").get(at("help_requests")).text
    assert QUESTION in shown and slot.task.conversation[0]["content"] in shown and "Answer 1 to" in shown
    assert reply(world, asked, text="No, as long as it can be cooked.").url == at("help_requests")
    asked.refresh_from_db()
    assert (asked.answered_by, asked.in_faq) == (world.users["mina"], False)
    assert "as long as it can be cooked" in ana.get(at("work", slot.code)).text
    assert ana.post(at("help_seen", asked.pk), headers=HTMX).content == b""
    asked.refresh_from_db()
    assert asked.seen_at is not None
    assert "as long as it can be cooked" not in ana.get(at("work", slot.code)).text


def test_without_htmx_one_comes_back_to_the_task(world, slot):
    done = world.client("ana").post(at("ask", slot.code), {"text": QUESTION}, follow=True)
    assert done.redirect_chain == [(at("work", slot.code), 302)] and "Asked. The answer will stand here" in done.text


@pytest.mark.parametrize("text", ["", "   ", "x" * 2001, "a\x00b"])
def test_a_question_that_cannot_be_asked_is_given_back(world, slot, text):
    for headers in ({}, HTMX):
        response = world.client("ana").post(at("ask", slot.code), {"text": text}, headers=headers)
        assert response.status_code == 422 and ("error" in response.text)
    page = world.client("ana").post(at("ask", slot.code), {"text": text})
    assert page.context["form"]["text"].value() == text and not HelpRequest.objects.exists()


def test_the_same_question_twice_is_one_until_it_is_answered(world, slot):
    first = ask(world, slot)
    assert ask(world, slot) == first and ask(world, slot, "Another?") != first
    reply(world, first)
    assert ask(world, slot) != first


def test_the_unanswered_come_first_and_the_longest_waiting_on_top(world, slot):
    asked = [ask(world, slot, f"Question {number}?") for number in range(4)]
    for one in asked[:2]:
        reply(world, one)
    assert list(exchange.help_requests(world.project)) == [asked[2], asked[3], asked[1], asked[0]]


def test_an_answer_is_changed_kept_in_the_history_and_shown_again(world, slot):
    asked = ask(world, slot)
    reply(world, asked)
    exchange.mark_seen(request=asked, actor=world.users["ana"])
    asked.refresh_from_db()
    reply(world, asked, "ada", text="Yes.")
    asked.refresh_from_db()
    assert (asked.answer, asked.seen_at, asked.answered_by) == ("Yes.", None, world.users["ada"])
    assert "No." in asked.events.values_list("answer", flat=True)


def test_the_same_answer_again_is_not_shown_again(world, slot):
    asked = ask(world, slot)
    reply(world, asked)
    exchange.mark_seen(request=asked, actor=world.users["ana"])
    asked.refresh_from_db()
    reply(world, asked, in_faq="on", faq_question="Quantities?")
    asked.refresh_from_db()
    assert asked.seen_at is not None and asked.in_faq


def test_an_answer_to_one_that_was_answered_meanwhile_is_given_back(world, slot):
    asked = ask(world, slot)
    reply(world, asked, text="Mine was first.")
    late = reply(world, asked, "ada", text="My long answer.")  # its page still showed none
    assert late.status_code == 422 and "Mine was first." in late.text and "My long answer." in late.text
    form = next(form for one, _task, form in late.context["rows"] if one == asked)
    again = {"text": form["text"].value(), "known": form["known"].value()}
    assert world.client("ada").post(at("help_answer", asked.pk), again).status_code == 302
    asked.refresh_from_db()
    assert asked.answer == "My long answer."


@pytest.mark.parametrize("form", [{"text": ""}, {"text": "No.", "in_faq": "on"}, {"text": "x" * 10_001}])
def test_an_answer_that_cannot_be_kept_is_given_back_wherever_its_question_stands(world, slot, form):
    for number in range(12):
        ask(world, slot, f"Before, {number}?")
    asked = ask(world, slot)  # on the second page
    response = reply(world, asked, **form)
    assert response.status_code == 422 and QUESTION in response.text
    bound = next(bound for one, _task, bound in response.context["rows"] if one == asked)
    assert bound["text"].value() == form["text"]
    assert f'href="{at("help_requests")}?page=2"' in response.text
    asked.refresh_from_db()
    assert asked.answer == ""


def test_who_may_do_what_with_questions(world, slot):
    asked = ask(world, slot)
    for name, status in {"otto": 404, "ana": 403, "ben": 403, "rita": 403, "mina": 302}.items():
        assert reply(world, asked, name).status_code == status, name
    for name, status in {"otto": 404, "ana": 403, "rita": 200, "mina": 200}.items():
        assert world.client(name).get(at("help_requests")).status_code == status, name
    for name, status in {"ben": 404, "mina": 404, "ada": 404, "ana": 302}.items():
        assert world.client(name).post(at("help_seen", asked.pk)).status_code == status, name
    assert world.client("ben").post(at("ask", slot.code), {"text": "?"}).status_code == 404
    assert "Answer</button>" not in world.client("rita").get(at("help_requests")).text
    for number in (asked.pk + 1000, 10**30):
        assert reply(world, HelpRequest(pk=number)).status_code == 404


def test_a_question_that_has_no_answer_is_not_seen(world, slot):
    asked = ask(world, slot)
    world.client("ana").post(at("help_seen", asked.pk))
    asked.refresh_from_db()
    assert asked.seen_at is None


def test_statements_of_the_questions_do_not_grow(world, django_assert_max_num_queries):
    world.tasks(10, outputs=2)
    for number in range(10):
        slot = world.claim("ana")
        ask(world, slot, f"Question {number}?")
        world.answer(slot, 1, 2)
    client = world.client("mina")
    with django_assert_max_num_queries(11):
        assert client.get(at("help_requests")).text.count("Question ") >= 10


# --- The guideline ----------------------------------------------------------------------------------------------------


EXAMPLE = {
    "prompt": "How long does rice take?",
    "outputs": [
        {"letter": "A", "text": "About *twelve* minutes."},
        {"letter": "B", "text": "<script>alert(1)</script>"},
    ],
    "answer": "A is better.",
    "why": "It answers.",
}


def test_the_guideline_stands_with_its_examples_for_all_members(world):
    publish_guideline(project=world.project, text="Second **text**.", examples=[EXAMPLE])
    for name, status in {"otto": 404, "ana": 200, "rita": 200, "mina": 200, "ada": 200}.items():
        assert world.client(name).get(at("guideline")).status_code == status, name
    shown = world.client("ana").get(at("guideline")).text
    for words in (
        "Second <strong>text</strong>",
        "version 2",
        "<em>twelve</em>",
        "A is better.",
        "It answers.",
        "Output B",
    ):
        assert words in shown, words
    assert "<script>alert" not in shown and "put the" not in shown.lower()


def test_older_versions_and_what_changed_since(world):
    publish_guideline(project=world.project, text="Put the **kind** one first.", examples=[EXAMPLE])
    client = world.client("ana")
    old = client.get(at("guideline"), {"version": 1}).text
    assert "<strong>true</strong>" in old and "an older version" in old and "A is better." not in old
    changes = client.get(at("guideline"), {"since": 1})
    assert "What changed from version 1 to 2" in changes.text and "examples have changed too" in changes.text
    assert "kind" in changes.context["changes_html"]
    assert client.get(at("guideline"), {"since": 2}).context["examples_changed"] is False


@pytest.mark.parametrize("said", ["3", "0", "-1", "x", "1e3", "9" * 40, "１"])
def test_a_version_that_is_not_there_is_not_found(world, said):
    for name in ("version", "since"):
        assert world.client("ana").get(at("guideline"), {name: said}).status_code == 404


def test_the_guideline_is_read_in_the_readers_language(world):
    translations = {"zh-hans": {"text": "把**真实**的放在前面。", "examples": [EXAMPLE | {"answer": "A 更好。"}]}}
    publish_guideline(project=world.project, text="True first.", examples=[EXAMPLE], translations=translations)
    client = world.client("ana")
    shown = client.get(at("guideline"), headers={"accept-language": "zh-hans"}).text
    assert "<strong>真实</strong>" in shown and "A 更好。" in shown and "True first." not in shown


def test_a_project_without_a_guideline_says_so(world):
    world.project.guidelines.update(current=False)
    assert "There is none yet" in world.client("ana").get(at("guideline")).text


def test_the_faq_holds_what_was_put_there_and_nothing_else(world, slot):
    kept, left = ask(world, slot), ask(world, slot, "What is for lunch?")
    reply(world, kept, text="Not if it can be cooked.", in_faq="on", faq_question="Are <quantities> needed?")
    reply(world, left, text="Soup.")
    shown = world.client("ben").get(at("guideline")).text
    assert "Are &lt;quantities&gt; needed?" in shown and "Not if it can be cooked." in shown
    assert QUESTION not in shown and "Soup." not in shown
    kept.refresh_from_db()
    reply(world, kept, text="Not if it can be cooked.", faq_question="Are <quantities> needed?")
    assert "quantities" not in world.client("ben").get(at("guideline")).text


# --- Flags ------------------------------------------------------------------------------------------------------------


def flag(slot: Slot, kind: str = "broken", text: str = "") -> Flag:
    return exchange.flag(slot=slot, actor=slot.holder.user, kind=kind, text=text)


def test_a_task_is_flagged_from_the_desk_and_settled(world, slot):
    done = world.client("ana").post(at("flag", slot.code), {"kind": "broken", "text": "It stops."}, headers=HTMX)
    assert done.status_code == 200 and "Flagged." in done.text
    flagged = Flag.objects.get()
    shown = world.client("rita").get(at("flags")).text
    assert "It stops." in shown and slot.task.conversation[0]["content"] in shown and "Settle it" not in shown
    assert world.client("mina").post(at("flag_resolve", flagged.pk), {"resolution": "Looked fine."}).status_code == 302
    flagged.refresh_from_db()
    assert (flagged.resolved_by, flagged.resolution) == (world.users["mina"], "Looked fine.")
    assert Task.objects.get(pk=slot.task_id).status == Task.Status.OPEN
    slot.refresh_from_db()
    assert slot.status == Slot.Status.LEASED  # it stays with whoever flagged it


def test_the_same_flag_twice_is_one_with_all_that_was_said(world, slot):
    client = world.client("ana")
    for text in ("It stops.", "", "It stops.", "In the middle."):
        assert client.post(at("flag", slot.code), {"kind": "broken", "text": text}).status_code == 302
    assert Flag.objects.get().text == "It stops.\nIn the middle."
    exchange.resolve_flag(flag=Flag.objects.get(), actor=world.users["mina"], resolution="Mended.")
    flag(slot, text="Still.")
    flag(slot, "personal")
    assert Flag.objects.filter(resolved_at=None).count() == 2


@pytest.mark.parametrize("form", [{}, {"kind": "no-such"}, {"kind": "other"}, {"kind": "broken", "text": "x" * 2001}])
def test_a_flag_that_says_nothing_is_given_back(world, slot, form):
    page = world.client("ana").post(at("flag", slot.code), form)
    assert page.status_code == 422 and "errorlist" in page.text
    assert (page.context["form"]["text"].value() or "") == form.get("text", "")
    fragment = world.client("ana").post(at("flag", slot.code), form, headers=HTMX)
    assert fragment.status_code == 422 and 'role="alert"' in fragment.text and "<html" not in fragment.text
    assert not Flag.objects.exists()


def test_withdrawing_the_task_settles_all_flags_on_it_and_no_others(world):
    world.tasks(2)
    slots = [world.claim("ana"), world.claim("ben")]
    assert slots[0].task_id == slots[1].task_id
    world.answer(slots[0], 1, 2, 3)
    other = world.claim("ana")
    flags = [flag(one) for one in (*slots, other)]
    shown = world.client("mina").get(at("flags"))
    assert "2 flags on this task" in shown.text and list(shown.context["page"]) == flags
    form = {"resolution": "Cut off; withdrawn.", "withdraw": "on"}
    assert world.client("mina").post(at("flag_resolve", flags[1].pk), form).status_code == 302
    assert Task.objects.get(pk=slots[0].task_id).status == Task.Status.WITHDRAWN
    assert list(Flag.objects.filter(resolved_at=None)) == [flags[2]]
    assert exchange.flags(world.project).first() == flags[2]


def test_a_flag_that_was_settled_meanwhile_gives_back_what_was_typed(world, slot):
    flagged = flag(slot)
    exchange.resolve_flag(flag=flagged, actor=world.users["mina"], resolution="Mended.")
    late = world.client("ada").post(at("flag_resolve", flagged.pk), {"resolution": "I looked too.", "withdraw": "on"})
    assert late.status_code == 422 and "Mended." in late.text and "I looked too." in late.text
    assert Task.objects.get(pk=slot.task_id).status == Task.Status.OPEN
    with pytest.raises(Refused):
        exchange.resolve_flag(flag=flagged, actor=world.users["ada"], resolution="Again.")
    empty = world.client("mina").post(at("flag_resolve", flag(slot, "other").pk), {"resolution": " "})
    assert empty.status_code == 422 and "Say what was done about it." in empty.text


def test_who_may_do_what_with_flags(world, slot):
    flagged = flag(slot)
    for name, status in {"otto": 404, "ana": 403, "rita": 200, "mina": 200}.items():
        assert world.client(name).get(at("flags")).status_code == status, name
    form = {"resolution": "Looked."}
    for name, status in {"otto": 404, "ana": 403, "rita": 403, "mina": 302}.items():
        assert world.client(name).post(at("flag_resolve", flagged.pk), form).status_code == status, name
    assert world.client("ben").post(at("flag", slot.code), {"kind": "broken"}).status_code == 404
    assert world.client("mina").post(at("flag_resolve", 10**30), form).status_code == 404
    assert world.client("ana").post(at("flag", uuid4()), {"kind": "broken"}).status_code == 404


def test_statements_of_the_flags_do_not_grow(world, django_assert_max_num_queries):
    world.tasks(10, outputs=2)
    for _ in range(10):
        slot = world.claim("ana")
        flag(slot, text="It stops.")
        world.answer(slot, 1, 2)
    client = world.client("mina")
    with django_assert_max_num_queries(11):
        assert client.get(at("flags")).text.count("It stops.") == 10


# --- All of it --------------------------------------------------------------------------------------------------------


def test_what_others_see_of_a_task_names_no_model_and_warns_of_harm(world):
    add_tasks(
        project=world.project,
        tasks=[
            NewTask(
                name="t",
                conversation=[{"role": "user", "content": "<img src=x onerror=alert(1)>"}],
                completions=[NewCompletion("secret-id", "One", ("secret-model",)), NewCompletion("o2", "")],
                categories=("violence",),
            )
        ],
    )
    annotator = world.annotator("ana")
    annotator.harm_categories = ["violence"]
    annotator.save()
    slot = world.claim("ana")
    ask(world, slot, "<b>bold?</b>")
    flag(slot, text="<script>x</script>")
    for name in ("help_requests", "flags"):
        shown = world.client("mina").get(at(name)).text
        assert "secret" not in shown and "violence" in shown and "This output is empty." in shown
        assert "<img" not in shown and "<b>bold" not in shown and "<script>x" not in shown
        assert "ana<" not in shown and annotator.pseudonym in shown


def test_what_waits_at_a_glance(world, slot):
    ask(world, slot)
    flag(slot)
    mina, ana = world.users["mina"], world.users["ana"]
    waits = {"sent_back": 0, "decided": 0, "answers": 0, "feedback": 0}
    waits |= {"questions": 1, "flags": 1, "pieces": 0, "appeals": 0}
    assert exchange.at_a_glance(world.project, mina, oversees=True) == waits
    assert exchange.at_a_glance(world.project, mina, oversees=True, decides=True) == waits | {"cases": (0, False)}
    reply(world, HelpRequest.objects.get())
    of_ana = {"sent_back": 0, "decided": 0, "answers": 1, "feedback": 0}
    assert exchange.at_a_glance(world.project, ana, oversees=False) == of_ana


@pytest.mark.parametrize(("oversees", "shown"), [(True, ["questions/", "flags/", "reviews/"]), (False, ["mine/"])])
def test_the_page_of_a_project_leads_to_all_of_it(world, rf, oversees, shown):
    request = rf.get("/projects/kitchen/")
    request.user, request.htmx = world.users["ana"], False
    waits = {"sent_back": 1, "answers": 2, "questions": 31, "flags": 32, "pieces": 33}
    context = overview(world.project, has_guideline=False) if oversees else {}
    context |= {"project": world.project, "oversees": oversees, "enrolment": not oversees, "glance": waits}
    page = render_to_string("annotate/project.html", context, request)
    for path in ("guideline/", *shown):
        assert f'href="/projects/kitchen/{path}"' in page, path
    assert "1 piece of yours came back" in page and "answered 2 questions of yours" in page
    assert all((f">{number}<" in page) is oversees for number in (31, 32, 33))
    without = render_to_string("annotate/project.html", context | {"glance": {}}, request)
    assert "came back" not in without and "The researchers answered" not in without


def test_empty_pages_say_how_they_fill(world):
    Membership.objects.create(user=world.users["otto"], project=world.project, role=Membership.Role.AUDITOR)
    auditor = world.client("otto")
    assert "Nobody has asked yet" in auditor.get(at("help_requests")).text
    assert "No task was flagged" in auditor.get(at("flags")).text
