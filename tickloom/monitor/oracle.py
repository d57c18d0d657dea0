"""What could be found at all: a watcher who knows how the series is made, as a ceiling for those who do not."""

import numba
import numpy as np

from tickloom.monitor.resampling import Floats

_REACH = 40  # sessions that a change may lie back


@numba.njit(cache=True)
def shiryaev_roberts(returns: Floats, alpha: float, beta: float, factor: float, first: int) -> Floats:
    """Return the log of the Shiryaev-Roberts statistic after each return of a GARCH(1,1) with unit variance.

    It sums, over all sessions of the last 40 on which volatility may have been multiplied by ``factor``, how much
    likelier the returns are that way than without a change; of all rules with as many false alarms it is among the
    quickest (Pollak and Tartakovsky 2009, Statistica Sinica 19, 1729-1739). Before ``first`` it is 0.
    """
    n = len(returns)
    rest = 1.0 - alpha - beta
    usual = np.ones(n + 1)
    for t in range(n):
        usual[t + 1] = rest + alpha * returns[t] ** 2 + beta * usual[t]
    found = np.zeros(n)
    for t in range(first, n):
        total = 0.0
        for begun in range(max(0, t - _REACH + 1), t + 1):
            calm, likelier = usual[begun], 0.0
            for u in range(begun, t + 1):
                loud = calm * factor * factor
                likelier += 0.5 * (np.log(usual[u] / loud) + returns[u] ** 2 * (1.0 / usual[u] - 1.0 / loud))
                calm = rest + alpha * (returns[u] / factor) ** 2 + beta * calm
            total += np.exp(likelier)
        found[t] = np.log(total)
    return found
