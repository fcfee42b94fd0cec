"""What is found in rows before a trainer sees them: faults, texts that look like dates, and lengths."""

import json
import math

import orjson
import pytest
from django.utils import translation

from curation.exporting.checking import EDGES, REASONS, RESERVED, DateWatch, Lengths, Unfit, fault
from curation.exporting.deriving import SHARED
from curation.exporting.kinds import KINDS
from curation.exporting.records import Options

USER = {"role": "user", "content": "Why does ice float?"}
GOOD = {"role": "assistant", "content": "It is lighter than water."}
BAD = {"role": "assistant", "content": "It does not."}
SYSTEM = {"role": "system", "content": "Be brief."}
LONE = "half \ud83d of a smile"


def shared(**more):
    return {
        "row_id": "p/1", "annotations": [1], "annotators": ["ann-1"], "prompt_id": "p", "split_group": "g", "task": "t",
        "language": "en", **more,
    }  # fmt: skip


def preference(**changes):
    return shared(prompt=[USER], chosen=[GOOD], rejected=[BAD], weight=1.0, rank_gap=None, **changes)


def unpaired(**changes):
    return shared(prompt=[USER], completion=[GOOD], label=True, weight=1.0) | changes


def rating(**changes):
    return shared(prompt=[USER], completion=[GOOD], attribute="truth", value=4.0, label=None) | changes


def ranking(**output):
    outputs = [{"text": text, "model": None, "tier": 1, "known": True, "acceptable": None} for text in ("a", "b")]
    outputs[1] |= output
    return shared(prompt=[USER], completions=outputs)


def reason(kind, row):
    found = fault(kind, row)
    return found.reason if found else ""


def test_rows_without_a_fault_pass():
    assert fault("preference", preference()) is None
    assert fault("preference", preference(soft_label=0.0)) is None
    assert fault("preference", preference(soft_label=1, margin=0.5)) is None
    assert fault("unpaired", unpaired(label=False)) is None
    assert fault("sft", {"prompt": [SYSTEM, USER, GOOD, USER], "completion": [GOOD], "instance": "d@1/t@1#1"}) is None
    assert fault("rating", rating(completion=[])) is None  # about the task
    assert fault("violation", shared(prompt=[USER], completion=[], rule="r@1", spans=[])) is None
    assert fault("prompt", shared(prompt=[USER])) is None
    assert fault("ranking", ranking(text="", tier=None)) is None


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ([], "no_turns"),
        (None, "no_turns"),
        ([SYSTEM], "roles"),
        ([GOOD], "roles"),
        ([USER, USER], "roles"),
        ([USER, GOOD], "roles"),
        ([USER, SYSTEM, USER], "roles"),
        ([USER, GOOD, SYSTEM, USER], "roles"),
        ([SYSTEM, SYSTEM, USER], "roles"),
        ([{"role": "tool", "content": "x"}], "roles"),
        ([{"role": None, "content": "x"}], "roles"),
        ([{"role": "user", "content": None}], "empty"),
        ([{"role": "user", "content": " \n"}], "empty"),
        ([{"role": "user"}], "empty"),
        ([{"role": "system", "content": ""}, USER], "empty"),
        ([{"role": "user", "content": LONE}], "surrogate"),
        ([{"role": "user", "content": "a\0b"}], "nul"),
    ],
)
@pytest.mark.parametrize("kind", ["sft", "preference", "unpaired", "rating", "prompt"])
def test_a_conversation_is_turns_of_user_and_assistant_with_something_in_each(kind, prompt, expected):
    row = {
        "sft": unpaired(),
        "preference": preference(),
        "unpaired": unpaired(),
        "rating": rating(),
        "prompt": shared(),
    }
    assert reason(kind, row[kind] | {"prompt": prompt}) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([], "completion"),
        (None, "completion"),
        ([USER], "completion"),
        ([GOOD, GOOD], "completion"),
        ([USER, GOOD], "completion"),  # the prompt again: a reward model would learn it twice
        ([{"role": "assistant", "content": None}], "empty"),
        ([{"role": "assistant", "content": ""}], "empty"),
        ([{"role": "assistant", "content": LONE}], "surrogate"),
    ],
)
def test_an_answer_is_one_turn_of_the_assistant(answer, expected):
    assert reason("sft", {"prompt": [USER], "completion": answer}) == expected
    assert reason("unpaired", unpaired(completion=answer)) == expected
    for side in ("chosen", "rejected"):
        assert reason("preference", preference() | {side: answer}) == expected
    assert reason("rating", rating(completion=answer)) == (expected if answer else "")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("weight", None), ("weight", 0.0), ("weight", -1.0), ("weight", math.nan), ("weight", math.inf),
        ("margin", None), ("margin", 0), ("margin", 0.0), ("margin", -1.0), ("margin", math.nan), ("margin", math.inf),
        ("soft_label", None), ("soft_label", -0.1), ("soft_label", 1.1), ("soft_label", math.nan),
    ],
)  # fmt: skip
def test_a_number_that_goes_into_the_loss_is_one(column, value):
    assert reason("preference", preference() | {column: value}) == column


