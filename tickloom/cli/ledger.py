"""``tickloom ledger``: scores forecasts whose session has closed, and shows them beside each other."""

import json
import math
import sys
import time
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tickloom.cli.forecasting import installed, orderly
from tickloom.cli.options import AsJson, Home
from tickloom.errors import TickloomError
from tickloom.local.addresses import store_session

if TYPE_CHECKING:
    from cassandra.cluster import Session

    from tickloom.experiment.records import Forecast, Score

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Score forecasts whose session has closed, and show those of all arms beside each other.",
    epilog="Example: tickloom ledger score    then: tickloom ledger show ATW",
)
UNKNOWN = "–"
DEFAULT = "default"
"""The experiment of tickers that no other one takes."""


@app.command(epilog="Example: tickloom ledger score --experiment lstm-on-casablanca --json")
@installed()
@orderly()
def score(
    experiment: Annotated[str | None, typer.Option(help="Only forecasts of this experiment; default all.")] = None,
    ticker: Annotated[str | None, typer.Option(help="Only forecasts of this ticker; default all.")] = None,
    market: Annotated[
        str | None, typer.Option(help="Only forecasts of this market, XNYS or XCAS; default all.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only forecasts from this cutoff on, a date; default all.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Score every forecast whose session's close is known, and anew where a close was corrected.

    Exits with 0 also where nothing was to be scored. Figures of models are written by a run over all experiments and
    dates.
    """
    from tickloom.experiment.maturing import score_ledger
    from tickloom.market.calendars import MARKETS

    if market is not None and market not in MARKETS:
        raise TickloomError(f"market {market!r} is unknown; known: {', '.join(MARKETS)}")
    first = None if since is None else _days(since)
    with store_session(home) as session:
        tally = score_ledger(
            session, time.time_ns() // 1000, experiment=experiment, ticker=ticker, market=market, first_cutoff=first,
            progress=lambda name: typer.echo(f"scoring {name}", err=True),
        )  # fmt: skip
    if as_json:
        found = asdict(tally) | {"without_close": [{"ticker": it, "ds": day} for it, day in tally.without_close]}
        sys.stdout.write(json.dumps(found) + "\n")
        return
    typer.echo(
        f"{tally.forecasts:,} forecasts: {tally.scored:,} scored, {tally.corrected:,} scored anew after a correction, "
        f"{tally.waiting:,} wait for their session's close"
    )
    for name, day in tally.without_close:
        typer.echo(f"{name}: there is no close of {day}, though there are later ones; load it if it traded", err=True)
    if tally.unusable:
        typer.echo(f"{tally.unusable:,} forecasts have a price that is none, and cannot be scored", err=True)


@app.command(epilog="Example: tickloom ledger show ATW --experiment lstm-on-casablanca")
@installed()
def show(
    ticker: Annotated[str, typer.Argument(help="Ticker, for example ATW.")],
    experiment: Annotated[str, typer.Option(help="Name of the experiment.")] = DEFAULT,
    horizon: Annotated[int | None, typer.Option(min=1, help="Only forecasts so many sessions ahead.")] = None,
    arm: Annotated[list[str] | None, typer.Option(help="Only this arm, may be given again; default all.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows of the table; the summary is of all.")] = 20,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print forecasts and what became of them, newest first, and a summary of cutoffs that every arm has forecast."""
    from tickloom.experiment.maturing import entries

    with store_session(home) as session:
        forecasts, scores = entries(session, experiment, ticker)
        if not forecasts:
            raise TickloomError(_nothing(session, experiment, ticker))
    there = sorted({it.arm for it in forecasts})
    if unknown := sorted(set(arm or ()) - set(there)):
        raise TickloomError(
            f"experiment {experiment}: arm {unknown[0]!r} has no forecast of {ticker}; there are: {', '.join(there)}"
        )
    arms = [it for it in there if not arm or it in arm]
    wanted = [it for it in forecasts if it.arm in arms and horizon in (None, it.horizon)]
    mine = [it for it in scores if it.arm in arms and horizon in (None, it.horizon)]
    rows, summary = table(wanted, mine)[:limit], summarise(mine, arms)
    if as_json:
        found = {"experiment": experiment, "ticker": ticker, "arms": arms, "rows": rows, "summary": summary}
        sys.stdout.write(json.dumps(found, allow_nan=False) + "\n")
    else:
        _print(experiment, ticker, arms, rows, summary)


def table(forecasts: "list[Forecast]", scores: "list[Score]") -> list[dict[str, Any]]:
    """Return a row for each cutoff and horizon, the newest first, with the forecasts of each arm."""
    from tickloom.experiment.scoring import newest
    from tickloom.market.sessions import day_of

    counting = newest(scores)
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for it in sorted(forecasts, key=lambda it: (-it.cutoff, it.horizon, it.arm)):
        found = counting.get(it.key)
        row = rows.setdefault(
            (it.cutoff, it.horizon),
            {
                "cutoff": day_of(it.cutoff).isoformat(), "horizon": it.horizon, "ds": day_of(it.ds).isoformat(),
                "y_cutoff": _known(it.y_cutoff), "y": None, "arms": {},
            },
        )  # fmt: skip
        row["y"] = row["y"] if found is None else found.y
        bounds = {name: _known(getattr(it, name)) for name in ("y_hat", "lo_80", "hi_80", "lo_95", "hi_95")}
        row["arms"][it.arm] = {
            "model": it.model, "version": it.version, "shadow": it.shadow, **bounds,
            "revision": None if found is None else found.revision,
            "losses": None if found is None else dict(found.losses),
        }  # fmt: skip
    return list(rows.values())


def summarise(scores: "list[Score]", arms: list[str]) -> list[dict[str, Any]]:
    """Return by horizon and arm the mean losses of the cutoffs that every arm has forecast."""
    from tickloom.experiment.scoring import compared

    names = ("absolute", "random_walk_absolute", "squared", "random_walk_squared", "pinball")
    shares = ("covered_80", "covered_95", "direction")
    found = []
    for horizon, together in compared(scores, arms).items():
        for arm in arms:
            losses = [it[arm].losses for it in together]
            row: dict[str, Any] = {"horizon": horizon, "arm": arm, "cutoffs": len(together)}
            for name in (*names, *shares):
                known = [it[name] for it in losses if name in it]
                row[name] = sum(known) / len(known) if known else None
            found.append(row)
    return found


def _print(
    experiment: str, ticker: str, arms: list[str], rows: list[dict[str, Any]], summary: list[dict[str, Any]]
) -> None:
    from tickloom.cli import tables

    console = tables.console()
    title = f"{ticker} in experiment {experiment}: forecasts, and their errors in log-returns × 100"
    shown = tables.table(
        "cutoff", "h", "session", "close then", "close", *arms, title=title, left=("cutoff", "session")
    )
    for row in rows:
        cells = [_arm(row["arms"].get(name)) for name in arms]
        shown.add_row(
            row["cutoff"], str(row["horizon"]), row["ds"], _price(row["y_cutoff"]), _price(row["y"]), *cells
        )  # fmt: skip
    console.print(shown)
    if not summary:
        typer.echo("no cutoff that every arm has forecast has been scored yet: `tickloom ledger score`", err=True)
        return
    about = "on the cutoffs that every arm has forecast; losses of log-returns × 100, rw is the random walk's"
    total = tables.table(
        "h", "arm", "cut-\noffs", "mae", "rw\nmae", "rmse", "rw\nrmse", "in\n80 %", "in\n95 %", "direc-\ntion",
        title=about, left=("arm",),
    )  # fmt: skip
    for it in summary:
        roots = [math.sqrt(it[name]) for name in ("squared", "random_walk_squared")]
        total.add_row(
            str(it["horizon"]), it["arm"], str(it["cutoffs"]), _loss(it["absolute"]), _loss(it["random_walk_absolute"]),
            *map(_loss, roots), *(_share(it[name]) for name in ("covered_80", "covered_95", "direction")),
        )  # fmt: skip
    console.print(total)


def _arm(it: dict[str, Any] | None) -> str:
    if it is None:
        return UNKNOWN
    error = "" if it["losses"] is None else f"  {_loss(it['losses']['absolute'])}"
    return f"{_price(it['y_hat'])}{error}{' (shadow)' if it['shadow'] else ''}"


def _price(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.2f}"


def _loss(value: float) -> str:
    return f"{100 * value:.3f}"


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0%}"


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _nothing(session: "Session", experiment: str, ticker: str) -> str:
    from tickloom.store.ledger import partitions

    others = sorted({it[0] for it in partitions(session, ticker=ticker)})
    if others:
        return f"experiment {experiment}: no forecast of {ticker}; --experiment may be {', '.join(others)}"
    return f"the ledger has no forecast of {ticker} in keyspace {session.keyspace}; served forecasts come into it"


def _days(text: str) -> int:
    from tickloom.market.sessions import days_of

    try:
        return days_of(date.fromisoformat(text))
    except ValueError:
        raise TickloomError(f"--since {text!r} is no date; write it as 2024-03-15") from None
