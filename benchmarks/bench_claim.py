"""The claim at 10 thousand and at 1 million tasks of three places: does it cost the same?

Two people claim and answer: one who is fresh, and one who is far ahead, whose done tasks are the first in the queue with
their other places still open. A random history would hide that case. Run by `make bench`; reports p50 and p95 of the
claim alone and the ratio of the two sizes, in one run.
"""

import time
from uuid import uuid4

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import connection

from annotate.models import Enrolment, Project, Task
from annotate.services import ledger
from annotate.services.projects import create_project, enrol

SIZES = (10_000, 1_000_000)
CLAIMS = 300
AHEAD = 0.05  # share of the tasks that the one ahead has done

TASKS = """
    INSERT INTO annotate_task (project_id, name, conversation, language, priority, target_overlap, content_sha256,
                               prompt_sha256, split_group, created_at)
    SELECT %(project)s, 'bench-' || n, '[{"role": "user", "content": "x"}]', '', 0, 3, '', md5(n::text), md5(n::text), now()
    FROM generate_series(1, %(size)s) n
"""
COMPLETIONS = """
    INSERT INTO annotate_completion (task_id, position, name, text, sha256)
    SELECT id, k, 'o' || k, 'text ' || k, md5(k::text) FROM annotate_task, generate_series(0, 1) k
    WHERE project_id = %(project)s
"""
SLOTS = """
    INSERT INTO annotate_slot (project_id, task_id, place, replacement, rank, status, skip_reason)
    SELECT project_id, id, place, false, (9::bigint << 48) | id, 'open', '' FROM annotate_task, generate_series(1, 3) place
    WHERE project_id = %(project)s
"""
# Skipped rather than submitted: the row holds the person to the task all the same, and needs no annotation.
DONE = """
    UPDATE annotate_slot SET status = 'skipped', holder_id = %(holder)s, code = gen_random_uuid()
    WHERE project_id = %(project)s AND place = 1 AND task_id IN
      (SELECT id FROM annotate_task WHERE project_id = %(project)s ORDER BY id LIMIT %(done)s)
"""


def prepare(size: int) -> Project:
    project = create_project(slug=f"bench-{size}", name="Bench")
    for name in ("fresh", "ahead"):
        user, _ = User.objects.get_or_create(username=f"{name}-{size}")
        enrol(project=project, user=user)
    ahead = Enrolment.objects.get(project=project, annotator__user__username=f"ahead-{size}")
    values = {"project": project.pk, "size": size, "holder": ahead.annotator_id, "done": int(size * AHEAD)}
    with connection.cursor() as cursor:
        for statement in (TASKS, COMPLETIONS, SLOTS, DONE):
            cursor.execute(statement, values)
        last = Task.objects.filter(project=project).order_by("pk")[int(size * AHEAD) - 1]
        Enrolment.objects.filter(pk=ahead.pk).update(cursor=last.rank)
        cursor.execute("VACUUM ANALYZE annotate_slot")
        cursor.execute("VACUUM ANALYZE annotate_task")
    return project


def claims(project: Project, username: str) -> np.ndarray:
    """Milliseconds of each claim; an answer is submitted between two."""
    annotator = Enrolment.objects.get(project=project, annotator__user__username=username).annotator
    question, times = project.questions.get(), []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        slot = ledger.claim(annotator=annotator, project=project)
        times.append((time.perf_counter() - began) * 1000)
        tiers = dict.fromkeys(slot.task.completions.values_list("pk", flat=True), 1)
        ledger.submit(slot=slot, ranking=ledger.Ranking(question, tiers), idempotency_key=uuid4())
    return np.array(times)


@pytest.mark.django_db(transaction=True)
def test_a_claim_costs_the_same_at_ten_thousand_and_at_a_million_tasks():
    medians: dict[str, list[float]] = {}
    for size in SIZES:
        project = prepare(size)
        for who in ("fresh", "ahead"):
            times = claims(project, f"{who}-{size}")
            p50, p95 = np.percentile(times, [50, 95])
            medians.setdefault(who, []).append(p50)
            print(f"\n{size:>9,} tasks, {who}: claim p50 {p50:.2f} ms, p95 {p95:.2f} ms, n = {CLAIMS}", end="")
    for who, (small, large) in medians.items():
        print(f"\n{who}: {SIZES[1]:,} against {SIZES[0]:,} tasks: {large / small:.2f} times", end="")
        assert large < 3 * small, "a claim must not grow with the queue"  # far above noise; the aim is 1.2
