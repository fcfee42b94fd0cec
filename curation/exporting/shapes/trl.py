"""TRL and `datasets`: the canonical row as it is, in Parquet, with JSONL beside it to read.

Prompt and answers are apart and in messages: so the prompt is neither learnt nor written twice, and no template is needed
to tell them apart. Weight, margin and soft label are columns of their own.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

NAME = "trl"
KINDS: tuple[str, ...] = ("sft", "preference", "ranking", "unpaired", "rating", "violation", "prompt", "judgement")
LOSES: tuple[str, ...] = ()


def schema(kind: str, canonical: pa.Schema) -> pa.Schema | None:
    return canonical


def row(kind: str, canonical: Mapping[str, Any]) -> dict[str, Any]:
    return dict(canonical)


def file(kind: str, split: str) -> str:
    return f"jsonl/{split}.jsonl"


def more(manifest: Mapping[str, Any]) -> dict[str, bytes]:
    return {}
