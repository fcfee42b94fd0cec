"""What trainers report of themselves."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from annotate.errors import Refused
from curation.models import Export, TrainingMetric, TrainingRun

MAX_POINTS = 1000


@transaction.atomic
def start_run(*, export: Export, actor, trainer: str, name: str, configuration: dict[str, Any]) -> TrainingRun:
    run = TrainingRun(export=export, actor=actor, trainer=trainer, name=name, configuration=configuration)
    run.full_clean(exclude=["configuration", "results", "finished_at"])  # empty at first
    run.save()
    return run


@transaction.atomic
def add_metrics(*, run: TrainingRun, points: Iterable[Mapping[str, Any]]) -> None:
    """Add points to the curves. A point that is there already, as after a request sent twice, stays as it is.

    Raises Refused when the run has ended.
    """
    _locked(run)
    TrainingMetric.objects.bulk_create(
        (TrainingMetric(run=run, step=point["step"], name=point["name"], value=point["value"]) for point in points),
        ignore_conflicts=True,
    )


@transaction.atomic
def finish_run(*, run: TrainingRun, status: str, results: dict[str, Any], error: str, model_card: str) -> None:
    """End a run. The same end twice is one end; another one is refused."""
    ended = TrainingRun.objects.select_for_update().get(pk=run.pk)
    if ended.status == status and ended.results == results:
        return
    _locked(run)
    TrainingRun.objects.filter(pk=run.pk).update(
        status=status, results=results, error=error, model_card=model_card, finished_at=Now()
    )


def _locked(run: TrainingRun) -> None:
    if TrainingRun.objects.select_for_update().get(pk=run.pk).status != TrainingRun.Status.RUNNING:
        raise Refused(_("This run has ended. Start a new one."))
