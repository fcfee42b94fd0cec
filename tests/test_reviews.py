"""Reviews of written work: who is read how much, who decides, and what may be exported."""

from math import isclose
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotate.errors import Refused
from annotate.models import Answer, Membership, Question, Review, Slot
from annotate.questions import Given
from annotate.services import ledger, reviews
from annotate.services.projects import create_project
from annotate.services.reviews import Decision, Record, sampling_rate, wilson_lower
from annotate.services.tasks import NewCompletion, NewTask, add_tasks

pytestmark = pytest.mark.django_db

TEXT = "Boil the water first, then add the salt."


@pytest.fixture
def kitchen(world):
    """The world with a question that asks to write."""
    world.project.questions.update(current=False)
    Question.objects.create(
        project=world.project,
        key="answer",
        kind=Question.Kind.DEMONSTRATION,
        text="Write it.",
        settings={"mode": "edit"},
    )
    Membership.objects.create(user=world.users["otto"], project=world.project, role=Membership.Role.AUDITOR)
    return world


def write(world, slot: Slot, text: str = TEXT, begun: int | None = None, typing: dict | None = None) -> Answer:
    """Submit a piece, which draws it for review."""
    question = world.project.questions.get(kind=Question.Kind.DEMONSTRATION)
    given = Given(question, value={"text": text, "from": begun})
    annotation = ledger.submit(slot=slot, answers=[given], idempotency_key=uuid4(), typing=typing)
    return annotation.answers.get()


def piece_of(world, name: str = "ana", **fields) -> Answer:
    world.tasks()
    return write(world, world.claim(name), **fields)


def page(world, piece: Answer) -> str:
    return reverse("review", args=[world.project.slug, piece.pk])


def decide(world, piece: Answer, name: str = "rita", **form):
    return world.client(name).post(page(world, piece), {"text": TEXT, "reason": ""} | form)


@pytest.fixture
def well_known(monkeypatch) -> None:
    """Writers of whose work a hundred pieces were read and accepted: a tenth of it is read from now on."""
    monkeypatch.setattr(reviews, "record_of", lambda writer, project, *, before: Record(accepted=100))


# --- How much is read -------------------------------------------------------------------------------------------------


def test_the_lower_end_is_wilsons():
    # Ten of ten, by hand: n / (n + z²). Nine of ten and forty-eight of fifty, by the formula with z = 1.959964.
    assert isclose(wilson_lower(10, 10), 10 / (10 + 1.959964**2), rel_tol=1e-9)
    assert round(wilson_lower(9, 10), 4) == 0.5958
    assert round(wilson_lower(48, 50), 4) == 0.8654
    assert wilson_lower(0, 10) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("record", "rate"),
    [
        (Record(), 1.0),
        (Record(accepted=9), 1.0),
        (Record(accepted=10), 0.5551),
        (Record(accepted=6, edited=4), 0.5551),  # to be edited is not to be sent back
        (Record(accepted=20), 0.3223),
        (Record(accepted=50), 0.1427),
        (Record(accepted=100), 0.1),
        (Record(accepted=48, sent_back=2), 0.2692),
        (Record(accepted=9, sent_back=1), 0.8083),
        (Record(accepted=7, sent_back=3), 1.0),
        (Record(sent_back=10), 1.0),
    ],
)
def test_the_rate_falls_as_the_work_stands(record, rate):
    assert round(sampling_rate(record), 4) == rate


def test_a_new_writers_work_is_all_read(kitchen):
    kitchen.tasks(9)
    pieces = [write(kitchen, kitchen.claim("ana")) for _ in range(9)]
    assert not Review.objects.exists()
    assert list(reviews.waiting(kitchen.project, kitchen.users["rita"])) == pieces  # the oldest first
    assert not reviews.waiting(kitchen.project, kitchen.users["ana"]).exists()  # nobody's own


