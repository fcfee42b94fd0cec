"""Settings, URLs and the processes of Plumbline. Imports everything; nothing imports it."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
