"""A real study of preferences goes in; its known figures come out (see pandalm.py)."""

import pytest

from annotate.models import PairAnswer, Question
from annotate.services import agreement
from annotate.services.imports import import_judgements
from annotate.services.projects import create_project
from curation.services import exports
from curation.tasks import build_export
from tests.real.pandalm import TESTSET, write_jsonl

pytestmark = [
    pytest.mark.real,
    pytest.mark.django_db,
    pytest.mark.skipif(not TESTSET.exists(), reason=f"the real data are not there: {TESTSET} (PLUMBLINE_REAL_DATA)"),
]


def test_pandalm_agrees_and_exports_as_published(tmp_path, record_property):
    assert write_jsonl(tmp_path / "pandalm.jsonl") == 999
    project = create_project(slug="pandalm", name="PandaLM")
    with (tmp_path / "pandalm.jsonl").open("rb") as file:
        done = import_judgements(project=project, source="pandalm", file=file)
    assert (done.tasks, done.judgements) == (999, 2997)

    question = project.preference_question
    [measured] = agreement.measure(question, agreement.read(question))
    unanimous = measured.unanimous
    kappa = {figure.name: figure for figure in measured.figures}["fleiss_kappa"]
    assert unanimous == (879, 999)
    assert kappa.value == pytest.approx(0.864, abs=0.0005)
    assert kappa.low < kappa.value < kappa.high
    assert kappa.n_groups == 170

    export = exports.request_export(project=project, actor=None, send=False)
    build_export(str(export.job_id))
    export.refresh_from_db()
    counts, splits = export.manifest["counts"], export.manifest["splits"]
    # Every judgement is of one pair: 326 are ties, and in 156 of the rest one of the two outputs is empty.
    assert (counts["comparisons"], counts["ties"], counts["empty_outputs"], counts["rows"]) == (2997, 326, 156, 2515)
    assert splits["train"]["rows"] + splits["test"]["rows"] == 2515
    assert export.manifest["agreement"][3]["value"] == pytest.approx(kappa.value)
    record_property(
        "figure",
        f"unanimous on {unanimous[0]} of {unanimous[1]}, Fleiss κ {kappa.value:.4f} ({kappa.low:.3f} – {kappa.high:.3f}), "
        f"{counts['rows']} pairs ({splits['train']['rows']} train, {splits['test']['rows']} test) after {counts['ties']} ties",
    )


def test_pandalm_as_comparisons_gives_the_same_figures(tmp_path, record_property):
    """Asked as it was asked: which of the two is better, or neither is; three people each."""
    write_jsonl(tmp_path / "pandalm.jsonl")
    project = create_project(slug="pandalm-pairwise", name="PandaLM")
    project.questions.update(kind=Question.Kind.PAIRWISE, settings={"steps": 2, "tie": True})
    with (tmp_path / "pandalm.jsonl").open("rb") as file:
        done = import_judgements(project=project, source="pandalm", file=file)
    assert (done.tasks, done.judgements) == (999, 2997)
    ties = PairAnswer.objects.filter(strength=0).count()
    assert (PairAnswer.objects.count(), ties) == (2997, 326)
    question = project.preference_question
    [measured] = agreement.measure(question, agreement.read(question))
    kappa = {figure.name: figure.value for figure in measured.figures}["fleiss_kappa"]
    assert measured.unanimous == (879, 999)
    assert kappa == pytest.approx(0.864, abs=0.0005)
    export = exports.request_export(project=project, actor=None, send=False)
    build_export(str(export.job_id))
    export.refresh_from_db()
    assert export.manifest["counts"]["rows"] == 2515
    record_property(
        "figure", f"2,997 comparisons, {ties} ties, unanimous 879 of 999, Fleiss κ {kappa:.4f}, 2,515 pairs"
    )
