"""Which sessions are the reference and which are new: counted on the exchange's calendar, not in rows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tickloom.errors import TickloomError
from tickloom.forecast.history import Days
from tickloom.market.sessions import day_of, session_table
from tickloom.monitor.resampling import Columns, Floats
from tickloom.monitor.statistics import SLOW

REFERENCE, RECENT = 500, SLOW
_PRESENT = 0.8
"""Share of a window's sessions that must be there."""


@dataclass(frozen=True)
class Spans:
    """Rows of a series, by the sessions that they belong to.

    Attributes
    ----------
    reference, recent : slice
        Of rows; recent ones go on before the window where it has gaps, so that it is full.
    first, last : int
        Dates of the first and the last new session, days since 1970.
    trained : int
        Date of the reference's last session.
    """

    reference: slice
    recent: slice
    first: int
    last: int
    trained: int

    def split(self, columns: Mapping[str, Floats]) -> tuple[Columns, Columns]:
        """Return the columns of the reference and those of the newest sessions."""
        return (
            {name: it[self.reference] for name, it in columns.items()},
            {name: it[self.recent] for name, it in columns.items()},
        )


def spans(
    what: str, market: str, days: Days, reference: int = REFERENCE, recent: int = RECENT, trained: int | None = None
) -> Spans:
    """Find the last ``recent`` sessions, and ``reference`` sessions up to ``trained`` or, without it, before them.

    Parameters
    ----------
    what
        Named in errors.
    days : int32[n]
        Dates that the series has, oldest first.
    trained
        The last date that the model learned from, days since 1970.

    Raises
    ------
    TickloomError
        The series has fewer than four fifths of the sessions of a window.
    """
    index = np.searchsorted(session_table(market).day, days)
    if not len(index):
        raise TickloomError(f"{what}: there is no session at all; load some")
    begun = int(index[-1]) - recent
    ended = begun if trained is None else int(np.searchsorted(session_table(market).day, trained, side="right")) - 1
    low, high = np.searchsorted(index, (ended - reference, ended), side="right")
    for name, rows, wanted in (("newest", int((index > begun).sum()), recent), ("reference", high - low, reference)):
        if rows < _PRESENT * wanted:
            raise TickloomError(
                f"{what}: {rows} of the {name} {wanted} sessions up to {day_of(int(days[-1]))} are there; "
                "complete the history, or take shorter windows (--reference, --recent)"
            )
    start = max(0, len(days) - recent)
    return Spans(
        slice(int(low), int(high)), slice(start, len(days)), int(days[start]), int(days[-1]), int(days[high - 1])
    )
