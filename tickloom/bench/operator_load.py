"""What the operator's benchmark puts around it: a namespace of jobs on simulated nodes, drivers' answers, watches."""

import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import urllib3
from aiohttp import web
from kubernetes import config
from prometheus_client.parser import text_string_to_metric_families

from operators.streamjob import names
from operators.streamjob.cluster import Body, Cluster, Refused, path_of
from tickloom.errors import TickloomError

CHILDREN = ("ConfigMap", "Service", "PodDisruptionBudget", "PersistentVolumeClaim", "Pod")
"""Kinds that each job gets one of."""
AT_ONCE = 8
BATCH_S = 5.0
FOREIGN_S = 5.0
TOUCHED = f"bench.{names.GROUP}/touched"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_NODES = "/api/v1/nodes?labelSelector=type%3Dkwok"


def simulated_node(cluster: Cluster) -> str:
    """Return the name of a node that kwok simulates.

    Raises
    ------
    TickloomError
        There is none that is ready.
    """
    for node in cluster.request("GET", _NODES)["items"]:
        if any((item["type"], item["status"]) == ("Ready", "True") for item in node["status"].get("conditions", [])):
            return str(node["metadata"]["name"])
    raise TickloomError(
        "the cluster has no ready node with the label type=kwok, and a thousand drivers need simulated nodes: "
        "add one with kwok (https://kwok.sigs.k8s.io) and label it, or name a cluster that has one in KUBECONFIG"
    )


