"""Times stand in a status as Kubernetes writes them."""

from operators.streamjob import status
from operators.streamjob.moments import seconds


def test_times_of_a_status_are_written_and_read_to_the_microsecond():
    made = status.Status(healthy_since=1_763_750_000.123456, changed_at=0.0)
    raw = status.dump(made)
    assert (raw["healthySince"], raw["changedAt"]) == ("2025-11-21T18:33:20.123456Z", "1970-01-01T00:00:00.000000Z")
    assert status.read(raw) == made
    assert "startedAt" not in raw


def test_numbers_of_earlier_releases_are_read():
    raw = {"startedAt": 1_763_750_000.5, "failures": {"count": 1, "total": 1, "nextStart": 1_763_750_060}}
    found = status.read(raw)
    assert (found.started_at, found.failures.next_start) == (1_763_750_000.5, 1_763_750_060)
    assert status.dump(found)["failures"]["nextStart"] == "2025-11-21T18:34:20.000000Z"


def test_times_of_kubernetes_are_read():
    assert seconds("2025-11-21T18:33:20Z") == seconds("2025-11-21T18:33:20.000000Z") == 1_763_750_000.0
