"""Threads of several people: messages that answer each other become trees, and trees become dialogues.

A dialogue is the path from the first message to one that ends in the chosen role; without a role, to any answer, and
who gives it is the assistant. Rows of a conversation must stand together where a column names it: one conversation is in
memory then. Without such a column the whole file is, so it must be small.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from curation.reading.files import Unreadable
from curation.reading.rows import Problem, Row
from curation.reading.shapes._turns import ASSISTANT, ROLES, SYSTEM, USER

NAME = "threads"
DESCRIPTION = gettext_lazy("Threads: messages that answer each other; a row for each path to an answer.")
OPTIONS = {
    "conversation": gettext_lazy("the column that names the conversation; its rows stand together"),
    "id": gettext_lazy("the column with the message's own id"),
    "reply_to": gettext_lazy("the column with the id of the message that is answered"),
    "speaker": gettext_lazy("the column that says who speaks"),
    "text": gettext_lazy("the column with what is said"),
    "role": gettext_lazy("who of the speakers is the assistant; without it, whoever answers last"),
}
USUAL = {
    "conversation": (
        "conversation_id",
        "conversation",
        "message_tree_id",
        "thread_id",
        "thread",
        "dialogue_id",
        "root",
    ),
    "id": ("message_id", "id", "utterance_id", "utt_id", "msg_id", "comment_id"),
    "reply_to": ("reply_to", "reply-to", "parent_id", "parent", "in_reply_to", "replies_to"),
    "speaker": ("speaker", "role", "user", "author", "from", "sender"),
    "text": ("text", "content", "body", "message", "utterance"),
}
NEEDED = ("id", "reply_to", "speaker", "text")
MISSING = {
    "id": gettext_lazy("The message has no id. Give it one, or leave it out."),
    "speaker": gettext_lazy("It is not said whose message this is. Name the speaker, or leave the message out."),
    "text": gettext_lazy("The message says nothing. Give it a text, or leave it out."),
}
MOST_IN_THREAD, MOST_IN_FILE = 1_000, 50_000  # messages
MOST_TEXT = 64 * 1024 * 1024


def recognise(sample: Sequence[dict[str, Any]], file_name: str) -> bool:
    columns = _columns(sample[0], {})
    if any(not columns[what] for what in NEEDED):
        return False
    ids = {str(row.get(columns["id"])) for row in sample}
    return any(str(row[columns["reply_to"]]) in ids for row in sample if _given(row.get(columns["reply_to"])))


def _given(value: Any) -> bool:
    return value is not None and value != ""


def _columns(row: dict[str, Any], options: Mapping[str, str]) -> dict[str, str]:
    """Which column says what, as it was told or as columns are usually called; empty where there is none."""
    return {
        what: options.get(what) or next((name for name in names if name in row), "") for what, names in USUAL.items()
    }


def through(rows: Iterator[Row | Problem], options: Mapping[str, str]) -> Iterator[Row | Problem]:
    columns: dict[str, str] = {}
    last: str | None = None

    def conversation(row: Row | Problem) -> str | None:
        nonlocal columns, last
        if isinstance(row, Row):
            if not all(columns.get(what) for what in NEEDED):  # the first row may be the one that is wrong
                columns = _columns(row.values, options)
            name = row.values.get(columns["conversation"]) if columns["conversation"] else None
            last = str(name) if _given(name) else ""
        return last  # a problem is of the conversation around it

    for name, group in groupby(rows, conversation):
        if name is None:
            yield from group  # problems before any row
        else:
            yield from _Thread(name, columns, options.get("role", "")).dialogues(group)


class _Thread:
    """The messages of one conversation, or of a file that names none."""

    def __init__(self, name: str, columns: dict[str, str], role: str) -> None:
        self.name, self.columns, self.role = name, columns, role
        self.messages: dict[str, Row] = {}

    def dialogues(self, rows: Iterator[Row | Problem]) -> Iterator[Row | Problem]:
        yield from self._take(rows)
        replies: dict[str, list[str]] = {}
        for key, row in self.messages.items():
            replies.setdefault(self._of(row, "reply_to"), []).append(key)
        waiting = [(key, 1) for key in replies.get("", ())]
        hanging = set()  # on a first message
        while waiting:
            key, depth = waiting.pop()
            if depth > MOST_IN_THREAD:
                raise Unreadable(_too_long(self.name or key))
            hanging.add(key)
            waiting += [(reply, depth + 1) for reply in replies.get(key, ())]
        for key, row in self.messages.items():
            yield from self._row(row) if key in hanging else [self._astray(row)]

    def _take(self, rows: Iterator[Row | Problem]) -> Iterator[Problem]:
        text, most = 0, MOST_IN_THREAD if self.columns["conversation"] else MOST_IN_FILE
        for row in rows:
            if isinstance(row, Problem):
                yield row
                continue
            missing = next((what for what in ("id", "speaker", "text") if not self._of(row, what)), "")
            key = self._of(row, "id")
            if missing:
                yield Problem(row.told, self.columns[missing], str(MISSING[missing]))
            elif key in self.messages:
                message = _("“%(id)s” is the id of row %(first)d too. Each message needs its own.")
                words = {"id": key[:80], "first": self.messages[key].told}
                yield Problem(row.told, self.columns["id"], message % words)
            else:
                self.messages[key] = row
                text += row.size
            if len(self.messages) > most or text > MOST_TEXT:
                raise Unreadable(_too_long(self.name) if self.columns["conversation"] else _without_names())

    def _of(self, row: Row, what: str) -> str:
        value = row.values.get(self.columns[what]) if self.columns[what] else None
        return str(value) if _given(value) else ""

    def _astray(self, row: Row) -> Problem:
        parent = self._of(row, "reply_to")
        message = (
            _(
                "It answers “%(id)s”, which hangs on no first message itself: above it a message is missing, or is in a circle."
            )
            if parent in self.messages
            else _("It answers “%(id)s”, which is not in its conversation. Rows of a conversation must stand together.")
        )
        return Problem(row.told, self.columns["reply_to"], message % {"id": parent[:80]})

    def _path(self, row: Row) -> list[Row]:
        path = [row]
        while parent := self._of(path[-1], "reply_to"):
            path.append(self.messages[parent])
        return path[::-1]

    def _row(self, row: Row) -> Iterator[Row]:
        """The dialogue that ends here, if it does."""
        path, speaker = self._path(row), self._of(row, "speaker")
        known = all(self._of(one, "speaker").lower() in ROLES for one in path)
        answers = not known or ROLES[speaker.lower()] == ASSISTANT
        learned = self.role or (speaker if answers else "")
        if len(path) < 2 or speaker != learned:
            return
        messages = [self._turn(one, learned, known) for one in path]
        values = {
            "conversation": self.name or self._of(path[0], "id"),
            "message_id": self._of(row, "id"),
            "messages": messages,
        }
        taken = {name for name in self.columns.values() if name}
        others = {name: value for name, value in row.values.items() if name not in taken}
        yield Row(row.number, values | others, sum(one.size for one in path))

    def _turn(self, row: Row, learned: str, known: bool) -> dict[str, str]:
        speaker, text = self._of(row, "speaker"), self._of(row, "text")
        if known and ROLES[speaker.lower()] == SYSTEM:
            return {"role": SYSTEM, "content": text}
        turn = {"role": ASSISTANT if speaker == learned else USER, "content": text}
        return turn if known else turn | {"name": speaker}


def _too_long(name: str) -> str:
    message = _("Conversation “%(name)s” has over %(most)d messages, or over %(bytes)d MB. Cut it, or leave it out.")
    return message % {"name": name[:80], "most": MOST_IN_THREAD, "bytes": MOST_TEXT // 1024**2}


def _without_names() -> str:
    message = _(
        "No column names the conversation, so all messages must be held at once, and there are over %(most)d of them, "
        "or over %(bytes)d MB. Add a column “conversation_id”, with the rows of a conversation together."
    )
    return message % {"most": MOST_IN_FILE, "bytes": MOST_TEXT // 1024**2}
