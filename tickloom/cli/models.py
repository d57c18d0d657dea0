"""``tickloom models``: the versions of a ticker's models."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from tickloom.cli.forecasting import Mlflow, Ticker, installed, orderly
from tickloom.cli.options import AsJson, Home, Market

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Examples: tickloom models AAPL --version 3 | tickloom models AAPL --push .tickloom/models/FOLDER")
@installed()
@orderly()
def models(
    ticker: Ticker,
    market: Market = None,
    push: Annotated[Path | None, typer.Option(help="Register the trained model of this folder first.")] = None,
    version: Annotated[
        int | None, typer.Option(min=1, help="Say where this version comes from: data, code, run, approver.")
    ] = None,
    mlflow: Mlflow = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the versions of a ticker's models, newest first, with verdict and aliases; or say where one comes from."""
    from tickloom.cli.forecasting import market_of, registry
    from tickloom.errors import TickloomError
    from tickloom.forecast import lineage
    from tickloom.forecast.models import remark

    there = registry(mlflow, home)
    if push is not None:
        from tickloom.forecast import package

        _, owner = package.read(push)  # what cannot be loaded is not registered
        package.read_errors(push)
        if owner.ticker != ticker:
            raise TickloomError(
                f"{push} is a model of {owner.ticker}, not of {ticker}; say `tickloom models {owner.ticker} --push …`"
            )
        there.push(push)
        market = market or owner.market
    market = market_of(ticker, market)
    found = there.versions(market, ticker)
    if version is not None:
        known = found
        found = [it for it in known if it.number == version]
        if not found:
            there_are = ", ".join(str(it.number) for it in known) or "none"
            raise TickloomError(f"{ticker} on {market} has no version {version} in {there.uri}; known: {there_are}")
    if as_json:
        rows: list[dict[str, Any]] = []
        for it in found:
            row = asdict(replace(it, tags={}))
            del row["tags"]
            rows.append({**row, "remark": remark(it.model), "lineage": lineage.told(it.tags)})
        typer.echo(json.dumps({"ticker": ticker, "versions": rows}))
        return
    if not found:
        raise TickloomError(
            f"{ticker} on {market} has no models in {there.uri}; `tickloom train {ticker} --model ridge` makes one; "
            "--market asks another market"
        )
    from tickloom.cli import tables

    if version is not None:
        origin = tables.table("what", "", left=("what", ""))
        one = found[0]
        told = lineage.told(one.tags)
        shown = {"model": one.model, "aliases": ", ".join(one.aliases), "trained": one.created, **told}
        for name, text in {**shown, "approver": told.get("approver", "nobody")}.items():
            origin.add_row(name.replace("_", " "), text)
        tables.console().print(origin)
        return

    names = ("version", "model", "verdict", "aliases", "trained")
    table = tables.table(*names, left=names[1:])
    for it in found:
        table.add_row(str(it.number), it.model, it.verdict, ", ".join(it.aliases), it.created[:16].replace("T", " "))
    console = tables.console()
    console.print(table)
    for name in dict.fromkeys(it.model for it in found if remark(it.model)):
        console.print(f"{name}: {remark(name)}")
