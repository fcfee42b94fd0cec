"""What an annotator sees of the own work, and the own settings."""

import csv
from datetime import datetime, timedelta
from io import StringIO
from unittest import mock
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotate.exchange_forms import MAY_HOLD
from annotate.languages import as_written
from annotate.models import Annotation, Annotator, Enrolment, Harm, Membership, Question, Review, Slot
from annotate.questions import Given
from annotate.services import enrolments, exchange, feedback, gold, history, ledger
from annotate.services.enrolments import enrol
from annotate.services.projects import create_project
from annotate.services.tasks import NewTask, add_tasks
from annotate.views.mine import PAGE, QUESTIONS
from tests.known import known_tasks

pytestmark = pytest.mark.django_db

MINE, SETTINGS = "/projects/kitchen/mine/", "/me/"


def answered(world, name: str = "ana", seconds: int | None = None, at: datetime | None = None) -> Slot:
    """A task answered, in so many seconds, at that time."""
    slot = world.claim(name)
    again(world, slot, seconds, at)
    return slot


def again(world, slot: Slot, seconds: int | None = None, at: datetime | None = None) -> None:
    with mock.patch("django.utils.timezone.now", return_value=at or timezone.now()):
        ledger.submit(
            slot=slot,
            answers=[world.ranking(slot, 1, 2, 3)],
            idempotency_key=uuid4(),
            active_seconds=seconds,
        )


def noon(days_ago: int = 0) -> datetime:
    return timezone.localtime().replace(hour=12, minute=0) - timedelta(days=days_ago)


# --- Tasks ------------------------------------------------------------------------------------------------------------


def test_the_tasks_stand_newest_first_each_with_its_state_and_the_way_to_change_it(world):
    world.tasks(4)
    first = answered(world)
    skipped = world.claim("ana")
    ledger.skip(slot=skipped, kind=Slot.Skip.HARD)
    extra, leased = answered(world), world.claim("ana")
    Slot.objects.filter(pk=extra.pk).update(status=Slot.Status.EXTRA)
    page = world.client("ana").get(MINE)
    assert [slot.pk for slot in page.context["page"]] == [extra.pk, skipped.pk, first.pk]
    for slot in (first, skipped, extra):
        assert reverse("work", args=["kitchen", slot.code]) in page.text
    assert reverse("work", args=["kitchen", leased.code]) not in page.text
    assert {state: number for state, _name, number in page.context["states"]} == {
        "": 3, "sent_back": 0, "decided": 0, "submitted": 1, "extra": 1, "held": 0, "skipped": 1,
    }  # fmt: skip
    for state, slot in (("submitted", first), ("extra", extra), ("skipped", skipped)):
        assert [one.pk for one in world.client("ana").get(MINE, {"state": state}).context["page"]] == [slot.pk]
    assert len(world.client("ana").get(MINE, {"state": "no-such"}).context["page"]) == 3


def test_what_came_back_from_review_is_found_until_it_is_changed(world):
    question = Question.objects.create(project=world.project, key="written", kind="demonstration", text="Write.")
    world.tasks()
    slot = world.claim("ana")
    given = [Given(question, value={"text": "A text.", "from": None})]
    annotation = ledger.submit(slot=slot, answers=given, idempotency_key=uuid4())
    Review.objects.create(
        answer=annotation.answers.get(),
        decision=Review.Decision.SEND_BACK,
        reviewer=world.users["rita"],
        reason="Too short.",
        sampling_rate=1,
    )
    page = world.client("ana").get(MINE, {"state": "sent_back"})
    assert [one.pk for one in page.context["page"]] == [slot.pk]
    ledger.submit(slot=slot, answers=given, idempotency_key=uuid4())
    assert not world.client("ana").get(MINE, {"state": "sent_back"}).context["page"]


