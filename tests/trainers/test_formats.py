"""Each shape of an export, written and then loaded by its own reader; and each trap of those readers, beside what avoids it.

LLaMA-Factory and OpenAI are not here: what their documentation demands of a file is checked by hand.
"""

import json
import random
from functools import partial

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq
import pytest
import torch
from datasets import Dataset, Value, load_dataset
from datasets.exceptions import DatasetGenerationError
from jinja2 import UndefinedError
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, set_seed
from trl import (
    DPOConfig,
    DPOTrainer,
    KTOConfig,
    KTOTrainer,
    RewardConfig,
    RewardTrainer,
    SFTConfig,
    SFTTrainer,
    extract_prompt,
)

from curation.exporting.checking import DATE, DateWatch, Lengths, fault
from curation.exporting.shapes import SHAPES
from trainers.export import MESSAGES

THINGS = ["river", "hill", "road", "lamp", "boat", "well", "mill", "gate", "barn", "fair", "wood", "pond"]
SHARED = {
    "annotations": pa.list_(pa.int64()), "annotators": pa.list_(pa.string()), "prompt_id": pa.string(),
    "split_group": pa.string(), "task": pa.string(), "language": pa.string(),
}  # fmt: skip
OWN = {
    "sft": {"prompt": MESSAGES, "completion": MESSAGES, "instance": pa.string(), "row": pa.int64()},
    "preference": {
        "prompt": MESSAGES, "chosen": MESSAGES, "rejected": MESSAGES, "weight": pa.float64(), "margin": pa.float64(),
        "rank_gap": pa.int32(), "annotator": pa.string(),
    },
    "unpaired": {"prompt": MESSAGES, "completion": MESSAGES, "label": pa.bool_(), "weight": pa.float64()},
    "ranking": {
        "prompt": MESSAGES,
        "completions": pa.list_(
            pa.struct(
                [
                    ("text", pa.string()), ("model", pa.string()), ("tier", pa.int32()), ("known", pa.bool_()),
                    ("acceptable", pa.bool_()),
                ]
            )
        ),
    },
    "prompt": {"prompt": MESSAGES},
}  # fmt: skip


def turn(role, content):
    return {"role": role, "content": content}


def row_of(kind, number, *, system=True):
    """A row as curation makes it. Every third conversation has turns before, every fourth a system message."""
    thing = THINGS[number]
    prompt = [turn("system", "Be brief.")] if system and number % 4 == 0 else []
    if number % 3 == 0:
        prompt += [turn("user", f"Is there a {thing}?"), turn("assistant", "There is.")]
    prompt.append(turn("user", f"What of the {thing}?\n\nSay it all."))
    good, bad = f"That {thing} is lovely.\nGo there.", f"That {thing} is awful."
    own = {
        "sft": {"completion": [turn("assistant", good)], "instance": f"towns@1/plain@1#{number}", "row": number},
        "preference": {
            "chosen": [turn("assistant", good)], "rejected": [turn("assistant", bad)], "weight": 0.5,
            "margin": 1.0 + number % 2, "rank_gap": None if number % 5 == 0 else 1, "annotator": "ann-1",
        },
        "unpaired": {
            "completion": [turn("assistant", good if number % 2 else bad)], "label": bool(number % 2), "weight": 1.0,
        },
        "ranking": {
            "completions": [
                {"text": good, "model": "m-1", "tier": 1, "known": True, "acceptable": True},
                {"text": bad, "model": None, "tier": None, "known": True, "acceptable": None},
            ],
        },
        "prompt": {},
    }  # fmt: skip
    shared = {
        "annotations": [number, number + 100], "annotators": ["ann-1", "ann-2"], "prompt_id": f"p-{number}",
        "split_group": f"g-{number}", "task": f"t-{number}", "language": "en",
    }  # fmt: skip
    name = {} if kind == "sft" else {"row_id": f"{kind}-{number}/1"}
    return {**name, "prompt": prompt, **own[kind], **shared}


def rows_of(kind, numbers=range(8), **changes):
    rows = [row_of(kind, number, **changes) for number in numbers]
    assert [fault(kind, row) for row in rows] == [None] * len(rows)
    return rows


def schema_of(kind):
    name = {} if kind == "sft" else {"row_id": pa.string()}
    return pa.schema([*name.items(), *OWN[kind].items(), *SHARED.items()])


