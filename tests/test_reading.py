"""Reading a dataset's file: what comes back is what stands in it, and what cannot be taken is named."""

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from curation.reading import LIST, OBJECT, Reading, Survey, Unreadable, batches, survey
from curation.reading import table as tables
from tests.badfiles import REFUSED, jsonl, nested, parquet
from tests.stack import PROJECT

ONLY_AS_A_WHOLE = {"duplicate ids"}  # found in the finished table (tests/test_datasets.py)


@pytest.fixture
def read(tmp_path):
    """Read bytes in a format: the survey, and the rows as a template sees them, without what is absent."""

    def read_bytes(content: bytes, file_format: str, **options: Any) -> tuple[Survey, list[dict[str, Any]]]:
        path = tmp_path / "file"
        path.write_bytes(content)
        reading = Reading(file_format, **options)
        found = survey(path, reading)
        return found, [row for table in batches(path, reading, found) for row in plain(table)]

    return read_bytes


def plain(table: pa.Table) -> list[dict[str, Any]]:
    nested_columns = [one.name for one in table.schema if (one.metadata or {}).get(b"kind") in (b"list", b"object")]
    rows = []
    for row in table.to_pylist():
        del row["_row"]
        rows.append(
            {
                name: json.loads(value) if name in nested_columns else value
                for name, value in row.items()
                if value is not None
            }
        )
    return rows


def kinds(found: Survey) -> dict[str, str]:
    return {column.name: column.kind for column in found.columns.values()}


@pytest.mark.parametrize("name", sorted(REFUSED.keys() - ONLY_AS_A_WHOLE))
def test_what_cannot_be_taken_is_told_with_its_place_and_a_remedy(name, tmp_path):
    bad = REFUSED[name]
    path = tmp_path / "file"
    path.write_bytes(bad.build())
    suffix = bad.file_name.removesuffix(".gz").rsplit(".")[-1].replace("json", "jsonl").replace("jsonll", "jsonl")
    try:
        found = survey(path, Reading(suffix, **bad.options))
        said = f"{found.refused} of {found.rows} rows: " + "\n".join(str(problem) for problem in found.problems)
        assert found.refused
    except Unreadable as error:
        said = str(error)
    assert [words for words in bad.says if words not in said] == [], said


# --- JSONL ------------------------------------------------------------------------------------------------------------


def test_a_json_row_comes_back_as_it_was(read):
    rows = [
        {"text": "a", "n": 1, "x": 0.1, "yes": True, "tags": ["a", 1, None], "more": {"k": None, "l": [{}]}},
        {"text": "", "n": -(2**63), "x": 2, "yes": False, "tags": [], "more": {}},
        {"n": 2**63 - 1, "other": "first here"},
    ]
    found, back = read(jsonl(*rows), "jsonl")
    assert back == rows
    assert kinds(found) == {
        "text": "text", "n": "integer", "x": "number", "yes": "boolean", "tags": LIST, "more": OBJECT, "other": "text",
    }  # fmt: skip
    assert {column.name: column.filled for column in found.columns.values()} == {
        "text": 1, "n": 3, "x": 2, "yes": 2, "tags": 2, "more": 2, "other": 1,
    }  # fmt: skip


@pytest.mark.parametrize("levels", [10, 49])
def test_a_deep_object_comes_back_as_it_was(read, levels):
    row = nested(levels)
    assert read(jsonl(row), "jsonl")[1] == [row]


def test_blank_lines_line_ends_and_a_byte_order_mark_are_no_matter(read):
    rows = [{"a": "x"}, {"a": "y\r\nz"}, {"a": "w"}]
    content = (
        b"\xef\xbb\xbf" + jsonl(rows[0]) + b"\n  \r\n" + jsonl(rows[1]).replace(b"\n", b"\r\n") + jsonl(rows[2])[:-1]
    )
    assert read(content, "jsonl")[1] == rows


def test_a_column_without_any_value_is_a_column(read):
    found, back = read(jsonl({"a": 1, "b": None}, {"a": 2, "b": None}), "jsonl")
    assert kinds(found) == {"a": "integer", "b": "text"}
    assert (back, found.columns["b"].filled) == ([{"a": 1}, {"a": 2}], 0)


