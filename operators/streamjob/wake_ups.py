"""Spares kopf wake-ups at its start.

While kopf 1.45 reads the cluster, it makes one toggle for each object and drops it when the object is in the indexes;
each time it wakes one task for each object, which looks at all toggles and waits again. For the seven thousand objects
of a thousand StreamJobs that is half of the time of a cold start. Here they are woken only when the toggles' common
state has changed, which is all that they wait for.
"""

from kopf._cogs.aiokits.aiotoggles import Toggle, ToggleSet


async def _make_toggle(self: ToggleSet, state: bool = False, *, name: str | None = None) -> Toggle:
    toggle = Toggle(state, name=name, condition=self._condition)
    async with self._condition:
        before = self.is_on()
        self._toggles.add(toggle)
        if self.is_on() != before:
            self._condition.notify_all()
    return toggle


async def _drop_toggle(self: ToggleSet, toggle: Toggle) -> None:
    async with self._condition:
        before = self.is_on()
        self._toggles.discard(toggle)
        if self.is_on() != before:
            self._condition.notify_all()


def spare() -> None:
    """Have every set of toggles of this process do so."""
    ToggleSet.make_toggle = _make_toggle  # type: ignore[method-assign]
    ToggleSet.drop_toggle = _drop_toggle  # type: ignore[method-assign]
