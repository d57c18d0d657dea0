"""Scoring what the ledger holds: reads forecasts and closes, writes scores and what models have reached."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc
from cassandra.cluster import Session

from tickloom.errors import TickloomError
from tickloom.experiment.performance import performance
from tickloom.experiment.records import Forecast, Score
from tickloom.experiment.rows import ledger_row, record_of
from tickloom.experiment.scoring import score
from tickloom.market.intervals import parse_interval
from tickloom.market.sessions import day_of
from tickloom.store import ledger
from tickloom.store.connect import told
from tickloom.store.queries import bars

TIMEOUT_S = 15.0


@dataclass
class Tally:
    """What a run of scoring did.

    Attributes
    ----------
    forecasts : int
        Looked at.
    scored, corrected : int
        Scores written: the first of a forecast, and later ones.
    waiting, unusable : int
        Forecasts whose close is not known yet, and those with a price that is none.
    without_close : list of (str, str)
        Ticker and date of sessions that got no close though later ones did.
    performance : int
        Rows written of ``model_performance``.
    """

    forecasts: int = 0
    scored: int = 0
    corrected: int = 0
    waiting: int = 0
    unusable: int = 0
    without_close: list[tuple[str, str]] = field(default_factory=list)
    performance: int = 0


def entries(
    session: Session,
    experiment: str | None,
    ticker: str | None,
    interval: str | None = None,
    first_cutoff: int | None = None,
) -> tuple[list[Forecast], list[Score]]:
    """Return what the ledger holds of a ticker: forecasts and scores of every revision, the newest cutoff first.

    Without a ticker, of all of an experiment, those of one year after the other.

    Raises
    ------
    TickloomError
        Cassandra does not answer.
    """
    places = [it for it in ledger.partitions(session, experiment, ticker) if interval in (None, it[2])]
    return _entries(session, places, first_cutoff)


def score_ledger(
    session: Session,
    now_us: int,
    *,
    experiment: str | None = None,
    ticker: str | None = None,
    market: str | None = None,
    first_cutoff: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Tally:
    """Score all that has matured; may be killed at any time and run again, also twice at a time.

    Parameters
    ----------
    now_us
        UTC microseconds since 1970, written into the scores.
    experiment, ticker, market
        Only these; default all.
    first_cutoff
        Only forecasts from this cutoff on, days since 1970; default all.

    Raises
    ------
    TickloomError
        Cassandra does not answer; what was written stays, and the next run goes on from there.
    """
    tally = Tally()
    places = [it for it in ledger.partitions(session, experiment) if ticker in (None, it[1])]
    by_ticker = sorted(places, key=lambda it: (it[1], it[2]))
    for (name, interval), group in groupby(by_ticker, key=lambda it: (it[1], it[2])):
        forecasts, scores = _entries(session, list(group), first_cutoff)
        forecasts = [it for it in forecasts if market in (None, it.market)]
        if not forecasts:
            continue
        progress(name)
        closes = _closes(session, name, interval, min(it.ds for it in forecasts))
        found = score(forecasts, closes, scores, now_us)
        write_scores(session, found.scores)
        tally.forecasts += len(forecasts)
        tally.corrected += sum(it.revision > 0 for it in found.scores)
        tally.scored += sum(it.revision == 0 for it in found.scores)
        tally.waiting += len(found.waiting)
        tally.unusable += len(found.unusable)
        tally.without_close += sorted({(name, day_of(it.ds).isoformat()) for it in found.without_close})
        if experiment is None and first_cutoff is None:  # of a part, figures would replace those of the whole
            rows = performance(forecasts, [*scores, *found.scores])
            ledger.insert_performance(session, rows)
            tally.performance += len(rows)
    return tally


def write_scores(session: Session, scores: Iterable[Score]) -> None:
    """Write scores, each only where none of its revision is.

    Raises
    ------
    TickloomError
        Cassandra did not take them.
    """
    rows = sorted((ledger_row(it) for it in scores), key=_partition)
    with told("writing scores"):
        for _, group in groupby(rows, key=_partition):
            mine = list(group)
            for start in range(0, len(mine), ledger.MOST_ROWS):
                batch = mine[start : start + ledger.MOST_ROWS]
                ledger.others(session, batch, ledger.insert_once(session, batch, TIMEOUT_S), TIMEOUT_S)


def _partition(row: ledger.Row) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in ledger.PARTITION)


def _entries(
    session: Session, places: Iterable[ledger.Partition], first_cutoff: int | None
) -> tuple[list[Forecast], list[Score]]:
    forecasts: list[Forecast] = []
    scores: list[Score] = []
    for place in sorted(places, key=lambda it: -it[3]):
        if first_cutoff is not None and place[3] < day_of(first_cutoff).year:
            continue
        for row in ledger.read(session, place, first_cutoff):
            record = record_of(row)
            if isinstance(record, Score):
                scores.append(record)
            else:
                forecasts.append(record)
    return forecasts, scores


def _closes(session: Session, ticker: str, interval: str, first: int) -> dict[int, float]:
    """Return the final closes of a ticker from a session on, by session."""
    if interval != "1d":
        raise TickloomError(f"ledger: forecasts of {ticker} are of {interval} bars; only those of 1d can be scored")
    table = bars(session, ticker, parse_interval(interval), day_of(first), final_only=True)
    known = table.filter(pc.and_(table["day"].is_valid(), table["close"].is_valid()))
    return dict(zip(known["day"].cast(pa.int32()).to_pylist(), known["close"].to_pylist(), strict=True))
