"""What is wrong in a file, in words: path, value, and what the value may be."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails, PydanticCustomError

PATTERNS = {
    r"^[1-9][0-9]{0,4}(ms|s|m|h|d)$": "a duration such as 500ms, 10s, 5m, 1d",
    r"^[1-9][0-9]{0,6}(m|[KMGT]i?)?$": "an amount such as 500m, 2, 10Gi",
    r"^[1-9][0-9]{0,5}[mg]$": "an amount of memory such as 512m, 2g",
    r"^[0-9]+\.[0-9]+\.[0-9]+$": "a version such as 4.2.0",
    r"^[A-Z0-9][A-Z0-9.\-]{0,15}$": (
        "a ticker: 1 to 16 capital letters, digits, '.' and '-', the first a letter or digit"
    ),
    r"^([01][0-9]|2[0-3]):[0-5][0-9]$": "a time of day such as 22:30",
    r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$": (
        "a name: 1 to 63 small letters, digits and '-', the first a letter and the last no '-'"
    ),
    r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$": (
        "an object's name: 1 to 253 small letters, digits, '-' and '.', the first and last a letter or digit"
    ),
    r"^[a-zA-Z0-9._-]{1,249}$": "a topic's name: 1 to 249 letters, digits, '.', '_' and '-'",
    r"^(client|ticker|header:[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64})$": (
        "what stays with its arm: client, ticker, or header:NAME such as header:X-Desk"
    ),
    r"^([1-9][0-9]{0,8}|[A-Za-z][A-Za-z0-9_-]{0,127})$": "an alias or a version of a registered model: champion, 7",
    r"^[a-z][a-z0-9_]{0,47}$": "a keyspace: 1 to 48 small letters, digits and '_', the first a letter",
}
"""What the patterns of fields mean."""

_KINDS = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list",
    "dict": "a mapping",
    "model": "a mapping of fields",
}


def mistake(field: str, text: str) -> PydanticCustomError:
    """Return what a validator of a whole model raises where one of its fields is to be told."""
    return PydanticCustomError("mistake", "{text}", {"text": text, "field": field})


def mistakes(found: Sequence[tuple[tuple[str | int, ...], str]]) -> PydanticCustomError:
    """Return what a validator raises that has found several: the place of each below its field, and what it is."""
    text = "; ".join(what for _, what in found)
    return PydanticCustomError("mistakes", "{text}", {"text": text, "found": tuple(found)})


def sentences(errors: Sequence[ErrorDetails], root: type[BaseModel]) -> list[str]:
    """Return a sentence for each mistake in a document of the model ``root``.

    That a list is too short is left out where its items are mistakes themselves.
    """
    places = [item["loc"] for item in errors]
    return [
        text
        for item in errors
        if item["type"] != "too_short" or not any(_below(place, item["loc"]) for place in places)
        for text in _sentences(item, root)
    ]


def _sentences(item: ErrorDetails, root: type[BaseModel]) -> list[str]:
    if item["type"] != "mistakes":
        return [_sentence(item, root)]
    return [f"{_path((*item['loc'], *place))}: {text}" for place, text in item["ctx"]["found"]]


def _below(place: tuple[int | str, ...], above: tuple[int | str, ...]) -> bool:
    return len(place) > len(above) and place[: len(above)] == above


def _sentence(item: ErrorDetails, root: type[BaseModel]) -> str:
    kind, value, limits = item["type"], item["input"], item.get("ctx", {})
    place = _path((*item["loc"], limits["field"]) if kind == "mistake" else item["loc"])
    if kind == "extra_forbidden":
        return f"{place} is unknown; known here: {', '.join(_known_fields(root, item['loc'][:-1]))}"
    if kind == "missing":
        return f"{place} is missing"
    if kind == "string_pattern_mismatch":
        pattern = limits["pattern"]
        return f"{place}: {value!r} is not {PATTERNS.get(pattern, f'of the form {pattern}')}"
    if kind == "string_type" and (value is None or isinstance(value, bool | int | float)):
        return f"{place}: YAML reads this as {_as_yaml(value)}, and it must be text: put it in quotes"
    if kind in ("too_short", "too_long"):
        return f"{place}: {_count(kind, str(item['loc'][-1]), limits)}"
    base = kind.partition("_")[0]
    if base in _KINDS and kind.endswith(("_type", "_parsing", "_from_float")):
        text = f"must be {_KINDS[base]}"
    else:
        text = item["msg"].removeprefix("Value error, ").replace("Input should be ", "must be ")
    shown = f" (given: {value!r})" if isinstance(value, str | int | float) and repr(value) not in text else ""
    return f"{place}: {text}{shown}"


def _as_yaml(value: bool | int | float | None) -> str:
    if value is None:
        return "empty"
    return str(value).lower() if isinstance(value, bool) else f"the number {value}"


def _count(kind: str, what: str, limits: Mapping[str, Any]) -> str:
    bound = limits["min_length" if kind == "too_short" else "max_length"]
    noun = what if bound != 1 else what.removesuffix("s")
    if kind == "too_short":
        return f"needs at least {bound} {noun}"
    return f"may have at most {bound:,} {noun}, not {limits['actual_length']:,}"


def _path(location: Iterable[str | int]) -> str:
    out = ""
    for part in location:
        out += f"[{part}]" if isinstance(part, int) else f".{part}"
    return out.lstrip(".") or "the manifest"


def _known_fields(root: type[BaseModel], location: Iterable[str | int]) -> list[str]:
    model = root
    for part in location:
        fields = [info for key, info in model.model_fields.items() if part in (key, info.alias)]
        model = (_model_in(fields[0].annotation) if fields else None) or model
    return [info.alias or key for key, info in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model of ``Model``, ``Model | None`` or ``tuple[Model, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)