def write(folder, name, kind, splits):
    """An export folder of this shape, as curation lays it out: a split without rows has no file."""
    shape, files = SHAPES[name], []
    for split, rows in splits.items():
        if not rows:
            continue
        written = [shape.row(kind, row) for row in rows]
        jsonl = folder / shape.file(kind, split)
        jsonl.parent.mkdir(parents=True, exist_ok=True)
        write_jsonl(jsonl, written)
        if schema := shape.schema(kind, schema_of(kind)):
            path = folder / kind / f"{split}-00000-of-00001.parquet"
            path.parent.mkdir(exist_ok=True)
            pq.write_table(pa.Table.from_pylist(written, schema=schema), path, compression="zstd")
        else:
            path = jsonl
        files.append({"split": split, "path": path.relative_to(folder).as_posix()})
    manifest = {"kind": kind, "splits": {split: {"rows": len(rows)} for split, rows in splits.items()}}
    for path, content in shape.more(manifest).items():
        (folder / path).write_bytes(content)
    front = {"configs": [{"config_name": kind, "default": True, "data_files": files}]}
    (folder / "README.md").write_text(f"---\n{json.dumps(front)}\n---\n")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def load(tmp_path):
    """`load_dataset` with a cache of the test's own, so that nothing is found that was loaded before."""
    return partial(load_dataset, cache_dir=str(tmp_path / "cache"))


@pytest.fixture
def load_jsonl(tmp_path, load):
    """All rows of a JSONL file with these rows."""
    path = tmp_path / "rows.jsonl"
    return lambda rows, **options: load("json", data_files=str(write_jsonl(path, rows)), split="train", **options)


@pytest.fixture(scope="module")
def tokenizer(tiny):
    return AutoTokenizer.from_pretrained(tiny)


@pytest.fixture
def trainer(tiny, tmp_path, tokenizer):
    """A trainer of TRL over these rows, on the tiny model, that does two steps of four rows."""

    def make(cls, config, rows, **settings):
        set_seed(0)
        load, more = AutoModelForCausalLM, {}
        if cls is RewardTrainer:
            load, more = AutoModelForSequenceClassification, {"num_labels": 1}
        arguments = {
            "output_dir": str(tmp_path / "out"), "max_steps": 2, "per_device_train_batch_size": 4, "logging_steps": 1,
            "use_cpu": True, "bf16": False, "save_strategy": "no", "disable_tqdm": True, "report_to": [],
            "activation_checkpointing": False, "dataloader_pin_memory": False, "learning_rate": 1e-3,
        }  # fmt: skip
        return cls(
            model=load.from_pretrained(tiny, dtype=torch.float32, **more),
            args=config(**arguments | settings),
            train_dataset=rows,
            processing_class=tokenizer,
        )

    return make


def losses(trainer):
    trainer.train()
    found = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    assert len(found) == 2
    assert all(torch.isfinite(torch.tensor(found)))
    return found


# --- TRL and datasets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(OWN))
def test_the_folder_loads_as_it_is_with_every_column_and_value(tmp_path, load, kind):
    train, test = rows_of(kind), rows_of(kind, range(8, 12))
    folder = write(tmp_path / "export", "trl", kind, {"train": train, "test": test})
    loaded = load(str(folder))
    assert loaded["train"].to_list() == train
    assert loaded["test"].to_list() == test
    twin = load("json", data_files=str(folder / "jsonl/train.jsonl"), split="train")
    assert twin.to_list() == train


def test_sft_learns_the_answer_and_its_end_and_nothing_of_the_prompt(tmp_path, load, trainer, tokenizer):
    rows = rows_of("sft")
    made = trainer(SFTTrainer, SFTConfig, load(str(write(tmp_path / "export", "trl", "sft", {"train": rows})))["train"])
    batch = made.data_collator([made.train_dataset[n] for n in range(8)])
    learnt = [tokenizer.decode(labels[labels != -100]) for labels in batch["labels"]]
    assert learnt == [row["completion"][0]["content"] + "<|im_end|>\n" for row in rows]
    losses(made)


def test_openai_messages_are_what_sft_takes_too(tmp_path, load, trainer, tokenizer):
    rows = rows_of("sft")
    loaded = load(str(write(tmp_path / "export", "openai", "sft", {"train": rows})))["train"]
    made = trainer(SFTTrainer, SFTConfig, loaded)
    texts = [tokenizer.decode(ids) for ids in made.train_dataset["input_ids"]]
    assert texts == [tokenizer.apply_chat_template(row["prompt"] + row["completion"], tokenize=False) for row in rows]
    losses(made)


