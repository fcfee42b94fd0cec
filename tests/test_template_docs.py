"""docs/templates-made.md shows what ready-made templates make of the sample datasets: it is what they really make.

`WRITE_DOCS=1 make test ARGS=tests/test_template_docs.py` writes it anew.
"""

import os
from pathlib import Path

import pytest
from django.conf import settings

from curation import catalogue
from curation.sample.loading import FOLDER
from curation.services import templates
from tests import library

PAGE = Path(settings.BASE_DIR) / "docs" / "templates-made.md"
HEAD = """\
# Ten instances of each kind

What the ready-made templates make of the sample datasets, all of which were written for Plumbline. Made and checked by
`tests/test_template_docs.py`. docs/templates.md says what the kinds are.
"""
# kind: (file, template, language, columns by part, how many)
SHOWN = {
    "Inverted": [
        ("support-messages.csv", "text-for-a-label", "en", {"text": "message", "label": "team"}, 5),
        ("short-passages-zh.jsonl", "question-about-a-text", "zh",
         {"text": "passage", "question": "question", "answer": "answer"}, 5),
    ],
    "Chain of thought": [
        ("step-by-step.jsonl", "think-then-answer-marked", "en", {"question": "question", "solution": "solution"}, 10),
    ],
    "Few-shot": [
        ("support-messages.csv", "label-by-example", "en", {"text": "message", "label": "team"}, 5),
        ("short-passages-zh.jsonl", "answer-by-example", "zh", {"question": "question", "answer": "answer"}, 5),
    ],
    "From unlabelled text": [
        ("support-messages.csv", "continue-a-text", "en", {"text": "message"}, 5),
        ("short-passages-zh.jsonl", "masked-sentence", "zh", {"text": "passage"}, 5),
    ],
}  # fmt: skip


def spread(rows: list, count: int) -> list:
    """So many of the rows, evenly spaced: neighbours are often of one group."""
    return [rows[at * len(rows) // count] for at in range(count)]


def made(datasets: dict, file: str, key: str, language: str, columns: dict, count: int) -> list[str]:
    name = file.split(".")[0]
    if name not in datasets:
        fields = {"group_column": "passage_id"} if name == "short-passages-zh" else {}
        datasets[name] = library.dataset(
            (FOLDER / file).read_bytes(), name=name, file_name=file, id_column="id", **fields
        )
    given = catalogue.BY_KEY[key].fields(language, columns)
    by = templates.save_template(dataset=datasets[name], actor=None, **given)
    rows = library.rendered(library.instances(datasets[name], by))
    return [
        f"**{name}, row {row['row']}**, `{key}`\n\n````text\n{row['input']}\n````\n\n````text\n{row['target']}\n````\n"
        for row in spread(rows, count)
    ]


@pytest.mark.django_db
def test_the_page_shows_what_templates_really_make(world):
    datasets: dict = {}
    parts = [HEAD]
    for kind, sources in SHOWN.items():
        shown = [one for source in sources for one in made(datasets, *source)]
        assert len(shown) == 10
        parts += [f"## {kind}\n", *shown]
    page = "\n".join(parts)
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(page, encoding="utf-8")
    assert page == PAGE.read_text(encoding="utf-8")
