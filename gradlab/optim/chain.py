"""Chain: transforms and an optimizer, together an optimizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradlab.errors import ArgumentError
from gradlab.optim.base import Optimizer, Slots, Values, X
from gradlab.optim.groups import Groups
from gradlab.optim.hyper import Hyper
from gradlab.optim.transforms import DecoupledDecay, Transform


@dataclass(frozen=True, init=False, repr=False)
class Chain(Optimizer):
    """Transforms in order, and one optimizer last.

    Each transform gets the gradients as the one before it left them, then the optimizer updates
    the weights, then each transform gets the weights.

    Raises:
        ArgumentError: not transforms and one optimizer last, or two parts with a hyperparameter
            of the same name.

    >>> from gradlab.optim import ClipNorm, Momentum, WeightDecay
    >>> Chain(ClipNorm(1.0), WeightDecay(1e-4), Momentum(0.1)).hyperparameters(0)
    {'clip_norm': 1.0, 'weight_decay': 0.0001, 'lr': 0.1, 'momentum': 0.9}
    """

    transforms: tuple[Transform, ...]
    optimizer: Optimizer

    def __init__(self, *parts: Transform | Optimizer) -> None:
        *transforms, last = parts or (None,)
        for part in transforms:
            if not isinstance(part, Transform):
                raise ArgumentError(
                    f"Chain: {part!r} stands before the last place; only transforms go there"
                )
        if not isinstance(last, Optimizer):
            raise ArgumentError(f"Chain: {last!r} stands last; an optimizer goes there")
        object.__setattr__(self, "transforms", tuple(transforms))
        object.__setattr__(self, "optimizer", last)
        names = [name for part in parts for name in part.names()]
        for name in names:
            if names.count(name) > 1:
                raise ArgumentError(
                    f"Chain: two parts have a hyperparameter {name}; keep one of them"
                )
        if isinstance(last, Groups) and any(isinstance(t, DecoupledDecay) for t in transforms):
            raise ArgumentError(
                "Chain: DecoupledDecay goes by one learning rate, and Groups have several; "
                "put it into a Chain in each group"
            )

    def __repr__(self) -> str:
        return f"Chain({', '.join(map(repr, (*self.transforms, self.optimizer)))})"

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of what is remembered for each weight."""
        return self.optimizer.slots

    def names(self) -> list[str]:
        """Names of the hyperparameters, in the order of the parts."""
        return [name for part in (*self.transforms, self.optimizer) for name in part.names()]

    def hyperparameters(self, t: float = 0.0) -> dict[str, float]:
        """The value of each hyperparameter at t epochs, by name."""
        values: dict[str, float] = {}
        for part in (*self.transforms, self.optimizer):
            values |= part.hyperparameters(t)
        return values

    def over(self, epochs: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The values of each hyperparameter at many times, by name."""
        values: dict[str, NDArray[np.float64]] = {}
        for part in (*self.transforms, self.optimizer):
            values |= part.over(epochs)
        return values

    def with_lr(self, change: Callable[[Hyper], Hyper]) -> Chain:
        """The same chain with another learning rate of its optimizer."""
        return Chain(*self.transforms, self.optimizer.with_lr(change))

    def initial(self, slot: str) -> float:
        """The number that fills a slot before the first update."""
        return self.optimizer.initial(slot)

    def interim(self, θ: X, slots: Slots, h: Values) -> X:
        """Where the gradient is evaluated, θ̂."""
        return self.optimizer.interim(θ, slots, h)

    def rule(self, θ: X, g: X, slots: Slots, h: Values, t: Any) -> tuple[X, Slots]:
        """The update of a model of one weight."""
        new, new_slots = self._step([θ], [g], [slots], h, t)
        return new[0], new_slots[0]

    def _of(self, names: list[str], whole: bool = False) -> Chain:
        optimizer = self.optimizer._of(names, whole)
        same = optimizer is self.optimizer
        return self if same else Chain(*self.transforms, optimizer)

    def _initial(self, count: int) -> list[dict[str, float]]:
        return self.optimizer._initial(count)

    def _interim(self, weights: list[X], slots: list[Slots], h: Values) -> list[X]:
        return self.optimizer._interim(weights, slots, h)

    def _down(self, gradients: list[X]) -> list[X]:
        return self.optimizer._down(gradients)

    def _step(
        self, weights: list[X], gradients: list[X], slots: list[Slots], h: Values, t: Any
    ) -> tuple[list[X], list[Slots]]:
        points = self._interim(weights, slots, h)
        for transform in self.transforms:
            gradients = transform.on_gradients(points, gradients, h)
        new, slots = self.optimizer._step(weights, gradients, slots, h, t)
        for transform in self.transforms:
            new = transform.on_weights(weights, new, h)
        return new, slots
