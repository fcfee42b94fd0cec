"""Reports on instances: what was rendered and what was lost, how long, how balanced, how leaky, how much the same.

A job asks DuckDB about the files and keeps the figures as JSON; pages only show them. The figures of a set never
change, so it has one report; all sets together get a new one when somebody asks.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

import duckdb
import pyarrow.parquet as pq
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from curation.locks import alone_with
from curation.models import Coverage, InstanceSet
from curation.queries import duckdb_in
from curation.services import blobs
from jobs.models import Job, JobError
from jobs.services import enqueue

JOB = "curation.report_coverage"
MANY = 300  # instances of a task type: beyond them more of the same teaches little
LABELS = OPENINGS = 20  # that are listed
SAMPLE = 50  # rows that templates are compared on
COMPARED = 30  # instance sets of a dataset, at most
SHINGLE = 3  # characters
LEAK = 3  # a target of so few characters is anywhere


def request_report(*, instance_set: InstanceSet | None, actor, send: bool = True) -> Coverage:
    """Start a report on a set, or on all sets. One of a set that is there is returned, and one that is being made.

    Raises ValidationError for a set that is not rendered yet.
    """
    if instance_set and not instance_set.whole:
        raise ValidationError(_("The instances are not rendered yet."))
    key = str(instance_set.pk) if instance_set else "all"
    with alone_with(f"report {key}"):
        found = Coverage.objects.newest_of(instance_set)
        if found and (not found.job.ended or (instance_set and found.whole)):
            return found
        about = {"instance_set": str(instance_set or "all")}
        job = enqueue(kind=JOB, key=key, parameters=about, actor=actor, send=send)
        return Coverage.objects.create(instance_set=instance_set, job=job, actor=actor)


def build(*, report: Coverage, job: Job) -> None:
    """Make the figures. Raises JobError where there is nothing to report on."""
    with blobs.workspace(f"report-{report.pk}") as folder, duckdb_in(folder) as database:
        figures = _of_one(database, report.instance_set) if report.instance_set else _of_all(database, job)
    with transaction.atomic():
        Coverage.objects.filter(pk=report.pk).update(figures=figures)
        # Older ones have said what they had to; one that is being made is another's.
        older = Coverage.objects.filter(instance_set=report.instance_set, job__state__in=Job.ENDED)
        older.exclude(pk=report.pk).delete()


# --- One set ----------------------------------------------------------------------------------------------------------

WORDS = r"trim(regexp_replace(lower(input || ' ' || target), '[\p{P}\p{S}\p{Z}\s]+', ' ', 'g'))"


def _of_one(database: duckdb.DuckDBPyConnection, found: InstanceSet) -> dict[str, Any]:
    _view(database, [found])
    chosen = "list_contains(answer_choices, target)"
    asked = f"length(target) > {LEAK} AND NOT {chosen}"
    row = _one(
        database,
        f"""
        SELECT count(*) FILTER ({asked}), count(*) FILTER ({asked} AND contains(input, target)),
               count(*) FILTER ({chosen}),
               count(*) - count(DISTINCT hash(input)), count(*) - count(DISTINCT hash(input, target)),
               count(*) - count(DISTINCT hash({WORDS}))
        FROM instances
        """,  # noqa: S608 - nothing in it comes from outside
    )
    labels = database.execute(
        f"SELECT target, count(*) FROM instances WHERE {chosen} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {LABELS}"  # noqa: S608
    ).fetchall()
    return {
        "rows": found.dataset.rows,
        "instances": found.instances,
        "dropped": found.dropped,
        "lengths": {side: _lengths(database, side) for side in ("input", "target")},
        "labels": {"of": row[2], "counts": [[target[:200], count] for target, count in labels]},
        "leak": {"of": row[0], "rows": row[1]},
        "repeated": {"input": row[3], "input_and_target": row[4], "words": row[5]},
    }


def _view(database: duckdb.DuckDBPyConnection, sets: Iterable[InstanceSet]) -> None:
    paths = [str(blobs.file_of(one.table)) for one in sets if one.table]
    database.read_parquet(paths).create_view("instances")


def _one(database: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    found = database.execute(query).fetchone()
    assert found is not None
    return found


def _lengths(database: duckdb.DuckDBPyConnection, side: str) -> dict[str, Any]:
    """Quantiles of the length in characters, and how many lie between powers of two."""
    quantiles, longest = _one(
        database,
        f"SELECT quantile_disc(length({side}), [0.05, 0.25, 0.5, 0.75, 0.95]), max(length({side})) FROM instances",  # noqa: S608
    )
    bins = database.execute(
        f"SELECT floor(log2(length({side})))::INTEGER AS bin, count(*) FROM instances GROUP BY 1 ORDER BY 1"  # noqa: S608
    ).fetchall()
    counts = dict(bins)
    reach = range(min(counts), max(counts) + 1) if counts else range(0)
    return {
        "quantiles": quantiles,
        "longest": longest,
        "bins": [[2**power, 2 ** (power + 1) - 1, counts.get(power, 0)] for power in reach],
    }


# --- All sets ---------------------------------------------------------------------------------------------------------


def _of_all(database: duckdb.DuckDBPyConnection, job: Job) -> dict[str, Any]:
    sets = list(
        InstanceSet.objects.filter(instances__gt=0)
        .select_related("dataset", "template", "table")
        .order_by("created_at")
    )
    if not sets:
        raise JobError(_("There are no instances yet. Render a dataset with a template first."))
    job.advance(0, None, _("reading the instances"))
    _view(database, sets)
    types: dict[str, dict[str, int]] = {}
    for one in sets:
        found = types.setdefault(one.template.task_type, {"sets": 0, "instances": 0, "rows": 0, "dropped": 0})
        found["sets"] += 1
        found["instances"] += one.instances or 0
        found["rows"] += one.dataset.rows or 0
        found["dropped"] += one.dropped_rows
    kinds: dict[str, int] = defaultdict(int)
    for one in sets:
        kinds[one.template.kind] += one.instances or 0
    return {
        "sets": len(sets),
        "instances": sum(one.instances or 0 for one in sets),
        "task_types": {name: types[name] for name in sorted(types)},
        "kinds": dict(sorted(kinds.items())),
        "lengths": {side: _lengths(database, side) for side in ("input", "target")},
        "openings": _openings(database),
        "differences": _differences(sets, job),
    }


def _openings(database: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """How inputs begin: the first two words, or, where a script has no spaces, the first four characters."""
    database.execute(
        r"""
        CREATE TABLE openings AS SELECT CASE WHEN regexp_matches(input, '^[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]')
          THEN left(input, 4) ELSE left(array_to_string(string_split_regex(left(lower(input), 200), '\s+')[1:2], ' '), 60)
        END AS opening, count(*) AS times FROM instances GROUP BY 1
        """
    )
    distinct, total = _one(database, "SELECT count(*), sum(times)::BIGINT FROM openings")
    most = database.execute(f"SELECT opening, times FROM openings ORDER BY 2 DESC, 1 LIMIT {OPENINGS}").fetchall()  # noqa: S608
    return {"distinct": distinct, "of": total, "most": [list(one) for one in most]}


def _differences(sets: list[InstanceSet], job: Job) -> list[dict[str, Any]]:
    """Of each dataset with several templates: how different their inputs are, on the same rows."""
    by_dataset: dict[Any, dict[Any, InstanceSet]] = defaultdict(dict)
    for one in sets:
        by_dataset[one.dataset][one.template.name] = one  # the newest version's
    found = []
    for dataset, newest in by_dataset.items():
        compared = list(newest.values())[-COMPARED:]
        texts = [_first_inputs(one) for one in compared]
        if (difference := mean_difference(texts)) is not None:
            found.append({"dataset": str(dataset), "templates": len(compared), "difference": round(difference, 4)})
        job.advance(len(found), None, _("comparing templates"))
    return sorted(found, key=lambda one: one["difference"])


def _first_inputs(one: InstanceSet) -> dict[int, str]:
    """The inputs of the first rows, by number."""
    assert one.table is not None
    path: Path = blobs.file_of(one.table)
    rows = pq.read_table(path, columns=["row", "input"], filters=[("row", "<=", SAMPLE)])
    return dict(zip(rows["row"].to_pylist(), rows["input"].to_pylist(), strict=True))


def mean_difference(texts: Sequence[Mapping[int, str]]) -> float | None:
    """The mean, over pairs of templates and the rows that both have, of one minus the share of shingles they share.

    None where no two templates have a row in common.
    """
    shingled = [{row: shingles(text) for row, text in of_one.items()} for of_one in texts]
    differences = [
        1 - len(first[row] & second[row]) / len(first[row] | second[row])
        for first, second in combinations(shingled, 2)
        for row in first.keys() & second.keys()
    ]
    return mean(differences) if differences else None


def shingles(text: str) -> set[str]:
    """Every three characters that stand in a row; of a shorter text, itself."""
    return {text[at : at + SHINGLE] for at in range(max(1, len(text) - SHINGLE + 1))}
