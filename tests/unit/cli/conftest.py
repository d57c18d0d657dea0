"""Settings are read anew in every test."""

import pytest

from tickloom.settings import settings


@pytest.fixture(autouse=True)
def fresh_settings(monkeypatch):
    for name in ("KAFKA", "CASSANDRA", "KEYSPACE", "DATA", "INSTRUMENTS"):
        monkeypatch.delenv(f"TICKLOOM_{name}", raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()
