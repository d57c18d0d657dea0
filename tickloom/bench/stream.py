"""``tickloom bench stream``: the whole application beside a plain job and beside the ceiling of both."""

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tickloom.bench import load
from tickloom.bench.report import Result
from tickloom.errors import TickloomError
from tickloom.local.jarsets import jars
from tickloom.local.java import find_java

TICKS, TICKERS, PER_TRIGGER = 1_200_000, 500, 100_000
BEGIN = datetime(2024, 3, 14, 13, 30, tzinfo=UTC)


def run(progress: load.Say, *, kafka: str, cassandra: str, ticks: int = TICKS) -> Result:
    """Stream ``ticks`` ticks of 500 tickers into Cassandra three ways, one after another over the same topic."""
    names = load.tickers(TICKERS)
    with tempfile.TemporaryDirectory(prefix="tickloom-bench-") as scratch:
        folder = Path(scratch)
        topic = load.fill(kafka, names, ticks, int(BEGIN.timestamp()) * 1_000_000, progress)
        progress("the whole application")
        totals = _application(folder, names, topic, kafka, cassandra)
        if totals["rows_out"] != ticks:
            raise TickloomError(f"{ticks:,} ticks were sent and {totals['rows_out']:,} written: {totals}")
        progress(f"{totals['rows_per_second']:,.0f} ticks/s; the plain job")
        plain = _plain("zscore", folder, topic, kafka, cassandra, ticks)
        progress(f"{plain:,.0f} ticks/s; the ceiling")
        ceiling = _plain("noop", folder, topic, kafka, cassandra, ticks)
    rate = float(totals["rows_per_second"])
    return Result(
        name="stream",
        figures={"rows_per_second": rate, "ticks": ticks, "tickers": TICKERS, "final_bars": totals["bars"]},
        peers={"plain_rows_per_second": plain, "ceiling_rows_per_second": ceiling},
        ratios={"to_plain": rate / plain, "to_ceiling": rate / ceiling},
        notes=(
            f"{ticks:,} ticks of {TICKERS} tickers, one a second each, replayed as fast as possible: de-duplication, "
            "z-scores, bars of five minutes and of the session with 12 indicators, Cassandra, lake and output topics.",
            "The plain job: Kafka, JSON, z-score in `applyInPandasWithState`, unlogged batches of 100 rows of one "
            "partition; no de-duplication, no bars, no lake, no dead letters.",
            "The ceiling: Kafka, JSON, noop.",
            "Each rate is rows over the sum of all micro-batches' durations, the first one included.",
        ),
    )


def _application(folder: Path, names: list[str], topic: str, kafka: str, cassandra: str) -> dict[str, Any]:
    spec = {"deadLetters": "all", "source": {"topic": topic, "maxOffsetsPerTrigger": PER_TRIGGER}}
    job = load.start_job(folder, names, spec, kafka=kafka, cassandra=cassandra, bounded=True)
    return job.finish(timeout_s=900)


def _plain(mode: str, folder: Path, topic: str, kafka: str, cassandra: str, ticks: int) -> float:
    values = {
        "--mode": mode,
        "--kafka": kafka,
        "--cassandra": cassandra,
        "--keyspace": load.KEYSPACE,
        "--topic": topic,
        "--folder": str(folder),
        "--jars": ",".join(str(path) for path in jars("spark")),
        "--rows": str(ticks),
        "--per-trigger": str(PER_TRIGGER),
    }
    arguments = [part for pair in values.items() for part in pair]
    environment = load.child_environment(kafka, cassandra, folder)
    environment["JAVA_HOME"] = str(find_java().home)
    done = subprocess.run(
        # imported, not run as a script: Spark's workers then find its functions by name
        [sys.executable, "-W", "ignore", "-c", "from tickloom.bench.plain import main; main()", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    if done.returncode:
        raise TickloomError(f"the {mode} job failed:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return float(found["rows"]) / float(found["seconds"])
