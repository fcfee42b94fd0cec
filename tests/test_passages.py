"""Filters that take running text apart: sentences, paragraphs, and one sentence masked by lot."""

import time

import pytest

from curation.rendering import DEFAULT, TemplateSource, compile_check
from curation.rendering.passages import paragraphs, sentences
from curation.rendering.program import Program


def rendered(jinja: str, number: int = 1, seed: str = "s", **row) -> list:
    program = Program(TemplateSource(jinja), seed=seed, limits=DEFAULT)
    program.compile()
    return program.row(number, row)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Li met Mr. Wu. They left.", ["Dr. Li met Mr. Wu.", "They left."]),
        ("J. R. Smith wrote it. So they say.", ["J. R. Smith wrote it.", "So they say."]),
        ("It is, e.g. here, 3.5 m long. Right?", ["It is, e.g. here, 3.5 m long.", "Right?"]),
        ("etc. and so on. End", ["etc. and so on.", "End"]),
        ("“Stop!” he said. “Now.” She did.", ["“Stop!” he said.", "“Now.”", "She did."]),
        ("Wait... what?! Yes.", ["Wait... what?!", "Yes."]),
        ("今天下雨。我没带伞！怎么办？", ["今天下雨。", "我没带伞！", "怎么办？"]),
        ("他说：“走吧。”我们就走了。", ["他说：“走吧。”", "我们就走了。"]),
        ("no end", ["no end"]),
        ("  \n ", []),
        ("", []),
        (".", ["."]),
    ],
)
def test_sentences_end_where_their_punctuation_says_so(text, expected):
    assert sentences(text) == expected


def test_paragraphs_stand_between_empty_lines():
    assert paragraphs("One\ntwo\n \n\n three \n") == ["One\ntwo", "three"]
    assert paragraphs("\n\n") == []


@pytest.mark.parametrize("part", [".", ". ", "\n", "。", "a.", '."', "….", "Mr. ", "A. ", ")", " "])
def test_the_time_grows_with_the_text_and_no_faster(part):
    began = time.process_time()
    sentences(part * (200_000 // len(part)))
    paragraphs(part * (200_000 // len(part)))
    assert time.process_time() - began < 2  # a square of it would be hours


def test_one_sentence_is_masked_by_lot_and_is_the_target():
    jinja = "{% set m = text | mask_sentence %}{% if m %}{{ m.text }} ||| {{ m.sentence }}{% endif %}"
    text = "One is here. Two is there. Three is gone."
    made = [rendered(jinja, number, text=text) for number in range(60)]
    targets = {target for _number, _input, target, _choices in made}
    assert targets == {"One is here.", "Two is there.", "Three is gone."}
    for _number, shown, target, _choices in made:
        assert shown.replace("____", target) == text and shown.count("____") == 1
    assert made == [rendered(jinja, number, text=text) for number in range(60)]
    assert rendered(jinja, text="Only one.") == [1, "blank"]
    assert rendered(jinja, nothing="") == [1, "blank"]


def test_choices_that_are_drawn_by_masking_are_not_fixed():
    source = TemplateSource("{{ text }} ||| a", "{{ ('A b. C d.' | mask_sentence).sentence }}")
    assert compile_check(source).fixed_choices is None
