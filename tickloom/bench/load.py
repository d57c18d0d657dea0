"""What the streaming benchmarks share: instruments, a topic of synthetic ticks, a job in a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tickloom.bus.producer import PriceProducer
from tickloom.bus.roles import ROLES
from tickloom.bus.topics import create
from tickloom.errors import TickloomError
from tickloom.sources.blocks import PriceBlock

Say = Callable[[str], None]
KEYSPACE = "bench"


def tickers(count: int) -> list[str]:
    """Return made-up tickers: T0000, T0001 and so on."""
    return [f"T{number:04d}" for number in range(count)]


def instruments(path: Path, names: list[str]) -> None:
    """Write the made-up tickers as a list of instruments of New York."""
    rows = [f"{name},Benchmark {name},XNYS,USD,Benchmark," for name in names]
    path.write_text("\n".join(["ticker,name,exchange,currency,sector,isin", *rows]) + "\n")


def block(names: list[str], first: int, rows: int, time_us: np.ndarray[Any, Any], seed: int = 1) -> PriceBlock:
    """Return ticks that go round the tickers; row ``first + i`` is ticker ``(first + i) % len(names)``."""
    number = np.arange(first, first + rows)
    codes = (number % len(names)).astype(np.int32)
    step = number // len(names)
    noise = np.random.default_rng((seed, first)).normal(0, 1, rows)
    price = np.round(100 + codes % 50 + np.sin(step / 40 + codes) + 0.05 * noise, 2)
    volume = (number * 7919 % 900 + 100).astype(np.int64)
    return PriceBlock(list(names), codes, time_us, price, volume, "bench", step.astype(np.int64))


def fill(kafka: str, names: list[str], count: int, begin_us: int, say: Say) -> str:
    """Make a topic with ``count`` ticks, one a second for every ticker, and return its name."""
    topic = f"bench-{time.time_ns() // 1_000_000}"
    create(kafka, {topic: ROLES["prices"]})
    with PriceProducer(kafka, topic) as producer:
        for first in range(0, count, 50_000):
            rows = min(50_000, count - first)
            step = np.arange(first, first + rows) // len(names)
            producer.send_block(block(names, first, rows, begin_us + step * 1_000_000))
            if first % 250_000 == 0:
                say(f"filling {topic}: {first:,} of {count:,}")
    return topic


@dataclass
class JobProcess:
    """``tickloom run`` as a child process."""

    process: subprocess.Popen[str]
    folder: Path
    name: str
    log: Path

    def progress(self) -> dict[str, Any] | None:
        """Return what /progress answers, or None while nothing listens."""
        import urllib.request

        try:
            address = (self.folder / "jobs" / "default" / self.name / "progress.url").read_text().strip()
            with urllib.request.urlopen(f"{address}/progress", timeout=5) as answer:  # noqa: S310
                found: dict[str, Any] = json.load(answer)
                return found
        except OSError:
            return None

    def wait_until(self, condition: Callable[[dict[str, Any]], bool], timeout_s: float) -> dict[str, Any]:
        """Wait until the job's progress meets a condition, and return it."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            self.check()
            found = self.progress()
            if found is not None and condition(found):
                return found
            time.sleep(0.25)
        raise TickloomError(f"the job did not get there within {timeout_s:g} s; its log is {self.log}")

    def check(self) -> None:
        """Raise when the process has ended by itself."""
        if self.process.poll() is not None:
            raise TickloomError(f"the job ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}")

    def finish(self, timeout_s: float) -> dict[str, Any]:
        """Wait for the end and return the object that it ends with."""
        out, _ = self.process.communicate(timeout=timeout_s)
        if self.process.returncode:
            raise TickloomError(f"the job ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}")
        totals: dict[str, Any] = json.loads(out.splitlines()[-1])
        return totals


def start_job(
    folder: Path, names: list[str], spec: Mapping[str, Any], *, kafka: str, cassandra: str, bounded: bool
) -> JobProcess:
    """Start ``tickloom run`` for the made-up tickers and what else the spec says; its files lie in ``folder``."""
    name = "bench"
    document = {
        "apiVersion": "tickloom.dev/v1alpha1",
        "kind": "StreamJob",
        "metadata": {"name": name},
        "spec": {"tickers": names, "market": "XNYS", **spec},
    }
    instruments(folder / "instruments.csv", names)
    manifest, log = folder / "bench.yaml", folder / "bench.log"
    manifest.write_text(yaml.safe_dump(document))
    command = [sys.executable, "-m", "tickloom.cli.main", "run", "-f", str(manifest), "--home", str(folder), "--json"]
    process = subprocess.Popen(
        [*command, *(["--bounded"] if bounded else [])],
        env=child_environment(kafka, cassandra, folder),
        stdout=subprocess.PIPE,
        stderr=log.open("w"),
        text=True,
    )
    return JobProcess(process, folder, name, log)


def child_environment(kafka: str, cassandra: str, folder: Path) -> dict[str, str]:
    """Return the environment that points a child process at the benchmark's stack."""
    return {
        **os.environ,
        "TICKLOOM_KAFKA": kafka,
        "TICKLOOM_CASSANDRA": cassandra,
        "TICKLOOM_KEYSPACE": KEYSPACE,
        "TICKLOOM_INSTRUMENTS": str(folder / "instruments.csv"),
    }
