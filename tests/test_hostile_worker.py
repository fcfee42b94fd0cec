"""A real worker renders 25 hostile templates one after the other: each job fails in words, and the worker lives."""

import time

import pytest
from django.db import close_old_connections

from curation.models import Template
from curation.rendering import MESSAGES
from curation.services import instances
from jobs.models import Job
from tests import library
from tests.hostile import TEMPLATES
from tests.stack import celery_worker

KINDS = (
    "endless loop", "nested loops", "endless dict", "sum of lists, all in C", "count in long texts",
    "division of huge numbers", "a macro that doubles", "huge range", "huge product", "format width", "printf width",
    "ljust", "power", "doubling by +", "doubling by ~", "replacing", "a list that extends itself", "attribute escape",
    "attribute by format", "include", "recursion", "deep list as JSON", "huge output", "lipsum", "no such filter",
)  # fmt: skip


def written(over, name: str, jinja: str) -> Template:
    """Kept without being looked at, as if the check had let it pass."""
    return Template.objects.create(
        dataset=over.name, name=name, version=1, jinja=jinja, language="en", sha256=f"{len(name):064}"
    )


@pytest.mark.django_db(transaction=True)
def test_25_hostile_templates_fail_in_words_and_the_same_worker_renders_the_next_one(world, record_property):
    assert len(set(KINDS)) == 25
    over = library.dataset(library.rows(3))
    with celery_worker() as worker:
        for name in KINDS:
            by = written(over, name, TEMPLATES[name][0])
            made = instances.request_instances(dataset=over, template=by, seed="s", actor=None)
            job = ended(made.job_id)
            assert job.state == Job.State.FAILED, name
            assert MESSAGES[TEMPLATES[name][1]].split("%(")[0] in job.error, (name, job.error)
            assert worker.poll() is None
        by = library.template(over)
        good = instances.request_instances(dataset=over, template=by, seed="s", actor=None)
        assert ended(good.job_id).state == Job.State.SUCCEEDED
    took = [job.finished_at - job.started_at for job in Job.objects.filter(kind=instances.JOB)]
    record_property(
        "figure", f"25 of 25 stopped, the slowest after {max(took).total_seconds():.2f} s; the worker lives"
    )


def ended(job_id, patience: float = 60) -> Job:
    end = time.monotonic() + patience
    while not (job := Job.objects.get(pk=job_id)).ended:
        assert time.monotonic() < end, f"{job} did not end"
        time.sleep(0.05)
        close_old_connections()
    return job
