"""All of promptsource's templates go in unchanged, and how many give an instance on rows made up to fit them.

The data sets themselves are not there. A row is made of guesses: what each column is called and how templates use it
(a list that is looped over, an index of the answer choices, a text). So what does not render says more of the guess
than of the template, and the count is told as it is.
"""

import re

import pytest
from jinja2 import Environment, nodes

from curation.models import Template
from curation.rendering import Instance, Renderer, TemplateError, TemplateSource, compile_check
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
AT_LEAST = 1900  # of 2,085; a renderer without a sandbox gives 1,927 on rows of cruder guesses

NUMBERS = re.compile(
    r"label|answer_?(key|idx|index|num)?$|score|rating|stars|idx|index|id$|start|end|count|number|correct", re.I
)
SENTENCE = "Rain fell on the old town. Nobody had an umbrella, and everybody ran."


@pytest.mark.django_db
def test_every_template_goes_in_unchanged(record_property):
    taken = 0
    for number, file in enumerate(FILES):
        sources = promptsource(file)
        columns = sorted({name for source in sources.values() for name in compile_check(source).columns})
        over = library.dataset([dict.fromkeys(columns, "a")] if columns else [{"a": "a"}], name=f"set-{number}")
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
            if isinstance(compared.expr, nodes.Name) and compared.expr.name == name:
                value = compared.ops[0].expr
                if isinstance(value, nodes.Const):
                    return f"value {value.value!r}"
    return "number" if NUMBERS.search(name) else "text"


def made_up(source: TemplateSource, columns) -> dict:
    row = {}
    for name in columns:
        use = used_as(source, name)
        if use == "list":
            row[name] = ["first", "second", "third"]
        elif use.startswith("object"):
            keys = {
                got.attr if isinstance(got, nodes.Getattr) else got.arg.value
                for got in Environment()
                .parse(source.jinja + source.answer_choices)
                .find_all((nodes.Getitem, nodes.Getattr))
                if isinstance(got, nodes.Getattr)
                or (isinstance(got.arg, nodes.Const) and isinstance(got.arg.value, str))
            }
            row[name] = {key: ["first", "second"] for key in keys}
        elif use.startswith("value"):
            row[name] = compared_with(use)
        else:
            row[name] = 1 if use == "number" else SENTENCE
    return row


def compared_with(use: str):
    return {"True": True, "False": False}.get(use[6:], int(use[6:]) if use[6:].lstrip("-").isdigit() else use[7:-1])


def gives_an_instance(source: TemplateSource) -> str:
    """`rendered`, or why not: the code of the error, or the reason for dropping the row."""
    columns = compile_check(source).columns
    outcomes = []
    for guess in (
        made_up(source, columns),
        dict.fromkeys(columns, SENTENCE),
        dict.fromkeys(columns, 1),
        dict.fromkeys(columns, ["a", "b", "c"]),
    ):
        try:
            with Renderer(source, seed="0") as renderer:
                (made,) = renderer.render([(1, guess)])
        except TemplateError as error:
            outcomes.append(error.code)
            continue
        if isinstance(made, Instance):
            return "rendered"
        outcomes.append(made.reason)
    return outcomes[0]


def test_most_templates_give_an_instance_on_rows_made_to_fit(record_property):
    outcomes: dict[str, int] = {}
    for file in FILES:
        for source in promptsource(file).values():
            outcome = gives_an_instance(source)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert sum(outcomes.values()) == 2085
    record_property("figure", f"{outcomes['rendered']} of 2,085 render on made-up rows; others: {outcomes}")
    assert outcomes["rendered"] >= AT_LEAST, outcomes
