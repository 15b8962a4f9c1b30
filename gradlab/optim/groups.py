"""Groups: an optimizer for each group of weights, by patterns of their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradlab.errors import ArgumentError
from gradlab.optim.base import Optimizer, Slots, Values, X
from gradlab.optim.hyper import Hyper


@dataclass(frozen=True, init=False, repr=False)
class Groups(Optimizer):
    """An optimizer for each group of weights, which a pattern of their paths makes.

    ``groups`` has an optimizer for each pattern, in which ``*`` stands for any text, as in
    ``init.initialize``. A weight belongs to the first pattern that matches its path, so the rest
    goes last, as ``"*"``. A hyperparameter's name has its pattern in front. They are PyTorch's
    parameter groups; those of several rules, such as AdamW for biases beside SGD, are possible too.

    Raises:
        ArgumentError: no groups, a pattern that is no text, or what is no optimizer. With a model
            in ``init``, a pattern that is the first to match no weight, and a weight that no
            pattern matches.

    >>> from gradlab import nn
    >>> from gradlab.optim import SGD, Momentum
    >>> optimizer = Groups({"*.bias": SGD(0.2), "*": Momentum(0.1)})
    >>> optimizer.hyperparameters(0)
    {'*.bias/lr': 0.2, '*/lr': 0.1, '*/momentum': 0.9}
    >>> optimizer.init(nn.Linear(2, 1)).slots
    Traceback (most recent call last):
    gradlab.errors.ArgumentError: Groups: '*.bias' matches none of weight, bias
    >>> list(optimizer.init(nn.Sequential(nn.Linear(2, 1))).named_variables())
    ['count', '0.weight.v']
    """

    groups: tuple[tuple[str, Optimizer], ...]

    def __init__(self, groups: Mapping[str, Optimizer]) -> None:
        if not isinstance(groups, Mapping) or not groups:
            raise ArgumentError(
                f"Groups: groups is {groups!r}; give an optimizer for each pattern, "
                'such as {"*.bias": SGD(0.2), "*": Adam(0.1)}'
            )
        for pattern, optimizer in groups.items():
            if not isinstance(pattern, str) or not isinstance(optimizer, Optimizer):
                raise ArgumentError(
                    f"Groups: {pattern!r} has {optimizer!r}; give texts with an optimizer for each"
                )
        object.__setattr__(self, "groups", tuple(groups.items()))

    def __repr__(self) -> str:
        return f"Groups({dict(self.groups)!r})"

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of what is remembered for some of the weights."""
        return tuple(dict.fromkeys(slot for _, each in self.groups for slot in each.slots))

    def names(self) -> list[str]:
        """Names of the hyperparameters, in the order of the groups."""
        return [f"{pattern}/{name}" for pattern, each in self.groups for name in each.names()]

    def hyperparameters(self, t: float = 0.0) -> dict[str, float]:
        """The value of each hyperparameter at t epochs, by name."""
        return {
            f"{pattern}/{name}": value
            for pattern, each in self.groups
            for name, value in each.hyperparameters(t).items()
        }

    def over(self, epochs: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The values of each hyperparameter at many times, by name."""
        return {
            f"{pattern}/{name}": values
            for pattern, each in self.groups
            for name, values in each.over(epochs).items()
        }

    def with_lr(self, change: Callable[[Hyper], Hyper]) -> Groups:
        """The same groups with another learning rate in each."""
        return Groups({pattern: each.with_lr(change) for pattern, each in self.groups})

    def rule(self, θ: X, g: X, slots: Slots, h: Values, t: Any) -> tuple[X, Slots]:
        """Refuse: the rule of a weight goes by its name, which ``minimize`` knows."""
        raise ArgumentError("Groups have no rule for a weight without a name; use minimize")

    def _of(self, names: list[str], whole: bool = False) -> Optimizer:
        places: dict[str, list[int]] = {pattern: [] for pattern, _ in self.groups}
        for place, name in enumerate(names):
            pattern = next((p for p in places if fnmatchcase(name, p)), None)
            if pattern is None:
                raise ArgumentError(
                    f"Groups: no pattern matches {name}; end with '*' for all the others"
                )
            places[pattern].append(place)
        empty = [pattern for pattern, some in places.items() if whole and not some]
        if empty:
            first = empty[0] == self.groups[0][0]
            others = "" if first else ", without those that a pattern before it matches"
            raise ArgumentError(f"Groups: {empty[0]!r} matches none of {', '.join(names)}{others}")
        return _Assigned(
            tuple(
                (f"{pattern}/", each._of([names[i] for i in places[pattern]], whole), some)
                for pattern, each in self.groups
                if (some := tuple(places[pattern]))
            )
        )


@dataclass(frozen=True)
class _Assigned(Optimizer):
    """Groups of certain weights: of each its prefix, optimizer and the places of its weights."""

    groups: tuple[tuple[str, Optimizer, tuple[int, ...]], ...]

    def rule(self, θ: X, g: X, slots: Slots, h: Values, t: Any) -> tuple[X, Slots]:
        raise NotImplementedError

    def _initial(self, count: int) -> list[dict[str, float]]:
        return _placed((some, each._initial(len(some))) for _, each, some in self.groups)

    def _interim(self, weights: list[X], slots: list[Slots], h: Values) -> list[X]:
        return _placed(
            (some, each._interim(_at(some, weights), _at(some, slots), _under(prefix, h)))
            for prefix, each, some in self.groups
        )

    def _down(self, gradients: list[X]) -> list[X]:
        return _placed((some, each._down(_at(some, gradients))) for _, each, some in self.groups)

    def _step(
        self, weights: list[X], gradients: list[X], slots: list[Slots], h: Values, t: Any
    ) -> tuple[list[X], list[Slots]]:
        new, after = [], []
        for prefix, each, some in self.groups:
            mine, g, s = _at(some, weights), _at(some, gradients), _at(some, slots)
            times = _at(some, t) if isinstance(t, list) else t
            θ, s = each._step(mine, g, s, _under(prefix, h), times)
            new.append((some, θ))
            after.append((some, s))
        return _placed(new), _placed(after)


def _at(places: tuple[int, ...], values: list[X]) -> list[X]:
    return [values[place] for place in places]


def _placed(parts: Iterable[tuple[tuple[int, ...], list[X]]]) -> list[X]:
    """The values of all weights, from those of each group."""
    values = {place: value for some, part in parts for place, value in zip(some, part, strict=True)}
    return [values[place] for place in range(len(values))]


def _under(prefix: str, h: Values) -> Values:
    """Values of the hyperparameters of a group, by the names that they have there."""
    return {k.removeprefix(prefix): value for k, value in h.items() if k.startswith(prefix)}
