"""The indicators, family by family: averages and oscillators of prices."""

from tickloom.indicators.books import APPEL, LANE, MURPHY, WILDER
from tickloom.indicators.spec import SKIP, Family, Numbers

BAR = ("high", "low", "close")
RANGE = ("stoch_k", "stoch_d", "williams_r")
LAG = ("close_lag", "momentum", "roc")
MACD = ("macd", "macd_signal", "macd_hist")


def first(values: Numbers) -> float:
    """Warm-up of what looks n rows back."""
    return values[0]


def less_one(values: Numbers) -> float:
    """Warm-up of what takes n rows, the current one among them."""
    return values[0] - 1


def _macd(name: str, output: int, formula: str) -> Family:
    return Family(
        name,
        "macd",
        output,
        MACD,
        ("close",),
        warmup=lambda p: p[1] + p[2] - 2,
        formula=formula,
        source=APPEL,
        parameters=(("fast", 12), ("slow", 26), ("signal", 9)),
        defaults=((12, 26, 9),),
        talib=lambda p: f"talib.MACD(close, {p[0]:g}, {p[1]:g}, {p[2]:g})[{output}]",
        unknown=SKIP,
        least=2,
        rising=2,
    )


def _stoch(name: str, output: int, formula: str) -> Family:
    return Family(
        name,
        "range",
        output,
        RANGE,
        BAR,
        warmup=lambda p: p[0] + p[1] - 2,
        formula=formula,
        source=LANE,
        parameters=(("k", 14), ("d", 3)),
        defaults=((14, 3),),
        talib=lambda p: f"talib.STOCHF(high, low, close, {p[0]:g}, {p[1]:g})[{output}]",
        differences=("NaN where highest and lowest are equal; TA-Lib says 0",),
    )


PRICES: tuple[Family, ...] = (
    Family(
        "sma",
        "mean",
        0,
        ("sma",),
        ("close",),
        warmup=less_one,
        formula="mean of the last n closes",
        source=MURPHY,
        parameters=(("n", 20),),
        defaults=((5,), (10,), (20,), (50,), (200,)),
        suffixed=True,
        talib=lambda p: f"talib.SMA(close, {p[0]:g})",
        least=2,
    ),
    Family(
        "ema",
        "ema",
        0,
        ("ema",),
        ("close",),
        warmup=less_one,
        formula="previous + 2 / (n + 1) × (close − previous), seeded with the mean of the first n closes",
        source=MURPHY,
        parameters=(("n", 12),),
        defaults=((5,), (10,), (12,), (26,)),
        suffixed=True,
        talib=lambda p: f"talib.EMA(close, {p[0]:g})",
        unknown=SKIP,
        least=2,
    ),
    Family(
        "rsi",
        "rsi",
        0,
        ("rsi",),
        ("close",),
        warmup=first,
        formula="100 × G / (G + L), Wilder's averages of gains and losses, seeded with the means of the first n",
        source=WILDER,
        parameters=(("n", 14),),
        defaults=((14,),),
        suffixed=True,
        talib=lambda p: f"talib.RSI(close, {p[0]:g})",
        differences=("NaN as long as no close has ever changed; TA-Lib says 0",),
        unknown=SKIP,
        least=2,
    ),
    _macd("macd", 0, "EMA(fast) − EMA(slow), both seeded at row slow − 1; shown from the signal's first row on"),
    _macd("macd_signal", 1, "EMA(signal) of macd, seeded with the mean of its first values"),
    _macd("macd_hist", 2, "macd − macd_signal"),
    _stoch("stoch_k", 0, "100 × (close − lowest low) / (highest high − lowest low) of the last k bars; shown with %D"),
    _stoch("stoch_d", 1, "mean of the last d values of stoch_k"),
    Family(
        "roc",
        "lag",
        2,
        LAG,
        ("close",),
        warmup=first,
        formula="100 × (close / close n rows ago − 1), in percent",
        source=MURPHY,
        parameters=(("n", 10),),
        defaults=((5,), (10,), (20,)),
        suffixed=True,
        talib=lambda p: f"talib.ROC(close, {p[0]:g})",
        differences=("NaN where the earlier close is 0; TA-Lib says 0",),
    ),
    Family(
        "momentum",
        "lag",
        1,
        LAG,
        ("close",),
        warmup=first,
        formula="close − close n rows ago",
        source=MURPHY,
        parameters=(("n", 10),),
        defaults=((5,), (10,), (20,)),
        suffixed=True,
        talib=lambda p: f"talib.MOM(close, {p[0]:g})",
    ),
)
