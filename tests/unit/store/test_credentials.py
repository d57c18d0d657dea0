"""Cassandra's credentials: what a folder says, and what the driver is given of it."""

import ssl
import threading
from socket import create_server, socketpair

import pytest

from tests.authority import Authority
from tickloom.errors import ConfigurationError
from tickloom.settings import settings
from tickloom.store import credentials
from tickloom.store.connect import connect


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority.make(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture
def named(tmp_path, monkeypatch):
    """Make a folder of files and name it in TICKLOOM_CASSANDRA_CREDENTIALS."""

    def make(**files):
        folder = tmp_path / "secret"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / name.replace("_", "-")).write_text(text)
        monkeypatch.setenv("TICKLOOM_CASSANDRA_CREDENTIALS", str(folder))
        settings.cache_clear()
        return folder

    yield make
    monkeypatch.undo()
    settings.cache_clear()


def test_without_the_setting_nothing_is_added(monkeypatch):
    monkeypatch.delenv("TICKLOOM_CASSANDRA_CREDENTIALS", raising=False)
    settings.cache_clear()
    assert credentials.mine() is None
    assert credentials.connection("a") == {}


def test_a_password_alone_is_sent_in_the_clear_and_never_printed(named):
    folder = named(username="ann\n", password="s3cret\n")
    found = credentials.read(folder)
    assert (found.username, found.password, found.tls) == ("ann", "s3cret", False)
    assert "s3cret" not in repr(found)
    options = credentials.connection("a")
    assert set(options) == {"auth_provider"}
    assert options["auth_provider"].new_authenticator("a").initial_response() == b"\x00ann\x00s3cret"


def test_a_password_is_read_again_for_each_connection(named):
    folder = named(username="ann", password="first")
    login = credentials.connection("a")["auth_provider"]
    (folder / "password").write_text("second")
    assert login.new_authenticator("a").initial_response() == b"\x00ann\x00second"


def test_an_authority_turns_tls_on_and_off_says_otherwise(named, authority):
    folder = authority.sign(named(username="ann", password="x"), "DNS:client")
    assert credentials.read(folder).tls
    assert set(credentials.connection("a")) == {"auth_provider", "ssl_context"}
    named(tls="off")
    assert not credentials.read(folder).tls
    assert set(credentials.connection("a")) == {"auth_provider"}


def test_the_systems_authorities_count_where_tls_is_on_without_one(named):
    found = credentials.read(named(username="ann", password="x", tls="on"))
    assert found.authority is None
    assert found.context().verify_mode == ssl.CERT_REQUIRED


def test_tls_needs_no_login_and_a_login_needs_both_of_its_files(named, authority):
    folder = authority.sign(named(), "DNS:client")
    assert credentials.read(folder).username is None
    assert set(credentials.connection("a")) == {"ssl_context"}
    named(password="hush")
    with pytest.raises(ConfigurationError, match="username is missing") as error:
        credentials.read(folder)
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("host", "told", "address", "fits"),
    [
        ("cassandra.test", None, "10.0.0.1", True),
        (None, None, "cassandra.test", True),
        (None, None, "10.0.0.1", False),
        ("other.test", None, "cassandra.test", False),
        ("other.test", "cassandra.test", "10.0.0.1", True),
        ("other.test", "*", "10.0.0.1", True),
    ],
)
def test_which_name_a_nodes_certificate_must_bear(named, authority, tmp_path, host, told, address, fits):
    folder = named(**({"server_name": told} if told else {}))
    (folder / "ca.crt").write_bytes(authority.certificate.read_bytes())
    node = authority.sign(tmp_path / "node", "DNS:cassandra.test")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(node / "tls-combined.pem")
    contexts = credentials.connection(host)["ssl_context"]
    assert contexts.check_hostname, "else the driver does not say where it connects to"
    ours, theirs = socketpair()
    refused = []

    def serve():
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except OSError as error:
            refused.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        contexts.wrap_socket(ours, server_hostname=address).close()
        assert fits
    except ssl.SSLCertVerificationError:
        assert not fits
    finally:
        ours.close()
        thread.join()
        theirs.close()
    assert bool(refused) != fits


def test_an_authority_that_changes_counts_for_the_next_connection(named, authority, tmp_path):
    folder = named()
    (folder / "ca.crt").write_bytes(authority.certificate.read_bytes())
    contexts = credentials.connection("a")["ssl_context"]
    (folder / "ca.crt").write_text("hush")
    ours, theirs = socketpair()
    with ours, theirs, pytest.raises(ConfigurationError, match=r"ca\.crt is no certificate in PEM") as error:
        contexts.wrap_socket(ours, server_hostname="a")
    assert "hush" not in str(error.value)


def test_an_answer_that_is_not_tls_is_told_at_once(named, authority):
    folder = named()
    (folder / "ca.crt").write_bytes(authority.certificate.read_bytes())
    with create_server(("127.0.0.1", 0)) as listening:

        def answer():
            with listening.accept()[0] as one:
                one.recv(4096)
                one.sendall(bytes([0x84, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 10]))  # an error of the native protocol

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ConfigurationError, match=f"'{folder}' do not fit: it does not speak TLS"):
            connect(f"127.0.0.1:{listening.getsockname()[1]}", patience_s=60)
        thread.join()
