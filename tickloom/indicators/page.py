"""The page ``docs/indicators.md``, made from the registry."""

from tickloom.indicators.registry import DEFAULT_TWELVE, REGISTRY
from tickloom.indicators.spec import UNKNOWN_RULES, Indicator

_HEAD = """# Indicators

<!-- made by `tickloom docs indicators`; change the registry, not this page -->

Each indicator is defined once, as a state machine over blocks of bars. A batch is one call with a long block, a stream
is many calls with short ones; any split of a series gives the same bits, and no value depends on a later bar.

```python
from tickloom.indicators import Engine, compute

values = compute(frame, ["rsi_14", "macd"])    # a frame of bars, oldest first
engine = Engine(["rsi_14", "macd"])            # the same, bar by bar
state, values = engine.update(engine.initial(), block)
saved = engine.dump(state)                     # bytes; an engine with other indicators loads what it shares
```

Names carry their parameters. The {count} names below are listed; others are made by appending all parameters of a
family, in the order shown: `sma_30`, `macd_5_35_5`, `bb_upper_20_2.5`. A whole parameter is at most 1000.

Warm-up is the number of leading rows that are NaN. NaN also stands wherever there is no value, such as 0 / 0; it is
never replaced by a number. What an unknown input does:

{rules}

A saved state names its parts. An engine with more indicators carries on what it knows and starts the others fresh.
Indicators that come from the same loop and arguments (`macd` and `macd_signal`, `bb_upper` and `std_20`) share one
part, so one of them that is added later carries on at once.

A stream computes these twelve unless its manifest names others: {twelve}.
"""


def render() -> str:
    """Return the page's text."""
    rules = "\n".join(f"- `{name}`: {text}." for name, text in UNKNOWN_RULES.items())
    twelve = ", ".join(f"`{name}`" for name in DEFAULT_TWELVE)
    parts = [_HEAD.format(count=len(REGISTRY), rules=rules, twelve=twelve), _overview()]
    families: dict[str, list[Indicator]] = {}
    for item in REGISTRY.values():
        families.setdefault(item.family, []).append(item)
    parts += [_section(family, items) for family, items in families.items()]
    return "\n".join(parts)


def _overview() -> str:
    lines = ["| name | inputs | parameters | warm-up | unknown input |", "|---|---|---|---|---|"]
    for item in REGISTRY.values():
        lines.append(
            f"| `{item.name}` | {', '.join(item.inputs)} | {_parameters(item)} | {item.warmup} | `{item.unknown}` |"
        )
    return "\n".join([*lines, ""])


def _section(family: str, items: list[Indicator]) -> str:
    first = items[0]
    lines = [f"## {family}", ""]
    lines.append(f"- Names: {', '.join(f'`{item.name}`' for item in items)}")
    lines.append(f"- Inputs: {', '.join(first.inputs)}")
    lines.append(f"- Parameters: {', '.join(first.parameters) or 'none'}")
    lines.append(f"- Warm-up: {', '.join(str(item.warmup) for item in items)} rows")
    lines.append(f"- Formula: {first.formula}.")
    lines.append(f"- Source: {first.source}.")
    lines.append(f"- TA-Lib: {f'`{first.talib}`' if first.talib else 'has none'}")
    if first.talib:
        lines.append(f"- Differences from TA-Lib: {'; '.join(first.differences) or 'none'}.")
    return "\n".join([*lines, ""])


def _parameters(item: Indicator) -> str:
    return ", ".join(f"{key} {value:g}" for key, value in item.parameters.items()) or "–"
