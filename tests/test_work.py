"""What the desk's requests answer to whatever is sent to them."""

import re
from uuid import uuid4

import pytest

from annotate.models import Annotation, Draft, Slot

pytestmark = pytest.mark.django_db


@pytest.fixture
def address(world):
    world.tasks(2, language="en")
    return f"/projects/kitchen/work/{world.claim('ana').code}/"


def test_a_draft_is_kept_and_told_in_json(world, address):
    client = world.client("ana")
    sent = {"version": 0, "changed": 1, "overall.tier.A": "1", "key": str(uuid4()), "note": "two\r\nlines"}
    assert client.post(f"{address}draft/", sent).json() == {"version": 1, "status": "leased", "newer": None}
    assert Draft.objects.get().fields == {"overall.tier.A": ["1"], "note": ["two\r\nlines"]}
    again = client.post(f"{address}draft/", sent | {"note": "other"}).json()
    assert (again["version"], again["newer"]["note"]) == (1, ["two\r\nlines"])
    assert client.post(f"{address}draft/", {"version": 1}).json()["version"] == 1


@pytest.mark.parametrize("sent", [
    {}, {"version": "x"}, {"version": "-1"}, {"version": "9" * 40, "changed": 1}, {"version": 0, "changed": 1, "a\x00b": "c\x00d"},
    {"version": 0, "changed": 1, "overall.tier.A": ["1"] * 500},
])  # fmt: skip
def test_no_draft_ends_in_an_error_of_the_server(world, address, sent):
    assert world.client("ana").post(f"{address}draft/", sent).status_code in (200, 422)


@pytest.mark.parametrize("sent", [
    {}, {"key": "x"}, {"overall.tier.A": "\x00"}, {"overall.tier.A": "9" * 5000}, {"guideline": "x"},
    {"active_seconds": "NaN"}, {"overall.outcome": "x"},
])  # fmt: skip
def test_a_bad_answer_comes_back_with_what_was_filled_in(world, address, sent):
    whole = {f"overall.tier.{letter}": "2" for letter in "ABC"} | {"key": str(uuid4())}
    answer = world.client("ana").post(f"{address}submit/", ({} if not sent else whole) | sent)
    assert answer.status_code == 422
    assert not Annotation.objects.exists()
    if sent:
        checked = re.findall(r"<input[^>]*checked[^>]*>", answer.content.decode())
        assert any('name="overall.tier.B"' in one and 'value="2"' in one for one in checked)


def test_typing_and_time_are_kept_within_bounds(world, address):
    sent = {f"overall.tier.{letter}": "1" for letter in "ABC"} | {"key": str(uuid4()), "active_seconds": "999999999"}
    sent["typing"] = '{"seconds": 5, "typed": -1, "pasted": 1e99, "else": "x"}'
    assert world.client("ana").post(f"{address}submit/", sent).status_code == 302
    annotation = Annotation.objects.get()
    assert (annotation.typing, annotation.active_seconds) == ({"seconds": 5}, 24 * 60 * 60)


@pytest.mark.parametrize("typing", ["[", "[" * 100_000, "9" * 5000, "null", '"x"', '{"seconds": true}'])
def test_typing_that_cannot_be_is_passed_over(world, address, typing):
    sent = {f"overall.tier.{letter}": "1" for letter in "ABC"} | {"key": str(uuid4()), "typing": typing}
    assert world.client("ana").post(f"{address}submit/", sent).status_code == 302
    assert Annotation.objects.get().typing is None


def test_a_draft_that_comes_after_its_answer_is_not_kept(world, address):
    client = world.client("ana")
    sent = {f"overall.tier.{letter}": "1" for letter in "ABC"}
    client.post(f"{address}submit/", sent | {"key": str(uuid4())})
    late = sent | {"version": 0, "changed": 1}
    assert client.post(f"{address}draft/", late).json()["status"] == "submitted"
    assert not Draft.objects.exists()
    client.post(f"{address}draft/", late | {"answered": 1})
    assert Draft.objects.count() == 1


def test_who_is_no_annotator_of_the_project_any_more_keeps_the_answer_and_gets_nothing(world, address):
    world.users["ana"].memberships.all().delete()
    sent = {f"overall.tier.{letter}": "1" for letter in "ABC"} | {"key": str(uuid4())}
    world.client("ana").post(f"{address}submit/", sent)
    assert Annotation.objects.count() == 1
    assert not Slot.objects.filter(status="leased").exists()


def test_the_next_task_stands_in_the_answer_to_the_last_with_a_fixed_number_of_statements(
    world, address, django_assert_max_num_queries
):
    world.tasks(20)
    client = world.client("ana")
    sent = {f"overall.tier.{letter}": "1" for letter in "ABC"}
    client.post(f"{address}submit/", sent | {"key": str(uuid4())})
    for _ in range(2):
        slot = Slot.objects.get(status="leased")
        with django_assert_max_num_queries(36):
            answer = client.post(
                f"/projects/kitchen/work/{slot.code}/submit/",
                sent | {"key": str(uuid4())},
                headers={"HX-Request": "true"},
            )
        assert answer.headers["HX-Push-Url"] and b'id="desk"' in answer.content


def test_comparing_and_the_raw_text_are_for_the_holder_and_for_outputs_that_are_there(world, address):
    ana, ben = world.client("ana"), world.client("ben")
    assert ana.get(f"{address}compare/?left=A&right=C").status_code == 200
    assert ana.get(f"{address}compare/?left=A&right=Z").status_code == 404
    assert ana.get(f"{address}raw/B/").status_code == 200 and ana.get(f"{address}raw/Z/").status_code == 404
    assert ben.get(f"{address}compare/").status_code == ben.get(f"{address}raw/A/").status_code == 404
