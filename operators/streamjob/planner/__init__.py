"""From what was observed to what is done: pure, and the same for the operator and for ``tickloom plan``."""

from operators.streamjob.planner.plan import plan

__all__ = ["plan"]
