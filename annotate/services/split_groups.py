"""Which prompts share a split: what says nearly the same does, so that nothing is asked in a test that was trained on.

A task's `split_group` is found when it comes in and never changes. Where nobody has named a group, the prompt joins the
group of the prompt most like it: a Jaccard similarity of at least .8 of their runs of five tokens. A token is a word, or
a character of a script that is written without spaces. So that a new prompt is not held against all others, each has
ten keys: a hash of the text, and nine of four MinHash values each. Prompts that share a key are compared exactly. Two of
similarity s share one of the nine with a chance of 1 - (1 - s^4)^9: 99.1 % at .8, 44 % at .5, 1.4 % at .2.
"""

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from django.db import connection

from annotate.models import Project, SplitGroupTouch, Task

SIMILAR = 0.8
SHINGLE, LEAST_TOKENS = 5, 8  # of shorter prompts one word more or less says something else
BANDS, ROWS = 9, 4
KEPT_PER_KEY = 32  # the oldest; a key that so many have is that of a common turn of phrase
COMPARED = 16  # prompts that are compared with a new one exactly: those with most keys in common
OF_A_GROUP = 4  # among either: the prompts of one large group must not hide those of another
AT_ONCE = 4096  # shingles of a long prompt, so that memory does not grow with it

# Thai to Tibetan, Burmese, Khmer, Japanese and Chinese: written without spaces, so a character stands for a word.
_UNSPACED = (
    "\u0e00-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U000323af"
)
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")

_FIND = """
    SELECT wanted.key, found.task_id, (SELECT split_group FROM annotate_task WHERE id = found.task_id)
    FROM unnest(%s::bigint[]) AS wanted(key) CROSS JOIN LATERAL (
        SELECT task_id FROM annotate_promptkey WHERE project_id = %s AND key = wanted.key ORDER BY task_id LIMIT %s
    ) AS found
"""
_KEEP = """
    INSERT INTO annotate_promptkey (project_id, key, task_id)
    SELECT %s, new.key, new.task FROM unnest(%s::bigint[], %s::bigint[]) AS new(key, task) ON CONFLICT DO NOTHING
"""

# --- What others call -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prompt:
    """A new task's first prompt. `split_group`: where it has one already, by name or by what it was made of."""

    text: str  # normalised
    split_group: str = ""
    alone: bool = True  # it is all that the task asks; not the beginning of a longer conversation


@dataclass(frozen=True)
class Place:
    """Where a prompt belongs, the other groups that have one like it, and the keys by which later ones find it."""

    split_group: str
    touches: tuple[str, ...] = ()
    keys: tuple[int, ...] = ()


def normalised(text: str) -> str:
    """A prompt without differences of case, width and white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def first_prompt(conversation: Sequence[Mapping[str, str]], tree: Mapping[str, Any] | None = None) -> str:
    """What the user says first; in a tree at its root, where the conversation may not begin. Not normalised."""
    first = _first_of_user(conversation)
    if not tree:
        return first
    root = _first_of_user(_path(tree))
    return first if first.startswith(root.removesuffix("…")) else root  # nodes of a tree may be shortened


def place(*, project: Project, prompts: Sequence[Prompt]) -> list[Place]:
    """Where new prompts belong, in the order in which they come in. Two statements for any number; nothing is written.

    The caller holds what keeps two imports into one project apart.
    """
    codes = _Codes()
    said = {text: _Said(text, codes) for text in dict.fromkeys(prompt.text for prompt in prompts)}
    shelves = _Shelves(project, said.values())
    return [shelves.place(prompt, said[prompt.text]) for prompt in prompts]


def keep(*, project: Project, tasks: Sequence[Task], places: Sequence[Place]) -> None:
    """Let later prompts find those of these tasks, and remember the groups that they touch."""
    rows = [(key, task.pk) for task, one in zip(tasks, places, strict=True) for key in one.keys]
    if rows:
        keys, ids = zip(*sorted(rows), strict=True)
        with connection.cursor() as cursor:
            cursor.execute(_KEEP, [project.pk, list(keys), list(ids)])
    SplitGroupTouch.objects.bulk_create(
        SplitGroupTouch(task=task, split_group=group)
        for task, one in zip(tasks, places, strict=True)
        for group in one.touches
    )


def touched(task_ids: Iterable[int]) -> dict[int, list[str]]:
    """Of those tasks that touch groups beside their own: which."""
    found: dict[int, list[str]] = {}
    rows = SplitGroupTouch.objects.filter(task__in=list(task_ids)).order_by("task_id", "split_group")
    for task, group in rows.values_list("task_id", "split_group"):
        found.setdefault(task, []).append(group)
    return found


# --- Conversations ----------------------------------------------------------------------------------------------------


def _first_of_user(turns: Sequence[Mapping[str, str]]) -> str:
    return next((turn["content"] for turn in turns if turn["role"] == "user"), turns[0]["content"])


def _path(tree: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The nodes from the root to where the outputs hang."""
    nodes: dict[str, Mapping[str, Any]] = {}
    for node in tree["nodes"]:
        nodes.setdefault(node["id"], node)  # an id's first node has its parent before it, so the way up ends
    path, at = [], tree["at"]
    while at is not None:
        path.append(nodes[at])
        at = nodes[at]["parent"]
    return path[::-1]