def test_of_a_known_writer_a_sample_is_read_and_the_rest_says_so(kitchen, well_known):
    kitchen.tasks(60)
    pieces = [write(kitchen, kitchen.claim("ana")) for _ in range(60)]
    passed = Review.objects.filter(decision=Decision.NOT_DRAWN)
    waiting = set(reviews.waiting(kitchen.project, kitchen.users["rita"]))
    assert waiting.isdisjoint({one.answer for one in passed}) and len(waiting) + passed.count() == 60
    assert passed.count() >= 35  # of 54 expected; fewer once in some ten billion times
    assert {one.sampling_rate for one in passed} == {0.1} and not passed.exclude(reviewer=None).exists()
    for one in pieces:  # the same at any time, and the rate is known later too
        assert reviews.rate_of(one) == 0.1
        assert reviews.drawn(one, 0.1) is (one in waiting)


def test_the_record_is_of_the_writer_in_the_project_at_that_time(kitchen, monkeypatch):
    kitchen.tasks(12)
    slots = [kitchen.claim("ana")]
    pieces = []
    for at in range(10):
        pieces.append(write(kitchen, slots[-1]))
        if at < 8:
            reviews.decide(piece=pieces[-1], actor=kitchen.users["rita"], decision=Decision.ACCEPT)
        slots.append(kitchen.claim("ana"))
    edited, back = pieces[8:]
    reviews.decide(piece=edited, actor=kitchen.users["rita"], decision=Decision.ACCEPT_WITH_EDITS, text="Edited.")
    reviews.decide(piece=back, actor=kitchen.users["rita"], decision=Decision.SEND_BACK, reason="No.")
    now = timezone.now()
    found = reviews.record_of(kitchen.annotator("ana"), kitchen.project, before=now)
    assert found == Record(accepted=8, edited=1, sent_back=1)
    assert round(reviews.rate_of(write(kitchen, slots[-1])), 4) == 0.8083
    assert reviews.rate_of(edited) == 1.0  # as it was then
    assert reviews.record_of(kitchen.annotator("ben"), kitchen.project, before=now) == Record()
    monkeypatch.setattr(reviews, "LOOKED_BACK", 3)  # the new one is not read yet
    found = reviews.record_of(kitchen.annotator("ana"), kitchen.project, before=timezone.now())
    assert found == Record(edited=1, sent_back=1)
    other = create_project(slug="garden", name="Garden")
    assert reviews.record_of(kitchen.annotator("ana"), other, before=now) == Record()


def test_an_annotation_without_written_work_costs_one_statement(world, django_assert_num_queries):
    world.tasks()
    annotation = world.answer(world.claim("ana"), 1, 2, 3)
    with django_assert_num_queries(1):
        reviews.after_submit(annotation=annotation)
    assert not Review.objects.exists()


@pytest.mark.parametrize("passed", [True, False])
def test_a_changed_piece_is_read_again_unless_the_one_before_was_passed(kitchen, well_known, monkeypatch, passed):
    kitchen.tasks()
    slot = kitchen.claim("ana")
    monkeypatch.setattr(reviews, "drawn", lambda piece, rate: rate == 1.0 or not passed)
    first = write(kitchen, slot)
    assert Review.objects.filter(answer=first).exists() is passed
    again = write(kitchen, slot, "Another text.")
    assert reviews.rate_of(again) == (0.1 if passed else 1.0)
    assert Review.objects.filter(answer=again).exists() is passed


def test_the_draw_is_by_hash_and_takes_the_share_that_the_rate_says():
    def piece(at: int, revision: int = 1):
        slot = SimpleNamespace(code=UUID(int=at))
        annotation = SimpleNamespace(slot=slot, revision=revision)
        return SimpleNamespace(annotation=annotation, question=SimpleNamespace(key="answer"))

    for rate in (0.1, 0.5):
        assert abs(sum(reviews.drawn(piece(at), rate) for at in range(4000)) / 4000 - rate) < 0.03
    assert all(reviews.drawn(piece(at), 1.0) for at in range(100))
    drawn = [reviews.drawn(piece(at), 0.5) for at in range(100)]
    assert drawn == [reviews.drawn(piece(at), 0.5) for at in range(100)]
    assert drawn != [reviews.drawn(piece(at, revision=2), 0.5) for at in range(100)]


# --- Deciding ---------------------------------------------------------------------------------------------------------


