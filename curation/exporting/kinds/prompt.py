"""Prompts alone, for trainers that make their own answers (GRPO, RLOO): a row is a prompt that somebody judged.

One row per prompt, in the name of its first task. It rests on all judgements of the prompt.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from curation.exporting.deriving import TURNS, annotators_of, column, schema_of, shared
from curation.exporting.records import Options, Prompt

NAME = "prompt"
UNITS: tuple[str, ...] = ("judgement",)


def schema(options: Options) -> pa.Schema:
    return schema_of(column("prompt", TURNS))


def rows(prompt: Prompt, options: Options, counted: Counter[str]) -> Iterator[dict[str, Any]]:
    counted["judgements"] += len(prompt.judgements)
    if prompt.judgements:
        item, annotators = prompt.judgements[0].item, annotators_of(prompt)
        said = {"row_id": prompt.prompt_id, "prompt": item.conversation}
        yield said | shared(item, annotators, annotators)
