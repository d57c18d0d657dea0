"""From a source of the configuration to what is asked, when, and for how long."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from services.ingest.config import AnySource, GbmSource, ReplaySource, YahooSource
from services.ingest.hours import Hours
from tickloom.errors import ConfigurationError, TickloomError
from tickloom.manifest.model import milliseconds
from tickloom.market.sessions import session_table
from tickloom.sources.blocks import PriceBlock
from tickloom.sources.gbm import Gbm
from tickloom.sources.pace import at_clock, at_rate, at_speed
from tickloom.sources.replay import Replay
from tickloom.sources.start import starting_prices
from tickloom.sources.yahoo_live import YahooLive

Trades = Callable[[float], bool]
"""Says whether an exchange trades at a time in seconds since 1970."""


class Feed(Protocol):
    """What the service turns into records."""

    @property
    def trades(self) -> Trades | None:
        """Whether the exchange trades that the source follows; None where it follows none."""

    def next(self, now: float) -> float | None:
        """Return when the next turn is, in seconds since 1970; None when there is none any more."""

    def blocks(self) -> Iterable[PriceBlock]:
        """Return the records of one turn."""

    def done(self, block: PriceBlock) -> None:
        """Take note that the next block of the turn was acknowledged."""

    def ended(self) -> None:
        """Take note that all blocks of the turn were."""


@dataclass
class Polled:
    """A source that is asked again and again while an exchange is open.

    Parameters
    ----------
    one_day
        Come to an end with the last turn of the day on which it starts: at once on a day without a session, and after
        one turn when the session is over.
    """

    live: YahooLive
    hours: Hours
    one_day: bool = False
    asked: bool = False
    _turn: float = 0.0
    _last: float | None = None
    _finished: bool = False

    @property
    def trades(self) -> Trades:
        """Whether the exchange trades."""
        return self.hours.open

    def next(self, now: float) -> float | None:
        """Return when to ask next; at first at once, for what was missed today."""
        if self.one_day and self._last is None:
            self._last = self.hours.last_turn(now)
            self._finished = self._last is None
        if self._finished:
            return None
        over = self._last is not None and now >= self._last
        self._turn = now if over or (not self.asked and self.hours.open(now)) else self.hours.next(now)
        return self._turn

    def blocks(self) -> list[PriceBlock]:
        """Ask once."""
        self.asked = True
        return self.live.poll()

    def done(self, block: PriceBlock) -> None:
        """Ask for these records no more."""
        self.live.seen(block)

    def ended(self) -> None:
        """Have no further turn after the day's last one."""
        self._finished = self._last is not None and self._turn >= self._last


@dataclass
class Once:
    """A source that ends, or runs until it is stopped; after a failure it goes on where it was."""

    start: Callable[[], Iterator[PriceBlock]]
    pace: Callable[[Iterable[PriceBlock]], Iterable[PriceBlock]]
    sent: int = 0
    finished: bool = False
    trades: Trades | None = None

    def next(self, now: float) -> float | None:
        """Return now, until it has come to its end."""
        return None if self.finished else now

    def blocks(self) -> Iterator[PriceBlock]:
        """Return the records that were not acknowledged yet."""

        def rest() -> Iterator[PriceBlock]:
            left = self.sent
            for block in self.start():
                if left >= len(block):
                    left -= len(block)
                elif left:
                    yield block.take(slice(left, len(block)))
                    left = 0
                else:
                    yield block

        yield from self.pace(rest())

    def done(self, block: PriceBlock) -> None:
        """Begin after these records where the rest is asked for again."""
        self.sent += len(block)

    def ended(self) -> None:
        """Have no further turn."""
        self.finished = True


def feeds_of(sources: Iterable[AnySource], *, one_day: bool = False) -> list[Feed]:
    """Return what each source of the configuration asks for.

    Raises
    ------
    ConfigurationError
        One line for each source that cannot be, as ``feed_of`` says it.
    """
    feeds, wrong = [], []
    for source in sources:
        try:
            feeds.append(feed_of(source, one_day=one_day))
        except ConfigurationError as error:
            wrong.append(str(error))
    if wrong:
        raise ConfigurationError("\n".join(wrong))
    return feeds


def feed_of(source: AnySource, *, one_day: bool = False) -> Feed:
    """Return what a source of the configuration asks for, with ``one_day`` until the exchange's day is over.

    Raises
    ------
    ConfigurationError
        The source cannot be: an unknown ticker without a starting price, a folder without files.
    """
    try:
        match source:
            case YahooSource():
                return _yahoo(source, one_day)
            case GbmSource():
                return _gbm(source)
            case ReplaySource():
                return _replay(source)
    except TickloomError as error:
        raise ConfigurationError(f"source {source.name}: {error}") from None


def _yahoo(source: YahooSource, one_day: bool) -> Polled:
    live = YahooLive(source.tickers, source.market, source.interval)
    every, after = milliseconds(source.every) / 1000, milliseconds(source.after_close) / 1000
    return Polled(live, Hours(session_table(source.market), every, after), one_day)


def _gbm(source: GbmSource) -> Once:
    starts = starting_prices(list(source.tickers), dict(source.start), [])
    prices = {ticker: found.price for ticker, found in starts.items()}
    made = Gbm(
        source.tickers, prices, source.market, source.seed, source.step, count=source.count, sessions=source.sessions
    )
    return Once(made.blocks, lambda blocks: at_clock(at_rate(blocks, source.rate)))


def _replay(source: ReplaySource) -> Once:
    files = [path for named in source.files for path in _files(named)]
    speed = source.speed
    pace = (lambda blocks: blocks) if speed is None else (lambda blocks: at_speed(blocks, speed, source.max_gap))
    return Once(Replay(files, source.market).blocks, pace)


def _files(named: Path) -> list[Path]:
    if not named.is_dir():
        return [named]
    found = sorted(named.glob("*.csv"))
    if not found:
        raise ConfigurationError(f"folder {named} holds no *.csv")
    return found