def test_a_reward_model_reads_the_prompt_once_before_each_answer_and_the_margin(tmp_path, load, trainer, tokenizer):
    rows = rows_of("preference")
    loaded = load(str(write(tmp_path / "export", "trl", "preference", {"train": rows})))["train"]
    made = trainer(RewardTrainer, RewardConfig, loaded)
    for side in ("chosen", "rejected"):
        texts = [tokenizer.decode(ids) for ids in made.train_dataset[f"{side}_ids"]]
        assert texts == [tokenizer.apply_chat_template(row["prompt"] + row[side], tokenize=False) for row in rows]
    batch = made.data_collator([made.train_dataset[n] for n in range(4)])
    assert batch["margin"].tolist() == [1.0, 2.0, 1.0, 2.0]
    losses(made)


def test_dpo_parts_prompt_and_answers_where_the_row_does(tmp_path, load, trainer, tokenizer):
    rows = rows_of("preference")
    loaded = load(str(write(tmp_path / "export", "trl", "preference", {"train": rows})))["train"]
    made = trainer(DPOTrainer, DPOConfig, loaded)
    for row, read in zip(rows, made.train_dataset, strict=True):
        prompt = tokenizer.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True)
        assert tokenizer.decode(read["prompt_ids"]) == prompt
        for side in ("chosen", "rejected"):
            assert tokenizer.decode(read[f"{side}_ids"]) == row[side][0]["content"] + "<|im_end|>\n"
    losses(made)


def test_kto_takes_unpaired_rows_with_their_labels(tmp_path, load, trainer, tokenizer):
    rows = rows_of("unpaired")
    loaded = load(str(write(tmp_path / "export", "trl", "unpaired", {"train": rows})))["train"]
    made = trainer(KTOTrainer, KTOConfig, loaded)
    read = sorted(zip(made.train_dataset["completion_ids"], made.train_dataset["label"], strict=True))
    answers = sorted(
        (tokenizer(row["completion"][0]["content"] + "<|im_end|>\n")["input_ids"], row["label"]) for row in rows
    )
    assert read == answers
    losses(made)


# --- HH, ShareGPT, OASST ----------------------------------------------------------------------------------------------


def test_hh_is_read_by_reward_trainers_as_two_texts(tmp_path, load, trainer, tokenizer):
    rows = rows_of("preference", system=False)
    loaded = load(str(write(tmp_path / "export", "hh", "preference", {"train": rows})))["train"]
    assert loaded.column_names == ["chosen", "rejected"]
    for row, read in zip(rows, loaded, strict=True):
        for side in ("chosen", "rejected"):
            said = read[side].replace("\n\nHuman: ", "\n\nAssistant: ").split("\n\nAssistant: ")
            assert said == ["", *(one["content"] for one in row["prompt"] + row[side])]
    losses(trainer(RewardTrainer, RewardConfig, loaded))


