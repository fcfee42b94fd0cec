"""promptsource's `templates.yaml`: {dataset, subset, templates: {id: !Template}}, read without running anything of it.

The loader knows plain YAML and promptsource's two tags, as what they hold. Keys that we do not know are left where they
are. What would make a small file large, merges and references inside what is referred to, is refused first.
"""

from typing import Any

import yaml

from curation.template_files.written import BadFile, Written

MOST_ALIASES = 50
MOST_DEPTH = 20


class Loader(yaml.SafeLoader):
    """Each mapping remembers the line it begins in, under LINE."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merges multiply: twenty lines of them fill any memory."""
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _value in node.value):
            raise BadFile("merges")


LINE = object()


def _with_line(loader: Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    return {LINE: node.start_mark.line + 1, **loader.construct_mapping(node, deep=True)}


Loader.add_constructor("!Template", _with_line)
Loader.add_constructor("!TemplateMetadata", _with_line)


def templates(content: bytes) -> list[Written]:
    """The templates of a file, in its order. Raises BadFile."""
    loaded = _loaded(content)
    found = loaded.get("templates") if isinstance(loaded, dict) else None
    if not isinstance(found, dict):
        raise BadFile("not_promptsource")
    return [_template(number, given) for number, given in enumerate(found.values(), 1)]


def _loaded(content: bytes) -> Any:
    try:
        text = content.decode("utf-8-sig")
        _check_shape(text)
        return yaml.load(text, Loader)  # noqa: S506 - a SafeLoader with two tags that hold plain values
    except UnicodeDecodeError:
        raise BadFile("not_utf8") from None
    except RecursionError:
        raise BadFile("too_deep") from None
    except yaml.YAMLError as error:
        raise BadFile("not_yaml", error=" ".join(str(error).split())[:300]) from None
    except (ValueError, TypeError) as error:  # a date that is none, a key that cannot be one
        raise BadFile("not_yaml", error=str(error)[:300]) from None


def _check_shape(text: str) -> None:
    aliases = depth = 0
    for event in yaml.parse(text, Loader):
        aliases += isinstance(event, yaml.AliasEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if aliases > MOST_ALIASES:
            raise BadFile("aliases", limit=MOST_ALIASES)
        if depth > MOST_DEPTH:
            raise BadFile("too_deep")


def _template(number: int, given: Any) -> Written:
    if not isinstance(given, dict):
        raise BadFile("not_a_template", number=number, fields="name, jinja")
    metadata = given.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    languages = [text for text in _list(metadata.get("languages")) if text]
    fields = {
        "name": _text(number, given, "name"),
        "jinja": _text(number, given, "jinja"),
        "answer_choices": _text(number, given, "answer_choices", needed=False),
        "language": languages[0] if languages else "en",
    }
    about = {
        "id": str(given.get("id") or ""),
        "reference": _text(number, given, "reference", needed=False),
        "original_task": _flag(metadata.get("original_task")),
        "choices_in_prompt": _flag(metadata.get("choices_in_prompt")),
        "metrics": _list(metadata.get("metrics")),
        "languages": languages,
    }
    return Written(fields, "promptsource", about, given.get(LINE))


def _text(number: int, given: dict[Any, Any], name: str, *, needed: bool = True) -> str:
    value = given.get(name)
    if isinstance(value, str):
        return value
    if value is not None or needed:
        raise BadFile("not_text" if value is not None else "no_field", number=number, field=name)
    return ""


def _flag(value: Any) -> bool | None:
    """Yes, no, or not said: 35 of promptsource's templates do not say whether the choices are in the prompt."""
    return value if isinstance(value, bool) else None


def _list(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
