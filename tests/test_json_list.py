"""JSON that is one list, or an object that holds one: item by item, with a bounded part of the file in memory."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.reading import Problem, Reading, Unreadable, find, json_list, preview, survey
from tests.test_reading import megabytes_and_words


@pytest.fixture
def read(tmp_path):
    def read_bytes(content: bytes, **options: Any) -> list[Any]:
        path = tmp_path / "file"
        path.write_bytes(content)
        rows = preview(path, Reading("json", **options), 100_000)
        return [row if isinstance(row, Problem) else row.values for row in rows]

    return read_bytes


ROWS = [
    {"text": 'say "so", {then} [go]', "n": 1},
    {"text": "back\\slash\\", "list": [1, [2, {"a": "]"}]], "more": {"k": None}},
    {"text": "键 \u2028 😀 \n\t", "x": 0.1, "yes": True},
]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 1_000_000])
@pytest.mark.parametrize("options", [{}, {"indent": 2}, {"ensure_ascii": False}, {"separators": (",", ":")}])
def test_items_come_back_whatever_the_spaces_and_wherever_a_chunk_ends(read, monkeypatch, chunk, options):
    monkeypatch.setattr(json_list, "CHUNK", chunk)
    assert read(json.dumps(ROWS, **options).encode()) == ROWS
    assert read(b"\xef\xbb\xbf \n" + json.dumps(ROWS, **options).encode() + b"\n ") == ROWS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text("ab\"\\[]{},:", max_size=3), inside, max_size=3),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    st.lists(st.dictionaries(st.text('abc"\\[,', min_size=1, max_size=4), JSON, max_size=4), max_size=5),
    st.integers(1, 40),
    st.booleans(),
)
def test_any_list_of_objects_comes_back(read, monkeypatch, rows, chunk, ascii_only):
    monkeypatch.setattr(json_list, "CHUNK", chunk)
    assert read(json.dumps(rows, ensure_ascii=ascii_only).encode()) == rows


def test_what_stands_beside_the_list_belongs_to_each_row(read, monkeypatch):
    monkeypatch.setattr(json_list, "CHUNK", 5)
    content = json.dumps({"version": "1", "data": [{"q": "a"}, {"q": "b", "version": "2"}], "tags": ["x"]})
    assert read(content.encode()) == [
        {"version": "1", "tags": ["x"], "q": "a"},
        {"version": "2", "tags": ["x"], "q": "b"},
    ]


def test_an_object_without_a_list_of_objects_is_a_row(read):
    assert read(b'{"text": "a", "tags": ["x", "y"]}') == [{"text": "a", "tags": ["x", "y"]}]


def test_of_several_lists_the_one_that_a_shape_names_holds_the_rows(read):
    task = {"Definition": "x", "Positive Examples": [{"input": "p"}] * 9, "Instances": [{"input": "a"}, {"input": "b"}]}
    assert [row["input"] for row in read(json.dumps(task).encode())] == ["a", "b"]
    assert read(json.dumps(task).encode())[0]["Positive Examples"] == [{"input": "p"}] * 9


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'[{"a": 1}, {"a": 2}', "ends in the middle"),
        (b'[{"a": "x', "ends in the middle"),
        (b'{"rows": [{"a": 1}', "ends in the middle"),
        (b'[{"a": 1}]\n[{"a": 2}]', "behind the end"),
        (b'{"a": 1}\n{"a": 2}', "choose JSONL"),
        (b'{"train": [{"a": 1}], "test": [{"a": 2}]}', "several lists of objects: train, test"),
        (b"text,label\n", "neither a list nor an object"),
        (b"{1: 2}", "no member of an object"),
        (b'{"beside": {"a": 1e999}, "rows": [{"x": 1}]}', "“beside”"),
        (b"", "is empty"),
    ],
)
def test_what_is_no_json_is_refused_with_a_remedy(read, content, says):
    with pytest.raises(Unreadable, match=says):
        read(content)


def test_a_list_without_items_holds_no_rows(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b" [ ] ")
    with pytest.raises(Unreadable, match="holds no rows"):
        survey(path, Reading("json"))


def test_items_that_cannot_be_taken_are_named_by_their_number(read):
    made = read(b'[{"a": 1}, "text", {"a": nan}, {"b": 1} {"b": 2}, , {"a": 2},]')
    assert [(one.row, one.message.split(".")[0].split(":")[0]) for one in made if isinstance(one, Problem)] == [
        (2, "It is no object"), (3, "It is not JSON"), (4, "It is not JSON"), (5, "It is not JSON"), (7, "It is not JSON"),
    ]  # fmt: skip
    assert [one for one in made if not isinstance(one, Problem)] == [{"a": 1}, {"a": 2}]


def test_an_item_of_five_megabytes_is_left_and_the_next_is_read(read, monkeypatch):
    for chunk in (999, 256 * 1024):
        monkeypatch.setattr(json_list, "CHUNK", chunk)
        large = {"text": '\\"]}' * 700_000, "list": [{}] * 1000}
        made = read(json.dumps([{"a": 1}, large, {"a": 2}]).encode())
        assert (made[0], made[2]) == ({"a": 1}, {"a": 2})
        assert made[1].row == 2 and "over 4 MB" in made[1].message


def test_another_encoding_is_read_when_it_is_chosen(read):
    rows = [{"text": "你好，世界 𠀀"}, {"text": "汉字"}]
    assert read(json.dumps(rows, ensure_ascii=False).encode("gb18030"), encoding="gb18030") == rows
    [one, problem] = read(b'[{"text": "caf\xc3\xa9"}, {"text": "caf\xe9"}]')
    assert one == {"text": "café"} and "byte 0xE9 is not UTF-8" in problem.message
    assert read(b'[{"text": "caf\xe9"}]', encoding="latin-1") == [{"text": "café"}]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'[\n{"a": 1}]', "json"),
        (b'{"a": 1}\n\n{"a": 2}\n', "jsonl"),
        (b'{"a": 1}', "jsonl"),
        (b'{"a": [1, 2]}', "jsonl"),
        (b'{"rows": [{"a": 1}]}', "json"),
        (b'{\n  "a": 1\n}', "json"),
        (b'{broken\n{"a": 1}\n', "jsonl"),
        (gzip.compress(b'[{"a": 1}]', mtime=0), "json"),
    ],
)
def test_a_name_that_ends_in_json_is_a_list_or_lines_as_it_begins(tmp_path, content, expected):
    path = tmp_path / "rows.json"
    path.write_bytes(content)
    found = find(path, "rows.json", Reading("json", shape=""), format_is_certain=False)
    assert (found.reading.format, bool(found.reasons["format"])) == (expected, True)
    assert find(path, "rows.json", Reading("json", shape="")).reading.format == "json"


@pytest.mark.parametrize("begins", [b'[{"x": "', b'{"rows": [{"x": "', b'[{"x": 1}, {"y": ['])
def test_a_gigabyte_in_a_megabyte_of_gzip_takes_no_memory(tmp_path, begins):
    path = tmp_path / "large"
    with gzip.open(path, "wb", compresslevel=1) as packed:
        packed.write(begins)
        for _ in range(400):
            packed.write(b"1," * 500_000 if begins.endswith(b"[") else b"x" * 1_000_000)
    small = tmp_path / "small"
    small.write_bytes(b'[{"x": 1}]')
    usual, _said = megabytes_and_words("json", small)
    peak, said = megabytes_and_words("json", path)
    assert "ends in the middle" in said
    assert peak - usual < 40
