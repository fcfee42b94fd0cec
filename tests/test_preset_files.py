"""The files of the presets: whole, in both languages, and such that a person could answer what they ask.

Nothing is loaded into a project here, and no database is needed. The last tests plant faults and see that each is found.
"""

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings

from annotate.models import Question, Rule
from annotate.questions import LONGEST, MOST_OUTPUTS, Shown, outputs_wanted, read

FOLDER = Path(settings.BASE_DIR) / "annotate" / "presets"
LANGUAGES = {"en", "zh-hans"}
HEART = {"helpful", "honest", "harmless"}
SLUGS = HEART | {
    "instructgpt-ranking",
    "summarize-from-feedback",
    "webgpt-comparison",
    "hh-pairwise",
    "llama2-four-way",
    "sparrow-rules",
    "helpsteer-attributes",
    "oasst",
    "demonstration",
}
SENSITIVE = {"harmless", "sparrow-rules"}
MAY_SHOW_HARM = SENSITIVE | {"hh-pairwise", "llama2-four-way"}

OF_A_PRESET = {"name", "summary", "after", "overlap", "outputs", "sensitive", "support", "questions", "rules"}
SAID = ("text", "help", "good_example", "bad_example")
OF_A_QUESTION = {"key", "kind", "scope", "required", *SAID, "settings", "condition"}
OF_A_RULE = {"key", "text", "good_example", "bad_example"}
SLUG = re.compile("[a-z0-9]+(-[a-z0-9]+)*")
CHINESE = re.compile("[\u4e00-\u9fff]")
SENTENCE_END = {"en": re.compile(r"[.!?][”)]?(?=\s|$)"), "zh-hans": re.compile("[。！？][”）]?")}

# Per kind: the settings that must be there, and those that may be.
SETTINGS: dict[str, tuple[set[str], set[str]]] = {
    "ranking": ({"unranked", "acceptable_line", "not_rankable", "none_acceptable"}, set()),
    "pairwise": ({"steps", "tie", "neither", "words"}, set()),
    "rating": ({"min", "max", "low", "high"}, {"words"}),
    "choice": ({"options"}, set()),
    "multi_choice": ({"options", "least"}, {"most"}),
    "text": ({"min_length", "max_length"}, set()),
    "rule": ({"rules_per_slot"}, set()),
    "span": ({"labels"}, set()),
    "demonstration": ({"mode", "min_length", "max_length"}, set()),
}


def json_of(path: Path) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs), f"{path}: a key stands twice among {[key for key, _ in pairs]}"
        return dict(pairs)

    return json.loads(path.read_text("utf-8"), object_pairs_hook=once)


def preset(slug: str) -> dict[str, Any]:
    return json_of(FOLDER / slug / "preset.json")


# --- What is wrong with a preset --------------------------------------------------------------------------------------


def problems(found: dict[str, Any]) -> list[str]:
    """What is wrong with the content of a preset.json; nothing if all is well."""
    return [*_of_the_preset(found), *_of_the_languages(found, ""), *_of_the_questions(found), *_of_the_rules(found)]


def _of_the_preset(found: dict[str, Any]) -> Iterator[str]:
    if set(found) != OF_A_PRESET:
        yield f"keys {sorted(set(found) ^ OF_A_PRESET)}"
    for name in ("name", "summary"):
        if not in_both(found[name]):
            yield f"{name} is not in both languages"
        elif any(
            len(SENTENCE_END[language].findall(words)) > (name == "summary") for language, words in found[name].items()
        ):
            yield f"{name} is more than a sentence"
    if not isinstance(found["after"], str) or type(found["sensitive"]) is not bool:
        yield "after is a text, sensitive true or false"
    if found["support"] is not None and not in_both(found["support"]):
        yield "support is not in both languages"
    if type(found["overlap"]) is not int or not 1 <= found["overlap"] <= 100:
        yield "overlap"
    least, most = found["outputs"]
    lowest, highest = outputs_wanted(SimpleNamespace(**question) for question in found["questions"])
    if not lowest <= least <= most <= min(highest, MOST_OUTPUTS):
        yield f"{least} to {most} outputs, but the questions need {lowest} to {highest}"


