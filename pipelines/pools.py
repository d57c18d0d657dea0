"""Node pools with GPUs as the large clouds mark them: a name instead of a node selector and tolerations."""

from dataclasses import dataclass
from typing import Any

from tickloom.errors import TickloomError

GPU = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


@dataclass(frozen=True)
class Pool:
    """Where tuning and training go.

    Attributes
    ----------
    node_selector : dict
        Labels of the nodes.
    tolerations : tuple
        Of the taints that keep others away from them.
    """

    node_selector: dict[str, str]
    tolerations: tuple[dict[str, Any], ...] = (GPU,)

    def parameters(self, gpus: int) -> dict[str, Any]:
        """Return what a run is given."""
        return {
            "gpus": str(gpus),
            "node_selector": dict(self.node_selector),
            "tolerations": [dict(it) for it in self.tolerations],
        }


def _taint(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}


POOLS: dict[str, Pool] = {
    "gke": Pool({}),
    "gke-spot": Pool({"cloud.google.com/gke-spot": "true"}, (GPU, _taint("cloud.google.com/gke-spot", "true"))),
    "eks": Pool({"karpenter.sh/capacity-type": "on-demand"}),
    "eks-spot": Pool({"karpenter.sh/capacity-type": "spot"}),
    "eks-group": Pool({"eks.amazonaws.com/capacityType": "ON_DEMAND"}),
    "eks-group-spot": Pool({"eks.amazonaws.com/capacityType": "SPOT"}),
    "aks": Pool({"kubernetes.azure.com/accelerator": "nvidia"}, (GPU, _taint("sku", "gpu"))),
    "aks-spot": Pool(
        {"kubernetes.azure.com/accelerator": "nvidia", "kubernetes.azure.com/scalesetpriority": "spot"},
        (GPU, _taint("sku", "gpu"), _taint("kubernetes.azure.com/scalesetpriority", "spot")),
    ),
}


def pool(name: str) -> Pool:
    """Return a pool.

    Raises
    ------
    TickloomError
        There is none of this name.
    """
    if name not in POOLS:
        raise TickloomError(
            f"pool {name!r} is unknown; known: {', '.join(POOLS)}; others: --param node_selector={{…}} and "
            "--param tolerations=[…]"
        )
    return POOLS[name]
