"""What ``tickloom indicators``, ``tickloom docs`` and the benchmark print and write."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tickloom import settings_page
from tickloom.bench import indicators as bench
from tickloom.cli import docs
from tickloom.cli import indicators as verb
from tickloom.errors import TickloomError
from tickloom.indicators import REGISTRY, page

DOCS = Path(__file__).parents[3] / "docs"
HEADER = "Date,Open,High,Low,Close,Volume\n"
DAYS = [f"2024-01-{day:02}" for day in (2, 3, 4, 5, 8, 9, 10, 11, 12)]


def run(app, *arguments, **environment):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "AAPL.csv"
    path.write_text(
        HEADER + "".join(f"{day},{i},{i + 2},{i - 1},{i + 1},{100 * i}\n" for i, day in enumerate(DAYS, 10))
    )
    return path


def test_json_has_every_indicator_oldest_first_and_null_in_warm_up(file):
    result = run(verb.app, file, "--json")
    assert result.exit_code == 0
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["day"] for row in rows] == DAYS
    assert rows[0]["time"] == "2024-01-02T14:30:00.000000Z"
    assert list(rows[0]) == ["time", "day", *REGISTRY]
    assert [row["sma_5"] for row in rows] == [None] * 4 + [13.0, 14.0, 15.0, 16.0, 17.0]
    assert rows[-1]["sma_200"] is None
    assert rows[0]["day_of_week"] == 1


def test_only_and_last_choose_columns_and_rows(file):
    result = run(verb.app, file, "--json", "--only", "close_lag_1, sma_3", "--last", 2, "--market", "XNYS")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"time": "2024-01-11T14:30:00.000000Z", "day": "2024-01-11", "close_lag_1": 17.0, "sma_3": 17.0},
        {"time": "2024-01-12T14:30:00.000000Z", "day": "2024-01-12", "close_lag_1": 18.0, "sma_3": 18.0},
    ]


def test_the_table_holds_every_column_in_a_narrow_terminal(file):
    result = run(verb.app, file, COLUMNS="80")
    assert result.exit_code == 0
    assert all(f" {name} " in result.stdout for name in REGISTRY)
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_an_unknown_name_is_refused_before_the_file_is_read():
    with pytest.raises(TickloomError, match="did you mean sma_5"):
        raise run(verb.app, "missing.csv", "--only", "smaa_5").exception


@pytest.mark.parametrize(("name", "module"), [("indicators", page), ("settings", settings_page)])
def test_generated_pages_are_current(name, module):
    assert (DOCS / f"{name}.md").read_text() == module.render(), f"run: tickloom docs {name}"


def test_docs_are_written_and_checked(tmp_path):
    stale = run(docs.app, "all", "--check", "--folder", tmp_path)
    assert isinstance(stale.exception, TickloomError)
    assert "run: tickloom docs settings" in str(stale.exception)
    assert run(docs.app, "all", "--folder", tmp_path).exit_code == 0
    assert run(docs.app, "all", "--check", "--folder", tmp_path).exit_code == 0
    (tmp_path / "settings.md").write_text("old")
    assert run(docs.app, "settings", "--check", "--folder", tmp_path).exit_code == 1
    assert run(docs.app, "indicators", "--check", "--folder", tmp_path).exit_code == 0


def test_a_stale_copy_of_the_crd_is_named(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    assert run(docs.app, "crd", "--folder", folder).exit_code == 0
    copy = tmp_path / "charts" / "crds" / "files" / "streamjobs.tickloom.dev.yaml"
    assert copy.read_text() == (tmp_path / "manifests" / "crds" / copy.name).read_text()
    copy.write_text("old")
    assert str(run(docs.app, "crd", "--check", "--folder", folder).exception).startswith(
        f"{copy} differs from the code"
    )


def test_a_default_below_the_home_folder_is_printed_with_a_tilde():
    assert "| `TICKLOOM_CACHE` | `~/.cache/tickloom` |" in settings_page.render()
    assert str(Path.home()) not in settings_page.render()


@pytest.mark.parametrize("app", [verb.app, docs.app])
def test_help_has_an_example(app):
    commands = [["--help"]] if app is verb.app else [[name, "--help"] for name in ("indicators", "settings", "all")]
    for arguments in commands:
        assert "Example: tickloom" in run(app, *arguments).stdout


def test_the_benchmark_measures_both_in_turns(monkeypatch):
    pytest.importorskip("talib")
    for name, value in {"TICKERS": 2, "BARS": 300, "REPEATS": 2, "SINGLE": 50}.items():
        monkeypatch.setattr(bench, name, value)
    said = []
    result = bench.run(said.append)
    assert result.figures["rows"] == 600
    assert result.peers["talib_calls"] == 25
    assert result.ratios["time_to_talib"] > 0
    assert result.figures["single_rows_per_second"] > 0
    assert said
