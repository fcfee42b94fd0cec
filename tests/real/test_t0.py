"""promptsource's templates on rows that promptsource itself rendered: the same text, character for character."""

import pytest

from curation.rendering import Checked, Instance, Renderer, check_all
from tests.real.t0 import RENDERED, SETS, TEMPLATES, golden, promptsource

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not RENDERED.exists(), reason=f"the real data are not there: {RENDERED} (PLUMBLINE_REAL_DATA)"),
]

EXPECTED = {  # templates, and rows of theirs
    "ag_news": (7, 1400),
    "rotten_tomatoes": (10, 2000),
    "glue_mrpc": (7, 1284),
    "paws_labeled_final": (12, 2291),
    "samsum": (7, 1400),
    "commonsense_qa": (5, 1000),
    "sciq": (2, 400),
}


@pytest.mark.parametrize("name", SETS)
def test_every_row_is_rendered_exactly_as_promptsource_did(name, record_property):
    equal = templates = 0
    for template, source, rows, expected in golden(name):
        with Renderer(source, seed="0") as renderer:
            results = renderer.render(enumerate(rows))
        instances = [(each.input, each.target) for each in results if isinstance(each, Instance)]
        assert instances == expected, template
        equal += len(expected)
        templates += 1
    assert (templates, equal) == EXPECTED[name]
    record_property("figure", f"{name}: {equal} of {equal} rows of {templates} templates exactly as promptsource's own")


def test_every_template_of_promptsource_is_taken(record_property):
    sources = [source for file in sorted(TEMPLATES.rglob("templates.yaml")) for source in promptsource(file).values()]
    results = list(check_all(sources))
    assert [result for result in results if not isinstance(result, Checked)] == []
    fixed = [result for result in results if isinstance(result, Checked) and result.fixed_choices is not None]
    assert (len(results), len(fixed)) == (2085, 911)
    record_property("figure", f"{len(results)} of {len(sources)} templates compile, {len(fixed)} with fixed choices")
