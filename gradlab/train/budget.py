"""Schedules for a training that is measured in updates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradlab.schedule import Schedule
from gradlab.schedule.base import Floats, latest, whole


@dataclass(frozen=True)
class InUpdates(Schedule):
    """A schedule whose own time is counted in updates, for a training whose time is in epochs.

    f(U·⌊t⌋ + (t − ⌊t⌋)·n/B), U = ⌈n/B⌉, or ⌊n/B⌋ with ``drop_last``

    ``schedule`` f; ``rows`` n of the training data, of which ``batch_size`` B are in a batch, and
    fewer in the last one of an epoch, or none if the training drops it.

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
    drop_last: bool = False

    def __post_init__(self) -> None:
        self._check_schedule("schedule", self.schedule)
        self._check_number("rows", above=0)
        self._check_number("batch_size", above=0)
        self._check_choice("drop_last", (False, True))

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        epoch = whole(t)
        full, left = divmod(self.rows, self.batch_size)
        in_epoch = full + (left > 0 and not self.drop_last)
        update = epoch * in_epoch + np.maximum(t - epoch, 0) * (self.rows / self.batch_size)
        nearest = np.rint(update)
        close = np.abs(update - nearest) <= latest(nearest) - nearest
        return self.schedule(np.where(close, nearest, update))
