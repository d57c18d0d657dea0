"""How many threads a step's libraries start: as many as its pod has processors, not as many as the node."""

import os
from math import ceil

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def limit(cpu: str) -> None:
    """Have numpy, numba and torch start that many threads; to be called before they are imported.

    Parameters
    ----------
    cpu
        In Kubernetes' way: ``2``, ``1500m``, which is rounded up. What the environment says already stays.
    """
    amount = float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
    for name in VARIABLES:
        os.environ.setdefault(name, str(max(1, ceil(amount))))
