"""What readers ask: prices, anomalies and bars of one ticker, newest first in the store, oldest first in the answer."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from cassandra.cluster import Session

from tickloom.store.connect import told
from tickloom.store.days import days
from tickloom.store.prepared import prepare

Moment = date | datetime
"""A time in UTC, or a date of the exchange as a whole."""

TIME = pa.timestamp("us", "UTC")
PAGE = 5000
FIRST_YEAR = 1970
MOST_AT_ONCE = 64
"""Partitions that are asked at the same time."""

_TEXT, _NUMBER, _COUNT, _FLAG = pa.string(), pa.float64(), pa.int64(), pa.bool_()
PRICE_COLUMNS: dict[str, pa.DataType] = {
    "source": _TEXT,
    "sequence": _COUNT,
    "price": _NUMBER,
    "volume": _COUNT,
    "open": _NUMBER,
    "high": _NUMBER,
    "low": _NUMBER,
    "interval": _TEXT,
    "rolling_avg": _NUMBER,
    "rolling_std": _NUMBER,
    "z_score": _NUMBER,
    "is_anomaly": _FLAG,
    "late": _FLAG,
}
ANOMALY_COLUMNS: dict[str, pa.DataType] = {
    "source": _TEXT,
    "sequence": _COUNT,
    **dict.fromkeys(("price", "rolling_avg", "rolling_std", "z_score", "threshold"), _NUMBER),
}
BAR_COLUMNS: dict[str, pa.DataType] = {
    "day": pa.date32(),
    **dict.fromkeys(("open", "high", "low", "close"), _NUMBER),
    "volume": _COUNT,
    "vwap": _NUMBER,
    "ticks": pa.int32(),
    "final": _FLAG,
    "source": _TEXT,
    "indicators": pa.map_(_TEXT, _NUMBER),
}


def prices(
    session: Session, ticker: str, start: Moment | None = None, end: Moment | None = None, *, last: int | None = None
) -> pa.Table:
    """Return the prices of a ticker, oldest first.

    Parameters
    ----------
    start, end
        Times in UTC, the end excluded, or dates of the exchange, the end included; default no limit.
    last
        Only the last so many.

    Returns
    -------
    pyarrow.Table
        ``ticker, day, time`` (microseconds, UTC) and the other columns of ``stock_prices``; unknown is null.
    """
    names = ", ".join(PRICE_COLUMNS)
    query = f"SELECT time, us, {names} FROM stock_prices WHERE ticker = ? AND day = ? AND bucket = ?"  # noqa: S608
    found: list[tuple[date, list[Any]]] = []
    missing = last
    for group in _growing(days(session, ticker, *_days_around(start, end)), last):
        keys = [(day, bucket) for day, buckets in group for bucket in buckets]
        answers = _ask(session, query, [(ticker, *key) for key in keys], start, end, missing)
        rows_of: dict[date, list[Any]] = {}
        for (day, _), rows in zip(keys, answers, strict=True):
            rows_of.setdefault(day, []).extend(islice(rows, missing))
        for day, buckets in group:
            rows = rows_of[day]
            if len(buckets) > 1:
                rows.sort(key=lambda row: row[:4], reverse=True)
            found.append((day, rows if missing is None else rows[:missing]))
            missing = None if missing is None else missing - len(found[-1][1])
            if missing == 0:
                return _with_us(ticker, found, PRICE_COLUMNS)
    return _with_us(ticker, found, PRICE_COLUMNS)


def anomalies(
    session: Session, ticker: str, start: Moment | None = None, end: Moment | None = None, *, last: int | None = None
) -> pa.Table:
    """Return the anomalies of a ticker, oldest first; parameters as of ``prices``."""
    names = ", ".join(ANOMALY_COLUMNS)
    query = f"SELECT time, us, {names} FROM anomalies WHERE ticker = ? AND day = ?"  # noqa: S608
    found: list[tuple[date, list[Any]]] = []
    missing = last
    for group in _growing(days(session, ticker, *_days_around(start, end)), last):
        answers = _ask(session, query, [(ticker, day) for day, _ in group], start, end, missing)
        for (day, _), answer in zip(group, answers, strict=True):
            rows = list(islice(answer, missing))
            found.append((day, rows))
            missing = None if missing is None else missing - len(rows)
            if missing == 0:
                return _with_us(ticker, found, ANOMALY_COLUMNS)
    return _with_us(ticker, found, ANOMALY_COLUMNS)


def bars(
    session: Session,
    ticker: str,
    interval: str,
    start: Moment | None = None,
    end: Moment | None = None,
    *,
    last: int | None = None,
    final_only: bool = False,
) -> pa.Table:
    """Return the bars of a ticker, oldest first; parameters as of ``prices``.

    Returns
    -------
    pyarrow.Table
        ``ticker, interval, time`` (start of the bar) and the other columns of ``bars``; ``indicators`` is a map.
    """
    names = ", ".join(BAR_COLUMNS)
    query = f"SELECT time, {names} FROM bars WHERE ticker = ? AND interval = ? AND year = ?"  # noqa: S608
    final = 1 + list(BAR_COLUMNS).index("final")
    first, latest = _days_around(start, end)
    years = range(
        (latest or datetime.now(UTC).date() + timedelta(days=1)).year, (first.year if first else FIRST_YEAR) - 1, -1
    )
    found: list[Any] = []
    for group in _growing(iter(years), last):
        answers = _ask(session, query, [(ticker, interval, year) for year in group], start, end, last and last + 8)
        for answer in answers:
            wanted = (row for row in answer if (row[final] or not final_only) and _on_days(row[1], start, end))
            found += islice(wanted, None if last is None else last - len(found))
        if last is not None and len(found) >= last:
            break
    found.reverse()
    columns = list(zip(*found, strict=True)) or [()] * (1 + len(BAR_COLUMNS))
    values = dict(zip(BAR_COLUMNS, columns[1:], strict=True))
    values["day"] = tuple(None if day is None else day.date() for day in values["day"])
    values["indicators"] = tuple(None if held is None else list(held.items()) for held in values["indicators"])
    return pa.table(
        {
            "ticker": pa.array([ticker] * len(found), _TEXT),
            "interval": pa.array([interval] * len(found), _TEXT),
            "time": pa.array(columns[0], TIME),
            **{name: pa.array(values[name], kind) for name, kind in BAR_COLUMNS.items()},
        }
    )


def _days_around(start: Moment | None, end: Moment | None) -> tuple[date | None, date | None]:
    """Return the first and the last date of an exchange that the times may belong to."""
    day = timedelta(days=1)
    first = start.date() - day if isinstance(start, datetime) else start
    last = end.date() + day if isinstance(end, datetime) else end
    return first, last


def _on_days(day: Any, start: Moment | None, end: Moment | None) -> bool:
    """Say whether a row's date lies within limits that are dates; its time was compared by Cassandra."""
    if day is None:
        return True
    after = start is None or isinstance(start, datetime) or day.date() >= start
    return after and (end is None or isinstance(end, datetime) or day.date() <= end)


