"""One ticker looked at: windows by the calendar, planted changes, the ledger's losses, and real prices."""

import numpy as np
import pytest

from tests.unit.experiment.ledgered import forecast
from tests.unit.monitor.made import history, returns
from tickloom.errors import TickloomError
from tickloom.experiment.scoring import score
from tickloom.forecast.histories import from_file
from tickloom.market.sessions import session_table
from tickloom.monitor import watch
from tickloom.monitor.inspection import inspect
from tickloom.monitor.spans import spans


def test_windows_are_counted_in_sessions_of_the_exchange():
    table = session_table("XCAS").day
    days = np.delete(table[1000:1700], [695, 650, 300])
    found = spans("ATW", "XCAS", days, 500, 60)
    assert found.trained == table[1639]
    assert found.last == table[1699]
    assert days[found.reference.start] == table[1140]
    assert found.reference.stop - found.reference.start == 499  # one of the 500 is missing
    assert found.recent.stop - found.recent.start == 60


def test_the_reference_ends_where_the_model_learned_up_to():
    days = session_table("XNYS").day[1000:2000]
    found = spans("AAPL", "XNYS", days, 500, 60, trained=int(days[600]))
    assert found.trained == days[600]
    assert found.reference == slice(101, 601)


def test_a_window_with_too_many_holes_is_refused():
    days = session_table("XNYS").day[1000:1700]
    with pytest.raises(TickloomError, match="ATW: 40 of the newest 60 sessions"):
        spans("ATW", "XNYS", np.delete(days, slice(650, 670)), 500, 60)
    with pytest.raises(TickloomError, match="of the reference 500 sessions"):
        spans("ATW", "XNYS", days[-300:], 500, 60)


def test_a_return_over_missing_sessions_is_left_out():
    moves = returns(300)
    days, found = watch.returns(history(moves, without=[100, 101]))
    np.testing.assert_allclose(found, np.delete(moves, [99, 100, 101]), atol=1e-12)
    assert len(days) == len(found)


def test_a_calm_market_is_left_alone_and_a_loud_one_is_trained_on():
    moves = returns(900, 5)
    calm = inspect(history(moves), features=False)
    assert not calm.decision.retrain
    loud = moves.copy()
    loud[-20:] *= 3
    found = inspect(history(loud), features=False)
    assert found.decision.retrain
    assert {it.family: it.statistic for it in found.findings} == {"target": "volatility", "losses": "surprise"}
    assert not inspect(history(loud), features=False, since=10).decision.retrain


def test_features_are_looked_at_but_for_those_of_the_date():
    found = inspect(history(returns(800, 6)), paths=49)
    names = [it.subject for it in found.findings if it.family == "features"]
    assert "ret_1" in names
    assert not set(names) & {"weekday_sin", "days_to_session"}
    assert all(it.adjusted >= it.p for it in found.findings)


def _ledger(moves, shift):
    its = history(moves)
    made = [
        forecast(
            cutoff=int(its.day[at]), ds=int(its.day[at + 1]), y_cutoff=its.close[at],
            y_hat=its.close[at] * np.exp(shift[at]),
            lo_80=its.close[at] * np.exp(shift[at] - 0.013), hi_80=its.close[at] * np.exp(shift[at] + 0.013),
            lo_95=its.close[at] * np.exp(shift[at] - 0.02), hi_95=its.close[at] * np.exp(shift[at] + 0.02),
        )
        for at in range(100, len(moves))
    ]  # fmt: skip
    closes = dict(zip(its.day.tolist(), its.close.tolist(), strict=True))
    return its, made, list(score(made, closes, [], 0).scores)


def test_a_model_that_goes_wrong_in_an_unchanged_market_is_a_loss_and_no_drift():
    moves = returns(900, 8)
    shift = 0.001 * np.random.default_rng(0).standard_normal(len(moves))
    well = inspect(
        _ledger(moves, shift)[0], arm="champion", forecasts=(f := _ledger(moves, shift))[1], scores=f[2], features=False
    )
    shift[-50:] += 0.012
    its, made, scores = _ledger(moves, shift)
    ill = inspect(its, arm="champion", forecasts=made, scores=scores, features=False)
    losses = [next(it for it in found.findings if it.family == "losses") for found in (well, ill)]
    assert losses[1].p < 0.05 < losses[0].p
    assert well.findings[0].p == ill.findings[0].p
    assert ill.losses_of == "champion"
    assert ill.losses[1]["prediction"].iloc[-1] == pytest.approx(shift[-1])
    assert ill.coverage[0].covered < well.coverage[0].covered


def test_losses_that_have_not_matured_are_refused_with_their_number():
    its, made, scores = _ledger(returns(900, 8), np.zeros(900))
    with pytest.raises(TickloomError, match="of the reference 500 sessions"):
        inspect(its, arm="champion", forecasts=made, scores=scores[-100:], features=False)


def test_windows_that_are_too_short_are_refused():
    with pytest.raises(TickloomError, match="--recent 10 is too short; 20 sessions are needed"):
        inspect(history(returns(800)), recent=10, features=False)


def test_the_spring_of_2020_is_found_in_real_prices_and_the_summer_of_2019_is_calm(market_data):
    whole = from_file(market_data / "us_daily" / "AAPL.csv", market="XNYS")
    days = whole.day.astype("datetime64[D]").astype(str)
    at = {day: int(np.flatnonzero(days == day)[0]) + 1 for day in ("2019-07-15", "2020-03-20")}
    calm = inspect(whole.between(0, at["2019-07-15"]), features=False)
    wild = inspect(whole.between(0, at["2020-03-20"]), features=False)
    assert not calm.decision.retrain
    assert wild.decision.retrain
    assert wild.findings[0].adjusted < 0.05