def test_whole_numbers_become_numbers_where_a_fraction_comes_before_or_after(read):
    for values in ([1, 2, 0.5], [0.5, 1, 2], [2**53, 0.5, -(2**53)]):
        found, back = read(jsonl(*[{"x": value} for value in values]), "jsonl")
        assert (kinds(found), [row["x"] for row in back]) == ({"x": "number"}, values)


def test_a_large_number_that_has_an_exponent_is_no_whole_number(read):
    assert read(b'{"x": 1e30}\n{"x": [1e300, -1E20]}'.split(b"\n")[0], "jsonl")[1] == [{"x": 1e30}]
    assert read(b'{"x": [1e300, -1E20]}', "jsonl")[1] == [{"x": [1e300, -1e20]}]


def test_a_row_that_is_refused_decides_nothing_about_the_columns(read):
    rows = [{"a": "x"}, {"b": 1.5, "c": ["new"], "a": 7}, {"b": "text", "a": "y"}]
    found, back = read(jsonl(*rows), "jsonl")
    assert [problem.row for problem in found.problems] == [2]
    assert kinds(found) == {"a": "text", "b": "text"}
    assert back == [rows[0], rows[2]]


@pytest.mark.parametrize("encoding", ["latin-1", "windows-1252", "gb18030"])
def test_another_encoding_is_read_when_it_is_chosen(read, encoding):
    texts = ["café", "Müller"] if encoding != "gb18030" else ["你好，世界", "𠀀 and 汉字"]
    rows = [{"text": text, "n": n} for n, text in enumerate(texts)]
    assert read(jsonl(*rows).decode().encode(encoding), "jsonl", encoding=encoding)[1] == rows
    lines = "text,n\n" + "".join(f"{row['text']},{row['n']}\n" for row in rows)
    assert read(lines.encode(encoding), "csv", encoding=encoding)[1] == rows


def test_a_row_of_just_four_megabytes_is_taken(read):
    most = 4 * 1024 * 1024
    row = {"x": "y" * (most - len('{"x": ""}'))}
    assert read(jsonl(row, row), "jsonl")[1] == [row, row]
    row = {"x": "y" * (most - 1), "z": "z"}
    assert read(f"x,z\r\n{row['x']},{row['z']}\r\n".encode(), "csv")[1] == [row]


# --- CSV and TSV ------------------------------------------------------------------------------------------------------


def test_a_csv_row_comes_back_with_its_quotes_lines_and_spaces(read):
    values = ['say "so"', "two\r\nlines", "a, b", " spaces ", "键", "'", ""]
    into = io.StringIO()
    writer = csv.writer(into)
    writer.writerow(["n", "text"])
    for value in values:
        writer.writerow(["x", value])
    found, back = read(b"\xef\xbb\xbf" + into.getvalue().encode(), "csv")
    assert ([row["text"] for row in back], list(found.columns)) == (values, ["n", "text"])


def test_lines_may_end_as_they_do_on_any_system_and_blank_ones_are_no_rows(read):
    for end in ("\n", "\r\n", "\r"):
        content = end.join(["a,b", "", "x,1", "", "y,2"]).encode()
        assert read(content, "csv")[1] == [{"a": "x", "b": 1}, {"a": "y", "b": 2}]


def test_csv_columns_become_whole_numbers_only_where_nothing_is_lost(read):
    content = (
        b"plain,zeros,gaps,plus,mixed,long,float,none\n"
        b"0,007,5,+1,1,12345678901234567890,1.0,\n"
        b"-12,08,,2,x,1,2,\n"
        b"123456789012345678,9,-3,3,3,2,3,\n"
    )
    found, back = read(content, "csv")
    assert kinds(found) == {
        "plain": "integer", "zeros": "text", "gaps": "integer", "plus": "text", "mixed": "text", "long": "text",
        "float": "text", "none": "text",
    }  # fmt: skip
    assert [row.get("gaps") for row in back] == [5, None, -3]
    assert [row["zeros"] for row in back] == ["007", "08", "9"]
    assert [row["plain"] for row in back] == [0, -12, 123456789012345678]
    assert [row["none"] for row in back] == ["", "", ""]
    assert (found.columns["gaps"].filled, found.columns["none"].filled) == (2, 0)


def test_a_row_that_is_refused_does_not_make_a_column_text(read):
    found, back = read(b"a,b\n1,2\nx\n3,4\n", "csv")
    assert (found.refused, back) == (1, [{"a": 1, "b": 2}, {"a": 3, "b": 4}])