def test_a_piece_is_accepted_and_the_next_one_comes(kitchen):
    first, second = piece_of(kitchen), piece_of(kitchen, "ben")
    done = decide(kitchen, first, decision="accept")
    assert (done.status_code, done.url) == (302, page(kitchen, second))
    review = first.review
    assert (review.decision, review.reviewer, review.sampling_rate) == ("accept", kitchen.users["rita"], 1.0)
    assert decide(kitchen, second, decision="accept").url == reverse("reviews", args=["kitchen"])
    assert "Nothing waits" in kitchen.client("rita").get(reverse("reviews", args=["kitchen"])).text


def test_accepted_with_edits_keeps_both_texts_and_both_names(kitchen):
    piece = piece_of(kitchen)
    edited = TEXT.replace("first", "in a large pot")
    assert decide(kitchen, piece, decision="accept_with_edits", text=edited + "\r\nTaste it.").status_code == 302
    (row,) = reviews.accepted_work(kitchen.project)
    assert (row.final_text, row.value["text"]) == (edited + "\nTaste it.", TEXT)
    assert row.review.reviewer == kitchen.users["rita"]
    assert row.annotation.slot.holder == kitchen.annotator("ana")
    assert edited in kitchen.client("mina").get(page(kitchen, piece)).text


def test_sent_back_informs_the_writer_whose_next_text_is_read_again(kitchen):
    piece = piece_of(kitchen)
    slot = piece.annotation.slot
    assert decide(kitchen, piece, decision="send_back", reason="How much salt?").status_code == 302
    slot.refresh_from_db()
    assert slot.informed_at is not None
    assert list(reviews.sent_back_to(kitchen.project, kitchen.users["ana"])) == [piece]
    again = write(kitchen, slot, TEXT + " A spoon of it.")
    assert again.annotation.informed and not piece.annotation.informed
    assert not reviews.sent_back_to(kitchen.project, kitchen.users["ana"]).exists()
    shown = kitchen.client("rita").get(page(kitchen, again)).text
    assert "How much salt?" in shown and "What changed since it was sent back" in shown
    informed = slot.informed_at
    decide(kitchen, again, decision="send_back", reason="Of which?", text=again.value["text"])
    slot.refresh_from_db()
    assert slot.informed_at == informed  # the first time counts


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"decision": "send_back"}, "Say why it goes back"),
        ({"decision": "accept", "text": "Quite another text."}, "You have changed the text"),
        ({"decision": "accept_with_edits"}, "You have changed nothing"),
        ({"decision": "accept_with_edits", "text": "  "}, "Nothing is left of the text"),
        ({"decision": "accept_with_edits", "text": "a\x00b"}, "Null characters"),
        ({"decision": "not_drawn"}, "Select a valid choice"),
        ({}, "Choose one of the buttons"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_typed_is_lost(kitchen, form, said):
    piece = piece_of(kitchen)
    response = decide(kitchen, piece, **{"reason": "", **form})
    assert response.status_code == 422 and said in response.text
    assert response.context["form"]["text"].value() == form.get("text", TEXT)
    assert not Review.objects.exists()


def test_two_reviewers_at_once_and_the_second_keeps_what_he_typed(kitchen):
    piece = piece_of(kitchen)
    decide(kitchen, piece, decision="accept")
    late = decide(kitchen, piece, "mina", decision="accept_with_edits", text="My careful edits.", reason="Mine.")
    assert late.status_code == 422
    assert "Somebody else has decided on this piece meanwhile: accepted" in late.text
    assert "My careful edits." in late.text and "Mine." in late.text and 'value="send_back"' not in late.text
    assert Review.objects.get().decision == Decision.ACCEPT


def test_a_piece_that_was_changed_meanwhile_is_not_decided_on(kitchen):
    piece = piece_of(kitchen)
    new = write(kitchen, piece.annotation.slot, "A better text.")
    late = decide(kitchen, piece, decision="accept_with_edits", text="My careful edits.")
    assert late.status_code == 422
    assert "The writer has changed this piece" in late.text and "My careful edits." in late.text
    assert page(kitchen, new) in late.text and not Review.objects.exists()
    assert list(reviews.waiting(kitchen.project, kitchen.users["rita"])) == [new]


def test_nobody_reviews_himself(kitchen):
    Membership.objects.create(user=kitchen.users["ana"], project=kitchen.project, role=Membership.Role.REVIEWER)
    own, other = piece_of(kitchen), piece_of(kitchen, "ben")
    assert kitchen.client("ana").get(page(kitchen, own)).status_code == 404
    assert decide(kitchen, own, "ana", decision="accept").status_code == 404
    with pytest.raises(Refused, match="your own"):
        reviews.decide(piece=own, actor=kitchen.users["ana"], decision=Decision.ACCEPT)
    assert decide(kitchen, other, "ana", decision="accept").status_code == 302


def test_an_auditor_looks_and_does_not_decide(kitchen):
    piece = piece_of(kitchen)
    shown = kitchen.client("otto").get(page(kitchen, piece))
    assert shown.status_code == 200 and TEXT in shown.text and "Your decision" not in shown.text
    assert kitchen.client("otto").get(reverse("reviews", args=["kitchen"])).status_code == 200
    assert decide(kitchen, piece, "otto", decision="accept").status_code == 403
    assert decide(kitchen, piece, "ben", decision="accept").status_code == 403
    assert Client().get(page(kitchen, piece)).status_code == 302


def test_only_written_work_is_a_piece(kitchen):
    ranking = Question.objects.create(project=kitchen.project, key="r", kind="ranking", text="Rank.")
    kitchen.tasks()
    slot = kitchen.claim("ana")
    annotation = ledger.submit(slot=slot, answers=[Given(ranking, value="ranked")], idempotency_key=uuid4())
    for number in (annotation.answers.get().pk, 2**63 - 1, 10**30):
        address = f"/projects/kitchen/reviews/{number}/"
        assert kitchen.client("rita").get(address).status_code == 404, number


# --- What is shown ----------------------------------------------------------------------------------------------------


def test_a_reviewer_sees_how_a_text_came_about(kitchen):
    outputs = [
        NewCompletion("a", "Add salt to cold water."),
        NewCompletion("b", "Boil the water first, then add salt."),
    ]
    conversation = [{"role": "user", "content": "How do I cook pasta <b>well</b>?"}]
    (task,) = add_tasks(project=kitchen.project, tasks=[NewTask("pasta", conversation, outputs)])
    begun = task.completions.get(name="b")
    typing = {"seconds": 90, "typed": 30, "pasted": 10}
    piece = write(kitchen, kitchen.claim("ana"), begun=begun.pk, typing=typing)
    shown = kitchen.client("rita").get(page(kitchen, piece))
    letter = [one.pk for one in piece.annotation.slot.display_order()].index(begun.pk)
    assert shown.context["begun"] == shown.context["alike_letter"] == "AB"[letter]
    assert shown.context["alike"].percent >= 90
    assert shown.context["pasted"] == 25 and "25 % (10 characters pasted, 30 typed)" in shown.text
    assert "90 s" in shown.text and "<b>well</b>" not in shown.text
    assert "What changed from output" in shown.text


def test_what_is_not_known_is_said_to_be_unknown(kitchen):
    add_tasks(project=kitchen.project, tasks=[NewTask("bare", [{"role": "user", "content": "Write."}], [])])
    shown = kitchen.client("rita").get(page(kitchen, write(kitchen, kitchen.claim("ana"))))
    assert shown.context["alike"] is None and shown.context["pasted"] is None
    assert shown.text.count("not known") == 2 and "there are no outputs" in shown.text


@pytest.mark.parametrize(
    ("typing", "share"),
    [(None, None), ({}, None), ({"typed": 0, "pasted": 0}, None), ({"pasted": 5}, 100), ({"typed": 3}, 0)],
)
def test_the_share_that_was_pasted(typing, share):
    assert reviews.pasted_share(typing) == share


def test_likeness_is_of_the_most_alike_and_empty_outputs_are_passed_over(kitchen):
    names = [NewCompletion("empty", ""), NewCompletion("same", TEXT), NewCompletion("other", "Zzz")]
    (task,) = add_tasks(project=kitchen.project, tasks=[NewTask("t", [{"role": "user", "content": "?"}], names)])
    found = reviews.likeness(TEXT, list(task.completions.all()))
    assert (found.percent, found.completion.name) == (100, "same")
    assert reviews.likeness(TEXT, [task.completions.get(name="empty")]) is None


def test_the_list_does_not_show_what_may_distress_before_it_is_opened(kitchen):
    conversation = [{"role": "user", "content": "?"}]
    add_tasks(project=kitchen.project, tasks=[NewTask("grim", conversation, [], categories=("violence",))])
    kitchen.users["ana"].annotator.harm_categories = ["violence"]
    kitchen.users["ana"].annotator.save()
    piece = write(kitchen, kitchen.claim("ana"), "A grim text.")
    shown = kitchen.client("rita").get(reverse("reviews", args=["kitchen"])).text
    assert "violence" in shown and "grim text" not in shown
    assert "grim text" in kitchen.client("rita").get(page(kitchen, piece)).text


def test_statements_of_the_queue_and_of_a_piece_do_not_grow(kitchen, django_assert_max_num_queries):
    kitchen.tasks(12, outputs=2)
    for _ in range(12):
        last = write(kitchen, kitchen.claim("ana"))
    client = kitchen.client("rita")
    with django_assert_max_num_queries(10):
        assert client.get(reverse("reviews", args=["kitchen"])).text.count("/reviews/") > 12
    for _ in range(3):
        last = write(kitchen, last.annotation.slot, "Changed.")
    with django_assert_max_num_queries(14):
        assert client.get(page(kitchen, last)).status_code == 200


# --- What may be exported ---------------------------------------------------------------------------------------------


def test_accepted_work_is_what_was_accepted_stands_and_counts(kitchen):
    project, rita = kitchen.project, kitchen.users["rita"]
    kitchen.tasks(5)
    as_it_is, edited, back, unread, changed = (write(kitchen, kitchen.claim("ana"), f"{TEXT} {at}") for at in range(5))
    reviews.decide(piece=as_it_is, actor=rita, decision=Decision.ACCEPT)
    reviews.decide(piece=edited, actor=rita, decision=Decision.ACCEPT_WITH_EDITS, text="Edited.")
    reviews.decide(piece=back, actor=rita, decision=Decision.SEND_BACK, reason="No.")
    reviews.decide(piece=changed, actor=rita, decision=Decision.ACCEPT)
    new = write(kitchen, changed.annotation.slot, "Changed after it was accepted.")
    texts = {row.pk: row.final_text for row in reviews.accepted_work(project)}
    assert texts == {as_it_is.pk: f"{TEXT} 0", edited.pk: "Edited."}
    Review.objects.create(answer=unread, decision=Decision.NOT_DRAWN, sampling_rate=0.1)
    reviews.decide(piece=new, actor=rita, decision=Decision.ACCEPT)
    assert {row.final_text for row in reviews.accepted_work(project)} == {
        f"{TEXT} 0", "Edited.", f"{TEXT} 3", "Changed after it was accepted.",
    }  # fmt: skip
    Slot.objects.filter(pk=as_it_is.annotation.slot_id).update(status=Slot.Status.EXTRA)
    assert as_it_is not in reviews.accepted_work(project)


def test_written_work_of_a_task_that_is_no_work_is_not_exported(kitchen):
    conversation = [{"role": "user", "content": "?"}]
    add_tasks(project=kitchen.project, tasks=[NewTask("c", conversation, [], purpose="calibration")])
    piece = write(kitchen, kitchen.claim("ana"))
    reviews.decide(piece=piece, actor=kitchen.users["rita"], decision=Decision.ACCEPT)
    assert piece.annotation.slot.place is None and not reviews.accepted_work(kitchen.project).exists()


def test_the_figures_count_what_stands(kitchen):
    kitchen.tasks(3)
    accepted, back, _ = pieces = [write(kitchen, kitchen.claim("ana")) for _ in range(3)]
    reviews.decide(piece=accepted, actor=kitchen.users["rita"], decision=Decision.ACCEPT)
    reviews.decide(piece=back, actor=kitchen.users["rita"], decision=Decision.SEND_BACK, reason="No.")
    shown = kitchen.client("rita").get(reverse("reviews", args=["kitchen"]))
    assert shown.context["decided"] == {"accept": 1, "send_back": 1} and shown.context["page"].paginator.count == 1
    write(kitchen, pieces[1].annotation.slot, "Changed.")
    cache.clear()
    shown = kitchen.client("rita").get(reverse("reviews", args=["kitchen"]))
    assert shown.context["decided"] == {"accept": 1} and shown.context["page"].paginator.count == 2
