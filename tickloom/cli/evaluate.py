"""``tickloom evaluate``: forecasters beside a random walk, fold by fold."""

import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tickloom.cli.forecasting import (
    AllowJumps,
    Column,
    Horizon,
    MaxGap,
    Options,
    check_writable,
    installed,
    market_of,
    model_options,
    naming,
    orderly,
)
from tickloom.cli.options import AsJson, Dates, FileTicker, Market
from tickloom.errors import TickloomError

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from tickloom.forecast.evaluation import Evaluation
    from tickloom.forecast.folds import Plan
    from tickloom.forecast.history import History

app = typer.Typer(rich_markup_mode=None, add_completion=False)
OUT = Path("evaluation")
_UNKNOWN = "–"


@app.command(
    epilog="Example: tickloom evaluate us_daily/AAPL.csv us_daily/MSFT.csv --models ridge --holdout 250 --out report"
)
@installed()
@orderly()
def evaluate(
    files: Annotated[list[Path], typer.Argument(help="CSV files of daily bars, one instrument each.")],
    ticker: FileTicker = None,
    column: Column = None,
    market: Market = None,
    dates: Dates = "auto",
    models: Annotated[
        str | None, typer.Option(help="Names, with commas, beside the baselines, which always run.")
    ] = None,
    horizon: Horizon = 5,
    folds: Annotated[int, typer.Option(min=1, help="Fits of each model.")] = 5,
    test: Annotated[int, typer.Option(min=1, help="Sessions that each fit forecasts from.")] = 125,
    scheme: Annotated[str, typer.Option(help="expanding or rolling.")] = "expanding",
    train: Annotated[
        int | None, typer.Option(min=1, help="Sessions that a rolling fit learns from; default what the first one has.")
    ] = None,
    option: Options = None,
    smooth: Annotated[
        bool, typer.Option("--smooth", help="Show the named models smoothed over their path, too (span 10).")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell what the models go by; about doubles the time of a network.")
    ] = False,
    holdout: Annotated[int, typer.Option(min=0, help="Sessions at the end that no fold touches.")] = 0,
    final: Annotated[bool, typer.Option("--final", help="Touch them: for the last report only.")] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each model that has chance in it.")] = 5,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default one for each core.")] = None,
    intervals: Annotated[str, typer.Option(help="split, enbpi or aci.")] = "enbpi",
    cost: Annotated[float, typer.Option(min=0, help="Basis points a side of the sign strategy.")] = 5.0,
    protocol: Annotated[
        str | None, typer.Option(help="Also reproduce a report's own protocol: seed-000 or seed-003.")
    ] = None,
    max_gap: MaxGap = 10,
    allow_jumps: AllowJumps = False,
    out: Annotated[Path, typer.Option(help="Folder for report.html and evaluation.json.")] = OUT,
    as_json: AsJson = False,
) -> None:
    """Evaluate forecasters by walk-forward, with a verdict for each beside the random walk.

    A model is fitted to what ends before the first session that it forecasts from. Writes a page for people and a file
    for programs.
    """
    if len(files) > 1 and (ticker is not None or column is not None):
        said = f"--ticker {ticker}" if ticker is not None else f"--column {column}"
        raise TickloomError(f"{said} names one instrument, but {len(files)} files are given; evaluate one at a time")
    if column is not None and ticker is None:
        raise TickloomError(f"--column {column}: say --ticker too, for the file holds many listings")
    if scheme not in ("expanding", "rolling"):
        raise TickloomError(f"--scheme {scheme!r} is unknown; known: expanding, rolling")
    if train is not None and scheme != "rolling":
        raise TickloomError(f"--train {train} is for --scheme rolling; an expanding fit learns from all before")

    from tickloom.forecast.evaluation import evaluate as run
    from tickloom.forecast.folds import Plan
    from tickloom.forecast.histories import from_file
    from tickloom.forecast.models import BASELINES
    from tickloom.forecast.protocols import PROTOCOLS, task
    from tickloom.forecast.report import write_report
    from tickloom.forecast.residuals import METHODS
    from tickloom.sources.csvfile import ticker_of

    if intervals not in METHODS:
        raise TickloomError(f"--intervals {intervals!r} is unknown; known: {', '.join(METHODS)}")
    if protocol is not None and protocol not in PROTOCOLS:
        raise TickloomError(f"--protocol {protocol!r} is unknown; known: {', '.join(PROTOCOLS)}")
    asked = [it.strip() for it in models.split(",") if it.strip()] if models is not None else []
    names = list(dict.fromkeys([*BASELINES, *asked]))
    if smooth and not asked:
        raise TickloomError("--smooth shows the models of --models smoothed; name one, such as --models ridge")
    options = model_options(option, names, horizon)
    histories = []
    for file in files:
        name = ticker or ticker_of(file)
        rules: dict[str, Any] = {"dates": dates, "most_gap": max_gap, "allow_jumps": allow_jumps}
        with naming("--max-gap", "--allow-jumps"):
            histories.append(from_file(file, market=market_of(name, market), ticker=name, column=column, **rules))
    if protocol is not None:
        for history in histories:
            task(protocol, history)  # refuses before the first fit
    plan = Plan(folds, test, horizon, scheme=cast(Any, scheme), train=train, holdout=holdout)
    check_writable("--out", out)
    with _progress(len(histories)) as tell:
        found = run(
            histories, names, plan, seeds=range(seeds), jobs=jobs or os.cpu_count() or 1,
            method=cast(Any, intervals), cost=cost, final=final, options=options,
            smooth=asked if smooth else (), explain=explain, report=tell,
        )  # fmt: skip
    reproduced = _reproduce(protocol, histories, asked, plan, range(seeds)) if protocol is not None else None
    written = [found.write(out, reproduced), write_report(found, out, reproduced)]
    if as_json:
        body = {**found.summary(reproduced), "files": [str(it) for it in written]}
        sys.stdout.write(json.dumps(body, allow_nan=False) + "\n")
        return
    _print(found, reproduced)
    typer.echo(f"written: {', '.join(str(it) for it in written)}")


