"""How the parts of the service are put together, as its settings say."""

import os
import socket
import uuid
from collections.abc import Callable
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from services.forecast.settings import serve_settings
from tickloom.errors import ConfigurationError, TickloomError
from tickloom.experiment.ledger import LedgerWriter
from tickloom.experiment.misses import misses
from tickloom.forecast import histories
from tickloom.forecast.history import History
from tickloom.forecast.models import graphs
from tickloom.forecast.models.onnx import BATCH
from tickloom.forecast.registry import Registry, local_uri
from tickloom.local.addresses import cassandra_address, kafka_address
from tickloom.serving.cache import Cache, LocalCache, NoCache, RedisCache
from tickloom.serving.cutoffs import Cutoffs, Load
from tickloom.serving.engine import Engine
from tickloom.serving.packages import Packages
from tickloom.serving.protection.breaker import Breaker
from tickloom.settings import settings
from tickloom.store.lazy import LazySession, StoreAwayError

log = structlog.get_logger(__name__)
breakers: list[Breaker] = []
"""Of this process; none where no store is read."""
_said: set[str] = set()


def registry() -> Registry:
    """Return the registry of the settings, else the one of this machine's folder."""
    return Registry(settings().mlflow or local_uri(settings().home))


def engine() -> Engine:
    """Return what forecasts, and begin to look for newer bars.

    Raises
    ------
    TickloomError
        onnxruntime cannot compute where it is told to.
    """
    chosen = serve_settings()
    folder = chosen.folder or settings().home.resolve() / "serving"
    graphs.compute_on(chosen.provider)
    session = store()
    cutoffs = Cutoffs(_load(chosen.data, session), chosen.refresh_s)
    threads = max(1, len(os.sched_getaffinity(0)) // chosen.workers)
    whole = {"part": BATCH} if chosen.provider == "cuda" else {}  # a GPU has no such caches
    made = Engine(Packages(registry(), folder), cutoffs, threads, **whole)
    if chosen.ledger and session is not None:
        cutoffs.also = lambda: made.adapt(lambda ticker, model: session.use(lambda it: misses(it, ticker, model)))
    cutoffs.start()
    return made


def cache() -> Cache:
    """Return what keeps answers until the next close."""
    chosen = serve_settings()
    if chosen.cache == "off":
        return NoCache()
    near = LocalCache()
    return near if chosen.redis is None else RedisCache(chosen.redis, near)


def store() -> LazySession | None:
    """Return a session of Cassandra, None where no address of one is known."""
    if _known("Cassandra", cassandra_address) is None:
        return None
    return LazySession(cassandra_address, settings().keyspace)


def replica() -> str:
    """Return a name of this process that no other has, in Kubernetes beginning with the pod's."""
    return f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"


def ledger(session: LazySession | None, metrics: CollectorRegistry) -> LedgerWriter | None:
    """Return what writes forecasts down; None where that is not wanted, or nothing is there to write to."""
    if not serve_settings().ledger:
        return None
    kafka = _known("Kafka", kafka_address)
    if session is None and kafka is None:
        if "ledger" not in _said:
            _said.add("ledger")
            log.warning("no forecast is written down: neither Cassandra nor Kafka is known")
        return None
    producer = None
    if kafka is not None:
        from tickloom.bus.producer import Producer

        producer = Producer(kafka)
    return LedgerWriter(None if session is None else session.get, producer, registry=metrics)


def _known(what: str, address: Callable[[], str]) -> str | None:
    try:
        return address()
    except TickloomError as error:
        if what not in _said:  # it is looked for again and again
            _said.add(what)
            log.info(f"{what} is left out", why=str(error))
        return None


def _load(data: Path | None, store: LazySession | None) -> Load:
    if data is not None:
        return lambda market, ticker: _of_folder(data, market, ticker)
    # an address that is not known yet may be by the time a ticker is asked for
    chosen, session = serve_settings(), store or LazySession(cassandra_address, settings().keyspace)
    away = (StoreAwayError, ConfigurationError)
    guard = Breaker("Cassandra", away, chosen.breaker_failures, chosen.breaker_s)
    breakers.append(guard)
    return lambda market, ticker: guard.call(lambda: session.use(lambda it: histories.from_store(it, ticker, market)))


def _of_folder(folder: Path, market: str, ticker: str) -> History:
    from tickloom.sources.csvfile import ticker_of

    for path in sorted(folder.glob("*.csv")):
        if ticker_of(path) == ticker:
            return histories.from_file(path, market=market, ticker=ticker)
    raise TickloomError(f"{ticker} has no CSV file in {folder}; put {ticker}.csv there")
