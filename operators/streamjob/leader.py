"""One operator acts at a time: a Lease, renewed while it lives."""

import time
from dataclasses import dataclass, field
from typing import Any

import structlog

from operators.streamjob.cluster import Body, Cluster, Refused
from operators.streamjob.moments import micro_stamp

log = structlog.get_logger()
SURE = 2 / 3
"""Share of the Lease's time for which its holder acts without having renewed it."""


@dataclass
class Leader:
    """Holds a Lease, or waits for it.

    Parameters
    ----------
    cluster, namespace, name
        Where the Lease is.
    identity
        Who asks.
    seconds
        After how long without renewal another may take it.
    """

    cluster: Cluster
    namespace: str
    name: str
    identity: str
    seconds: int
    _seen: tuple[str, float] = field(default=("", 0.0))
    _renewed: float = 0.0

    def holds(self) -> bool:
        """Return whether no other can have taken the Lease yet, even while a renewal waits for its answer."""
        return self._renewed > 0 and time.monotonic() - self._renewed < self.seconds * SURE

    def try_once(self) -> bool:
        """Take or renew the Lease; return whether it is held now.

        A Lease of another counts as lost when it has not changed for its whole time on this machine's own clock:
        the clocks of two machines are never compared.
        """
        now = time.monotonic()
        try:
            held = self._try(now)
        except Refused as error:
            log.warning("lease not renewed", failure=str(error))
            return self.holds()
        if held:
            self._renewed = now
        return held

    def _try(self, now: float) -> bool:
        found = self.cluster.get("Lease", self.namespace, self.name)
        if found is None:
            self.cluster.create(self._lease(None))
            return True
        spec = found.get("spec") or {}
        holder, version = spec.get("holderIdentity"), found["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, now)
        lasts = spec.get("leaseDurationSeconds") or self.seconds
        if holder not in (None, "", self.identity) and now - self._seen[1] < lasts:
            return False
        try:
            written = self.cluster.replace(self._lease(found))
        except Refused as error:
            if error.status == 409:
                return False  # another was faster
            raise
        self._seen = (written["metadata"]["resourceVersion"], now)
        return True

    def release(self) -> None:
        """Give the Lease up, so that another need not wait."""
        try:
            found = self.cluster.get("Lease", self.namespace, self.name)
            if found and (found.get("spec") or {}).get("holderIdentity") == self.identity:
                body = self._lease(found)
                body["spec"]["holderIdentity"] = ""
                self.cluster.replace(body)
        except Refused as error:
            log.warning("lease not released", failure=str(error))

    def _lease(self, old: Body | None) -> dict[str, Any]:
        stamp = micro_stamp(time.time())
        before = (old or {}).get("spec") or {}
        mine = before.get("holderIdentity") == self.identity
        meta: dict[str, Any] = {"name": self.name, "namespace": self.namespace}
        if old is not None:
            meta["resourceVersion"] = old["metadata"]["resourceVersion"]
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": meta,
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": self.seconds,
                "acquireTime": before.get("acquireTime", stamp) if mine else stamp,
                "renewTime": stamp,
                "leaseTransitions": int(before.get("leaseTransitions") or 0) + int(old is not None and not mine),
            },
        }
