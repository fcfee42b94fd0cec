"""Accepted written work on its way out: only what was accepted, as it was edited, writer and editor named."""

from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from annotate.models import Annotator, Membership, Question, Review
from annotate.questions import Given
from annotate.services import ledger, reviews
from curation.models import Dataset
from curation.services import revoking
from curation.services.datasets import rows_numbered
from tests import library

pytestmark = pytest.mark.django_db


@pytest.fixture
def writing(world):
    world.project.questions.all().delete()
    Question.objects.create(
        project=world.project, key="ideal", kind="demonstration", text="Write.", settings={"mode": "write"}
    )
    world.tasks(4, outputs=0)
    return world


def write(world, name, text):
    slot = world.claim(name)
    given = Given(world.project.questions.get(), value={"text": text, "from": None})
    return ledger.submit(slot=slot, answers=[given], idempotency_key=uuid4()).answers.get()


def rows():
    dataset = Dataset.objects.latest("created_at")
    return [row for _at, row in sorted(rows_numbered(dataset, range(1, dataset.rows + 1)).items())]


def test_only_accepted_work_becomes_rows_with_both_names(writing):
    reviewer = Annotator.objects.create(user=writing.users["rita"], kind="person")
    accepted, edited, returned, waiting = (write(writing, name, f"By {name}.") for name in ("ana", "ben", "ana", "ben"))
    rita = writing.users["rita"]
    reviews.decide(piece=accepted, actor=rita, decision=Review.Decision.ACCEPT)
    reviews.decide(piece=edited, actor=rita, decision=Review.Decision.ACCEPT_WITH_EDITS, text="Better.")
    reviews.decide(piece=returned, actor=rita, decision=Review.Decision.SEND_BACK, reason="Too short.")
    call_command("written_work", "kitchen", licence="CC0-1.0", language="en")
    found = rows()
    assert [(row["answer"], row["review"], row["editor"]) for row in found] == [
        ("By ana.", "accept", ""),
        ("Better.", "accept_with_edits", reviewer.pseudonym),
    ]
    assert {row["writer"] for row in found} == {writing.annotator(name).pseudonym for name in ("ana", "ben")}
    assert not {"ana", "ben", "rita"} & {str(value) for row in found for value in row.values()}
    assert waiting.pk not in {row["id"] for row in found}


def test_the_same_work_again_is_the_same_dataset_and_more_of_it_the_next_version(writing):
    rita = writing.users["rita"]
    reviews.decide(piece=write(writing, "ana", "One."), actor=rita, decision=Review.Decision.ACCEPT)
    for _ in range(2):
        call_command("written_work", "kitchen", licence="CC0-1.0", language="en")
    assert Dataset.objects.count() == 1
    reviews.decide(piece=write(writing, "ben", "Two."), actor=rita, decision=Review.Decision.ACCEPT)
    call_command("written_work", "kitchen", licence="CC0-1.0", language="en")
    assert sorted(Dataset.objects.values_list("name", "version")) == [("kitchen-written", 1), ("kitchen-written", 2)]


def test_nothing_accepted_is_said(writing):
    write(writing, "ana", "One.")
    with pytest.raises(CommandError, match="No written work of this project is accepted yet"):
        call_command("written_work", "kitchen", licence="CC0-1.0", language="en")
    assert Membership.objects.exists() and not Dataset.objects.exists()


def test_erasing_a_writer_revokes_the_instructions_made_of_the_work(writing):
    rita, ana = writing.users["rita"], writing.annotator("ana")
    reviews.decide(piece=write(writing, "ana", "One."), actor=rita, decision=Review.Decision.ACCEPT)
    call_command("written_work", "kitchen", licence="CC0-1.0", language="en")
    dataset = Dataset.objects.get()
    instances = library.instances(dataset, library.template(dataset, "{{ prompt }} ||| {{ answer }}"))
    made = library.sft_export(instances)
    revoking.erase_person(annotator=ana, actor=writing.users["ada"], because="Asked to be.")
    made.refresh_from_db()
    assert made.revoked
    again = library.sft_export(instances)
    again.job.refresh_from_db()
    assert not again.built and "erased" in again.job.error
