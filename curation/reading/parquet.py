"""The rows of Parquet files, and of the Arrow files that `datasets` saves."""

from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa
from django.utils.translation import gettext as _

from curation.reading.files import GZIP, MAX_ROW_BYTES, ZSTD, Part, Unreadable, no_bytes
from curation.reading.rows import Problem, Row, check_columns, checked, too_large
from curation.tables import batches_of, opened

ARROW = b"ARROW1"
BATCH = 32  # rows that are in memory at once, each of up to MAX_ROW_BYTES


def rows(part: Part) -> Iterator[Row | Problem]:
    try:
        with part.open() as stream, opened(stream if part.size >= 0 else part.path) as file:
            yield from _rows(file.schema_arrow, batches_of(file, BATCH))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable(part, error) from None


def arrow_rows(part: Part) -> Iterator[Row | Problem]:
    """Of an Arrow stream, or a file. It is mapped, not read: a batch in it may be larger than memory should be."""
    try:
        with pa.memory_map(str(part.path)) as mapped:
            mapped.seek(part.start)
            inside = pa.BufferReader(mapped.read_buffer(part.size if part.size >= 0 else mapped.size()))
            is_file = inside.read(6) == ARROW
            inside.seek(0)
            reader = pa.ipc.open_file(inside) if is_file else pa.ipc.open_stream(inside)
            found = (reader.get_batch(at) for at in range(reader.num_record_batches)) if is_file else iter(reader)
            cut = (batch.slice(at, BATCH) for batch in found for at in range(0, batch.num_rows, BATCH))
            yield from _rows(reader.schema, cut)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        with part.open() as stream:
            if not stream.read(1):
                raise no_bytes() from None
        message = _("It is no Arrow file, or was cut off or is damaged (%(why)s). Save or download it again.")
        raise Unreadable(message % {"why": (str(error).splitlines() or [""])[0]}) from None


def _rows(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[Row | Problem]:
    names = schema.names
    check_columns(names)
    kinds = [_plain(one) for one in schema]
    number = 0
    for batch in batches:
        arrays = [column.cast(kind) for column, kind in zip(batch.columns, kinds, strict=True)]
        taken = sum(array.nbytes for array in arrays)  # a dictionary takes less, until it is unfolded
        size, large = taken // max(batch.num_rows, 1), taken > MAX_ROW_BYTES
        columns = [_values(array) for array in arrays]
        for values in zip(*columns, strict=True):
            number += 1
            row = dict(zip(names, values, strict=True))
            if large and len(orjson.dumps(row)) > MAX_ROW_BYTES:
                yield too_large(number)
            else:
                yield checked(number, row, size, exact=True)


def _values(column: pa.Array) -> list[Any]:
    """What `to_pylist` gives, many times faster for the kinds that are frequent."""
    is_ = pa.types
    text = is_.is_string(column.type) or is_.is_large_string(column.type)
    full = column.null_count == 0 and (is_.is_integer(column.type) or is_.is_floating(column.type))
    values: list[Any] = column.to_numpy(zero_copy_only=False).tolist() if text or full else column.to_pylist()
    return values


def _unreadable(part: Part, error: Exception) -> Unreadable:
    with part.open() as file:
        start = file.read(4)
    if not start:
        return no_bytes()
    if start.startswith((GZIP, ZSTD)):
        return Unreadable(_("It is packed with gzip or zstd. Parquet is packed in itself: unpack the file."))
    if start != b"PAR1":
        return Unreadable(_("It is no Parquet file. Choose the format that it has."))
    message = _("The Parquet file was cut off or is damaged (%(why)s). Download or write it again.")
    return Unreadable(message % {"why": str(error).splitlines()[0]})


def _plain(column: pa.Field) -> pa.DataType:
    """The type whose values JSON can say. Raises Unreadable where there is none."""
    try:
        return _as_json(column.type)
    except TypeError:
        message = _("Column “%(name)s” holds %(kind)s, which has no form as text. Leave it out, or cast it.")
        raise Unreadable(message % {"name": column.name, "kind": column.type}) from None


def _as_json(kind: pa.DataType) -> pa.DataType:
    """Times and decimals become text, a dictionary its values. Raises TypeError for what has no form in JSON."""
    is_ = pa.types
    if is_.is_dictionary(kind):
        return _as_json(kind.value_type)
    if is_.is_list(kind) or is_.is_fixed_size_list(kind):
        return pa.list_(_as_json(kind.value_type))
    if is_.is_large_list(kind):
        return pa.large_list(_as_json(kind.value_type))
    if is_.is_struct(kind):
        return pa.struct([field.with_type(_as_json(field.type)) for field in kind])
    if any(is_text(kind) for is_text in (is_.is_timestamp, is_.is_date, is_.is_time, is_.is_decimal)):
        return pa.string()
    plain = (
        is_.is_null, is_.is_boolean, is_.is_integer, is_.is_floating, is_.is_string, is_.is_large_string,
        is_.is_string_view,
    )  # fmt: skip
    if any(is_plain(kind) for is_plain in plain):
        return kind
    raise TypeError
