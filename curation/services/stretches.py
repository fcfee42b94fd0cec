"""Rendering a stretch of a dataset's rows into two files: its instances, and the rows that gave none.

What a row gives depends on the row, its number, the template and the seed alone, so a dataset that is rendered in
pieces gives the same rows as one that is rendered at once.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from annotate.services.tasks import prompt_sha256, sha256
from curation.exporting.splits import is_held_out
from curation.models import Dataset, Export, InstanceSet
from curation.reading import LIST, OBJECT
from curation.rendering import Dropped, Instance, Renderer, TemplateSource
from curation.rendering.errors import NO_EXEMPLAR
from curation.services import blobs
from curation.services.datasets import batches_of, restored, rows_of
from curation.services.templates import seed_of, source_of
from curation.shots import Exemplar, FewShot, pool_of, with_exemplars
from curation.tables import RowWriter, opened, stretch_of

INSTANCES, DROPPED = "instances.parquet", "dropped.parquet"
AT_ONCE = 500  # more, and Python's garbage collector walks over them all before they are done with
TELLING = 0.5  # seconds
PREVIEW_POOL = 200  # rows that a preview draws exemplars from
SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("input", pa.string()),
        ("target", pa.string()),
        ("answer_choices", pa.list_(pa.string())),
        ("prompt_id", pa.string()),
        ("split_group", pa.string()),
    ]
)
DROPPED_SCHEMA = pa.schema([("row", pa.int64()), ("reason", pa.string())])
SPLIT_COLUMN, TRAIN = "split", ("train", "training")


def render_stretch(
    instance_set: InstanceSet,
    start: int,
    stop: int,
    folder: Path,
    pool: Sequence[Exemplar],
    told: Callable[[int], None],
) -> Counter[str]:
    """Render rows `start` (from 0) to `stop` into INSTANCES and DROPPED in the folder; how many were dropped, by reason.

    `told` is given how many are done, about twice a second and at the end. Raises TemplateError.
    """
    dataset, template = instance_set.dataset, instance_set.template
    source, seed = source_of(template), seed_of(dataset, instance_set.seed)
    reasons: Counter[str] = Counter()
    with (
        Renderer(source, seed=seed) as renderer,
        RowWriter(folder / INSTANCES, SCHEMA) as instances,
        RowWriter(folder / DROPPED, DROPPED_SCHEMA) as dropped,
    ):
        done, last = 0, time.monotonic()
        for rows in _rows_between(dataset, start, stop):
            made_of_rows = renderer.render(rows)
            for (_number, values), made in zip(rows, made_of_rows, strict=True):
                group = "" if isinstance(made, Dropped) else split_group(dataset, values)
                if template.few_shot and isinstance(made, Instance):
                    made = few_shot(made, group, template.few_shot, pool, lot(source, seed))
                if isinstance(made, Dropped):
                    reasons[made.reason] += 1
                    dropped.write({"row": made.row, "reason": made.reason})
                else:
                    instances.write(_instance_row(made, group))
            done += len(rows)
            if done == stop - start or time.monotonic() - last > TELLING:
                told(done)
                last = time.monotonic()
    return reasons


def preview(
    *, dataset: Dataset, source: TemplateSource, seed: str, start: int, count: int, settings: FewShot | None = None
) -> list[tuple[dict[str, Any], Instance | Dropped]]:
    """What a template makes of some rows, each with its row. Raises TemplateError.

    The exemplars of a few-shot template are drawn from the first rows of the dataset only: all of them are too many for
    a page.
    """
    rows = rows_of(dataset, start, count)
    seed = seed_of(dataset, seed)
    with Renderer(source, seed=seed) as renderer:
        made = renderer.render([(row["number"], row["values"]) for row in rows])
    if settings:
        pool = exemplars_of(dataset, source, seed, first=PREVIEW_POOL)
        made = [
            few_shot(one, split_group(dataset, row["values"]), settings, pool, lot(source, seed))
            if isinstance(one, Instance)
            else one
            for row, one in zip(rows, made, strict=True)
        ]
    return list(zip(rows, made, strict=True))


def _rows_between(dataset: Dataset, start: int, stop: int) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    assert dataset.table is not None
    nested = [column["name"] for column in dataset.columns if column["kind"] in (LIST, OBJECT)]
    with opened(blobs.file_of(dataset.table)) as file:
        for batch in stretch_of(file, start, stop, AT_ONCE):
            yield [(row.pop("_row"), restored(row, nested)) for row in batch.to_pylist()]


def _instance_row(made: Instance, group: str) -> dict[str, Any]:
    return {
        "row": made.row,
        "input": made.input,
        "target": made.target,
        "answer_choices": made.answer_choices,
        "prompt_id": prompt_sha256([{"role": "user", "content": made.input}]),
        "split_group": group,
    }


def split_group(dataset: Dataset, values: dict[str, Any]) -> str:
    """What decides the split of all that is made of a row, in every version of the dataset.

    The value of the group column; else the id; else all that the row says. A row without a value is no group with
    the others that have none.
    """
    column: str = ""
    said: Any = values
    for named in (dataset.group_column, dataset.id_column):
        if named and values.get(named) not in (None, ""):
            column, said = named, values[named]
            break
    return sha256(orjson.dumps([dataset.name, column, said], option=orjson.OPT_SORT_KEYS))


# --- Few-shot ---------------------------------------------------------------------------------------------------------


def lot(source: TemplateSource, seed: str) -> str:
    """What the drawing of exemplars follows from, beside the row's number."""
    return f"{seed}:{source.sha256}"


def few_shot(made: Instance, group: str, settings: FewShot, pool: Sequence[Exemplar], seed: str) -> Instance | Dropped:
    """The instance with exemplars before its input, or dropped where none fits."""
    text = with_exemplars(settings, pool, seed=seed, number=made.row, split_group=group, text=made.input)
    return Instance(made.row, text, made.target, made.answer_choices) if text else Dropped(made.row, NO_EXEMPLAR)


def exemplars_of(dataset: Dataset, source: TemplateSource, seed: str, *, first: int | None = None) -> list[Exemplar]:
    """The pool that exemplars are drawn from: rendered rows of the train split, a bounded number drawn by hash.

    `first` looks at so many rows only, for a preview. Raises TemplateError.
    """
    drawn = pool_of(_train_rows(dataset, first), lot(source, seed))
    with Renderer(source, seed=seed) as renderer:
        made = renderer.render((number, values) for number, (_group, values) in drawn)
    return [
        Exemplar(group, one.input, one.target)
        for (_number, (group, _values)), one in zip(drawn, made, strict=True)
        if isinstance(one, Instance)
    ]


def _train_rows(dataset: Dataset, first: int | None) -> Iterator[tuple[int, tuple[str, dict[str, Any]]]]:
    """Rows that may be exemplars: of the train split, where a column says which that is, and of those that exports with
    the usual share and salt train on.
    """
    has_split = bool(dataset.kind_of(SPLIT_COLUMN))
    salt, share = Export._meta.get_field("salt").default, Export._meta.get_field("test_share").default
    batches = _rows_between(dataset, 0, first) if first else batches_of(dataset, AT_ONCE)
    for rows in batches:
        for number, values in rows:
            if has_split and str(values[SPLIT_COLUMN]).strip().lower() not in TRAIN:
                continue
            group = split_group(dataset, values)
            if not is_held_out(group, salt, float(share)):
                yield number, (group, values)