def test_nobody_sees_the_work_of_another(world):
    world.tasks(2)
    slot = answered(world, seconds=60)
    page = world.client("ben").get(MINE)
    assert not page.context["page"] and str(slot.code) not in page.text
    assert page.context["figures"] == {"today": 0, "total": 0, "seconds": 0, "pace": None}
    other = create_project(slug="garden", name="Garden")
    enrol(project=other, user=world.users["ana"])
    assert not world.client("ana").get("/projects/garden/mine/").context["page"]


def test_it_is_for_the_annotators_of_the_project(world):
    for name, status in {"otto": 404, "ana": 200, "rita": 403, "mina": 403, "ada": 403}.items():
        assert world.client(name).get(MINE).status_code == status, name
    assert Client().get(MINE).status_code == 302
    Membership.objects.create(user=world.users["rita"], project=world.project, role=Membership.Role.ANNOTATOR)
    assert "not enrolled" in world.client("rita").get(MINE).text  # a role without an enrolment


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("pasta", ["one"]),
        ("PASTA", ["one"]),
        ('say "al dente"', ["one"]),
        ("back\\slash", ["two"]),
        ("两碗米饭", ["two"]),
        ("task-", []),  # names are for those who oversee tasks
        ("e", ["two", "one"]),
        ("content", []),  # a word of the file, not of the conversation
        ("100%", []),
        ("_", []),
        ("\x00pasta", ["one"]),
        ("x" * 5000, []),
        ("  ", ["two", "one"]),
    ],
)
def test_the_search_finds_words_of_the_conversation_alone(world, search, found):
    said = {"one": 'How long is pasta? I say "al dente".', "two": "两碗米饭 with a back\\slash, 100 of them"}
    for name, text in said.items():
        conversation = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
        add_tasks(project=world.project, tasks=[NewTask(f"task-{name}", conversation, [])])
        ledger.skip(slot=world.claim("ana"), kind=Slot.Skip.HARD)
    page = world.client("ana").get(MINE, {"q": search})
    assert [slot.task.name.removeprefix("task-") for slot in page.context["page"]] == found


def test_what_may_distress_is_not_shown_in_the_list(world):
    conversation = [{"role": "user", "content": "A grim question?"}]
    add_tasks(project=world.project, tasks=[NewTask("grim", conversation, [], categories=("violence",))])
    world.client("ana").post(SETTINGS, {"harm_categories": ["violence"]})
    ledger.skip(slot=world.claim("ana"), kind=Slot.Skip.DISTRESSING)
    page = world.client("ana").get(MINE)
    assert len(page.context["page"]) == 1 and "violence" in page.text and "grim question" not in page.text


def test_pages_keep_what_was_searched_for(world):
    world.tasks(PAGE + 2)
    for _ in range(PAGE + 2):
        ledger.skip(slot=world.claim("ana"), kind=Slot.Skip.HARD)
    page = world.client("ana").get(MINE, {"q": "Question", "state": "skipped"})
    assert len(page.context["page"]) == PAGE and f"1–{PAGE} of {PAGE + 2}" in page.text
    assert "?q=Question&amp;state=skipped&amp;page=2" in page.text
    assert len(world.client("ana").get(MINE, {"q": "Question", "page": "2"}).context["page"]) == 2
    assert len(world.client("ana").get(MINE, {"page": "no-such"}).context["page"]) == PAGE


def test_statements_do_not_grow_with_tasks_or_questions(world, django_assert_max_num_queries):
    world.tasks(20)
    for number in range(20):
        slot = answered(world, seconds=5)
        exchange.ask(slot=slot, actor=world.users["ana"], text=f"Why {number}?")
    client = world.client("ana")
    for annotation in Annotation.objects.all():
        feedback.comment(annotation=annotation, author=world.users["rita"], text="So.")
    with django_assert_max_num_queries(18):
        assert client.get(MINE).text.count("Why ") == 20


# --- Time -------------------------------------------------------------------------------------------------------------


