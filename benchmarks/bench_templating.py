"""Templating of 100 thousand and of 1 million rows: rows a second, peak memory, and what the sandbox costs.

Run by `make bench`. Beside it, in the same run, a bare loop does what a script would: it reads the same Parquet file,
renders with plain Jinja in one process, splits, and writes Parquet; without a sandbox, limits, hashes or a database.
Both are measured in processor time, of all their processes: it is what one core would need. Then the larger dataset is
rendered by one real worker and by two. That memory does not grow is asserted, how far the bare loop may be ahead, and
that two workers do as much with a second of a core as one. How much faster they are is told and not asserted: a busy
machine gives them no second core.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.bench_curation_import import GROWTH, SIZES, peak_megabytes, write_parquet

JINJA = (
    "What is the topic of this text? {{ answer_choices | join(', ') }}\n\n{{ text }} ||| "
    "{{ answer_choices[['world', 'sports', 'business', 'science'].index(label)] }}"
)
CHOICES = "World ||| Sports ||| Business ||| Science"
WASTE = 0.75  # two workers also start twice
AT_LEAST = 0.35  # of the bare loop's speed: a row is hashed twice and goes to another process and back


# --- In a process of its own ------------------------------------------------------------------------------------------


def render_bare(table: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from jinja2 import BaseLoader, Environment

    template = Environment(loader=BaseLoader()).from_string(JINJA)
    choices = [choice.strip() for choice in CHOICES.split("|||")]
    schema = pa.schema([("row", pa.int64()), ("input", pa.string()), ("target", pa.string())])
    count = 0
    with pq.ParquetFile(table) as file, pq.ParquetWriter(table.with_suffix(".bare"), schema) as writer:
        for batch in file.iter_batches(batch_size=10_000):
            made = []
            for row in batch.to_pylist():
                count += 1
                parts = template.render(answer_choices=choices, **row).split("|||")
                made.append({"row": count, "input": parts[0].strip(), "target": parts[1].strip()})
            writer.write_table(pa.Table.from_pylist(made, schema=schema))
    table.with_suffix(".bare").unlink()
    return count


def render_with_plumbline(job_id: str) -> int:
    from curation.models import InstanceSet
    from curation.tasks import build_instances

    build_instances(job_id)
    made = InstanceSet.objects.get(job=job_id)
    assert made.whole, made.job.error
    return made.instances or 0


def measure(what: str, given: str) -> None:
    import django

    django.setup()  # a worker has done this long before
    import curation.tasks  # noqa: F401

    began = processor_seconds()
    count = render_bare(Path(given)) if what == "bare" else render_with_plumbline(given)
    print(json.dumps({"rows": count, "seconds": processor_seconds() - began, "megabytes": peak_megabytes()}))


def processor_seconds() -> float:
    """Of this process and of the children that have ended: what others do on the machine is not in it."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measured(what: str, given: str) -> dict[str, float]:
    from tests.stack import PROJECT, database_url

    environment = os.environ | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "config.settings"}
    command = [sys.executable, "-m", "benchmarks.bench_templating", what, given]
    done = subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    return found | {"speed": found["rows"] / found["seconds"]}


# --- The bench --------------------------------------------------------------------------------------------------------


def imported(path: Path, count: int):
    """A dataset of so many rows, and its template."""
    from curation.services.datasets import request_import
    from curation.services.templates import save_template
    from curation.tasks import import_dataset

    write_parquet(path, count)
    with path.open("rb") as stream:
        about = {"name": f"bench-{count}", "licence": "CC0-1.0", "language": "en", "id_column": "id"}
        made = request_import(stream=stream, file_name=path.name, actor=None, send=False, **about)
    import_dataset(str(made.job_id))
    made.refresh_from_db()
    fields = {"name": "topic", "language": "en", "jinja": JINJA, "answer_choices": CHOICES}
    return made, save_template(dataset=made, actor=None, **fields)


@pytest.mark.django_db(transaction=True)
def test_the_memory_of_templating_does_not_grow_and_the_sandbox_costs_so_much(tmp_path):
    from curation.services.instances import request_instances

    peaks = []
    for size in SIZES:
        path = tmp_path / f"{size}.parquet"
        dataset, template = imported(path, size)
        made = request_instances(dataset=dataset, template=template, seed="one", actor=None, send=False)
        bare, ours = measured("bare", str(path)), measured("plumbline", str(made.job_id))
        assert ours["rows"] == bare["rows"] == size
        ratio = ours["speed"] / bare["speed"]
        print(
            f"\n{size:>9,} rows, in a second of one core: {ours['speed']:,.0f}, peak {ours['megabytes']:.0f} MB; "
            f"bare Jinja {bare['speed']:,.0f}, peak {bare['megabytes']:.0f} MB; ratio {ratio:.2f}",
            end="",
        )
        assert ratio > AT_LEAST
        peaks.append(ours["megabytes"])
    print(f"\npeak of {SIZES[1]:,} against {SIZES[0]:,} rows: {peaks[1] / peaks[0]:.2f} times", end="")
    assert peaks[1] < GROWTH * peaks[0], "memory must not grow with the rows"


@pytest.mark.django_db(transaction=True)
def test_two_workers_waste_nothing(tmp_path):
    from contextlib import ExitStack

    from curation.services.instances import request_instances
    from tests.stack import celery_worker

    dataset, template = imported(tmp_path / "rows.parquet", SIZES[1])
    speeds, by_core, tables = [], [], []
    for workers in (1, 2):
        used = processor_seconds()
        with ExitStack() as stack:
            for _ in range(workers):
                stack.enter_context(celery_worker())
            began = time.perf_counter()
            made = request_instances(dataset=dataset, template=template, seed="s", actor=None)
            while not made.job.ended:
                time.sleep(0.2)
                made.job.refresh_from_db()
            speeds.append(SIZES[1] / (time.perf_counter() - began))
        by_core.append(SIZES[1] / (processor_seconds() - used))  # with the workers' own beginning
        made.refresh_from_db()
        tables.append(made.table_id)
        made.delete()
        print(
            f"\n{SIZES[1]:,} rows, {workers} worker(s), {os.cpu_count()} cores: {speeds[-1]:,.0f} rows/s, "
            f"{by_core[-1]:,.0f} in a second of one core",
            end="",
        )
    print(
        f"\ntwo workers against one: {speeds[1] / speeds[0]:.2f} times; in a second of one core "
        f"{by_core[1] / by_core[0]:.2f} times",
        end="",
    )
    assert tables[0] == tables[1]
    assert by_core[1] > WASTE * by_core[0]


if __name__ == "__main__":
    measure(sys.argv[1], sys.argv[2])
