"""PandaLM and OpenAssistant in every kind that applies and in every shape: how many rows, and why the others are none.

The numbers were counted apart from Plumbline, by loops over the files; docs/exports.md has the table. Each export passes both
verifiers, and of 20 of its rows drawn by chance label, weight and soft label follow from the raw judgements alone.
"""

import json
import random
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from annotate.models import Annotator, Project
from annotate.services.imports import import_judgements
from annotate.services.projects import create_project
from curation.exporting.kinds import KINDS
from curation.exporting.shapes import SHAPES, shapes_of
from curation.models import Export
from curation.services import exports
from curation.tasks import build_export
from jobs.models import Job
from tests import library
from tests.real import oasst, pandalm
from tests.test_export_drills import check_again, in_folder, rebuilt

pytestmark = [
    pytest.mark.real,
    pytest.mark.django_db,
    pytest.mark.skipif(
        not (pandalm.TESTSET.exists() and oasst.TREES.exists()),
        reason=f"the real data are not there: {pandalm.DATA} (PLUMBLINE_REAL_DATA)",
    ),
]

NOBODY, NOT_ASKED = "There is nothing to export yet", "asks no question"

# Rows of each kind and unit, or why there is none. PandaLM: three people on each of 999 pairs; in 54 of these an output is
# empty, and 326 of the 2,997 judgements are ties.
PANDALM: dict[tuple[str, str], int | str] = {
    ("preference", "judgement"): 2515,  # 2,997 less 326 ties less 156 that prefer something to an empty output, or it
    ("preference", "consensus"): 842,  # two of three prefer the same one in 894; in 52 of these an output is empty
    ("ranking", "judgement"): 2835,  # ties are rankings too; three people on each of the 945 whole pairs
    ("ranking", "consensus"): 945,
    ("unpaired", "judgement"): NOBODY,  # nobody drew a line
    ("unpaired", "consensus"): NOBODY,
    ("rating", "judgement"): NOT_ASKED,
    ("rating", "consensus"): NOT_ASKED,
    ("violation", "judgement"): NOT_ASKED,
    ("violation", "consensus"): NOT_ASKED,
    ("prompt", "judgement"): 170,
    ("judgement", "judgement"): 2997,
}
# OpenAssistant: 207 sets of ranked replies, one rank for all who ranked. Such an aggregate is nobody's vote.
OASST: dict[tuple[str, str], int | str] = PANDALM | {
    ("preference", "judgement"): 732,
    ("preference", "consensus"): NOBODY,
    ("ranking", "judgement"): 207,
    ("ranking", "consensus"): NOBODY,
    ("prompt", "judgement"): 207,
    ("judgement", "judgement"): 207,
}
QUARANTINED = {("oasst", "preference", "hh"): {"turn_marker": 3}}  # they quote a dialogue of Human and Assistant
CASES = [(name, kind, unit) for name in ("pandalm", "oasst") for kind, unit in PANDALM]


def project_of(name: str, folder: Path) -> Project:
    source = {"pandalm": pandalm, "oasst": oasst}[name]
    source.write_jsonl(folder / "rows.jsonl")
    project = create_project(slug=name, name=name)
    kind = Annotator.Kind.AGGREGATE if name == "oasst" else Annotator.Kind.IMPORTED
    with (folder / "rows.jsonl").open("rb") as file:
        import_judgements(project=project, source=name, file=file, kind=kind)
    return project


def built(project: Project, **options) -> Export:
    made = exports.request_export(project=project, actor=None, send=False, **options)
    build_export(str(made.job_id))
    return Export.objects.get(pk=made.pk)


def verified(made: Export, folder: Path) -> Path:
    """The export in a folder, once both verifiers found nothing."""
    in_folder(made, folder)
    alone = subprocess.run([sys.executable, "-I", "-S", "verify.py"], cwd=folder, capture_output=True, text=True)
    assert alone.returncode == 0, alone.stdout
    said = StringIO()
    call_command("verify_export", folder, stdout=said)
    assert "All that was checked holds." in said.getvalue()
    return folder


