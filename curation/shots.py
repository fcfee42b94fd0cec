"""Few-shot prompts: rows of the train split, rendered by the same template, before the row's own input.

Exemplars come from a pool of bounded size, so that a dataset of any size costs the same memory. Which ones a row gets
follows from the seed, the template and the row's number; never the row itself, nor one of its split group, nor one that
asks the very same. Pure.
"""

import hashlib
import heapq
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

POOL = 2000  # exemplars that are drawn from
TRIES = 20  # draws for each place: a pool of few groups may leave places empty


@dataclass(frozen=True)
class FewShot:
    """What a template says of its exemplars."""

    shots: int
    separator: str  # between exemplars; \n in it is an end of line
    character_budget: int  # of the whole input

    @property
    def between(self) -> str:
        return self.separator.replace("\\n", "\n")


@dataclass(frozen=True)
class Exemplar:
    split_group: str
    input: str
    target: str

    @property
    def text(self) -> str:
        return f"{self.input}\n{self.target}"


def pool_of(rows: Iterable[tuple[int, Any]], seed: str, size: int = POOL) -> list[tuple[int, Any]]:
    """So many (number, …) of the rows, drawn by hash, in the order of their numbers: the same ones in whatever pieces
    the rows come.
    """
    drawn = heapq.nsmallest(size, ((_digest(seed, "pool", number), number, row) for number, row in rows), _first_two)
    return sorted(((number, row) for _digest, number, row in drawn), key=lambda one: one[0])


def _first_two(drawn: tuple[bytes, int, Any]) -> tuple[bytes, int]:
    return drawn[:2]


def with_exemplars(
    settings: FewShot, pool: Sequence[Exemplar], *, seed: str, number: int, split_group: str, text: str
) -> str | None:
    """The row's input with exemplars before it; None where none fits. The last ones are left out first."""
    between = settings.between
    left = settings.character_budget - len(text)
    chosen: list[str] = []
    for exemplar in _drawn(settings.shots, pool, seed, number, split_group, text):
        left -= len(exemplar.text) + len(between)
        if left < 0:
            break
        chosen.append(exemplar.text)
    return between.join([*chosen, text]) if chosen else None


def _drawn(shots: int, pool: Sequence[Exemplar], seed: str, number: int, split_group: str, text: str) -> list[Exemplar]:
    if not pool:
        return []
    luck = random.Random(int.from_bytes(_digest(seed, "row", number), "big"))
    drawn: dict[str, Exemplar] = {}  # by input: what asks the same is the same exemplar
    for _try in range(TRIES * shots):
        exemplar = pool[luck.randrange(len(pool))]
        if exemplar.split_group != split_group and exemplar.input != text:
            drawn.setdefault(exemplar.input, exemplar)
        if len(drawn) == shots:
            break
    return list(drawn.values())


def _digest(*seed: str | int) -> bytes:
    return hashlib.sha256(json.dumps(seed).encode()).digest()
