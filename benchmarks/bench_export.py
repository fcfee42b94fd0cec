"""An export of 100 thousand and of 1 million annotations as preference pairs: rows a second, memory, and a bare COPY.

Every task has three outputs of about 200 characters, and three of 200 people rank them without ties: three rows for each
annotation. The export is built in a process of its own, as a worker does it, from choosing what is in to the files in
storage: Parquet, JSONL, card and manifest. Beside it, in the same run, PostgreSQL joins and writes the same rows as JSON
(`COPY (SELECT …) TO STDOUT`, into a file), in no order, unchecked, and with weights given: they are all alike here.
In the smaller size the rows of both are compared, one by one. COPY runs right before and right after the export;
the faster of the two counts. Run by `make bench`; with PLUMBLINE_BENCH_QUICK=1 a tenth of the annotations, for a look.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from django.db import connection

from annotate.models import Annotator, Project
from annotate.services.projects import create_project
from annotate.services.tasks import NewCompletion, NewTask, add_tasks
from benchmarks.bench_curation_import import peak_megabytes

QUICK = bool(os.environ.get("PLUMBLINE_BENCH_QUICK"))
SIZES = (10_000, 100_000) if QUICK else (100_000, 1_000_000)
OUTPUTS, JUDGES, PEOPLE = 3, 3, 200
MEMORY, GROWTH = 300.0, 1.1  # MB at most; of the peak, from the smaller size to the larger
AIM = 2.0  # times what COPY takes
CHUNK = 1024 * 1024

TASKS = """
    INSERT INTO annotate_task (project_id, name, conversation, language, purpose, status, skills, categories, route_id,
                               shared, priority, target_overlap, content_sha256, prompt_sha256, split_group, created_at)
    SELECT %(project)s, 'task-' || n,
           json_build_array(json_build_object('role', 'user', 'content', 'Question ' || n || ': ' || repeat(md5(n::text) || ' ', 3))),
           'en', 'work', 'open', '{}', '{}', %(route)s, false, 0, %(judges)s, '',
           encode(sha256(n::text::bytea), 'hex'), encode(sha256(('group ' || n)::bytea), 'hex'), now()
    FROM generate_series(1, %(size)s) n
"""
COMPLETIONS = """
    INSERT INTO annotate_completion (task_id, position, name, text, sha256)
    SELECT id, k, 'o' || k, text, encode(sha256(text::bytea), 'hex')
    FROM annotate_task, generate_series(0, %(outputs)s - 1) k, LATERAL (SELECT repeat(md5(id || '/' || k) || ' ', 6) AS text)
    WHERE project_id = %(project)s AND NOT EXISTS (SELECT FROM annotate_completion c WHERE c.task_id = annotate_task.id)
"""
SLOTS = """
    INSERT INTO annotate_slot (project_id, task_id, route_id, place, ahead, adaptive, rank, status, skip_kind, skip_reason,
                               held_for, holder_id, code)
    SELECT t.project_id, t.id, t.route_id, place, false, false, (9::bigint << 48) | t.id, 'expired', '', '', '',
           (%(people)s::bigint[])[1 + (t.id * 37 + place * 41) %% %(count)s], gen_random_uuid()
    FROM annotate_task t, generate_series(1, %(judges)s) place WHERE t.project_id = %(project)s
"""
ANNOTATIONS = """
    INSERT INTO annotate_annotation (slot_id, revision, idempotency_key, display_order, informed, created_at)
    SELECT id, 1, gen_random_uuid(), '{}', false, now() FROM annotate_slot WHERE project_id = %(project)s
"""
ANSWERS = """
    INSERT INTO annotate_answer (annotation_id, question_id, value)
    SELECT n.id, %(question)s, '"ranked"' FROM annotate_annotation n JOIN annotate_slot s ON s.id = n.slot_id
    WHERE s.project_id = %(project)s
