"""A topic full of everything: good prices, repeats, stragglers, rubbish, other people's records."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from tests.integration.stream.jobs import TICKERS, send, topic

STEPS = 1500
OPEN = datetime(2024, 3, 14, 13, 30, tzinfo=UTC).timestamp()


def price(ticker, second, value, sequence, **more):
    time = datetime.fromtimestamp(OPEN + second, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    body = {"v": 1, "ticker": ticker, "time": time, "price": round(value, 2), "volume": 10, "source": "test"}
    return ticker.encode(), json.dumps({**body, "sequence": sequence, **more}).encode()


def everything():
    """Return records and how many of each kind there are."""
    random = np.random.default_rng(5)
    walks = 100 * np.exp(np.cumsum(random.normal(0, 2e-3, (len(TICKERS), STEPS)), axis=1))
    records, kinds = [], {"good": 0, "repeats": 0, "late": 0, "dead": 0, "filtered": 0}
    for step in range(STEPS):
        for number, ticker in enumerate(TICKERS):
            records.append(price(ticker, step * 10, walks[number, step], step))
            kinds["good"] += 1
        dice = random.random(4)
        ticker = TICKERS[step % len(TICKERS)]
        if dice[0] < 0.1:
            records.append(records[-1 - step % 5])
            kinds["repeats"] += 1
        if dice[1] < 0.1 and step > 10:
            records.append(price(ticker, step * 10 - 65, 100.0, 100_000 + step))
            kinds["late"] += 1
        if dice[2] < 0.1:
            records.append(
                [
                    (ticker.encode(), b"rubbish"),
                    (None, b"no key"),
                    price(ticker, step * 10, -5.0, 200_000 + step),
                    (b"NOBODY", b"{}"),
                ][step % 4]
            )
            kinds["dead"] += 1
        if dice[3] < 0.1:
            records.append(price("CAT", step * 10, 50.0, step))
            kinds["filtered"] += 1
    return records, kinds


@pytest.fixture(scope="session")
def mixed(stack):
    """The topic, and how many records of each kind it holds."""
    records, kinds = everything()
    name = topic(stack.kafka, "mixed")
    send(stack.kafka, name, records)
    return name, kinds, len(records)
