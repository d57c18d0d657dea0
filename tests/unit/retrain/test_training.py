"""Training: it sees what the plan lets it see, and goes on after it was killed."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.unit.retrain.world import GATE, MARKET, SESSIONS, SMALL, World, doubled, write_csv
from tickloom.errors import TickloomError
from tickloom.forecast import package
from tickloom.retrain import steps
from tickloom.retrain.division import case

LONG = {"window": 8, "width": 0.06, "epochs": 20, "patience": 20, "shrink": False}


def forecasts(world, ticker, model):
    """Forecasts of a package from the sessions of the gate."""
    found = case(ticker, world.root / "extract", world.root / "split", MARKET)
    loaded, _ = package.read(world.place("train", ticker, model))
    return loaded.predict(found.frame, np.arange(SESSIONS - GATE, SESSIONS)).mean


def test_a_package_names_what_it_was_learned_from(world):
    world.tuned("AAPL", "ridge")
    found = world.trained("AAPL", "ridge", seed=3)
    manifest = package.read_manifest(world.place("train", "AAPL", "ridge"))
    learned = case("AAPL", world.root / "extract", world.root / "split", MARKET).learned.history
    assert (manifest.data_sha256, manifest.sessions) == (learned.sha256, SESSIONS - GATE)
    assert found["data_sha256"] == learned.sha256 != found["extracted_sha256"]
    assert (found["last_day"], found["seed"]) == (manifest.last_day, 3)


@pytest.mark.parametrize(("model", "options"), [("ridge", {}), ("lstm", SMALL)])
def test_nothing_of_the_gate_is_learned(model, options, world, data, tmp_path):
    until = SESSIONS - GATE
    other = World(tmp_path / "other").prepared(
        ["AAPL"], write_csv(tmp_path / "data", "AAPL", until=until, change=doubled)
    )
    mine = World(tmp_path / "mine").prepared(["AAPL"], data)
    for it in (mine, other):
        it.tuned("AAPL", model, options=options)
        it.trained("AAPL", model)
    first, second = ((it.place("train", "AAPL", model) / "model" / "model.onnx").read_bytes() for it in (mine, other))
    assert first == second


def test_options_of_another_model_are_refused(world, tmp_path):
    world.tuned("AAPL", "drift")
    with pytest.raises(TickloomError, match="holds options of drift of AAPL, not of ar1 of AAPL"):
        steps.train(ticker="AAPL", model="ar1", **world.bars, tuned=world.place("tune", "AAPL", "drift"), out=tmp_path)


def test_a_training_that_was_killed_ends_with_the_same_model(data, tmp_path):
    whole, killed = (World(tmp_path / name).prepared(["AAPL"], data) for name in ("whole", "killed"))
    for it in (whole, killed):
        it.tuned("AAPL", "lstm", options=LONG)
    uninterrupted = whole.trained("AAPL", "lstm", seed=5)
    states = tmp_path / "states"
    script = (
        "import sys; from pathlib import Path; from tests.unit.retrain.world import World\n"
        "World(Path(sys.argv[1])).trained('AAPL', 'lstm', seed=5, checkpoint=Path(sys.argv[2]))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(killed.root), str(states)], env=dict(os.environ))
    try:
        begin = time.monotonic()
        while not list(states.glob("*.pt")):  # after the first epoch
            assert child.poll() is None
            assert time.monotonic() - begin < 120
            time.sleep(0.005)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert not (killed.place("train", "AAPL", "lstm") / package.MANIFEST).exists()
    (state,) = states.glob("*.pt")
    from tickloom.forecast import checkpoint

    saved = len(checkpoint.read(state)["epochs"])
    assert 0 < saved < LONG["epochs"]
    found = killed.trained("AAPL", "lstm", seed=5, checkpoint=states)
    assert len(found["epochs"]) == LONG["epochs"]
    assert found["remark"] == f"resumed from a checkpoint at epoch {saved + 1} of at most {LONG['epochs']}"
    assert uninterrupted["remark"] is None
    one, other = (forecasts(it, "AAPL", "lstm") for it in (whole, killed))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    assert np.abs(one).max() > 1e-4  # and they are forecasts
