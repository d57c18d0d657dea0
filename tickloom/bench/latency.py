"""``tickloom bench latency``: from a tick's arrival in Kafka to its acknowledged row, at a thousand ticks a second."""

import signal
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from tickloom.bench import load
from tickloom.bench.report import Result
from tickloom.bus.producer import PriceProducer
from tickloom.bus.roles import ROLES
from tickloom.bus.topics import create
from tickloom.errors import TickloomError
from tickloom.stream.latency import Histogram

RATE, TICKERS, WARM_S, MEASURED_S = 1000, 100, 60.0, 60.0
SLICE_S = 0.01


def run(progress: load.Say, *, kafka: str, cassandra: str, seconds: float = MEASURED_S) -> Result:
    """Stream a live feed of 1,000 ticks a second and read the job's own histogram of latencies."""
    names = load.tickers(TICKERS)
    topic = f"bench-latency-{time.time_ns() // 1_000_000}"
    create(kafka, {topic: ROLES["prices"]})
    with tempfile.TemporaryDirectory(prefix="tickloom-bench-") as scratch:
        folder = Path(scratch)
        spec = {"source": {"topic": topic}, "processors": {"bars": {"hours": "all"}}}
        job = load.start_job(folder, names, spec, kafka=kafka, cassandra=cassandra, bounded=False)
        stop = threading.Event()
        feeder = threading.Thread(target=_feed, args=(kafka, topic, names, stop), daemon=True)
        try:
            progress("starting the job")
            job.wait_until(lambda found: found["state"] == "running", 120)
            feeder.start()
            progress(f"warming up for {WARM_S:g} s")
            job.wait_until(lambda found: found.get("rows", 0) > 0, 120)
            time.sleep(WARM_S)
            before = _histogram(job)
            progress(f"measuring for {seconds:g} s")
            time.sleep(seconds)
            measured = _histogram(job)
            batches = job.progress() or {}
        finally:
            stop.set()
            feeder.join(30)
            job.process.send_signal(signal.SIGTERM)
            job.process.wait(60)
    for number, count in before.counts.items():
        measured.counts[number] -= count
    rows = sum(measured.counts.values())
    p50, p95, p99 = (measured.quantile(share) for share in (0.5, 0.95, 0.99))
    if p50 is None or p95 is None or p99 is None:
        raise TickloomError(f"no tick was written while measuring; see {job.log}")
    return Result(
        name="latency",
        figures={
            "p50_ms": p50,
            "p95_ms": p95,
            "p99_ms": p99,
            "rows": rows,
            "rows_per_second": rows / seconds,
            "last_batch_seconds": float(batches.get("batch_seconds", 0.0)),
        },
        notes=(
            f"{RATE:,} ticks/s of {TICKERS} tickers, evenly spread, after {WARM_S:g} s of the same; bars of all hours, "
            "indicators, lake and output topics as always.",
            "From Kafka's timestamp of the record to the acknowledgement of the last row of its task in Cassandra.",
        ),
    )


def _histogram(job: load.JobProcess) -> Histogram:
    job.check()
    return Histogram.from_dict((job.progress() or {}).get("latency_bins", {}))


def _feed(kafka: str, topic: str, names: list[str], stop: threading.Event) -> None:
    """Send ticks at the rate until told to stop, each with the time at which it is sent."""
    sent, began = 0, time.monotonic()
    with PriceProducer(kafka, topic, linger_ms=1.0) as producer:
        while not stop.wait(SLICE_S):
            due = int((time.monotonic() - began) * RATE) - sent
            if due > 0:
                now_us = np.full(due, time.time_ns() // 1000, np.int64)
                producer.send_block(load.block(names, sent, due, now_us))
                sent += due
