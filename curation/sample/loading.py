"""What `make demo` shows: two small datasets with their instances, a ranking project, an export and a training run.

All of it was written for Plumbline and stands beside this file. It goes in by the same verbs that people use. Its
judges are simulated, and marked so: each sees an output's written-down quality through noise of his own, and ties what
seems equal to him.
"""

import json
import random
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from django.db import transaction

from annotate.models import Annotator, Project
from annotate.services.agreement import measure_and_keep
from annotate.services.imports import import_judgements
from annotate.services.projects import create_project, publish_guideline
from curation import tasks
from curation.models import USUAL_SEED, Dataset, Export, InstanceSet, TrainingRun
from curation.services import datasets, instances, templates, training
from curation.services.exports import request_sft_export

FOLDER = Path(__file__).parent
SLUG, NAME = "everyday-answers", "Everyday answers · 日常问答"
QUESTION = "Rank the outputs from best to worst; equally good ones share a place."
IN_CHINESE = {"zh-hans": {"text": "请把回答从好到差排序；一样好的可以并列。"}}
SOURCE = "Simulated by Plumbline"
# How far off each simulated annotator sees the quality of an output, as a standard deviation on the scale 0 to 1.
NOISE = {"careful": 0.04, "steady": 0.10, "quick": 0.18, "distracted": 0.32, "careless": 0.60}
JUDGES, OVERLAP = 3, 4  # of each prompt; one place is left for whoever tries the demo
SEEMS_EQUAL = 0.05
DATASETS: list[dict[str, Any]] = [
    {"file_name": "support-messages.csv", "language": "en", "id_column": "id"},
    {"file_name": "short-passages-zh.jsonl", "language": "zh-Hans", "id_column": "id", "group_column": "passage_id"},
]
LICENCE = "CC0-1.0"
WRITTEN_FOR = "Written for Plumbline as a sample"


def load(actor) -> Project:
    """Put in what is not there yet, and return the ranking project."""
    project = Project.objects.filter(slug=SLUG).first() or _ranking_project()
    sets = [one for fields in DATASETS for one in _instance_sets(fields, actor)]
    export = Export.objects.filter(kind=Export.Kind.SFT, actor=actor).order_by("created_at").first()
    if export is None:
        export = request_sft_export(instance_sets=sets, actor=actor, send=False)
        tasks.build_export(str(export.job_id))
        export.refresh_from_db()
    if export.built and not TrainingRun.objects.filter(export=export).exists():
        _recorded_run(export, actor)
    return project


# --- The ranking project ----------------------------------------------------------------------------------------------


@transaction.atomic
def _ranking_project() -> Project:
    project = create_project(slug=SLUG, name=NAME, overlap=OVERLAP, question=QUESTION)
    project.questions.update(translations=IN_CHINESE)
    english, chinese = ((FOLDER / f"guideline-{language}.md").read_text(encoding="utf-8") for language in ("en", "zh"))
    publish_guideline(project=project, text=english, translations={"zh-hans": {"text": chinese}})
    lines = b"\n".join(json.dumps(row).encode() for row in _judged_prompts())
    import_judgements(project=project, source=SOURCE, file=BytesIO(lines), kind=Annotator.Kind.SIMULATED)
    measure_and_keep(project=project)
    return project


def _judged_prompts() -> Iterator[dict[str, Any]]:
    """The prompts of both languages by turns, each with the judgements of three of the five."""
    files = [(FOLDER / f"prompts-{language}.jsonl").read_text(encoding="utf-8") for language in ("en", "zh")]
    prompts = [json.loads(line) for pair in zip(*(file.splitlines() for file in files), strict=True) for line in pair]
    names = list(NOISE)
    for number, prompt in enumerate(prompts):
        judges = [names[(number + at) % len(names)] for at in range(JUDGES)]
        qualities = {output["id"]: output["quality"] for output in prompt["completions"]}
        yield {
            "id": prompt["id"],
            "language": prompt["language"],
            "group": prompt["id"],
            "prompt": prompt["prompt"],
            "completions": [{key: output[key] for key in ("id", "text", "model")} for output in prompt["completions"]],
            "judgements": [
                {"annotator": name, "ranking": ranking(qualities, NOISE[name], f"{name}:{prompt['id']}")}
                for name in judges
            ],
        }


def ranking(qualities: dict[str, float], noise: float, seed: str) -> list[list[str]]:
    """A simulated annotator's tiers, best first: each quality seen with normal noise, the nearly equal ones tied."""
    draw = random.Random(seed)
    seen = {output: quality + draw.gauss(0, noise) for output, quality in qualities.items()}
    tiers: list[list[str]] = []
    last = float("inf")
    for output, quality in sorted(seen.items(), key=lambda item: -item[1]):
        if last - quality < SEEMS_EQUAL:
            tiers[-1].append(output)
        else:
            tiers.append([output])
        last = quality
    return tiers


# --- The datasets, the export, the training run -----------------------------------------------------------------------


def _instance_sets(fields: dict[str, Any], actor) -> list[InstanceSet]:
    name = fields["file_name"].split(".")[0]
    dataset = Dataset.objects.whole().filter(name=name).order_by("version").first() or _dataset(name, fields, actor)
    sets = []
    for one in json.loads((FOLDER / f"{name}.templates.json").read_text(encoding="utf-8")):
        template = templates.save_template(dataset=dataset, actor=actor, **one)
        made = instances.request_instances(dataset=dataset, template=template, seed=USUAL_SEED, actor=actor, send=False)
        tasks.build_instances(str(made.job_id))  # does nothing for one that is there
        made.refresh_from_db()
        sets.append(made)
    return sets


def _dataset(name: str, fields: dict[str, Any], actor) -> Dataset:
    with (FOLDER / fields["file_name"]).open("rb") as stream:
        try:
            dataset = datasets.request_import(
                stream=stream, name=name, licence=LICENCE, source=WRITTEN_FOR, actor=actor, send=False, **fields
            )
        except datasets.Known as known:
            dataset = known.dataset
    tasks.import_dataset(str(dataset.job_id))
    dataset.refresh_from_db()
    return dataset


def recorded(run: TrainingRun) -> dict[str, Any]:
    """A reported training run as `training-run.json` holds it: `load_sample --record RUN` prints it."""
    assert run.export.manifest is not None
    return {
        "rows_sha256": run.export.manifest["rows_sha256"],
        "trainer": run.trainer,
        "name": run.name,
        "configuration": run.configuration,
        "points": list(run.metrics.order_by("name", "step").values("name", "step", "value")),
        "results": run.results,
        "card": run.model_card,
    }


def _recorded_run(export: Export, actor) -> None:
    """What `trainers sft` reported when it was run on this export, recorded: a training run to look at."""
    said = json.loads((FOLDER / "training-run.json").read_text(encoding="utf-8"))
    about = {name: said[name] for name in ("trainer", "name", "configuration")}
    run = training.start_run(export=export, actor=actor, **about)
    training.add_metrics(run=run, points=said["points"])
    training.finish_run(run=run, status="succeeded", results=said["results"], error="", model_card=said["card"])
