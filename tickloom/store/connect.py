"""Sessions with Cassandra, set up the same way everywhere."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from cassandra import ConsistencyLevel, DriverException, InvalidRequest
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.connection import ConnectionException, DefaultEndPoint
from cassandra.policies import DCAwareRoundRobinPolicy, ExponentialReconnectionPolicy, TokenAwarePolicy
from cassandra.query import tuple_factory

from tickloom.errors import TickloomError

log = structlog.get_logger(__name__)

PORT = 9042
SAY_EVERY_S = 10.0


def parse_contact_points(text: str) -> list[tuple[str, int]]:
    """Read ``host[:port],…``; the port is 9042 where none is given.

    Raises
    ------
    TickloomError
        There is no host, or a port is not a number from 1 to 65535.
    """
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        host, colon, port = part.rpartition(":") if not part.endswith("]") else (part, "", "")
        if not colon:
            host, port = part, str(PORT)
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise TickloomError(f"Cassandra contact point {part!r} is not host:port, for example 127.0.0.1:9042")
        found.append((host.strip("[]"), int(port)))
    if not found:
        raise TickloomError("no Cassandra contact point is given; write host:port,… for example 127.0.0.1:9042")
    return found


def connect(contact_points: str, keyspace: str | None = None, *, patience_s: float = 30.0) -> Session:
    """Open a session whose rows are tuples; ``session.cluster.shutdown()`` closes it.

    Parameters
    ----------
    contact_points
        ``host[:port],…``.
    keyspace
        Keyspace of unqualified tables; it must exist.
    patience_s
        Seconds for which to try again while no node answers.

    Raises
    ------
    TickloomError
        No node answered in time, or there is no such keyspace.
    """
    # Without a handler Python prints the driver's every attempt; what matters is said here and in the errors.
    logging.getLogger("cassandra").addHandler(logging.NullHandler())
    points = parse_contact_points(contact_points)
    begin, pause, said = time.monotonic(), 0.2, float("-inf")
    while True:
        cluster = _cluster(points)
        try:
            session = cluster.connect()
            if keyspace is not None:
                session.set_keyspace(keyspace)
            return session
        except InvalidRequest as error:
            cluster.shutdown()
            raise TickloomError(
                f"Cassandra at {contact_points} has no keyspace {keyspace!r}; "
                "`tickloom run` or `tickloom load` makes it"
            ) from error
        except (NoHostAvailable, ConnectionException, OSError) as error:
            cluster.shutdown()
            reason = first_reason(error)
            waited = time.monotonic() - begin
            if waited + pause > patience_s:
                raise TickloomError(
                    f"Cassandra at {contact_points} does not answer ({reason}); is it up? (`tickloom status`)"
                ) from None
            if waited - said >= SAY_EVERY_S:
                said = waited
                log.warning("Cassandra does not answer; trying again", at=contact_points, given_up_after_s=patience_s)
            time.sleep(pause)
            pause = min(pause * 2, 5.0)
        except BaseException:
            cluster.shutdown()
            raise


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn a failure of the driver into a sentence that begins with ``what``."""
    try:
        yield
    except (NoHostAvailable, ConnectionException, DriverException) as error:
        raise TickloomError(f"{what}: Cassandra said: {first_reason(error)}; is it up? (`tickloom status`)") from error


def first_reason(error: BaseException) -> str:
    """Return in one line what a node answered, or why it did not."""
    errors = getattr(error, "errors", None)
    reason = next(iter(errors.values())) if isinstance(errors, dict) and errors else error
    return (str(reason) or type(reason).__name__).splitlines()[0]


def _cluster(points: list[tuple[str, int]]) -> Cluster:
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy()),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
        request_timeout=15.0,
        row_factory=tuple_factory,
    )
    return Cluster(
        [DefaultEndPoint(host, port) for host, port in points],
        port=points[0][1],
        protocol_version=5,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        reconnection_policy=ExponentialReconnectionPolicy(0.5, 10.0),
        connect_timeout=10.0,
        executor_threads=2,
    )