def test_sharegpt_loads_with_speakers_in_turn_that_end_with_the_model(tmp_path, load):
    rows = rows_of("sft")
    loaded = load(str(write(tmp_path / "export", "sharegpt", "sft", {"train": rows})))["train"]
    assert loaded["id"] == [row["instance"] for row in rows]
    for row, read in zip(rows, loaded, strict=True):
        speakers = [one["from"] for one in read["conversations"]]
        after = speakers[speakers[0] == "system" :]
        assert after == ["human", "gpt"] * (len(after) // 2)
        assert [one["value"] for one in read["conversations"]] == [
            one["content"] for one in row["prompt"] + row["completion"]
        ]


def test_oasst_is_a_tree_a_line_with_roles_in_turn_and_ranks_from_zero(tmp_path):
    rows = rows_of("ranking", system=False)
    folder = write(tmp_path / "export", "oasst", "ranking", {"train": rows})
    trees = [json.loads(line) for line in (folder / "ranking/train.jsonl").read_text().splitlines()]
    assert len(trees) == len({tree["message_tree_id"] for tree in trees}) == 8
    for row, tree in zip(rows, trees, strict=True):
        message, said, parent = tree["prompt"], [], None
        while message["role"] == "prompter" or message["replies"]:
            assert (message["parent_id"], message["rank"]) == (parent, None)
            said.append(turn({"prompter": "user", "assistant": "assistant"}[message["role"]], message["text"]))
            parent, replies = message["message_id"], message["replies"]
            message = replies[0]
        assert said == row["prompt"]
        assert [(one["text"], one["rank"], one["role"], one["parent_id"]) for one in replies] == [
            (row["completions"][0]["text"], 0, "assistant", parent),
            (row["completions"][1]["text"], None, "assistant", parent),
        ]


# --- OpenAI: what is documented ---------------------------------------------------------------------------------------


def check_messages(messages, roles=("system", "user", "assistant")):
    assert messages
    for message in messages:
        assert message.keys() <= {"role", "content", "weight"}
        assert message["role"] in roles
        assert isinstance(message["content"], str) and message["content"]
        assert message.get("weight", 1) in (0, 1) and ("weight" not in message or message["role"] == "assistant")


def test_openai_sft_ends_with_the_only_turn_of_the_assistant_that_has_weight(tmp_path):
    folder = write(tmp_path / "export", "openai", "sft", {"train": rows_of("sft", range(10))})
    lines = [json.loads(line) for line in (folder / "sft/train.jsonl").read_text().splitlines()]
    assert len(lines) >= 10
    for line in lines:
        assert line.keys() == {"messages"}
        check_messages(line["messages"])
        assert line["messages"][-1]["role"] == "assistant"
        learnt = [message.get("weight", 1) for message in line["messages"] if message["role"] == "assistant"]
        assert learnt == [0] * (len(learnt) - 1) + [1]
    assert sum(len(line["messages"]) > 3 for line in lines) == 4  # rows 0, 3, 6 and 9 have turns before


def test_openai_dpo_has_an_input_and_two_outputs_of_the_assistant(tmp_path):
    folder = write(tmp_path / "export", "openai", "preference", {"train": rows_of("preference", range(10))})
    lines = [json.loads(line) for line in (folder / "preference/train.jsonl").read_text().splitlines()]
    for line in lines:
        assert line.keys() == {"input", "preferred_output", "non_preferred_output"}
        assert line["input"].keys() <= {"messages", "tools", "parallel_tool_calls"}
        check_messages(line["input"]["messages"])
        assert line["input"]["messages"][-1]["role"] == "user"
        for side in ("preferred_output", "non_preferred_output"):
            check_messages(line[side], roles=("assistant",))
            assert len(line[side]) == 1
        assert line["preferred_output"] != line["non_preferred_output"]


# --- LLaMA-Factory: what is documented --------------------------------------------------------------------------------

COLUMNS = {
    "alpaca": {"prompt", "query", "response", "history", "system", "tools", "chosen", "rejected", "kto_tag"},
    "sharegpt": {"messages", "system", "tools", "chosen", "rejected", "kto_tag"},
}
LOADERS = {"jsonl": "json", "json": "json", "parquet": "parquet"}


def read_as_llamafactory(folder, load):
    """Each data set of `dataset_info.json`: its description and its rows as (conversation, answers, system, label)."""
    found = {}
    for name, about in json.loads((folder / "dataset_info.json").read_text()).items():
        assert about.keys() <= {"file_name", "formatting", "ranking", "columns", "tags"}
        assert about["columns"].keys() <= COLUMNS[about["formatting"]]
        path = folder / about["file_name"]
        loaded = load(LOADERS[path.suffix[1:]], data_files=str(path), split="train")
        assert set(about["columns"].values()) <= set(loaded.column_names)
        read = {"sharegpt": read_sharegpt, "alpaca": read_alpaca}[about["formatting"]]
        found[name] = [read(row, about) for row in loaded]
    return found


def read_sharegpt(row, about):
    columns, tags = about["columns"], about["tags"]
    roles = {tags[f"{name}_tag"]: role for name, role in (("user", "user"), ("assistant", "assistant"))}
    places = [{tags["user_tag"], tags["observation_tag"]}, {tags["assistant_tag"], tags["function_tag"]}]
    messages = row[columns["messages"]]
    assert all(one[tags["role_tag"]] in places[at % 2] for at, one in enumerate(messages))
    assert len(messages) % 2 == (1 if about["ranking"] else 0)
    said = [turn(roles[one[tags["role_tag"]]], one[tags["content_tag"]]) for one in messages]
    label = None
    if "kto_tag" in columns:
        label = row[columns["kto_tag"]]
        assert isinstance(label, bool)
    if not about["ranking"]:
        return said[:-1], said[-1:], row[columns["system"]], label
    answers = [row[columns[side]] for side in ("chosen", "rejected")]
    assert all(isinstance(answer, dict) and answer[tags["role_tag"]] in places[1] for answer in answers)
    return said, [turn("assistant", one[tags["content_tag"]]) for one in answers], row[columns["system"]], label


def read_alpaca(row, about):
    columns = about["columns"]
    said = []
    for asked, answered in row[columns["history"]]:
        said += [turn("user", asked), turn("assistant", answered)]
    said.append(turn("user", "\n".join(part for part in (row[columns["prompt"]], row[columns["query"]]) if part)))
    sides = ("chosen", "rejected") if about["ranking"] else ("response",)
    assert all(isinstance(row[columns[side]], str) for side in sides)
    return said, [turn("assistant", row[columns[side]]) for side in sides], row[columns["system"]], None


@pytest.mark.parametrize(
    ("shape", "kind"),
    [("llamafactory", "sft"), ("llamafactory", "preference"), ("llamafactory", "unpaired"), ("alpaca", "sft"), ("alpaca", "preference")],
)  # fmt: skip
def test_llamafactory_gets_conversation_answers_system_and_label_back(tmp_path, load, shape, kind):
    rows = rows_of(kind)
    folder = write(tmp_path / "export", shape, kind, {"train": rows, "test": []})
    found = read_as_llamafactory(folder, load)
    assert list(found) == [f"{kind}_train"]
    for row, (said, answers, system, label) in zip(rows, found[f"{kind}_train"], strict=True):
        prompt = [turn("system", system)] * bool(system) + said
        expected = row["chosen"] + row["rejected"] if kind == "preference" else row["completion"]
        assert (prompt, answers, label) == (row["prompt"], expected, row.get("label"))


# --- Traps: dates -----------------------------------------------------------------------------------------------------


def dated(number):
    return row_of("sft", number) | {
        "completion": [turn("assistant", f"2024-01-{number + 1:02}")],
        "instance": "2024-01-02",
    }


def test_answers_that_are_all_dates_survive_in_parquet_and_not_in_jsonl(tmp_path, load):
    rows = [dated(number) for number in range(8)]
    folder = write(tmp_path / "export", "trl", "sft", {"train": rows})
    assert load(str(folder))["train"].to_list() == rows
    jsonl = load("json", data_files=str(folder / "jsonl/train.jsonl"), split="train")
    assert jsonl.features["instance"] == Value("timestamp[s]")
    assert jsonl[0]["completion"][0]["content"] != "2024-01-01"
    watch = DateWatch()
    for row in rows:
        watch.see(row, len(json.dumps(row)) + 1)
    assert watch.finding() == ["completion[].content", "instance"]


def test_llamafactory_reads_dates_as_they_were_written(tmp_path, load):
    folder = write(tmp_path / "export", "llamafactory", "sft", {"train": [dated(number) for number in range(8)]})
    found = read_as_llamafactory(folder, load)["sft_train"]
    assert [answers[0]["content"] for _said, answers, _system, _label in found][:2] == ["2024-01-01", "2024-01-02"]


def test_a_text_is_a_date_where_arrow_takes_it_for_one(tmp_path):
    texts = [
        "2024-01-02", "2024-12-31", "0000-01-01", "9999-12-31", "2024-01-02 03:04:05", "2024-01-02T03:04:05",
        "2024-01-02T03:04", "2024-01-02 03", "2024-01-02T03Z", "2024-01-02T03:04Z", "2024-01-02T03:04:05Z",
        "2024-01-02T03:04:05+01:00", "2024-01-02T03:04:05-0130", "2024-01-02T03:04:05+00", "2024-01-02T23:59:59",
        "2024-01-02T03:04:05.5", "2024-01-02T03:04:05.123456+00:00", "2024-1-2", "20240102", "2024-01", "2024", "", " ",
        "2024-13-02", "2024-00-02", "2024-01-00", "2024-01-32", "2024-01-02T24:00:00", "2024-01-02T23:60:00",
        "2024-01-02T23:59:60", "2024-01-02 ", " 2024-01-02", "2024-01-02\n", "2024-01-02z", "2024-01-02Z", "2024-01-02t03:04",
        "2024-01-02  03:04", "2024-01-02T03:04:05 Z", "2024-01-02T0304", "2024/01/02", "-2024-01-02", "2024-W01-1", "03:04:05",
        "2024-01-02T03:04:05+1", "2024-01-02T03:04:05+24:00", "2024-01-02T03:04:05+01:60", "It was 2024-01-02.",
    ]  # fmt: skip
    for text in texts:
        path = write_jsonl(tmp_path / "one.jsonl", [{"said": text}])
        read = pyarrow.json.read_json(path).schema.field("said").type
        assert (DATE.fullmatch(text) is not None) == pa.types.is_timestamp(read), text


@pytest.mark.parametrize("seed", range(12))
def test_what_the_watch_finds_is_what_datasets_changes_part_by_part(load_jsonl, seed):
    """Stretches of dates and of other texts, in a file of several of the parts that are read at once."""
    drawn = random.Random(seed)
    part, rows = 20_000, []
    while len(rows) < 600:
        text = drawn.choice(["2024-01-02", "2024-01-02", "some text"])
        rows += [
            {"number": len(rows) + n, "said": text, "pad": "x" * drawn.randrange(100)}
            for n in range(drawn.randrange(1, 300))
        ]
    watch = DateWatch(part)
    for row in rows:
        watch.see(row, len(json.dumps(row)) + 1)
    try:
        survived = load_jsonl(rows, chunksize=part)["said"] == [row["said"] for row in rows]
    except DatasetGenerationError:
        survived = False
    assert watch.finding() == ([] if survived else ["said"])


# --- Traps: files -----------------------------------------------------------------------------------------------------


def test_a_split_without_rows_has_no_file_because_an_empty_one_does_not_load(tmp_path, load):
    folder = write(tmp_path / "export", "openai", "sft", {"train": rows_of("sft"), "test": []})
    assert list(load(str(folder))) == ["train"]
    readme = folder / "README.md"
    (folder / "sft/test.jsonl").touch()
    files = [{"split": split, "path": f"sft/{split}.jsonl"} for split in ("train", "test")]
    readme.write_text(f"---\n{json.dumps({'configs': [{'config_name': 'sft', 'data_files': files}]})}\n---\n")
    with pytest.raises(ValueError, match="corresponds to no data"):
        load(str(folder))


def test_half_a_character_does_not_load_and_is_found_before(load_jsonl):
    row = row_of("prompt", 1)
    broken = row | {"task": "half \ud83d of a smile"}
    assert load_jsonl([row])["task"] == ["t-1"]
    with pytest.raises(DatasetGenerationError):
        load_jsonl([broken])
    assert fault("prompt", broken).reason == "surrogate"


def test_a_column_of_alpaca_is_there_from_the_first_row_on(load_jsonl):
    """One that comes late, in a part of its own, does not load."""
    plain = [{"said": "x" * 100} for _ in range(400)]
    with pytest.raises(DatasetGenerationError):
        load_jsonl([*plain, {"said": "x", "history": [["a", "b"]]}], chunksize=20_000)
    rows = [SHAPES["alpaca"].row("sft", row_of("sft", number)) for number in (1, 0, 2, 3)]
    assert len({tuple(row) for row in rows}) == 1


# --- Traps: trainers --------------------------------------------------------------------------------------------------


def pairs(**column):
    return [row_of("preference", number) | column for number in range(8)]


@pytest.mark.parametrize(
    ("column", "value", "error"),
    [("labels", 1, TypeError), ("image", None, ValueError), ("images", None, ValueError)],
)
def test_a_reserved_column_stops_sft_and_is_found_before(trainer, column, value, error):
    rows = [row_of("sft", number) | {column: value} for number in range(8)]
    with pytest.raises(error):
        trainer(SFTTrainer, SFTConfig, Dataset.from_list(rows)).train()
    found = fault("sft", rows[0])
    assert (found.reason, found.about) == ("reserved", {"where": column})


def test_a_prompt_beside_messages_stops_sft_so_no_shape_has_both(trainer):
    rows = [SHAPES["openai"].row("sft", row_of("sft", number)) for number in range(8)]
    assert {tuple(row) for row in rows} == {("messages",)}
    with pytest.raises(KeyError, match="completion"):
        trainer(SFTTrainer, SFTConfig, Dataset.from_list([row | {"prompt": row["messages"][:-1]} for row in rows]))
    assert fault("prompt", row_of("prompt", 1) | {"messages": rows[1]["messages"]}).reason == "reserved"


def test_columns_that_name_tokens_are_taken_for_tokens_and_found_before(trainer):
    rows = pairs(chosen_ids=[5, 6], rejected_ids=[7])
    read = trainer(RewardTrainer, RewardConfig, Dataset.from_list(rows)).train_dataset
    assert read[0]["chosen_ids"] == [5, 6]  # in silence: not what the row says
    assert fault("preference", rows[0]).reason == "reserved"


def test_a_prompt_within_the_answer_would_be_read_twice_and_is_found_before(trainer, tokenizer):
    rows = [
        row | {side: row["prompt"] + row[side] for side in ("chosen", "rejected")}
        for row in rows_of("preference", range(1, 9))
    ]
    read = trainer(RewardTrainer, RewardConfig, Dataset.from_list(rows)).train_dataset
    text = tokenizer.decode(read[0]["chosen_ids"])
    assert text.count("What of the hill?") == 2  # in silence
    assert fault("preference", rows[0]).reason == "completion"


def test_one_margin_that_is_null_breaks_the_loss_and_is_found_before(trainer):
    rows = pairs()
    rows[0]["margin"] = None
    made = trainer(RewardTrainer, RewardConfig, Dataset.from_list(rows))
    with pytest.raises(TypeError):
        made.train()
    assert fault("preference", rows[0]).reason == "margin"


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"completion": [turn("assistant", None)]}, UndefinedError, "empty"),
        # TRL looks at prompt or completion first, as a set's order has it.
        ({"prompt": []}, (ValueError, IndexError), "no_turns"),
        ({"prompt": "What?"}, (TypeError, AttributeError), "no_turns"),
    ],
)
def test_what_is_no_conversation_stops_sft_and_is_found_before(trainer, changes, error, reason):
    rows = [row_of("sft", number) | changes for number in range(8)]
    with pytest.raises(error):
        trainer(SFTTrainer, SFTConfig, Dataset.from_list(rows))
    assert fault("sft", rows[0]).reason == reason


