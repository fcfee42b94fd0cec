"""Conversation trees as OpenAssistant publishes them (JSONL, one tree a line), read as rows of judgements.

The replies to one message were ranked against each other by many people, whose ranks were merged into one. Each prompter
message with such replies becomes a row (docs/formats.md) with that one ranking. What becomes none is counted. No
database here, and memory does not grow with the file.
"""

import gzip
import zlib
from collections import Counter, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

import orjson
from django.utils.translation import gettext as _

from annotate.judgement_rows import MAX_OUTPUTS, RowError, each_once
from annotate.languages import LANGUAGE, as_written

ANNOTATOR = "oasst-consensus"
ROLES = {"prompter": "user", "assistant": "assistant"}
GZIP = b"\x1f\x8b"
MAX_TREE_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 100
MAX_NODES, SHOWN = 200, 300  # of a row's tree: how many nodes, and how many characters of each


@dataclass
class Counts:
    """What was read, and what became no row, by reason.

    `left_out` counts messages:
    - deleted; rejected (reviewers said no); synthetic (a model wrote it and nobody reviewed it)
    - below: hangs from one of those
    - unranked, same_text (a better ranked reply says the same), over_nine: not in its row; others of its siblings are

    `no_row` counts sets of replies to one message:
    - single: there is one reply, so nothing to rank; few_ranked: fewer than two have a rank
    - user_turn: the prompter's replies to the assistant. What is ranked in our rows answers the user
    - same_text: all ranked ones say the same; language: of another language than was asked for
    """

    trees: int = 0
    messages: int = 0
    rows: int = 0
    languages: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    no_row: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        counters = {name: dict(sorted(getattr(self, name).items())) for name in ("languages", "left_out", "no_row")}
        return {"trees": self.trees, "messages": self.messages, "rows": self.rows, **counters}


# --- Trees ------------------------------------------------------------------------------------------------------------


