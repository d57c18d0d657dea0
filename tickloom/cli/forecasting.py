"""What the verbs of forecasting share: where a history comes from, and which MLflow."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tickloom.errors import TickloomError

if TYPE_CHECKING:
    from tickloom.forecast.features import FeatureFrame
    from tickloom.forecast.history import History
    from tickloom.forecast.registry import Registry

Ticker = Annotated[str, typer.Argument(help="Ticker, such as ATW.")]
Data = Annotated[
    Path | None,
    typer.Option(help="CSV file of daily bars, or the folder of a StreamJob's lake; default the store's daily bars."),
]
Column = Annotated[str | None, typer.Option(help="Column of the closes, where the file has many.")]
MaxGap = Annotated[int, typer.Option(min=0, help="Sessions that may be missing in a row.")]
AllowJumps = Annotated[bool, typer.Option("--allow-jumps", help="Take jumps that look like splits for real.")]
Horizon = Annotated[int, typer.Option(min=1, max=60, help="Sessions ahead: each of 1..horizon is forecast.")]
Mlflow = Annotated[str | None, typer.Option(help="MLflow's tracking URI; default TICKLOOM_MLFLOW, else one in --home.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same model.")]


@contextmanager
def installed() -> Iterator[None]:
    """Decorate a verb of forecasting, so that a library that is missing is a sentence."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "tickloom":
            raise
        raise TickloomError(f"forecasting needs {error.name}: pip install 'tickloom[forecast]'") from None


def history(
    ticker: str,
    data: Path | None,
    *,
    market: str | None,
    column: str | None,
    dates: str,
    home: Path | None,
    max_gap: int,
    allow_jumps: bool,
) -> "History":
    """Return the history that was asked for, and say on standard error what was noticed in it."""
    from tickloom.forecast import histories
    from tickloom.market.instruments import instruments
    from tickloom.sources.csvfile import ticker_of

    rules: dict[str, Any] = {"most_gap": max_gap, "allow_jumps": allow_jumps}
    if data is None:
        from tickloom.cli.addresses import cassandra_address
        from tickloom.settings import settings
        from tickloom.store.connect import connect

        session = connect(cassandra_address(home), settings().keyspace)
        try:
            found = histories.from_store(session, ticker, **rules)
        finally:
            session.cluster.shutdown()
    elif data.is_dir():
        known = instruments().get(ticker)
        found = histories.from_lake(data, ticker, market or (known.exchange if known else "XNYS"), **rules)
    else:
        if ticker_of(data) != ticker and column is None:
            typer.echo(f"{data.name} is taken as {ticker}", err=True)
        order = cast(Any, dates)
        found = histories.from_file(data, market=market, ticker=ticker, column=column, dates=order, **rules)
    for note in found.notes:
        typer.echo(f"{ticker}: {note}", err=True)
    return found


def frame(found: "History") -> "FeatureFrame":
    """Return a history with its features."""
    from tickloom.forecast.features import feature_frame

    return feature_frame(found)


def registry(uri: str | None, home: Path | None) -> "Registry":
    """Return the models of an MLflow; without one, those of a database in the folder of the embedded stack."""
    from tickloom.settings import settings

    chosen = uri or settings().mlflow
    if chosen is None:
        folder = (home or settings().home).resolve() / "mlflow"
        folder.mkdir(parents=True, exist_ok=True)
        chosen = f"sqlite:///{folder / 'mlflow.db'}"
    from tickloom.forecast.registry import Registry

    return Registry(chosen)
