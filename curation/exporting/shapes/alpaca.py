"""Alpaca: instruction, input and output; of pairs, chosen and rejected. With the `dataset_info.json` of LLaMA-Factory.

The instruction is the user's last turn, the turns before it are the history, whose answers readers learn too. `system` and
`history` are there in every row, since a column that comes late breaks the loading.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from curation.exporting.shapes import turns
from curation.exporting.shapes.llamafactory import dataset_info

NAME = "alpaca"
KINDS: tuple[str, ...] = ("sft", "preference")
LOSES: tuple[str, ...] = (*turns.FROM_WHERE, *turns.HOW_MUCH)


def schema(kind: str, canonical: pa.Schema) -> pa.Schema | None:
    return None


def row(kind: str, canonical: Mapping[str, Any]) -> dict[str, Any]:
    system, rest = turns.system_apart(canonical["prompt"])
    *before, last = [turn["content"] for turn in rest]
    if kind == "preference":
        turns.without_tie(canonical)
        answers = {side: canonical[side][0]["content"] for side in ("chosen", "rejected")}
    else:
        answers = {"output": canonical["completion"][0]["content"]}
    return {
        "id": turns.name_of(canonical),
        "instruction": last,
        "input": "",
        **answers,
        "system": system,
        "history": [list(pair) for pair in zip(before[::2], before[1::2], strict=True)],
    }


def file(kind: str, split: str) -> str:
    return f"{kind}/{split}.jsonl"


def more(manifest: Mapping[str, Any]) -> dict[str, bytes]:
    ranking = manifest["kind"] == "preference"
    answers = {"chosen": "chosen", "rejected": "rejected"} if ranking else {"response": "output"}
    columns = {"prompt": "instruction", "query": "input", "system": "system", "history": "history", **answers}
    described = {"formatting": "alpaca", "ranking": ranking, "columns": columns}
    return dataset_info(manifest, described, file("{kind}", "{split}"))
