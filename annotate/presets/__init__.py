"""Presets: what a kind of project asks, in files. This reads them and nothing else; no Django, no database.

A folder each, named by the slug: `preset.json`, and in each language `guideline.<language>.md` and
`examples.<language>.json`. Words stand in `preset.json` as {language: words}; read in one language, the other
languages become translations, in the shape in which rows keep them. docs/questions.md has the table of presets.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SETTINGS_OF_WORDS = ("low", "high", "words", "options", "labels")  # may hold words, so may be translated


@dataclass(frozen=True)
class PresetQuestion:
    key: str
    kind: str
    scope: str
    required: bool
    text: str
    help: str
    good_example: str
    bad_example: str
    settings: dict[str, Any]
    condition: dict[str, Any] | None
    translations: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class PresetRule:
    key: str
    text: str
    good_example: str
    bad_example: str
    translations: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class PresetGuideline:
    text: str
    examples: list[dict[str, Any]]
    translations: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Preset:
    """`outputs`: how many a task of it has, the least and the most. `after`: the paper that it follows, or ""."""

    slug: str
    name: str
    summary: str
    after: str
    overlap: int
    outputs: tuple[int, int]
    sensitive: bool
    support_text: str
    translations: dict[str, dict[str, Any]]
    guideline: PresetGuideline
    questions: tuple[PresetQuestion, ...]
    rules: tuple[PresetRule, ...]


FIRST = ("helpful", "honest", "harmless")


def slugs() -> list[str]:
    """All presets: the three that belong together, then the others by name."""
    there = {path.parent.name for path in FOLDER.glob("*/preset.json")}
    return [*(slug for slug in FIRST if slug in there), *sorted(there - set(FIRST))]


def load(slug: str, language: str = "en") -> Preset:
    """The preset in this language, or in English where it is not there. KeyError for a slug that is none."""
    if slug not in slugs():
        raise KeyError(slug)
    said = json.loads((FOLDER / slug / "preset.json").read_text(encoding="utf-8"))
    words = _Words(language if language in said["name"] else "en", tuple(said["name"]))
    support = words.split({"support_text": said["support"]})
    return Preset(
        slug=slug,
        name=words.of(said["name"]),
        summary=words.of(said["summary"]),
        after=said["after"],
        overlap=said["overlap"],
        outputs=(said["outputs"][0], said["outputs"][1]),
        sensitive=said["sensitive"],
        **support,
        guideline=_guideline(FOLDER / slug, words),
        questions=tuple(_question(one, words) for one in said["questions"]),
        rules=tuple(_rule(one, words) for one in said["rules"]),
    )


def every(language: str = "en") -> Iterator[Preset]:
    """All presets in this language, by slug."""
    return (load(slug, language) for slug in slugs())


@dataclass(frozen=True)
class _Words:
    """Splits {language: words} into the words of the main language, and translations."""

    main: str
    languages: tuple[str, ...]

    def of(self, said: dict[str, Any] | None, language: str = "") -> Any:
        return (said or {}).get(language or self.main, "")

    def split(self, fields: dict[str, dict[str, Any] | None]) -> dict[str, Any]:
        """The fields in the main language, and `translations` by language, without what is empty."""
        translations = {}
        for language in self.languages:
            words = {name: self.of(said, language) for name, said in fields.items()}
            if language != self.main and any(words.values()):
                translations[language] = {name: value for name, value in words.items() if value}
        return {name: self.of(said) for name, said in fields.items()} | {"translations": translations}

    def is_words(self, value: Any) -> bool:
        return isinstance(value, dict) and bool(value) and value.keys() <= set(self.languages)

    def inside(self, value: Any, language: str) -> Any:
        """The value with all {language: words} in it, however deep, in one language."""
        if self.is_words(value):
            return value[language]
        if isinstance(value, dict):
            return {name: self.inside(one, language) for name, one in value.items()}
        if isinstance(value, list):
            return [self.inside(one, language) for one in value]
        return value


def _question(said: dict[str, Any], words: _Words) -> PresetQuestion:
    texts = words.split({name: said[name] for name in ("text", "help", "good_example", "bad_example")})
    settings = words.inside(said["settings"], words.main)
    for language in words.languages:
        other = words.inside(said["settings"], language)
        changed = {name: other[name] for name in SETTINGS_OF_WORDS if name in other and other[name] != settings[name]}
        if language != words.main and changed:
            texts["translations"].setdefault(language, {})["settings"] = changed
    rest = {name: said[name] for name in ("key", "kind", "scope", "required", "condition")}
    return PresetQuestion(**rest, **texts, settings=settings)


def _rule(said: dict[str, Any], words: _Words) -> PresetRule:
    texts = words.split({name: said[name] for name in ("text", "good_example", "bad_example")})
    return PresetRule(key=said["key"], **texts)


def _guideline(folder: Path, words: _Words) -> PresetGuideline:
    def in_each(name: str, read: Callable[[str], Any]) -> dict[str, Any]:
        paths = {language: folder / name.format(language) for language in words.languages}
        return {language: read(path.read_text(encoding="utf-8")) for language, path in paths.items()}

    texts = in_each("guideline.{}.md", str.strip)
    return PresetGuideline(**words.split({"text": texts, "examples": in_each("examples.{}.json", json.loads)}))
