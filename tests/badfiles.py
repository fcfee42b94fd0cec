"""Files that no import may take, each with what its message must say. All of them are made here.

`REFUSED` is what a message, and never an error of the server, answers. `nested()` is the odd one that is taken.
"""

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class BadFile:
    """A file's name, how its bytes are made, how it is read, and words that its refusal must have."""

    file_name: str
    build: Callable[[], bytes]
    says: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)  # fields of the model, as `request_import` takes them


def jsonl(*rows: Any) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def good_rows(count: int = 50) -> list[dict[str, Any]]:
    return [{"id": f"r{number}", "text": f"Text {number}", "label": number % 3} for number in range(1, count + 1)]


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    into = io.BytesIO()
    pq.write_table(pa.table(columns), into, **options)
    return into.getvalue()


def nested(levels: int) -> dict[str, Any]:
    """A row whose value is an object in an object, so many levels deep, with lists, texts and an absent key."""
    value: Any = {"end": ["a", 1, 2.5, True, None, "键"]}
    for level in range(levels - 1):
        value = {"level": level, "inside": value, "list": [{"x": 1}, {"y": None}]}
    return {"id": "deep", "value": value}


def _workbook() -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return into.getvalue()


def _middle_broken() -> bytes:
    lines = jsonl(*good_rows(21)).splitlines(keepends=True)
    lines[10] = b'{"id": "r11", "text": "cut o\n'
    return b"".join(lines)


def _damaged_gzip() -> bytes:
    packed = bytearray(gzip.compress(jsonl(*good_rows(500)), mtime=0))
    packed[-6] ^= 0xFF  # the check sum
    return bytes(packed)


BIG = "x" * 5_000_000

