"""What ``tickloom show`` asks the store, and how the answer is laid out."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tickloom.errors import TickloomError
from tickloom.local.addresses import store_session as _session

if TYPE_CHECKING:
    from cassandra.cluster import Session
    from rich.table import Table

UNKNOWN = "–"
PUT = "put some in with `tickloom ingest replay FILE` and `tickloom run -f MANIFEST`"
COLUMNS: dict[str, tuple[str, ...]] = {
    "prices": ("price", "volume", "rolling_avg", "rolling_std", "z_score", "is_anomaly", "late", "interval", "source"),
    "bars": ("open", "high", "low", "close", "volume", "vwap", "ticks", "final", "indicators", "source"),
    "anomalies": ("price", "rolling_avg", "rolling_std", "z_score", "threshold", "source"),
}
"""What is shown, the most wanted first: a narrow terminal holds the first ones only."""


@dataclass(frozen=True)
class Query:
    """What the user asked for; ``start`` and ``end`` as they were typed; ``keyspace`` by default the setting's."""

    what: str
    ticker: str
    last: int = 20
    start: str | None = None
    end: str | None = None
    interval: str | None = None
    final: bool = False
    keyspace: str | None = None


@dataclass(frozen=True)
class Answer:
    """Rows, oldest first; where there are none, ``why`` says so, and ``known`` whether the ticker has any at all."""

    rows: list[dict[str, Any]]
    why: str = ""
    known: bool = True


def ask(query: Query, home: Path | None) -> Answer:
    """Ask the store of ``home``.

    Raises
    ------
    TickloomError
        Nothing runs, or a limit or interval is not what it should be.
    """
    from tickloom.market.intervals import parse_interval

    start, end = moment("--from", query.start), moment("--to", query.end)
    if query.interval is not None:
        parse_interval(query.interval)
    look = _bars if query.what == "bars" else _ticks
    with _session(home, query.keyspace) as session:
        answer = look(session, query, start, end)
        capitals = query.ticker.upper()
        if answer.known or capitals == query.ticker:
            return answer
        if look(session, Query(query.what, capitals, last=1), None, None).known:
            why = f"there is nothing of {query.ticker}, but of {capitals}: tickloom show {query.what} {capitals}"
            return Answer([], why, known=False)
        return answer


def moment(option: str, text: str | None) -> date | datetime | None:
    """Read a date, or a time in UTC.

    Raises
    ------
    TickloomError
        It is neither.
    """
    if text is None:
        return None
    try:
        if len(text) == len("2019-02-15"):
            return date.fromisoformat(text)
        time = datetime.fromisoformat(text)
    except ValueError:
        raise TickloomError(
            f"{option} {text!r} is neither a date, 2019-02-15, nor a time in UTC, 2019-02-15T14:30:00Z"
        ) from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _ticks(session: "Session", query: Query, start: Any, end: Any) -> Answer:
    from tickloom.store import queries
    from tickloom.store.days import days

    read = queries.prices if query.what == "prices" else queries.anomalies
    rows = read(session, query.ticker, start, end, last=query.last).to_pylist()
    if rows:
        return Answer(rows)
    noted = [day for day, _ in islice(days(session, query.ticker, None, None), 100_000)]
    if not noted:
        why = f"{query.ticker} has no prices in keyspace {session.keyspace}: {PUT}"
        return Answer([], why, known=False)
    within = " within these limits" if start or end else ""
    return Answer([], f"{query.ticker} has prices on {_count(noted)}, "
                      f"but no {query.what}{within}")  # fmt: skip


def _count(days: list[date]) -> str:
    return f"{days[0]}" if len(days) == 1 else f"{len(days)} days, {days[-1]} to {days[0]}"


def _bars(session: "Session", query: Query, start: Any, end: Any) -> Answer:
    from tickloom.market.intervals import INTERVALS
    from tickloom.store.queries import bars

    there: str | None = None
    for interval in INTERVALS if query.interval is None else (query.interval,):
        found = bars(session, query.ticker, interval, start, end, last=query.last, final_only=query.final)
        if found.num_rows:
            return Answer([row | {"indicators": dict(row["indicators"] or [])} for row in found.to_pylist()])
    have = [interval for interval in INTERVALS if bars(session, query.ticker, interval, last=1).num_rows]
    there = ", ".join(have)
    if not have:
        why = f"{query.ticker} has no bars in keyspace {session.keyspace}: {PUT}, or `tickloom load FILE`"
        return Answer([], why, known=False)
    return Answer([], f"{query.ticker} has bars of {there}, but none as asked for")


def zone(ticker: str, utc: bool) -> tzinfo:
    """Return the time zone of a ticker's exchange; UTC where that is wanted or the ticker is in no list."""
    from tickloom.market.calendars import calendar
    from tickloom.market.instruments import instruments

    known = instruments().get(ticker)
    return UTC if utc or known is None else ZoneInfo(str(calendar(known.exchange).tz))


def layout(query: Query, rows: list[dict[str, Any]], utc: bool) -> "Table":
    """Return the rows as a table of as many columns as the terminal holds."""
    from rich.console import Console
    from rich.table import Table

    where = zone(query.ticker, utc)
    form = "%Y-%m-%d %H:%M:%S" + (".%f" if any(row["time"].microsecond for row in rows) else "")
    stamps = [row["time"].astimezone(where).strftime(form) for row in rows]
    room = Console().width - len(stamps[0]) - 4
    shown: dict[str, list[str]] = {}
    hidden: list[str] = []
    for name in COLUMNS[query.what]:
        cells = [_cell(name, row[name]) for row in rows]
        width = max(map(len, (name, *cells))) + 3
        if set(cells) == {UNKNOWN}:
            continue
        if hidden or width > room:
            hidden.append(name)
            continue
        room -= width
        shown[name] = cells
    what = f"{rows[0]['interval']} bars" if query.what == "bars" else query.what
    caption = f"not shown, for want of room: {', '.join(hidden)} (--json has all)" if hidden else None
    table = Table(title=f"{what} of {query.ticker}, times of {where}", title_justify="left", caption=caption)
    table.add_column("time", no_wrap=True)
    for name in shown:
        table.add_column(name, justify="left" if name in ("source", "interval") else "right", no_wrap=True)
    for i, stamp in enumerate(stamps):
        table.add_row(stamp, *(cells[i] for cells in shown.values()))
    return table


def _cell(name: str, value: Any) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return str(len(value))
    if isinstance(value, float):
        return f"{value:,.2f}" if name == "z_score" else f"{value:,.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