def test_the_figures_are_of_today_and_of_all_with_the_median_of_a_task(world):
    world.tasks(5)
    answered(world, seconds=100, at=noon(3))
    answered(world, seconds=10, at=noon(2))
    changed = answered(world, seconds=20)
    again(world, changed, 30)  # this task took 50
    answered(world)  # its time is not known
    found = history.figures(world.annotator("ana"), world.project)
    assert found == {"today": 2, "total": 4, "seconds": 160, "pace": 50}
    assert "0:02" in world.client("ana").get(MINE).text  # hours and minutes


def test_the_hours_have_each_of_the_last_days(world):
    world.tasks(5)
    answered(world, seconds=90, at=noon(29))
    answered(world, seconds=60, at=noon(30))  # a day too long ago
    changed = answered(world, seconds=100, at=noon(1))
    answered(world, seconds=20, at=noon(1))
    again(world, changed, 40, at=noon(0))
    days = history.hours(world.annotator("ana"), world.project)
    today = timezone.localdate()
    assert [one.day for one in days] == [today - timedelta(days=ago) for ago in range(29, -1, -1)]
    found = {(today - one.day).days: (one.all.tasks, one.all.seconds) for one in days if one.all.seconds}
    assert found == {29: (1, 90), 1: (2, 120), 0: (0, 40)}
    response = world.client("ana").get(MINE, {"format": "csv"})
    assert response.headers["Content-Disposition"] == 'attachment; filename="hours-kitchen.csv"'
    rows = list(csv.DictReader(StringIO(response.text)))
    yesterday = {"date": str(today - timedelta(days=1)), "kind": "work", "tasks": "2", "active_seconds": "120"}
    assert [row for row in rows if row["kind"] == "work"][-2] == yesterday
    assert len(rows) == 30 * 4 and sum(int(row["active_seconds"]) for row in rows) == 250


def test_kinds_of_work_are_told_apart_but_gold_and_repeats_are_work(world, monkeypatch):
    monkeypatch.setattr(gold, "RESERVE", 1)
    world.project.gold_percent = 100
    world.project.save()
    (task,) = world.tasks()
    answered(world, seconds=1)
    known_tasks(world, 1)
    answered(world, seconds=2)
    world.tasks(1, purpose="repeat", repeat_of=task)
    answered(world, seconds=4)
    world.tasks(1, purpose="calibration")
    answered(world, seconds=8)
    for purpose, state, seconds in (("training", "training", 16), ("test", "testing", 32)):
        enrolment = Enrolment.objects.get(annotator=world.annotator("ana"))
        enrolments.move(enrolment=enrolment, to=state, actor=world.users["mina"])
        known_tasks(world, 1, purpose)
        answered(world, seconds=seconds)
    today = history.hours(world.annotator("ana"), world.project)[-1]
    assert {kind: (time.tasks, time.seconds) for kind, time in today.kinds.items()} == {
        "work": (3, 7), "calibration": (1, 8), "training": (1, 16), "test": (1, 32),
    }  # fmt: skip
    response = world.client("ana").get(MINE, {"format": "csv"})
    rows = [row for row in csv.DictReader(StringIO(response.text)) if row["date"] == str(today.day)]
    assert [(row["kind"], row["active_seconds"]) for row in rows] == [
        ("work", "7"), ("training", "16"), ("test", "32"), ("calibration", "8"),
    ]  # fmt: skip
    text = world.client("ana").get(MINE).text
    assert "training: tasks" in text and "gold" not in text and "repeat" not in text


def test_no_page_of_an_annotator_names_a_task(world):
    conversation = [
        {"role": "user", "content": "How long is pasta?"},
        {"role": "assistant", "content": "Ten minutes."},
        {"role": "user", "content": "And rice? " + "x" * 100},
    ]
    add_tasks(project=world.project, tasks=[NewTask("gold-1", conversation, [])])
    slot = world.claim("ana")
    exchange.ask(slot=slot, actor=world.users["ana"], text="May I?")
    refused = world.client("ana").post(f"/projects/kitchen/work/{slot.code}/ask/", {"text": ""})
    assert refused.status_code == 422 and "And rice? xxx" in refused.text
    pages = [refused.text, world.client("ana").get(reverse("work", args=["kitchen", slot.code])).text]
    ledger.skip(slot=slot, kind=Slot.Skip.HARD)
    pages += [world.client("ana").get(at).text for at in (MINE, "/projects/kitchen/", "/projects/kitchen/standing/")]
    assert "And rice? xxx" in pages[2] and "…" in pages[2]
    assert all("gold" not in page for page in pages[:3]) and all("gold-1" not in page for page in pages)


