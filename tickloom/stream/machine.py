"""One ticker's state machine: records in, accepted ticks, bars and refusals out. No Spark, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tickloom.indicators.engine import Block, Engine
from tickloom.manifest.model import milliseconds
from tickloom.market.intervals import SECONDS
from tickloom.market.sessions import SessionTable, session_table
from tickloom.stream import kernels
from tickloom.stream.job import Spec
from tickloom.stream.rows import BAR, DAY_S, TICK, Array, empty
from tickloom.stream.state import NEVER, IntervalState, TickerState

BUCKET_ROWS = 500_000


@dataclass(frozen=True)
class Records:
    """Validated records of one ticker in one micro-batch, in any order.

    Parameters
    ----------
    time_us, sequence, position
        int64[n]; ``position`` orders records with equal keys by their place in the topic.
    source
        n names.
    price, open, high, low
        float64[n]; the last three are NaN unless the record sums up an interval.
    volume
        int64[n], ``UNKNOWN_VOLUME`` when unknown.
    interval_s
        int32[n], 0 for a single trade.
    arrived_us
        int64[n], Kafka's timestamp.
    """

    time_us: Array
    sequence: Array
    position: Array
    source: Sequence[str]
    price: Array
    volume: Array
    open: Array
    high: Array
    low: Array
    interval_s: Array
    arrived_us: Array


@dataclass(frozen=True)
class Clock:
    """What the calendar or the end of a bounded replay says, beside the records.

    Parameters
    ----------
    closed
        Closes of sessions (UTC microseconds) whose bars are to be made final, where the ticker's records came live: one
        that arrived after the close and the allowed delay shows that the session is being replayed, and more may come.
    flush
        Whether every bar is to be made final: the replay has ended.
    """

    closed: tuple[int, ...] = ()
    flush: bool = False


@dataclass(frozen=True)
class Effects:
    """What one micro-batch does for one ticker.

    Parameters
    ----------
    ticks
        Rows of ``TICK``, in the order of their keys.
    sources
        The names that ``ticks['source']`` points into.
    bars
        Rows of ``BAR``: those that changed, final ones first.
    values
        float64[len(bars), number of indicators]; NaN in warm-up and for bars that are not final.
    too_late
        Positions (into the given records) of those behind the watermark.
    duplicates
        How many records were repeats.
    """

    ticks: Array
    sources: list[str]
    bars: Array
    values: Array
    too_late: Array
    duplicates: int


@dataclass
class Machine:
    """Applies records to a ticker's state as a StreamJob's spec says."""

    spec: Spec
    engine: Engine = field(init=False)
    table: SessionTable = field(init=False)

    def __post_init__(self) -> None:
        prices, bars = self.spec.processors.prices, self.spec.processors.bars
        self.engine = Engine(bars.indicators)
        self.table = session_table(self.spec.market)
        self.window = prices.window
        self.threshold = prices.threshold
        self.delay_us = milliseconds(prices.watermark) * 1000
        self.intervals = tuple(SECONDS[name] for name in bars.intervals)
        self.all_hours = bars.hours == "all"

    def warm(self) -> None:
        """Compile the loops, or read them from the cache, so that the first micro-batch does not wait for it."""
        self.engine.warm()
        integers, floats = np.arange(2, dtype=np.int64), np.ones(2)
        none = np.zeros(2, np.int32)
        records = Records(
            integers, integers, integers, ["a"] * 2, floats, integers, floats, floats, floats, none, integers
        )
        state = TickerState()
        self.apply(state, records, Clock(flush=True))
        self.apply(TickerState.from_bytes(state.to_bytes()), records, Clock(flush=True))

    def apply(self, state: TickerState, records: Records, clock: Clock) -> Effects:
        """Apply one micro-batch to ``state``, in place, and return its effects.

        The records are taken in the order (time, source, sequence). Those behind the watermark that the state had
        before this batch are refused; those before the last applied key are accepted as late, which corrects an
        unfinished bar and nothing else.
        """
        # An interval that the ticker's state does not know begins with the first bar after its newest record: the one
        # under way would lack what came before. An interval that the spec no longer names is forgotten.
        state.intervals = {
            seconds: state.intervals.get(seconds) or IntervalState(frontier_us=state.newest_us)
            for seconds in self.intervals
        }
        order, codes, rank = self._order(state, records)
        time_us, sequence = records.time_us[order], records.sequence[order]
        watermark = state.newest_us - self.delay_us if state.newest_us > NEVER else NEVER
        duplicate = np.zeros(len(order), bool)
        repeated = kernels.find_duplicates(
            time_us, codes, sequence, state.seen_us, state.seen_source, state.seen_sequence, duplicate
        )
        behind = ~duplicate & (time_us < watermark)
        keep = ~duplicate & ~behind
        chosen = order[keep]
        ticks = self._ticks(state, records, chosen, codes[keep], rank)
        if len(ticks):
            state.prices = kernels.score(ticks, state.prices[-self.window :], self.window, self.threshold)
            newest = ticks[-1]
            state.newest_us = max(state.newest_us, int(newest["time_us"]))
            state.arrived_us = max(state.arrived_us, int(ticks["arrived_us"].max()))
            if not newest["late"]:
                state.last_us, state.last_source = int(newest["time_us"]), int(newest["source"])
                state.last_sequence = int(newest["sequence"])
            self._remember(state, ticks)
        bars, values = self._bars(state, ticks, rank, clock)
        return Effects(ticks, state.sources, bars, values, order[behind], int(repeated))

    def _order(self, state: TickerState, records: Records) -> tuple[Array, Array, Array]:
        """Return the order of the records, their source codes in that order, and the alphabetical rank of each code."""
        names = state.sources
        count = len(records.time_us)
        distinct = set(records.source)
        fresh = sorted(distinct.difference(names))
        if fresh:
            state.sources = names = [*names, *fresh]
        rank = np.argsort(np.argsort(np.array(names, dtype=str))).astype(np.int16) if names else np.zeros(0, np.int16)
        if len(distinct) <= 1:
            code = names.index(next(iter(distinct))) if distinct else 0
            codes = np.full(count, code, np.int16)
        else:
            place = {name: number for number, name in enumerate(names)}
            codes = np.fromiter((place[name] for name in records.source), np.int16, count)
        ranks = rank[codes] if count else codes
        if kernels.is_sorted(records.time_us, ranks, records.sequence):
            return np.arange(count), codes, rank
        order = np.lexsort((records.position, records.sequence, ranks, records.time_us))
        return order, codes[order], rank

    def _ticks(self, state: TickerState, records: Records, chosen: Array, codes: Array, rank: Array) -> Array:
        ticks = np.zeros(len(chosen), TICK)
        if not len(chosen):
            return ticks
        for name in ("time_us", "sequence", "price", "volume", "open", "high", "low", "interval_s", "arrived_us"):
            ticks[name] = getattr(records, name)[chosen]
        ticks["source"] = codes
        ticks["mean"] = ticks["deviation"] = ticks["z_score"] = np.nan
        ticks["anomaly"] = -1
        if state.last_source >= 0:
            ticks["late"] = _before(ticks, rank[codes], state, int(rank[state.last_source]))
        ticks["day"] = self.table.local_day(ticks["time_us"])
        for day in np.unique(ticks["day"]):
            of_day = np.flatnonzero(ticks["day"] == day)
            done = state.day_rows.get(int(day), 0)
            ticks["bucket"][of_day] = (done + np.arange(len(of_day))) // BUCKET_ROWS
            state.day_rows[int(day)] = done + len(of_day)
        return ticks

    def _remember(self, state: TickerState, ticks: Array) -> None:
        """Add the keys to those seen, and forget what the watermark has passed."""
        watermark = state.newest_us - self.delay_us
        fresh = ticks[ticks["time_us"] >= watermark]
        old = state.seen_us >= watermark
        time_us = np.concatenate([state.seen_us[old], fresh["time_us"]])
        source = np.concatenate([state.seen_source[old], fresh["source"]])
        sequence = np.concatenate([state.seen_sequence[old], fresh["sequence"]])
        if not kernels.is_sorted(time_us, source, sequence):
            order = np.lexsort((sequence, source, time_us))
            time_us, source, sequence = time_us[order], source[order], sequence[order]
        state.seen_us, state.seen_source, state.seen_sequence = time_us, source, sequence
        oldest = int(watermark // 86_400_000_000) - 2
        if len(state.day_rows) > 4:
            state.day_rows = {day: rows for day, rows in state.day_rows.items() if day >= oldest}

    def _bars(self, state: TickerState, ticks: Array, rank: Array, clock: Clock) -> tuple[Array, Array]:
        changed: list[Array] = []
        values: list[Array] = []
        session = self.table.locate(ticks["time_us"]) if len(ticks) else empty(np.dtype(np.int64))
        for seconds in self.intervals:
            mine = state.intervals[seconds]
            bars, count = self._merge(mine, ticks, session, rank, seconds)
            final = self._is_final(bars[:count], state, clock)
            done = bars[:count][final]
            done["final"] = 1
            still = bars[:count][~final]
            told = still[still["dirty"] == 1]
            still["dirty"] = 0
            mine.bars = still
            if len(done):
                mine.frontier_us = max(mine.frontier_us, int(done["start_us"][-1]))
                values.append(self._indicators(mine, done))
                changed.append(done)
            if len(told):
                values.append(np.full((len(told), len(self.engine.names)), np.nan))
                changed.append(told)
        if not changed:
            return empty(BAR), np.empty((0, len(self.engine.names)))
        return np.concatenate(changed), np.concatenate(values)

    def _merge(self, mine: IntervalState, ticks: Array, session: Array, rank: Array, seconds: int) -> tuple[Array, int]:
        bars = np.zeros(len(mine.bars) + len(ticks), BAR)
        bars[: len(mine.bars)] = mine.bars
        if not len(ticks):
            return bars, len(mine.bars)
        start_us, end_us, day = self._place(ticks, session, seconds)
        count = kernels.build_bars(ticks, start_us, end_us, day, rank, seconds, mine.frontier_us, bars, len(mine.bars))
        return bars, int(count)

    def _place(self, ticks: Array, session: Array, seconds: int) -> tuple[Array, Array, Array]:
        """Return start, end and day of the bar that each tick belongs to; a start of -1 where there is none.

        A record that sums up an interval belongs to the bar in which that interval begins, and to none shorter than
        itself.
        A trade at the very close belongs to the session's last bar.
        """
        length = seconds * 1_000_000
        inside = session >= 0
        opened = self.table.open_us[session]
        closed = self.table.close_us[session]
        begins = ticks["time_us"] - ticks["interval_s"].astype(np.int64) * 1_000_000
        if seconds == DAY_S:
            start, end = opened.copy(), closed.copy()
        else:
            moment = np.clip(begins, opened, closed - 1)
            start = opened + (moment - opened) // length * length
            end = np.minimum(start + length, closed)
        if self.all_hours:
            outside = begins if seconds != DAY_S else ticks["time_us"]
            floor = outside // length * length
            start, end = np.where(inside, start, floor), np.where(inside, end, floor + length)
            inside = np.ones(len(ticks), bool)
        fits = ticks["interval_s"] <= seconds
        day = np.where(session >= 0, self.table.day[session], ticks["day"]).astype(np.int32)
        return np.where(inside & fits, start, -1), end, day

    def _is_final(self, bars: Array, state: TickerState, clock: Clock) -> Array:
        if clock.flush:
            return np.ones(len(bars), bool)
        final = bars["end_us"] <= state.newest_us - self.delay_us
        for close in clock.closed:
            if state.arrived_us > close + self.delay_us:
                continue
            day = self.table.local_day(np.array([close]))[0]
            final |= (bars["day"] == day) & (bars["end_us"] <= close)
        # bars become final in their order, so that indicators see them in it
        newest = np.flatnonzero(final)
        if len(newest):
            final[: newest[-1] + 1] = True
        return final

    def _indicators(self, mine: IntervalState, done: Array) -> Array:
        state = self.engine.load(mine.indicators) if mine.indicators else self.engine.initial()
        volume = np.where(done["volume"] >= 0, done["volume"].astype(float), np.nan)
        block = Block(
            time_us=np.ascontiguousarray(done["start_us"]),
            day=np.ascontiguousarray(done["day"]),
            open=np.ascontiguousarray(done["open"]),
            high=np.ascontiguousarray(done["high"]),
            low=np.ascontiguousarray(done["low"]),
            close=np.ascontiguousarray(done["close"]),
            volume=volume,
        )
        state, values = self.engine.update(state, block)
        mine.indicators = self.engine.dump(state)
        return np.asarray(values)


def _before(ticks: Array, ranks: Array, state: TickerState, last_rank: int) -> Array:
    """Return which ticks come before the last applied key."""
    same_time = ticks["time_us"] == state.last_us
    same_source = ranks == last_rank
    before: Array = ticks["time_us"] < state.last_us
    before |= same_time & (ranks < last_rank)
    before |= same_time & same_source & (ticks["sequence"] < state.last_sequence)
    return before


def vwap(bars: Array) -> Array:
    """Return the volume-weighted average price of each bar, NaN where no volume is known or it is 0."""
    known = bars["volume"] > 0
    return np.where(known, bars["notional"] / np.where(known, bars["volume"], 1), np.nan)
