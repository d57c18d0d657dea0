import os
import subprocess
import sys
from pathlib import Path

import pytest

from tickloom.errors import TickloomError
from tickloom.local import java
from tickloom.settings import settings


def make_java(home: Path, version: str) -> Path:
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    program.chmod(0o755)
    return home


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any Java; its /usr/lib/jvm is returned."""
    folders = tmp_path / "jvm"
    folders.mkdir()
    monkeypatch.setattr(java, "FOLDERS", folders)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("TICKLOOM_JAVA_HOME", raising=False)
    monkeypatch.setattr(java.shutil, "which", lambda _name: None)
    settings.cache_clear()
    yield folders
    settings.cache_clear()


def test_java_17_is_picked_among_others(machine):
    make_java(machine / "java-11", "11.0.23")
    make_java(machine / "java-17", "17.0.15")
    make_java(machine / "temurin-21", "21.0.4")

    found = java.find_java()

    assert (found.home, found.version, found.major) == (machine / "java-17", "17.0.15", 17)
    assert found.path == machine / "java-17" / "bin" / "java"


def test_java_home_goes_before_the_usual_folders(machine, tmp_path, monkeypatch):
    make_java(machine / "java-17", "17.0.15")
    monkeypatch.setenv("JAVA_HOME", str(make_java(tmp_path / "mine", "17.0.2")))

    assert java.find_java().home == tmp_path / "mine"


def test_java_home_of_another_version_is_passed_over(machine, tmp_path, monkeypatch):
    make_java(machine / "java-17", "17.0.15")
    monkeypatch.setenv("JAVA_HOME", str(make_java(tmp_path / "mine", "21.0.4")))

    assert java.find_java().home == machine / "java-17"


def test_java_is_found_on_path(tmp_path, monkeypatch):
    home = make_java(tmp_path / "somewhere", "17.0.1")
    monkeypatch.setattr(java.shutil, "which", lambda _name: str(home / "bin" / "java"))

    assert java.find_java().home == home


@pytest.mark.parametrize("version", ["11.0.23", "21.0.4", "1.8.0_412", "25"])
def test_only_another_java_says_what_was_found_where_and_what_to_install(machine, version):
    make_java(machine / "other", version)

    with pytest.raises(TickloomError) as error:
        java.find_java()

    said = str(error.value)
    assert version.removeprefix("1.") in said
    assert str(machine / "other") in said
    assert "apt-get install openjdk-17-jre-headless" in said
    assert "TICKLOOM_JAVA_HOME" in said


def test_no_java_says_what_to_install():
    with pytest.raises(TickloomError, match=r"no Java at all.*apt-get install openjdk-17-jre-headless"):
        java.find_java()


def test_a_broken_java_is_passed_over(machine):
    broken = make_java(machine / "java-17-broken", "17") / "bin" / "java"
    broken.write_text("#!/bin/sh\nexit 127\n")
    make_java(machine / "java-17-whole", "17.0.15")

    assert java.find_java().home == machine / "java-17-whole"


@pytest.mark.parametrize(("version", "said"), [("21.0.4", r"is Java 21\.0\.4"), (None, "has no bin/java")])
def test_the_chosen_java_home_is_never_replaced_silently(machine, tmp_path, monkeypatch, version, said):
    make_java(machine / "java-17", "17.0.15")
    if version:
        make_java(tmp_path / "chosen", version)
    monkeypatch.setenv("TICKLOOM_JAVA_HOME", os.fspath(tmp_path / "chosen"))

    with pytest.raises(TickloomError, match=said):
        java.find_java()


@pytest.mark.parametrize(("version", "code"), [("17.0.15", 0), ("21.0.7", 1), (None, 1)])
def test_the_module_tells_the_set_up_whether_there_is_one(tmp_path: Path, version: str | None, code: int):
    home = tmp_path / "java"
    if version is not None:
        make_java(home, version)
    asked = subprocess.run(
        [sys.executable, "-m", "tickloom.local.java"],
        env={**os.environ, "TICKLOOM_JAVA_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == code
    assert str(home) in (asked.stderr if code else asked.stdout)
