"""What the verbs say where a user may have meant something else."""

from contextlib import nullcontext

import pytest
from typer.testing import CliRunner

from tickloom.cli import demo, indicators, load, run, showing
from tickloom.cli.showing import Answer, Query, ask
from tickloom.errors import ConfigurationError, TickloomError
from tickloom.settings import settings
from tickloom.sources.csvfile import read_bars


@pytest.fixture
def file(tmp_path):
    def write(name, text="Date,Close\n2024-03-08,1\n"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("AAPL_daily.csv", {}, "ticker AAPL, from the file's name; market XNYS"),
        (
            "ok.csv",
            {},
            "ticker OK, from the file's name; market XNYS, by default\n"
            "warning: OK is in no instrument list; say --ticker if it has another name",
        ),
        (
            "ok.csv",
            {"ticker": "ZZZ", "market": "XCAS"},
            "ticker ZZZ, from --ticker; market XCAS\nwarning: ZZZ is in no instrument list",
        ),
    ],
)
def test_load_says_what_it_takes_a_file_for(file, name, given, said):
    path = file(name)
    bars = read_bars(path, **given)
    assert load.identity(path, bars, named="ticker" in given, placed="market" in given) == f"{path}: {said}"


def test_indicators_of_a_file_with_ambiguous_dates(file):
    path = file("x.csv", "Date,Close\n03/04/2024,1\n05/04/2024,3\n")
    command = [str(path), "--json", "--only", "sma_2", "--ticker", "AAPL"]
    with pytest.raises(TickloomError, match="say --dates day-first or --dates month-first"):
        CliRunner().invoke(indicators.app, command, catch_exceptions=False)
    result = CliRunner().invoke(indicators.app, [*command, "--dates", "day-first"], catch_exceptions=False)
    assert '"day": "2024-04-05", "sma_2": 2.0' in result.stdout


@pytest.mark.parametrize("there", [True, False])
def test_show_hints_at_the_ticker_in_capitals(monkeypatch, there):
    def look(_session, query, _start, _end):
        return Answer([], f"{query.ticker} has no prices: do this", known=there and query.ticker == "AAPL")

    monkeypatch.setattr(showing, "_session", lambda _home, _keyspace: nullcontext())
    monkeypatch.setattr(showing, "_ticks", look)
    answer = ask(Query("prices", "aapl"), None)
    hint = "there is nothing of aapl, but of AAPL: tickloom show prices AAPL"
    assert (answer.why, answer.known) == (hint if there else "aapl has no prices: do this", False)


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("LOG_LEVEL", "FOO", "TICKLOOM_LOG_LEVEL 'FOO' is unknown; known: 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("KEYSPACE", "A-b", "TICKLOOM_KEYSPACE 'A-b' is no name of a keyspace: 1 to 48 small letters"),
        ("REPLICATION", "9", "TICKLOOM_REPLICATION '9' must be less than or equal to 5; docs/settings.md says"),
    ],
)
def test_a_wrong_setting_is_a_sentence(monkeypatch, variable, value, sentence):
    monkeypatch.setenv(f"TICKLOOM_{variable}", value)
    with pytest.raises(ConfigurationError, match=sentence):
        settings()


@pytest.mark.parametrize("app", [run.app, demo.app])
def test_help_is_plain_and_ends_with_an_example(app):
    text = CliRunner().invoke(app, ["--help"]).stdout
    assert "Example: tickloom" in text.strip().splitlines()[-1]
    assert "--install-completion" not in text
