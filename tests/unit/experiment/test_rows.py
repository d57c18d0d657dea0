"""Records, rows and messages say the same."""

import json
import math

import pytest
from jsonschema import Draft202012Validator

from tests.unit.experiment.ledgered import CUTOFF, forecast
from tickloom.bus import schemas
from tickloom.experiment.ledger import _waves
from tickloom.experiment.rows import ledger_row, message, partition_of, prediction_row
from tickloom.store.ledger import COLUMNS, MOST_ROWS, PREDICTION

MESSAGE = Draft202012Validator(schemas.load("forecast.v1"))


def test_the_message_fits_its_schema_and_leaves_unknown_bounds_null():
    key, value = message(forecast(lo_95=math.nan))
    body = json.loads(value)
    MESSAGE.validate(body)
    assert key == b"AAPL"
    assert body["id"] == "one|champion|AAPL|1d|2024-03-15|1"
    assert (body["cutoff"], body["ds"], body["lo_95"], body["lo_80"]) == ("2024-03-15", "2024-03-18", None, 98.0)
    assert body["recorded"] == "2024-03-15T20:00:00.123000Z"


def test_the_messages_id_is_that_of_the_key_alone():
    ids = [json.loads(message(forecast(**it))[1])["id"] for it in ({}, {"request": "r-2", "y_hat": 9.0}, {"arm": "b"})]
    assert ids[0] == ids[1] != ids[2]


def test_every_cell_has_a_column():
    assert set(ledger_row(forecast())) <= set(COLUMNS)
    assert set(PREDICTION) <= set(prediction_row(forecast()))
    assert prediction_row(forecast())["cutoff"] == CUTOFF * 86_400_000


@pytest.mark.parametrize("tickers", [1, 40])
def test_no_two_batches_of_a_partition_go_together_and_none_is_left_out(tickers):
    mine = [
        forecast(ticker=f"T{i % tickers}", cutoff=CUTOFF + i % 300, horizon=1 + i // 300, shadow=shadow)
        for shadow in (False, True)
        for i in range(1200)
    ]
    sent = []
    for wave in _waves(mine):
        partitions = [{partition_of(one) for one in batch} for batch in wave]
        assert all(len(found) == 1 for found in partitions)
        assert len(set.union(*partitions)) == len(wave)
        for batch in wave:
            assert len({one.key for one in batch}) == len(batch) <= MOST_ROWS
            sent += batch
    assert sorted(sent, key=repr) == sorted(mine, key=repr)
