"""Price blocks as JSON messages of the schema ``price.v1``."""

import json

import numpy as np

from tickloom.sources.blocks import Floats, Ints, PriceBlock


def prices(block: PriceBlock) -> list[bytes]:
    """Return the message of each record, in order.

    Times have microseconds and a ``Z``; prices are the shortest decimals that read back as the same double; an
    unknown volume is null. ``interval``, ``open``, ``high`` and ``low`` are there only where all of them are known.
    """
    heads = [f'{{"v":1,"ticker":{json.dumps(ticker)},"time":"' for ticker in block.tickers]
    tail = f',"source":{json.dumps(block.source)},"sequence":'
    starts = [heads[code] for code in block.codes.tolist()]
    ends = _ends(block)
    stamps, volumes = iso(block.time_us), _volumes(block.volume)
    rows = zip(starts, stamps, block.price.tolist(), volumes, block.sequence.tolist(), ends, strict=True)
    text = "\n".join([f'{a}{t}Z","price":{p!r},"volume":{v}{tail}{s}{e}' for a, t, p, v, s, e in rows])
    return text.encode().split(b"\n") if text else []


def iso(time_us: Ints) -> list[str]:
    """Return UTC microseconds as ISO-8601 with microseconds, without the ``Z``."""
    stamps: list[str] = np.datetime_as_string(time_us.view("datetime64[us]"), unit="us").tolist()
    return stamps


def _volumes(volume: Ints) -> list[int | str]:
    known: list[int | str] = volume.tolist()
    for i in np.flatnonzero(volume < 0).tolist():
        known[i] = "null"
    return known


def _ends(block: PriceBlock) -> list[str]:
    if block.interval is None or block.open is None or block.high is None or block.low is None:
        return ["}"] * len(block)
    head = f',"interval":{json.dumps(block.interval)},"open":'
    columns: tuple[Floats, ...] = (block.open, block.high, block.low)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    ends = [f'{head}{o!r},"high":{h!r},"low":{low!r}}}' for o, h, low in rows]
    for i in np.flatnonzero(np.isnan(np.stack(columns)).any(axis=0)).tolist():
        ends[i] = "}"
    return ends
