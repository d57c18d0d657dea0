"""Whether a want of memory is told from other ends."""

import pytest

from tickloom.stream import memory, runner


@pytest.mark.parametrize(
    ("name", "text", "kills"),
    [
        ("memory.events", "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n", 2),
        ("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", 1),
        ("memory.events", "low 0\n", 0),
        ("memory.events", "", 0),
    ],
)
def test_kills_are_read_from_either_version_of_cgroups(tmp_path, name, text, kills):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    assert memory.kills(tmp_path) == kills


def test_a_machine_without_cgroups_knows_of_no_kills(tmp_path):
    assert memory.kills(tmp_path) == 0


@pytest.mark.parametrize(
    ("kills", "said"), [(0, "process ended (signal 9)"), (1, "OutOfMemoryError: the kernel killed")]
)
def test_the_end_of_java_is_said_with_what_helps(monkeypatch, kills, said):
    monkeypatch.setattr(memory, "kills", lambda: kills)
    text = runner._java_ended("signal 9")
    assert said in text
    assert "spec.runtime.driver.memoryOverhead" in text
