"""Which Secrets show Kafka and Cassandra who a job is: those of its manifest, else the operator's own; pure."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from operators.streamjob.seen import Installation, Problem
from tickloom.stream.job import Spec

JAAS = "sasl.jaas.config"
CERTIFICATE = ("tls.crt", "tls.key")
NEEDED = (("username", "password"), ("ca.crt",))
"""Keys that the Secret with the credentials must have, and the one with the certificates."""


@dataclass(frozen=True)
class Access:
    """How a job's pods show one server who they are, and know it.

    Parameters
    ----------
    part
        ``kafka`` or ``cassandra``: name of the volume.
    credentials
        Secret with user name and password, all of whose keys are mounted; None where nobody asks.
    certificates
        Secret of whose keys ``ca.crt`` and, for Cassandra, a client's certificate lie beside them.
    told
        What names each of the two, for a refusal: the manifest's field or the operator's variable.
    """

    part: str
    credentials: str | None
    certificates: str | None
    told: tuple[str, str]

    @property
    def folder(self) -> str:
        """Where the Secrets are mounted."""
        return f"/etc/tickloom-{self.part}"

    @property
    def variable(self) -> str:
        """The variable that names the folder."""
        return f"TICKLOOM_{self.part.upper()}_CREDENTIALS"

    @property
    def names(self) -> tuple[str, ...]:
        """The Secrets that there must be."""
        return tuple(name for name in (self.credentials, self.certificates) if name is not None)

    @property
    def fields(self) -> dict[str, str | None]:
        """The two, as the manifest calls them."""
        return {"credentials": self.credentials, "certificates": self.certificates}

    def volume(self) -> dict[str, Any] | None:
        """Return the volume that holds one file for each key; None where no Secret is named."""
        if not self.names:
            return None
        if self.certificates is None:
            return {"name": self.part, "secret": {"secretName": self.credentials}}
        sources: list[dict[str, Any]] = [{"name": self.certificates, "items": _items("ca.crt")}]
        if self.credentials is not None:
            sources.insert(0, {"name": self.credentials})  # before the certificates: what both hold is theirs
        if self.part == "cassandra":
            sources.append({"name": self.certificates, "items": _items(*CERTIFICATE), "optional": True})
        return {"name": self.part, "projected": {"sources": [{"secret": source} for source in sources]}}

    def problems(self, secrets: Mapping[str, Set[str] | None], namespace: str) -> list[Problem]:
        """Return what is wrong with the Secrets, given the keys of each; None stands for one that is not there."""
        found = []
        if self.part == "kafka" and self.certificates is not None and self.credentials is None:
            text = f"{self.told[1]}: goes with user name and password; name their Secret in spec.source.credentials"
            return [Problem("InvalidSpec", text)]
        for name, told, needed in zip((self.credentials, self.certificates), self.told, NEEDED, strict=True):
            if name is None:
                continue
            keys = secrets.get(name)
            if keys is None:
                text = (
                    f"{told}: there is no Secret {name!r} in namespace {namespace}; create it with {', '.join(needed)}"
                )
                found.append(Problem("SecretMissing", text))
                continue
            known = keys | {"username"} if self.part == "kafka" and JAAS in keys else keys
            absent = [key for key in needed if key not in known]
            if absent:
                text = f"{told}: Secret {name!r} lacks the key {absent[0]!r}; it needs {', '.join(needed)}"
                found.append(Problem("SecretMissing", text))
        return found


def accesses(raw_spec: Mapping[str, Any], here: Installation) -> tuple[Access, Access]:
    """Return how the pods of a manifest come to Kafka and to Cassandra.

    The operator's own Secrets are for the servers that its settings name: what a manifest gives the address of is never
    shown them.
    """
    source = _part(raw_spec, "source")
    sink = _part(_part(raw_spec, "sinks"), "cassandra")
    return (
        _access("kafka", source, "spec.source", source.get("bootstrapServers"), here.kafka_secrets),
        _access("cassandra", sink, "spec.sinks.cassandra", sink.get("contactPoints"), here.cassandra_secrets),
    )


def with_secrets(spec: Spec, here: Installation) -> Spec:
    """Return a spec that names the Secrets which its pods mount, so that another one of the operator's is a change."""
    kafka, cassandra = accesses(spec.model_dump(mode="json", by_alias=True, include={"source", "sinks"}), here)
    sink = spec.sinks.cassandra.model_copy(update=cassandra.fields)
    return spec.model_copy(
        update={
            "source": spec.source.model_copy(update=kafka.fields),
            "sinks": spec.sinks.model_copy(update={"cassandra": sink}),
        }
    )


def _access(
    part: str, given: Mapping[str, Any], path: str, address: object, default: tuple[str | None, str | None]
) -> Access:
    names, told = [], []
    for key, own in zip(("credentials", "certificates"), default, strict=True):
        named = given.get(key)
        mine = isinstance(named, str)
        names.append(str(named) if mine else None if address else own)
        told.append(f"{path}.{key}" if mine else f"TICKLOOM_OPERATOR_{part.upper()}_{key.upper()} of the operator")
    return Access(part, names[0], names[1], (told[0], told[1]))


def _part(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, Mapping) else {}


def _items(*keys: str) -> list[dict[str, str]]:
    return [{"key": key, "path": key} for key in keys]