# --- Prompts and their keys -------------------------------------------------------------------------------------------

# Multipliers that are the same on every machine: of the MinHash functions, and of the values in a key.
_NUMBERS = np.frombuffer(hashlib.shake_256(b"split groups").digest(3 * 8 * BANDS * ROWS), "<u8").astype(np.uint64) | 1
_FACTORS, _SUMMANDS, _OF_KEYS = _NUMBERS.reshape(3, -1, 1)
_PLACES = _NUMBERS[:SHINGLE]  # of the tokens in a shingle


class _Codes(dict[str, int]):
    """A hash of each token, worked out once a batch."""

    def __missing__(self, token: str) -> int:
        self[token] = code = _hash(token)
        return code


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """So that each bit of a sum of products tells on all."""
    numbers = (numbers ^ (numbers >> 32)) * 0xD6E8FEB86659FD93
    return numbers ^ (numbers >> 32)


class _Said:
    """A text, what it is made of, and its keys."""

    def __init__(self, text: str, codes: _Codes) -> None:
        self.text = text
        self.shingles = self._shingles(codes)

    def _shingles(self, codes: _Codes) -> np.ndarray:
        """Hashes of the runs of tokens, each once; none of a text that is too short to be nearly like another."""
        tokens = _TOKEN.findall(self.text)
        if len(tokens) < LEAST_TOKENS:
            return np.empty(0, np.uint64)
        hashes = np.fromiter(map(codes.__getitem__, tokens), np.uint64, len(tokens))
        runs = np.lib.stride_tricks.sliding_window_view(hashes, SHINGLE)
        return np.unique(_mixed((runs * _PLACES).sum(axis=1)))

    @cached_property
    def keys(self) -> list[int]:
        """That of the text first."""
        own = np.array([_hash(self.text)], np.uint64)
        if len(self.shingles):
            parts = (self.shingles[at : at + AT_ONCE] for at in range(0, len(self.shingles), AT_ONCE))
            least = np.min([(part * _FACTORS + _SUMMANDS).min(axis=1) for part in parts], axis=0)
            values = (least * _OF_KEYS[:, 0]).reshape(BANDS, ROWS)
            own = np.concatenate([own, _mixed(values.sum(axis=1))])
        keys: list[int] = own.view(np.int64).tolist()
        return keys

    def similarity(self, other: "_Said") -> float:
        if self.text == other.text:
            return 1.0
        both = len(np.intersect1d(self.shingles, other.shingles, assume_unique=True))
        return both / (len(self.shingles) + len(other.shingles) - both) if both else 0.0


# --- Prompts that are there -------------------------------------------------------------------------------------------


