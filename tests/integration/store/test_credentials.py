"""A Cassandra that asks who one is, over TLS: every client of the product answers, and refusals say what is wrong."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest
from cassandra.cluster import NoHostAvailable

from tests.authority import Authority, encryption
from tests.integration.stream.conftest import price
from tests.integration.stream.jobs import Job, kill, send, topic
from tickloom.errors import ConfigurationError, TickloomError
from tickloom.local import cassandra
from tickloom.local import stack as local
from tickloom.local.ports import answers
from tickloom.settings import settings
from tickloom.store.connect import connect
from tickloom.store.migrate import migrate

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

PASSWORD = "pass'w\"ord; x"
NAME = "tickloom-cassandra-dc1-service.demo.svc"


def use(patch, folder):
    patch.setenv("TICKLOOM_CASSANDRA_CREDENTIALS", str(folder))
    settings.cache_clear()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority.make(tmp_path_factory.mktemp("authority") / "ca")


def secret(folder, authority, username, password, **files):
    """Make a folder as Kubernetes mounts the Secrets that a job names."""
    authority.sign(folder, "DNS:client")
    (folder / "tls-combined.pem").unlink()
    for name, text in {"username": username, "password": password, **files}.items():
        (folder / name.replace("_", "-")).write_text(text)
    return folder


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, authority):
    """A stack of its own whose Cassandra knows one user beside the superuser; with the superuser's folder."""
    plain = cassandra.settings_of
    home = tmp_path_factory.mktemp("guarded")
    mounted = authority.sign(home / "tls", f"DNS:{NAME},IP:127.0.0.1")
    super_user = secret(home / "super", authority, "cassandra", "cassandra")

    def closed(where, ports):
        return plain(where, ports) | {
            "authenticator": "PasswordAuthenticator",
            "authorizer": "CassandraAuthorizer",
            "client_encryption_options": encryption(mounted),
        }

    def ready(ports):
        try:
            if answers(ports["cassandra"]):
                connect(f"127.0.0.1:{ports['cassandra']}", patience_s=0).cluster.shutdown()
                return True
        except TickloomError:
            pass
        return False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cassandra, "settings_of", closed)
        patch.setattr(cassandra, "ready", ready)
        use(patch, super_user)
        try:
            stack = local.up(home)
            session = connect(stack.cassandra)
            session.execute("CREATE ROLE ann WITH LOGIN = true AND PASSWORD = %s", (PASSWORD,))
            session.execute("GRANT CREATE ON ALL KEYSPACES TO ann")
            session.cluster.shutdown()
            yield stack, super_user
        finally:
            local.down(home)
    settings.cache_clear()


@pytest.fixture
def who(tmp_path, authority, monkeypatch):
    """Make a folder of credentials and name it."""

    def make(username="ann", password=PASSWORD, **files):
        folder = secret(tmp_path / "secret", authority, username, password, **files)
        use(monkeypatch, folder)
        return folder

    yield make
    monkeypatch.undo()
    settings.cache_clear()


def tickloom(*arguments, stack, keyspace):
    """Run the command as a user does and return its end."""
    where = {"TICKLOOM_KAFKA": stack.kafka, "TICKLOOM_CASSANDRA": stack.cassandra, "TICKLOOM_KEYSPACE": keyspace}
    command = [sys.executable, "-m", "tickloom.cli.main", *arguments]
    return subprocess.run(
        command, env={**os.environ, **where}, capture_output=True, text=True, timeout=400, check=False
    )


def test_tables_are_made_filled_and_shown_over_tls_by_a_user_who_may_no_more_than_that(guarded, who, tmp_path):
    stack, _ = guarded
    who()
    name = topic(stack.kafka, "guarded")
    send(stack.kafka, name, [price("AAPL", second, 100 + second % 7, second) for second in range(400)])
    job = Job(tmp_path / "job", stack, name)
    made = tickloom("migrate", "--json", stack=stack, keyspace=job.keyspace)
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["migrations"]
    totals = job.run(timeout=400)
    assert totals["rows_in"] == totals["rows_out"] == 400
    shown = tickloom("show", "prices", "AAPL", "--last", "3", "--json", stack=stack, keyspace=job.keyspace)
    assert shown.returncode == 0, shown.stderr
    assert [json.loads(line)["ticker"] for line in shown.stdout.splitlines()] == ["AAPL"] * 3
    for path in (tmp_path / "job").rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path


def test_a_wrong_password_ends_a_job_with_78_and_a_sentence_without_it(guarded, who, tmp_path):
    stack, _ = guarded
    folder = who(password="hush-hush")
    job = Job(tmp_path / "job", stack, "prices")
    done = tickloom("run", "-f", str(job.manifest()), "--home", str(tmp_path), stack=stack, keyspace=job.keyspace)
    assert done.returncode == 78
    said = done.stderr.splitlines()[-1]
    assert said.startswith(f"error: Cassandra at {stack.cassandra} refuses the credentials of")
    assert f"{str(folder)!r}, user 'ann'" in said
    assert "hush" not in done.stdout + done.stderr


def change(files):
    """Return what a test does to a folder of credentials: a text for each file, None takes it away."""

    def do(folder):
        for name, text in files.items():
            if text is None:
                (folder / name).unlink()
            else:
                (folder / name).write_text(text)

    return do


