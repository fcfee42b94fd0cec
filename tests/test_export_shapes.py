"""Each shape says what its reader expects, and says what it leaves out. Those readers read it in tests/trainers."""

import io
import json
import re
from types import SimpleNamespace

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotate import oasst as importer
from curation.exporting.checking import Unfit, fault
from curation.exporting.deriving import TURNS
from curation.exporting.kinds import KINDS
from curation.exporting.records import Options
from curation.exporting.shapes import SHAPES, lost, shapes_of
from curation.folder import export_writers

SYSTEM = {"role": "system", "content": "Be brief."}
ASK = {"role": "user", "content": "Why does ice float?"}
SAY = {"role": "assistant", "content": "It is light."}
MORE = {"role": "user", "content": "Lighter\n\nthan what?"}
GOOD = {"role": "assistant", "content": "Than water."}
BAD = {"role": "assistant", "content": " Than air."}

SHARED = {
    "annotations": [4, 7], "annotators": ["ann-1"], "prompt_id": "p", "split_group": "g", "task": "t", "language": "en",
}  # fmt: skip
SFT = {
    "prompt": [SYSTEM, ASK, SAY, MORE], "completion": [GOOD], "instance": "ice@1/why@2#3", "dataset": "ice@1", "row": 3,
    "template": "why@2", "language": "en", "prompt_id": "p", "split_group": "g",
}  # fmt: skip
PAIR = {
    "row_id": "pair/4", "prompt": [SYSTEM, ASK, SAY, MORE], "chosen": [GOOD], "rejected": [BAD], "weight": 0.5,
    "rank_gap": 2, "pair_id": "pair", "question": "better", "margin": 1.0, "soft_label": 0.75, "votes_chosen": 3.0,
    "votes_tie": 0.0, "votes_rejected": 1.0, "confidence": 0.9, "label_source": "votes", "annotation": 4,
    "annotator": "ann-1", **SHARED,
}  # fmt: skip
KTO = {
    "row_id": "out/4", "prompt": [SYSTEM, ASK, SAY, MORE], "completion": [GOOD], "label": False, "weight": 0.5,
    "votes_true": 1, "votes_false": 2, "label_source": "votes", **SHARED,
}  # fmt: skip


def output(text, tier, *, known=True, acceptable=None, model=None):
    return {"text": text, "model": model, "tier": tier, "known": known, "acceptable": acceptable}


RANKING = {
    "row_id": "task/4", "prompt": [ASK, SAY, MORE], "question": "better", "confidence": 0.9, "label_source": "votes",
    "completions": [
        output("Than water.", 2, acceptable=True, model="m-1"), output("Water.", 2), output("Liquid water.", 1),
        output("Than air.", 4, acceptable=False), output("Never.", None), output("Iron.", None, known=False),
    ], **SHARED,
}  # fmt: skip
ROWS = {"sft": SFT, "preference": PAIR, "unpaired": KTO, "ranking": RANKING}


def test_the_shapes_and_what_they_hold():
    assert list(SHAPES) == ["trl", "openai", "llamafactory", "alpaca", "sharegpt", "hh", "oasst"]
    assert shapes_of("sft") == ["trl", "openai", "llamafactory", "alpaca", "sharegpt"]
    assert shapes_of("preference") == ["trl", "openai", "llamafactory", "alpaca", "hh"]
    assert shapes_of("unpaired") == ["trl", "llamafactory"]
    assert shapes_of("ranking") == ["trl", "oasst"]
    for kind in ("rating", "violation", "prompt", "judgement"):
        assert shapes_of(kind) == ["trl"]
    assert [name for name, shape in SHAPES.items() if name != shape.NAME] == []


def test_trl_has_the_row_as_it_is():
    schema = pa.schema([("prompt", TURNS)])
    for kind, row in ROWS.items():
        assert SHAPES["trl"].row(kind, row) == row
        assert SHAPES["trl"].schema(kind, schema) is schema
        assert SHAPES["trl"].file(kind, "test") == "jsonl/test.jsonl"


def test_openai():
    assert SHAPES["openai"].row("sft", SFT) == {
        "messages": [SYSTEM, ASK, SAY | {"weight": 0}, MORE, GOOD],
    }
    assert SHAPES["openai"].row("preference", PAIR) == {
        "input": {"messages": [SYSTEM, ASK, SAY, MORE]}, "preferred_output": [GOOD], "non_preferred_output": [BAD],
    }  # fmt: skip
    assert SHAPES["openai"].file("preference", "train") == "preference/train.jsonl"


