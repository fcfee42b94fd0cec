"""Files of templates go in as a whole or not at all, by command, page and API, and what is wrong is named."""

import json
from io import StringIO

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command

from curation.models import Template
from curation.services.templates import import_templates
from tests import library
from tests.test_template_files import PROMPTSOURCE

pytestmark = pytest.mark.django_db

ROWS = [{"text": "It rains.", "label": 1}, {"text": "It snows.", "label": 0}]


@pytest.fixture
def data(world):
    return library.dataset(ROWS, name="weather")


def taken(over, content: str, file_name: str = "templates.yaml", **fields) -> list[Template]:
    return import_templates(dataset=over, file_name=file_name, content=content.encode(), actor=None, **fields)


def refused(over, content: str, file_name: str = "templates.yaml") -> list[str]:
    with pytest.raises(ValidationError) as caught:
        taken(over, content, file_name)
    assert not Template.objects.exists()
    return caught.value.messages


def test_templates_of_promptsource_go_in_unchanged_and_twice_is_once(data):
    first, second = taken(data, PROMPTSOURCE, task_type="classification")
    assert (first.name, first.version, first.origin, first.task_type) == (
        "is it so ", 1, "promptsource", "classification",
    )  # fmt: skip
    assert first.about["choices_in_prompt"] is None and first.about["metrics"] == ["Accuracy", "Something new"]
    assert [one.pk for one in taken(data, PROMPTSOURCE, task_type="classification")] == [first.pk, second.pk]
    made = library.instances(data, first)
    assert [(row["input"], row["target"]) for row in library.rendered(made)] == [
        ("It rains.\nIs it so?", "yes"),
        ("It snows.\nIs it so?", "no"),
    ]


def test_all_that_is_wrong_is_said_at_once_by_name_and_line_and_nothing_is_kept(data):
    broken = PROMPTSOURCE.replace("{{ text }} ||| {{ label }}", "{{ words }} ||| {{ label }}")
    broken = broken.replace("Is it so? |||", "{{ text | no_such }} |||")
    first, second = refused(data, broken)
    assert first.startswith("“is it so ” (line 4 of the file): Line 2: There is no filter “no_such”.")
    assert second == (
        "“always/sometimes/never” (line 21 of the file): There is no column “words”. The dataset has: label, text."
    )


def test_what_the_model_does_not_allow_is_said_with_the_name(data):
    rows = [{"name": "a", "jinja": "{{ text }} ||| b", "kind": "few_shot"}, {"name": "b", "jinja": "", "language": "!"}]
    found = refused(data, json.dumps(rows), "x.json")
    assert [message.split(":")[0] for message in found] == ["“a”", "“b”", "“b”"]
    assert "exemplars" in found[0]


def test_a_file_that_is_none_is_refused_with_words(data):
    assert refused(data, "a: [") == [
        "The file is no YAML: while parsing a flow node expected the node content, but found '<stream end>' "
        'in "<unicode string>", line 1, column 5: a: [ ^'
    ]


def test_hostile_templates_are_refused_each_by_its_name(data):
    rows = [
        {"name": "escape", "jinja": "{% include '/etc/passwd' %} ||| a"},
        {"name": "bomb", "jinja": "a ||| b", "answer_choices": "a ||| {{ 'x' * 10**10 }}"},
        {"name": "good", "jinja": "{{ text }} ||| b"},
    ]
    found = refused(data, json.dumps(rows), "x.json")
    assert [message.split(":")[0] for message in found] == ["“escape”", "“bomb”"]


def test_the_command_takes_files_and_none_of_them_if_one_is_wrong(data, tmp_path):
    good, bad = tmp_path / "templates.yaml", tmp_path / "bad.json"
    good.write_text(PROMPTSOURCE)
    bad.write_text('[{"input": "{nothing}", "target": "{label}"}]')
    with pytest.raises(CommandError, match=r"bad 1.*nothing"):
        call_command("import_templates", "weather", str(good), str(bad))
    assert not Template.objects.exists()
    out = StringIO()
    call_command("import_templates", "weather", str(good), "--task-type", "classification", stdout=out)
    assert [line.split(" ", 1)[1] for line in out.getvalue().splitlines()] == [
        "weather/is it so @1",
        "weather/always/sometimes/never@1",
    ]
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_templates", "weather", str(tmp_path / "none.yaml"))


def test_the_page_takes_a_file_and_shows_what_is_wrong_with_one(world, data):
    page, mina = f"/datasets/{data.pk}/templates/import/", world.client("mina")
    assert mina.get(page).status_code == 200
    wrong = mina.post(page, {"task_type": "other", "upload": SimpleUploadedFile("x.yaml", b"a: 1")})
    assert (wrong.status_code, "templates" in wrong.content.decode()) == (422, True)
    assert not Template.objects.exists()
    done = mina.post(page, {"task_type": "other", "upload": SimpleUploadedFile("x.yaml", PROMPTSOURCE.encode())})
    assert done["Location"] == f"/datasets/{data.pk}/"
    assert set(Template.objects.values_list("actor", flat=True)) == {world.users["mina"].pk}
    shown = mina.get(f"/templates/{Template.objects.get(name='is it so ').pk}/").content.decode()
    assert "A paper, page 2" in shown and "Something new" in shown


def test_who_may_not_make_datasets_imports_no_templates(world, data):
    page, api = f"/datasets/{data.pk}/templates/import/", f"/api/templates/import/?dataset={data.pk}&file_name=x.yaml"
    for name, status in (("rita", 403), ("ana", 404), ("otto", 404)):
        assert world.client(name).get(page).status_code == status
        headers = world.token(name, "datasets:write")
        answer = world.client(name).post(api, PROMPTSOURCE, "application/octet-stream", headers=headers)
        assert answer.status_code == status
    assert not Template.objects.exists()


def test_the_api_takes_a_file_and_says_what_is_wrong_with_one(world, data):
    headers, mina = world.token("mina", "datasets:write"), world.client("mina")

    def post(content: str, query: str):
        return mina.post(
            f"/api/templates/import/?dataset={data.pk}&{query}", content, "application/octet-stream", headers=headers
        )

    done = post(PROMPTSOURCE, "file_name=x.yaml&task_type=classification")
    assert done.status_code == 201
    assert [(one["name"], one["origin"], one["kind"]) for one in done.json()] == [
        ("is it so ", "promptsource", "direct"),
        ("always/sometimes/never", "promptsource", "direct"),
    ]
    wrong = post("[]", "file_name=x.json")
    assert (wrong.status_code, "no template" in json.dumps(wrong.json())) == (400, True)
    assert post("", "file_name=x.yaml").status_code == 400
    assert post(PROMPTSOURCE, "file_name=").status_code == 400