def stranger(folder):
    """Put the authority of somebody else into a folder."""
    other = Authority.make(folder.parent / "stranger")
    shutil.copy(other.certificate, folder / "ca.crt")


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (stranger, "certificate verify failed: unable to get local issuer certificate; ca.crt must be the authority"),
        (change({"server-name": "elsewhere.test"}), "certificate is not valid for 'elsewhere.test'"),
        (change({"password": None}), "password is missing; the folder needs username and password"),
        (change({"username": None, "password": None}), "secret there is neither"),
        (change({"tls.key": None}), "tls.key is missing; it goes with tls.crt"),
        (change({"tls.key": "-----BEGIN"}), "tls.key do not fit"),
        (change({"ca.crt": "hush"}), "ca.crt is no certificate in PEM"),
        (change({"tls.crt": None, "tls.key": None}), "put tls.crt and tls.key there"),
        (change({"tls": "maybe"}), "'maybe' is unknown; known: on, off"),
    ],
)
def test_what_does_not_fit_is_told_at_once(guarded, who, do, said):
    stack, _ = guarded
    do(who())
    with pytest.raises(ConfigurationError) as error:
        connect(stack.cassandra, patience_s=60)
    assert said in str(error.value)
    assert "TICKLOOM_CASSANDRA_CREDENTIALS" in str(error.value)


def test_without_tls_the_hint_names_it(guarded, who):
    stack, _ = guarded
    folder = who(tls="off")
    with pytest.raises(TickloomError, match="If it speaks TLS: TICKLOOM_CASSANDRA_CREDENTIALS must name a folder"):
        connect(stack.cassandra, patience_s=0.1)
    (folder / "tls").unlink()
    connect(stack.cassandra).cluster.shutdown()


@pytest.mark.parametrize("name", [NAME, "*"])
def test_another_name_of_the_nodes_is_verified_or_any(guarded, who, name):
    who(server_name=name)
    connect(guarded[0].cassandra).cluster.shutdown()


def test_a_password_that_changes_counts_for_the_next_connection_of_a_session(guarded, who, monkeypatch):
    stack, super_user = guarded
    use(monkeypatch, super_user)
    root = connect(stack.cassandra)
    root.execute("CREATE ROLE bob WITH LOGIN = true AND PASSWORD = 'first'")
    folder = who("bob", "first")
    session = connect(stack.cassandra)
    try:
        until = time.monotonic() + 60
        while not changed(root):  # Cassandra lets nobody change a password twice within five seconds
            assert time.monotonic() < until
            time.sleep(0.5)
        with pytest.raises(ConfigurationError, match="user 'bob'"):
            connect_until(stack.cassandra, until)  # the old one is taken from Cassandra's cache for two more
        (folder / "password").write_text("second\n")
        connect(stack.cassandra).cluster.shutdown()
        (host,) = session.cluster.metadata.all_hosts()
        assert session.add_or_renew_pool(host, is_host_addition=False).result()  # as when a node comes back
        assert session.execute("SELECT release_version FROM system.local").one() is not None
    finally:
        root.cluster.shutdown()
        session.cluster.shutdown()


def connect_until(address, until):
    """Connect again and again; raises as soon as that is refused."""
    while time.monotonic() < until:
        connect(address).cluster.shutdown()


def changed(session):
    try:
        session.execute("ALTER ROLE bob WITH PASSWORD = 'second'")
    except NoHostAvailable:
        return False
    return True


def test_a_right_that_is_missing_is_told_and_those_in_ones_own_keyspace_suffice(guarded, who, monkeypatch):
    stack, super_user = guarded
    use(monkeypatch, super_user)
    root = connect(stack.cassandra)
    root.execute("CREATE ROLE carl WITH LOGIN = true AND PASSWORD = 'x'")
    copies = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    root.execute(f"CREATE KEYSPACE theirs WITH replication = {copies}")
    who("carl", "x")
    with pytest.raises(ConfigurationError) as error:
        migrate(stack.cassandra, "theirs")
    assert "carl has no CREATE permission on <all tables in theirs>" in str(error.value)
    assert "GRANT that to the user of TICKLOOM_CASSANDRA_CREDENTIALS" in str(error.value)
    with pytest.raises(ConfigurationError, match="carl has no CREATE permission on <all keyspaces>"):
        migrate(stack.cassandra, "others")
    root.execute("GRANT ALL ON KEYSPACE theirs TO carl")
    root.cluster.shutdown()
    time.sleep(2.5)  # the node's permissions_validity
    assert migrate(stack.cassandra, "theirs")


def test_a_password_that_ends_under_a_running_job_ends_it_with_78(guarded, who, tmp_path):
    stack, _ = guarded
    folder = who()
    name = topic(stack.kafka, "guarded")
    send(stack.kafka, name, [price("AAPL", second, 100 + second % 7, second) for second in range(100)])
    job = Job(tmp_path / "job", stack, name)
    process = job.start(bounded=False)
    try:
        job.wait_for(lambda found: found.get("totals", {}).get("rows_in") == 100, process, timeout=300)
        (folder / "password").write_text("hush-hush")
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if "tickloom.stream.daemon" in child.cmdline():  # with its connections: the next ones are new
                    child.kill()
        send(stack.kafka, name, [price("AAPL", second, 100.5, second) for second in range(100, 200)])
        assert process.wait(timeout=300) == 78
    finally:
        kill(process)
    assert "refuses the credentials of TICKLOOM_CASSANDRA_CREDENTIALS" in job.tail().splitlines()[-1]
    assert "hush" not in (tmp_path / "job" / "log").read_text()
