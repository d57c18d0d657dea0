"""``tickloom bench forecast``: whether verdicts are true, leaks are caught, intervals cover, and how fast it all is."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from scipy import stats

from tickloom.bench.leaks import LEAKS
from tickloom.bench.report import Result
from tickloom.forecast.features import FeatureFrame, feature_frame
from tickloom.forecast.folds import Plan
from tickloom.forecast.histories import from_file
from tickloom.forecast.history import Floats, History
from tickloom.forecast.models import REFERENCE, load, make
from tickloom.forecast.significance import LEVEL, verdicts
from tickloom.forecast.walk import walk_forward
from tickloom.forecast.workers import workers
from tickloom.market.sessions import session_table

RUNS, NETWORK_RUNS, SIGNAL_RUNS = 400, 40, 20
PHI = 0.3
SMALL = {"window": 5, "width": 0.25, "epochs": 20}
"""Of the network whose verdicts are tried: one lag needs no long window, and a full one takes twenty times as long."""
SEEDS = 5
"""Of each network, whose losses' mean is judged, as in an evaluation."""
TICKERS = ("AAPL", "CAT", "CVX", "MSFT")
_TRAIN, _TEST = 1000, 500
_SIGNAL_TRAIN, _SIGNAL_TEST = 3000, 1000
_WARM = 199  # sessions that the slowest feature takes to begin
_ONCE = 1000
Say = Callable[[str], None]


def run(progress: Say, *, share: float = 1.0) -> Result:
    """Measure all of it; ``share`` takes a part of the runs, for a quick look."""
    figures: dict[str, float] = {}
    peers: dict[str, float] = {}
    figures |= _truth(progress, share)
    caught = 0
    for number, (name, leak) in enumerate(LEAKS.items(), start=1):
        progress(f"leak {number} of {len(LEAKS)}: {name}")
        caught += leak.check in leak.caught_by()
    figures |= {"leaks_caught": caught, "leaks_planted": len(LEAKS)}
    figures |= _coverage(progress)
    figures["features_s"] = _features(progress)
    timed, beside = _network(progress)
    figures |= timed
    peers |= beside
    on_gpu, gpu_peers, gpu_ratios = _gpu(progress)
    figures |= on_gpu
    peers |= gpu_peers
    ratios = {
        "epoch_to_bare_loop": timed["epoch_cpu_s"] / beside["bare_epoch_cpu_s"],
        "onnx_to_bare": timed["onnx_p50_ms"] / beside["bare_onnx_p50_ms"],
        **gpu_ratios,
    }
    return Result("forecast", figures, peers, ratios, _notes(share))


def made_history(n: int, phi: float, seed: int) -> History:
    """Return daily bars whose log-returns are an autoregression; with ``phi`` 0 a random walk.

    Highs, lows and volumes are drawn around the closes and know nothing of what comes.
    """
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.01, n)
    moves = np.empty(n)
    moves[0] = noise[0]
    for row in range(1, n):
        moves[row] = phi * moves[row - 1] + noise[row]
    close = 100 * np.exp(np.cumsum(moves))
    opened = np.concatenate(([100.0], close[:-1])) * np.exp(rng.normal(0, 0.002, n))
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, 0.003, n)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, 0.003, n)))
    volume: Floats = np.exp(rng.normal(10, 0.5, n)).round()
    days = session_table("XNYS").day[-n - 300 : -300]
    return History("MADE", "XNYS", days, opened, high, low, close, volume, f"seed {seed}")


def judged(names: Sequence[str], phi: float, train: int, test: int, seed: int) -> dict[str, str]:
    """Return each model's verdict one session ahead, Holm-corrected over ``names``, on one made series."""
    frame = feature_frame(made_history(_WARM + train + test + 3, phi, seed))
    options: dict[str, dict[str, Any]] = {name: SMALL for name in names if make(name, 1).random}
    long = walk_forward(frame, [REFERENCE, *names], Plan(1, test, 1), seeds=range(SEEDS), options=options)
    long["loss"] = np.log(long["y"] / long["y_hat"]) ** 2
    losses = long.groupby(["cutoff", "model"], sort=True)["loss"].mean().unstack("model")
    return {str(name): str(found) for name, found in verdicts(losses, REFERENCE, 1)["verdict"].items()}


