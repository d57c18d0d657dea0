"""``tickloom ledger`` as a user runs it."""

import json
import re

import pytest
from typer.testing import CliRunner

from tests.integration.experiment.test_maturing import close, days, offer  # noqa: F401
from tests.unit.experiment.ledgered import CUTOFF, forecast
from tickloom.cli import ledger
from tickloom.errors import TickloomError
from tickloom.settings import settings

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def environment(stack, keyspace, monkeypatch):
    monkeypatch.setenv("TICKLOOM_CASSANDRA", stack.cassandra)
    monkeypatch.setenv("TICKLOOM_KEYSPACE", keyspace)
    settings.cache_clear()
    yield
    settings.cache_clear()


def run(*words):
    result = CliRunner().invoke(ledger.app, [str(it) for it in words], env={"COLUMNS": "160"}, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def told(*words):
    return json.loads(run(*words, "--json").stdout)


def test_forecasts_are_scored_and_shown_with_the_arms_beside_each_other(ticker, offer, close):  # noqa: F811
    late = forecast(ticker=ticker, arm="a", cutoff=CUTOFF + 3, ds=CUTOFF + 4)
    offer(*days(ticker, 3), forecast(ticker=ticker, arm="c", shadow=True, lo_80=float("nan"), ds=CUTOFF + 1), late)
    close({1: 103.0, 2: 99.0})
    assert told("score", "--ticker", ticker) == {
        "forecasts": 8, "scored": 5, "corrected": 0, "waiting": 3, "unusable": 0, "without_close": [],
        "performance": 8,
    }  # fmt: skip

    shown = told("show", ticker, "--experiment", "one")
    assert shown["arms"] == ["a", "b", "c"]
    assert [row["cutoff"] for row in shown["rows"]] == ["2024-03-18", "2024-03-17", "2024-03-16", "2024-03-15"]
    assert [row["y"] for row in shown["rows"]] == [None, None, 99.0, 103.0]
    assert set(shown["rows"][-1]["arms"]) == {"a", "b", "c"}
    assert shown["rows"][-1]["arms"]["c"]["lo_80"] is None
    assert [(it["arm"], it["cutoffs"]) for it in shown["summary"]] == [("a", 1), ("b", 1), ("c", 1)]
    two = told("show", ticker, "--experiment", "one", "--arm", "a", "--arm", "b", "--limit", 1)
    assert len(two["rows"]) == 1
    assert [(it["arm"], it["cutoffs"]) for it in two["summary"]] == [("a", 2), ("b", 2)]
    assert told("show", ticker, "--experiment", "one", "--horizon", 2)["rows"] == []

    text = run("show", ticker, "--experiment", "one").stdout
    assert re.search(r"2024-03-15 .* 103\.00 .* 101\.00  1\.961 .* 101\.00  1\.961 \(shadow\)", text)
    assert "on the cutoffs that every arm has forecast" in text


def test_scoring_says_in_words_what_it_did_and_which_session_has_no_close(ticker, offer, close):  # noqa: F811
    offer(*days(ticker, 3))
    close({1: 103.0, 3: 99.0})
    result = run("score", "--ticker", ticker)
    assert result.stdout == (
        "6 forecasts: 4 scored, 0 scored anew after a correction, 0 wait for their session's close\n"
    )
    assert f"{ticker}: there is no close of 2024-03-17, though there are later ones" in result.stderr


def test_what_is_not_there_is_told_with_what_is(ticker, offer):  # noqa: F811
    with pytest.raises(TickloomError, match=f"the ledger has no forecast of {ticker}"):
        run("show", ticker)
    offer(forecast(ticker=ticker))
    with pytest.raises(TickloomError, match=rf"experiment default: no forecast of {ticker}; --experiment may be one"):
        run("show", ticker)
    with pytest.raises(TickloomError, match=r"arm 'x' has no forecast of .*; there are: champion"):
        run("show", ticker, "--experiment", "one", "--arm", "x")
    assert "has been scored yet" in run("show", ticker, "--experiment", "one").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--since", "soon"), "--since 'soon' is no date"),
        (("--market", "XPAR"), "'XPAR' is unknown; known: XCAS, XNYS"),
    ],
)
def test_wrong_options_are_told(words, said):
    with pytest.raises(TickloomError, match=re.escape(said)):
        run("score", *words)


@pytest.mark.parametrize("words", [(), ("score",), ("show",)])
def test_help_ends_with_an_example(words):
    assert "Example: tickloom ledger" in run(*words, "--help").stdout.strip().splitlines()[-1]
