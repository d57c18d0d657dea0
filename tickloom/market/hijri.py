"""Islamic month starts as Morocco observes them, estimated from the age of the moon."""

import math
from datetime import date, datetime, timedelta
from functools import lru_cache

_J2000 = datetime(2000, 1, 1, 12)
_LUNATION_OF_EPOCH = 17037  # counts of lunations from 1 Muharram 1 AH to the new moon of 2000-01-06
_EVENING_HOUR = 18.5  # UTC; about half an hour after sunset in Morocco on average
_AGE_SEEN_HOURS = 21.25

# Jean Meeus, Astronomical Algorithms, 2nd edition, chapter 49, table of corrections for the new moon:
# coefficient in days, power of the eccentricity factor, multiples of M, M', F. Terms below 0.0003 d (26 s) are absent.
_TERMS = (
    (-0.40720, 0, 0, 1, 0),
    (0.17241, 1, 1, 0, 0),
    (0.01608, 0, 0, 2, 0),
    (0.01039, 0, 0, 0, 2),
    (0.00739, 1, -1, 1, 0),
    (-0.00514, 1, 1, 1, 0),
    (0.00208, 2, 2, 0, 0),
    (-0.00111, 0, 0, 1, -2),
    (-0.00057, 0, 0, 1, 2),
    (0.00056, 1, 1, 2, 0),
    (-0.00042, 0, 0, 3, 0),
    (0.00042, 1, 1, 0, 2),
    (0.00038, 1, 1, 0, -2),
)


def new_moon(k: int) -> datetime:
    """Return the UTC time of the ``k``-th new moon after that of 2000-01-06, within about three minutes.

    Source: Meeus, Astronomical Algorithms, chapter 49; terrestrial time is taken as UTC plus 69 seconds.
    """
    t = k / 1236.85
    jde = 2451550.09766 + 29.530588861 * k + 0.00015437 * t * t
    e = 1 - 0.002516 * t - 0.0000074 * t * t
    m = math.radians(2.5534 + 29.10535670 * k)
    mp = math.radians(201.5643 + 385.81693528 * k + 0.0107582 * t * t)
    f = math.radians(160.7108 + 390.67050284 * k - 0.0016118 * t * t)
    node = math.radians(124.7746 - 1.56375588 * k)
    days = jde - 2451545.0 - 0.00017 * math.sin(node)
    for size, power, im, imp, i_f in _TERMS:
        days += size * e**power * math.sin(im * m + imp * mp + i_f * f)
    return _J2000 + timedelta(days=days, seconds=-69)


@lru_cache(maxsize=4096)
def month_start(year: int, month: int) -> date:
    """Return the Gregorian date of the first day of a Hijri month, as Morocco is likely to observe it.

    The month begins on the day after the first evening on which the moon is at least 21.25 hours old at 18:30 UTC. The
    threshold is fitted to 45 month starts of 2017 to 2026, of which it gives 44: the youngest moon that counted as seen
    was 22.0 hours old, the oldest unseen one 20.6, and the exception is Shawwal 1447 (17.1 hours). Morocco sights the
    moon with the eye, so a date that lies ahead may be wrong by one day until it is announced.
    """
    k = (year - 1) * 12 + (month - 1) - _LUNATION_OF_EPOCH
    moon = new_moon(k)
    evening = datetime(moon.year, moon.month, moon.day) + timedelta(hours=_EVENING_HOUR)
    while (evening - moon) < timedelta(hours=_AGE_SEEN_HOURS):
        evening += timedelta(days=1)
    return evening.date() + timedelta(days=1)
