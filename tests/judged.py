"""Records of what people judged, for the tests of exports. An output's sha256 is its name, a letter, so that tests can be read."""

from collections import Counter
from datetime import UTC, datetime

import pyarrow as pa

from curation.exporting.kinds import KINDS
from curation.exporting.records import Item, Judgement, Options, Order, Output, Prompt, Settled

PROMPT = "p"
QUESTION = [{"role": "user", "content": "Why does ice float?"}]


def item(outputs="ab", task=1, empty="", **fields):
    """A task whose outputs are these letters; the text of those in `empty` is white space."""
    made = [Output(name, " \n" if name in empty else f"Text {name}", name, (f"model-{name}",)) for name in outputs]
    return Item(task, f"task-{task}", PROMPT, QUESTION, made, **{"split_group": "g", "language": "en"} | fields)


def judged(annotation=1, of=None, *, line=None, strength=None, answers=(), reliability=1.0, human=True, **tiers):
    """What somebody said: `tiers` by letter, `line` the letters above it or a mapping of those it speaks of."""
    of = of or item("".join(tiers))
    line = {name: name in line for name in tiers} if isinstance(line, str) else line or {}
    return Judgement(
        annotation,
        of,
        f"person-{annotation}",
        "person" if human else "model",
        human,
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        reliability=reliability,
        order=Order(tiers, line, strength) if tiers or line else None,
        answers=answers,
    )


def settled(of, votes, *, annotations=(1,), adjudicated=False, strength=None, confidence=0.8, line=None, **tiers):
    """What a task came to; without tiers and line it is undecided."""
    order = Order(tiers, line or {}) if tiers or line else None
    return Settled(of, confidence, adjudicated, "by hand", len(annotations), annotations, order, votes, strength)


def rows_of(kind, *judgements, settled=(), answers=(), **options):
    """The rows of one prompt, each of which fits its schema, and the counts."""
    asked = Options(**{"unit": "judgement", "question": "overall"} | options)
    counted = Counter()
    rows = list(KINDS[kind].rows(Prompt(PROMPT, judgements, settled, answers), asked, counted))
    schema = KINDS[kind].schema(asked)
    assert all(list(row) == schema.names for row in rows)
    table = pa.Table.from_pylist(rows, schema)
    table.validate(full=True)
    assert not [field.name for field in schema if not field.nullable and table[field.name].null_count]
    assert len({row["row_id"] for row in rows}) == len(rows)
    assert all(row["annotations"] == sorted(row["annotations"]) for row in rows)
    return rows, +counted


def pairs(rows, *columns):
    """Chosen and rejected by letter, and these columns."""
    return [(letter(row["chosen"]), letter(row["rejected"]), *(row[name] for name in columns)) for row in rows]


def letter(turns):
    [turn] = turns
    assert turn["role"] == "assistant"
    return turn["content"].removeprefix("Text ")
