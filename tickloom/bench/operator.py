"""``tickloom bench operator``: the operator with a thousand StreamJobs whose drivers run on simulated nodes."""

import math
import signal
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from operators.streamjob.cluster import Cluster
from tickloom.bench import load
from tickloom.bench.operator_load import (
    Drivers,
    Running,
    Watches,
    create,
    foreign,
    manifest,
    own_namespace,
    simulated_node,
    touch,
)
from tickloom.bench.report import Result
from tickloom.errors import TickloomError

JOBS, MORE, MORE_PER_SECOND = 1000, 150, 5.0
IDLE_S, TOUCHES_PER_SECOND = 60.0, 25.0
CHILD_WRITES = ("Apply", "Start", "Delete")
Metrics = Mapping[tuple[str, ...], float]


def run(progress: load.Say, *, jobs: int = JOBS, more: int = MORE, idle_s: float = IDLE_S) -> Result:
    """Start the operator against the cluster of KUBECONFIG and measure it; all that was made is removed.

    Raises
    ------
    TickloomError
        The cluster has no simulated node, another operator acts in it, or the operator did not do its work.
    """
    cluster = Cluster(connections=16)
    node = simulated_node(cluster)
    drivers = Drivers()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="tickloom-bench-") as scratch,
            own_namespace(cluster, progress) as namespace,
        ):
            bench = _Bench(cluster, namespace, node, drivers, Path(scratch), progress, jobs + more)
            try:
                return bench.run(jobs, idle_s)
            finally:
                bench.stop()
    finally:
        drivers.stop()


class _Bench:
    """One run: its parts follow on each other, each with the jobs that the one before left."""

    def __init__(
        self, cluster: Cluster, namespace: str, node: str, drivers: Drivers, folder: Path, say: load.Say, most: int
    ) -> None:
        self.cluster, self.namespace, self.drivers, self.folder, self.say = cluster, namespace, drivers, folder, say
        tickers = load.tickers(most)
        load.instruments(folder / "instruments.csv", tickers)
        self.manifests = {f"job-{it.lower()}": manifest(namespace, f"job-{it.lower()}", it, node) for it in tickers}
        foreign(cluster, next(iter(self.manifests.values())))
        self.watches = Watches(namespace)
        self.operator: Running | None = None

    def stop(self) -> None:
        """End the operator."""
        if self.operator is not None:
            self.operator.stop()

    def run(self, jobs: int, idle_s: float) -> Result:
        """Measure one part after the other."""
        first, more = list(self.manifests)[:jobs], list(self.manifests)[jobs:]
        operator = self._start()
        operator.wait(operator.leads, 60, "the operator leads")
        rate = self._mass(first)
        self._settle(operator, first)
        idle = self._idle(operator, idle_s)
        noop = self._noop(operator, first)
        operator.stop(signal.SIGKILL)
        again, cold = self._cold(first)
        highest = max(operator.highest_mb, again.highest_mb)
        late = self._evenly(more)
        return Result(
            name="operator",
            figures={
                "jobs": jobs,
                "jobs_per_second": rate,
                "children_p95_s": float(np.quantile(late, 0.95)),
                "noop_p99_ms": noop,
                **idle,
                **cold,
                "rss_mb": highest,
            },
            notes=_notes(jobs, len(more), idle_s),
        )

    def _tell(self, text: str) -> None:
        if self.operator is not None:
            self.operator.check()
        self.say(text)

    def _start(self) -> Running:
        self.operator = Running(self.namespace, self.drivers, self.folder)
        return self.operator

    def _mass(self, jobs: list[str]) -> float:
        """Create jobs as fast as the server takes them; return how many a second get all their children."""
        begin = time.monotonic()
        create(self.cluster, [self.manifests[name] for name in jobs])
        self.say(f"{len(jobs):,} jobs created in {time.monotonic() - begin:.1f} s")
        found = self.watches.wait(jobs, 900, self._tell)
        rate = len(jobs) / (max(found.values()) - begin)
        self.say(f"{rate:.1f} jobs/s with all their children")
        return rate

    def _settle(self, operator: Running, jobs: list[str]) -> None:
        """Wait until every job has proved itself, and then as long as a driver is not asked again."""

        def settled() -> bool:
            states = [body.get("status") or {} for body in self.cluster.list("StreamJob", self.namespace)]
            good = len([state for state in states if state.get("stable") and state.get("phase") == "Running"])
            self.say(f"{good:,} of {len(jobs):,} jobs have settled")
            return good >= len(jobs)

        while not settled():
            operator.check()
            if time.monotonic() - operator.begin > 1800:
                raise TickloomError("the jobs have not settled after half an hour")
            time.sleep(5)
        time.sleep(35)

    def _idle(self, operator: Running, seconds: float) -> dict[str, float]:
        """Let everything run on its own."""
        before, used, children, begin = operator.metrics(), operator.cpu_s(), self.watches.changes(), time.monotonic()
        time.sleep(seconds)
        lasted = time.monotonic() - begin
        cores = (operator.cpu_s() - used) / lasted
        done = _between(before, operator.metrics())
        writes = sum(value for (name, *_), value in done.items() if name == "tickloom_operator_actions_total")
        changes = max(self.watches.changes() - children, _child_writes(done))
        self.say(f"idle: {cores:.2f} cores, {writes / lasted:.1f} writes/s")
        return {
            "idle_cores": cores,
            "idle_writes_per_second": writes / lasted,
            "idle_polls_per_second": done.get(("tickloom_operator_polls_total", "true"), 0) / lasted,
            "idle_child_writes": int(changes),
        }

    def _noop(self, operator: Running, jobs: list[str]) -> float:
        """Have every job looked at for nothing; return the 99th percentile of such looks in ms."""
        before = operator.metrics()
        touch(self.cluster, self.namespace, jobs, TOUCHES_PER_SECOND)
        time.sleep(2)
        done = _between(before, operator.metrics())
        looks = done.get(("tickloom_operator_reconcile_seconds_count", "false"), 0)
        if looks < len(jobs) / 2:  # one that falls together with a report writes it
            raise TickloomError(f"{len(jobs)} jobs were touched and {looks:.0f} looks did nothing")
        worst = quantile(done, 0.99) * 1000
        self.say(f"no-op: p50 {quantile(done, 0.5) * 1000:.1f} ms, p99 {worst:.1f} ms of {looks:,.0f}")
        return worst

    def _cold(self, jobs: list[str]) -> tuple[Running, dict[str, float]]:
        """Start the operator anew beside jobs that run; return it, and how long it took to look at all of them."""
        children = self.watches.changes()
        operator = self._start()

        def looked() -> bool:
            now = operator.metrics()
            looks = sum(now.get(("tickloom_operator_reconcile_seconds_count", acted), 0) for acted in ("true", "false"))
            return looks >= len(jobs) and now[("tickloom_operator_queue_depth",)] < len(jobs) / 100

        leading = operator.wait(operator.leads, 300, "the operator leads again")
        lasted = operator.wait(looked, 300, "every job was looked at")
        time.sleep(40)  # what a look after the restart made wrong would show by now
        writes = int(max(_child_writes(operator.metrics()), self.watches.changes() - children))
        self.say(f"cold restart: leading after {leading:.1f} s, all looked at after {lasted:.1f} s, {writes} writes")
        return operator, {"cold_restart_s": lasted, "cold_restart_writes": writes}

    def _evenly(self, jobs: list[str]) -> list[float]:
        """Create jobs at an even rate; return the seconds from each one's creation to its driver's."""
        begin = time.monotonic()
        for number, name in enumerate(jobs):
            time.sleep(max(0.0, begin + number / MORE_PER_SECOND - time.monotonic()))
            self.cluster.create(self.manifests[name])
        self.watches.wait(jobs, 120, self._tell)
        pods = next(watch for watch in self.watches.children if watch.kind == "Pod")
        late = [pods.seen[name] - self.watches.jobs.seen[name] for name in jobs]
        self.say(
            f"at {MORE_PER_SECOND:.0f} jobs/s: median {np.median(late):.2f} s, p95 {np.quantile(late, 0.95):.2f} s"
        )
        return late


