"""Replaces all workers by ones with another configuration, one by one, and never has fewer than before.

The replacement is started first, in a slot of its own, and an old worker drains once it is ready. So a
configuration that does not work costs no worker. Decides only; who starts and drains is the supervisor.
"""

from __future__ import annotations

from durable.config import Config
from workers.slots import Slot, Slots


class Rollout:
    """One pass over all slots. `spare` is where the next replacement starts."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.spare: Slot | None = None
        self.is_done = False

    def step(self, slots: Slots) -> Slot | None:
        """The slot that is to leave now, if there is one. Call it whenever something has changed."""
        if self.spare is not None:
            return self._relieved(slots) if self.spare.is_up else None
        if any(slot.is_leaving for slot in slots):
            return None
        if self._old(slots):
            self.spare = slots.add(self.config)
        else:
            self.is_done = True
        return None

    def _relieved(self, slots: Slots) -> Slot:
        self.spare = None
        # When the last old one was told to leave meanwhile, one of the new ones is too many: this one, as a rule.
        return min(self._old(slots) or slots.staying[::-1], key=lambda slot: slot.is_up)

    def _old(self, slots: Slots) -> list[Slot]:
        return [slot for slot in slots.staying if slot.config is not self.config]
