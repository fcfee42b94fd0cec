"""The values of rendering: what goes in, what comes out, and how far a template may go."""

import hashlib
import json
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class TemplateSource:
    """What its author wrote. `answer_choices` is Jinja too; it gives the choices with `|||` between them."""

    jinja: str
    answer_choices: str = ""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(json.dumps([self.jinja, self.answer_choices]).encode()).hexdigest()

    @property
    def has_choices(self) -> bool:
        return bool(self.answer_choices.strip())


class Instance(NamedTuple):
    row: int
    input: str
    target: str
    answer_choices: tuple[str, ...]


@dataclass(frozen=True)
class Dropped:
    row: int
    reason: str  # a key of errors.REASONS


@dataclass(frozen=True)
class Checked:
    """What can be said of a template without a row."""

    columns: frozenset[str]  # the names it reads, as templates write them: `-` is `_`
    fixed_choices: tuple[str, ...] | None  # the answer choices, if they are the same for every row


@dataclass(frozen=True)
class Limits:
    start_seconds: float = 10.0  # for the child to import Jinja: a busy machine is not the template's fault
    compile_seconds: float = 0.5
    row_seconds: float = 1.0
    grace_seconds: float = 0.15  # after a row's time the kernel ends the child; after as long again, the parent does
    free_seconds: float = 10.0  # of processor time that all rows together may take, and
    mean_seconds: float = 0.02  # what each row adds to it
    memory_bytes: int = 192 * 2**20  # besides what the child has when it starts, which is some 25 MB
    source_characters: int = 100_000
    output_characters: int = 1_000_000  # of one row
    row_bytes: int = 16 * 2**20  # of one row as JSON
    batch_bytes: int = 2**20  # sent at once, unless one row has more


DEFAULT = Limits()
