"""The import of 100 thousand and of 1 million rows: does its memory grow, and how far is it from DuckDB?

Run by `make bench`; with PLUMBLINE_BENCH_QUICK=1 a tenth of the rows, for a look. Each import is a process of its own on the bench's database, ids compared, as the command does it;
DuckDB reads the same file in the same run and writes the same zstd Parquet, which it may guess the columns of. It is
written in C++ and checks less, so its figure is only told. That memory does not grow is asserted.
"""

import csv
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

QUICK = bool(os.environ.get("PLUMBLINE_BENCH_QUICK"))
SIZES = (10_000, 100_000) if QUICK else (100_000, 1_000_000)
GROWTH = 1.25  # of the peak, from the smaller file to the larger
WORDS = [f"word{number}" for number in range(2000)]
LABELS = ["world", "sports", "business", "science"]
READERS = {
    "jsonl": "read_json($1, format = 'newline_delimited')",
    "json": "read_json($1, format = 'array')",
    "csv": "read_csv($1)",
    "parquet": "read_parquet($1)",
}


def rows(count: int) -> Iterator[dict]:
    luck = random.Random(7)
    for number in range(count):
        text = " ".join(luck.choices(WORDS, k=30))
        yield {"id": f"row-{number}", "text": text, "label": luck.choice(LABELS), "score": luck.random(), "n": number}


def write_jsonl(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows(count))


def write_json(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("[\n")
        file.writelines(f"{',' if row['n'] else ''}{json.dumps(row)}\n" for row in rows(count))
        file.write("]\n")


def write_csv(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "text", "label", "score", "n"])
        writer.writeheader()
        writer.writerows(rows(count))


def write_parquet(path: Path, count: int) -> None:
    import pyarrow as pa

    from curation.tables import RowWriter

    schema = pa.schema(
        [("id", pa.string()), ("text", pa.string()), ("label", pa.string()), ("score", pa.float64()), ("n", pa.int64())]
    )
    with RowWriter(path, schema) as writer:
        for row in rows(count):
            writer.write(row)


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "jsonl": write_jsonl,
    "json": write_json,
    "csv": write_csv,
    "parquet": write_parquet,
}


# --- In a process of its own ------------------------------------------------------------------------------------------


def peak_megabytes() -> float:
    """The most memory that this process had. Linux counts that of its parent in ru_maxrss, so it is asked elsewhere."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def import_with_plumbline(path: Path) -> int:
    import django

    django.setup()
    from curation.services.datasets import request_import
    from curation.tasks import import_dataset

    about = {"name": "bench", "licence": "CC0-1.0", "language": "en", "id_column": "id"}
    with path.open("rb") as stream:
        made = request_import(stream=stream, file_name=path.name, actor=None, send=False, **about)
    import_dataset(str(made.job_id))
    made.refresh_from_db()
    assert made.whole, made.job.error
    return made.rows


def convert_with_duckdb(path: Path) -> int:
    import duckdb

    out = path.with_suffix(".duckdb.parquet")
    query = f"COPY (SELECT * FROM {READERS[path.suffix[1:]]}) TO '{out}' (FORMAT parquet, COMPRESSION zstd)"
    with duckdb.connect() as database:
        count = database.execute(query, [str(path)]).fetchone()[0]
    out.unlink()
    return count


def measure(what: str, path: Path) -> None:
    work = {"plumbline": import_with_plumbline, "duckdb": convert_with_duckdb}[what]
    began = time.perf_counter()
    count = work(path)
    print(json.dumps({"rows": count, "seconds": time.perf_counter() - began, "megabytes": peak_megabytes()}))


def measured(what: str, path: Path) -> dict[str, float]:
    from tests.stack import PROJECT, database_url

    environment = os.environ | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "config.settings"}
    command = [sys.executable, "-m", "benchmarks.bench_curation_import", what, str(path)]
    done = subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    return found | {"speed": found["rows"] / found["seconds"]}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("file_format", WRITERS)
def test_the_memory_of_an_import_does_not_grow_with_its_rows(tmp_path, file_format):
    peaks = []
    for size in SIZES:
        path = tmp_path / f"{size}.{file_format}"
        WRITERS[file_format](path, size)
        ours, other = measured("plumbline", path), measured("duckdb", path)
        assert ours["rows"] == other["rows"] == size
        print(
            f"\n{size:>9,} rows of {file_format} ({path.stat().st_size / 1024**2:.0f} MB): "
            f"{ours['speed']:,.0f} rows/s, peak {ours['megabytes']:.0f} MB; "
            f"DuckDB {other['speed']:,.0f} rows/s, peak {other['megabytes']:.0f} MB; "
            f"ratio {ours['speed'] / other['speed']:.3f}",
            end="",
        )
        peaks.append(ours["megabytes"])
        path.unlink()
    print(f"\n{file_format}: peak of {SIZES[1]:,} against {SIZES[0]:,} rows: {peaks[1] / peaks[0]:.2f} times", end="")
    assert peaks[1] < GROWTH * peaks[0], "memory must not grow with the rows"


if __name__ == "__main__":
    measure(sys.argv[1], Path(sys.argv[2]))
