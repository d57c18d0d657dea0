"""``tickloom pipelines``: compile the pipelines, run them here, hand them to Kubeflow."""

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tickloom.cli.forecasting import Horizon, Mlflow, Options, Seed, orderly
from tickloom.cli.options import AsJson, Home, Market
from tickloom.cli.pipelined import show, tell
from tickloom.cli.pipelining import Arms, Limits, Models, Param, SettingsFile, Tickers, own_environment, parameters
from tickloom.errors import ConfigurationError, TickloomError
from tickloom.retrain.usual import FOLDS, GATE, HORIZON, TEST

if TYPE_CHECKING:
    from pipelines.remote import Kubeflow

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Retrain as a Kubeflow pipeline: compile it, run it on this machine, hand it to a cluster.",
    epilog="Example: tickloom pipelines run retrain --local --tickers AAPL,MSFT --data FOLDER",
)
Named = Annotated[str, typer.Argument(metavar="NAME", help="retrain, backfill or evaluate-only.")]
Host = Annotated[
    str | None, typer.Option(help="Address of Kubeflow's API; default TICKLOOM_KFP. Its token: TICKLOOM_KFP_TOKEN.")
]
Namespace = Annotated[str, typer.Option(help="Namespace of the user, where Kubeflow has several.")]
Experiment = Annotated[str, typer.Option(help="Kubeflow's experiment for the runs.")]
Called = Annotated[str | None, typer.Option("--name", help="Name of the run or schedule; default one with the time.")]
Pool = Annotated[
    str | None, typer.Option(help="GPU pool: gke, eks, eks-group or aks, or one of these with -spot; default no GPU.")
]
Gpus = Annotated[int | None, typer.Option(min=0, help="GPUs of each training; default 1 with --pool, else 0.")]
Folds = Annotated[int, typer.Option(min=1, help="Walk-forward folds.")]
Test = Annotated[int, typer.Option(min=20, help="Sessions in each fold.")]
Gate = Annotated[int, typer.Option(min=20, help="Last sessions, held back for the gate.")]
Trials = Annotated[int, typer.Option(min=0, help="Trials of tuning; 0 takes the usual options.")]
Data = Annotated[
    str | None, typer.Option(help="Folder of TICKER.csv files, in a cluster on its volume; default the store's bars.")
]
_ALWAYS = ("retrain", "evaluate-only")