def test_llamafactory():
    conversation = [
        {"from": "human", "value": "Why does ice float?"}, {"from": "gpt", "value": "It is light."},
        {"from": "human", "value": "Lighter\n\nthan what?"},
    ]  # fmt: skip
    good, bad = {"from": "gpt", "value": "Than water."}, {"from": "gpt", "value": " Than air."}
    shape = SHAPES["llamafactory"]
    assert shape.row("sft", SFT) == {
        "id": "ice@1/why@2#3", "system": "Be brief.", "conversations": [*conversation, good],
    }  # fmt: skip
    assert shape.row("preference", PAIR) == {
        "id": "pair/4", "system": "Be brief.", "conversations": conversation, "chosen": good, "rejected": bad,
    }  # fmt: skip
    assert shape.row("unpaired", KTO) == {
        "id": "out/4", "system": "Be brief.", "conversations": [*conversation, good], "kto_tag": False,
    }  # fmt: skip
    assert shape.row("unpaired", KTO | {"prompt": [ASK]})["system"] == ""


def test_the_description_for_llamafactory_names_each_split_that_has_rows():
    manifest = {"kind": "preference", "splits": {"train": {"rows": 5}, "test": {"rows": 0}}}
    (info,) = SHAPES["llamafactory"].more(manifest).items()
    assert info[0] == "dataset_info.json"
    assert json.loads(info[1]) == {
        "preference_train": {
            "file_name": "preference/train-00000-of-00001.parquet",
            "formatting": "sharegpt",
            "ranking": True,
            "columns": {
                "messages": "conversations", "system": "system", "chosen": "chosen", "rejected": "rejected",
            },
            "tags": {
                "role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt",
                "observation_tag": "observation", "function_tag": "function_call", "system_tag": "system",
            },
        }
    }  # fmt: skip
    manifest = {"kind": "unpaired", "splits": {"train": {"rows": 5}, "test": {"rows": 1}}}
    found = json.loads(SHAPES["llamafactory"].more(manifest)["dataset_info.json"])
    assert list(found) == ["unpaired_test", "unpaired_train"]
    assert found["unpaired_test"]["ranking"] is False
    assert found["unpaired_test"]["columns"] == {
        "messages": "conversations", "system": "system", "kto_tag": "kto_tag",
    }  # fmt: skip
    found = json.loads(SHAPES["alpaca"].more({"kind": "sft", "splits": {"train": {"rows": 1}}})["dataset_info.json"])
    assert found == {
        "sft_train": {
            "file_name": "sft/train.jsonl",
            "formatting": "alpaca",
            "ranking": False,
            "columns": {
                "prompt": "instruction", "query": "input", "response": "output", "system": "system", "history": "history",
            },
        }
    }  # fmt: skip


def test_alpaca():
    asked = {"instruction": "Lighter\n\nthan what?", "input": "", "system": "Be brief."}
    history = [["Why does ice float?", "It is light."]]
    shape = SHAPES["alpaca"]
    assert shape.row("sft", SFT) == {"id": "ice@1/why@2#3", **asked, "output": "Than water.", "history": history}
    assert shape.row("preference", PAIR) == {
        "id": "pair/4", **asked, "chosen": "Than water.", "rejected": " Than air.", "history": history,
    }  # fmt: skip
    plain = shape.row("sft", SFT | {"prompt": [ASK]})
    assert (plain["instruction"], plain["system"], plain["history"]) == ("Why does ice float?", "", [])


def test_sharegpt():
    assert SHAPES["sharegpt"].row("sft", SFT) == {
        "id": "ice@1/why@2#3",
        "conversations": [
            {"from": "system", "value": "Be brief."}, {"from": "human", "value": "Why does ice float?"},
            {"from": "gpt", "value": "It is light."}, {"from": "human", "value": "Lighter\n\nthan what?"},
            {"from": "gpt", "value": "Than water."},
        ],
    }  # fmt: skip


def turns_of(text):
    """The turns of an HH text, taken apart at its markers."""
    found = re.split(r"\n\n(Human|Assistant): ", text)
    assert found.pop(0) == ""
    roles = {"Human": "user", "Assistant": "assistant"}
    return [{"role": roles[name], "content": said} for name, said in zip(found[::2], found[1::2], strict=True)]


def test_hh():
    row = SHAPES["hh"].row("preference", PAIR | {"prompt": [ASK, SAY, MORE]})
    assert row == {
        "chosen": "\n\nHuman: Why does ice float?\n\nAssistant: It is light.\n\nHuman: Lighter\n\nthan what?"
        "\n\nAssistant: Than water.",
        "rejected": "\n\nHuman: Why does ice float?\n\nAssistant: It is light.\n\nHuman: Lighter\n\nthan what?"
        "\n\nAssistant:  Than air.",
    }
    assert turns_of(row["chosen"]) == [ASK, SAY, MORE, GOOD]
    assert turns_of(row["rejected"]) == [ASK, SAY, MORE, BAD]