"""
RANKS = """
    INSERT INTO annotate_rankitem (answer_id, completion_id, tier)
    SELECT w.id, c.id, row_number() OVER (PARTITION BY w.id ORDER BY c.position + 2 * random())
    FROM annotate_answer w JOIN annotate_annotation n ON n.id = w.annotation_id JOIN annotate_slot s ON s.id = n.slot_id
    JOIN annotate_completion c ON c.task_id = s.task_id WHERE w.question_id = %(question)s
"""
FILL = """
    UPDATE annotate_slot s SET status = 'submitted', submitted_at = now(), current_annotation_id = n.id
    FROM annotate_annotation n WHERE n.slot_id = s.id AND s.project_id = %(project)s
"""
ROWS = """
    SELECT json_build_object(
        'row_id', pair_id || '/' || annotation,
        'prompt', conversation,
        'chosen', json_build_array(json_build_object('role', 'assistant', 'content', chosen)),
        'rejected', json_build_array(json_build_object('role', 'assistant', 'content', rejected)),
        'weight', %(weight)s::float8, 'rank_gap', gap, 'pair_id', pair_id, 'question', key,
        'annotation', annotation, 'annotator', annotator,
        'annotations', json_build_array(annotation), 'annotators', json_build_array(annotator),
        'prompt_id', prompt_sha256, 'split_group', split_group, 'task', name, 'language', language)
    FROM (
        SELECT t.*, q.key, s.current_annotation_id AS annotation, p.pseudonym AS annotator, a.text AS chosen,
               b.text AS rejected, y.tier - x.tier AS gap,
               left(encode(sha256((t.prompt_sha256 || ':' || least(a.sha256, b.sha256) || ':' ||
                                   greatest(a.sha256, b.sha256))::bytea), 'hex'), 32) AS pair_id
        FROM annotate_slot s JOIN annotate_task t ON t.id = s.task_id JOIN annotate_annotator p ON p.id = s.holder_id
        JOIN annotate_answer w ON w.annotation_id = s.current_annotation_id JOIN annotate_question q ON q.id = w.question_id
        JOIN annotate_rankitem x ON x.answer_id = w.id JOIN annotate_rankitem y ON y.answer_id = w.id AND x.tier < y.tier
        JOIN annotate_completion a ON a.id = x.completion_id JOIN annotate_completion b ON b.id = y.completion_id
        WHERE s.project_id = %(project)s AND s.status = 'submitted' AND s.place IS NOT NULL
          AND t.purpose = 'work' AND t.status = 'open' AND q.key = 'overall'
    ) pair
