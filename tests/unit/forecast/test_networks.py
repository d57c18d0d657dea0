from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.unit.forecast.series import frame, history
from tests.unit.forecast.small import HORIZON, NAMES, WINDOW, same, small, weights
from tickloom.errors import TickloomError
from tickloom.forecast.features import feature_frame
from tickloom.forecast.models import make
from tickloom.forecast.models.architectures import BUILDERS, count
from tickloom.forecast.models.sizes import SIZES
from tickloom.forecast.training import LIMIT
from tickloom.forecast.windows import windows_at


@pytest.fixture(scope="module")
def walk():
    return frame(500, seed=1)


@pytest.fixture(scope="module")
def fitted(walk):
    return small().fit(walk.first(450), seed=3)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_those_of_the_table(name):
    assert count(BUILDERS[name](44, 5, 1.0)) == SIZES[name].ours


@pytest.mark.parametrize("name", NAMES)
def test_sizes_stand_near_the_stated_or_cannot(name):
    size = SIZES[name]
    if name in ("lstm", "stacked_lstm"):  # whose layers are stated, and have more weights than the report says
        assert count(BUILDERS[name](1, 1, 1.0)) > size.stated
    else:
        assert abs(size.ours / size.stated - 1) < 0.04


@pytest.mark.parametrize("name", NAMES)
def test_a_network_begins_as_the_random_walk(name):
    net = BUILDERS[name](7, 3, 0.1).eval()
    assert torch.equal(net(torch.randn(4, 20, 7)), torch.zeros(4, 3))


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_learns(name):
    torch.manual_seed(0)
    net = BUILDERS[name](7, 3, 0.1).train()
    before = {key: it.clone() for key, it in net.named_parameters()}
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(4):
        optimizer.zero_grad()
        sum(((it - 1) ** 2).mean() for it in net.outputs(torch.randn(32, 20, 7))).backward()
        optimizer.step()
    assert [key for key, it in net.named_parameters() if torch.equal(it, before[key])] == []


@pytest.mark.parametrize("name", NAMES)
def test_each_trains_and_forecasts_all_horizons(name, walk):
    model = small(name, epochs=1).fit(walk.first(450), seed=0)
    found = model.predict(walk, [460, 499])
    assert found.mean.shape == (2, HORIZON)
    assert np.isfinite(found.mean).all()
    assert (found.mean != 0).any()


def test_an_autoregression_is_found():
    series = frame(1600, phi=0.7, seed=5, close_only=True)
    model = small(horizon=1, epochs=12, width=0.15).fit(series.first(1300), seed=0)
    rows = np.arange(1300, 1599)
    targets = series.targets(1)[rows]
    error = ((model.predict(series, rows).mean - targets) ** 2).mean()
    assert error < 0.8 * ((targets - targets.mean()) ** 2).mean()


def test_forecasts_read_nothing_after_the_cutoff(fitted, walk):
    values = walk.values.copy()
    values[471:] = 1e3
    closes = walk.history.close.copy()
    closes[471:] *= 2
    other = replace(walk, history=replace(walk.history, close=closes), values=values)
    rows = np.arange(455, 471)
    assert np.array_equal(fitted.predict(walk, rows).mean, fitted.predict(other, rows).mean)
    assert np.array_equal(fitted.predict(walk, rows).mean, fitted.predict(walk.first(471), rows).mean)


def test_forecasts_read_the_window_and_nothing_before(fitted, walk):
    values = walk.values.copy()
    values[: 471 - WINDOW] = 0.0
    other = replace(walk, values=values)
    values = walk.values.copy()
    values[471 - WINDOW] = 0.0
    inside = replace(walk, values=values)
    expected = fitted.predict(walk, [470]).mean
    assert np.array_equal(fitted.predict(other, [470]).mean, expected)
    assert not np.array_equal(fitted.predict(inside, [470]).mean, expected)


