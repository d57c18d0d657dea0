"""The one compiled entry point: it walks a program and calls the kernels that it names."""

from collections.abc import Callable
from functools import lru_cache

from tickloom.indicators import kernels, kernels_bars
from tickloom.indicators.compiler import Floats, Ints, outer, stamp
from tickloom.indicators.layout import OPCODES

MEAN, EMA, RSI, MACD, RANGE, LAG, MOMENTS, ATR, OBV, VOLUME, ULTIMATE, VWAP, ZSCORE, CALENDAR = range(len(OPCODES))
WIDTH = 11
_mean, _ema, _rsi, _macd, _lag = kernels.mean, kernels.ema, kernels.rsi, kernels.macd, kernels.lag
_moments, _zscore = kernels.moments, kernels.zscore
_span, _atr, _ultimate = kernels_bars.span, kernels_bars.atr, kernels_bars.ultimate
_obv, _vwap, _calendar = kernels_bars.obv, kernels_bars.vwap, kernels_bars.calendar
_SIGNATURE = "void(float64[:,::1], float64[::1], int32[::1], " + "float64[::1], " * 4 + "float64[:,::1])"

Run = Callable[[Floats, Floats, Ints, Floats, Floats, Floats, Floats, Floats], None]


@lru_cache(maxsize=1)
def runner() -> Run:
    """Compile ``run``, or load its compiled code, and return it.

    ``run(program, state, day, high, low, close, volume, out)`` writes state and out in place. A row of the program is
    the opcode, where its slice of the state begins and how long it is, three arguments, and five rows of ``out``. It
    checks no bounds.
    """
    version = stamp()

    def run(  # noqa: PLR0912 (one branch per kernel)
        program: Floats, state: Floats, day: Ints, high: Floats, low: Floats, x: Floats, volume: Floats, out: Floats
    ) -> None:
        if version == 0:  # part of the key of the compiled code on disk, as a captured value
            return
        for row in range(len(program)):
            op, begin, size = int(program[row, 0]), int(program[row, 1]), int(program[row, 2])
            n, m, p, real = int(program[row, 3]), int(program[row, 4]), int(program[row, 5]), program[row, 4]
            s = state[begin : begin + size]
            a, b, c = out[int(program[row, 6])], out[int(program[row, 7])], out[int(program[row, 8])]
            d, e = out[int(program[row, 9])], out[int(program[row, 10])]
            if op == MEAN:
                _mean(x, s, n, a, b)
            elif op == EMA:
                _ema(x, s, n, a)
            elif op == RSI:
                _rsi(x, s, n, a)
            elif op == MACD:
                _macd(x, s, n, m, p, a, b, c)
            elif op == RANGE:
                _span(high, low, x, s, n, m, a, b, c)
            elif op == LAG:
                _lag(x, s, n, a, b, c)
            elif op == MOMENTS:
                _moments(x, s, n, real, a, b, c, d, e)
            elif op == ATR:
                _atr(high, low, x, s, n, a)
            elif op == OBV:
                _obv(x, volume, s, a)
            elif op == VOLUME:
                _mean(volume, s, n, a, b)
            elif op == ULTIMATE:
                _ultimate(high, low, x, s, n, m, p, a)
            elif op == VWAP:
                _vwap(day, high, low, x, volume, s, a)
            elif op == ZSCORE:
                _zscore(x, day, s, n, real, a, b)
            elif op == CALENDAR:
                _calendar(day, a, b, c)

    compiled = outer(run)
    compiled.compile(_SIGNATURE)
    compiled.disable_compile()
    return compiled  # type: ignore[no-any-return]