"""
# Quotes and backslashes of the plain text format would be doubled; like this a line is the JSON itself.
COPY = "COPY ({rows}) TO STDOUT (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')"

CHILD = """
import sys
import django
django.setup()
from benchmarks.bench_export import measure
measure(*sys.argv[1:])
"""


def prepare(annotations: int) -> Project:
    project = create_project(slug=f"export-{annotations}", name="Export", overlap=JUDGES)
    people = Annotator.objects.bulk_create(
        Annotator(kind="imported", source=project.slug, source_name=f"person {number}") for number in range(PEOPLE)
    )
    outputs = [NewCompletion(f"o{number}", f"text {number}") for number in range(OUTPUTS)]
    [first] = add_tasks(project=project, tasks=[NewTask("first", [{"role": "user", "content": "x"}], outputs)])
    values: dict[str, Any] = {"project": project.pk, "route": first.route_id, "size": round(annotations / JUDGES) - 1}
    values |= {"outputs": OUTPUTS, "judges": JUDGES, "question": project.questions.get().pk}
    values |= {"people": [one.pk for one in people], "count": PEOPLE}
    project.slots.all().delete()
    with connection.cursor() as cursor:
        for statement in (TASKS, COMPLETIONS, SLOTS, ANNOTATIONS, ANSWERS, RANKS, FILL):
            cursor.execute(statement, values)
            cursor.execute(
                "ANALYZE annotate_task, annotate_completion, annotate_slot, annotate_annotation, annotate_answer"
            )
        for table in ("task", "completion", "slot", "annotation", "answer", "rankitem"):
            cursor.execute(f"VACUUM ANALYZE annotate_{table}")
    return project


# --- In a process of its own ------------------------------------------------------------------------------------------


def build(slug: str, path: Path) -> int:
    """Export the project; at `path` its rows stand then, as JSON."""
    from curation.services import blobs
    from curation.services.exports import request_export
    from curation.tasks import build_export

    made = request_export(project=Project.objects.get(slug=slug), actor=None, send=False)
    build_export(str(made.job_id))
    made.refresh_from_db()
    assert made.manifest, made.job.error
    for file in made.files.filter(path__startswith="jsonl/"):
        path.with_suffix(f".{Path(file.path).stem}").symlink_to(blobs.file_of(file.blob))
    return made.manifest["counts"]["rows"]


def copy(slug: str, path: Path) -> int:
    at = connection.settings_dict
    project = Project.objects.get(slug=slug)
    values = {"project": project.pk, "weight": 1 / (OUTPUTS * JUDGES)}
    where = {"host": "HOST", "port": "PORT", "dbname": "NAME", "user": "USER", "password": "PASSWORD"}
    other = psycopg.connect(
        **{name: at[setting] for name, setting in where.items()}, cursor_factory=psycopg.ClientCursor
    )
    with other, other.cursor() as cursor:
        with path.open("wb", buffering=CHUNK) as file, cursor.copy(COPY.format(rows=ROWS), values) as data:
            for some in data:
                file.write(some)
        return cursor.rowcount


def measure(what: str, slug: str, path: str) -> None:
    began = time.perf_counter()
    rows = {"build": build, "copy": copy}[what](slug, Path(path))
    print(json.dumps({"rows": rows, "seconds": time.perf_counter() - began, "megabytes": peak_megabytes()}))


def measured(what: str, slug: str, path: Path) -> dict[str, float]:
    from tests.stack import PROJECT, database_url

    environment = os.environ | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "config.settings"}
    command = [sys.executable, "-c", CHILD, what, slug, str(path)]
    done = subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def digests(*paths: Path) -> set[bytes]:
    """Of all rows, whatever order their keys are in."""
    found = set()
    for path in paths:
        with path.open("rb") as lines:
            for line in lines:
                row = orjson.dumps(orjson.loads(line), option=orjson.OPT_SORT_KEYS)
                found.add(hashlib.blake2b(row, digest_size=16).digest())
    return found


@pytest.mark.django_db(transaction=True)
def test_an_export_of_a_million_annotations(tmp_path):
    peaks = []
    for size in SIZES:
        slug, copied, built = prepare(size).slug, tmp_path / "copied", tmp_path / "built"
        before = measured("copy", slug, copied)
        ours = measured("build", slug, built)
        after = measured("copy", slug, copied)
        assert ours["rows"] == before["rows"] == after["rows"] == round(size / JUDGES) * JUDGES * OUTPUTS
        if size == SIZES[0]:
            assert digests(*tmp_path.glob("built.*")) == digests(copied)
        seconds = min(before["seconds"], after["seconds"])
        print(
            f"\n{size:>9,} annotations, {ours['rows']:,} rows ({copied.stat().st_size / 1024**2:,.0f} MB of JSON): "
            f"{ours['seconds']:.1f} s, {ours['rows'] / ours['seconds']:,.0f} rows/s, peak {ours['megabytes']:.0f} MB; "
            f"COPY {before['seconds']:.1f} and {after['seconds']:.1f} s, {ours['rows'] / seconds:,.0f} rows/s; "
            f"ratio {ours['seconds'] / seconds:.2f} (aim {AIM:.0f})",
            end="",
        )
        peaks.append(ours["megabytes"])
        for path in tmp_path.iterdir():
            path.unlink()
    print(f"\npeak of {SIZES[1]:,} against {SIZES[0]:,} annotations: {peaks[1] / peaks[0]:.2f} times", end="")
    assert peaks[1] < MEMORY
    assert peaks[1] < GROWTH * peaks[0], "memory must not grow with the annotations"
