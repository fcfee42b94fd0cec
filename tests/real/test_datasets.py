"""Real data sets, as their authors published them, come in whole, with the counts that they are known to have."""

import json
from pathlib import Path
from typing import Any

import pytest

from curation.models import Dataset
from curation.services.datasets import batches_of
from tests import library
from tests.real.pandalm import DATA

pytestmark = [pytest.mark.real, pytest.mark.django_db]

# path: (licence, language, how it is read, rows, columns with their kinds)
SETS: dict[str, tuple[str, str, dict[str, Any], int, str]] = {
    "ag_news/test.csv": (
        "LicenseRef-AG-news", "en", {"column_names": ["label", "title", "description"]},
        7600, "label integer, title text, description text",
    ),
    "banking77/train.csv": ("CC-BY-4.0", "en", {}, 10003, "text text, category text"),
    "banking77/test.csv": ("CC-BY-4.0", "en", {}, 3080, "text text, category text"),
    "sst2/SST2_train.tsv": (
        "LicenseRef-SST", "en", {"column_names": ["sentence", "label"]}, 6920, "sentence text, label integer",
    ),
    "sst2/SST2_dev.tsv": (
        "LicenseRef-SST", "en", {"column_names": ["sentence", "label"]}, 872, "sentence text, label integer",
    ),
    "sst2/SST2_test.tsv": (
        "LicenseRef-SST", "en", {"column_names": ["sentence", "label"]}, 1821, "sentence text, label integer",
    ),
    "cola/in_domain_train.tsv": (
        "LicenseRef-CoLA", "en", {"column_names": ["source", "acceptable", "mark", "sentence"]},
        8551, "source text, acceptable integer, mark text, sentence text",
    ),
    "cola/out_of_domain_dev.tsv": (
        "LicenseRef-CoLA", "en", {"column_names": ["source", "acceptable", "mark", "sentence"]},
        516, "source text, acceptable integer, mark text, sentence text",
    ),
    **{
        f"ocnli/{name}.json": (
            "LicenseRef-OCNLI", "zh-Hans", {"id_column": "id", "group_column": "prem_id"}, rows,
            "level text, sentence1 text, sentence2 text, label text, label0 text, label1 text, label2 text, "
            "label3 text, label4 text, genre text, prem_id text, id integer",
        )
        for name, rows in (("test_public", 2520), ("train_few_all", 160), ("dev_few_all", 160))
    },
    "gsm8k/train.jsonl": ("MIT", "en", {}, 7473, "question text, answer text"),
    "gsm8k/test.jsonl": ("MIT", "en", {}, 1319, "question text, answer text"),
}  # fmt: skip


def source(path: str) -> bytes:
    """The file's bytes; the test is skipped, with the reason, where it is not there."""
    if not (DATA / path).exists():
        pytest.skip(f"the real data are not there: {DATA / path} (PLUMBLINE_REAL_DATA)")
    return (DATA / path).read_bytes()


def values_of(dataset: Dataset) -> list[dict[str, Any]]:
    return [values for batch in batches_of(dataset) for _number, values in batch]


@pytest.mark.parametrize("path", SETS)
def test_a_data_set_comes_in_whole(path, record_property):
    content = source(path)
    licence, language, fields, rows, columns = SETS[path]
    made = library.dataset(
        content, file_name=Path(path).name, name=path.split("/")[0].replace("_", "-"), licence=licence,
        language=language, **fields,
    )  # fmt: skip
    assert made.whole, made.job.error
    assert (made.rows, made.refused) == (rows, 0)
    assert ", ".join(f"{one['name']} {one['kind']}" for one in made.columns) == columns
    record_property("figure", f"{made.title}: {made.rows:,} rows, {len(made.columns)} columns")
    if made.format == Dataset.Format.JSONL:
        assert values_of(made) == [json.loads(line) for line in content.splitlines()]
    elif made.format == Dataset.Format.TSV:
        fields_of = [line.split("\t") for line in content.decode().splitlines()]
        assert [[str(value) for value in row.values()] for row in values_of(made)] == fields_of


def test_labels_have_the_shares_that_they_are_published_with():
    made = library.dataset(
        source("ag_news/test.csv"), file_name="test.csv", column_names=["label", "title", "description"]
    )
    labels = [row["label"] for row in values_of(made)]
    assert {label: labels.count(label) for label in set(labels)} == dict.fromkeys([1, 2, 3, 4], 1900)


def test_solutions_of_gsm8k_models_come_in_as_they_are():
    content = source("gsm8k/example_model_solutions.jsonl")
    made = library.dataset(content, file_name="solutions.jsonl")
    assert made.whole, made.job.error
    rows = [json.loads(line) for line in content.splitlines()]
    assert [{name: value for name, value in row.items() if value is not None} for row in values_of(made)] == rows
