"""A hundred trees of OpenAssistant: what becomes a task, what is counted instead, and that it all goes in."""

import pytest

from annotate.judgement_rows import Row, read_rows
from annotate.models import Annotator, RankItem, Task
from annotate.services.imports import import_judgements
from annotate.services.projects import create_project
from tests.real.oasst import TREES, write_jsonl

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not TREES.exists(), reason=f"the real data are not there: {TREES} (PLUMBLINE_REAL_DATA)"),
]


def test_trees_become_rows(tmp_path, record_property):
    counts = write_jsonl(tmp_path / "rows.jsonl")
    # Of the 212 messages with ranked replies 5 are a model's, and so are the 17 replies to them.
    assert counts.as_dict() == {
        "trees": 100,
        "messages": 1167,
        "rows": 207,
        "languages": {"en": 207},
        "left_out": {"below": 17, "synthetic": 5, "unranked": 1},
        "no_row": {"few_ranked": 48, "single": 281},
    }
    assert counts.rows + sum(counts.no_row.values()) + 5 == 541  # messages with replies, as the file has them
    with (tmp_path / "rows.jsonl").open("rb") as file:
        rows = list(read_rows(file))
    assert all(isinstance(row, Row) for row in rows) and len(rows) == 207
    assert sum(len(row.conversation) > 1 for row in rows) == 113
    assert sum(len(row.outputs) for row in rows) == 624
    assert all(row.tree["at"] == row.id for row in rows)
    record_property("figure", f"{counts.as_dict()}")


def test_there_are_no_chinese_trees_in_it(tmp_path):
    """The published file is of English only; what asks for Chinese gets nothing, and each set of replies is counted."""
    counts = write_jsonl(tmp_path / "rows.jsonl", languages=("zh",))
    assert (counts.rows, counts.no_row) == (0, {"language": 536})


@pytest.mark.django_db
def test_the_rows_go_in_as_they_are(tmp_path):
    write_jsonl(tmp_path / "rows.jsonl")
    project = create_project(slug="oasst", name="OpenAssistant")
    with (tmp_path / "rows.jsonl").open("rb") as file:
        done = import_judgements(project=project, source="oasst", file=file, kind=Annotator.Kind.AGGREGATE)
    assert (done.tasks, done.judgements) == (207, 207)
    assert RankItem.objects.filter(answer__annotation__slot__task__project=project).count() == 624
    tasks = Task.objects.filter(project=project)
    assert tasks.values("split_group").distinct().count() == 95  # trees, without the five that a model wrote
