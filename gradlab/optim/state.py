"""State: what an optimizer remembers from update to update."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np

from gradlab.errors import ArgumentError
from gradlab.graph import Variable
from gradlab.graph.operators import Operators


class Model(Protocol):
    """What names its parameters, as ``nn.Module`` does."""

    def named_parameters(self) -> dict[str, Variable]:
        """Trainable Variables by path."""


Weights = Mapping[str, Variable] | Iterable[Variable] | Model


@dataclass(frozen=True, eq=False, repr=False)
class State:
    """The weights that an optimizer updates, their slots, and the number of updates done.

    ``Optimizer.init`` makes it.

    Attributes:
        names: a name for each weight.
        weights: the Variables, in the order of the names.
        slots: for each weight, its slots by name, each a Variable of the weight's shape and dtype.
        count: a Variable, the number of updates done.
        counts: the same of each weight that was left out of some of them, for itself.
    """

    names: list[str]
    weights: list[Variable]
    slots: list[dict[str, Variable]]
    count: Variable
    counts: dict[Variable, Variable] = field(default_factory=dict)
    _unwatched: ClassVar[frozenset[str]] = frozenset(
        {
            "names",
            "weights",
            "slots",
            "count",
            "counts",
        }  # ``minimize`` guards what it reads of them
    )

    def named_variables(self) -> dict[str, Variable]:
        """What a checkpoint keeps beside the weights: the counts and each slot, by name.

        >>> from gradlab.optim import Momentum
        >>> list(Momentum().init({"0.weight": Variable([1.0])}).named_variables())
        ['count', '0.weight.v']
        """
        variables = {"count": self.count}
        for name, weight, slots in zip(self.names, self.weights, self.slots, strict=True):
            variables |= {f"{name}.{slot}": variable for slot, variable in slots.items()}
            if weight in self.counts:
                variables[f"{name}.count"] = self.counts[weight]
        return variables

    def count_of(self, weight: Variable) -> Variable:
        """The number of updates done of a weight."""
        return self.counts.get(weight, self.count)

    def leave_out(self, numbers: Iterable[int]) -> None:
        """Count the updates of these weights for themselves from now on."""
        for number in numbers:
            weight, name = self.weights[number], f"{self.names[number]}.count"
            if weight not in self.counts:
                done = self.count.held.item()
                self.counts[weight] = Variable(done, trainable=False, name=name, weak=True)

    def is_of(self, weights: Mapping[str, Variable]) -> bool:
        """Whether it is the state of these weights, in this order and by these names."""
        return self.names == [*weights] and [*map(id, self.weights)] == [*map(id, weights.values())]

    def over(self, weights: Mapping[str, Variable], fresh: State, counted: Set[str]) -> State:
        """The state of other weights: of those that are here it is kept, of others it is fresh.

        Args:
            weights: by name.
            fresh: a state before the first update that has the others.
            counted: names of weights whose updates are counted for themselves.
        """
        slots = dict(zip(fresh.weights, fresh.slots, strict=True))
        slots |= zip(self.weights, self.slots, strict=True)
        new = [slots[weight] for weight in weights.values()]
        counts = {
            weight: self.counts[weight]
            if weight in self.counts
            else Variable(0, trainable=False, name=f"{name}.count", weak=True)
            for name, weight in weights.items()
            if name in counted
        }
        return State([*weights], [*weights.values()], new, self.count, counts)

    def sums(self) -> list[Variable]:
        """A new Variable of zeros for each weight, to add up gradients in; see ``Part``."""
        pairs = zip(self.names, self.weights, strict=True)
        return [
            Variable(np.zeros(w.shape, w.dtype), trainable=False, name=f"{name}.sum")
            for name, w in pairs
        ]

    def __repr__(self) -> str:
        return (
            f"<optimizer state of {', '.join(self.names)} after {self.count.held.item()} updates>"
        )


def named(weights: Weights) -> dict[str, Variable]:
    """The trainable weights by name.

    These are a model's paths, a mapping's keys, or the names of the Variables in a list. There, one
    without a name goes by its number, and those of one name have it in front: "2:0.weight".

    Raises:
        ArgumentError: not floating Variables, one twice, or none to train.
    """
    if hasattr(weights, "named_parameters"):
        weights = weights.named_parameters()
    if isinstance(weights, Operators) or not isinstance(weights, Iterable):
        raise ArgumentError(
            f"weights: got {weights!r}; give a model, or Variables by name or in a list"
        )
    if not isinstance(weights, Mapping):
        listed = list(weights)
        names = [getattr(w, "name", None) or str(i) for i, w in enumerate(listed)]
        counts = Counter(names)
        own = (name if counts[name] == 1 else f"{i}:{name}" for i, name in enumerate(names))
        weights = dict(zip(own, listed, strict=True))
    seen: dict[Variable, str] = {}
    for name, w in weights.items():
        if not isinstance(w, Variable) or w.dtype.kind != "f":
            what = f"of dtype {w.dtype}" if isinstance(w, Variable) else f"a {type(w).__name__}"
            raise ArgumentError(f"weights: {name} is {what}; give Variables of floats")
        if w in seen:
            raise ArgumentError(
                f"weights: {seen[w]} and {name} are the same Variable; give it once"
            )
        seen[w] = name
    trained = {name: w for name, w in weights.items() if w.trainable}
    if not trained:
        raise ArgumentError("weights: none is trainable; give at least one trainable Variable")
    return trained
