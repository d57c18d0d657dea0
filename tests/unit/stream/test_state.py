"""The blob of a ticker's state: round trip, damage, versions."""

import json

import numpy as np
import pytest

from tests.unit.stream.helpers import OPEN, records, spec
from tickloom.errors import TickloomError
from tickloom.stream import state as module
from tickloom.stream.fields import pack
from tickloom.stream.machine import Clock, Machine
from tickloom.stream.state import TickerState, migrated


def filled():
    state = TickerState()
    Machine(spec()).apply(state, records(OPEN + np.arange(100) * 60_000_000, 5.0, source=["a", "b"] * 50), Clock())
    return state


def test_round_trip_keeps_everything():
    state = filled()
    again = TickerState.from_bytes(state.to_bytes())
    assert again.to_bytes() == state.to_bytes()
    assert again.sources == ["a", "b"]
    assert len(again.seen_us) == 11  # ten minutes and the newest
    assert set(again.intervals) == {300, 86_400}


def test_foreign_bytes_are_refused():
    with pytest.raises(TickloomError, match="not one of Tickloom's"):
        migrated(b"something else entirely")


def test_a_newer_version_is_refused_with_what_to_do():
    blob = pack({"about": b"{}"}, version=module.VERSION + 1)
    with pytest.raises(TickloomError, match="run the newer release"):
        migrated(blob)


def test_a_blob_of_version_1_is_read_and_its_sessions_close():
    about = {"sources": ["a"], "newest": 5, "last": [5, 0, 1], "days": [[0, 1]], "intervals": []}
    names = ("prices", "seen_us", "seen_source", "seen_sequence")
    blob = pack({"about": json.dumps(about).encode(), **dict.fromkeys(names, b"")}, version=1)
    state = TickerState.from_bytes(blob)
    assert (state.newest_us, state.last_sequence, state.day_rows) == (5, 1, {0: 1})
    assert state.arrived_us == module.NEVER
    assert TickerState.from_bytes(state.to_bytes()) is not None


def test_an_older_version_is_migrated_step_by_step(monkeypatch):
    old = pack({"price": b"1"}, version=1)
    monkeypatch.setattr(module, "VERSION", 3)
    monkeypatch.setitem(module.MIGRATIONS, 1, lambda fields: {"prices": fields["price"]})
    monkeypatch.setitem(module.MIGRATIONS, 2, lambda fields: {**fields, "more": b"2"})
    assert migrated(old) == {"prices": b"1", "more": b"2"}
