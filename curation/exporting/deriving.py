"""What several kinds share: which outputs a weak order compares, what a row weighs, and the columns that every row has.

Pure: records in, values out. Rows of one prompt share their lists, so that nothing is built twice: whoever takes a row
writes it down, and changes nothing in it.
"""

import hashlib
from collections.abc import Hashable, Iterable, Mapping
from functools import lru_cache
from itertools import combinations
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from curation.exporting.records import Item, Judgement, Options, Order, Prompt, SettledAnswer, Turn

Key = tuple[str, str]
"""Two outputs, their hashes sorted: the same pair in every task of a prompt."""

TURNS = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def column(name: str, of: pa.DataType) -> pa.Field:
    """A column that is filled in every row."""
    return pa.field(name, of, nullable=False)


ROW_ID = column("row_id", pa.string())
SHARED = (
    column("annotations", pa.list_(pa.int64())),
    column("annotators", pa.list_(pa.string())),
    column("prompt_id", pa.string()),
    column("split_group", pa.string()),
    column("task", pa.string()),
    column("language", pa.string()),
)
SETTLED = (pa.field("confidence", pa.float64()), column("label_source", pa.string()))
"""What a row of a consensus says beside its votes."""


def schema_of(*columns: pa.Field) -> pa.Schema:
    """The schema of a kind with these columns of its own."""
    return pa.schema([ROW_ID, *columns, *SHARED])


def is_consensus(options: Options) -> bool:
    return options.unit == "consensus"


# --- What every row says ----------------------------------------------------------------------------------------------


def shared(item: Item, annotations: Iterable[int], annotators: Mapping[int, str]) -> dict[str, Any]:
    """The columns of SHARED. `annotators`: the pseudonym behind each annotation that is in the export."""
    ids = sorted(annotations)
    names = dict.fromkeys(annotators[annotation] for annotation in ids if annotation in annotators)
    return {"annotations": ids, "annotators": list(names), **_of_item(item)}


def shared_of(judgement: Judgement) -> dict[str, Any]:
    """The same for what rests on one judgement."""
    return {
        "annotations": [judgement.annotation],
        "annotators": [judgement.annotator],
        **_of_item(judgement.item),
    }


def _of_item(item: Item) -> dict[str, Any]:
    return {
        "prompt_id": item.prompt_id,
        "split_group": item.split_group,
        "task": item.name,
        "language": item.language,
    }


def annotators_of(prompt: Prompt) -> dict[int, str]:
    return {judgement.annotation: judgement.annotator for judgement in prompt.judgements}


def label_source(adjudicated: bool) -> str:
    return "adjudicated" if adjudicated else "votes"


def consensus_of(answer: SettledAnswer) -> dict[str, Any]:
    """The columns `votes`, as JSON, and SETTLED."""
    return {
        "votes": orjson.dumps(answer.votes, option=orjson.OPT_SORT_KEYS).decode(),
        "confidence": answer.confidence,
        "label_source": label_source(answer.adjudicated),
    }


def turns_of(items: Iterable[Item]) -> dict[str, list[Turn]]:
    """Each output as the one turn that it is, by its sha256. Without the empty ones: trainers stumble over them."""
    found: dict[str, list[Turn]] = {}
    seen: set[int] = set()
    for item in items:
        if item.task not in seen:
            seen.add(item.task)
            for output in item.outputs:
                if output.sha256 not in found and output.text.strip():
                    found[output.sha256] = [{"role": "assistant", "content": output.text}]
    return found


def pair_id(prompt_id: str, pair: Key) -> str:
    """The same for A>B and B>A, and in every task of the prompt."""
    return _digest(prompt_id, *pair)


def output_id(prompt_id: str, output: str | None) -> str:
    """The same in every task of the prompt. Without an output: of the prompt itself."""
    return _digest(prompt_id, output or "")


def _digest(*parts: str) -> str:
    return hashlib.sha256(":".join(parts).encode()).hexdigest()[:32]


# --- What an order says -----------------------------------------------------------------------------------------------


class Compared(NamedTuple):
    """Two outputs that an order compares. Of a tie the first in the item's order counts as `better`, and `gap` is 0."""

    key: Key
    better: str
    worse: str
    gap: int | None  # tiers between the two; None where only the line separates them
    swapped: bool  # the better one is the second of the two in the item's order


def comparisons(order: Order) -> list[Compared]:
    """Every two outputs that the order compares, in the item's order.

    An output above the line beats one below also where their tiers do not separate them. What is below all ranked ones
    counts as one tier after the last. Nothing is said of two of them that the line does not separate, nor of what is
    absent from the tiers.
    """
    return list(_comparisons(tuple(order.tiers.items()), tuple(order.acceptable.items())))


@lru_cache(maxsize=1024)  # judgements of a prompt often agree, and each is asked about twice: for rows and agreement
def _comparisons(tiers: tuple[tuple[str, int | None], ...], acceptable: tuple[tuple[str, bool], ...]) -> list[Compared]:
    line = dict(acceptable)
    last = 1 + max((tier for _output, tier in tiers if tier is not None), default=0)
    found: list[Compared] = []
    for (first, one), (second, other) in combinations(tiers, 2):
        key = (first, second) if first < second else (second, first)
        gap = (last if other is None else other) - (last if one is None else one)
        if gap > 0:
            found.append(Compared(key, first, second, gap, False))
        elif gap < 0:
            found.append(Compared(key, second, first, -gap, True))
        elif line and first in line and second in line and line[first] != line[second]:
            better, worse = (first, second) if line[first] else (second, first)
            found.append(Compared(key, better, worse, None, not line[first]))
        elif one is not None:
            found.append(Compared(key, first, second, 0, False))
    return found


def agreement_units(prompt: Prompt) -> list[tuple[int, int, int]]:
    """What agreement is measured on: per task and pair of outputs, people for the first, for a tie, for the second.

    By the tiers alone, as `annotate.measures` has it: the line is another question.
    """
    units: dict[tuple[int, Key], list[int]] = {}
    for judgement in prompt.judgements:
        if judgement.human and judgement.order:
            for one in comparisons(Order(judgement.order.tiers)):
                outcome = 1 if one.gap == 0 else 2 if one.swapped else 0
                units.setdefault((judgement.item.task, one.key), [0, 0, 0])[outcome] += 1
    return [(first, tie, second) for first, tie, second in units.values()]


# --- What a row weighs ------------------------------------------------------------------------------------------------


class Shares:
    """What each label weighs: 1 / (things of the prompt that got a label), shared by those who gave the thing one.

    Ouyang et al. 2022 (InstructGPT, section 3.5) weigh the pairs of one ranking of K outputs by 1 / (K choose 2); here the
    pairs are those of all rankings of a prompt. Shares are in proportion to reliability, and equal where nobody has any.
    So the weights of a prompt sum to at most 1, and a label that becomes no row keeps its share.
    """

    def __init__(self) -> None:
        self._of: dict[Hashable, list[float]] = {}  # the reliability of all who labelled it, and how many they are

    def add(self, thing: Hashable, reliability: float = 1.0) -> None:
        of = self._of.setdefault(thing, [0.0, 0])
        of[0] += reliability
        of[1] += 1

    def weight(self, thing: Hashable, reliability: float = 1.0) -> float:
        """Of one label of the thing. 0 where its giver has no reliability and another has."""
        reliable, people = self._of[thing]
        return reliability / (len(self._of) * reliable) if reliable else 1 / (len(self._of) * people)
