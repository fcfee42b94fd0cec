"""Texts of models and people as HTML. All of it is hostile: no raw HTML passes, nothing loads from elsewhere.

What a reader would not see, or what would move the text around it, is shown as a mark: ⟦U+202E⟧ for a character that
turns the direction of writing, ⟦+92⟧ for 92 more accents on one letter. The stored text stays as it is.
"""

import html
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from xml.etree.ElementTree import Element

import nh3
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from latex2mathml.commands import MATRICES
from latex2mathml.converter import convert_to_element
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

LONGEST = 200_000  # characters; a longer text is shown as it is, without Markdown
MAX_TOKENS = 30_000  # that the parser makes of it: three for a paragraph, or for a cell of a table
MAX_NESTING = 40  # quotes and lists in each other; the parser would leave out what is deeper
MAX_MARKUP = 20_000  # characters that may begin or end something; the parser takes the square of some of them
MAX_FORMULA = 1_000  # characters of one formula
MAX_FORMULA_LINES = 60
SHORT_FORMULA = 15  # characters that fit into the narrowest page
MAX_FORMULAS = 20_000  # characters of all formulas of a text
MAX_FORMULA_DEPTH = 30
MAX_MARKS = 1_000  # with an element of their own; more of them are text
ACCENTS = 5  # that one letter may bear; no more are needed in Vietnamese, Hebrew or Tibetan

# --- Characters -------------------------------------------------------------------------------------------------------

# Controls, turns of the writing direction, halves of characters, and tags, in which a text can hide.
_UNSEEN = re.compile(
    "(\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f)"  # the flags of England, Scotland and Wales are written in tags
    "|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u206f\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]+"
)
# What is put upon another character. Of the first plane, which a pattern looks up fast, and of variants of characters.
_MARKS = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code)) in ("Mn", "Me"))
_MARKS += "\U000e0100-\U000e01ef"
_STACKED = re.compile(f"([{_MARKS}]{{{ACCENTS}}})([{_MARKS}]+)")
# These would land on what stands before, which may be another element with accents of its own.
_LEADING = re.compile(f"^()([{_MARKS}]+)")


def shown(text: str) -> SafeString:
    """A piece of text, escaped, in which everything is to be seen."""
    safe: str = escape(text)
    is_crowded = len(_UNSEEN.findall(safe)) + len(_STACKED.findall(safe)) > MAX_MARKS
    before, after = ("⟦", "⟧") if is_crowded else ('<span class="revealed">⟦', "⟧</span>")

    def unseen(found: re.Match[str]) -> str:
        runs = ((f"U+{ord(each):04X}", sum(1 for _ in run)) for each, run in groupby(found[0]))
        names = " ".join(f"{name} ×{count}" if count > 1 else name for name, count in runs)
        return found[1] or f"{before}{names}{after}"

    def accents(found: re.Match[str]) -> str:
        return f"{found[1]}{before}+{len(found[2])}{after}"

    return mark_safe(_UNSEEN.sub(unseen, _STACKED.sub(accents, _LEADING.sub(accents, safe))))  # noqa: S308 - escaped first


def _as_it_is(text: str) -> SafeString:
    """All of a text that Markdown cannot be made of."""
    return format_html('<pre class="wrap" dir="auto" tabindex="0">\n{}</pre>', shown(text))


def plain_lines(text: str) -> SafeString:
    """The text itself: code point for code point what the textContent of the element is, for marking parts of it."""
    # A parser drops one newline at the start, and takes a bare carriage return for a newline. NUL and halves of
    # characters cannot stand in a page, so one character stands for one of these.
    whole = re.sub("[\x00\ud800-\udfff]", "\ufffd", text)
    safe = escape(whole).replace("\r", "&#13;")
    return mark_safe(f'<pre class="wrap raw" dir="auto">\n{safe}</pre>')  # noqa: S308 - escaped in the line above


# --- Maths ------------------------------------------------------------------------------------------------------------

