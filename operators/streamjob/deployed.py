"""The settings of an operator that runs in a cluster: read from its Deployment, for `tickloom plan`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from operators.streamjob.cluster import Cluster, Refused
from operators.streamjob.settings import OperatorSettings
from tickloom.errors import ConfigurationError

LABEL = "app.kubernetes.io/name=tickloom-operator"
"""What the chart `operator` puts on its Deployments."""
_PREFIX = OperatorSettings.model_config["env_prefix"]
_FIX = (
    f"so image, Secrets and addresses may differ from the installation's; set {_PREFIX}IMAGE and its like as the "
    "operator has them"
)


@dataclass(frozen=True)
class Deployed:
    """An operator's Deployment.

    Parameters
    ----------
    name
        Namespace and name.
    values
        Its settings, by field of `OperatorSettings`.
    unread
        Variables whose values stand where they could not be read.
    """

    name: str
    values: Mapping[str, str]
    unread: tuple[str, ...] = ()

    @property
    def watched(self) -> tuple[str, ...]:
        """The namespaces that it watches; none means all."""
        return _made(self.values, f"operator {self.name}").watched


def settings_for(cluster: Cluster, namespace: str) -> tuple[OperatorSettings, str]:
    """Return the settings that hold for a namespace's jobs, and whose they are, in words.

    They are those of the operator that watches the namespace, one that names it before one that watches all; what this
    machine's own environment sets goes before them.

    Raises
    ------
    ConfigurationError
        A variable, here or in the cluster, has a value that it cannot have.
    Refused
        The server said something else than that the Deployments may not be listed.
    """
    mine = _made({}, "this machine")
    own = mine.model_dump(include=set(mine.model_fields_set))
    here = ", ".join(sorted(f"{_PREFIX}{name.upper()}" for name in own))
    found, hidden = _deployed(cluster, namespace)
    watching = sorted(
        (item for item in found if not item.watched or namespace in item.watched),
        key=lambda item: (not item.watched, item.name),
    )
    if not watching:
        why = f"you may not list the Deployments of all namespaces ({hidden})" if hidden else "the cluster has none"
        held = f"the defaults, and this machine's {here}" if here else "the defaults"
        return mine, f"{held}: no operator that watches namespace {namespace} was found, for {why}; {_FIX}"
    first = watching[0]
    settings = _made({**first.values, **own}, f"operator {first.name}")
    said = f"those of the operator {first.name}"
    if here:
        said += f", but of this machine: {here}"
    if first.unread:
        said += f"; not read, so the default holds: {', '.join(first.unread)}"
    others = [
        item.name
        for item in watching[1:]
        if _made({**item.values, **own}, f"operator {item.name}").installation() != settings.installation()
    ]
    if others:
        said += f"; {', '.join(others)} watches namespace {namespace} too, with other ones"
    return settings, said


def _deployed(cluster: Cluster, namespace: str) -> tuple[list[Deployed], str]:
    """Return the operators that can be seen, and why not all can; empty where they can."""
    hidden = ""
    for place in (None, namespace):
        try:
            return [_read(cluster, body) for body in cluster.list("Deployment", place, LABEL)], hidden
        except Refused as error:
            if error.status != 403:
                raise
            hidden = hidden or error.message
    return [], hidden


def _read(cluster: Cluster, body: Mapping[str, Any]) -> Deployed:
    meta = body["metadata"]
    values, unread = {}, []
    for container in body["spec"]["template"]["spec"]["containers"]:
        for name, value in _variables(cluster, meta["namespace"], container):
            field = name.removeprefix(_PREFIX).lower()
            if name.startswith(_PREFIX) and field in OperatorSettings.model_fields:
                if value is None:
                    unread.append(name)
                else:
                    values[field] = value
    return Deployed(f"{meta['namespace']}/{meta['name']}", values, tuple(unread))


def _variables(cluster: Cluster, namespace: str, container: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Yield the variables of a container in the order in which later ones win; None where a value cannot be read."""
    for source in container.get("envFrom") or []:
        named = (source.get("configMapRef") or {}).get("name")
        data = _config_map(cluster, namespace, named) if named else None
        for key, value in (data or {}).items():
            yield f"{source.get('prefix') or ''}{key}", value
    for item in container.get("env") or []:
        origin = item.get("valueFrom")
        if origin is None:
            yield item["name"], item.get("value") or ""
        elif "configMapKeyRef" in origin:
            data = _config_map(cluster, namespace, origin["configMapKeyRef"]["name"])
            if data is None or origin["configMapKeyRef"]["key"] in data:
                yield item["name"], None if data is None else data[origin["configMapKeyRef"]["key"]]
        elif (origin.get("fieldRef") or {}).get("fieldPath") == "metadata.namespace":
            yield item["name"], namespace
        else:
            yield item["name"], None


def _config_map(cluster: Cluster, namespace: str, name: str) -> dict[str, str] | None:
    """Return what a ConfigMap holds, nothing where there is none; None where it may not be read."""
    try:
        found = cluster.get("ConfigMap", namespace, name)
    except Refused as error:
        if error.status != 403:
            raise
        return None
    return dict((found or {}).get("data") or {})


def _made(values: Mapping[str, Any], whose: str) -> OperatorSettings:
    try:
        return OperatorSettings(**values)
    except ValidationError as error:
        wrong = (f"{_PREFIX}{str(it['loc'][0]).upper()} {it['input']!r}: {it['msg']}" for it in error.errors())
        raise ConfigurationError("\n".join(f"{whose}: {line}" for line in wrong)) from None
