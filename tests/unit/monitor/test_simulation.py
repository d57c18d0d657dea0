"""Made runs: the same number gives the same bits, and a loud market is told from a calm one."""

import json

import numpy as np
import pytest

from tickloom.bench.drift import run
from tickloom.monitor.simulation import CASES, PLANTED, counted, simulate
from tickloom.monitor.thresholds import YEAR


def test_a_run_has_a_calm_year_and_a_loud_month_of_every_watcher():
    first, again = simulate(CASES[0], 3, paths=99), simulate(CASES[0], 3, paths=99)
    assert set(first.alarms) == set(first.planted) >= {"both_random_walk", "drift_ar1", "adwin_squares", "volatility"}
    for name, calm in first.alarms.items():
        assert len(calm) == YEAR
        assert len(first.planted[name]) == PLANTED
        np.testing.assert_array_equal(calm, again.alarms[name])


def test_both_agree_less_often_than_any_of_them():
    made = simulate(CASES[1], 1, paths=99)
    both, either = made.alarms["both_ar1"], made.alarms["any_ar1"]
    np.testing.assert_array_equal(both | either, either)
    np.testing.assert_array_equal(both, made.alarms["drift_ar1"] & made.alarms["loss_ar1"])


@pytest.mark.parametrize(("cool_down", "wanted"), [(1, 5), (3, 3), (100, 1)])
def test_an_alarm_silences_those_of_its_cool_down(cool_down, wanted):
    alarms = np.zeros(20, bool)
    alarms[[2, 3, 4, 9, 15]] = True
    assert counted(alarms, cool_down) == wanted


def test_the_benchmark_has_both_figures_and_who_knows_the_law_beside_them():
    said = []
    result = json.loads(run(said.append, share=0.005, jobs=1, paths=29).to_json())
    figures = result["figures"]
    assert len(said) == len(CASES) + 1
    assert figures["drift_found_share"] <= figures["found_share_garch_both_random_walk"]
    assert figures["false_retrains_per_ticker_year"] >= figures["false_per_year_garch_both_random_walk"]
    assert "who_knows_the_law_found_share_garch_wrong_once_a_year" in result["peers"]
