"""Written work that was accepted becomes a dataset: its rows go through templates to instances and exports like any other.

Only what `annotate.services.reviews.accepted_work` says is in. Writers, and reviewers whose edits are in the text, are named by
their pseudonyms. The same work gives the same file, and so the dataset that is there already.
"""

import tempfile
from collections.abc import Iterator
from typing import Any

import orjson
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from annotate.models import Annotator, Project, Review
from annotate.services.reviews import accepted_work
from curation.models import Dataset
from curation.reading import PLAIN
from curation.services import blobs
from curation.services.datasets import request_import
from curation.tables import opened

WORK = {"writer", "editor", "review", "annotation"}
"""Columns by which such a dataset is known."""


def request_dataset(*, project: Project, licence: str, language: str, actor, send: bool = True) -> Dataset:
    """Start the import of the project's accepted written work, named after it: `helpful-written`.

    Raises ValidationError where nothing is accepted yet, and `datasets.Known` where nothing has changed since the last.
    """
    with tempfile.TemporaryFile() as file:
        rows = 0
        for row in _rows(project):
            file.write(orjson.dumps(row) + b"\n")
            rows += 1
        if not rows:
            raise ValidationError(_("No written work of this project is accepted yet. A reviewer accepts it."))
        file.seek(0)
        return request_import(
            stream=file,
            file_name=f"{project.slug}-written.jsonl",
            name=f"{project.slug[:70]}-written",
            licence=licence,
            language=language,
            source=_("Written and reviewed in the project “%(name)s”") % {"name": project.name},
            id_column="id",
            group_column="group",
            shape=PLAIN,  # its columns are ours
            actor=actor,
            send=send,
        )


def _rows(project: Project) -> Iterator[dict[str, Any]]:
    edits = Annotator.objects.filter(user__isnull=False).values_list("user", "pseudonym")
    pseudonyms = dict(
        edits.filter(user__in=Review.objects.filter(answer__question__project=project).values("reviewer"))
    )
    for piece in accepted_work(project).iterator(chunk_size=1000):
        task, review = piece.annotation.slot.task, piece.review
        writer = piece.annotation.slot.holder
        assert writer is not None  # an answer has a slot that somebody holds
        edited = review.decision == Review.Decision.ACCEPT_WITH_EDITS
        yield {
            "id": piece.pk,
            "prompt": task.conversation[-1]["content"],
            "conversation": task.conversation,
            "answer": getattr(piece, "final_text"),  # noqa: B009 - an annotation of the query
            "task": task.name,
            "question": piece.question.key,
            "writer": writer.pseudonym,
            "editor": pseudonyms.get(review.reviewer_id or 0, "") if edited else "",
            "review": review.decision,
            "annotation": piece.annotation_id,
            "group": task.split_group,
        }


def writers_in(dataset: Dataset) -> set[str]:
    """The pseudonyms of those who wrote or edited the rows of a dataset that was made here; else nobody."""
    names = {column["name"] for column in dataset.columns}
    if dataset.table is None or not names >= WORK:
        return set()
    found: set[str] = set()
    with opened(blobs.file_of(dataset.table)) as table:
        for batch in table.iter_batches(columns=["writer", "editor"], use_threads=False):
            found.update(*(column.unique().to_pylist() for column in batch.columns))
    return found - {"", None}
