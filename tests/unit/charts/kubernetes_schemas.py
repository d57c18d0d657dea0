"""JSON Schemas of Kubernetes' own kinds, read from the models of the package ``kubernetes``.

The package is generated from the OpenAPI document of the Kubernetes version that its major version names, so these are
that version's fields, types and required fields, with no network.
"""

from typing import Any


def schema_of(api_version: str, kind: str) -> dict[str, Any]:
    """Return the schema of a kind, in which unknown fields are wrong.

    Raises
    ------
    KeyError
        The package has no such kind.
    """
    from kubernetes.client import models

    name = f"{api_version.rpartition('/')[2].capitalize()}{kind}"
    if not hasattr(models, name):
        raise KeyError(f"{api_version} {kind}")
    schema: dict[str, Any] = getattr(models, name).model_json_schema(mode="validation")
    for part in (schema, *schema.get("$defs", {}).values()):
        if "properties" in part:
            part["additionalProperties"] = False
            part.pop("description", None)
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema}
