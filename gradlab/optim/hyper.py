"""Hyperparameters: numbers or schedules, declared as dataclass fields with their ranges."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradlab.errors import ArgumentError

Hyper = float | Callable[[float], float]
"""A hyperparameter: a number, or a schedule that gives its value at t epochs."""


@dataclass(frozen=True)
class Scaled:
    """A schedule times a number, for schedules of any kind.

    >>> Scaled(lambda t: 1 / (1 + t), 0.5)(1)
    0.25
    """

    schedule: Callable[[float], float]
    factor: float

    def __call__(self, t: float) -> float:
        """The value at t epochs."""
        return self.factor * self.schedule(t)


@dataclass(frozen=True)
class Range:
    """Which numbers a hyperparameter may be: finite, from 0 (or above it) to below a bound."""

    name: str
    positive: bool = False
    below: float = math.inf

    def check(self, argument: str, value: object, when: str = "") -> float:
        """The value as a float.

        Raises:
            ArgumentError: not a number, or not in this range.
        """
        if isinstance(value, Real) and not isinstance(value, bool):
            number = float(value)
            if 0 <= number < self.below and not (self.positive and number == 0):
                return number
        low = "> 0" if self.positive else ">= 0"
        high = f" and < {self.below:g}" if self.below < math.inf else ""
        kind = "the schedule must give" if when else "give"
        raise ArgumentError(f"{argument} is {value!r}{when}; {kind} a finite number {low}{high}")


def hyper(*, name: str = "", positive: bool = False, below: float = math.inf) -> dict[str, Range]:
    """Metadata of a dataclass field that makes it a hyperparameter.

    Args:
        name: what ``hyperparameters`` calls it, if not as the field.
        positive: whether 0 is outside its range, which begins there.
        below: the bound that it stays below.

    >>> from dataclasses import field
    >>> @dataclass(frozen=True)
    ... class Friction(Hyperparameters):
    ...     rate: Hyper = field(default=0.5, metadata=hyper(below=1))
    >>> Friction(rate=lambda t: 0.5**t).hyperparameters(2)
    {'rate': 0.25}
    """
    return {"range": Range(name, positive, below)}


class Hyperparameters:
    """Base of the frozen dataclasses that have hyperparameters (fields marked by ``hyper``).

    One whose default is None is an extra: while it is None, there is no such hyperparameter. Fields
    whose default is True or False take nothing else. The text of a value leaves out what can be
    given by its name alone and is as by default.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.__repr__ = cls.__dict__.get("__repr__", _text)  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        for each in fields(self):  # type: ignore[arg-type]
            value = getattr(self, each.name)
            if isinstance(each.default, bool) and not isinstance(value, bool):
                kind = type(self).__name__
                raise ArgumentError(f"{kind}: {each.name} is {value!r}; give True or False")
        for name, bounds in _declared(self):
            value = getattr(self, name)
            if not callable(value):
                number = bounds.check(f"{type(self).__name__}: {name}", value)
                object.__setattr__(self, name, number)

    def names(self) -> list[str]:
        """Names of the hyperparameters."""
        return [bounds.name or name for name, bounds in _declared(self)]

    def hyperparameters(self, t: float = 0.0) -> dict[str, float]:
        """The value of each hyperparameter at t epochs, by name.

        Raises:
            ArgumentError: a schedule gives a number outside the hyperparameter's range.
        """
        declared = _declared(self)
        return {bounds.name or name: self._value(name, bounds, t) for name, bounds in declared}

    def over(self, epochs: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The values of each hyperparameter at many times, by name.

        Raises:
            ArgumentError: a schedule gives a number outside the hyperparameter's range.
        """
        values = {}
        for name, bounds in _declared(self):
            if callable(getattr(self, name)):
                # One time after another: the elements of an array may differ in their last bits
                # from the same numbers one by one, and a resumed run must get the same.
                found = [self._value(name, bounds, t) for t in epochs.tolist()]
                values[bounds.name or name] = np.array(found, np.float64)
            else:
                values[bounds.name or name] = np.full(len(epochs), getattr(self, name))
        return values

    def _value(self, name: str, bounds: Range, t: float) -> Any:
        value: Any = getattr(self, name)
        if not callable(value):
            return value
        argument = f"{type(self).__name__}: {name}"
        return bounds.check(argument, value(t), f" at t = {t:g} epochs")


def _declared(owner: Any) -> Iterator[tuple[str, Range]]:
    """Fields that are hyperparameters, with their ranges."""
    for each in fields(owner):
        off = each.default is None and getattr(owner, each.name) is None
        if "range" in each.metadata and not off:
            yield each.name, each.metadata["range"]


def _text(owner: Any) -> str:
    """The call that makes it."""
    shown = [
        f"{each.name}={getattr(owner, each.name)!r}"
        for each in fields(owner)
        if not each.kw_only or getattr(owner, each.name) != each.default
    ]
    return f"{type(owner).__name__}({', '.join(shown)})"
