import numpy as np
import pytest

from tickloom.forecast.windows import LEAST, least_rows, parts, windows_at


@pytest.mark.parametrize("horizon", [1, 5, 30])
@pytest.mark.parametrize("ready", [0, 199])
def test_parts_share_no_session_of_targets(horizon, ready):
    found = parts(1000, ready, 60, horizon, 0.15)
    assert found.train[0] == ready + 59
    assert found.validation[-1] == 1000 - horizon - 1
    assert found.train[-1] + horizon < found.validation[0]
    assert len(found.validation) == round(0.15 * (1000 - ready - 59 - horizon))


def test_the_least_frame_gives_rows_for_both():
    found = parts(least_rows(60, 30), 0, 60, 30, 0.15)
    assert len(found.train) + len(found.validation) == LEAST
    assert len(found.train) >= 64


def test_windows_end_at_their_rows():
    values = np.arange(40.0).reshape(20, 2)
    found = windows_at(values, np.array([4, 19]), 5)
    assert found.dtype == np.float32
    assert np.array_equal(found, [values[0:5], values[15:20]])
