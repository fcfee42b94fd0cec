"""Texts of models and people as HTML: what is meant well shows well, what is hostile shows as text, and all of it shows."""

import html
import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate import rendering
from annotate.rendering import LONGEST, MATHS, TAGS, markdown_html, plain_lines, shown
from tests.hostile_outputs import HOSTILE

LONG = 4  # seconds of one processor; the slowest takes one
BLOCKS = {"p", "div", "blockquote", "li", "h1", "h2", "h3", "h4", "h5", "h6", "th", "td"}
LENGTH = r"[0-3]?(\.\d+)?(em|ex)"
# Attribute by attribute: where it may stand, and what it may say.
ATTRIBUTES = {
    "accent": ({"mover", "munder"}, "true|false"),
    "class": ({"div", "pre", "span", "td", "th"}, "scroll|scroll maths|wrap|wrap raw|revealed|center|right"),
    "columnalign": ({"mtd", "mtable"}, "(left|right|center)( (left|right|center))*"),
    "dir": (BLOCKS | {"a", "code", "pre"}, "auto|ltr"),
    "display": ({"math"}, "inline|block"),
    "displaystyle": ({"mstyle", "mtable"}, "true|false"),
    "fence": ({"mo"}, "true|false"),
    "form": ({"mo"}, "prefix|postfix|infix"),
    "href": ({"a"}, r"(https?://|mailto:)[^\s<>\"]*"),
    "linethickness": ({"mfrac"}, "0"),
    "lspace": ({"mo"}, LENGTH),
    "mathvariant": (MATHS, "[a-z-]+"),
    "maxsize": ({"mo"}, LENGTH),
    "minsize": ({"mo"}, LENGTH),
    "movablelimits": ({"mo"}, "true|false"),
    "notation": ({"menclose"}, "box"),
    "rel": ({"a"}, "noopener noreferrer nofollow"),
    "rspace": ({"mo"}, LENGTH),
    "scriptlevel": ({"mstyle"}, "[0-3]"),
    "separator": ({"mo"}, "true|false"),
    "start": ({"ol"}, r"\d{1,9}"),
    "stretchy": ({"mo"}, "true|false"),
    "tabindex": ({"div", "pre"}, "0"),
    "target": ({"a"}, "_blank"),
    "width": ({"mspace"}, LENGTH),
}
WITHOUT_END = {"br", "hr"}


