"""Measurements at scale. The pure modules mark their texts for translation, for which Django wants its settings to be there."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("SECRET_KEY", "benchmarks")  # a fresh clone has none yet, and here nothing is signed
