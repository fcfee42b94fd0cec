"""Parquet files whose bytes depend on their rows alone: row groups have a fixed size, so batches leave no trace."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 10_000
BUFFER = 64 * 1024  # bytes of each column


class RowWriter:
    """Writes rows, one by one, to a Parquet file. Leaving the `with` block, or `close`, makes it whole.

    What a row holds may be written later than `write` returns: nothing in it may change.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.schema, self.rows = path, schema, 0
        self._names = schema.names
        self._waiting: list[Any] = []  # the values of row after row
        self._parquet = pq.ParquetWriter(path, schema, compression="zstd")

    def __enter__(self) -> "RowWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def write(self, row: dict[str, Any]) -> None:
        self._waiting.extend(map(row.get, self._names))
        self.rows += 1
        if self.rows % ROW_GROUP == 0:
            self._flush()

    def _flush(self) -> None:
        width = len(self._names)
        columns = [_column(self._waiting[at::width], of) for at, of in enumerate(self.schema.types)]
        self._parquet.write_table(pa.Table.from_arrays(columns, schema=self.schema), row_group_size=ROW_GROUP)
        self._waiting = []

    def close(self) -> None:
        if self.rows % ROW_GROUP:
            self._flush()
        self._parquet.close()


def _column(values: list[Any], of: pa.DataType) -> pa.Array:
    """Lists and structs that several rows share are converted once: the same array, several times faster."""
    if not pa.types.is_nested(of):
        return pa.array(values, of)
    places: dict[int, int] = {}
    indices = [places.setdefault(id(value), len(places)) for value in values]
    if len(places) == len(values):
        return pa.array(values, of)
    distinct = list({id(value): value for value in values}.values())
    return pa.array(distinct, of).take(pa.array(indices, pa.int32()))


def batches_of(file: pq.ParquetFile, size: int) -> Iterator[pa.RecordBatch]:
    """All rows of an `opened` file. In one thread: more of them would each hold what they had read."""
    yield from file.iter_batches(batch_size=size, use_threads=False)


def stretch_of(file: pq.ParquetFile, start: int, stop: int, size: int) -> Iterator[pa.RecordBatch]:
    """Rows `start` (from 0) to `stop` of an `opened` file; only the row groups that hold them are read."""
    at = 0
    groups: list[int] = []
    skip = 0
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if at + rows > start and at < stop:
            if not groups:
                skip = start - at
            groups.append(group)
        at += rows
    left = stop - start
    for batch in file.iter_batches(batch_size=size, row_groups=groups, use_threads=False) if groups else ():
        taken = batch.slice(skip, left)  # nothing, if all of it is to be skipped
        skip = max(0, skip - batch.num_rows)
        left -= taken.num_rows
        if taken.num_rows:
            yield taken
        if not left:
            return


def join(paths: Iterable[Path], target: Path, schema: pa.Schema) -> int:
    """Write the rows of some files, in order, as one `RowWriter` would have written them; how many they are."""
    waiting: list[pa.Table] = []
    held = total = 0
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:

        def write(rows: int) -> None:
            nonlocal waiting, held
            table = pa.concat_tables(waiting)
            writer.write_table(table.slice(0, rows).combine_chunks(), row_group_size=ROW_GROUP)
            waiting, held = ([table.slice(rows)], held - rows) if held > rows else ([], 0)

        for path in paths:
            with opened(path) as file:
                for batch in batches_of(file, ROW_GROUP):
                    waiting.append(pa.Table.from_batches([batch]).cast(schema))
                    held += batch.num_rows
                    total += batch.num_rows
                    while held >= ROW_GROUP:
                        write(ROW_GROUP)
        if held:
            write(held)
    return total


def opened(path: Path | BinaryIO) -> pq.ParquetFile:
    """A Parquet file that is read bit by bit. By default Arrow reads ahead, and keeps all it has read until the end."""
    return pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER)


def rows_between(path: Path, start: int, count: int) -> pa.Table:
    """Rows `start` (from 0) to `start + count` of a Parquet file; only the row groups that hold them are read."""
    with pq.ParquetFile(path) as file:
        groups: list[int] = []
        skip = at = 0
        for group in range(file.metadata.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            if at + size > start and at < start + count:
                if not groups:
                    skip = start - at
                groups.append(group)
            at += size
        if not groups:
            return file.schema_arrow.empty_table()
        return file.read_row_groups(groups).slice(skip, count)
