"""The rules of a template. They are promptsource's, so that its 2,085 templates work unchanged.

The output is split at `|||` into input and target, and it is the separators in the output that count: a template may
write its own in each branch of an `if`. A `|||` inside a column is no separator, so columns are guarded while a
template runs.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jinja2 import nodes
from jinja2.environment import Template
from jinja2.meta import find_undeclared_variables

from curation.rendering.errors import BLANK, EMPTY_INPUT, EMPTY_TARGET, NO_SEPARATOR, TOO_MANY_PARTS
from curation.rendering.filters import BY_LOT, FILTERS
from curation.rendering.sandbox import Refusal, Sandbox
from curation.rendering.source import Limits, TemplateSource

SEPARATOR = "|||"
# Three of the code points that Unicode keeps out of texts, and as long as what they stand for: `text|length` is right.
GUARD = "\ufdd0\ufdd1\ufdd0"
CHOICES = "answer_choices"


class Choices(NamedTuple):
    guarded: list[str]  # for the template: one that has `|||` from a column must not split the output either
    shown: list[str]


class Program:
    """A template. `field` is the part that is at work, for whoever has to say where it failed."""

    def __init__(self, source: TemplateSource, *, seed: str, limits: Limits):
        self.source, self.seed, self.limits = source, seed, limits
        self.sha256 = source.sha256
        self.sandbox = Sandbox(FILTERS)
        self.field = "jinja"
        self.trees: dict[str, nodes.Template] = {}
        self.templates: dict[str, Template] = {}
        self.fixed = False
        self.same_for_all: Choices | None = None  # once worked out, if no row changes them

    def compile(self) -> None:
        texts = {"jinja": self.source.jinja}
        if self.source.has_choices:
            texts[CHOICES] = self.source.answer_choices
        for self.field, text in texts.items():
            if len(text) > self.limits.source_characters:
                raise Refusal("too_long_source", limit=self.limits.source_characters)
            self.trees[self.field] = self.sandbox.read(text)
            self.templates[self.field] = self.sandbox.program(self.trees[self.field])
        self.fixed = self.are_fixed()

    def columns(self) -> set[str]:
        names = {
            name for tree in self.trees.values() for name in find_undeclared_variables(tree) - set_before_read(tree)
        }
        return names - ({CHOICES} if self.source.has_choices else set())

    def fixed_choices(self) -> list[str] | None:
        """The answer choices, if no column and no lot has a part in them."""
        return self.choices({}).shown if self.fixed else None

    def are_fixed(self) -> bool:
        tree = self.trees.get(CHOICES)
        if tree is None or find_undeclared_variables(tree):
            return False
        return not any(each.name in BY_LOT for each in tree.find_all(nodes.Filter))

    def row(self, number: int, columns: Mapping[str, Any]) -> list[Any]:
        """[number, input, target, choices], or [number, reason]."""
        self.sandbox.draw_by(self.seed, self.sha256, number)
        names = self.names(columns)
        choices: list[str] = []
        if self.source.has_choices:
            found = self.choices(names)
            names[CHOICES] = list(found.guarded)  # a copy: the template may change its own
            choices = found.shown
        parts = [unguarded(part) for part in self.text("jinja", names).split(SEPARATOR)]
        if reason := reason_to_drop(parts):
            return [number, reason]
        return [number, *parts, choices]

    def names(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """What the template sees: `-` in a name is `_`, and `|||` in a text is guarded."""
        seen: dict[str, str] = {}
        names = {}
        for column, value in columns.items():
            name = column.replace("-", "_")
            if name in seen:
                raise Refusal("same_name", name=name, first=seen[name], second=column)
            seen[name] = column
            names[name] = value.replace(SEPARATOR, GUARD) if isinstance(value, str) else value
        if CHOICES in seen and self.source.has_choices:
            raise Refusal("reserved_column", name=seen[CHOICES])
        return names

    def choices(self, names: dict[str, Any]) -> Choices:
        if self.same_for_all is not None:
            return self.same_for_all
        guarded = [choice.strip() for choice in self.text(CHOICES, names).split(SEPARATOR)]
        found = Choices(guarded, [unguarded(choice) for choice in guarded])
        if self.fixed:
            self.same_for_all = found
        return found

    def text(self, field: str, names: dict[str, Any]) -> str:
        """The output, which is stopped where it gets too long instead of measured afterwards."""
        self.field = field
        template = self.templates[field]
        output = template.root_render_func(template.new_context(names))
        pieces: list[str] = []
        left = self.limits.output_characters
        for piece in output:
            left -= len(piece)
            if left < 0:
                line = template.get_corresponding_lineno(output.gi_frame.f_lineno)  # type: ignore[attr-defined]
                raise Refusal("too_long_output", line, limit=self.limits.output_characters)
            pieces.append(piece)
        return "".join(pieces)


def set_before_read(tree: nodes.Template) -> set[str]:
    """Names that the template sets itself before it reads them. Jinja takes one that is set in a branch for unset, so
    that it would pass for a column.
    """
    first: dict[str, str] = {}

    def walk(node: nodes.Node) -> None:
        if isinstance(node, (nodes.Assign, nodes.AssignBlock)):
            for child in node.iter_child_nodes(exclude=["target"]):
                walk(child)
            walk(node.target)
            return
        if isinstance(node, nodes.For):
            node = nodes.Scope([node.iter, *node.body, *node.else_])  # its own names end with it
        if isinstance(node, nodes.Name):
            first.setdefault(node.name, node.ctx)
        for child in node.iter_child_nodes():
            walk(child)

    walk(tree)
    return {name for name, context in first.items() if context == "store"}


def unguarded(text: str) -> str:
    return text.replace(GUARD, SEPARATOR).strip()


def reason_to_drop(parts: list[str]) -> str | None:
    if not any(parts):
        return BLANK
    if len(parts) != 2:
        return NO_SEPARATOR if len(parts) == 1 else TOO_MANY_PARTS
    if not parts[0]:
        return EMPTY_INPUT
    return None if parts[1] else EMPTY_TARGET
