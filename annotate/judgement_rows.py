"""Reading files of judgements (JSONL, one task a line; docs/formats.md describes it). No database here.

A row that cannot be taken gives a `RowError` that names the line, the field and the remedy; reading goes on, so that
one run finds all of them. Memory does not grow with the file: a line over the limit is not even read whole.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

import orjson
from django.utils.translation import gettext as _

Read = TypeVar("Read")
MAX_ROW_BYTES = 1024 * 1024
MAX_OUTPUTS = 9
MOST_STRENGTH = 4
MOST_SLUGS, MOST_NODES, LONGEST_NODE = 20, 300, 2000
SLUG = re.compile("[a-z0-9][a-z0-9_-]*")
ROLES = ("system", "user", "assistant")
PURPOSES = ("work", "training", "test", "gold", "calibration")
KNOWN_PURPOSES = ("training", "test", "gold")  # whose answer researchers may know
LONGEST_REASON = 5000
FIELDS = {
    "row": (
        "id",
        "prompt",
        "completions",
        "judgements",
        "language",
        "group",
        "priority",
        "skills",
        "categories",
        "batch",
        "tree",
        "purpose",
        "known",
    ),
    "completion": ("id", "text", "model", "models"),
    "judgement": ("annotator", "ranking", "strength"),
    "known": ("researcher", "ranking", "strength", "reason"),
}


class RowError(Exception):
    """What is wrong with one line. `line` counts from 1; 0 means the file as a whole."""

    def __init__(self, line: int, field: str, message: str) -> None:
        super().__init__(message)
        self.line, self.field, self.message = line, field, message

    def __str__(self) -> str:
        where = _("Line %(line)d") % {"line": self.line} if self.line else _("The file")
        return f"{where}, {self.field}: {self.message}" if self.field else f"{where}: {self.message}"

    def as_dict(self) -> dict[str, str | int]:
        return {"line": self.line, "field": self.field, "message": self.message}


@dataclass(frozen=True)
class Output:
    id: str
    text: str
    models: tuple[str, ...]


@dataclass(frozen=True)
class Judgement:
    annotator: str
    tiers: dict[str, int]  # by output id, from 1 for the best; equal for a tie; unranked ones are not in it
    strength: int | None = None  # of a comparison of two: how much better, 1 for the least


@dataclass(frozen=True)
class Known:
    """What a researcher answers: as a judgement, with the reason."""

    researcher: str
    tiers: dict[str, int]
    strength: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Row:
    line: int
    id: str
    conversation: list[dict[str, str]]
    outputs: list[Output]
    judgements: list[Judgement]
    language: str
    group: str
    priority: int
    skills: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    batch: str = ""
    tree: dict[str, Any] | None = None
    purpose: str = "work"
    known: tuple[Known, ...] = ()


def read_rows(file: BinaryIO) -> Iterator[Row | RowError]:
    """Each line as a Row, or as the error that keeps it from being one. Blank lines are passed over."""
    return each_once(_lines(file), lambda line, raw: _row(line, _parsed(line, raw)), "id", lambda row: row.id)


def each_once(
    lines: Iterable[tuple[int, Any]], read: Callable[[int, bytes], Read], field: str, id_of: Callable[[Read], str]
) -> Iterator[Read | RowError]:
    """What `read` makes of each line, or its error; also where an id, which `field` has, stands on an earlier line."""
    seen: dict[str, int] = {}
    for line, raw in lines:
        try:
            if isinstance(raw, RowError):
                raise raw
            if not raw.strip():
                continue
            row = read(line, raw)
            if (first := seen.setdefault(id_of(row), line)) != line:
                message = _("“%(id)s” stands on line %(first)d already. Each row needs an id of its own.")
                raise RowError(line, field, message % {"id": id_of(row), "first": first})
            yield row
        except RowError as error:
            yield error


def _lines(file: BinaryIO) -> Iterator[tuple[int, Any]]:
    line = 0
    while raw := file.readline(MAX_ROW_BYTES + 1):
        line += 1
        if len(raw) > MAX_ROW_BYTES:
            size = len(raw)
            while not raw.endswith(b"\n") and (raw := file.readline(MAX_ROW_BYTES)):
                size += len(raw)
            yield (
                line,
                RowError(
                    line,
                    "",
                    _("It has %(size).1f MB; a row may have 1 MB. Shorten its texts or leave it out.")
                    % {"size": size / 1e6},
                ),
            )
        else:
            yield line, raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw


def _parsed(line: int, raw: bytes) -> dict[str, Any]:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise RowError(
            line, "", _("Byte %(at)d is not UTF-8. Save the file as UTF-8 and try again.") % {"at": error.start + 1}
        ) from None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RowError(line, "", _("It is not JSON: %(why)s.") % {"why": str(error)}) from None
    if not isinstance(value, dict):
        raise RowError(line, "", _('It must be an object, such as {"id": …, "prompt": …}.'))
    return value


class _Field:
    """A value of a row together with its place, so that every check can say where it failed."""

    def __init__(self, line: int, path: str, value: Any) -> None:
        self.line, self.path, self.value = line, path, value

    def fail(self, message: str) -> RowError:
        return RowError(self.line, self.path, message)

    def text(self, limit: int | None = None, may_be_empty: bool = False) -> str:
        if not isinstance(self.value, str) or not (may_be_empty or self.value.strip()):
            raise self.fail(
                _("A text is needed here.") if may_be_empty else _("A text that is not empty is needed here.")
            )
        if "\x00" in self.value:
            raise self.fail(_("It holds a NUL character. Remove it."))
        if limit and len(self.value) > limit:
            raise self.fail(_("It may have %(limit)d characters at most.") % {"limit": limit})
        return self.value

    def name(self) -> str:
        """A short text; a whole number will do and becomes a text."""
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            return str(self.value)
        return self.text(limit=200)

    def items(self, least: int, most: int | None = None) -> list["_Field"]:
        if not isinstance(self.value, list):
            raise self.fail(_("A list is needed here."))
        if len(self.value) < least or (most and len(self.value) > most):
            wanted = f"{least}–{most}" if most else f"{least} …"
            raise self.fail(
                _("It has %(count)d items; %(wanted)s are needed.") % {"count": len(self.value), "wanted": wanted}
            )
        return [_Field(self.line, f"{self.path}[{number}]", item) for number, item in enumerate(self.value)]

    def fields(self, kind: str, required: tuple[str, ...]) -> dict[str, "_Field"]:
        if not isinstance(self.value, dict):
            raise self.fail(_("An object is needed here."))
        known = FIELDS.get(kind, required)
        if unknown := sorted(set(self.value) - set(known)):
            raise self.fail(
                _("Unknown field “%(name)s”. Known are: %(known)s.") % {"name": unknown[0], "known": ", ".join(known)}
            )
        if missing := [name for name in required if name not in self.value]:
            raise self.fail(_("“%(name)s” is missing.") % {"name": missing[0]})
        dot = f"{self.path}." if self.path else ""
        return {name: _Field(self.line, dot + name, value) for name, value in self.value.items()}


def _row(line: int, value: dict[str, Any]) -> Row:
    fields = _Field(line, "", value).fields("row", ("id", "prompt"))
    given = fields["completions"].items(0, MAX_OUTPUTS) if "completions" in fields else []
    outputs = [_output(item) for item in given]
    for what, values in (("id", [output.id for output in outputs]), ("text", [output.text for output in outputs])):
        again = next((number for number, value in enumerate(values) if value in values[:number]), None)
        if again is not None:
            field = f"completions[{again}].{what}"
            raise RowError(line, field, _("Another output of this row has the same one. Each must differ."))
    ids = [output.id for output in outputs]
    judgements = [_judgement(item, ids) for item in fields["judgements"].items(0)] if "judgements" in fields else []
    judges = [judgement.annotator for judgement in judgements]
    if twice := [name for number, name in enumerate(judges) if name in judges[:number]]:
        raise RowError(line, "judgements", _("“%(name)s” judges twice. Keep one of the two.") % {"name": twice[0]})
    purpose = _purpose(fields)
    priority = fields["priority"].value if "priority" in fields else 0
    if type(priority) is not int or not 0 <= priority <= 9:
        raise fields["priority"].fail(_("A whole number from 0 to 9 is needed here."))
    return Row(
        line=line,
        id=fields["id"].name(),
        conversation=_conversation(fields["prompt"]),
        outputs=outputs,
        judgements=judgements,
        language=fields["language"].text(limit=35) if "language" in fields else "",
        group=fields["group"].name() if "group" in fields else "",
        priority=priority,
        skills=_slugs(fields.get("skills")),
        categories=_slugs(fields.get("categories")),
        batch=fields["batch"].text(limit=100).strip() if "batch" in fields else "",
        tree=_tree(fields["tree"]) if "tree" in fields else None,
        purpose=purpose,
        known=_known(fields["known"], ids) if "known" in fields else (),
    )


def _purpose(fields: dict[str, "_Field"]) -> str:
    """What the task is for. Places, and so judgements, are of work alone; answers are known of what measures people."""
    purpose = fields["purpose"].value if "purpose" in fields else PURPOSES[0]
    if purpose not in PURPOSES:
        raise fields["purpose"].fail(_("It must be one of: %(purposes)s.") % {"purposes": ", ".join(PURPOSES)})
    if purpose != PURPOSES[0] and "judgements" in fields and fields["judgements"].value:
        raise fields["judgements"].fail(
            _("Judgements come with work alone. Leave them out; what researchers answer stands in “known”.")
        )
    if purpose not in KNOWN_PURPOSES and "known" in fields:
        raise fields["known"].fail(
            _("Known answers come with these purposes alone: %(purposes)s. Name one in “purpose”, or leave them out.")
            % {"purposes": ", ".join(KNOWN_PURPOSES)}
        )
    return purpose


def _known(field: "_Field", ids: list[str]) -> tuple[Known, ...]:
    found: dict[str, Known] = {}
    for item in field.items(0):
        fields = item.fields("known", ("researcher", "ranking"))
        name = fields["researcher"].name()
        if name in found:
            raise fields["researcher"].fail(_("“%(name)s” answers twice. Keep one of the two.") % {"name": name})
        reason = fields["reason"].text(limit=LONGEST_REASON, may_be_empty=True) if "reason" in fields else ""
        found[name] = Known(name, _tiers(fields["ranking"], ids), _strength(fields.get("strength")), reason.strip())
    return tuple(found.values())


def _slugs(field: "_Field | None") -> tuple[str, ...]:
    """Short names, such as `medicine` or `self-harm`."""
    if field is None:
        return ()
    for item in field.items(0, MOST_SLUGS):
        if not SLUG.fullmatch(item.text(limit=40)):
            raise item.fail(_("Small letters, digits and - are allowed here, such as self-harm."))
    return tuple(dict.fromkeys(field.value))


def _tree(field: "_Field") -> dict[str, Any]:
    """Where the outputs hang: the id of the node they answer, and the nodes of the conversation's tree."""
    fields = field.fields("tree", ("at", "nodes"))
    ids: set[str] = set()
    nodes = []
    for item in fields["nodes"].items(1, MOST_NODES):
        node = item.fields("node", ("id", "parent", "role", "content"))
        if node["role"].value not in ROLES:
            raise node["role"].fail(_("It must be one of: %(roles)s.") % {"roles": ", ".join(ROLES)})
        parent = None if node["parent"].value is None else node["parent"].name()
        if parent is not None and parent not in ids:
            raise node["parent"].fail(
                _("There is no node “%(id)s” before this one. Parents come first.") % {"id": parent}
            )
        ids.add(node["id"].name())
        content = node["content"].text(limit=LONGEST_NODE, may_be_empty=True)
        nodes.append({"id": node["id"].name(), "parent": parent, "role": node["role"].value, "content": content})
    if fields["at"].name() not in ids:
        raise fields["at"].fail(_("There is no node of this id in the tree."))
    return {"at": fields["at"].name(), "nodes": nodes}


