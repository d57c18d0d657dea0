"""Bring a keyspace to the newest version of the tables."""

import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from cassandra import InvalidRequest
from cassandra.cluster import Session

from tickloom.errors import TickloomError
from tickloom.settings import settings
from tickloom.store.connect import connect, told
from tickloom.store.schema import MIGRATIONS, Migration

log = structlog.get_logger(__name__)

CLAIM_S = 60
"""Seconds after which the claim of a process that died is void; it is renewed before each statement."""
CLAIM = 0
"""Version of the row that says who migrates now."""
KEYSPACE_S = 20.0
"""Longest time for which a keyspace that is listed may not be there yet."""


def migrate(
    contact_points: str,
    keyspace: str | None = None,
    *,
    data_centers: dict[str, int] | None = None,
    migrations: Sequence[Migration] = MIGRATIONS,
    timeout_s: float = 120.0,
    patience_s: float = 30.0,
) -> list[str]:
    """Create the keyspace and the tables that are absent, and return the names of the migrations that were run.

    Two processes may do it at once: one works, the other waits for it.

    Parameters
    ----------
    keyspace
        Default the setting ``TICKLOOM_KEYSPACE``.
    data_centers
        Replicas by data centre, for a keyspace that has yet to be made; default ``TICKLOOM_REPLICATION`` replicas
        wherever.
    timeout_s
        Seconds for which to wait for another process that does it.
    patience_s
        Seconds for which to wait for Cassandra.

    Raises
    ------
    TickloomError
        Cassandra does not answer, a migration that was run has another text now, or another process holds the claim.
    """
    session = connect(contact_points, patience_s=patience_s)
    try:
        name = keyspace or settings().keyspace
        _prepare(session, name, data_centers)
        if not pending(session, migrations):
            return []
        owner = f"claimed by {uuid.uuid4()}"
        _claim(session, owner, timeout_s)
        try:
            return [_run(session, migration, owner) for migration in pending(session, migrations)]
        finally:
            session.execute("DELETE FROM schema_migrations WHERE version = %s IF name = %s", (CLAIM, owner))
    finally:
        session.cluster.shutdown()


def pending(session: Session, migrations: Sequence[Migration]) -> list[Migration]:
    """Return the migrations that the session's keyspace has yet to see.

    Raises
    ------
    TickloomError
        One that was run has another text now.
    """
    done = {row[0]: row[1:] for row in session.execute("SELECT version, name, checksum FROM schema_migrations")}
    for migration in migrations:
        if migration.version in done and done[migration.version] != (migration.name, migration.checksum):
            raise TickloomError(
                f"keyspace {session.keyspace}: migration {migration.version} was run as "
                f"'{done[migration.version][0]}' with another text; put its text back and append a new migration"
            )
    if max(done, default=0) > max((migration.version for migration in migrations), default=0):
        log.warning("the keyspace is of a newer version", keyspace=session.keyspace, version=max(done))
    return [migration for migration in migrations if migration.version not in done]


def _prepare(session: Session, keyspace: str, data_centers: dict[str, int] | None) -> None:
    copies = (
        "'class': 'SimpleStrategy', 'replication_factor': " + str(settings().replication)
        if data_centers is None
        else "'class': 'NetworkTopologyStrategy'"
        + "".join(f", '{name}': {count}" for name, count in data_centers.items())
    )
    # also IF NOT EXISTS takes the right to make any keyspace, which one who has its own need not have
    if not list(
        session.execute("SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = %s", (keyspace,))
    ):
        _change(session, f"CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {{{copies}}}")
    _use(session, keyspace)
    _change(
        session,
        "CREATE TABLE IF NOT EXISTS schema_migrations "
        "(version int PRIMARY KEY, name text, checksum text, applied_at timestamp)",
    )


def _use(session: Session, keyspace: str) -> None:
    """Go into a keyspace; one that another process is making is listed a moment before it is there."""
    until = time.monotonic() + KEYSPACE_S
    while True:
        try:
            session.set_keyspace(keyspace)
            return
        except InvalidRequest:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _claim(session: Session, owner: str, timeout_s: float) -> None:
    """Wait until this process is the only one that migrates."""
    deadline = time.monotonic() + timeout_s
    said = False
    while True:
        found = session.execute(
            "INSERT INTO schema_migrations (version, name, applied_at) VALUES (%s, %s, %s) IF NOT EXISTS USING TTL %s",
            (CLAIM, owner, datetime.now(UTC), CLAIM_S),
        )
        if found.was_applied:
            return
        if time.monotonic() > deadline:
            raise TickloomError(
                f"keyspace {session.keyspace}: another process still migrates after {timeout_s:g} s; try again, or "
                f"look at the row of version {CLAIM} in schema_migrations (expires {CLAIM_S} s after its owner died)"
            )
        if not said:
            said = True
            log.info("waiting for another process that migrates", keyspace=session.keyspace)
        time.sleep(0.25)


def _run(session: Session, migration: Migration, owner: str) -> str:
    for statement in migration.statements:
        renewed = session.execute(
            "UPDATE schema_migrations USING TTL %s SET name = %s, applied_at = %s WHERE version = %s IF name = %s",
            (CLAIM_S, owner, datetime.now(UTC), CLAIM, owner),
        )
        if not renewed.was_applied:
            raise TickloomError(f"keyspace {session.keyspace}: the claim to migrate was lost; try again")
        _change(session, statement, f"migration {migration.version} '{migration.name}'")
    session.execute(
        "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (%s, %s, %s, %s)",
        (migration.version, migration.name, migration.checksum, datetime.now(UTC)),
    )
    log.info("migrated", keyspace=session.keyspace, version=migration.version, name=migration.name)
    return migration.name


def _change(session: Session, statement: str, what: str = "making the keyspace") -> None:
    """Run a schema statement and see to it that every node knows of it."""
    future = session.execute_async(statement, timeout=60.0)
    with told(f"keyspace {session.keyspace}: {what}"):
        future.result()
    if not future.is_schema_agreed:
        raise TickloomError(
            "Cassandra's nodes did not agree on the schema in time; see `nodetool describecluster` and try again"
        )
