"""The raw judgements: a row is what one person said of one task, with all that pairs, weights and labels are made of.

`tiers` names the outputs of which something is known. `tier`: 1 is best, equal tiers are ties. Without a tier an output that
is `known` is below all that have one, and not compared with another such; of one that is not known the order says nothing,
and the line alone speaks of it. `acceptable`: above the line or not; null where nothing was said. `answers` is JSON: a list
of all other answers, each with question, version, kind, output, rule, value and spans.

docs/exports.md says how label, weight and soft label follow from these rows. Nothing is left out, empty outputs neither.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC
from typing import Any

import orjson
import pyarrow as pa

from curation.exporting.deriving import TURNS, column, schema_of, shared_of
from curation.exporting.records import Item, Options, Order, Prompt

NAME = "judgement"
UNITS: tuple[str, ...] = ("judgement",)
OUTPUTS = pa.list_(
    pa.struct(
        [("sha256", pa.string()), ("name", pa.string()), ("text", pa.string()), ("models", pa.list_(pa.string()))]
    )
)
TIERS = pa.list_(
    pa.struct([("output", pa.string()), ("tier", pa.int32()), ("known", pa.bool_()), ("acceptable", pa.bool_())])
)


def schema(options: Options) -> pa.Schema:
    return schema_of(
        column("annotation", pa.int64()),
        column("annotator", pa.string()),
        column("annotator_kind", pa.string()),
        column("human", pa.bool_()),
        column("reliability", pa.float64()),
        pa.field("guideline", pa.int32()),
        column("created_at", pa.string()),
        column("prompt", TURNS),
        column("outputs", OUTPUTS),
        column("question", pa.string()),
        column("tiers", TIERS),
        pa.field("strength", pa.int32()),
        column("answers", pa.string()),
    )


def rows(prompt: Prompt, options: Options, counted: Counter[str]) -> Iterator[dict[str, Any]]:
    counted["judgements"] += len(prompt.judgements)
    outputs: dict[int, list[dict[str, Any]]] = {}
    for judgement in prompt.judgements:
        item, order = judgement.item, judgement.order
        if item.task not in outputs:
            outputs[item.task] = _outputs(item)
        yield {
            "row_id": f"{item.prompt_id}/{judgement.annotation}",
            "annotation": judgement.annotation,
            "annotator": judgement.annotator,
            "annotator_kind": judgement.annotator_kind,
            "human": judgement.human,
            "reliability": judgement.reliability,
            "guideline": judgement.guideline,
            "created_at": judgement.created_at.astimezone(UTC).isoformat(),
            "prompt": item.conversation,
            "outputs": outputs[item.task],
            "question": options.question,
            "tiers": _tiers(item, order) if order else [],
            "strength": order.strength if order else None,
            "answers": orjson.dumps(judgement.answers).decode(),
            **shared_of(judgement),
        }


def _outputs(item: Item) -> list[dict[str, Any]]:
    return [
        {"sha256": one.sha256, "name": one.name, "text": one.text, "models": list(one.models)} for one in item.outputs
    ]


def _tiers(item: Item, order: Order) -> list[dict[str, Any]]:
    return [
        {
            "output": one.sha256,
            "tier": order.tiers.get(one.sha256),
            "known": one.sha256 in order.tiers,
            "acceptable": order.acceptable.get(one.sha256),
        }
        for one in item.outputs
        if one.sha256 in order.tiers or one.sha256 in order.acceptable
    ]