@pytest.mark.parametrize(
    "text", ["Human: me\n\nAssistant", "a\n\n Human: b", "a\n", "\nHuman: a", "a\n\nhuman: b", "Assistant:"]
)
def test_hh_takes_what_only_looks_like_a_marker(text):
    row = SHAPES["hh"].row("preference", PAIR | {"prompt": [ASK | {"content": text}]})
    assert turns_of(row["chosen"]) == [ASK | {"content": text}, GOOD]


@pytest.mark.parametrize("text", ["a\n\nHuman: b", "a\n\nAssistant: b", "\n\nHuman:", "a\n\n\nAssistant:b"])
def test_hh_refuses_a_text_that_would_be_read_as_a_turn(text):
    for changes in ({"prompt": [ASK | {"content": text}]}, {"chosen": [GOOD | {"content": text}]}):
        with pytest.raises(Unfit) as unfit:
            SHAPES["hh"].row("preference", PAIR | {"prompt": [ASK]} | changes)
        assert unfit.value.reason == "turn_marker"
        assert unfit.value.about["where"] in changes


def test_oasst():
    tree = SHAPES["oasst"].row("ranking", RANKING)
    assert tree["tree_state"] == "ready_for_export"
    path, message = [], tree["prompt"]
    while message["role"] == "prompter" or len(message["replies"]) == 1:
        path.append(message)
        if len(message["replies"]) != 1:
            break
        message = message["replies"][0]
    assert [(one["role"], one["text"], one["rank"], one["lang"]) for one in path] == [
        ("prompter", "Why does ice float?", None, "en"), ("assistant", "It is light.", None, "en"),
        ("prompter", "Lighter\n\nthan what?", None, "en"),
    ]  # fmt: skip
    replies = path[-1]["replies"]
    assert [(one["text"], one["rank"], one["model_name"], one["replies"]) for one in replies] == [
        ("Than water.", 1, "m-1", []), ("Water.", 1, None, []), ("Liquid water.", 0, None, []),
        ("Than air.", 2, None, []), ("Never.", None, None, []), ("Iron.", None, None, []),
    ]  # fmt: skip
    assert {one["role"] for one in replies} == {"assistant"}
    assert [one["parent_id"] for one in path] == [None, path[0]["message_id"], path[1]["message_id"]]
    assert {one["parent_id"] for one in replies} == {path[2]["message_id"]}


def ids_of(message):
    return [message["message_id"], *(one for reply in message["replies"] for one in ids_of(reply))]


def test_the_ids_of_a_tree_are_its_rows_own_and_always_the_same():
    shape = SHAPES["oasst"]
    first, again, other = (shape.row("ranking", RANKING | {"row_id": name}) for name in ("t/1", "t/1", "t/2"))
    assert first == again
    ids = [{one["message_tree_id"], *ids_of(one["prompt"])} for one in (first, other)]
    assert [len(one) for one in ids] == [10, 10]
    assert not ids[0] & ids[1]
    assert all(re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one) for one in ids[0])


def test_our_own_reader_of_trees_gives_the_ranking_back():
    line = orjson.dumps(SHAPES["oasst"].row("ranking", RANKING))
    (tree,) = importer.trees(io.BytesIO(line))
    (row,) = importer.rows(tree)
    assert row["prompt"] == [ASK, SAY, MORE]
    texts = {one["id"]: one["text"] for one in row["completions"]}
    (judgement,) = row["judgements"]
    assert [{texts[one] for one in tier} for tier in judgement["ranking"]] == [
        {"Liquid water."}, {"Than water.", "Water."}, {"Than air."},
    ]  # fmt: skip


def test_the_deepest_tree_can_be_written_and_read():
    prompt = [(ASK, SAY)[at % 2] for at in range(99)]
    tree = SHAPES["oasst"].row("ranking", RANKING | {"prompt": prompt})
    (read,) = importer.trees(io.BytesIO(orjson.dumps(tree)))
    assert len(next(importer.rows(read))["prompt"]) == 99
    with pytest.raises(Unfit) as unfit:
        SHAPES["oasst"].row("ranking", RANKING | {"prompt": [*prompt, SAY, ASK]})
    assert unfit.value.reason == "too_many_turns"


def test_an_empty_output_is_no_message():
    with pytest.raises(Unfit) as unfit:
        SHAPES["oasst"].row("ranking", RANKING | {"completions": [output("a", 1), output(" ", 2)]})
    assert (unfit.value.reason, unfit.value.about) == ("empty", {"where": "completions[1].text"})


# --- What a shape cannot say ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "kind"), [("hh", "preference"), ("oasst", "ranking")])
def test_where_there_is_no_system_a_row_with_one_is_unfit(shape, kind):
    with pytest.raises(Unfit) as unfit:
        SHAPES[shape].row(kind, ROWS[kind] | {"prompt": [SYSTEM, ASK]})
    assert unfit.value.reason == "system"


