"""Comments of reviewers on answers, with the passage of the guideline they rest on."""

from uuid import uuid4

import pytest
from django.urls import reverse

from annotate.errors import Refused
from annotate.models import Annotation, Feedback, Question, Slot
from annotate.questions import Given
from annotate.services import feedback as work
from annotate.services import ledger
from annotate.services.enrolments import enrol
from annotate.services.projects import publish_guideline

pytestmark = pytest.mark.django_db

MINE = "/projects/kitchen/mine/"


def answered(world, name: str = "ana", *tiers: int) -> Annotation:
    world.tasks(1)
    return world.answer(world.claim(name), *(tiers or (1, 2, 3)))


def comment(world, annotation: Annotation, text: str = "Look at the date.", **said) -> Feedback:
    return work.comment(annotation=annotation, author=world.users["rita"], text=text, **said)


def address(annotation: Annotation) -> str:
    return reverse("comment", args=["kitchen", annotation.pk])


def test_a_comment_reaches_whoever_answered_with_its_passage_until_it_is_marked_as_read(world):
    annotation = answered(world)
    form = {"text": "<b>Why</b> so?", "passage": "Put the true one first.", "version": "1"}
    response = world.client("rita").post(address(annotation), form)
    assert response.url == reverse("annotator", args=["kitchen", world.annotator("ana").pseudonym])
    made = Feedback.objects.get()
    assert (made.author, made.guideline.version, made.passage) == (world.users["rita"], 1, "Put the true one first.")
    text = world.client("ana").get(MINE).text
    assert "&lt;b&gt;Why&lt;/b&gt; so?" in text and "Put the true one first." in text and "There is 1 comment" in text
    assert "A reviewer commented on 1 answer of yours." in world.client("ana").get("/projects/kitchen/").text
    desk = world.client("ana").get(reverse("work", args=["kitchen", annotation.slot.code])).text
    assert "A reviewer commented on your answer" in desk and "&lt;b&gt;Why&lt;/b&gt; so?" in desk
    assert "Why" not in world.client("ben").get(MINE).text
    seen = reverse("feedback_seen", args=["kitchen", made.pk])
    for name in ("otto", "ben", "rita"):
        assert world.client(name).post(seen).status_code == 404, name
    assert world.client("ana").get(seen).status_code == 405
    assert world.client("ana").post(seen).url == MINE
    text = world.client("ana").get(MINE).text
    assert "There is 1 comment" not in text and "so?" in text


def test_what_is_changed_after_a_comment_is_informed(world):
    annotation = answered(world)
    slot = annotation.slot
    comment(world, annotation)
    again = world.answer(Slot.objects.get(pk=slot.pk), 3, 2, 1)
    assert (annotation.informed, again.informed) == (False, True)
    first = Slot.objects.get(pk=slot.pk).informed_at
    comment(world, again)
    assert Slot.objects.get(pk=slot.pk).informed_at == first


@pytest.mark.parametrize(
    ("passage", "found"),
    [
        ("Put the **true** one first.", True),  # as it was written
        ("the true   one\nfirst", True),  # as it is read, and copied
        ("Put the false one first.", False),
        ("put the true one first", False),
        ("真实的", True),  # in the other language
    ],
)
def test_a_passage_has_to_stand_in_the_guideline(world, passage, found):
    guideline = publish_guideline(
        project=world.project,
        text="Put the **true** one first.",
        translations={"zh-hans": {"text": "真实的放在前面。"}},
    )
    annotation = answered(world)
    assert work.occurs(guideline, passage) == found
    response = world.client("rita").post(
        address(annotation), {"text": "So.", "passage": passage, "version": guideline.version}
    )
    assert response.status_code == (302 if found else 422)
    if not found:
        assert "The guideline has no such passage." in response.text and not Feedback.objects.exists()


def test_the_passage_is_of_the_version_that_the_page_showed(world):
    annotation = answered(world)
    publish_guideline(project=world.project, text="Put the short one first.")
    form = {"text": "So.", "passage": "Put the true one first.", "version": "1"}
    assert world.client("rita").post(address(annotation), form).status_code == 302
    assert Feedback.objects.get().guideline.version == 1


def test_it_is_for_reviewers_and_never_on_ones_own_answer(world):
    annotation = answered(world)
    for name, status in {"otto": 404, "ana": 403, "ben": 403, "rita": 200, "mina": 200, "ada": 200}.items():
        assert world.client(name).get(address(annotation)).status_code == status, name
    enrol(project=world.project, user=world.users["rita"])
    own = world.answer(world.claim("rita"), 1, 2, 3)
    assert world.client("rita").get(address(own)).status_code == 404
    with pytest.raises(Refused, match="your own answer"):
        comment(world, own)


def test_a_reviewer_who_has_the_task_himself_does_not_see_what_another_said(world):
    annotation = answered(world)
    enrol(project=world.project, user=world.users["rita"])
    slot = world.claim("rita")
    assert slot.task_id == annotation.slot.task_id
    assert world.client("rita").get(address(annotation)).status_code == 403
    assert world.client("rita").post(address(annotation), {"text": "So."}).status_code == 403


def test_an_answer_that_was_changed_meanwhile_is_not_commented_on(world):
    annotation = answered(world)
    world.answer(Slot.objects.get(pk=annotation.slot_id), 3, 2, 1)
    response = world.client("rita").post(address(annotation), {"text": "Not so."})
    assert response.status_code == 422 and "has been changed since you opened it" in response.text
    assert "Not so." in response.text
    assert world.client("rita").post(address(annotation), {"text": ""}).status_code == 422


def test_the_answer_stands_in_words_by_the_letters_that_its_author_saw(world):
    project = world.project
    options = [{"value": "no", "label": "No harm"}]
    harm = Question.objects.create(
        project=project, key="harm", kind="choice", scope="completion", settings={"options": options}, text="Harm?"
    )
    why = Question.objects.create(project=project, key="why", kind="text", text="Why?")
    world.tasks(1)
    slot = world.claim("ana")
    shown = slot.display_order()
    said = [
        world.ranking(slot, 1, 2, 2),
        Given(harm, value="no", completion=shown[1].pk),
        Given(why, value="<i>so</i>"),
    ]
    annotation = ledger.submit(slot=slot, answers=said, idempotency_key=uuid4())
    page = world.client("rita").get(address(annotation))
    letters = {one.name: letter for one, letter in zip(shown, "ABC", strict=True)}
    tied = " = ".join(sorted((letters["o2"], letters["o3"])))
    assert dict(page.context["answers"]) == {
        project.preference_question.text: f"{letters['o1']} > {tied}",
        "Harm?": "B: No harm",
        "Why?": "<i>so</i>",
    }
    assert "&lt;i&gt;so&lt;/i&gt;" in page.text
