"""Every test here has a cache of its own, so that none finds what this machine downloaded."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tickloom import settings as settings_module


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of Yahoo's cache, which does not exist yet."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TICKLOOM_CACHE", str(folder))
    settings_module.settings.cache_clear()
    yield folder / "yahoo"
    monkeypatch.undo()
    settings_module.settings.cache_clear()
