"""What is done before an operator goes for good."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("kubernetes", reason="needs the package kubernetes: install tickloom[operator]")

from operators.streamjob.cluster import Refused, path_of
from operators.streamjob.uninstall import remove
from tickloom.errors import TickloomError


class Jobs:
    """StreamJobs of two namespaces that go when an operator has looked at them ``looks`` times."""

    def __init__(self, looks=2):
        self.held = {("a", "one"): looks, ("a", "two"): looks, ("b", "three"): looks}
        self.deleted = []
        self.annotations = {}

    def list(self, kind, namespace):
        assert kind == "StreamJob"
        return [
            {"metadata": {"namespace": place, "name": name, "uid": name} | self._said(name) | self._gone(place, name)}
            for place, name in self.held
            if namespace in (None, place)
        ]

    def _said(self, name):
        return {"annotations": self.annotations[name]} if name in self.annotations else {}

    def request(self, method, path, body, *, content):
        """Merge a patch, as the API server does."""
        assert (method, content) == ("PATCH", "application/merge-patch+json")
        (key,) = (it for it in self.held if path_of("StreamJob", *it) == path)
        assert key not in self.deleted
        assert body["metadata"]["uid"] == key[1]
        self.annotations[key[1]] = self.annotations.get(key[1], {}) | body["metadata"]["annotations"]
        return {}

    def _gone(self, place, name):
        return {"deletionTimestamp": "now"} if (place, name) in self.deleted else {}

    def delete(self, kind, namespace, name, uid):
        assert (kind, uid) == ("StreamJob", name)
        self.deleted.append((namespace, name))

    def pass_time(self, _seconds):
        for key in self.deleted:
            if key in self.held:
                self.held[key] -= 1
                if not self.held[key]:
                    del self.held[key]


def test_every_job_is_deleted_once_and_waited_for():
    jobs = Jobs()
    remove(jobs, (), sleep=jobs.pass_time)
    assert sorted(jobs.deleted) == [("a", "one"), ("a", "two"), ("b", "three")]
    assert not jobs.held


def test_only_where_it_watches():
    jobs = Jobs()
    remove(jobs, ("b",), sleep=jobs.pass_time)
    assert jobs.deleted == [("b", "three")]
    assert set(jobs.held) == {("a", "one"), ("a", "two")}


def test_checkpoints_stay_unless_they_are_to_go():
    jobs = Jobs()
    remove(jobs, (), sleep=jobs.pass_time)
    assert not jobs.annotations


def test_checkpoints_go_where_no_job_says_otherwise():
    jobs = Jobs()
    jobs.annotations = {"two": {"tickloom.dev/keep-checkpoint": "true"}, "three": {"other": "x"}}
    remove(jobs, (), sleep=jobs.pass_time, checkpoints=True)
    assert len(jobs.deleted) == 3
    assert jobs.annotations == {
        "one": {"tickloom.dev/keep-checkpoint": "false"},
        "two": {"tickloom.dev/keep-checkpoint": "true"},
        "three": {"other": "x", "tickloom.dev/keep-checkpoint": "false"},
    }


@pytest.mark.parametrize("status", [404, 409])
def test_a_job_that_went_meanwhile_is_no_error(status):
    class Gone(Jobs):
        def request(self, *arguments, **more):
            raise Refused(status, "gone")

    jobs = Gone()
    remove(jobs, (), sleep=jobs.pass_time, checkpoints=True)
    assert not jobs.held


def test_a_missing_right_to_annotate_deletes_nothing():
    class Forbidden(Jobs):
        def request(self, *arguments, **more):
            raise Refused(403, "no")

    jobs = Forbidden()
    with pytest.raises(Refused, match="no"):
        remove(jobs, (), sleep=jobs.pass_time, checkpoints=True)
    assert not jobs.deleted


def test_what_does_not_go_in_time_is_named():
    jobs = Jobs()
    with pytest.raises(TickloomError, match=r"StreamJobs a/one, a/two are still there after 0 s.*--no-hooks"):
        remove(jobs, ("a",), within_s=0, sleep=lambda _seconds: None)


def test_what_the_operators_image_runs_imports_nothing_that_is_kept_out_of_it():
    lines = (Path(__file__).parents[3] / "requirements" / "operator-without.txt").read_text().splitlines()
    absent = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    assert absent
    code = f"import sys; sys.modules.update(dict.fromkeys({absent})); import operators.streamjob."
    for module in ("main", "uninstall"):
        done = subprocess.run([sys.executable, "-c", code + module], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