def test_what_is_held_stands_with_its_reason(world):
    world.tasks(2)
    held, other = answered(world), answered(world)
    Slot.objects.filter(pk=other.pk).update(status="held", held_for="guideline")
    enrolment = Enrolment.objects.get(annotator=world.annotator("ana"))
    enrolments.move(enrolment=enrolment, to="paused", actor=world.users["mina"], reason="A break.")
    page = world.client("ana").get(MINE, {"state": "held"})
    assert {slot.pk for slot in page.context["page"]} == {held.pk, other.pk}
    assert "while you are paused" in page.text and "others judge it anew" in page.text


def test_a_day_begins_at_midnight_of_the_servers_time_zone(world):
    world.tasks(2)
    with timezone.override("Asia/Shanghai"):
        midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
        answered(world, seconds=7, at=midnight - timedelta(seconds=1))
        answered(world, seconds=5, at=midnight)
        *_before, yesterday, today = history.hours(world.annotator("ana"), world.project)
    assert (yesterday.all.seconds, today.all.seconds) == (7, 5)


def test_the_plot_draws_days_with_time_to_scale():
    day = timezone.localdate()
    days = [history.Day(day, {"work": history.Time(at, 1800 * at)} if at else {}) for at in range(3)]
    plot = history.plot(days)
    half, whole = plot.bars
    assert plot.ticks == [(history.TOP, 60), (history.HEIGHT - history.BOTTOM, 0)]
    assert whole.height == 2 * half.height == history.HEIGHT - history.BOTTOM - history.TOP
    assert half.y + half.height == whole.y + whole.height == history.HEIGHT - history.BOTTOM
    assert history.LEFT < half.x < half.x + half.width < whole.x < whole.x + whole.width < history.WIDTH
    assert history.plot([history.Day(day)] * 30).bars == []
    both = history.Day(day, {"work": history.Time(1, 60), "training": history.Time(1, 120)})
    below, above = history.plot([both]).bars
    assert above.y + above.height == pytest.approx(below.y) and above.height == pytest.approx(2 * below.height)
    assert (below.shade, above.shade) == ("1", ".62")


# --- Questions --------------------------------------------------------------------------------------------------------


def test_the_own_questions_stand_with_their_answers(world):
    world.tasks()
    slot = world.claim("ana")
    asked = [exchange.ask(slot=slot, actor=world.users["ana"], text=f"<i>Why</i> {at}?") for at in range(QUESTIONS + 1)]
    exchange.answer(request=asked[-1], actor=world.users["mina"], text="Because.", known=None)
    page = world.client("ana").get(MINE)
    assert "Because." in page.text and "new answer" in page.text and "<i>Why" not in page.text
    assert "The newest 20 are shown." in page.text and len(page.context["questions"]) == QUESTIONS
    assert world.client("ana").post(reverse("help_seen", args=["kitchen", asked[-1].pk])).url == MINE
    assert "new answer" not in world.client("ana").get(MINE).text
    assert "Because." not in world.client("ben").get(MINE).text


# --- Settings ---------------------------------------------------------------------------------------------------------


