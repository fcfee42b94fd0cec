"""Why a row gave no instance, and what can be wrong with a template. In English; whoever shows them translates."""

from collections.abc import Mapping


def gettext_noop(text: str) -> str:
    """Marks a text for translation. Django, which would translate it, is not here."""
    return text


BLANK = "blank"
NO_SEPARATOR = "no_separator"
TOO_MANY_PARTS = "too_many_parts"
EMPTY_INPUT = "empty_input"
EMPTY_TARGET = "empty_target"
NO_EXEMPLAR = "no_exemplar"  # said by the few-shot rendering, not by the template

REASONS = {
    BLANK: gettext_noop("The template wrote nothing: it skips this row."),
    NO_SEPARATOR: gettext_noop("The output has no ||| between input and target."),
    TOO_MANY_PARTS: gettext_noop("The output has more than one |||."),
    EMPTY_INPUT: gettext_noop("The input is empty."),
    EMPTY_TARGET: gettext_noop("The target is empty."),
    NO_EXEMPLAR: gettext_noop("No exemplar of the train split fits before the row, or there is none."),
}

MESSAGES = {
    "syntax": gettext_noop("The template cannot be read: %(error)s"),
    "unknown_filter": gettext_noop("There is no filter “%(name)s”. There are: %(available)s."),
    "unknown_test": gettext_noop("There is no test “%(name)s”. There are: %(available)s."),
    "forbidden": gettext_noop(
        "A template may not use “%(name)s”. Use columns, filters and the methods of texts and lists."
    ),
    "reserved_column": gettext_noop(
        "The dataset has a column “%(name)s”, and the template has answer choices of that name. Rename the column."
    ),
    "same_name": gettext_noop(
        "The columns “%(first)s” and “%(second)s” are both “%(name)s” in a template. Rename one of them."
    ),
    "too_long_source": gettext_noop("The template has more than %(limit)s characters. Shorten it."),
    "too_slow": gettext_noop(
        "The template takes more than %(seconds)s seconds. Look for a loop that is too long or never ends."
    ),
    "too_slow_overall": gettext_noop(
        "The template takes more than %(seconds)s seconds a row on average. Make its loops shorter."
    ),
    "too_much_memory": gettext_noop(
        "The template needs more than %(megabytes)s MB of memory. Look for a text or a list that grows."
    ),
    "too_large": gettext_noop(
        "“%(operation)s” would make a text or a list of more than %(limit)s characters or items. Make less of it."
    ),
    "too_wide": gettext_noop("“%(operation)s” is asked for a width or a number of more than %(limit)s. Ask for less."),
    "too_big_number": gettext_noop(
        "“%(operation)s” would make a number of more than %(limit)s bits. Use smaller ones."
    ),
    "too_long_output": gettext_noop(
        "The template writes more than %(limit)s characters for one row. Look for a loop that is too long."
    ),
    "row_too_large": gettext_noop(
        "The row has more than %(limit)s bytes. Leave it out of the dataset, or shorten its texts."
    ),
    "recursion": gettext_noop("The template calls itself without end, or is nested too deeply. Make it flatter."),
    "not_text": gettext_noop(
        "The template holds or writes a NUL or half of a surrogate pair, which no text may hold. Take out such escapes."
    ),
    "undefined": gettext_noop(
        "The template uses something that is not there: %(error)s. Check the names of the columns."
    ),
    "failed": gettext_noop("The template failed: %(error)s. Mend the expression, or put a condition around it."),
    "crashed": gettext_noop("The template ended the process that rendered it. Simplify it."),
}

# Seen by reading the template, so that the child that read it is as good as before.
HARMLESS = {"syntax", "unknown_filter", "unknown_test", "forbidden", "too_long_source"}


class TemplateError(Exception):
    """What is wrong with a template. `code` is a key of MESSAGES, `values` are the words in that message.

    `line` counts from 1 in `field`, which is "jinja" or "answer_choices"; `row` is the number of the row that was
    rendered. None is not known, or there is none.
    """

    def __init__(
        self,
        code: str,
        values: Mapping[str, str | int | float] | None = None,
        *,
        line: int | None = None,
        row: int | None = None,
        field: str = "jinja",
    ):
        self.code = code
        self.values = dict(values or {})
        self.line, self.row, self.field = line, row, field
        self.message = MESSAGES[code] % self.values
        super().__init__(self.message)

    def __str__(self) -> str:
        where = [
            *([f"row {self.row}"] if self.row is not None else []),
            *([f"line {self.line} of {self.field}"] if self.line is not None else []),
        ]
        return f"{', '.join(where)}: {self.message}" if where else self.message
