"""``tickloom drift``: what changed in a ticker's prices, features and losses, and whether to train again."""

import json
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tickloom.cli.forecasting import (
    AllowJumps,
    Column,
    Data,
    MaxGap,
    Mlflow,
    Ticker,
    check_writable,
    history,
    installed,
    orderly,
    registry,
)
from tickloom.cli.options import AsJson, Dates, Home, Market
from tickloom.errors import TickloomError

if TYPE_CHECKING:
    from tickloom.experiment.records import Forecast, Score
    from tickloom.forecast.history import History
    from tickloom.monitor.inspection import Inspection
    from tickloom.monitor.skew import Skew

_SHOWN = 12
app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Example: tickloom drift AAPL --data AAPL.csv --report drift")
@installed("monitor", "looking for drift")
@orderly()
def drift(
    ticker: Ticker,
    data: Data = None,
    column: Column = None,
    market: Market = None,
    dates: Dates = "auto",
    reference: Annotated[int, typer.Option(min=250, help="Sessions of what is usual.")] = 500,
    recent: Annotated[int, typer.Option(min=20, help="Newest sessions that are looked at.")] = 60,
    trained: Annotated[
        str | None,
        typer.Option(help="Date that the model learned up to: the reference's end; default before the newest."),
    ] = None,
    since: Annotated[int | None, typer.Option(min=0, help="Sessions since the last retraining; default never.")] = None,
    rule: Annotated[str, typer.Option(help="both, any, drift or loss.")] = "both",
    false_alarms: Annotated[
        float | None, typer.Option(help="A year, of each signal; default 2.5 for both, which must agree, else 0.5.")
    ] = None,
    features: Annotated[bool, typer.Option("--features/--no-features", help="Look at features, too.")] = True,
    experiment: Annotated[str, typer.Option(help="Experiment of the ledger, where there is no --data.")] = "default",
    arm: Annotated[str | None, typer.Option(help="Its arm; default the one that answers.")] = None,
    skew: Annotated[
        bool, typer.Option("--skew", help="Compare the champion's training bars and served features with those now.")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Folder for pages and figures.")] = None,
    log: Annotated[bool, typer.Option("--log", help="Write the report into a run of MLflow, too.")] = False,
    mlflow: Mlflow = None,
    max_gap: MaxGap = 10,
    allow_jumps: AllowJumps = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Look for drift after the last session, and say whether a policy would train again.

    Losses are those of the ledger's matured forecasts; with --data, or where the ledger has none, the random walk's
    over the history. Exits with 0 whatever it finds.
    """
    from tickloom.monitor.decision import Policy
    from tickloom.monitor.inspection import inspect

    if log and report is None:
        raise TickloomError("--log writes the report into MLflow: say --report FOLDER too")
    asked = cast(Any, rule)
    policy = Policy.usual(asked) if false_alarms is None else Policy(asked, false_alarms)
    if report is not None:
        check_writable("--report", report)
    its = history(
        ticker, data, market=market, column=column, dates=dates, home=home, max_gap=max_gap, allow_jumps=allow_jumps
    )
    forecasts, scores, chosen = ([], [], "") if data is not None else _ledger(ticker, experiment, arm, home)
    if arm is not None and data is not None:
        raise TickloomError(f"--arm {arm} is one of the ledger's, which is not read with --data; leave one of them out")
    found = inspect(
        its, arm=chosen, forecasts=forecasts, scores=scores, policy=policy, since=since, reference=reference,
        recent=recent, trained=None if trained is None else _day(trained), features=features,
    )  # fmt: skip
    skewed = _skew(its, forecasts, mlflow, home) if skew else {}
    files: list[Path] = []
    run = None
    if report is not None:
        from tickloom.monitor import reports

        files = reports.write(report, found.reference, found.recent, found.losses, found.findings, found.decision)
        if log:
            run = reports.log(registry(mlflow, home), ticker, its.market, report, found.findings, found.decision)
    if as_json:
        body = {
            **found.summary(),
            "skew": {name: _differing(it) for name, it in skewed.items()},
            "files": [str(it) for it in files],
            "run": run,
        }
        sys.stdout.write(json.dumps(body, allow_nan=False) + "\n")
        return
    _print(found)
    for name, it in skewed.items():
        what = "sessions of training" if name == "training" else "served forecasts"
        odd = ", ".join(list(it.differing)[:5])
        typer.echo(f"features of {it.compared} {what}: " + ("the same" if it.clean else f"others in {odd}"))
    if files:
        typer.echo(f"written: {', '.join(str(it) for it in files)}" + (f"; MLflow run {run}" if run else ""))


def _ledger(
    ticker: str, experiment: str, arm: str | None, home: Path | None
) -> "tuple[list[Forecast], list[Score], str]":
    """Return an arm's forecasts and scores, and its name; nothing where the ledger has none of the ticker."""
    from tickloom.experiment.maturing import entries
    from tickloom.local.addresses import store_session

    with store_session(home) as session:
        forecasts, scores = entries(session, experiment, ticker)
    arms = sorted({it.arm for it in forecasts})
    if arm is not None and arm not in arms:
        raise TickloomError(
            f"experiment {experiment}: arm {arm!r} has no forecast of {ticker}; there are: {', '.join(arms) or 'none'}"
        )
    if not arms:
        typer.echo(f"experiment {experiment} has no forecast of {ticker}; the random walk's losses are taken", err=True)
        return [], [], ""
    answering = sorted({it.arm for it in forecasts if not it.shadow})
    if arm is None and len(answering) > 1:
        raise TickloomError(
            f"experiment {experiment}: {', '.join(answering)} answer for {ticker}; say which with --arm"
        )
    return forecasts, scores, arm or (answering or arms)[0]


def _skew(history: "History", forecasts: "list[Forecast]", mlflow: str | None, home: Path | None) -> "dict[str, Skew]":
    """Return how the champion's training and serving differ from what is known now."""
    import tempfile

    from tickloom.monitor.skew import of_version

    with tempfile.TemporaryDirectory() as folder:
        version = registry(mlflow, home).pull(history.market, history.ticker, Path(folder))
        place = next(Path(folder).rglob("manifest.json")).parent
        return of_version(history, place, str(version.number), forecasts)


def _differing(skew: "Skew") -> dict[str, Any]:
    return {"compared": skew.compared, "clean": skew.clean, "differing": list(skew.differing)}


def _day(text: str) -> int:
    from tickloom.market.sessions import days_of

    try:
        return days_of(date.fromisoformat(text))
    except ValueError:
        raise TickloomError(f"--trained {text!r} is no date; write it as 2024-03-15") from None


def _print(found: "Inspection") -> None:
    from rich.console import Console
    from rich.table import Table

    from tickloom.market.sessions import day_of

    first, last, trained = (day_of(it) for it in (found.spans.first, found.spans.last, found.spans.trained))
    console = Console(markup=False, highlight=False)
    table = Table(
        "what", "of", "oddest", title=f"{found.ticker}, {first} to {last}, beside what ended {trained}",
        title_justify="left", caption="p: share of years without any change with a look as odd as this; features "
        "are adjusted over all of them, and the oddest shown", caption_justify="left",
    )  # fmt: skip
    for name in ("value", "one year in 20", "p", "adjusted"):
        table.add_column(name, justify="right")
    ranked = sorted(found.findings, key=lambda it: (it.family != "target", it.family != "losses", it.p))
    for it in ranked[:_SHOWN]:
        table.add_row(
            it.family,
            it.subject,
            it.statistic,
            f"{it.value:.3g}",
            f"{it.limit:.3g}",
            f"{it.p:.3f}",
            f"{it.adjusted:.3f}",
        )
    console.print(table)
    for level in found.coverage:
        console.print(
            f"intervals of {level.level:.0%}: {level.covered:.0%} of {level.n} inside (binomial p {level.p_share:.3f})"
        )
    if found.calibration is not None:
        console.print(
            f"rises that intervals imply: Brier {found.calibration.brier:.3f} of {found.calibration.n}, that of their "
            f"usual share {found.calibration.climatology:.3f} (Spiegelhalter p {found.calibration.p:.3f})"
        )
    console.print(f"{'train again' if found.decision.retrain else 'do not train'}: {found.decision.why}")
