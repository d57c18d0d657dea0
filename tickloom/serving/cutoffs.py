"""What is known of a ticker at its last close: its history, kept fresh, and what models read of it."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import structlog

from tickloom.errors import TickloomError
from tickloom.forecast.features import FeatureFrame, feature_frame
from tickloom.forecast.history import History
from tickloom.forecast.intervals import volatility

log = structlog.get_logger(__name__)
Load = Callable[[str, str], History]
"""From market and ticker to the history up to the last close."""
_FRAMES = 4
_PAST = 256


@dataclass(eq=False)
class Cutoff:
    """A history whose last session is what is known.

    Attributes
    ----------
    history : History
    volatility : float
        Of daily log-returns, NaN while too few are known.
    """

    history: History
    volatility: float
    _frames: dict[tuple[str, ...], FeatureFrame] = field(default_factory=dict, repr=False)
    _days: dict[int, npt.NDArray[np.int32]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, history: History) -> "Cutoff":
        """Return what is known at the last close of a history."""
        return cls(history, float(volatility(history)[-1]))

    @property
    def day(self) -> int:
        """Last session, days since 1970."""
        return int(self.history.day[-1])

    def frame(self, names: Sequence[str]) -> FeatureFrame:
        """Return the features of these names; the last few sets are kept."""
        wanted = tuple(names)
        if wanted not in self._frames:
            while len(self._frames) >= _FRAMES:
                self._frames.pop(next(iter(self._frames)))
            self._frames[wanted] = feature_frame(self.history, wanted)
        return self._frames[wanted]

    def days(self, horizon: int) -> npt.NDArray[np.int32]:
        """Return the dates of the next sessions."""
        if horizon not in self._days:
            self._days[horizon] = self.history.sessions_after(horizon)
        return self._days[horizon]


class TooEarlyError(TickloomError):
    """A ticker has no session up to a date."""


class Cutoffs:
    """The last closes of all tickers that were asked for.

    Histories are read when a ticker is first asked for, and again in the background every ``refresh_s``. While that
    fails the last known one stays, and ``trouble`` says why.

    Parameters
    ----------
    load
        Reads a history; raises a TickloomError where there is none.
    refresh_s
        Seconds between two looks for newer bars.

    Attributes
    ----------
    also : callable
        Called after each look; what it raises is logged.
    """

    def __init__(self, load: Load, refresh_s: float = 60.0) -> None:
        self._load, self._refresh_s = load, refresh_s
        self.also: Callable[[], None] = lambda: None
        self._held: dict[tuple[str, str], Cutoff] = {}
        self._past: dict[tuple[str, str, int], Cutoff] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.trouble: Mapping[tuple[str, str], str] = {}

    @property
    def held(self) -> Mapping[tuple[str, str], Cutoff]:
        """The last closes by market and ticker, as they are now."""
        return self._held

    def start(self) -> None:
        """Begin to look for newer bars in a thread."""
        self._thread = threading.Thread(target=self._look, name="cutoffs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def get(self, market: str, ticker: str, as_of: int | None = None) -> Cutoff:
        """Return what is known of a ticker, at its last close or at the last one up to ``as_of``.

        Raises
        ------
        TickloomError
            It has no history.
        TooEarlyError
            It has none up to then.
        """
        key = (market, ticker)
        found = self._held.get(key)
        if found is None:
            with self._lock:
                found = self._held.get(key) or Cutoff.of(self._load(market, ticker))
                self._held[key] = found
        if as_of is None or as_of >= found.day:
            return found
        return self._at(found.history, as_of)

    def _at(self, history: History, as_of: int) -> Cutoff:
        end = int(np.searchsorted(history.day, as_of, side="right"))
        if not end:
            raise TooEarlyError(
                f"{history.ticker} has no session up to {np.datetime64(as_of, 'D')}; its first is "
                f"{np.datetime64(int(history.day[0]), 'D')}"
            )
        key = (history.market, history.ticker, end)
        with self._lock:
            known = self._past.get(key)
            if known is None or known.history.close[-1] != history.close[end - 1]:
                while len(self._past) >= _PAST:
                    self._past.pop(next(iter(self._past)))
                known = self._past[key] = Cutoff.of(history.between(0, end))
        return known

    def refresh(self) -> None:
        """Read all histories again, and take those that have changed."""
        trouble = {}
        for key, held in list(self._held.items()):
            if self._stop.is_set():
                return
            try:
                history = self._load(*key)
            except TickloomError as error:
                trouble[key] = str(error)
                continue
            if history.sha256 != held.history.sha256:
                self._held[key] = Cutoff.of(history)
        if trouble and not self.trouble:
            key, words = next(iter(trouble.items()))
            log.warning("histories cannot be read; the last known ones stay", count=len(trouble), first=words)
        self.trouble = trouble

    def _look(self) -> None:
        while not self._stop.wait(self._refresh_s):
            begun = time.monotonic()
            try:
                self.refresh()
                self.also()
            except TickloomError as error:
                log.warning("what has matured cannot be read; what is known stays", error=str(error))
            except Exception:
                log.exception("looking for newer bars failed")
            if time.monotonic() - begun > self._refresh_s:
                log.warning(
                    "reading all histories takes longer than the time between two looks", tickers=len(self._held)
                )
