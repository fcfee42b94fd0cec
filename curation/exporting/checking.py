"""What is looked at in every row before a GPU is: faults, texts that would be read as dates, and lengths. Pure.

A row with a fault goes into quarantine under its reason; nothing is mended here. The faults are what trainers stop at, or
what they learn in silence (docs/exports.md lists them). A shape raises `Unfit` too, for a row that it cannot say.

Nothing here imports Django: the tests of the trainers write files with it where there is none.
"""

import hashlib
import math
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any


def gettext_noop(text: str) -> str:
    """Marks a text to be translated where it is shown, as Django's does."""
    return text


REASONS = {
    "surrogate": gettext_noop(
        "%(where)s holds half of a character (a lone surrogate), which no file in UTF-8 can. Mend the text where it comes "
        "from."
    ),
    "nul": gettext_noop(
        "%(where)s holds a NUL character, at which some readers stop. Mend the text where it comes from."
    ),
    "empty": gettext_noop("%(where)s is empty. Trainers need a text there: have one written, or leave the task out."),
    "no_turns": gettext_noop(
        "%(where)s is no list of messages, or an empty one. Trainers need one: leave the task out."
    ),
    "roles": gettext_noop(
        "%(where)s is of “%(role)s”. User and assistant take turns, the user begins and ends, and a system message can "
        "only be the first. Import the conversation again in that order."
    ),
    "completion": gettext_noop("%(where)s is not exactly one message of the assistant. Leave the row out."),
    "same": gettext_noop(
        "Chosen and rejected say the same, so there is nothing to prefer. Leave one of the outputs out."
    ),
    "margin": gettext_noop(
        "The margin is no number above 0. Margins must be in every row or in none: export without a margin, or ask for "
        "strength with every comparison."
    ),
    "weight": gettext_noop(
        "The weight is no number above 0. The row would be ignored or break the loss: leave it out."
    ),
    "soft_label": gettext_noop("The soft label is no number from 0 to 1. Measure the consensus again, then export."),
    "label": gettext_noop("The label is neither true nor false. Draw the line again on this task."),
    "number": gettext_noop("%(where)s is no finite number, which JSON cannot say. Measure again, then export."),
    "reserved": gettext_noop("Trainers read a column named “%(where)s” as something else. Give it another name."),
    "too_long": gettext_noop(
        "It has %(tokens)d tokens, and %(most)d were allowed. Reward trainers drop such a row and others cut it off: "
        "allow more, or leave it out."
    ),
    "tie": gettext_noop("It is a tie, which this shape cannot say. Drop ties, or take the shape “trl”."),
    "system": gettext_noop("It has a system message where this shape has no place for one. Take the shape “trl”."),
    "turn_marker": gettext_noop(
        "%(where)s holds “%(marker)s”, which this shape would read as the next turn. Take the shape “trl”."
    ),
    "too_many_turns": gettext_noop(
        "It has more than %(most)d messages, deeper than readers follow the tree. Take the shape “trl”."
    ),
}


class Unfit(Exception):
    """Why a row is not written. `_(unfit.says) % unfit.about` is the sentence in the reader's language."""

    def __init__(self, reason: str, **about: str | int) -> None:
        self.reason, self.says, self.about = reason, REASONS[reason], about
        super().__init__(self.says % about)


# --- Faults -----------------------------------------------------------------------------------------------------------

# What TRL 1.16 takes for columns of its own, or for images or tools.
RESERVED = frozenset(
    {
        "messages", "conversations", "text", "tools", "chat_template_kwargs", "image", "images", "labels",
        "seq_lengths", "assistant_masks", "input_ids", "attention_mask", "position_ids", "token_type_ids",
        "prompt_ids", "prompt_mask", "completion_ids", "completion_mask", "chosen_ids", "rejected_ids",
        "chosen_input_ids", "rejected_input_ids", "KL_completion_ids", "ref_logps", "ref_KL_logps",
        "ref_chosen_logps", "ref_rejected_logps",
    }
)  # fmt: skip
ANSWERS = {
    "sft": ("completion",),
    "preference": ("chosen", "rejected"),
    "unpaired": ("completion",),
    "rating": ("completion",),
    "violation": ("completion",),
}
MAY_HAVE_NO_ANSWER = ("rating", "violation")  # then it is about the task


def fault(kind: str, row: Mapping[str, Any], written: bytes | None = None) -> Unfit | None:
    """The first fault of a canonical row. `written`: the row as orjson writes it, if it does: then it is checked faster."""
    try:
        _check(kind, row, written)
    except Unfit as unfit:
        return unfit
    return None


