"""The pipeline ``tickloom-retrain``."""

from typing import Any

from kfp import dsl

from pipelines.components import ending, judging, learning
from pipelines.placement import Placement
from pipelines.preparing import divide, prepare
from pipelines.settings import Settings
from tickloom.retrain.usual import FOLDS, GATE, HORIZON, LEAST, MODELS, TEST

NAME = "tickloom-retrain"


def build(settings: Settings) -> Any:
    """Return the pipeline that retrains models of tickers, judges them, and registers challengers."""

    @dsl.pipeline(name=NAME, description="Retrain models of tickers, judge them, and register challengers.")
    def retrain(
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
        limits: dict = {},  # noqa: B006
        mlflow: str = "",
        arms: dict = {},  # noqa: B006
        trigger: str = "asked for",
        policy: str = "",
        cpu: str = "1",
        memory: str = "4Gi",
        accelerator: str = "nvidia.com/gpu",
        gpus: str = "0",
        node_selector: dict = {},  # noqa: B006
        tolerations: list = [],  # noqa: B006
    ) -> None:
        place = Placement(
            settings,
            cpu=cpu,
            memory=memory,
            accelerator=accelerator,
            gpus=gpus,
            node_selector=node_selector,
            tolerations=tolerations,
        )
        last = place.small(ending.conclude(trigger=trigger, policy=policy), cached=False, name="conclude")
        with dsl.ExitHandler(last, name="retrain"):
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
                which = {"ticker": pair.ticker, "model": pair.model}
                given = {"bars": found.bars, "plan": divided.plan, "market": market}
                # kfp.local hands on no other task's parameter into a loop, so the digest comes with the pair; and the
                # compiler hands on a size into a loop only where a component takes it
                sized = {**which, **given, "digest": pair.digest, "seed": seed, "cpu": cpu, "memory": memory}
                tuned = place.large(learning.tune(**sized, trials=trials, options=pair.options), name="tune", spot=True)
                chosen = tuned.outputs["chosen"]
                trained = place.gpu(
                    learning.train(**sized, accelerator=accelerator, gpus=gpus, chosen=chosen), name="train"
                )
                package = trained.outputs["package"]
                judged = place.large(learning.evaluate(**sized, chosen=chosen), name="evaluate")
                compared = place.small(
                    judging.compare(**which, **given, mlflow=mlflow, package=package), cached=False, name="compare"
                )
                place.registry(compared)
                gated = place.small(
                    judging.gate(
                        **which,
                        limits=limits,
                        package=package,
                        judged=judged.outputs["judged"],
                        compared=compared.outputs["compared"],
                    ),
                    cached=False,
                    name="gate",
                )
            # collected anew for each that reads it, for the compiler changes what it is given
            parts = gated.outputs["Output"]
            together = place.small(ending.fair(pairs=dsl.Collected(parts), limits=limits), cached=False, name="fair")
            registered = place.small(
                ending.register(
                    fairness=together.outputs["Output"],
                    pairs=dsl.Collected(parts),
                    market=market,
                    mlflow=mlflow,
                    arms=arms,
                    run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
                    packages=dsl.Collected(package),
                    judged=dsl.Collected(judged.outputs["judged"]),
                    gated=dsl.Collected(gated.outputs["gated"]),
                ),
                cached=False,
                name="register",
            )
            place.registry(registered)
            place.store(registered)
            told = place.small(
                ending.report(
                    plan=divided.plan,
                    pairs=dsl.Collected(parts),
                    fairness=together.outputs["Output"],
                    registered=registered.outputs["Output"],
                ),
                cached=False,
                name="report",
            )
            place.small(ending.settle(report=told.outputs["Output"]), cached=False, name="settle", retries=0)

    return retrain
