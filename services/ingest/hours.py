"""When a source that follows an exchange is asked: while it is open, and once soon after the close."""

from dataclasses import dataclass

import numpy as np

from tickloom.errors import TickloomError
from tickloom.market.sessions import SessionTable, day_of


@dataclass(frozen=True)
class Hours:
    """The turns of a source over an exchange's sessions.

    Parameters
    ----------
    every_s
        Seconds between two turns of a session; they are counted from its open.
    after_close_s
        Seconds after the close at which the last turn of a session is.
    """

    table: SessionTable
    every_s: float
    after_close_s: float

    def open(self, now: float) -> bool:
        """Return whether the exchange trades at a time (seconds since 1970)."""
        return self.table.open_at(now)

    def last_turn(self, now: float) -> float | None:
        """Return the last turn of the exchange's day at a time (seconds since 1970); None where it has no session."""
        day = int(self.table.local_day([int(now * 1e6)])[0])
        index = int(np.searchsorted(self.table.day, day))
        if index == len(self.table) or int(self.table.day[index]) != day:
            return None
        return float(self.table.close_us[index]) / 1e6 + self.after_close_s

    def next(self, now: float) -> float:
        """Return the first turn that is later than ``now``, in seconds since 1970.

        Raises
        ------
        TickloomError
            The calendar ends before.
        """
        last_turns = self.table.close_us / 1e6 + self.after_close_s
        index = int(np.searchsorted(last_turns, now, side="right"))
        if index == len(self.table):
            end = day_of(int(self.table.day[-1]))
            raise TickloomError(f"calendar {self.table.mic} ends at {end}; no later session is known")
        first, last = float(self.table.open_us[index]) / 1e6, float(last_turns[index])
        if now < first:
            return first + min(self.every_s, last - first)  # at the open itself no bar is complete
        turn = first + ((now - first) // self.every_s + 1) * self.every_s
        close = float(self.table.close_us[index]) / 1e6
        return turn if turn <= close else last
