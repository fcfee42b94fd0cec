"""Ready-made templates: each, in each language, compiles and gives instances on rows that fit it."""

import pytest

from curation import catalogue
from curation.models import Template
from curation.rendering import DEFAULT, TemplateSource
from curation.rendering.program import Program
from tests import library

ROW = {
    "the-text": "It rained all day. Nobody went out.\n\nIn the evening it stopped. The streets were wet.",
    "title": "A wet day", "label": "weather", "question": "When did it stop?", "answer": "In the evening",
    "rationale": "The text says that it stopped in the evening.", "solution": "It stopped then.\n#### the evening",
}  # fmt: skip
COLUMNS = {part: "the-text" if part == "text" else part for part in catalogue.PARTS}
CASES = [(key, language) for key in catalogue.BY_KEY for language in catalogue.LANGUAGES]


@pytest.mark.parametrize(("key", "language"), CASES)
def test_each_gives_an_instance_on_a_row_that_fits(key, language):
    fields = catalogue.BY_KEY[key].fields(language, COLUMNS)
    assert "[[" not in fields["jinja"] and "%" not in fields["jinja"].replace("{%", "").replace("%}", "")
    program = Program(TemplateSource(fields["jinja"]), seed="s", limits=DEFAULT)
    program.compile()
    made = program.row(1, ROW)
    assert len(made) == 4, made
    assert made[1] and made[2]


def test_every_kind_but_direct_is_there_in_both_languages():
    assert {entry.kind for entry in catalogue.ENTRIES} == set(Template.Kind.values) - {"direct"}
    assert all(set(entry.jinja) == {"en", "zh"} for entry in catalogue.ENTRIES)


def test_the_marked_solution_is_divided_and_one_without_a_mark_is_skipped():
    fields = catalogue.BY_KEY["think-then-answer-marked"].fields("en", COLUMNS)
    program = Program(TemplateSource(fields["jinja"]), seed="s", limits=DEFAULT)
    program.compile()
    assert program.row(1, ROW)[2] == "It stopped then.\nTherefore, the answer is the evening."
    assert program.row(1, ROW | {"solution": "No mark."}) == [1, "blank"]


@pytest.mark.django_db
def test_one_is_an_ordinary_template_on_the_page(world):
    data = library.dataset([ROW, ROW | {"title": "Another"}], name="weather")
    client = world.client("mina")
    listed = client.get(f"/datasets/{data.pk}/templates/").text
    assert all(f'value="{key}"' in listed for key in catalogue.BY_KEY)
    new = f"/datasets/{data.pk}/templates/new/"
    begun = client.get(f"{new}?entry=title-of-a-text&in=zh&text=the-text&title=title").text
    assert "请给下面的文字拟一个标题。" in begun and "A wet day" in begun
    few = client.get(f"{new}?entry=label-by-example&in=en&text=title&label=label").text
    assert '<option value="few_shot" selected>' in few and 'name="shots" value="3"' in few
    for rubbish in ("entry=x", "entry=title-of-a-text&text=no&title=title", "entry=title-of-a-text&in=xx"):
        assert client.get(f"{new}?{rubbish}").status_code == 200
    assert not Template.objects.exists()
