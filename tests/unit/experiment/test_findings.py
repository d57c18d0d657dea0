"""From the ledger to findings: what is compared, what waits, what is left out."""

import dataclasses

import pytest

from tests.unit.experiment.judged import findings, look, series, state
from tests.unit.experiment.ledgered import CUTOFF
from tickloom.experiment.promotion import missing


def test_only_cutoffs_that_every_arm_has_forecast_count():
    forecasts, closes = series(30, {})
    lacking = [it for it in forecasts if not (it.arm == "gbm" and it.cutoff == CUTOFF + 3)]
    found = findings(state(), lacking, closes)
    assert len(found.cutoffs) == 29
    assert CUTOFF + 3 not in found.cutoffs
    without = state().model_copy(update={"out": {"gbm": "broken"}})
    assert len(findings(without, lacking, closes).cutoffs) == 30
    assert set(findings(without, lacking, closes).evidence) == {"lstm"}


def test_an_experiment_without_forecasts_or_without_closes_has_found_nothing_yet():
    for given in (([], {}), (series(30, {})[0], {})):
        found = findings(state(), *given)
        assert (found.cutoffs, found.losses, found.left_out) == ((), {}, 0)
        assert look(state(), found).kinds == []
        assert "20 more sessions" in missing(state(), found, 1.0)[0]


def test_forecasts_of_another_version_are_left_out_and_counted():
    forecasts, closes = series(30, {})
    other = [
        dataclasses.replace(it, version="8") if it.arm == "lstm" and it.cutoff == CUTOFF else it for it in forecasts
    ]
    found = findings(state(), other, closes)
    assert (len(found.cutoffs), found.left_out) == (29, 2)


def test_a_cutoff_waits_for_its_tickers_and_not_for_ever():
    forecasts, closes = series(30, {})
    late = {**closes, "IAM": {day: it for day, it in closes["IAM"].items() if day != CUTOFF + 28}}
    assert findings(state(), forecasts, late).cutoffs[-1] == CUTOFF + 26
    suspended = {**closes, "IAM": {day: it for day, it in closes["IAM"].items() if day <= CUTOFF + 10}}
    found = findings(state(), forecasts, suspended)
    assert found.cutoffs[-1] == CUTOFF + 24
    older = {**closes, "IAM": {day: it for day, it in closes["IAM"].items() if day != CUTOFF + 10}}
    assert len(findings(state(), forecasts, older).cutoffs) == 30


def test_losses_are_means_of_what_is_compared():
    found = findings(state(), *series(60, {"lstm": 0.6}))
    assert set(found.losses) == {"champion", "lstm", "gbm"}
    assert found.losses["lstm"]["absolute"] < found.losses["champion"]["absolute"]
    walk = {it["random_walk_absolute"] for it in found.losses.values()}
    assert len(walk) == 1


def test_intervals_that_do_not_hold_are_a_breach():
    rules = {"guardrails": {"coverage": {"level": 95, "least": 0.85, "sessions": 60}}}
    forecasts, closes = series(60, {})
    narrow = [
        dataclasses.replace(it, lo_95=it.y_hat * 0.9999, hi_95=it.y_hat * 1.0001) if it.arm == "lstm" else it
        for it in forecasts
    ]
    assert [it.arm for it in findings(state(**rules), narrow, closes).coverage] == ["lstm"]
    assert not findings(state(**rules), forecasts, closes).coverage
    assert not findings(state(), narrow, closes).coverage


def test_a_corrected_close_changes_the_evidence_from_its_session_on():
    forecasts, closes = series(60, {"lstm": 0.6})
    before = findings(state(), forecasts, closes).evidence["lstm"]
    closes["ATW"][CUTOFF + 41] *= 0.8 if before.differences[40] > 0 else 1.2
    again = findings(state(), forecasts, closes).evidence["lstm"]
    assert (before.trail[:40] == again.trail[:40]).all()
    assert before.differences[40] != pytest.approx(again.differences[40])
