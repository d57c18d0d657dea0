"""Tables of fields for the pages that are made from models."""

from collections.abc import Collection

from pydantic import BaseModel


def fields_table(model: type[BaseModel], without: Collection[str] = ()) -> str:
    """Return the table of a model's fields: name in the file, default, what it is."""
    rows = ["| field | default | what it is |\n|---|---|---|"]
    for name, info in model.model_fields.items():
        if name in without:
            continue
        required, default = info.is_required(), info.get_default(call_default_factory=False)
        shown = "required" if required else "" if default in (None, {}, "") or info.default_factory else _shown(default)
        rows.append(f"| `{info.alias or name}` | {shown} | {info.description} |")
    return "\n".join(rows) + "\n"


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{list(default) if isinstance(default, tuple) else default}`"
