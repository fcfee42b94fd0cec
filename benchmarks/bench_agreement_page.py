"""The page on agreement with 500 thousand judgements: its statements, its p95, and how long the measuring takes.

100 thousand tasks of two outputs, each compared by 5 of 200 people who are right 8 times in 10. The page is asked for 100
times as a manager, and beside it that of a project with 500 judgements, in the same run. Run by `make bench`.
"""

import time

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from annotate.models import Annotator, Consensus, Membership, Project, Question
from annotate.services import agreement, consensus
from annotate.services.projects import create_project
from annotate.services.tasks import NewCompletion, NewTask, add_tasks
from benchmarks.bench_claim import COMPLETIONS, TASKS

SIZES, OVERLAP, PEOPLE = (100, 100_000), 5, 200
ASKED, BOUND = 100, 100.0  # times, ms

SLOTS = """
    INSERT INTO annotate_slot (project_id, task_id, route_id, place, ahead, adaptive, rank, status, skip_kind, skip_reason,
                               held_for, holder_id, code, claimed_at, submitted_at, current_annotation_id)
    SELECT t.project_id, t.id, t.route_id, place, false, false, (9::bigint << 48) | t.id, 'expired', '', '', '',
           (%(people)s::bigint[])[1 + (t.id * 37 + place * 41) %% %(count)s], gen_random_uuid(), now(), NULL, NULL
    FROM annotate_task t, generate_series(1, %(overlap)s) place WHERE t.project_id = %(project)s
"""
ANNOTATIONS = """
    INSERT INTO annotate_annotation (slot_id, revision, idempotency_key, display_order, informed, created_at)
    SELECT s.id, 1, gen_random_uuid(), CASE WHEN random() < .5 THEN ARRAY[a.id, b.id] ELSE ARRAY[b.id, a.id] END, false, now()
    FROM annotate_slot s
    JOIN annotate_completion a ON a.task_id = s.task_id AND a.position = 0
    JOIN annotate_completion b ON b.task_id = s.task_id AND b.position = 1
    WHERE s.project_id = %(project)s
"""
ANSWERS = """
    INSERT INTO annotate_answer (annotation_id, question_id)
    SELECT n.id, %(question)s FROM annotate_annotation n JOIN annotate_slot s ON s.id = n.slot_id
    WHERE s.project_id = %(project)s
"""
PAIRS = """
    INSERT INTO annotate_pairanswer (answer_id, left_id, right_id, strength, neither)
    SELECT w.id, n.display_order[1], n.display_order[2],
           (CASE WHEN random() < .8 THEN 1 ELSE -1 END) * (CASE WHEN n.display_order[1] < n.display_order[2] THEN 1 ELSE -1 END),
           false
    FROM annotate_answer w JOIN annotate_annotation n ON n.id = w.annotation_id WHERE w.question_id = %(question)s
"""
FILL = """
    UPDATE annotate_slot s SET status = 'submitted', submitted_at = now(), current_annotation_id = n.id
    FROM annotate_annotation n WHERE n.slot_id = s.id AND s.project_id = %(project)s
"""
SOURCES = """
    INSERT INTO annotate_completionsource (completion_id, model)
    SELECT c.id, 'model ' || (c.position + (c.task_id %% 5) * 2) FROM annotate_completion c
    JOIN annotate_task t ON t.id = c.task_id WHERE t.project_id = %(project)s
"""


def prepare(size: int, manager: User, people: list[int]) -> Project:
    project = create_project(slug=f"judged-{size}", name="Judged", overlap=OVERLAP)
    project.questions.update(kind=Question.Kind.PAIRWISE, settings={"steps": 2, "tie": True})
    Membership.objects.create(user=manager, project=project, role=Membership.Role.MANAGER)
    outputs = [NewCompletion("o0", "text 0"), NewCompletion("o1", "text 1")]
    [first] = add_tasks(project=project, tasks=[NewTask("first", [{"role": "user", "content": "x"}], outputs)])
    values = {"project": project.pk, "language": "", "route": first.route_id, "size": size - 1, "overlap": OVERLAP}
    values |= {"people": people, "count": len(people), "question": project.questions.get().pk}
    project.slots.all().delete()
    with connection.cursor() as cursor:
        for statement in (TASKS, COMPLETIONS, SLOTS, ANNOTATIONS, ANSWERS, PAIRS, FILL, SOURCES):
            cursor.execute(statement, values)
            cursor.execute(
                "ANALYZE annotate_task, annotate_completion, annotate_slot, annotate_annotation, annotate_answer"
            )
    return project


@pytest.mark.django_db(transaction=True)
def test_the_page_costs_the_same_at_500_and_at_500_thousand_judgements(settings):
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    manager = User.objects.create_user("manager")
    people = Annotator.objects.bulk_create(
        Annotator(kind="imported", source="bench", source_name=f"person {number}") for number in range(PEOPLE)
    )
    client = Client()
    client.force_login(manager)
    p95, statements = {}, {}
    for size in SIZES:
        project = prepare(size, manager, [one.pk for one in people])
        began = time.perf_counter()
        agreement.measure_and_keep(project=project)
        measured = time.perf_counter() - began
        consensus.settle(project=project)
        settled = time.perf_counter() - began - measured
        began = time.perf_counter()
        consensus.settle(project=project)
        again = time.perf_counter() - began
        assert Consensus.objects.filter(task__project=project).count() == size
        address = f"/projects/{project.slug}/agreement/"
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200
        statements[size] = len(captured)
        times = []
        for _ in range(ASKED):
            began = time.perf_counter()
            page = client.get(address)
            times.append(1000 * (time.perf_counter() - began))
        p95[size] = float(np.percentile(times, 95))
        print(
            f"\n{size * OVERLAP:,} judgements: measured in {measured:.1f} s, consensus of {size:,} tasks in {settled:.1f} s, "
            f"again without a change {again:.1f} s; the page {statements[size]} statements, {len(page.content) // 1024} KB, "
            f"p50 {np.median(times):.0f} ms, p95 {p95[size]:.0f} ms (n = {ASKED})"
        )
    small, large = SIZES
    print(
        f"p95 of the page at 500 thousand {p95[large]:.0f} ms (bound {BOUND:.0f}), ratio {p95[large] / p95[small]:.2f}"
    )
    assert statements[large] <= statements[small] + 2
    assert p95[large] < BOUND
