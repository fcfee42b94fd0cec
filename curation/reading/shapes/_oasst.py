"""Messages as OASST writes them, in trees and in threads."""

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from curation.reading.rows import Amiss
from curation.reading.shapes._turns import ROLES, is_text


def checked(message: Any, column: str) -> dict[str, Any]:
    """A message, if it is one. Raises Amiss."""
    if not isinstance(message, dict) or not is_text(message.get("text")) or message.get("role") not in ROLES:
        raise Amiss(column, _("A message has no text, or its role is neither prompter nor assistant."))
    return message


def dialogue(path: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Messages that follow each other, as columns."""
    return {
        "language": path[0].get("lang"),
        "messages": [{"role": ROLES[message["role"]], "content": message["text"]} for message in path],
        "ranks": [message.get("rank") for message in path],
        "message_ids": [message.get("message_id") for message in path],
    }
