"""Building exports of instructions: the instances of some sets as prompt and completion.

Instance sets never change, so the same sets, share and salt give the same bytes. A set's rows may be many more than
memory holds: what has to be known of all of them at once (which prompts stand on both sides of the split) is asked of
a file, by DuckDB.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from curation import folder as folders
from curation.exporting.deriving import TURNS
from curation.exporting.splits import is_held_out
from curation.models import Dataset, Export, InstanceSet
from curation.queries import duckdb_in
from curation.services.instances import instance_name, instances_of
from curation.tables import RowWriter
from jobs.models import Job, JobError

SCHEMA = pa.schema(
    [
        ("row_id", pa.string()),
        ("prompt", TURNS),
        ("completion", TURNS),
        ("instance", pa.string()),
        ("dataset", pa.string()),
        ("row", pa.int64()),
        ("template", pa.string()),
        ("language", pa.string()),
        ("prompt_id", pa.string()),
        ("split_group", pa.string()),
    ]
)
PLACES = pa.schema(
    [
        ("prompt_id", pa.string()),
        ("split_group", pa.string()),
        ("held_out", pa.bool_()),
        ("task_type", pa.string()),
        ("drawn", pa.uint64()),
    ]
)

LAST_PLACE = 2**64 - 1

RULE = gettext_noop(
    "In: every instance of the sets named here, each as one turn of the user and one of the assistant. Out: rows that "
    "the template dropped, and held-out instances whose prompt is trained on too. All that is made of a row, and of "
    "rows of one group, is in one split."
)


def build(export: Export, folder: Path, job: Job) -> dict[str, Any]:
    """Write the files of the export and return its manifest. Raises JobError where there is nothing to export."""
    sets = sorted(
        export.instance_sets.select_related("dataset", "template", "table", "dropped_table"),
        key=lambda one: (one.dataset.name, one.dataset.version, one.template.name, one.template.version, one.seed),
    )
    return _Builder(export, sets, folder, job).build()


class _Builder:
    def __init__(self, export: Export, sets: list[InstanceSet], folder: Path, job: Job) -> None:
        self.export, self.sets, self.folder, self.job = export, sets, folder, job
        self.counts: Counter[str] = Counter()

    def build(self) -> dict[str, Any]:
        leaking, figures, self.most = self._look_ahead()
        total = sum(one.instances or 0 for one in self.sets)
        tracked = self.job.track(self._instances(), total=total, message=_("writing the rows"), every=10_000)
        with folders.export_writers(self.folder, self.export, SCHEMA) as self.writers:
            for one, row in tracked:
                self._write(one, row, leaking)
        if not self.counts["rows"]:
            raise JobError(
                _("No instance is left to export. Does the template give every row the same prompt, perhaps?")
            )
        for held_out, writer in enumerate(self.writers.splits):
            found = figures.get(bool(held_out), {"prompts": 0, "split_groups": 0})
            writer.prompts, writer.groups = found["prompts"], found["split_groups"]
        name = _("Instructions from %(names)s") % {"names": ", ".join(sorted({one.dataset.name for one in self.sets}))}
        return folders.finished(self.folder, self._manifest(), self.writers, name)

    def _instances(self, columns: list[str] | None = None) -> Iterator[tuple[InstanceSet, dict[str, Any]]]:
        return ((one, row) for one in self.sets for batch in instances_of(one, columns=columns) for row in batch)

    def _held_out(self, split_group: str) -> bool:
        return is_held_out(split_group, self.export.salt, float(self.export.test_share))

    def _drawn(self, one: InstanceSet, row: dict[str, Any]) -> int:
        """The place of an instance in the lot that is drawn where a task type has more than may go in."""
        name = f"{self.export.salt}:{instance_name(one, row['row'])}"
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")

    def _look_ahead(self) -> tuple[set[str], dict[bool, dict[str, int]], dict[str, int]]:
        """The prompts that would stand on both sides; per side how many prompts and groups are left; and, of the task types
        with more instances than may go in, the last place in the lot that does.
        """
        path = self.folder / "places.parquet"
        with RowWriter(path, PLACES) as places:
            for one, row in self._instances(["row", "prompt_id", "split_group"]):
                held_out, drawn = self._held_out(row["split_group"]), self._drawn(one, row)
                places.write(row | {"held_out": held_out, "task_type": one.template.task_type, "drawn": drawn})
        with duckdb_in(self.folder) as database:
            database.read_parquet(str(path)).create_view("places")
            database.execute(
                "CREATE TABLE leaking AS SELECT prompt_id FROM places GROUP BY 1 HAVING bool_or(held_out) AND NOT "
                "bool_and(held_out)"
            )
            leaking = database.execute("SELECT prompt_id FROM leaking").fetchall()
            database.execute(
                "CREATE TABLE lot AS SELECT *, row_number() OVER (PARTITION BY task_type ORDER BY drawn) AS place "
                "FROM places WHERE NOT (held_out AND prompt_id IN (FROM leaking))"
            )
            if self.export.cap:
                database.execute(
                    "CREATE TABLE over AS SELECT DISTINCT task_type FROM lot WHERE place > ?", [self.export.cap]
                )
                database.execute("DELETE FROM lot WHERE place > ?", [self.export.cap])
                last = "SELECT task_type, max(drawn) FROM lot WHERE task_type IN (FROM over) GROUP BY 1"
                most = dict(database.execute(last).fetchall())
            else:
                most = {}
            figures = database.execute(
                "SELECT held_out, count(DISTINCT prompt_id), count(DISTINCT split_group) FROM lot GROUP BY 1"
            ).fetchall()
        path.unlink()
        counted = {held_out: {"prompts": prompts, "split_groups": groups} for held_out, prompts, groups in figures}
        return {prompt for (prompt,) in leaking}, counted, most

    def _write(self, one: InstanceSet, row: dict[str, Any], leaking: set[str]) -> None:
        self.counts["instances"] += 1
        held_out = self._held_out(row["split_group"])
        if held_out and row["prompt_id"] in leaking:
            self.counts["held_out_but_trained_on"] += 1
            return
        if self._drawn(one, row) > self.most.get(one.template.task_type, LAST_PLACE):
            self.counts["over_the_cap"] += 1
            return
        self.counts["rows"] += self.writers.write(
            held_out,
            {
                "row_id": instance_name(one, row["row"]),
                "prompt": [{"role": "user", "content": row["input"]}],
                "completion": [{"role": "assistant", "content": row["target"]}],
                "instance": instance_name(one, row["row"]),
                "dataset": one.dataset.title,
                "row": row["row"],
                "template": one.template.title,
                "language": one.template.language,
                "prompt_id": row["prompt_id"],
                "split_group": row["split_group"],
            },
        )

    def _manifest(self) -> dict[str, Any]:
        dropped: Counter[str] = Counter()
        for one in self.sets:
            dropped.update({f"dropped_{reason}": count for reason, count in one.dropped.items()})
        counts = {"instances": 0, "held_out_but_trained_on": 0, "rows": 0, **self.counts, **dropped}
        return {
            "kind": self.export.kind,
            "unit": "instance",
            "shape": self.export.shape,
            "parameters": {
                "test_share": float(self.export.test_share),
                "salt": self.export.salt,
                "cap": self.export.cap,
            },
            "datasets": [dataset_as_dict(one) for one in {one.dataset.pk: one.dataset for one in self.sets}.values()],
            "templates": [_template(one) for one in {one.template.pk: one.template for one in self.sets}.values()],
            "instance_sets": [_instance_set(one) for one in self.sets],
            "counts": counts,
            "rule": RULE,
            "row_schema": {column.name: str(column.type) for column in SCHEMA},
        }


def dataset_as_dict(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "version": dataset.version,
        "licence": dataset.licence,
        "language": dataset.language,
        "source": dataset.source,
        "rows": dataset.rows,
        "sha256": dataset.file_id,
        "group_column": dataset.group_column,
    }


def _template(template) -> dict[str, Any]:
    few_shot = {name: getattr(template, name) for name in ("shots", "separator", "character_budget")}
    return {
        "dataset": template.dataset,
        "name": template.name,
        "version": template.version,
        "task_type": template.task_type,
        "language": template.language,
        "sha256": template.sha256,
        "jinja": template.jinja,
        "answer_choices": template.answer_choices,
        "kind": template.kind,
        "origin": template.origin,
        **(few_shot if template.few_shot else {}),
    }


def _instance_set(one: InstanceSet) -> dict[str, Any]:
    return {
        "dataset": one.dataset.title,
        "template": one.template.title,
        "seed": one.seed,
        "instances": one.instances,
        "dropped": one.dropped,
        "sha256": one.table_id,
    }
