"""The pipeline ``tickloom-evaluate-only``."""

from typing import Any

from kfp import dsl

from pipelines.components import ending, learning
from pipelines.placement import Placement
from pipelines.preparing import divide, prepare
from pipelines.settings import Settings
from tickloom.retrain.usual import FOLDS, GATE, HORIZON, LEAST, MODELS, TEST

NAME = "tickloom-evaluate-only"


def build(settings: Settings) -> Any:
    """Return the pipeline that judges models of tickers by walk-forward beside the baselines, and registers none."""

    @dsl.pipeline(name=NAME, description="Judge models of tickers beside the baselines; register none.")
    def evaluate_only(
        tickers: list,
        market: str = "XNYS",
        models: list = [*MODELS],  # noqa: B006
        options: dict = {},  # noqa: B006
        folder: str = "",
        least: int = LEAST,
        horizon: int = HORIZON,
        folds: int = FOLDS,
        test: int = TEST,
        gate: int = GATE,
        trials: int = 0,
        seed: int = 0,
        trigger: str = "asked for",
        policy: str = "",
        cpu: str = "1",
        memory: str = "4Gi",
    ) -> None:
        place = Placement(settings, cpu=cpu, memory=memory)
        last = place.small(ending.conclude(trigger=trigger, policy=policy), cached=False, name="conclude")
        with dsl.ExitHandler(last, name="evaluate only"):
            found = prepare(place, tickers=tickers, market=market, folder=folder, least=least)
            divided = divide(
                place,
                found,
                models=models,
                options=options,
                market=market,
                horizon=horizon,
                folds=folds,
                test=test,
                gate=gate,
            )
            with dsl.ParallelFor(divided.pairs, parallelism=settings.parallelism or None) as pair:
                sized = {
                    "ticker": pair.ticker,
                    "model": pair.model,
                    "digest": pair.digest,
                    "bars": found.bars,
                    "plan": divided.plan,
                    "market": market,
                    "seed": seed,
                    "cpu": cpu,
                    "memory": memory,
                }
                tuned = place.large(learning.tune(**sized, trials=trials, options=pair.options), name="tune", spot=True)
                judged = place.large(learning.evaluate(**sized, chosen=tuned.outputs["chosen"]), name="evaluate")
            told = place.small(
                ending.report(
                    plan=divided.plan,
                    pairs=dsl.Collected(judged.outputs["Output"]),
                    fairness={},
                    registered=[],
                ),
                cached=False,
                name="report",
            )
            place.small(ending.settle(report=told.outputs["Output"]), cached=False, name="settle", retries=0)

    return evaluate_only
