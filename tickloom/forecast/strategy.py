"""What a forecast's sign would have earned after costs, beside holding the share throughout."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tickloom.forecast.history import Floats

COST = 5.0
"""Basis points a side: of the value that is bought or sold."""


@dataclass(frozen=True, eq=False)
class Equity:
    """The value of one unit of money over the sessions.

    Attributes
    ----------
    ds : datetime64[n]
        Sessions at whose close the value is known.
    value, gross : float64[n]
        After costs, and without.
    position : float64[n]
        Held into that close: 1 long, -1 short, 0 out.
    """

    ds: pd.Series
    value: Floats
    gross: Floats
    position: Floats

    @property
    def figures(self) -> dict[str, float]:
        """Net and gross return, greatest loss from a peak, all as fractions, and sides traded."""
        peak = np.maximum.accumulate(np.maximum(self.value, 1.0))
        return {
            "net": float(self.value[-1] - 1),
            "gross": float(self.gross[-1] - 1),
            "drawdown": float((1 - self.value / peak).max()),
            "sides": float(np.abs(np.diff(self.position, prepend=0, append=0)).sum()),
        }


def sign_strategy(one: pd.DataFrame, cost: float = COST) -> Equity:
    """Follow the sign of the forecasts one session ahead.

    Parameters
    ----------
    one : DataFrame
        Forecasts of one ticker, model and seed at horizon 1, with outcomes.
    cost
        Basis points a side.

    Returns
    -------
    Equity
        The position is changed only where the forecast return is above the cost of doing so; it is bought and sold at
        the close of the cutoff, and closed out at the end. Without slippage, interest or fees for borrowing.
    """
    one = one.sort_values("cutoff")
    forecast = (one["y_hat"] / one["y_cutoff"] - 1).to_numpy()
    position = np.empty(len(one))
    now = 0.0
    for at, expected in enumerate(forecast):
        wanted = float(np.sign(expected))
        if abs(expected) > abs(wanted - now) * cost / 1e4:
            now = wanted
        position[at] = now
    return _equity(one, position, cost)


def hold(one: pd.DataFrame, cost: float = COST) -> Equity:
    """Buy at the first cutoff and sell at the end."""
    return _equity(one.sort_values("cutoff"), np.ones(len(one)), cost)


def _equity(one: pd.DataFrame, position: Floats, cost: float) -> Equity:
    move = (one["y"] / one["y_cutoff"] - 1).to_numpy()
    paid = np.abs(np.diff(position, prepend=0)) * cost / 1e4
    growth = (1 - paid) * (1 + position * move)
    if len(growth):
        growth[-1] *= 1 - abs(position[-1]) * cost / 1e4
    return Equity(one["ds"], np.cumprod(growth), np.cumprod(1 + position * move), position)


def strategies(long: pd.DataFrame, cost: float = COST) -> pd.DataFrame:
    """Return a row for each ``unique_id, model`` of the first seed: ``Equity.figures``, and ``hold``'s net return."""
    rows = []
    for (ticker, model), one in first_seed(long, 1).groupby(["unique_id", "model"], sort=True):
        rows.append(
            {"unique_id": ticker, "model": model, **sign_strategy(one, cost).figures,
             "hold_net": hold(one, cost).figures["net"]}
        )  # fmt: skip
    return pd.DataFrame(rows)


def first_seed(long: pd.DataFrame, h: int) -> pd.DataFrame:
    """Return the forecasts of each model's first seed at one horizon whose outcome is known."""
    one = long[(long["h"] == h) & long["y"].notna()]
    return one[one["seed"] == one.groupby("model")["seed"].transform("min")]
