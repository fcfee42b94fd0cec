"""ShareGPT: a conversation of `from` and `value`. Readers learn every turn of the assistant, not the last alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from curation.exporting.records import Turn
from curation.exporting.shapes import turns

NAME = "sharegpt"
KINDS: tuple[str, ...] = ("sft",)
LOSES: tuple[str, ...] = (*turns.FROM_WHERE, *turns.HOW_MUCH)
FROM = {"system": "system", "user": "human", "assistant": "gpt"}


def schema(kind: str, canonical: pa.Schema) -> pa.Schema | None:
    return None


def row(kind: str, canonical: Mapping[str, Any]) -> dict[str, Any]:
    turns.system_apart(canonical["prompt"])  # it may be the first only
    return {"id": turns.name_of(canonical), "conversations": said([*canonical["prompt"], *canonical["completion"]])}


def said(messages: Sequence[Turn]) -> list[dict[str, str]]:
    return [{"from": FROM[turn["role"]], "value": turn["content"]} for turn in messages]


def file(kind: str, split: str) -> str:
    return f"{kind}/{split}.jsonl"


def more(manifest: Mapping[str, Any]) -> dict[str, bytes]:
    return {}
