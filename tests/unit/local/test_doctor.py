import json

import pytest
from typer.testing import CliRunner

from tickloom.cli import doctor as verb
from tickloom.errors import TickloomError
from tickloom.local import doctor, java
from tickloom.settings import settings


def test_a_missing_java_fails_with_the_fix(tmp_path, monkeypatch):
    def none():
        raise TickloomError(f"no Java at all: {java.FIX}")

    monkeypatch.setattr(java, "find_java", none)
    ran = CliRunner().invoke(verb.app, ["--home", str(tmp_path), "--json"])

    found = {check["name"]: check for check in json.loads(ran.stdout)["checks"]}
    assert ran.exit_code == 1
    assert found["java"]["verdict"] == "fail"
    assert "openjdk-17-jre-headless" in found["java"]["fix"]


def test_missing_modules_fail_with_the_fix(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "MODULES", (*doctor.MODULES, "no_such_module"))

    check = doctor.diagnose(tmp_path)[0]
    assert (check.name, check.verdict) == ("python", "fail")
    assert "no_such_module" in check.finding
    assert "pip install 'tickloom[stream]'" in check.fix


def test_a_damaged_home_fails_and_the_rest_is_still_told(tmp_path):
    (tmp_path / "kafka" / "data").mkdir(parents=True)
    (tmp_path / "kafka" / "data" / "junk").touch()

    found = {check.name: check for check in doctor.diagnose(tmp_path)}
    assert found["data"].verdict == "fail"
    assert "--reset" in found["data"].fix
    assert {"python", "java", "memory", "disk", "ports", "kafka", "cassandra"} <= set(found)


def test_credentials_that_are_named_are_looked_at_and_never_shown(tmp_path, monkeypatch):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "password").write_text("hush")
    for part in ("KAFKA", "CASSANDRA"):
        monkeypatch.setenv(f"TICKLOOM_{part}_CREDENTIALS", str(secret))
    settings.cache_clear()
    try:
        (check,) = (check for check in doctor.diagnose(tmp_path / "home") if check.name == "credentials")
        assert check.verdict == "fail"
        assert "username is missing" in check.fix
        (secret / "username").write_text("ann")
        found = [check for check in doctor.diagnose(tmp_path / "home") if check.name == "credentials"]
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    assert [check.verdict for check in found] == ["ok", "ok"]
    assert found[0].finding == "Kafka: user 'ann' by SCRAM-SHA-512 over SASL_SSL"
    assert found[1].finding == "Cassandra: user 'ann', without TLS"


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_every_finding_is_printed(tmp_path, arguments):
    ran = CliRunner().invoke(verb.app, ["--home", str(tmp_path), *arguments])
    for name in ("python", "java", "kafka jars", "spark jars", "memory", "disk", "open files", "ports", "data"):
        assert name in ran.stdout
