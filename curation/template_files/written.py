"""A template as its file has it, and what can be wrong with a file. In English; whoever shows it translates."""

from dataclasses import dataclass, field
from typing import Any

FIELDS = (
    "name", "task_type", "language", "kind", "jinja", "answer_choices", "shots", "separator", "character_budget",
)  # fmt: skip
"""The fields of a template that its author gives."""


def gettext_noop(text: str) -> str:
    """Marks a text for translation; Django, which would translate it, is not needed here."""
    return text


MESSAGES = {
    "too_large": gettext_noop("The file has more than %(megabytes)s MB. A file of templates is text; divide it."),
    "unknown_file": gettext_noop("The name does not say what it is: .yaml of promptsource, or .json."),
    "no_templates": gettext_noop("There is no template in the file."),
    "name_twice": gettext_noop("Two templates of the file are called “%(name)s”. Rename one of them."),
    "not_utf8": gettext_noop("The file is no UTF-8 text. Save it as UTF-8."),
    "not_yaml": gettext_noop("The file is no YAML: %(error)s"),
    "not_json": gettext_noop("The file is no JSON: %(error)s"),
    "aliases": gettext_noop(
        "The file refers to itself too often (%(limit)s aliases are allowed). Write the texts out."
    ),
    "merges": gettext_noop("The file merges mappings with “<<”, which promptsource does not. Write them out."),
    "too_deep": gettext_noop("The file is nested too deeply to be one of templates."),
    "not_promptsource": gettext_noop("The file has no “templates”, as those of promptsource do."),
    "not_a_list": gettext_noop("A list of templates is needed."),
    "not_text": gettext_noop("Template %(number)s: “%(field)s” must be a text."),
    "no_field": gettext_noop("Template %(number)s has no “%(field)s”."),
    "not_a_template": gettext_noop("Template %(number)s: an object with %(fields)s is needed."),
    "unknown_field": gettext_noop("Template %(number)s: “%(field)s” is no field. There are: %(fields)s."),
    "pattern_name": gettext_noop("Template %(number)s: “{%(name)s}” is no name of a column that a template can read."),
    "pattern_separator": gettext_noop("Template %(number)s has ||| in its text, which parts input and target here."),
}


class BadFile(Exception):
    """A file that cannot be read as templates: a code of MESSAGES and the words in it."""

    def __init__(self, code: str, **values: str | int) -> None:
        super().__init__(MESSAGES[code] % values)
        self.code, self.values = code, values


@dataclass(frozen=True)
class Written:
    """One template: its fields as the model calls them, where it stands in the file, and what else is said of it."""

    fields: dict[str, Any]
    origin: str = "ours"
    about: dict[str, Any] = field(default_factory=dict)
    line: int | None = None

    @property
    def name(self) -> str:
        return str(self.fields["name"])
