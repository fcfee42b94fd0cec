"""How a CSV or TSV file is written is found in its beginning, with a reason for each answer."""

import pytest

from curation.reading import Reading, find, survey
from curation.reading.dialect import SAMPLE_BYTES, found_in

# what the file says, its format by its name, and what is found: delimiter, quote, header
FOUND = [
    ("text,label\nA film that drags on,0\nA joy to watch,1\n", "csv", ("comma", "double", "yes")),
    ("A film that drags on,0\nA joy to watch,1\n", "csv", ("comma", "double", "no")),
    ('"3","Title, long","A text."\n"4","Other","B text."\n', "csv", ("comma", "double", "no")),
    ("id;text\n1;a, b\n2;c, d, e\n", "csv", ("semicolon", "double", "yes")),
    ("id\ttext\n1\ta, b\n2\tc\n", "csv", ("tab", "none", "yes")),
    ("id,text\n1,a\n2,b\n", "tsv", ("comma", "double", "yes")),
    ("id|text\n1|a\n2|b, c\n", "csv", ("pipe", "double", "yes")),
    ("gj04\t1\t\tOur friends won't buy this.\ngj04\t0\t*\tThe more pat.\n", "tsv", ("tab", "none", "no")),
    ("good\tpositive\nbad\tnegative\nfine\tpositive\ngood\tpositive\n", "tsv", ("tab", "none", "no")),
    ("review\tlabel\ngood\tpositive\nbad\tnegative\n", "tsv", ("tab", "none", "yes")),
    ('text\tn\n"Well," he said\t1\n"never closed\t2\n', "tsv", ("tab", "none", "yes")),
    ('text\tn\n"Hello."\t1\nplain\t2\n', "tsv", ("tab", "none", "yes")),
    ('text\tn\n"with a\ttab"\t1\nplain\t2\n', "tsv", ("tab", "double", "yes")),
    ('text\tn\n"said ""so"""\t1\nplain\t2\n', "tsv", ("tab", "double", "yes")),
    ('"text"\t"n"\n"one"\t"a"\n"two"\t"b"\n', "tsv", ("tab", "double", "yes")),
    ("'text','n'\n'one, or two','1'\n'three','2'\n", "csv", ("comma", "double", "no")),
    ("'text','n'\n'one','1'\n'three','2'\n", "csv", ("comma", "single", "yes")),
    (",text,label\n0,a text,1\n1,another,0\n", "csv", ("comma", "double", "yes")),
    ("text\nhello there\nand again\n", "csv", ("comma", "double", "yes")),
    ("What is the capital of France?\tParis\nWhat is two and two?\tfour\n", "tsv", ("tab", "none", "no")),
    ("问题,答案\n天为什么是蓝的？,散射\n水往哪里流？,低处\n", "csv", ("comma", "double", "yes")),
    ("天为什么是蓝的？,散射\n水往哪里流？,低处\n", "csv", ("comma", "double", "no")),
]


@pytest.mark.parametrize(("text", "file_format", "expected"), FOUND)
def test_what_a_file_is_written_with_is_found_and_has_a_reason(text, file_format, expected):
    answers = found_in(text, True, file_format, {})
    assert tuple(answers[name].value for name in ("delimiter", "quote", "header")) == expected
    assert all(answer.reason for answer in answers.values())


@pytest.mark.parametrize(("text", "file_format", "expected"), FOUND)
def test_a_byte_order_mark_and_other_line_ends_change_nothing(text, file_format, expected):
    answers = found_in("\ufeff" + text.replace("\n", "\r\n"), True, file_format, {})
    assert tuple(answers[name].value for name in ("delimiter", "quote", "header")) == expected


def test_what_is_given_is_not_looked_for():
    given = {"delimiter": "semicolon", "quote": "none", "header": "no"}
    answers = found_in("text,label\na,1\n", True, "csv", given)
    assert {name: answer.value for name, answer in answers.items()} == given
    assert {answer.reason for answer in answers.values()} == {"as you chose"}


def test_reasons_name_what_was_seen():
    reasons = {name: answer.reason for name, answer in found_in("gj04\t1\nclc\t0\n", True, "csv", {}).items()}
    assert reasons == {
        "delimiter": "a tab makes 2 fields of 100 % of the rows",
        "quote": "no field begins with a quote; this is usual for the format",
        "header": "“1” in the first line is a number, and no name",
    }


def test_a_row_that_is_cut_by_the_end_of_the_sample_says_nothing(tmp_path):
    """The cut falls into a quoted field with line ends in it, and every row before it has two fields."""
    path = tmp_path / "file.csv"
    rows = "".join(f'"text, {number}\nand more",{number}\n' for number in range(SAMPLE_BYTES // 20))
    path.write_text("text,n\n" + rows)
    assert path.stat().st_size > SAMPLE_BYTES
    found = find(path, "file.csv", Reading("csv", shape=""))
    assert (found.reading.delimiter, found.reading.quote, found.reading.header) == ("comma", "double", "yes")
    assert "100 %" in found.reasons["delimiter"]


def test_a_file_without_names_gets_some_by_their_place(tmp_path):
    path = tmp_path / "file.tsv"
    path.write_text("A text of some length.\t1\nAnother one, too.\t0\n")
    found = survey(path, find(path, "file.tsv", Reading("tsv", shape="")).reading)
    assert {name: column.kind for name, column in found.columns.items()} == {"column_1": "text", "column_2": "integer"}


def test_names_that_are_given_replace_those_of_a_first_line_that_is_said_to_hold_them(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("a,b\nx,y\n")
    assert list(survey(path, Reading("csv", columns=("c", "d"), header="yes")).columns) == ["c", "d"]
    assert survey(path, Reading("csv", columns=("c", "d"))).rows == 2
