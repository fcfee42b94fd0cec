"""Trees of OpenAssistant as a file of judgements: people's ranked replies, within their conversations.

They are read from PLUMBLINE_REAL_DATA (default ../shared/data) and never become part of the project.
"""

from pathlib import Path

import orjson

from annotate.judgement_rows import RowError
from annotate.oasst import Counts, rows, trees
from tests.real.pandalm import DATA

TREES = DATA / "oasst" / "en_100_tree.jsonl"


def write_jsonl(target: Path, source: Path = TREES, languages: tuple[str, ...] = ("en", "zh")) -> Counts:
    """Write the rows of these languages; returns what was read and what became none. A bad tree stops it."""
    counts = Counts()
    with source.open("rb") as file, target.open("wb") as out:
        for tree in trees(file):
            if isinstance(tree, RowError):
                raise tree
            for row in rows(tree, languages, counts):
                out.write(orjson.dumps(row) + b"\n")
    return counts
