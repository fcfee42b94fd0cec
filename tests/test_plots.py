"""Curves: few points however long the run, and the admin shows them with their numbers."""

import pytest

from curation.models import TrainingRun
from curation.plots import curve
from curation.services import exports, training
from curation.tasks import build_export


def test_a_long_run_is_drawn_with_a_bounded_number_of_points_and_its_last_one():
    drawn = curve("loss", [(step, 1 / (step + 1)) for step in range(10_001)])
    assert len(drawn.table) <= 402
    assert drawn.table[-1][0] == drawn.last_step == 10_000
    assert drawn.points.count(",") == len(drawn.table)


@pytest.mark.parametrize("values", [[(5, 0.5)], [(0, 1.0), (1, 1.0)]])
def test_one_point_and_a_flat_line_are_curves_too(values):
    assert curve("x", values).points.count(",") == len(values)


@pytest.mark.django_db
def test_the_admin_shows_the_curve_of_a_run_and_its_numbers(world):
    world.tasks()
    world.answer(world.claim("ana"), 1, 2, 3)
    export = exports.request_export(project=world.project, actor=None, send=False)
    build_export(str(export.job_id))
    run = training.start_run(
        export=export, actor=world.users["mina"], trainer="reward", name="<b>run</b>", configuration={}
    )
    points = [{"step": step, "name": "train/loss", "value": value} for step, value in enumerate((0.7, 0.6, 0.5))]
    training.add_metrics(run=run, points=points)
    training.finish_run(run=run, status="succeeded", results={}, error="", model_card="---\ntags: [x]\n---\n\n# Card")
    page = world.client("ada").get(f"/admin/curation/trainingrun/{run.pk}/change/").content.decode()
    assert TrainingRun.objects.get().status == "succeeded"
    assert page.count('<polyline class="curve"') == 1
    assert "<td>2</td><td>0.5</td>" in page
    assert "Card</h1>" in page
    assert "tags: [x]" not in page
    assert "<b>run</b>" not in page