def test_training_reads_nothing_after_its_frame(fitted):
    bars = history(500, seed=1)
    changed = {
        name: np.concatenate([getattr(bars, name)[:450], 3 * getattr(bars, name)[450:]])
        for name in ("open", "high", "low", "close")
    }
    other = small().fit(feature_frame(replace(bars, **changed)).first(450), seed=3)
    assert same(fitted, other)


def test_validation_decides_when_to_end_and_no_more(walk):
    """Other closes in the last 15 % leave the weights of a given epoch as they were, scales included."""
    split = small().parts(walk)
    closes = walk.history.close.copy()
    closes[split.validation[0] + 1 :] *= 1.5
    values = walk.values.copy()
    values[split.validation[0] :] *= 2
    other = replace(walk, history=replace(walk.history, close=closes), values=values)
    assert same(small(epochs=1).fit(walk, seed=0), small(epochs=1).fit(other, seed=0))


def test_the_scale_is_of_the_training_rows(fitted, walk):
    train = fitted.parts(walk.first(450)).train
    seen = walk.values[train[0] - WINDOW + 1 : train[-1] + 1]
    assert weights(fitted)["mean"] == pytest.approx(seen.mean(0), rel=1e-5, abs=1e-7)
    assert weights(fitted)["target"] == pytest.approx(walk.targets(HORIZON)[train].std(0), rel=1e-5)


def test_features_far_outside_are_cut_off(fitted, walk):
    values = walk.values.copy()
    values[470] = weights(fitted)["mean"] + 2 * LIMIT * weights(fitted)["deviation"]
    further = values.copy()
    further[470] = weights(fitted)["mean"] + 1e6 * weights(fitted)["deviation"]
    found = [fitted.predict(replace(walk, values=it), [470]).mean for it in (values, further)]
    assert np.array_equal(*found)


def test_explanations_add_up_and_name_every_feature(fitted, walk):
    from tickloom.forecast.models.export import integrated_gradients

    rows = np.arange(455, 475)
    found = fitted.explain(walk, rows)
    assert list(found) == list(walk.names)
    assert all(it >= 0 for it in found.values())
    windows = windows_at(walk.values, rows, WINDOW)
    network = fitted._network
    baseline = network(network.mean.expand(1, WINDOW, -1)).mean().item()
    added = integrated_gradients(network, windows, 1).sum(1)
    moved = fitted.predict(walk, rows).mean.mean(1) - baseline
    assert added == pytest.approx(moved, abs=0.05 * np.abs(moved).max() + 1e-6)


def test_a_short_frame_is_refused_with_the_number(walk):
    needed = make("lstm", 5).least_rows
    assert needed == 60 - 1 + 100 + 10
    with pytest.raises(TickloomError, match=f"{needed - 1} sessions are too few: lstm needs {needed}; load 1 more"):
        make("lstm", 5).fit(walk.between(200, 200 + needed - 1))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"window": 1}, "window 1 must be 2 or more"),
        ({"width": 0}, "width 0 must be above 0"),
        ({"epoch": 3}, "option 'epoch' is unknown; known: window, width, batch"),
        ({"batch": 1}, "batch 1 must be 2 or more"),
        ({"epochs": 0}, "epochs 0 must be 1 or more"),
        ({"learning_rate": -1.0}, "learning_rate -1.0 must be above 0"),
        ({"validation": 0.9}, "validation 0.9 must be a share"),
        ({"device": "tpu"}, "device 'tpu' is unknown; known: auto, cpu, cuda"),
    ],
)
def test_options_are_checked(options, sentence):
    with pytest.raises(TickloomError, match=sentence):
        make("lstm", 1, **options)


def test_one_that_was_not_fitted_says_so(walk, tmp_path):
    for use in (lambda: small().predict(walk), lambda: small().save(tmp_path)):
        with pytest.raises(TickloomError, match="was neither fitted nor loaded"):
            use()
