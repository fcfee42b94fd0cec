"""The ready-made language tests: their questions, what a take comes to, and what follows from it."""

import re
from datetime import timedelta
from math import comb

import pytest
from django.utils import timezone

from annotate import language_tests as papers
from annotate.errors import Refused
from annotate.models import Annotator, Enrolment, LanguageTest
from annotate.services import enrolments, language_tests, way_in
from tests.known import known_tasks, step

pytestmark = pytest.mark.django_db

ENGLISH = "/me/languages/en/test/"


def chosen(sheet: language_tests.Sheet, right: int) -> dict[str, int]:
    """The first so many questions answered right, the others wrong."""
    found = {}
    for at, asked in enumerate(sheet.asked):
        of = asked.item.right if at < right else asked.item.wrong[0]
        found[asked.item.key] = asked.options.index(of)
    return found


def take(annotator: Annotator, right: int, language: str = "en") -> LanguageTest:
    sheet = language_tests.sheet(annotator, language)
    return language_tests.take(
        annotator=annotator, language=language, chosen=chosen(sheet, right), started=sheet.started
    )


def make_old(taken: LanguageTest, monkeypatch) -> None:
    """Let 31 days go by; the row itself never changes."""
    later = taken.created_at + timedelta(days=31)
    monkeypatch.setattr("django.utils.timezone.now", lambda: later)


# --- The questions ----------------------------------------------------------------------------------------------------


def test_there_is_a_test_of_english_and_of_chinese():
    assert papers.available() == ("en", "zh")
    with pytest.raises(LookupError):
        papers.load("../en")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_test_has_16_questions_of_four_different_options_from_easy_to_hard(language):
    items = papers.load(language).items
    assert [item.level for item in items] == ["B1"] * 4 + ["B2"] * 4 + ["C1"] * 4 + ["C2"] * 4
    assert {item.kind for item in items} == {"grammar", "vocabulary", "inference"}
    assert len({item.key for item in items}) == 16
    assert all(len({item.right, *item.wrong}) == 4 for item in items)
    assert all(re.fullmatch("[a-z]+", item.key) for item in items)  # keys are names of fields


@pytest.mark.parametrize(
    ("right", "level"),
    [(0, ""), (7, ""), (8, "B1"), (9, "B1"), (10, "B2"), (12, "B2"), (13, "C1"), (14, "C1"), (15, "C2"), (16, "C2")],
)
def test_so_many_right_answers_come_to_this_level(right, level):
    assert papers.level_of(right) == level


@pytest.mark.parametrize(
    ("level", "known", "chance"),
    [("B1", 0, 0.027), ("B2", 0, 0.00164), ("C1", 0, 1 / 264_000), ("B1", 4, 0.351), ("B2", 4, 0.054), ("B2", 8, 0.633),
     ("C1", 8, 0.027), ("C1", 12, 0.684), ("C2", 12, 0.051)],
)  # fmt: skip
def test_the_chances_of_who_guesses_are_those_that_are_stated(level, known, chance):
    guessed, least = 16 - known, papers.LEAST[level] - known
    found = sum(comb(guessed, k) * 0.25**k * 0.75 ** (guessed - k) for k in range(least, guessed + 1))
    assert found == pytest.approx(chance, rel=0.02)


# --- Taking it --------------------------------------------------------------------------------------------------------


def test_a_take_is_kept_and_verifies_the_level(world):
    made = take(world.annotator("ana"), 13)
    assert (made.language, made.version, made.right, made.of, made.level) == ("en", 1, 13, 16, "C1")
    assert made.answers["since"] == "since" and made.answers["critic"] != papers.load("en").items[-1].right
    assert made.seconds == 0
    verified = world.annotator("ana").verified_levels["en"]
    assert (verified["level"], verified["by"], verified["at"]) == ("C1", "test", made.created_at.isoformat())


def test_a_lower_level_never_takes_a_higher_one_away(world):
    ana = world.annotator("ana")
    ana.verified_levels = {"en": {"level": "C2", "by": "mina", "at": "2026-01-01T00:00:00+00:00"}}
    ana.save()
    made = take(ana, 10)
    assert made.level == "B2"
    assert world.annotator("ana").verified_levels["en"]["by"] == "mina"
    assert take(world.annotator("ben"), 7).level == ""
    assert world.annotator("ben").verified_levels == {}


def test_it_is_taken_once_in_30_days(world, monkeypatch):
    ana = world.annotator("ana")
    first = take(ana, 10)
    with pytest.raises(Refused, match="less than 30 days ago"):
        take(ana, 16)
    assert take(ana, 16, language="zh").level == "C2"  # another language is another test
    make_old(first, monkeypatch)
    assert take(ana, 16).level == "C2"
    assert world.annotator("ana").verified_levels["en"]["level"] == "C2"


