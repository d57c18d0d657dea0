"""One round: every StreamJob that is due is looked at, and its facts are written."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime

import structlog

from services.watch.cluster import ACCOUNT, Cluster
from services.watch.jobs import Job, config_map, due, job, known
from services.watch.settings import settings
from tickloom import entry
from tickloom.errors import ConfigurationError, TickloomError
from tickloom.experiment.records import Forecast, Score
from tickloom.forecast.history import History
from tickloom.monitor.looking import Installed, Question, Sources, look

log = structlog.get_logger()
Opened = Callable[[str], AbstractContextManager[Sources]]
"""Opens the sources of a market for a block."""


@dataclass
class Round:
    """What a round did: jobs that were written, and those that could not be."""

    written: list[str]
    failed: list[str]


def once(
    cluster: Cluster, namespaces: Sequence[str], opened: Opened, question: Question, now: datetime | None = None
) -> Round:
    """Look at every job that is due, and write its facts; one's trouble stops no other.

    Parameters
    ----------
    question
        How is looked; its rule is each job's own.
    now
        By default now.

    Raises
    ------
    TickloomError
        The StreamJobs of a namespace cannot be listed.
    """
    done = Round([], [])
    for body in (body for namespace in namespaces for body in cluster.jobs(namespace)):
        name = f"{body['metadata']['namespace']}/{body['metadata']['name']}"
        try:
            wanted = job(body)
            if wanted is not None and _looked(cluster, wanted, opened, question, now or datetime.now(UTC)):
                done.written.append(name)
        except TickloomError as error:
            log.error("no facts", job=name, failure=str(error))
            done.failed.append(name)
    return done


def _looked(cluster: Cluster, wanted: Job, opened: Opened, question: Question, now: datetime) -> bool:
    """Look at a job, unless it is not due, and return whether facts were written."""
    before = known(cluster.config_map(wanted.namespace, wanted.object_name))
    why = due(wanted, before, now)
    if not why:
        return False
    log.info("looks", job=f"{wanted.namespace}/{wanted.name}", why=why, tickers=len(wanted.tickers))
    asked = Question(wanted.rule, question.features, question.reference, question.recent, question.paths)
    with _sources(opened, wanted.market) as sources:
        facts = look(sources, wanted.tickers, asked, before, now)
    cluster.apply(config_map(wanted, facts))
    return True


@contextmanager
def _sources(opened: Opened, market: str) -> Iterator[Sources]:
    """Open the sources; where they cannot be had, return some that say so of every ticker."""
    place = opened(market)
    try:
        found = place.__enter__()
    except TickloomError as error:
        yield _Away(str(error))
        return
    try:
        yield found
    finally:
        place.__exit__(None, None, None)


@dataclass(frozen=True)
class _Away:
    """Sources that are away."""

    why: str

    def history(self, ticker: str) -> History:
        """Say why there is none."""
        raise TickloomError(self.why)

    def ledger(self, ticker: str) -> tuple[Sequence[Forecast], Sequence[Score]]:
        """Say why there is none."""
        raise TickloomError(self.why)

    def trained(self, ticker: str) -> date | None:
        """Say why it is not known."""
        raise TickloomError(self.why)


@contextmanager
def installation(market: str) -> Iterator[Sources]:
    """Open the store and the registry that the settings name."""
    from tickloom.forecast.registry import Registry
    from tickloom.local.addresses import store_session
    from tickloom.settings import settings as common

    mlflow = common().mlflow
    registry = Registry(mlflow) if mlflow else None
    with store_session() as session:
        yield Installed(session, registry, market)


def watch() -> None:
    """Make one round.

    Raises
    ------
    ConfigurationError
        This is no pod.
    TickloomError
        StreamJobs could not be listed, or facts of one not be written.
    """
    own, host = settings(), os.environ.get("KUBERNETES_SERVICE_HOST")
    if not host:
        raise ConfigurationError("the watch runs in a pod; outside of one, `tickloom watch` looks at tickers")
    text = own.namespaces or (ACCOUNT / "namespace").read_text(encoding="utf-8")
    server = f"https://{f'[{host}]' if ':' in host else host}:{os.environ.get('KUBERNETES_SERVICE_PORT', '443')}"
    namespaces = [it.strip() for it in text.split(",") if it.strip()]
    done = once(Cluster(server), namespaces, installation, Question(features=own.features))
    log.info("round is over", written=done.written)
    if done.failed:
        raise TickloomError(f"no facts of {', '.join(done.failed)}; see the log")


def main() -> None:
    """Make one round; exits as `tickloom.entry.run` says."""
    entry.run(watch)
