"""What the verbs of pipelines share: the environment that holds kfp, and the parameters of a run."""

import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tickloom.errors import TickloomError
from tickloom.retrain.usual import FOLDS, GATE, HORIZON, MODELS, TEST

Tickers = Annotated[str | None, typer.Option(help="Tickers with commas between: AAPL,MSFT.")]
Models = Annotated[str | None, typer.Option(help="Names of models with commas between: lstm,ridge.")]
Limits = Annotated[
    list[str] | None,
    typer.Option("--limit", help="NAME=VALUE of the gate, such as ratio=1.02; may be given more than once."),
]
Arms = Annotated[
    list[str] | None,
    typer.Option("--arm", help="MODEL=ARM whose alias challenger-ARM a new version gets; may be given more than once."),
]
Param = Annotated[
    list[str] | None,
    typer.Option(
        "--param", help="NAME=VALUE of any other parameter, lists and objects as JSON; may be given more than once."
    ),
]
SettingsFile = Annotated[
    Path | None, typer.Option("--settings", help="YAML of what is compiled in: image, volume, Secrets, retries.")
]
PYTHON = "bin/python"
FOLDER = ".venv-pipelines"


def own_environment() -> None:
    """Go on in the environment that holds kfp, which does not go together with what the operator needs.

    Raises
    ------
    TickloomError
        There is none.
    """
    if importlib.util.find_spec("kfp") is not None:
        return
    from tickloom.settings import settings

    folder = settings().pipelines or Path(sys.prefix).with_name(FOLDER)
    python = folder / PYTHON
    if not python.is_file() or folder.resolve() == Path(sys.prefix).resolve():
        raise TickloomError(
            f"pipelines need kfp, which has an environment of its own, and {folder} is none: `make setup-pipelines` "
            "makes it, TICKLOOM_PIPELINES names another"
        )
    sys.stdout.flush()
    os.execv(python, [str(python), "-m", "tickloom.cli.main", *sys.argv[1:]])  # noqa: S606


def parameters(
    accepted: Mapping[str, str],
    pipeline: str,
    *,
    tickers: str | None,
    models: str | None,
    market: str | None,
    option: list[str] | None,
    limit: list[str] | None,
    arm: list[str] | None,
    param: list[str] | None,
    **others: Any,
) -> dict[str, Any]:
    """Return the parameters of a run, of which one that was not given has the pipeline's own value.

    Parameters
    ----------
    accepted
        What the pipeline takes: Kubeflow's name of the type of each.
    others
        By the parameter's name; None is left out.

    Raises
    ------
    TickloomError
        One is of another form, or the pipeline does not take it.
    """
    from tickloom.cli.forecasting import market_of

    found: dict[str, Any] = {name: value for name, value in others.items() if value is not None}
    own = pairs("--param", param, "seed=7")
    _refuse_unknown(pipeline, own, accepted)
    found |= {name: _of_type(name, value, accepted[name]) for name, value in own.items()}
    if tickers is not None:
        found["tickers"] = listed("--tickers", tickers, "AAPL,MSFT")
    if models is not None:
        found["models"] = listed("--models", models, "lstm,ridge")
    if option:
        from tickloom.cli.forecasting import parsed_options

        found["options"] = parsed_options(option, found.get("models", list(MODELS)))
    if limit:
        found["limits"] = {
            name: _number("--limit", name, it) for name, it in pairs("--limit", limit, "ratio=1.02").items()
        }
    if arm:
        found["arms"] = pairs("--arm", arm, "lstm=lstm")
    if not found.get("tickers"):
        raise TickloomError("--tickers is missing: name one or more, such as --tickers AAPL,MSFT")
    markets = {market_of(it, market) for it in found["tickers"]}
    if len(markets) > 1:
        raise TickloomError(
            f"--tickers are of {', '.join(sorted(markets))}; a run is of one market: start one for each"
        )
    found.setdefault("market", markets.pop())
    _refuse_unknown(pipeline, found, accepted)
    _check(found)
    if "limits" in accepted:
        _check_gate(found)
    return found


def _refuse_unknown(pipeline: str, given: Iterable[str], accepted: Iterable[str]) -> None:
    unknown = [it for it in given if it not in accepted]
    if unknown:
        raise TickloomError(f"{pipeline} takes no {', '.join(unknown)}; it takes {', '.join(sorted(accepted))}")


def _check(found: Mapping[str, Any]) -> None:
    """Refuse what a step would refuse after long work.

    Raises
    ------
    TickloomError
        A ticker has not the form of one, or a model, an option or a limit is unknown.
    """
    from tickloom.forecast.models import make
    from tickloom.market.records import TICKER
    from tickloom.retrain.limits import Limits

    odd = next((it for it in found["tickers"] if not TICKER.fullmatch(str(it))), None)
    if odd is not None:
        raise TickloomError(f"--tickers: {odd!r} must match {TICKER.pattern}")
    options = found.get("options", {})
    for model in found.get("models", options):
        make(model, found.get("horizon", HORIZON), **options.get(model, {}))
    Limits.of(found.get("limits"))


def _check_gate(found: Mapping[str, Any]) -> None:
    """Refuse a run that trains for long and of which the gate could pass nothing.

    Raises
    ------
    TickloomError
        Folds, sessions or the gate are too few.
    """
    from tickloom.retrain.plausible import check_plan

    usual = {"horizon": HORIZON, "folds": FOLDS, "test": TEST, "gate": GATE}
    check_plan(**{name: int(found.get(name, it)) for name, it in usual.items()}, limits=found.get("limits"))


def listed(option: str, text: str, example: str) -> list[str]:
    """Return the items of a list with commas.

    Raises
    ------
    TickloomError
        It is empty, or has one twice.
    """
    found = [it.strip() for it in text.split(",")]
    if not all(found) or len(set(found)) < len(found):
        raise TickloomError(f"{option} {text!r} must be a list such as {example}, each named once")
    return found


def pairs(option: str, given: list[str] | None, example: str) -> dict[str, str]:
    """Return NAME=VALUE by name.

    Raises
    ------
    TickloomError
        One is of another form, or there twice.
    """
    found: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not (equals and value and re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", name)):
            raise TickloomError(f"{option} {text!r} must be NAME=VALUE, such as {example}")
        if name in found:
            raise TickloomError(f"{option}: {name} is given twice; give it once")
        found[name] = value
    return found


def _number(option: str, name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise TickloomError(f"{option} {name}={text}: must be a number") from None


_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "NUMBER_INTEGER": ((int,), "a whole number"),
    "NUMBER_DOUBLE": ((int, float), "a number"),
    "BOOLEAN": ((bool,), "true or false"),
    "LIST": ((list,), "a list in JSON, such as [1, 2]"),
    "STRUCT": ((dict,), 'an object in JSON, such as {"a": "b"}'),
}


def _of_type(name: str, text: str, kind: str) -> Any:
    """Return the value of a parameter; what Kubeflow wants as text is the text itself."""
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if kind == "STRING":
        return value if isinstance(value, str) else text
    types, said = _TYPES[kind]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise TickloomError(f"--param {name}={text}: must be {said}")
    return value
