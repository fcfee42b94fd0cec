"""Building preference exports.

Two steps. First the judgements that are in are chosen, by one statement and so of one moment, and written down as the
selection. Then everything else is made from the selection and from rows that never change. A build that is killed
after the first step goes on from the same selection, so it gives the same bytes.
"""

import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from annotate import measures
from annotate.models import Annotation, Annotator, Answer, Completion, Question, Slot
from annotate.services.agreement import all_measures
from annotate.services.preferences import tiers_of
from curation import folder as folders
from curation.cards import preference_card
from curation.models import Export
from curation.pairs import Judgement, is_held_out, prompt_pairs
from curation.services import blobs
from jobs.models import Job, JobError

BATCH = 2000  # judgements read at once
COUNTED = ("judgements", "comparisons", "ties", "rows", "prompts", "prompts_in_both_splits", "empty_outputs")

SCHEMA = pa.schema(
    [
        ("prompt", folders.TURNS),
        ("chosen", folders.TURNS),
        ("rejected", folders.TURNS),
        ("weight", pa.float64()),
        ("rank_gap", pa.int32()),
        ("prompt_id", pa.string()),
        ("pair_id", pa.string()),
        ("question", pa.string()),
        ("task", pa.string()),
        ("annotation", pa.int64()),
        ("annotator", pa.string()),
        ("split_group", pa.string()),
    ]
)
RULE = gettext_noop(
    "In: the valid ranking of everybody who fills a place of a task. Out: answers outside the count (extra), "
    "skipped and unanswered tasks. Unit: one person's judgement of a pair, so A over B and B over A may both be there. "
    "A tie gives no row, nor does a pair with an empty output: trainers stumble over them."
)


def build(export: Export, folder: Path, job: Job) -> dict[str, Any]:
    """Write the files of a preference export and return its manifest. Raises JobError where there is nothing to export."""
    question = export.project.preference_question if export.project else None
    if question is None:
        raise JobError(_("The project asks for no preference: it has neither a ranking nor a pairwise question."))
    if export.selection is None:
        _select(export, question, folder)
    return _Builder(export, question, folder, job).build()


def _select(export: Export, question: Question, folder: Path) -> None:
    """Write down which judgements are in. One statement reads them, so they are of one moment."""
    preferred = Answer.objects.filter(annotation=OuterRef("current_annotation"), question__key=question.key)
    chosen = (
        Slot.objects.counting()
        .filter(Exists(preferred), project=export.project)
        .order_by("task__prompt_sha256", "task_id", "current_annotation_id")
        .values_list("current_annotation_id", flat=True)
        .iterator(chunk_size=10_000)
    )
    path = folder / "chosen.parquet"
    folders.write_selection(path, _lists(chosen, 10_000))
    # Only the first selection stands, also when an attempt that was taken for dead comes back late.
    Export.objects.filter(pk=export.pk, selection=None).update(selection=blobs.keep(path))
    export.refresh_from_db(fields=["selection"])


