"""What the verbs of forecasting share: where a history comes from, and which MLflow."""

import json
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
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
    typer.Option(
        help="CSV file of daily bars, folder of TICKER.csv files, or a StreamJob's lake; default the store's bars."
    ),
]
Column = Annotated[str | None, typer.Option(help="Column of the closes, where the file has many.")]
MaxGap = Annotated[int, typer.Option(min=0, help="Sessions in a row that may be missing.")]
AllowJumps = Annotated[bool, typer.Option("--allow-jumps", help="Take jumps that look like splits for real.")]
Horizon = Annotated[int, typer.Option(min=1, max=60, help="Sessions ahead: each of 1..horizon is forecast.")]
Mlflow = Annotated[str | None, typer.Option(help="MLflow's tracking URI; default TICKLOOM_MLFLOW, else one in --home.")]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        help="MODEL.NAME=VALUE, such as lstm.epochs=20 or lstm.shrink=false; may be given more than once.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same model.")]


@contextmanager
def installed(extra: str = "forecast", what: str = "forecasting") -> Iterator[None]:
    """Decorate a verb that needs an extra of the package, so that a library that is missing is a sentence."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "tickloom":
            raise
        raise TickloomError(f"{what} needs {error.name}: pip install 'tickloom[{extra}]'") from None


class _Terminated(SystemExit):
    """SIGTERM came."""


@contextmanager
def orderly() -> Iterator[None]:
    """Decorate a verb that works for long: SIGTERM ends it as Ctrl-C does, and a file that cannot be had is a sentence.

    Either way the work is undone as after an error: processes end, a run of MLflow is marked as failed.
    """

    def leave(number: int, frame: object) -> None:
        raise _Terminated(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except (KeyboardInterrupt, _Terminated):
        typer.echo("stopped", err=True)
        raise
    except OSError as error:
        if error.filename is None or error.strerror is None:
            raise
        raise TickloomError(
            f"{error.filename}: {error.strerror}; see that it may be read and written and that the disk has room, or "
            "name another place"
        ) from error
    finally:
        signal.signal(signal.SIGTERM, before)


def check_writable(option: str, folder: Path) -> None:
    """Look before long work whether a folder can be written to, and leave things as they were.

    Raises
    ------
    TickloomError
        It cannot.
    """
    new = [it for it in (folder, *folder.parents) if not it.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise TickloomError(f"{option} {folder}: {error.strerror}; name a folder that can be written to") from None
    finally:
        for made in new:
            with suppress(OSError):
                made.rmdir()


def market_of(ticker: str, market: str | None) -> str:
    """Return the market asked for, else the known instrument's; of an unknown one it is said what it is taken for.

    Raises
    ------
    TickloomError
        The market is unknown.
    """
    from tickloom.market.instruments import instruments

    if market is not None:
        from tickloom.market.sessions import session_table

        session_table(market)  # refuses an unknown one
        return market
    known = instruments().get(ticker)
    if known is None:
        typer.echo(
            f"{ticker} is in no list of instruments and is taken as one of XNYS; --market says otherwise", err=True
        )
    return known.exchange if known is not None else "XNYS"


@contextmanager
def naming(*options: str) -> Iterator[None]:
    """Say in a refusal of doubtful prices with which option of the verb they would be taken, where it has one."""
    from tickloom.forecast.history import DoubtfulError

    try:
        yield
    except DoubtfulError as error:
        named = any(f"({it})" in error.option for it in options)
        raise TickloomError(f"{error}, or {error.option}" if named else str(error)) from None


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
    options: Sequence[str] = ("--max-gap", "--allow-jumps"),
) -> "History":
    """Return the history that was asked for; what is noticed in it is logged.

    Parameters
    ----------
    data
        A file, a folder of files ``TICKER.csv``, or a lake; None is the store.
    options
        Those of the verb that have doubtful prices taken.

    Raises
    ------
    TickloomError
        There is none, or it cannot be learned from.
    """
    from tickloom.forecast import histories

    rules: dict[str, Any] = {"most_gap": max_gap, "allow_jumps": allow_jumps}
    market = market_of(ticker, market)
    with naming(*options):
        if data is None:
            return _from_store(ticker, market, home, rules)
        if data.is_dir() and any(data.glob("market=*")):
            return histories.from_lake(data, ticker, market, **rules)
        file = _file_of(ticker, data, column)
        return histories.from_file(file, market=market, ticker=ticker, column=column, dates=cast(Any, dates), **rules)


def _from_store(ticker: str, market: str, home: Path | None, rules: dict[str, Any]) -> "History":
    from tickloom.forecast import histories
    from tickloom.local.addresses import cassandra_address
    from tickloom.settings import settings
    from tickloom.store.connect import connect

    try:
        address = cassandra_address(home)
    except TickloomError as error:
        raise TickloomError(f"{error}, or give a file of prices with --data") from None
    session = connect(address, settings().keyspace)
    try:
        return histories.from_store(session, ticker, market, **rules)
    finally:
        session.cluster.shutdown()


def _file_of(ticker: str, data: Path, column: str | None) -> Path:
    """Return the file that holds a ticker: the one that is named, or the ticker's own of a folder."""
    from tickloom.sources.csvfile import ticker_of

    if data.is_dir():
        if not (data / f"{ticker}.csv").is_file():
            raise TickloomError(
                f"--data {data}: holds neither {ticker}.csv nor a StreamJob's lake (folders market=…); put the file "
                "there, or name another folder"
            )
        return data / f"{ticker}.csv"
    if ticker_of(data) != ticker and column is None:
        typer.echo(f"{data.name}: its prices are taken for those of {ticker}", err=True)
    return data


def model_options(given: list[str] | None, models: Sequence[str], horizon: int) -> dict[str, dict[str, Any]]:
    """Return options by model, and have each model look at its own.

    Raises
    ------
    TickloomError
        One is of another form, of a model that does not run here, or nothing that the model knows.
    """
    from tickloom.forecast.models import make

    found = parsed_options(given, models)
    for model in models:
        make(model, horizon, **found.get(model, {}))
    return found


def parsed_options(given: list[str] | None, models: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return options by model, which no model has looked at.

    Raises
    ------
    TickloomError
        One is of another form, or of a model that does not run here.
    """
    found: dict[str, dict[str, Any]] = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        model, dot, name = key.partition(".")
        if not (model and dot and name and equals and value):
            raise TickloomError(f"--option {text!r} must be MODEL.NAME=VALUE, such as lstm.epochs=20")
        if model not in models:
            raise TickloomError(f"--option {text}: {model} does not run here; models: {', '.join(models)}")
        found.setdefault(model, {})[name] = _value(value)
    return found


def _value(text: str) -> Any:
    """Return a number, true or false, and otherwise the text."""
    try:
        return json.loads(text.lower() if text.lower() in ("true", "false") else text)
    except ValueError:
        return text


def frame(found: "History") -> "FeatureFrame":
    """Return a history with its features."""
    from tickloom.forecast.features import feature_frame

    return feature_frame(found)


def registry(uri: str | None, home: Path | None) -> "Registry":
    """Return the models of an MLflow; without one, those of a database in the folder of the embedded stack."""
    from tickloom.forecast.registry import Registry, local_uri
    from tickloom.settings import settings

    return Registry(uri or settings().mlflow or local_uri(home or settings().home))
