"""Files of templates: promptsource's YAML, FLAN's patterns, our JSON. What they say is kept; what cannot be is named."""

import json
import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from curation.rendering import DEFAULT, TemplateSource
from curation.rendering.program import Program
from curation.template_files import BadFile, read
from curation.template_files.flan import jinja_of

PROMPTSOURCE = """\
dataset: made_up
subset: one
templates:
  0a-1: !Template
    answer_choices: 'no ||| yes'
    id: 0a-1
    jinja: |-
      {{ text }}
      Is it so? ||| {{ answer_choices[label] }}
    metadata: !TemplateMetadata
      choices_in_prompt: null
      languages:
      - zh
      metrics: &1
      - Accuracy
      - Something new
      original_task: true
    name: 'is it so '
    reference: A paper, page 2
    task_template: true
  0a-2: !Template
    answer_choices: null
    id: 0a-2
    jinja: '{{ text }} ||| {{ label }}'
    metadata: !TemplateMetadata
      choices_in_prompt: false
      metrics: *1
      original_task: false
    name: always/sometimes/never
    reference: ''
"""


def bad(content: str | bytes, file_name: str = "templates.yaml") -> BadFile:
    with pytest.raises(BadFile) as caught:
        read(file_name, content.encode() if isinstance(content, str) else content)
    return caught.value


# --- promptsource -----------------------------------------------------------------------------------------------------