def test_a_file_without_a_header_takes_the_names_that_are_given(read):
    assert read(b'"3","a, b"\n"4","c"\n', "csv", columns=("label", "text"))[1] == [
        {"label": 3, "text": "a, b"},
        {"label": 4, "text": "c"},
    ]


def test_a_quote_in_tsv_is_a_character(read):
    content = b'id\ttext\n1\t"quoted"\n2\topen " one\n3\t"never closed\n'
    assert [row["text"] for row in read(content, "tsv")[1]] == ['"quoted"', 'open " one', '"never closed']


def test_after_a_quote_that_is_not_right_the_next_line_is_read_as_itself(read):
    found, back = read(b'id,text\n1,"a" b\n2,two\n3,"x"y"\n4,four\n', "csv")
    assert [problem.row for problem in found.problems] == [1, 3]
    assert [row["text"] for row in back] == ["two", "four"]


def test_hostile_names_of_columns_are_names(read):
    names = ["<script>alert(1)</script>", 'say "so"', "a.b", "answer_choices", "ID", "id", "; DROP TABLE", "键"]
    into = io.StringIO()
    csv.writer(into).writerows([names, [f"v{n}" for n in range(len(names))]])
    assert read(into.getvalue().encode(), "csv")[1] == [{name: f"v{n}" for n, name in enumerate(names)}]


def test_gzip_is_known_by_its_bytes(read):
    assert read(gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n"), "csv")[1] == [
        {"a": 1, "b": 2},
        {"a": 3, "b": 4},
    ]


# --- Parquet ----------------------------------------------------------------------------------------------------------


def test_a_parquet_row_comes_back_with_times_and_decimals_as_text(read):
    moment = datetime(2024, 2, 29, 12, 30, 15, 250000, tzinfo=UTC)
    columns = {
        "text": pa.array(["a", None, "键"]),
        "large_text": pa.array(["a", "b", "c"], pa.large_string()),
        "view": pa.array(["a", "b", None], pa.string_view()),
        "label": pa.array(["x", "y", "x"]).dictionary_encode(),
        "small": pa.array([1, None, 3], pa.int8()),
        "unsigned": pa.array([1, 2, 2**63 - 1], pa.uint64()),
        "half": pa.array([1.5, None, float("nan")], pa.float16()),
        "x": pa.array([0.1, float("nan"), None]),
        "yes": pa.array([True, None, False]),
        "price": pa.array([Decimal("1.50"), None, Decimal("-2.00")], pa.decimal128(10, 2)),
        "day": pa.array([date(2024, 2, 29), None, None]),
        "at": pa.array([moment, None, None], pa.timestamp("ns", "UTC")),
        "clock": pa.array([time(1, 2, 3), None, None], pa.time64("us")),
        "nothing": pa.array([None, None, None], pa.null()),
        "list": pa.array([["a", None], [], None]),
        "labels": pa.array([["x"], ["y", "x"], None], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
        "object": pa.array([{"n": 1, "at": moment}, None, {"n": None, "at": None}]),
        "deep": pa.array([[[{"d": Decimal("1.5")}]], None, None]),
    }
    found, back = read(parquet(columns), "parquet")
    assert back == [
        {
            "text": "a", "large_text": "a", "view": "a", "label": "x", "small": 1, "unsigned": 1, "half": 1.5, "x": 0.1,
            "yes": True, "price": "1.50", "day": "2024-02-29", "at": "2024-02-29 12:30:15.250000000Z",
            "clock": "01:02:03.000000", "list": ["a", None], "labels": ["x"],
            "object": {"n": 1, "at": "2024-02-29 12:30:15.250000Z"}, "deep": [[{"d": "1.5"}]],
        },
        {
            "large_text": "b", "view": "b", "label": "y", "unsigned": 2, "list": [], "labels": ["y", "x"],
        },
        {
            "text": "键", "large_text": "c", "label": "x", "small": 3, "unsigned": 2**63 - 1, "yes": False,
            "price": "-2.00", "object": {"n": None, "at": None},
        },
    ]  # fmt: skip
    assert list(found.columns) == list(columns)
    assert kinds(found)["nothing"] == "text"


def test_what_has_no_form_as_text_is_named_with_its_column(read):
    kinds_without = [
        pa.binary(), pa.binary(16), pa.duration("s"), pa.map_(pa.string(), pa.int64()),
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]), pa.list_(pa.binary()),
    ]  # fmt: skip
    for kind in kinds_without:
        with pytest.raises(Unreadable, match=r"Column “odd” holds .*, which has no form as text"):
            read(parquet({"id": [1], "odd": pa.array([None], kind)}), "parquet")


