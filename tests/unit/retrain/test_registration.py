"""Registering: only what passed, once, with its lineage, and never as the champion."""

import json
import shutil

import pytest

from tests.unit.retrain.world import MARKET, World
from tickloom import __version__
from tickloom.errors import TickloomError
from tickloom.forecast import lineage, package
from tickloom.forecast.registry import Registry
from tickloom.forecast.versions import CHAMPION, Version
from tickloom.retrain import registration, steps
from tickloom.settings import settings

FOLDERS = {"trained": "train", "evaluated": "evaluate", "gated": "gate"}


@pytest.fixture(scope="module")
def passed(world, mlflow, tmp_path_factory):
    """A model that passed the gate, in folders of its own, with an MLflow of its own."""
    root = tmp_path_factory.mktemp("passed")
    world.learned("MSFT", "ar1")
    mine = World(shutil.copytree(world.root, root / "steps"))
    Registry(mlflow)
    shutil.copy(mlflow.removeprefix("sqlite:///"), root / "mlflow.db")
    uri = f"sqlite:///{root / 'mlflow.db'}"
    mine.compared("MSFT", "ar1", uri)
    assert mine.gated("MSFT", "ar1")["passed"]
    return mine, uri


@pytest.fixture(autouse=True)
def no_store(monkeypatch):
    monkeypatch.delenv("TICKLOOM_CASSANDRA", raising=False)
    monkeypatch.setenv("TICKLOOM_COMMIT", "0123abc")
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_a_version_has_its_lineage_scores_and_intervals(passed, tmp_path):
    world, uri = passed
    found = world.registered("MSFT", "ar1", uri, arm="simple", out=tmp_path / "out")
    registry = Registry(uri)
    (version,) = [it for it in registry.versions(MARKET, "MSFT") if it.number == found["version"]]
    assert (version.model, version.verdict, version.aliases) == ("ar1", "beats_naive", ("challenger-simple",))
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == found
    learned = json.loads((world.place("train", "MSFT", "ar1") / "result.json").read_text())
    told = registry.tags(MARKET, "MSFT", version.number)
    assert told.items() >= {
        "tickloom.run": "run-1", "tickloom.data_sha256": learned["data_sha256"],
        "tickloom.extracted_sha256": learned["extracted_sha256"], "tickloom.version": __version__,
        "tickloom.commit": "0123abc", "tickloom.approver": "",
    }.items()  # fmt: skip
    registry.pull(MARKET, "MSFT", tmp_path / "pulled", "challenger-simple")
    pulled = tmp_path / "pulled" / "package"
    _, manifest = package.read(pulled)
    assert {it["model"] for it in manifest.scores} == {"ar1", "random_walk"}
    assert package.read_errors(pulled) is not None
    assert package.read_errors(pulled, "random_walk") is not None
    assert not (pulled / "result.json").exists()
    files = {it.path for it in registry._client.list_artifacts(version.run, "evaluation")}
    assert "evaluation/report.html" in files
    lineage.approve(registry, MARKET, "MSFT", version.number, "amina")
    assert registry.tags(MARKET, "MSFT", version.number)["tickloom.approver"] == "amina"


def test_registering_again_in_the_same_run_finds_the_version(passed):
    world, uri = passed
    first, again = (world.registered("MSFT", "ar1", uri, run="twice") for _ in range(2))
    assert first == again
    other = world.registered("MSFT", "ar1", uri, run="another")
    assert other["version"] == first["version"] + 1


def test_a_version_says_on_which_sessions_it_was_judged_and_how_many_of_them_were_used_before(passed):
    world, uri = passed
    world.registered("MSFT", "ar1", uri, run="before")
    told = world.registered("MSFT", "ar1", uri, run="after")["tags"]
    gate = json.loads((world.place("gate", "MSFT", "ar1") / "result.json").read_text())
    assert (told["tickloom.gate_first"], told["tickloom.gate_last"]) == (gate["first_cutoff"], gate["last_cutoff"])
    assert told["tickloom.gate_shared"] == str(gate["cutoffs"])  # all of them
    (version,) = [it for it in Registry(uri).versions(MARKET, "MSFT") if it.tags.get("tickloom.run") == "after"]
    assert version.tags["tickloom.gate_shared"] == told["tickloom.gate_shared"]


@pytest.mark.parametrize(
    ("first", "last", "shared"),
    [("2018-01-02", "2018-03-29", 3), ("2018-04-03", "2018-05-01", 0), ("2018-03-28", "2018-03-28", 1)],
)
def test_sessions_that_two_gates_share_are_counted_on_the_exchanges_calendar(first, last, shared):
    tags = {"tickloom.gate_first": "2018-03-27", "tickloom.gate_last": "2018-04-02"}
    before = Version("tickloom.XNYS.MSFT", 3, "ar1", "", "", (), "", tags)
    passed = {"model": "ar1", "market": MARKET, "first_cutoff": first, "last_cutoff": last}
    assert registration._gate(passed, [before])["tickloom.gate_shared"] == str(shared)
    assert registration._gate({**passed, "model": "ridge"}, [before])["tickloom.gate_shared"] == "0"


def test_the_champion_stays(passed):
    world, uri = passed
    world.registered("MSFT", "ar1", uri)
    registry = Registry(uri)
    (serving,) = [it for it in registry.versions(MARKET, "MSFT") if CHAMPION in it.aliases]
    assert serving.model == "random_walk"
    with pytest.raises(TickloomError, match="moved by decisions alone"):
        world.registered("MSFT", "ar1", uri, arm="champion")
    assert [it for it in registry.versions(MARKET, "MSFT") if CHAMPION in it.aliases] == [serving]


def test_what_the_gate_refused_is_not_registered(passed):
    world, uri = passed
    before = Registry(uri).versions(MARKET, "MSFT")
    world.gated("MSFT", "ar1", limits={"megabytes": 0})
    found = world.registered("MSFT", "ar1", uri)
    assert (found["registered"], found["why"]) == (False, "the gate refused: megabytes")
    assert Registry(uri).versions(MARKET, "MSFT") == before
    world.gated("MSFT", "ar1")


def test_what_is_registered_is_what_was_checked(passed, tmp_path):
    world, uri = passed
    mine = World(shutil.copytree(world.root, tmp_path / "copy"))
    (file,) = (mine.place("train", "MSFT", "ar1") / "model").glob("*.json")
    file.write_text(file.read_text().replace("phi", "phi "))
    with pytest.raises(TickloomError, match="is another package than the gate checked"):
        mine.registered("MSFT", "ar1", uri)
    with pytest.raises(TickloomError, match="is of ar1 of MSFT, not of ridge of MSFT"):
        steps.register(
            ticker="MSFT", model="ridge", market=MARKET, mlflow=uri, run="run-1",
            **{of: world.place(step, "MSFT", "ar1") for of, step in FOLDERS.items()},
        )  # fmt: skip


def test_a_store_that_is_away_names_no_arm(passed, monkeypatch):
    from tickloom.store import connect

    world, uri = passed
    monkeypatch.setenv("TICKLOOM_CASSANDRA", "127.0.0.1:1")
    settings.cache_clear()
    monkeypatch.setattr(connect.connect, "__kwdefaults__", {"patience_s": 0.1})
    with pytest.raises(TickloomError, match=r"127\.0\.0\.1:1"):
        world.registered("MSFT", "ar1", uri, run="away", arm="other")
    assert "challenger-other" not in Registry(uri).catalogue()[MARKET, "MSFT"]
