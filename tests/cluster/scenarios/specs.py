"""Small specifications for the scenarios."""

import copy
from collections.abc import Mapping
from typing import Any

GROUP = "tickloom.dev"
CLAIM = "shared"


def spec(name: str, **more: Any) -> dict[str, Any]:
    """Return a small specification whose outputs are its own: a keyspace of its name."""
    base: dict[str, Any] = {
        "tickers": ["ATW"],
        "market": "XCAS",
        "sinks": {"cassandra": {"keyspace": name.replace("-", "_")[:48]}},
        "runtime": {"driver": {"cores": 1, "memory": "32m", "memoryOverhead": "32m"}},
        "checkpoint": {"claim": {"name": CLAIM}},
        "upgrade": {"stableBatches": 1},
        "restart": {"initialBackoff": "1s", "maxBackoff": "1m"},
    }
    return merged(base, more)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``over`` laid onto ``base``; None takes a key out."""
    out = copy.deepcopy(dict(base))
    for key, value in over.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(out.get(key), Mapping):
            out[key] = merged(out[key], value)
        else:
            out[key] = copy.deepcopy(value)
    return out


def told(**variables: str | int) -> dict[str, Any]:
    """Return the part of a specification that tells the stand-in driver what to do, by its FAKE_ variables."""
    environment = [{"name": f"FAKE_{name.upper()}", "value": str(value)} for name, value in variables.items()]
    return {"runtime": {"podTemplate": {"spec": {"containers": [{"name": "driver", "env": environment}]}}}}
