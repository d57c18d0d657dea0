"""``tickloom experiment`` as a user runs it."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import yaml
from typer.testing import CliRunner

from tests.integration.experiment.registered import Registered
from tests.integration.experiment.simulated import MARKET, Simulated
from tests.unit.experiment.judged import counts
from tests.unit.experiment.made import document
from tickloom.cli import experiment as verbs
from tickloom.errors import ConfigurationError, TickloomError
from tickloom.experiment import health
from tickloom.experiment.manifest import load
from tickloom.settings import settings

pytestmark = pytest.mark.integration

ARMS = [{"name": "champion"}, {"name": "lstm"}]
VERBS = ("check", "start", "list", "status", "approve", "reject", "stop", "rollback", "audit", "arm", "run")


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    return Registered(tmp_path_factory.mktemp("mlflow"))


@pytest.fixture(autouse=True)
def environment(stack, keyspace, registry, monkeypatch):
    monkeypatch.setenv("TICKLOOM_CASSANDRA", stack.cassandra)
    monkeypatch.setenv("TICKLOOM_KEYSPACE", keyspace)
    monkeypatch.setenv("TICKLOOM_MLFLOW", registry.uri)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def file(tmp_path):
    def write(name, tickers, **spec):
        fields = {"mode": "championChallenger", "arms": ARMS, "tickers": list(tickers), **spec}
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(document(name, **fields)))
        return path

    return write


def run(*words, code=0):
    result = CliRunner().invoke(verbs.app, [str(it) for it in words], env={"COLUMNS": "200"}, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def told(*words):
    lines = run(*words, "--json").stdout.splitlines()
    return json.loads(next(line for line in lines if line.startswith("{")))


@pytest.mark.parametrize("words", [(), *((it,) for it in VERBS)])
def test_help_ends_with_an_example(words):
    assert "Example: tickloom experiment" in run(*words, "--help").stdout.strip().splitlines()[-1]


def test_an_experiment_from_its_file_to_approval_and_back(session, registry, file, tmp_path):
    for ticker in ("ATW", "IAM"):
        registry.add(MARKET, ticker, champion=1, other=2)
    path = file("yes", ("ATW", "IAM"), end={"decision": "approve"})
    with pytest.raises(ConfigurationError) as caught:
        run("check", path)
    assert len(str(caught.value).splitlines()) == 2
    assert "ticker ATW has no model for arm lstm (alias challenger-lstm)" in str(caught.value)
    fix = re.search(r"`tickloom experiment (arm lstm --market XCAS --ticker ATW --version) N`", str(caught.value))[1]
    assert "challenger-lstm: ATW 2" in run(*fix.split(), 2).stdout
    assert told("arm", "lstm", "--ticker", "IAM", "--version", 2)["versions"] == {"IAM": 2}
    assert told("check", path)["experiments"][0]["tickers"] == ["ATW", "IAM"]
    assert "yes: started, 2 tickers" in run("start", path, "--who", "amina").stdout
    assert told("start", path)["experiments"] == [
        {"name": "yes", "new": False, "status": "running", "tickers": ["ATW", "IAM"]}
    ]
    with pytest.raises(TickloomError, match="experiment yes compares challenger-lstm of ATW"):
        run("arm", "lstm", "--ticker", "ATW", "--version", 1)
    with pytest.raises(TickloomError, match="is running, and waits for nobody's approval"):
        run("approve", "yes")

    played = Simulated.__new__(Simulated)
    played.session, played.name, played.tickers = session, "yes", ("ATW", "IAM")
    (played.experiment,) = load(path)
    played.play(60, {"lstm": 0.8}).close(60)
    assert told("run", "--once")["actions"][0]["action"] == "wait"
    health.publish(session, "pod", "yes", {"champion": counts(500), "lstm": counts(500)}, generation=0)
    found = told("status", "yes")
    assert (found["status"], found["proposal"], found["sessions"]) == ("waiting", "lstm", 60)
    champion, lstm = found["arms"]
    assert lstm["e_value"] > 20 > found["found_after"] - 20
    assert lstm["losses"]["absolute"] < champion["losses"]["absolute"]
    assert lstm["confidence"][0] > 0
    assert (lstm["requests"], lstm["broken"], found["ratio_is_off"]) == (500, [], False)
    text = run("status", "yes").stdout
    assert "e-values over 60 sessions; 20 is needed" in text
    assert "still missing: a person's word: `tickloom experiment approve yes`" in text
    for suffix, first in ((".html", b"<!doctype html>"), (".png", b"\x89PNG"), (".svg", b"<?xml")):
        run("status", "yes", "--output", tmp_path / f"status{suffix}")
        assert (tmp_path / f"status{suffix}").read_bytes().startswith(first)
    with pytest.raises(TickloomError, match=r"ending '.pdf' is unknown; known: .html, .png, .svg"):
        run("status", "yes", "--output", tmp_path / "status.pdf")

    assert (
        "champion of IAM: version 1 → 2" in run("approve", "yes", "--who", "amina", "--why", "the desk agrees").stdout
    )
    assert registry.aliases(MARKET, "ATW")["champion"] == 2
    assert "champion of IAM: version 2 → 1" in run("rollback", "yes").stdout
    with pytest.raises(TickloomError, match="there is no promotion to roll back"):
        run("rollback", "yes")
    entries = told("audit", "yes")["entries"]
    assert [it["what"] for it in entries if it["kind"] == "decision"] == [
        "rolled the promotion back", "promoted an arm", "waits for approval", "started it",
    ]  # fmt: skip
    assert ("amina", "the desk agrees") in {(it["who"], it["why"]) for it in entries}
    assert "the desk agrees" in run("audit", "yes").stdout
    assert [it["what"] for it in told("audit", "default")["entries"]][-1] == "challenger-lstm of ATW to version 2"
    listed = {it["name"]: it for it in told("list")["experiments"]}
    assert (listed["yes"]["status"], listed["yes"]["decision"]) == ("decided", "the desk agrees")
    assert "decided" in run("list").stdout


def test_all_tickers_get_the_newest_version_of_a_model(registry, file):
    registry.add(MARKET, "BCP", champion=1, challenger_gbm=3)
    registry.add(MARKET, "CIH", champion=1, challenger_gbm=2)
    registry.add(MARKET, "LHM", champion=1)
    found = told("arm", "trees", "--market", "XCAS", "--model", "gbm")
    assert found == {"alias": "challenger-trees", "market": "XCAS", "versions": {"BCP": 3, "CIH": 2}}
    with pytest.raises(TickloomError, match=r"LHM on XCAS has no version of model 'gbm'; known: 1 \(champion\)"):
        run("arm", "trees", "--ticker", "LHM", "--model", "gbm")
    arms = [{"name": "champion"}, {"name": "trees"}]
    path = file("every", (), arms=arms)
    path.write_text(yaml.safe_dump(document("every", mode="championChallenger", arms=arms)))
    assert told("check", path)["experiments"][0]["tickers"] == ["BCP", "CIH"]
    run("start", path)
    assert told("stop", "every", "--why", "enough")["status"] == "stopped"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("status", "none"), "experiment 'none' was never started; known:"),
        (("audit", "none"), "experiment 'none': nothing was decided"),
        (("arm", "champion", "--ticker", "ATW", "--version", "1"), "that alias is moved by decisions alone"),
        (("arm", "lstm", "--ticker", "ATW"), "name one --ticker and a --version, or a --model"),
        (("arm", "lstm", "--model", "gbm"), "name it with --market"),
    ],
)
def test_what_cannot_be_done_is_told(registry, words, said):
    if "champion" in words and (MARKET, "ATW") not in registry.catalogue():
        registry.add(MARKET, "ATW", champion=1)
    with pytest.raises(TickloomError, match=re.escape(said)):
        run(*words)


def test_weights_that_do_not_sum_to_one_are_told_with_exit_status_78(file, tmp_path):
    arms = [{"name": "champion", "weight": 0.9}, {"name": "lstm", "weight": 0.2}]
    path = file("wrong", ("ATW",), mode="fixed", arms=arms)
    with pytest.raises(ConfigurationError, match=r"sum to 1\.1, and must sum to 1") as caught:
        run("check", path, "--alone")
    assert caught.value.exit_code == 78


@pytest.mark.parametrize("after_s", [4, 12])
def test_sigterm_ends_the_judge_while_it_opens_and_while_it_looks(after_s):
    judge = subprocess.Popen(
        [sys.executable, "-m", "tickloom.cli.main", "experiment", "run", "--every", "0.2"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ,
    )  # fmt: skip
    time.sleep(after_s)  # while it opens what it needs, and while it looks
    assert judge.poll() is None, judge.stdout.read()
    judge.send_signal(signal.SIGTERM)
    assert judge.wait(10) == 0


def test_a_judge_without_a_store_ends_with_a_sentence(monkeypatch):
    monkeypatch.setenv("TICKLOOM_CASSANDRA", "127.0.0.1:1")
    monkeypatch.setattr("tickloom.store.connect.connect.__kwdefaults__", {"patience_s": 0.2})
    settings.cache_clear()
    with pytest.raises(TickloomError, match=r"Cassandra at 127\.0\.0\.1:1 does not answer"):
        run("run")