class Watch(HTMLParser):
    """Notes every element and attribute that is not one of ours, and elements that are not closed in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.complaints: list[str] = []
        self.open: list[str] = []
        self.deepest = 0
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag not in TAGS | MATHS:
            self.complaints.append(tag)
        for name, value in attrs:
            where, what = ATTRIBUTES.get(name, (set(), ""))
            if tag not in where or not re.fullmatch(what, value or ""):
                self.complaints.append(f"{tag} {name}={value}")
        if tag not in WITHOUT_END:
            self.open.append(tag)
        self.deepest = max(self.deepest, len(self.open))

    def handle_startendtag(self, tag, attrs):
        self.complaints.append(f"{tag}/")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.complaints.append(f"/{tag}")

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        self.complaints.append("comment")

    handle_decl = handle_pi = unknown_decl = handle_comment


def as_a_browser_reads(source: str) -> str:
    """The textContent of a <pre>: of line ends, and of the newline at its start, a browser thinks its own."""
    text = Watch(re.sub("\r\n?", "\n", source)).text
    return text.removeprefix("\n")


def mathml(formula: str) -> str:
    found = re.search(r"<math[^>]*>(.*?)</math>", markdown_html(f"${formula}$"))
    return found[1] if found else ""


# --- What means harm --------------------------------------------------------------------------------------------------


def test_there_are_at_least_thirty_hostile_outputs():
    assert len({text for _, text in HOSTILE}) == len({name for name, _ in HOSTILE}) == len(HOSTILE) >= 30


@pytest.mark.parametrize(("name", "text"), HOSTILE, ids=[name for name, _ in HOSTILE])
def test_a_hostile_output_is_text_in_our_own_elements(name, text):
    began = time.process_time()
    page = markdown_html(text)
    took = time.process_time() - began
    watch = Watch(page)
    assert (watch.complaints, watch.open) == ([], [])
    assert watch.deepest < 100  # browsers flatten what is deeper than 512
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)
    assert len(page) < 10 * len(text) + 500_000
    assert took < LONG


@pytest.mark.parametrize(("name", "text"), HOSTILE, ids=[name for name, _ in HOSTILE])
def test_the_plain_text_is_the_output_to_the_character(name, text):
    page = plain_lines(text)
    assert as_a_browser_reads(page) == text
    assert Watch(page).complaints == []


@pytest.mark.parametrize(
    "text", ["<script>x</script>", "<b onclick=x>y</b>", "<!-- z -->", "<div>\n<style>a {}", "a <i>b</i>"]
)
def test_html_is_the_text_it_is_and_none_of_it_goes_missing(text):
    assert Watch(markdown_html(text)).text.strip() == text


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])))
def test_any_plain_text_is_itself_to_the_character(text):
    assert as_a_browser_reads(plain_lines(text)) == text


def test_what_no_page_can_hold_takes_the_place_of_one_character_in_a_plain_text():
    assert as_a_browser_reads(plain_lines("a\x00b\ud800c")) == "a\ufffdb\ufffdc"


PIECES = [*"[]()!*_`~<>&$|-:#'\" \n\tax1{}^\\\u0300\u202e\u200d", "](", "http://a.b", "$$", r"\(", r"\)", r"\[", r"\]"]
PIECES += ["javascript:", "data:", "<b onclick=x>", "<!--", "```", "|-|-|\n", "\n\n", "> ", "- ", "1. ", "    "]
PIECES += [r"\frac", r"\text{", r"\begin{matrix}", r"\end{matrix}", r"\href{", r"\hspace{-9em}", "&", "&#60;", "\ud800"]


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_anything_is_text_in_our_own_elements(text):
    watch = Watch(markdown_html(text))
    assert (watch.complaints, watch.open) == ([], [])


@pytest.mark.parametrize(
    "address",
    ["/accounts/logout/", "//evil.example", "?left=A", "#desk", "javascript:x", "data:text/html,x", "file:///x"],
)
def test_a_link_leads_elsewhere_or_is_text(address):
    assert Watch(markdown_html(f"[here]({address})")).text.strip() == f"[here]({address})"
    assert "<a" not in markdown_html(f"[here]({address})\n\n[here][1] <{address}>\n\n[1]: {address}\n")


def test_a_link_tells_nothing_and_opens_beside():
    (link,) = re.findall("<a [^>]*>", markdown_html("[here](https://a.example/?q=1&r=2 'title')"))
    assert set(re.findall(r'(\w+)="([^"]*)"', link)) == {
        ("href", "https://a.example/?q=1&amp;r=2"),
        ("target", "_blank"),
        ("rel", "noopener noreferrer nofollow"),
        ("dir", "auto"),
    }


def test_an_image_is_its_description():
    page = markdown_html("![a *big* <cat>](https://example.org/cat.png)")
    assert page == '<p dir="auto">[image: a big &lt;cat&gt;]</p>\n'


# --- What is not to be seen -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\u202eb", "a⟦U+202E⟧b"),
        ("a\u2066\u202e\u202e\u202eb", "a⟦U+2066 U+202E ×3⟧b"),
        ("\a", "⟦U+0007⟧"),
        ("x\U000e0041\U000e0041", "x⟦U+E0041 ×2⟧"),
        ("e" + "\u0301" * 30, "e" + "\u0301" * 5 + "⟦+25⟧"),
        ("*e*" + "\u0301" * 3, "e⟦+3⟧"),
    ],
)
@pytest.mark.parametrize("around", ["{}", "`{}`", "```\n{}", "> {}", "[{}](http://a.b)", "|{}|\n|-|"])
def test_what_turns_hides_or_covers_is_a_mark(text, said, around):
    if "*" in text and "`" in around:
        text = text.removeprefix("*e*")
        said = said.removeprefix("e")
    page = markdown_html(around.format(text))
    assert Watch(page).text.strip() == said
    assert '<span class="revealed">⟦' in page


@pytest.mark.parametrize(
    "text",
    [
        "é ô Tiếng Việt नमस्ते",
        "שָׁלוֹם עוֹלָם \u200f!",
        "مَرْحَبًا",
        "👩‍👩‍👧‍👦 🏳️‍🌈",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "กำ",
        "a\u200bb",
    ],
)
def test_writing_of_all_kinds_stays_as_it_is(text):
    assert markdown_html(text) == f'<p dir="auto">{text}</p>\n'


def test_marks_without_number_are_text_and_not_elements():
    page = shown("a\u202e" * 5_000)
    assert page == "a⟦U+202E⟧" * 5_000


# --- What is meant well -----------------------------------------------------------------------------------------------


def test_code_scrolls_by_itself_and_keeps_its_lines():
    page = markdown_html("```py\n\nif x < 1:\n    y\n```")
    assert page.endswith('><code dir="ltr">\nif x &lt; 1:\n    y\n</code></pre>\n')
    assert set(re.findall(r'\w+="\w+"', page.partition("<code")[0])) == {'tabindex="0"', 'dir="ltr"'}
    assert '<code dir="ltr">$x$</code>' in markdown_html("Write `$x$`.")


def test_a_table_scrolls_by_itself_and_aligns_its_columns():
    page = markdown_html("| a | b |\n|---|--:|\n| 1 | 2 |")
    assert page.startswith('<div class="scroll" tabindex="0" dir="auto"><table>')
    assert '<td dir="auto">1</td>\n<td class="right" dir="auto">2</td>' in page


def test_lists_quotes_headings_and_emphasis():
    page = markdown_html("# One\n\n3. a\n   - b\n\n> **c** *d* ~~e~~\nf\n\n---")
    assert Watch(page).complaints == []
    for each in ("<h1", '<ol start="3">', "<ul>", "<blockquote", "<strong>c", "<em>d", "<s>e", "<br>\nf", "<hr>"):
        assert each in page


@pytest.mark.parametrize(
    "text", [r"Let $x^2$ be", r"Let \(x^2\) be", "设$x^2$为", r"**Let $x^2$**", "($x^2$)", "the $x^2$th"]
)
def test_maths_within_a_line(text):
    page = markdown_html(text)
    assert '<math display="inline"><mrow><msup><mi>x</mi><mn>2</mn></msup></mrow></math>' in page
    assert "$" not in page


@pytest.mark.parametrize(
    "text",
    [
        "$$\n\\frac{a}\n- b\n$$",
        "\\[\n\\frac{a}\n= b\n\\]",
        "so that\n$$\\frac{a}{b}$$\nholds",
        "so $$\\frac{a}{b}$$ holds",
        "1. so\n\n   \\[\n   \\frac{a}{b}\n   \\]",
        "> $$\n> \\frac{a}{b}\n> $$",
        "\\begin{x}\n\n\\[ \\frac{a}{b} \\] \n",
    ],
)
def test_maths_in_a_line_of_its_own(text):
    page = markdown_html(text)
    assert page.count('<math display="block">') == page.count("<math") == 1
    assert "<mfrac>" in page
    assert "$" not in page and "<ul>" not in page and "<h1" not in page


def test_what_stands_around_a_long_formula_scrolls_by_itself():
    formula = "a + b + c + d + e + f"
    for text in (f"So ${formula}$ holds", f"so \\[{formula}\\]", f"$$\n{formula}\n$$", f"- ${formula}$\n- b"):
        assert markdown_html(text).count('<div class="scroll maths" tabindex="0" dir="auto">') == 1
    assert "scroll" not in markdown_html("So $a + b$ holds, and *no one formula* of $c + d$ is long")
    assert (
        markdown_html(f"# So ${formula}$ holds") == f'<h1 dir="auto">So <code dir="ltr">${formula}$</code> holds</h1>\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        "It costs $5 and then $6.",
        "US$5 and US$6, or A$5/A$6",
        "$5-$6",
        "$5 to you and 6$ to me",
        r"\$x\$",
        "$ x $",
        "$$",
        "$x",
        "$\n\nx$",
        r"\\(x\\)",
    ],
)
def test_money_and_single_dollars_are_no_maths(text):
    assert "<math" not in markdown_html(text)
    assert "<code" not in markdown_html(text)


@pytest.mark.parametrize(
    ("formula", "part"),
    [
        (r"\begin{aligned} x &= 1 \\ y &= 2 \end{aligned}", '<mtd columnalign="right"><mi>y</mi></mtd>'),
        (r"\begin{equation} a \end{equation}", "<mi>a</mi>"),
        (r"x = 1 \\ y = 2", "</mtr><mtr>"),
        (r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}", "<mtd><mi>d</mi></mtd>"),
        (r"\begin{cases} 1 & x > 0 \\ 0 & \text{otherwise} \end{cases}", "<mtext>otherwise</mtext>"),
        (r"\sqrt[3]{x}", "<mroot>"),
        (r"\boxed{42}", '<menclose notation="box"><mrow><mn>42</mn></mrow></menclose>'),
        (r"\mathbb{R} \alpha \leq \infty", "<mi>ℝ</mi><mi>α</mi><mo>≤</mo><mo>∞</mo>"),
        (r"\operatorname{softmax}(x)_i", "<mo>softmax</mo>"),
        (r"\text{<b>&lt;}", "<mtext>&lt;b&gt;&lt;</mtext>"),
        (r"50\%", "<mi>%</mi>"),
        (r"a \, b \quad c", '<mspace width="1em"></mspace>'),
        (r"\colorbox{black}{unseen}", "<mtext>unseen</mtext>"),
        (r"\color{white}{x} \smash{y} \raise 9em z", "<mi>x</mi>"),
    ],
)
def test_formulas(formula, part):
    assert part in mathml(formula)


@pytest.mark.parametrize(
    "formula",
    [
        r"\frac{",
        r"\unheardof{x}",
        r"a & b",
        r"x % hidden",
        r"\phantom{x}",
        r"\hphantom{x}",
        r"\vphantom{x}",
        r"\mathchoice{a}{b}{c}{d}",
        r"\cancel{x}",
        r"\href{https://a.example}{x}",
        r"\class{desk}{x}",
        r"\style{color:red}{x}",
        r"\newcommand{\a}{x}\a",
        r"\def\a{x}\a",
        r"\begin{nothing} x \end{nothing}",
        "x\u202ey",
        "x" + "\u0301" * 30,
        "{" * 200 + "x" + "}" * 200,
        r"\sqrt{" * 60 + "x" + "}" * 60,
    ],
)
def test_a_formula_that_cannot_be_shown_is_the_text_it_is(formula):
    page = markdown_html(f"${formula}$")
    assert "<math" not in page
    said = Watch(page).text.strip()
    assert said == html.unescape(re.sub("<[^>]*>", "", shown(f"${formula}$")))


def test_negative_spaces_do_not_add_up_to_leave_the_line():
    assert "width" not in mathml(r"\! \hspace{-3em} \kern-9em \hspace{99em} x")


# --- Much of it -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "*a* " * LONGEST,
        "[" * (rendering.MAX_MARKUP + 1),
        "a\n\n" * (rendering.MAX_TOKENS // 2),
        "> " * rendering.MAX_NESTING + "deep",
        "\n".join("  " * depth + "- x" for depth in range(rendering.MAX_NESTING)),
    ],
)
def test_what_is_too_much_for_markdown_is_shown_whole_and_as_it_is(text):
    page = markdown_html(text)
    assert as_a_browser_reads(page) == text
    assert re.findall("<[^>]*>", page) == ['<pre class="wrap" dir="auto" tabindex="0">', "</pre>"]


def test_what_is_just_not_too_much_is_markdown():
    assert "<em>a</em>" in markdown_html(("*a* " * LONGEST)[: rendering.MAX_MARKUP])
    page = markdown_html("> " * (rendering.MAX_NESTING - 2) + "deep")
    assert page.count("<blockquote") == rendering.MAX_NESTING - 2
    assert "deep" in page


def test_formulas_without_number_are_made_up_to_a_bound_and_then_shown_as_they_are(monkeypatch):
    made = []
    convert = rendering.convert_to_element
    monkeypatch.setattr(
        rendering, "convert_to_element", lambda text, **more: made.append(text) or convert(text, **more)
    )
    formulas = [f"y_{{{number}}}" for number in range(5_000)]
    page = markdown_html(" ".join(f"${each}$" for each in formulas))
    assert 0 < sum(map(len, made)) <= rendering.MAX_FORMULAS
    assert page.count("<math") + page.count("<code") == len(formulas)
    assert '<code dir="ltr">$y_{4999}$</code>' in page


AT_THE_BOUNDS = [
    "![",
    "[a](",
    "[",
    "[[a](b)",
    "](",
    "*_",
    "a**b _c ",
    "![**1\t:1",
    "- (\n",
    ">a\n",
    "* a\n * b\n  * c\n",
]
AT_THE_BOUNDS += ["$$x y\n# a\n", "\\(x ", "\\[\n", "$$\n", "$x_1$ ", "|a", "|a|b|\n|-|-|\n", "`` ` ``` ", "<http://a>"]
AT_THE_BOUNDS += ["[a]: /b\n", "&", "a\u202e", "\ta\n\n"]


@pytest.mark.parametrize("unit", AT_THE_BOUNDS)
def test_no_text_at_the_bounds_takes_long(unit):
    markup = max(1, len(re.findall(r"[\n!#$&*<>\[\]\\_`|~]", unit)))
    text = unit * min(LONGEST // len(unit), rendering.MAX_MARKUP // markup)
    began = time.process_time()
    page = markdown_html(text)
    assert time.process_time() - began < LONG
    assert Watch(page).complaints == []
