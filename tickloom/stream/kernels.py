"""The compiled loops of the stateful operator: order, de-duplication, z-scores, bars."""

import math

import numpy as np

from tickloom.indicators.compiler import inner, outer
from tickloom.stream.rows import UNKNOWN_VOLUME, Array


@outer
def is_sorted(time_us: Array, rank: Array, sequence: Array) -> bool:
    """Return whether the keys (time, rank of source, sequence) strictly increase."""
    for i in range(1, len(time_us)):
        if not less(time_us[i - 1], rank[i - 1], sequence[i - 1], time_us[i], rank[i], sequence[i]):
            return False
    return True


@inner
def less(a_us: int, a_rank: int, a_sequence: int, b_us: int, b_rank: int, b_sequence: int) -> bool:
    """Return whether key a comes before key b."""
    if a_us != b_us:
        return a_us < b_us
    if a_rank != b_rank:
        return a_rank < b_rank
    return a_sequence < b_sequence


@outer
def find_duplicates(
    time_us: Array, code: Array, sequence: Array, seen_us: Array, seen_code: Array, seen_sequence: Array, out: Array
) -> int:
    """Mark in ``out`` (bool) the rows whose key was seen, or stands earlier in this batch.

    The rows are sorted, so equal keys are neighbours; the seen keys are sorted by (time, code, sequence).
    Returns the number of marks.
    """
    marked = 0
    for i in range(len(time_us)):
        if i and time_us[i] == time_us[i - 1] and code[i] == code[i - 1] and sequence[i] == sequence[i - 1]:
            out[i] = True
            marked += 1
            continue
        low, high = 0, len(seen_us)
        while low < high:
            middle = (low + high) // 2
            if less(seen_us[middle], seen_code[middle], seen_sequence[middle], time_us[i], code[i], sequence[i]):
                low = middle + 1
            else:
                high = middle
        if (
            low < len(seen_us)
            and seen_us[low] == time_us[i]
            and seen_code[low] == code[i]
            and seen_sequence[low] == sequence[i]
        ):
            out[i] = True
            marked += 1
    return marked


@outer
def score(rows: Array, before: Array, window: int, threshold: float) -> Array:
    """Fill ``mean``, ``deviation``, ``z_score`` and ``anomaly`` of the rows that are not late.

    Each price is measured against the mean and the sample deviation of the ``window`` applied prices before it; the
    price itself is excluded. The sums are taken afresh from the oldest to the newest price, relative to the oldest one:
    nothing drifts, a flat window has a deviation of exactly 0, and how the series was split into batches makes no
    difference.

    Returns the prices to remember, oldest first, at most ``window`` of them.
    """
    history = np.empty(len(before) + len(rows))
    history[: len(before)] = before
    size = len(before)
    for i in range(len(rows)):
        if rows[i].late:
            continue
        price = rows[i].price
        if size >= window:
            first = size - window
            origin = history[first]
            total = 0.0
            for j in range(first, size):
                total += history[j] - origin
            shifted_mean = total / window
            squares = 0.0
            for j in range(first, size):
                gap = history[j] - origin - shifted_mean
                squares += gap * gap
            deviation = math.sqrt(squares / (window - 1))
            rows[i].mean = origin + shifted_mean
            rows[i].deviation = deviation
            if deviation > 0.0:
                z_score = (price - origin - shifted_mean) / deviation
                rows[i].z_score = z_score
                rows[i].anomaly = 1 if abs(z_score) > threshold else 0
        history[size] = price
        size += 1
    return history[max(0, size - window) : size].copy()


@outer
def build_bars(
    rows: Array,
    start_us: Array,
    end_us: Array,
    day: Array,
    rank: Array,
    interval_s: int,
    frontier_us: int,
    bars: Array,
    count: int,
) -> int:
    """Merge rows into ``bars[:count]`` (oldest first, with room for one more per row) and return the new count.

    ``start_us[i]`` is the start of the bar that row i belongs to, or negative where it belongs to none. A row of a bar
    at or before the frontier is left out: that bar is final. Open and close belong to the first and the last key,
    whatever the order of arrival.
    """
    for i in range(len(rows)):
        start = start_us[i]
        if start < 0 or start <= frontier_us:
            continue
        at = count
        while at > 0 and bars[at - 1].start_us > start:
            at -= 1
        is_new = at == 0 or bars[at - 1].start_us != start
        summary = rows[i].interval_s > 0
        price = rows[i].price
        opened = rows[i].open if summary else price
        high = rows[i].high if summary else price
        low = rows[i].low if summary else price
        if is_new:
            for j in range(count, at, -1):
                bars[j] = bars[j - 1]
            count += 1
            bar = bars[at]
            bar.start_us = start
            bar.end_us = end_us[i]
            bar.day = day[i]
            bar.interval_s = interval_s
            bar.open = opened
            bar.high = high
            bar.low = low
            bar.close = price
            bar.volume = UNKNOWN_VOLUME
            bar.notional = 0.0
            bar.ticks = 0
            bar.final = 0
            bar.first_us = bar.last_us = rows[i].time_us
            bar.first_source = bar.last_source = rows[i].source
            bar.first_sequence = bar.last_sequence = rows[i].sequence
        else:
            bar = bars[at - 1]
            bar.high = max(bar.high, high)
            bar.low = min(bar.low, low)
            mine = rank[rows[i].source]
            if less(rows[i].time_us, mine, rows[i].sequence, bar.first_us, rank[bar.first_source], bar.first_sequence):
                bar.open = opened
                bar.first_us = rows[i].time_us
                bar.first_source = rows[i].source
                bar.first_sequence = rows[i].sequence
            if less(bar.last_us, rank[bar.last_source], bar.last_sequence, rows[i].time_us, mine, rows[i].sequence):
                bar.close = price
                bar.last_us = rows[i].time_us
                bar.last_source = rows[i].source
                bar.last_sequence = rows[i].sequence
        bar.ticks += 1
        bar.dirty = 1
        if rows[i].volume >= 0:
            bar.volume = rows[i].volume if bar.volume < 0 else bar.volume + rows[i].volume
            typical = (high + low + price) / 3.0 if summary else price
            bar.notional += typical * rows[i].volume
    return count