@app.command(
    "compile",
    epilog="Examples: tickloom pipelines compile --check | tickloom pipelines compile --out build --settings ours.yaml",
)
def compiles(
    out: Annotated[Path | None, typer.Option(help="Folder; default the repository's pipelines/compiled.")] = None,
    settings: SettingsFile = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 if a file is not current.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compile the pipelines to YAML that Kubeflow takes; with --settings, in a form of your own."""
    own_environment()
    from pipelines import catalogue
    from pipelines.settings import read

    if settings is not None and out is None:
        raise ConfigurationError("--settings compiles another form than the repository holds: say with --out where to")
    own = {name: (name, read(settings)) for name in catalogue.PIPELINES}
    variants = catalogue.VARIANTS if settings is None else own
    current, stale = catalogue.refresh(out or catalogue.COMPILED, variants, check=check)
    if check and stale:
        raise TickloomError(
            f"{', '.join(map(str, stale))}: not what the code compiles to; run `tickloom pipelines compile`"
        )
    if as_json:
        typer.echo(json.dumps({"current": list(map(str, current)), "written": list(map(str, stale))}))
        return
    for path in current:
        typer.echo(f"{path} is current", err=True)
    for path in stale:
        typer.echo(f"{path} written", err=True)


@app.command(
    epilog="Examples: tickloom pipelines run retrain --local --tickers AAPL,MSFT --data FOLDER | "
    "tickloom pipelines run evaluate-only --local --tickers ATW --models ridge --folds 2"
)
@orderly()
def run(
    name: Named,
    local: Annotated[bool, typer.Option("--local", help="On this machine; a cluster's runs are submitted.")] = False,
    tickers: Tickers = None,
    data: Data = None,
    models: Models = None,
    market: Market = None,
    horizon: Horizon = HORIZON,
    folds: Folds = FOLDS,
    test: Test = TEST,
    gate: Gate = GATE,
    trials: Trials = 0,
    seed: Seed = 0,
    option: Options = None,
    limit: Limits = None,
    arm: Arms = None,
    param: Param = None,
    cache: Annotated[
        bool, typer.Option("--cache", help="Leave out steps that an earlier run did on the same.")
    ] = False,
    mlflow: Mlflow = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Run a pipeline on this machine, each step as a process of its own, and print what became of each model.

    What is registered is a challenger: no alias champion moves. A training that was broken off goes on when the same is
    run again. Exits with 1 where a ticker and model failed; the report says why.
    """
    own_environment()
    from pipelines import catalogue
    from pipelines import local as here

    if not local:
        raise TickloomError(
            f"say --local to run {name} on this machine; `tickloom pipelines submit {name}` runs it in a cluster"
        )
    here.check_python()
    if data is not None and not Path(data).is_dir():
        raise TickloomError(f"--data {data}: no such folder; name one with a file TICKER.csv for each ticker")
    pipeline = catalogue.build(name, here.SETTINGS)
    own: dict[str, Any] = {"folder": str(Path(data).absolute()) if data else None}
    if name in _ALWAYS:
        threads = str(max(1, (os.cpu_count() or 1) // here.PARALLEL))
        own |= {
            "horizon": horizon,
            "folds": folds,
            "test": test,
            "gate": gate,
            "trials": trials,
            "seed": seed,
            "cpu": threads,
        }
    if name == "retrain":
        own["mlflow"] = _registry(mlflow, home)
    given = parameters(
        _accepted(pipeline), name, tickers=tickers, models=models, market=market, option=option, limit=limit, arm=arm,
        param=param, **own,
    )  # fmt: skip
    begun = time.monotonic()
    folder = _home(home) / "pipelines"
    called = f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
    with _store(home, needed=not data):
        done = here.run(pipeline, given, folder, called, cache=cache, tell=tell)
    show(done, called, time.monotonic() - begun, as_json, given)
    if not done.succeeded:
        raise TickloomError(f"{done.why}; all that was said: {done.log}")


@app.command(
    epilog="Example: tickloom pipelines upload --settings settings.yaml --host http://127.0.0.1:8888",
)
def upload(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="retrain, backfill, evaluate-only; default all.")
    ] = None,
    settings: SettingsFile = None,
    namespace: Namespace = "",
    host: Host = None,
    as_json: AsJson = False,
) -> None:
    """Upload pipelines where Kubeflow lacks them in this form, for an operator or people who start runs there."""
    own_environment()
    from pipelines import catalogue
    from pipelines.settings import read

    form, wanted = read(settings), [catalogue.known(it) for it in names or catalogue.PIPELINES]
    kubeflow = _kubeflow(host, namespace)
    told = [
        {"name": catalogue.display_name(name), "pipeline": pipeline, "version": version}
        for name, (pipeline, version) in ((name, kubeflow.upload(name, form)) for name in wanted)
    ]
    if as_json:
        typer.echo(json.dumps(told))
        return
    for it in told:
        typer.echo(f"{it['name']}: pipeline {it['pipeline']}, version {it['version']}")


@app.command(
    epilog="Example: tickloom pipelines submit retrain --host http://127.0.0.1:8888 --tickers AAPL,MSFT --pool gke-spot"
)
def submit(
    name: Named,
    tickers: Tickers = None,
    models: Models = None,
    market: Market = None,
    data: Data = None,
    option: Options = None,
    limit: Limits = None,
    arm: Arms = None,
    param: Param = None,
    pool: Pool = None,
    gpus: Gpus = None,
    mlflow: Annotated[
        str | None, typer.Option(help="MLflow as seen from the cluster; default its ConfigMap's.")
    ] = None,
    settings: SettingsFile = None,
    called: Called = None,
    experiment: Experiment = "tickloom",
    namespace: Namespace = "",
    host: Host = None,
    as_json: AsJson = False,
) -> None:
    """Start a run in Kubeflow; the pipeline is uploaded before, where Kubeflow does not have it in this form."""
    own_environment()
    from pipelines.settings import read

    form = read(settings)
    given = _given(name, form, tickers, models, market, data, option, limit, arm, param, pool, gpus, mlflow)
    stamp = f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    told = _kubeflow(host, namespace).submit(name, form, given, called=called or stamp, experiment=experiment)
    typer.echo(json.dumps(told) if as_json else f"{told['name']}: {told['page']}")


@app.command(
    epilog="Example: tickloom pipelines schedule retrain --cron '0 30 21 * * 1-5' --tickers AAPL,MSFT --host http://127.0.0.1:8888"
)
def schedule(
    name: Named,
    cron: Annotated[str, typer.Option(help="Six fields, seconds first, in UTC: '0 30 21 * * 1-5'.")],
    tickers: Tickers = None,
    models: Models = None,
    market: Market = None,
    data: Data = None,
    option: Options = None,
    limit: Limits = None,
    arm: Arms = None,
    param: Param = None,
    pool: Pool = None,
    gpus: Gpus = None,
    mlflow: Annotated[
        str | None, typer.Option(help="MLflow as seen from the cluster; default its ConfigMap's.")
    ] = None,
    settings: SettingsFile = None,
    called: Called = None,
    experiment: Experiment = "tickloom",
    namespace: Namespace = "",
    host: Host = None,
    as_json: AsJson = False,
) -> None:
    """Have Kubeflow start runs by the clock; by exchange days, drift or losses the operator does (spec.retrain)."""
    own_environment()
    from pipelines.cron import check
    from pipelines.settings import read

    check(cron)
    form = read(settings)
    given = _given(name, form, tickers, models, market, data, option, limit, arm, param, pool, gpus, mlflow)
    told = _kubeflow(host, namespace).schedule(
        name, form, given, cron=cron, called=called or f"{name}-scheduled", experiment=experiment
    )
    typer.echo(json.dumps(told) if as_json else f"{told['name']}: {told['cron']}, {told['schedule']}")


@app.command("list", epilog="Example: tickloom pipelines list --host http://127.0.0.1:8888 --json")
def listed(
    limit: Annotated[int, typer.Option(min=1, max=100, help="Newest runs to show.")] = 20,
    namespace: Namespace = "",
    host: Host = None,
    as_json: AsJson = False,
) -> None:
    """List pipelines, schedules and the newest runs of a Kubeflow."""
    own_environment()
    found = _kubeflow(host, namespace).listing(limit)
    if as_json:
        typer.echo(json.dumps(found))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False)
    for kind, rows in found.items():
        if not rows:
            typer.echo(f"no {kind}", err=True)
            continue
        table = Table(*rows[0], title=kind)
        for row in rows:
            table.add_row(*(str(it) for it in row.values()))
        console.print(table)


