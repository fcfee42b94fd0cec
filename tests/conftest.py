"""Fixtures of all tests: a clean cache and storage, and a small world of people (tests/world.py)."""

import shutil

import pytest
from django.conf import settings
from django.core.cache import cache

from tests.world import World


@pytest.fixture(autouse=True, scope="session")
def plain_static_files():
    """Pages find their static files without `collectstatic`."""
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"


@pytest.fixture(scope="session", autouse=True)
def own_files():
    yield
    shutil.rmtree(settings.MEDIA_ROOT, ignore_errors=True)


@pytest.fixture
def world(db) -> World:
    cache.clear()
    return World.build()