def in_both(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == LANGUAGES


def _of_the_languages(value: Any, at: str) -> Iterator[str]:
    """Every object with a language in it has both, with words in each that are of it."""
    if isinstance(value, dict) and LANGUAGES & set(value):
        if not in_both(value):
            yield f"{at} is in {sorted(value)}"
            return
        for language, words in value.items():
            if not isinstance(words, str) or not words.strip() or words != words.strip():
                yield f"{at} has no words, or white space around them, in {language}"
            elif bool(CHINESE.search(words)) != (language == "zh-hans"):
                yield f"{at} is not in {language}: {words}"
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _of_the_languages(inner, f"{at}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _of_the_languages(inner, f"{at}[{number}]")


def _of_the_questions(found: dict[str, Any]) -> Iterator[str]:
    asked = {question["key"]: question for question in found["questions"]}
    if len(asked) != len(found["questions"]):
        yield "a key is there twice"
    for key, question in asked.items():
        if set(question) != OF_A_QUESTION:
            yield f"{key}: keys {sorted(set(question) ^ OF_A_QUESTION)}"
            continue
        wrong = [*_of_the_words(key, question), *_of_the_settings(question), *_of_the_condition(question, asked)]
        yield from (f"{key}: {one}" for one in wrong)
        if question["kind"] in Question.OF_THE_TASK and question["scope"] != "task":
            yield f"{key}: a {question['kind']} is about the task"
        if question["kind"] in Question.OF_EACH_OUTPUT and question["scope"] != "completion":
            yield f"{key}: a {question['kind']} is about each output"
        if question["scope"] not in Question.Scope.values or type(question["required"]) is not bool:
            yield f"{key}: scope, required"


def _of_the_words(key: str, said: dict[str, Any]) -> Iterator[str]:
    if not SLUG.fullmatch(key) or len(key) > 60:
        yield "the key is no slug"
    for name in SAID:
        if name not in said or (said[name] is None and name.endswith("_example")):
            continue
        if not in_both(said[name]):
            yield f"{name} is not in both languages"
        elif name == "text" and max(map(len, said[name].values())) > Rule._meta.get_field("text").max_length:
            yield "the text is too long"
        elif name == "help":
            for language, words in said[name].items():
                if not 1 <= len(SENTENCE_END[language].findall(words)) <= 3:
                    yield f"the help has not one to three sentences in {language}"


def _of_the_settings(question: dict[str, Any]) -> Iterator[str]:
    kind, given = question["kind"], question["settings"]
    if kind not in SETTINGS:
        yield f"no kind {kind}"
        return
    needed, allowed = SETTINGS[kind]
    if not needed <= set(given) <= needed | allowed:
        yield f"settings {sorted(set(given) ^ needed)}"
        return
    yield from _CHECKS[kind](given)


def _ranking(given: dict[str, Any]) -> Iterator[str]:
    if given["unranked"] not in ("none", "below", "unknown"):
        yield "unranked"
    if any(type(value) is not bool for name, value in given.items() if name != "unranked"):
        yield "a setting is neither true nor false"


def _pairwise(given: dict[str, Any]) -> Iterator[str]:
    if given["steps"] not in (2, 4, 6, 8):
        yield "steps"
    if len(given["words"]) != given["steps"] // 2 or not all(map(in_both, given["words"])):
        yield "words: one for each strength, in both languages"
    if type(given["tie"]) is not bool or type(given["neither"]) is not bool:
        yield "a setting is neither true nor false"


def _rating(given: dict[str, Any]) -> Iterator[str]:
    if type(given["min"]) is not int or type(given["max"]) is not int or not 1 <= given["max"] - given["min"] <= 10:
        yield "two to eleven steps"
    elif len(given.get("words", range(given["min"], given["max"] + 1))) != given["max"] - given["min"] + 1:
        yield "words: one for each step"
    if not all(map(in_both, [given["low"], given["high"], *given.get("words", [])])):
        yield "low, high, words: in both languages"


def _options(given: list[dict[str, Any]], least: int) -> Iterator[str]:
    values = [option["value"] for option in given]
    if not least <= len(values) <= 20 or len(set(values)) != len(values):
        yield "too few, too many, or one of them twice"
    for option in given:
        if set(option) != {"value", "label"} or not in_both(option["label"]):
            yield f"{option} is no value with a label in both languages"
        elif not isinstance(option["value"], str) or not SLUG.fullmatch(option["value"]):
            yield f"{option['value']} is no slug"


def _choice(given: dict[str, Any]) -> Iterator[str]:
    yield from _options(given["options"], 2)


def _multi_choice(given: dict[str, Any]) -> Iterator[str]:
    yield from _options(given["options"], 2)
    if not 0 <= given["least"] <= given.get("most", len(given["options"])) <= len(given["options"]):
        yield "least, most"


def _length(given: dict[str, Any]) -> Iterator[str]:
    if not 0 <= given["min_length"] <= given["max_length"] <= LONGEST or given["max_length"] == 0:
        yield "min_length, max_length"


def _rule(given: dict[str, Any]) -> Iterator[str]:
    if given["rules_per_slot"] not in (1, 2, 3):
        yield "rules_per_slot"


def _span(given: dict[str, Any]) -> Iterator[str]:
    yield from _options(given["labels"], 1)


def _demonstration(given: dict[str, Any]) -> Iterator[str]:
    if given["mode"] not in ("write", "edit"):
        yield "mode"
    yield from _length(given)


_CHECKS: dict[str, Callable[[dict[str, Any]], Iterator[str]]] = {
    "ranking": _ranking,
    "pairwise": _pairwise,
    "rating": _rating,
    "choice": _choice,
    "multi_choice": _multi_choice,
    "text": _length,
    "rule": _rule,
    "span": _span,
    "demonstration": _demonstration,
}


def values_of(question: dict[str, Any]) -> list[Any]:
    if question["kind"] == "rating":
        return list(range(question["settings"]["min"], question["settings"]["max"] + 1))
    return [option["value"] for option in question["settings"]["options"]]


def _of_the_condition(question: dict[str, Any], asked: dict[str, Any]) -> Iterator[str]:
    condition = question["condition"]
    if condition is None:
        return
    other = asked.get(condition["question"])
    keys = list(asked)
    if set(condition) != {"question", "in"} or other is None or not condition["in"]:
        yield "the condition names no question, or no answer"
    elif other["kind"] not in ("choice", "multi_choice", "rating") or other["scope"] not in ("task", question["scope"]):
        yield "the condition is on a question of another kind or scope"
    elif keys.index(other["key"]) >= keys.index(question["key"]):
        yield "the condition is on a question that comes later"
    elif unknown := [value for value in condition["in"] if value not in values_of(other)]:
        yield f"nobody can answer {unknown}"


def _of_the_rules(found: dict[str, Any]) -> Iterator[str]:
    wanted = [question["settings"]["rules_per_slot"] for question in found["questions"] if question["kind"] == "rule"]
    if bool(wanted) != bool(found["rules"]) or len(found["rules"]) < max(wanted, default=0):
        yield "rules without a question about them, or too few"
    if len({rule["key"] for rule in found["rules"]}) != len(found["rules"]):
        yield "a rule is there twice"
    for rule in found["rules"]:
        if set(rule) != OF_A_RULE:
            yield f"{rule['key']}: keys {sorted(set(rule) ^ OF_A_RULE)}"
        yield from (f"{rule['key']}: {one}" for one in _of_the_words(rule["key"], rule))


# --- The presets ------------------------------------------------------------------------------------------------------


def test_all_twelve_are_there_with_all_their_files():
    found = {path.parent.name: {file.name for file in path.parent.iterdir()} for path in FOLDER.glob("*/preset.json")}
    names = {
        f"{part}.{language}.{end}"
        for language in LANGUAGES
        for part, end in [("guideline", "md"), ("examples", "json")]
    }
    assert found == {slug: names | {"preset.json"} for slug in SLUGS}


@pytest.mark.parametrize("slug", sorted(SLUGS))
class TestPreset:
    def test_its_content_is_sound(self, slug):
        assert problems(preset(slug)) == []

    def test_what_may_show_harm_warns_and_tells_where_help_is(self, slug):
        found = preset(slug)
        assert found["sensitive"] == (slug in SENSITIVE)
        assert bool(found["support"]) == (slug in MAY_SHOW_HARM)

    def test_most_questions_have_examples(self, slug):
        asked = preset(slug)["questions"]
        shown = [question for question in asked if question["good_example"] and question["bad_example"]]
        assert len(shown) > len(asked) / 2

    def test_a_person_can_answer_it(self, slug):
        """With the first value of each kind, and with the last: every question is answered, or not asked."""
        found = preset(slug)
        for at in (0, -1):
            asked = [SimpleNamespace(**question) for question in found["questions"]]
            rules = {one.key: [SimpleNamespace(key=rule["key"], pk=1) for rule in found["rules"]] for one in asked}
            shown = {
                letter: Shown(number, "Some words.") for number, letter in enumerate("ABCD"[: found["outputs"][1]])
            }
            given = read(asked, fields(found["questions"], list(shown), found["rules"], at), shown, rules)
            assert given.errors == {}
            answered = {answer.question.key for answer in given.answers}
            assert answered >= {question.key for question in asked if not question.condition}


def fields(
    asked: list[dict[str, Any]], letters: list[str], rules: list[dict[str, Any]], at: int
) -> dict[str, list[str]]:
    """What a person fills in: in each question the first value on offer, or the last (`at` is 0 or -1)."""
    sent: dict[str, str] = {}
    for question in asked:
        key, kind, given = question["key"], question["kind"], question["settings"]
        names = [f"{key}.{letter}" for letter in letters] if question["scope"] == "completion" else [key]
        if kind in ("choice", "multi_choice", "rating"):
            sent |= dict.fromkeys(names, str(values_of(question)[at]))
        elif kind == "text":
            sent |= dict.fromkeys(names, "x" * (max(given["min_length"], 1) if at == 0 else given["max_length"]))
        elif kind == "ranking":
            sent |= {f"{key}.tier.{letter}": str(place + 1) for place, letter in enumerate(letters)}
            sent[f"{key}.line"] = "1"
        elif kind == "pairwise":
            sent[f"{key}.choice"] = str(given["steps"] // 2 * (1 if at == 0 else -1))
        elif kind == "span":
            labels = [label["value"] for label in given["labels"]]
            sent |= {f"{name}.spans": json.dumps([[0, 4, labels[at]]]) for name in names}
        elif kind == "rule":
            sent |= {f"{key}.{rule['key']}.{letter}": "04"[at] for rule in rules for letter in letters}
        else:
            sent[f"{key}.text"] = "An answer."
    return {name: [value] for name, value in sent.items()}


@pytest.mark.parametrize("slug", sorted(HEART))
def test_the_heart_asks_for_an_order_with_a_line_and_about_rules(slug):
    found = preset(slug)
    kinds = [question["kind"] for question in found["questions"]]
    (ranking,) = [question for question in found["questions"] if question["kind"] == "ranking"]
    assert ranking["settings"]["acceptable_line"]
    assert kinds.count("rule") == 1
    assert 1 <= len(kinds) - 2 <= 3  # beside these two: a few questions of its own
    assert 4 <= len(found["rules"]) <= 6


# --- Guidelines and worked examples -----------------------------------------------------------------------------------

both_of_each = pytest.mark.parametrize(
    ("slug", "language"), [(s, one) for s in sorted(SLUGS) for one in sorted(LANGUAGES)]
)


def ranks(slug: str) -> bool:
    return any(question["kind"] == "ranking" for question in preset(slug)["questions"])


@both_of_each
def test_guidelines(slug, language):
    text = (FOLDER / slug / f"guideline.{language}.md").read_text("utf-8")
    length = len(text.split()) if language == "en" else len(CHINESE.findall(text))
    assert (300 if language == "en" else 400) <= length <= 1000
    assert len(re.findall("^## ", text, re.MULTILINE)) >= 4
    assert not re.search("^# ", text, re.MULTILINE)
    # A line break within a paragraph would be shown as one.
    blocks = [block.splitlines() for block in text.split("\n\n")]
    assert [
        lines for lines in blocks if len(lines) > 1 and not all(re.match(r"\||- |\d+\. ", one) for one in lines)
    ] == []
    for word in ("skip", "empty", "broken") if language == "en" else ("跳过", "空", "坏"):
        assert word in text.lower()
    if ranks(slug):
        assert ("ties" if language == "en" else "并列") in text.lower()


@both_of_each
def test_worked_examples(slug, language):
    examples = json_of(FOLDER / slug / f"examples.{language}.json")
    assert len(examples) == 5 if slug in HEART else len(examples) >= 2
    least, most = preset(slug)["outputs"]
    for example in examples:
        assert set(example) == {"prompt", "outputs", "answer", "why"}
        assert least <= len(example["outputs"]) <= most
        for letter, output in zip("ABCDEFGHI", example["outputs"], strict=False):
            assert (set(output), output["letter"]) == ({"letter", "text"}, letter)
        shown = {output["letter"] for output in example["outputs"]}
        said = set(re.findall(r"\b([A-I])\b", example["answer"], re.ASCII)) - {"I"}
        assert said == shown if ranks(slug) else said <= shown
        assert example["answer"] and "\n" not in example["answer"]
        assert 1 <= len(SENTENCE_END[language].findall(example["why"])) <= 4
        words = example["prompt"] + example["answer"] + example["why"]
        assert bool(CHINESE.search(words)) == (language == "zh-hans")


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_prompt_is_worked_through_only_once(language):
    prompts = [one["prompt"] for slug in sorted(SLUGS) for one in json_of(FOLDER / slug / f"examples.{language}.json")]
    assert len(set(prompts)) == len(prompts)


# --- Planted faults ---------------------------------------------------------------------------------------------------


def question_of(found: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(question for question in found["questions"] if question["kind"] == kind)


FAULTS: list[tuple[str, str, Callable[[dict[str, Any]], Any]]] = [
    ("webgpt-comparison", "words: one", lambda p: question_of(p, "pairwise")["settings"]["words"].pop()),
    ("webgpt-comparison", "steps", lambda p: question_of(p, "pairwise")["settings"].update(steps=5)),
    ("webgpt-comparison", "but the questions need", lambda p: p.update(outputs=[2, 3])),
    ("helpsteer-attributes", "but the questions need", lambda p: p.update(outputs=[0, 4])),
    ("helpsteer-attributes", "one for each step", lambda p: question_of(p, "rating")["settings"]["words"].pop()),
    ("helpful", "is in ['en']", lambda p: p["name"].pop("zh-hans")),
    ("helpful", "is not in zh-hans", lambda p: p["rules"][0]["text"].update({"zh-hans": "words"})),
    ("helpful", "help is not in both", lambda p: p["questions"][0].update(help=None)),
    ("helpful", "one to three sentences", lambda p: p["questions"][0]["help"].update(en="One. Two. Three. Four.")),
    ("helpful", "names no question", lambda p: question_of(p, "rating")["condition"].update(question="gone")),
    ("helpful", "nobody can answer", lambda p: question_of(p, "rating")["condition"].update({"in": ["never"]})),
    ("helpful", "comes later", lambda p: p["questions"].reverse()),
    ("helpful", "rules without a question", lambda p: p["questions"].pop()),
    ("helpful", "too few", lambda p: p.update(rules=p["rules"][:1])),
    ("helpful", "a key is there twice", lambda p: p["questions"].append(p["questions"][0])),
    ("helpful", "settings ['colour']", lambda p: question_of(p, "ranking")["settings"].update(colour="red")),
    ("helpful", "is about the task", lambda p: question_of(p, "ranking").update(scope="completion")),
    ("honest", "one of them twice", lambda p: question_of(p, "choice")["settings"]["options"][0].update(value="small")),
    ("honest", "keys ['colour']", lambda p: p.update(colour="red")),
]


@pytest.mark.parametrize(("slug", "said", "plant"), FAULTS)
def test_a_planted_fault_is_found(slug, said, plant):
    found = copy.deepcopy(preset(slug))
    assert problems(found) == []
    plant(found)
    assert any(said in one for one in problems(found))
