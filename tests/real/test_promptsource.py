"""All of promptsource's templates go in unchanged, and how many give an instance on rows made up to fit them.

The data sets themselves are not there. A row is made of guesses: what each column is called and how templates use it
(a list that is looped over, an index of the answer choices, a text). So what does not render says more of the guess
than of the template, and the count is told as it is.
"""

import re
from collections import Counter

import orjson
import pytest
from jinja2 import Environment, nodes

from curation.models import Template
from curation.rendering import DEFAULT, Instance, TemplateError, TemplateSource, check_all
from curation.rendering.process import ChildProcess
from curation.rendering.renderer import ask, request_of, result_of
from curation.services.templates import import_templates
from tests import library
from tests.real.t0 import TEMPLATES, promptsource

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not TEMPLATES.exists(), reason=f"the real data are not there: {TEMPLATES} (PLUMBLINE_REAL_DATA)"
    ),
]
FILES = sorted(TEMPLATES.rglob("templates.yaml")) if TEMPLATES.exists() else []
AT_LEAST = 1894  # of 2,085

GUESSES = [  # of what is a number or a name of a choice, and of what is in lists
    (1, ("first", "second", "third")),
    (0, (0, 1, 2, 1)),
    ("first", ("first", "second", "third")),
    ("A", ("A", "B", "C")),
    ("yes", ("yes", "no")),
]
NUMBERS = re.compile(
    r"label|answer_?(key|idx|index|num)?$|score|rating|stars|idx|index|id$|start|end|count|number|correct", re.I
)
SENTENCE = "Rain fell on the old town. Nobody had an umbrella, and everybody ran."


@pytest.mark.django_db
def test_every_template_goes_in_unchanged(record_property):
    taken = 0
    for number, file in enumerate(FILES):
        sources = promptsource(file)
        columns = sorted({name for one in check_all(sources.values()) for name in one.columns})
        over = library.dataset([dict.fromkeys(columns or ["a"], f"value {number}")], name=f"set-{number}")
        kept = import_templates(dataset=over, file_name=file.name, content=file.read_bytes(), actor=None)
        assert [one.name for one in kept] == list(sources)
        taken += len(kept)
    assert (taken, Template.objects.count()) == (2085, 2085)
    record_property("figure", f"{taken} of 2,085 templates of {len(FILES)} files imported unchanged")


def used_as(source: TemplateSource, name: str) -> str:
    """How a template uses a column: as a list, as an object, as a number, or as a text."""
    environment = Environment()
    trees = [environment.parse(text) for text in (source.jinja, source.answer_choices)]
    for tree in trees:
        for loop in tree.find_all(nodes.For):
            if isinstance(loop.iter, nodes.Name) and loop.iter.name == name:
                return "list"
        for got in tree.find_all((nodes.Getitem, nodes.Getattr)):
            if isinstance(got.node, nodes.Name) and got.node.name == name:
                if isinstance(got, nodes.Getattr):
                    return f"object {got.attr}" if not hasattr(str, got.attr) else "text"
                key = got.arg
                if isinstance(key, nodes.Const) and isinstance(key.value, str):
                    return f"object {key.value}"
                return "list"
            if isinstance(got, nodes.Getitem) and isinstance(got.arg, nodes.Name) and got.arg.name == name:
                return "number"
        for compared in tree.find_all(nodes.Compare):
            if isinstance(compared.expr, nodes.Name) and compared.expr.name == name and compared.ops[0].op == "eq":
                value = compared.ops[0].expr
                if isinstance(value, nodes.Const):
                    return f"value {value.value!r}"
    return "number" if NUMBERS.search(name) else "text"


def made_up(source: TemplateSource, columns, number=1, items=("first", "second", "third")) -> dict:
    row: dict = {}
    for name in columns:
        use = used_as(source, name)
        if use == "list":
            row[name] = list(items)
        elif use.startswith("object"):
            keys = {
                got.attr if isinstance(got, nodes.Getattr) else got.arg.value
                for got in Environment()
                .parse(source.jinja + source.answer_choices)
                .find_all((nodes.Getitem, nodes.Getattr))
                if isinstance(got, nodes.Getattr)
                or (isinstance(got.arg, nodes.Const) and isinstance(got.arg.value, str))
            }
            row[name] = {key: list(items) for key in keys}
        elif use.startswith("value"):
            row[name] = compared_with(use)
        else:
            row[name] = number if use == "number" else SENTENCE
    return row


def compared_with(use: str):
    return {"True": True, "False": False}.get(use[6:], int(use[6:]) if use[6:].lstrip("-").isdigit() else use[7:-1])


class Child:
    """One process for many templates, as long as they do it no harm."""

    def __init__(self) -> None:
        self.process: ChildProcess | None = None

    def rendered(self, source: TemplateSource, row: dict) -> str:
        """`rendered`, or why not: the code of the error, or the reason for dropping the row."""
        self.process = self.process or ChildProcess(DEFAULT)
        try:
            ask(self.process, request_of("load", source, "0"), DEFAULT.compile_seconds)
            self.process.send(orjson.dumps([[1, row]]))
            made = result_of(self.process.answer(DEFAULT.row_seconds, row=1), 1)
        except TemplateError as error:
            self.end()
            return error.code
        return "rendered" if isinstance(made, Instance) else made.reason

    def end(self) -> None:
        if self.process:
            self.process.end()
        self.process = None


def test_most_templates_give_an_instance_on_rows_made_to_fit(record_property):
    outcomes: Counter[str] = Counter()
    child = Child()
    for file in FILES:
        sources = list(promptsource(file).values())
        for source, checked in zip(sources, check_all(sources), strict=True):
            guesses = [made_up(source, checked.columns, number, items) for number, items in GUESSES]
            guesses += [dict.fromkeys(checked.columns, value) for value in (SENTENCE, 1, ["a", "b", "c"])]
            first = child.rendered(source, guesses[0])
            good = first == "rendered" or any(child.rendered(source, row) == "rendered" for row in guesses[1:])
            outcomes["rendered" if good else first] += 1
    child.end()
    assert outcomes.total() == 2085
    record_property("figure", f"{outcomes['rendered']} of 2,085 render on made-up rows; others: {dict(outcomes)}")
    assert outcomes["rendered"] >= AT_LEAST, outcomes