def lower_bound(hits: int, runs: int) -> float:
    """Return the one-sided 95 % lower bound of a share (Clopper and Pearson 1934)."""
    return float(stats.beta.ppf(LEVEL, hits, runs - hits + 1)) if hits else 0.0


def _truth(progress: Say, share: float) -> dict[str, float]:
    runs, networks, signals = (max(2, round(it * share)) for it in (RUNS, NETWORK_RUNS, SIGNAL_RUNS))
    plain = ("ridge", "ar1", "lightgbm")
    with workers(os.cpu_count() or 1) as pool:
        wrong = {
            "plain": _count(pool, progress, "random walks", plain, 0.0, _TRAIN, _TEST, runs),
            "lstm": _count(pool, progress, "random walks, LSTM", ("lstm",), 0.0, _TRAIN, _TEST, networks),
        }
        seen = {
            name: _count(pool, progress, f"AR(1), {name}", (name,), PHI, _SIGNAL_TRAIN, _SIGNAL_TEST, signals) / signals
            for name in ("ridge", "lstm")
        }
    bounds = (lower_bound(wrong["plain"], runs), lower_bound(wrong["lstm"], networks))
    return {
        "false_beats_naive_lower_bound": max(bounds),
        "false_beats_naive_share": wrong["plain"] / runs,
        "false_beats_naive_lstm_share": wrong["lstm"] / networks,
        "ar1_detected": float(seen["ridge"] >= 0.95 and seen["lstm"] >= 0.8),
        "ar1_ridge_share": seen["ridge"],
        "ar1_lstm_share": seen["lstm"],
    }