@dataclass
class _Near:
    """A prompt that has keys in common with a new one."""

    shared: int
    age: tuple[int, int]  # (0, task) of one that is stored, (1, number) of one in the batch: less for the older one
    split_group: str
    similarity: float = 0.0
    same_text: bool = False

    def compare(self, one: _Said, other: _Said) -> None:
        self.similarity, self.same_text = one.similarity(other), one.text == other.text


def _nearest(near: Iterable[_Near]) -> list[_Near]:
    """Those to compare. The nearest of all are among the nearest of any part, so a batch can be looked at by itself."""
    nearest: list[_Near] = []
    of_group: Counter[str] = Counter()
    for one in sorted(near, key=lambda one: (-one.shared, one.age)):
        of_group[one.split_group] += 1
        if of_group[one.split_group] <= OF_A_GROUP and len(nearest) < COMPARED:
            nearest.append(one)
    return nearest


class _Shelves:
    """Prompts by their keys: those that the project has, and those of a batch that came in before."""

    def __init__(self, project: Project, texts: Iterable[_Said]) -> None:
        self.there: dict[int, dict[tuple[int, int], str]] = defaultdict(dict)  # by key: ages, with their groups
        self.batch: list[_Said] = []
        self.stored: dict[str, list[_Near]] = {}  # by text, those to compare it with
        texts = list(texts)
        wanted = sorted({key for said in texts for key in said.keys})  # neighbours in the index, one after the other
        if wanted:
            with connection.cursor() as cursor:
                cursor.execute(_FIND, [wanted, project.pk, KEPT_PER_KEY])
                for key, task, group in cursor:
                    self.there[key][0, task] = group
        if self.there:
            self._compare_stored(texts)

    def _near(self, said: _Said, kind: int) -> list[_Near]:
        shared: Counter[tuple[int, int]] = Counter()
        groups: dict[tuple[int, int], str] = {}
        for key in said.keys:
            if there := self.there.get(key):
                shared.update(age for age in there if age[0] == kind)
                groups |= there
        return _nearest(_Near(count, age, groups[age]) for age, count in shared.items())

    def _compare_stored(self, texts: Iterable[_Said]) -> None:
        wanting: dict[int, list[tuple[_Said, _Near]]] = defaultdict(list)
        for said in texts:
            self.stored[said.text] = self._near(said, 0)
            for one in self.stored[said.text]:
                wanting[one.age[1]].append((said, one))
        codes = _Codes()
        rows = Task.objects.filter(pk__in=list(wanting)).values_list("pk", "conversation", "tree")
        for pk, conversation, tree in rows.iterator(chunk_size=100):
            there = _Said(normalised(first_prompt(conversation, tree)), codes)
            for said, one in wanting[pk]:
                one.compare(said, there)

    def place(self, prompt: Prompt, said: _Said) -> Place:
        near = _nearest([*self.stored.get(prompt.text, ()), *self._near(said, 1)])
        for one in near:
            if one.age[0] == 1:
                one.compare(said, self.batch[one.age[1]])
        like = sorted((one for one in near if one.similarity >= SIMILAR), key=lambda one: (-one.similarity, one.age))
        group = prompt.split_group or (like[0].split_group if like else _group_of(prompt.text))
        known = any(one.same_text and one.split_group == group for one in like)
        keys = () if known else tuple(key for key in said.keys if self._has_room(key, group))
        for key in keys:
            self.there[key][1, len(self.batch)] = group
        self.batch.append(said)
        return Place(group, self._touches(prompt, said, group, like), keys)

    def _has_room(self, key: int, group: str) -> bool:
        there = self.there.get(key, {}).values()
        return len(there) < KEPT_PER_KEY and list(there).count(group) < OF_A_GROUP

    @staticmethod
    def _touches(prompt: Prompt, said: _Said, group: str, like: list[_Near]) -> tuple[str, ...]:
        """Whoever named a group has said what belongs together: only the very same prompt elsewhere is news to him.

        Nor is it, where the conversation goes on, that others begin with the same few words.
        """
        if prompt.split_group:
            like = [one for one in like if one.same_text]
        if not prompt.alone and (prompt.split_group or not len(said.shingles)):
            return ()
        return tuple(sorted({one.split_group for one in like} - {group}))


def _group_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