def test_a_file_of_promptsource_keeps_its_names_its_texts_and_what_it_says_of_them():
    first, second = read("templates.yaml", PROMPTSOURCE.encode())
    assert first.fields == {
        "name": "is it so ",
        "jinja": "{{ text }}\nIs it so? ||| {{ answer_choices[label] }}",
        "answer_choices": "no ||| yes",
        "language": "zh",
    }
    assert first.about == {
        "id": "0a-1",
        "reference": "A paper, page 2",
        "original_task": True,
        "choices_in_prompt": None,
        "metrics": ["Accuracy", "Something new"],
        "languages": ["zh"],
    }
    assert (first.origin, first.line) == ("promptsource", 4)
    assert (second.name, second.fields["answer_choices"], second.fields["language"], second.line) == (
        "always/sometimes/never", "", "en", 21,
    )  # fmt: skip
    assert (second.about["choices_in_prompt"], second.about["metrics"]) == (False, ["Accuracy", "Something new"])


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        ("templates: [1, 2]", "not_promptsource", "templates"),
        ("- a", "not_promptsource", "templates"),
        ("", "not_promptsource", "templates"),
        ("templates: {}", "no_templates", "no template"),
        ("templates: {a: 1}", "not_a_template", "Template 1"),
        ("templates:\n  a: !Template {jinja: x}", "no_field", "“name”"),
        ("templates:\n  a: !Template {name: x, jinja: 5}", "not_text", "“jinja”"),
        ("templates:\n  a: !Template {name: x, jinja: y, answer_choices: [a]}", "not_text", "“answer_choices”"),
        ("templates:\n  a: !Template {name: x, jinja: y}\n  b: !Template {name: x, jinja: z}", "name_twice", "“x”"),
        ("templates:\n\t- a", "not_yaml", "line 2"),
        ("a: &a !!python/object/apply:os.system ['true']", "not_yaml", "python/object/apply"),
        ("a: !!python/name:os.system", "not_yaml", "python/name"),
        ("a: 2001-99-99", "not_yaml", "month"),
        ("? [a]\n: b", "not_yaml", "unhashable"),
        ("a: &a {b: 1}\nc: {<<: *a}", "merges", "“<<”"),
        ("[" * 30 + "]" * 30, "too_deep", "deeply"),
        ("[" * 100_000, "too_deep", "deeply"),
        (b"\xff\xfe\x00", "not_utf8", "UTF-8"),
        (b"x" * (2 * 2**20 + 1), "too_large", "2 MB"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_of_promptsource_is_refused_with_words(content, code, said):
    error = bad(content)
    assert (error.code, said in str(error)) == (code, True), str(error)


def test_an_alias_bomb_is_refused_at_once_and_uses_no_memory():
    lines = ["a0: &a0 [x, x]"] + [f"a{at}: &a{at} [*a{at - 1}, *a{at - 1}]" for at in range(1, 60)]
    began = time.process_time()
    assert bad("\n".join(lines)).code == "aliases"
    assert time.process_time() - began < 2


def test_twenty_levels_of_merges_are_refused_before_they_multiply():
    lines = ["a0: &a0 {x: 1}"] + [f"a{at}: &a{at} {{<<: [*a{at - 1}, *a{at - 1}]}}" for at in range(1, 25)]
    assert bad("\n".join(lines)).code == "merges"


# --- FLAN -------------------------------------------------------------------------------------------------------------


def substituted(pattern: str, row: dict) -> str:
    """What FLAN does: every {name} is replaced by the value, once, and nothing else happens."""
    return re.sub(r"\{(\w*)\}", lambda match: str(row[match.group(1)]), pattern)


def rendered(jinja: str, choices: str, row: dict) -> list:
    program = Program(TemplateSource(jinja, choices), seed="0", limits=DEFAULT)
    program.compile()
    return program.row(1, row)


# Whatever Jinja could take for its own. Not the bar: three of them part input and target; not the carriage return:
# Jinja has one kind of line end.
TEXTS = st.text(st.sampled_from("{}%#-+ \n\\'\"ab中文|é").filter(lambda char: char != "|"), max_size=20)
NAMES = st.sampled_from(["premise", "hypothesis", "名", "class", "loop", "range", "x1", "_"])
VALUES = st.one_of(TEXTS, st.integers(), st.none(), st.booleans(), st.lists(st.integers(), max_size=3))


@given(
    st.lists(st.one_of(TEXTS, NAMES.map("{{{}}}".format)), max_size=8).map("".join),
    st.fixed_dictionaries(dict.fromkeys(("premise", "hypothesis", "名", "class", "loop", "range", "x1", "_"), VALUES)),
)
@example("{{premise}}", {"premise": "{{ x }}"})
@example("{%if {premise}%} {# {hypothesis} #}", {"premise": 1, "hypothesis": None})
@example("{premise}}}%}", {"premise": "a"})
@example("a\n", {})
def test_a_pattern_gives_the_very_text_that_substitution_gives(pattern, row):
    try:
        jinja = jinja_of(pattern)
    except BadFile as error:  # such as {a b}, which is no field, beside {ab}, which is no column here
        assert error.code == "pattern_name"
        return
    if set(re.findall(r"\{(\w*)\}", pattern)) - set(row):
        return
    made = rendered(f"i{jinja}i ||| t{jinja}t", "", row)
    expected = substituted(pattern, row)
    assert made == [1, f"i{expected}i", f"t{expected}t", []]


PATTERNS = [
    {"input": "{premise}\nIs it true that {hypothesis}?\n{options_}", "target": "{answer}"},
    {"input": "{premise} {hypothesis}", "target": "{answer}"},
    {"input": "Write a premise for {hypothesis}.", "target": "{premise}", "name": "premise", "language": "zh"},
]


def test_patterns_have_names_kinds_and_a_list_of_options():
    first, second, third = read("rte.json", json.dumps(PATTERNS).encode())
    assert [one.name for one in (first, second, third)] == ["rte 1", "rte 2", "premise"]
    assert [one.fields["kind"] for one in (first, second, third)] == ["direct", "direct", "inverted"]
    assert [one.fields["language"] for one in (first, second, third)] == ["en", "en", "zh"]
    assert (first.origin, first.about) == ("flan", PATTERNS[0])
    row = {"premise": "P", "hypothesis": "H", "answer": "yes", "options": ["yes", "no"]}
    assert rendered(first.fields["jinja"], "", row) == [
        1, "P\nIs it true that H?\nOPTIONS:\n- yes\n- no", "yes", [],
    ]  # fmt: skip


def test_options_are_the_answer_choices_where_the_file_has_them():
    pattern = {"input": "{premise}\n{options_}", "target": "{answer}", "answer_choices": "so ||| not so"}
    (one,) = read("x.json", json.dumps([pattern]).encode())
    row = {"premise": "P", "answer": "so", "options": ["never", "seen"]}
    made = rendered(one.fields["jinja"], one.fields["answer_choices"], row)
    assert made == [1, "P\nOPTIONS:\n- so\n- not so", "so", ["so", "not so"]]


def test_patterns_as_flan_has_them_in_python_are_read_too():
    given = {"cot": [["{question}", "{chain_of_thought}\nSo it is {answer}."]] * 2 + [["{answer}", "{question}"]]}
    found = read("x.json", json.dumps(given).encode())
    assert [(one.name, one.fields["kind"]) for one in found] == [
        ("cot 1", "cot"), ("cot 2", "cot"), ("cot 3", "inverted"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([{"input": "{if}", "target": "a"}], "pattern_name"),
        ([{"input": "{}", "target": "a"}], "pattern_name"),
        ([{"input": "{0}", "target": "a"}], "pattern_name"),
        ([{"input": "a ||| b", "target": "a"}], "pattern_separator"),
        ([{"input": "a"}], "no_field"),
        ([{"input": "a", "target": 1}], "not_text"),
        ([{"input": "a", "target": "b", "jinja": "c"}], "unknown_field"),
        ([{"input": "a", "target": "b"}, 3], "not_a_template"),
        ({"x": 1}, "not_a_list"),
        ({"x": [["a", "b", "c"]]}, "not_a_template"),
        ({}, "no_templates"),
    ],
)
def test_patterns_that_cannot_be_are_refused(rows, code):
    assert bad(json.dumps(rows), "x.json").code == code


# --- Ours -------------------------------------------------------------------------------------------------------------


def test_our_own_files_give_the_fields_they_have():
    (one,) = read("x.json", json.dumps([{"name": "n", "jinja": "a ||| b", "shots": 3, "language": None}]).encode())
    assert (one.fields, one.origin, one.about, one.line) == (
        {"name": "n", "jinja": "a ||| b", "shots": 3}, "ours", {}, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("{", "not_json"),
        ("3", "not_a_list"),
        ("[]", "no_templates"),
        ('[{"name": "n"}]', "not_a_template"),
        ('[{"name": "n", "jinja": "x", "origin": "flan"}]', "unknown_field"),
        ('[{"name": "n", "jinja": 4}]', "not_text"),
        ("[" * 5000, "not_json"),
    ],
)
def test_files_that_are_none_of_ours_are_refused(content, code):
    assert bad(content, "x.json").code == code


def test_a_file_of_another_kind_is_refused():
    assert bad("a", "x.txt").code == "unknown_file"
