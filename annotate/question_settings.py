"""What the settings, condition and translations of a question may be. Says what is wrong and what would be right.

docs/questions.md has the settings of each kind in words; `annotate.questions` reads the answers by them. No database.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from django.utils.translation import gettext as _

from annotate.questions import LONGEST

Settings = Mapping[str, Any]
Find = Iterator[str]

SLUG = re.compile(r"[-a-zA-Z0-9_]{1,60}")
RESERVED = {"csrfmiddlewaretoken", "key", "guideline", "active_seconds", "typing", "version", "changed", "answered"}
"""No keys: the page has fields of these names that are no answers."""
SCOPES = {kind: {"task"} for kind in ("ranking", "pairwise", "demonstration")} | {
    kind: {"completion"} for kind in ("rule", "span")
}
CONDITIONAL = ("choice", "multi_choice", "rating")
"""Kinds of question that another one's condition can name: their answer is one of a few values."""
WORDS = ("low", "high", "words", "options", "labels")  # settings that a translation may override
TEXTS = ("text", "help", "good_example", "bad_example")
MOST_STEPS, MOST_OPTIONS = 11, 20


def problems(
    kind: str, scope: str, settings: Any, condition: Any = None, keys: Mapping[str, Any] | None = None
) -> dict[str, list[str]]:
    """What is wrong with a question, by field. `keys`: the questions asked before it, on which it may depend."""
    found = {
        "scope": scope_problems(kind, scope),
        "settings": settings_problems(kind, settings),
        "condition": condition_problems(scope, condition, keys or {}),
    }
    return {name: said for name, said in found.items() if said}


def scope_problems(kind: str, scope: str) -> list[str]:
    if scope in SCOPES.get(kind, [scope]):
        return []
    if "task" in SCOPES[kind]:
        return [_("A question of this kind is about the task: choose that.")]
    return [_("A question of this kind is about each output: choose that.")]


def key_problems(key: str) -> list[str]:
    if key in RESERVED:
        return [_("“%(key)s” is the name of a field of the page. Choose another key.") % {"key": key}]
    return []


def settings_problems(kind: str, settings: Any) -> list[str]:
    """What is wrong with the settings: each problem names the setting, and what it may be."""
    if kind not in _KINDS:
        return [_("“%(kind)s” is no kind of question.") % {"kind": kind}]
    if not isinstance(settings, dict):
        return [_("The settings must be a JSON object, such as {}.")]
    known, check = _KINDS[kind]
    if unknown := sorted(set(settings) - set(known)):
        text = _("“%(name)s” is no setting of this kind. It has: %(known)s.")
        return [text % {"name": unknown[0], "known": ", ".join(known)}]
    return list(check(settings))


# --- Kinds of values --------------------------------------------------------------------------------------------------


def _booleans(settings: Settings, *names: str) -> Find:
    for name in names:
        if not isinstance(settings.get(name, False), bool):
            yield _("“%(name)s” must be true or false.") % {"name": name}


def _whole(settings: Settings, name: str, low: int, high: int, default: int | None = None) -> Find:
    value = settings.get(name, default)
    if type(value) is not int or not low <= value <= high:
        text = _("“%(name)s” must be a whole number from %(low)d to %(high)d.")
        yield text % {"name": name, "low": low, "high": high}


def _one_of(settings: Settings, name: str, offered: Iterable[Any], default: Any = None) -> Find:
    value = settings.get(name, default)
    if not any(value == one and type(value) is type(one) for one in offered):
        yield _("“%(name)s” must be one of: %(offered)s.") % {"name": name, "offered": ", ".join(map(str, offered))}