_CLOSING = {"$$": "$$", "$": "$", r"\(": r"\)", r"\[": r"\]"}
# What may stand between them, where a backslash goes with the character after it.
_BETWEEN = {"$$": r"[^\\$]|\\.|\$(?!\$)", "$": r"[^\\$]|\\.", r"\(": r"[^\\]|\\[^)]", r"\[": r"[^\\]|\\[^\]]"}
_FORMULA = {
    opening: re.compile(
        f"({re.escape(opening)})((?:{between}){{1,{MAX_FORMULA}}}+){re.escape(_CLOSING[opening])}", re.DOTALL
    )
    for opening, between in _BETWEEN.items()
}
_SUM_OF_MONEY = re.compile(r"\d[\d.,]*\s+[A-Za-z]{2}[^\\^_={}]*")
# New commands can unfold without end; the others load, link, style or hide, as all does that follows a per cent sign.
_REFUSED = re.compile(
    r"\\(?:(?:re)?newcommand|providecommand|DeclareMathOperator|[egx]?def|let|href|url|class|style|cssId|html\w*"
    r"|includegraphics|mathchoice|require|unicode|char)(?![A-Za-z])|(?<!\\)%"
)
# Environments that the library knows by another name; the names left empty add nothing to a formula of its own.
_ENVIRONMENTS = {
    **dict.fromkeys(("aligned", "align", "alignedat", "eqnarray", "eqnarray*"), "align*"),
    **dict.fromkeys(("gathered", "gather", "gather*", "multline", "multline*"), "matrix"),
    **dict.fromkeys(("equation", "equation*", "displaymath", "math"), ""),
    "dcases": "cases",
}
_ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{([A-Za-z]+\*?)\}")
_NOT_KNOWN = re.compile(r"&(amp;)?|\\[A-Za-z]+\*?")  # what the library leaves of a command, or of columns
_LENGTH = r"[0-3]?(\.\d+)?(em|ex)"  # never below nothing: spaces that add up would lay a formula over the page
_MATHS_ALLOWED = {
    name: re.compile(pattern)
    for names, pattern in {
        "accent displaystyle fence movablelimits separator stretchy": "true|false",
        "lspace maxsize minsize rspace width": _LENGTH,
        "columnalign": "(left|right|center)( (left|right|center))*",
        "display": "block|inline",
        "form": "prefix|infix|postfix",
        "linethickness": "0(em|ex|pt|px)?",
        "mathvariant": "[a-z-]+",
        "notation": "box",
        "scriptlevel": "[0-3]",
    }.items()
    for name in names.split()
}
MATHS = {
    *("math", "mi", "mn", "mo", "mtext", "mspace", "mrow", "mstyle", "mfrac", "msqrt", "mroot", "menclose"),
    *("msub", "msup", "msubsup", "munder", "mover", "munderover", "mtable", "mtr", "mtd"),
}


class _NotShownError(Exception):
    """A formula with something in it that the page cannot show, or must not."""


def _formula_at(source: str, start: int, end: int) -> re.Match[str] | None:
    """The formula that begins at `start`: its first group is what opens it, its second what it says."""
    matches = (pattern.match(source, start, end) for pattern in _FORMULA.values())
    found = next((each for each in matches if each), None)
    return found if found and found[2].strip() and not (found[1] == "$" and _is_money(found)) else None


def _is_money(found: re.Match[str]) -> bool:
    """`$5 and $6` and `US$5` are no maths: what a dollar may stand next to, much as Pandoc has it."""
    source, start, end = found.string, found.start(), found.end()
    return (
        found[2][0].isspace()
        or found[2][-1].isspace()
        or (start > 0 and source[start - 1].isascii() and source[start - 1].isalnum())
        or (end < len(source) and source[end].isdecimal())
        or bool(_SUM_OF_MONEY.fullmatch(found[2]))
    )


def _maths_inline(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] not in "$\\":
        return False
    found = _formula_at(state.src, state.pos, state.posMax)
    if not found:
        return False
    if not silent:
        token = state.push("maths", "math", 0)
        token.markup, token.content = found[1], found[2]
    state.pos = found.end()
    return True


