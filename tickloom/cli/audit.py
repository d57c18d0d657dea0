"""``tickloom audit``: prove that nothing later is known earlier."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from tickloom.cli.forecasting import Options, installed, orderly

app = typer.Typer(rich_markup_mode=None, add_completion=False, no_args_is_help=True)


@app.callback()
def _audit() -> None:
    """Prove what is claimed of forecasts."""


@app.command(epilog="Example: tickloom audit leakage --model ridge --json")
@installed()
@orderly()
def leakage(
    model: Annotated[list[str] | None, typer.Option(help="Only this model; can stand several times.")] = None,
    horizon: Annotated[int, typer.Option(min=1, help="Sessions ahead.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the made series.")] = 0,
    option: Options = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Change all data after a session and look whether anything before it changes.

    Truncates, replaces, shuffles and shifts prices, volumes and news of a made series after several sessions. Exits
    with 1 where a feature, a forecast, a fit or the walk-forward evaluation differs by a single bit.
    """
    from tickloom.cli.forecasting import parsed_options
    from tickloom.forecast.audit import audit, features_of, small_models
    from tickloom.forecast.disturbed import made_inputs
    from tickloom.forecast.models import MODELS

    asked = tuple(model or ())
    models, notes = small_models(horizon, asked, parsed_options(option, asked or tuple(MODELS)))
    inputs = made_inputs(seed=seed)
    names = features_of(inputs).names
    for note in notes:
        typer.echo(note, err=True)
    found = audit(
        inputs,
        features=features_of,
        models=models,
        horizon=horizon,
        seed=seed,
        report=lambda text: typer.echo(text, err=True),
    )
    if as_json:
        body = {"features": names, "models": list(models), "left_out": notes, "findings": [asdict(it) for it in found]}
        typer.echo(json.dumps(body))
    elif found:
        from rich.console import Console
        from rich.table import Table

        table = Table("check", "of", "after", "change", "what was seen", title="leaks", title_justify="left")
        for it in found:
            table.add_row(it.check, it.subject, it.day, it.change, it.detail)
        Console(markup=False, highlight=False).print(table)
    else:
        typer.echo(
            f"no leak: {len(names)} features, {len(models)} models and the walk-forward evaluation are the same, bit "
            "by bit, whatever comes after"
        )
    if found:
        raise typer.Exit(1)
