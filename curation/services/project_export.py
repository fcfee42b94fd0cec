"""Building exports of what people judged in a project.

Two steps. First what is in is chosen in one snapshot and written down (`selecting`). Then everything else is made from the
selection and from rows that never change: prompt by prompt, the kind makes rows, each is checked, and the shape writes it. A
build that is killed after the first step goes on from the same selection, so it gives the same bytes.
"""

import shutil
from array import array
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from annotate import measures
from annotate.models import Annotator
from annotate.services.agreement import all_measures
from curation import folder as folders
from curation.exporting.deriving import agreement_units
from curation.exporting.filters import GOLD, filters_of
from curation.exporting.kinds import KINDS
from curation.exporting.records import Item, Options, Prompt
from curation.exporting.splits import is_held_out, is_person_held_out
from curation.models import Dataset, Export
from curation.services import blobs
from curation.services.changes import Changes
from curation.services.lineage import INSTANCE
from curation.services.loading import count, prompts
from curation.services.selecting import PREFERENCES, asked_by, guidelines_of, preference_key, select
from curation.services.sft_export import dataset_as_dict
from curation.services.written import writers_in
from jobs.models import Job, JobError

RULES = {
    Export.Unit.JUDGEMENT: gettext_noop(
        "In: the valid judgement of everybody who fills a place of a task. Out: answers outside the count (extra), held "
        "ones, skipped and unanswered tasks, withdrawn tasks, gold. Unit: one person's judgement, so A over B and B over A "
        "may both be there."
    ),
    Export.Unit.CONSENSUS: gettext_noop(
        "In: what the judgements of each task come to, or what a reviewer decided. Late answers are heard. Out: tasks that are "
        "tied or genuinely ambiguous, held answers, withdrawn tasks, gold. Unit: the task."
    ),
}
RULE_GOLD = gettext_noop("In: the answers that at least two researchers agree on. All of it is test.")


def build(export: Export, folder: Path, job: Job) -> dict[str, Any]:
    """Write the files of an export and return its manifest. Raises JobError where there is nothing to export."""
    if not asked_by(export).exists():
        raise JobError(nothing_asked(export))
    if export.selection is None:
        select(export, folder)
    return _Builder(export, folder, job).build()


def nothing_asked(export: Export) -> str:
    if export.kind in PREFERENCES:
        return _("The project asks for no preference: it has neither a ranking nor a pairwise question.")
    return _("The project asks no question that this kind of export is made of.")


def items_of(prompt: Prompt) -> list[Item]:
    """The tasks that something in the prompt is of, one for each judgement or consensus."""
    judged = [one.item for one in prompt.judgements]
    return judged + [one.item for one in prompt.settled] + [one.item for one in prompt.answers]


EVERY = 500  # prompts between two reports of progress


