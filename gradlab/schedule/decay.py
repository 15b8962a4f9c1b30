"""Schedules without a horizon: constant, steps, exponential and inverse time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gradlab.errors import ArgumentError
from gradlab.schedule.base import Floats, Schedule, reached, whole
from gradlab.schedule.rows import schedules


@schedules.register("constant", formula="c", paper="Schmidt et al., ICML 2021")
@dataclass(frozen=True)
class Constant(Schedule):
    """The same value at every epoch.

    c, with ``value`` c >= 0.

    Raises:
        ArgumentError: value is negative or not finite.

    >>> Constant()(7.5)
    1.0
    """

    value: float = 1.0

    def __post_init__(self) -> None:
        self._check_number("value")

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        return np.full_like(t, self.value)


@schedules.register("step", formula="γ^⌊t/d⌋", paper="He et al., CVPR 2016, section 4.2")
@dataclass(frozen=True)
class Step(Schedule):
    """Step decay: multiply by γ after every d epochs.

    γ^⌊t/d⌋, with ``every`` d > 0 epochs and ``gamma`` γ > 0.

    Raises:
        ArgumentError: every or gamma is not a finite number above 0.

    Source: He et al., Deep Residual Learning for Image Recognition, CVPR 2016, section 4.2.

    >>> Step(every=30)([0, 29.9, 30, 60])
    array([1.  , 1.  , 0.1 , 0.01])
    """

    every: float
    gamma: float = 0.1

    def __post_init__(self) -> None:
        self._check_number("every", above=0)
        self._check_number("gamma", above=0)

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        return self.gamma ** whole(t, self.every)


@schedules.register(
    "multi_step", formula="γ^#{m ≤ t}", paper="Zagoruyko and Komodakis, BMVC 2016, section 3"
)
@dataclass(frozen=True)
class MultiStep(Schedule):
    """Multiply by γ at each of the given epochs.

    γ^#{m ≤ t}: the power is how many milestones m have been reached. ``milestones`` are epochs
    above 0, in increasing order; ``gamma`` γ > 0, and above 1 the value grows.

    Raises:
        ArgumentError: milestones that do not increase from above 0, or gamma is not above 0.

    Source: Zagoruyko and Komodakis, Wide Residual Networks, BMVC 2016, section 3.

    >>> MultiStep(milestones=(60, 120, 160), gamma=0.5)([59, 60, 120, 200])
    array([1.   , 0.5  , 0.25 , 0.125])
    """

    milestones: tuple[float, ...]
    gamma: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "milestones", increasing("MultiStep", self.milestones))
        self._check_number("gamma", above=0)

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        return self.gamma ** reached(self.milestones, t).astype(np.float64)


@schedules.register("exponential", formula="γ^t", paper="Li et al., ICLR 2020")
@dataclass(frozen=True)
class Exponential(Schedule):
    """Exponential decay: multiply by γ each epoch, smoothly within it.

    γ^t, with ``gamma`` γ > 0.

    Raises:
        ArgumentError: gamma is not a finite number above 0.

    Source: Li et al., Budgeted Training, ICLR 2020.

    >>> Exponential(gamma=0.25)([0, 0.5, 1, 2])
    array([1.    , 0.5   , 0.25  , 0.0625])
    """

    gamma: float

    def __post_init__(self) -> None:
        self._check_number("gamma", above=0)

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        return self.gamma**t


@schedules.register("inverse_time", formula="1 / (1 + k·t)", paper="Bottou, SGD Tricks, 2012")
@dataclass(frozen=True)
class InverseTime(Schedule):
    """Inverse-time decay, the classical rate under which SGD converges on convex problems.

    1 / (1 + k·t), with ``rate`` k >= 0 per epoch: the value halves by t = 1/k.

    Raises:
        ArgumentError: rate is negative or not finite.

    Source: Bottou, Stochastic Gradient Descent Tricks, 2012.

    >>> InverseTime(rate=0.5)([0, 2, 6])
    array([1.  , 0.5 , 0.25])
    """

    rate: float

    def __post_init__(self) -> None:
        self._check_number("rate")

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        return 1 / (1 + self.rate * t)


def increasing(owner: str, milestones: Iterable[float]) -> tuple[float, ...]:
    """Milestones as a tuple of plain numbers, in increasing order from above 0."""
    try:
        array = np.array(tuple(milestones))
        ordered = array.ndim == 1 and bool(
            np.isfinite(array).all() and (np.diff(array, prepend=0) > 0).all()
        )
    except (TypeError, ValueError):
        ordered = False
    if not ordered:
        raise ArgumentError(
            f"{owner}: milestones is {milestones!r}; give epochs above 0 in increasing order"
        )
    return tuple(array.tolist())
