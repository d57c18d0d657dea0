"""The compiled loops over closes: one function per family.

Each takes its input columns, its slice ``s`` of the state, its arguments and one column per output, and leaves in ``s``
what the next block needs; ``layout.py`` says how long a slice is.

What is summed over a window is summed afresh whenever the ring wraps, counted from the series' first row: rounding
cannot pile up, and where a block ends makes no difference.
"""

import math

import numpy as np

from tickloom.indicators.compiler import Floats, Ints, inner

nan, isnan = math.nan, math.isnan
TILE = 128


@inner
def mean(x: Floats, s: Floats, n: int, out: Floats, ratio: Floats) -> None:
    """Mean of a window, and the newest value over it; ``run`` gives ``sma`` and ``volume`` their columns."""
    at, seen, bad, total, zeros, ring = int(s[0]), int(s[1]), int(s[2]), s[3], int(s[4]), s[5:]
    for i in range(len(x)):
        new, old = x[i], ring[at]
        ring[at] = new
        if not isnan(old):
            total -= old
        else:
            bad -= 1
        if not isnan(new):
            total += new
        else:
            bad += 1
        zeros = zeros + 1 if new == 0.0 else 0
        if zeros >= n:
            total = 0.0
        at += 1
        seen = min(seen + 1, n)
        if at == n:
            at, total = 0, 0.0
            for j in range(n):
                if not isnan(ring[j]):
                    total += ring[j]
        known = seen == n and bad == 0
        out[i] = total / n if known else nan
        ratio[i] = new / (total / n) if known and zeros < n else nan
    s[0], s[1], s[2], s[3], s[4] = at, seen, bad, total, zeros


@inner
def ema(x: Floats, s: Floats, n: int, out: Floats) -> None:
    """Exponential average; until it is seeded ``value`` holds the sum of the seed."""
    seen, value, k = int(s[0]), s[1], 2.0 / (n + 1)
    for i in range(len(x)):
        out[i] = nan
        if isnan(x[i]):
            continue
        if seen < n:
            seen += 1
            value += x[i]
            if seen == n:
                value /= n
        else:
            value += (x[i] - value) * k
        if seen == n:
            out[i] = value
    s[0], s[1] = seen, value


@inner
def rsi(x: Floats, s: Floats, n: int, out: Floats) -> None:
    """Wilder's averages of gains and losses."""
    seen, last, gain, loss = int(s[0]), s[1], s[2], s[3]
    for i in range(len(x)):
        out[i] = nan
        if isnan(x[i]):
            continue
        change, last = x[i] - last, x[i]
        if seen <= n:
            seen += 1
            if seen > 1:
                gain += max(change, 0.0)
                loss += max(-change, 0.0)
            if seen == n + 1:
                gain /= n
                loss /= n
        else:
            gain = (gain * (n - 1) + max(change, 0.0)) / n
            loss = (loss * (n - 1) + max(-change, 0.0)) / n
        if seen > n and gain + loss > 0.0:
            out[i] = 100.0 * (gain / (gain + loss))
    s[0], s[1], s[2], s[3] = seen, last, gain, loss


@inner
def macd(x: Floats, s: Floats, fast: int, slow: int, signal: int, out: Floats, line: Floats, hist: Floats) -> None:
    """Fast and slow average, both seeded at row slow − 1, and the signal, seeded with the mean of its first values."""
    seen, a, b, c = int(s[0]), s[1], s[2], s[3]
    k, kb, kc, first = 2.0 / (fast + 1), 2.0 / (slow + 1), 2.0 / (signal + 1), slow + signal - 1
    for i in range(len(x)):
        out[i] = line[i] = hist[i] = nan
        if isnan(x[i]):
            continue
        seen = min(seen + 1, first + 1)
        if seen <= slow:
            b += x[i]
            if seen > slow - fast:
                a += x[i]
            if seen == slow:
                a, b = a / fast, b / slow
        else:
            a += (x[i] - a) * k
            b += (x[i] - b) * kb
        gap = a - b
        if seen > first:
            c += (gap - c) * kc
        elif seen >= slow:
            c += gap
            if seen == first:
                c /= signal
        if seen >= first:
            out[i], line[i], hist[i] = gap, c, gap - c
    s[0], s[1], s[2], s[3] = seen, a, b, c


@inner
def lag(x: Floats, s: Floats, n: int, out: Floats, momentum: Floats, roc: Floats) -> None:
    """The close n rows ago, and the change since; the ring begins as NaN."""
    at, ring = int(s[0]), s[1:]
    for i in range(len(x)):
        old = ring[at]
        ring[at] = x[i]
        at = at + 1 if at + 1 < n else 0
        out[i], momentum[i] = old, x[i] - old
        roc[i] = (x[i] / old - 1.0) * 100.0 if old != 0.0 else nan
    s[0] = at


@inner
def deviations(w: Floats, n: int, center: Floats, squares: Floats) -> None:
    """Measure the windows ``w[i : i + n]``: mean less the first value, and sum of squared deviations from the mean.

    Two passes, from a window's oldest value to its newest, many windows side by side. A flat window gives exactly 0.
    """
    count = len(center)
    first = w[:count]
    center[:] = 0.0
    squares[:] = 0.0
    for j in range(n):
        value = w[j : j + count]
        for i in range(count):
            center[i] += value[i] - first[i]
    for i in range(count):
        center[i] /= n
    for j in range(n):
        value = w[j : j + count]
        for i in range(count):
            gap = value[i] - first[i] - center[i]
            squares[i] += gap * gap


@inner
def moments(
    x: Floats, s: Floats, n: int, sigmas: float, up: Floats, middle: Floats, down: Floats, width: Floats, std: Floats
) -> None:
    """Mean and population deviation; ``s`` is the last n closes, NaN before the first, which makes the warm-up."""
    tile = min(len(x), TILE)
    w, center, squares = np.empty(n + tile), np.empty(tile), np.empty(tile)
    w[:n] = s
    for begin in range(0, len(x), TILE):
        count = min(TILE, len(x) - begin)
        w[n : n + count] = x[begin : begin + count]
        deviations(w[1:], n, center[:count], squares[:count])
        for i in range(count):
            at, average, deviation = begin + i, center[i] + w[i + 1], math.sqrt(squares[i] / n)
            up[at], down[at] = average + sigmas * deviation, average - sigmas * deviation
            middle[at], std[at] = average, deviation
            width[at] = (up[at] - down[at]) / average if average != 0.0 else nan
        w[:n] = w[count : count + n].copy()
    s[:] = w[:n]


@inner
def zscore(x: Floats, day: Ints, s: Floats, n: int, threshold: float, z: Floats, days: Floats) -> None:
    """Close against the n closes before it, and the days since it was last beyond the threshold."""
    marked, marked_day, tile = s[0], s[1], min(len(x), TILE)
    w, center, squares = np.empty(n + tile), np.empty(tile), np.empty(tile)
    w[:n] = s[2:]
    for begin in range(0, len(x), TILE):
        count = min(TILE, len(x) - begin)
        w[n : n + count] = x[begin : begin + count]
        deviations(w, n, center[:count], squares[:count])
        for i in range(count):
            at = begin + i
            z[at] = (x[at] - w[i] - center[i]) / math.sqrt(squares[i] / (n - 1)) if squares[i] > 0.0 else nan
            if abs(z[at]) > threshold:
                marked, marked_day = 1.0, float(day[at])
            days[at] = day[at] - marked_day if marked > 0.0 else nan
        w[:n] = w[count : count + n].copy()
    s[0], s[1], s[2:] = marked, marked_day, w[:n]
