"""Rows that promptsource itself rendered for T0, and the columns they were rendered from.

The raw data sets are not there, but the rows hold them: of each set one template's rows show every column as it was.
From those rows all templates of the set must give what their own files say, character for character.

Left out are templates that draw the order of their options by lot, and TREC, whose rows lost their labels.
Read from PLUMBLINE_REAL_DATA (default ../shared/data); nothing of it becomes part of the project.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from curation import template_files
from curation.rendering import TemplateSource
from tests.real.pandalm import DATA

RENDERED = DATA / "self-instruct" / "t0-rendered"
TEMPLATES = DATA / "promptsource" / "templates"
END = "<|endoftext|>"
BY_LOT = re.compile(r"\|\s*(choice|random)\b")


class Set(NamedTuple):
    folder: str  # of its templates
    columns_of: str  # the template whose rows show the columns
    prompt: str  # a pattern of those rows, with the columns as groups


class Golden(NamedTuple):
    template: str
    source: TemplateSource
    rows: list[dict[str, Any]]
    expected: list[tuple[str, str]]  # input and target; fewer than rows if the template skips some


SETS = {
    "ag_news": Set("ag_news", "classify", r"(?P<text>.*) \nWhat label best describes this news article\?"),
    "rotten_tomatoes": Set(
        "rotten_tomatoes", "Sentiment with choices ", r"(?P<text>.*) \nIs this review positive or negative\?"
    ),
    "glue_mrpc": Set(
        "glue/mrpc",
        "paraphrase",
        r"Does the sentence\n(?P<sentence1>.*)\nparaphrase \(that is, mean the same thing as\) this sentence\?"
        r"\n(?P<sentence2>.*)",
    ),
    "paws_labeled_final": Set(
        "paws/labeled_final",
        "context-question",
        r"(?P<sentence1>.*)\nIs that a paraphrase of the following sentence\?\n(?P<sentence2>.*)\?\nYes or No\.",
    ),
    "samsum": Set(
        "samsum",
        "Given the above dialogue write a summary",
        r"(?P<dialogue>.*)\nGiven the above dialogue, write a summary\.",
    ),
    "commonsense_qa": Set(
        "commonsense_qa",
        "most_suitable_answer",
        r"Given the options below, select the most suitable answer for the following question:\n(?P<question>.*)"
        r"\nOptions:\n- (?P<options>.*)",
    ),
    "sciq": Set(
        "sciq",
        "Direct Question",
        r"Answer the following question given this paragraph: \n\n(?P<support>.*)\n\n\nQ: (?P<question>.*)\n\n\nA:",
    ),
}


def promptsource(file: Path) -> dict[str, TemplateSource]:
    """The templates of a file of promptsource by their names."""
    found = template_files.read(file.name, file.read_bytes())
    return {one.name: TemplateSource(one.fields["jinja"], one.fields["answer_choices"]) for one in found}


def golden(name: str) -> Iterator[Golden]:
    """All templates of a set that have a file of rendered rows."""
    folder, columns_of, prompt = SETS[name]
    sources = promptsource(TEMPLATES / folder / "templates.yaml")
    rows = [
        columns(re.fullmatch(prompt, text, re.DOTALL), target, sources[columns_of])
        for text, target in rendered(name, columns_of)
    ]
    for template, source in sources.items():
        if not BY_LOT.search(source.jinja):
            yield Golden(template, source, rows, rendered(name, template))


def rendered(name: str, template: str) -> list[tuple[str, str]]:
    file = RENDERED / (re.sub(r"[^\w.]+", "_", f"{name}_{template}") + ".jsonl")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [(row["prompt"].removesuffix("\n"), row["completion"].removesuffix(END)) for row in rows]


def columns(match: re.Match[str] | None, target: str, source: TemplateSource) -> dict[str, Any]:
    """A row of the raw data set. The target tells its label, its summary or its answer."""
    assert match is not None
    row: dict[str, Any] = match.groupdict()
    if "dialogue" in row:
        return row | {"summary": target}
    if "options" in row:
        texts = row.pop("options").split("\n- ")
        letters = list("ABCDE")
        return row | {"choices": {"label": letters, "text": texts}, "answerKey": letters[texts.index(target)]}
    if "support" in row:  # the wrong answers are not shown, and not used by the templates that draw no lots
        return row | {"distractor1": "1", "distractor2": "2", "distractor3": "3", "correct_answer": target}
    return row | {"label": [choice.strip() for choice in source.answer_choices.split("|||")].index(target)}
