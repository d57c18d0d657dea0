"""The features of a session: known at its close, without a unit, and made by the one definition of the indicators.

A feature reads bars up to its own session and nothing later; ``tickloom audit leakage`` proves it for each.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

import numpy as np
import pandas as pd

from tickloom.errors import TickloomError
from tickloom.forecast.history import Days, Floats, History
from tickloom.market.sessions import session_table

VERSION = 1
"""Grows when a feature's values change; a model that was trained on others says so."""
Needs = Literal["close", "range", "volume", "calendar"]
Columns = Mapping[str, Floats]


@dataclass(frozen=True)
class Feature:
    """One column.

    Attributes
    ----------
    name : str
    needs : str
        ``close``; ``range``: open, high and low also; ``volume``; ``calendar``: the date alone.
    indicators : tuple of str
        Of the registry.
    of : callable
        From the bars and these indicators, by name, to the values, float64[n].
    """

    name: str
    needs: Needs
    indicators: tuple[str, ...]
    of: Callable[[Columns], Floats]


def _log_ratio(top: str, below: str) -> Callable[[Columns], Floats]:
    return lambda it: np.log(it[top] / it[below])


def _to_close(name: str) -> Callable[[Columns], Floats]:
    return lambda it: it[name] / it["close"]


def _scaled(name: str, by: float, shift: float = 0.0) -> Callable[[Columns], Floats]:
    return lambda it: it[name] / by + shift


def _turn(name: str, period: float, wave: Callable[[Floats], Floats]) -> Callable[[Columns], Floats]:
    return lambda it: wave(2 * np.pi * it[name] / period)


def _signed_volume(it: Columns) -> Floats:
    return np.diff(it["obv"], prepend=np.nan) / it["volume_sma_20"]


def _catalogue() -> tuple[Feature, ...]:
    close = [
        *(
            Feature(f"ret_{n}", "close", (f"close_lag_{n}",), _log_ratio("close", f"close_lag_{n}"))
            for n in range(1, 6)
        ),
        *(Feature(f"roc_{n}", "close", (f"roc_{n}",), _scaled(f"roc_{n}", 100)) for n in (10, 20)),
        *(
            Feature(f"to_sma_{n}", "close", (f"sma_{n}",), _log_ratio("close", f"sma_{n}"))
            for n in (5, 10, 20, 50, 200)
        ),
        *(Feature(f"to_ema_{n}", "close", (f"ema_{n}",), _log_ratio("close", f"ema_{n}")) for n in (5, 10, 12, 26)),
        Feature("rsi_14", "close", ("rsi_14",), _scaled("rsi_14", 100, -0.5)),
        *(Feature(name, "close", (name,), _to_close(name)) for name in ("macd", "macd_signal", "macd_hist")),
        Feature(
            "bb_position",
            "close",
            ("bb_middle", "bb_upper", "bb_lower"),
            lambda it: (it["close"] - it["bb_middle"]) / (it["bb_upper"] - it["bb_lower"]),
        ),
        Feature("std_20", "close", ("std_20",), _to_close("std_20")),
        Feature("zscore_30", "close", ("zscore_30",), lambda it: it["zscore_30"]),
        Feature(
            "since_anomaly",
            "close",
            ("days_since_anomaly",),
            lambda it: np.log1p(np.nan_to_num(it["days_since_anomaly"])),
        ),
    ]
    spans = [
        Feature("stoch_k", "range", ("stoch_k",), _scaled("stoch_k", 100, -0.5)),
        Feature("stoch_d", "range", ("stoch_d",), _scaled("stoch_d", 100, -0.5)),
        Feature("atr_14", "range", ("atr_14",), _to_close("atr_14")),
        Feature("williams_r_14", "range", ("williams_r_14",), _scaled("williams_r_14", 100, 0.5)),
        Feature("ultimate_oscillator", "range", ("ultimate_oscillator",), _scaled("ultimate_oscillator", 100, -0.5)),
        Feature("range", "range", (), _log_ratio("high", "low")),
        Feature("body", "range", (), _log_ratio("close", "open")),
        Feature("overnight", "range", ("close_lag_1",), _log_ratio("open", "close_lag_1")),
        Feature("to_vwap", "range", (), lambda it: np.log(it["close"] / ((it["high"] + it["low"] + it["close"]) / 3))),
    ]
    volumes = [
        Feature("volume_ratio_20", "volume", ("volume_ratio_20",), lambda it: np.log1p(it["volume_ratio_20"])),
        Feature("signed_volume", "volume", ("obv", "volume_sma_20"), _signed_volume),
        Feature("volume_change", "volume", (), lambda it: np.diff(np.log1p(it["volume"]), prepend=np.nan)),
    ]
    dates = [
        Feature("weekday_sin", "calendar", ("day_of_week",), _turn("day_of_week", 7, np.sin)),
        Feature("weekday_cos", "calendar", ("day_of_week",), _turn("day_of_week", 7, np.cos)),
        Feature("month_sin", "calendar", ("month",), _turn("month", 12, np.sin)),
        Feature("month_cos", "calendar", ("month",), _turn("month", 12, np.cos)),
        Feature("quarter_sin", "calendar", ("quarter",), _turn("quarter", 4, np.sin)),
        Feature("quarter_cos", "calendar", ("quarter",), _turn("quarter", 4, np.cos)),
        Feature("days_since_session", "calendar", (), lambda it: it["days_since"]),
        Feature("days_to_session", "calendar", (), lambda it: it["days_to"]),
    ]
    return (*close, *spans, *volumes, *dates)


