"""What a running job says of itself to Prometheus."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

from tickloom.bus.deadletters import REASONS
from tickloom.stream.sink import TaskStats

State = Literal["starting", "running", "waiting", "stopping", "stopped", "failed"]
STATES: tuple[str, ...] = get_args(State)
LABEL = "streamjob"
"""Names the job: ``job`` is a label of Prometheus's own, which names what it reads."""

_COUNTERS = {
    "rows_in": "Records read.",
    "rows_out": "Ticks accepted and written.",
    "duplicates": "Repeated records left out.",
    "filtered": "Records of other jobs left out.",
    "late_rows": "Accepted ticks that came out of order.",
    "anomalies": "Ticks flagged.",
    "bars": "Bars made final.",
    "checks": "Committed micro-batches, and reports of an idle query.",
    "restarts": "Times that the query was started again after a failure.",
}
_GAUGES = {
    "batch": ("batch", "Number of the last committed micro-batch."),
    "lag": ("lag_rows", "Records in the topic that are not yet processed."),
    "rows_per_second": ("rows_per_second", "Records of the last micro-batch per second of its processing."),
    "state_rows": ("state_rows", "Tickers and groups in the state store."),
    "batch_seconds": ("batch_seconds", "Duration of the last micro-batch."),
    "arrival_per_second": ("arrival_per_second", "Records that come into the topic per second."),
    "partitions": ("partitions", "Partitions of the topic that the job reads."),
    "tickers": ("tickers", "Tickers that the job owns."),
    "epoch": ("epoch", "Number of this start of the job."),
}
"""By their key in ``/progress``: name and text."""


class Metrics:
    """A job's metrics in a registry of their own, each with the label ``streamjob``.

    Parameters
    ----------
    job
        The job's name.
    trades
        Says whether the job's exchange trades at a time in seconds since 1970; asked at every reading.
    """

    def __init__(self, job: str, trades: Callable[[float], bool] | None = None) -> None:
        self.registry = CollectorRegistry()
        self._job = job
        self._counters = {name: self._make(Counter, name, text).labels(job) for name, text in _COUNTERS.items()}
        self._gauges = {key: self._make(Gauge, name, text).labels(job) for key, (name, text) in _GAUGES.items()}
        self._committed = self._make(
            Gauge, "last_batch_timestamp_seconds", "When the last micro-batch was committed, since 1970."
        )
        dead = self._make(Counter, "dead_letters", "Refused records.", "reason")
        # a series that first shows with its first refusal would hide it from rate()
        self._dead = {reason: dead.labels(job, reason) for reason in REASONS}
        states = self._make(Gauge, "state", "1 for what the job does now, 0 for all else.", "state")
        self._states = {state: states.labels(job, state) for state in STATES}
        session = self._make(Gauge, "session_open", "1 while the job's exchange trades, by its calendar.")
        if trades is not None:
            session.labels(job).set_function(lambda: float(trades(time.time())))

    def _make(self, kind: Any, name: str, text: str, *labels: str) -> Any:
        return kind(f"tickloom_stream_{name}", text, [LABEL, *labels], registry=self.registry)

    def show(self, last: Mapping[str, Any]) -> None:
        """Take over what ``/progress`` says; what is not known is NaN."""
        for key, gauge in self._gauges.items():
            value = last.get(key)
            gauge.set(float("nan") if value is None else value)

    def state(self, name: State) -> None:
        """Say what the job does."""
        for state, gauge in self._states.items():
            gauge.set(state == name)

    def checked(self) -> None:
        """Count a committed micro-batch, or a report of an idle query."""
        self._counters["checks"].inc()

    def restarted(self) -> None:
        """Count a start of the query after a failure."""
        self._counters["restarts"].inc()

    def committed(self, rows: int, filtered: int, stats: TaskStats, at_s: float) -> None:
        """Add what a micro-batch did that was committed at ``at_s``, in seconds since 1970."""
        for name, value in (
            ("rows_in", rows),
            ("rows_out", stats.ticks),
            ("duplicates", stats.duplicates),
            ("filtered", filtered),
            ("late_rows", stats.late),
            ("anomalies", stats.anomalies),
            ("bars", stats.final_bars),
        ):
            self._counters[name].inc(value)
        for reason, count in stats.dead.items():
            self._dead[reason].inc(count)
        self._committed.labels(self._job).set(at_s)
