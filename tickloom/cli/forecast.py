"""``tickloom forecast``: the next sessions of a ticker, by a registered model."""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickloom.cli.forecasting import AllowJumps, Column, Data, MaxGap, Mlflow, Ticker, installed, orderly
from tickloom.cli.foretold import Row, draw
from tickloom.cli.options import AsJson, Dates, Home, Market
from tickloom.errors import TickloomError

if TYPE_CHECKING:
    import pandas as pd

    from tickloom.forecast.package import Manifest

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(
    epilog="Examples: tickloom forecast ATW --horizon 5 | tickloom forecast AAPL --data AAPL.csv --version 2 --json"
)
@installed()
@orderly()
def forecast(
    ticker: Ticker,
    horizon: Annotated[int | None, typer.Option(min=1, help="Sessions ahead; default all of the model's.")] = None,
    version: Annotated[str, typer.Option(help="Number or alias of a version.")] = "champion",
    package: Annotated[Path | None, typer.Option(help="Folder of a trained model instead of a registered one.")] = None,
    data: Data = None,
    column: Column = None,
    market: Market = None,
    dates: Dates = "auto",
    max_gap: MaxGap = 10,
    allow_jumps: AllowJumps = False,
    mlflow: Mlflow = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Forecast the closes of a ticker's next sessions from its last one.

    Prices are in the market's currency. The verdict that stands with them says whether the model has ever been better
    than the last price.
    """
    from tickloom.cli.forecasting import history, registry
    from tickloom.forecast import package as packages
    from tickloom.forecast.features import feature_frame
    from tickloom.forecast.intervals import volatility
    from tickloom.forecast.walk import long_frame
    from tickloom.market.sessions import day_of

    found = history(
        ticker,
        data,
        market=market,
        column=column,
        dates=dates,
        home=home,
        max_gap=max_gap,
        allow_jumps=allow_jumps,
    )
    number = None
    with tempfile.TemporaryDirectory() as folder:
        if package is None:
            number = registry(mlflow, home).pull(found.market, ticker, Path(folder), version).number
        place = package or Path(folder) / "package"
        model, manifest = packages.read(place)
        errors = packages.read_errors(place)
    if (manifest.ticker, manifest.market) != (ticker, found.market):
        raise TickloomError(
            f"the model is of {manifest.ticker} on {manifest.market}, the prices are of {ticker} on {found.market}; "
            "name the one that belongs to the other"
        )
    if horizon is not None and horizon > manifest.horizon:
        raise TickloomError(
            f"{manifest.model} was trained for {manifest.horizon} sessions ahead, not {horizon}; train it with "
            f"--horizon {horizon}"
        )
    last = day_of(int(found.day[-1])).isoformat()
    if manifest.last_day > last:
        typer.echo(
            f"{ticker}: {manifest.model} learned from sessions to {manifest.last_day}, after the last close of {last}: "
            "it may know what it forecasts; give newer prices",
            err=True,
        )
    frame = feature_frame(found, manifest.features)
    made = model.predict(frame)
    long = long_frame(frame, made.rows, made.mean).assign(model=manifest.model)
    if errors is not None:
        known = float(volatility(found)[-1])
        long = long.assign(**errors.intervals(float(found.close[-1]), made.mean[0], known))
    long = long[: horizon or manifest.horizon]
    if as_json:
        typer.echo(json.dumps(_object(long, manifest, number)))
        return
    _print(long, manifest, number)


def _object(long: "pd.DataFrame", manifest: "Manifest", version: int | None) -> dict[str, object]:
    rows = long.drop(columns=["y", "y_cutoff"])
    for name in ("ds", "cutoff"):
        rows[name] = rows[name].dt.strftime("%Y-%m-%d")
    told = {name: getattr(manifest, name) for name in ("ticker", "market", "model", "verdict", "remark", "last_day")}
    return {**told, "version": version, "forecast": rows.to_dict(orient="records")}


def _print(long: "pd.DataFrame", manifest: "Manifest", version: int | None) -> None:
    levels = [it.removeprefix("lo-") for it in map(str, long.columns) if it.startswith("lo-")]
    rows = [
        Row(f"{it['ds']:%Y-%m-%d}", it["h"], it["y_hat"], [(it[f"lo-{level}"], it[f"hi-{level}"]) for level in levels])
        for it in long.to_dict("records")
    ]
    draw(
        rows, levels, model=manifest.model, version=version, cutoff=f"{long['cutoff'].iloc[0]:%Y-%m-%d}",
        close=long["y_cutoff"].iloc[0], verdict=manifest.verdict, remark=manifest.remark,
    )  # fmt: skip
