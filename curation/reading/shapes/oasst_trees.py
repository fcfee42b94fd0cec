"""OASST trees: a prompt with replies, those with replies, and so on. Each path from the root to a leaf is a row."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from curation.reading.rows import Amiss
from curation.reading.shapes._oasst import checked, dialogue
from curation.reading.shapes._turns import is_text

NAME = "oasst_trees"
DESCRIPTION = gettext_lazy("OASST trees: a row for each path from the root to a leaf, with the ranks on it.")


def recognise(sample: Sequence[dict[str, Any]], file_name: str) -> bool:
    return all(
        is_text(row.get("message_tree_id")) and isinstance(row.get("prompt"), dict) and "replies" in row["prompt"]
        for row in sample
    )


def rows(values: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    if not isinstance(values.get("prompt"), dict):
        raise Amiss("prompt", _("The tree has no first message."))
    for path in _paths(values["prompt"]):
        yield {
            "message_tree_id": values.get("message_tree_id"),
            "tree_state": values.get("tree_state"),
        } | dialogue(path)


def _paths(root: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """All paths to leaves, in the order of the tree."""
    waiting = [[root]]
    while waiting:
        path = waiting.pop()
        replies = checked(path[-1], "prompt").get("replies") or []
        if not isinstance(replies, list):
            raise Amiss("prompt", _("The replies of a message are no list."))
        if not replies:
            yield path
        waiting += [[*path, reply] for reply in reversed(replies)]