def rows_in(folder: Path, made: Export) -> list[dict]:
    paths = [folder / SHAPES[made.shape].file(made.kind, split) for split in ("train", "test")]
    return [json.loads(line) for path in paths if path.exists() for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize(("name", "kind", "unit"), CASES)
def test_as_many_rows_as_counted_in_every_shape(tmp_path, record_property, name, kind, unit):
    expected = {"pandalm": PANDALM, "oasst": OASST}[name][kind, unit]
    project = project_of(name, tmp_path)
    for shape in shapes_of(kind):
        made = built(project, kind=kind, unit=unit, shape=shape)
        if isinstance(expected, str):
            assert not made.built
            assert expected in Job.objects.get(pk=made.job_id).error
            continue
        quarantined = QUARANTINED.get((name, kind, shape), {})
        assert made.manifest and made.manifest["quarantined"] == quarantined
        assert made.manifest["counts"]["rows"] == expected - sum(quarantined.values())
        rows = rows_in(verified(made, tmp_path / shape), made)
        assert len(rows) == made.manifest["counts"]["rows"]
    record_property("figure", f"{name}, {kind}, {unit}: {expected}, in {', '.join(shapes_of(kind))}")


def test_every_kind_of_a_project_is_counted():
    assert {kind for kind, _unit in PANDALM} == {kind for _name, kind, _unit in CASES} == set(KINDS)


def test_the_counts_say_what_became_of_each_comparison(tmp_path):
    project = project_of("pandalm", tmp_path)
    counts = built(project).manifest["counts"]
    assert (counts["comparisons"], counts["ties_dropped"], counts["empty_outputs"]) == (2997, 326, 156)
    counts = built(project, unit="consensus").manifest["counts"]
    assert (counts["comparisons"], counts["ties_dropped"], counts["empty_outputs"]) == (999, 105, 52)


@pytest.mark.parametrize(
    ("name", "unit", "reliability"),
    [
        ("pandalm", "judgement", "equal"),
        ("pandalm", "judgement", "one_coin"),
        ("pandalm", "consensus", "equal"),
        ("oasst", "judgement", "equal"),
    ],
)
def test_20_random_rows_follow_from_the_raw_judgements_alone(tmp_path, record_property, name, unit, reliability):
    project = project_of(name, tmp_path)
    raw = in_folder(built(project, kind="judgement"), tmp_path / "raw")
    made = built(project, unit=unit, reliability=reliability, ties="soft")
    rows = rows_in(in_folder(made, tmp_path / "export"), made)
    found = rebuilt(raw, "--unit", unit, "--reliability", reliability)
    assert len(found) == len(rows)
    soft = set()
    for row in random.Random(20).sample(rows, 20):
        check_again(row, found[row["row_id"]])
        soft.add(row["soft_label"])
    record_property(
        "figure",
        f"{name}, {unit}, {reliability}: 20 of 20 of {len(rows)} rows, soft labels {min(soft)} to {max(soft)}",
    )


def test_openassistant_as_instructions_in_every_shape(tmp_path, record_property):
    """Its dialogues as a dataset, whose first question and answer a template takes: 626 paths from root to leaf."""
    content = oasst.TREES.read_bytes()
    about = {"name": "oasst", "licence": "Apache-2.0", "file_name": "en_100_tree.jsonl"}
    made = library.dataset(content, group_column="message_tree_id", **about)
    instances = library.instances(
        made, library.template(made, "{{ messages[0].content }} ||| {{ messages[1].content }}")
    )
    assert (made.rows, instances.instances) == (626, 626)
    for shape in shapes_of("sft"):
        export = library.sft_export(instances, shape=shape)
        assert export.manifest and export.manifest["quarantined"] == {}
        assert export.manifest["counts"]["rows"] == 626
        assert len(rows_in(verified(export, tmp_path / shape), export)) == 626
    record_property("figure", f"oasst, sft: 626, in {', '.join(shapes_of('sft'))}")
