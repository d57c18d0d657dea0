"""The daily bars of one ticker, checked before anything is learned from them."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import structlog

from tickloom.errors import TickloomError
from tickloom.market.sessions import day_of, session_table
from tickloom.sources.csvfile import BarFrame
from tickloom.sources.csvspans import USUAL

_log = structlog.get_logger()
Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.int32]
PRICES = ("open", "high", "low", "close")
MOST_GAP = 10
"""Sessions that may be missing in a row."""
_SPLITS = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 50.0)
_NAMED = 5  # dates in a sentence
_STILL = 20  # sessions without a move at the end that are worth a word
_SPLIT_LEAST = 0.4  # absolute log-return of a session below which no split is suspected
_SPLIT_NEAR = 0.03  # how near to the log of a whole ratio it must be


class DoubtfulError(TickloomError):
    """Prices that are refused, and would be taken if somebody said so.

    Attributes
    ----------
    option : str
        How that is said on the command line, where a verb has the option.
    """

    def __init__(self, why: str, option: str) -> None:
        super().__init__(why)
        self.option = option


@dataclass(frozen=True, eq=False)
class History:
    """Bars of whole sessions, oldest first; all arrays have the length n.

    Attributes
    ----------
    ticker, market : str
    day : int32[n]
        Exchange's date of each session, days since 1970.
    open, high, low, close : float64[n]
        Prices in the currency of the market; all but ``close`` are NaN throughout where ``close_only``.
    volume : float64[n]
        Shares; NaN where unknown, and throughout where it is 0 throughout.
    origin : str
        Where they come from, in words.
    notes : tuple of str
        What was noticed, one sentence each; also logged as warnings.
    """

    ticker: str
    market: str
    day: Days
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    origin: str = ""
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.day)

    @property
    def close_only(self) -> bool:
        """Whether nothing but closes is known."""
        return bool(np.isnan(self.high).all())

    @property
    def sha256(self) -> str:
        """Hash of ticker, market, days and all values."""
        digest = hashlib.sha256(f"{self.ticker}\0{self.market}\0".encode())
        for values in (self.day, *(getattr(self, name) for name in (*PRICES, "volume"))):
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    def between(self, start: int, stop: int) -> Self:
        """Return sessions ``start`` to ``stop - 1``."""
        return replace(self, **{name: getattr(self, name)[start:stop] for name in ("day", *PRICES, "volume")})

    def sessions_after(self, count: int) -> Days:
        """Return the dates of the next ``count`` sessions of the exchange."""
        table = session_table(self.market)
        begin = int(np.searchsorted(table.day, self.day[-1], side="right"))
        days = table.day[begin : begin + count]
        if len(days) < count:
            raise TickloomError(f"calendar {self.market} ends at {day_of(int(table.day[-1]))}; ask for fewer sessions")
        return days

    @classmethod
    def of_bars(cls, bars: BarFrame, origin: str = "", *, most_gap: int = MOST_GAP, allow_jumps: bool = False) -> Self:
        """Check daily bars and return them.

        Sessions without a close, and rows of days on which the exchange is closed, are left out, and said.

        Raises
        ------
        TickloomError
            The bars are not daily, a price is not above 0, or all closes are the same.
        DoubtfulError
            More than ``most_gap`` sessions in a row are missing, or, without ``allow_jumps``, a close looks like a
            split that nobody has adjusted for.
        """
        name = f"{bars.ticker} ({origin})" if origin else bars.ticker
        if bars.interval != "1d":
            raise TickloomError(f"{name}: bars of {bars.interval}; forecasts need daily bars (1d)")
        closed = _closed(bars)
        frame = bars.frame[bars.frame["close"].notna() & ~closed]
        opened, high, low, close, volume = (frame[key].to_numpy(np.float64, copy=True) for key in (*PRICES, "volume"))
        days = frame["day"].to_numpy(np.int32)
        made = cls(bars.ticker, bars.market, days, opened, high, low, close, volume, origin)
        left_out = len(bars.frame) - len(frame) - int(closed.sum())
        heard = [it for it in bars.notes if not (closed.any() and it.endswith(USUAL))]
        notes = [*heard, *_said_of_closed(bars, closed)]
        notes += [f"{left_out} sessions without a close are left out"] if left_out else []
        _check_prices(name, made)
        notes += _check_gaps(name, made, most_gap)
        if not allow_jumps:
            _check_splits(name, made)
        volume, said = _volume(made)
        made = replace(made, volume=volume)
        notes += said + _still(made)
        if np.isnan(made.high).any() or np.isnan(made.low).any() or np.isnan(made.open).any():
            unknown = np.full(len(made), np.nan)
            if not made.close_only:
                notes.append("open, high and low are not known of every session and are left out")
            made = replace(made, open=unknown, high=unknown, low=unknown)
        for note in notes[len(heard) :]:  # whoever made the bars has logged theirs
            _log.warning(note, ticker=bars.ticker)
        return replace(made, notes=tuple(notes))


def _closed(bars: BarFrame) -> npt.NDArray[np.bool_]:
    """Return which rows are of days without a session, of those years that the calendar covers."""
    table = session_table(bars.market)
    days = bars.frame["day"].to_numpy(np.int32)
    known = (days >= table.day[0]) & (days <= table.day[-1])
    absent: npt.NDArray[np.bool_] = known & (table.index_of_day(days) < 0)
    return absent


def _said_of_closed(bars: BarFrame, closed: npt.NDArray[np.bool_]) -> list[str]:
    """Return a sentence with the first dates on which there is a row and no session."""
    count = int(closed.sum())
    if not count:
        return []
    some = ", ".join(str(day_of(int(it))) for it in bars.frame["day"].to_numpy(np.int32)[closed][:_NAMED])
    more = " …" if count > _NAMED else ""
    rows = "1 row of a date" if count == 1 else f"{count} rows of dates"
    return [f"{rows} without a session of {bars.market} ({some}{more}): left out"]


def _volume(history: History) -> tuple[Floats, list[str]]:
    """Return the volume as it counts, and what is to be said of it."""
    known = ~np.isnan(history.volume)
    if not known.any():
        return history.volume, []
    if not history.volume[known].any():
        return np.full(len(history), np.nan), ["the volume is 0 throughout and taken as unknown"]
    if not known.all():
        return history.volume, [f"the volume of {int((~known).sum())} sessions is unknown, so no feature reads volumes"]
    return history.volume, []


def _still(history: History) -> list[str]:
    """Return what is to be said of a price that moves no more, as of a share that is no longer traded."""
    moves = np.flatnonzero(np.diff(history.close))
    still = len(history) - 1 - (int(moves[-1]) + 1 if len(moves) else 0)
    return [f"the close has not moved in the last {still} sessions"] if still >= _STILL else []


def _check_prices(name: str, history: History) -> None:
    if not len(history):
        raise TickloomError(f"{name}: no session has a close; look at the file")
    for column in PRICES:
        values = getattr(history, column)
        wrong = np.flatnonzero(~(values > 0) & ~np.isnan(values))
        if len(wrong):
            day = day_of(int(history.day[wrong[0]]))
            raise TickloomError(f"{name}: {column} {values[wrong[0]]:g} on {day} is not above 0; correct or remove it")
    if len(history) > 1 and np.ptp(history.close) == 0:
        raise TickloomError(
            f"{name}: all {len(history)} closes are {history.close[0]:g}; a price that never moves has nothing to "
            "forecast: load one that does"
        )


def _check_gaps(name: str, history: History, most: int) -> list[str]:
    table = session_table(history.market)
    index = np.searchsorted(table.day, history.day)
    missing = np.diff(index) - 1
    if not len(missing) or missing.max() <= 0:
        return []
    worst = int(missing.argmax())
    days = [day_of(int(history.day[it])) for it in (worst, worst + 1)]
    if missing[worst] > most:
        raise DoubtfulError(
            f"{name}: {missing[worst]} sessions are missing between {days[0]} and {days[1]}, more than {most}; "
            "complete them, or start after them",
            "allow them (--max-gap)",
        )
    return [f"{int(np.maximum(missing, 0).sum())} sessions are missing, at most {missing[worst]} in a row"]


def _check_splits(name: str, history: History) -> None:
    """Refuse a jump that lasts and is near a whole ratio."""
    moves = np.diff(np.log(history.close))
    for row in np.flatnonzero(np.abs(moves) > _SPLIT_LEAST):
        ratio = float(np.exp(abs(moves[row])))
        near = min(_SPLITS, key=lambda it: abs(np.log(it / ratio)))
        if abs(np.log(near / ratio)) < _SPLIT_NEAR:
            day = day_of(int(history.day[row + 1]))
            before, after = history.close[row], history.close[row + 1]
            raise DoubtfulError(
                f"{name}: the close goes from {before:g} to {after:g} on {day}, which looks like a split of {near:g} "
                "that nobody adjusted for; load adjusted prices",
                "say that it is real (--allow-jumps)",
            )
