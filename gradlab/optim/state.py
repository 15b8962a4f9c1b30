"""State: what an optimizer remembers from update to update."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

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
    """

    names: list[str]
    weights: list[Variable]
    slots: list[dict[str, Variable]]
    count: Variable

    def named_variables(self) -> dict[str, Variable]:
        """What a checkpoint keeps beside the weights: the count and each slot, by name.

        >>> from gradlab.optim import Momentum
        >>> list(Momentum().init({"0.weight": Variable([1.0])}).named_variables())
        ['count', '0.weight.v']
        """
        slots = (slot for of_weight in self.slots for slot in of_weight.values())
        return {str(variable.name): variable for variable in (self.count, *slots)}

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