def trees(file: BinaryIO) -> Iterator[dict[str, Any] | RowError]:
    """Each line's tree, or the error that keeps it from being one. Packed with gzip or not; blank lines are passed."""
    return each_once(_lines(file), _tree, "message_tree_id", lambda tree: tree["message_tree_id"])


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes | RowError]]:
    line = 0
    stream = _unpacked(file)
    try:
        while raw := stream.readline(MAX_TREE_BYTES + 1):
            line += 1
            if len(raw) > MAX_TREE_BYTES:
                while not raw.endswith(b"\n") and (raw := stream.readline(MAX_TREE_BYTES)):
                    pass
                message = _("It has more than %(limit)d MB. Each line must be one tree; shorten it or leave it out.")
                yield line, RowError(line, "", message % {"limit": MAX_TREE_BYTES // 1024**2})
            else:
                yield line, raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw
    except EOFError:
        message = _("The gzip file ends in the middle: it was cut off. Download or pack it again.")
        yield line + 1, RowError(line + 1, "", message)
    except (zlib.error, gzip.BadGzipFile) as error:
        message = _("The gzip file is damaged (%(why)s). Download or pack it again.")
        yield line + 1, RowError(line + 1, "", message % {"why": error})


def _unpacked(file: BinaryIO) -> BinaryIO:
    if hasattr(file, "peek"):  # standard input cannot go back
        start = file.peek(2)[:2]
    else:
        start = file.read(2)
        file.seek(-len(start), 1)
    return cast(BinaryIO, gzip.GzipFile(fileobj=file)) if start == GZIP else file


def _tree(line: int, raw: bytes) -> dict[str, Any]:
    """The tree of a line, with everything in it that `rows` relies on. Raises RowError."""
    try:
        tree = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RowError(line, "", _("It is not JSON: %(why)s.") % {"why": str(error)}) from None
    if not isinstance(tree, dict) or "prompt" not in tree:
        message = _(
            "It is no tree, which has a “prompt” with its replies in it. Take the file of trees, not of messages."
        )
        raise RowError(line, "prompt" if isinstance(tree, dict) else "", message)
    _text(line, "message_tree_id", tree.get("message_tree_id"), limit=200)
    ids: set[str] = set()
    waiting = deque([("prompt", tree["prompt"], "prompter", 1)])
    while waiting:
        path, message, role, depth = waiting.popleft()
        replies = _message(line, path, message, role)
        if message["message_id"] in ids:
            raise RowError(line, f"{path}.message_id", _("Another message of this tree has it. Each must differ."))
        ids.add(message["message_id"])
        if replies and depth == MAX_DEPTH:
            text = _("Messages may follow each other %(most)d deep. Leave out what is below.")
            raise RowError(line, f"{path}.replies", text % {"most": MAX_DEPTH})
        other = "assistant" if role == "prompter" else "prompter"
        waiting += [(f"{path}.replies[{at}]", reply, other, depth + 1) for at, reply in enumerate(replies)]
    return cast(dict[str, Any], tree)


def _message(line: int, path: str, message: Any, role: str) -> list[Any]:
    """Look at one message; returns its replies, which nobody has looked at yet."""
    if not isinstance(message, dict):
        raise RowError(line, path, _("An object is needed here."))
    _text(line, f"{path}.message_id", message.get("message_id"), limit=200)
    if message.get("role") not in tuple(ROLES):
        raise RowError(line, f"{path}.role", _("It must be one of: %(roles)s.") % {"roles": ", ".join(ROLES)})
    if message["role"] != role:
        text = _("Prompter and assistant take turns, and the prompter begins: it must be “%(role)s” here.")
        raise RowError(line, f"{path}.role", text % {"role": role})
    for name in ("deleted", "review_result", "synthetic"):
        if not isinstance(message.get(name), bool | None):
            raise RowError(line, f"{path}.{name}", _("It must be true, false or null."))
    if not _why_left_out(message):
        _text(line, f"{path}.text", message.get("text"))
    rank, lang = message.get("rank"), message.get("lang")
    if rank is not None and type(rank) is not int:
        raise RowError(line, f"{path}.rank", _("It must be a whole number, 0 for the best, or null for no rank."))
    if lang is not None and not (isinstance(lang, str) and LANGUAGE.fullmatch(lang.replace("_", "-"))):
        raise RowError(line, f"{path}.lang", _("It must be the tag of a language, such as en, zh or pt-BR, or null."))
    replies = message.get("replies")
    if replies is not None and not isinstance(replies, list):
        raise RowError(line, f"{path}.replies", _("A list is needed here."))
    return replies or []


def _text(line: int, path: str, value: Any, limit: int | None = None) -> None:
    if not isinstance(value, str) or not value.strip():
        raise RowError(line, path, _("A text that is not empty is needed here."))
    if "\x00" in value:
        raise RowError(line, path, _("It holds a NUL character. Remove it."))
    if limit and len(value) > limit:
        raise RowError(line, path, _("It may have %(limit)d characters at most.") % {"limit": limit})


# --- Rows -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class _Node:
    id: str
    parent: "_Node | None"
    role: str
    text: str
    rank: int | None
    language: str

    def path(self) -> list["_Node"]:
        """From the root to here."""
        return [*(self.parent.path() if self.parent else []), self]


def rows(
    tree: dict[str, Any], lang: str | Collection[str] | None = None, counts: Counts | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of a tree that `trees` gave. `lang` keeps those of some languages: pt keeps pt-BR too."""
    counts = Counts() if counts is None else counts
    wanted = None if lang is None else [_language(one) for one in ([lang] if isinstance(lang, str) else lang)]
    counts.trees += 1
    nodes = _nodes(tree["prompt"], counts)
    replies: dict[_Node | None, list[_Node]] = {}
    for node in nodes:
        replies.setdefault(node.parent, []).append(node)
    for node in nodes:
        if node not in replies:
            continue
        if wanted is not None and not any(f"{node.language}-".startswith(f"{one}-") for one in wanted):
            counts.no_row["language"] += 1
        elif judged := _judged(node, replies[node], counts):
            counts.rows += 1
            counts.languages[node.language] += 1
            yield _row(tree["message_tree_id"], node, judged, nodes)


def _nodes(prompt: dict[str, Any], counts: Counts) -> list[_Node]:
    """The messages that are kept, parents first. A message that is left out takes what hangs from it along."""
    kept: list[_Node] = []
    waiting: deque[tuple[dict[str, Any], _Node | None]] = deque([(prompt, None)])
    while waiting:
        message, parent = waiting.popleft()
        if reason := _why_left_out(message):
            below = len(_all(message)) - 1
            counts.messages += 1 + below
            counts.left_out[reason] += 1
            counts.left_out.update({"below": below} if below else {})
            continue
        counts.messages += 1
        role, language = ROLES[message["role"]], _language(message.get("lang"))
        node = _Node(message["message_id"], parent, role, message["text"], message.get("rank"), language)
        kept.append(node)
        # In the file the best reply comes first. By id, nobody sees from the order how they were ranked.
        replies = sorted(message.get("replies") or [], key=lambda reply: str(reply["message_id"]))
        waiting += [(reply, node) for reply in replies]
    return kept


def _all(message: dict[str, Any]) -> list[dict[str, Any]]:
    found = [message]
    for one in found:  # which grows meanwhile
        found += one.get("replies") or []
    return found


def _why_left_out(message: dict[str, Any]) -> str:
    if message.get("deleted"):
        return "deleted"
    if message.get("review_result") is False:  # null: not reviewed yet
        return "rejected"
    return "synthetic" if message.get("synthetic") else ""


def _language(lang: str | None) -> str:
    """As we write it: pt_br → pt-BR."""
    return as_written((lang or "").replace("_", "-"))


def _judged(node: _Node, replies: list[_Node], counts: Counts) -> list[_Node]:
    """The replies that were ranked against each other, best first. None where that makes no row, and it is counted."""
    ranked = sorted((one for one in replies if one.rank is not None), key=lambda one: (one.rank, one.id))
    different: dict[str, _Node] = {}
    for one in ranked:
        different.setdefault(one.text, one)
    if len(replies) < 2:
        reason = "single"
    elif len(ranked) < 2:
        reason = "few_ranked"
    elif node.role == "assistant":
        reason = "user_turn"
    elif len(different) < 2:
        reason = "same_text"
    else:
        left_out = {
            "unranked": len(replies) - len(ranked),
            "same_text": len(ranked) - len(different),
            "over_nine": len(different) - MAX_OUTPUTS,
        }
        counts.left_out.update({name: count for name, count in left_out.items() if count > 0})
        return list(different.values())[:MAX_OUTPUTS]
    counts.no_row[reason] += 1
    return []


def _row(tree: str, node: _Node, judged: list[_Node], nodes: list[_Node]) -> dict[str, Any]:
    tiers: dict[int | None, list[str]] = {}
    for one in judged:
        tiers.setdefault(one.rank, []).append(one.id)
    row = {
        "id": node.id,
        "group": tree,
        "language": node.language,
        "prompt": [{"role": turn.role, "content": turn.text} for turn in node.path()],
        "completions": [
            {"id": one.id, "text": one.text, "models": []} for one in sorted(judged, key=lambda one: one.id)
        ],
        "judgements": [{"annotator": ANNOTATOR, "ranking": list(tiers.values())}],
        "tree": {"at": node.id, "nodes": [_shown(one) for one in _around(node, judged, nodes)]},
    }
    return row if node.language else {name: value for name, value in row.items() if name != "language"}


def _around(node: _Node, judged: list[_Node], nodes: list[_Node]) -> list[_Node]:
    """The nodes to show. Of too many: the path and what is judged, then siblings on the way, then what is highest up."""
    if len(nodes) <= MAX_NODES:
        return nodes
    path = set(node.path())
    first = path | set(judged)
    # Sorting is stable, and nodes come with parents first: so no node is taken whose parent is not.
    near = sorted(nodes, key=lambda one: 0 if one in first else 1 if one.parent in path else 2)
    taken = set(near[:MAX_NODES])
    return [one for one in nodes if one in taken]


def _shown(node: _Node) -> dict[str, Any]:
    content = node.text if len(node.text) <= SHOWN else node.text[: SHOWN - 1] + "…"
    return {"id": node.id, "parent": node.parent.id if node.parent else None, "role": node.role, "content": content}
