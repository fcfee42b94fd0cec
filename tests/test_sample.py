"""The sample content: it goes in whole, twice is once, and who is simulated is marked."""

import json

import pytest
from django.core.management import call_command

from annotate.models import Agreement, Annotator, Slot, Task
from curation.models import Dataset, Export, InstanceSet, TrainingRun
from curation.sample import loading

pytestmark = pytest.mark.django_db(transaction=True)


def counts() -> list[int]:
    return [model.objects.count() for model in (Task, Slot, Annotator, Dataset, InstanceSet, Export, TrainingRun)]


def test_the_sample_goes_in_once_and_shows_what_it_should(capsys, client):
    call_command("load_sample")
    logins = dict(line.split()[:2] for line in capsys.readouterr().out.splitlines())
    before = counts()
    call_command("load_sample")
    assert counts() == before
    assert Task.objects.count() == 40
    assert {task.completions.count() for task in Task.objects.all()} <= {3, 4, 5}
    assert set(Task.objects.values_list("language", flat=True)) == {"en", "zh"}
    assert Dataset.objects.count() == 2
    assert not any(dataset.refused for dataset in Dataset.objects.all())
    assert InstanceSet.objects.count() == 6
    simulated = Annotator.objects.exclude(kind=Annotator.Kind.PERSON)
    assert [one.kind for one in simulated] == ["simulated"] * 5
    assert not Slot.objects.filter(status="submitted").exclude(holder__in=simulated).exists()
    assert client.login(username="mina", password=logins["mina"])
    page = client.get("/projects/everyday-answers/").content.decode()
    assert page.count('class="chip simulated"') >= 5


def test_people_are_measured_apart_from_the_simulated():
    call_command("load_sample")
    figures = {(one.population, one.metric): one.value for one in Agreement.objects.all()}
    assert figures["people", "fleiss_kappa"] is None
    assert 0.3 < figures["simulated", "fleiss_kappa"] < 0.9


def test_the_recorded_training_run_is_of_this_very_export():
    """What it was trained on is known by the hash of the rows, which outlives changes of the file formats."""
    call_command("load_sample")
    recorded = json.loads((loading.FOLDER / "training-run.json").read_text(encoding="utf-8"))
    export = Export.objects.get()
    assert export.manifest["rows_sha256"] == recorded["rows_sha256"]
    assert TrainingRun.objects.get().results["held_out"]["loss"]["value"] < 8


def test_skill_tells_in_the_simulated_rankings():
    """Over all prompts, the careful one puts the best output first more often than the careless one."""
    qualities = {"a": 0.9, "b": 0.6, "c": 0.3, "d": 0.05}

    def hits(noise: float) -> int:
        return sum(loading.ranking(qualities, noise, f"{at}")[0] == ["a"] for at in range(200))

    assert hits(loading.NOISE["careful"]) > 190 > hits(loading.NOISE["quick"]) > hits(loading.NOISE["careless"])
