"""Sessions with Cassandra, set up the same way everywhere."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from cassandra import AuthenticationFailed, ConsistencyLevel, DriverException, InvalidRequest, Unauthorized
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.connection import ConnectionException, ConnectionShutdown, DefaultEndPoint
from cassandra.policies import DCAwareRoundRobinPolicy, ExponentialReconnectionPolicy, TokenAwarePolicy
from cassandra.query import tuple_factory

from tickloom.errors import ConfigurationError, TickloomError
from tickloom.store import credentials

log = structlog.get_logger(__name__)

PORT = 9042
SAY_EVERY_S = 10.0
_PASSES = "Unable to perform authentication"
"""What a node says that cannot read its own tables of roles yet, as Cassandra's PasswordAuthenticator words it."""
_ENDED = (ConnectionShutdown, ConnectionResetError)
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
"""What OpenSSL says of an answer that is not TLS."""


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

    Credentials and certificates are those of the setting ``TICKLOOM_CASSANDRA_CREDENTIALS``.

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
    ConfigurationError
        The credentials cannot be read, or are refused, or the nodes' certificates do not fit: at once.
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
            if (wrong := _refusal(contact_points, error)) is not None:
                raise wrong from None
            reason = first_reason(error)
            waited = time.monotonic() - begin
            if waited + pause > patience_s:
                raise TickloomError(
                    f"Cassandra at {contact_points} does not answer ({reason}); is it up? (`tickloom status`)"
                    + _perhaps_tls(error)
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
    except Unauthorized as error:
        raise ConfigurationError(
            f"{what}: Cassandra refuses it: {first_reason(error)}; GRANT that to the user of "
            f"{credentials.VARIABLE}, or name another one there"
        ) from error
    except (NoHostAvailable, ConnectionException, DriverException) as error:
        raise TickloomError(f"{what}: Cassandra said: {first_reason(error)}; is it up? (`tickloom status`)") from error


def first_reason(error: BaseException) -> str:
    """Return in one line what a node answered, or why it did not."""
    errors = getattr(error, "errors", None)
    reason = next(iter(errors.values())) if isinstance(errors, dict) and errors else error
    return (str(reason) or type(reason).__name__).splitlines()[0]


def _refusal(contact_points: str, error: BaseException) -> ConfigurationError | None:
    """Return the error of a refusal that waiting does not cure; None where the failure may pass."""
    errors = getattr(error, "errors", None)
    found = list(errors.values()) if isinstance(errors, dict) else [error]
    for one in found:
        if isinstance(one, ConfigurationError):
            return one
        text = str(one)
        if isinstance(one, AuthenticationFailed) and _PASSES not in text:
            return _unwelcome(contact_points, text)
        if isinstance(one, OSError) and "[SSL" in text:
            return _uncertified(contact_points, text)
    return None


def _unwelcome(contact_points: str, text: str) -> ConfigurationError:
    mine = credentials.mine()
    if mine is None or mine.username is None:
        where = f"in {mine.folder} there is neither" if mine else "it names none"
        return ConfigurationError(
            f"Cassandra at {contact_points} asks for a user name and a password: put the files username and password "
            f"into the folder of {credentials.VARIABLE}; {where}"
        )
    said = text.rpartition('message="')[2].rstrip('"')
    return ConfigurationError(
        f"Cassandra at {contact_points} refuses the credentials of {credentials.VARIABLE} {str(mine.folder)!r}, user "
        f"{mine.username!r}: {said}; put the right ones there"
    )


def _uncertified(contact_points: str, text: str) -> ConfigurationError:
    mine = credentials.mine()
    folder = str(mine.folder) if mine else ""
    begin = f"Cassandra at {contact_points} and the certificates of {credentials.VARIABLE} {folder!r} do not fit: "
    reason = text.partition("Last error: ")[2].partition(" (_ssl.c")[0] or text
    if any(word in text for word in _NOT_TLS):
        return ConfigurationError(f"{begin}it does not speak TLS ({reason}); turn TLS on there, or write off into tls")
    if "CERTIFICATE_VERIFY_FAILED" in text:
        fix = "ca.crt must be the authority that signed the nodes' certificates, and these must bear the name"
        return ConfigurationError(f"{begin}{reason}; {fix}, which server-name says where it is not the contact point's")
    return ConfigurationError(
        f"{begin}{reason}; where it asks for a client's certificate, put tls.crt and tls.key there"
    )


def _perhaps_tls(error: BaseException) -> str:
    """Return what else may be wrong where a node takes connections and ends them."""
    found = getattr(error, "errors", None)
    ended = isinstance(found, dict) and any(isinstance(one, _ENDED) for one in found.values())
    mine = credentials.mine()
    if not ended or (mine is not None and mine.tls):
        return ""
    return f" If it speaks TLS: {credentials.VARIABLE} must name a folder with ca.crt."


def _cluster(points: list[tuple[str, int]]) -> Cluster:
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy()),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
        request_timeout=15.0,
        row_factory=tuple_factory,
    )
    hosts = {host for host, _ in points}
    return Cluster(
        [DefaultEndPoint(host, port) for host, port in points],
        port=points[0][1],
        protocol_version=5,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        reconnection_policy=ExponentialReconnectionPolicy(0.5, 10.0),
        connect_timeout=10.0,
        executor_threads=2,
        **credentials.connection(hosts.pop() if len(hosts) == 1 else None),
    )
