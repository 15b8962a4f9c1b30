"""Schedules along lines and cosines: over T epochs, with restarts and in cycles."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gradlab.errors import ArgumentError
from gradlab.schedule.base import Floats, Schedule, latest, whole
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
        growth = self.factor - 1
        if growth == 0:
            length = np.full_like(t, self.period)
            begin = whole(t, self.period) * length
        else:
            # Restart i is at T₀(mⁱ − 1)/(m − 1), a geometric sum; solved for i it is a logarithm.
            i = whole(np.log1p(latest(t) / self.period * growth) / np.log1p(growth))
            length = self.period * self.factor**i
            begin = (length - self.period) / growth
        return between(1, self.final, half_cosine(np.clip((t - begin) / length, 0, 1)))


@schedules.register(
    "one_cycle",
    formula="s → 1 over p·T, then 1 → α over (1−p)·T, along half cosines or lines",
    paper="Smith and Topin, Super-Convergence, 2019",
)
@dataclass(frozen=True)
class OneCycle(Schedule):
    """One cycle: up to the base value, then down far below where it began.

    s + ½(1−s)(1 − cos(πt/pT)) until pT, then α + ½(1−α)(1 + cos(π(t−pT)/(T−pT)))

    ``epochs`` T > 0; ``peak_at`` p in (0, 1), the share of T spent rising; ``start`` s >= 0 and
    ``final`` α >= 0, the values at 0 and from T on. The peak is 1, so the base value is the
    largest. Two half cosines are fastai's and PyTorch's form, ``anneal="linear"`` has the straight
    ramps of the paper. With ``three_phase`` the value is back at s at 2pT, and falls to α after it.

    With ``total_steps`` N, the updates in the T epochs, it is PyTorch's ``OneCycleLR`` at each
    update: the peak is at pN − 1, a second phase ends at 2pN − 2 and the last one at N − 1, which
    is the last update. PyTorch's ``div_factor`` is 1/s and its ``final_div_factor`` s/α; its
    default of α is 4e-6. Momentum that is cycled against the rate, from 0.95 to 0.85 and back, is
    ``0.85 * OneCycle(T, start=0.95 / 0.85, final=0.95 / 0.85)``.

    Raises:
        ArgumentError: epochs is not above 0, peak_at is outside (0, 1), start or final is
            negative, anneal or three_phase is something else, or a phase has no length.

    Source: Smith and Topin, Super-Convergence, 2019.

    >>> OneCycle(epochs=10, start=0.5, final=0.0)([0, 3, 6.5, 10])
    array([0.5, 1. , 0.5, 0. ])
    >>> OneCycle(epochs=2, start=0.5, final=0, anneal="linear", total_steps=10)([0, 0.4, 1.8])
    array([0.5, 1. , 0. ])
    """

    epochs: float
    peak_at: float = 0.3
    start: float = 1 / 25
    final: float = 1e-4
    anneal: str = "cos"
    three_phase: bool = False
    total_steps: float | None = None

    def __post_init__(self) -> None:
        self._check_number("epochs", above=0)
        self._check_number("peak_at", above=0, below=1)
        self._check_number("start")
        self._check_number("final")
        self._check_choice("anneal", ("cos", "linear"))
        self._check_choice("three_phase", (False, True))
        if self.total_steps is not None:
            self._check_number("total_steps", above=1)
        ends = self._ends()
        if not all(begin < end for begin, end in pairwise((0.0, *ends))):
            unit = "epochs" if self.total_steps is None else "updates"
            raise ArgumentError(
                f"OneCycle: peak_at is {self.peak_at!r}, and the phases would end after "
                f"{', '.join(f'{end:g}' for end in ends)} {unit}; give a share with which each "
                "phase has a length"
            )

    def _ends(self) -> tuple[float, ...]:
        """Where the phases end: in updates if there are ``total_steps``, else in epochs."""
        length, lost = (self.epochs, 0) if self.total_steps is None else (self.total_steps, 1)
        peak = self.peak_at * length - lost
        return (peak, 2 * peak, length - lost) if self.three_phase else (peak, length - lost)

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        x = t if self.total_steps is None else t * (self.total_steps / self.epochs)
        ease = half_cosine if self.anneal == "cos" else np.asarray
        ends = (0.0, *self._ends())
        turns = (self.start, 1, *([self.start] if self.three_phase else []), self.final)
        values = np.full_like(t, self.start)
        for (begin, end), (first, last) in zip(pairwise(ends), pairwise(turns), strict=True):
            phase = between(first, last, ease(fraction(x - begin, end - begin)))
            values = np.where(x > begin, phase, values)
        return values


@schedules.register(
    "cyclic",
    formula="s + (1−s)·Λ(t)·k: Λ a triangle in each cycle, k = 1, 2⁻ᶜ or γ^t",
    paper="Smith, Cyclical Learning Rates, WACV 2017",
)
@dataclass(frozen=True)
class Cyclic(Schedule):
    """Triangles one after another: from a low value up to the base value and back.

    s + (1−s) · Λ(t) · k, Λ = τ/u for τ <= u, else (u + d − τ)/d

    where τ is the time since the cycle began. ``up`` u > 0 and ``down`` d > 0 are the epochs of
    each way (d = u if it is None); ``start`` s >= 0 is the value at a cycle's ends. By ``mode`` the
    height is the same in all cycles ("triangular", k = 1), halved in each ("triangular2", k = 2⁻ᶜ
    in cycle c = 0, 1, …) or multiplied by ``gamma`` γ > 0 each epoch ("exp_range", k = γ^t).

    It is PyTorch's ``CyclicLR`` with the base value ``max_lr`` and s = ``base_lr`` / ``max_lr``,
    where ``up`` and ``down`` are its steps over the updates in an epoch, and γ is its gamma to the
    power of these. Momentum that is cycled against the rate, from 0.9 to 0.8 and back, is
    ``0.8 * Cyclic(u, d, start=0.9 / 0.8)``.

    Raises:
        ArgumentError: up, down or gamma is not above 0, start is negative, another mode, a gamma
            that the mode does not use, or one above 1 where start is too.

    Source: Smith, Cyclical Learning Rates for Training Neural Networks, WACV 2017, section 3.

    >>> Cyclic(up=2, down=4, start=0.5, mode="triangular2")([0, 1, 2, 4, 6, 8, 12])
    array([0.5 , 0.75, 1.  , 0.75, 0.5 , 0.75, 0.5 ])
    """

    up: float
    down: float | None = None
    start: float = 0.25
    mode: str = "triangular"
    gamma: float = 1.0

    def __post_init__(self) -> None:
        self._check_number("up", above=0)
        if self.down is not None:
            self._check_number("down", above=0)
        self._check_number("start")
        self._check_choice("mode", ("triangular", "triangular2", "exp_range"))
        self._check_number("gamma", above=0)
        if self.gamma != 1 and self.mode != "exp_range":
            raise ArgumentError(
                f"Cyclic: gamma is {self.gamma!r}, which mode {self.mode!r} does not use; "
                "give mode='exp_range' with it"
            )
        if self.gamma > 1 < self.start:
            raise ArgumentError(
                f"Cyclic: gamma is {self.gamma!r} and start {self.start!r}; give at most 1 for one "
                "of them, or values fall below 0"
            )

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        down = self.up if self.down is None else self.down
        length = self.up + down
        cycle = whole(t, length)
        time = np.maximum(t - cycle * length, 0)
        height = np.minimum(fraction(time, self.up), fraction(length - time, down))
        if self.mode == "triangular2":
            height = height * 0.5**cycle
        elif self.mode == "exp_range":
            height = height * self.gamma**t
        return between(self.start, 1, height)


def fraction(t: Floats, epochs: float) -> Floats:
    """Share of the epochs that is over: t/T within [0, 1], and 1 at the end itself."""
    return np.where(latest(t) >= epochs, 1.0, np.maximum(t / epochs, 0))


def half_cosine(progress: Floats) -> Floats:
    """Progress in [0, 1], eased in and out: ½(1 − cos(π·progress))."""
    return 0.5 * (1 - np.cos(np.pi * progress))


def between(first: float, last: float, progress: Floats) -> Floats:
    """From the first value to the last, and exactly these at progress 0 and 1."""
    return first * (1 - progress) + last * progress