def test_chosen_and_rejected_differ():
    assert reason("preference", preference() | {"rejected": [GOOD]}) == "same"


@pytest.mark.parametrize("label", [None, 1, 0, "true"])
def test_the_label_of_an_unpaired_row_is_true_or_false(label):
    assert reason("unpaired", unpaired(label=label)) == "label"
    assert reason("rating", rating(label="yes")) == ""  # there it is a choice


@pytest.mark.parametrize("name", ["labels", "image", "images", "input_ids", "chosen_ids", "messages", "tools"])
def test_a_name_that_trainers_read_as_something_else_is_a_fault(name):
    assert reason("preference", preference(**{name: None})) == "reserved"


def test_no_column_of_any_kind_is_reserved():
    asked = [
        Options(unit, "q", ties, margin)
        for unit in ("judgement", "consensus")
        for ties, margin in (("drop", ""), ("soft", ""), ("drop", "strength"))
    ]
    names = {name for kind in KINDS.values() for options in asked for name in kind.schema(options).names}
    assert {column.name for column in SHARED} < names
    assert names & RESERVED == set()


def test_what_no_file_can_hold_is_found_however_deep_it_is_and_named():
    found = fault("ranking", ranking(text=LONE))
    assert (found.reason, found.about) == ("surrogate", {"where": "completions[1].text"})
    assert reason("ranking", ranking(model="m\0")) == "nul"
    assert reason("rating", rating(value=math.nan)) == "number"
    assert reason("preference", preference(annotator=LONE)) == "surrogate"
    assert str(fault("preference", preference() | {"chosen": [GOOD | {"content": "a\0"}]})).startswith(
        "chosen[0].content holds a NUL character"
    )


def test_a_lone_surrogate_is_found_because_the_writer_could_not_write_it():
    row = preference() | {"chosen": [GOOD | {"content": LONE}]}
    with pytest.raises(TypeError):
        orjson.dumps(row)
    assert reason("preference", row) == "surrogate"
    mended = json.loads(json.dumps(row).replace("\\ud83d", "\\ud83d\\ude00"))
    assert fault("preference", mended) is None


def test_raw_judgements_are_kept_as_they_were_said_unless_no_file_can_hold_them():
    row = {"prompt": [USER, USER], "outputs": [{"sha256": "0", "name": "a", "text": "", "models": []}], "answers": "[]"}
    assert fault("judgement", row) is None
    assert reason("judgement", row | {"answers": LONE}) == "surrogate"


def test_every_reason_has_a_sentence_that_its_parameters_fill():
    about = {"where": "prompt[0]", "role": "user", "tokens": 9, "most": 8, "marker": "Human:"}
    for one in REASONS:
        assert "%" not in str(Unfit(one, **about))
    with translation.override("en"):
        assert translation.gettext(Unfit("same").says) == REASONS["same"]


# --- Dates ------------------------------------------------------------------------------------------------------------


def finding(*rows, part=None, sizes=0):
    watch = DateWatch(part) if part else DateWatch()
    for row in rows:
        watch.see(row, sizes)
    return watch.finding()


@pytest.mark.parametrize(
    ("text", "is_date"),
    [
        ("2024-01-02", True), ("2024-01-02 03:04:05", True), ("2024-01-02T03:04", True), ("2024-01-02T03Z", True),
        ("2024-01-02T03:04:05+01:00", True), ("2024-01-02T03:04:05+0100", True),
        ("2024-01-02T03:04:05.1", False), ("2024-1-2", False), ("20240102", False), ("2024-01", False), ("2024", False),
        ("2024-13-02", False), ("2024-01-02T24:00:00", False), (" 2024-01-02", False), ("2024-01-02\n", False),
        ("2024-01-02t03:04", False), ("2024-01-02z", False), ("٢٠٢٤-01-02", False), ("", False), ("03:04:05", False),
    ],
)  # fmt: skip
def test_what_a_date_is(text, is_date):
    """tests/trainers/test_formats.py asks Arrow itself."""
    assert finding({"said": text}) == (["said"] if is_date else [])


