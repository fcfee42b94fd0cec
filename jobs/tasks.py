"""The beat's own task. What other jobs do stands in the `tasks` module of the app they belong to."""

from celery import shared_task

from jobs import services


@shared_task(name="jobs.sweep", expires=60)
def sweep() -> None:
    services.sweep()
