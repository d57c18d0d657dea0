"""The pictures of an evaluation show what they are for, whatever stands far away."""

import numpy as np
import pandas as pd

from tickloom.forecast import plots
from tickloom.forecast.intervals import with_intervals, with_volatility

from . import made


def test_a_model_far_above_hides_no_difference_of_the_others():
    rows = [("random_walk", 1.0), ("ridge", 0.998), ("arima", 1.01), ("seasonal_naive", 1.4)]
    scores = pd.DataFrame(
        {"unique_id": "T", "model": name, "h": h, "rmsse": value} for name, value in rows for h in (1, 2)
    )
    figure = plots.error_by_horizon(scores, "T")
    low, high = figure.axes[0].get_ylim()
    assert 0.99 < low < 0.998
    assert 1.01 < high < 1.02
    assert "seasonal_naive: from 1.40, above" in [it.get_text() for it in figure.legends[0].get_texts()]
    alone = plots.error_by_horizon(scores[scores["model"] == "seasonal_naive"], "T").axes[0].get_ylim()
    assert alone[0] < 1.4 < alone[1]


def test_each_model_has_a_panel_of_its_own_whose_bins_hold_enough():
    history = made.history(620, 3)
    long = made.forecasts(history, {"random_walk": made.still, "seer": made.seer(0.5)})
    long = with_intervals(with_volatility(long, [history]))
    figure = plots.reliability(long)
    panels = {it.get_title(): it for it in figure.axes if it.get_title()}
    assert set(panels) == {"random_walk", "seer"}
    given = long[(long["model"] == "seer") & long["lo-80"].notna() & long["y"].notna()]
    for axes in panels.values():
        line = axes.lines[-1]
        assert 2 <= len(line.get_xdata()) <= len(given) // 25
        assert np.all((np.asarray(line.get_ydata()) >= 0) & (np.asarray(line.get_ydata()) <= 1))
    rising = np.asarray(panels["seer"].lines[-1].get_ydata())
    assert rising[-1] > 0.9 > 0.1 > rising[0]