@pytest.mark.parametrize("shape", [name for name in SHAPES if name != "trl"])
def test_a_system_message_in_the_middle_is_unfit_everywhere(shape):
    for kind in SHAPES[shape].KINDS:
        with pytest.raises(Unfit) as unfit:
            SHAPES[shape].row(kind, ROWS[kind] | {"prompt": [ASK, SAY, SYSTEM, MORE]})
        assert unfit.value.reason == "system"


@pytest.mark.parametrize("shape", ["openai", "llamafactory", "alpaca", "hh"])
def test_a_tie_is_never_written_as_a_preference(shape):
    pair = PAIR | {"prompt": [ASK]}
    with pytest.raises(Unfit) as unfit:
        SHAPES[shape].row("preference", pair | {"soft_label": 0.5})
    assert unfit.value.reason == "tie"
    assert SHAPES[shape].row("preference", pair | {"soft_label": 0.5, "label_source": "adjudicated"})
    assert SHAPES["trl"].row("preference", pair | {"soft_label": 0.5})["soft_label"] == 0.5


OTHER = {
    "row_id": "other", "instance": "other", "prompt": [ASK | {"content": "?"}], "completion": [BAD], "chosen": [BAD],
    "rejected": [GOOD], "label": True, "completions": [output("x", 1), output("y", 2)], "annotations": [9],
    "annotators": ["ann-2"], "row": 9, "rank_gap": 9, "weight": 0.25, "margin": 2.0, "soft_label": 1.0, "confidence": 0.1,
    "votes_chosen": 9.0, "votes_tie": 9.0, "votes_rejected": 9.0, "votes_true": 9, "votes_false": 9, "annotation": 9,
}  # fmt: skip


@pytest.mark.parametrize("name", list(SHAPES))
def test_a_shape_says_of_each_column_whether_it_loses_it(name):
    """Another value gives another line, exactly unless the column is among those that are lost."""
    shape = SHAPES[name]
    for kind in set(shape.KINDS) & set(ROWS):
        row = ROWS[kind] | ({"prompt": [ASK, SAY, MORE]} if name in ("hh", "oasst") else {})
        assert fault(kind, row) is None
        unseen = {
            column for column in row if shape.row(kind, row | {column: OTHER.get(column, "xx")}) == shape.row(kind, row)
        }
        assert unseen == {one for one in lost(name, row) if "." not in one}


def test_what_a_tree_loses_of_an_output():
    completions = RANKING["completions"]
    tree = SHAPES["oasst"].row("ranking", RANKING)
    for name, value, is_lost in (
        ("known", False, True),
        ("acceptable", False, True),
        ("model", "m", False),
        ("text", "t", False),
    ):
        changed = RANKING | {"completions": [completions[0] | {name: value}, *completions[1:]]}
        assert (SHAPES["oasst"].row("ranking", changed) == tree) is is_lost
        assert (f"completions.{name}" in lost("oasst", RANKING)) is is_lost


@pytest.mark.parametrize("unit", ["judgement", "consensus"])
@pytest.mark.parametrize(("ties", "margin"), [("drop", ""), ("soft", ""), ("drop", "strength")])
def test_the_columns_that_the_kinds_have_are_those_that_are_looked_at_here(unit, ties, margin):
    for kind in ("preference", "unpaired", "ranking"):
        assert set(KINDS[kind].schema(Options(unit, "better", ties, margin)).names) <= set(ROWS[kind])


# --- In files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "kind"), [(name, kind) for name in SHAPES for kind in SHAPES[name].KINDS if kind in ROWS]
)
def test_a_split_without_rows_has_no_file_and_the_other_one_holds_the_row(tmp_path, shape, kind):
    row = {"row_id": "r/1", **ROWS[kind], "prompt": [ASK, SAY, MORE]}
    columns = {"prompt": TURNS, "completion": TURNS, "chosen": TURNS, "rejected": TURNS}
    guessed = pa.Table.from_pylist([row]).schema
    schema = pa.schema([(field.name, columns.get(field.name, field.type)) for field in guessed])
    with export_writers(tmp_path, SimpleNamespace(kind=kind, shape=shape), schema) as writers:
        assert writers.write(False, row)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    written = SHAPES[shape].row(kind, row)
    jsonl = SHAPES[shape].file(kind, "train")
    assert [orjson.loads(line) for line in (tmp_path / jsonl).read_bytes().splitlines()] == [written]
    if SHAPES[shape].schema(kind, schema) is None:
        assert files == {jsonl}
    else:
        parquet = f"{kind}/train-00000-of-00001.parquet"
        assert files == {jsonl, parquet}
        assert pq.read_table(tmp_path / parquet).to_pylist() == [written]