def _given(name: str, form: Any, *options: Any) -> dict[str, Any]:
    from pipelines import catalogue
    from pipelines.pools import pool as known

    tickers, models, market, data, option, limit, arm, param, pool, gpus, mlflow = options
    own: dict[str, Any] = {"folder": data, "mlflow": mlflow}
    if pool is not None:
        own |= known(pool).parameters(1 if gpus is None else gpus)
    elif gpus is not None:
        own["gpus"] = str(gpus)
    found = parameters(
        _accepted(catalogue.build(name, form)), name, tickers=tickers, models=models, market=market, option=option,
        limit=limit, arm=arm, param=param, **own,
    )  # fmt: skip
    if found.get("gpus", "0") != "0" and not (found.get("node_selector") or found.get("tolerations") or pool):
        offered = found.get("accelerator", "nvidia.com/gpu")
        typer.echo(
            f"{found['gpus']} GPUs of any node that offers {offered} and has no taint; --pool, or --param "
            "node_selector and tolerations, name a pool of nodes",
            err=True,
        )
    return found


def _accepted(pipeline: Any) -> dict[str, str]:
    """Return the type of each parameter by its name."""
    from kfp.pipeline_spec.pipeline_spec_pb2 import ParameterType

    found = pipeline.pipeline_spec.root.input_definitions.parameters
    return {name: ParameterType.ParameterTypeEnum.Name(it.parameter_type) for name, it in found.items()}


def _kubeflow(host: str | None, namespace: str) -> "Kubeflow":
    from pipelines.remote import Kubeflow
    from tickloom.settings import settings

    address = host or settings().kfp
    if not address:
        raise TickloomError("no Kubeflow is named: give --host http://…, or set TICKLOOM_KFP")
    return Kubeflow(address, settings().kfp_token.get_secret_value(), namespace)


def _home(home: Path | None) -> Path:
    from tickloom.settings import settings

    return home or settings().home


def _registry(mlflow: str | None, home: Path | None) -> str:
    """Return the address of MLflow; its database is made here, before processes ask for it at the same time."""
    from tickloom.cli.forecasting import registry

    found = registry(mlflow, home)
    found.catalogue()  # refuses now what the step ``compare`` would refuse after the training
    return found.uri


class _store:  # noqa: N801
    """Names the embedded store to the steps' processes, where bars are to come from it."""

    def __init__(self, home: Path | None, *, needed: bool) -> None:
        self._home, self._needed = home, needed

    def __enter__(self) -> None:
        if self._needed:
            from tickloom.local.addresses import cassandra_address

            try:
                os.environ["TICKLOOM_CASSANDRA"] = cassandra_address(self._home)
            except TickloomError as error:
                raise TickloomError(f"{error}, or give a folder of files of prices with --data") from None

    def __exit__(self, *_: object) -> None:
        return None
