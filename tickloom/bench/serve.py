"""``tickloom bench serve``: how many forecasts the service answers, how fast, and what becomes of them in trouble."""

import json
import math
import os
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from tickloom.bench.report import Result
from tickloom.bench.serving import bare
from tickloom.bench.serving.processes import Running, Server, answered, failed, percentile_ms
from tickloom.bench.serving.requests import Outcome, Plan
from tickloom.bench.serving.world import ARMS, MARKET, World
from tickloom.forecast.models.graphs import GRAPH, Graph
from tickloom.forecast.package import MODEL
from tickloom.forecast.registry import Registry
from tickloom.forecast.versions import CHAMPION

TICKERS, BATCH, CONNECTIONS = 75, 64, 16
FORECAST, MANY = "/v1/forecast", "/v1/forecast/batch"
SECONDS, ROUNDS, OVERLOAD_S = 10.0, 5, 60.0
_SERVICE = ("-m", "services.forecast", "--host", "127.0.0.1")
Say = Callable[[str], None]


def run(progress: Say, *, kafka: str, cassandra: str, share: float = 1.0) -> Result:
    """Measure all of it; ``share`` shortens each part, for a quick look."""
    from tickloom.bus.roles import ROLES
    from tickloom.bus.topics import create
    from tickloom.store.migrate import migrate

    migrate(cassandra)
    create(kafka, {"forecasts": ROLES["forecasts"]})
    folder = Path(tempfile.mkdtemp(prefix="tickloom-bench-serve-"))
    try:
        bench = _Bench(folder, progress, share, {"TICKLOOM_KAFKA": kafka, "TICKLOOM_CASSANDRA": cassandra})
        return bench.result()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Bench:
    def __init__(self, folder: Path, say: Say, share: float, stores: dict[str, str]) -> None:
        self._folder, self._say, self._stores = folder, say, stores
        self._seconds, self._overload_s = max(2.0, SECONDS * share), max(4.0, OVERLOAD_S * share)
        self._rounds = max(1, round(ROUNDS * share))
        self._own = World(folder / "own", TICKERS, shared=False)
        self._shared = World(folder / "shared", TICKERS, shared=True)
        self._bodies = [json.dumps({"ticker": name, "market": MARKET, "horizon": 1}) for name in self._own.names]
        names = self._own.names[:BATCH]
        self._batch = json.dumps({"tickers": names, "market": MARKET, "horizon": 1})
        self._number = 0

    def result(self) -> Result:
        for world in (self._own, self._shared):
            world.make(self._say)
        figures: dict[str, float] = {}
        peers: dict[str, float] = {}
        single, beside = self._single()
        figures |= single
        peers |= beside
        many, beside = self._many()
        figures |= many
        peers |= beside
        figures |= self._routing()
        figures |= self._trouble(single["requests_per_second"], single["p99_ms"])
        ratios = {
            "to_bare_service": figures["requests_per_second"] / peers["bare_service_requests_per_second"],
            "batch_to_bare_onnx": figures["batch_forecasts_per_second"] / peers["bare_onnx_forecasts_per_second"],
        }
        known = {key: value for key, value in figures.items() if not math.isnan(value)}
        return Result("serve", known, peers, ratios, _notes())

    def _service(self, world: World, **settings: str) -> Server:
        self._number += 1
        home = self._folder / f"home{self._number}"
        home.mkdir()
        chosen = world.settings(TICKLOOM_HOME=str(home), **settings)
        return Server(_SERVICE, chosen, (FORECAST, self._bodies[0]), self._folder / f"service{self._number}.log")

    def _experiment(self, mode: str, arms: Sequence[Mapping[str, object]]) -> str:
        path = self._folder / f"experiment-{mode}-{len(arms)}.yaml"
        head = {"apiVersion": "tickloom.dev/v1alpha1", "kind": "Experiment", "metadata": {"name": "bench"}}
        spec = {"market": MARKET, "mode": mode, "arms": list(arms), "tickers": None}
        path.write_text(yaml.safe_dump({**head, "spec": spec}))
        return str(path)

    def _load(self, server: Server, connections: int = CONNECTIONS, seconds: float | None = None) -> Outcome:
        warm = 3 * TICKERS
        plan = Plan(server.url(FORECAST), self._bodies, connections, seconds or self._seconds, warm_up=warm)
        return Running(plan).outcome()

    def _single(self) -> tuple[dict[str, float], dict[str, float]]:
        arms = [{"name": it.removeprefix("challenger-")} for it in ARMS]
        shadowed = {"TICKLOOM_SERVE_EXPERIMENTS": self._experiment("championChallenger", arms)}
        own: list[Outcome] = []
        beside: list[Outcome] = []
        bares: list[Outcome] = []
        with (
            self._service(self._own, TICKLOOM_SERVE_LEDGER="false") as plain,
            self._service(self._own, **shadowed, **self._stores) as shadows,
            self._bare() as peer,
        ):
            for number in range(self._rounds):
                self._say(f"single forecasts, round {number + 1} of {self._rounds}")
                own.append(self._load(plain))
                beside.append(self._load(shadows))
                bares.append(self._bare_load(peer))
        return (
            {**_rates("", own), **_rates("_with_shadows", beside)},
            {f"bare_service_{key}": value for key, value in _rates("", bares).items()},
        )

    def _bare(self) -> Server:
        place = self._folder / "bare"
        place.mkdir()
        shutil.copy(self._own.folder / "master" / GRAPH, place / GRAPH)
        np.savez(place / "windows.npz", **self._own.windows())  # type: ignore[arg-type]
        command = ("-m", "bentoml", "serve", f"{bare.__name__}:Bare", "--host", "127.0.0.1")
        first = ("/forecast", json.dumps({"ticker": self._own.names[0]}))
        return Server(command, {bare.FOLDER: str(place)}, first, self._folder / "bare.log")

    def _bare_load(self, server: Server) -> Outcome:
        bodies = [json.dumps({"ticker": name}) for name in self._own.names]
        plan = Plan(server.url("/forecast"), bodies, CONNECTIONS, self._seconds, warm_up=TICKERS)
        return Running(plan).outcome()

    def _many(self) -> tuple[dict[str, float], dict[str, float]]:
        windows = np.stack(list(self._shared.windows().values())[:BATCH])
        graph = Graph((self._shared.folder / "master" / GRAPH).read_bytes())
        own_graphs = [
            Graph((self._own.fetched / MARKET / name / "1" / MODEL / GRAPH).read_bytes())
            for name in self._own.names[:BATCH]
        ]
        peers = {
            "bare_onnx_forecasts_per_second": BATCH / _seconds(lambda: graph(windows), 50),
            "bare_onnx_forecasts_per_second_own_models": BATCH
            / _seconds(lambda: [it(windows[at : at + 1]) for at, it in enumerate(own_graphs)], 10),
        }
        figures = {}
        for name, world in (("", self._shared), ("_own_models", self._own)):
            self._say(f"batches of {BATCH}{name.replace('_', ' ')}")
            with self._service(world, TICKLOOM_SERVE_LEDGER="false", TICKLOOM_SERVE_WAITING="1024") as server:
                plan = Plan(server.url(MANY), [self._batch], 4, self._seconds, warm_up=10)
                found = [Running(plan).outcome() for _ in range(self._rounds)]
            rates = [BATCH * answered(it) / it.seconds for it in found]
            figures[f"batch_forecasts_per_second{name}"] = statistics.median(rates)
            figures[f"batch_p99_ms{name}"] = statistics.median(percentile_ms(it, 0.99) for it in found)
        return figures, peers

    def _routing(self) -> dict[str, float]:
        """Measure both services in turn, so that the machine's other work weighs on both alike."""
        arms = [{"name": CHAMPION, "weight": 0.5}, {"name": ARMS[1].removeprefix("challenger-"), "weight": 0.5}]
        routed = {"TICKLOOM_SERVE_EXPERIMENTS": self._experiment("fixed", arms), "TICKLOOM_SERVE_SHADOWS": "0"}
        off: list[Outcome] = []
        on: list[Outcome] = []
        with (
            self._service(self._own, TICKLOOM_SERVE_LEDGER="false") as plain,
            self._service(self._own, **routed, **self._stores) as full,
        ):
            for number in range(2 * self._rounds):
                self._say(f"routing off and on, round {number + 1} of {2 * self._rounds}")
                off.append(self._load(plain, 4, self._seconds / 2))
                on.append(self._load(full, 4, self._seconds / 2))
        added = {}
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            differences = [percentile_ms(a, share) - percentile_ms(b, share) for a, b in zip(on, off, strict=True)]
            added[f"routing_added_{name}_ms"] = statistics.median(differences)
        return added

    def _trouble(self, capacity: float, normal_ms: float) -> dict[str, float]:
        """Overload a service, swap its models, and kill its inference process."""
        with self._service(self._own, TICKLOOM_SERVE_LEDGER="false") as server:
            self._load(server, seconds=2.0)
            normal_ms = percentile_ms(self._load(server), 0.99)
            figures = self._overload(server, capacity, normal_ms)
            figures |= self._swap(server)
        return figures

    def _overload(self, server: Server, capacity: float, normal_ms: float) -> dict[str, float]:
        self._say(f"5 times the capacity for {self._overload_s:.0f} s")
        before = server.memory_mb()
        plan = Plan(server.url(FORECAST), self._bodies, 2_000, self._overload_s, rate=5 * capacity)
        running, most = Running(plan), before
        until = time.monotonic() + self._overload_s
        while time.monotonic() < until:
            most = max(most, server.memory_mb())
            time.sleep(0.5)
        found = running.outcome()
        after = self._load_now(server)
        accepted, shed = answered(found), found.statuses.get("429", 0)
        return {
            "normal_p99_ms": normal_ms,
            "overload_offered_per_second": (sum(found.statuses.values()) + found.late) / found.seconds,
            "overload_accepted_per_second": accepted / found.seconds,
            "overload_p99_ratio": percentile_ms(found, 0.99) / normal_ms,
            "overload_shed_p99_ms": percentile_ms(found, 0.99, 429),
            "overload_neither_accepted_nor_shed": sum(found.statuses.values()) - accepted - shed + found.late,
            "overload_memory_growth_mb": most - before,
            "recovery_s": _recovery(after, 2 * normal_ms),
        }

    def _load_now(self, server: Server) -> Outcome:
        plan = Plan(server.url(FORECAST), self._bodies, CONNECTIONS, max(6.0, self._seconds))
        return Running(plan).outcome()

    def _swap(self, server: Server) -> dict[str, float]:
        """Move every champion back and forth under load, and kill what infers once."""
        self._say("models swapped, and the inference process killed, under load")
        registry = Registry(self._own.registry)
        seconds = max(20.0, 3 * self._seconds)
        plan = Plan(server.url(FORECAST), self._bodies, 8, seconds, again=True)
        running, begun = Running(plan), time.monotonic()
        for version in (2, 3, 1):
            for name in self._own.names:
                registry.move_alias(MARKET, name, CHAMPION, version)
            while time.monotonic() - begun < seconds * version / 6:
                time.sleep(0.2)
        os.kill(server.named("inference").pid, signal.SIGKILL)
        found = running.outcome()
        return {"swap_requests": sum(found.statuses.values()), "failed_requests": failed(found)}


