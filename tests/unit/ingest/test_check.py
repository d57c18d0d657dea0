"""What `--check` says of a file, on a machine that knows no Kafka."""

import pytest
from typer.testing import CliRunner

from services.ingest.main import app
from tickloom.errors import ConfigurationError
from tickloom.settings import settings

MADE = "  - {name: made, kind: gbm, market: XCAS, tickers: [ATW]}\n"


@pytest.fixture
def check(monkeypatch, tmp_path):
    """Run the check of a file without any variable that names a Kafka."""
    monkeypatch.delenv("TICKLOOM_KAFKA", raising=False)
    settings.cache_clear()

    def run(sources, *options):
        path = tmp_path / "ingest.yaml"
        path.write_text(f"sources:\n{sources}")
        return CliRunner().invoke(app, ["--config", str(path), "--check", *options])

    yield run
    settings.cache_clear()


def test_a_valid_file_needs_no_kafka(check):
    done = check(MADE)
    assert done.exit_code == 0, done.output
    assert "ingest.yaml: no mistake; sources: 1" in done.output


def test_what_only_its_source_can_know_is_said_of_every_source(check, tmp_path):
    done = check(
        "  - {name: one, kind: gbm, tickers: [NOBODY]}\n"
        + MADE
        + "  - {name: two, kind: replay, files: ["
        + str(tmp_path)
        + "]}\n"
    )
    assert isinstance(done.exception, ConfigurationError)
    first, second = str(done.exception).splitlines()
    assert first.startswith("source one:")
    assert "NOBODY" in first
    assert second == f"source two: folder {tmp_path} holds no *.csv"


def test_a_source_that_is_not_there(check):
    done = check(MADE, "--only", "other")
    assert str(done.exception) == "--only 'other' is no source; known: made"
