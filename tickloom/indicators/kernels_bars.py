"""The compiled loops over whole bars, volumes and dates; the conventions are those of ``kernels.py``."""

import math

from tickloom.indicators.compiler import Floats, Ints, inner

nan, isnan = math.nan, math.isnan


@inner
def span(high: Floats, low: Floats, x: Floats, s: Floats, n: int, d: int, k: Floats, kd: Floats, r: Floats) -> None:
    """Where the close stands between the window's highest high and lowest low."""
    at, seen, bad, at_d = int(s[0]), int(s[1]), int(s[2]), int(s[3])
    top, top_age, bottom, bottom_age = s[4], int(s[5]), s[6], int(s[7])
    highs, lows, last = s[8 : 8 + n], s[8 + n : 8 + 2 * n], s[8 + 2 * n : 8 + 2 * n + d]
    for i in range(len(x)):
        if isnan(highs[at]) or isnan(lows[at]):
            bad -= 1
        highs[at], lows[at] = high[i], low[i]
        if isnan(high[i]) or isnan(low[i]):
            bad += 1
        at = at + 1 if at + 1 < n else 0
        seen = min(seen + 1, n + d)
        top_age += 1
        bottom_age += 1
        if seen == 1 or high[i] >= top:
            top, top_age = high[i], 0
        elif not top_age < n or isnan(top):
            top, top_age = -math.inf, 0
            for j in range(min(seen, n)):
                value = highs[at - 1 - j]
                if value > top:
                    top, top_age = value, j
        if seen == 1 or low[i] <= bottom:
            bottom, bottom_age = low[i], 0
        elif not bottom_age < n or isnan(bottom):
            bottom, bottom_age = math.inf, 0
            for j in range(min(seen, n)):
                value = lows[at - 1 - j]
                if value < bottom:
                    bottom, bottom_age = value, j
        known = seen >= n and bad == 0 and top > bottom
        percent = (x[i] - bottom) / ((top - bottom) / 100.0) if known else nan
        r[i] = (top - x[i]) / ((top - bottom) / -100.0) if known else nan
        last[at_d] = percent
        at_d = at_d + 1 if at_d + 1 < d else 0
        total = 0.0
        for j in range(d):
            total += last[at_d - d + j]
        full = seen >= n + d - 1
        k[i], kd[i] = percent if full else nan, total / d if full else nan
    s[0], s[1], s[2], s[3] = at, seen, bad, at_d
    s[4], s[5], s[6], s[7] = top, top_age, bottom, bottom_age


@inner
def atr(high: Floats, low: Floats, x: Floats, s: Floats, n: int, out: Floats) -> None:
    """Wilder's average of true ranges; the first bar has none."""
    seen, last, value = int(s[0]), s[1], s[2]
    for i in range(len(x)):
        out[i] = nan
        if isnan(high[i]) or isnan(low[i]) or isnan(x[i]):
            continue
        true_range = max(high[i], last) - min(low[i], last)
        last = x[i]
        if seen <= n:
            seen += 1
            if seen > 1:
                value += true_range
            if seen == n + 1:
                value /= n
        else:
            value = (value * (n - 1) + true_range) / n
        if seen > n:
            out[i] = value
    s[0], s[1], s[2] = seen, last, value


@inner
def ultimate(high: Floats, low: Floats, x: Floats, s: Floats, short: int, middle: int, n: int, out: Floats) -> None:
    """Buying pressure over true range in three windows; ``flat`` counts the newest bars without any range."""
    at, seen, flat, last = int(s[0]), int(s[1]), int(s[2]), s[3]
    a, b, c, u, v, w = s[4], s[5], s[6], s[7], s[8], s[9]
    pressures, ranges = s[10 : 10 + n], s[10 + n : 10 + 2 * n]
    for i in range(len(x)):
        out[i] = nan
        if isnan(high[i]) or isnan(low[i]) or isnan(x[i]):
            continue
        bottom = min(low[i], last)
        pressure, reach = x[i] - bottom, max(high[i], last) - bottom
        last = x[i]
        seen = min(seen + 1, n + 1)
        if seen == 1:
            continue
        a += pressure - pressures[at - short]
        b += pressure - pressures[at - middle]
        c += pressure - pressures[at]
        u += reach - ranges[at - short]
        v += reach - ranges[at - middle]
        w += reach - ranges[at]
        pressures[at], ranges[at] = pressure, reach
        flat = 0 if reach > 0.0 else flat + 1
        at += 1
        if at == n:
            at, a, b, c, u, v, w = 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for j in range(n):
                c += pressures[j]
                w += ranges[j]
                if j >= n - middle:
                    b += pressures[j]
                    v += ranges[j]
                if j >= n - short:
                    a += pressures[j]
                    u += ranges[j]
        if seen > n and flat < short:
            out[i] = 100.0 * ((4.0 * a / u + 2.0 * b / v + c / w) / 7.0)
    s[0], s[1], s[2], s[3] = at, seen, flat, last
    s[4], s[5], s[6], s[7], s[8], s[9] = a, b, c, u, v, w


@inner
def obv(x: Floats, volume: Floats, s: Floats, out: Floats) -> None:
    """Volume with the sign of the close's change, summed from the first volume on."""
    seen, last, value = s[0], s[1], s[2]
    for i in range(len(x)):
        out[i] = nan
        if isnan(x[i]) or isnan(volume[i]):
            continue
        if seen == 0.0 or x[i] > last:
            value += volume[i]
        elif x[i] < last:
            value -= volume[i]
        seen, last, out[i] = 1.0, x[i], value
    s[0], s[1], s[2] = seen, last, value


@inner
def vwap(day: Ints, high: Floats, low: Floats, x: Floats, volume: Floats, s: Floats, out: Floats) -> None:
    """Typical price weighted with volume since the day's first bar; an unknown input makes both sums NaN until then."""
    seen, today, notional, total = s[0], s[1], s[2], s[3]
    for i in range(len(x)):
        if seen == 0.0 or day[i] != today:
            seen, today, notional, total = 1.0, float(day[i]), 0.0, 0.0
        notional += (high[i] + low[i] + x[i]) / 3.0 * volume[i]
        total += volume[i]
        out[i] = notional / total if total != 0.0 else nan
    s[0], s[1], s[2], s[3] = seen, today, notional, total


@inner
def calendar(day: Ints, weekday: Floats, month: Floats, quarter: Floats) -> None:
    """Weekday, month and quarter of days since 1970-01-01, a Thursday; years are counted from March (H. Hinnant)."""
    begin, value = -1, 0
    for i in range(len(day)):
        number = int(day[i]) + 719468
        if begin < 0 or not begin <= number < begin + 28:
            of_era = number % 146097
            year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
            of_year = of_era - (365 * year + year // 4 - year // 100)
            from_march = (5 * of_year + 2) // 153
            value = from_march + 3 if from_march < 10 else from_march - 9
            begin = number - of_year + (153 * from_march + 2) // 5
        weekday[i], month[i], quarter[i] = (number + 2) % 7, value, (value + 2) // 3