FEATURES: tuple[Feature, ...] = _catalogue()
_BY_NAME = {it.name: it for it in FEATURES}
_COLUMNS = {"close": "closes", "range": "open, high and low", "volume": "volume", "calendar": "days"}


@dataclass(frozen=True, eq=False)
class FeatureFrame:
    """A history with its features: what a model is fitted to and forecasts from.

    Attributes
    ----------
    history : History
        n sessions.
    names : tuple of str
        k features.
    values : float64[n, k]
        As known at each session's close; NaN while a feature warms up.
    """

    history: History
    names: tuple[str, ...]
    values: Floats
    version: int = VERSION

    def __len__(self) -> int:
        return len(self.history)

    @cached_property
    def ready(self) -> int:
        """Index of the first session from which all features are known."""
        unknown = np.flatnonzero(np.isnan(self.values).any(axis=1))
        return int(unknown[-1]) + 1 if len(unknown) else 0

    def refuse_unknown(self) -> None:
        """Raise a TickloomError where no session has all features."""
        if self.ready < len(self) or not len(self):
            return
        never = [self.names[it] for it in np.flatnonzero(np.isnan(self.values[-1]))]
        raise TickloomError(
            f"{self.history.ticker}: {len(self)} sessions are too few: none of them has {_some(never)}; load more "
            "history, or take a model of closes alone, such as ar1"
        )

    @property
    def log_close(self) -> Floats:
        """Natural logarithm of the closes, float64[n]."""
        return np.log(self.history.close)

    def first(self, rows: int) -> Self:
        """Return what was known at the close of session ``rows - 1``: the oldest ``rows`` sessions."""
        return self.between(0, rows)

    def between(self, start: int, stop: int) -> Self:
        """Return sessions ``start`` to ``stop - 1``, with features that were made of all before them too."""
        return type(self)(self.history.between(start, stop), self.names, self.values[start:stop], self.version)

    def targets(self, horizon: int) -> Floats:
        """Return the log-returns from each close to those 1..``horizon`` sessions later.

        Returns
        -------
        float64[n, horizon]
            NaN where the later close is not in the frame.
        """
        closes, n = self.log_close, len(self)
        found = np.full((n, horizon), np.nan)
        for ahead in range(1, min(horizon, n - 1) + 1):
            found[: n - ahead, ahead - 1] = closes[ahead:] - closes[: n - ahead]
        return found


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more features" if len(names) > 3 else "")


def feature_names(history: History) -> tuple[str, ...]:
    """Return the features that the columns of a history allow."""
    absent = {"range"} if history.close_only else set()
    if np.isnan(history.volume).any():
        absent.add("volume")
    return tuple(it.name for it in FEATURES if it.needs not in absent)


def feature_frame(
    history: History, names: Sequence[str] | None = None, extra: Mapping[str, Floats] | None = None
) -> FeatureFrame:
    """Return the features of every session.

    Parameters
    ----------
    names
        By default all that the history's columns allow.
    extra
        Further columns, float64[n], known at each session's close, such as sentiment.

    Raises
    ------
    TickloomError
        A name is unknown, or needs a column that the history lacks.
    """
    possible = feature_names(history)
    wanted = tuple(possible if names is None else names)
    for name in wanted:
        if name not in _BY_NAME:
            raise TickloomError(f"feature {name!r} is unknown; known: {', '.join(_BY_NAME)}")
    lacking = [it for it in wanted if it not in possible]
    if lacking:
        needs = ", and ".join(dict.fromkeys(_COLUMNS[_BY_NAME[it].needs] for it in lacking))
        raise TickloomError(
            f"{history.ticker}: {_some(lacking)} cannot be made without {needs} of every session, which "
            f"{history.origin or 'the data'} lacks; give data that has them, or a model that was trained without"
        )
    chosen = [_BY_NAME[name] for name in wanted]
    columns = _columns(history, {it for feature in chosen for it in feature.indicators})
    values = [evaluate(feature, columns) for feature in chosen]
    values += [np.asarray(it, np.float64) for it in (extra or {}).values()]
    table = np.column_stack(values) if values else np.empty((len(history), 0))
    table[np.isinf(table)] = np.nan
    return FeatureFrame(history, (*wanted, *(extra or {})), _filled(table))


def _columns(history: History, indicators: set[str]) -> dict[str, Floats]:
    from tickloom.indicators import compute  # imports numba, which a list of features needs not

    bars = {name: getattr(history, name) for name in ("open", "high", "low", "close", "volume")}
    frame = pd.DataFrame({"day": history.day, **bars})
    found = {str(name): column.to_numpy() for name, column in compute(frame, sorted(indicators)).items()}
    return {**bars, **found, **days_around(history.market, history.day)}


def days_around(market: str, day: Days) -> dict[str, Floats]:
    """Return days since the session before and to the session after each date, as the calendar has them."""
    days = session_table(market).day.astype(np.float64)
    at = np.minimum(np.searchsorted(days, day), len(days) - 1)
    return {"days_since": np.diff(days, prepend=np.nan)[at], "days_to": np.diff(days, append=np.nan)[at]}


def evaluate(feature: Feature, columns: Columns) -> Floats:
    """Return a feature's values, NaN where it has none such as by 0 / 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.array(feature.of(columns), np.float64)
    values[np.isinf(values)] = np.nan
    return values


def _filled(values: Floats) -> Floats:
    """Carry a value over sessions on which a feature that had begun has none, such as 0 / 0 in a flat window."""
    for column in values.T:
        known = np.flatnonzero(~np.isnan(column))
        if len(known) and np.isnan(column[known[0] :]).any():
            rows = np.arange(known[0], len(column))
            column[known[0] :] = column[known[np.searchsorted(known, rows, side="right") - 1]]
    return values