def _maths_block(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    """A formula that has its lines to itself, so that no line of it is taken for a list or a heading."""
    begin = state.bMarks[first] + state.tShift[first]
    closing = _CLOSING.get(state.src[begin : begin + 2], "")
    if not closing or state.is_code_block(first) or state.src.find(closing, begin + 2, begin + 2 * MAX_FORMULA) < 0:
        return False
    text = ""
    for line in range(first, min(last, first + MAX_FORMULA_LINES)):
        begin = state.bMarks[line] + state.tShift[line]
        if state.isEmpty(line) or state.sCount[line] < state.blkIndent:
            break
        text += state.src[begin : state.eMarks[line]] + "\n"
        if closing in text[2:]:
            break
    found = _formula_at(text, 0, len(text))
    if not found or text[found.end() :].partition("\n")[0].strip():
        return False
    if not silent:
        token = state.push("maths_block", "math", 0)
        token.markup, token.content = found[1], found[2]
        state.line = first + 1 + found[0].count("\n")
        token.map = [first, state.line]
    return True


def _maths_scroll(state: StateCore) -> None:
    """No browser breaks a formula into lines, so a paragraph with a long one scrolls. A heading has it as text."""
    for before, token, after in zip(state.tokens, state.tokens[1:], state.tokens[2:], strict=False):
        wide = [each for each in token.children or [] if each.type == "maths" and _is_wide(each)]
        if wide and before.type == "paragraph_open":
            before.tag = after.tag = "div"
            before.hidden = after.hidden = False
            before.attrs = {"class": "scroll maths", "tabindex": "0"}
        elif before.type == "heading_open":
            for each in wide:
                each.meta["as_text"] = True


def _is_wide(token: Token) -> bool:
    return token.markup in ("$$", r"\[") or len(token.content) > SHORT_FORMULA


def _written(element: Element, depth: int = 0) -> str:
    """A formula of the elements and attributes above and of no others."""
    tag = "mrow" if element.tag == "mpadded" else element.tag  # what is padded may stand on what is around it
    known = _MATHS_ALLOWED
    attributes = {
        name: value for name, value in element.attrib.items() if name in known and known[name].fullmatch(value)
    }
    text = element.text or ""
    if tag not in MATHS or depth > MAX_FORMULA_DEPTH or (tag == "menclose" and "notation" not in attributes):
        raise _NotShownError
    if tag != "mtext" and _NOT_KNOWN.fullmatch(text):
        raise _NotShownError
    if element.tag == "mpadded":
        attributes = {}
    given = "".join(f' {name}="{value}"' for name, value in attributes.items())
    inside = "".join(_written(child, depth + 1) for child in element)
    return f"<{tag}{given}>{escape(html.unescape(text))}{inside}</{tag}>"


def _environment(found: re.Match[str]) -> str:
    name = _ENVIRONMENTS.get(found[2], found[2])
    if name and f"\\{name}" not in MATRICES:
        raise _NotShownError  # the library would leave the lines of it out
    return f"\\{found[1]}{{{name}}}" if name else ""


@lru_cache(2048)
def _mathml(formula: str, display: str) -> str:
    """A formula as MathML; empty when it cannot be made."""
    if len(formula) > MAX_FORMULA or not formula or _REFUSED.search(formula) or _UNSEEN.search(formula):
        return ""
    if _STACKED.search(formula):
        return ""
    if r"\\" in formula and r"\begin" not in formula:
        formula = rf"\begin{{split}}{formula}\end{{split}}"  # lines are lines in a table only
    try:
        return _written(convert_to_element(_ENVIRONMENT.sub(_environment, formula), display=display))
    except Exception:  # the library raises whatever it stumbles upon; the source is shown instead
        return ""


def _maths_html(token: Token, env: EnvType) -> str:
    env["formulas"] = env.get("formulas", 0) + len(token.content)
    found = ""
    if env["formulas"] <= MAX_FORMULAS and "as_text" not in token.meta:
        found = _mathml(token.content.strip(), "block" if token.markup in ("$$", r"\[") else "inline")
    return found or f"<code>{shown(token.markup + token.content + _CLOSING[token.markup])}</code>"


# --- Markdown ---------------------------------------------------------------------------------------------------------

_MARKUP = re.compile(r"[\n!#$&*<>\[\]\\_`|~]")
SIDES = {"center", "right"}
BLOCKS = {*"p div blockquote li h1 h2 h3 h4 h5 h6 th td".split()}  # noqa: SIM905
TAGS = BLOCKS | {*"br hr em strong s code pre ul ol table thead tbody tr a span".split()}  # noqa: SIM905


class _Renderer(RendererHTML):
    """Its methods are named after the tokens that they write."""

    def text(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return shown(tokens[idx].content)

    def code_inline(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f"<code>{shown(tokens[idx].content)}</code>"

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f"<pre><code>{shown(tokens[idx].content)}</code></pre>\n"

    fence = code_block

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Nothing is loaded: the page would fetch what a model names."""
        return shown(_("[image: %(alt)s]") % {"alt": self.renderInlineAsText(tokens[idx].children or [], options, env)})

    def maths(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return _maths_html(tokens[idx], env)

    def maths_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f'<div class="scroll maths" tabindex="0">{_maths_html(tokens[idx], env)}</div>\n'

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return '<div class="scroll" tabindex="0"><table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div>\n"

    def td_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """The alignment as a class: the page takes no styles."""
        side = str(tokens[idx].attrs.get("style", "")).removeprefix("text-align:")
        return f'<{tokens[idx].tag} class="{side}">' if side in SIDES else f"<{tokens[idx].tag}>"

    th_open = td_open


class _Markdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:
        """Elsewhere only: not to a page of Plumbline's own, which a model could know by its path."""
        return url.lower().startswith(("https://", "http://", "mailto:"))


# html=False shows tags as the text they are.
_OPTIONS = {"html": False, "breaks": True, "maxNesting": MAX_NESTING}
_markdown = _Markdown("commonmark", _OPTIONS, renderer_cls=_Renderer).enable(["table", "strikethrough"])
_markdown.inline.ruler.before("escape", "maths", _maths_inline)
_markdown.block.ruler.before(
    "fence", "maths_block", _maths_block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
)
_markdown.core.ruler.after("inline", "maths_scroll", _maths_scroll)
_cleaner = nh3.Cleaner(
    tags=TAGS | MATHS,
    attributes={
        "*": set(),
        "a": {"href"},
        "ol": {"start"},
        "div": {"tabindex"},
        "math": {"display"},
        **{tag: set(_MATHS_ALLOWED) - {"display"} for tag in MATHS - {"math"}},
    },
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
    allowed_classes={"span": {"revealed"}, "div": {"scroll", "maths"}, "th": SIDES, "td": SIDES},
    # Each element writes in the direction of its own first letter, and turns nothing outside itself.
    set_tag_attribute_values={
        **{tag: {"dir": "auto"} for tag in BLOCKS},
        "a": {"target": "_blank", "dir": "auto"},
        "code": {"dir": "ltr"},
        "pre": {"dir": "ltr", "tabindex": "0"},
    },
)


def markdown_html(text: str) -> SafeString:
    """Markdown as HTML of the tags above; links open elsewhere and tell nothing about this page."""
    if len(text) > LONGEST or len(_MARKUP.findall(text)) > MAX_MARKUP:
        return _as_it_is(text)
    env: EnvType = {}
    tokens = _markdown.parse(text, env)
    if len(tokens) > MAX_TOKENS or any(token.level >= MAX_NESTING - 1 and token.nesting == 1 for token in tokens):
        return _as_it_is(text)
    return mark_safe(_cleaner.clean(_markdown.renderer.render(tokens, _markdown.options, env)))  # noqa: S308 - cleaned