def test_rows_of_parquet_keep_their_order_over_batches_and_row_groups(read):
    found, back = read(parquet({"n": list(range(3001))}, row_group_size=700), "parquet")
    assert [row["n"] for row in back] == list(range(3001))
    assert found.rows == 3001


# --- Many rows --------------------------------------------------------------------------------------------------------


def test_of_many_refused_rows_the_first_thousand_are_kept_and_all_are_left_out(read):
    found, back = read(b"".join(b'{"n": %d}\n%s' % (n, b"broken\n" if n % 3 else b"") for n in range(3000)), "jsonl")
    assert (found.rows, found.refused, len(found.problems), found.taken) == (5000, 2000, 1000, 3000)
    assert [row["n"] for row in back] == list(range(3000))


def test_batches_end_by_rows_or_by_bytes(read, monkeypatch, tmp_path):
    monkeypatch.setattr(tables, "BATCH_ROWS", 10)
    monkeypatch.setattr(tables, "BATCH_BYTES", 1000)
    path = tmp_path / "file"
    path.write_bytes(jsonl(*[{"x": "y" * (400 if n < 6 else 1)} for n in range(29)]))
    reading = Reading("jsonl")
    sizes = [table.num_rows for table in batches(path, reading, survey(path, reading))]
    assert sizes == [3, 3, 10, 10, 3]


MEASURE = """
import sys
from pathlib import Path
import django
django.setup()
from curation.reading import Reading, Unreadable, batches, survey
path, reading = Path(sys.argv[2]), Reading(sys.argv[1])
try:
    found = survey(path, reading)
    taken = 0 if found.refused else sum(table.num_rows for table in batches(path, reading, found))
    print(found.rows, "rows,", taken, "taken", found.problems[:1])
except Unreadable as error:
    print(error)
print([line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1])
"""


def megabytes_and_words(file_format: str, path: Path) -> tuple[float, str]:
    """The most memory that a process of its own takes to read a file, and what it says of it."""
    command = [sys.executable, "-c", MEASURE, file_format, str(path)]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    *_said, last, peak = done.stdout.strip().splitlines()
    return int(peak) / 1024, last


@pytest.fixture
def small_file(tmp_path) -> Path:
    path = tmp_path / "small"
    path.write_bytes(b'"a"\n')
    return path


@pytest.mark.parametrize(
    ("file_format", "begins", "says"),
    [
        ("jsonl", b"", "over 4 MB"),
        ("csv", b"", "header line"),
        ("csv", b"a\n", "over 4 MB"),
    ],
)
def test_a_line_of_a_gigabyte_in_a_megabyte_of_gzip_takes_no_memory(tmp_path, small_file, file_format, begins, says):
    packed = gzip.compress(b"0" * 2**24, mtime=0)
    bomb = tmp_path / "bomb"
    bomb.write_bytes((gzip.compress(begins) if begins else b"") + packed * 64)
    usual, _ = megabytes_and_words(file_format, small_file)
    peak, said = megabytes_and_words(file_format, bomb)
    assert says in said
    assert peak < usual + 80


@pytest.mark.parametrize("inside", [b"plain text, and so on\n", b'1,"two\nlines"\n'])
def test_a_quote_that_is_open_for_100_megabytes_takes_no_memory(tmp_path, small_file, inside):
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.write(b'id,text\n1,"never closed\n')
        for _ in range(100):
            file.write(inside * (2**20 // len(inside)))
    usual, _ = megabytes_and_words("csv", small_file)
    peak, said = megabytes_and_words("csv", path)
    assert "Problem(row=1" in said
    assert peak < usual + 80


def test_a_parquet_file_that_says_one_long_text_many_times_takes_bounded_memory(tmp_path, small_file):
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), pa.array(["x" * 4_000_000]))
    path = tmp_path / "file"
    path.write_bytes(parquet({"text": texts, "n": list(range(1000))}))
    assert path.stat().st_size < 1_000_000  # and 4 GB unfolded
    usual, _ = megabytes_and_words("csv", small_file)
    peak, said = megabytes_and_words("parquet", path)
    assert "1000 rows, 1000 taken" in said
    assert peak < usual + 1000