class _Builder:
    """The second step: rows, then the manifest over them."""

    def __init__(self, export: Export, folder: Path, job: Job) -> None:
        self.export, self.folder, self.job = export, folder, job
        self.filters = filters_of(export.filters)
        self.options = options_of(export)
        self.kind = KINDS[export.kind]
        self.schema = self.kind.schema(self.options)
        self.counts = Counter(prompts=0, prompts_in_both_splits=0)
        self.people: dict[str, Counter[str]] = defaultdict(Counter)
        self.reliability: dict[str, float] = {}
        self.guidelines: set[int] = set()
        self.languages: set[str] = set()
        self.datasets: set[tuple[str, int]] = set()  # of which tasks were made
        # Split groups of each side, by 8 bytes of their hashes: a set of a million would not fit.
        self.groups = (array("Q"), array("Q"))
        self.units, self.unit_prompts = array("q"), array("q")
        # Of the last judgement that is in: unlike the time of building, the same each time.
        self.as_of = datetime.min.replace(tzinfo=UTC)

    def build(self) -> dict[str, Any]:
        names = ["selection", "settled"] if self.export.settled else ["selection"]
        files = [self._copied(name) for name in names]
        settled = files[1] if self.export.settled else None
        changes = Changes(self.export, self.folder) if self.export.since else None
        with folders.export_writers(self.folder, self.export, self.schema, changes) as self.writers:
            # The files are sorted by prompt, so a prompt never comes back.
            done, total = 0, max(count(path) for path in files)
            for number, prompt in enumerate(prompts(self.export, files[0], settled), 1):
                self._write(prompt)
                done += max(len(prompt.judgements), len(prompt.settled) + len(prompt.answers))
                if number % EVERY == 0:
                    self.job.advance(done, total, _("writing the rows"))
            self.job.advance(done, total, _("writing the rows"))
        for writer, groups in zip(self.writers.splits, self.groups, strict=True):
            writer.groups = len(np.unique(np.frombuffer(groups, dtype=np.uint64)))
        if not any(writer.rows for writer in self.writers.splits) and changes is None:
            raise JobError(self._nothing())
        if changes:
            changes.write_tombstones()
            self.counts["unchanged"], self.counts["tombstones"] = changes.unchanged, changes.gone
            files.append(changes.path)
        assert self.export.about is not None
        name = f"{self.export.about['project']['name']}: {self.export.get_kind_display()}"
        return folders.finished(self.folder, self._manifest(), self.writers, name, *files)

    def _copied(self, name: str) -> Path:
        return Path(shutil.copyfile(blobs.file_of(getattr(self.export, name)), self.folder / f"{name}.parquet"))

    def _nothing(self) -> str:
        if self.writers.quarantined:
            return _("Each row would be refused by a trainer. The most frequent reason: %(reason)s") % {
                "reason": self.writers.most_frequent_reason()
            }
        judged_by = {kind for kinds in self.people.values() for kind in kinds}
        if self.export.unit == Export.Unit.CONSENSUS and judged_by.isdisjoint(Annotator.HUMAN):
            return _(
                "There is nothing to export yet: a consensus is made of what people judge, not models or simulations."
            )
        return _("There is nothing to export yet: nobody has judged what this kind is made of.")

    def _write(self, prompt: Prompt) -> None:
        self.counts["prompts"] += 1
        self._note(prompt)
        items = items_of(prompt)
        for item in items:
            self.languages.add(item.language)
            if said := INSTANCE.fullmatch(item.name):
                self.datasets.add((said["dataset"], int(said["version"])))
        share, salt = float(self.export.test_share), self.export.salt
        gold = self.filters.purpose == GOLD
        groups = {group for item in items for group in (item.split_group, *item.touches)}
        sides = {gold or is_held_out(group, salt, share) for group in groups}
        if len(sides) > 1:  # what is in train would be nearly what is asked in test
            self.counts["prompts_in_both_splits"] += 1
            return
        side = sides.pop()
        if not side and self.filters.people_held_out:
            prompt = self._without_test_people(prompt)
        writer = self.writers.splits[side]
        before = writer.seen
        for row in self.kind.rows(prompt, self.options, self.counts):
            self.writers.write(side, row)
        if writer.seen > before:
            writer.prompts += 1
            self.groups[side].extend({int(item.split_group[:16], 16) for item in items})

    def _without_test_people(self, prompt: Prompt) -> Prompt:
        share, salt = self.filters.people_held_out, self.export.salt
        mine = [one for one in prompt.judgements if not is_person_held_out(one.annotator, salt, share)]
        self.counts["judgements_of_people_held_out"] += len(prompt.judgements) - len(mine)
        return replace(prompt, judgements=mine)

    def _note(self, prompt: Prompt) -> None:
        for one in prompt.judgements:
            self.as_of = max(self.as_of, one.created_at)
            self.people[one.annotator][one.annotator_kind] += 1
            self.reliability[one.annotator] = one.reliability
            if one.guideline:
                self.guidelines.add(one.guideline)
        if self.export.kind in PREFERENCES:
            for unit in agreement_units(prompt):
                self.units.extend(unit)
                self.unit_prompts.append(self.counts["prompts"])

    def _manifest(self) -> dict[str, Any]:
        export = self.export
        assert export.about is not None
        units = np.frombuffer(self.units, dtype=np.int64).reshape(-1, 3)
        figures = all_measures(units, np.frombuffer(self.unit_prompts, dtype=np.int64)) if len(units) else []
        kinds = Counter(kind for counted in self.people.values() for kind in counted)
        return {
            "kind": export.kind,
            "unit": export.unit,
            "shape": export.shape,
            "parameters": {
                "test_share": float(export.test_share),
                "salt": export.salt,
                "ties": export.ties,
                "margin": export.margin,
                "reliability": export.reliability,
                "since": export.since.manifest_sha256 if export.since else None,
            },
            "selection": self.filters.as_dict(),
            "as_of": self.as_of.isoformat() if self.people else None,
            **export.about,
            "guideline_versions": sorted(self.guidelines),
            "guidelines": guidelines_of(self.guidelines, export),
            "languages": sorted(self.languages - {""}),
            **self._sources(),
            "counts": self.counts | {f"annotators_{kind}": n for kind, n in kinds.items()},
            "annotators": [
                {
                    "pseudonym": name,
                    "kind": next(iter(counted)),
                    "judgements": counted.total(),
                    "reliability": self.reliability[name],
                }
                for name, counted in sorted(self.people.items())
            ],
            "rule": RULE_GOLD if self.filters.purpose == GOLD else RULES[Export.Unit(export.unit)],
            "agreement": [figure.as_dict() for figure in figures],
            "agreement_code": measures.CODE_VERSION,
            "row_schema": {column.name: str(column.type) for column in self.schema},
        }

    def _sources(self) -> dict[str, Any]:
        """The datasets that tasks were made of, with their licences."""
        names = {name for name, _version in self.datasets}
        found = [
            one
            for one in Dataset.objects.filter(name__in=names).order_by("name", "version")
            if (one.name, one.version) in self.datasets
        ]
        return {
            "licences": sorted({one.licence for one in found}),
            "datasets": [dataset_as_dict(one) for one in found],
        }


def options_of(export: Export) -> Options:
    key = preference_key(export) if export.kind in PREFERENCES else ""
    return Options(export.unit, key, export.ties, export.margin)


def people_in(export: Export, manifest: dict[str, Any]) -> list[int]:
    """The annotators whose work an export holds: who judged, or wrote what became a dataset."""
    names = {one["pseudonym"] for one in manifest.get("annotators", [])}
    for one in export.instance_sets.select_related("dataset__table"):
        names |= writers_in(one.dataset)
    return list(Annotator.objects.filter(pseudonym__in=names).order_by("pk").values_list("pk", flat=True))
