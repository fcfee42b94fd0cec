r"""HH-RLHF: the whole conversation as a text, "\n\nHuman: …\n\nAssistant: …", once with each answer.

There is no system here, and no way to write a marker as text: such rows are unfit. Trainers that guess the prompt from
where the two texts part may cut within a word; the shape `trl` says where it ends.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from curation.exporting.checking import Unfit
from curation.exporting.shapes import turns

NAME = "hh"
KINDS: tuple[str, ...] = ("preference",)
LOSES: tuple[str, ...] = (*turns.NAMES, *turns.FROM_WHERE, *turns.HOW_MUCH)
MARKERS = {"user": "\n\nHuman:", "assistant": "\n\nAssistant:"}


def schema(kind: str, canonical: pa.Schema) -> pa.Schema | None:
    return None


def row(kind: str, canonical: Mapping[str, Any]) -> dict[str, Any]:
    system, prompt = turns.system_apart(canonical["prompt"])
    if system:
        raise Unfit("system")
    turns.without_tie(canonical)
    return {
        side: "".join(
            _said(name, turn) for name, said in (("prompt", prompt), (side, canonical[side])) for turn in said
        )
        for side in ("chosen", "rejected")
    }


def _said(where: str, turn: Mapping[str, Any]) -> str:
    for marker in MARKERS.values():
        if marker in turn["content"]:
            raise Unfit("turn_marker", where=where, marker=marker.strip())
    return f"{MARKERS[turn['role']]} {turn['content']}"


def file(kind: str, split: str) -> str:
    return f"{kind}/{split}.jsonl"


def more(manifest: Mapping[str, Any]) -> dict[str, bytes]:
    return {}
