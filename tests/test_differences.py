"""What differs between two texts, by word."""

import html
import itertools
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.differences import MOST_TOKENS, inline, side_by_side, words

# Without what is shown as a mark, and without returns, which a page reads as line breaks.
READABLE = st.text(st.characters(categories=["L", "Nd", "P", "S", "Zs"], include_characters="\n"), max_size=60)


def text_of(marked: str, *, without: str = "") -> str:
    """The text of marked-up HTML, without what stands in an element."""
    if without:
        marked = re.sub(f"<{without}>.*?</{without}>", "", marked, flags=re.DOTALL)
    return html.unescape(re.sub(r"</?(ins|del)>", "", marked)).replace("↵\n", "\n")


def test_words_that_differ_are_marked_and_nothing_else():
    left, right = side_by_side("The cat sat here.", "The dog sat here.")
    assert (left, right) == ("The <del>cat</del> sat here.", "The <ins>dog</ins> sat here.")
    assert inline("so be it", "so let it be it") == "so <ins>let it </ins>be it"


def test_a_phrase_that_changes_changes_as_a_whole():
    assert inline("a red old cat", "a big new cat") == "a <del>red old</del><ins>big new</ins> cat"


@pytest.mark.parametrize(
    ("old", "new", "marked"),
    [
        ("我喜欢猫", "我喜欢狗", "我喜欢<del>猫</del><ins>狗</ins>"),
        ("猫が好き", "犬が好き", "<del>猫</del><ins>犬</ins>が好き"),
        ("नमस्ते दुनिया", "नमस्ते जी", "नमस्ते <del>दुनिया</del><ins>जी</ins>"),
        ("e\u0301a", "e\u0300a", "<del>e\u0301a</del><ins>e\u0300a</ins>"),
        ("x 👩‍👩‍👧", "x 👩‍👧", "x <del>👩‍👩‍👧</del><ins>👩‍👧</ins>"),
        ("x 👍🏽!", "x 👍🏿!", "x <del>👍🏽</del><ins>👍🏿</ins>!"),
    ],
)
def test_writing_without_spaces_is_compared_by_character_and_no_character_is_torn(old, new, marked):
    assert inline(old, new) == marked


def test_line_breaks_stay_and_those_that_changed_are_to_be_seen():
    assert inline("a\n\nb c d", "a\nb c d\n") == "a\n<del>↵\n</del>b c d<ins>↵\n</ins>"
    assert inline("a\nb", "a\nb") == "a\nb"


def test_markup_in_a_text_is_text_and_what_cannot_be_seen_is_a_mark():
    left, right = side_by_side("<b>x</b>", "<script>x</script> \u202e")
    assert set(re.findall("<[^>]*>", left + right)) <= {
        "<del>",
        "</del>",
        "<ins>",
        "</ins>",
        '<span class="revealed">',
        "</span>",
    }
    assert html.unescape(re.sub("<[^>]*>", "", left)) == "<b>x</b>"
    assert html.unescape(re.sub("<[^>]*>", "", right)) == "<script>x</script> ⟦U+202E⟧"


@given(READABLE, READABLE)
def test_both_texts_are_whole(left, right):
    pieces = words(left, right)
    assert "".join(piece.left for piece in pieces) == left
    assert "".join(piece.right for piece in pieces) == right
    for kind, before, after in pieces:
        assert kind == {(True, True): "equal" if before == after else "replace", (True, False): "delete"}.get(
            (bool(before), bool(after)), "insert"
        )
    assert all(one.same != other.same for one, other in itertools.pairwise(pieces))
    assert text_of(inline(left, right), without="del") == right
    assert text_of(inline(left, right), without="ins") == left
    assert tuple(map(text_of, side_by_side(left, right))) == (left, right)


@given(READABLE)
def test_a_text_does_not_differ_from_itself(text):
    assert all(piece.same for piece in words(text, text))
    assert text_of(inline("", text), without="ins") == text_of(inline(text, ""), without="del") == ""


def test_long_texts_are_compared_by_line_and_then_as_a_whole():
    lines = "a b c d\n" * (MOST_TOKENS // 4)
    assert [piece.same for piece in words(lines, lines + "a new one\n")] == [True, False]
    assert words(lines, lines + "a new one\n")[-1].right == "a new one\n"
    more = "a\n" * (MOST_TOKENS + 1)
    assert words(more, more + "b") == [("replace", more, more + "b")]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (" ".join(map(str, range(MOST_TOKENS // 2))), " ".join(map(str, range(MOST_TOKENS // 2, 0, -1)))),
        ("a b " * 250_000, "b a " * 250_000),
        ("a\u0301" * 500_000, "a\u0300" * 500_000),
        ("\u202ea" * 200_000, "a\u202e" * 200_000),
    ],
    ids=["all words different", "a megabyte of words", "one word of a megabyte", "marks without number"],
)
def test_no_two_texts_take_long(left, right):
    began = time.process_time()
    page = inline(left, right)
    assert time.process_time() - began < 4  # seconds of one processor; the slowest takes less than one
    assert len(page) < 12 * (len(left) + len(right))
