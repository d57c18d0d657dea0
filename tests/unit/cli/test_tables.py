"""Tables lose nothing, however narrow the terminal is."""

import pytest

from tickloom.cli import experimenting, ledger
from tickloom.cli.tables import console, table

LOSSES = {
    "absolute": 0.0123, "random_walk_absolute": 0.0125, "squared": 0.0003, "random_walk_squared": 0.00031,
    "covered_80": 0.81, "covered_95": 0.94, "direction": 0.52,
}  # fmt: skip
ARMS = ["champion", "ridge-challenger"]


def status(console):
    arms = [
        {"arm": it, "out": None, "weight": 0.5, "losses": LOSSES, "confidence": [-0.2, 0.3], "mean_difference": 0.05,
         "e_value": 1.2, "e_values": None, "requests": 1200, "failures": 3, "p99_ms": 12.3, "broken": []}
        for it in ARMS
    ]  # fmt: skip
    experimenting.show(
        {"name": "one", "status": "running", "mode": "split", "tickers": ["AAPL"], "market": "XNYS",
         "started": "2024-03-08T00:00", "sessions": 3, "least_sessions": 20, "most_sessions": 250, "horizon": 1,
         "decision": None, "watch_until": None, "watch": None, "question": None, "unfinished": False,
         "arms": arms, "needed": 20, "left_out": 0, "blocked": None, "missing": [], "replicas": 0},
        console,
    )  # fmt: skip


def test_the_status_of_an_experiment_is_whole_in_80_columns(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    status(console())
    lines = [it.split() for it in capsys.readouterr().out.splitlines()]
    assert ["arm", *ARMS] in lines
    assert ["mean", "difference", *["+0.050", "[-0.20,", "+0.30]"] * 2] in lines
    assert ["requests", "1,200", "1,200"] in lines


def test_the_summary_of_the_ledger_is_whole_in_80_columns(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    ledger._print("one", "AAPL", ARMS, [], [{"horizon": 1, "arm": it, "cutoffs": 12, **LOSSES} for it in ARMS])
    lines = [it.split() for it in capsys.readouterr().out.splitlines()]
    assert ["h", "arm", "offs", "mae", "mae", "rmse", "rmse", "80", "%", "95", "%", "tion"] in lines
    for arm in ARMS:
        assert ["1", arm, "12", "1.230", "1.250", "1.732", "1.761", "81%", "94%", "52%"] in lines


@pytest.mark.parametrize("columns", [None, "20"])
def test_no_cell_is_cut(monkeypatch, capsys, columns):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    drawn = table("name", "figure", left=("name",))
    drawn.add_row("a-name-without-a-gap" * 6, "1.234")
    console().print(drawn)
    out = capsys.readouterr().out
    assert "…" not in out
    lines = [it.split() for it in out.splitlines()[3:]]
    assert "".join(it[0] for it in lines if it) == "a-name-without-a-gap" * 6
    assert (len([it for it in lines if it]) == 1) is (columns is None)
