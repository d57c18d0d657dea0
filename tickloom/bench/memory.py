"""``tickloom bench memory``: whether the driver grows while it streams millions of ticks."""

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psutil

from tickloom.bench import load
from tickloom.bench.report import Result
from tickloom.errors import TickloomError

TICKS, TICKERS, PER_TRIGGER, FIRST = 10_000_000, 500, 200_000, 1_000_000
BEGIN = datetime(2024, 3, 14, 13, 30, tzinfo=UTC)


def run(progress: load.Say, *, kafka: str, cassandra: str, ticks: int = TICKS) -> Result:
    """Stream ``ticks`` ticks and compare the driver's memory after the first million with that at the end."""
    names = load.tickers(TICKERS)
    samples: list[tuple[int, float, float]] = []
    with tempfile.TemporaryDirectory(prefix="tickloom-bench-") as scratch:
        folder = Path(scratch)
        topic = load.fill(kafka, names, ticks, int(BEGIN.timestamp()) * 1_000_000, progress)
        spec = {"source": {"topic": topic, "maxOffsetsPerTrigger": PER_TRIGGER}}
        job = load.start_job(folder, names, spec, kafka=kafka, cassandra=cassandra, bounded=True)
        seen = -1
        while job.process.poll() is None:
            found = job.progress()
            if found and found.get("totals") and found["batch"] != seen:
                seen = found["batch"]
                rows = int(found["totals"]["rows_in"])
                samples.append((rows, *_resident(job.process.pid)))
                progress(f"{rows:,} ticks: Python {samples[-1][1]:,.0f} MB, Java {samples[-1][2]:,.0f} MB")
            time.sleep(0.5)
        totals = job.finish(60)
    early = [sample for sample in samples if FIRST <= sample[0] < 3 * FIRST]
    late = [sample for sample in samples if sample[0] >= ticks - 2 * FIRST]
    if not early or not late:
        raise TickloomError(f"too few samples to compare: {samples}")
    python, java = (median(row[i] for row in early) for i in (1, 2))
    python_end, java_end = (median(row[i] for row in late) for i in (1, 2))
    highest = max(row[1] + row[2] for row in samples)
    return Result(
        name="memory",
        figures={
            "ticks": totals["rows_in"],
            "python_mb_after_first_million": python,
            "python_mb_at_end": python_end,
            "java_mb_after_first_million": java,
            "java_mb_at_end": java_end,
            "highest_mb": highest,
        },
        ratios={"growth": (python_end + java_end) / (python + java)},
        notes=(
            f"{ticks:,} ticks of {TICKERS} tickers; resident memory of the driver's Python and Java processes, sampled "
            "after every micro-batch: the median between the first and the third million, and that of the last two.",
            "Java's heap is there in full from the start; what is added after the first million is machine code that "
            "the JIT still compiles, and the description of the methods it compiles.",
        ),
    )


def _resident(pid: int) -> tuple[float, float]:
    """Return the resident MB of the driver's Python process and of its Java child."""
    driver = psutil.Process(pid)
    java = sum(child.memory_info().rss for child in driver.children() if "java" in child.name())
    return driver.memory_info().rss / 1e6, java / 1e6
