"""Clocks of schedules: what Kubeflow would refuse late is refused now."""

import pytest

from pipelines.cron import check
from tickloom.errors import TickloomError


@pytest.mark.parametrize(
    "text", ["0 30 21 * * 1-5", "0 0 */2 ? * MON-fri", "*/30 0,15,45 9-17/2 1 JAN,6 0", "59 59 23 31 12 6"]
)
def test_a_possible_clock_is_taken(text):
    assert check(text) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("30 21 * * 1-5", "has 5 fields; it must have six fields, seconds first"),
        ("0 99 21 * * *", "minute '99' must be *, 0 to 59"),
        ("60 0 0 * * *", "second '60'"),
        ("0 0 24 * * *", "hour '24'"),
        ("0 0 0 0 * *", "day of the month '0'"),
        ("0 0 0 * 13 *", "month '13' must be *, 1 to 12, or JAN"),
        ("0 0 0 * * 7", "day of the week '7'"),
        ("0 0 0 * * 5-1", "day of the week '5-1'"),
        ("0 5,x 0 * * *", "minute 'x'"),
        ("0 */0 0 * * *", "minute '*/0'"),
        ("0 -5 0 * * *", "minute '-5'"),
        ("0 5, 0 * * *", "minute ''"),
        ("0 *5 0 * * *", "minute '*5'"),
    ],
)
def test_a_clock_that_cannot_be_is_refused_with_its_field(text, said):
    with pytest.raises(TickloomError) as error:
        check(text)
    assert said in str(error.value)