def _growing(items: Iterator[Any], last: int | None) -> Iterator[list[Any]]:
    """Yield groups of 1, 2, 4, … items, or of many where everything is wanted."""
    size = 1 if last is not None else MOST_AT_ONCE
    while group := list(islice(items, size)):
        yield group
        size = min(size * 2, MOST_AT_ONCE)


def _ask(
    session: Session,
    query: str,
    keys: Iterable[Sequence[Any]],
    start: Moment | None,
    end: Moment | None,
    most: int | None,
) -> list[Iterable[Any]]:
    """Ask all partitions at once and return the rows of each, newest first, read page by page."""
    limits: list[Any] = []
    for moment, condition in ((start, " AND time >= ?"), (end, " AND time < ?")):
        if isinstance(moment, datetime):
            query += condition
            limits.append(moment)
    with told("reading"):
        statement = prepare(session, query)
        futures = []
        for key in keys:
            bound = statement.bind((*key, *limits))
            bound.fetch_size = PAGE if most is None else min(max(most, 1), PAGE)
            futures.append(session.execute_async(bound))
        return [future.result() for future in futures]


def _with_us(ticker: str, found: list[tuple[date, list[Any]]], kinds: dict[str, pa.DataType]) -> pa.Table:
    """Return rows of ``time, us, …``, newest first by day, as a table, oldest first."""
    rows = [row for _, part in found for row in part]
    rows.reverse()
    of_day = [day for day, part in found for _ in part]
    of_day.reverse()
    columns = list(zip(*rows, strict=True)) or [()] * (2 + len(kinds))
    times = pc.add(pa.array(columns[0], pa.timestamp("us")).cast(pa.int64()), pa.array(columns[1], pa.int64()))
    return pa.table(
        {
            "ticker": pa.array([ticker] * len(rows), _TEXT),
            "day": pa.array(of_day, pa.date32()),
            "time": times.cast(TIME),
            **{name: pa.array(column, kind) for (name, kind), column in zip(kinds.items(), columns[2:], strict=True)},
        }
    )
