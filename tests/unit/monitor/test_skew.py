"""Features of training and of serving: the same to 1e-9, hashes as the service writes them, bars as they were."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.experiment.ledgered import forecast
from tests.unit.forecast.series import frame, history
from tickloom.errors import TickloomError
from tickloom.forecast import package
from tickloom.forecast.features import feature_frame
from tickloom.forecast.models import make
from tickloom.forecast.package import Manifest
from tickloom.monitor.skew import compared, of_version, served, unlike_training
from tickloom.serving.cutoffs import Cutoff
from tickloom.serving.engine import prepared
from tickloom.serving.packages import Package


@pytest.fixture(scope="module")
def whole():
    return frame(500)


@pytest.fixture(scope="module", params=["ridge", "ar1"])
def trained(request, whole, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    model = make(request.param, 2).fit(whole)
    package.write(folder, model, Manifest.of(model, whole))
    return package.read(folder)


def test_features_of_a_longer_history_are_those_of_a_shorter_one(whole):
    found = compared(feature_frame(whole.history.between(0, 450)), whole)
    assert found.clean
    assert found.compared == 450 * len(whole.names)


def test_a_feature_that_differs_by_more_than_rounding_is_named(whole):
    other = replace(whole, values=whole.values.copy())
    other.values[300, 2] += 1e-6
    other.values[301, 3] += 1e-12
    other.values[302, 4] = np.nan
    assert compared(whole, other).differing == {
        whole.names[2]: pytest.approx(1e-6, rel=0.2), whole.names[4]: float("inf")
    }  # fmt: skip


def test_frames_that_have_nothing_in_common_are_refused(whole):
    with pytest.raises(TickloomError, match="the features themselves differ"):
        compared(whole, feature_frame(whole.history, whole.names[1:]))
    with pytest.raises(TickloomError, match="no session is in both"):
        compared(feature_frame(whole.history.between(0, 230)), feature_frame(whole.history.between(260, 500)))


def test_the_hash_in_the_ledger_is_made_again_and_another_one_is_seen(whole, trained):
    model, manifest = trained
    its = whole.history
    made = []
    for row in (450, 470, 499):
        cutoff = Cutoff.of(its.between(0, row + 1))
        ready = prepared(Package(("XNYS", "AAPL", "1"), model, manifest, None, ""), cutoff)
        made.append(forecast(cutoff=int(its.day[row]), features=ready.features))
    assert served(its, model, manifest, made).clean
    wrong = [made[0], replace(made[1], features="f" * 64), made[2]]
    found = served(its, model, manifest, wrong)
    assert found.compared == 3
    assert len(found.differing) == 1


def test_bars_that_were_corrected_after_training_are_seen(whole, trained):
    _, manifest = trained
    longer = history(500)
    assert unlike_training(longer, manifest).clean
    corrected = longer.close.copy()
    corrected[100] *= 1.001
    assert list(unlike_training(replace(longer, close=corrected), manifest).differing) == ["bars"]
    with pytest.raises(TickloomError, match="load the training's too"):
        unlike_training(longer.between(10, 500), manifest)


def test_a_registered_version_is_compared_as_a_whole(whole, tmp_path):
    model = make("ridge", 2).fit(whole)
    package.write(tmp_path, model, Manifest.of(model, whole))
    others = [forecast(version="2"), forecast(version="2", horizon=2)]
    found = of_version(whole.history, tmp_path, "3", others)
    assert (found["training"].clean, found["training"].compared) == (True, len(whole.history))
    assert found["served"].compared == 0, "those of another version are no matter"
    corrected = replace(whole.history, close=whole.history.close * 1.01)
    assert not of_version(corrected, tmp_path, "3", [])["training"].clean