def _rates(name: str, found: Sequence[Outcome]) -> dict[str, float]:
    return {
        f"requests_per_second{name}": statistics.median(answered(it) / it.seconds for it in found),
        f"p50_ms{name}": statistics.median(percentile_ms(it, 0.5) for it in found),
        f"p99_ms{name}": statistics.median(percentile_ms(it, 0.99) for it in found),
    }


def _seconds(what: Callable[[], object], times: int) -> float:
    what()
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        what()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def _recovery(outcome: Outcome, limit_ms: float, step_s: float = 0.25) -> float:
    """Return after how many seconds of a load everything was answered within a limit, for the rest of it."""
    ends, codes = np.array(outcome.ends), np.array(outcome.codes)
    latencies = np.array(outcome.latencies) * 1000
    bad = 0.0
    for start in np.arange(0, ends.max(initial=0), step_s):
        here = (ends >= start) & (ends < start + step_s)
        if here.any() and ((codes[here] != 200).any() or np.quantile(latencies[here], 0.99) > limit_ms):
            bad = float(start) + step_s
    return bad


def _notes() -> tuple[str, ...]:
    return (
        f"{TICKERS} tickers, simple LSTM of {MARKET} daily bars, cached features, no cache of answers: each request is "
        f"inferred. {CONNECTIONS} connections of a client process on the same machine; medians over rounds.",
        "`own_models`: each ticker has a network of its own, as the registry has it; single forecasts are measured so. "
        "Without it all tickers share one, which runs a batch at once.",
        "The bare service is BentoML around the same graph: one window looked up, one run, a list of numbers.",
        "Routing is measured on two services in turn with 4 connections: one without experiment and ledger, the other "
        "with two arms by sticky hash, and a ledger in Cassandra and Kafka; shadows are off there and measured apart.",
        "Overload offers 5 times the measured capacity, whatever becomes of earlier requests, over at most 2,000 at a "
        "time. A failed request is one that failed twice, while all models were swapped three times and the inference "
        "process was killed.",
    )
