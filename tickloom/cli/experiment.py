"""``tickloom experiment``: starts experiments, says where they stand, decides them, tells what was decided."""

import getpass
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tickloom.cli.forecasting import Mlflow, installed, registry
from tickloom.cli.options import AsJson, Home, Market
from tickloom.errors import TickloomError
from tickloom.local.addresses import store_session

if TYPE_CHECKING:
    from cassandra.cluster import Session

    from tickloom.experiment.states import State
    from tickloom.forecast.registry import Registry

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Start experiments, see where they stand, and decide them; a decision moves the alias champion.",
    epilog="Example: tickloom experiment start atw.yaml",
)
File = Annotated[Path, typer.Argument(help="File of experiments, or a folder of such files.")]
Named = Annotated[str, typer.Argument(metavar="NAME", help="Name of the experiment.")]
Who = Annotated[str | None, typer.Option(help="Who is written down for it; default the user's name.")]
Why = Annotated[str, typer.Option(help="The reason that is written down.")]
GRACE_S = 0.7


@app.command(epilog="Example: tickloom experiment check manifests/experiments")
@installed()
def check(
    file: File,
    alone: Annotated[bool, typer.Option("--alone", help="Look at the file alone, at no model.")] = False,
    mlflow: Mlflow = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say whether experiments could be started: fields, weights, and a model of every arm for every ticker.

    Exits with 78 where one could not, with a line for each mistake.
    """
    from tickloom.experiment.aliases import resolve
    from tickloom.experiment.manifest import load

    found: list[dict[str, Any]] = []
    catalogue: Any = None if alone else registry(mlflow, home).catalogue()
    for it in load(file):
        tickers = list(it.spec.tickers or ()) if alone else list(resolve(it, catalogue)["champion"])
        found.append({"name": it.name, "mode": it.spec.mode, "arms": list(it.arms), "tickers": tickers})
    if as_json:
        sys.stdout.write(json.dumps({"experiments": found}) + "\n")
        return
    for one in found:
        where = f"{len(one['tickers'])} tickers" if one["tickers"] else "all tickers with a model for every arm"
        typer.echo(f"{one['name']}: {one['mode']}, arms {', '.join(one['arms'])}, {where}: in order")


@app.command(epilog="Example: tickloom experiment start manifests/experiments")
@installed()
def start(
    file: File, who: Who = None, mlflow: Mlflow = None, home: Home = None, as_json: AsJson = False
) -> None:  # fmt: skip
    """Start the experiments of a file; those that run already take over what may change.

    Versions are those that the aliases name now: they are what is compared, and what is promoted.
    """
    from tickloom.experiment.manifest import load
    from tickloom.experiment.starting import start as begin

    told: list[dict[str, Any]] = []
    with _at_work(mlflow, home) as (session, models):
        for it in load(file):
            state, new = begin(session, models, it, who or getpass.getuser(), _now())
            told.append({"name": it.name, "new": new, "status": state.status, "tickers": list(state.tickers)})
    if as_json:
        sys.stdout.write(json.dumps({"experiments": told}) + "\n")
        return
    for one in told:
        typer.echo(f"{one['name']}: {'started' if one['new'] else 'runs already'}, {len(one['tickers'])} tickers")


@app.command("list", epilog="Example: tickloom experiment list --json")
@installed()
def listed(home: Home = None, as_json: AsJson = False) -> None:
    """List all experiments that were ever started."""
    from tickloom.experiment import states

    with store_session(home) as session:
        found = list(states.read(session).values())
    rows: list[dict[str, Any]] = [
        {"name": it.name, "status": it.status, "mode": it.experiment.spec.mode, "arms": list(it.experiment.arms),
         "tickers": list(it.tickers), "epoch": it.weights.epoch, "weights": dict(it.weights.values),
         "decision": None if it.decision is None else it.decision.why, "question": it.question or None}
        for it in found
    ]  # fmt: skip
    if as_json:
        sys.stdout.write(json.dumps({"experiments": rows}) + "\n")
        return
    if not rows:
        typer.echo("no experiment was started yet; `tickloom experiment start FILE` starts one", err=True)
        return
    from tickloom.cli.tables import console, table

    names = ("name", "status", "mode", "arms", "tickers", "decision")
    drawn = table(*names, left=names)
    for row in rows:
        arms = ", ".join(f"{arm} {row['weights'].get(arm, 0):.0%}" for arm in row["arms"])
        drawn.add_row(
            row["name"],
            row["status"],
            row["mode"],
            arms,
            str(len(row["tickers"])),
            row["question"] or row["decision"] or "–",
        )
    console().print(drawn)


@app.command(epilog="Example: tickloom experiment status lstm --output status.html")
@installed()
def status(
    name: Named,
    output: Annotated[Path | None, typer.Option(help="Draw it into a file: .html, .svg or .png.")] = None,
    mlflow: Mlflow = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say where an experiment stands: evidence, losses, guardrails, shares, and what is missing for a decision.

    It changes nothing; what has matured since is scored by `tickloom experiment run` or `tickloom ledger score`.
    """
    from tickloom.experiment import health, states
    from tickloom.experiment.judge import Judge
    from tickloom.experiment.summary import summary

    with _at_work(mlflow, home) as (session, models):
        state = states.known(session, name)
        judge = Judge(session, models)
        found = summary(state, judge.find(state), health.of(session, state), judge.find_watched(state))
    if output is not None:
        from tickloom.experiment.pictures import save

        save(found, output)
        typer.echo(f"{output} written", err=True)
    if as_json:
        sys.stdout.write(json.dumps(found, allow_nan=False) + "\n")
        return
    from tickloom.cli.experimenting import show
    from tickloom.cli.tables import console

    show(found, console())


@app.command(epilog="Example: tickloom experiment approve lstm --why 'the desk agrees'")
@installed()
def approve(
    name: Named, why: Why = "", who: Who = None, mlflow: Mlflow = None, home: Home = None, as_json: AsJson = False
) -> None:
    """Promote the arm that waits for it; or have champion name the other version, where a promotion turned bad."""
    _decide("approve", name, why, who, mlflow, home, as_json)


@app.command(epilog="Example: tickloom experiment reject lstm --why 'too costly'")
@installed()
def reject(
    name: Named, why: Why = "", who: Who = None, mlflow: Mlflow = None, home: Home = None, as_json: AsJson = False
) -> None:
    """End an experiment that waits for approval, or the watch of a promotion that turned bad; the champion stays."""
    _decide("reject", name, why, who, mlflow, home, as_json)


@app.command(epilog="Example: tickloom experiment stop lstm")
@installed()
def stop(
    name: Named, why: Why = "", who: Who = None, mlflow: Mlflow = None, home: Home = None, as_json: AsJson = False
) -> None:
    """End an experiment now, or the watch of what it promoted; the champion stays."""
    _decide("stop", name, why, who, mlflow, home, as_json)


@app.command(epilog="Example: tickloom experiment rollback lstm --why 'wrong on Fridays'")
@installed()
def rollback(
    name: Named, why: Why = "", who: Who = None, mlflow: Mlflow = None, home: Home = None, as_json: AsJson = False
) -> None:
    """Have champion name again what it did before an experiment's promotion."""
    _decide("rollback", name, why, who, mlflow, home, as_json)


@app.command(epilog="Example: tickloom experiment audit lstm --json")
@installed()
def audit(
    name: Named,
    limit: Annotated[int, typer.Option(min=1, help="Newest rows to show.")] = 50,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print who decided what, when, why and on which numbers, newest first; `default` has moves of arms by hand."""
    from datetime import UTC, datetime
    from itertools import islice

    from tickloom.experiment import trail

    with store_session(home) as session:
        found = list(islice(trail.entries(session, name), limit))
    if not found:
        raise TickloomError(f"experiment {name!r}: nothing was decided; `tickloom experiment list` shows what there is")
    if as_json:
        sys.stdout.write(json.dumps({"experiment": name, "entries": [it.model_dump() for it in found]}) + "\n")
        return
    from tickloom.cli.tables import console, table

    names = ("time", "who", "what", "why", "numbers")
    drawn = table(*names, left=names)
    for it in found:
        numbers = ", ".join(f"{key} {value:.4g}" for key, value in it.numbers.items())
        at = datetime.fromtimestamp(it.time_us / 1e6, UTC)
        drawn.add_row(f"{at:%Y-%m-%d %H:%M:%S}", it.who, it.what, it.why, numbers)
    console().print(drawn)


@app.command(epilog="Example: tickloom experiment arm lstm --market XCAS --model lstm")
@installed()
def arm(
    name: Annotated[str, typer.Argument(metavar="ARM", help="Name of the arm; its alias is challenger-ARM.")],
    ticker: Annotated[
        list[str] | None, typer.Option(help="Only this ticker, may be given again; default all of the market.")
    ] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Number of the version, for one ticker.")] = None,
    model: Annotated[str | None, typer.Option(help="The newest version of this model.")] = None,
    market: Market = None,
    who: Who = None,
    mlflow: Mlflow = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Have an arm's alias name a version of a ticker's models, or of all tickers the newest one of a model."""
    from tickloom.cli.forecasting import market_of
    from tickloom.experiment.arming import choose
    from tickloom.experiment.arming import name as put

    if (version is None) == (model is None) or (version is not None and len(ticker or ()) != 1):
        raise TickloomError("name one --ticker and a --version, or a --model (with tickers or without)")
    if not ticker and market is None:
        raise TickloomError("without --ticker it is all tickers of a market: name it with --market")
    where = market_of(ticker[0], market) if ticker else str(market)
    with _at_work(mlflow, home) as (session, models):
        chosen = choose(models, where, ticker or (), version=version, model=model)
        alias = put(session, models, name, where, chosen, who or getpass.getuser(), _now())
    if as_json:
        sys.stdout.write(json.dumps({"alias": alias, "market": where, "versions": chosen}) + "\n")
        return
    typer.echo(f"{alias}: " + ", ".join(f"{it} {number}" for it, number in chosen.items()))


@app.command(epilog="Example: tickloom experiment run --evidence-every 600")
@installed()
def run(
    every: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds between looks at guardrails.")] = 10.0,
    evidence_every: Annotated[float, typer.Option(min=1, help="Seconds between looks at matured forecasts.")] = 600.0,
    once: Annotated[bool, typer.Option("--once", help="Look once at everything, and end.")] = False,
    mlflow: Mlflow = None,
    home: Home = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --once, print one JSON object.")] = False,
) -> None:
    """Judge all experiments until SIGTERM: score what has matured, weigh it, decide, move the alias champion.

    It may be killed at any time, and two may run: what one left undone is finished by the next look. With --once it
    exits with 1 where an experiment could not be looked at.
    """
    if once:
        from tickloom.experiment.judge import Judge

        with _at_work(mlflow, home) as (session, models):
            done = Judge(session, models).look()
        told = [{"experiment": it, "action": one.kind, "arm": one.arm, "why": one.why} for it, one in done.actions]
        if as_json:
            sys.stdout.write(json.dumps({"actions": told, "failures": done.failures}) + "\n")
        for it in () if as_json else told:
            typer.echo(f"{it['experiment']}: {it['action']} {it['arm']}: {it['why']}")
        if done.failures:
            raise TickloomError("; ".join(f"experiment {name}: {why}" for name, why in done.failures.items()))
        return
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    failed: list[Exception] = []

    def work() -> None:
        try:
            from tickloom.experiment.judge import Judge

            with _at_work(mlflow, home) as (session, models):
                Judge(session, models).run(ended, every_s=every, evidence_every_s=evidence_every)
        except Exception as error:
            failed.append(error)

    looks = threading.Thread(target=work, daemon=True)
    looks.start()
    while looks.is_alive() and not ended.wait(0.5):
        pass
    if failed and not ended.is_set():
        raise failed[0]
    looks.join(GRACE_S)
    sys.stdout.flush()
    os._exit(0)  # a look may be left at any place, and what it opened takes seconds to close


@contextmanager
def _at_work(mlflow: str | None, home: Path | None) -> "Iterator[tuple[Session, Registry]]":
    with store_session(home) as session:
        yield session, registry(mlflow, home)


def _decide(
    verb: str, name: str, why: str, who: str | None, mlflow: str | None, home: Path | None, as_json: bool
) -> None:
    from tickloom.experiment.by_hand import decide_by_hand

    with _at_work(mlflow, home) as (session, models):
        state: State = decide_by_hand(session, models, name, verb, who or getpass.getuser(), why, _now())
    decision = state.decision
    if decision is None:  # none of these verbs leaves an experiment undecided
        raise TickloomError(f"experiment {name}: nothing was decided; `tickloom experiment status {name}`")
    moved = verb in ("approve", "rollback")  # the others leave the champion as it is
    moves = [it.model_dump(include={"ticker", "old", "new"}) for it in decision.moves if moved]
    if as_json:
        told: dict[str, Any] = {
            "name": name,
            "status": state.status,
            "arm": decision.arm,
            "rolled_back": decision.rolled_back,
        }
        sys.stdout.write(json.dumps({**told, "moves": moves}) + "\n")
        return
    side = ("new", "old") if decision.rolled_back else ("old", "new")
    for it in moves:
        typer.echo(f"champion of {it['ticker']}: version {it[side[0]]} → {it[side[1]]}")
    typer.echo(f"{name}: {state.status}" + ("" if moves else "; the champion stays"))


def _now() -> int:
    return time.time_ns() // 1000