def test_dates_are_found_where_all_values_of_a_path_are_dates():
    rows = [
        {"day": "2024-01-02", "mixed": "2024-01-02", "turns": [{"role": "user", "content": "2024-01-02"}], "n": 1},
        {"day": None, "mixed": "never", "turns": [], "n": 2},
        {"day": "2024-01-03", "mixed": "2024-01-03", "turns": [{"role": "user", "content": "2024-01-03"}], "n": 3},
    ]
    assert finding(*rows) == ["day", "turns[].content"]
    assert finding(
        *rows, {"turns": [{"role": "user", "content": "2024-01-04"}, {"role": "user", "content": "no"}]}
    ) == ["day"]
    assert finding({"day": None, "turns": []}) == []
    assert finding() == []


def test_a_column_that_is_empty_at_first_is_still_looked_at():
    assert finding({"history": []}, {"history": [["2024-01-02", "2024-01-03"]]}) == ["history[][]"]
    assert finding(
        {"lang": None, "one": {"a": "x", "b": None}}, {"lang": "en", "one": {"a": "x", "b": "2024-01-02"}}
    ) == ["one.b"]


def test_a_part_of_the_file_that_has_nothing_but_dates_is_found():
    """`datasets` reads more than `part` bytes, up to the end of a line, at a time."""
    text, date = {"said": "x"}, {"said": "2024-01-02"}
    assert finding(text, text, date, part=19, sizes=10) == ["said"]
    assert finding(text, text, date, part=20, sizes=10) == []  # the third line is in the first part
    assert finding(text, text, date, date, part=20, sizes=10) == ["said"]
    assert finding(text, text, date, text, date, part=20, sizes=10) == []
    assert finding(date, date, text, text, part=19, sizes=10) == ["said"]


def test_the_watch_keeps_no_rows():
    watch = DateWatch()
    for number in range(1000):
        watch.see({"said": f"text {number}", "day": "2024-01-02"}, 40)
    assert watch.finding() == ["day"]
    assert len(vars(watch)) == 5
    assert not any(len(value) > 2 for value in vars(watch).values() if hasattr(value, "__len__"))


# --- Lengths ----------------------------------------------------------------------------------------------------------


def row_of(*lengths):
    prompt, *answers = ("x" * length for length in lengths)
    chosen, rejected = ([{"role": "assistant", "content": answer}] for answer in answers)
    return {"prompt": [{"role": "user", "content": prompt}], "chosen": chosen, "rejected": rejected}


def test_a_row_is_as_long_as_its_prompt_and_the_longest_answer():
    lengths = Lengths()
    for row in (row_of(10, 6, 2), row_of(10, 2, 7), row_of(1000, 24, 1), row_of(1000, 25, 1), row_of(4000, 200_000, 1)):
        assert lengths.add("preference", row) is None
    found = lengths.as_dict()
    assert list(found) == ["characters"]
    characters = found["characters"]
    assert characters["edges"] == [
        16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072,
    ]  # fmt: skip
    assert characters["counts"] == [1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1]
    assert (characters["rows"], characters["max"]) == (5, 204_000)
    assert characters["share_over"] == {"1024": 0.4, "2048": 0.2, "4096": 0.2}


@pytest.mark.parametrize(
    ("kind", "row", "length"),
    [
        ("sft", {"prompt": [SYSTEM, USER], "completion": [BAD]}, 9 + 19 + 12),
        ("unpaired", unpaired(), 19 + 25),
        ("rating", rating(completion=[]), 19),
        ("prompt", shared(prompt=[USER, GOOD, USER]), 19 + 25 + 19),
        ("ranking", ranking(text="abc"), 19 + 3),
        ("judgement", {"prompt": [USER], "outputs": [{"text": "abcd"}, {"text": ""}]}, 19 + 4),
        ("judgement", {"prompt": [USER], "outputs": []}, 19),
    ],
)
def test_rows_of_every_kind_have_a_length(kind, row, length):
    lengths = Lengths()
    lengths.add(kind, row)
    assert lengths.as_dict()["characters"]["max"] == length


def test_without_rows_there_are_no_shares():
    found = Lengths().as_dict()["characters"]
    assert found["share_over"] == {"1024": 0.0, "2048": 0.0, "4096": 0.0}
    assert found["counts"] == [0] * (len(EDGES) + 1)
