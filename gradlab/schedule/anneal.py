"""Schedules over a horizon of T epochs: linear, polynomial, cosine, restarts and one cycle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradlab.schedule.base import Floats, Schedule, whole
from gradlab.schedule.rows import schedules


@schedules.register(
    "linear", formula="α + (1−α)(1 − t/T)", paper="Li et al., Budgeted Training, ICLR 2020"
)
@dataclass(frozen=True)
class Linear(Schedule):
    """Linear decay to a final value, robust for every budget of epochs.

    α + (1−α)(1 − t/T), which is 1 − t/T for α = 0.

    ``epochs`` T > 0; ``final`` α >= 0, the value from T on (above 1, the value grows).

    Raises:
        ArgumentError: epochs is not above 0, or final is negative.

    Source: Li et al., Budgeted Training, ICLR 2020.

    >>> Linear(epochs=10)([0, 2.5, 10, 99])
    array([1.  , 0.75, 0.  , 0.  ])
    """

    epochs: float
    final: float = 0.0

    def __post_init__(self) -> None:
        self._check_number("epochs", above=0)
        self._check_number("final")

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        return between(1, self.final, fraction(t, self.epochs))


@schedules.register(
    "polynomial", formula="α + (1−α)(1 − t/T)^p", paper="Chen et al., DeepLab, TPAMI 2018"
)
@dataclass(frozen=True)
class Polynomial(Schedule):
    """Polynomial decay to a final value, the "poly" policy of semantic segmentation.

    α + (1−α)(1 − t/T)^p

    ``epochs`` T > 0; ``power`` p > 0 (1 is linear); ``final`` α >= 0, the value from T on.

    Raises:
        ArgumentError: epochs or power is not above 0, or final is negative.

    Source: Chen et al., DeepLab, TPAMI 2018, section 4.1, where p = 0.9.

    >>> Polynomial(epochs=10, power=2)([0, 5, 10])
    array([1.  , 0.25, 0.  ])
    """

    epochs: float
    power: float = 0.9
    final: float = 0.0

    def __post_init__(self) -> None:
        self._check_number("epochs", above=0)
        self._check_number("power", above=0)
        self._check_number("final")

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        return between(self.final, 1, (1 - fraction(t, self.epochs)) ** self.power)


@schedules.register(
    "cosine",
    formula="α + ½(1−α)(1 + cos(πt/T))",
    paper="Loshchilov and Hutter, SGDR, ICLR 2017, equation 5",
)
@dataclass(frozen=True)
class Cosine(Schedule):
    """Cosine annealing: half a cosine from 1 down to a final value.

    α + ½(1−α)(1 + cos(πt/T))

    ``epochs`` T > 0; ``final`` α >= 0, the value from T on.

    Raises:
        ArgumentError: epochs is not above 0, or final is negative.

    Source: Loshchilov and Hutter, SGDR, ICLR 2017, equation 5, without restarts.

    >>> Cosine(epochs=30, final=0.5)([0, 15, 30, 40])
    array([1.  , 0.75, 0.5 , 0.5 ])
    """

    epochs: float
    final: float = 0.0

    def __post_init__(self) -> None:
        self._check_number("epochs", above=0)
        self._check_number("final")

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        return between(1, self.final, half_cosine(fraction(t, self.epochs)))


@schedules.register(
    "cosine_restarts",
    formula="α + ½(1−α)(1 + cos(π·τ/Tᵢ)), Tᵢ = T₀·mⁱ",
    paper="Loshchilov and Hutter, SGDR, ICLR 2017, equation 5",
)
@dataclass(frozen=True)
class CosineRestarts(Schedule):
    """Cosine annealing with warm restarts (SGDR): back to 1 at the end of each period.

    α + ½(1−α)(1 + cos(π·τ/Tᵢ)), where τ is the time since restart i and Tᵢ = T₀·mⁱ.

    ``period`` T₀ > 0 epochs; ``factor`` m >= 1, by which each period is longer than the one
    before; ``final`` α >= 0, approached at the end of each period.

    Raises:
        ArgumentError: period is not above 0, factor is below 1, or final is negative.

    Source: Loshchilov and Hutter, SGDR, ICLR 2017, section 3.

    >>> CosineRestarts(period=10, factor=2)([0, 5, 10, 20, 30])
    array([1. , 0.5, 1. , 0.5, 1. ])
    """

    period: float
    factor: float = 1
    final: float = 0.0

    def __post_init__(self) -> None:
        self._check_number("period", above=0)
        self._check_number("factor", least=1)
        self._check_number("final")

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        periods = t / self.period
        growth = self.factor - 1
        if growth == 0:
            progress = periods - whole(periods)
        else:
            # Restart i is at T₀(mⁱ − 1)/(m − 1), a geometric sum; solved for i it is a logarithm.
            i = whole(np.log1p(periods * growth) / np.log1p(growth))
            length = self.factor**i
            progress = (periods - (length - 1) / growth) / length
        return between(1, self.final, half_cosine(progress))


@schedules.register(
    "one_cycle",
    formula="half cosines: s → 1 over p·T, then 1 → α over (1−p)·T",
    paper="Smith and Topin, Super-Convergence, 2019",
)
@dataclass(frozen=True)
class OneCycle(Schedule):
    """One cycle: up to the base value, then down far below where it began.

    s + ½(1−s)(1 − cos(πt/pT)) until pT, then α + ½(1−α)(1 + cos(π(t−pT)/(T−pT)))

    ``epochs`` T > 0; ``peak_at`` p in (0, 1), the share of T spent rising; ``start`` s >= 0 and
    ``final`` α >= 0, the values at 0 and from T on. The peak is 1, so the base value is the
    largest. Two half cosines are fastai's and PyTorch's form; the paper has straight ramps.
    PyTorch's defaults are start 1/25 and final 4e-6.

    Raises:
        ArgumentError: epochs is not above 0, peak_at is outside (0, 1), start or final is
            negative.

    Source: Smith and Topin, Super-Convergence, 2019.

    >>> OneCycle(epochs=10, start=0.5, final=0.0)([0, 3, 6.5, 10])
    array([0.5, 1. , 0.5, 0. ])
    """

    epochs: float
    peak_at: float = 0.3
    start: float = 1 / 25
    final: float = 1e-4

    def __post_init__(self) -> None:
        self._check_number("epochs", above=0)
        self._check_number("peak_at", above=0, below=1)
        self._check_number("start")
        self._check_number("final")

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        peak = self.peak_at * self.epochs
        rise = between(self.start, 1, half_cosine(fraction(t, peak)))
        fall = between(1, self.final, half_cosine(fraction(t - peak, self.epochs - peak)))
        return np.where(t < peak, rise, fall)


def fraction(t: Floats, epochs: float) -> Floats:
    """Share of the epochs that is over: t/T within [0, 1]."""
    return np.clip(t / epochs, 0, 1)


def half_cosine(progress: Floats) -> Floats:
    """Progress in [0, 1], eased in and out: ½(1 − cos(π·progress))."""
    return 0.5 * (1 - np.cos(np.pi * progress))


def between(first: float, last: float, progress: Floats) -> Floats:
    """From the first value to the last, and exactly these at progress 0 and 1."""
    return first * (1 - progress) + last * progress