# The first nine are those that every import page gets sooner or later.
REFUSED: dict[str, BadFile] = {
    "empty": BadFile("rows.jsonl", lambda: b"", ("is empty", "no bytes", "Was it saved")),
    "truncated gzip": BadFile(
        "rows.jsonl.gz",
        lambda: gzip.compress(jsonl(*good_rows(5000)), mtime=0)[:-200],
        ("gzip", "cut off", "Download or pack it again"),
    ),
    "ragged row": BadFile(
        "rows.csv",
        lambda: b"id,text,label\n1,one,a\n2,two\n3,three,c\n",
        ("1 of 3 rows", "row 2, column label", "2 fields, the columns are 3: id, text, label", "Add what is missing"),
    ),
    "broken line": BadFile(
        "rows.jsonl", _middle_broken, ("1 of 21 rows", "row 11", "not JSON", "One whole object a line")
    ),
    "latin-1": BadFile(
        "rows.csv",
        lambda: "id,text\n1,plain\n2,café\n".encode("latin-1"),
        ("row 2, column text", "byte 0xE9 is not UTF-8", "Choose the file's own encoding"),
    ),
    "duplicate ids": BadFile(
        "rows.jsonl",
        lambda: jsonl(*good_rows(5), {"id": "r2", "text": "again", "label": 1}, {"id": "r2", "text": "x", "label": 2}),
        ("2 of 7 rows", "row 6, column id", "“r2” is the id of row 2 too", "Each row needs its own"),
        {"id_column": "id"},
    ),
    "row of 5 MB": BadFile(
        "rows.jsonl",
        lambda: jsonl(*good_rows(2), {"id": "big", "text": BIG, "label": 1}, *good_rows(2)),
        ("1 of 5 rows", "row 3", "over 4 MB", "cut it, or split it"),
    ),
    "text, then a list": BadFile(
        "rows.jsonl",
        lambda: jsonl({"id": 1, "tags": "a, b"}, {"id": 2, "tags": "c"}, {"id": 3, "tags": ["a", "b"]}),
        ("row 3, column tags", "a list here and text in row 1", "one kind of value"),
    ),
    "nested over 50 levels": BadFile(
        "rows.jsonl", lambda: jsonl(nested(60)), ("row 1, column value", "over 50 levels deep", "Flatten it")
    ),
    # What else comes.
    "row of 5 MB in CSV": BadFile(
        "rows.csv", lambda: f"id,text\n1,a\n2,{BIG}\n3,c\n".encode(), ("row 2", "over 4 MB", "Is a quote opened")
    ),
    "row of 5 MB in characters of three bytes": BadFile(
        "rows.csv", lambda: f"id,text\n1,a\n2,{'键' * 1_700_000}\n3,c\n".encode(), ("row 2", "over 4 MB")
    ),
    "row of 5 MB in short lines": BadFile(
        "rows.csv", lambda: b'id,text\n1,a\n2,"' + b"line\n" * 1_000_000 + b'"\n3,c\n', ("row 2", "over 4 MB")
    ),
    "row of 5 MB in Parquet": BadFile(
        "rows.parquet", lambda: parquet({"id": [1, 2, 3], "text": ["a", "b", BIG]}), ("row 3", "over 4 MB")
    ),
    "row of 5 MB in a list in Parquet": BadFile(
        "rows.parquet", lambda: parquet({"id": [1], "texts": [["y" * 1000] * 5000]}), ("row 1", "over 4 MB")
    ),
    "empty CSV": BadFile("rows.csv", lambda: b"", ("is empty",)),
    "empty Parquet": BadFile("rows.parquet", lambda: b"", ("is empty",)),
    "empty in gzip": BadFile("rows.csv.gz", lambda: gzip.compress(b""), ("is empty",)),
    "header only": BadFile("rows.csv", lambda: b"id,text\n", ("holds no rows", "nothing after its header")),
    "blank lines only": BadFile("rows.jsonl", lambda: b"\n \n\r\n\n", ("holds no rows", "blank lines")),
    "no rows in Parquet": BadFile(
        "rows.parquet", lambda: parquet({"id": pa.array([], pa.int64())}), ("holds no rows",)
    ),
    "damaged gzip": BadFile("rows.jsonl.gz", _damaged_gzip, ("damaged", "Download or pack it again")),
    "gzip twice": BadFile(
        "rows.jsonl.gz", lambda: gzip.compress(gzip.compress(jsonl(*good_rows()))), ("twice", "Unpack it once")
    ),
    "truncated Parquet": BadFile(
        "rows.parquet", lambda: parquet({"id": list(range(9999))})[:-300], ("Parquet", "cut off", "Download")
    ),
    "damaged Parquet": BadFile(
        "rows.parquet",
        lambda: (whole := parquet({"id": [f"row {n}" for n in range(9999)]}))[:2000] + b"\xff" * 9000 + whole[11000:],
        ("damaged", "Download or write it again"),
    ),
    "Parquet in gzip": BadFile(
        "rows.parquet.gz", lambda: gzip.compress(parquet({"id": [1]})), ("packed with gzip", "unpack the file")
    ),
    "text called Parquet": BadFile("rows.parquet", lambda: jsonl(*good_rows()), ("no Parquet file", "Choose")),
    "Parquet called CSV": BadFile("rows.csv", lambda: parquet({"id": [1]}), ("is a Parquet file", "choose Parquet")),
    "binary column": BadFile(
        "rows.parquet",
        lambda: parquet({"id": [1], "image": [b"\x89PNG"]}),
        ("“image” holds binary", "Leave it out, or cast it"),
    ),
    "infinite number": BadFile(
        "rows.parquet", lambda: parquet({"x": [1.0, float("inf")]}), ("row 2, column x", "infinite", "Write a finite")
    ),
    "unsigned over 63 bits": BadFile(
        "rows.parquet",
        lambda: parquet({"x": pa.array([1, 2**63], pa.uint64())}),
        ("row 2, column x", "9223372036854775808 is over 64 bits", "Write it as text"),
    ),
    "whole number over 64 bits": BadFile(
        "rows.jsonl",
        lambda: b'{"x": 1}\n{"x": 123456789012345678901234567890}\n',
        ("row 2, column x", "123456789012345678901234567890 is over 64 bits", "Write it as text"),
    ),
    "whole number over 64 bits inside": BadFile(
        "rows.jsonl",
        lambda: b'{"x": {"ids": [1, -18446744073709551616]}}\n',
        ("row 1, column x", "-18446744073709551616 is over 64 bits"),
    ),
    "whole number that a fraction would round": BadFile(
        "rows.jsonl",
        lambda: jsonl({"x": 9007199254740993}, {"x": 0.5}),
        ("row 2, column x", "in row 1, a whole one that is too large", "Write them as text"),
    ),
    "NUL": BadFile("rows.jsonl", lambda: jsonl({"x": "a"}, {"x": "b\x00"}), ("row 2, column x", "NUL", "Remove it")),
    "NUL in a key": BadFile("rows.jsonl", lambda: jsonl({"a": 1, "b\x00": 2}), ("row 1, column b�", "NUL")),
    "NUL in CSV": BadFile("rows.csv", lambda: b"id,text\n" + b"1,a\n" * 20 + b"2,b\x00\n", ("row 21, column text", "NUL")),
    "half a pair of surrogates": BadFile("rows.jsonl", lambda: b'{"x": "\\ud83d"}\n', ("row 1", "not JSON")),
    "one JSON array": BadFile(
        "rows.jsonl", lambda: json.dumps(good_rows(), indent=1).encode(), ("one JSON array", "choose JSON")
    ),
    "one JSON array in one line": BadFile(
        "rows.jsonl", lambda: json.dumps([{"text": "x" * 1000}] * 5000).encode(), ("one JSON array", "choose JSON")
    ),
    "no object": BadFile("rows.jsonl", lambda: jsonl({"x": 1}, ["x"]), ("row 2", "no object", "Each line must be one")),
    "latin-1 in JSONL": BadFile(
        "rows.jsonl", lambda: jsonl({"x": "plain"}) + '{"x": "café"}\n'.encode("latin-1"), ("row 2", "byte 0xE9")
    ),
    "latin-1 in a column's name": BadFile(
        "rows.csv", lambda: "id,prénom\n1,x\n".encode("latin-1"), ("Column 2", "byte 0xE9 is not UTF-8", "Choose")
    ),
    "UTF-8 as GB 18030": BadFile(
        "rows.jsonl", lambda: jsonl({"x": "a — b"}), ("row 1", "is not GB18030"), {"encoding": "gb18030"}
    ),
    "UTF-8 with its mark as latin-1": BadFile(
        "rows.csv", lambda: b"\xef\xbb\xbfid\n1\n", ("is UTF-8", "Choose that"), {"encoding": "latin-1"}
    ),
    "UTF-16": BadFile("rows.csv", lambda: "id,text\n1,x\n".encode("utf-16"), ("UTF-16", "Save it as UTF-8")),
    "UTF-16 without a mark": BadFile(
        "rows.jsonl", lambda: '{"x": 1}\n'.encode("utf-16-le"), ("UTF-16", "Save it as UTF-8")
    ),
    "Excel called CSV": BadFile("rows.csv", _workbook, ("Excel", "save the sheet as CSV")),
    "web page": BadFile("rows.csv", lambda: b"<!DOCTYPE html>\n<p>Log in first", ("web page", "Download")),
    "pointer of Git": BadFile(
        "rows.csv", lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", ("git lfs pull",)
    ),
    "semicolons, read with commas": BadFile(
        "rows.csv", lambda: b"id;text\n1;a, b\n", ("“id;text”", "between its fields: a semicolon"), {"delimiter": "comma", "header": "yes"}
    ),
    "tabs, read with commas": BadFile(
        "rows.csv", lambda: b"id\ttext\n1\ta, b\n", ("between its fields: a tab",), {"delimiter": "comma", "header": "yes"}
    ),
    "commas, read with tabs": BadFile(
        "rows.tsv", lambda: b"id,text\n1,a\n", ("between its fields: a comma",), {"delimiter": "tab", "header": "yes"}
    ),
    "too many fields": BadFile(
        "rows.csv", lambda: b"id,text\n1,one, two\n", ("row 1:", "3 fields, the columns are 2", "needs quotes")
    ),
    "quote that never closes": BadFile(
        "rows.csv", lambda: b'id,text\n1,"one\n2,two\n3,three\n', ("row 1", "never closed", "Close it")
    ),
    "quote in a quoted field": BadFile(
        "rows.csv", lambda: b'id,text\n1,"a "b" c"\n', ("row 1", "quotes are not right", "is doubled")
    ),
    "header too long": BadFile("rows.csv", lambda: BIG.encode(), ("header line", "over 4 MB")),
    "two columns of a name": BadFile("rows.csv", lambda: b"id,text,id\n1,a,2\n", ("Two columns", "“id”", "Rename")),
    "column without a name": BadFile("rows.csv", lambda: b"id,,text\n1,2,3\n", ("Column 2", "no name", "Give it")),
    "key without a name": BadFile("rows.jsonl", lambda: jsonl({"a": 1}, {"": 2}), ("row 2", "no name")),
    "column with a long name": BadFile("rows.csv", lambda: b"x" * 300 + b",b\n1,2\n", ("Column 1", "over 200", "Shorten")),
    "key with a long name": BadFile("rows.jsonl", lambda: jsonl({"x" * 300: 1}), ("row 1", "over 200", "Shorten")),
    "column of ours": BadFile("rows.csv", lambda: b"_row,text\n1,a\n", ("Column 1", "“_row”", "Rename")),
    "key of ours": BadFile("rows.jsonl", lambda: jsonl({"_row": 1}), ("row 1", "“_row”", "Rename")),
    "1,001 columns": BadFile(
        "rows.csv",
        lambda: (",".join(f"c{n}" for n in range(1001)) + "\n" + ",".join("1" * 1001) + "\n").encode(),
        ("over 1000 columns", "Give each row the same"),
    ),
    "1,001 keys": BadFile(
        "rows.jsonl", lambda: jsonl(*[{f"key {n}": n} for n in range(1001)]), ("over 1000 columns", "Are the keys data")
    ),
    "id missing": BadFile(
        "rows.csv", lambda: b"id,text\n1,a\n,b\n", ("row 2, column id", "id is missing"), {"id_column": "id"}
    ),
    "no such id column": BadFile(
        "rows.jsonl", lambda: jsonl(*good_rows()), ("no column “key”", "id, text, label"), {"id_column": "key"}
    ),
    "no such group column": BadFile(
        "rows.csv", lambda: b"id,text\n1,a\n", ("no column “story”", "id, text"), {"group_column": "story"}
    ),
}  # fmt: skip
