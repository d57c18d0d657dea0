"""What a running job says of itself: totals, lag and rate, as one object, over HTTP."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from http.server import ThreadingHTTPServer
from typing import Any

from tickloom import health
from tickloom.stream.metrics import Metrics, State
from tickloom.stream.sink import TaskStats


@dataclass
class Totals:
    """Counts over the micro-batches that this run has committed."""

    rows_in: int = 0
    filtered: int = 0
    stats: TaskStats = field(default_factory=TaskStats)
    started: float = field(default_factory=time.monotonic)
    busy_s: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Return the object that ``tickloom run --json`` ends with."""
        rate = self.rows_in / self.busy_s if self.busy_s else 0.0
        return {
            "rows_in": self.rows_in,
            "rows_out": self.stats.ticks,
            "dead_letters": sum(self.stats.dead.values()),
            "duplicates": self.stats.duplicates,
            "filtered": self.filtered,
            "late": self.stats.late,
            "anomalies": self.stats.anomalies,
            "bars": self.stats.final_bars,
            "dead_letter_reasons": dict(sorted(self.stats.dead.items())),
            "rows_per_second": round(rate, 1),
            "latency_p50_ms": _rounded(self.stats.latency.quantile(0.5)),
            "latency_p95_ms": _rounded(self.stats.latency.quantile(0.95)),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


@dataclass
class Arrivals:
    """How fast records come into the topic, from its newest offsets over the last ``over_s`` seconds.

    Unlike the records of a micro-batch this says what arrives, also while a backlog is worked off.
    """

    over_s: float = 60.0
    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def observe(self, at_s: float, newest: int | None = None) -> float | None:
        """Take the sum of the newest offsets (None: as before) and return records a second, None until it is known."""
        if newest is None and not self._seen:
            return None
        end = self._seen[-1][1] if newest is None else newest
        if self._seen and end < self._seen[-1][1]:
            self._seen.clear()  # the topic was made anew
        self._seen.append((at_s, end))
        while len(self._seen) > 2 and at_s - self._seen[1][0] >= self.over_s:
            self._seen.popleft()
        since_s, start = self._seen[0]
        return round((end - start) / (at_s - since_s), 1) if at_s > since_s else None


class Progress:
    """Gathers what Spark and the sinks report of each micro-batch.

    The sinks' counts wait until Spark reports the micro-batch as committed, so that one which fails and is
    done again counts once.

    Parameters
    ----------
    job
        The job's name.
    tickers
        How many tickers it owns.
    epoch
        Number of this start, if somebody counts them.
    trades
        Says whether the job's exchange trades at a time in seconds since 1970.
    """

    def __init__(
        self,
        job: str,
        tickers: int = 0,
        epoch: int | None = None,
        trades: Callable[[float], bool] | None = None,
    ) -> None:
        self.totals = Totals()
        self.last: dict[str, Any] = {
            "job": job,
            "state": "starting",
            "epoch": epoch,
            "tickers": tickers,
            "partitions": None,
            "checks": 0,
            "batch": None,
            "lag": None,
            "rows_per_second": None,
            "arrival_per_second": None,
        }
        self._arrivals = Arrivals()
        self._waiting: dict[int, TaskStats] = {}
        self._underway: int | None = None
        self._lock = threading.Lock()
        self.metrics = Metrics(job, trades)
        self.metrics.state("starting")
        self._show()

    def begun(self, batch: int) -> None:
        """Note that a micro-batch is being processed."""
        with self._lock:
            self._underway = batch

    def underway(self) -> int | None:
        """Return the micro-batch that is being processed, or None."""
        with self._lock:
            return self._underway

    def written(self, batch: int, stats: TaskStats) -> None:
        """Keep a micro-batch's counts until it is committed."""
        with self._lock:
            self._waiting[batch] = stats

    def in_flight(self) -> bool:
        """Return whether a micro-batch is written and not yet reported as committed."""
        with self._lock:
            return bool(self._waiting)

    def committed(self, report: dict[str, Any]) -> None:
        """Take Spark's progress report (``StreamingQueryProgress`` as a dictionary) of a committed micro-batch."""
        batch = int(report["batchId"])
        observed = (report.get("observedMetrics") or {}).get("records") or {}
        with self._lock:
            if self._underway == batch:
                self._underway = None
            stats = self._waiting.pop(batch, None)
            if stats is None:
                return
            rows = int(observed.get("rows_in") or 0)
            filtered = int(observed.get("filtered") or 0)
            seconds = float(report.get("batchDuration") or 0) / 1000
            self.totals.rows_in += rows
            self.totals.filtered += filtered
            self.totals.busy_s += seconds
            self.totals.stats.add(stats)
            self.metrics.committed(rows, filtered, stats, _seconds(report["timestamp"]) + seconds)
            self._remember(report, rows, seconds)
            self._check()

    def idle(self, timestamp: str) -> None:
        """Take Spark's word that at ``timestamp`` (ISO 8601) the query found nothing to do: it has no backlog."""
        with self._lock:
            self.last["lag"] = 0
            self.last["arrival_per_second"] = self._arrivals.observe(_seconds(timestamp))
            self._check()

    def reads(self, partitions: int) -> None:
        """Say how many partitions of the topic the query reads."""
        with self._lock:
            self.last["partitions"] = partitions
            self._show()

    def _check(self) -> None:
        self.last["checks"] += 1
        self.metrics.checked()
        self._show()

    def _show(self) -> None:
        self.metrics.show(self.last)

    def restarted(self) -> None:
        """Count a start of the query after a failure."""
        self.metrics.restarted()

    def state(self, name: State, why: str | None = None) -> None:
        """Say what the job does."""
        with self._lock:
            self.last["state"] = name
            self.metrics.state(name)
            self.last.pop("failure", None)
            if why is not None:
                self.last["failure"] = why

    def health(self) -> str | None:
        """Return why the job does not work and will not by itself, or None."""
        last = self.snapshot()
        if last["state"] != "failed":
            return None
        return f"StreamJob {last['job']} has failed: {last.get('failure', 'unknown')}"

    def _remember(self, report: dict[str, Any], rows: int, seconds: float) -> None:
        kafka: dict[str, Any] = next((s for s in report["sources"] if "Kafka" in s["description"]), {})
        end, latest = _offsets(kafka.get("endOffset")), _offsets(kafka.get("latestOffset"))
        # Spark does not ask for the newest offsets before it does a micro-batch of its checkpoint again
        lag = sum(max(0, offset - end.get(partition, 0)) for partition, offset in latest.items()) if latest else None
        newest = sum(latest.values()) if latest else None
        state_rows = sum(int(item.get("numRowsTotal", 0)) for item in report.get("stateOperators", []))
        rate = rows / seconds if seconds else 0.0
        self.last.update(
            batch=int(report["batchId"]),
            offsets={f"{topic}-{partition}": offset for (topic, partition), offset in end.items()},
            lag=lag,
            rows=rows,
            rows_per_second=round(rate, 1),
            arrival_per_second=self._arrivals.observe(_seconds(report["timestamp"]), newest),
            partitions=len(end) or self.last["partitions"],
            batch_seconds=seconds,
            state_rows=state_rows,
            durations_ms=report.get("durationMs"),
            committed_at=report.get("timestamp"),
            totals=self.totals.summary(),
            latency_bins=self.totals.stats.latency.to_dict(),
        )

    def snapshot(self) -> dict[str, Any]:
        """Return what ``/progress`` answers."""
        with self._lock:
            return dict(self.last)


def _offsets(value: Any) -> dict[tuple[str, str], int]:
    if isinstance(value, str):
        value = json.loads(value)
    return {(topic, part): int(at) for topic, parts in (value or {}).items() for part, at in parts.items()}


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


def serve(progress: Progress, host: str, port: int) -> tuple[ThreadingHTTPServer, str]:
    """Serve ``/progress`` (JSON), ``/metrics`` (Prometheus) and ``/healthz`` in a thread; port 0 picks a free one.

    ``/healthz`` answers 503 and a sentence when the job has failed.
    """
    routes: dict[str, Callable[[], health.Answer]] = {
        "/progress": lambda: (200, "application/json", json.dumps(progress.snapshot()).encode()),
        "/metrics": lambda: health.metrics(progress.metrics.registry),
        "/healthz": lambda: health.checked(progress.health),
    }
    server = health.serve_routes(host, port, routes, "progress")
    return server, f"http://{host}:{server.server_address[1]}"
