"""A StreamJob in a process of its own, as a user runs it, and what it left behind."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import yaml

from tickloom.bus.producer import Producer
from tickloom.bus.roles import ROLES
from tickloom.bus.topics import create, topic_name
from tickloom.store.connect import connect

TABLES = ("stock_prices", "anomalies", "bars")
PATIENCE_S = 400.0
"""For a machine that is busy with other things."""
TICKERS = ["AAPL", "JPM", "MSFT", "SPY", "TSLA"]


def topic(kafka, name="test"):
    """Create a topic of prices and return its name."""
    made = f"{name}-{uuid.uuid4().hex[:8]}"
    create(kafka, {made: ROLES["prices"]})
    return made


def send(kafka, name, records):
    """Send (key, value) pairs."""
    with Producer(kafka) as producer:
        for key, value in records:
            producer.send(name, key, value)


@dataclass
class Job:
    """One job with its own folder and keyspace; it can be run, killed and run again."""

    folder: Path
    stack: object
    topic: str
    spec: dict = field(default_factory=dict)
    name: str = "test"
    keyspace: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:10]}")

    def manifest(self):
        spec = {"tickers": TICKERS, "market": "XNYS", "deadLetters": "all", **self.spec}
        spec["source"] = {"topic": self.topic, **spec.get("source", {})}
        document = {
            "apiVersion": "tickloom.dev/v1alpha1",
            "kind": "StreamJob",
            "metadata": {"name": self.name},
            "spec": spec,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "job.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    def start(self, *, bounded=True, fault=None):
        environment = {
            **os.environ,
            "TICKLOOM_KAFKA": self.stack.kafka,
            "TICKLOOM_CASSANDRA": self.stack.cassandra,
            "TICKLOOM_KEYSPACE": self.keyspace,
        }
        if fault:
            environment["TICKLOOM_FAULT"] = fault
        command = [sys.executable, "-m", "tickloom.cli.main", "run", "-f", str(self.manifest())]
        command += ["--home", str(self.folder), "--json", *(["--bounded"] if bounded else [])]
        self.log = (self.folder / "log").open("a")
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=self.log, text=True, start_new_session=True
        )

    def run(self, *, fault=None, timeout=PATIENCE_S):
        """Run to the end and return the last line's object; None when the armed fault killed it."""
        process = self.start(fault=fault)
        out, _ = process.communicate(timeout=timeout)
        if fault and process.returncode == -signal.SIGKILL:
            return None
        assert process.returncode == 0, (process.returncode, self.tail())
        return json.loads(out.splitlines()[-1])

    def tail(self):
        return (self.folder / "log").read_text()[-3000:]

    @property
    def home(self):
        return self.folder / "jobs" / "default" / self.name

    def progress(self):
        """Return what /progress answers, or None while nothing listens."""
        try:
            url = (self.home / "progress.url").read_text().strip()
            with urllib.request.urlopen(f"{url}/progress", timeout=2) as answer:
                return json.load(answer)
        except OSError:
            return None

    def exposition(self):
        """Return what /metrics answers."""
        url = (self.home / "progress.url").read_text().strip()
        with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
            return answer.read().decode()

    def wait_for(self, condition, process, timeout=PATIENCE_S):
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            assert process.poll() is None, self.tail()
            found = self.progress()
            if found is not None and condition(found):
                return found
            time.sleep(0.2)
        raise AssertionError(f"not within {timeout} s: {self.progress()} {self.tail()}")

    def batches(self):
        """Return how many micro-batches are committed."""
        commits = self.home / "checkpoint" / "commits"
        done = [int(item.name) for item in commits.glob("*") if item.name.isdigit()] if commits.exists() else []
        return max(done, default=-1) + 1

    def tables(self):
        """Return every cell of every table, sorted."""
        session = connect(self.stack.cassandra, self.keyspace)
        try:
            return {
                table: sorted(repr(row) for row in session.execute(f"SELECT * FROM {table}", timeout=60))
                for table in TABLES
            }
        finally:
            session.cluster.shutdown()

    def rows(self, query, *arguments):
        session = connect(self.stack.cassandra, self.keyspace)
        try:
            return [tuple(row) for row in session.execute(query, arguments, timeout=60)]
        finally:
            session.cluster.shutdown()

    def lake(self):
        """Return the contents of every file of the lake by day, micro-batch and partition: what no run names anew."""
        found = {}
        for path in sorted((self.home / "lake").rglob("*.parquet")):
            part = path.parent.name, *path.stem.rsplit("-", 2)[1:]
            assert part not in found, f"{path.name} says again what another file says"
            found[part] = pq.read_table(path, partitioning=None).to_pylist()
        return found


def kill(process, *, only_java=False):
    """Kill the application with SIGKILL: all of it, or its Java process."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    victims = [child for child in children if not only_java or child.name() == "java"]
    if not only_java:
        process.kill()
    for victim in victims:
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            continue


__all__ = ["TICKERS", "Job", "create", "kill", "send", "topic", "topic_name"]
