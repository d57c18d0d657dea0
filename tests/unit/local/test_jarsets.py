import hashlib
import json
import os
from pathlib import Path

import pytest

from tickloom.errors import TickloomError
from tickloom.local import ivy, jarsets
from tickloom.local.ivy import Artifact
from tickloom.settings import settings

DIGEST = hashlib.sha256(b"right").hexdigest()
LOCK = f"org.example:tool:1.0 {DIGEST}\norg.example:tool:1.0:linux {DIGEST}\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TICKLOOM_CACHE", os.fspath(tmp_path / "cache"))
    settings.cache_clear()
    locks = tmp_path / "locks"
    locks.mkdir()
    (locks / "kafka.txt").write_text(LOCK)
    monkeypatch.setattr(jarsets, "LOCKS", locks)
    yield tmp_path / "cache"
    settings.cache_clear()


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> dict:
    """A repository that serves `content` and counts how often it is asked; None: the jar does not arrive."""
    served = {"content": b"right", "asked": 0}

    def retrieve(artifacts, work, pattern, **_rest):
        served["asked"] += 1
        folder = Path(pattern).parent
        folder.mkdir(parents=True, exist_ok=True)
        for artifact in artifacts:
            if served["content"] is not None:
                (folder / artifact.file).write_bytes(served["content"])

    monkeypatch.setattr(ivy, "retrieve", retrieve)
    return served


@pytest.mark.parametrize("name", jarsets.SETS)
def test_the_committed_locks_are_whole(name, monkeypatch):
    monkeypatch.setattr(jarsets, "LOCKS", Path(jarsets.__file__).parent / "jars")
    locked = jarsets.parse_lock(jarsets.lock_file(name).read_text(), name)

    from tickloom.local.lock import ROOTS

    assert set(map(Artifact.parse, ROOTS[name])) <= set(locked)
    assert len({artifact.file for artifact in locked}) == len(locked)


def test_a_lock_is_read():
    assert jarsets.parse_lock("# comment\n\n" + LOCK, "kafka.txt") == {
        Artifact("org.example", "tool", "1.0"): DIGEST,
        Artifact("org.example", "tool", "1.0", "linux"): DIGEST,
    }


@pytest.mark.parametrize(
    "line",
    [
        "org.example:tool:1.0",
        f"tool:1.0 {DIGEST}",
        "org.example:tool:1.0 abcd",
        f"org.example:tool:1.0 {'x' * 64}",
        LOCK.splitlines()[0] + "\n" + LOCK.splitlines()[0],
    ],
)
def test_a_broken_lock_line_is_named(line):
    with pytest.raises(TickloomError, match=r"kafka\.txt line [12] .* is not a new"):
        jarsets.parse_lock(line, "kafka.txt")


def test_jars_are_fetched_once(repository):
    first = jarsets.jars("kafka")
    second = jarsets.jars("kafka")

    assert first == second
    assert [jar.name for jar in first] == ["org.example.tool-1.0.jar", "org.example.tool-1.0-linux.jar"]
    assert all(jar.read_bytes() == b"right" for jar in first)
    assert repository["asked"] == 1


def test_another_checksum_names_the_jar_and_keeps_nothing(repository):
    repository["content"] = b"wrong"
    with pytest.raises(TickloomError, match=r"jar org\.example:tool:1\.0 has SHA-256 .* not the locked .*try again"):
        jarsets.jars("kafka")
    assert not jarsets.present("kafka")

    repository["content"] = b"right"
    assert len(jarsets.jars("kafka")) == 2


def test_a_jar_that_does_not_arrive_is_named(repository):
    repository["content"] = None
    with pytest.raises(TickloomError, match=r"jar org\.example:tool:1\.0 did not arrive.*TICKLOOM_IVY_SETTINGS"):
        jarsets.jars("kafka")


@pytest.mark.parametrize("damage", ["remove", "shorten", "stamp"])
def test_a_damaged_folder_is_fetched_again(repository, damage):
    jar = jarsets.jars("kafka")[0]
    if damage == "remove":
        jar.unlink()
    elif damage == "shorten":
        jar.write_bytes(b"rig")
    else:
        (jar.parent / jarsets.STAMP).write_text("{")

    assert jarsets.jars("kafka")[0].read_bytes() == b"right"
    assert repository["asked"] == 2


def test_a_fetch_that_was_cut_off_is_taken_up_again(repository, monkeypatch):
    def cut_off(*_args, **_rest):
        raise KeyboardInterrupt

    whole = ivy.retrieve
    monkeypatch.setattr(ivy, "retrieve", cut_off)
    with pytest.raises(KeyboardInterrupt):
        jarsets.jars("kafka")
    assert not jarsets.present("kafka")

    monkeypatch.setattr(ivy, "retrieve", whole)
    assert len(jarsets.jars("kafka")) == 2


def test_another_lock_has_another_folder(repository):
    before = jarsets.folder("kafka")
    jarsets.lock_file("kafka").write_text(LOCK.replace("1.0", "1.1"))

    assert jarsets.folder("kafka") != before


def test_an_unknown_set_is_refused():
    with pytest.raises(TickloomError, match="'flink' is unknown; known: kafka, cassandra, spark"):
        jarsets.jars("flink")


def test_the_stamp_is_read_with_sizes(repository):
    jar = jarsets.jars("kafka")[0]
    assert json.loads((jar.parent / jarsets.STAMP).read_text())[jar.name] == 5


def test_ivy_is_asked_for_exactly_the_locked_files():
    described = ivy.describe([Artifact("g", "a", "1"), Artifact("g", "a", "1", "linux")], transitive=False)

    assert described.count("<dependency ") == 1
    assert described.count("<artifact ") == 2
    assert 'm:classifier="linux"' in described
    assert 'transitive="false"' in described


def test_ivy_settings_that_are_not_there_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TICKLOOM_IVY_SETTINGS", os.fspath(tmp_path / "none.xml"))
    settings.cache_clear()
    with pytest.raises(TickloomError, match=r"none\.xml' are not there: correct or unset TICKLOOM_IVY_SETTINGS"):
        jarsets.jars("kafka")
