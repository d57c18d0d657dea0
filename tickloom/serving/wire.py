"""What the processes of the service tell each other: plain mappings, for they cross as messages."""

from typing import NotRequired, TypedDict


class Asked(TypedDict):
    """A forecast that is wanted of one version of one ticker's model.

    ``levels`` are shares such as 0.8; ``as_of`` is the last session that may be known, days since 1970; ``why`` asks
    for an explanation.
    """

    market: str
    ticker: str
    version: str
    levels: list[float]
    as_of: int | None
    why: bool


class Made(TypedDict):
    """What came of it.

    ``cutoff`` and ``days`` are days since 1970, ``close`` and ``price`` are in the market's currency, ``lower`` and
    ``upper`` hold a list of prices for each of ``levels``, empty where the model's errors are not known; ``features``
    is the SHA-256 of what the model read, ``learned_to`` the date of the last session that it was fitted to. ``why``
    holds for each feature by how much log-return it moves the forecast of the next session. Where ``refused`` stands,
    nothing else counts but ``field``, which names what of the request cannot be.
    """

    model: NotRequired[str]
    version: NotRequired[str]
    verdict: NotRequired[str]
    remark: NotRequired[str]
    learned_to: NotRequired[str]
    cutoff: NotRequired[int]
    close: NotRequired[float]
    days: NotRequired[list[int]]
    price: NotRequired[list[float]]
    levels: NotRequired[list[float]]
    lower: NotRequired[list[list[float]]]
    upper: NotRequired[list[list[float]]]
    features: NotRequired[str]
    why: NotRequired[dict[str, float] | None]
    refused: NotRequired[str]
    field: NotRequired[str]


class Wanted(TypedDict):
    """A version that is to be ready before it is asked."""

    market: str
    ticker: str
    version: str
