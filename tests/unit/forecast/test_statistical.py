"""ARIMA and exponential smoothing: the filter agrees with statsforecast, and recovers what made a series."""

from dataclasses import replace

import numpy as np
import pytest
from statsforecast.models import ARIMA, AutoETS

from tests.unit.forecast.series import history
from tickloom.forecast.features import feature_frame
from tickloom.forecast.models import make
from tickloom.forecast.models.statistical import ArimaParameters

CUTOFFS = np.array([420, 450, 599])


def frame_of(drift=0.0, **given):
    plain = history(600, **given)
    return feature_frame(replace(plain, close=plain.close * np.exp(drift * np.arange(600))), ["ret_1"])


@pytest.mark.parametrize("order", [(5, 1, 0), (1, 0, 1), (2, 1, 2), (0, 2, 1), (1, 2, 0)])
@pytest.mark.parametrize("drift", [False, True])
def test_the_filter_goes_on_as_statsforecast_does(order, drift):
    frame = frame_of(phi=0.3, drift=0.001)
    estimator = ARIMA(order=order, include_drift=drift and order[1] == 1).fit(frame.log_close[:400])
    coef = estimator.model_["coef"]
    lags = [
        tuple(coef[f"{kind}{lag + 1}"] for lag in range(count)) for kind, count in (("ar", order[0]), ("ma", order[2]))
    ]
    mean = coef.get("drift", coef.get("intercept", 0.0))
    found = ArimaParameters(order[1], *lags, mean, 1.0, 0.0, 0.0, 0.0).forecast(frame.log_close, CUTOFFS, 7)
    for row, ahead in zip(CUTOFFS, found, strict=True):
        expected = estimator.forward(frame.log_close[: row + 1], 7)["mean"]
        np.testing.assert_allclose(ahead, expected, atol=2e-7)


@pytest.mark.parametrize("given", [{}, {"drift": 0.002}, {"phi": 0.6}])
def test_smoothing_goes_on_as_statsforecast_does(given):
    frame = frame_of(**given)
    model = make("ets", 7).fit(frame.first(400))
    estimator = AutoETS(season_length=1, model="AZN").fit(frame.log_close[:400])
    found = model.predict(frame, CUTOFFS).mean + frame.log_close[CUTOFFS][:, None]
    for row, ahead in zip(CUTOFFS, found, strict=True):
        np.testing.assert_allclose(ahead, estimator.forward(frame.log_close[: row + 1], 7)["mean"], atol=1e-9)


def test_smoothing_needs_no_session_of_its_training():
    frame = frame_of(drift=0.001)
    model = make("ets", 5).fit(frame.first(300))
    later = frame.between(310, 600)
    np.testing.assert_allclose(model.predict(later).mean, model.predict(frame).mean, atol=1e-5)


@pytest.mark.parametrize("name", ["arima", "auto_arima", "ets"])
def test_saved_and_loaded_it_forecasts_the_same(name, tmp_path):
    frame = frame_of(phi=0.3)
    model = make(name, 5).fit(frame.first(400))
    model.save(tmp_path)
    loaded = type(model).load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(frame, CUTOFFS).mean, model.predict(frame, CUTOFFS).mean)
    assert loaded.parameters() == model.parameters()
    assert {"aic", "aicc", "bic"} <= set(model.parameters())


def test_the_order_of_arima_is_five_one_nought():
    assert make("arima", 1).fit(frame_of()).parameters()["order"] == (5, 1, 0)


def test_auto_arima_finds_the_autoregression():
    frame = feature_frame(history(2500, phi=0.4), ["ret_1"])
    model = make("auto_arima", 1).fit(frame.first(2000))
    moved = np.diff(frame.log_close)
    rows = np.arange(2000, 2499)
    assert np.corrcoef(model.predict(frame, rows).mean[:, 0], moved[rows])[0, 1] > 0.3