def test_a_page_of_another_take_of_another_person_or_of_nobody_is_refused(world, monkeypatch):
    ana, ben = world.annotator("ana"), world.annotator("ben")
    old, bens = language_tests.sheet(ana, "en"), language_tests.sheet(ben, "en")
    first = take(ana, 8)
    make_old(first, monkeypatch)
    for started in (old.started, bens.started, language_tests.sheet(ana, "zh").started, "", "made:up"):
        with pytest.raises(Refused, match="out of date"):
            language_tests.take(annotator=ana, language="en", chosen=chosen(old, 16), started=started)
    assert LanguageTest.objects.count() == 1


def test_options_stand_in_another_order_for_everybody_and_every_take(world, monkeypatch):
    def orders(sheet):
        return [asked.options for asked in sheet.asked]

    ana, ben = world.annotator("ana"), world.annotator("ben")
    before = orders(language_tests.sheet(ana, "en"))
    assert before == orders(language_tests.sheet(ana, "en"))  # a page that is loaded again is the same
    assert before != orders(language_tests.sheet(ben, "en"))
    make_old(take(ana, 8), monkeypatch)
    assert before != orders(language_tests.sheet(ana, "en"))


def test_who_waited_for_it_goes_on(world):
    step(world.project, "profile", languages=[{"language": "en", "level": "C1", "verified": True}])
    step(world.project, "rankings")
    known_tasks(world, 3, "test")
    world.project.open_to_apply = True
    world.project.save()
    enrolment = way_in.apply(project=world.project, user=world.users["otto"])
    way_in.keep_profile(enrolment=enrolment, consent=True, fields={"levels": {"en": "C2"}})
    assert way_in.missing(enrolment) == ["eligible"]  # what is declared is not verified
    take(world.annotator("otto"), 13)
    assert Enrolment.objects.get(pk=enrolment.pk).status == "testing"


# --- The page ---------------------------------------------------------------------------------------------------------


def test_the_page_gives_no_answer_away_and_shows_what_it_came_to(world):
    ana, client = world.annotator("ana"), world.client("ana")
    page = client.get(ENGLISH)
    sheet = language_tests.sheet(ana, "en")
    for asked in sheet.asked:
        shown = re.findall(rf'name="{asked.item.key}" value="(\d)"', page.text)
        assert shown == ["0", "1", "2", "3"]
    positions = {asked.options.index(asked.item.right) for asked in sheet.asked}
    assert len(positions) > 1  # the right one has no place of its own
    sent = {name: str(at) for name, at in chosen(sheet, 13).items()} | {
        "started": page.context["form"]["started"].value()
    }
    done = client.post(ENGLISH, sent, follow=True)
    assert done.redirect_chain == [(ENGLISH, 302)]
    assert "13 of 16 answers were right." in done.text and "You read demanding texts with ease" in done.text
    assert "<fieldset" not in done.text  # which were right is not said, and it cannot be sent again
    again = client.post(ENGLISH, sent, follow=True)
    assert "You took this test less than 30 days ago" in again.text
    assert LanguageTest.objects.count() == 1


def test_a_question_without_an_answer_comes_back_and_nothing_is_lost(world):
    client = world.client("ana")
    started = client.get(ENGLISH).context["form"]["started"].value()
    sent = {name: str(at) for name, at in chosen(language_tests.sheet(world.annotator("ana"), "en"), 16).items()}
    del sent["bowl"]
    page = client.post(ENGLISH, sent | {"started": started})
    assert page.status_code == 422 and page.text.count("Choose an answer.") == 1
    assert page.text.count("checked") == 15
    assert f'value="{started}"' in page.text
    assert not LanguageTest.objects.exists()
    for odd in ({"bowl": "4"}, {"bowl": "x"}, {"bowl": "0", "started": ""}):
        assert client.post(ENGLISH, sent | {"started": started} | odd).status_code == 422


def test_languages_without_a_test_are_not_there_and_strangers_to_projects_apply_first(world):
    assert world.client("ana").get("/me/languages/xx/test/").status_code == 404
    assert world.client("otto").get(ENGLISH).status_code == 403
    enrolments.annotator_of(world.users["otto"])
    assert world.client("otto").get(ENGLISH).status_code == 200


def test_the_time_it_took_is_kept(world, monkeypatch):
    sheet = language_tests.sheet(world.annotator("ana"), "en")
    later = timezone.now() + timedelta(seconds=600)
    monkeypatch.setattr("django.utils.timezone.now", lambda: later)
    made = language_tests.take(
        annotator=world.annotator("ana"), language="en", chosen=chosen(sheet, 8), started=sheet.started
    )
    assert made.seconds == 600
