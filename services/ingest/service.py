"""The service: a worker for each source, and what it tells of itself."""

import threading
from dataclasses import dataclass, field

from services.ingest.config import Config
from services.ingest.feeds import feeds_of
from services.ingest.metrics import Metrics
from services.ingest.worker import Sender, Worker
from tickloom.bus.producer import PriceProducer
from tickloom.bus.roles import ROLES
from tickloom.bus.topics import create, topic_name


@dataclass
class Service:
    """All sources of a configuration.

    Parameters
    ----------
    kafka
        Bootstrap servers.
    until_finished
        Sources that follow an exchange end with its day.
    """

    config: Config
    kafka: str
    until_finished: bool = False
    metrics: Metrics = field(default_factory=Metrics)
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        feeds = feeds_of(self.config.sources, one_day=self.until_finished)
        self.workers = [
            Worker(source, feed, self._connect, self.metrics, self.stop)
            for source, feed in zip(self.config.sources, feeds, strict=True)
        ]
        self._threads: list[threading.Thread] = []

    def _connect(self) -> Sender:
        """Return a producer, once the broker answers and the topic is there."""
        topic = self.config.topic or topic_name("prices")
        create(self.kafka, {topic: ROLES["prices"]}, timeout_s=10.0)
        return PriceProducer(self.kafka, topic, delivery_timeout_s=30.0)

    def start(self) -> None:
        """Start every source."""
        for worker in self.workers:
            thread = threading.Thread(target=worker.run, name=worker.source.name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def join(self, seconds: float | None = None) -> bool:
        """Wait until every source has ended; return whether all have."""
        for thread in self._threads:
            thread.join(seconds)
        return not any(thread.is_alive() for thread in self._threads)

    def dead(self) -> str | None:
        """Return which source's thread has ended without saying so; None where all is well."""
        for worker, thread in zip(self.workers, self._threads, strict=False):
            if not thread.is_alive() and worker.state not in ("finished", "stopped"):
                return f"source {worker.source.name} has ended: {worker.failure or 'without a word'}"
        return None

    def not_ready(self) -> str | None:
        """Return which source does not work; None where each waits for its turn, sends, or has come to its end."""
        for worker in self.workers:
            if worker.state in ("starting", "failing"):
                return f"source {worker.source.name} is {worker.state}" + (
                    f": {worker.failure}" if worker.failure else ""
                )
        return None
