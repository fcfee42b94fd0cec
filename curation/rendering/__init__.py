"""Instances from rows: a Jinja template over the columns of a dataset row gives an input and a target.

Users write the templates, so they are hostile. They are compiled and rendered in a child process only (`child.py`),
which has little memory, little time and no files; a template that goes too far costs that process and nothing else.

    renderer.py   what the rest of Plumbline calls
    process.py    the child as its parent sees it: frames, deadlines, its end
    child.py      the child's loop: limits, the clock, what went wrong in words
    program.py    the rules of a template, which are promptsource's: escaping, answer choices, splitting, dropping
    sandbox.py    Jinja's sandbox with limits on what one operation may make
    filters.py    the filters there are
    passages.py   those that take a running text apart
    source.py     the values that go in and come out
    errors.py     why a row was dropped, and what can be wrong with a template
    wire.py       the frames

Nothing here imports Django: the child starts in a tenth of a second without it.
"""

from curation.rendering.errors import MESSAGES, REASONS, TemplateError
from curation.rendering.renderer import Renderer, check_all, compile_check
from curation.rendering.source import DEFAULT, Checked, Dropped, Instance, Limits, TemplateSource

__all__ = [
    "DEFAULT",
    "MESSAGES",
    "REASONS",
    "Checked",
    "Dropped",
    "Instance",
    "Limits",
    "Renderer",
    "TemplateError",
    "TemplateSource",
    "check_all",
    "compile_check",
]
