"""Kafka's credentials in the words of both clients."""

import pytest

from tickloom.bus import credentials
from tickloom.bus.consume import messages
from tickloom.bus.producer import Producer
from tickloom.bus.topics import create
from tickloom.errors import ConfigurationError
from tickloom.settings import settings


def folder(path, **files):
    path.mkdir(exist_ok=True)
    for name, text in files.items():
        (path / name.replace("_", ".")).write_text(text)
    return path


@pytest.fixture
def named(monkeypatch):
    """Set TICKLOOM_KAFKA_CREDENTIALS."""

    def name(path):
        monkeypatch.setenv("TICKLOOM_KAFKA_CREDENTIALS", str(path))
        settings.cache_clear()

    yield name
    monkeypatch.undo()
    settings.cache_clear()


def test_username_and_password_are_enough(tmp_path):
    found = credentials.read(folder(tmp_path, username="ann\n", password="s3cret\n"))
    assert found.librdkafka() == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "ann",
        "sasl.password": "s3cret",
    }
    assert found.java() == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": (
            'org.apache.kafka.common.security.scram.ScramLoginModule required username="ann" password="s3cret";'
        ),
    }


def test_protocol_mechanism_and_authority_are_taken_where_they_are_there(tmp_path):
    files = {"protocol": "SASL_PLAINTEXT", "mechanism": "PLAIN", "ca_crt": "-----BEGIN CERTIFICATE-----"}
    found = credentials.read(folder(tmp_path, username="ann", password="x", **files))
    java, c = found.java(), found.librdkafka()
    assert java["security.protocol"] == c["security.protocol"] == "SASL_PLAINTEXT"
    assert java["sasl.mechanism"] == c["sasl.mechanism"] == "PLAIN"
    assert java["sasl.jaas.config"].startswith("org.apache.kafka.common.security.plain.PlainLoginModule required")
    assert java["ssl.truststore.type"] == "PEM"
    assert java["ssl.truststore.location"] == c["ssl.ca.location"] == str(tmp_path / "ca.crt")


@pytest.mark.parametrize("name", ["my-user", 'a"b\\c'])
def test_a_strimzi_users_secret_names_its_user_in_the_login(tmp_path, name):
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    login = f'org.apache.kafka.common.security.scram.ScramLoginModule required username="{escaped}" password="x";'
    secret = folder(tmp_path, password="x")
    (secret / "sasl.jaas.config").write_text(login)
    assert credentials.read(secret).username == name
    (secret / "username").write_text("ann")
    assert credentials.read(secret).username == "ann"


def test_a_login_without_a_user_is_told_without_its_password(tmp_path):
    secret = folder(tmp_path, password="x")
    (secret / "sasl.jaas.config").write_text('Module required password="hush";')
    with pytest.raises(ConfigurationError, match="names no username; add a file username") as error:
        credentials.read(secret)
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("password", "written"),
    [
        ('a"b', r'"a\"b"'),
        ("a\\b", r'"a\\b"'),
        ('x"; evil="', r'"x\"; evil=\""'),
        ("two\nlines", r'"two\nlines"'),
        ("semi;colon ünicode", '"semi;colon ünicode"'),
    ],
)
def test_a_password_is_quoted_so_that_java_reads_it_back(tmp_path, password, written):
    java = credentials.read(folder(tmp_path, username="ann", password=password)).java()
    assert java["sasl.jaas.config"].endswith(f' username="ann" password={written};')


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"password": "hush"}, "username is missing"),
        ({"username": "ann"}, "password is missing"),
        ({"username": "ann", "password": "\n"}, "password is empty"),
        ({"username": "ann", "password": "hush", "protocol": "SSL"}, "'SSL' is unknown; known: SASL_SSL"),
        ({"username": "ann", "password": "hush", "mechanism": "GSSAPI"}, "'GSSAPI' is unknown; known: SCRAM-SHA-512"),
    ],
)
def test_a_wrong_folder_is_named_and_its_secret_is_not(tmp_path, files, said):
    with pytest.raises(ConfigurationError) as error:
        credentials.read(folder(tmp_path, **files))
    assert said in str(error.value)
    assert "hush" not in str(error.value)


def test_a_secret_is_not_in_what_is_printed(tmp_path):
    assert "s3cret" not in repr(credentials.read(folder(tmp_path, username="ann", password="s3cret")))


def test_without_the_setting_nothing_is_added(monkeypatch):
    monkeypatch.delenv("TICKLOOM_KAFKA_CREDENTIALS", raising=False)
    settings.cache_clear()
    assert credentials.connection("a:1") == {"bootstrap.servers": "a:1", "log_level": 0}
    assert credentials.spark_options("a:1") == {"kafka.bootstrap.servers": "a:1"}


def test_every_client_takes_the_credentials(tmp_path, named):
    named(tmp_path / "nowhere")
    for use in (
        lambda: Producer("127.0.0.1:1"),
        lambda: list(messages("127.0.0.1:1", "prices")),
        lambda: create("127.0.0.1:1", {}),
        lambda: credentials.spark_options("127.0.0.1:1"),
    ):
        with pytest.raises(ConfigurationError, match="TICKLOOM_KAFKA_CREDENTIALS"):
            use()


def test_spark_gets_java_options_with_its_prefix(tmp_path, named):
    named(folder(tmp_path, username="ann", password="s3cret"))
    assert credentials.spark_options("a:1")["kafka.sasl.mechanism"] == "SCRAM-SHA-512"
    assert credentials.connection("a:1")["sasl.username"] == "ann"
