from tests.integration.store.conftest import keyspace, session  # noqa: F401
