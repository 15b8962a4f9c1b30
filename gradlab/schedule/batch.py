"""Batch-size schedules: grow the batch where others decay the learning rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradlab.errors import ArgumentError
from gradlab.schedule.base import Floats, Schedule, whole
from gradlab.schedule.rows import schedules


@schedules.register("linear_growth", formula="1 + k·t", paper="Smith et al., ICLR 2018")
@dataclass(frozen=True)
class LinearGrowth(Schedule):
    """Linear growth of the batch.

    1 + k·t, with ``rate`` k >= 0 per epoch.

    Raises:
        ArgumentError: rate is negative or not finite.

    Source: Smith et al., Don't Decay the Learning Rate, Increase the Batch Size, ICLR 2018.

    >>> (32 * LinearGrowth(rate=0.5))([0, 2, 6])
    array([ 32.,  64., 128.])
    """

    rate: float

    def __post_init__(self) -> None:
        self._check_number("rate")

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        return 1 + self.rate * t


@schedules.register("step_growth", formula="k^⌊t/d⌋", paper="Smith et al., ICLR 2018, section 5")
@dataclass(frozen=True)
class StepGrowth(Schedule):
    """Growth of the batch in steps: multiply by k after every d epochs.

    k^⌊t/d⌋, with ``every`` d > 0 epochs and ``factor`` k >= 1.

    Raises:
        ArgumentError: every is not above 0, or factor is below 1.

    Source: Smith et al., Don't Decay the Learning Rate, Increase the Batch Size, ICLR 2018.

    >>> (128 * StepGrowth(every=60, factor=5))([0, 60, 120])
    array([ 128.,  640., 3200.])
    """

    every: float
    factor: float

    def __post_init__(self) -> None:
        self._check_number("every", above=0)
        self._check_number("factor", least=1)

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        return self.factor ** whole(t, self.every)


@dataclass(frozen=True)
class Reciprocal(Schedule):
    """The batch's growth that stands in for a learning rate's decay.

    min(1 / f(t), L): where f divides η by k, the batch is multiplied by k.

    ``schedule`` f; ``limit`` L > 0, the largest multiplier (None for no limit). The curve per
    epoch stays about the same, with fewer updates, while the batch is small beside the data.

    Raises:
        ArgumentError: schedule is none, limit is not above 0, or f reaches 0 and there is no limit.

    Source: Smith et al., Don't Decay the Learning Rate, Increase the Batch Size, ICLR 2018.

    >>> from gradlab.schedule import Step
    >>> (32 * Reciprocal(Step(every=10, gamma=0.5), limit=4))([0, 10, 20, 30])
    array([ 32.,  64., 128., 128.])
    """

    schedule: Schedule
    limit: float | None = None

    def __post_init__(self) -> None:
        self._check_schedule("schedule", self.schedule)
        if self.limit is not None:
            self._check_number("limit", above=0)

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        with np.errstate(divide="ignore"):
            values = 1 / self.schedule(t)
        if self.limit is not None:
            return np.minimum(values, self.limit)
        if np.isinf(values).any():
            raise ArgumentError(f"{self!r} grows without end as its schedule nears 0; give a limit")
        return values