def test_languages_and_agreement_are_changed_kept_in_the_history_and_looked_at_again(world):
    add_tasks(
        project=world.project,
        tasks=[NewTask(code, [{"role": "user", "content": code}], [], language=code) for code in ("en", "zh-Hans")],
    )
    Enrolment.objects.filter(annotator=world.annotator("ana")).update(cursor=77)
    client = world.client("ana")
    assert [code for code, _ in client.get(SETTINGS).context["form"].fields["languages"].choices] == ["en", "zh-Hans"]
    form = {"languages": ["zh-Hans"], "others": "PT-br, EN zh-hant", "harm_categories": ["hate", "crime"]}
    assert client.post(SETTINGS, form).url == SETTINGS
    ana = world.annotator("ana")
    assert ana.languages == ["zh-Hans", "pt-BR", "en", "zh-Hant"]
    assert ana.harm_categories == ["crime", "hate"]
    assert Enrolment.objects.get(annotator=ana).cursor == -1
    assert Annotator.objects.get(user=world.users["ben"]).languages == []
    assert [one.languages for one in ana.events.order_by("pgh_id")][-1] == ana.languages
    assert client.get(SETTINGS).context["form"]["others"].value() == "pt-BR, zh-Hant"
    client.post(SETTINGS, {})
    ana.refresh_from_db()
    assert (ana.languages, ana.harm_categories) == ([], [])
    assert ["crime", "hate"] in [one.harm_categories for one in ana.events.all()]


def test_saving_the_same_changes_nothing(world):
    world.client("ana").post(SETTINGS, {"others": "en", "harm_categories": ["hate"]})
    Enrolment.objects.filter(annotator=world.annotator("ana")).update(cursor=77)
    number = world.annotator("ana").events.count()
    assert world.client("ana").post(SETTINGS, {"others": "en", "harm_categories": ["hate"]}).status_code == 302
    assert world.annotator("ana").events.count() == number
    assert Enrolment.objects.get(annotator=world.annotator("ana")).cursor == 77


def test_agreement_taken_back_holds_from_the_next_task_on(world):
    add_tasks(
        project=world.project,
        tasks=[NewTask(str(at), [{"role": "user", "content": "?"}], [], categories=("hate",)) for at in range(2)],
    )
    client = world.client("ana")
    assert world.claim("ana") is None
    client.post(SETTINGS, {"harm_categories": ["hate"]})
    slot = world.claim("ana")
    assert slot is not None
    client.post(SETTINGS, {})
    assert world.claim("ana") == slot  # what is open stays open, and may be skipped
    ledger.skip(slot=slot, kind=Slot.Skip.DISTRESSING)
    assert world.claim("ana") is None


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"others": "en, not a language!"}, "is no code of a language"),
        ({"others": "x" * 501}, "at most 500"),
        ({"others": "a\x00"}, "Null characters"),
        ({"languages": ["xx"]}, "Select a valid choice"),
        ({"harm_categories": ["no-such"]}, "Select a valid choice"),
    ],
)
def test_settings_that_cannot_be_are_given_back(world, form, said):
    response = world.client("ana").post(SETTINGS, {"harm_categories": ["hate"]} | form)
    assert response.status_code == 422 and said in response.text
    assert response.context["form"]["others"].value() == form.get("others")
    assert world.annotator("ana").harm_categories == []


def test_each_harm_category_is_explained(world):
    page = world.client("ana").get(SETTINGS)
    assert MAY_HOLD.keys() == set(Harm)
    for harm in Harm:
        assert str(MAY_HOLD[harm]) in page.text and f'value="{harm.value}"' in page.text
    assert world.annotator("ana").pseudonym in page.text


def test_who_judges_nothing_is_told_so(world):
    for name in ("mina", "otto", "ada"):
        assert "You judge no tasks" in world.client(name).get(SETTINGS).text
        assert world.client(name).post(SETTINGS, {"others": "en"}).status_code == 403
    assert not Annotator.objects.filter(user=world.users["mina"]).exists()
    assert Client().get(SETTINGS).status_code == 302


@pytest.mark.parametrize(
    ("said", "written"), [("EN", "en"), ("zh-hans", "zh-Hans"), ("PT-br", "pt-BR"), ("ZH-hant-hk", "zh-Hant-HK")]
)
def test_a_language_is_spelled_as_usual(said, written):
    assert as_written(said) == written
