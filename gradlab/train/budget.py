"""Schedules for a training that is measured in updates."""

from __future__ import annotations

from dataclasses import dataclass

from gradlab.schedule import Schedule
from gradlab.schedule.base import Floats


@dataclass(frozen=True)
class InUpdates(Schedule):
    """A schedule whose own time is counted in updates, for a training whose time is in epochs.

    f(U·⌊t⌋ + (t − ⌊t⌋)·n/B), U = ⌈n/B⌉

    ``schedule`` f; ``rows`` n of the training data, of which ``batch_size`` B are in a batch, and
    fewer in the last one of an epoch.

    Raises:
        ArgumentError: rows or batch_size is not above 0, or schedule is none.

    >>> from gradlab.schedule import Linear
    >>> rate = InUpdates(Linear(epochs=8), rows=10, batch_size=3)
    >>> rate([0, 0.3, 0.6, 0.9, 1, 2])
    array([1.   , 0.875, 0.75 , 0.625, 0.5  , 0.   ])
    """

    schedule: Schedule
    rows: int
    batch_size: int

    def __post_init__(self) -> None:
        self._check_schedule("schedule", self.schedule)
        self._check_number("rows", above=0)
        self._check_number("batch_size", above=0)

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        whole = t // 1
        in_epoch = -(-self.rows // self.batch_size)
        return self.schedule(whole * in_epoch + (t - whole) * (self.rows / self.batch_size))