def _conversation(prompt: _Field) -> list[dict[str, str]]:
    if isinstance(prompt.value, str):
        return [{"role": "user", "content": prompt.text()}]
    turns = []
    for item in prompt.items(1):
        fields = item.fields("turn", ("role", "content"))
        if fields["role"].value not in ROLES:
            raise fields["role"].fail(_("It must be one of: %(roles)s.") % {"roles": ", ".join(ROLES)})
        turns.append({"role": fields["role"].value, "content": fields["content"].text()})
    if turns[-1]["role"] != "user":
        raise prompt.fail(_("The last turn must be the user's: the outputs answer it."))
    return turns


def _output(item: _Field) -> Output:
    fields = item.fields("completion", ("id", "text"))
    models = [model.name() for model in fields["models"].items(0)] if "models" in fields else []
    if "model" in fields:
        models.append(fields["model"].name())
    # A model may answer nothing at all, and people judge that too.
    text = fields["text"].text(may_be_empty=True)
    return Output(id=fields["id"].name(), text=text, models=tuple(sorted(set(models))))


def _judgement(item: _Field, ids: list[str]) -> Judgement:
    fields = item.fields("judgement", ("annotator", "ranking"))
    tiers, strength = _tiers(fields["ranking"], ids), _strength(fields.get("strength"))
    return Judgement(annotator=fields["annotator"].name(), tiers=tiers, strength=strength)


def _tiers(ranking: _Field, ids: list[str]) -> dict[str, int]:
    tiers: dict[str, int] = {}
    for tier, place in enumerate(ranking.items(1), 1):
        tied = place.items(1) if isinstance(place.value, list) else [place]
        for output in tied:
            name = output.name()
            if name not in ids:
                raise output.fail(
                    _("There is no output “%(name)s” in this row. It has: %(ids)s.")
                    % {"name": name, "ids": ", ".join(ids)}
                )
            if name in tiers:
                raise output.fail(_("“%(name)s” is ranked twice. Name it once.") % {"name": name})
            tiers[name] = tier
    return tiers


def _strength(field: "_Field | None") -> int | None:
    strength = field.value if field else None
    if field and strength is not None and (type(strength) is not int or not 1 <= strength <= MOST_STRENGTH):
        raise field.fail(_("A whole number from 1 to %(most)d is needed here.") % {"most": MOST_STRENGTH})
    return strength