def _lists(items: Iterator[int], size: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


class _Builder:
    """The second step: rows, then the manifest over them."""

    def __init__(self, export: Export, question: Question, folder: Path, job: Job) -> None:
        assert export.selection is not None
        self.export, self.selection, self.folder, self.job = export, export.selection, folder, job
        self.splits: list[folders.SplitWriter] = []
        self.counts = dict.fromkeys(COUNTED, 0)
        self.kinds: dict[str, set[str]] = {}
        self.guidelines: set[int] = set()
        self.units: list[tuple[int, int, int]] = []
        self.unit_prompts: list[int] = []
        assert export.project is not None  # a constraint says so of every export of preferences
        self.project, self.question = export.project, question
        # Of the last judgement that is in: unlike the time of building, the same each time.
        self.as_of = datetime.min.replace(tzinfo=UTC)

    def build(self) -> dict[str, Any]:
        selection = Path(shutil.copyfile(blobs.file_of(self.selection), self.folder / "selection.parquet"))
        judged = (one for ids in folders.read_selection(selection, BATCH) for one in _load(ids, self.question))
        tracked = self.job.track(judged, total=folders.selected(selection), every=BATCH)
        with folders.split_writers(self.folder, "preference", SCHEMA) as self.splits:
            # The selection is sorted by prompt, so a prompt never comes back.
            for prompt_id, group in groupby(tracked, key=lambda one: one.prompt_id):
                self._write_prompt(prompt_id, list(group))
        if not self.counts["rows"]:
            raise JobError(
                _("There is no preference to export yet: nobody has ranked one output of this project above another.")
            )
        manifest = self._manifest()
        card = preference_card(manifest, f"{self.project.name}: preferences")
        manifest["files"] = folders.written(self.folder, card, self.splits, selection)
        return manifest

    def _write_prompt(self, prompt_id: str, judged: list["_Judged"]) -> None:
        found = prompt_pairs(prompt_id, [one.judgement for one in judged])
        self.counts["judgements"] += len(judged)
        self.counts["comparisons"] += found.compared
        self.counts["ties"] += found.ties
        self.counts["prompts"] += 1
        for one in judged:
            self.as_of = max(self.as_of, one.created_at)
            self.kinds.setdefault(one.kind, set()).add(one.annotator)
            if one.guideline:
                self.guidelines.add(one.guideline)
        self.units += found.counts
        self.unit_prompts += [self.counts["prompts"]] * len(found.counts)
        share = float(self.export.test_share)
        sides = {is_held_out(one.split_group, self.export.salt, share) for one in judged}
        if len(sides) > 1:  # the same prompt in groups on both sides would leak from one into the other
            self.counts["prompts_in_both_splits"] += 1
            return
        writer = self.splits[sides.pop()]
        rows = 0
        by_annotation = {one.judgement.annotation: one for one in judged}
        for pair in found.pairs:
            one = by_annotation[pair.judgement.annotation]
            if not (one.texts[pair.chosen].strip() and one.texts[pair.rejected].strip()):
                self.counts["empty_outputs"] += 1
                continue
            writer.write(
                {
                    "prompt": one.conversation,
                    "chosen": [{"role": "assistant", "content": one.texts[pair.chosen]}],
                    "rejected": [{"role": "assistant", "content": one.texts[pair.rejected]}],
                    "weight": pair.weight,
                    "rank_gap": pair.rank_gap,
                    "prompt_id": prompt_id,
                    "pair_id": pair.pair_id,
                    "question": self.question.key,
                    "task": one.task_name,
                    "annotation": one.judgement.annotation,
                    "annotator": one.annotator,
                    "split_group": one.split_group,
                }
            )
            writer.split_groups.add(one.split_group)
            rows += 1
        writer.prompts += bool(rows)
        self.counts["rows"] += rows

    def _manifest(self) -> dict[str, Any]:
        export, project = self.export, self.project
        units = np.array(self.units, dtype=np.int64).reshape(-1, 3)
        figures = all_measures(units, np.array(self.unit_prompts, dtype=np.int64))
        return {
            "format": "plumbline-export",
            "format_version": 1,
            "kind": export.kind,
            "unit": "judgement",
            "parameters": {"test_share": float(export.test_share), "salt": export.salt, "ties": "drop"},
            "as_of": self.as_of.isoformat(),
            "project": {"slug": project.slug, "name": project.name},
            "question": {"key": self.question.key, "version": self.question.version, "text": self.question.text},
            "guideline_versions": sorted(self.guidelines),
            "splits": {writer.split: writer.summary() for writer in self.splits},
            "counts": self.counts | {f"annotators_{kind}": len(names) for kind, names in self.kinds.items()},
            "rule": RULE,
            "agreement": [figure.as_dict() for figure in figures],
            "agreement_code": measures.CODE_VERSION,
            "rows_sha256": folders.rows_sha256(self.splits),
            "row_schema": {column.name: str(column.type) for column in SCHEMA},
        }


class _Judged:
    """A judgement with all that its rows say."""

    def __init__(self, row: Mapping[str, Any], tiers: dict[str, int | None], texts: dict[str, str]) -> None:
        self.judgement = Judgement(row["pk"], row["slot__task_id"], row["slot__holder__kind"] in Annotator.HUMAN, tiers)
        self.texts = texts
        self.conversation: list[dict[str, str]] = row["slot__task__conversation"]
        self.task_name: str = row["slot__task__name"]
        self.split_group: str = row["slot__task__split_group"]
        self.annotator: str = row["slot__holder__pseudonym"]
        self.kind: str = row["slot__holder__kind"]
        self.guideline: int | None = row["guideline__version"]
        self.prompt_id: str = row["slot__task__prompt_sha256"]
        self.created_at: datetime = row["created_at"]


def _load(ids: list[int], question: Question) -> list[_Judged]:
    """The judgements of these annotations in this order, by four statements."""
    rows = {
        row["pk"]: row
        for row in Annotation.objects.filter(pk__in=ids).values(
            "pk",
            "created_at",
            "guideline__version",
            "slot__task_id",
            "slot__task__name",
            "slot__task__conversation",
            "slot__task__split_group",
            "slot__task__prompt_sha256",
            "slot__holder__pseudonym",
            "slot__holder__kind",
        )
    }
    outputs: dict[int, dict[str, str]] = {}
    sha256_of: dict[int, str] = {}
    tasks = {row["slot__task_id"] for row in rows.values()}
    completions = Completion.objects.filter(task__in=tasks).values_list("pk", "task_id", "sha256", "text")
    for pk, task, sha256, text in completions:
        outputs.setdefault(task, {})[sha256] = text
        sha256_of[pk] = sha256
    tiers = {
        annotation: {sha256_of[completion]: tier for completion, tier in said.items()}
        for annotation, said in tiers_of(annotation__in=ids, question__key=question.key)
    }
    return [_Judged(rows[pk], tiers.get(pk, {}), outputs.get(rows[pk]["slot__task_id"], {})) for pk in ids]
