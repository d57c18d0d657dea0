"""What the end of a run says of what comes next."""

from tickloom.cli.pipelined import following


def row(ticker, model, outcome="registered", alias=None):
    return {"ticker": ticker, "model": model, "outcome": outcome, "alias": alias}


def test_each_registered_model_is_led_to_an_experiment():
    rows = [
        row("AAPL", "ridge"), row("MSFT", "ridge"), row("AAPL", "lstm", alias="challenger-net"),
        row("AAPL", "ar1", "refused"), row("CVX", None, "skipped"),
    ]  # fmt: skip
    ridge, lstm = following(rows, "XNYS")
    assert ridge.startswith("next for ridge: `tickloom experiment arm ridge --market XNYS --model ridge`, then ")
    assert "an arm ridge for challenger-ridge" in ridge
    assert lstm.startswith("next for lstm: `tickloom experiment start FILE`, which has an arm net for challenger-net")
    assert following(rows[3:], "XNYS") == []
