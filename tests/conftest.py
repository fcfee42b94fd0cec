"""Fixtures of all tests: a clean cache and storage, and a small world of people (tests/world.py)."""

import pytest
from django.conf import settings
from django.core.cache import cache
from django.utils import translation
from hypothesis import settings as hypothesis_settings

from tests.world import World

# Time is no property of the code under test: a busy machine would fail good examples.
hypothesis_settings.register_profile("plumbline", deadline=None)
hypothesis_settings.load_profile("plumbline")


@pytest.fixture(autouse=True, scope="session")
def settings_of_tests():
    """Pages find their static files without `collectstatic`; passwords are hashed fast, since each test makes people."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"


@pytest.fixture(autouse=True)
def language_of_tests():
    """A request leaves its language behind in the thread of the test; the next test begins without one."""
    yield
    translation.deactivate()


@pytest.fixture
def world(db) -> World:
    cache.clear()
    return World.build()