def _between(before: Metrics, after: Metrics) -> dict[tuple[str, ...], float]:
    return {key: value - before.get(key, 0.0) for key, value in after.items()}


def _child_writes(done: Metrics) -> float:
    return sum(done.get(("tickloom_operator_actions_total", kind), 0) for kind in CHILD_WRITES)


def quantile(done: Metrics, share: float) -> float:
    """Return a quantile of the looks that did nothing, in seconds, interpolated between the histogram's bounds."""
    name = "tickloom_operator_reconcile_seconds_bucket"
    counts = sorted((float(key[2]), value) for key, value in done.items() if key[:2] == (name, "false"))
    wanted = share * counts[-1][1]
    low = below = 0.0
    for high, count in counts:
        if count >= wanted:
            return low if math.isinf(high) else low + (high - low) * (wanted - below) / max(count - below, 1.0)
        low, below = high, count
    return low


def _notes(jobs: int, more: int, idle_s: float) -> tuple[str, ...]:
    return (
        f"{jobs:,} StreamJobs of one ticker in one namespace; the operator, in a process of its own with its default "
        "settings, shares the machine's processors with etcd, the API server, its controllers and kwok.",
        "Their drivers run on nodes that kwok simulates: `podTemplate.spec.nodeName` passes the scheduler by, which "
        "would wait for a volume behind each claim. Each job has a ConfigMap, a Service, a PodDisruptionBudget, a "
        "PersistentVolumeClaim that stays unbound, and a driver pod.",
        f"`jobs_per_second`: {jobs:,} jobs created over 8 connections, from the first request to the last child that "
        "a watch shows. The limit of driver starts, 10 a second by default, is lifted: it is not what is measured.",
        f"`children_p95_s`: {more} more jobs at {MORE_PER_SECOND:.0f} a second beside the others, from the watch's "
        "event of the job to that of its driver pod, on one clock.",
        f"`noop_p99_ms`: a label of each job is changed, {TOUCHES_PER_SECOND:.0f} jobs a second; looks that found "
        "nothing to do, interpolated between the bounds of the operator's own histogram.",
        f"`idle_*`: {idle_s:.0f} s in which nobody changes anything; each driver reports a new micro-batch, lag and "
        "rate every time it is asked, every 30 s. Writes are those of statuses; `idle_child_writes` counts applies, "
        "starts and deletions.",
        "`cold_restart_s`: from the start after `kill -9` to as many looks as jobs and fewer than 1 % of them in the "
        "queue, the 15 s of the dead operator's Lease included; writes to children are counted for 40 s more.",
        "`rss_mb`: the highest resident memory of the operator's process, before the further jobs.",
        "Anchors, each on its own machine and with work of its own: kubeflow's spark-operator 130 to 155 applications "
        "a minute on 36 cores, Apache's Spark Kubernetes operator 176 a minute, kopf's own profile of memory 300 MB.",
    )
