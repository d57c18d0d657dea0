"""Made tickers and what the steps make of them, in folders."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tests.unit.forecast.series import history
from tickloom.retrain import steps

MARKET, HORIZON, GATE, SESSIONS = "XNYS", 2, 60, 900
SMALL = {"epochs": 2, "width": 0.06, "window": 8}


def write_csv(folder, ticker, sessions=SESSIONS, phi=0.4, seed=0, *, until=None, change=None):
    """Write a ticker whose returns are an autoregression; ``change`` is given its closes from session ``until`` on."""
    made = history(sessions, phi, seed, ticker=ticker)
    table = pd.DataFrame(
        {
            "Date": made.day.astype("datetime64[D]").astype(str),
            **{name.capitalize(): getattr(made, name).copy() for name in ("open", "high", "low", "close", "volume")},
        }
    )
    if change is not None:
        rows = table.index >= until
        for name in ("Open", "High", "Low", "Close"):
            table.loc[rows, name] = change(table.loc[rows, name].to_numpy())
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / f"{ticker}.csv", index=False)
    return folder


@dataclass(frozen=True)
class World:
    """Folders of the steps below one folder."""

    root: Path

    @property
    def bars(self):
        return {"extracted": self.root / "extract", "plan": self.root / "split", "market": MARKET}

    def prepared(self, tickers, data, **more):
        """Run the steps up to the plan."""
        steps.extract(tickers=tickers, market=MARKET, out=self.root / "extract", data=data)
        steps.validate(extracted=self.root / "extract", market=MARKET, out=self.root / "validate")
        steps.features(
            extracted=self.root / "extract", validated=self.root / "validate", market=MARKET, out=self.root / "features"
        )
        given = {"horizon": HORIZON, "folds": 2, "test": 60, "gate": GATE, **more}
        steps.split(featured=self.root / "features", market=MARKET, out=self.root / "split", **given)
        return self

    def place(self, step, ticker, model):
        return self.root / step / f"{ticker}-{model}"

    def tuned(self, ticker, model, **more):
        return steps.tune(ticker=ticker, model=model, **self.bars, out=self.place("tune", ticker, model), **more)

    def trained(self, ticker, model, **more):
        out, tuned = (self.place(it, ticker, model) for it in ("train", "tune"))
        return steps.train(ticker=ticker, model=model, **self.bars, tuned=tuned, out=out, **more)

    def judged(self, ticker, model, **more):
        out, tuned = (self.place(it, ticker, model) for it in ("evaluate", "tune"))
        return steps.evaluate(ticker=ticker, model=model, **self.bars, tuned=tuned, out=out, beside=["drift"], **more)

    def compared(self, ticker, model, mlflow):
        out, trained = (self.place(it, ticker, model) for it in ("compare", "train"))
        return steps.compare(ticker=ticker, model=model, **self.bars, trained=trained, out=out, mlflow=mlflow)

    def gated(self, ticker, model, **more):
        compared, evaluated, trained, out = (
            self.place(it, ticker, model) for it in ("compare", "evaluate", "train", "gate")
        )
        return steps.gate(
            ticker=ticker, model=model, compared=compared, evaluated=evaluated, trained=trained, out=out, **more
        )

    def registered(self, ticker, model, mlflow, **more):
        trained, evaluated, gated = (self.place(it, ticker, model) for it in ("train", "evaluate", "gate"))
        given = {"run": "run-1", **more}
        return steps.register(
            ticker=ticker, model=model, trained=trained, evaluated=evaluated, gated=gated, market=MARKET,
            mlflow=mlflow, **given,
        )  # fmt: skip

    def learned(self, ticker, model, options=None):
        """Run the steps of a model up to its judgement, once."""
        if not (self.place("evaluate", ticker, model) / "result.json").is_file():
            self.tuned(ticker, model, options=options)
            self.trained(ticker, model)
            self.judged(ticker, model)


def checks(facts):
    """Whether each check passed, by name."""
    return {it["name"]: it["passed"] for it in facts["checks"]}


def doubled(prices):
    """Return prices of another path."""
    return prices * np.exp(0.02 * np.sin(np.arange(len(prices))))
