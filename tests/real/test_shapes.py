"""Real files of every kind: what each is taken for without a hint, what comes in, and that it goes out again.

The numbers were counted apart from Plumbline: lines by wc, records of CSV and items of JSON by Python's own readers,
leaves of trees by a loop. docs/datasets.md has the table.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from curation.models import Dataset
from curation.reading import Reading, find, preview
from curation.reading.shapes import recognised
from curation.services.datasets import rows_of
from curation.services.reading import format_of
from tests import library
from tests.real.pandalm import DATA

pytestmark = [pytest.mark.real, pytest.mark.django_db]

T0 = sorted((DATA / "self-instruct" / "t0-rendered").glob("*.jsonl"))
T0_FILES, T0_EMPTY, T0_ROWS = 71, 11, 11_775


@dataclass(frozen=True)
class Known:
    """A file: its format, shape, rows and columns as they must be found, and a template over the columns."""

    format: str
    shape: str
    rows: int
    columns: str
    jinja: str
    language: str = "en"


LABELLED = "{{ column_1 }} ||| {{ column_2 }}"
COLA = "{{ column_4 }} ||| {{ ['no', 'yes'][column_2] }}"
OCNLI = "level sentence1 sentence2 label label0 label1 label2 label3 label4 genre prem_id id"
INSTRUCTION = "{{ instruction }}\n{{ input }} ||| {{ output }}"
TASK = "{{ definition }}\n{{ input }} ||| {{ output }}"
TASK_COLUMNS = "definition input output outputs positive_examples negative_examples contributors source categories"
PREFERRED = "{{ prompt[-1].content }} ||| {{ chosen }}"
SEEDS = "id name instruction is_classification input output"
BENCH = "question_id category question follow_up turns"

FILES: dict[str, Known] = {
    "ag_news/test.csv": Known("csv", "plain", 7600, "column_1 column_2 column_3", "{{ column_3 }} ||| {{ column_2 }}"),
    "banking77/train.csv": Known("csv", "plain", 10003, "text category", "{{ text }} ||| {{ category }}"),
    "banking77/test.csv": Known("csv", "plain", 3080, "text category", "{{ text }} ||| {{ category }}"),
    "sst2/SST2_train.tsv": Known("tsv", "plain", 6920, "column_1 column_2", LABELLED),
    "sst2/SST2_dev.tsv": Known("tsv", "plain", 872, "column_1 column_2", LABELLED),
    "sst2/SST2_test.tsv": Known("tsv", "plain", 1821, "column_1 column_2", LABELLED),
    "cola/in_domain_train.tsv": Known("tsv", "plain", 8551, "column_1 column_2 column_3 column_4", COLA),
    "cola/out_of_domain_dev.tsv": Known("tsv", "plain", 516, "column_1 column_2 column_3 column_4", COLA),
    "ocnli/test_public.json": Known("jsonl", "plain", 2520, OCNLI, "{{ sentence1 }} ||| {{ sentence2 }}", "zh-Hans"),
    "ocnli/train_few_all.json": Known("jsonl", "plain", 160, OCNLI, "{{ sentence1 }} ||| {{ sentence2 }}", "zh-Hans"),
    "ocnli/dev_few_all.json": Known("jsonl", "plain", 160, OCNLI, "{{ sentence1 }} ||| {{ sentence2 }}", "zh-Hans"),
    "gsm8k/train.jsonl": Known("jsonl", "plain", 7473, "question answer", "{{ question }} ||| {{ answer }}"),
    "gsm8k/test.jsonl": Known("jsonl", "plain", 1319, "question answer", "{{ question }} ||| {{ answer }}"),
    "flan-cot/strategyqa_train.tsv": Known(
        "tsv", "flan_cot", 2061, "question answer chain_of_thought",
        "{{ question }} ||| {{ chain_of_thought }} So the answer is {{ answer }}.",
    ),
    "flan-cot/qasc_train.tsv": Known(
        "tsv", "flan_cot", 1084, "question answer chain_of_thought",
        "{{ question }} ||| {{ chain_of_thought }} So the answer is {{ answer }}.",
    ),
    "natural-instructions/task1146_country_capital.excerpt_old_schema.json": Known(
        "json", "natural_instructions", 20, TASK_COLUMNS, TASK
    ),
    "natural-instructions/task1146_country_capital.excerpt_new_schema.json": Known(
        "json", "natural_instructions", 20, f"{TASK_COLUMNS} instance_license id", TASK
    ),
    "belle/zh_seed_tasks.json": Known("jsonl", "self_instruct", 175, SEEDS, INSTRUCTION, "zh-Hans"),
    "belle/eval_set.json": Known(
        "jsonl", "plain", 1000, "question std_answer class", "{{ question }} ||| {{ std_answer }}", "zh-Hans"
    ),
    "llama-factory/alpaca_en_demo.json": Known("json", "alpaca", 999, "instruction input output", INSTRUCTION),
    "llama-factory/alpaca_zh_demo.json": Known("json", "alpaca", 1000, "instruction input output", INSTRUCTION, "zh-Hans"),
    "llama-factory/dpo_en_demo.json": Known("json", "preference", 300, "prompt chosen rejected", PREFERRED),
    "llama-factory/dpo_zh_demo.json": Known("json", "preference", 300, "prompt chosen rejected", PREFERRED, "zh-Hans"),
    "llama-factory/kto_en_demo.json": Known(
        "json", "kto", 300, "prompt completion label", "{{ prompt[-1].content }} ||| {{ completion }}"
    ),
    "fastchat/mt_bench/question.jsonl": Known(
        "jsonl", "mt_bench", 80, f"{BENCH} reference", "{{ question }} ||| {{ follow_up }}"
    ),
    "fastchat/vicuna_bench/question.jsonl": Known("jsonl", "mt_bench", 80, BENCH, "{{ question }} ||| {{ category }}"),
    "fastchat/dummy_conversation.json": Known(
        "json", "sharegpt", 500, "messages id", "{{ messages[0].content }} ||| {{ messages[1].content }}"
    ),
    "oasst/en_100_tree.jsonl": Known(
        "jsonl", "oasst_trees", 626, "message_tree_id tree_state language messages ranks message_ids",
        "{{ messages[0].content }} ||| {{ messages[1].content }}",
    ),
    "self-instruct/seed_tasks.jsonl": Known("jsonl", "self_instruct", 175, SEEDS, INSTRUCTION),
    "self-instruct/human_eval/user_oriented_instructions.jsonl": Known(
        "jsonl", "self_instruct", 252, "id motivation_app instruction input output", INSTRUCTION
    ),
}  # fmt: skip


def content_of(path: str) -> bytes:
    if not (DATA / path).exists():
        pytest.skip(f"the real data are not there: {DATA / path} (PLUMBLINE_REAL_DATA)")
    return (DATA / path).read_bytes()


def imported(path: str, **fields: Any) -> Dataset:
    """The file as somebody imports it who says nothing of how it is read."""
    name = "-".join(Path(path).parent.parts).replace("_", "-")
    about = {"name": name, "licence": "LicenseRef-as-published", "file_name": Path(path).name}
    return library.dataset(content_of(path), **about | fields)


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_recognised_comes_in_whole_is_templated_and_exported(path, record_property):
    known = FILES[path]
    made = imported(path, language=known.language)
    assert made.whole, made.job.error
    assert (made.format, made.shape, made.rows, made.refused) == (known.format, known.shape, known.rows, 0)
    assert [one["name"] for one in made.columns] == known.columns.split()
    instances = library.instances(made, library.template(made, known.jinja))
    assert instances.whole, instances.job.error
    assert (instances.instances or 0) + instances.dropped_rows == known.rows
    assert instances.instances
    export = library.sft_export(instances)
    assert export.manifest is not None, export.job.error
    assert export.manifest["counts"]["instances"] == instances.instances
    [said] = export.manifest["datasets"]
    assert (said["licence"], said["language"]) == ("LicenseRef-as-published", known.language)
    record_property("figure", f"{path}: {known.shape}, {known.rows:,} rows, {instances.instances:,} instances")


def test_what_t0_rendered_is_recognised_file_by_file_and_what_is_empty_is_refused(tmp_path):
    content_of("self-instruct/t0-rendered/ag_news_classify.jsonl")
    assert len(T0) == T0_FILES
    full = [file for file in T0 if file.stat().st_size]
    assert len(T0) - len(full) == T0_EMPTY
    for file in full:
        assert find(file, file.name, Reading("jsonl", shape="")).reading.shape == "promptsource_rendered", file.name
    rows = [row for file in full for row in file.read_bytes().splitlines()]
    assert len(rows) == T0_ROWS
    made = library.dataset(b"\n".join(rows), file_name="t0.jsonl")
    assert (made.rows, made.shape, made.refused) == (T0_ROWS, "promptsource_rendered", 0)
    first = json.loads(rows[0])
    assert rows_of(made, 0, 1)[0]["values"] == {
        "inputs": first["prompt"].removesuffix("\n"),
        "targets": first["completion"].removesuffix("<|endoftext|>"),
    }
    empty = next(file for file in T0 if not file.stat().st_size)
    assert "is empty" in library.dataset(empty.read_bytes(), file_name=empty.name).job.error


def test_no_real_file_is_claimed_by_two_shapes():
    content_of("README.md")
    seen = 0
    for file in sorted(DATA.rglob("*")):
        kind = format_of(file.name) if file.is_file() and "promptsource" not in file.parts else ""
        if not kind or kind == "text" or not file.stat().st_size:
            continue
        found = find(file, file.name, Reading(kind, shape="plain"), format_is_certain=file.suffix != ".json")
        sample = [row.values for row in preview(file, found.reading, 20) if hasattr(row, "values")]
        assert len(recognised(sample, file.name)) < 2, file
        seen += 1
    assert seen > 130


# --- What is in them --------------------------------------------------------------------------------------------------


def test_a_chain_of_thought_has_its_line_ends():
    made = imported("flan-cot/qasc_train.tsv")
    first = rows_of(made, 0, 1)[0]["values"]
    question, answer, chain = content_of("flan-cot/qasc_train.tsv").decode().split("\n")[0].split("\t")
    assert first == {"question": question.replace("\\n", "\n"), "answer": answer, "chain_of_thought": chain}
    assert first["question"].count("\n") == 9


def test_paths_of_oasst_hold_every_message_and_its_rank():
    made = imported("oasst/en_100_tree.jsonl")
    rows = [row["values"] for row in rows_of(made, 0, 1000)]
    assert len({key for row in rows for key in row["message_ids"]}) == 1167  # as its README counts them
    assert len({row["message_tree_id"] for row in rows}) == 100
    assert all(len(row["messages"]) == len(row["ranks"]) == len(row["message_ids"]) for row in rows)
    ranked = {
        key for row in rows for key, rank in zip(row["message_ids"], row["ranks"], strict=True) if rank is not None
    }
    assert ranked


def test_the_messages_of_oasst_as_a_flat_table_become_dialogues(tmp_path):
    """The trees flattened here, as OASST's own flat files are: as many dialogues as there are answers of the assistant."""
    rows, answers = [], 0
    for line in content_of("oasst/en_100_tree.jsonl").splitlines():
        tree = json.loads(line)
        waiting = [tree["prompt"]]
        while waiting:
            node = waiting.pop()
            names = ("message_id", "parent_id", "text", "role", "lang")
            rows.append({"message_tree_id": tree["message_tree_id"]} | {name: node.get(name) for name in names})
            answers += node["role"] == "assistant"
            waiting += node["replies"]
    made = library.dataset(library.jsonl(rows), file_name="messages.jsonl")
    assert (made.shape, made.rows, made.refused) == ("threads", answers, 0)


def test_roles_of_sharegpt_and_kto_are_those_that_trainers_know():
    for path, column in (
        ("fastchat/dummy_conversation.json", "messages"),
        ("llama-factory/kto_en_demo.json", "prompt"),
    ):
        rows = [row["values"] for row in rows_of(imported(path), 0, 1000)]
        assert {turn["role"] for row in rows for turn in row[column]} <= {"user", "assistant", "system"}


# --- What is refused, and why -----------------------------------------------------------------------------------------


def test_a_list_of_names_holds_no_rows():
    made = imported("banking77/categories.json")
    assert (made.whole, made.refused) == (False, 77)
    assert "It is no object" in made.job.error


def test_answers_that_are_true_instead_of_text_are_refused_by_row_and_column():
    """PandaLM has six rows whose answer was written as true or false, without quotes."""
    made = imported("pandalm/testset-v1.json")
    assert (made.whole, made.refused) == (False, 6)
    assert {one["column"] for one in made.refusals} <= {"response1", "response2"}
    left = imported("pandalm/testset-v1.json", leave_out_refused=True)
    assert (left.format, left.shape, left.rows, left.refused) == ("json", "plain", 993, 6)
