"""A broker that asks who one is: every client of the product answers."""

import os
import socket
import subprocess
import sys

import pytest

from tests.integration.stream.conftest import price
from tests.integration.stream.jobs import Job, send, topic
from tickloom.bus.consume import messages
from tickloom.bus.topics import look
from tickloom.errors import ConfigurationError
from tickloom.local import kafka
from tickloom.local import stack as local
from tickloom.local.stack import Endpoints
from tickloom.settings import settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

PASSWORD = 'pass"w\\ord; x'


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A stack of its own with a second listener, which takes PLAIN."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    plain = kafka.settings_of
    escaped = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
    login = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_ann="{escaped}";'

    def with_listener(home, ports):
        found = plain(home, ports)
        return found | {
            "listeners": f"{found['listeners']},GUARDED://127.0.0.1:{port}",
            "advertised.listeners": f"{found['advertised.listeners']},GUARDED://127.0.0.1:{port}",
            "listener.security.protocol.map": f"{found['listener.security.protocol.map']},GUARDED:SASL_PLAINTEXT",
            "listener.name.guarded.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.guarded.plain.sasl.jaas.config": login,
        }

    home = tmp_path_factory.mktemp("guarded")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kafka, "settings_of", with_listener)
        try:
            yield Endpoints(f"127.0.0.1:{port}", local.up(home).cassandra)
        finally:
            local.down(home)


@pytest.fixture
def secret(tmp_path, monkeypatch):
    """Make a folder of credentials and name it."""

    def make(password):
        folder = tmp_path / "secret"
        folder.mkdir(exist_ok=True)
        files = {"username": "ann", "password": password, "protocol": "SASL_PLAINTEXT", "mechanism": "PLAIN"}
        for name, text in files.items():
            (folder / name).write_text(text)
        monkeypatch.setenv("TICKLOOM_KAFKA_CREDENTIALS", str(folder))
        settings.cache_clear()

    yield make
    monkeypatch.undo()
    settings.cache_clear()


def test_a_job_reads_and_writes_as_whom_it_is_told(guarded, secret, tmp_path):
    secret(PASSWORD)
    name = topic(guarded.kafka, "guarded")
    send(guarded.kafka, name, [price("AAPL", second, 100 + second % 7, second) for second in range(400)])
    assert sum(1 for _ in messages(guarded.kafka, name)) == 400
    job = Job(tmp_path / "job", guarded, name)
    totals = job.run()
    assert totals["rows_in"] == totals["rows_out"] == 400
    assert totals["bars"] > 0
    assert sum(1 for _ in messages(guarded.kafka, "bars")) == totals["bars"]
    for path in (tmp_path / "job").rglob("*"):
        assert not path.is_file() or b"w\\ord" not in path.read_bytes(), path


def test_a_wrong_password_is_a_sentence_without_it_and_exits_with_78(guarded, secret, tmp_path):
    secret("hush-hush")
    with pytest.raises(ConfigurationError, match="refuses the credentials of TICKLOOM_KAFKA_CREDENTIALS"):
        look(guarded.kafka, 5.0)
    job = Job(tmp_path / "job", guarded, "prices")
    environment = {**os.environ, "TICKLOOM_KAFKA": guarded.kafka, "TICKLOOM_CASSANDRA": guarded.cassandra}
    command = [sys.executable, "-m", "tickloom.cli.main", "run", "-f", str(job.manifest()), "--home", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 78
    assert "refuses the credentials" in done.stderr.splitlines()[-1]
    assert "hush" not in done.stdout + done.stderr