def _count(
    pool: ProcessPoolExecutor,
    progress: Say,
    what: str,
    names: Sequence[str],
    phi: float,
    train: int,
    test: int,
    runs: int,
) -> int:
    """Return in how many runs some model was said to beat the random walk."""
    hits = 0
    for number, found in enumerate(pool.map(partial(judged, names, phi, train, test), range(runs)), start=1):
        hits += "beats_naive" in found.values()
        if number % max(1, runs // 10) == 0:
            progress(f"{what}: {hits} of {number} runs beat the naive one")
    return hits


def _histories() -> Iterator[History]:
    named = os.environ.get("TICKLOOM_DATA")
    for seed, ticker in enumerate(TICKERS):
        path = Path(named or "") / "us_daily" / f"{ticker}.csv"
        yield from_file(path) if named and path.is_file() else made_history(6000, 0.0, 1000 + seed)


def _coverage(progress: Say) -> dict[str, float]:
    """Return how far pooled coverage one session ahead is from what it is to be, in points, the worst of levels."""
    from tickloom.forecast.evaluation import evaluate

    progress("coverage of intervals")
    histories = list(_histories())
    named = [type(it)(f"{it.ticker}{at}", *[getattr(it, name) for name in _FIELDS]) for at, it in enumerate(histories)]
    found = evaluate(named, [REFERENCE, "ridge"], Plan(7, 125, 1), jobs=os.cpu_count() or 1)
    long = found.long[found.long["lo-80"].notna() & found.long["y"].notna()]
    off = [
        abs(100 * float(one["y"].between(one[f"lo-{level}"], one[f"hi-{level}"]).mean()) - level)
        for _, one in long.groupby("model")
        for level in (80, 95)
    ]
    return {"coverage_error_points": max(off), "coverage_points": len(long) // long["model"].nunique()}


_FIELDS = ("market", "day", "open", "high", "low", "close", "volume", "origin")


def _features(progress: Say) -> float:
    """Return how long the features of 500 tickers of 2,500 days take, in seconds."""
    histories = [made_history(2500, 0.0, seed) for seed in range(50)]
    feature_frame(histories[0])  # compiles
    progress("features of 500 tickers")
    begin = time.perf_counter()
    for _ in range(10):
        for history in histories:
            feature_frame(history)
    return time.perf_counter() - begin


def _network(progress: Say) -> tuple[dict[str, float], dict[str, float]]:
    frame = feature_frame(made_history(6000, 0.0, 7))
    progress("training a simple LSTM on 6,000 days")
    model = make("lstm", 5, threads=os.cpu_count() or 1)
    began, used = time.perf_counter(), time.process_time()
    model.fit(frame)
    seconds, used = time.perf_counter() - began, time.process_time() - used
    epochs = len(getattr(model, "epochs"))  # noqa: B009
    bare = _bare_epoch(frame)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
        served = load(Path(folder))
        rows = np.arange(len(frame) - 64, len(frame))
        one = median(_timed(lambda: served.predict(frame, rows[-1:])) for _ in range(_ONCE))
        many = median(_timed(lambda: served.predict(frame, rows)) for _ in range(50))
        bare_one, bare_many = _bare_onnx(Path(folder), frame)
    timed = {
        "lstm_train_s": seconds,
        "lstm_epochs": epochs,
        "epoch_cpu_s": used / epochs,
        "onnx_p50_ms": one,
        "onnx_batch64_ms": many,
    }
    return timed, {"bare_epoch_cpu_s": bare, "bare_onnx_p50_ms": bare_one, "bare_onnx_batch64_ms": bare_many}


def _gpu(progress: Say) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Return windows a second and utilisation on a GPU, those of a plain loop, and their ratio; nothing without one."""
    import torch

    from tickloom.bench import accelerator

    if not torch.cuda.is_available():
        return {}, {}, {}
    progress(f"training on {torch.cuda.get_device_name()}")
    frame = feature_frame(made_history(6000, 0.0, 7))
    bare, ours = accelerator.bare(frame, "cuda"), accelerator.trained(frame, "cuda")

    def told(it: accelerator.Throughput, prefix: str) -> dict[str, float]:
        busy = {} if it.utilisation is None else {f"{prefix}gpu_utilisation_percent": it.utilisation}
        return {f"{prefix}gpu_windows_per_second": it.windows_per_second, **busy}

    ratio = ours.windows_per_second / bare.windows_per_second
    return told(ours, ""), told(bare, "bare_"), {"gpu_to_bare_loop": ratio}


def _bare_epoch(frame: FeatureFrame) -> float:
    """Return the processor seconds of an epoch of the same network in a plain loop over ready windows."""
    from tickloom.bench import accelerator

    epoch, _ = accelerator.plain_epoch(frame, "cpu")
    begin = time.process_time()
    epoch()
    return time.process_time() - begin


def _bare_onnx(folder: Path, frame: FeatureFrame) -> tuple[float, float]:
    import onnxruntime

    from tickloom.forecast.models.graphs import GRAPH
    from tickloom.forecast.windows import windows_at

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession((folder / GRAPH).read_bytes(), options, providers=["CPUExecutionProvider"])
    windows = np.ascontiguousarray(windows_at(frame.values, np.arange(len(frame) - 64, len(frame)), 60))
    name = session.get_inputs()[0].name
    one = median(_timed(lambda: session.run(None, {name: windows[-1:]})) for _ in range(_ONCE))
    return one, median(_timed(lambda: session.run(None, {name: windows})) for _ in range(50))


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begin)


def _notes(share: float) -> tuple[str, ...]:
    runs, networks, signals = (max(2, round(it * share)) for it in (RUNS, NETWORK_RUNS, SIGNAL_RUNS))
    data = "AAPL, CAT, CVX and MSFT" if os.environ.get("TICKLOOM_DATA") else "four made random walks"
    return (
        f"False verdicts: {runs} random walks of {_TRAIN:,} + {_TEST} sessions for ridge, AR(1) and LightGBM together "
        f"(Holm), {networks} for an LSTM of width {SMALL['width']} on windows of {SMALL['window']} "
        f"with {SEEDS} seeds; the bound is of the share of runs in which any of "
        "them was said to beat the random walk.",
        f"`ar1_detected`: {signals} series with φ = {PHI}, {_SIGNAL_TRAIN:,} + {_SIGNAL_TEST:,} sessions; 1 when the "
        "ridge is said to be better in 95 % and the LSTM in 80 %.",
        f"Coverage: 80 and 95 % one session ahead, pooled over {data} and seven folds of 125, ridge and random walk; "
        "the worst of them.",
        "`epoch_cpu_s` holds validation and clipping too; the bare loop is the same network on windows made "
        "beforehand.",
        "`onnx_*` is a forecast from a frame, checks included, on one thread; the bare one is onnxruntime alone.",
    )
