"""``tickloom ask``: the next sessions of a ticker, from the forecast service."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tickloom.cli.forecasting import installed
from tickloom.cli.foretold import Row, draw
from tickloom.cli.options import AsJson
from tickloom.errors import TickloomError

if TYPE_CHECKING:
    from tickloom.client import Forecast

app = typer.Typer(rich_markup_mode=None, add_completion=False)
_KEY = "TICKLOOM_KEY"


class AskSettings(BaseSettings):
    """What the environment says to who asks the service."""

    model_config = SettingsConfigDict(env_prefix="TICKLOOM_", frozen=True)

    url: str = Field("http://localhost:3000", description="Address of the forecast service; `--url` goes before it.")
    key: str | None = Field(None, description="API key or token; `--key-file` goes before it.")


@app.command(
    epilog="Examples: tickloom ask AAPL --horizon 5 | tickloom ask ATW --url https://forecasts.example.com "
    "--key-file desk.key --why --json"
)
@installed("client", "asking")
def ask(
    ticker: Annotated[str, typer.Argument(help="Ticker, such as ATW.")],
    url: Annotated[str, typer.Option(envvar="TICKLOOM_URL", help="Of the service.")] = AskSettings.model_fields[
        "url"
    ].default,
    key_file: Annotated[
        Path | None, typer.Option(help=f"File that holds an API key or a token; default the variable {_KEY}.")
    ] = None,
    market: Annotated[str | None, typer.Option(help="XNYS or XCAS; needed where both have the ticker.")] = None,
    horizon: Annotated[int | None, typer.Option(min=1, help="Sessions ahead; default all of the model's.")] = None,
    level: Annotated[
        list[float], typer.Option(help="Per cent that an interval is to hold; may be given more than once.")
    ] = [80, 95],  # noqa: B006
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="As if closes after this date were not known.")
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="Ask also what moves the next session's forecast.")] = False,
    deadline: Annotated[float, typer.Option(min=0.1, help="Seconds for all tries together.")] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Ask the forecast service for the closes of a ticker's next sessions.

    Prices are in the market's currency. The verdict that stands with them says whether the model has ever been better
    than the last price.
    """
    from tickloom.client import Client

    if not url.startswith(("http://", "https://")):
        raise TickloomError(f"--url {url!r} is no address; it begins with https:// or http://")
    if not math.isfinite(deadline):
        raise TickloomError(f"--deadline {deadline} is no number of seconds; give one such as 10")
    with _patience(deadline), Client(url, key=_key(key_file), deadline_s=deadline) as client:
        found = client.forecast(
            ticker, market=market, horizon=horizon, levels=level, as_of=None if as_of is None else as_of.date(), why=why
        )
    if as_json:
        typer.echo(json.dumps(found.raw))
        return
    _print(found, why)


@contextmanager
def _patience(deadline_s: float) -> Iterator[None]:
    """Say once that the service is asked again, in place of a line of the log for each time."""
    from stamina.instrumentation import RetryDetails, get_on_retry_hooks, set_on_retry_hooks

    def say(details: RetryDetails) -> None:
        if details.retry_num == 1:
            typer.echo(f"the service cannot answer now; it is asked again for up to {deadline_s:g} s", err=True)

    before = get_on_retry_hooks()
    set_on_retry_hooks([say])
    try:
        yield
    finally:
        set_on_retry_hooks(before)


def _key(file: Path | None) -> str | None:
    if file is None:
        return AskSettings().key or None
    try:
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise TickloomError(f"--key-file {file}: {reason}") from None
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise TickloomError(f"--key-file {file}: must hold a key or a token alone, in one line")
    return key


def _print(found: "Forecast", why: bool) -> None:
    # a degraded answer has no intervals, and then no columns for them
    levels = [f"{it.level:g}" for it in found.sessions[0].intervals] if found.sessions else []
    rows = [
        Row(it.session.isoformat(), it.ahead, it.close, [(one.lower, one.upper) for one in it.intervals])
        for it in found.sessions
    ]
    draw(
        rows, levels, model=found.model, version=found.version, cutoff=found.cutoff.isoformat(), close=found.close,
        verdict=found.verdict, remark=found.remark,
    )  # fmt: skip
    if found.degraded is not None:
        typer.echo(f"degraded: this is the {'last close' if found.degraded == 'naive' else found.degraded}", err=True)
    if found.sessions_behind:
        typer.echo(
            f"the close of {found.cutoff} is the last one known; {found.sessions_behind} sessions have ended since, "
            f"the last on {found.last_session}",
            err=True,
        )
    if why and found.why is None:
        typer.echo(f"{found.model} reads no features: there is nothing to explain")
    elif found.why is not None:
        typer.echo("\nwhat moves the next session's forecast, each by itself:")
        for name, change in found.why.items():
            typer.echo(f"  {name:<24} {100 * change:+.4f} %")