@contextmanager
def _progress(tickers: int) -> Iterator[Any]:
    """Show on standard error how many fits of how many are done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        bars: dict[str, Any] = {}

        def tell(done: int, of: int, last: str) -> None:
            ticker = last.partition(" ")[0]
            if ticker not in bars:
                bars[ticker] = shown.add_task(f"{ticker} ({len(bars) + 1}/{tickers})", total=of)
            shown.update(bars[ticker], completed=done, total=of)

        yield tell


def _reproduce(
    protocol: str, histories: "list[History]", asked: list[str], plan: "Plan", seeds: range
) -> "pd.DataFrame":
    import pandas as pd

    from tickloom.forecast.regressors import REGRESSORS, USUAL, makers
    from tickloom.forecast.reproduction import reproduce

    chosen = makers([it for it in asked if it in REGRESSORS] or list(USUAL[protocol]))
    with _progress(len(histories)) as tell:
        found = [
            reproduce(
                protocol, it, chosen, plan=plan, seeds=seeds, report=partial(_of, tell, f"{it.ticker} {protocol}")
            )
            for it in histories
        ]
    return pd.concat(found, ignore_index=True)


def _of(tell: Any, what: str, done: int, of: int, last: str) -> None:
    tell(done, of, f"{what} {last}")


def _print(found: "Evaluation", reproduced: "pd.DataFrame | None") -> None:
    from rich.console import Console

    from tickloom.forecast.evaluation import LAST

    console = Console(markup=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 120  # a file or a pipe has no width of its own
    furthest = found.scores[found.scores["h"] == found.plan.horizon]
    mase = furthest.set_index(["unique_id", "block", "model"])["mase"]
    for block, scores in found.scores[found.scores["h"] == 1].groupby("block", sort=True):
        what = "last block" if block == LAST else f"{found.plan.folds} folds of {found.plan.test}"
        for ticker, mine in scores.groupby("unique_id", sort=False):
            last = mase.loc[ticker, block] if found.plan.horizon > 1 else None
            console.print(_verdicts(f"{ticker}, 1 session ahead, {what}", mine, found.plan.horizon, last))
    for name, said in found.remarks.items():
        console.print(f"{name}: {said}")
    if found.explanations is not None:
        from tickloom.forecast.explanation import LEGEND

        for sentence in (*found.explanations.sentences(), LEGEND):
            console.print(sentence)
    if reproduced is not None:
        for ticker, mine in reproduced.groupby("unique_id", sort=False):
            console.print(_protocol(f"{ticker}, {mine['under'].iloc[0]}", mine))


def _verdicts(title: str, scores: "pd.DataFrame", horizon: int, furthest: "pd.Series[float] | None") -> "Table":
    """Return a table of one ticker; ``furthest`` is the MASE by model at the last session ahead."""
    from tickloom.forecast.models import REFERENCE

    naive = float(scores.loc[scores["model"] == REFERENCE, "rmse"].iloc[0])
    table = _table(f"{title}; RMSE of the random walk {naive:.4g}")
    table.add_column("model", no_wrap=True)
    ahead = [f"MASE {horizon} ahead"] if furthest is not None else []
    for head in ("RMSE", "MASE", *ahead, "right sign (base)", "80 %", "95 %"):
        table.add_column(head, justify="right", no_wrap=len(head) < 6)
    table.add_column("verdict", no_wrap=True)
    for row in scores.sort_values("rmse").to_dict("records"):
        sign = f"{_share(row['direction'])} ({_share(row['base_rate'])})"
        later = [f"{furthest[row['model']]:.4f}"] if furthest is not None else []
        table.add_row(
            row["model"], f"{row['rmse']:.4g}", f"{row['mase']:.4f}", *later, sign, _whole(row["coverage_80"]),
            _whole(row["coverage_95"]), row["verdict"],
        )  # fmt: skip
    return table


def _table(title: str) -> "Table":
    from rich import box
    from rich.table import Table

    return Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False
    )


def _protocol(title: str, rows: "pd.DataFrame") -> "Table":
    table = _table(title)
    for head in ("model", "under"):
        table.add_column(head, overflow="fold")
    for head in ("RMSE", "R² (± over seeds)", "as reported", "direction (base)"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("the report says")
    for row in rows.to_dict("records"):
        sign = f"{_share(row['direction'])} ({_share(row['base_rate'])})"
        spread = "" if math.isnan(row["r2_spread"]) else f" ± {row['r2_spread']:.3f}"
        table.add_row(
            row["model"], row["under"], f"{row['rmse']:.4g}", f"{row['r2']:.3f}{spread}",
            _share(row["lag_direction"]), sign, row["beside"] or _UNKNOWN,
        )  # fmt: skip
    return table


def _whole(value: float) -> str:
    return _UNKNOWN if math.isnan(value) else f"{value:.0%}"


def _share(value: float) -> str:
    return _UNKNOWN if math.isnan(value) else f"{value:.1%}"
