"""OpenAI's fine-tuning: `messages`, or `input` with a preferred and a non-preferred output. Also what Together takes.

Assistants' turns of the prompt have weight 0, since only the answer is to be learnt. A reader that does not know the
weight learns them too.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from curation.exporting.shapes import turns

NAME = "openai"
KINDS: tuple[str, ...] = ("sft", "preference")
LOSES: tuple[str, ...] = (*turns.NAMES, *turns.FROM_WHERE, *turns.HOW_MUCH)


def schema(kind: str, canonical: pa.Schema) -> pa.Schema | None:
    return None


def row(kind: str, canonical: Mapping[str, Any]) -> dict[str, Any]:
    system, rest = turns.system_apart(canonical["prompt"])
    prompt = [{"role": "system", "content": system}] * bool(system) + [_plain(turn) for turn in rest]
    if kind == "sft":
        learnt_not = [turn | {"weight": 0} if turn["role"] == "assistant" else turn for turn in prompt]
        return {"messages": learnt_not + [_plain(turn) for turn in canonical["completion"]]}
    turns.without_tie(canonical)
    return {
        "input": {"messages": prompt},
        "preferred_output": [_plain(turn) for turn in canonical["chosen"]],
        "non_preferred_output": [_plain(turn) for turn in canonical["rejected"]],
    }


def _plain(turn: Mapping[str, Any]) -> dict[str, Any]:
    return {"role": turn["role"], "content": turn["content"]}


def file(kind: str, split: str) -> str:
    return f"{kind}/{split}.jsonl"


def more(manifest: Mapping[str, Any]) -> dict[str, bytes]:
    return {}
