"""OpenAssistant's message trees: the conversation as a chain of replies, the ranked outputs as the last of them.

Rank 0 is best, equal ranks are ties, null was not ranked. Every row is a tree of its own, since other people ranked the
same outputs otherwise; its ids are made from the row's, so they are the same whenever it is exported.
"""

import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pyarrow as pa

from curation.exporting.checking import Unfit
from curation.exporting.shapes import turns

NAME = "oasst"
KINDS: tuple[str, ...] = ("ranking",)
LOSES: tuple[str, ...] = (
    *(name for name in turns.FROM_WHERE if name != "language"),
    *turns.HOW_MUCH,
    "completions.known",
    "completions.acceptable",
)
ROLES = {"user": "prompter", "assistant": "assistant"}
MOST = 99  # messages under each other, the outputs not counted


def schema(kind: str, canonical: pa.Schema) -> pa.Schema | None:
    return None


def row(kind: str, canonical: Mapping[str, Any]) -> dict[str, Any]:
    system, prompt = turns.system_apart(canonical["prompt"])
    if system:
        raise Unfit("system")
    if len(prompt) > MOST:
        raise Unfit("too_many_turns", most=MOST)
    tree = _id(canonical["row_id"])
    ids = [_id(canonical["row_id"], str(at)) for at in range(len(prompt))]
    ranks = _ranks(canonical["completions"])
    replies = []
    for at, output in enumerate(canonical["completions"]):
        if not output["text"].strip():
            raise Unfit("empty", where=f"completions[{at}].text")
        own = _id(canonical["row_id"], "output", str(at))
        said = {"role": "assistant", "content": output["text"]}
        replies.append(_message(canonical, own, ids[-1], said, rank=ranks[at], model=output["model"]))
    for at in range(len(prompt) - 1, -1, -1):
        message = _message(canonical, ids[at], ids[at - 1] if at else None, prompt[at], replies=replies)
        replies = [message]
    return {"message_tree_id": tree, "tree_state": "ready_for_export", "prompt": replies[0]}


def _ranks(outputs: list[Mapping[str, Any]]) -> list[int | None]:
    """Tiers without gaps from 0."""
    tiers = sorted({output["tier"] for output in outputs if output["tier"] is not None})
    return [None if output["tier"] is None else tiers.index(output["tier"]) for output in outputs]


def _message(
    canonical: Mapping[str, Any],
    own: str,
    parent: str | None,
    turn: Mapping[str, Any],
    *,
    rank: int | None = None,
    model: str | None = None,
    replies: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    return {
        "message_id": own,
        "parent_id": parent,
        "text": turn["content"],
        "role": ROLES[turn["role"]],
        "lang": canonical.get("language") or None,
        "rank": rank,
        "model_name": model,
        "labels": {},
        "replies": replies or [],
    }


def _id(*parts: str) -> str:
    return str(UUID(hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]))


def file(kind: str, split: str) -> str:
    return f"{kind}/{split}.jsonl"


def more(manifest: Mapping[str, Any]) -> dict[str, bytes]:
    return {}
