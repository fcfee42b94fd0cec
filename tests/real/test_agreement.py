"""Agreement on real judgements: PandaLM's three people and a model beside them, OCNLI's five."""

import json
from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from annotate import measures
from annotate.models import AgreementDetail
from annotate.services import agreement
from annotate.services.imports import import_judgements
from annotate.services.projects import create_project
from tests.real.pandalm import DATA, RANKINGS, TESTSET, write_jsonl

GPT = TESTSET.with_name("gpt-3.5-turbo-testset-v1.json")
OCNLI = DATA / "ocnli"
LABELS = ["entailment", "neutral", "contradiction"]

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not TESTSET.exists(), reason=f"the real data are not there: {TESTSET} (PLUMBLINE_REAL_DATA)"),
]


def test_pandalm_cohen_kappa_of_each_two_people(record_property):
    rows = json.loads(TESTSET.read_text(encoding="utf-8"))
    prompts = [row["instruction"] + row["input"] for row in rows]
    found = []
    for one, other in ((1, 2), (1, 3), (2, 3)):
        first, second = ([row[f"annotator{number}"] for row in rows] for number in (one, other))
        found.append(measures.cohen_kappa(first, second, [0, 1, 2], prompts))
    assert sorted(round(kappa.value, 3) for kappa in found) == [0.852, 0.862, 0.879]
    assert all(kappa.low < kappa.value < kappa.high and kappa.n_units == 999 for kappa in found)
    record_property("figure", "κ " + ", ".join(f"{k.value:.3f} ({k.low:.3f} – {k.high:.3f})" for k in found))


@pytest.mark.django_db
def test_gpt_beside_the_people_of_pandalm_like_with_like(tmp_path, record_property):
    """Through the product: both come in by file, the model as a judge. Checked against sums made without it."""
    write_jsonl(tmp_path / "people.jsonl")
    said = {row["idx"]: row["gpt_result"] for row in json.loads(GPT.read_text(encoding="utf-8"))}
    ranked = {"0": RANKINGS[0], "1": RANKINGS[1], "2": RANKINGS[2]}
    with (tmp_path / "people.jsonl").open() as people, (tmp_path / "gpt.jsonl").open("w") as judge:
        for text in people:
            row = json.loads(text)
            verdict = str(said.get(int(row["id"].removeprefix("pandalm-"))))
            if verdict in ranked:
                row["judgements"] = [{"annotator": "gpt-3.5-turbo", "ranking": ranked[verdict]}]
                judge.write(json.dumps(row) + "\n")
    project = create_project(slug="pandalm", name="PandaLM")
    for name, kind in (("people", "imported"), ("gpt", "model")):
        with (tmp_path / f"{name}.jsonl").open("rb") as file:
            import_judgements(project=project, source=f"pandalm {name}", file=file, kind=kind)
    _as_of, [measured] = agreement.measure_and_keep(project=project)
    assert measured.unanimous == (879, 999)  # the judge does not count among people
    [judge] = AgreementDetail.objects.get().data["judges"]

    rows = [row for row in json.loads(TESTSET.read_text(encoding="utf-8")) if str(said.get(row["idx"])) in ranked]
    hits: dict[str, list[float]] = {
        "model_person": [],
        "person_person": [],
        "model_consensus": [],
        "person_consensus": [],
    }
    for row in rows:
        people, model = [row[f"annotator{number}"] for number in (1, 2, 3)], int(said[row["idx"]])
        hits["model_person"].append(np.mean([one == model for one in people]))
        hits["person_person"].append(np.mean([one == other for one, other in combinations(people, 2)]))
        left_out = []
        for at, one in enumerate(people):
            rest = people[:at] + people[at + 1 :]
            if rest[0] == rest[1]:
                left_out.append((model == rest[0], one == rest[0]))
        if left_out:
            hits["model_consensus"].append((np.mean([a for a, _ in left_out]), len(left_out)))
            hits["person_consensus"].append((np.mean([b for _, b in left_out]), len(left_out)))
    assert judge["n_units"] == len(rows)
    for name in ("model_person", "person_person"):
        assert judge[name]["value"] == pytest.approx(np.mean(hits[name]))
    for name in ("model_consensus", "person_consensus"):
        assert judge[name]["value"] == pytest.approx(np.mean([share for share, _n in hits[name]]))
    assert judge["model_person"]["high"] < judge["person_person"]["low"]
    record_property(
        "figure",
        f"{len(rows)} pairs: "
        + ", ".join(
            f"{n.replace('_', '–')} {judge[n]['value']:.3f} ({judge[n]['low']:.3f} – {judge[n]['high']:.3f})"
            for n in hits
        ),
    )


def test_ocnli_five_people(record_property):
    rows = [json.loads(line) for path in sorted(OCNLI.glob("*.json")) for line in path.read_text("utf-8").splitlines()]
    rows = [row for row in rows if all(row[f"label{number}"] in LABELS for number in range(5))]
    counts = np.array([[Counter(row[f"label{n}"] for n in range(5))[label] for label in LABELS] for row in rows])
    groups = [row["prem_id"] for row in rows]
    raw, fleiss = measures.pairwise_agreement(counts, groups), measures.fleiss_kappa(counts, groups)
    alpha, ac1 = measures.krippendorff_alpha(counts, groups), measures.gwet_ac(counts, groups)
    # from the definitions, over pairs of people
    same = np.mean(
        [np.mean([a == b for a, b in combinations([row[f"label{n}"] for n in range(5)], 2)]) for row in rows]
    )
    share = counts.sum(axis=0) / counts.sum()
    assert raw.value == pytest.approx(same)
    assert fleiss.value == pytest.approx((same - (share**2).sum()) / (1 - (share**2).sum()))
    assert alpha.value == pytest.approx(1 - (1 - fleiss.value) * (counts.sum() - 1) / counts.sum())
    majority = np.array(LABELS)[counts.argmax(axis=1)]
    agree = np.mean([row["label"] == said for row, said in zip(rows, majority, strict=True)])
    assert agree > 0.99  # the label of the set is the majority's
    record_property(
        "figure",
        f"{len(rows)} items × 5: raw {raw.value:.3f} ({raw.low:.3f} – {raw.high:.3f}), Fleiss κ {fleiss.value:.3f}, "
        f"α {alpha.value:.3f}, AC1 {ac1.value:.3f}; majority = label on {agree:.4f}",
    )
