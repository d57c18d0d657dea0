"""Ridge and LightGBM: what they find, and what is theirs alone in how they are saved."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.forecast.series import history
from tickloom.errors import TickloomError
from tickloom.forecast.features import FeatureFrame, feature_frame
from tickloom.forecast.models import make
from tickloom.forecast.models.graphs import TOLERANCE

HORIZON = 3
ROWS = np.arange(1500, 1990)


@pytest.fixture(scope="module")
def frame():
    return feature_frame(history(2000, phi=0.4, seed=4))


@pytest.fixture(scope="module", params=["ridge", "lightgbm"])
def model(request, frame):
    return make(request.param, HORIZON).fit(frame.first(1500))


def test_it_finds_an_autoregression(model, frame):
    found, targets = model.predict(frame, ROWS).mean, frame.targets(HORIZON)[ROWS]
    assert np.corrcoef(found[:, 0], targets[:, 0])[0, 1] > 0.25


def test_the_graph_forecasts_what_was_fitted(model, frame, tmp_path):
    model.save(tmp_path)
    loaded = type(model).load(tmp_path)
    fitted, graph = (it.predict(frame, ROWS).mean for it in (model, loaded))
    assert graph.shape == (len(ROWS), HORIZON)
    assert np.abs(fitted - graph).max() < TOLERANCE * frame.targets(HORIZON)[ROWS].std()


def test_the_graph_takes_every_branch_of_the_trees_alike(frame, tmp_path):
    # features of few adjacent float32 values: halfway thresholds round up to the next value about half of the time
    rng = np.random.default_rng(0)
    values = np.float32(1) + rng.integers(0, 40, (len(frame), 4)) * np.spacing(np.float32(1))
    noisy = FeatureFrame(frame.history, tuple("abcd"), values.astype(np.float64))
    steps = np.cumsum(np.where(values[:, 0] > values[:, 0].mean(), 0.01, -0.01) + rng.normal(0, 0.001, len(frame)))
    noisy = replace(noisy, history=replace(frame.history, close=100 * np.exp(np.concatenate([[0], steps[:-1]]))))
    model = make("lightgbm", 1).fit(noisy)
    assert sum(model.learned["trees"]) > 20
    model.save(tmp_path)


def test_the_same_fit_gives_the_same_bytes(model, frame, tmp_path):
    again = make(model.name, HORIZON).fit(frame.first(1500))
    for folder, it in (("first", model), ("again", again)):
        it.save(tmp_path / folder)
    for name in ("model.onnx", "parameters.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "first" / name).read_bytes()


@pytest.mark.parametrize("name", ["ridge", "lightgbm"])
def test_shuffling_what_matters_costs_most(name, frame):
    # few features that say different things: of many alike, a model may use any
    few = feature_frame(frame.history, ["volume_change", "ret_1", "month_sin"])
    found = make(name, 1).fit(few.first(1500)).explain(few, np.arange(1500, 2000))
    assert list(found) == list(few.names)
    assert found["ret_1"] > 10 * max(abs(found["volume_change"]), abs(found["month_sin"]))


def test_a_graph_that_forecasts_something_else_is_not_saved(frame, tmp_path):
    model = make("ridge", 1).fit(frame)
    other = make("ridge", 1).fit(frame.first(600))
    model._graph = other._graph
    with pytest.raises(TickloomError, match="standard deviations of the returns from the model's"):
        model.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_trees_are_chosen_by_rows_that_no_target_of_the_others_reaches(frame, monkeypatch):
    import lightgbm

    seen = []
    plain = lightgbm.train

    def train(params, data, rounds, **more):
        seen.append((data.construct().num_data(), [it.construct().num_data() for it in more.get("valid_sets", [])]))
        return plain(params, data, rounds, **more)

    monkeypatch.setattr(lightgbm, "train", train)
    make("lightgbm", 1).fit(frame)
    (learned, [checked]), (whole, []) = seen
    assert whole - learned - checked == 1


def test_noise_grows_next_to_no_trees():
    model = make("lightgbm", 1).fit(feature_frame(history(1500)))
    assert model.learned["trees"][0] < 30
