"""What every schedule is: a frozen value that maps epochs to a multiplier."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, overload

import numpy as np
from numpy.typing import NDArray

from gradlab.errors import ArgumentError

Floats = NDArray[np.float64]


class Schedule(ABC):
    """A multiplier of a base value over the epochs t of a training.

    ``schedule(t)`` takes t in epochs, whole or not; t = 0 is the first update. A number gives a
    float, an array gives a float64 array of its shape, and each element has the very bits that it
    has alone. Values are finite and never negative. A schedule with a horizon stays at its last
    value beyond it. A schedule has no state: equal arguments make equal schedules with equal
    hashes, and its text, typed back, makes it again.

    Schedules multiply by numbers and by one another, so a learning rate is written
    ``lr=0.1 * Cosine(30)``. A new schedule is a frozen dataclass that defines ``at``.

    Raises:
        ArgumentError: t is negative, infinite or not a number, or the value at t overflows.

    >>> from gradlab.schedule import Cosine
    >>> lr = 0.1 * Cosine(epochs=30)
    >>> lr(0), lr([0, 15, 30])
    (0.1, array([0.1 , 0.05, 0.  ]))
    >>> lr
    0.1 * Cosine(epochs=30, final=0.0)
    """

    # Without it, np.float64(0.1) * schedule would make an array of objects.
    __array_ufunc__: ClassVar[None] = None

    @abstractmethod
    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs, already checked: the formula, and nothing else."""

    @overload
    def __call__(self, t: float) -> float: ...
    @overload
    def __call__(self, t: NDArray[Any] | Sequence[float]) -> Floats: ...
    def __call__(self, t: float | NDArray[Any] | Sequence[float]) -> float | Floats:
        """Multiplier at t epochs: a float at a number, an array at an array."""
        epochs = _epochs(t)
        with np.errstate(over="ignore", invalid="ignore"):
            # In one dimension always: NumPy's scalars and arrays round powers differently.
            values = self.at(epochs.reshape(-1)).reshape(epochs.shape)
        if not np.isfinite(values).all():
            worst = epochs[~np.isfinite(values)].min()
            raise ArgumentError(f"{self!r} overflows at t = {worst:g} epochs; make it grow less")
        return values if values.ndim else float(values)

    def __mul__(self, other: object) -> Product:
        if isinstance(other, Schedule):
            return Product(1.0, (self, other))
        if isinstance(other, Real):
            return Product(float(other), (self,))
        return NotImplemented

    __rmul__ = __mul__

    def _check_number(
        self, name: str, *, above: float = -math.inf, least: float = 0.0, below: float = math.inf
    ) -> None:
        """Keep the field as a plain int or float, or say what it should have been."""
        value = getattr(self, name)
        if isinstance(value, Real) and not isinstance(value, bool):
            number = int(value) if isinstance(value, Integral) else float(value)
            if math.isfinite(number) and least <= number and above < number < below:
                object.__setattr__(self, name, number)
                return
        low = f"> {above:g}" if above >= least else f">= {least:g}"
        high = f" and < {below:g}" if below < math.inf else ""
        kind = type(self).__name__
        raise ArgumentError(f"{kind}: {name} is {value!r}; give a finite number {low}{high}")

    def _check_choice(self, name: str, choices: tuple[Any, ...]) -> None:
        """Refuse what is none of the choices, which are texts or truth values."""
        value = getattr(self, name)
        if (type(value), value) not in [(type(choice), choice) for choice in choices]:
            known = " or ".join(map(repr, choices))
            raise ArgumentError(f"{type(self).__name__}: {name} is {value!r}; give {known}")

    def _check_schedule(self, name: str, value: object) -> None:
        """Refuse what is not a schedule."""
        if not isinstance(value, Schedule):
            raise ArgumentError(
                f"{type(self).__name__}: {name} is {value!r}; give a Schedule, "
                "or build one from text with gradlab.schedule.build"
            )


@dataclass(frozen=True, repr=False)
class Product(Schedule):
    """A number times schedules, as ``*`` makes it.

    c · f₁(t) · f₂(t) · …

    ``scale`` (c >= 0) is a number; ``factors`` are one or more schedules. Products of products
    are kept flat. Two products are equal when their scales and their factors, in order, are.

    Raises:
        ArgumentError: scale is negative or not finite, or a factor is no schedule.

    >>> from gradlab.schedule import Cosine, Warmup
    >>> Warmup(over=3) * (0.5 * Cosine(30))
    0.5 * Warmup(over=3, then=Constant(value=1.0), start=0.0) * Cosine(epochs=30, final=0.0)
    """

    scale: float
    factors: tuple[Schedule, ...]

    def __post_init__(self) -> None:
        self._check_number("scale")
        factors: list[Schedule] = []
        scale = float(self.scale)
        for factor in self.factors:
            self._check_schedule("a factor", factor)
            if isinstance(factor, Product):
                scale *= factor.scale
                factors += factor.factors
            else:
                factors.append(factor)
        if not factors:
            raise ArgumentError("Product: factors is empty; give at least one schedule")
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "factors", tuple(factors))

    def at(self, t: Floats) -> Floats:
        """Values at an array of epochs."""
        values = np.full_like(t, self.scale)
        for factor in self.factors:
            values = values * factor(t)
        return values

    def __repr__(self) -> str:
        texts = [repr(factor) for factor in self.factors]
        if self.scale != 1.0 or len(texts) == 1:
            texts.insert(0, repr(self.scale))
        return " * ".join(texts)


def latest(t: Floats) -> Floats:
    """The latest time that t may stand for; rounding that fell just short of a time does not count.

    Every comparison of a time with a corner of a schedule goes through here. An epoch, a decimal
    milestone and their quotient are off by some 1e-16 of t each. In a schedule that begins within
    another one, t is a difference, off by 1e-16 of the whole training's time: 1e-11 epochs are
    that of 100,000 epochs, and less than an update of data with fewer than 1e11 rows.

    >>> bool(latest(np.array(0.1 + 0.1 + 0.1 - 1e-16)) >= 0.3)
    True
    """
    return t * (1 + 1e-12) + 1e-11


def reached(milestones: tuple[float, ...], t: Floats) -> NDArray[np.int64]:
    """Return how many milestones m ≤ t there are.

    >>> reached((0.3, 1.0), np.array([0.1 + 0.1 + 0.1 - 1e-16, 0.29]))
    array([1, 0])
    """
    return np.searchsorted(milestones, latest(t), side="right")


def whole(t: Floats, length: float = 1.0) -> Floats:
    """Return how many whole periods of a length are over: ⌊t / length⌋.

    Three tenths of an epoch are three steps of 0.1, though 0.3 / 0.1 < 3 in binary.

    >>> whole(np.array([0.3, 0.29]), 0.1)
    array([3., 2.])
    """
    return np.floor(latest(t) / length)


def _epochs(t: object) -> Floats:
    """The array of epochs that came as t."""
    try:
        epochs = np.array(t, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"t is {t!r}; give epochs as numbers >= 0") from error
    bad = ~(np.isfinite(epochs) & (epochs >= 0))
    if bad.any():
        raise ArgumentError(f"t is {epochs[bad][0]:g}; give finite epochs, counted from 0")
    return epochs
