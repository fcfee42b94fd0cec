"""The Chinese catalogue: it holds every text that is marked, whole and well formed, and no page is left in English."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import polib
import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.translation.template import templatize

from annotate.models import Annotator, Enrolment
from annotate.services import ledger
from annotate.services.agreement import measure_and_keep
from annotate.services.enrolments import move
from annotate.services.projects import DEFAULT_QUESTION
from curation.services import training
from curation.services.exports import request_export
from curation.tasks import build_export
from tests import library

ROOT = Path(__file__).parents[1]
CATALOGUE = ROOT / "locale" / "zh_Hans" / "LC_MESSAGES" / "django"
SOURCES = ("annotate", "config", "curation", "jobs", "templates")
HAN = re.compile(r"[\u4e00-\u9fff]")

# Where the arguments of each function stand: context, text, plural.
FUNCTIONS = {
    "gettext": (None, 0, None),
    "pgettext": (0, 1, None),
    "ngettext": (None, 0, 1),
    "npgettext": (0, 1, 2),
}
MARKS = {"_": FUNCTIONS["gettext"], "gettext_noop": FUNCTIONS["gettext"]}
MARKS |= {name + lazy: where for name, where in FUNCTIONS.items() for lazy in ("", "_lazy")}

# The same in both languages, and why.
SAME = {
    "Fleiss κ": "a name and a letter",
    "Gwet AC1": "a name and a letter",
    "α": "a letter",
    "n": "a letter",
    "n = %(n)s": "a letter and a number",
}


class Text(NamedTuple):
    """What the catalogue knows a text by."""

    context: str
    text: str
    plural: str


# --- What is marked ---------------------------------------------------------------------------------------------------


def marked() -> set[Text]:
    """Every text that the code or a template marks for translation."""
    found: set[Text] = set()
    for path in (path for folder in SOURCES for path in (ROOT / folder).rglob("*")):
        if path.suffix == ".py":
            found |= set(marks_of(ast.parse(path.read_text(encoding="utf-8")), path))
        elif path.suffix in (".html", ".txt"):
            for call in calls_of(templatize(path.read_text(encoding="utf-8"), origin=str(path))):
                found |= set(marks_of(call, path))
    return found


def marks_of(tree: ast.AST, path: Path) -> Iterator[Text]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name not in MARKS:
            continue
        given = [None if at is None else node.args[at] for at in MARKS[name]]
        assert not any(isinstance(one, ast.JoinedStr | ast.BinOp) for one in given), (
            f"{path}:{node.lineno}: a text that is put together first cannot be collected"
        )
        texts = [one.value if isinstance(one, ast.Constant) else one for one in given]
        if isinstance(texts[1], str):  # else a variable: what it holds is marked where it is written
            yield Text(texts[0] or "", texts[1], texts[2] or "")


def calls_of(code: str) -> Iterator[ast.AST]:
    """The calls in what Django makes of a template for xgettext, which is no Python as a whole."""
    for start in re.finditer(rf"\b(?:{'|'.join(MARKS)})\(", code):
        for end in re.finditer(r"\)", code[start.start() :]):
            try:
                yield ast.parse(code[start.start() :][: end.end()])
                break
            except SyntaxError:
                continue  # this bracket was inside the text
        else:
            raise AssertionError(f"no end of the call at {code[start.start() :][:60]!r}")


@pytest.fixture(scope="module")
def catalogue() -> polib.POFile:
    return polib.pofile(f"{CATALOGUE}.po")


def translations(catalogue: polib.POFile) -> Iterator[tuple[str, str]]:
    """Each text, of two numbers the plural, with its translation."""
    for entry in catalogue:
        if entry.msgid_plural:
            yield from ((entry.msgid_plural, text) for text in entry.msgstr_plural.values())
        else:
            yield entry.msgid, entry.msgstr


# --- The catalogue ----------------------------------------------------------------------------------------------------


def test_the_collector_finds_what_is_marked_in_each_way():
    code = """_("a" "b"); gettext_noop('c'); pgettext_lazy("at", "d"); ngettext("e", "es", 2); _(x); other("f")"""
    assert set(marks_of(ast.parse(code), Path("x.py"))) == {
        Text("", "ab", ""),
        Text("", "c", ""),
        Text("at", "d", ""),
        Text("", "e", "es"),
    }
    page = (
        """{% translate "a (b) 5%" %}{% translate "c" context "at" %}{{ x|default:_("d") }}"""
        """{% blocktranslate count n=x %}{{ n }} e{% plural %}{{ n }} es{% endblocktranslate %} _("no")"""
    )
    found = {mark for call in calls_of(templatize(page)) for mark in marks_of(call, Path("x.html"))}
    assert found == {
        Text("", "a (b) 5%%", ""),
        Text("at", "c", ""),
        Text("", "d", ""),
        Text("", "%(n)s e", "%(n)s es"),
    }
    with pytest.raises(AssertionError, match="cannot be collected"):
        list(marks_of(ast.parse('_(f"{x} rows")'), Path("x.py")))


def test_every_marked_text_is_in_the_catalogue_and_nothing_else(catalogue):
    """`make messages` collects what is new and drops what is gone."""
    there = {Text(entry.msgctxt or "", entry.msgid, entry.msgid_plural or "") for entry in catalogue}
    assert len(there) == len(catalogue) > 600
    assert marked() - there == set(), "not in the catalogue: run make messages and translate them"
    assert there - marked() == set(), "no longer in the code: run make messages"
    assert not catalogue.obsolete_entries()


def test_every_text_is_translated(catalogue):
    assert [text for text, said in translations(catalogue) if not said.strip()] == []
    assert [entry.msgid for entry in catalogue if "fuzzy" in entry.flags] == []
    assert [text for text, said in translations(catalogue) if said == text and text not in SAME] == []


def test_the_header_says_language_and_plurals_and_names_nobody(catalogue):
    assert catalogue.metadata["Language"] == "zh_Hans"
    assert catalogue.metadata["Content-Type"] == "text/plain; charset=UTF-8"
    assert catalogue.metadata["Plural-Forms"] == "nplurals=1; plural=0;"
    assert all(list(entry.msgstr_plural) == [0] for entry in catalogue if entry.msgid_plural)
    assert not re.search(r"\S@\S", catalogue.header + "".join(catalogue.metadata.values()))


def test_placeholders_tags_and_code_are_the_same(catalogue):
    kept = re.compile(r"%\(\w+\)[-+ #0-9.]*[a-z]|%%|<[^<>]+>|`[^`]+`|\|\|\|")
    for text, said in translations(catalogue):
        assert Counter(kept.findall(said)) == Counter(kept.findall(text)), said


def test_the_chinese_is_set_as_chinese(catalogue):
    """A space between Chinese and Latin letters or digits, and Chinese marks after Chinese."""
    tight = re.compile(rf"{HAN.pattern}[A-Za-z0-9]|[A-Za-z0-9]{HAN.pattern}|{HAN.pattern}[,;:?!.()]")
    # A number needs the space too; what else a placeholder stands for may be Chinese.
    number = re.compile(r"%\(\w+\)[-+ #0-9.]*[df]")
    other = re.compile(r"%\(\w+\)s")
    said = [said for _text, said in translations(catalogue)]
    assert [one for one in said if tight.search(other.sub("·", number.sub("0", one)))] == []


def test_what_is_compiled_is_what_is_written(catalogue):
    """So that a machine without gettext shows the same. `make messages` compiles."""
    assert Path(f"{CATALOGUE}.mo").read_bytes() == catalogue.to_binary()


def test_django_finds_the_translations():
    with translation.override("zh-hans"):
        assert translation.gettext("Submit ranking") == "提交排序"
        assert translation.pgettext("heading", "Rows") != translation.gettext("Rows")
        assert translation.ngettext("%(n)s person waits", "%(n)s people wait", 1) == "%(n)s 人待批准"


# --- The pages --------------------------------------------------------------------------------------------------------


class Texts(HTMLParser):
    """What a person reads on a page, or hears: its text nodes, and the attributes that are text."""

    SILENT = {"script", "style", "code", "pre", "textarea"}  # commands and what people have written
    SPOKEN = {"aria-label", "title", "placeholder", "alt", "data-none", "data-best"}

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.language, self._silent = "", ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "html":
            self.language = given["lang"]
        elif tag in self.SILENT or "lang" in given:  # the switch names each language in itself
            self._silent = self._silent or tag
        self.found |= {" ".join(given[name].split()) for name in self.SPOKEN & set(given) if given[name]}

    def handle_endtag(self, tag):
        if tag == self._silent:
            self._silent = ""

    def handle_data(self, data):
        if data.strip() and not self._silent:
            self.found.add(" ".join(data.split()))


# The same in both languages: names of things, texts that Django's own Chinese lacks, and what the fixture below wrote.
NAMES = {
    "Plumbline",
    "JSONL",
    "JSON",
    "Arrow",
    "Parquet",
    "Jinja",
    "Krippendorff",
    "Fleiss",
    "Latin-1",
    "Windows-1252",
    "GB 18030",
    "Python",
    "TRL, datasets",
    "OpenAI",
    "LLaMA-Factory",
    "Alpaca",
    "ShareGPT",
    "OASST",
}
DJANGO = {"Model name", "Add link", "Change or view list link"}
WRITTEN = {
    *("Kitchen", "Put the", "true", "one first.", DEFAULT_QUESTION, "Question", "Answer", "Too hard."),
    *("texts", "shorter", "broken", "group", "short", "text", "mina", "A written source", "plumbline"),
    *("A long text, number", "Say it shorter:", "Text", "is the id of row 1 too. Each row needs its own."),
    *("README.md", "manifest.json", "selection.parquet", "preference", "train", "test", "jsonl", "parquet"),
    *("verify.py", "charts", "lengths-characters.svg", "annotators.svg"),
    *("first-try", "accuracy", "A held-out figure."),
}
# Labels that the code has not marked yet. Whoever marks one takes it out here.
UNMARKED: dict[str, list[str]] = {}


def left_in_english(english: set[str], chinese: set[str]) -> list[str]:
    """Texts that are the same in both languages, though words stand in them that nobody has written."""
    known = sorted(NAMES | DJANGO | WRITTEN, key=len, reverse=True)
    known = re.compile("|".join([r"\b[0-9a-f]{40,}\b", *(rf"(?<!\w){re.escape(one)}(?!\w)" for one in known)]))
    return sorted(one for one in english & chinese if re.search(r"[A-Za-z]{4}", known.sub("", one)))


def test_a_text_that_is_not_marked_is_found():
    page = (
        '<p>{} <code>some code</code></p><b title="A tip">Kitchen</b><i>Left as it was</i><script>let it = 0</script>'
    )
    english, chinese = Texts(page.format("Saved")).found, Texts(page.format("已保存")).found
    assert left_in_english(english, chinese) == ["Left as it was"]
    assert left_in_english({"A tip here"}, {"A tip here"}) == ["A tip here"]


@pytest.fixture
def addresses(world) -> dict[str, tuple[str, str]]:
    """The main pages with all that they can show: who looks at each, and where it is."""
    mina = world.users["mina"]
    world.tasks(3)
    for tiers in ((1, 2, 3), (1, 3, 2)):
        for name in ("ana", "ben"):
            world.answer(world.claim(name), *tiers)
    for name in ("ana", "ben"):
        ledger.skip(slot=world.claim(name), kind="hard", reason="Too hard.")
    applicant = Annotator.objects.create(user=world.users["otto"], kind=Annotator.Kind.PERSON)
    Enrolment.objects.create(annotator=applicant, project=world.project)
    paused = world.project.enrolments.get(annotator=world.annotator("ben"))
    move(enrolment=paused, to=Enrolment.Status.PAUSED, actor=mina)
    measure_and_keep(project=world.project)
    world.tasks(1)

    bad = [{"id": "r1", "group": "g", "text": "Twice", "short": "twice"}]
    about = {"source": "A written source", "id_column": "id", "group_column": "group", "actor": mina}
    over = library.dataset([*library.rows(9), *bad], leave_out_refused=True, **about)
    broken = library.dataset([*library.rows(2), *bad], name="broken", **about)
    by = library.template(over, "{% if id != 'r2' %}Say it shorter: {{ text }}{% endif %} ||| {{ short }}", actor=mina)
    made = library.instances(over, by, actor=mina)
    sft = library.sft_export(made, actor=mina)
    pairs = request_export(project=world.project, actor=mina, send=False)
    build_export(str(pairs.job_id))
    run = training.start_run(export=sft, actor=mina, trainer="sft", name="first-try", configuration={})
    training.add_metrics(run=run, points=[{"step": step, "name": "accuracy", "value": step / 9} for step in range(5)])
    training.finish_run(run=run, status="succeeded", results={}, error="", model_card="A held-out figure.")
    slot = world.claim("ana")
    return {
        "projects": ("mina", "/projects/"),
        "project": ("mina", f"/projects/{world.project.slug}/"),
        "work": ("ana", reverse("work", args=[world.project.slug, slot.code])),
        "own project": ("ana", f"/projects/{world.project.slug}/"),
        "datasets": ("mina", "/datasets/"),
        "dataset": ("mina", f"/datasets/{over.pk}/"),
        "refused dataset": ("mina", f"/datasets/{broken.pk}/"),
        "dataset about": ("mina", f"/datasets/{over.pk}/about/"),
        "dataset import": ("mina", "/datasets/import/"),
        "template new": ("mina", f"/datasets/{over.pk}/templates/new/"),
        "template": ("mina", f"/templates/{by.pk}/?dataset={over.pk}"),
        "instances": ("mina", f"/instances/{made.pk}/"),
        "exports": ("mina", "/exports/"),
        "instructions": ("mina", f"/exports/{sft.pk}/"),
        "preferences": ("mina", f"/exports/{pairs.pk}/"),
        "new instructions": ("mina", "/exports/instructions/"),
        "new preferences": ("mina", "/exports/judgements/"),
        "training run": ("mina", f"/training-runs/{run.pk}/"),
        "nothing": ("mina", "/no-such-page/"),
        "email": ("mina", "/accounts/email/"),
        "password": ("mina", "/accounts/password/change/"),
        "login": ("", "/accounts/login/"),
        "reset": ("", "/accounts/password/reset/"),
        "admin": ("ada", "/admin/"),
    }


def texts_of(world, name: str, address: str, language: str) -> Texts:
    client = world.client(name) if name else Client()
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
    response = client.get(address)
    assert response.status_code == (404 if "no-such" in address else 200), address
    texts = Texts(response.text)
    assert texts.language == language, address
    return texts


def test_no_page_leaves_anything_in_english(world, addresses):
    left = {}
    for what, (name, address) in addresses.items():
        english, chinese = (texts_of(world, name, address, language).found for language in ("en", "zh-hans"))
        assert sum(bool(HAN.search(text)) for text in chinese) >= 5, what
        assert not any(HAN.search(text) for text in english), what
        if found := left_in_english(english, chinese):
            left[what] = found
    assert left == UNMARKED


def test_the_browser_s_language_is_taken_until_one_is_chosen(client):
    for asked, given in (("zh-CN,zh;q=0.9,en;q=0.8", "zh-hans"), ("zh-Hans", "zh-hans"), ("de,en;q=0.5", "en")):
        assert f'<html lang="{given}">' in client.get("/accounts/login/", headers={"accept-language": asked}).text


def test_a_job_speaks_the_language_of_whoever_started_it(world):
    with translation.override("zh-hans"):
        failed = library.dataset([{"id": "r1", "text": "a"}, {"id": "r1", "text": "b"}], id_column="id")
    assert failed.job.error.startswith("2 行中有 1 行不能接收，因此没有导入任何内容。")
    assert [one["message"] for one in failed.refusals] == ["“r1”也是第 1 行的主键。每行须有自己的主键。"]


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_what_a_form_refuses_is_said_in_the_language_of_the_page(world, language):
    client = world.client("mina")
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
    file = library.jsonl(library.rows(1))
    response = client.post("/datasets/import/", {"name": "texts", "licence": "none", "language": "en", "upload": file})
    assert response.status_code == 422
    assert ("不是 SPDX 许可证" in response.text) is (language == "zh-hans")
    assert ("is no SPDX licence" in response.text) is (language == "en")
