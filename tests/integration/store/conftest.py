import uuid

import pytest

from tickloom.store.connect import connect
from tickloom.store.migrate import migrate


@pytest.fixture(scope="module")
def keyspace(stack):
    """Return the name of a migrated keyspace of this module's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    migrate(stack.cassandra, name)
    yield name
    session = connect(stack.cassandra)
    session.execute(f"DROP KEYSPACE {name}", timeout=60)
    session.cluster.shutdown()


@pytest.fixture
def session(stack, keyspace):
    opened = connect(stack.cassandra, keyspace)
    yield opened
    opened.cluster.shutdown()


@pytest.fixture
def ticker():
    """Return a ticker that no other test uses."""
    return "T" + uuid.uuid4().hex[:11].upper()
