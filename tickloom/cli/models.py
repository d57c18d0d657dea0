"""``tickloom models``: the versions of a ticker's models."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tickloom.cli.forecasting import Mlflow, Ticker, installed
from tickloom.cli.options import AsJson, Home, Market

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Examples: tickloom models AAPL | tickloom models AAPL --push .tickloom/models/FOLDER")
@installed()
def models(
    ticker: Ticker,
    market: Market = None,
    push: Annotated[Path | None, typer.Option(help="Register the trained model of this folder first.")] = None,
    mlflow: Mlflow = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the versions of a ticker's models, newest first, with verdict and aliases."""
    from tickloom.cli.forecasting import registry
    from tickloom.errors import TickloomError
    from tickloom.forecast.models import remark
    from tickloom.market.instruments import instruments

    there = registry(mlflow, home)
    if push is not None:
        from tickloom.forecast.package import read_manifest

        if (owner := read_manifest(push).ticker) != ticker:
            raise TickloomError(
                f"{push} is a model of {owner}, not of {ticker}; say `tickloom models {owner} --push …`"
            )
        there.push(push)
    known = instruments().get(ticker)
    found = there.versions(market or (known.exchange if known else "XNYS"), ticker)
    if as_json:
        typer.echo(
            json.dumps({"ticker": ticker, "versions": [{**asdict(it), "remark": remark(it.model)} for it in found]})
        )
        return
    if not found:
        raise TickloomError(f"{ticker} has no models in {there.uri}; `tickloom train {ticker} --model ridge` makes one")
    from rich.console import Console
    from rich.table import Table

    table = Table("version", "model", "verdict", "aliases", "created")
    for it in found:
        table.add_row(str(it.number), it.model, it.verdict, ", ".join(it.aliases), it.created)
    console = Console()
    console.print(table)
    for name in dict.fromkeys(it.model for it in found if remark(it.model)):
        console.print(f"{name}: {remark(name)}")
