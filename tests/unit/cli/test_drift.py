"""The verb drift: what it prints, and what it refuses."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tests.unit.monitor.made import history, returns
from tickloom.cli import drift
from tickloom.errors import TickloomError


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    moves = returns(900, 5)
    moves[-20:] *= 3
    made = history(moves)
    days = made.day.astype("datetime64[D]").astype(str)
    path = tmp_path_factory.mktemp("bars") / "AAPL.csv"
    pd.DataFrame({"Date": days, "Close": np.round(made.close, 4)}).to_csv(path, index=False)
    return path


def ask(file, *given):
    return CliRunner().invoke(drift.app, ["AAPL", "--data", str(file), "--no-features", *given], catch_exceptions=False)


def test_findings_and_decision_are_told_to_people_and_to_programs(file):
    shown = ask(file).stdout
    assert "volatility" in shown
    assert "train again: drift: volatility of returns" in shown.replace("\n", " ")
    told = json.loads(ask(file, "--json").stdout.splitlines()[-1])
    assert told["decision"]["retrain"] is True
    assert told["losses_of"] == "random_walk"
    assert {it["family"] for it in told["findings"]} == {"target", "losses"}


def test_a_policy_can_be_asked_in_its_own_words(file):
    told = json.loads(
        ask(file, "--json", "--rule", "loss", "--false-alarms", "0.5", "--since", "7").stdout.splitlines()[-1]
    )
    assert not told["decision"]["retrain"]
    assert "trained 7 sessions ago" in told["decision"]["why"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--log"], "say --report FOLDER too"),
        (["--arm", "lstm"], "--arm lstm is one of the ledger's"),
        (["--trained", "yesterday"], "--trained 'yesterday' is no date"),
        (["--rule", "never"], "rule 'never' is unknown"),
        (["--reference", "1200"], "of the reference 1200 sessions"),
    ],
)
def test_what_cannot_be_is_refused(file, given, said):
    with pytest.raises(TickloomError, match=said):
        ask(file, *given)
