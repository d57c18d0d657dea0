"""``tickloom bench store``: rows into Cassandra beside the driver's own execute_concurrent, and a day read back."""

import multiprocessing
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from cassandra.concurrent import execute_concurrent_with_args

from tickloom.bench.report import Result
from tickloom.errors import TickloomError
from tickloom.store.connect import connect
from tickloom.store.migrate import migrate
from tickloom.store.queries import prices
from tickloom.store.writer import Writer

KEYSPACE = "bench_store"
PROCESSES = 2
WRITES, ROWS, TICKERS = 60, 10_000, 100
"""Calls of ``write`` in each process, rows of each, and tickers that these belong to: as micro-batches are."""
SINGLE_ROWS = 40_000
SESSION_ROWS, READS, WARM_READS = 390, 3_000, 500
DAY = date(2019, 2, 15)
FIRST_US = 1_550_241_000_000_000
CONCURRENCY = 128


def run(
    progress: Callable[[str], None],
    *,
    kafka: str,
    cassandra: str,
    writes: int = WRITES,
    single_rows: int = SINGLE_ROWS,
    reads: int = READS,
) -> Result:
    """Write through two processes, then the same rows one by one, then read sessions of 390 rows."""
    migrate(cassandra, KEYSPACE)
    try:
        progress(f"{PROCESSES} processes, {writes * ROWS:,} rows each")
        rate = _together(_write_batches, cassandra, writes)
        progress(f"{rate:,.0f} rows/s; now one statement a row")
        single = _together(_write_singly, cassandra, single_rows)
        progress(f"{single:,.0f} rows/s; now reading")
        milliseconds = _read(cassandra, reads)
    finally:
        session = connect(cassandra)
        session.execute(f"DROP KEYSPACE {KEYSPACE}", timeout=60)
        session.cluster.shutdown()
    return Result(
        name="store",
        figures={
            "writes_per_second": rate,
            "read_p50_ms": float(np.percentile(milliseconds, 50)),
            "read_p99_ms": float(np.percentile(milliseconds, 99)),
        },
        peers={"one_by_one_per_second": single},
        ratios={"to_one_by_one": rate / single},
        notes=(
            f"{PROCESSES} processes write {writes * ROWS:,} rows of `stock_prices` each through `Writer`, "
            f"{ROWS:,} rows of {TICKERS} tickers at a time, every column set; Cassandra runs on the same machine.",
            f"The peer writes such rows, {single_rows:,} in each process, with the driver's "
            f"`execute_concurrent_with_args`, {CONCURRENCY} at a time.",
            f"A read is one ticker's day of {SESSION_ROWS} rows with all columns as an Arrow table, the look-up of its "
            f"buckets included; {reads:,} reads of 50 tickers, one after another.",
        ),
    )


def _rows(process: int, number: int, rows: int, tickers: int, day: date = DAY) -> pa.Table:
    """Return rows as the stream writes them: each ticker's together, all columns known."""
    draw = np.random.default_rng((process, number))
    each = rows // tickers
    codes = np.repeat(np.arange(tickers, dtype=np.int32), each)
    sequence = number * each + np.tile(np.arange(each), tickers)
    price = np.round(100 + draw.normal(0, 1, rows), 2)
    names = [f"P{process}T{code:03d}" for code in range(tickers)]

    def word(text: str) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([text]))

    return pa.table(
        {
            "ticker": pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names)),
            "day": pa.array([day] * rows, pa.date32()),
            "bucket": pa.array(np.zeros(rows, np.int32)),
            "time_us": pa.array(FIRST_US + sequence * 1_000_123),
            "source": word("bench"),
            "sequence": pa.array(sequence),
            "price": pa.array(price),
            "volume": pa.array(draw.integers(1, 10_000, rows)),
            "open": pa.array(price),
            "high": pa.array(price + 0.5),
            "low": pa.array(price - 0.5),
            "interval": word("1m"),
            "rolling_avg": pa.array(draw.normal(100, 1, rows)),
            "rolling_std": pa.array(draw.uniform(0.5, 1, rows)),
            "z_score": pa.array(draw.normal(0, 1, rows)),
            "is_anomaly": pa.array(np.zeros(rows, bool)),
            "late": pa.array(np.zeros(rows, bool)),
        }
    )


def _together(work: Callable[..., None], cassandra: str, count: int) -> float:
    """Return rows a second of all processes, from their common start to the end of the last."""
    context = multiprocessing.get_context("spawn")
    gate, results = context.Barrier(PROCESSES + 1), context.SimpleQueue()
    crew = [
        context.Process(target=work, args=(cassandra, number, count, gate, results), daemon=True)
        for number in range(PROCESSES)
    ]
    for one in crew:
        one.start()
    gate.wait(120)
    begin = time.perf_counter()
    for one in crew:
        one.join(300)
    if any(one.exitcode for one in crew):
        raise TickloomError("a process of the benchmark failed; its error stands above")
    ends = [results.get() for _ in crew]
    seconds: float = max(end for _, end in ends) - begin
    rows: int = sum(count for count, _ in ends)
    return rows / seconds


def _write_batches(cassandra: str, process: int, count: int, gate: Any, results: Any) -> None:
    session = connect(cassandra, KEYSPACE)
    writer = Writer(session)
    tables = [_rows(process, number, ROWS, TICKERS) for number in range(count)]
    writer.write("stock_prices", _rows(process, 0, TICKERS, TICKERS, DAY - timedelta(days=1)))
    writer.flush()
    gate.wait(120)
    for table in tables:
        writer.write("stock_prices", table)
    writer.flush()
    results.put((count * ROWS, time.perf_counter()))
    session.cluster.shutdown()


def _write_singly(cassandra: str, process: int, count: int, gate: Any, results: Any) -> None:
    session = connect(cassandra, KEYSPACE)
    table = _rows(process + PROCESSES, 0, count, TICKERS)
    micros = table["time_us"].to_numpy()
    millis = pa.array(micros // 1000).cast(pa.timestamp("ms"))
    table = table.drop_columns(["time_us"]).append_column("time", millis).append_column("us", pa.array(micros % 1000))
    names = table.column_names
    marks = ", ".join("?" * len(names))
    statement = session.prepare(f"INSERT INTO stock_prices ({', '.join(names)}) VALUES ({marks})")  # noqa: S608
    rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    gate.wait(120)
    execute_concurrent_with_args(session, statement, rows, concurrency=CONCURRENCY)
    results.put((count, time.perf_counter()))
    session.cluster.shutdown()


def _read(cassandra: str, reads: int) -> list[float]:
    session = connect(cassandra, KEYSPACE)
    writer = Writer(session)
    writer.write("stock_prices", _rows(9, 0, 50 * SESSION_ROWS, 50))
    writer.flush()
    taken = []
    for number in range(WARM_READS + reads):
        ticker = f"P9T{number % 50:03d}"
        begin = time.perf_counter()
        found = prices(session, ticker, DAY, DAY)
        taken.append(1000 * (time.perf_counter() - begin))
        if found.num_rows != SESSION_ROWS:
            raise TickloomError(f"{ticker} has {found.num_rows} rows and not {SESSION_ROWS}")
    session.cluster.shutdown()
    return taken[WARM_READS:]
