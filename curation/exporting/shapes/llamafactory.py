"""LLaMA-Factory: its ShareGPT formatting, and the `dataset_info.json` that makes the folder its `dataset_dir`.

Humans speak at odd places and the model at even ones, the system apart; chosen and rejected are one message each. In
Parquet, since it reads JSONL through `datasets`. It learns every turn of the model unless told `mask_history: true`.
"""

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from curation.exporting.shapes import turns
from curation.exporting.shapes.sharegpt import said

NAME = "llamafactory"
KINDS: tuple[str, ...] = ("sft", "preference", "unpaired")
LOSES: tuple[str, ...] = (*turns.FROM_WHERE, *turns.HOW_MUCH)

_SAID = pa.struct([("from", pa.string()), ("value", pa.string())])
_SHARED = [("id", pa.string()), ("system", pa.string()), ("conversations", pa.list_(_SAID))]
_OWN = {
    "sft": [],
    "preference": [("chosen", _SAID), ("rejected", _SAID)],
    "unpaired": [("kto_tag", pa.bool_())],
}
TAGS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}


def schema(kind: str, canonical: pa.Schema) -> pa.Schema | None:
    return pa.schema(_SHARED + _OWN[kind])


def row(kind: str, canonical: Mapping[str, Any]) -> dict[str, Any]:
    system, rest = turns.system_apart(canonical["prompt"])
    shared = {"id": turns.name_of(canonical), "system": system}
    if kind == "preference":
        turns.without_tie(canonical)
        sides = {side: said(canonical[side])[0] for side in ("chosen", "rejected")}
        return {**shared, "conversations": said(rest), **sides}
    own = {"kto_tag": canonical["label"]} if kind == "unpaired" else {}
    return {**shared, "conversations": said([*rest, *canonical["completion"]]), **own}


def file(kind: str, split: str) -> str:
    return f"jsonl/{split}.jsonl"


def more(manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """A data set for each split that has rows: `preference_train`, `preference_test`."""
    kind = manifest["kind"]
    columns = {"messages": "conversations", "system": "system"} | {name: name for name, _type in _OWN[kind]}
    described = {"formatting": "sharegpt", "ranking": kind == "preference", "columns": columns, "tags": TAGS}
    return dataset_info(manifest, described, "{kind}/{split}-00000-of-00001.parquet")


def dataset_info(manifest: Mapping[str, Any], described: Mapping[str, Any], path: str) -> dict[str, bytes]:
    kind = manifest["kind"]
    names = [split for split, figures in manifest["splits"].items() if figures["rows"]]
    info = {f"{kind}_{split}": {"file_name": path.format(kind=kind, split=split), **described} for split in names}
    return {"dataset_info.json": f"{json.dumps(info, indent=2, sort_keys=True)}\n".encode()}
