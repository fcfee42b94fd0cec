"""The rules of a template, one by one: what promptsource's own templates rely on."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.rendering import (
    MESSAGES,
    REASONS,
    Checked,
    Dropped,
    Instance,
    Limits,
    Renderer,
    TemplateError,
    TemplateSource,
    check_all,
    compile_check,
)
from curation.rendering.program import Program
from curation.rendering.source import DEFAULT


def render(jinja, *rows, choices="", seed="0", **limits):
    with Renderer(TemplateSource(jinja, choices), seed=seed, limits=Limits(**limits)) as renderer:
        return renderer.render(enumerate(rows))


def one(jinja, row=None, **more):
    """Input and target of one row, or why there are none."""
    (result,) = render(jinja, row or {}, **more)
    return (result.input, result.target) if isinstance(result, Instance) else result.reason


def error(jinja, row=None, **more):
    with pytest.raises(TemplateError) as caught:
        render(jinja, row or {}, **more)
    return caught.value


# --- Splitting and dropping -------------------------------------------------------------------------------------------


def test_a_row_gives_an_input_and_a_target_without_space_around_them():
    assert render("\n {{ a }}?  \n||| {{ b }}\n\n", {"a": "Is it", "b": 1}) == [Instance(0, "Is it?", "1", ())]


@pytest.mark.parametrize(
    ("jinja", "reason"),
    [
        ("{% if label == 1 %}a ||| b{% endif %}", "blank"),
        (" \n ", "blank"),
        ("{% if label %} ||| {% endif %} ||| ", "blank"),
        ("a", "no_separator"),
        ("a ||| b ||| c", "too_many_parts"),
        ("a ||| b |||", "too_many_parts"),
        ("{{ nothing }} ||| b", "empty_input"),
        ("a ||| {{ ['x'][5] }}", "empty_target"),
    ],
)
def test_a_row_that_gives_no_two_texts_is_dropped_with_the_reason(jinja, reason):
    assert render(jinja, {"label": 0}) == [Dropped(0, reason)]
    assert reason in REASONS


def test_separators_count_in_the_output_and_not_in_the_template():
    jinja = "{% if n == 1 %}one ||| 1{% else %}many ||| 2{% endif %}"
    assert [(each.input, each.target) for each in render(jinja, {"n": 1}, {"n": 2})] == [("one", "1"), ("many", "2")]


def test_a_template_may_write_its_separator_by_an_expression():
    assert one("a {{ '|' * 3 }} b") == ("a", "b")


def test_the_order_of_the_rows_and_their_numbers_are_kept_over_many_batches():
    with Renderer(
        TemplateSource("{{ n }} ||| {% if n % 2 %}odd{% endif %}"), seed="", limits=Limits(batch_bytes=100)
    ) as renderer:
        results = renderer.render((n * 10, {"n": n}) for n in range(500))
        assert renderer.render([]) == []
        assert renderer.render([(1, {"n": 1})]) == [Instance(1, "1", "odd", ())]
    assert [each.row for each in results] == [n * 10 for n in range(500)]
    assert results[:2] == [Dropped(0, "empty_target"), Instance(10, "1", "odd", ())]


# --- Columns ----------------------------------------------------------------------------------------------------------


def test_a_separator_in_a_column_is_no_separator():
    assert one("{{ a }} {{ a | length }} ||| {{ b | upper }}", {"a": "x|||y", "b": "|||u"}) == ("x|||y 5", "|||U")


def test_a_separator_in_a_list_is_one_as_in_promptsource():
    assert one("{{ a[0] }}", {"a": ["x|||y"]}) == ("x", "y")


def test_a_dash_in_the_name_of_a_column_is_an_underscore_at_the_top_only():
    assert one("{{ ner_tags }} ||| {{ a['b-c'] }}", {"ner-tags": "x", "a": {"b-c": 1}}) == ("x", "1")


def test_two_columns_of_one_name_are_an_error_that_names_them():
    found = error("{{ a_b }} ||| c", {"a-b": 1, "a_b": 2})
    assert (found.code, found.values) == ("same_name", {"name": "a_b", "first": "a-b", "second": "a_b"})


def test_values_of_all_kinds_are_written_as_python_does():
    row = {"a": None, "b": True, "c": 1.5, "d": [1, "x"], "e": {"k": 2}}
    assert one("{{ a }} {{ b }} {{ c }} {{ d }} {{ e }} ||| {{ e.k + d[0] }}", row) == (
        "None True 1.5 [1, 'x'] {'k': 2}",
        "3",
    )


def test_a_value_that_json_does_not_know_is_the_callers_mistake_and_named_by_its_row():
    for value in (date(2020, 1, 1), {1, 2}, 2**70, "\ud800"):
        with pytest.raises(TypeError, match="row 0"):
            render("{{ a }} ||| b", {"a": value})


def test_text_is_not_escaped_and_space_stays_where_the_template_has_it():
    assert one("{% if 1 %}\n  <b> &amp; {{ a }}\n{% endif %}x ||| y", {"a": "<i>"}) == ("<b> &amp; <i>\nx", "y")


def test_a_column_may_have_the_name_of_a_global():
    assert one("{{ range }} ||| {{ zip }}", {"range": "a", "zip": "b"}) == ("a", "b")


def test_what_a_template_changes_in_one_row_is_as_before_in_the_next():
    jinja = (
        "{% set own = [] %}{% if own.append(1) %}{% endif %}{% if tags.append('x') %}{% endif %}"
        "{% if answer_choices.append('c') %}{% endif %}{{ tags | length }} {{ own | length }} ||| {{ answer_choices | join }}"
    )
    shared = ["a"]
    results = render(jinja, {"tags": shared}, {"tags": shared}, choices="a ||| b")
    assert [(each.input, each.target) for each in results] == [("2 1", "abc")] * 2
    assert results[0].answer_choices == ("a", "b")
    assert shared == ["a"]


# --- Answer choices ---------------------------------------------------------------------------------------------------


def test_answer_choices_are_rendered_first_and_are_a_list():
    (result,) = render(
        "{{ answer_choices | join('; ') }} ||| {{ answer_choices[label] }}",
        {"label": 1, "options": ["no", "yes "]},
        choices="{{ options | join(' ||| ') }} ||| maybe\n",
    )
    assert result == Instance(0, "no; yes; maybe", "yes", ("no", "yes", "maybe"))


def test_a_separator_from_a_column_splits_neither_the_choices_nor_the_output():
    (result,) = render("a ||| {{ answer_choices[0] }}", {"first": "x|||y"}, choices="{{ first }} ||| z")
    assert result == Instance(0, "a", "x|||y", ("x|||y", "z"))


def test_a_column_of_the_name_answer_choices_is_an_error_if_the_template_has_some():
    found = error("a ||| b", {"answer-choices": []}, choices="x ||| y")
    assert (found.code, found.values) == ("reserved_column", {"name": "answer-choices"})
    assert one("a ||| {{ answer_choices }}", {"answer_choices": "x"}, choices="  ") == ("a", "x")


# --- What promptsource adds to Jinja ----------------------------------------------------------------------------------


def test_zip_choice_most_frequent_and_highlight():
    assert one("{% for a, b in zip('ab', [1, 2]) %}{{ a }}{{ b }}{% endfor %} ||| c") == ("a1b2", "c")
    assert one("{{ ['b', 'a', 'a', 'b', 'c'] | most_frequent }} ||| {{ [] | most_frequent }}") == ("['b', 'a']", "None")
    assert one("{{ 'x' | highlight }} ||| {{ ['only'] | choice }}") == ("x", "only")
    assert one("{{ nothing | most_frequent }} ||| {{ [] | random }}.") == ("None", ".")


def test_choice_of_constants_is_drawn_for_every_row():
    """Jinja would work it out once, when it compiles."""
    results = render("{{ ['a', 'b'] | choice }}{{ ['a', 'b'] | random }} ||| x", *[{}] * 60)
    assert {each.input for each in results} == {"aa", "ab", "ba", "bb"}


def test_what_is_drawn_follows_from_seed_template_and_row_alone():
    jinja = "{{ range(10**5) | choice }} {{ range(10**5) | random }} {{ [1, 2, 3] | map('choice') | list if 0 }} ||| x"
    rows = [(number, {}) for number in range(50)]
    with Renderer(TemplateSource(jinja), seed="s") as renderer:
        first = renderer.render(rows)
        assert renderer.render(rows[::-1]) == first[::-1]
        assert renderer.render(rows[7:8]) == first[7:8]
    with Renderer(TemplateSource(jinja), seed="s", limits=Limits(batch_bytes=1)) as renderer:
        assert renderer.render(rows) == first
    assert len({each.input for each in first}) == 50
    assert render(jinja, *[{}] * 50, seed="t") != first
    assert [each.input for each in render(jinja + " ", *[{}] * 50, seed="s")] != [each.input for each in first]


def test_a_set_is_written_in_the_same_order_in_every_process():
    jinja = "{{ (row.keys() - other.keys()) | join }} ||| x"
    row = {"row": dict.fromkeys("abcdefghij"), "other": {"z": 1}}
    assert one(jinja, row) == one(jinja, row)


def test_drawing_from_nothing_is_an_error_as_in_promptsource():
    assert error("{{ [] | choice }}").code == "failed"


def test_the_hash_of_a_template_is_of_both_its_parts():
    hashes = {TemplateSource(*parts).sha256 for parts in [("ab", ""), ("a", "b"), ("", "ab"), ('a", "b', "")]}
    assert len(hashes) == 4
    assert TemplateSource("a", "b").sha256 == TemplateSource("a", "b").sha256


# --- Filters and the rest of Jinja ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "output"),
    [
        ("-3 | abs", "3"),
        ("[1, 2, 3] | batch(2, 0) | list", "[[1, 2], [3, 0]]"),
        ("'aB' | capitalize", "Ab"),
        ("'[' ~ ('a' | center(3)) ~ ']'", "[ a ]"),
        ("nothing | default('d')", "d"),
        ("{'b': 1, 'a': 2} | dictsort", "[('a', 2), ('b', 1)]"),
        ("'ab' | first ~ ('ab' | last)", "ab"),
        ("'1.5' | float + ('2' | int)", "3.5"),
        ("'%s-%03d' | format('a', 7)", "a-007"),
        ("'%(x)s' | format(x=1)", "1"),
        ("'%s of 100000000' % 'a'", "a of 100000000"),
        ("'%s%%' % 5", "5%"),
        ("'{:>5}|{x.y}' .format('a', x={'y': 1})", "    a|1"),
        ("'{a}'.format_map({'a': 1})", "1"),
        ("[{'k': 1, 'v': 2}] | groupby('k') | map('first') | list", "[1]"),
        ("'a\nb' | indent(2)", "a\n  b"),
        ("{'a': 1} | items | list", "[('a', 1)]"),
        ("[1, 2] | join(', ')", "1, 2"),
        ("'aB' | lower ~ ('aB' | upper)", "abAB"),
        ("[1, 2] | map('string') | list", "['1', '2']"),
        ("[[1, 2] | max, [1, 2] | min]", "[2, 1]"),
        ("[1, 2, 3] | reject('odd') | list", "[2]"),
        ("[{'a': 0}] | rejectattr('a') | list", "[{'a': 0}]"),
        ("'aa' | replace('a', 'b', 1)", "ba"),
        ("[1, 2] | reverse | list", "[2, 1]"),
        ("2.55 | round(1, 'floor')", "2.5"),
        ("2.5 | round(10**9)", "2.5"),
        ("[1, 2] | select('odd') | list", "[1]"),
        ("[{'a': 0}] | selectattr('a', 'eq', 0) | list", "[{'a': 0}]"),
        ("[1, 2, 3] | slice(2) | list", "[[1, 2], [3]]"),
        ("123456 | center(8) ~ '|'", "123456 |"),
        ("[2, 1] | sort", "[1, 2]"),
        ("[1, 2] | sum", "3"),
        ("'a b' | title", "A B"),
        ("{'a': '<é>'} | tojson", '{"a": "<é>"}'),
        ("' a ' | trim", "a"),
        ("'abcdef' | truncate(4, true, '…', 0)", "abc…"),
        ("[1, 1] | unique | list", "[1]"),
        ("'a b c' | wordcount", "3"),
        ("'aa bb' | wordwrap(2)", "aa\nbb"),
        ("'a'.zfill(3) ~ 'a'.ljust(2) ~ '|'", "00aa |"),
        ("2 ** 10 * 3 - 7 // 2 + 5 % 3", "3071"),
        ("2 ** -1", "0.5"),
        ("[0] * 2 + [1]", "[0, 0, 1]"),
        ("'é'.encode('latin-1')", "b'\\xe9'"),
        ("'c' in 'abc' and 1 is odd and 3 is divisibleby 3", "True"),
        ("range(3) | list", "[0, 1, 2]"),
        ("cycler('a').next() ~ joiner(',')() ~ dict(a=1).a", "a1"),
    ],
)
def test_jinja_does_what_jinja_does(expression, output):
    assert one(f"{{{{ {expression} }}}} ||| x") == (output.strip(), "x")


def test_loops_macros_and_namespaces_work():
    jinja = (
        "{% macro say(x) %}<{{ x }}{{ caller() if caller }}>{% endmacro %}{% set ns = namespace(n=0) %}"
        "{% for x in [1, 2] %}{% set ns.n = ns.n + x %}{{ loop.index }}{{ say(x) }}{% endfor %}"
        "{% call say('c') %}!{% endcall %} ||| {{ ns.n }}{# gone #}"
    )
    assert one(jinja) == ("1<1>2<2><c!>", "3")


def test_an_error_of_the_templates_own_says_what_python_said():
    found = error("a\n{{ text + 1 }} ||| b", {"text": "x"})
    assert (found.code, found.line, found.row) == ("failed", 2, 0)
    assert found.message.startswith("The template failed: TypeError: can only concatenate str")
    assert error("{{ nothing.at.all }}").message.startswith("The template uses something that is not there: 'nothing'")


def test_an_error_in_the_answer_choices_says_so():
    found = error("a ||| b", choices="x |||\n{{ 1 // 0 }}")
    assert (found.code, found.field, found.line, str(found)[:34]) == (
        "failed", "answer_choices", 2, "row 0, line 2 of answer_choices: T",
    )  # fmt: skip


def test_a_row_that_is_too_large_is_not_sent():
    assert error("a ||| b", {"text": "x" * 1000}, row_bytes=1000).code == "row_too_large"


def test_large_rows_and_outputs_pass_both_ways():
    text = "é" * 400_000
    results = render("{{ text }} ||| {{ text }}", *[{"text": text}] * 12)
    assert [(each.input == text, each.target == text) for each in results] == [(True, True)] * 12


def test_output_of_control_characters_passes():
    assert one("{{ '\\x02' * 499000 }}. ||| {{ '\\x01' * 499000 }}.") == ("\2" * 499_000 + ".", "\1" * 499_000 + ".")


def test_a_nul_which_no_database_takes_is_an_error_but_its_spelling_is_not():
    with pytest.raises(TemplateError) as caught:
        one("{{ '\\x00' }}a ||| b")
    assert caught.value.code == "not_text"
    assert one("{{ '\\\\u0000' }} ||| \\\\u0000") == ("\\u0000", "\\\\u0000")


MESSAGE_WORDS = ("error", "name", "available", "limit", "seconds", "megabytes", "operation", "first", "second")


def test_every_message_and_reason_is_a_sentence():
    for pattern in (*MESSAGES.values(), *REASONS.values()):
        assert pattern[0].isupper() or pattern[0] == "“"
    values = dict.fromkeys(MESSAGE_WORDS, "x")
    assert all(pattern % values for pattern in MESSAGES.values())


# --- Checking ---------------------------------------------------------------------------------------------------------


def test_a_check_tells_the_columns_and_the_fixed_choices():
    source = TemplateSource(
        "{% set x = a %}{% for b in c %}{{ b }}{{ range(2) }}{% endfor %}{{ x }}{{ d.e }} ||| {{ answer_choices[label] }}",
        "no ||| yes",
    )
    assert compile_check(source) == Checked(frozenset({"a", "c", "d", "label"}), ("no", "yes"))


def test_choices_from_columns_or_by_lot_are_not_fixed():
    assert compile_check(TemplateSource("a", "{{ options | join('|||') }}")) == Checked(frozenset({"options"}), None)
    assert compile_check(TemplateSource("a", "{{ ['x', 'y'] | choice }} ||| z")).fixed_choices is None
    assert compile_check(TemplateSource("{{ answer_choices }}")) == Checked(frozenset({"answer_choices"}), None)


@pytest.mark.parametrize(
    ("jinja", "choices", "code", "field", "line"),
    [
        ("a\n{{ x", "", "syntax", "jinja", 2),
        ("a\n{% endfor %}", "", "syntax", "jinja", 2),
        ("{% if x %}\n\n{{ x | nope }}{% endif %}", "", "unknown_filter", "jinja", 3),
        ("\n{{ x is nope }}", "", "unknown_test", "jinja", 2),
        ("\n{% include 'x' %}", "", "forbidden", "jinja", 2),
        ("a", "\nx ||| {{ y | nope }}", "unknown_filter", "answer_choices", 2),
        ("a\ud800", "", "not_text", "jinja", None),
    ],
)
def test_a_check_says_what_is_wrong_and_in_which_line(jinja, choices, code, field, line):
    with pytest.raises(TemplateError) as caught:
        compile_check(TemplateSource(jinja, choices))
    assert (caught.value.code, caught.value.field, caught.value.line) == (code, field, line)
    assert caught.value.row is None


def test_many_checks_share_a_child_and_none_disturbs_the_next():
    sources = [
        TemplateSource(text)
        for text in ("{{ a }}", "{{ b", "{{ c }}", "{{ 'x' | nope }}", "{{ " + "(" * 5000, "{{ d }}")
    ]
    results = list(check_all(sources))
    assert [each.code if isinstance(each, TemplateError) else sorted(each.columns) for each in results] == [
        ["a"], "syntax", ["c"], "unknown_filter", "recursion", ["d"],
    ]  # fmt: skip


# --- Any text ---------------------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufdd0\ufdd1"))


@settings(max_examples=200)
@given(TEXTS, TEXTS, st.lists(TEXTS, min_size=1, max_size=3))
def test_any_text_comes_through_as_it_is(first, second, options):
    program = Program(TemplateSource("<{{ a }}> ||| <{{ b }}>", "<{{ c }}> ||| x"), seed="", limits=DEFAULT)
    program.compile()
    row = {"a": first, "b": second, "c": options[0]}
    assert program.row(1, row) == [1, f"<{first}>", f"<{second}>", [f"<{options[0]}>", "x"]]


@pytest.mark.parametrize(
    ("jinja", "columns"),
    [
        ("{% if a %}{% set b = a %}{{ b }}{% endif %}", {"a"}),
        ("{% if a %}{% set b %}{{ c }}{% endset %}{{ b }}{% endif %}", {"a", "c"}),
        ("{% if a %}{% set b = b | trim %}{{ b }}{% endif %}", {"a", "b"}),
        ("{{ b }}{% if a %}{% set b = 1 %}{% endif %}", {"a", "b"}),
        ("{% for x in xs %}{% if a %}{% set y = x %}{{ y }}{% endif %}{% endfor %}", {"a", "xs"}),
        ("{% for x in xs %}{% endfor %}{{ x }}", {"x", "xs"}),
        ("{% macro m(p) %}{{ p }}{{ q }}{% endmacro %}{{ m(a) }}", {"a", "q"}),
    ],
)
def test_the_columns_of_a_template_are_what_it_reads_and_does_not_set_itself(jinja, columns):
    assert compile_check(TemplateSource(f"{jinja} ||| t")).columns == columns
