"""Features of sessions that are only forecast: each cutoff is carried on by one made session after another."""

import numpy as np

from tickloom.errors import TickloomError
from tickloom.forecast.features import FEATURES, FeatureFrame, days_around, evaluate
from tickloom.forecast.history import Days, Floats, History
from tickloom.forecast.models.base import Rows
from tickloom.indicators.engine import Block, Engine
from tickloom.market.sessions import day_of, session_table

_VOLUMES = 20
_CLOSE = 1e-6
_BARS = ("open", "high", "low", "close", "volume")


class Continuation:
    """The last sessions of m cutoffs, to which made sessions are appended.

    A made session has one price, the forecast close, the median volume of the 20 before it, and the exchange's next
    date. Indicators go on from their state at the cutoff, so that features are those that a longer history would have;
    columns that are no features of the catalogue, such as sentiment, stay as they were at the cutoff.

    Parameters
    ----------
    frame
        Features made of all its sessions and none before.
    rows : int64[m]
        The cutoffs.
    length : int
        Sessions of each that ``frame`` is to have.

    Raises
    ------
    TickloomError
        The features were made of sessions that the frame has no longer.
    """

    def __init__(self, frame: FeatureFrame, rows: Rows, length: int = 1) -> None:
        history = frame.history
        self._source, self._length = frame, length
        self._known = [(at, it) for at, name in enumerate(frame.names) for it in FEATURES if it.name == name]
        self._engine = Engine(sorted({name for _, it in self._known for name in it.indicators}))
        back = rows[:, None] - np.arange(length - 1, -1, -1)
        self._values: Floats = frame.values[back]
        self._bars = {name: getattr(history, name)[back] for name in _BARS}
        self._day: Days = history.day[back]
        self._volumes = history.volume[np.maximum(rows[:, None] - np.arange(_VOLUMES - 1, -1, -1), 0)]
        before, self._columns = self._run(history, rows)
        if len(rows):
            self._check(before, rows)

    def _run(self, history: History, rows: Rows) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Bring the indicators to each cutoff; return all columns of the session before it and of its own."""
        _, values = self._engine.update(self._engine.initial(), _block(history, 0, len(history)))
        state, at = self._engine.initial(), 0
        self._states: list[Floats] = [state] * len(rows)
        for place in np.argsort(rows, kind="stable"):
            state, _ = self._engine.update(state, _block(history, at, int(rows[place]) + 1))
            at = int(rows[place]) + 1
            self._states[place] = state

        def columns(places: Rows) -> dict[str, Floats]:
            bars = {name: getattr(history, name)[places] for name in _BARS}
            indicators = dict(zip(self._engine.names, values[places].T, strict=True))
            return {**bars, **indicators, **days_around(history.market, history.day[places])}

        return columns(np.maximum(rows - 1, 0)), columns(rows)

    def _check(self, before: dict[str, Floats], rows: Rows) -> None:
        found, given = self._features(before, self._columns), self._source.values[rows]
        same = np.isclose(found, given, rtol=_CLOSE, atol=_CLOSE) | np.isnan(found)
        if not same.all():
            wrong = self._source.names[int(np.flatnonzero(~same.all(axis=0))[0])]
            raise TickloomError(
                f"{self._source.history.ticker}: feature {wrong!r} was made of sessions before the frame's first, and "
                "cannot be carried on; give a frame that begins with the history"
            )

    def _features(self, before: dict[str, Floats], now: dict[str, Floats]) -> Floats:
        """Return the features, float64[m, k], NaN where one has none; none reads further back than one session."""
        pairs = {name: np.column_stack([before[name], now[name]]).ravel() for name in now}
        found = self._values[:, -1].copy()
        for at, feature in self._known:
            found[:, at] = evaluate(feature, pairs)[1::2]
        return found

    @property
    def frame(self) -> FeatureFrame:
        """The last ``length`` sessions of each cutoff, one cutoff after another."""
        source = self._source.history
        bars = {name: it.ravel() for name, it in self._bars.items()}
        history = History(source.ticker, source.market, self._day.ravel(), **bars, origin=source.origin)
        values = self._values.reshape(-1, self._values.shape[2])
        return FeatureFrame(history, self._source.names, values, self._source.version)

    @property
    def rows(self) -> Rows:
        """The newest session of each cutoff in ``frame``."""
        return np.arange(self._length - 1, self._day.size, self._length)

    def append(self, close: Floats) -> None:
        """Append a session to each cutoff.

        Parameters
        ----------
        close : float64[m]
            Its price.
        """
        source = self._source.history
        price = np.full(len(close), np.nan) if source.close_only else close
        volume = np.median(self._volumes, axis=1)
        day = self._next_days()
        now = {"open": price, "high": price, "low": price, "close": close, "volume": volume}
        values = np.empty((len(close), len(self._engine.names)))
        for at, state in enumerate(self._states):
            one = slice(at, at + 1)
            block = Block(np.zeros(1, np.int64), day[one], *(now[name][one] for name in _BARS))
            self._states[at], values[one] = self._engine.update(state, block)
        now |= dict(zip(self._engine.names, values.T, strict=True)) | days_around(source.market, day)
        found = self._features(self._columns, now)
        found = np.where(np.isnan(found), self._values[:, -1], found)
        self._columns = now
        self._volumes = np.column_stack([self._volumes[:, 1:], volume])
        self._values = np.concatenate([self._values[:, 1:], found[:, None]], axis=1)
        self._bars = {name: np.column_stack([it[:, 1:], now[name]]) for name, it in self._bars.items()}
        self._day = np.column_stack([self._day[:, 1:], day])

    def _next_days(self) -> Days:
        table = session_table(self._source.history.market)
        at = np.searchsorted(table.day, self._day[:, -1], side="right")
        if len(at) and at.max() >= len(table):
            end = day_of(int(table.day[-1]))
            raise TickloomError(f"calendar {table.mic} ends at {end}; ask for fewer sessions")
        return table.day[at]


def _block(history: History, start: int, stop: int) -> Block:
    bars = (getattr(history, name)[start:stop] for name in _BARS)
    return Block(np.arange(start, stop, dtype=np.int64), history.day[start:stop], *bars)