def manifest(namespace: str, name: str, ticker: str, node: str) -> Body:
    """Return a job of one ticker whose driver goes to a simulated node."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": "StreamJob",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "tickers": [ticker],
            "market": "XNYS",
            "runtime": {
                "nodeSelector": {"type": "kwok"},
                "tolerations": [{"operator": "Exists"}],
                # the scheduler is passed by: it would wait for a volume behind each claim
                "podTemplate": {"spec": {"nodeName": node}},
            },
        },
    }


def foreign(cluster: Cluster, job: Body) -> None:
    """Make a job and take it away again.

    Raises
    ------
    TickloomError
        An operator that is not the benchmark's acted on it.
    """
    cluster.create(job)
    time.sleep(FOREIGN_S)
    place = job["metadata"]["namespace"], job["metadata"]["name"]
    found = cluster.get("StreamJob", *place) or {}
    if found.get("status") or (found.get("metadata") or {}).get("finalizers"):
        raise TickloomError(
            f"another operator acts on StreamJobs of namespace {place[0]}: stop it, or restrict it to namespaces of "
            "its own with TICKLOOM_OPERATOR_NAMESPACES"
        )
    cluster.request("DELETE", path_of("StreamJob", *place))


@contextmanager
def own_namespace(cluster: Cluster, say: Callable[[str], None]) -> Iterator[str]:
    """Return a fresh namespace, which goes with all that is in it."""
    name = f"tickloom-bench-{secrets.token_hex(4)}"
    cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    try:
        _until(lambda: _has_account(cluster, name), 60, f"namespace {name} has no service account after 60 s")
        yield name
    finally:
        say(f"removing namespace {name}")
        _remove(cluster, name)


def _has_account(cluster: Cluster, namespace: str) -> bool:
    found = cluster.request("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts")
    return any(item["metadata"]["name"] == "default" for item in found["items"])


def _remove(cluster: Cluster, namespace: str) -> None:
    place = f"/api/v1/namespaces/{namespace}"
    cluster.request("DELETE", place)

    def free(job: Body) -> None:
        """Take the finalizer off, for no operator is there any more to do it."""
        path = path_of("StreamJob", namespace, job["metadata"]["name"])
        try:
            cluster.request("PATCH", path, {"metadata": {"finalizers": None}}, content="application/merge-patch+json")
        except Refused as error:
            if error.status != 404:
                raise

    def gone() -> bool:
        _all(free, [job for job in cluster.list("StreamJob", namespace) if job["metadata"].get("finalizers")])
        try:
            cluster.request("GET", place)
        except Refused as error:
            return error.status == 404
        return False

    _until(gone, 600, f"namespace {namespace} is not gone after 600 s")


def _all(do: Callable[[Any], Any], items: Iterable[Any]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(do, items))


def _until(done: Callable[[], bool], seconds: float, otherwise: str, every_s: float = 0.25) -> None:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TickloomError(otherwise)
        time.sleep(every_s)


def create(cluster: Cluster, manifests: Iterable[Body]) -> None:
    """Create jobs as fast as the server takes them from eight connections."""
    _all(cluster.create, manifests)


def touch(cluster: Cluster, namespace: str, jobs: Iterable[str], per_second: float) -> None:
    """Change a label of each job, which asks for nothing but a look."""
    begin = time.monotonic()
    body = {"metadata": {"labels": {TOUCHED: secrets.token_hex(4)}}}

    def one(item: tuple[int, str]) -> None:
        time.sleep(max(0.0, begin + item[0] / per_second - time.monotonic()))
        path = path_of("StreamJob", namespace, item[1])
        cluster.request("PATCH", path, body, content="application/merge-patch+json")

    _all(one, enumerate(jobs))


@dataclass
class Watch:
    """Notes when each object of a kind was first seen, on this machine's monotonic clock.

    Parameters
    ----------
    kind, namespace
        What is watched.
    """

    kind: str
    namespace: str
    seen: dict[str, float] = field(default_factory=dict)
    removed: int = 0
    failure: str | None = None

    def start(self) -> None:
        """Watch in a thread of its own, which ends with the process."""
        threading.Thread(target=self._run, name=f"watch-{self.kind}", daemon=True).start()

    def _run(self) -> None:
        try:
            while True:  # the server ends the watches of a kind whose definition is changed
                self._follow()
                time.sleep(0.1)
        except Exception as error:
            self.failure = repr(error)

    def _follow(self) -> None:
        api = config.new_client_from_config()  # type: ignore[no-untyped-call]
        headers = {"Accept": _METADATA}
        path = path_of(self.kind, self.namespace)
        api.update_params_for_auth(headers, [], ["BearerToken"], path, "GET", None)
        answer = api.rest_client.pool_manager.request(
            "GET",
            f"{api.configuration.host}{path}?watch=1&timeoutSeconds=7200",
            headers=headers,
            preload_content=False,
            timeout=urllib3.Timeout(connect=5, read=None),
        )
        if answer.status in (404, 410, 429) or answer.status >= 500:
            time.sleep(0.5)
            return
        if answer.status != 200:
            raise TickloomError(f"{answer.status}: {answer.read().decode()[:200]}")
        for line in answer:
            at = time.monotonic()
            if line.startswith(b'{"type":"MODIFIED"'):
                continue
            event = json.loads(line)
            meta = event["object"]["metadata"]
            if event["type"] == "ADDED":
                job = meta["name"] if self.kind == "StreamJob" else (meta.get("labels") or {}).get(names.LABEL_JOB)
                if job:
                    self.seen.setdefault(job, at)
            elif event["type"] == "DELETED":
                self.removed += 1


class Watches:
    """Watches of the jobs and of all their children."""

    def __init__(self, namespace: str) -> None:
        self.jobs, *self.children = [Watch(kind, namespace) for kind in ("StreamJob", *CHILDREN)]
        for watch in (self.jobs, *self.children):
            watch.start()

    def complete(self, jobs: Iterable[str]) -> dict[str, float]:
        """Return when the last child of each job was first seen, for those that have all of them."""
        found = {job: [watch.seen.get(job) for watch in self.children] for job in jobs}
        return {job: max(at for at in times if at) for job, times in found.items() if None not in times}

    def wait(self, jobs: list[str], seconds: float, say: Callable[[str], None]) -> dict[str, float]:
        """Return when each job's last child was first seen, once all have all.

        Raises
        ------
        TickloomError
            Some have not after ``seconds``, or a watch ended.
        """
        end, told = time.monotonic() + seconds, time.monotonic()
        while len(found := self.complete(jobs)) < len(jobs):
            self.check()
            if time.monotonic() > end:
                raise TickloomError(f"{len(found)} of {len(jobs)} jobs have all their children after {seconds:.0f} s")
            if time.monotonic() - told > 10:
                told = time.monotonic()
                say(f"{len(found):,} of {len(jobs):,} jobs have all their children")
            time.sleep(0.1)
        return found

    def check(self) -> None:
        """Raise when a watch has ended."""
        for watch in (self.jobs, *self.children):
            if watch.failure:
                raise TickloomError(f"the watch of {watch.kind} ended: {watch.failure}")

    def changes(self) -> int:
        """Return how many children were made or removed so far."""
        return sum(len(watch.seen) + watch.removed for watch in self.children)


class Drivers:
    """Answers for all drivers at once: every job commits a micro-batch every five seconds."""

    def __init__(self) -> None:
        self.port = 0
        self._begin = time.monotonic()
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self._run, args=(ready,), name="drivers", daemon=True).start()
        if not ready.wait(10):
            raise TickloomError("the drivers' answers could not be served on 127.0.0.1")

    @property
    def url(self) -> str:
        """Return the template for ``TICKLOOM_OPERATOR_PROGRESS_URL``."""
        return f"http://127.0.0.1:{self.port}/{{namespace}}/{{name}}/progress"

    def stop(self) -> None:
        """Answer no more."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        ready.set()
        self._loop.run_forever()

    async def _serve(self) -> None:
        runner = web.ServerRunner(web.Server(self._answer))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = int(runner.addresses[0][1])

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        batch = int((time.monotonic() - self._begin) / BATCH_S) + 10
        body = {
            "state": "running",
            "batch": batch,
            "checks": batch,
            "lag": batch * 7919 % 5000,
            "rows_per_second": 1000.0 + batch % 100,
            "arrival_per_second": 1000.0,
            "state_rows": 1000 + batch,
            "committed_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "partitions": 3,
        }
        return web.Response(text=json.dumps(body), content_type="application/json")


