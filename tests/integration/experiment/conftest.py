from tests.integration.store.conftest import keyspace, session, ticker  # noqa: F401