def _is_words(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= 500


def _text(settings: Settings, *names: str) -> Find:
    for name in names:
        if not isinstance(settings.get(name, ""), str):
            yield _("“%(name)s” must be words in quotation marks.") % {"name": name}


def _words(settings: Settings, count: int) -> Find:
    words = settings.get("words")
    if words is not None and not (isinstance(words, list) and len(words) == count and all(map(_is_words, words))):
        yield _("“words” must be a list of %(count)d phrases, one for each step.") % {"count": count}


def _options(settings: Settings, name: str, least: int) -> Find:
    """A list of {"value", "label"}, no value twice."""
    rows = settings.get(name, [])
    if not isinstance(rows, list) or not least <= len(rows) <= MOST_OPTIONS:
        text = _("“%(name)s” must be a list of %(least)d to %(most)d.")
        yield text % {"name": name, "least": least, "most": MOST_OPTIONS}
        return
    for at, row in enumerate(rows, 1):
        if not isinstance(row, dict) or set(row) != {"value", "label"} or not _is_words(row["label"]):
            yield _('Number %(at)d of “%(name)s” must be {"value": …, "label": words}.') % {"at": at, "name": name}
        elif not isinstance(row["value"], str) or not SLUG.fullmatch(row["value"]):
            text = _("The value of number %(at)d of “%(name)s” may have letters, digits, - and _, up to 60.")
            yield text % {"at": at, "name": name}
    values = [str(row.get("value")) for row in rows if isinstance(row, dict)]
    for value in sorted({value for value in values if values.count(value) > 1}):
        yield _("“%(value)s” stands twice in “%(name)s”: each value may be there once.") % {
            "value": value,
            "name": name,
        }


def _bounds(settings: Settings, low: str, high: str, most: int, default: int) -> Find:
    """Two whole numbers up to `most`, the second at least 1 and not below the first. `default`: of the second."""
    found = [*_whole(settings, low, 0, most, 0), *_whole(settings, high, 1, most, default)]
    yield from found
    if not found and settings.get(low, 0) > settings.get(high, default):
        yield _("“%(low)s” must not be above “%(high)s”.") % {"low": low, "high": high}


# --- Kinds of questions -----------------------------------------------------------------------------------------------


def _ranking(settings: Settings) -> Find:
    yield from _one_of(settings, "unranked", ("none", "below", "unknown"), "none")
    yield from _booleans(settings, "acceptable_line", "not_rankable", "none_acceptable")


def _pairwise(settings: Settings) -> Find:
    wrong = list(_one_of(settings, "steps", (2, 4, 6, 8)))
    yield from wrong
    yield from _booleans(settings, "tie", "neither")
    if not wrong:
        yield from _words(settings, settings["steps"] // 2)


def _rating(settings: Settings) -> Find:
    wrong = [*_whole(settings, "min", -999, 999), *_whole(settings, "max", -999, 999)]
    yield from wrong
    yield from _text(settings, "low", "high")
    if wrong:
        return
    steps = settings["max"] - settings["min"] + 1
    if 2 <= steps <= MOST_STEPS:
        yield from _words(settings, steps)
    else:
        yield _("“max” must be above “min”, by %(most)d at most.") % {"most": MOST_STEPS - 1}


def _choice(settings: Settings) -> Find:
    yield from _options(settings, "options", 2)


def _multi_choice(settings: Settings) -> Find:
    wrong = list(_options(settings, "options", 2))
    yield from wrong
    if not wrong:
        count = len(settings["options"])
        yield from _bounds(settings, "least", "most", count, count)


def _written(longest: int) -> Callable[[Settings], Find]:
    def check(settings: Settings) -> Find:
        yield from _bounds(settings, "min_length", "max_length", LONGEST, longest)

    return check


def _demonstration(settings: Settings) -> Find:
    yield from _one_of(settings, "mode", ("write", "edit"))
    yield from _written(20_000)(settings)


def _rule(settings: Settings) -> Find:
    yield from _whole(settings, "rules_per_slot", 1, 3, 1)


def _span(settings: Settings) -> Find:
    yield from _options(settings, "labels", 0)


_KINDS: dict[str, tuple[tuple[str, ...], Callable[[Settings], Find]]] = {
    "ranking": (("unranked", "acceptable_line", "not_rankable", "none_acceptable"), _ranking),
    "pairwise": (("steps", "tie", "neither", "words"), _pairwise),
    "rating": (("min", "max", "low", "high", "words"), _rating),
    "choice": (("options",), _choice),
    "multi_choice": (("options", "least", "most"), _multi_choice),
    "text": (("min_length", "max_length"), _written(2000)),
    "rule": (("rules_per_slot",), _rule),
    "span": (("labels",), _span),
    "demonstration": (("mode", "min_length", "max_length"), _demonstration),
}


KNOWN = {kind: names for kind, (names, _check) in _KINDS.items()}
"""The settings that each kind has."""


# --- Conditions -------------------------------------------------------------------------------------------------------


def condition_problems(scope: str, condition: Any, keys: Mapping[str, Any]) -> list[str]:
    """What is wrong with the condition. `keys` has the questions that are asked before."""
    if condition is None:
        return []
    if not isinstance(condition, dict) or set(condition) != {"question", "in"} or not isinstance(condition["in"], list):
        return [_('The condition must be empty, or {"question": key, "in": [values]}.')]
    other = keys.get(str(condition["question"]))
    if other is None:
        text = _(
            "The condition names “%(key)s”, and no question of that key stands before this one. There are: %(keys)s."
        )
        return [text % {"key": condition["question"], "keys": ", ".join(keys) or "–"}]
    if other.kind not in CONDITIONAL:
        text = _("“%(key)s” is no choice and no rating: a condition cannot name its answers.")
        return [text % {"key": other.key}]
    if other.scope not in ("task", scope):
        text = _("“%(key)s” is about each output. A question about the task cannot depend on it.")
        return [text % {"key": other.key}]
    offered = values_of(other)
    unknown = [value for value in condition["in"] if str(value) not in offered]
    if unknown or not condition["in"]:
        text = _("The condition must name answers of “%(key)s”: %(offered)s.")
        return [text % {"key": other.key, "offered": ", ".join(offered)}]
    return []


def values_of(question: Any) -> list[str]:
    """The answers that a condition can name."""
    settings = question.settings
    if question.kind == "rating":
        return [str(step) for step in range(settings["min"], settings["max"] + 1)]
    return [str(option["value"]) for option in settings["options"]]


# --- Translations -----------------------------------------------------------------------------------------------------


def translation_problems(
    translations: Any, languages: Iterable[str], kind: str = "", settings: Settings | None = None
) -> list[str]:
    """What is wrong with the translations of a question; of a rule, where no kind is given."""
    texts = TEXTS if kind else ("text", "good_example", "bad_example")
    known = (*texts, "settings") if kind else texts
    if not isinstance(translations, dict) or not all(isinstance(said, dict) for said in translations.values()):
        return [_("The translations must be a JSON object: {language: {name: words}}.")]
    return list(
        chain(
            _unknown(translations, languages),
            chain.from_iterable(_unknown(said, known) for said in translations.values()),
            chain.from_iterable(_text(said, *texts) for said in translations.values()),
            *(
                _other_words(kind, settings or {}, said["settings"])
                for said in translations.values()
                if kind and "settings" in said
            ),
        )
    )


def _unknown(said: Mapping[str, Any], known: Iterable[str]) -> Find:
    for name in sorted(set(said) - set(known)):
        text = _("“%(name)s” cannot stand in the translations here. There are: %(known)s.")
        yield text % {"name": name, "known": ", ".join(known)}


def _other_words(kind: str, settings: Settings, other: Any) -> Find:
    """What is wrong with settings in another language: they may say the same in other words, and nothing else."""
    if not isinstance(other, dict):
        yield _("The settings must be a JSON object, such as {}.")
        return
    if unknown := sorted(set(other) - (set(WORDS) & set(_KINDS[kind][0]))):
        text = _("“%(name)s” is the same in all languages: leave it out of the translations.")
        yield text % {"name": unknown[0]}
        return
    if wrong := settings_problems(kind, {**settings, **other}):
        yield from wrong
        return
    for name in ("options", "labels"):
        if name in other and [row["value"] for row in other[name]] != [row["value"] for row in settings.get(name, [])]:
            yield _("“%(name)s” must have the same values in the same order in all languages.") % {"name": name}
