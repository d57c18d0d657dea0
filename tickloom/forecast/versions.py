"""What MLflow has of registered models: their versions, aliases and tags."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

CHAMPION = "champion"
"""Alias of the version that serves."""


@dataclass(frozen=True)
class Version:
    """A version of a registered model.

    Attributes
    ----------
    name : str
        ``tickloom.<market>.<ticker>``.
    number : int
    model, verdict, created : str
        Of its manifest.
    aliases : tuple of str
    run : str
        Id of the MLflow run.
    tags : Mapping of str to str
        All of them; `tickloom.forecast.lineage` reads those of its origin.
    """

    name: str
    number: int
    model: str
    verdict: str
    created: str
    aliases: tuple[str, ...]
    run: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Listing:
    """All registered models.

    Attributes
    ----------
    aliases : dict of (market, ticker) to dict of str to int
        Which version each one names.
    tags : dict of str to dict of str to str
        By the model's name; those without tags are left out.
    """

    aliases: dict[tuple[str, str], dict[str, int]]
    tags: dict[str, dict[str, str]]


def listing_of(found: Iterable[Any]) -> Listing:
    """Return the listing of registered models as MLflow's client gives them."""
    aliases, tags = {}, {}
    for it in found:
        _, market, ticker = it.name.split(".", 2)
        aliases[market, ticker] = {alias: int(number) for alias, number in it.aliases.items()}
        if it.tags:
            tags[it.name] = dict(it.tags)
    return Listing(aliases, tags)


def version_of(found: Any, aliases: Iterable[str]) -> Version:
    """Return a version as MLflow's client gives it, with the aliases that name it."""
    tags = found.tags or {}
    told = (tags.get("model", ""), tags.get("verdict", ""), tags.get("created", ""))
    return Version(found.name, int(found.version), *told, tuple(sorted(aliases)), found.run_id or "", dict(tags))
