"""``tickloom train``: learn a model, judge it against the random walk, register it."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tickloom.cli.forecasting import (
    AllowJumps,
    Column,
    Data,
    Horizon,
    MaxGap,
    Mlflow,
    Options,
    Seed,
    Ticker,
    installed,
    orderly,
)
from tickloom.cli.options import AsJson, Dates, Home, Market
from tickloom.errors import TickloomError

if TYPE_CHECKING:
    from tickloom.forecast.evaluation import Evaluation
    from tickloom.forecast.features import FeatureFrame
    from tickloom.forecast.folds import Plan
    from tickloom.forecast.residuals import ConformalResiduals

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(
    epilog="Examples: tickloom train AAPL --model ridge --data AAPL.csv | "
    "tickloom train ATW --model lstm --data closes.csv --column Attijariwafa --folds 4"
)
@installed()
@orderly()
def train(
    ticker: Ticker,
    model: Annotated[
        str, typer.Option(help="A model's name, such as ridge; an unknown one is answered with all names.")
    ],
    data: Data = None,
    column: Column = None,
    market: Market = None,
    dates: Dates = "auto",
    horizon: Horizon = 5,
    folds: Annotated[int, typer.Option(min=0, help="Walk-forward folds; 0 judges nothing.")] = 5,
    test: Annotated[int, typer.Option(min=20, help="Sessions in each fold.")] = 125,
    seed: Seed = 0,
    option: Options = None,
    max_gap: MaxGap = 10,
    allow_jumps: AllowJumps = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes of the walk-forward; default one a core.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell in the report what the models of the walk-forward go by.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the trained model; default below --home.")] = None,
    mlflow: Mlflow = None,
    push: Annotated[bool, typer.Option("--push/--no-push", help="Register it in MLflow.")] = True,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Learn a model from all sessions, judge it by walk-forward beside the baselines, and register it.

    The first version of a ticker is the random walk, which becomes its champion. What is trained stays in a folder, so
    that it can be registered later where MLflow does not answer; the report of the walk-forward lies below it.
    """
    from tickloom.cli.forecasting import check_writable, frame, history, model_options, registry
    from tickloom.forecast import package
    from tickloom.forecast.folds import Plan
    from tickloom.forecast.models import make

    options = model_options(option, [model], horizon)  # an unknown name is said before anything is read
    wanted = make(model, horizon, **options.get(model, {}))
    if out is not None and (out / package.MANIFEST).exists():
        raise TickloomError(f"--out {out} holds a trained model already; name another folder, or remove it")
    check_writable("--home" if out is None else "--out", out or _folder(home, "", model).parent)
    there = registry(mlflow, home) if push else None  # an address that can be none is said before anything is learned
    found = frame(
        history(
            ticker,
            data,
            market=market,
            column=column,
            dates=dates,
            home=home,
            max_gap=max_gap,
            allow_jumps=allow_jumps,
        )
    )
    plan = Plan(folds=folds, test=test, horizon=horizon) if folds else None
    scores, errors, judged = (
        _judged(found, model, options, plan, seed, jobs, explain) if plan is not None else ((), {}, None)
    )
    with _bar("learning") as tell:
        wanted.fit(found, seed=seed, progress=tell)
    manifest = package.Manifest.of(wanted, found, seed=seed, scores=scores)
    folder = out or _folder(home, manifest.registered_name, model)
    report = _report(judged, folder / package.EVALUATION) if judged else None
    package.write(folder, wanted, manifest, errors)
    version = None
    if there is not None:
        version = there.push(folder)
    told = {
        "ticker": ticker,
        "market": manifest.market,
        "model": model,
        "verdict": manifest.verdict,
        "remark": manifest.remark,
        "folder": str(folder),
        "registered": manifest.registered_name if version else None,
        "version": version.number if version else None,
        "run": version.run if version else None,
        "report": str(report) if report else None,
        "sessions": manifest.sessions,
        "last_day": manifest.last_day,
    }
    if as_json:
        typer.echo(json.dumps(told))
        return
    place = f"{version.name} version {version.number}" if version else str(folder)
    typer.echo(f"{ticker}: {model} learned from {manifest.sessions} sessions to {manifest.last_day}: {place}")
    but = f", but {manifest.remark}" if manifest.remark else ""
    typer.echo(f"verdict one session ahead, against the random walk: {manifest.verdict}{but}")
    if report:
        typer.echo(f"report: {report}")
    if version and "champion" not in version.aliases:
        typer.echo(f"`tickloom forecast {ticker}` stays with the champion; --version {version.number} asks this one")


def _judged(
    found: "FeatureFrame",
    model: str,
    options: dict[str, dict[str, Any]],
    plan: "Plan",
    seed: int,
    jobs: int | None,
    explain: bool,
) -> "tuple[tuple[dict[str, Any], ...], dict[str, ConformalResiduals], Evaluation | None]":
    """Return scores beside the random walk's; and, of enough forecasts, both models' errors and the evaluation."""
    from tickloom.forecast.accuracy import score
    from tickloom.forecast.evaluation import evaluate
    from tickloom.forecast.intervals import CALIBRATION, conformal_residuals
    from tickloom.forecast.models import BASELINES, REFERENCE
    from tickloom.forecast.walk import walk_forward

    names = list(dict.fromkeys([*BASELINES, model]))
    more: dict[str, Any] = {"seeds": (seed,), "jobs": jobs or os.cpu_count() or 1, "options": options}
    few = plan.folds * plan.test <= CALIBRATION
    evaluation, errors = None, {}
    with _bar("walk-forward") as tell:
        more["report"] = lambda done, of, last: tell(done / of, {}, f"{last}, {done} of {of}")
        if few:
            table = score(walk_forward(found, names, plan, **more)).table
        else:
            evaluation = evaluate([found.history], names, plan, explain=explain, **more)
            table = evaluation.scores.drop(columns="block")
            errors = {name: conformal_residuals(evaluation.long, name) for name in (model, REFERENCE)}
    if few:
        said = f"{plan.folds * plan.test} forecasts are too few for intervals and a report"
        typer.echo(f"{said}, which need more than {CALIBRATION}; take more or longer folds", err=True)
    rows = json.loads(table[table["model"].isin({model, REFERENCE})].to_json(orient="records"))
    scores = tuple({key: value for key, value in row.items() if value is not None} for row in rows)
    return scores, errors, evaluation


def _report(judged: "Evaluation", folder: Path) -> Path:
    """Write page, pictures and file of the walk-forward; MLflow shows them beside the model."""
    from tickloom.forecast.report import write_plots, write_report

    judged.write(folder)
    write_plots(judged, folder / "plots")
    return write_report(judged, folder)


def _folder(home: Path | None, name: str, model: str) -> Path:
    from datetime import UTC, datetime

    from tickloom.settings import settings

    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return (home or settings().home) / "models" / name / f"{stamp}-{model}"


class _bar:  # noqa: N801
    """A progress bar on a terminal, nothing elsewhere; called with the share that is done and figures to show."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        self._progress = None
        if console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._progress = Progress(*columns, console=console)
            self._progress.start()
            self._task = self._progress.add_task(self._what, total=1.0)
        return self._tell

    def _tell(self, share: float, figures: Any, what: str = "") -> None:
        if self._progress is not None:
            shown = what or " ".join(f"{name} {value:.4g}" for name, value in figures.items())
            self._progress.update(self._task, completed=share, description=f"{self._what} {shown}".strip())

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()
