"""Migrations on a real node."""

import threading
import uuid

import pytest

from tickloom.errors import TickloomError
from tickloom.store.connect import connect
from tickloom.store.migrate import CLAIM, migrate
from tickloom.store.schema import MIGRATIONS, Migration

pytestmark = pytest.mark.integration

ONE = Migration(1, "one", ("CREATE TABLE IF NOT EXISTS one (k int PRIMARY KEY)",))
TWO = Migration(2, "two", ("CREATE TABLE IF NOT EXISTS two (k int PRIMARY KEY)",))


@pytest.fixture
def fresh(stack):
    """Return a name for a keyspace, which is dropped at the end."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield name
    session = connect(stack.cassandra)
    session.execute(f"DROP KEYSPACE IF EXISTS {name}", timeout=60)
    session.cluster.shutdown()


def ask(stack, query, *values):
    session = connect(stack.cassandra)
    try:
        return list(session.execute(query, values))
    finally:
        session.cluster.shutdown()


def tables(stack, keyspace):
    found = ask(stack, "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", keyspace)
    return {row[0] for row in found} - {"schema_migrations"}


def test_every_table_of_the_design_is_made(stack, keyspace):
    assert tables(stack, keyspace) == {
        "stock_prices", "price_days", "anomalies", "bars", "financial_news", "predictions", "sentiment_analysis",
        "multimodal_analysis", "model_performance", "forecast_ledger", "routing_audit",
        "experiment_states", "arm_health",
    }  # fmt: skip
    assert migrate(stack.cassandra, keyspace) == []


def test_prices_expire_and_bars_do_not(stack, keyspace):
    found = ask(
        stack,
        "SELECT table_name, default_time_to_live, compaction FROM system_schema.tables WHERE keyspace_name = %s",
        keyspace,
    )
    about = {name: (ttl, compaction["class"].rpartition(".")[2]) for name, ttl, compaction in found}
    assert about["stock_prices"] == about["anomalies"] == (90 * 86_400, "TimeWindowCompactionStrategy")
    assert about["bars"] == about["forecast_ledger"] == (0, "UnifiedCompactionStrategy")


def test_migrations_are_run_once_in_order_and_appended(stack, fresh):
    assert migrate(stack.cassandra, fresh, migrations=[ONE]) == ["one"]
    assert migrate(stack.cassandra, fresh, migrations=[ONE, TWO]) == ["two"]
    assert migrate(stack.cassandra, fresh, migrations=[ONE, TWO]) == []
    assert tables(stack, fresh) == {"one", "two"}


def test_a_changed_old_migration_is_an_error_and_nothing_is_run(stack, fresh):
    migrate(stack.cassandra, fresh, migrations=[ONE])
    changed = Migration(1, "one", ("CREATE TABLE IF NOT EXISTS one (k bigint PRIMARY KEY)",))
    with pytest.raises(TickloomError, match="migration 1 was run as 'one' with another text"):
        migrate(stack.cassandra, fresh, migrations=[changed, TWO])
    assert tables(stack, fresh) == {"one"}


def test_two_at_once_do_it_once(stack, fresh):
    done: list[list[str]] = []
    both = [
        threading.Thread(target=lambda: done.append(migrate(stack.cassandra, fresh, migrations=[ONE, TWO])))
        for _ in range(2)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()

    assert sorted(done) == [[], ["one", "two"]]
    assert tables(stack, fresh) == {"one", "two"}


def test_a_claim_that_is_held_is_waited_for_and_told(stack, fresh):
    migrate(stack.cassandra, fresh, migrations=[])
    ask(
        stack,
        f"INSERT INTO {fresh}.schema_migrations (version, name) VALUES (%s, %s) IF NOT EXISTS USING TTL 3",
        CLAIM,
        "claimed by another",
    )
    with pytest.raises(TickloomError, match="another process still migrates"):
        migrate(stack.cassandra, fresh, migrations=[ONE], timeout_s=0.5)
    assert migrate(stack.cassandra, fresh, migrations=[ONE], timeout_s=20) == ["one"]  # when it has expired


def test_a_wrong_statement_is_told_and_the_claim_is_given_back(stack, fresh):
    wrong = Migration(1, "wrong", ("CREATE TABLE IF NOT EXISTS one (k nothing PRIMARY KEY)",))
    with pytest.raises(TickloomError, match="migration 1 'wrong'"):
        migrate(stack.cassandra, fresh, migrations=[wrong])
    assert migrate(stack.cassandra, fresh, migrations=[ONE]) == ["one"]


def test_a_keyspace_that_is_absent_is_named(stack):
    with pytest.raises(TickloomError, match="no keyspace 'test_nothing'"):
        connect(stack.cassandra, "test_nothing")


def test_a_network_topology_may_be_asked_for(stack, fresh):
    migrate(stack.cassandra, fresh, data_centers={"dc1": 1}, migrations=[])
    ((copies,),) = ask(stack, "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = %s", fresh)
    assert copies["class"].endswith("NetworkTopologyStrategy")
    assert copies["dc1"] == "1"


def test_versions_are_the_released_ones(stack, keyspace):
    found = ask(stack, f"SELECT version, checksum FROM {keyspace}.schema_migrations")
    assert dict(found) == {migration.version: migration.checksum for migration in MIGRATIONS}
