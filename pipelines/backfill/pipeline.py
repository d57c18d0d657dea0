"""The pipeline ``tickloom-backfill``."""

from typing import Any

from kfp import dsl

from pipelines.components import ending
from pipelines.placement import Placement
from pipelines.preparing import prepare
from pipelines.settings import Settings
from tickloom.retrain.usual import LEAST

NAME = "tickloom-backfill"


def build(settings: Settings) -> Any:
    """Return the pipeline that makes the features of tickers anew.

    Another definition is another image, so that nothing of the former one is taken from the cache.
    """

    @dsl.pipeline(name=NAME, description="Make the features of tickers anew, after their definition has changed.")
    def backfill(
        tickers: list,
        market: str = "XNYS",
        folder: str = "",
        least: int = LEAST,
        trigger: str = "asked for",
        policy: str = "",
    ) -> None:
        place = Placement(settings)
        last = place.small(ending.conclude(trigger=trigger, policy=policy), cached=False, name="conclude")
        with dsl.ExitHandler(last, name="backfill"):
            found = prepare(place, tickers=tickers, market=market, folder=folder, least=least)
            place.small(ending.settle_features(features=found.told), cached=False, name="settle", retries=0)

    return backfill