class Running:
    """The operator in a process of its own.

    Parameters
    ----------
    namespace
        The only one that it watches; its Lease is there too.
    drivers
        Answer its questions for progress.
    folder
        Gets its log and the list of instruments.
    """

    def __init__(self, namespace: str, drivers: Drivers, folder: Path) -> None:
        self.port = _free_port()
        self.begin = time.monotonic()
        self.highest_mb = 0.0
        self._log = folder / f"operator-{self.port}.log"
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("TICKLOOM_")}
        own = {
            "NAMESPACES": namespace,
            "OWN_NAMESPACE": namespace,
            "LEASE": "bench",
            "PROGRESS_URL": drivers.url,
            "STARTS_PER_SECOND": "10000",
            "STARTS_BURST": "10000",
            "HEALTH_PORT": str(self.port),
            "SERVICE_ACCOUNT": "default",
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "operators.streamjob"],
                env={
                    **inherited,
                    "TICKLOOM_INSTRUMENTS": str(folder / "instruments.csv"),
                    "TICKLOOM_LOG_FORMAT": "json",
                    **{f"TICKLOOM_OPERATOR_{key}": value for key, value in own.items()},
                },
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._watched = psutil.Process(self._process.pid)
        self._stopped = threading.Event()
        threading.Thread(target=self._weigh, name="memory", daemon=True).start()

    def _weigh(self) -> None:
        while not self._stopped.wait(0.5):
            try:
                self.highest_mb = max(self.highest_mb, self._watched.memory_info().rss / 1e6)
            except psutil.Error:
                return

    def check(self) -> None:
        """Raise when it has ended."""
        if self._process.poll() is not None:
            raise TickloomError(f"the operator ended:\n{self._log.read_text()[-2000:]}")

    def cpu_s(self) -> float:
        """Return the seconds of processor time that it has used."""
        times = self._watched.cpu_times()
        return float(times.user + times.system)

    def metrics(self) -> dict[tuple[str, ...], float]:
        """Return its metrics by name and labels' values; none while it does not answer yet."""
        self.check()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
                text = answer.read().decode()
        except OSError:
            return {}
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def leads(self) -> bool:
        """Return whether it holds its Lease."""
        return self.metrics().get(("tickloom_operator_leading",), 0) == 1

    def wait(self, done: Callable[[], bool], seconds: float, what: str) -> float:
        """Return the seconds from its start until something is done."""

        def ended() -> bool:
            self.check()
            return done()

        _until(ended, seconds, f"{what}: not after {seconds:.0f} s")
        return time.monotonic() - self.begin

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it with a signal."""
        self._stopped.set()
        if self._process.poll() is None:
            self._process.send_signal(number)
            try:
                self._process.wait(40)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
