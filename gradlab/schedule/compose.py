"""Schedules made of schedules, one after another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gradlab.errors import ArgumentError
from gradlab.schedule.anneal import between, fraction
from gradlab.schedule.base import Floats, Schedule, reached
from gradlab.schedule.decay import Constant, increasing


@dataclass(frozen=True)
class Warmup(Schedule):
    """A linear ramp, then another schedule, whose own t = 0 is the end of the ramp.

    (s + (1−s)·t/w) · f(0) for t < w, then f(t − w)

    ``over`` w > 0 epochs; ``then`` f; ``start`` s >= 0, the share of f(0) at the first update.
    The ramp ends where f begins, so the value is continuous. With s = 0 the first update leaves
    the weights where they are. To train for T epochs in all, let f last T − w.

    Raises:
        ArgumentError: over is not above 0, start is negative, or then is no schedule.

    Source: Goyal et al., Accurate, Large Minibatch SGD, 2017, section 2.2.

    >>> from gradlab.schedule import Linear
    >>> Warmup(over=2, then=Linear(epochs=8))([0, 1, 2, 6, 10])
    array([0. , 0.5, 1. , 0.5, 0. ])
    """

    over: float
    then: Schedule = Constant()  # noqa: RUF009 - a frozen value
    start: float = 0.0

    def __post_init__(self) -> None:
        self._check_number("over", above=0)
        self._check_schedule("then", self.then)
        self._check_number("start")

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        ramp = between(self.start, 1, fraction(t, self.over))
        return ramp * self.then(np.maximum(t - self.over, 0))


@dataclass(frozen=True)
class Sequence(Schedule):
    """Schedules one after another, each from its own t = 0.

    fᵢ(t − mᵢ) for mᵢ <= t < mᵢ₊₁, where m₀ = 0

    ``schedules`` f₀, f₁, …; ``milestones`` m₁, m₂, …: the epochs, increasing from above 0, at
    which the next schedule takes over, one fewer than the schedules. The last one stays.

    Raises:
        ArgumentError: a schedule that is none, milestones that do not increase from above 0, or
            as many milestones as schedules.

    >>> from gradlab.schedule import Linear
    >>> trapezoid = Sequence((Warmup(over=2), Linear(epochs=4)), milestones=(6,))
    >>> trapezoid([0, 1, 2, 6, 8, 10])
    array([0. , 0.5, 1. , 1. , 0.5, 0. ])
    """

    schedules: tuple[Schedule, ...]
    milestones: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "schedules", tuple(self.schedules))
        object.__setattr__(self, "milestones", turns(len(self.schedules), self.milestones))
        for schedule in self.schedules:
            self._check_schedule("one of the schedules", schedule)

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        turn = reached(self.milestones, t)
        values = np.empty_like(t)
        for i, (schedule, begin) in enumerate(
            zip(self.schedules, (0, *self.milestones), strict=True)
        ):
            mine = turn == i
            values[mine] = schedule(np.maximum(t[mine] - begin, 0))
        return values


def turns(schedules: int, milestones: Iterable[float]) -> tuple[float, ...]:
    """Milestones between that many schedules, one for each change from one to the next."""
    ordered = increasing("Sequence", milestones)
    if len(ordered) != schedules - 1:
        raise ArgumentError(
            f"Sequence: {schedules} schedules with {len(ordered)} milestones; "
            "give one milestone for each change from a schedule to the next"
        )
    return ordered
