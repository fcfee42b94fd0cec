"""What several shapes need: the conversation taken apart, and the names of what they have no place for."""

from collections.abc import Mapping, Sequence
from typing import Any

from curation.exporting.checking import Unfit
from curation.exporting.records import Turn

# Columns of canonical rows, by what is lost without them.
FROM_WHERE = (
    "annotations", "annotators", "annotation", "annotator", "prompt_id", "pair_id", "split_group", "task", "question",
    "language", "dataset", "row", "template",
)  # fmt: skip
HOW_MUCH = (
    "weight", "margin", "rank_gap", "soft_label", "confidence", "votes_chosen", "votes_tie", "votes_rejected",
    "votes_true", "votes_false", "label_source",
)  # fmt: skip
NAMES = ("row_id", "instance")


def system_apart(prompt: Sequence[Turn]) -> tuple[str, Sequence[Turn]]:
    """The system message, or nothing, and the turns after it. Raises Unfit for one that comes later."""
    first = int(prompt[0]["role"] == "system")
    if any(turn["role"] == "system" for turn in prompt[first:]):
        raise Unfit("system")
    return (prompt[0]["content"] if first else ""), prompt[first:]


def name_of(row: Mapping[str, Any]) -> str:
    """What the row is called in the export, so that a line can be traced."""
    return str(row.get("row_id") or row["instance"])


def without_tie(row: Mapping[str, Any]) -> None:
    """Raise Unfit for a tie: without its soft label it would be learnt as a preference. What a reviewer decided is none."""
    if row.get("soft_label") == 0.5 and row.get("label_source") != "adjudicated":
        raise Unfit("tie")