def _check(kind: str, row: Mapping[str, Any], written: bytes | None) -> None:
    if not RESERVED.isdisjoint(row):
        raise Unfit("reserved", where=next(name for name in row if name in RESERVED))
    if kind != "judgement":  # which is kept as it was said, so that everything can be made again from it
        _check_conversation(row["prompt"])
        for name in ANSWERS.get(kind, ()):
            if row[name] or kind not in MAY_HAVE_NO_ANSWER:
                _check_answer(name, row[name])
        _check_labels(kind, row)
    # orjson refuses half a character, and writes what is no number as null.
    if written is not None and b"\\u0000" not in written and b"null" not in written:
        return
    for name, value in row.items():
        if found := _unwritable(value):
            raise Unfit(found[0], where=f"{name}{found[1]}")


def _check_conversation(turns: Sequence[Mapping[str, Any]] | None) -> None:
    if not turns or isinstance(turns, str):
        raise Unfit("no_turns", where="prompt")
    first = int(turns[0].get("role") == "system")
    for at, turn in enumerate(turns):
        expected = "system" if at < first else ("user", "assistant")[(at - first) % 2]
        if turn.get("role") != expected:
            raise Unfit("roles", where=f"prompt[{at}]", role=str(turn.get("role")))
        if _is_empty(turn):
            raise Unfit("empty", where=f"prompt[{at}].content")
    if turns[-1]["role"] != "user":
        raise Unfit("roles", where=f"prompt[{len(turns) - 1}]", role=turns[-1]["role"])


def _check_answer(name: str, turns: Sequence[Mapping[str, Any]] | None) -> None:
    if not turns or isinstance(turns, str) or len(turns) != 1 or turns[0].get("role") != "assistant":
        raise Unfit("completion", where=name)
    if _is_empty(turns[0]):
        raise Unfit("empty", where=f"{name}[0].content")


def _is_empty(turn: Mapping[str, Any]) -> bool:
    content = turn.get("content")
    return not isinstance(content, str) or not content or content.isspace()


def _check_labels(kind: str, row: Mapping[str, Any]) -> None:
    if kind == "preference" and row["chosen"] == row["rejected"]:
        raise Unfit("same")
    for name in ("weight", "margin"):
        if name in row and not (_is_number(row[name]) and row[name] > 0):
            raise Unfit(name)
    if "soft_label" in row and not (_is_number(row["soft_label"]) and 0 <= row["soft_label"] <= 1):
        raise Unfit("soft_label")
    if kind == "unpaired" and not isinstance(row["label"], bool):
        raise Unfit("label")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _unwritable(value: Any) -> tuple[str, str] | None:
    """Why a file cannot hold the value, and where in it: the first text or number of that sort, however deep it is."""
    if isinstance(value, str):
        if "\0" in value:
            return "nul", ""
        try:
            value.encode()
        except UnicodeEncodeError:
            return "surrogate", ""
    elif isinstance(value, float):
        if not math.isfinite(value):
            return "number", ""
    elif isinstance(value, dict):
        for name, one in value.items():
            if found := _unwritable(one):
                return found[0], f".{name}{found[1]}"
    elif isinstance(value, list | tuple):
        for at, one in enumerate(value):
            if found := _unwritable(one):
                return found[0], f"[{at}]{found[1]}"
    return None


# --- Dates ------------------------------------------------------------------------------------------------------------

# What Arrow reads as a time. With fractions of a second it does not.
_HOURS = "(?:[01][0-9]|2[0-3])"
_DAY = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = rf"{_HOURS}(?::[0-5][0-9](?::[0-5][0-9])?)?(?:Z|[+-]{_HOURS}(?::?[0-5][0-9])?)?"
DATE = re.compile(f"{_DAY}(?:[ T]{_TIME})?", re.ASCII)
PART = 10 * 1024 * 1024  # bytes of a JSONL file that `datasets` infers types of at a time


