"""Every kind of template over real data: GSM8K, AG News and strategyqa, by the ready-made templates and our own.

What must come of it is worked out from the files by Python's own readers.
"""

import csv
import json

import pytest

from curation import catalogue
from tests import library
from tests.real.pandalm import DATA

FILES = {name: DATA / path for name, path in {
    "ag-news": "ag_news/test.csv", "gsm8k": "gsm8k/test.jsonl", "strategyqa": "flan-cot/strategyqa_train.tsv",
}.items()}  # fmt: skip
ROWS = {"ag-news": 7600, "gsm8k": 1319, "strategyqa": 2061}
pytestmark = [
    pytest.mark.real,
    pytest.mark.django_db,
    pytest.mark.skipif(
        not all(file.exists() for file in FILES.values()),
        reason=f"the real data are not there: {DATA} (PLUMBLINE_REAL_DATA)",
    ),
]
TOPIC = "{{ ['world', 'sports', 'business', 'technology'][column_1 - 1] }}"
NEWS = {"text": "column_3", "title": "column_2"}
ASKED = {"question": "question", "answer": "answer"}
SOLVED = {"question": "question", "solution": "answer"}
THOUGHT = ASKED | {"rationale": "chain_of_thought"}


@pytest.fixture
def made(world):
    datasets = {}

    def make(over, key="", columns=None, **fields):
        """The instances of a ready-made template, or of one's own, over a file."""
        if over not in datasets:
            datasets[over] = library.dataset(FILES[over].read_bytes(), name=over, file_name=FILES[over].name)
            assert datasets[over].rows == ROWS[over]
        if key:
            fields |= catalogue.BY_KEY[key].fields("en", columns)
        jinja = fields.pop("jinja")
        instances = library.instances(datasets[over], library.template(datasets[over], jinja, **fields))
        assert instances.whole, instances.job.error
        return instances, library.rendered(instances)

    return make


def news():
    with FILES["ag-news"].open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def problems():
    return [json.loads(line) for line in FILES["gsm8k"].read_text(encoding="utf-8").splitlines()]


def questions():
    lines = FILES["strategyqa"].read_text(encoding="utf-8").split("\n")
    return [[field.replace("\\n", "\n") for field in line.split("\t")] for line in lines if line]


def pairs(rows):
    return [(row["input"], row["target"]) for row in rows]


def test_inverted(made, record_property):
    label = f"Write the first lines of a news story about {TOPIC}. ||| {{{{ column_3 }}}}"
    _, of_news = made("ag-news", jinja=label, kind="inverted", name="story")
    topics = ["world", "sports", "business", "technology"]
    assert pairs(of_news) == [
        (f"Write the first lines of a news story about {topics[int(topic) - 1]}.", text.strip())
        for topic, _, text in news()
    ]
    _, of_problems = made("gsm8k", "question-for-an-answer", ASKED)
    assert [target for _, target in pairs(of_problems)] == [one["question"].strip() for one in problems()]
    _, of_questions = made("strategyqa", "explain-an-answer", THOUGHT)
    assert pairs(of_questions) == [
        (f"{question.lstrip()}\n\nThe answer is {answer}. Explain why.", chain.strip())
        for question, answer, chain in questions()
    ]
    record_property("figure", f"{len(of_news):,}, {len(of_problems):,} and {len(of_questions):,} instances")


def test_chain_of_thought(made, record_property):
    instances, of_problems = made("gsm8k", "think-then-answer-marked", SOLVED)
    assert instances.dropped == {}
    halves = [[half.strip() for half in one["answer"].split("####")] for one in problems()]
    assert [target for _, target in pairs(of_problems)] == [
        f"{way}\nTherefore, the answer is {end}." for way, end in halves
    ]
    _, of_questions = made("strategyqa", "think-then-answer", THOUGHT)
    assert [target for _, target in pairs(of_questions)] == [
        f"{chain}\nTherefore, the answer is {answer}." for _, answer, chain in questions()
    ]
    record_property("figure", f"{len(of_problems):,} and {len(of_questions):,} instances")


def test_few_shot(made, record_property):
    label = f"Text: {{{{ column_3 }}}}\nLabel:\n|||\n{TOPIC}"
    _, of_news = made("ag-news", jinja=label, kind="few_shot", shots=3, name="by-example", character_budget=20_000)
    assert [row["target"] for row in of_news] == [
        ["world", "sports", "business", "technology"][int(topic) - 1] for topic, *_ in news()
    ]
    assert all(row["input"].count("\nLabel:") == 4 for row in of_news)
    for (_, _, text), row in zip(news(), of_news, strict=True):
        before, own = row["input"].rsplit("\n\nText: ", 1)
        assert own == f"{text}\nLabel:" and f"Text: {text}\nLabel:" not in before
    counts = [len(of_news)]
    for name, columns in (("gsm8k", ASKED), ("strategyqa", ASKED)):
        instances, rows = made(name, "answer-by-example", columns)
        assert set(instances.dropped) <= {"no_exemplar"}
        assert all(row["input"].startswith("Question: ") and row["input"].endswith("\nAnswer:") for row in rows)
        assert all(2 <= row["input"].count("\nAnswer:") <= 4 and len(row["input"]) <= 4000 for row in rows)
        counts.append(len(rows))
    record_property("figure", "{:,}, {:,} and {:,} instances".format(*counts))


def test_from_unlabelled_text(made, record_property):
    texts = [text for _, _, text in news()]
    _, masked = made("ag-news", "masked-sentence", NEWS)
    for row in masked:
        shown = row["input"].split("\n\n", 1)[1]
        assert shown.replace("____", row["target"]).strip() == texts[row["row"] - 1].strip()
    _, going_on = made("ag-news", "continue-a-text", NEWS)
    for row in going_on:
        whole = f"{row['input'].split(chr(10) * 2, 1)[1]} {row['target']}"
        assert whole.split() == texts[row["row"] - 1].split()
    _, titles = made("ag-news", "title-of-a-text", NEWS)
    assert [row["target"] for row in titles] == [title.strip() for _, title, _ in news()]
    _, problem = made("gsm8k", "masked-sentence", {"text": "question"})
    asked = [one["question"] for one in problems()]
    assert all(row["target"] in asked[row["row"] - 1] for row in problem)
    assert min(len(masked), len(going_on), len(titles), len(problem)) >= 1000
    record_property(
        "figure",
        f"{len(masked):,} masked, {len(going_on):,} going on, {len(titles):,} titles, {len(problem):,} of GSM8K",
    )
