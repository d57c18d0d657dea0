"""Components from bars to the plan of a retraining."""

from kfp.dsl import HTML, Dataset, Input, Output

from pipelines.components import component


@component
def look(tickers: list, market: str, folder: str, stamp: Output[Dataset]) -> str:
    """Return a digest of the bars as they are now; it is what later steps are cached by, and is never cached itself."""
    import json
    from hashlib import sha256
    from pathlib import Path

    from pipelines.runtime import attempt

    facts = attempt(
        "extract", stamp.path, named="look", tickers=tickers, market=market, data=Path(folder) if folder else None
    )
    return sha256(json.dumps([market, facts["tickers"]], sort_keys=True).encode()).hexdigest()


@component
def extract(tickers: list, market: str, folder: str, digest: str, bars: Output[Dataset]) -> dict:
    """Bring each ticker's daily bars into one folder."""
    from pathlib import Path

    from pipelines.runtime import attempt

    bars.metadata["digest"] = digest
    return attempt("extract", bars.path, tickers=tickers, market=market, data=Path(folder) if folder else None)


@component
def validate(
    bars: Input[Dataset], market: str, least: int, digest: str, checked: Output[Dataset], page: Output[HTML]
) -> dict:
    """Say which tickers can be learned from, and why the others cannot."""
    from pathlib import Path

    from pipelines.ending import copy
    from pipelines.runtime import attempt

    facts = attempt("validate", checked.path, extracted=Path(bars.path), market=market, least=least)
    copy(Path(checked.path) / "report.html", page.path)
    return facts


@component
def features(bars: Input[Dataset], checked: Input[Dataset], market: str, digest: str, frames: Output[Dataset]) -> dict:
    """Write the features of each valid ticker."""
    from pathlib import Path

    from pipelines.runtime import attempt

    return attempt("features", frames.path, extracted=Path(bars.path), validated=Path(checked.path), market=market)


@component
def split(
    frames: Input[Dataset],
    market: str,
    horizon: int,
    folds: int,
    test: int,
    gate: int,
    digest: str,
    plan: Output[Dataset],
) -> None:
    """Divide each ticker's sessions."""
    from pathlib import Path

    from pipelines.runtime import attempt

    attempt(
        "split",
        plan.path,
        featured=Path(frames.path),
        market=market,
        horizon=horizon,
        folds=folds,
        test=test,
        gate=gate,
    )


@component
def pair(plan: Input[Dataset], models: list, options: dict, digest: str) -> list:
    """Return the pairs of ticker and model that go on; apart from the plan, which stays the same with other models."""
    from pipelines.runtime import pairs, result, told

    with told("pair"):
        return pairs(result(plan.path), models, options, digest)