class DateWatch:
    """Finds the texts of one JSONL file that `datasets` would turn into timestamps, and lose as they were written.

    It does so where all values of a path are dates, in any part of the file that it reads at once: in the first part they
    become timestamps (and a later text that is no date then breaks the loading), in a later part "2026-01-31" comes back
    as "2026-01-31 00:00:00". Parquet keeps them. Objects within one column must have the same keys in every row.
    """

    def __init__(self, part: int = PART) -> None:
        self._part, self._bytes = part, 0
        self._only_dates: dict[str, bool] = {}  # by path, of the texts of this part
        self._settled: set[str] = set()  # columns that can hold no such path any more, in this part
        self._found: set[str] = set()

    def see(self, row: Mapping[str, Any], size: int) -> None:
        """`size`: the bytes of the row's line, its end included."""
        for name, value in row.items():
            if name not in self._settled and not self._is_open(name, value):
                self._settled.add(name)
        self._bytes += size
        if self._bytes > self._part:
            self._end_part()

    def finding(self) -> list[str]:
        """The paths, such as `completion[].content`, once all rows were seen."""
        self._end_part()
        return sorted(self._found)

    def _is_open(self, path: str, value: Any) -> bool:
        """Note the texts of a value. Whether one of its paths had nothing but dates, or nothing, so far."""
        if isinstance(value, str):
            only_dates = self._only_dates.get(path, True) and DATE.fullmatch(value) is not None
            self._only_dates[path] = only_dates
            return only_dates
        if isinstance(value, dict):
            inside = [self._is_open(f"{path}.{name}", one) for name, one in value.items()]  # all, so that all are noted
            return any(inside)
        if isinstance(value, list | tuple):
            inside = [self._is_open(f"{path}[]", one) for one in value]
            return not inside or any(inside)
        return value is None

    def _end_part(self) -> None:
        self._found.update(path for path, only_dates in self._only_dates.items() if only_dates)
        self._only_dates, self._settled, self._bytes = {}, set(), 0


# --- Lengths ----------------------------------------------------------------------------------------------------------

EDGES = tuple(2**power for power in range(4, 18))  # 16 to 131,072
LIMITS = (1024, 2048, 4096)  # what trainers are often told to take at most


class Histogram:
    """Lengths in constant memory. `counts[n]` is of those up to `EDGES[n]`; the last is of those above all edges."""

    def __init__(self) -> None:
        self.counts = [0] * (len(EDGES) + 1)
        self.over = dict.fromkeys(LIMITS, 0)
        self.longest = 0

    def add(self, length: int) -> None:
        self.counts[bisect_left(EDGES, length)] += 1
        self.longest = max(self.longest, length)
        if length > LIMITS[0]:
            for limit in LIMITS:
                self.over[limit] += length > limit

    def as_dict(self) -> dict[str, Any]:
        rows = sum(self.counts)
        return {
            "rows": rows,
            "max": self.longest,
            "share_over": {str(limit): round(count / rows, 6) if rows else 0.0 for limit, count in self.over.items()},
            "edges": list(EDGES),
            "counts": self.counts,
        }


class Lengths:
    """How long rows without a fault are: in characters, and in tokens where a `tokenizer.json` is given.

    A row is as long as its prompt and the longest of its answers. What a chat template puts around each message is not
    counted. Needs the package `tokenizers` for tokens: `tokens` is None where it is not installed.
    """

    def __init__(self, tokenizer: Path | None = None, most: int | None = None) -> None:
        """`most`: as many tokens a row may have. Raises ValueError for a file that is no tokenizer."""
        self.characters = Histogram()
        self.tokens: Histogram | None = None
        self.most, self.tokenizer_sha256 = most, ""
        self._tokenizer = _tokenizer(tokenizer) if tokenizer else None
        if tokenizer and self._tokenizer:
            self.tokens = Histogram()
            self.tokenizer_sha256 = hashlib.sha256(tokenizer.read_bytes()).hexdigest()

    def add(self, kind: str, row: Mapping[str, Any]) -> Unfit | None:
        """Count a row, whatever its length; why it is left out, if it is too long."""
        self.characters.add(_longest(kind, row, len))
        if self.tokens is None:
            return None
        tokens = _longest(kind, row, self._count)
        self.tokens.add(tokens)
        return Unfit("too_long", tokens=tokens, most=self.most) if self.most and tokens > self.most else None

    def _count(self, text: str) -> int:
        assert self._tokenizer is not None
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {"characters": self.characters.as_dict()}
        if self.tokens is not None:
            found["tokens"] = self.tokens.as_dict() | {"tokenizer_sha256": self.tokenizer_sha256, "most": self.most}
        return found


def _tokenizer(path: Path) -> Any:
    try:
        tokenizers = import_module("tokenizers")
    except ImportError:
        return None
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises no narrower one
        raise ValueError(f"{path.name} is no tokenizer.json that the package tokenizers reads: {error}") from error
    tokenizer.no_truncation()  # which a file can switch on, and then nothing would be too long
    tokenizer.no_padding()
    return tokenizer


def _longest(kind: str, row: Mapping[str, Any], count: Callable[[str], int]) -> int:
    """The prompt with the longest of its answers."""
    if kind in ("ranking", "judgement"):
        answers = [count(output["text"]) for output in row["completions" if kind == "ranking" else "outputs"]]
    else:
        answers = [_total(row[name], count) for name in ANSWERS.get(kind, ())]
    return _total(row["prompt"], count) + max(answers, default=0)


def _total(turns: Sequence[Mapping[str, Any]], count: Callable[[str], int]) -> int:
    total = 0
    for turn in turns:
        total += count(turn["content"])
    return total