def test_a_label_that_is_a_text_stops_kto_and_is_found_before(trainer):
    rows = [row | {"label": "true"} for row in rows_of("unpaired")]
    with pytest.raises(TypeError):
        trainer(KTOTrainer, KTOConfig, Dataset.from_list(rows)).train()
    assert fault("unpaired", rows[0]).reason == "label"


def test_from_hh_the_prompt_is_guessed_within_a_word_and_from_trl_it_is_read():
    row = row_of("preference", 1) | {"rejected": [turn("assistant", "That hill is loud.")]}
    guessed = extract_prompt(SHAPES["hh"].row("preference", row))
    assert guessed["prompt"].endswith("Assistant: That hill is lo")
    assert SHAPES["trl"].row("preference", row)["prompt"] == row["prompt"]


# --- Lengths ----------------------------------------------------------------------------------------------------------


def test_lengths_are_the_tokens_of_the_tokenizer_even_if_its_file_cuts_texts_off(tiny, tmp_path, tokenizer):
    rows = rows_of("preference")
    cutting = json.loads((tiny / "tokenizer.json").read_text())
    cutting["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(cutting))
    for file in (tiny / "tokenizer.json", path):
        lengths = Lengths(file)
        for row in rows:
            assert lengths.add("preference", row) is None
        count = lambda turns: sum(len(tokenizer(one["content"])["input_ids"]) for one in turns)  # noqa: E731
        expected = max(count(row["prompt"] + row[side]) for row in rows for side in ("chosen", "rejected"))
        tokens = lengths.as_dict()["tokens"]
        assert (tokens["max"], tokens["rows"]) == (expected, 8)
        assert len(tokens["tokenizer_sha256"]) == 64


def test_a_row_that_a_reward_trainer_drops_in_silence_is_found_before(tiny, trainer):
    rows = pairs()
    for number in (2, 5):
        rows[number]["rejected"] = [turn("assistant", "Awful. " * 200)]
    lengths = Lengths(tiny / "tokenizer.json", most=150)
    found = [lengths.add("preference", row) for row in rows]
    assert [number for number, one in enumerate(found) if one] == [2, 5]
    assert (found[2].reason, found[2].about["most"]) == ("too_long", 150)
    assert lengths.as_dict()["tokens"]["rows"] == 8
    assert len(trainer(RewardTrainer, RewardConfig, Dataset.from_list(rows), max_length=200).train_dataset) == 6


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"tokenizer\.json is no tokenizer.json that"):
        Lengths(path)
